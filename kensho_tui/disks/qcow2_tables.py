"""Where the clusters of a QCOW2 lie: its L1 and L2 tables, read in strides and checked.

Specification: QEMU's "docs/interop/qcow2.txt", "Cluster mapping" and "Extended L2 Entries".
"""

import heapq
from array import array
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple, NoReturn

from kensho_tui.disks.image import DAMAGED, PIECE, SECTOR, ImageError
from kensho_tui.disks.numbers import numbers
from kensho_tui.disks.qcow2_structs import (
    COMPRESSED,
    ENTRY,
    L1_RESERVED,
    L2_RESERVED,
    PLACE,
    ZERO,
    Fetch,
    Header,
)

_STRIDE = 1 << 13  # L1 entries that are read at once
_SUBCLUSTERS = 32
_ALL = (1 << _SUBCLUSTERS) - 1


class Run(NamedTuple):
    """Guest bytes that follow each other in the file; or one compressed cluster; or zeros.

    Attributes:
        offset, length: of the guest's bytes.
        place: where in the file; 0: they are zeros, which hide what a backing file has there.
        stored: bytes there of a compressed cluster, at most; 0 where it is not compressed.
    """

    offset: int
    length: int
    place: int
    stored: int = 0


class Tables:
    """The active L1 table and what it names.

    Args:
        header: checked. Zeros are told of where there is a backing file that they hide.
        fetch: reads the file.
        length: of the file, in bytes.

    Raises: ImageError: an L2 table lies where none can, or is named twice.
    """

    def __init__(self, header: Header, fetch: Fetch, length: int) -> None:
        self._header = header
        self._fetch = fetch
        self._length = length
        self._reserved = header.reserved()
        # Where the size begins in the entry of a compressed cluster, behind its place.
        self._shift = 62 - (header.cluster_bits - 8)
        if not all(a < b for a, b in pairwise(place for _, place in self._places())):
            self._check_apart()

    def _numbers(self, offset: int, count: int, part: str) -> "array[int]":
        return numbers(self._fetch(offset, count * ENTRY, part), "Q", "big")

    def _strides(self) -> Iterator[tuple[int, "array[int]"]]:
        """The part of the L1 table that the disk needs; whatever stands behind is no part of the disk."""
        for first in range(0, self._header.tables, _STRIDE):
            count = min(_STRIDE, self._header.tables - first)
            found = self._numbers(self._header.l1_offset + first * ENTRY, count, "the L1 table")
            if found.count(0) < count:
                yield first, found

    def _places(self) -> Iterator[tuple[int, int]]:
        """Number and place of each L2 table that is there."""
        cluster = self._header.cluster
        for first, entries in self._strides():
            for number, entry in enumerate(entries, first):
                if not entry & ~(1 << 63):
                    continue
                place = entry & PLACE
                if entry & L1_RESERVED or place % cluster:
                    self._refuse(f"L1 entry {number} is no place of an L2 table ({entry:#x})")
                self._check_place(place, cluster, f"L2 table {number}")
                yield number, place

    def _check_apart(self) -> None:
        """No L2 table is named twice. By sorted strides, because all together could be many."""
        strides = [
            array("Q", sorted(entry & PLACE for entry in entries if entry & PLACE))
            for _, entries in self._strides()
        ]
        for before, after in pairwise(heapq.merge(*strides)):
            if before == after:
                self._refuse(f"the L2 table at byte {before} is named twice")

    def _check_place(self, place: int, size: int, what: str) -> None:
        if place + size > self._length:
            raise ImageError(
                f"the QCOW2's {what} lies outside the file (byte {place})",
                remedy="The file is truncated or damaged: get it again",
            )
        for start, end in self._reserved:
            if place < end and start < place + size:
                self._refuse(f"{what} lies over its header or tables (byte {place})")

    @staticmethod
    def _refuse(what: str) -> NoReturn:
        raise ImageError(f"the QCOW2's {what}", remedy=DAMAGED)

    def windows(self) -> Iterator[list[Run]]:
        """What each window of the disk holds, ascending; of windows that hold something.

        Raises: ImageError: a cluster lies where none can, or there are more than the file can hold.
        """
        held: list[Run] = []
        taken = 0
        for found, size in self._decoded():
            taken += size
            if taken - self._header.cluster > self._length:
                self._refuse("tables name more clusters than the file can hold")
            if held and held[0].offset // PIECE != found[0].offset // PIECE:
                yield held
                held = []
            held += found
        if held:
            yield held

    def _decoded(self) -> Iterator[tuple[list[Run], int]]:
        """Runs of one window, and how many bytes of the file they take at least, if none overlap."""
        header = self._header
        words = header.entry // ENTRY
        step = min(header.entries, PIECE // header.cluster) * words
        for number, place in self._places():
            table = self._numbers(place, header.entries * words, f"L2 table {number}")
            first = number * header.entries
            end = min(header.entries, -(-header.capacity // header.cluster) - first) * words
            for start in range(0, end, step):
                entries = table[start : min(start + step, end)]
                if entries.count(0) == len(entries):
                    continue
                decode = self._extended if header.extended else self._plain
                runs, size = decode(first + start // words, entries)
                if runs:
                    yield runs, size

    def _plain(self, first: int, entries: "array[int]") -> tuple[list[Run], int]:
        cluster = self._header.cluster
        start = entries[0]
        if (
            start & PLACE
            and not start & (COMPRESSED | ZERO)
            and entries == array("Q", range(start, start + len(entries) * cluster, cluster))
        ):  # as most disks are
            run = Run(first * cluster, len(entries) * cluster, self._standard(first, start))
            return self._checked([run]), len(entries) * cluster
        runs = _Runs()
        for number, entry in enumerate(entries, first):
            if entry & COMPRESSED:
                runs.add(self._compressed(number, entry))
            elif entry:
                place = self._standard(number, entry)
                if entry & ZERO:
                    if self._header.version < 3:
                        self._refuse(f"cluster {number} is of zeros, which version 2 does not know")
                    runs.add(Run(number * cluster, cluster, 0))
                elif place:
                    runs.add(Run(number * cluster, cluster, place))
        return self._checked(runs.found), runs.size

    def _extended(self, first: int, entries: "array[int]") -> tuple[list[Run], int]:
        cluster = self._header.cluster
        part = cluster // _SUBCLUSTERS
        runs = _Runs()
        for number, (entry, bits) in enumerate(
            zip(entries[::2], entries[1::2], strict=True), first
        ):
            if entry & COMPRESSED:
                runs.add(self._compressed(number, entry))
                continue
            place = self._standard(number, entry)
            there, zeros = bits & _ALL, bits >> _SUBCLUSTERS
            if entry & ZERO or there & zeros or (there and not place):
                self._refuse(f"cluster {number} contradicts itself ({entry:#x}, {bits:#x})")
            if there == _ALL:
                runs.add(Run(number * cluster, cluster, place))
            for n in range(_SUBCLUSTERS) if there != _ALL else ():
                if (there | zeros) >> n & 1:
                    begin = place + n * part if there >> n & 1 else 0
                    runs.add(Run(number * cluster + n * part, part, begin))
        return self._checked(runs.found), runs.size

    def _standard(self, number: int, entry: int) -> int:
        """The place of a cluster that is not compressed."""
        place = entry & PLACE
        if entry & L2_RESERVED or place % self._header.cluster:
            self._refuse(f"cluster {number} is nowhere that it could be ({entry:#x})")
        return place

    def _compressed(self, number: int, entry: int) -> Run:
        """One compressed cluster; the sectors it may reach into end with the file."""
        place = entry & (1 << self._shift) - 1
        sectors = (entry >> self._shift & (1 << self._header.cluster_bits - 8) - 1) + 1
        size = min(sectors * SECTOR - place % SECTOR, self._length - place)
        cluster = self._header.cluster
        self._check_place(place, max(1, size), f"cluster {number}")
        return Run(number * cluster, cluster, place, size)

    def _checked(self, runs: list[Run]) -> list[Run]:
        """The runs, the last one up to the disk's end, if they lie where there may be clusters."""
        capacity = self._header.capacity
        checked: list[Run] = []
        for run in runs:
            if run.offset + run.length > capacity:
                if run.offset >= capacity:
                    break
                run = run._replace(length=capacity - run.offset)
            if not run.place and self._header.backing is None:
                continue
            if run.place and not run.stored:
                number = run.offset // self._header.cluster
                self._check_place(run.place, run.length, f"cluster {number}")
            checked.append(run)
        return checked


class _Runs:
    """Runs that are put together where both guest and file go on.

    Attributes:
        size: bytes of the file that they take at least. Of a compressed cluster's last sector only the
            first byte is sure to be its own.
    """

    def __init__(self) -> None:
        self.found: list[Run] = []
        self.size = 0

    def add(self, run: Run) -> None:
        """One more, behind the others."""
        self.size += max(1, run.stored - SECTOR + 1) if run.stored else run.place and run.length
        last = self.found[-1] if self.found else None
        if (
            last is not None
            and not run.stored
            and not last.stored
            and run.offset == last.offset + last.length
            and run.place == (last.place and last.place + last.length)
        ):
            self.found[-1] = last._replace(length=last.length + run.length)
        else:
            self.found.append(run)
