"""The words of disk images: formats, extents, what a stream can do and what it needs.

Formats know nothing of networks and back ends know nothing of formats beyond their names; both
speak in the types of this page. `kensho_tui.disks.copy` is the only place where bytes move.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Protocol, TypeAlias, runtime_checkable
from uuid import UUID

from kensho_tui.errors import KenshoError

# collections.abc.Buffer came with Python 3.12; these are the buffers that occur here.
Buffer: TypeAlias = bytes | bytearray | memoryview
WritableBuffer: TypeAlias = bytearray | memoryview


class Format(StrEnum):
    """A disk image format, by the name the command line uses."""

    VMDK_STREAM = "vmdk"  # VMDK 5.0, createType streamOptimized
    VMDK_SPARSE = "vmdk-sparse"  # VMDK 5.0, createType monolithicSparse
    VHD = "vhd"  # VHD 1.0; written as a dynamic one
    VHD_FIXED = "vhd-fixed"  # VHD 1.0, fixed
    RAW = "raw"
    VHDX = "vhdx"  # written as a dynamic one
    VHDX_FIXED = "vhdx-fixed"
    QCOW2 = "qcow2"


# Formats in which the disk's bytes stand one behind the other, as they stand on the disk.
PLAIN = frozenset({Format.RAW, Format.VHD_FIXED, Format.VHDX_FIXED})

# Formats whose tables may stand anywhere: they are not read from their first byte to their last.
SCATTERED = frozenset({Format.QCOW2, Format.VMDK_SPARSE})


class Access(Enum):
    """How the bytes of a stream can be reached.

    FORWARD: once, from the first to the last (``readinto``, ``write``).
    SEEK: any byte at any time (``pread``, ``pwrite``); every byte is part of the image.
    EXTENTS: any byte at any time, and what is never written reads as zero (sparse).
    """

    FORWARD = "forward"
    SEEK = "seek"
    EXTENTS = "extents"


class Need(Enum):
    """What a target must be told before its first byte."""

    LENGTH = "length"
    ALLOCATION = "allocation"


@dataclass(frozen=True, slots=True)
class Offer:
    """One way a disk can be read or written: a format, an access, and what must be known first.

    ``compressed``: of a target, whether to deflate where the format leaves that open (QCOW2).
    ``identity``: of a target, what the image is known by inside; None: by chance, and by the time.
    """

    format: Format
    access: Access
    needs: frozenset[Need] = frozenset()
    compressed: bool = False
    identity: UUID | None = field(default=None, compare=False)


class ImageError(KenshoError):
    """A disk image is damaged, hostile, or of a kind that is not supported."""


class StaleError(ImageError):
    """A disk cannot go on where it stopped: what is kept of it, or its source, is not what it was.

    Nothing is lost by it: the disk can be begun anew.
    """


class ExtentMap:
    """Sorted, disjoint, coalesced byte ranges of a disk that may hold data; all else reads as zero.

    Immutable. ``ExtentMap([(0, 65536), (65536, 512)])`` is one range.
    """

    __slots__ = ("_ends", "_starts")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        """Args: ranges: ``(offset, length)`` pairs in bytes, any order, overlaps merged.

        Raises: ValueError: a negative offset or length.
        """
        starts: list[int] = []
        ends: list[int] = []
        for offset, length in sorted(ranges):
            if offset < 0 or length < 0:
                raise ValueError(f"no extent: offset {offset}, length {length}")
            if not length:
                continue
            if ends and offset <= ends[-1]:
                ends[-1] = max(ends[-1], offset + length)
            else:
                starts.append(offset)
                ends.append(offset + length)
        self._starts = starts
        self._ends = ends

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """The ranges as ``(offset, length)``, ascending."""
        return ((s, e - s) for s, e in zip(self._starts, self._ends, strict=True))

    def __len__(self) -> int:
        """How many ranges."""
        return len(self._starts)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ExtentMap):
            return NotImplemented
        return self._starts == other._starts and self._ends == other._ends

    def __hash__(self) -> int:
        return hash((tuple(self._starts), tuple(self._ends)))

    def __repr__(self) -> str:
        return f"ExtentMap({list(self)!r})"

    @property
    def total(self) -> int:
        """Bytes in all ranges together."""
        return sum(self._ends) - sum(self._starts)

    @property
    def end(self) -> int:
        """The first byte after the last range; 0 for an empty map."""
        return self._ends[-1] if self._ends else 0

    def overlaps(self, offset: int, length: int) -> bool:
        """Whether any byte of the range is in the map."""
        i = bisect_right(self._starts, offset)
        if i and self._ends[i - 1] > offset and length > 0:
            return True
        return i < len(self._starts) and self._starts[i] < offset + length

    def within(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        """The parts of the map inside the range, as ``(offset, length)``, ascending."""
        end = offset + length
        i = max(0, bisect_right(self._starts, offset) - 1)
        while i < len(self._starts) and self._starts[i] < end:
            low, high = max(self._starts[i], offset), min(self._ends[i], end)
            if low < high:
                yield low, high - low
            i += 1

    def aligned(self, block: int) -> "ExtentMap":
        """The map grown so that every range starts and ends on a multiple of ``block`` bytes."""
        return ExtentMap(
            (s // block * block, -(-e // block) * block - s // block * block)
            for s, e in zip(self._starts, self._ends, strict=True)
        )


@runtime_checkable
class InputStream(Protocol):
    """The bytes of an image file or of a sparse disk, as a back end hands them over.

    ``length`` is in bytes and None where the other end does not tell. ``allocated`` is the map of
    ranges that may hold data where the stream is the disk itself (RAW) and the source can tell.
    """

    @property
    def length(self) -> int | None: ...
    @property
    def allocated(self) -> ExtentMap | None: ...
    def readinto(self, buffer: WritableBuffer, /) -> int:
        """Read forward into the buffer; bytes read, 0 at the end. FORWARD streams, one thread."""
        ...

    def pread(self, offset: int, buffer: WritableBuffer, /) -> int:
        """Read at the offset; bytes read, short only at the end. Not FORWARD. Thread-safe."""
        ...

    def close(self) -> None:
        """Give up; from any thread. A read that is under way ends with an error."""
        ...


@dataclass(frozen=True, slots=True)
class Image:
    """A disk image: its stream, the format and access it is read by, and its parents, nearest first."""

    stream: InputStream
    offer: Offer
    parents: "Sequence[Image]" = ()


@runtime_checkable
class OutputStream(Protocol):
    """Where an image file or a sparse disk is written, as a back end hands it over.

    What is written is the caller's again as soon as the call returns: keep a copy, not the buffer.
    """

    def write(self, data: Buffer, /) -> None:
        """Append the bytes, all of them. FORWARD streams, one thread."""
        ...

    def pwrite(self, offset: int, data: Buffer, /) -> None:
        """Write the bytes at the offset, all of them. Not FORWARD. One thread at a time."""
        ...

    def close(self) -> None:
        """Give up; from any thread. A write that is under way ends with an error."""
        ...


@runtime_checkable
class Gathering(Protocol):
    """What an `OutputStream` may be besides: many buffers go to it in one call, and none is copied."""

    def writev(self, parts: Sequence[Buffer], /) -> None:
        """Append the buffers, one behind the other."""
        ...

    def pwritev(self, offset: int, parts: Sequence[Buffer], /) -> None:
        """Write the buffers at the offset, one behind the other."""
        ...


def write_all(output: OutputStream, parts: Sequence[Buffer]) -> None:
    """Append the buffers in one call."""
    if isinstance(output, Gathering):
        output.writev(parts)
    else:
        output.write(parts[0] if len(parts) == 1 else b"".join(parts))


def pwrite_all(output: OutputStream, offset: int, parts: Sequence[Buffer]) -> None:
    """Write the buffers, one behind the other, in one call."""
    if isinstance(output, Gathering):
        output.pwritev(offset, parts)
    else:
        output.pwrite(offset, parts[0] if len(parts) == 1 else b"".join(parts))


# ---------------------------------------------------------------- between formats, inside this room

# Disks move in windows of this many bytes (2 MiB), aligned: the block of a dynamic VHD, 32 grains of
# a VMDK. Small enough that a few dozen in flight fit in memory, large enough that Python's share is small.
PIECE = 1 << 21
SECTOR = 512
ROUNDING = 2 << 20  # bytes a platform may have rounded a disk up by (VHD repositories: 2 MiB)
MAX_CAPACITY = (
    64 << 40
)  # vSphere's largest disk is 62 TiB; beyond it a header is damaged or hostile

# What to do about most of what can be wrong with an image.
DAMAGED = "The file is damaged: get it again"

# A run of guest bytes: ``(offset, data)``.
Part: TypeAlias = tuple[int, Buffer]


@dataclass(frozen=True, slots=True)
class Piece:
    """What a source holds in one window of the disk.

    Attributes:
        offset: guest offset of the first byte that may hold data.
        end: guest offset behind the last one; ``offset`` and ``end - 1`` lie in the same window.
        load: gives the data as parts, ascending, disjoint, inside ``offset … end``; what is in none
            of them is zero. Thread-safe, may read and inflate, is called at most once.
        release: called at most once, when nobody looks at the parts any more: their memory is reused.
    """

    offset: int
    end: int
    load: Callable[[], Sequence[Part]]
    release: Callable[[], None] = lambda: None


class Source(Protocol):
    """A disk image being read: guest-visible data in ascending order."""

    @property
    def capacity(self) -> int:
        """Guest-visible bytes."""
        ...

    @property
    def seekable(self) -> bool:
        """Whether `pieces` may be asked for more than once."""
        ...

    @property
    def allocated(self) -> ExtentMap | None:
        """Where there may be data, told by metadata alone; None where only reading can tell."""
        ...

    def pieces(self) -> Iterator[Piece]:
        """The windows that may hold data, ascending, each at most once. One thread.

        The last step of the iteration checks what stands behind the data (footers, markers).
        """
        ...


@dataclass(frozen=True, slots=True)
class Layout:
    """What is settled about an image before its first byte is written.

    Attributes:
        capacity: guest-visible bytes.
        length: exact bytes of the image; None where only writing it can tell.
        allocation: where data may come; a sink that needs it refuses data elsewhere.
    """

    capacity: int
    length: int | None = None
    allocation: ExtentMap | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """What is there already of an image that is gone on with.

    Attributes:
        end: bytes of the image that are kept; where it is written by offset, the end of the last of them.
        pread: reads them back at an offset into a buffer; bytes read, short only at the end.
    """

    end: int
    pread: Callable[[int, WritableBuffer], int]


@dataclass(frozen=True, slots=True)
class Encoded:
    """One window in a sink's format: ``(offset, bytes of the image)``, ascending.

    The offset is the guest's, and of formats of `PLAIN` the place in the image.

    Attributes:
        guest: guest bytes it stands for; what was found empty is not counted.
        borrowed: the parts are the source's own memory, which has to stay until they are written.
    """

    parts: Sequence[Part]
    guest: int
    borrowed: bool = False


class Sink(Protocol):
    """A disk image being written."""

    @property
    def position(self) -> int:
        """Guest bytes that are done: all before it is written, or empty for good."""
        ...

    def encode(self, parts: Sequence[Part]) -> Encoded:
        """All data of one window in the sink's format. Pure; called in worker threads."""
        ...

    def put(self, encoded: Encoded) -> None:
        """Write one window. Ascending; one thread."""
        ...

    def finish(self) -> None:
        """Write what stands behind the data: tables, footers, the zeros that are left."""
        ...


