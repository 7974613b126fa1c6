"""The log of a VHDX: what was promised to its tables and may not have reached them.

Specification: [MS-VHDX] 2.3. A file is never changed here: it is read as if the log had been replayed.
"""

import struct
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TypeAlias

from kensho_tui.disks.image import ExtentMap, ImageError, InputStream, WritableBuffer
from kensho_tui.disks.vhdx_structs import (
    KIB,
    LARGEST_FILE,
    MIB,
    TABLES_AT,
    Fetch,
    Header,
    crc32c,
    damaged,
    log_region,
)

_SECTOR = 4 * KIB
_ENTRY = struct.Struct("<4sIIIQII16sQQ")
_DESCRIPTOR = struct.Struct("<4sIQQQ")
_DATA = struct.Struct("<4sI")
_LOW = struct.Struct("<I")
_CHUNK = MIB
# Hyper-V's log has 1 MiB, which holds 252 of the updates that take a sector.
_MOST_BYTES = 64 * MIB
_MOST_UPDATES = 1 << 16
# Sound entries lie beside each other; stale ones of a lap or two may stick out from under newer ones.
_LAPS = 16

_REMEDY = "Open and close the disk where it was made: its log is then written back"


@dataclass(frozen=True, slots=True)
class Entry:
    """A log entry that is valid by itself (2.3.1); offsets count from the start of the log.

    Attributes:
        offset, length: where it lies; it may go on at the start of the log.
        tail: where the sequence begins that it ends.
        sequence: its number.
        updates: how many descriptors it has.
        flushed: bytes the file has at least, unless it was cut off.
        last: bytes that everything in the file fits into.
    """

    offset: int
    length: int
    tail: int
    sequence: int
    updates: int
    flushed: int
    last: int

    @property
    def front(self) -> int:
        """Bytes of its descriptors, whole sectors."""
        return -(-(_ENTRY.size + self.updates * _DESCRIPTOR.size) // _SECTOR) * _SECTOR


# An update as its descriptor says it: signature, trailing, leading or length, file offset, sequence.
_Update: TypeAlias = tuple[bytes, int, int, int, int]


class Log:
    """The ring of entries.

    Args:
        fetch: reads the file as it is.
        header: the current one.

    Raises: ImageError: the log is larger than any there is.
    """

    def __init__(self, fetch: Fetch, header: Header) -> None:
        region = log_region(header)
        if region.length > _MOST_BYTES:
            raise ImageError(
                f"the VHDX has a log of {region.length} bytes to replay", remedy=_REMEDY
            )
        self._fetch = fetch
        self._guid = header.log.bytes_le
        self.offset = region.offset
        self.length = region.length
        self._known: dict[int, Entry | None] = {}
        self._left = _LAPS * self.length

    def read(self, at: int, count: int) -> bytearray:
        """Bytes of the ring."""
        data = bytearray(count)
        first = min(count, self.length - at)
        self._fetch(self.offset + at, memoryview(data)[:first], "the log")
        if first < count:
            self._fetch(self.offset, memoryview(data)[first:], "the log")
        return data

    def active(self) -> list[Entry]:
        """The newest valid sequence, its tail first (2.3.3).

        Raises: ImageError: there is none, or the file is shorter than it was then.
        """
        newest: list[Entry] = []
        stale: set[int] = set()
        at = 0
        while at < self.length:
            sequence = [] if at in stale else self._sequence(at)
            tail = next((each for each in sequence if each.offset == sequence[-1].tail), None)
            if tail is None:
                # What begins inside an invalid sequence ends with the same entry, and is no better.
                stale.update(each.offset for each in sequence)
                at += _SECTOR
                continue
            if not newest or sequence[-1].sequence > newest[-1].sequence:
                # What stands before the tail has reached its place long ago.
                newest = [each for each in sequence if each.sequence >= tail.sequence]
            at += sum(each.length for each in sequence)
        if not newest:
            # QEMU leaves such a file when it dies before its first entry, and takes it for a closed one.
            raise ImageError(
                "the VHDX was not closed, and its log holds nothing that is whole",
                remedy="Open and close the disk where it was made (QEMU: qemu-img check -r all);"
                " if that fails, the file is damaged: get it again",
            )
        return newest

    def _sequence(self, at: int) -> list[Entry]:
        """Entries from there on that were written one after the other."""
        found: list[Entry] = []
        while (entry := self._entry(at)) is not None:
            if found and entry.sequence != found[-1].sequence + 1:
                break
            found.append(entry)
            self._spend(_SECTOR)
            at = (at + entry.length) % self.length
        return found

    def _spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise damaged("the entries of the VHDX's log lie over each other")

    def _entry(self, at: int) -> Entry | None:
        if at not in self._known:
            self._known[at] = self._validated(at)
        return self._known[at]

    def _validated(self, at: int) -> Entry | None:
        """The entry there; None where anything of it does not hold: torn, stale, or none at all."""
        head = self.read(at, _ENTRY.size)
        signature, total, length, tail, sequence, updates, reserved, guid, flushed, last = (
            _ENTRY.unpack(head)
        )
        if signature != b"loge" or guid != self._guid or not sequence or reserved:
            return None
        entry = Entry(at, length, tail, sequence, updates, flushed, last)
        if length % _SECTOR or not entry.front <= length <= self.length:
            return None
        if tail % _SECTOR or tail >= self.length or flushed % MIB or last % MIB:
            return None
        self._spend(length)
        return entry if self._holds(entry, total) else None

    def _holds(self, entry: Entry, total: int) -> bool:
        """Whether descriptors and data belong to the entry and its checksum is right."""
        data = 0
        for signature, trailing, number, place, sequence in self.updates(entry):
            data += signature == b"desc"
            zero = signature == b"zero" and not trailing and not number % _SECTOR
            if not (zero or signature == b"desc") or place % _SECTOR or sequence != entry.sequence:
                return False
        end = entry.front + data * _SECTOR
        if end > entry.length:
            return False
        words = (b"data", entry.sequence >> 32), (entry.sequence & 0xFFFFFFFF,)
        found = 0
        for done in range(0, entry.length, _CHUNK):
            chunk = self.read((entry.offset + done) % self.length, min(_CHUNK, entry.length - done))
            for at in range(max(0, entry.front - done), min(len(chunk), end - done), _SECTOR):
                if (
                    _DATA.unpack_from(chunk, at) != words[0]
                    or _LOW.unpack_from(chunk, at + _SECTOR - _LOW.size) != words[1]
                ):
                    return False
            if not done:
                chunk[4:8] = bytes(4)
            found = crc32c(chunk, found)
        return found == total

    def updates(self, entry: Entry) -> Iterator[_Update]:
        """The entry's descriptors. Raises: ImageError: more than any log has."""
        if entry.updates > _MOST_UPDATES:
            raise ImageError(
                f"the VHDX's log has an entry of {entry.updates} updates", remedy=_REMEDY
            )
        front = self.read(entry.offset, _ENTRY.size + entry.updates * _DESCRIPTOR.size)
        yield from _DESCRIPTOR.iter_unpack(memoryview(front)[_ENTRY.size :])


@dataclass(frozen=True, slots=True)
class _Sector:
    """Where the new content of a sector of the file is: in the log, but for twelve bytes of it."""

    log: int
    leading: bytes
    trailing: bytes


class Replayed:
    """A VHDX as an `InputStream` that shows it as it is once its log is replayed (2.3.3).

    Nothing of it is kept in memory but where each sector is.

    Args:
        stream: the file, of known length.
        header: the current one.

    Raises: ImageError: the log cannot be replayed.
    """

    def __init__(self, stream: InputStream, fetch: Fetch, header: Header) -> None:
        self._stream = stream
        self._log = Log(fetch, header)
        self._file = stream.length or 0
        entries = self._log.active()
        if self._file < entries[-1].flushed:
            raise ImageError(
                f"the VHDX has {self._file} bytes, and had {entries[-1].flushed} when it was written",
                remedy="The file is truncated: get it again",
            )
        self._sectors, zeros = self._changes(entries)
        self._zeros = ExtentMap((start, end - start) for start, end, _ in zeros)
        self._places = sorted(self._sectors)
        ends = [self._places[-1] + _SECTOR] if self._places else []
        self._length = max(self._file, entries[-1].last, self._zeros.end, *ends)
        if self._length > LARGEST_FILE:
            raise damaged(f"the VHDX's log asks for a file of {self._length} bytes")

    def _changes(
        self, entries: Sequence[Entry]
    ) -> tuple[dict[int, _Sector], list[tuple[int, int, int]]]:
        """What the entries write, the last word of each sector; zeros as start, end and order."""
        sectors: dict[int, tuple[int, _Sector]] = {}
        zeros: list[tuple[int, int, int]] = []
        order = 0
        for entry in entries:
            data = entry.offset + entry.front
            for signature, trailing, number, place, _ in self._log.updates(entry):
                order += 1
                self._check(place, _SECTOR if signature == b"desc" else number, order)
                if signature == b"zero":
                    zeros.append((place, place + number, order))
                    continue
                leading = number.to_bytes(8, "little")
                at = data % self._log.length
                sectors[place] = (order, _Sector(at, leading, trailing.to_bytes(4, "little")))
                data += _SECTOR
        return dict(_lasting(sectors, zeros)), zeros

    def _check(self, place: int, length: int, order: int) -> None:
        log, end = self._log.offset, place + length
        if order > _MOST_UPDATES:
            raise ImageError(
                f"the VHDX's log holds more than {_MOST_UPDATES} updates", remedy=_REMEDY
            )
        if place < TABLES_AT[0] or end > LARGEST_FILE:
            raise damaged(f"the VHDX's log writes where it must not (byte {place})")
        if place < log + self._log.length and end > log:
            raise damaged("the VHDX's log writes over itself")

    @property
    def length(self) -> int:
        """Bytes of the file, or what it was about to grow to."""
        return self._length

    @property
    def allocated(self) -> ExtentMap | None:
        """As the file's holes tell, and what the log would fill."""
        found = self._stream.allocated
        if found is None:
            return None
        return ExtentMap([*found, *((place, _SECTOR) for place in self._places)])

    def readinto(self, buffer: WritableBuffer, /) -> int:
        """Not there: what the log changes lies anywhere."""
        raise NotImplementedError

    def pread(self, offset: int, buffer: WritableBuffer, /) -> int:
        """Read at the offset; short only at the end. Thread-safe."""
        view = memoryview(buffer)[: max(0, self._length - offset)]
        done = self._stream.pread(offset, view[: max(0, self._file - offset)])
        end = offset + len(view)
        view[done:] = bytes(len(view) - done)
        for start, count in self._zeros.within(offset, len(view)):
            view[start - offset : start - offset + count] = bytes(count)
        first = bisect_left(self._places, offset - _SECTOR + 1)
        for place in self._places[first : bisect_left(self._places, end)]:
            low, high = max(place, offset), min(place + _SECTOR, end)
            view[low - offset : high - offset] = self._sector(place)[low - place : high - place]
        return len(view)

    def _sector(self, place: int) -> bytes:
        sector = self._sectors[place]
        data = self._log.read(sector.log, _SECTOR)
        return sector.leading + bytes(data[8 : _SECTOR - 4]) + sector.trailing

    def close(self) -> None:
        """Give up; from any thread."""
        self._stream.close()


def _lasting(
    sectors: dict[int, tuple[int, _Sector]], zeros: list[tuple[int, int, int]]
) -> Iterator[tuple[int, _Sector]]:
    """The sectors that are not zeroed after they were written, ascending."""
    waiting = sorted(zeros, reverse=True)
    under: list[tuple[int, int]] = []  # zeroed ranges that began: latest first, with their ends
    for place in sorted(sectors):
        order, sector = sectors[place]
        while waiting and waiting[-1][0] <= place:
            _, end, when = waiting.pop()
            heappush(under, (-when, end))
        while under and under[0][1] <= place:
            heappop(under)
        if not under or -under[0][0] < order:
            yield place, sector
