"""The choices of a plan applied to what the source described: pure, and the same everywhere.

The wizard, preflight and the job all use these two functions, so that what was reviewed is what is
built.
"""

from collections.abc import Mapping
from dataclasses import replace

from backends.base import Placement, Ref
from kensho_tui.machine import Appliance, Disk, DiskId, Machine, MachineId
from kensho_tui.migration.plan import Mac, MachinePlan, Spec
from kensho_tui.ovf.properties import with_answers

_AS_IS = MachinePlan()


def chosen(appliance: Appliance, spec: Spec) -> Appliance:
    """The appliance with the machines that are included, named and sized as the plan says.

    Adapters whose addresses the target is to give have none.
    Capacities that are bound to a property follow its answer (DSP0243 2.1.1 §9.1).
    Disks, networks, properties and licences that only left-out machines had are left out too.
    """
    machines = tuple(
        _machine(each, spec.machines.get(each.id, _AS_IS), spec.mac)
        for each in appliance.machines
        if spec.machines.get(each.id, _AS_IS).include
    )
    owners = {"", *(each.id for each in machines)}
    left = {str(each.id) for each in appliance.machines} - owners
    used = {adapter.network for machine in machines for adapter in machine.adapters}
    whole = len(machines) == len(appliance.machines)
    fit = replace(
        appliance,
        name=spec.name or appliance.name,
        machines=machines,
        disks=_disks(appliance, machines),
        networks=tuple(each for each in appliance.networks if whole or each.id in used),
        products=tuple(each for each in appliance.products if each.owner in owners),
        licences=tuple(each for each in appliance.licences if each.owner in owners),
        properties=tuple(each for each in appliance.properties if each.owner in owners),
        environment_files=tuple(e for e in appliance.environment_files if e.owner in owners),
        scale_outs=tuple(e for e in appliance.scale_outs if e.of not in left),
    )
    return with_answers(fit, {k: v for k, v in spec.properties.items() if isinstance(v, str)})


def _machine(machine: Machine, plan: MachinePlan, mac: Mac) -> Machine:
    processors, memory = machine.processors, machine.memory
    if plan.processors is not None and plan.processors != processors.count:
        cores = processors.cores_per_socket
        processors = replace(
            processors,
            count=plan.processors,
            # A socket is never half full.
            cores_per_socket=cores if plan.processors % max(cores, 1) == 0 else 1,
        )
    if plan.memory is not None and plan.memory != memory.size:
        reserved = memory.reservation
        memory = replace(
            memory,
            size=plan.memory,
            reservation=None if reserved is None else min(reserved, plan.memory),
        )
    adapters = machine.adapters
    if mac == "generate":
        adapters = tuple(replace(each, mac=None) for each in adapters)
    return replace(
        machine,
        name=plan.name or machine.name,
        processors=processors,
        memory=memory,
        adapters=adapters,
    )


def _disks(appliance: Appliance, machines: tuple[Machine, ...]) -> Mapping[DiskId, Disk]:
    wanted: set[DiskId] = set()
    todo = [a.disk for machine in machines for a in machine.attachments if a.disk is not None]
    while todo:
        disk = todo.pop()
        if disk in wanted:
            continue
        wanted.add(disk)
        parent = appliance.disks[disk].parent if disk in appliance.disks else None
        if parent is not None:
            todo.append(parent)
    return {id: disk for id, disk in appliance.disks.items() if id in wanted}


def placement(appliance: Appliance, spec: Spec) -> Placement:
    """Where the (chosen) appliance goes, in the contract's words."""
    machines = {each.id: spec.machines.get(each.id, _AS_IS) for each in appliance.machines}
    networks: dict[tuple[MachineId, str], Ref | None] = {}
    for machine in appliance.machines:
        answers = machines[machine.id].adapters
        for adapter in machine.adapters:
            if adapter.id in answers:
                answer = answers[adapter.id]
                networks[machine.id, adapter.id] = None if answer is None else answer.ref()
    return Placement(
        home=spec.target.home.ref() if spec.target.home else None,
        homes={id: each.home.ref() for id, each in machines.items() if each.home is not None},
        storage={
            disk: spec.storage[disk].ref() for disk in appliance.disks if disk in spec.storage
        },
        networks=networks,
    )
