"""Going on in the middle of a disk: what is remembered of how far it is, and how that is proved.

A window of the disk is either on the target as a whole or it is sent again. A point therefore names
the windows that are behind, how far the target's bytes had come with them, and the target's own token.
None of it grows with the disk: what a format has to know of its earlier bytes it reads back from them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar

from kensho_tui.disks.image import (
    PIECE,
    PLAIN,
    Access,
    Encoded,
    ExtentMap,
    Kept,
    Offer,
    Part,
    Piece,
    StaleError,
    WritableBuffer,
)
from kensho_tui.disks.progress import Meter

Json: TypeAlias = Any
W = TypeVar("W")
# What `durable` of a back end's writer gives, and what its `pread` takes.
Durable: TypeAlias = tuple[ExtentMap, Json]


@dataclass(frozen=True, slots=True)
class Point:
    """From here a transfer can go on in another process; all of it is JSON's integers, and a token.

    Attributes:
        position: guest bytes that are behind, whole windows.
        chunk: guest offset of the last window that was written; None: none was.
        end: bytes of the target that are acknowledged; written by offset, the end of the last of them.
        read, written, data, seen: what had been counted (`kensho_tui.disks.progress.Meter`).
        token: for the target's ``open``.
    """

    position: int
    chunk: int | None
    end: int
    read: int
    written: int
    data: int
    seen: int
    token: Json


@dataclass(frozen=True, slots=True)
class Resuming(Generic[W]):
    """How a transfer leaves points behind, and from which one it goes on.

    Attributes:
        keep: told each new point, in the calling thread; after it the point may be relied on.
        durable: what the target has acknowledged, of the open writer. Asked after every window.
        pread: reads back what is kept: ``(writer, offset, buffer)``. Raises what ``blind`` is.
        start: where to go on; the writer was then opened with its token.
        blind: the exception of a target that cannot be read back.
        begun: told once it is sure that the transfer goes on, before anything is written: whether
            what is kept was read back and compared.
    """

    keep: Callable[[Point], None]
    durable: Callable[[W], Durable]
    pread: Callable[[W, int, WritableBuffer], int]
    blind: type[Exception]
    start: Point | None = None
    begun: Callable[[bool], None] = lambda compared: None

    def kept(self, writer: W) -> Kept | None:
        """What is there already of the target."""
        return None if self.start is None else Kept(self.start.end, partial(self.pread, writer))


class Trail(Generic[W]):
    """The points of one transfer: passes over what is behind, and keeps the next ones."""

    def __init__(
        self,
        resuming: Resuming[W],
        writer: W,
        target: Offer,
        encode: Callable[[Sequence[Part]], Encoded],
    ) -> None:
        """Args: writer: open; target: how it is written; encode: what a window becomes there."""
        self._resuming = resuming
        self._writer = writer
        self._target = target
        self._encode = encode
        start = resuming.start
        self._chunk = start.chunk if start else None
        self._begin = start.position if start else 0
        self._kept = start.end if start else 0
        self._compared = False
        self._told = start is None

    def behind(self, piece: Piece) -> bool:
        """Whether the window was dealt with before; the last one written is compared on the way.

        Raises: StaleError: the target does not hold what the source has.
        """
        if piece.offset >= self._begin:
            return False
        if piece.offset // PIECE * PIECE == self._chunk:
            self._compare(piece)
        return True

    def go_on(self) -> None:
        """All that is behind has been passed over: say so, once, before anything is written."""
        start = self._resuming.start
        if self._told or start is None:
            return
        self._told = True
        self._resuming.begun(self._compared)

    def _compare(self, piece: Piece) -> None:
        encoded = self._encode(piece.load())
        if not encoded.parts:
            raise _differs()
        offset, last = encoded.parts[-1]
        raw = self._target.format in PLAIN  # there are gaps between its parts
        expected = bytes(last) if raw else b"".join(data for _, data in encoded.parts)
        if not raw or self._target.access is Access.FORWARD:
            offset = self._kept - len(expected)
        piece.release()
        found = bytearray(len(expected))
        try:
            count = self._resuming.pread(self._writer, offset, found)
        except self._resuming.blind:
            return
        if count < len(expected) or found != expected:
            raise _differs()
        self._compared = True

    def passed(self, piece: Piece, encoded: Encoded, end: int, meter: Meter) -> None:
        """A window was written (or is empty): keep a point if the target has acknowledged all so far.

        Args:
            end: as of `Point`, of what was written.
        """
        if encoded.parts:
            self._chunk = piece.offset // PIECE * PIECE
        acknowledged, token = self._resuming.durable(self._writer)
        if token is None or acknowledged.end != end or end <= self._kept:
            return
        self._kept = end
        position = -(-piece.end // PIECE) * PIECE
        self._resuming.keep(
            Point(
                position,
                self._chunk,
                end,
                read=meter.read,
                written=meter.written,
                data=meter.data,
                seen=meter.seen,
                token=token,
            )
        )


def _differs() -> StaleError:
    return StaleError("what is on the target is not what the source has")
