"""VMDK 5.0 streamOptimized: the disk format of OVF packages, read and written.

Specification: "Virtual Disk Format 5.0" (VMware, 2011), "Stream-Optimized Compressed Sparse Extents".
Grains are zlib streams behind markers, in ascending order; tables stand behind the grains (their place is
in the footer) or, as qemu-img makes it, before them (their place is in the header). Both can be read with
seeks, by the tables, or forward, by the markers; either way markers and tables must tell the same.
"""

import secrets
import struct
import sys
from array import array
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from typing import Protocol, TypeAlias

from kensho_tui.disks.codec import deflater, inflate
from kensho_tui.disks.forward import ForwardBytes, truncated
from kensho_tui.disks.image import (
    PIECE,
    SECTOR,
    Buffer,
    Encoded,
    ExtentMap,
    ImageError,
    InputStream,
    Layout,
    Part,
    Piece,
    gather,
    units,
)
from kensho_tui.disks.vmdk_structs import (
    END_OF_STREAM,
    ENTRIES,
    FOOTER,
    GRAIN_DIRECTORY,
    GRAIN_MARKER_BYTES,
    GRAIN_TABLE,
    MARKER,
    TABLE_BYTES,
    Header,
    check_descriptor,
    descriptor,
)

_MOST_MARKERS = 1 << 17  # in a row without a grain: tables of zeros only, in the largest disk
PADDING = 1 << 20  # zeros that may follow the end: qemu-img pads to a grain
_PREFIX_LIMIT = 32 << 20  # tables before the grains are held while reading forward, up to this
_DAMAGED = "The file is damaged: get it again"

# A grain's number and the sector its marker is in.
_Entry: TypeAlias = tuple[int, int]
_Fetch: TypeAlias = Callable[[int, int, str], Buffer]


def _most_stored(grain_bytes: int) -> int:
    """Bytes a compressed grain can need at most: deflate adds little to what it cannot compress."""
    return grain_bytes + grain_bytes // 8 + 512


def _padded(length: int) -> int:
    return -(-length // SECTOR) * SECTOR


def _read_tables(
    header: Header, directory: int, fetch: _Fetch, end: int
) -> Iterator[tuple[int, "array[int]"]]:
    """Every grain table that is there: its number and its entries.

    Args:
        directory: sector of the grain directory.
        fetch: reads ``(offset, length, part)``.
        end: bytes of the file (or of what is held of it): nothing may lie behind.
    """

    def numbers(offset: int, length: int, part: str) -> "array[int]":
        if offset + length > end or not offset:
            raise ImageError(f"the VMDK's {part} lies outside the file", remedy=_DAMAGED)
        found = array("I")
        found.frombytes(fetch(offset, length, part))
        if sys.byteorder == "big":
            found.byteswap()
        return found

    entries = numbers(directory * SECTOR, header.tables * 4, "grain directory")
    for number, sector in enumerate(entries):
        if sector:
            table = numbers(sector * SECTOR, TABLE_BYTES, f"grain table {number}")
            if any(table):
                yield number, table


def _entries(
    header: Header, tables: Iterator[tuple[int, "array[int]"]], end: int
) -> Iterator[list[_Entry]]:
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
                        remedy=_DAMAGED,
                    )
                if sector < header.overhead or sector * SECTOR >= end:
                    raise ImageError(
                        f"the VMDK's grain {grain} lies outside the file (sector {sector})",
                        remedy="The file is truncated or damaged: get it again",
                    )
                if sector <= last:
                    raise ImageError(
                        f"the VMDK's grain {grain} lies before the one it follows (sector {sector})",
                        remedy=_DAMAGED,
                    )
                last = sector
                window.append((grain, sector))
            if window:
                yield window


def _extents(header: Header, windows: Iterator[list[_Entry]]) -> Iterator[tuple[int, int]]:
    capacity = header.capacity * SECTOR
    for window in windows:
        for grain, _ in window:
            offset = grain * header.grain_bytes
            yield offset, min(header.grain_bytes, capacity - offset)