def gather(ranges: Iterable[tuple[int, int]], most: int = 1 << 16) -> ExtentMap:
    """An `ExtentMap` of ascending ranges in bounded memory.

    Args:
        ranges: ``(offset, length)``, ascending.
        most: how many ranges to keep apart; with more, the map gets coarser (whole windows, then
            two, four … of them): it then names more than was given, never less.
    """
    kept: list[tuple[int, int]] = []
    grain = 1
    for offset, length in ranges:
        start, end = offset // grain * grain, -(-(offset + length) // grain) * grain
        if kept and start <= kept[-1][1]:
            kept[-1] = (kept[-1][0], max(end, kept[-1][1]))
            continue
        kept.append((start, end))
        while len(kept) > most:
            grain = max(PIECE, grain * 2)
            coarse = ExtentMap((s, e - s) for s, e in kept).aligned(grain)
            kept = [(s, s + n) for s, n in coarse]
    return ExtentMap((s, e - s) for s, e in kept)


_ZEROS = bytes(PIECE)
_SAMPLE = 64


def is_zero(data: Buffer) -> bool:
    """Whether all bytes are zero; what is not is mostly found out by its first bytes.

    Views are copied to be compared: comparing a view itself costs thirty times as much.
    """
    if bytes(data[:_SAMPLE]) != _ZEROS[: min(_SAMPLE, len(data))]:
        return False
    whole = bytes(data) if isinstance(data, memoryview) else data
    return whole == (_ZEROS if len(whole) == PIECE else _ZEROS[: len(whole)])


