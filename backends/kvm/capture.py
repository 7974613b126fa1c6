"""Machines that are off, as they stand; their disks are read in place."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from backends.base import (
    Access,
    ChangeId,
    Consistency,
    ExtentMap,
    Format,
    Json,
    Key,
    Leftover,
    Offer,
    Power,
    Reader,
    Ref,
    RefusedError,
    TransferError,
    UnsupportedError,
    WritableBuffer,
)
from backends.kvm import describe
from backends.kvm.link import Link
from backends.kvm.upload import read
from kensho_tui.cancel import Cancel, CancelledError
from kensho_tui.machine import Appliance, DiskId

_FORMATS = {"raw": Format.RAW, "qcow2": Format.QCOW2}


class KvmCapture:
    """`Capture` of machines that are off: nothing is made, nothing is held."""

    def __init__(self, link: Link, key: Key, reading: describe.Reading) -> None:
        self._link = link
        self._key = key
        self._appliance = reading.appliance
        self._places = reading.places
        self._identity = reading.described.identity

    @property
    def token(self) -> Json:
        """The key."""
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
        """The file of the disk, by offset. Raises: RefusedError: it cannot be read, and why."""
        place = self._place(disk)
        return (Offer(_FORMATS[place.format], Access.SEEK),)

    def open(self, disk: DiskId, offer: Offer, since: ChangeId | None = None) -> Reader:
        """Read the disk. Raises: UnsupportedError: ``since``, or an offer that was not made."""
        if since is not None:
            raise UnsupportedError("changes are not tracked here", subject=disk)
        if offer not in self.offers(disk):
            raise UnsupportedError(f"no such way to read ({offer.format})", subject=disk)
        return Download(self._link, self._place(disk), self._identity, disk)

    def release(self) -> list[Leftover]:
        """Nothing was made."""
        return []

    def _place(self, disk: DiskId) -> describe.Place:
        if disk not in self._places:
            raise RefusedError("this disk is not part of the capture", subject=disk)
        place = self._places[disk]
        if place is None:
            raise RefusedError(
                "the disk lies in no storage pool, so that libvirt does not hand it out",
                subject=disk,
                remedy="Define its folder as a storage pool ('virsh pool-define-as')",
            )
        if place.format not in _FORMATS:
            raise RefusedError(
                f"disks of format '{place.format}' are not read here",
                subject=disk,
                remedy="Convert it on the host with qemu-img",
            )
        if place.chained:
            raise RefusedError(
                "the disk is a difference to another file, and such are not read yet",
                subject=disk,
                remedy="Bring the machine's snapshots together first ('virsh blockpull')",
            )
        return place


class Download:
    """A `Reader` of one volume, by offset. Thread-safe."""

    allocated: ExtentMap | None = None

    def __init__(self, link: Link, place: describe.Place, identity: str, subject: str) -> None:
        self._link = link
        self._place = place
        self._subject = subject
        self._identity = identity
        self._closed = Cancel()
        self._forward = 0
        self._lock = threading.Lock()
        self._length = place.file

    def _size(self, conn: Any) -> int:
        pool = conn.storagePoolLookupByUUIDString(self._place.pool)
        volume = pool.storageVolLookupByName(self._place.volume)
        # VIR_STORAGE_VOL_GET_PHYSICAL: of the file, not what it takes on the disk below.
        return int(volume.infoFlags(1)[2])

    @property
    def length(self) -> int | None:
        """Bytes of the file."""
        return self._length

    @property
    def identity(self) -> str:
        """Of what was described."""
        return f"{self._identity}:{self._length}"

    def readinto(self, buffer: WritableBuffer, /) -> int:
        """Read forward."""
        with self._lock:
            count = self.pread(self._forward, buffer)
            self._forward += count
            return count

    def pread(self, offset: int, buffer: WritableBuffer, /) -> int:
        """Read at the offset."""
        wanted = max(0, min(len(buffer), self._length - offset))
        if not wanted:
            return 0
        place, view = self._place, memoryview(buffer)[:wanted]
        count = read(
            self._link, place.pool, place.volume, offset, view, self._closed, self._subject
        )
        if count < wanted:
            raise TransferError(
                f"the disk's file ended {wanted - count} bytes early", subject=self._subject
            )
        return count

    def verify(self) -> None:
        """Every part was the server's answer to a question of its own. Is the file as long as before?"""
        if self._closed.cancelled:
            raise CancelledError
        if self._link.call(self._size, self._subject) != self._length:
            raise TransferError(
                "the disk's file changed while it was read",
                subject=self._subject,
                remedy="See that nobody starts the machine, and read it again",
            )

    def close(self) -> None:
        """Give up or be done."""
        self._closed.cancel()


def capture(link: Link, refs: Sequence[Ref], how: Consistency, key: Key) -> KvmCapture:
    """`Session.capture`. Raises: RefusedError: one runs."""
    if how is not Consistency.OFF:
        raise UnsupportedError(
            "machines that run are not captured here yet", remedy="Shut them down first"
        )
    reading = describe.read(link, refs)
    for name, state in reading.states.items():
        if state in {Power.ON, Power.PAUSED}:
            raise RefusedError(
                "the machine is running; its disks change while they are read",
                subject=name,
                remedy="Shut it down",
            )
    return KvmCapture(link, key, reading)
