"""VMDK 5.0 streamOptimized written forward, one byte after the other.

Specification: "Virtual Disk Format 5.0" (VMware, 2011), "Stream-Optimized Compressed Sparse Extents".
"""

from array import array
from collections.abc import Iterable, Sequence
from typing import Protocol
from uuid import UUID

from kensho_tui.disks.buffers import Buffers
from kensho_tui.disks.codec import Compression, deflater, inflate
from kensho_tui.disks.image import (
    PIECE,
    SECTOR,
    Buffer,
    Encoded,
    ImageError,
    Kept,
    Layout,
    Part,
    StaleError,
    is_zero,
    units,
)
from kensho_tui.disks.numbers import stored
from kensho_tui.disks.vmdk_structs import (
    END_OF_STREAM,
    ENTRIES,
    FOOTER,
    GRAIN_DIRECTORY,
    GRAIN_MARKER,
    GRAIN_MARKER_BYTES,
    GRAIN_TABLE,
    MARKER,
    TABLE_BYTES,
    Header,
    descriptor,
    new_cid,
    padded,
)


class _Append(Protocol):
    def write(self, data: Buffer, /) -> None: ...


GRAIN = 1 << 16
# A window of grains that do not deflate at all: deflate adds less than a sector to each.
_MOST_STORED = GRAIN + SECTOR
_ROOM = PIECE // GRAIN * (_MOST_STORED + SECTOR)
_OVERHEAD = 128  # sectors before the first grain: one grain's worth, as VMware's own files have it
_DESCRIPTOR_SECTORS = 20


