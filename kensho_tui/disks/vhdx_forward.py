"""VHDX read once from first to last byte: tables first, blocks in ascending order.

Specification: [MS-VHDX]. Converters write such files; what a guest has filled in its own order has to
be read with seeks.
"""

from collections.abc import Iterator
from functools import partial

from kensho_tui.disks.buffers import Buffers
from kensho_tui.disks.forward import ForwardBytes, truncated
from kensho_tui.disks.image import (
    ExtentMap,
    ImageError,
    InputStream,
    Part,
    Piece,
    WritableBuffer,
    gather,
)
from kensho_tui.disks.raw import windows
from kensho_tui.disks.vhdx import Run, by_window, no_parent
from kensho_tui.disks.vhdx_front import read_front, read_header
from kensho_tui.disks.vhdx_structs import MIB, NIL
from kensho_tui.disks.vhdx_table import PRESENT, Places

# What stands before the blocks is kept; a table of 16 MiB is that of 4 TiB in blocks of 2 MiB.
_MOST_FRONT = 24 * MIB


class VhdxForwardSource:
    """A dynamic or fixed VHDX read forward.

    Raises: ImageError: it is damaged, or has to be read with seeks: it has a parent or a log to
        replay, or its parts stand in another order.
    """

    seekable = False

    def __init__(self, stream: InputStream) -> None:
        self._length = stream.length
        self._bytes = ForwardBytes(stream)
        self._front = bytearray()
        header = read_header(self._kept, self._length)
        if header.log != NIL:
            raise _seek("the VHDX was not closed and has a log to replay")
        front = read_front(self._kept, header, self._length)
        if front.metadata.parent is not None:
            raise no_parent(front.metadata.parent)
        self._metadata = front.metadata
        self._table = front.table
        self.allocated: ExtentMap = gather(
            self._checked(Places(front.metadata, front.reserved, self._length, forward=True))
        )

    @property
    def capacity(self) -> int:
        """Guest-visible bytes."""
        return self._metadata.capacity

    def pieces(self) -> Iterator[Piece]:
        """Windows with blocks, their bytes in hand."""
        buffers = Buffers()
        for runs in by_window(self._runs()):
            held: list[Part] = []
            taken: list[memoryview] = []
            for offset, count, place, _ in runs:
                taken.append(data := buffers.take(count))
                self._fetch(place or 0, data, "a block")
                held.append((offset, data))
            end = runs[-1].end
            yield Piece(runs[0].offset, end, held.copy, partial(buffers.give_all, taken))
        while self._bytes.readinto(bytearray(MIB)) == MIB:
            pass  # to the end, so that whoever counts or hashes the stream has all of it

    def _checked(self, places: Places) -> Iterator[tuple[int, int]]:
        for block in self._table:
            if block.state == PRESENT:
                count = self._table.visible(block.number)
                places.add(block.place, count)
                yield block.number * self._metadata.block, count

    def _runs(self) -> Iterator[Run]:
        for block in self._table:
            if block.state == PRESENT:
                start = block.number * self._metadata.block
                for offset, count in windows(start, self._table.visible(block.number)):
                    yield Run(offset, count, block.place + offset - start)

    def _kept(self, offset: int, buffer: WritableBuffer, part: str) -> None:
        """Read from the start of the file, which is kept up to there."""
        end = offset + len(buffer)
        if end > _MOST_FRONT:
            raise _seek(f"{part} of the VHDX stands too far from its start (byte {offset})")
        if end > len(self._front):
            self._front += self._bytes.read(end - len(self._front), part)
        buffer[:] = self._front[offset:end]

    def _fetch(self, offset: int, buffer: WritableBuffer, part: str) -> None:
        if offset < self._bytes.position:
            raise _seek("the VHDX's blocks stand before its tables")
        self._bytes.skip(offset - self._bytes.position, part)
        if self._bytes.readinto(buffer) < len(buffer):
            raise truncated(self._bytes.position, part)


def _seek(what: str) -> ImageError:
    return ImageError(what, remedy="Such a file has to be read with seeks: save it as a file first")
