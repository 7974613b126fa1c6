"""Taking the CDs with OVF environments back, from machines that run as from machines that do not."""

from backends.base import BackendError, Key, Leftover
from backends.xenserver import marks, removal
from backends.xenserver.api import Api
from backends.xenserver.lookup import references


def withdraw(api: Api, key: Key) -> list[Leftover]:
    """Eject and destroy the CDs that carry the key, committed or not: `Session.withdraw`."""
    left: list[Leftover] = []
    with api.cleaning():
        made = marks.find(api, key)
        doubles = [each for _, each in made.doubles if marks.ENVIRONMENT in each.marks]
        for found in (*made.environments.values(), *doubles):
            left += _withdraw(api, found)
    return left


def _withdraw(api: Api, found: marks.Object) -> list[Leftover]:
    try:
        for drive in references(found.record.get("VBDs")):
            _empty(api, drive, found)
    except BackendError as error:
        return [removal.leftover("VDI", found, error.what)]
    return removal.remove(api, "VDI", found)


def _empty(api: Api, drive: str, found: marks.Object) -> None:
    """Empty the drive, and take it away where it was made for this CD and nothing runs on it."""
    record = api.record_or_none("VBD", drive)
    if record is None:
        return
    made_for_it = marks.BORROWED not in found.marks
    if made_for_it and not record.get("currently_attached"):
        removal.patiently(api, lambda: api.long("VBD.destroy", drive))
        return
    if made_for_it:
        # It outlives its CD, because no drive can be taken from a machine that runs: an export of
        # the machine has to know that it is none of the machine's own.
        marks.put(api, "VBD", drive, marks.ENVIRONMENT, found.marks[marks.ENVIRONMENT])
    if not record.get("empty"):
        removal.patiently(api, lambda: api.long("VBD.eject", drive, subject=found.name))
