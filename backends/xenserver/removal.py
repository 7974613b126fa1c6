"""Removing what a key made: after an error, a cancellation or a crash. Never what was committed."""

from collections.abc import Callable

from backends.base import BackendError, Key, Kind, Leftover, NotFoundError, Ref
from backends.xenserver import marks
from backends.xenserver.api import NULL, Api, Record
from backends.xenserver.lookup import references

# A disk stays in use for some seconds after its transfer was cut: the server has to notice first.
_FIRST_WAIT_S = 0.25
_LONGEST_WAIT_S = 4.0
_GIVE_UP_S = 60.0

_KINDS = {"VM": Kind.MACHINE, "VDI": Kind.STORAGE, "VM_appliance": Kind.APPLIANCE}
_ACTIONS = {
    "VM": "xe vm-destroy uuid={uuid}",
    "VDI": "xe vdi-destroy uuid={uuid}",
    "VM_appliance": "xe appliance-destroy uuid={uuid}",
}


def patiently(api: Api, do: Callable[[], object]) -> None:
    """Do it, again and again with growing pauses while the server says it is busy, for a minute.

    Raises: what the last attempt raised. What is gone already counts as done.
    """
    pause, waited = _FIRST_WAIT_S, 0.0
    while True:
        try:
            do()
        except NotFoundError:
            return
        except BackendError as error:
            if not error.retryable or waited >= _GIVE_UP_S:
                raise
        else:
            return
        api.wait(pause)
        waited += pause
        pause = min(pause * 2, _LONGEST_WAIT_S)


def remove(api: Api, kind: str, found: marks.Object) -> list[Leftover]:
    """Destroy one VM, VDI or VM_appliance; what could not be removed, with what to do by hand."""
    try:
        patiently(api, lambda: api.long(f"{kind}.destroy", found.ref, subject=found.name))
    except BackendError as error:
        return [leftover(kind, found, error.what)]
    return []


def leftover(kind: str, found: marks.Object, reason: str) -> Leftover:
    """One VM, VDI or VM_appliance that stays, and what removes it by hand."""
    action = _ACTIONS[kind].format(uuid=found.uuid)
    return Leftover(Ref(_KINDS[kind], found.uuid, found.name), reason, action)


def detach(api: Api, vdi: str) -> list[Record]:
    """Take a disk out of its machines' drives; the records of the drives, to make them again."""
    records = []
    for vbd in references(api.call("VDI.get_VBDs", vdi)):
        records.append(api.record("VBD", vbd))
        patiently(api, lambda vbd=vbd: api.long("VBD.destroy", vbd))  # type: ignore[misc]
    return records


def sweep(api: Api, key: Key) -> list[Leftover]:
    """Remove all that carries the key and is not committed: `Session.sweep`.

    Where a crash interrupted a commit that had been decided, the commit is completed instead.
    """
    with api.cleaning():
        _tasks(api, key)
        made = marks.find(api, key)
        if made.committed:
            complete(api, made)
            doubles = [each for each in made.doubles if marks.COMMITTED not in each[1].marks]
            left = [item for kind, found in doubles for item in remove(api, kind, found)]
        else:
            left = [item for kind, found in made.objects for item in remove(api, kind, found)]
        return left + captures(api, key)


def complete(api: Api, made: marks.Made) -> None:
    """Mark and unhide everything of a deployment whose commit was decided. Repeatable."""
    for found in made.machines.values():
        # The first of these marks is the decision: from here on nothing is undone.
        if marks.COMMITTED not in found.marks:
            marks.put(api, "VM", found.ref, marks.COMMITTED, found.uuid)
    for found in (*made.disks.values(), *made.environments.values()):
        if marks.COMMITTED not in found.marks:
            marks.put(api, "VDI", found.ref, marks.COMMITTED, found.uuid)
    if made.appliance is not None:
        text = str(made.appliance.record.get("name_description", ""))
        if text.startswith(marks.described(made.key, "")):
            text = text.removeprefix(marks.described(made.key, ""))
            api.call("VM_appliance.set_name_description", made.appliance.ref, text)
    for found in made.machines.values():
        if marks.HIDDEN in found.marks:
            marks.drop(api, "VM", found.ref, marks.HIDDEN)


def captures(api: Api, key: Key) -> list[Leftover]:
    """Remove the snapshots that a capture of this key made, with their disks."""
    left: list[Leftover] = []
    for found in snapshots(api, key).values():
        left += remove_snapshot(api, found)
    return left


def snapshots(api: Api, key: Key) -> dict[str, marks.Object]:
    """Snapshots of a capture, by the reference of the machine each was taken of."""
    found: dict[str, marks.Object] = {}
    for ref, record in api.records("VM").items():
        snapshot = marks.Object(ref, record)
        named = snapshot.name.startswith(f"{key} ")
        if record.get("is_a_snapshot") and (named or snapshot.marks.get(marks.CAPTURE) == key):
            found[str(record.get("snapshot_of", NULL))] = snapshot
    return found


def remove_snapshot(api: Api, found: marks.Object) -> list[Leftover]:
    """Destroy a snapshot's disks, then the snapshot: ``VM.destroy`` alone would leave the disks."""
    left: list[Leftover] = []
    for vbd in references(found.record.get("VBDs")):
        drive = api.record_or_none("VBD", vbd)
        if drive is None or drive.get("type") != "Disk":
            continue
        disk = api.record_or_none("VDI", str(drive.get("VDI", NULL)))
        # Only what is itself a snapshot: a drive may hold a disk that cannot be snapshotted.
        if disk is not None and disk.get("is_a_snapshot"):
            left += remove(api, "VDI", marks.Object(str(drive["VDI"]), disk))
    return left or remove(api, "VM", found)


def _tasks(api: Api, key: Key) -> None:
    for ref, record in api.records("task").items():
        if record.get("name_label") != marks.task_label(key):
            continue
        try:
            if record.get("status") == "pending":
                api.call("task.cancel", ref)
            api.call("task.destroy", ref)
        except BackendError:
            continue  # a task holds nothing, and the server forgets it by itself
