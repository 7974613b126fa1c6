"""Raw disks: every byte is the disk's own. Holes are known, found by looking, or written as zeros."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, partial
from typing import TypeAlias

from kensho_tui.disks.buffers import Buffers
from kensho_tui.disks.forward import ForwardBytes, fill, truncated
from kensho_tui.disks.image import (
    PIECE,
    ROUNDING,
    Access,
    Buffer,
    Encoded,
    ExtentMap,
    ImageError,
    InputStream,
    Kept,
    Layout,
    OutputStream,
    Part,
    Piece,
    is_zero,
    pwrite_all,
    write_all,
)

# Fills a buffer from an offset; the text says of what, for the error of a stream that ends before.
Read: TypeAlias = Callable[[int, memoryview, str], None]

_SCAN = 1 << 16  # zeros are looked for in runs of this many bytes
_FILL = bytes(1 << 20)


def windows(offset: int, length: int) -> Iterator[tuple[int, int]]:
    """A range cut where windows of `PIECE` bytes meet."""
    end = offset + length
    while offset < end:
        count = min(PIECE - offset % PIECE, end - offset)
        yield offset, count
        offset += count


def by_window(ranges: Iterable[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    """Ascending ranges, cut and put together by the window they lie in."""
    held: list[tuple[int, int]] = []
    for offset, length in ranges:
        for start, count in windows(offset, length):
            if held and held[0][0] // PIECE != start // PIECE:
                yield held
                held = []
            held.append((start, count))
    if held:
        yield held


class Ranges:
    """Ranges of one window that are read when they are loaded, into buffers that are used again.

    Args:
        read: reads ``(offset, buffer, part)``, all of it.
        buffers: where the buffers are from.
        ranges: ``(offset, length)``, ascending, in one window.
    """

    def __init__(self, read: Read, buffers: Buffers, ranges: list[tuple[int, int]]) -> None:
        self._read = read
        self._buffers = buffers
        self._ranges = ranges
        self._taken: list[memoryview] = []

    def piece(self) -> Piece:
        """The window."""
        return Piece(self._ranges[0][0], sum(self._ranges[-1]), self.load, self.release)

    def load(self) -> list[Part]:
        """Read all of them."""
        for offset, count in self._ranges:
            self._taken.append(self._buffers.take(count))
            self._read(offset, self._taken[-1], "the disk's bytes")
        return [(o, data) for (o, _), data in zip(self._ranges, self._taken, strict=True)]

    def release(self) -> None:
        """The bytes are not needed any more."""
        self._buffers.give_all(self._taken)


class RawSource:
    """A raw disk that can be read at any place; holes by the stream's ``allocated``."""

    seekable = True

    def __init__(self, stream: InputStream) -> None:
        if stream.length is None:
            raise ImageError("the length of the raw disk is not known", remedy="Read it forward")
        self._stream = stream
        self._buffers = Buffers()
        self.capacity = stream.length

    @cached_property
    def allocated(self) -> ExtentMap | None:
        """As the stream tells."""
        found = self._stream.allocated
        return None if found is None else ExtentMap(found.within(0, self.capacity))

    def pieces(self) -> Iterator[Piece]:
        """Windows that are not known to be holes."""
        extents = self.allocated
        for ranges in by_window([(0, self.capacity)] if extents is None else extents):
            yield Ranges(self._fetch, self._buffers, ranges).piece()

    def _fetch(self, offset: int, buffer: memoryview, part: str) -> None:
        fill(self._stream, offset, buffer, part)


class RawForwardSource:
    """A raw disk read once, from first to last byte.

    Args:
        stream: read forward.
        capacity: bytes of the disk, where the stream does not tell its length.
    """

    seekable = False

    def __init__(self, stream: InputStream, capacity: int | None = None) -> None:
        length = stream.length if stream.length is not None else capacity
        if length is None:
            raise ImageError(
                "the size of the raw disk is not known", remedy="Declare the disk's capacity"
            )
        self._stream = stream
        self.capacity = length

    @property
    def allocated(self) -> ExtentMap | None:
        """As the stream tells."""
        found = self._stream.allocated
        return None if found is None else ExtentMap(found.within(0, self.capacity))

    def pieces(self) -> Iterator[Piece]:
        """Every window, its bytes in hand."""
        stream = ForwardBytes(self._stream)
        buffers = Buffers()
        for offset, count in windows(0, self.capacity):
            data = buffers.take(count)
            if stream.readinto(data) < count:
                raise truncated(stream.position, "the disk's bytes")
            load, release = partial(_as_is, offset, data), partial(buffers.give, data)
            yield Piece(offset, offset + count, load, release)
        # A platform that rounds disks up sends zeros behind the declared end.
        stream.expect_padding(ROUNDING)


def _as_is(offset: int, data: memoryview) -> list[Part]:
    return [(offset, data)]


class RawSink:
    """Writes a raw disk.

    FORWARD and SEEK: every byte, zeros included. EXTENTS: what is not zero; the target reads as zero.

    Args:
        output: where to.
        layout: the capacity is what is written, to the byte.
        access: how the output is written.
        kept: what is there already: a raw disk's bytes stand where they stand on the disk.
    """

    def __init__(
        self, output: OutputStream, layout: Layout, access: Access, *, kept: Kept | None = None
    ) -> None:
        self._output = output
        self._access = access
        self._capacity = layout.capacity
        self.position = kept.end if kept else 0

    def encode(self, parts: Sequence[Part]) -> Encoded:
        """The parts; for EXTENTS without the runs of zeros."""
        if self._access is Access.EXTENTS:
            parts = [run for offset, data in parts for run in _filled(offset, data)]
        return Encoded(parts, sum(len(data) for _, data in parts), borrowed=True)

    def put(self, encoded: Encoded) -> None:
        """Write the window, and before it, where zeros count, the zeros that lead to it."""
        for offset, run in _runs(encoded.parts):
            self._fill(offset)
            if self._access is Access.FORWARD:
                write_all(self._output, run)
            else:
                pwrite_all(self._output, offset, run)
            self.position = offset + sum(map(len, run))

    def finish(self) -> None:
        """Write the zeros that are left."""
        self._fill(self._capacity)

    def _fill(self, end: int) -> None:
        while self._access is not Access.EXTENTS and self.position < end:
            zeros = memoryview(_FILL)[: end - self.position]
            if self._access is Access.FORWARD:
                self._output.write(zeros)
            else:
                self._output.pwrite(self.position, zeros)
            self.position += len(zeros)
        self.position = max(self.position, end)


def _runs(parts: Sequence[Part]) -> Iterator[tuple[int, list[Buffer]]]:
    """The parts, put together where one begins where the other ends."""
    run: list[Buffer] = []
    begin = end = 0
    for offset, data in parts:
        if run and offset != end:
            yield begin, run
            run = []
        if not run:
            begin = offset
        run.append(data)
        end = offset + len(data)
    if run:
        yield begin, run


def _filled(offset: int, data: Buffer) -> Iterator[Part]:
    """What of the data is not zeros, in steps of `_SCAN`."""
    if len(data) <= _SCAN and offset // _SCAN == (offset + len(data) - 1) // _SCAN:
        if not is_zero(data):
            yield offset, data
        return
    view = memoryview(data)
    start = -1
    for at in range(-(offset % _SCAN), len(view), _SCAN):
        if not is_zero(view[max(at, 0) : at + _SCAN]):
            start = max(at, 0) if start < 0 else start
        elif start >= 0:
            yield offset + start, view[start:at]
            start = -1
    if start >= 0:
        yield offset + start, view[start:]
