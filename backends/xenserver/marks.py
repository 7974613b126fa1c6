"""How what Kensho makes is found again: entries in ``other_config``, written when it is created.

A VM_appliance has no ``other_config``; it carries the key in its description until it is committed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from backends.base import Key
from backends.xenserver.api import NULL, Api, Record
from kensho_tui.machine import DiskId, MachineId

N = TypeVar("N", MachineId, DiskId)

KEY = "kensho:key"
MACHINE = "kensho:machine"
DISK = "kensho:disk"
ENVIRONMENT = "kensho:environment"  # on the ISO of a machine's OVF environment: the machine's id
BORROWED = "kensho:borrowed"  # on that ISO: it lies in a drive which the machine has anyway
# On a machine: its own uuid, so that a copy of the machine, which has all marks, is told apart.
COMMITTED = "kensho:committed"
STATE = "kensho:state"  # of a disk: absent, `WRITING` or `WRITTEN`
ACKNOWLEDGED = (
    "kensho:acknowledged"  # of a disk being written: the end of what has arrived for good
)
CAPTURE = "kensho:capture"  # on a snapshot: the key of the capture it belongs to
EXTRA = "kensho:extra:"  # a Xen key that has no field of its own on the server
HIDDEN = "HideFromXenCenter"

WRITING = "writing"
WRITTEN = "written"


@dataclass(frozen=True, slots=True)
class Object:
    """A reference with its record."""

    ref: str
    record: Record

    @property
    def marks(self) -> Mapping[str, str]:
        """Its ``other_config``."""
        return marks(self.record)

    @property
    def uuid(self) -> str:
        return str(self.record.get("uuid", ""))

    @property
    def name(self) -> str:
        return str(self.record.get("name_label", ""))


def marks(record: Record) -> Mapping[str, str]:
    """``other_config`` of a record."""
    found = record.get("other_config")
    return found if isinstance(found, dict) else {}


def task_label(key: Key) -> str:
    """Name of every task of a deployment or capture."""
    return f"Kensho transfer {key}"


def described(key: Key, text: str) -> str:
    """Description of a VM_appliance that is being built: the key, and below it its own."""
    return f"{key}\n{text}"


def _described_by(record: Record, key: Key) -> bool:
    return str(record.get("name_description", "")).startswith(described(key, ""))


def snapshot_label(key: Key, uuid: str) -> str:
    """Name of the snapshot of one machine: found by it before its ``other_config`` can be set."""
    return f"{key} {uuid}"


@dataclass(slots=True)
class Made:
    """All that carries one key."""

    key: Key
    machines: dict[MachineId, Object] = field(default_factory=dict)
    disks: dict[DiskId, Object] = field(default_factory=dict)
    environments: dict[MachineId, Object] = field(default_factory=dict)
    appliance: Object | None = None
    # What should not be there: a second object for the same thing, after an answer was lost.
    doubles: list[tuple[str, Object]] = field(default_factory=list)

    @property
    def committed(self) -> bool:
        """Whether the deployment stands: the mark on one machine decides for all."""
        return any(COMMITTED in each.marks for each in self.machines.values())

    @property
    def objects(self) -> list[tuple[str, Object]]:
        """Class and object of everything, machines first."""
        found = [("VM", each) for each in self.machines.values()]
        found += [("VDI", each) for each in self.disks.values()]
        found += [("VDI", each) for each in self.environments.values()]
        found += [("VM_appliance", self.appliance)] if self.appliance else []
        return found + self.doubles


def find(api: Api, key: Key) -> Made:
    """What carries the key, as the server has it now."""
    made = Made(key)
    for ref, record in api.records("VM").items():
        found = Object(ref, record)
        if found.marks.get(KEY) != key or record.get("is_a_snapshot"):
            continue
        if found.marks.get(COMMITTED, found.uuid) != found.uuid:
            continue  # someone's copy of a machine that was moved here
        _keep(made, made.machines, MachineId(found.marks.get(MACHINE, "")), "VM", found)
    for ref, record in api.records("VDI").items():
        found = Object(ref, record)
        if found.marks.get(KEY) != key or record.get("is_a_snapshot"):
            continue
        if ENVIRONMENT in found.marks:
            machine = MachineId(found.marks[ENVIRONMENT])
            _keep(made, made.environments, machine, "VDI", found)
        else:
            _keep(made, made.disks, DiskId(found.marks.get(DISK, "")), "VDI", found)
    owners = {str(each.record.get("appliance", NULL)) for each in made.machines.values()}
    for ref, record in api.records("VM_appliance").items():
        if ref in owners or _described_by(record, key):
            if made.appliance is None or ref in owners:
                if made.appliance is not None:
                    made.doubles.append(("VM_appliance", made.appliance))
                made.appliance = Object(ref, record)
            else:
                made.doubles.append(("VM_appliance", Object(ref, record)))
    return made


def _keep(made: Made, place: dict[N, Object], name: N, kind: str, found: Object) -> None:
    """File the object; of two for the same thing the committed one, else the first, is kept."""
    other = place.get(name)
    if other is None:
        place[name] = found
    elif COMMITTED in found.marks and COMMITTED not in other.marks:
        place[name] = found
        made.doubles.append((kind, other))
    elif COMMITTED not in found.marks:
        made.doubles.append((kind, found))


def put(api: Api, kind: str, ref: str, name: str, value: str) -> None:
    """Set one entry of an object's ``other_config``."""
    api.call(f"{kind}.remove_from_other_config", ref, name)
    api.call(f"{kind}.add_to_other_config", ref, name, value)


def drop(api: Api, kind: str, ref: str, name: str) -> None:
    """Remove one entry of an object's ``other_config``; absent is fine."""
    api.call(f"{kind}.remove_from_other_config", ref, name)
