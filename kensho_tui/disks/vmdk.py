"""VMDK 5.0 streamOptimized: the disk format of OVF packages, read by its tables.

Specification: "Virtual Disk Format 5.0" (VMware, 2011), "Stream-Optimized Compressed Sparse Extents".
Grains are zlib streams behind markers, in ascending order; tables stand behind the grains (their place is
in the footer) or, as qemu-img makes it, before them (their place is in the header). Both can be read with
seeks, by the tables, or forward, by the markers; either way markers and tables must tell the same.
"""

from array import array
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from typing import TypeAlias

from kensho_tui.disks.buffers import Buffers
from kensho_tui.disks.codec import inflate
from kensho_tui.disks.forward import fetch, truncated
from kensho_tui.disks.image import (
    DAMAGED,
    PIECE,
    SECTOR,
    Buffer,
    ExtentMap,
    ImageError,
    InputStream,
    Part,
    Piece,
    gather,
)
from kensho_tui.disks.numbers import numbers
from kensho_tui.disks.vmdk_structs import (
    END_OF_STREAM,
    ENTRIES,
    FOOTER,
    GRAIN_MARKER,
    GRAIN_MARKER_BYTES,
    MARKER,
    TABLE_BYTES,
    Header,
    check_descriptor,
    check_footer,
    most_stored,
    padded,
)

_MOST_MARKERS = 1 << 17  # in a row without a grain: tables of zeros only, in the largest disk
PADDING = 1 << 20  # zeros that may follow the end: qemu-img pads to a grain

# A grain's number and the sector its marker is in.
Entry: TypeAlias = tuple[int, int]
# A grain's number and its bytes as they are stored.
Grain: TypeAlias = tuple[int, Buffer]
Fetch: TypeAlias = Callable[[int, int, str], Buffer]


def read_tables(
    header: Header, directory: int, fetch: Fetch, end: int
) -> Iterator[tuple[int, "array[int]"]]:
    """Every grain table that is there: its number and its entries.

    Args:
        directory: sector of the grain directory.
        fetch: reads ``(offset, length, part)``.
        end: bytes of the file (or of what is held of it): nothing may lie behind.
    """

    def entries_at(offset: int, length: int, part: str) -> "array[int]":
        if offset + length > end or not offset:
            raise ImageError(f"the VMDK's {part} lies outside the file", remedy=DAMAGED)
        return numbers(fetch(offset, length, part), "I", "little")

    entries = entries_at(directory * SECTOR, header.tables * 4, "grain directory")
    for number, sector in enumerate(entries):
        if sector:
            table = entries_at(sector * SECTOR, TABLE_BYTES, f"grain table {number}")
            if any(table):
                yield number, table


