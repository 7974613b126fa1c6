"""What ``kensho package show`` says of machines together, and of what few packages have."""

from collections.abc import Iterator
from typing import Any

from kensho_tui.machine import Appliance
from kensho_tui.migration.units import memory, size
from kensho_tui.text import one_line


def lines(appliance: Appliance) -> Iterator[str]:
    """For people."""
    names = {str(each.id): each.name for each in appliance.machines}
    for machine in appliance.machines:
        yield from (
            f"  {one_line(machine.name)}: {each}" for each in _machine(appliance, machine.id)
        )
    for each in appliance.scale_outs:
        most = "or more" if each.maximum is None else f"to {each.maximum}"
        of = one_line(names.get(each.of, each.of))
        yield f"  instances  {of}: {each.minimum} {most}, {each.default} as a rule; one is made"
    for group in appliance.placement_groups:
        members = [one_line(m.name) for m in appliance.machines if m.placement == group.id]
        yield f"  placement  {one_line(group.id)} ({one_line(group.policy)}): {', '.join(members)}"
    for shared in appliance.shared_resources:
        words = [
            f"{word} {said}"
            for word, value, said in (
                ("reserved", shared.processor_reservation_mhz, f"{shared.processor_reservation_mhz} MHz"),
                ("at most", shared.processor_limit_mhz, f"{shared.processor_limit_mhz} MHz"),
                ("reserved", shared.memory_reservation, memory(shared.memory_reservation or 0)),
                ("at most", shared.memory_limit, memory(shared.memory_limit or 0)),
            )
            if value is not None
        ]  # fmt: skip
        yield f"  together   {one_line(shared.owner)}: {', '.join(words)}"
    for name, algorithm in appliance.encrypted.items():
        by = f" ({one_line(algorithm)})" if algorithm else ""
        yield f"  encrypted  {one_line(name) or 'not told what'}{by}"
    for name, value in appliance.extras.items():
        if name.startswith("vmware:storageGroup."):
            yield f"  storage    group {one_line(value or name.rpartition('.')[2])} (vSphere)"
        elif name == "vmware:ipAssignment":
            yield f"  addresses  {one_line(value)} (vSphere)"


def _machine(appliance: Appliance, id_: str) -> Iterator[str]:
    machine = appliance.machine(id_)
    processors, ram = machine.processors, machine.memory
    if processors.minimum is not None or processors.maximum is not None:
        yield f"{_range(processors.minimum, processors.maximum)} CPUs are allowed"
    if ram.minimum is not None or ram.maximum is not None:
        low = None if ram.minimum is None else memory(ram.minimum)
        high = None if ram.maximum is None else memory(ram.maximum)
        yield f"{_range(low, high)} of memory are allowed"
    if machine.boot_order:
        yield f"boots from {', then '.join(machine.boot_order)}"
    if machine.install is not None:
        within = machine.install.stop_delay_s
        yield "its first start installs it" + (f", within {within} s" if within else "")
    for disk in appliance.disks_of(machine):
        if disk.shared:
            yield f"disk {one_line(disk.name or disk.id)} is shared ({size(disk.capacity or 0)})"


def _range(low: object, high: object) -> str:
    if low is None:
        return f"at most {high}"
    return f"at least {low}" if high is None else f"{low} to {high}"


def data(appliance: Appliance) -> dict[str, Any]:
    """For JSON; what is of one machine stands with it."""
    return {
        "placement_groups": appliance.placement_groups,
        "scale_outs": appliance.scale_outs,
        "shared_resources": appliance.shared_resources,
        "encrypted": appliance.encrypted,
        "environment_files": appliance.environment_files,
        "extras": appliance.extras,
    }
