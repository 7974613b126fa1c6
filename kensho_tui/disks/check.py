"""Whether a disk image holds together: its tables, and what they name, all of it."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from kensho_tui.cancel import Cancel
from kensho_tui.disks.bounds import expect_ratio
from kensho_tui.disks.formats import open_image
from kensho_tui.disks.image import Format, Image, ImageError, Part, Piece, Source, is_zero
from kensho_tui.disks.progress import processors

_AHEAD = 4  # windows that are loaded beside each other, for each thread
MOST = 20  # problems that are told; more of them are counted


@dataclass(slots=True)
class Checked:
    """What was found; bytes.

    Attributes:
        capacity: guest-visible; None where the image cannot be opened.
        allocated: where there may be data, told by the tables; None where they do not tell.
        data: of that, what was looked at and is not zero; None where only tables were looked at.
        problems: what is wrong and where, in the disk's order, the first `MOST` of them.
        more: problems beyond those.
        leaked: of the file, counted as in use and named by nothing; None where the format counts nothing.
    """

    capacity: int | None = None
    allocated: int | None = None
    data: int | None = None
    problems: list[ImageError] = field(default_factory=list)
    more: int = 0
    leaked: int | None = None

    def add(self, problem: ImageError) -> None:
        """One more problem."""
        if len(self.problems) < MOST:
            self.problems.append(problem)
        else:
            self.more += 1


def check(
    image: Image,
    *,
    tables_only: bool = False,
    cancel: Cancel | None = None,
    threads: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Checked:
    """Walk all tables of an image, and read and inflate all that they name.

    What is wrong in one window does not end it: the others are looked at too. What is wrong in tables
    that the rest depends on does.

    Args:
        image: its stream stays open.
        tables_only: leave the data alone.
        cancel: ends it.
        threads: for reading and inflating; None: as many as there are processors.
        progress: told now and then: guest bytes behind, and all of them.

    Raises: CancelledError: it was cancelled. Others: what reading the stream raises.
    """
    cancel = cancel or Cancel()
    found = Checked()
    try:
        source = open_image(image)
        found.capacity = source.capacity
        allocated = source.allocated
        found.allocated = None if allocated is None else allocated.total
        if allocated is not None and not image.parents and image.stream.length is not None:
            expect_ratio(image.stream.length, allocated.total)
        if not tables_only:
            found.data = 0
            _read(source, found, cancel, threads or processors(), progress)
        if image.offer.format is Format.QCOW2:
            from kensho_tui.disks.qcow2_counts import check_counts

            found.leaked = check_counts(image.stream, found.add, cancel)
    except ImageError as problem:
        found.add(problem)
    return found


def _read(
    source: Source,
    found: Checked,
    cancel: Cancel,
    threads: int,
    progress: Callable[[int, int], None],
) -> None:
    data = 0
    with ThreadPoolExecutor(threads) as pool:
        for piece, loading in _loading(source, pool, threads * _AHEAD):
            cancel.check()
            try:
                data += loading.result()
            except ImageError as problem:
                found.add(problem)
            found.data = data
            progress(piece.end, source.capacity)


def _loading(
    source: Source, pool: ThreadPoolExecutor, most: int
) -> "Iterator[tuple[Piece, Future[int]]]":
    """Windows while they are loaded, some ahead of the one that is given."""
    waiting: deque[tuple[Piece, Future[int]]] = deque()
    pieces, damage = source.pieces(), None
    while True:
        try:
            piece = next(pieces, None)
        except ImageError as error:  # said when what was right before it is counted
            piece, damage = None, error
        if piece is None:
            break
        waiting.append((piece, pool.submit(_look, piece)))
        if len(waiting) >= most:
            yield waiting.popleft()
    yield from waiting
    if damage is not None:
        raise damage


def _look(piece: Piece) -> int:
    """Load a window; its bytes that are not in parts of zeros. Raises: ImageError: it is damaged."""
    parts: list[Part] = list(piece.load())
    count = sum(len(data) for _, data in parts if not is_zero(data))
    piece.release()
    return count
