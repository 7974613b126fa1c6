"""One moment of some machines: as they stand while off, or by one snapshot of each while running."""

import threading
from collections.abc import Mapping, Sequence

from backends.base import (
    Access,
    ChangeId,
    Consistency,
    Format,
    Json,
    Key,
    Leftover,
    Offer,
    Power,
    Reader,
    Ref,
    RefusedError,
    UnsupportedError,
)
from backends.xenserver import describe, marks, removal
from backends.xenserver.api import Api
from backends.xenserver.deployment import VHD_LIMIT
from backends.xenserver.download import Download
from backends.xenserver.inventory import POWER
from backends.xenserver.lookup import number, spoken
from kensho_tui.machine import Appliance, DiskId

_VHD = Offer(Format.VHD, Access.FORWARD)
_RAW = Offer(Format.RAW, Access.FORWARD)


class XenCapture:
    """`Capture` on a XenServer."""

    def __init__(
        self, api: Api, key: Key, appliance: Appliance, vdis: Mapping[DiskId, marks.Object]
    ) -> None:
        """Args: vdis: the disks to be read, those of snapshots where some were taken."""
        self._api = api
        self._key = key
        self._appliance = appliance
        self._vdis = vdis
        self._lock = threading.Lock()
        self._released: list[Leftover] | None = None

    @property
    def token(self) -> Json:
        """The key: snapshots are found by it."""
        return {"key": self._key}

    @property
    def appliance(self) -> Appliance:
        """The machines as of that moment."""
        return self._appliance

    @property
    def changes(self) -> Mapping[DiskId, ChangeId]:
        """Empty: changes are not tracked."""
        return {}

    def offers(self, disk: DiskId) -> Sequence[Offer]:
        """VHD where the disk is not too large for it, because it leaves out what is empty; raw."""
        capacity = number(self._disk(disk).record.get("virtual_size"))
        return (_VHD, _RAW) if capacity <= VHD_LIMIT else (_RAW,)

    def open(self, disk: DiskId, offer: Offer, since: ChangeId | None = None) -> Reader:
        """Read the disk from its first byte.

        Raises: UnsupportedError: ``since``, or an offer that was not made.
        """
        if since is not None:
            raise UnsupportedError("this server's changes are not tracked", subject=disk)
        if offer not in self.offers(disk):
            raise UnsupportedError(f"no such way to read ({offer.format})", subject=disk)
        vdi = self._disk(disk)
        used = vdi.record.get("physical_utilisation", "")
        return Download(
            self._api,
            vdi.ref,
            offer,
            number(vdi.record.get("virtual_size")),
            identity=f"{vdi.uuid}:{used}",
            label=marks.task_label(self._key),
            subject=spoken(self._appliance, disk, vdi.name),
        )

    def release(self) -> list[Leftover]:
        """Remove the snapshots with their disks; what could not be removed is told."""
        with self._lock:
            if self._released is None:
                with self._api.cleaning():
                    self._released = removal.captures(self._api, self._key)
            return self._released

    def _disk(self, disk: DiskId) -> marks.Object:
        try:
            return self._vdis[disk]
        except KeyError:
            raise RefusedError("this disk is not part of the capture", subject=disk) from None


def capture(api: Api, refs: Sequence[Ref], how: Consistency, key: Key) -> XenCapture:
    """`Session.capture`.

    Raises: RefusedError: a machine runs and no snapshot is wanted, or cannot be had.
    """
    sources, group = describe.sources(api, refs)
    if how is Consistency.OFF:
        for source in sources:
            _expect_off(source)
    else:
        sources = _snapshots(api, sources, key)
    reading = describe.read(api, sources)
    return XenCapture(api, key, describe.appliance(reading, group), reading.vdis)


def _expect_off(source: describe.Source) -> None:
    state = POWER.get(str(source.record.get("power_state")), Power.OFF)
    if state in {Power.ON, Power.PAUSED}:
        raise RefusedError(
            "the machine is running; its disks change while they are read",
            subject=str(source.record.get("name_label", "")),
            remedy="Shut it down, or capture it by a snapshot",
        )


def _snapshots(api: Api, sources: Sequence[describe.Source], key: Key) -> list[describe.Source]:
    """One snapshot of each machine, taken now or by an earlier call with the same key."""
    taken = removal.snapshots(api, key)
    fresh: list[marks.Object] = []
    found: list[describe.Source] = []
    try:
        for source in sources:
            name = str(source.record.get("name_label", ""))
            held = taken.get(source.ref)
            if held is None:
                label = marks.snapshot_label(key, str(source.record["uuid"]))
                ref = str(api.long("VM.snapshot", source.ref, label, subject=name))
                fresh.append(marks.Object(ref, api.record("VM", ref, name)))
                marks.put(api, "VM", ref, marks.CAPTURE, key)
                held = fresh[-1]
            found.append(describe.Source(held.ref, held.record, source.record))
    except BaseException:
        with api.cleaning():
            for snapshot in fresh:
                removal.remove_snapshot(api, snapshot)
        raise
    return found
