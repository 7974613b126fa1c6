"""One plan for many machines made into one for each: what does not belong together is not undone together.

Machines of one appliance of the platform stay together, and so do machines that share a disk.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from backends.base import Described, Kind, MachineItem, Ref
from kensho_tui.machine import Appliance, DiskId, Machine
from kensho_tui.migration.apply import chosen
from kensho_tui.migration.plan import MachinePlan, Plan, RefModel, SecretValue
from kensho_tui.text import one_line


@dataclass(frozen=True, slots=True)
class Part:
    """What one of the plans moves.

    Attributes:
        refs: of its machines, or of its appliance.
        described: as the source tells it where it is asked for these alone.
        package: path of the package it is written to, where the target is one.
    """

    refs: tuple[Ref, ...]
    described: Described
    package: str = ""


def groups(
    refs: Sequence[Ref], whole: Appliance, items: Iterable[MachineItem]
) -> list[tuple[Ref, ...]]:
    """The references, those together that must stay so; in their order.

    Args:
        whole: what all of them are together.
        items: summaries of the source's machines, which say of what appliance they are.
    """
    known = {each.ref.id: each for each in items}
    owner: dict[DiskId, int] = {}
    group = list(range(len(refs)))

    def join(one: int, other: int) -> None:
        low, high = sorted((group[one], group[other]))
        group[:] = [low if each == high else each for each in group]

    for number, ref in enumerate(refs):
        item = known.get(ref.id)
        for other in range(number):
            before = known.get(refs[other].id)
            mine = item.appliance if item else None
            if mine is not None and before is not None and before.appliance == mine:
                join(number, other)
        if ref.kind is Kind.APPLIANCE:
            continue
        for machine in whole.machines:
            if ref.id in (machine.uuid, machine.id):
                for disk in _disks(whole, machine):
                    join(number, owner.setdefault(disk, number))
    return [
        tuple(ref for ref, mine in zip(refs, group, strict=True) if mine == each)
        for each in dict.fromkeys(group)
    ]


def _disks(appliance: Appliance, machine: Machine) -> set[DiskId]:
    """The machine's disks and all they are made on."""
    found: set[DiskId] = set()
    todo = [each.disk for each in machine.attachments if each.disk is not None]
    while todo:
        disk = todo.pop()
        if disk not in found:
            found.add(disk)
            parent = appliance.disks[disk].parent if disk in appliance.disks else None
            todo += [parent] if parent is not None else []
    return found


def split(plan: Plan, whole: Appliance, parts: Sequence[Part], batch: str) -> list[Plan]:
    """A plan for each part, complete in itself; a part of which no machine is included gives none.

    What was decided for the whole holds for its parts. A machine or disk can have another id where
    it is told alone, so both are found again by machine and place.

    Args:
        whole: the appliance that the plan is of, as the source described it.
        batch: what all the plans are submitted as.
    """
    plans = [_plan(plan, whole, part, batch) for part in parts]
    return [each for each in plans if each is not None]


def _plan(plan: Plan, whole: Appliance, part: Part, batch: str) -> Plan | None:
    spec, appliance = plan.spec, part.described.appliance
    before = _counterparts(whole, appliance)
    machines = {
        str(each.id): spec.machines[before[each.id].id]
        for each in appliance.machines
        if each.id in before and before[each.id].id in spec.machines
    }
    nothing = MachinePlan()
    included = [m for m in appliance.machines if machines.get(m.id, nothing).include]
    if not included:
        return None
    storage: dict[str, RefModel] = {}
    for machine in appliance.machines:
        there = before.get(machine.id)
        for mine, theirs in zip(
            machine.attachments, there.attachments if there else (), strict=False
        ):
            if mine.disk is not None and theirs.disk is not None and theirs.disk in spec.storage:
                storage[mine.disk] = spec.storage[theirs.disk]
    asked = {each.address for each in appliance.properties}
    digests = {each.digest for each in appliance.licences}
    properties: dict[str, str | SecretValue] = {
        address: value for address, value in spec.properties.items() if address in asked
    }
    own = spec.model_copy(
        update={
            "source": spec.source.model_copy(
                update={
                    "machines": tuple(RefModel.of(each) for each in part.refs),
                    "identity": part.described.identity,
                }
            ),
            "target": spec.target.model_copy(update={"package": part.package or None})
            if spec.target.package is not None
            else spec.target,
            "name": None,
            "machines": machines,
            "storage": storage,
            "properties": properties,
            "licences": tuple(each for each in spec.licences if each.digest in digests),
        }
    )
    fit = chosen(appliance, own)
    name = fit.machines[0].name if len(fit.machines) == 1 else fit.name
    metadata = plan.metadata.model_copy(
        update={"name": one_line(name, limit=80) or plan.metadata.name, "batch": batch}
    )
    return plan.model_copy(update={"metadata": metadata, "spec": own})


def _counterparts(whole: Appliance, part: Appliance) -> Mapping[str, Machine]:
    """Id of a machine in the part → the same machine in the whole."""
    by_uuid = {each.uuid: each for each in whole.machines if each.uuid}
    by_id = {each.id: each for each in whole.machines}
    found: dict[str, Machine] = {}
    for machine in part.machines:
        there = by_id.get(machine.id)
        if machine.uuid and (there is None or there.uuid != machine.uuid):
            there = by_uuid.get(machine.uuid)
        if there is not None:
            found[machine.id] = there
    return found
