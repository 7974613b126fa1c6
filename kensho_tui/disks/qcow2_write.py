"""QCOW2, version 3, written forward: where it is known beforehand which clusters there will be.

Specification: QEMU's "docs/interop/qcow2.txt". Header, reference counts and both levels of tables then come
first, and after them the clusters in the guest's order; the length is known to the byte.
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kensho_tui.disks.append import Appender
from kensho_tui.disks.image import (
    PIECE,
    Encoded,
    ExtentMap,
    Kept,
    Layout,
    OutputStream,
    Part,
    StaleError,
    covered,
    unplanned,
)
from kensho_tui.disks.numbers import stored
from kensho_tui.disks.qcow2_structs import COPIED, ENTRY, Header

CLUSTER_BITS = 16
CLUSTER = 1 << CLUSTER_BITS
ENTRIES = CLUSTER // ENTRY  # of an L2 table
COUNTS = CLUSTER // 2  # of a block of reference counts, 16 bits each


def tables_needed(capacity: int) -> int:
    """L1 entries of a disk; one at least, as QEMU has it."""
    return max(1, -(-capacity // (CLUSTER * ENTRIES)))


def big_endian(numbers: "array[int]", size: int = 0) -> bytes:
    """The numbers as they stand in a file, padded with zeros to ``size``."""
    return stored(numbers, "big").ljust(size, b"\0")


def padded(size: int) -> int:
    """In whole clusters, as bytes."""
    return -(-size // CLUSTER) * CLUSTER


def plan(capacity: int, allocation: ExtentMap) -> Layout:
    """What the QCOW2 of the disk will be, before its first byte.

    Args:
        capacity: guest-visible bytes.
        allocation: where data may come; grown to whole clusters.
    """
    clusters = ExtentMap(allocation.within(0, capacity)).aligned(CLUSTER)
    return Layout(capacity, _Places.of(capacity, clusters).length, clusters)


@dataclass(frozen=True, slots=True)
class _Places:
    """Where everything stands; offsets in bytes.

    Attributes:
        counts: of the first block of reference counts; their table is the second cluster of the file.
        l1: of the L1 table; data: of the first cluster of data; the L2 tables lie before it.
        blocks: how many blocks of reference counts there are.
    """

    capacity: int
    clusters: ExtentMap
    counts: int
    blocks: int
    l1: int
    l2: int
    data: int
    length: int

    @classmethod
    def of(cls, capacity: int, clusters: ExtentMap) -> "_Places":
        l1 = padded(tables_needed(capacity) * ENTRY)
        tables = sum(1 for _ in _tables(clusters))
        rest = 1 + l1 // CLUSTER + tables + clusters.total // CLUSTER
        # The blocks count themselves and their table too.
        blocks, last = 1, 0
        while blocks != last:
            last = blocks
            table = -(-blocks * ENTRY // CLUSTER)
            blocks = -(-(rest + table + blocks) // COUNTS)
        counts = CLUSTER + padded(blocks * ENTRY)
        start = counts + blocks * CLUSTER
        l2 = start + l1
        data = l2 + tables * CLUSTER
        return cls(
            capacity, clusters, counts, blocks, start, l2, data, data + clusters.total
        )  # fmt: skip

    def front(self) -> Iterator[bytes]:
        """All that comes before the data, in pieces."""
        header = Header(
            3, CLUSTER_BITS, self.capacity, tables_needed(self.capacity), self.l1,
            CLUSTER, (self.counts - CLUSTER) // CLUSTER,
        )  # fmt: skip
        yield header.pack().ljust(CLUSTER, b"\0")
        table = array("Q", range(self.counts, self.counts + self.blocks * CLUSTER, CLUSTER))
        yield big_endian(table, self.counts - CLUSTER)
        used = self.length // CLUSTER
        for _ in range(self.blocks):
            yield (b"\0\1" * min(used, COUNTS)).ljust(CLUSTER, b"\0")
            used -= COUNTS
        l1 = array("Q", bytes(tables_needed(self.capacity) * ENTRY))
        for place, number in enumerate(_tables(self.clusters)):
            l1[number] = self.l2 + place * CLUSTER | COPIED
        yield big_endian(l1, self.l2 - self.l1)
        yield from self._l2_tables()

    def _l2_tables(self) -> Iterator[bytes]:
        current = -1
        table = array("Q", bytes(CLUSTER))
        place = self.data
        for number, first, count in _runs(self.clusters):
            if number != current:
                if current >= 0:
                    yield big_endian(table)
                table = array("Q", bytes(CLUSTER))
                current = number
            end = place + count * CLUSTER
            table[first : first + count] = array("Q", range(place | COPIED, end | COPIED, CLUSTER))
            place = end
        if current >= 0:
            yield big_endian(table)


def _runs(clusters: ExtentMap) -> Iterator[tuple[int, int, int]]:
    """The clusters as runs in one L2 table: its number, the first entry, how many."""
    for offset, length in clusters:
        first, end = offset // CLUSTER, (offset + length) // CLUSTER
        while first < end:
            number, index = divmod(first, ENTRIES)
            count = min(ENTRIES - index, end - first)
            yield number, index, count
            first += count


def _tables(clusters: ExtentMap) -> Iterator[int]:
    """Numbers of the L2 tables that the clusters need, ascending."""
    last = -1
    for number, _, _ in _runs(clusters):
        if number != last:
            yield number
        last = number


class Qcow2PlannedSink:
    """Writes a QCOW2 of a planned layout, exactly ``layout.length`` bytes, from its first to its last.

    Args:
        output: where to; written forward, or by offset.
        layout: of `plan`.
        forward: whether ``output`` is written forward.
        kept: what is there already of an image that was planned alike.

    Raises: StaleError: what is kept was planned otherwise.
    """

    def __init__(
        self, output: OutputStream, layout: Layout, *, forward: bool, kept: Kept | None = None
    ) -> None:
        if layout.allocation is None:
            raise ValueError("a QCOW2 is written forward by a planned layout only")
        self._file = Appender(output, forward=forward)
        self._capacity = layout.capacity
        self._planned = layout.allocation
        self.position = 0
        places = _Places.of(layout.capacity, layout.allocation)
        if kept is not None:
            self._go_on(kept, places)
            return
        for part in places.front():
            self._file.write(part)

    def _go_on(self, kept: Kept, places: _Places) -> None:
        """Compare the tables, which stand first, and pass over the clusters that are there."""
        stale = StaleError("what is kept of the QCOW2 is not what would be written now")
        at = 0
        for part in places.front():
            found = bytearray(len(part))
            if at + len(part) > kept.end or kept.pread(at, found) < len(part) or found != part:
                raise stale
            at += len(part)
        if kept.end % CLUSTER or kept.end > places.length:
            raise stale
        self._file.offset = kept.end
        left = kept.end - at
        for offset, length in self._planned:
            if not left:
                break
            self.position = offset + min(left, length)
            left -= min(left, length)

    def encode(self, parts: Sequence[Part]) -> Encoded:
        """All that was planned of the window; nothing is copied.

        Raises: ImageError: there is data where none was planned.
        """
        if not parts:
            return Encoded((), 0)
        window: list[Part] = []
        left = list(parts)
        for offset, length in self._planned.within(parts[0][0] // PIECE * PIECE, PIECE):
            if left and left[0][0] < offset:
                break
            here = [part for part in left if part[0] < offset + length]
            if here and here[-1][0] + len(here[-1][1]) > offset + length:
                raise unplanned(offset + length)
            left = left[len(here) :]
            window += covered(here, offset, length)
        if left:
            raise unplanned(left[0][0])
        return Encoded(window, sum(len(data) for _, data in window), borrowed=True)

    def put(self, encoded: Encoded) -> None:
        """Append the window, and before it what was planned of others and did not come."""
        if encoded.parts:
            self._fill(encoded.parts[0][0])
            self._file.writev([data for _, data in encoded.parts])
            offset, data = encoded.parts[-1]
            self.position = offset + len(data)

    def finish(self) -> None:
        """Append what was planned and did not come."""
        self._fill(self._planned.end)
        self.position = self._capacity

    def _fill(self, end: int) -> None:
        for _, length in self._planned.within(self.position, end - self.position):
            for at in range(0, length, PIECE):
                self._file.write(_ZEROS[: length - at])


_ZEROS = bytes(PIECE)
