"""A disk that holds only the difference to its parent, seen together with it.

No format is known here: a child says of each window what it has and what it hides of the parent, which
is any `Source`; parents of parents are put together in the same way.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from kensho_tui.disks.image import PIECE, ExtentMap, Part, Piece, Source, gather

# Guest ranges, ``(offset, length)``, ascending and disjoint.
Ranges: TypeAlias = Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Layer:
    """What a child holds in one window of the disk.

    Attributes:
        offset, end: guest offsets between which it holds or hides anything.
        load: gives its data as of `Piece`, and the ranges of the parent that are hidden by it: its
            data, and what is zero without being stored. Called at most once.
        release: as of `Piece`.
        hides_only: it has no data of its own.
    """

    offset: int
    end: int
    load: Callable[[], tuple[Sequence[Part], Ranges]]
    release: Callable[[], None] = lambda: None
    hides_only: bool = False


def allocated_over(own: ExtentMap, parent: Source | None, capacity: int) -> ExtentMap | None:
    """Where a child or its parent may have data; None where the parent cannot tell."""
    if parent is None:
        return own
    below = parent.allocated
    return None if below is None else gather(sorted([*own, *below.within(0, capacity)]))


def over(layers: Iterator[Layer], parent: Iterator[Piece], capacity: int) -> Iterator[Piece]:
    """The windows of the child and its parent together, ascending.

    Args:
        layers: of the child, ascending, one a window at most.
        parent: its pieces. What they have behind the child's end is not seen.
        capacity: of the child in bytes.
    """
    layer, piece = next(layers, None), _before(next(parent, None), capacity)
    while layer is not None or piece is not None:
        window = min(each.offset // PIECE for each in (layer, piece) if each is not None)
        upper = layer if layer is not None and layer.offset // PIECE == window else None
        lower = piece if piece is not None and piece.offset // PIECE == window else None
        if upper is not None:
            layer = next(layers, None)
        if lower is not None:
            piece = _before(next(parent, None), capacity)
        if lower is not None or (upper is not None and not upper.hides_only):
            yield _joined(upper, lower, capacity)


def _before(piece: Piece | None, capacity: int) -> Piece | None:
    return None if piece is None or piece.offset >= capacity else piece


def _joined(upper: Layer | None, lower: Piece | None, capacity: int) -> Piece:
    both = [each for each in (upper, lower) if each is not None]

    def release() -> None:
        for each in both:
            each.release()

    return Piece(
        min(each.offset for each in both),
        min(capacity, max(each.end for each in both)),
        partial(_load, upper, lower, capacity),
        release,
    )


def _load(upper: Layer | None, lower: Piece | None, capacity: int) -> Sequence[Part]:
    parts, hidden = upper.load() if upper is not None else ((), ())
    if lower is None:
        return parts
    below = outside(lower.load(), [*hidden, (capacity, max(0, lower.end - capacity))])
    return sorted([*parts, *below], key=lambda part: part[0])


def outside(parts: Sequence[Part], hidden: Ranges) -> Iterator[Part]:
    """What of the parts lies in none of the ranges; both ascending."""
    for offset, data in parts:
        view, at, end = memoryview(data), offset, offset + len(data)
        for start, length in hidden:
            if start >= end:
                break
            if start > at:
                yield at, view[at - offset : start - offset]
            at = max(at, start + length)
        if at == offset:
            yield offset, data
        elif at < end:
            yield at, view[at - offset :]
