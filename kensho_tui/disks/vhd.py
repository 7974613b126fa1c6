"""VHD 1.0 read, dynamic, fixed and differencing: what XenServer and Hyper-V give.

Specification: "Virtual Hard Disk Image Format Specification" 1.0 (Microsoft, 2006), "Dynamic Hard Disk
Image". A dynamic disk is written forward where it is known beforehand which blocks there will be: the
table that stands first is then known, and so is the length to the byte.
"""

import re
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from itertools import pairwise
from typing import TypeAlias

from kensho_tui.disks.buffers import Buffers
from kensho_tui.disks.forward import ForwardBytes, fill, truncated
from kensho_tui.disks.image import (
    DAMAGED,
    PIECE,
    SECTOR,
    ExtentMap,
    ImageError,
    InputStream,
    Part,
    Piece,
    Source,
    WritableBuffer,
    gather,
)
from kensho_tui.disks.layers import Layer, allocated_over, over
from kensho_tui.disks.numbers import numbers
from kensho_tui.disks.raw import Ranges, by_window, windows
from kensho_tui.disks.vhd_structs import (
    DIFFERENCING,
    FIXED,
    FOOTER_BYTES,
    HEADER_BYTES,
    UNUSED,
    DynamicHeader,
    Footer,
    refuse_parent,
)
from kensho_tui.text import one_line

_ONES = re.compile("1+")

# Bytes of the image by offset and length, as parts of the disk need them.
_Fetch: TypeAlias = Callable[[int, WritableBuffer, str], None]


class _Blocks:
    """Where the blocks of a dynamic disk lie, checked.

    Args:
        table: the block allocation table, as many entries as the disk has blocks.
        reserved: byte ranges of the file that hold something else.
        length: of the file; None where it is not known.
    """

    def __init__(
        self,
        footer: Footer,
        header: DynamicHeader,
        table: "array[int]",
        reserved: Sequence[tuple[int, int]],
        length: int | None,
    ) -> None:
        self.capacity = footer.capacity
        self.block = header.block
        self.bitmap = header.bitmap
        self.table = table
        self.ascending = True
        self._check(reserved, length)

    def _check(self, reserved: Sequence[tuple[int, int]], length: int | None) -> None:
        size = self.bitmap + self.block
        used = len(self.table) - self.table.count(UNUSED)
        if length is not None and (used - 1) * size > length:
            raise ImageError(
                f"the VHD's table names {used} blocks, more than the file can hold",
                remedy="The file is truncated or damaged: get it again",
            )
        places = [entry for entry in self.table if entry != UNUSED]
        self.ascending = all(a < b for a, b in pairwise(places))
        if not self.ascending:
            places.sort()
        for before, after in pairwise(places):
            if (after - before) * SECTOR < size:
                raise ImageError(
                    f"two blocks of the VHD overlap (sectors {before} and {after})", remedy=DAMAGED
                )
        if not places:
            return
        if length is not None and places[-1] * SECTOR + size > length - FOOTER_BYTES:
            raise ImageError(
                f"a block of the VHD lies outside the file (sector {places[-1]})",
                remedy="The file is truncated or damaged: get it again",
            )
        for start, end in reserved:
            if any(p * SECTOR < end and start < p * SECTOR + size for p in _near(places, end)):
                raise ImageError("a block of the VHD lies over its tables", remedy=DAMAGED)

    def extents(self) -> Iterator[tuple[int, int]]:
        """Guest ranges of the blocks, ascending."""
        for number, sector in enumerate(self.table):
            if sector != UNUSED:
                offset = number * self.block
                yield offset, min(self.block, self.capacity - offset)

    def windows(self) -> Iterator[list[tuple[int, int, int]]]:
        """Per window of the disk: ``(sector of the block, guest offset, bytes)``, ascending."""
        current: list[tuple[int, int, int]] = []
        for number, sector in enumerate(self.table):
            if sector == UNUSED:
                continue
            for offset, count in windows(
                number * self.block, min(self.block, self.capacity - number * self.block)
            ):
                if current and current[0][1] // PIECE != offset // PIECE:
                    yield current
                    current = []
                current.append((sector, offset, count))
        if current:
            yield current


