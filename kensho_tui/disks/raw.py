"""Raw disks: every byte is the disk's own. Holes are known, found by looking, or written as zeros."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, partial

from kensho_tui.disks.forward import ForwardBytes, truncated
from kensho_tui.disks.image import (
    PIECE,
    ROUNDING,
    Access,
    Encoded,
    ExtentMap,
    ImageError,
    InputStream,
    Layout,
    OutputStream,
    Part,
    Piece,
)

_SCAN = 1 << 16  # zeros are looked for in runs of this many bytes
_ZEROS = bytes(_SCAN)
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


class RawSource:
    """A raw disk that can be read at any place; holes by the stream's ``allocated``."""

    seekable = True

    def __init__(self, stream: InputStream) -> None:
        if stream.length is None:
            raise ImageError("the length of the raw disk is not known", remedy="Read it forward")
        self._stream = stream
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
            yield Piece(ranges[0][0], sum(ranges[-1]), partial(self._load, ranges))

    def _load(self, ranges: list[tuple[int, int]]) -> list[Part]:
        parts: list[Part] = []
        for offset, count in ranges:
            data = bytearray(count)
            got = self._stream.pread(offset, data)
            if got < count:
                raise truncated(offset + got, "the disk")
            parts.append((offset, data))
        return parts


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
        for offset, count in windows(0, self.capacity):
            data = stream.read(count, "the disk")
            yield Piece(offset, offset + count, partial(_as_is, offset, data))
        # A platform that rounds disks up sends zeros behind the declared end.
        stream.expect_padding(ROUNDING)


def _as_is(offset: int, data: bytearray) -> list[Part]:
    return [(offset, data)]


class RawSink:
    """Writes a raw disk.

    FORWARD and SEEK: every byte, zeros included. EXTENTS: what is not zero; the target reads as zero.

    Args:
        output: where to.
        layout: the capacity is what is written, to the byte.
        access: how the output is written.
    """

    def __init__(self, output: OutputStream, layout: Layout, access: Access) -> None:
        self._output = output
        self._access = access
        self._capacity = layout.capacity
        self.position = 0

    def encode(self, parts: Sequence[Part]) -> Encoded:
        """The parts; for EXTENTS without the runs of zeros, neighbours joined."""
        if self._access is not Access.EXTENTS:
            return Encoded(parts, sum(len(data) for _, data in parts))
        runs: list[tuple[int, list[bytes | bytearray]]] = []
        end = -1
        for offset, data in _cut(parts):
            if data == (_ZEROS if len(data) == _SCAN else bytes(len(data))):
                continue
            if offset == end:
                runs[-1][1].append(data)
            else:
                runs.append((offset, [data]))
            end = offset + len(data)
        joined = [(offset, run[0] if len(run) == 1 else b"".join(run)) for offset, run in runs]
        return Encoded(joined, sum(len(data) for _, data in joined))

    def put(self, encoded: Encoded) -> None:
        """Write the window, and before it, where zeros count, the zeros that lead to it."""
        for offset, data in encoded.parts:
            self._fill(offset)
            if self._access is Access.FORWARD:
                self._output.write(data)
            else:
                self._output.pwrite(offset, data)
            self.position = offset + len(data)

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


def _cut(parts: Sequence[Part]) -> Iterator[tuple[int, bytes | bytearray]]:
    """The parts cut at multiples of `_SCAN`; ``bytes``, because they compare faster than views."""
    for offset, data in parts:
        view = memoryview(data)
        done = 0
        while done < len(view):
            count = min(_SCAN - (offset + done) % _SCAN, len(view) - done)
            if count == len(view) and not isinstance(data, memoryview):
                yield offset, data
            else:
                yield offset + done, bytes(view[done : done + count])
            done += count
