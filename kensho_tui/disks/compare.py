"""Whether two disk images of any formats show a guest the same bytes."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from kensho_tui.cancel import Cancel
from kensho_tui.disks.formats import open_image
from kensho_tui.disks.image import PIECE, Image, Part, Piece, Source
from kensho_tui.disks.progress import processors

_AHEAD = 3
_ZEROS = bytes(PIECE)


def first_difference(
    one: Image,
    other: Image,
    *,
    capacity: int | None = None,
    cancel: Cancel | None = None,
    threads: int | None = None,
) -> int | None:
    """The first guest-visible byte in which two images differ.

    Compared is up to ``capacity``, or up to the end of the smaller one. What lies behind the smaller
    one's end is not looked at: compare the capacities (`capacity_of`) where that matters.

    Args:
        one, other: the images; their streams stay open.
        capacity: bytes to compare; None: the smaller image's.
        cancel: ends the comparison.
        threads: for inflating; None: as many as there are processors.

    Returns: the offset in bytes, None where they are equal.

    Raises: ImageError: one of them is damaged. CancelledError: it was cancelled.
    """
    cancel = cancel or Cancel()
    a, b = open_image(one), open_image(other)
    end = min(a.capacity, b.capacity) if capacity is None else capacity
    with ThreadPoolExecutor(threads or processors()) as pool:
        left, right = _loaded(a, end, pool), _loaded(b, end, pool)
        x, y = next(left, None), next(right, None)
        while x is not None or y is not None:
            cancel.check()
            # The window that comes first in either; the other one has zeros there.
            window = min(each[0] for each in (x, y) if each is not None)
            parts_x: Sequence[Part] = ()
            parts_y: Sequence[Part] = ()
            if x is not None and x[0] == window:
                parts_x, x = x[1].result(), next(left, None)
            if y is not None and y[0] == window:
                parts_y, y = y[1].result(), next(right, None)
            found = _differ(window * PIECE, min(PIECE, end - window * PIECE), parts_x, parts_y)
            if found is not None:
                return found
    return None


def capacity_of(image: Image) -> int:
    """Guest-visible bytes. Raises: ImageError: the image is damaged."""
    return open_image(image).capacity


_Loaded = tuple[int, "Future[Sequence[Part]]"]


def _loaded(source: Source, end: int, pool: ThreadPoolExecutor) -> Iterator[_Loaded]:
    """Windows before ``end`` by number, some of them loading ahead."""
    waiting: deque[_Loaded] = deque()

    def load(piece: Piece) -> Sequence[Part]:
        return piece.load()

    try:
        for piece in source.pieces():
            if piece.offset >= end:
                if source.seekable:
                    break
                continue
            waiting.append((piece.offset // PIECE, pool.submit(load, piece)))
            if len(waiting) > _AHEAD:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
    finally:
        for _, future in waiting:
            future.cancel()


def _differ(start: int, length: int, one: Sequence[Part], other: Sequence[Part]) -> int | None:
    a, b = _flat(start, length, one), _flat(start, length, other)
    if a == b:
        return None
    low, high = 0, length
    # Halving by equality of slices is quicker than a walk over bytes.
    while high - low > 1:
        middle = (low + high) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle
    return start + low


def _flat(start: int, length: int, parts: Sequence[Part]) -> bytes | bytearray:
    if not parts:
        return _ZEROS[:length]
    window = bytearray(length)
    for offset, data in parts:
        at = offset - start
        piece = memoryview(data)[: max(0, length - at)]
        window[at : at + len(piece)] = piece
    return window
