"""QCOW2, version 3, written by offset: clusters as they come, plain or compressed, zeros left out.

Specification: QEMU's "docs/interop/qcow2.txt". An L2 table gets its place before the first of its clusters
and is written when the last one is known. Blocks of reference counts are written when the file has passed
what they count; their table comes last, and the header, without which the file is none, after it.
"""

from array import array
from collections.abc import Sequence

from kensho_tui.disks.buffers import Buffers
from kensho_tui.disks.codec import Compression, qcow2_deflater
from kensho_tui.disks.image import (
    PIECE,
    SECTOR,
    Encoded,
    Kept,
    Layout,
    OutputStream,
    Part,
    StaleError,
    is_zero,
    pwrite_all,
    units,
)
from kensho_tui.disks.qcow2_structs import COMPRESSED, COPIED, ENTRY, Header
from kensho_tui.disks.qcow2_write import (
    CLUSTER,
    CLUSTER_BITS,
    COUNTS,
    ENTRIES,
    big_endian,
    padded,
    tables_needed,
)

_SIZE_SHIFT = 62 - (CLUSTER_BITS - 8)  # of a compressed cluster's sectors, in its L2 entry


class _Counts:
    """Reference counts of the file's clusters; what the file has passed needs no memory any more."""

    def __init__(self) -> None:
        self._open: dict[int, array[int]] = {}
        self.places: list[int] = []  # of the blocks that are written, in bytes

    def add(self, first: int, count: int = 1) -> None:
        """One more reference to each of some clusters."""
        while count:
            number, index = divmod(first, COUNTS)
            block = self._open.setdefault(number, array("H", bytes(CLUSTER)))
            here = min(count, COUNTS - index)
            block[index : index + here] = array("H", (n + 1 for n in block[index : index + here]))
            first += here
            count -= here

    def passed(self, cluster: int) -> bool:
        """Whether the first block that is not written counts nothing at or behind the cluster."""
        return (len(self.places) + 1) * COUNTS <= cluster

    def close(self, place: int) -> bytes:
        """The first block that is not written; it will be, at that byte of the file."""
        block = self._open.pop(len(self.places))
        self.places.append(place)
        return big_endian(block)


