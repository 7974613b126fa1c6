"""VMDK 5.0 streamOptimized read once, from first to last byte, by its markers.

Specification: "Virtual Disk Format 5.0" (VMware, 2011), "Stream-Optimized Compressed Sparse Extents".
"""

import struct
from array import array
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial

from kensho_tui.disks.buffers import Buffers
from kensho_tui.disks.forward import ForwardBytes, truncated
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
from kensho_tui.disks.vmdk import (
    PADDING,
    Entry,
    Grain,
    check_deflated,
    grain_extents,
    grains_by_window,
    inflate_grain,
    read_tables,
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
    check_footer,
    most_stored,
    padded,
)

_ROOM = PIECE + PIECE // 64  # compressed grains of a window; more than that is held apart
_PREFIX_LIMIT = 32 << 20  # tables before the grains are held while reading forward, up to this


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
        header.check_inside()
        at, size = header.descriptor_offset * SECTOR, header.descriptor_size * SECTOR
        rest = header.overhead * SECTOR - SECTOR
        held = min(rest, _PREFIX_LIMIT)
        if at + size > SECTOR + held:
            raise ImageError("the VMDK has no descriptor near its start", remedy=DAMAGED)
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
        return gather(grain_extents(self._header, self._expected()))

    def _expected(self) -> Iterator[list[Entry]]:
        prefix = self._prefix or b""

        def fetch(offset: int, length: int, part: str) -> bytes:
            return prefix[offset : offset + length]

        tables = read_tables(self._header, self._header.directory_offset, fetch, len(prefix))
        # Where the file ends is not known here; a grain outside it is missed by the walk.
        return grains_by_window(self._header, tables, 1 << 62)

    @property
    def grain(self) -> int:
        """Guest bytes of a grain."""
        return self._header.grain_bytes

    def pieces(self) -> Iterator[Piece]:
        """Windows with grains, by the markers, each with its compressed bytes in hand."""
        return self._pieces(self._inflated)

    def deflated(self) -> Iterator[Piece]:
        """As `pieces`; the parts are the grains as they are stored, zlib streams, uninflated."""
        return self._pieces(self._as_stored)

    def inspected(self, parts: Sequence[Part]) -> Sequence[Part]:
        """Parts of `deflated`, as they are, once each of them was found to inflate to its grain.

        Raises: ImageError: one does not, or its checksum (RFC 1950) is another.
        """
        for offset, data in parts:
            inflate_grain(self._header, offset // self.grain, data)
        return parts

    def _pieces(self, part: Callable[[int, Buffer], Part]) -> Iterator[Piece]:
        header = self._header
        walk = _Walk(header, self._bytes)
        expected = None
        if self._prefix is not None:
            expected = (entry for window in self._expected() for entry in window)
        buffers = Buffers()
        buffer, filled = buffers.take(_ROOM), 0
        held: list[Grain] = []
        per_window = PIECE // header.grain_bytes
        for grain, sector, data in walk:
            if expected is not None and next(expected, None) != (grain, sector):
                raise ImageError(
                    f"the VMDK's tables and markers disagree at grain {grain}", remedy=DAMAGED
                )
            if held and held[0][0] // per_window != grain // per_window:
                yield self._piece(held, buffers, buffer, part)
                buffer, filled, held = buffers.take(_ROOM), 0, []
            end = filled + len(data)
            if end <= len(buffer):
                buffer[filled:end] = data
                held.append((grain, buffer[filled:end]))
                filled = end
            else:
                held.append((grain, data))
        if held:
            yield self._piece(held, buffers, buffer, part)
        if expected is not None and (missing := next(expected, None)) is not None:
            raise ImageError(
                f"the VMDK ends before its grain {missing[0]}",
                remedy="The file is truncated: get it again",
            )
        self._bytes.expect_padding(PADDING)

    def _inflated(self, grain: int, data: Buffer) -> Part:
        return inflate_grain(self._header, grain, data)

    def _as_stored(self, grain: int, data: Buffer) -> Part:
        check_deflated(grain, data)
        return grain * self._header.grain_bytes, data

    def _piece(
        self,
        held: list[Grain],
        buffers: Buffers,
        buffer: memoryview,
        part: Callable[[int, Buffer], Part],
    ) -> Piece:
        grain_bytes = self._header.grain_bytes
        return Piece(
            held[0][0] * grain_bytes,
            min((held[-1][0] + 1) * grain_bytes, self.capacity),
            lambda: [part(grain, data) for grain, data in held],
            partial(buffers.give, buffer),
        )


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
        most = most_stored(header.grain_bytes)
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
                    remedy=DAMAGED,
                )
            if grain <= last:
                raise ImageError(
                    f"the VMDK's grains are out of order: {grain} after {last}", remedy=DAMAGED
                )
            if size > most:
                raise ImageError(
                    f"VMDK grain {grain} claims {size} compressed bytes", remedy=DAMAGED
                )
            last = grain
            data = sector[GRAIN_MARKER_BYTES : GRAIN_MARKER_BYTES + size]
            rest = padded(GRAIN_MARKER_BYTES + size) - SECTOR
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
            table = numbers(self._bytes.read(TABLE_BYTES, "a grain table"), "I", "little")
            for i, sector in enumerate(table):
                if sector == 1:
                    table[i] = 0
            if any(table):
                self._tables[at] = hash(table.tobytes())
        elif kind == GRAIN_DIRECTORY and sectors * SECTOR == padded(self._header.tables * 4):
            self._directories[at] = bytes(self._bytes.read(sectors * SECTOR, "the directory"))
            if len(self._directories) > 2:
                raise ImageError("the VMDK has too many grain directories", remedy=DAMAGED)
        elif kind == FOOTER and sectors == 1:
            self._footer = Header.parse(self._bytes.read(SECTOR, "the footer"), "footer")
        else:
            raise ImageError(
                f"the VMDK has an unknown marker (type {kind}, {sectors} sectors)", remedy=DAMAGED
            )

    def _check(self) -> None:
        if self._footer is None or not self._ended:
            raise truncated(self._bytes.position, "the tables, before the end-of-stream marker")
        check_footer(self._header, self._footer)
        directory = self._directories.get(self._footer.directory_offset)
        if directory is None:
            if not self._header.tables:
                return
            raise ImageError("the VMDK's footer points at no grain directory", remedy=DAMAGED)
        named = struct.unpack_from(f"<{self._header.tables}I", directory)
        for number, sector in enumerate(named):
            if self._tables.get(sector) != self._walked.get(number):
                raise ImageError(
                    f"the VMDK's tables and markers disagree in grain table {number}",
                    remedy=DAMAGED,
                )
