"""Disks in memory: sparse ones to read, and places to write to, that keep count."""

import errno
import re
import threading
from collections.abc import Callable, Sequence

from kensho_tui.disks.copy import Transferred, transfer
from kensho_tui.disks.formats import open_source
from kensho_tui.disks.image import (
    PIECE,
    Access,
    Buffer,
    ExtentMap,
    Format,
    Need,
    Offer,
    Source,
    WritableBuffer,
)

VMDK_FORWARD = Offer(Format.VMDK_STREAM, Access.FORWARD)
VMDK_SEEK = Offer(Format.VMDK_STREAM, Access.SEEK)
VHD_FORWARD = Offer(Format.VHD, Access.FORWARD, frozenset({Need.LENGTH, Need.ALLOCATION}))
VHD_SEEK = Offer(Format.VHD, Access.SEEK)
QCOW2_SEEK = Offer(Format.QCOW2, Access.SEEK)
QCOW2_FORWARD = Offer(Format.QCOW2, Access.FORWARD, frozenset({Need.LENGTH, Need.ALLOCATION}))
QCOW2_PLANNED = Offer(Format.QCOW2, Access.SEEK, frozenset({Need.LENGTH, Need.ALLOCATION}))
QCOW2_COMPRESSED = Offer(Format.QCOW2, Access.SEEK, compressed=True)
VHDX_FORWARD = Offer(Format.VHDX, Access.FORWARD, frozenset({Need.LENGTH, Need.ALLOCATION}))
VHD_FIXED = Offer(Format.VHD_FIXED, Access.EXTENTS)
VHDX_FIXED = Offer(Format.VHDX_FIXED, Access.EXTENTS)
VMDK_SPARSE = Offer(Format.VMDK_SPARSE, Access.SEEK)
VHDX_SEEK = Offer(Format.VHDX, Access.SEEK)
RAW_EXTENTS = Offer(Format.RAW, Access.EXTENTS)
RAW_SEEK = Offer(Format.RAW, Access.SEEK)
RAW_FORWARD = Offer(Format.RAW, Access.FORWARD, frozenset({Need.LENGTH}))

Extents = Sequence[tuple[int, bytes]]


class SparseDisk:
    """A raw disk of any size that holds some extents; an `InputStream` of every access."""

    def __init__(self, capacity: int, extents: Extents = (), *, mapped: bool = True) -> None:
        self.length: int | None = capacity
        self.allocated = ExtentMap((o, len(d)) for o, d in extents) if mapped else None
        self._capacity = capacity
        self._extents = sorted(extents)
        self._at = 0
        self.closed = False

    def pread(self, offset: int, buffer: WritableBuffer, /) -> int:
        view = memoryview(buffer)[: max(0, self._capacity - offset)]
        view[:] = bytes(len(view))
        for start, data in self._extents:
            low, high = max(start, offset), min(start + len(data), offset + len(view))
            if low < high:
                view[low - offset : high - offset] = data[low - start : high - start]
        return len(view)

    def readinto(self, buffer: WritableBuffer, /) -> int:
        count = self.pread(self._at, buffer)
        self._at += count
        return count

    def close(self) -> None:
        self.closed = True


class Memory(SparseDisk):
    """Bytes as an `InputStream`. ``told`` False: it does not tell its length."""

    def __init__(self, data: Buffer, *, told: bool = True) -> None:
        super().__init__(len(data), [(0, bytes(data))], mapped=False)
        if not told:
            self.length = None


class Trickle(Memory):
    """A stream that never gives more than some bytes at once, as sockets do."""

    def __init__(self, data: Buffer, most: int = 1000) -> None:
        super().__init__(data, told=False)
        self._most = most

    def readinto(self, buffer: WritableBuffer, /) -> int:
        return super().readinto(memoryview(buffer)[: self._most])

    def pread(self, offset: int, buffer: WritableBuffer, /) -> int:
        if len(buffer) > self._most:
            raise AssertionError("read at an offset, but this stream goes forward only")
        return super().pread(offset, buffer)


class Kept:
    """Where a disk is written to; keeps what came as extents, refuses what its access does not allow.

    ``room``: bytes it takes before it is full.
    """

    def __init__(self, offer: Offer, length: int | None = None, room: int | None = None) -> None:
        self.offer = offer
        self.promised = length
        self.extents: list[tuple[int, bytes]] = []
        self.at = 0
        self.room = room
        self.finished = False
        self.closed = 0
        self.log: list[str] = []

    def write(self, data: Buffer, /) -> None:
        assert self.offer.access is Access.FORWARD
        self._take(self.at, data)
        self.at += len(data)

    def pwrite(self, offset: int, data: Buffer, /) -> None:
        assert self.offer.access is not Access.FORWARD
        self._take(offset, data)
        self.at = max(self.at, offset + len(data))

    def _take(self, offset: int, data: Buffer) -> None:
        assert not self.closed
        if self.room is not None:
            self.room -= len(data)
            if self.room < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
        self.extents.append((offset, bytes(data)))

    def finish(self) -> None:
        self.log.append("finish")
        self.finished = True
        if self.promised is not None and self.offer.access is not Access.EXTENTS:
            assert self.at == self.promised

    def close(self) -> None:
        self.closed += 1

    @property
    def bytes(self) -> bytes:
        """All of it as one file; what was never written of a sparse one reads as zeros."""
        sparse = self.offer.access is Access.EXTENTS and self.promised is not None
        whole = bytearray(max(self.at, self.promised or 0) if sparse else self.at)
        for offset, data in self.extents:
            whole[offset : offset + len(data)] = data
        return bytes(whole)