class Qcow2GrowingSink:
    """Writes a QCOW2 whose clusters are not known beforehand.

    Args:
        output: where to, by offset.
        layout: only the capacity is used.
        compression: of the clusters; None: they are not compressed.
        kept: must be None: where what is kept would belong, stands in tables that were not written yet.

    Raises: StaleError: something is kept.
    """

    def __init__(
        self,
        output: OutputStream,
        layout: Layout,
        *,
        compression: Compression | None = None,
        kept: Kept | None = None,
    ) -> None:
        if kept is not None:
            raise StaleError("a QCOW2 can be gone on with only where it was planned as a whole")
        self._output = output
        self._buffers = Buffers()
        self._deflate = None if compression is None else qcow2_deflater(compression)
        self._capacity = layout.capacity
        self._l1 = array("Q", bytes(tables_needed(layout.capacity) * ENTRY))
        self._table = -1
        self._entries = array("Q")
        self._counts = _Counts()
        self._end = 0
        self._take(CLUSTER + padded(len(self._l1) * ENTRY))  # the header and the L1 table
        self.position = 0

    def encode(self, parts: Sequence[Part]) -> Encoded:
        """The clusters that are not zeros; compressed ones are views of one buffer, without a gap."""
        clusters = ((offset, data) for offset, data in units(parts, CLUSTER) if not is_zero(data))
        if self._deflate is None:
            plain = list(clusters)
            return Encoded(plain, len(plain) * CLUSTER, borrowed=True)
        records: list[Part] = []
        buffer = self._buffers.take(PIECE)
        at = 0
        borrowed = False
        for offset, cluster in clusters:
            data = self._deflate(cluster)
            # At an odd place some readers (libqcow) take the entry's last bit for "reads as zeros".
            end = at + len(data) + len(data) % 2
            if end - at < CLUSTER:
                buffer[at : at + len(data)] = data
                buffer[at + len(data) : end] = bytes(end - at - len(data))
                records.append((offset, buffer[at:end]))
                at = end
            else:  # it stays as it is
                records.append((offset, cluster))
                borrowed = True
        if not at:
            self._buffers.give(buffer)
        return Encoded(records, len(records) * CLUSTER, borrowed=borrowed)

    def put(self, encoded: Encoded) -> None:
        """Write the clusters: what is compressed byte by byte, then the others where clusters begin."""
        if not encoded.parts:
            return
        self._open_table(encoded.parts[0][0] // (CLUSTER * ENTRIES))
        self._put_compressed([part for part in encoded.parts if len(part[1]) < CLUSTER])
        self._put_plain([part for part in encoded.parts if len(part[1]) == CLUSTER])
        self.position = encoded.parts[-1][0] + CLUSTER
        while self._counts.passed(self._end // CLUSTER):
            self._write_counts(self._take(CLUSTER))

    def _put_plain(self, parts: Sequence[Part]) -> None:
        if not parts:
            return
        start = place = self._take(len(parts) * CLUSTER)
        for offset, _ in parts:
            self._entries[offset // CLUSTER % ENTRIES] = place | COPIED
            place += CLUSTER
        pwrite_all(self._output, start, [data for _, data in parts])

    def _put_compressed(self, parts: Sequence[Part]) -> None:
        if not parts:
            return
        start = self._end
        for offset, data in parts:
            place = self._end
            self._end += len(data)
            sectors = (self._end - 1) // SECTOR - place // SECTOR
            entry = COMPRESSED | sectors << _SIZE_SHIFT | place
            self._entries[offset // CLUSTER % ENTRIES] = entry
            first = place // CLUSTER
            self._counts.add(first, (self._end - 1) // CLUSTER + 1 - first)
        buffer = memoryview(memoryview(parts[0][1]).obj)
        self._output.pwrite(start, buffer[: self._end - start])
        self._buffers.give(buffer)

    def finish(self) -> None:
        """Write the last L2 table, the reference counts that are left and their table, and the header."""
        self._open_table(-1)
        self._align()
        used, count, last = self._end // CLUSTER, 0, -1
        while count != last:  # the blocks count themselves and their table too
            last = count
            blocks = -(-(used + count) // COUNTS)
            count = blocks - len(self._counts.places) + padded(blocks * ENTRY) // CLUSTER
        place = self._take(count * CLUSTER)
        while len(self._counts.places) < blocks:
            self._write_counts(place)
            place += CLUSTER
        table = big_endian(array("Q", self._counts.places), self._end - place)
        self._output.pwrite(place, table)
        header = Header(
            3, CLUSTER_BITS, self._capacity, len(self._l1), CLUSTER, place, len(table) // CLUSTER
        )
        front = header.pack().ljust(CLUSTER, b"\0")
        self._output.pwrite(0, front + big_endian(self._l1, padded(len(self._l1) * ENTRY)))
        self.position = self._capacity

    def _open_table(self, number: int) -> None:
        """Write the L2 table, if another one comes, and find a place for that one."""
        if number == self._table:
            return
        if self._table >= 0:
            place = self._l1[self._table] & ~COPIED
            self._output.pwrite(place, big_endian(self._entries))
        self._table = number
        if number >= 0:
            self._l1[number] = self._take(CLUSTER) | COPIED
            self._entries = array("Q", bytes(CLUSTER))

    def _write_counts(self, place: int) -> None:
        self._output.pwrite(place, self._counts.close(place))

    def _align(self) -> None:
        gap = -self._end % CLUSTER
        if gap:
            self._output.pwrite(self._end, bytes(gap))
            self._end += gap

    def _take(self, size: int) -> int:
        """The place of so many bytes, whole clusters, behind everything."""
        self._align()
        place = self._end
        self._end += size
        self._counts.add(place // CLUSTER, size // CLUSTER)
        return place
