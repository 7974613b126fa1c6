"""The words of disk images: formats, extents, what a stream can do and what it needs.

Formats know nothing of networks and back ends know nothing of formats beyond their names; both
speak in the types of this page. `kensho_tui.disks.copy` is the only place where bytes move.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Protocol, TypeAlias, runtime_checkable

from kensho_tui.errors import KenshoError

# collections.abc.Buffer came with Python 3.12; these are the buffers that occur here.
Buffer: TypeAlias = bytes | bytearray | memoryview
WritableBuffer: TypeAlias = bytearray | memoryview


class Format(StrEnum):
    """A disk image format, by the name the command line uses."""

    VMDK_STREAM = "vmdk"  # VMDK 5.0, createType streamOptimized
    VHD = "vhd"  # VHD 1.0, dynamic
    RAW = "raw"
    VHDX = "vhdx"
    QCOW2 = "qcow2"


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
    """One way a disk can be read or written: a format, an access, and what must be known first."""

    format: Format
    access: Access
    needs: frozenset[Need] = frozenset()


class ImageError(KenshoError):
    """A disk image is damaged, hostile, or of a kind that is not supported."""


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


@runtime_checkable
class OutputStream(Protocol):
    """Where an image file or a sparse disk is written, as a back end hands it over."""

    def write(self, data: Buffer, /) -> None:
        """Append the bytes, all of them. FORWARD streams, one thread."""
        ...

    def pwrite(self, offset: int, data: Buffer, /) -> None:
        """Write the bytes at the offset, all of them. Not FORWARD. One thread at a time."""
        ...

    def close(self) -> None:
        """Give up; from any thread. A write that is under way ends with an error."""
        ...