def grains_by_window(
    header: Header, tables: Iterator[tuple[int, "array[int]"]], end: int
) -> Iterator[list[Entry]]:
    """The grains of each window, ascending; checks what tables alone can tell wrong."""
    grains = -(-header.capacity // header.grain)
    per_window = PIECE // header.grain_bytes
    last = 0
    for number, table in tables:
        for start in range(0, ENTRIES, per_window):
            window = []
            for index, sector in enumerate(table[start : start + per_window], start):
                if sector < 2:  # 0: never written, 1: zeros
                    continue
                grain = number * ENTRIES + index
                if grain >= grains:
                    raise ImageError(
                        f"the VMDK has grain {grain}, but its capacity ends at {grains}",
                        remedy=DAMAGED,
                    )
                if sector < header.overhead or sector * SECTOR >= end:
                    raise ImageError(
                        f"the VMDK's grain {grain} lies outside the file (sector {sector})",
                        remedy="The file is truncated or damaged: get it again",
                    )
                if sector <= last:
                    raise ImageError(
                        f"the VMDK's grain {grain} lies before the one it follows (sector {sector})",
                        remedy=DAMAGED,
                    )
                last = sector
                window.append((grain, sector))
            if window:
                yield window


def grain_extents(header: Header, windows: Iterator[list[Entry]]) -> Iterator[tuple[int, int]]:
    capacity = header.capacity * SECTOR
    for window in windows:
        for grain, _ in window:
            offset = grain * header.grain_bytes
            yield offset, min(header.grain_bytes, capacity - offset)


def inflate_grain(header: Header, grain: int, data: Buffer) -> Part:
    """The grain's part of the disk. The last one may be stored short."""
    offset = grain * header.grain_bytes
    wanted = min(header.grain_bytes, header.capacity * SECTOR - offset)
    try:
        plain = inflate(data, header.grain_bytes)
    except ImageError as error:
        raise ImageError(f"VMDK grain {grain}: {error.what}", remedy=error.remedy) from error
    if len(plain) < wanted:
        raise ImageError(
            f"VMDK grain {grain} inflates to {len(plain)} bytes, not {wanted}", remedy=DAMAGED
        )
    return offset, plain if len(plain) == wanted else plain[:wanted]


def check_deflated(grain: int, data: Buffer) -> None:
    """Raise `ImageError` unless the data begins as a zlib stream does (RFC 1950, 2.2)."""
    method, flags = data[0], data[1] if len(data) > 1 else 0
    if method & 0x0F != 8 or (method << 8 | flags) % 31 or flags & 0x20:
        raise ImageError(f"VMDK grain {grain} is not compressed by zlib", remedy=DAMAGED)


_Load: TypeAlias = Callable[[list[Entry], int, list[memoryview]], list[Part]]


class VmdkSource:
    """A streamOptimized VMDK that can be read at any place.

    Raises: ImageError: it is damaged, of another kind, or says what it must not.
    """

    seekable = True

    def __init__(self, stream: InputStream) -> None:
        if stream.length is None:
            raise ImageError("the length of the VMDK is not known", remedy="Read it forward")
        self._stream = stream
        self._buffers = Buffers()
        self._length = stream.length
        first = self._fetch(0, min(SECTOR, self._length), "the header")
        self._header = Header.parse(first)
        self._header.check_inside()
        at, size = self._header.descriptor_offset * SECTOR, self._header.descriptor_size * SECTOR
        check_descriptor(bytes(self._fetch(at, size, "the descriptor")), self._header.capacity)
        self._directory = (
            self._find_footer() if self._header.directory_at_end else self._header.directory_offset
        )

    @property
    def capacity(self) -> int:
        """Guest-visible bytes."""
        return self._header.capacity * SECTOR

    @cached_property
    def allocated(self) -> ExtentMap:
        """Where there are grains, by the tables."""
        return gather(grain_extents(self._header, self._windows()))

    @property
    def grain(self) -> int:
        """Guest bytes of a grain."""
        return self._header.grain_bytes

    def pieces(self) -> Iterator[Piece]:
        """Windows with grains, by the tables; the markers are checked as they are loaded."""
        return self._pieces(self._load)

    def deflated(self) -> Iterator[Piece]:
        """As `pieces`; the parts are the grains as they are stored, zlib streams, uninflated."""
        return self._pieces(self._load_deflated)

    def inspected(self, parts: Sequence[Part]) -> Sequence[Part]:
        """Parts of `deflated`, as they are, once each of them was found to inflate to its grain.

        Raises: ImageError: one does not, or its checksum (RFC 1950) is another.
        """
        for offset, data in parts:
            inflate_grain(self._header, offset // self.grain, data)
        return parts

    def _pieces(self, load: _Load) -> Iterator[Piece]:
        held: list[Entry] | None = None
        for window in self._windows():
            if held is None:
                self._walk_gap(self._header.overhead, window[0][1])
            else:
                yield self._piece(held, window[0][1], load)
            held = window
        if held is None:
            self._walk_gap(self._header.overhead, self._length // SECTOR)
        else:
            yield self._piece(held, -(-self._length // SECTOR), load)

    def _fetch(self, offset: int, length: int, part: str) -> bytearray:
        return fetch(self._stream, offset, length, part)

    def _find_footer(self) -> int:
        """Sector of the grain directory, by the footer near the end of the file."""
        for size in (4096, 1 << 17):  # at the very end, or before some padding
            base = max(0, self._length - size) // SECTOR * SECTOR
            tail = self._fetch(base, self._length - base, "the footer")
            stop = len(tail.rstrip(b"\0")) // SECTOR * SECTOR  # the footer's own sector
            if stop:
                break
        marker, footer = tail[stop - SECTOR : stop], tail[stop : stop + SECTOR]
        if stop < SECTOR or MARKER.unpack_from(marker) != (1, 0, FOOTER):
            raise ImageError(
                "the VMDK has no footer at its end", remedy="The file is truncated: get it again"
            )
        if base + stop + 2 * SECTOR > self._length:
            raise truncated(self._length, "the end-of-stream marker")
        found = Header.parse(footer, "footer")
        check_footer(self._header, found)
        return found.directory_offset

    def _windows(self) -> Iterator[list[Entry]]:
        tables = read_tables(self._header, self._directory, self._fetch, self._length)
        return grains_by_window(self._header, tables, self._length)

    def _piece(self, window: list[Entry], following: int, load: _Load) -> Piece:
        grain_bytes = self._header.grain_bytes
        end = min((window[-1][0] + 1) * grain_bytes, self.capacity)
        taken: list[memoryview] = []
        return Piece(
            window[0][0] * grain_bytes,
            end,
            partial(load, window, following, taken),
            partial(self._buffers.give_all, taken),
        )

    def _load(self, window: list[Entry], following: int, taken: list[memoryview]) -> list[Part]:
        found = self._stored(window, following, taken)
        parts = [inflate_grain(self._header, grain, data) for grain, data in found]
        self._buffers.give_all(taken)
        return parts

    def _load_deflated(
        self, window: list[Entry], following: int, taken: list[memoryview]
    ) -> list[Part]:
        found = self._stored(window, following, taken)
        for grain, data in found:
            check_deflated(grain, data)
        return [(grain * self._header.grain_bytes, data) for grain, data in found]

    def _stored(self, window: list[Entry], following: int, taken: list[memoryview]) -> list[Grain]:
        """The grains of a window, compressed, in buffers that are added to ``taken``."""
        most = padded(GRAIN_MARKER_BYTES + most_stored(self._header.grain_bytes))
        parts: list[Grain] = []
        run: list[Entry] = []
        bounds = [sector for _, sector in window[1:]] + [following]
        for entry, bound in zip(window, bounds, strict=True):
            run.append(entry)
            # Far apart means that something else lies between: read around it, not through it.
            if (bound - entry[1]) * SECTOR > 2 * most:
                stop = self._load_run(run, min(bound, entry[1] + most // SECTOR), parts, taken)
                self._walk_gap(stop, bound)
                run = []
        if run:
            self._walk_gap(self._load_run(run, following, parts, taken), following)
        return parts

    def _load_run(
        self, run: Sequence[Entry], end: int, parts: list[Grain], taken: list[memoryview]
    ) -> int:
        """Read some grains at once; the sector behind the last of them.

        Args:
            end: no grain of the run reaches beyond this sector.
        """
        base = run[0][1] * SECTOR
        length = min(end * SECTOR, self._length) - base
        taken.append(blob := self._buffers.take(length))
        if (count := self._stream.pread(base, blob)) < length:
            raise truncated(base + count, f"grain {run[0][0]}")
        for i, (grain, sector) in enumerate(run):
            at = sector * SECTOR - base
            bound = run[i + 1][1] * SECTOR - base if i + 1 < len(run) else len(blob)
            if at + GRAIN_MARKER_BYTES > bound:
                raise truncated(self._length, f"grain {grain}")
            lba, size = GRAIN_MARKER.unpack_from(blob, at)
            if lba != grain * self._header.grain:
                raise ImageError(
                    f"the VMDK's tables and markers disagree: sector {sector} should hold grain {grain},"
                    f" its marker says sector {lba} of the disk",
                    remedy=DAMAGED,
                )
            stop = at + padded(GRAIN_MARKER_BYTES + size)
            if not size or stop > bound:
                raise ImageError(
                    f"the VMDK's grain {grain} runs into what follows it ({size} bytes)",
                    remedy="The file is truncated or damaged: get it again",
                )
            begin = at + GRAIN_MARKER_BYTES
            parts.append((grain, blob[begin : begin + size]))
            if i + 1 < len(run) and stop < bound:
                self._walk_gap((base + stop) // SECTOR, run[i + 1][1])
        return (base + stop) // SECTOR

    def _walk_gap(self, sector: int, end: int) -> None:
        """Between grains only tables may lie: a grain no table names would be seen by others."""
        for _ in range(_MOST_MARKERS):
            if sector >= end:
                return
            value, size, kind = MARKER.unpack(self._fetch(sector * SECTOR, MARKER.size, "a marker"))
            if size:
                raise ImageError(
                    "the VMDK holds a grain that its tables do not name", remedy=DAMAGED
                )
            if not value and kind == END_OF_STREAM:
                return
            sector += 1 + value
        raise ImageError("the VMDK holds markers without end", remedy=DAMAGED)
