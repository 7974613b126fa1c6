"""VMDK 5.0 monolithicSparse, read and written: one file that grows, nothing compressed.

Specification: "Virtual Disk Format 5.0" (VMware, 2011), "Hosted Sparse Extents". The header names the
grain directory, that names the grain tables, and these name the grains, which may lie in any order.
A disk of this kind is read as a raw one whose holes are known.
"""

import threading
from array import array
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from functools import cached_property

from kensho_tui.disks.forward import fetch, truncated
from kensho_tui.disks.image import (
    DAMAGED,
    SECTOR,
    Encoded,
    ExtentMap,
    ImageError,
    InputStream,
    Layout,
    OutputStream,
    Part,
    WritableBuffer,
    gather,
    is_zero,
    pwrite_all,
    units,
)
from kensho_tui.disks.numbers import numbers, stored
from kensho_tui.disks.vmdk_structs import (
    ENTRIES,
    TABLE_BYTES,
    Header,
    check_descriptor,
    descriptor,
    new_cid,
    padded,
)

_TABLES_HELD = 256  # grain tables kept in memory: 8 GiB of disk with grains of 64 KiB


class SparseExtent:
    """One sparse extent file as the `InputStream` of the raw disk (or of the part of it) it holds.

    Args:
        stream: the file; can be read at any place.
        embedded: whether it is a whole disk, with its descriptor inside.

    Raises: ImageError: it is damaged, of another kind, or says what it must not.
    """

    def __init__(self, stream: InputStream, *, embedded: bool = True) -> None:
        if stream.length is None:
            raise ImageError(
                "the length of the VMDK is not known", remedy="Save it as a file first"
            )
        self._stream = stream
        self._end = stream.length
        header = Header.parse(self._fetch(0, min(SECTOR, self._end), "the header"), streamed=False)
        self._header = header
        if embedded:
            header.check_inside()
            at, size = header.descriptor_offset * SECTOR, header.descriptor_size * SECTOR
            text = bytes(self._fetch(at, size, "the descriptor"))
            check_descriptor(text, header.capacity, kind="monolithicSparse")
        self._directory = self._numbers(
            header.directory_offset * SECTOR, header.tables, "grain directory"
        )
        self._tables: OrderedDict[int, array[int]] = OrderedDict()
        self._lock = threading.Lock()
        self.length = header.capacity * SECTOR

    @cached_property
    def allocated(self) -> ExtentMap:
        """Where there are grains; all tables are checked on the way."""
        return gather(self._extents())

    def _extents(self) -> Iterator[tuple[int, int]]:
        header = self._header
        seen = bytearray(-(-self._end // header.grain_bytes // 8) + 1)
        phase: int | None = None
        for number, place in enumerate(self._directory):
            if not place:
                continue
            for index, sector in enumerate(self._table(number)):
                if sector < 2:  # 0: never written, 1: zeros
                    continue
                grain = number * ENTRIES + index
                self._check(grain, sector)
                phase = sector % header.grain if phase is None else phase
                byte, bit = divmod(sector // header.grain, 8)
                # Two grains that begin in one cell of a grain's size overlap; in different cells they
                # do not, as long as all begin at the same place of a cell.
                if seen[byte] >> bit & 1 or sector % header.grain != phase:
                    raise ImageError(
                        f"the VMDK's grain {grain} lies over another one (sector {sector})",
                        remedy=DAMAGED,
                    )
                seen[byte] |= 1 << bit
                offset = grain * header.grain_bytes
                yield offset, min(header.grain_bytes, self.length - offset)

    def _check(self, grain: int, sector: int) -> None:
        header = self._header
        if grain >= -(-header.capacity // header.grain):
            raise ImageError(
                f"the VMDK has grain {grain}, behind the end of its capacity", remedy=DAMAGED
            )
        if sector < header.overhead or (sector + header.grain) * SECTOR > padded(self._end):
            raise ImageError(
                f"the VMDK's grain {grain} lies outside the file (sector {sector})",
                remedy="The file is truncated or damaged: get it again",
            )

    def readinto(self, buffer: WritableBuffer, /) -> int:
        """Not possible: grains lie in any order. Raises: ImageError."""
        raise ImageError("a sparse VMDK cannot be read forward", remedy="Save it as a file first")

    def pread(self, offset: int, buffer: WritableBuffer, /) -> int:
        """Read the disk's bytes at the offset; bytes read, short only at the end. Thread-safe.

        Raises: ImageError: the file is damaged.
        """
        view = memoryview(buffer)[: max(0, self.length - offset)]
        done = 0
        for place, count in self._runs(offset, len(view)):
            part = view[done : done + count]
            if place is None:
                part[:] = bytes(count)
            elif (got := self._stream.pread(place, part)) < count:
                # The last grain of a file may be cut where its disk ends.
                if place + got < self._end:
                    raise truncated(place + got, "a grain")
                part[got:] = bytes(count - got)
            done += count
        return len(view)

    def _runs(self, offset: int, length: int) -> Iterator[tuple[int | None, int]]:
        """``(place in the file or None for zeros, bytes)``, what lies together put together."""
        size = self._header.grain_bytes
        place: int | None = None
        count = 0
        end = offset + length
        while offset < end:
            grain, inside = divmod(offset, size)
            some = min(size - inside, end - offset)
            sector = self._entry(grain)
            found = None if sector < 2 else sector * SECTOR + inside
            if count and found == (None if place is None else place + count):
                count += some
            else:
                if count:
                    yield place, count
                place, count = found, some
            offset += some
        if count:
            yield place, count

    def _entry(self, grain: int) -> int:
        number, index = divmod(grain, ENTRIES)
        if not self._directory[number]:
            return 0
        sector = self._table(number)[index]
        if sector >= 2:
            self._check(grain, sector)
        return sector

    def _table(self, number: int) -> "array[int]":
        with self._lock:
            if (known := self._tables.get(number)) is not None:
                self._tables.move_to_end(number)
                return known
        table = self._numbers(self._directory[number] * SECTOR, ENTRIES, f"grain table {number}")
        with self._lock:
            self._tables[number] = table
            if len(self._tables) > _TABLES_HELD:
                self._tables.popitem(last=False)
        return table

    def _numbers(self, offset: int, count: int, part: str) -> "array[int]":
        if not offset or offset + count * 4 > self._end:
            raise ImageError(f"the VMDK's {part} lies outside the file", remedy=DAMAGED)
        return numbers(self._fetch(offset, count * 4, part), "I", "little")

    def _fetch(self, offset: int, length: int, part: str) -> bytearray:
        return fetch(self._stream, offset, length, part)

    def close(self) -> None:
        """Close the file; from any thread."""
        self._stream.close()


GRAIN = 1 << 16
_DESCRIPTOR_SECTORS = 20
MAX_CAPACITY = 2 << 40  # sectors are counted in 32 bits


class SparseVmdkSink:
    """Writes a monolithicSparse VMDK; grains of zeros are left out.

    Both sets of grain tables stand before the grains, as VMware makes it; a table is written as soon as
    the grains have come to the next one.

    Args:
        output: written by offset.
        layout: only the capacity is used, rounded up to a sector.
        name: of the file, for the descriptor.
        adapter: ``ddb.adapterType``.
        cid: content id; a random one where None.
    """

    def __init__(
        self,
        output: OutputStream,
        layout: Layout,
        *,
        name: str,
        adapter: str = "lsilogic",
        cid: int | None = None,
    ) -> None:
        self._output = output
        self._capacity = -(-layout.capacity // SECTOR)
        tables = -(-self._capacity // (GRAIN // SECTOR * ENTRIES))
        directory = padded(tables * 4) // SECTOR
        per_table = TABLE_BYTES // SECTOR
        spare = 1 + _DESCRIPTOR_SECTORS
        first = spare + directory + tables * per_table
        overhead = -(-(first + directory + tables * per_table) // 128) * 128
        self._redundant, self._primary = spare + directory, first + directory
        self._sector = overhead
        self._number = -1
        self._table = array("I", bytes(TABLE_BYTES))
        self.position = 0
        header = Header(self._capacity, GRAIN // SECTOR, 1, _DESCRIPTOR_SECTORS, first, overhead)
        text = descriptor(
            self._capacity,
            name=name,
            adapter=adapter,
            cid=new_cid() if cid is None else cid,
            kind="monolithicSparse",
        )
        self._output.pwrite(0, (header.pack(first, spare) + text).ljust(spare * SECTOR, b"\0"))
        for at, base in ((spare, self._redundant), (first, self._primary)):
            places = array("I", range(base, base + tables * per_table, per_table))
            self._output.pwrite(
                at * SECTOR, stored(places, "little").ljust(directory * SECTOR, b"\0")
            )
        # What is not written of the tables reads as zero; the file is at least as long as they are.
        self._output.pwrite(overhead * SECTOR - 1, b"\0")

    def encode(self, parts: Sequence[Part]) -> Encoded:
        """The grains that are not zeros."""
        grains = [(offset, data) for offset, data in units(parts, GRAIN) if not is_zero(data)]
        return Encoded(grains, len(grains) * GRAIN, borrowed=True)

    def put(self, encoded: Encoded) -> None:
        """Append the window's grains.

        Raises: ImageError: the file would grow beyond what its tables can name.
        """
        if not encoded.parts:
            return
        begin = self._sector
        for offset, _ in encoded.parts:
            number, index = divmod(offset // GRAIN, ENTRIES)
            if number != self._number:
                self._close_table()
                self._number = number
            if self._sector > 0xFFFFFFFF:
                raise ImageError(
                    "a sparse VMDK ends at 2 TiB, and this one would be larger",
                    remedy="Choose another disk format for the target",
                )
            self._table[index] = self._sector
            self._sector += GRAIN // SECTOR
        pwrite_all(self._output, begin * SECTOR, [data for _, data in encoded.parts])
        self.position = encoded.parts[-1][0] + GRAIN

    def finish(self) -> None:
        """Write the last tables."""
        self._close_table()
        self.position = self._capacity * SECTOR

    def _close_table(self) -> None:
        if self._number < 0:
            return
        data = stored(self._table, "little")
        for base in (self._redundant, self._primary):
            self._output.pwrite(base * SECTOR + self._number * TABLE_BYTES, data)
        self._table = array("I", bytes(TABLE_BYTES))