class VmdkSink:
    """Writes a streamOptimized VMDK, forward; grains of zeros are left out.

    Args:
        output: appended to.
        layout: only the capacity is used, rounded up to a sector.
        name: of the file, for the descriptor.
        adapter: ``ddb.adapterType``.
        cid: content id; a random one where None.
        identity: what both content ids are made of, where the same bytes are wanted again.
        compression: of the grains.
        kept: what is there already: its grains are found by walking from marker to marker.

    Raises: StaleError: what is kept is no beginning of such a file.
    """

    def __init__(
        self,
        output: _Append,
        layout: Layout,
        *,
        name: str = "disk.vmdk",
        adapter: str = "lsilogic",
        cid: int | None = None,
        identity: UUID | None = None,
        compression: Compression = Compression.FAST,
        kept: Kept | None = None,
    ) -> None:
        self._output = output
        self._buffers = Buffers()
        capacity = -(-layout.capacity // SECTOR)
        self._header = Header(capacity, GRAIN // SECTOR, 1, _DESCRIPTOR_SECTORS, 0, _OVERHEAD)
        self._directory = array("I", bytes(4 * self._header.tables))
        self._table = -1
        self._entries = array("I", bytes(TABLE_BYTES))
        self._sector = 0
        self._deflate = deflater(compression)
        self.position = 0
        if kept is not None:
            self._go_on(kept)
            return
        if identity is not None and cid is None:
            cid = identity.int % 0xFFFFFFFE  # the two numbers that mean "none" do not occur
        text = descriptor(
            capacity,
            name=name,
            adapter=adapter,
            cid=new_cid() if cid is None else cid,
            beyond="" if identity is None else identity.hex[:24],
        )
        front = self._header.pack(_AT_END) + text
        self._append(front.ljust(_OVERHEAD * SECTOR, b"\0"))

    def _go_on(self, kept: Kept) -> None:
        """Find again what the tables have to name."""
        sectors = _Sectors(kept)
        header = self._header.pack(_AT_END)
        if sectors.at(0, len(header)) != header:
            raise _stale("its header is another one")
        self._sector = _OVERHEAD
        while self._sector < sectors.end:
            marker = sectors.at(self._sector, MARKER.size)
            value, size, kind = MARKER.unpack(marker)
            if size:
                self._found(value, size)
            elif kind == GRAIN_TABLE and value == TABLE_BYTES // SECTOR and self._table >= 0:
                self._directory[self._table] = self._number(self._sector + 1)
                self._open_table(-1)
                self._sector += 1 + value
            else:
                raise _stale(f"there is no grain at sector {self._sector}")
        if self._sector != sectors.end or kept.end % SECTOR:
            raise _stale("it ends inside a grain")

    def _found(self, lba: int, size: int) -> None:
        """A grain that is there."""
        offset = lba * SECTOR
        table = offset // (GRAIN * ENTRIES)
        if self._table < 0:
            self._open_table(table)
        if offset % GRAIN or offset < self.position or table != self._table:
            raise _stale(f"sector {self._sector} holds a grain out of its order")
        if offset >= self._header.capacity * SECTOR or size > _MOST_STORED:
            raise _stale(f"sector {self._sector} holds no grain of this disk")
        self._entries[offset // GRAIN % ENTRIES] = self._number(self._sector)
        self._sector += padded(GRAIN_MARKER_BYTES + size) // SECTOR
        self.position = offset + GRAIN

    def _open_table(self, number: int) -> None:
        self._table = number
        self._entries = array("I", bytes(TABLE_BYTES))

    def encode(self, parts: Sequence[Part]) -> Encoded:
        """The grains that are not zeros, deflated, with their markers."""
        return self._enclose(
            (offset, self._deflate(grain))
            for offset, grain in units(parts, GRAIN)
            if not is_zero(grain)
        )

    def pass_on(self, grains: Sequence[Part]) -> Encoded:
        """Grains of `GRAIN` bytes that are deflated already: guest offset and zlib stream of each."""
        return self._enclose(
            # Others may have spent more on a grain than a window has room for.
            (offset, data if len(data) <= _MOST_STORED else self._deflate(inflate(data, GRAIN)))
            for offset, data in grains
        )

    def _enclose(self, grains: Iterable[Part]) -> Encoded:
        """Deflated grains with their markers, padded to sectors, in one buffer."""
        records: list[Part] = []
        buffer = self._buffers.take(_ROOM)
        at = 0
        for offset, data in grains:
            stop = at + GRAIN_MARKER_BYTES + len(data)
            end = at + padded(GRAIN_MARKER_BYTES + len(data))
            GRAIN_MARKER.pack_into(buffer, at, offset // SECTOR, len(data))
            buffer[at + GRAIN_MARKER_BYTES : stop] = data
            buffer[stop:end] = bytes(end - stop)
            records.append((offset, buffer[at:end]))
            at = end
        if not records:
            self._buffers.give(buffer)
        return Encoded(records, len(records) * GRAIN)

    def put(self, encoded: Encoded) -> None:
        """Append the window's grains; the table of the window before it first, where that is full."""
        if not encoded.parts:
            return
        table = encoded.parts[0][0] // (GRAIN * ENTRIES)
        if table != self._table:
            self._close_table()
            self._table = table
        sector = self._sector
        for offset, record in encoded.parts:
            self._entries[offset // GRAIN % ENTRIES] = self._number(sector)
            sector += len(record) // SECTOR
        whole = memoryview(encoded.parts[0][1]).obj
        self._append(memoryview(whole)[: (sector - self._sector) * SECTOR])
        self._buffers.give(memoryview(whole))
        self.position = encoded.parts[-1][0] + GRAIN

    def finish(self) -> None:
        """Append the last table, the directory, the footer and the end-of-stream marker."""
        self._close_table()
        directory = stored(self._directory, "little")
        sectors = padded(len(directory)) // SECTOR
        self._append(_marker(sectors, GRAIN_DIRECTORY))
        at = self._number(self._sector)
        self._append(
            directory.ljust(sectors * SECTOR, b"\0")
            + _marker(1, FOOTER)
            + self._header.pack(at)
            + _marker(0, END_OF_STREAM)
        )
        self.position = self._header.capacity * SECTOR

    def _close_table(self) -> None:
        if self._table < 0:
            return
        self._directory[self._table] = self._number(self._sector + 1)
        self._append(_marker(TABLE_BYTES // SECTOR, GRAIN_TABLE) + stored(self._entries, "little"))
        self._open_table(-1)

    def _append(self, data: Buffer) -> None:
        self._output.write(data)
        self._sector += len(data) // SECTOR

    @staticmethod
    def _number(sector: int) -> int:
        if sector > 0xFFFFFFFF:
            raise ImageError(
                "a VMDK file ends at 2 TiB, and this one would be larger",
                remedy="Choose another disk format for the target",
            )
        return sector


_AT_END = 0xFFFFFFFFFFFFFFFF  # "the directory's place is in the footer"


class _Sectors:
    """The start of sectors of what is kept, read ahead in larger pieces."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        self.end = kept.end // SECTOR
        self._from = 0
        self._held = b""

    def at(self, sector: int, length: int) -> bytes:
        """Bytes at the start of a sector, at most one sector. Raises: StaleError: they are not there."""
        low = sector * SECTOR - self._from
        if low < 0 or low + length > len(self._held):
            buffer = bytearray(min(PIECE, self._kept.end - sector * SECTOR))
            count = self._kept.pread(sector * SECTOR, buffer)
            self._from, self._held, low = sector * SECTOR, bytes(buffer[:count]), 0
        found = self._held[low : low + length]
        if len(found) < length:
            raise _stale("it is shorter than it was")
        return found


def _stale(why: str) -> StaleError:
    return StaleError(f"what is kept of the VMDK cannot be gone on with: {why}")


def _marker(value: int, kind: int) -> bytes:
    return MARKER.pack(value, 0, kind).ljust(SECTOR, b"\0")
