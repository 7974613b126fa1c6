"""VHDX, dynamic, fixed and differencing, read: what Hyper-V gives.

Specification: [MS-VHDX] "Virtual Hard Disk v2 (VHDX) File Format". A file that was not closed is read
through its log, and never changed.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import NamedTuple
from uuid import UUID

from kensho_tui.disks.buffers import Buffers
from kensho_tui.disks.forward import fill
from kensho_tui.disks.image import (
    PIECE,
    ExtentMap,
    ImageError,
    InputStream,
    Part,
    Piece,
    Source,
    WritableBuffer,
    gather,
)
from kensho_tui.disks.layers import Layer, Ranges, allocated_over, over
from kensho_tui.disks.raw import windows
from kensho_tui.disks.vhdx_front import read_front, read_header, replayed
from kensho_tui.disks.vhdx_metadata import ParentLink
from kensho_tui.disks.vhdx_structs import SIGNATURE, damaged
from kensho_tui.disks.vhdx_table import BITMAP_BYTES, PARTIAL, PRESENT, Block, Places

_ONES = re.compile("1+")


class Run(NamedTuple):
    """Bytes of a block inside one window.

    Attributes:
        offset, length: guest offset and bytes.
        place: in the file; None: they are zero, and hide the parent's.
        bits: place in the file of the bits that tell which sectors count; None: all do.
    """

    offset: int
    length: int
    place: int | None
    bits: int | None = None

    @property
    def end(self) -> int:
        """Guest offset behind it."""
        return self.offset + self.length


class VhdxSource:
    """A VHDX that can be read at any place.

    Args:
        stream: its bytes.
        parent: what the disk is the difference to, where it is one.

    Raises: ImageError: it is damaged, or the parent is not given, is not needed, or is another one.
    """

    seekable = True

    def __init__(self, stream: InputStream, parent: Source | None = None) -> None:
        if stream.length is None:
            raise ImageError("the length of the VHDX is not known", remedy="Read it forward")
        self._stream = stream
        self._buffers = Buffers()
        header = read_header(self._fetch, stream.length)
        self._stream = replayed(stream, self._fetch, header)
        self.identity: UUID = header.data_write
        front = read_front(self._fetch, header, self._stream.length)
        self._metadata = front.metadata
        self._table = front.table
        self._parent = _joined(front.metadata.parent, front.metadata.sector, parent)
        self._held = self._stream.allocated
        self._allocated = gather(
            self._checked(Places(front.metadata, front.reserved, self._stream.length))
        )

    @property
    def capacity(self) -> int:
        """Guest-visible bytes."""
        return self._metadata.capacity

    @property
    def sector(self) -> int:
        """Bytes of a sector as the guest sees it: 512 or 4096."""
        return self._metadata.sector

    @property
    def allocated(self) -> ExtentMap | None:
        """Blocks that are present, without the file's holes; with a parent also where it may have data."""
        return allocated_over(self._allocated, self._parent, self.capacity)

    def pieces(self) -> Iterator[Piece]:
        """Windows with blocks, and with a parent its windows where it is not hidden."""
        layers = self._layers()
        if self._parent is not None:
            yield from over(layers, self._parent.pieces(), self.capacity)
            return
        for layer in layers:
            yield Piece(layer.offset, layer.end, partial(_own, layer), layer.release)

    def _layers(self) -> Iterator[Layer]:
        for runs in by_window(run for block in self._table for run in self._runs(block)):
            taken: list[memoryview] = []
            yield Layer(
                runs[0].offset,
                runs[-1].end,
                partial(self._load, runs, taken),
                partial(self._buffers.give_all, taken),
                hides_only=all(run.place is None for run in runs),
            )

    def _checked(self, places: Places) -> Iterator[tuple[int, int]]:
        """Where there may be data, ascending, while all places are checked."""
        chunk = -1
        for block in self._table:
            if block.state < PRESENT:
                continue
            places.add(block.place, self._table.visible(block.number))
            if block.state == PARTIAL and self._table.chunk(block.number) > chunk:
                chunk = self._table.chunk(block.number)
                places.add(self._table.bitmap(chunk), BITMAP_BYTES, BITMAP_BYTES)
            yield from self._extents(block)

    def _extents(self, block: Block) -> Iterator[tuple[int, int]]:
        """Guest ranges of a block that is present; holes of the file are no part of them.

        With a parent they are: zeros hide it.
        """
        start, count = block.number * self._metadata.block, self._table.visible(block.number)
        if self._held is None or self._parent is not None:
            yield start, count
            return
        for place, length in self._held.within(block.place, count):
            yield start + place - block.place, length

    def _runs(self, block: Block) -> Iterator[Run]:
        start = block.number * self._metadata.block
        if block.state < PRESENT:
            if self._parent is not None:
                for offset, count in windows(start, self._table.visible(block.number)):
                    yield Run(offset, count, None)
            return
        bits = None
        if block.state == PARTIAL:
            bits = self._table.bitmap(self._table.chunk(block.number))
            bits += self._table.bits(block.number)
        for extent in self._extents(block):
            for offset, count in windows(*extent):
                inside = offset - start
                first = None if bits is None else bits + inside // self._metadata.sector // 8
                yield Run(offset, count, block.place + inside, first)

    def _load(self, runs: Sequence[Run], taken: list[memoryview]) -> tuple[list[Part], Ranges]:
        parts: list[Part] = []
        hidden: list[tuple[int, int]] = []
        for offset, count, place, bits in runs:
            if place is None:
                hidden.append((offset, count))
                continue
            taken.append(data := self._buffers.take(count))
            self._fetch(place, data, "a block")
            if bits is None:
                parts.append((offset, data))
            else:
                parts += self._present(offset, data, bits)
        hidden += [(offset, len(data)) for offset, data in parts]
        return parts, sorted(hidden)

    def _present(self, offset: int, data: memoryview, bits: int) -> Iterator[Part]:
        """The runs of sectors whose bit is set: the others are the parent's (2.4)."""
        sector = self._metadata.sector
        count = len(data) // sector
        words = bytearray(-(-count // 8))
        self._fetch(bits, words, "a sector bitmap")
        # The first sector's bit is the lowest one of the first byte.
        text = format(int.from_bytes(words, "little"), f"0{len(words) * 8}b")[::-1]
        for run in _ONES.finditer(text[:count]):
            yield offset + run.start() * sector, data[run.start() * sector : run.end() * sector]

    def _fetch(self, offset: int, buffer: WritableBuffer, part: str) -> None:
        fill(self._stream, offset, buffer, part)


def by_window(runs: Iterable[Run]) -> Iterator[list[Run]]:
    """Ascending runs, put together by the window they lie in."""
    for _, window in groupby(runs, key=lambda run: run.offset // PIECE):
        yield list(window)


def _own(layer: Layer) -> Sequence[Part]:
    return layer.load()[0]


def _joined(link: ParentLink | None, sector: int, parent: Source | None) -> Source | None:
    """The parent, checked to be the one that is named (2.6.2.6.3)."""
    if link is None:
        if parent is not None:
            raise ImageError(
                "the VHDX has no parent, and one is given", remedy="Name the parents it has"
            )
        return None
    if parent is None:
        raise no_parent(link)
    if not isinstance(parent, VhdxSource) or parent.identity not in link.identities:
        raise ImageError(
            f"what is given as the VHDX's parent is another disk than {link.name or 'its parent'}",
            remedy="Name the parents in their order, as they were when the difference was begun",
        )
    if parent.sector != sector:
        raise damaged(f"the VHDX has sectors of {sector} bytes, its parent of {parent.sector}")
    return parent


def sector_size(stream: InputStream) -> int:
    """Bytes of a sector as the guest sees it; 512 for what is no VHDX. The tables are not read.

    Raises: ImageError: what stands before them is damaged.
    """
    start = bytearray(len(SIGNATURE))
    if stream.length is None or stream.pread(0, start) < len(start) or start != SIGNATURE:
        return 512

    def fetch(offset: int, buffer: WritableBuffer, part: str) -> None:
        fill(stream, offset, buffer, part)

    header = read_header(fetch, stream.length)
    stream = replayed(stream, fetch, header)
    return read_front(fetch, header, stream.length).metadata.sector


def no_parent(link: ParentLink) -> ImageError:
    """The error of a difference without what it differs from."""
    named = f" ({link.name})" if link.name else ""
    return ImageError(
        f"the VHDX holds only the difference to a parent{named}",
        remedy="Export the disk with its parents merged",
    )