class Gate:
    """A stream that stands still from a certain byte on, until it is closed."""

    def __init__(self, base: SparseDisk, passes: int) -> None:
        self._base = base
        self._passes = passes
        self.length = base.length
        self.allocated = base.allocated
        self.waiting = threading.Event()
        self._closed = threading.Event()

    def _stand(self) -> None:
        self.waiting.set()
        self._closed.wait()
        raise OSError(errno.ECONNABORTED, "closed")

    def pread(self, offset: int, buffer: WritableBuffer, /) -> int:
        if offset + len(buffer) > self._passes:
            self._stand()
        return self._base.pread(offset, buffer)

    def readinto(self, buffer: WritableBuffer, /) -> int:
        count = self._base.readinto(buffer)
        self._passes -= count
        if self._passes < 0:
            self._stand()
        return count

    def close(self) -> None:
        self._closed.set()


_CHUNK = 1 << 16
_DATA = re.compile(rb"[^\0]+(?:\0{1,63}[^\0]+)*")


def visible(parts: Extents) -> list[tuple[int, bytes]]:
    """What a guest sees, as runs that begin and end with a byte that is not zero; one form per disk."""
    found: list[tuple[int, bytearray]] = []
    for offset, run in (
        (offset + at, run)
        for offset, data in parts
        for at in range(0, len(data), _CHUNK)
        if data[at : at + _CHUNK].strip(b"\0")  # most of a disk is empty, and patterns are slow
        for run in _DATA.finditer(data[at : at + _CHUNK])
    ):
        start = offset + run.start()
        if found and start - (found[-1][0] + len(found[-1][1])) < 64:
            last = found[-1][1]
            last += bytes(start - found[-1][0] - len(last)) + run[0]
        else:
            found.append((start, bytearray(run[0])))
    return [(offset, bytes(data)) for offset, data in found]


def seen(stream: SparseDisk, offer: Offer) -> tuple[int, list[tuple[int, bytes]]]:
    """Capacity and guest-visible content of an image."""
    source = open_source(stream, offer)
    return source.capacity, visible(content(source))


def content(source: Source) -> list[tuple[int, bytes]]:
    """All parts of a disk; its pieces are checked to keep their promises."""
    parts: list[tuple[int, bytes]] = []
    end = 0
    for piece in source.pieces():
        assert end <= piece.offset < piece.end <= source.capacity
        assert piece.offset // PIECE == (piece.end - 1) // PIECE
        assert not end or piece.offset // PIECE > (end - 1) // PIECE
        for offset, data in piece.load():
            assert piece.offset <= offset
            assert offset + len(data) <= piece.end
            parts.append((offset, bytes(data)))
        end = piece.end
    return parts


def convert(
    stream: SparseDisk,
    offer: Offer,
    target: Offer,
    *,
    capacity: int | None = None,
    increment: int = 512,
    change: Callable[[Kept], None] | None = None,
) -> tuple[Kept, Transferred]:
    """One transfer into memory."""
    kept: list[Kept] = []

    def open_writer(chosen: Offer, length: int | None, allocation: ExtentMap | None) -> Kept:
        kept.append(Kept(chosen, length))
        if change is not None:
            change(kept[0])
        return kept[0]

    done = transfer(
        stream,
        offer,
        targets=[target],
        open_writer=open_writer,
        capacity=capacity,
        increment=increment,
        threads=2,
    )
    return kept[0], done


def vmdk(capacity: int, extents: Extents) -> bytes:
    """A streamOptimized VMDK of ours."""
    return convert(SparseDisk(capacity, extents), RAW_EXTENTS, VMDK_FORWARD)[0].bytes


def vhd(capacity: int, extents: Extents) -> bytes:
    """A dynamic VHD of ours."""
    return convert(SparseDisk(capacity, extents), RAW_EXTENTS, VHD_FORWARD)[0].bytes


def vmdk_sparse(capacity: int, extents: Extents) -> bytes:
    """A monolithicSparse VMDK of ours."""
    return convert(SparseDisk(capacity, extents), RAW_EXTENTS, VMDK_SPARSE)[0].bytes


def vhd_fixed(capacity: int, extents: Extents) -> bytes:
    """A fixed VHD of ours."""
    return convert(SparseDisk(capacity, extents), RAW_EXTENTS, VHD_FIXED)[0].bytes


def vhdx(capacity: int, extents: Extents) -> bytes:
    """A dynamic VHDX of ours."""
    return convert(SparseDisk(capacity, extents), RAW_EXTENTS, VHDX_FORWARD)[0].bytes


def vhdx_fixed(capacity: int, extents: Extents) -> bytes:
    """A fixed VHDX of ours."""
    return convert(SparseDisk(capacity, extents), RAW_EXTENTS, VHDX_FIXED)[0].bytes


def qcow2(capacity: int, extents: Extents) -> bytes:
    """A QCOW2 of ours."""
    return convert(SparseDisk(capacity, extents), RAW_EXTENTS, QCOW2_FORWARD)[0].bytes


def qcow2_compressed(capacity: int, extents: Extents) -> bytes:
    """A compressed QCOW2 of ours."""
    return convert(SparseDisk(capacity, extents), RAW_EXTENTS, QCOW2_COMPRESSED)[0].bytes
