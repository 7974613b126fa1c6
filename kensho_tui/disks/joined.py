"""Several streams that follow one another, as one: chunks of a file, extents of a disk."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import accumulate

from kensho_tui.disks.image import ExtentMap, ImageError, InputStream, WritableBuffer, gather


class JoinedInput:
    """An `InputStream` of streams that are read by offset, one behind the other.

    Args:
        parts: bytes of each, and the stream, which is closed with this one; None: so many zeros.
    """

    def __init__(self, parts: Sequence[tuple[int, InputStream | None]]) -> None:
        self._parts = tuple(part for _, part in parts)
        self._starts = list(accumulate((length for length, _ in parts), initial=0))
        self.length = self._starts.pop()
        self._position = 0

    @cached_property
    def allocated(self) -> ExtentMap | None:
        """What the parts have as data; None where one of them cannot tell."""
        maps = [ExtentMap() if part is None else part.allocated for part in self._parts]
        return _shifted(self._starts, maps)

    def readinto(self, buffer: WritableBuffer, /) -> int:
        """Read forward; bytes read, 0 at the end. One thread."""
        count = self.pread(self._position, buffer)
        self._position += count
        return count

    def pread(self, offset: int, buffer: WritableBuffer, /) -> int:
        """Read at the offset; bytes read, short only at the end. Thread-safe.

        Raises: ImageError: a part ends before it should. Others: what reading a part raises.
        """
        view = memoryview(buffer)[: max(0, self.length - offset)]
        for at, count, part, inside in self._within(offset, len(view)):
            some = view[at : at + count]
            if part is None:
                some[:] = bytes(count)
            elif part.pread(inside, some) < count:
                raise ImageError(
                    "a part of the disk ends before it should",
                    remedy="One of its files is truncated: get it again",
                )
        return len(view)

    def _within(
        self, offset: int, length: int
    ) -> Iterator[tuple[int, int, InputStream | None, int]]:
        """``(place in the buffer, bytes, part, offset in the part)`` of a range of the whole."""
        done = 0
        while done < length:
            index = bisect_right(self._starts, offset + done) - 1
            end = self._starts[index + 1] if index + 1 < len(self._starts) else self.length
            count = min(end - offset - done, length - done)
            yield done, count, self._parts[index], offset + done - self._starts[index]
            done += count

    def close(self) -> None:
        """Close all parts; from any thread, twice is once."""
        for part in self._parts:
            if part is not None:
                part.close()


def _shifted(starts: Sequence[int], maps: Sequence[ExtentMap | None]) -> ExtentMap | None:
    known = [found for found in maps if found is not None]
    if len(known) < len(maps):
        return None
    return gather(
        (start + offset, length)
        for start, found in zip(starts, known, strict=True)
        for offset, length in found
    )
