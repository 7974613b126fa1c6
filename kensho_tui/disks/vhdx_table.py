"""The block allocation table of a VHDX, read in pages: that of a large disk has half a GiB.

Specification: [MS-VHDX] 2.4 and 2.5.
"""

import sys
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kensho_tui.disks.image import ExtentMap, ImageError
from kensho_tui.disks.vhdx_metadata import Metadata
from kensho_tui.disks.vhdx_structs import KIB, LARGEST_FILE, MIB, Fetch, Region, damaged

ABSENT, UNDEFINED, ZERO, UNMAPPED, PRESENT, PARTIAL = 0, 1, 2, 3, 6, 7
BITMAP_BYTES = MIB  # of a chunk's sector bitmap
_SECTORS = 1 << 23  # in a chunk: one bit each
_STATE = 7
_PLACE = MIB - 1  # the bits of an entry that are no place: state and reserved ones
_PAGE = 64 * KIB
_EMPTY = bytes(_PAGE)


@dataclass(frozen=True, slots=True)
class Shape:
    """Which entry of the table is whose (2.5): a chunk's blocks, then its sector bitmap.

    Attributes:
        blocks: of the disk.
        ratio: blocks to a chunk.
        entries: of the table.
    """

    blocks: int
    ratio: int
    entries: int

    @classmethod
    def of(cls, capacity: int, block: int, sector: int, *, bitmaps: bool) -> "Shape":
        """Args: bitmaps: whether the last chunk's has an entry too, as in differencing disks."""
        ratio = _SECTORS * sector // block
        blocks = -(-capacity // block)
        if bitmaps:
            return cls(blocks, ratio, -(-blocks // ratio) * (ratio + 1))
        return cls(blocks, ratio, blocks + max(0, blocks - 1) // ratio)

    def entry(self, block: int) -> int:
        """Index of a block's entry."""
        return block + block // self.ratio


@dataclass(frozen=True, slots=True)
class Block:
    """A block the table says something of: its number, state, and place in the file in bytes."""

    number: int
    state: int
    place: int


def little_endian(entries: "array[int] | bytearray") -> memoryview:
    """Entries as the file has them, from this machine's order or into it."""
    if sys.byteorder == "little":
        return memoryview(entries).cast("B")
    turned = array("Q", bytes(entries))
    turned.byteswap()
    return memoryview(turned).cast("B")


class Table:
    """The table of one file.

    Args:
        fetch: reads the file.
        region: where the table is.
        metadata: of the disk.

    Raises: ImageError: the region is too small for the disk.
    """

    def __init__(self, fetch: Fetch, region: Region, metadata: Metadata) -> None:
        self._fetch = fetch
        self._offset = region.offset
        self._metadata = metadata
        self._differencing = metadata.parent is not None
        self._shape = Shape.of(
            metadata.capacity, metadata.block, metadata.sector, bitmaps=self._differencing
        )
        if self._shape.entries * 8 > region.length:
            raise damaged(
                f"the VHDX's block table has {region.length} bytes,"
                f" its disk needs {self._shape.entries * 8}"
            )

    def visible(self, number: int) -> int:
        """Bytes of a block that a guest sees: the last one's end is not part of the disk."""
        return min(self._metadata.block, self._metadata.capacity - number * self._metadata.block)

    def __iter__(self) -> Iterator[Block]:
        """The blocks that are not absent, ascending. Raises: ImageError: a state that is none."""
        states = (UNDEFINED, ZERO, UNMAPPED, PRESENT, *((PARTIAL,) if self._differencing else ()))
        for index, entry in self._entries():
            chunk, inside = divmod(index, self._shape.ratio + 1)
            number = chunk * self._shape.ratio + inside
            # Bitmaps of disks without parent are not used: QEMU before 8.1 left rubbish there.
            if inside == self._shape.ratio or number >= self._shape.blocks:
                continue
            state = entry & _STATE
            if state == ABSENT:
                continue
            if state not in states:
                raise damaged(f"block {number} of the VHDX has the unknown state {state}")
            if state >= PRESENT and entry & _PLACE & ~_STATE:
                raise damaged(f"block {number} of the VHDX has bits set that have no meaning")
            yield Block(number, state, entry & ~_PLACE)

    def bitmap(self, chunk: int) -> int:
        """Where a chunk's sector bitmap lies in the file, in bytes.

        Raises: ImageError: it is not there, and blocks need it.
        """
        data = bytearray(8)
        index = (chunk + 1) * (self._shape.ratio + 1) - 1
        self._fetch(self._offset + index * 8, data, "the block table")
        entry = int.from_bytes(data, "little")
        if entry & _PLACE != PRESENT:
            raise damaged(
                f"the VHDX lacks the sector bitmap of blocks that need it (chunk {chunk})"
            )
        return entry & ~_PLACE

    def _entries(self) -> Iterator[tuple[int, int]]:
        """Index and value of the entries that are not zero."""
        size = self._shape.entries * 8
        for start in range(0, size, _PAGE):
            page = bytearray(min(_PAGE, size - start))
            self._fetch(self._offset + start, page, "the block table")
            if page == _EMPTY:
                continue
            for at, value in enumerate(little_endian(page).cast("Q"), start // 8):
                if value:
                    yield at, value

    def chunk(self, number: int) -> int:
        """The chunk a block lies in."""
        return number // self._shape.ratio

    def bits(self, number: int) -> int:
        """Offset in its chunk's sector bitmap, in bytes, of a block's bits."""
        return number % self._shape.ratio * (self._metadata.block // self._metadata.sector // 8)


class Occupied:
    """Which MiB of a file are taken: all in it is aligned to that, and nothing may lie over anything.

    A bit for each, so that the file of a full 64 TiB disk costs 8 MiB.

    Args: length: of the file in bytes. Raises: ImageError: it is longer than any.
    """

    def __init__(self, length: int) -> None:
        if length > LARGEST_FILE:
            raise damaged(f"the VHDX has {length} bytes")
        self._bits = bytearray(length // MIB // 8 + 1)
        self._length = length

    def take(self, place: int, length: int) -> bool:
        """Whether the bytes were free until now; what is behind the file's end does not count."""
        first, end = place // MIB, -(-min(place + length, self._length) // MIB)
        low, high = first // 8, -(-end // 8)
        wanted = ((1 << (end - first)) - 1) << first % 8
        held = int.from_bytes(self._bits[low:high], "little")
        self._bits[low:high] = (held | wanted).to_bytes(high - low, "little")
        return not held & wanted


class Places:
    """Checks where blocks lie, one after the other.

    Args:
        metadata: of the disk.
        reserved: regions of the file that hold something else.
        length: of the file in bytes; None where it is not known.
        forward: the file is read once: every block must follow the one before.

    Raises: ValueError: the length of a file that is not read forward is not known.
    """

    def __init__(
        self,
        metadata: Metadata,
        reserved: Sequence[Region],
        length: int | None,
        *,
        forward: bool = False,
    ) -> None:
        if length is None and not forward:
            raise ValueError("where blocks lie can be checked in files of known length only")
        self._block = metadata.block
        self._reserved = ExtentMap((each.offset, each.length) for each in reserved)
        self._length = length
        self._end = 0
        self._occupied = None if forward or length is None else Occupied(length)

    def add(self, place: int, visible: int, size: int | None = None) -> None:
        """Bytes of the file: a block, of which a guest sees some, or what has ``size`` bytes.

        Raises: ImageError: they lie outside the file, over something else, or before what was read.
        """
        size = size or self._block
        if place + visible > (LARGEST_FILE if self._length is None else self._length):
            raise ImageError(
                f"a block of the VHDX lies outside the file (byte {place})",
                remedy="The file is truncated or damaged: get it again",
            )
        if place < MIB or self._reserved.overlaps(place, size):
            raise damaged(f"a block of the VHDX lies over its tables (byte {place})")
        if self._occupied is not None:
            if not self._occupied.take(place, size):
                raise damaged(f"two blocks of the VHDX overlap (byte {place})")
            return
        if place < self._end:
            raise ImageError(
                "the VHDX's blocks are not stored in the disk's order",
                remedy="Such a file has to be read with seeks: save it as a file first",
            )
        self._end = place + size