def _inflate_grain(header: Header, grain: int, data: Buffer) -> Part:
    """The grain's part of the disk. The last one may be stored short."""
    offset = grain * header.grain_bytes
    wanted = min(header.grain_bytes, header.capacity * SECTOR - offset)
    try:
        plain = inflate(data, header.grain_bytes)
    except ImageError as error:
        raise ImageError(f"VMDK grain {grain}: {error.what}", remedy=error.remedy) from error
    if len(plain) < wanted:
        raise ImageError(
            f"VMDK grain {grain} inflates to {len(plain)} bytes, not {wanted}", remedy=_DAMAGED
        )
    return offset, plain if len(plain) == wanted else plain[:wanted]


class VmdkSource:
    """A streamOptimized VMDK that can be read at any place.

    Raises: ImageError: it is damaged, of another kind, or says what it must not.
    """

    seekable = True

    def __init__(self, stream: InputStream) -> None:
        if stream.length is None:
            raise ImageError("the length of the VMDK is not known", remedy="Read it forward")
        self._stream = stream
        self._length = stream.length
        first = self._fetch(0, min(SECTOR, self._length), "the header")
        self._header = Header.parse(first)
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
        return gather(_extents(self._header, self._windows()))

    def pieces(self) -> Iterator[Piece]:
        """Windows with grains, by the tables; the markers are checked as they are loaded."""
        held: list[_Entry] | None = None
        for window in self._windows():
            if held is None:
                self._walk_gap(self._header.overhead, window[0][1])
            else:
                yield self._piece(held, window[0][1])
            held = window
        if held is None:
            self._walk_gap(self._header.overhead, self._length // SECTOR)
        else:
            yield self._piece(held, -(-self._length // SECTOR))

    def _fetch(self, offset: int, length: int, part: str) -> bytearray:
        buffer = bytearray(length)
        count = self._stream.pread(offset, buffer)
        if count < length:
            raise truncated(offset + count, part)
        return buffer

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
        _check_footer(self._header, found)
        return found.directory_offset

    def _windows(self) -> Iterator[list[_Entry]]:
        tables = _read_tables(self._header, self._directory, self._fetch, self._length)
        return _entries(self._header, tables, self._length)

    def _piece(self, window: list[_Entry], following: int) -> Piece:
        grain_bytes = self._header.grain_bytes
        end = min((window[-1][0] + 1) * grain_bytes, self.capacity)
        return Piece(window[0][0] * grain_bytes, end, partial(self._load, window, following))

    def _load(self, window: list[_Entry], following: int) -> list[Part]:
        most = _padded(GRAIN_MARKER_BYTES + _most_stored(self._header.grain_bytes))
        parts: list[Part] = []
        run: list[_Entry] = []
        bounds = [sector for _, sector in window[1:]] + [following]
        for entry, bound in zip(window, bounds, strict=True):
            run.append(entry)
            # Far apart means that something else lies between: read around it, not through it.
            if (bound - entry[1]) * SECTOR > 2 * most:
                stop = self._load_run(run, min(bound, entry[1] + most // SECTOR), parts)
                self._walk_gap(stop, bound)
                run = []
        if run:
            self._walk_gap(self._load_run(run, following, parts), following)
        return parts

    def _load_run(self, run: Sequence[_Entry], end: int, parts: list[Part]) -> int:
        """Read some grains at once; the sector behind the last of them.

        Args:
            end: no grain of the run reaches beyond this sector.
        """
        base = run[0][1] * SECTOR
        length = min(end * SECTOR, self._length) - base
        blob = memoryview(self._fetch(base, length, f"grain {run[0][0]}"))
        for i, (grain, sector) in enumerate(run):
            at = sector * SECTOR - base
            bound = run[i + 1][1] * SECTOR - base if i + 1 < len(run) else len(blob)
            if at + GRAIN_MARKER_BYTES > bound:
                raise truncated(self._length, f"grain {grain}")
            lba, size = struct.unpack_from("<QI", blob, at)
            if lba != grain * self._header.grain:
                raise ImageError(
                    f"the VMDK's tables and markers disagree: sector {sector} should hold grain {grain},"
                    f" its marker says sector {lba} of the disk",
                    remedy=_DAMAGED,
                )
            stop = at + _padded(GRAIN_MARKER_BYTES + size)
            if not size or stop > bound:
                raise ImageError(
                    f"the VMDK's grain {grain} runs into what follows it ({size} bytes)",
                    remedy="The file is truncated or damaged: get it again",
                )
            data = blob[at + GRAIN_MARKER_BYTES :][:size]
            parts.append(_inflate_grain(self._header, grain, data))
            if i + 1 < len(run):
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
                    "the VMDK holds a grain that its tables do not name", remedy=_DAMAGED
                )
            if not value and kind == END_OF_STREAM:
                return
            sector += 1 + value
        raise ImageError("the VMDK holds markers without end", remedy=_DAMAGED)


def _check_footer(header: Header, footer: Header) -> None:
    if (footer.capacity, footer.grain) != (header.capacity, header.grain):
        raise ImageError("the VMDK's footer and header disagree", remedy=_DAMAGED)
    if footer.directory_at_end:
        raise ImageError("the VMDK's footer does not say where its tables are", remedy=_DAMAGED)


class VmdkForwardSource:
    """A streamOptimized VMDK read once, from first to last byte, by its markers.

    Raises: ImageError: as `VmdkSource`.
    """

    seekable = False

    def __init__(self, stream: InputStream) -> None:
        self._bytes = ForwardBytes(stream)
        first = bytearray(SECTOR)
        first = first[: self._bytes.readinto(first)]
        self._header = header = Header.parse(first)
        at, size = header.descriptor_offset * SECTOR, header.descriptor_size * SECTOR
        rest = header.overhead * SECTOR - SECTOR
        held = min(rest, _PREFIX_LIMIT)
        if at + size > SECTOR + held:
            raise ImageError("the VMDK has no descriptor near its start", remedy=_DAMAGED)
        prefix = bytes(first) + bytes(self._bytes.read(held, "the descriptor"))
        self._bytes.skip(rest - held, "the grain tables")
        check_descriptor(prefix[at : at + size], header.capacity)
        # Tables that came first tell the map and what the markers will have to say; too large to
        # be held, they stay unused, and the stream's own length and digest guard against cuts.
        self._prefix = None if header.directory_at_end or held < rest else prefix

    @property
    def capacity(self) -> int:
        """Guest-visible bytes."""
        return self._header.capacity * SECTOR

    @cached_property
    def allocated(self) -> ExtentMap | None:
        """By the tables, where they stand before the grains."""
        if self._prefix is None:
            return None
        return gather(_extents(self._header, self._expected()))

    def _expected(self) -> Iterator[list[_Entry]]:
        prefix = self._prefix or b""

        def fetch(offset: int, length: int, part: str) -> bytes:
            return prefix[offset : offset + length]

        tables = _read_tables(self._header, self._header.directory_offset, fetch, len(prefix))
        # Where the file ends is not known here; a grain outside it is missed by the walk.
        return _entries(self._header, tables, 1 << 62)

    def pieces(self) -> Iterator[Piece]:
        """Windows with grains, by the markers, each with its compressed bytes in hand."""
        header = self._header
        walk = _Walk(header, self._bytes)
        expected = None
        if self._prefix is not None:
            expected = (entry for window in self._expected() for entry in window)
        held: list[tuple[int, bytearray]] = []
        per_window = PIECE // header.grain_bytes
        for grain, sector, data in walk:
            if expected is not None and next(expected, None) != (grain, sector):
                raise ImageError(
                    f"the VMDK's tables and markers disagree at grain {grain}", remedy=_DAMAGED
                )
            if held and held[0][0] // per_window != grain // per_window:
                yield self._piece(held)
                held = []
            held.append((grain, data))
        if held:
            yield self._piece(held)
        if expected is not None and (missing := next(expected, None)) is not None:
            raise ImageError(
                f"the VMDK ends before its grain {missing[0]}",
                remedy="The file is truncated: get it again",
            )
        self._bytes.expect_padding(PADDING)

    def _piece(self, held: list[tuple[int, bytearray]]) -> Piece:
        header = self._header
        end = min((held[-1][0] + 1) * header.grain_bytes, self.capacity)

        def load() -> list[Part]:
            return [_inflate_grain(header, grain, data) for grain, data in held]

        return Piece(held[0][0] * header.grain_bytes, end, load)


class _Walk:
    """The grains of a stream by their markers: ``(grain, sector, compressed bytes)``.

    Tables on the way are compared with what was walked; of a table no more than a hash is kept.
    """

    def __init__(self, header: Header, stream: ForwardBytes) -> None:
        self._header = header
        self._bytes = stream
        self._walked: dict[int, int] = {}  # table number: hash of what it must hold
        self._table = -1
        self._current = array("I", bytes(TABLE_BYTES))
        self._tables: dict[int, int] = {}  # sector: hash of the table there
        self._directories: dict[int, bytes] = {}  # sector: bytes
        self._footer: Header | None = None
        self._ended = False

    def __iter__(self) -> Iterator[tuple[int, int, bytearray]]:
        header, stream = self._header, self._bytes
        most = _most_stored(header.grain_bytes)
        last = -1
        while (sector := stream.read_sector()) is not None:
            at = stream.position // SECTOR - 1
            value, size, kind = MARKER.unpack_from(sector)
            if not size:
                if kind == END_OF_STREAM and not value:
                    self._ended = True
                    break
                self._metadata(kind, value)
                continue
            grain, off = divmod(value, header.grain)
            if off or value >= header.capacity:
                raise ImageError(
                    f"a VMDK grain claims sector {value}, outside the disk or inside another grain",
                    remedy=_DAMAGED,
                )
            if grain <= last:
                raise ImageError(
                    f"the VMDK's grains are out of order: {grain} after {last}", remedy=_DAMAGED
                )
            if size > most:
                raise ImageError(
                    f"VMDK grain {grain} claims {size} compressed bytes", remedy=_DAMAGED
                )
            last = grain
            data = sector[GRAIN_MARKER_BYTES : GRAIN_MARKER_BYTES + size]
            rest = _padded(GRAIN_MARKER_BYTES + size) - SECTOR
            if rest:
                data += stream.read(rest, f"grain {grain}")
            del data[size:]
            self._note(grain, at)
            yield grain, at, data
        self._close_table()
        if header.directory_at_end:
            self._check()

    def _note(self, grain: int, sector: int) -> None:
        if not self._header.directory_at_end:
            return
        table, index = divmod(grain, ENTRIES)
        if table != self._table:
            self._close_table()
            self._table = table
            self._current = array("I", bytes(TABLE_BYTES))
        self._current[index] = sector & 0xFFFFFFFF

    def _close_table(self) -> None:
        if self._table >= 0:
            self._walked[self._table] = hash(self._current.tobytes())

    def _metadata(self, kind: int, sectors: int) -> None:
        at = self._bytes.position // SECTOR
        if kind == GRAIN_TABLE and sectors * SECTOR == TABLE_BYTES:
            table = array("I")
            table.frombytes(self._bytes.read(TABLE_BYTES, "a grain table"))
            if sys.byteorder == "big":
                table.byteswap()
            for i, sector in enumerate(table):
                if sector == 1:
                    table[i] = 0
            if any(table):
                self._tables[at] = hash(table.tobytes())
        elif kind == GRAIN_DIRECTORY and sectors * SECTOR == _padded(self._header.tables * 4):
            self._directories[at] = bytes(self._bytes.read(sectors * SECTOR, "the directory"))
            if len(self._directories) > 2:
                raise ImageError("the VMDK has too many grain directories", remedy=_DAMAGED)
        elif kind == FOOTER and sectors == 1:
            self._footer = Header.parse(self._bytes.read(SECTOR, "the footer"), "footer")
        else:
            raise ImageError(
                f"the VMDK has an unknown marker (type {kind}, {sectors} sectors)", remedy=_DAMAGED
            )

    def _check(self) -> None:
        if self._footer is None or not self._ended:
            raise truncated(self._bytes.position, "the tables, before the end-of-stream marker")
        _check_footer(self._header, self._footer)
        directory = self._directories.get(self._footer.directory_offset)
        if directory is None:
            if not self._header.tables:
                return
            raise ImageError("the VMDK's footer points at no grain directory", remedy=_DAMAGED)
        named = struct.unpack_from(f"<{self._header.tables}I", directory)
        for number, sector in enumerate(named):
            if self._tables.get(sector) != self._walked.get(number):
                raise ImageError(
                    f"the VMDK's tables and markers disagree in grain table {number}",
                    remedy=_DAMAGED,
                )


class _Append(Protocol):
    def write(self, data: Buffer, /) -> None: ...


GRAIN = 1 << 16
_OVERHEAD = 128  # sectors before the first grain: one grain's worth, as VMware's own files have it
_DESCRIPTOR_SECTORS = 20


class VmdkSink:
    """Writes a streamOptimized VMDK, forward; grains of zeros are left out.

    Args:
        output: appended to.
        layout: only the capacity is used, rounded up to a sector.
        name: of the file, for the descriptor.
        adapter: ``ddb.adapterType``.
        cid: content id; a random one where None.
    """

    def __init__(
        self,
        output: _Append,
        layout: Layout,
        *,
        name: str = "disk.vmdk",
        adapter: str = "lsilogic",
        cid: int | None = None,
    ) -> None:
        self._output = output
        capacity = -(-layout.capacity // SECTOR)
        self._header = Header(capacity, GRAIN // SECTOR, 1, _DESCRIPTOR_SECTORS, 0, _OVERHEAD)
        self._directory = array("I", bytes(4 * self._header.tables))
        self._table = -1
        self._entries = array("I", bytes(TABLE_BYTES))
        self._sector = 0
        self._deflate = deflater()
        self.position = 0
        text = descriptor(
            capacity, name=name, adapter=adapter, cid=secrets.randbelow(0xFFFFFFFE) if cid is None else cid
        )  # fmt: skip
        front = self._header.pack(0xFFFFFFFFFFFFFFFF) + text
        self._append(front.ljust(_OVERHEAD * SECTOR, b"\0"))

    def encode(self, parts: Sequence[Part]) -> Encoded:
        """Grains with their markers, padded to sectors."""
        records: list[Part] = []
        for offset, grain in units(parts, GRAIN):
            if grain == _ZEROS:
                continue
            data = self._deflate(grain)
            head = struct.pack("<QI", offset // SECTOR, len(data))
            pad = bytes(-(len(data) + GRAIN_MARKER_BYTES) % SECTOR)
            records.append((offset, b"".join((head, data, pad))))
        return Encoded(records, len(records) * GRAIN)

    def put(self, encoded: Encoded) -> None:
        """Append the window's grains; the table of the window before it first, where that is full."""
        if not encoded.parts:
            return
        table = encoded.parts[0][0] // (GRAIN * ENTRIES)
        if table != self._table:
            self._close_table()
            self._table = table
        sector = self._sector
        for offset, record in encoded.parts:
            self._entries[offset // GRAIN % ENTRIES] = self._number(sector)
            sector += len(record) // SECTOR
        self._append(b"".join(record for _, record in encoded.parts))
        self.position = encoded.parts[-1][0] + GRAIN

    def finish(self) -> None:
        """Append the last table, the directory, the footer and the end-of-stream marker."""
        self._close_table()
        directory = _little(self._directory)
        sectors = _padded(len(directory)) // SECTOR
        self._append(_marker(sectors, GRAIN_DIRECTORY))
        at = self._number(self._sector)
        self._append(
            directory.ljust(sectors * SECTOR, b"\0")
            + _marker(1, FOOTER)
            + self._header.pack(at)
            + _marker(0, END_OF_STREAM)
        )
        self.position = self._header.capacity * SECTOR

    def _close_table(self) -> None:
        if self._table < 0:
            return
        self._directory[self._table] = self._number(self._sector + 1)
        self._append(_marker(TABLE_BYTES // SECTOR, GRAIN_TABLE) + _little(self._entries))
        self._entries = array("I", bytes(TABLE_BYTES))
        self._table = -1

    def _append(self, data: bytes) -> None:
        self._output.write(data)
        self._sector += len(data) // SECTOR

    @staticmethod
    def _number(sector: int) -> int:
        if sector > 0xFFFFFFFF:
            raise ImageError(
                "a VMDK file ends at 2 TiB, and this one would be larger",
                remedy="Choose another disk format for the target",
            )
        return sector


_ZEROS = bytes(GRAIN)


def _marker(value: int, kind: int) -> bytes:
    return MARKER.pack(value, 0, kind).ljust(SECTOR, b"\0")


def _little(numbers: "array[int]") -> bytes:
    if sys.byteorder == "big":
        numbers = array("I", numbers)
        numbers.byteswap()
    return numbers.tobytes()