def unplanned(offset: int) -> ImageError:
    """The error of a source that has data where its allocation had none."""
    return ImageError(
        f"there is data at byte {offset}, where the disk said there was none",
        remedy="The source changed while it was read: start again",
        retryable=True,
    )


def covered(parts: Sequence[Part], start: int, length: int) -> list[Part]:
    """The parts, which lie in the range, and between them zeros: all of the range. Nothing is copied."""
    whole: list[Part] = []
    done, end = start, start + length
    for offset, data in [*parts, (end, b"")]:
        if offset > done:
            whole.append((done, memoryview(_ZEROS)[: offset - done]))
        if len(data):
            whole.append((offset, data))
        done = offset + len(data)
    return whole


def units(parts: Sequence[Part], unit: int) -> Iterator[Part]:
    """The parts cut and zero-filled into aligned units of ``unit`` bytes; untouched units are left out."""
    filling: tuple[int, bytearray] | None = None
    for offset, data in parts:
        view = memoryview(data)
        done = 0
        while done < len(view):
            at = offset + done
            start = at // unit * unit
            count = min(start + unit - at, len(view) - done)
            if filling is not None and filling[0] != start:
                yield filling
                filling = None
            if count == unit:
                yield start, data if count == len(view) else view[done : done + count]
            else:
                if filling is None:
                    filling = (start, bytearray(unit))
                filling[1][at - start : at - start + count] = view[done : done + count]
            done += count
    if filling is not None:
        yield filling