def _near(places: Sequence[int], end: int) -> Sequence[int]:
    """The places that begin before ``end`` (bytes): few, because tables come first."""
    return places[: bisect_left(places, -(-end // SECTOR))]


def _present(offset: int, data: memoryview, bits: bytes | bytearray, first: int) -> Iterator[Part]:
    """The runs of sectors whose bit is set; others were never written and read as zero.

    Args:
        offset: guest offset of ``data``.
        bits: the block's sector bitmap, most significant bit first.
        first: sector of the block that ``data`` begins with.
    """
    count = -(-len(data) // SECTOR)
    if (
        bits[first // 8 : -(-(first + count) // 8)].count(0xFF)
        == -(-(first + count) // 8) - first // 8
    ):
        yield offset, data
        return
    text = format(int.from_bytes(bits, "big"), f"0{len(bits) * 8}b")[first : first + count]
    for run in _ONES.finditer(text):
        part = data[run.start() * SECTOR : run.end() * SECTOR]
        yield offset + run.start() * SECTOR, part


def _front(fetch: _Fetch, length: int | None) -> tuple[bytes, Footer, DynamicHeader, _Blocks]:
    """Footer copy, header and table of a dynamic disk, in the order they stand in every known file.

    The copy comes as its bytes too, which those of the footer at the end have to equal.
    """
    first = bytearray(FOOTER_BYTES)
    fetch(0, first, "the footer's copy")
    footer = Footer.parse(first, "at its start")
    if footer.kind == FIXED:
        raise ImageError("the VHD starts like a dynamic disk and says it is fixed", remedy=DAMAGED)
    if footer.header_offset < FOOTER_BYTES or footer.header_offset > 1 << 40:
        raise ImageError("the VHD's header is not where it could be", remedy=DAMAGED)
    head = bytearray(HEADER_BYTES)
    fetch(footer.header_offset, head, "the dynamic disk header")
    header = DynamicHeader.parse(head, footer.capacity)
    size = header.entries * 4
    if header.table_offset < FOOTER_BYTES or (
        length is not None and header.table_offset + size > length
    ):
        raise ImageError("the VHD's block table lies outside the file", remedy=DAMAGED)
    table = bytearray(size)
    fetch(header.table_offset, table, "the block table")
    reserved = [
        (0, FOOTER_BYTES),
        (footer.header_offset, footer.header_offset + HEADER_BYTES),
        (header.table_offset, header.table_offset + size),
    ]
    blocks = _Blocks(footer, header, numbers(table, "I", "big"), reserved, length)
    return bytes(first), footer, header, blocks


def _check_end(front: bytes, data: bytes | bytearray) -> None:
    """The footer is the same 512 bytes as its copy in front: XenServer's own check asks for that."""
    Footer.parse(data, "at its end")
    if front != data:
        raise ImageError("the VHD's two footers disagree", remedy=DAMAGED)


class VhdSource:
    """A VHD that can be read at any place: fixed, dynamic, or differencing with its parent.

    Args:
        stream: its bytes.
        parent: what the disk is the difference to, where it is one.

    Raises: ImageError: it is damaged, or the parent is not given, is not needed, or is another one.
    """

    seekable = True

    def __init__(self, stream: InputStream, parent: Source | None = None) -> None:
        if stream.length is None:
            raise ImageError("the length of the VHD is not known", remedy="Read it forward")
        self._stream = stream
        self._buffers = Buffers()
        self._length = stream.length
        if self._length < FOOTER_BYTES:
            raise truncated(self._length, "the footer")
        end = bytearray(FOOTER_BYTES)
        self._fetch(self._length - FOOTER_BYTES, end, "the footer")
        self._footer = Footer.parse(end, "at its end")
        self._blocks: _Blocks | None = None
        name, identity = "", bytes(16)
        if self._footer.kind == FIXED:
            if self._footer.capacity > self._length - FOOTER_BYTES:
                raise truncated(self._length, "the disk's bytes")
        else:
            front, _, header, self._blocks = _front(self._fetch, self._length)
            _check_end(front, end)
            name, identity = header.parent_name, header.parent
        self._parent = _joined(self._footer, name, identity, parent)

    @property
    def capacity(self) -> int:
        """Guest-visible bytes: "current size", never the geometry."""
        return self._footer.capacity

    @property
    def identity(self) -> bytes:
        """The disk's UUID, by which its differences name it."""
        return self._footer.uuid

    @cached_property
    def allocated(self) -> ExtentMap | None:
        """The blocks; with a parent also where it may have data; of a fixed disk what its file has."""
        if self._blocks is not None:
            own = gather(self._blocks.extents())
            return allocated_over(own, self._parent, self.capacity)
        found = self._stream.allocated
        return None if found is None else ExtentMap(found.within(0, self.capacity))

    def pieces(self) -> Iterator[Piece]:
        """Windows with blocks."""
        if self._blocks is None:
            extents = self.allocated
            for ranges in by_window([(0, self.capacity)] if extents is None else extents):
                yield Ranges(self._fetch, self._buffers, ranges).piece()
            return
        own = self._own(self._blocks)
        if self._parent is None:
            yield from own
            return
        layers = (
            Layer(piece.offset, piece.end, partial(_hiding, piece), piece.release) for piece in own
        )
        yield from over(layers, self._parent.pieces(), self.capacity)

    def _own(self, blocks: _Blocks) -> Iterator[Piece]:
        for window in blocks.windows():
            end = window[-1][1] + window[-1][2]
            taken: list[memoryview] = []
            yield Piece(
                window[0][1],
                end,
                partial(self._load, blocks, window, taken),
                partial(self._buffers.give_all, taken),
            )

    def _fetch(self, offset: int, buffer: WritableBuffer, part: str) -> None:
        fill(self._stream, offset, buffer, part)

    def _load(
        self, blocks: _Blocks, window: list[tuple[int, int, int]], taken: list[memoryview]
    ) -> list[Part]:
        parts: list[Part] = []
        for sector, offset, count in window:
            first = offset % blocks.block
            taken.append(view := self._buffers.take(blocks.bitmap + count))
            bits, data = view[: blocks.bitmap], view[blocks.bitmap :]
            if first:
                self._fetch(sector * SECTOR, bits, "a sector bitmap")
                self._fetch(sector * SECTOR + blocks.bitmap + first, data, "a block")
            else:
                self._fetch(sector * SECTOR, view, "a block")
            parts += _present(offset, data, bytes(bits), first // SECTOR)
        return parts


def _hiding(piece: Piece) -> tuple[Sequence[Part], Sequence[tuple[int, int]]]:
    """A differencing disk's own sectors, and that they hide the parent's."""
    parts = piece.load()
    return parts, [(offset, len(data)) for offset, data in parts]


def _joined(footer: Footer, name: str, identity: bytes, parent: Source | None) -> Source | None:
    """The parent, checked to be the one that is named."""
    if footer.kind != DIFFERENCING:
        if parent is not None:
            raise ImageError(
                "the VHD has no parent, and one is given", remedy="Name the parents it has"
            )
        return None
    if parent is None:
        raise refuse_parent(name)
    if not isinstance(parent, VhdSource) or parent.identity != identity:
        raise ImageError(
            f"what is given as the VHD's parent is another disk than {one_line(name, limit=80)}",
            remedy="Name the parents in their order, as they were when the difference was begun",
        )
    return parent


class VhdForwardSource:
    """A dynamic VHD read once from first to last byte: tables first, blocks in ascending order.

    Raises: ImageError: as `VhdSource`; also when the blocks are stored in another order.
    """

    seekable = False

    def __init__(self, stream: InputStream) -> None:
        self._length = stream.length
        self._bytes = ForwardBytes(stream)
        self._front, self._footer, header, self._blocks = _front(self._fetch, stream.length)
        if self._footer.kind == DIFFERENCING:
            raise refuse_parent(header.parent_name)
        if not self._blocks.ascending:
            raise ImageError(
                "the VHD's blocks are not stored in the disk's order",
                remedy="Such a file has to be read with seeks: save it as a file first",
            )

    @property
    def capacity(self) -> int:
        """Guest-visible bytes: "current size", never the geometry."""
        return self._footer.capacity

    @cached_property
    def allocated(self) -> ExtentMap:
        """The blocks: the table comes before them."""
        return gather(self._blocks.extents())

    def pieces(self) -> Iterator[Piece]:
        """Windows with blocks, their bytes in hand."""
        blocks = self._blocks
        buffers = Buffers()
        bits = bytearray()
        for window in blocks.windows():
            held: list[tuple[int, memoryview, bytearray, int]] = []
            taken: list[memoryview] = []
            for sector, offset, count in window:
                first = offset % blocks.block
                if not first:
                    bits = bytearray(blocks.bitmap)
                    self._fetch(sector * SECTOR, bits, "a sector bitmap")
                taken.append(data := buffers.take(count))
                self._fetch(sector * SECTOR + blocks.bitmap + first, data, "a block")
                held.append((offset, data, bits, first // SECTOR))
            end = window[-1][1] + window[-1][2]
            yield Piece(
                window[0][1], end, partial(self._parts, held), partial(buffers.give_all, taken)
            )
        self._check_rest()

    @staticmethod
    def _parts(held: list[tuple[int, memoryview, bytearray, int]]) -> list[Part]:
        return [
            part
            for offset, data, bits, first in held
            for part in _present(offset, data, bits, first)
        ]

    def _fetch(self, offset: int, buffer: WritableBuffer, part: str) -> None:
        if offset < self._bytes.position:
            raise ImageError(
                f"{part} of the VHD lies before what was read already",
                remedy="Such a file has to be read with seeks: save it as a file first",
            )
        self._bytes.skip(offset - self._bytes.position, part)
        if self._bytes.readinto(buffer) < len(buffer):
            raise truncated(self._bytes.position, part)

    def _check_rest(self) -> None:
        """The footer ends the stream; what lies before it (a block's rest, a batmap) is passed over."""
        last = bytearray()
        while True:
            chunk = bytearray(1 << 16)
            count = self._bytes.readinto(chunk)
            last = (last + chunk[:count])[-FOOTER_BYTES:]
            if count < len(chunk):
                break
        _check_end(self._front, last)
