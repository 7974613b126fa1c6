"""VHDX, dynamic and fixed, written: what Hyper-V takes.

Specification: [MS-VHDX] "Virtual Hard Disk v2 (VHDX) File Format". The file is closed and whole when it
is finished: its log is empty.
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from uuid import UUID, uuid4, uuid5

from kensho_tui.disks.append import Appender
from kensho_tui.disks.forward import truncated
from kensho_tui.disks.image import (
    MAX_CAPACITY,
    PIECE,
    SECTOR,
    Access,
    Buffer,
    Encoded,
    ExtentMap,
    ImageError,
    Kept,
    Layout,
    OutputStream,
    Part,
    StaleError,
    WritableBuffer,
    covered,
    is_zero,
    unplanned,
)
from kensho_tui.disks.raw import RawSink
from kensho_tui.disks.vhdx_metadata import Metadata
from kensho_tui.disks.vhdx_metadata import read as read_metadata
from kensho_tui.disks.vhdx_structs import (
    BAT,
    HEADER_BYTES,
    HEADERS_AT,
    METADATA,
    MIB,
    NIL,
    TABLES_AT,
    Header,
    Region,
    identifier,
    pack_regions,
)
from kensho_tui.disks.vhdx_table import PRESENT, Shape, little_endian

_CREATOR = "Kensho"
_LOG = Region(NIL, MIB, MIB)
_METADATA = Region(METADATA, 2 * MIB, MIB)
_TABLE = 3 * MIB
_MOST_BLOCKS = 1 << 20
_PHYSICAL = 4096  # as Hyper-V makes them: guests align to it, whatever disks the host has


def block_size(capacity: int) -> int:
    """Bytes of a block: 2 MiB up to 2 TiB, then more, so that the table never exceeds 9 MiB.

    Hyper-V makes blocks of 32 MiB; each that holds a single byte is then 32 MiB of zeros to send and
    to store. 2 MiB is what is moved at once, and what guests that write all over a disk are happier
    with: for Linux Microsoft recommends 1 MiB.
    """
    size = PIECE
    while size * _MOST_BLOCKS < capacity:
        size *= 2
    return size


def plan(capacity: int, allocation: ExtentMap) -> Layout:
    """What a dynamic VHDX of the disk will be, before its first byte.

    Args:
        capacity: guest-visible bytes, rounded up to a sector.
        allocation: where data may come; grown to whole blocks.

    Raises: ImageError: VHDX ends at 64 TiB.
    """
    capacity = _sized(capacity)
    blocks = ExtentMap(allocation.within(0, capacity)).aligned(block_size(capacity))
    return Layout(capacity, _table(capacity).end + blocks.total, blocks)


def plan_fixed(capacity: int, allocation: ExtentMap | None) -> Layout:
    """What a fixed VHDX of the disk will be. Raises: ImageError: VHDX ends at 64 TiB."""
    capacity = _sized(capacity)
    block = block_size(capacity)
    return Layout(capacity, _table(capacity).end + -(-capacity // block) * block, allocation)


def _sized(capacity: int) -> int:
    capacity = -(-capacity // SECTOR) * SECTOR
    if capacity > MAX_CAPACITY:
        raise ImageError(
            f"a VHDX ends at 64 TiB, and the disk has {capacity} bytes",
            remedy="Choose another disk format for the target",
        )
    return capacity


def _shape(capacity: int) -> Shape:
    return Shape.of(capacity, block_size(capacity), SECTOR, bitmaps=False)


def _table(capacity: int) -> Region:
    size = max(1, _shape(capacity).entries) * 8
    return Region(BAT, _TABLE, -(-size // MIB) * MIB)


class Front:
    """What stands before the blocks of a VHDX that is written: headers, an empty log, metadata, table.

    Args:
        capacity: guest-visible bytes, whole sectors.
        fixed: whether blocks are never taken back (2.6.2.1).
        identity: what the GUIDs are made of; None: of chance.
    """

    def __init__(self, capacity: int, *, fixed: bool = False, identity: UUID | None = None) -> None:
        file, data, disk = (
            uuid4() if identity is None else uuid5(identity, each)
            for each in ("file", "data", "disk")
        )
        self._header = Header(1, file, data, NIL, 0, 1, _LOG.offset, _LOG.length)
        self.metadata = Metadata(
            capacity, block_size(capacity), SECTOR, _PHYSICAL, disk, fixed=fixed
        )
        self.shape = _shape(capacity)
        self._table = _table(capacity)
        self.length = self._table.end

    def adopt(self, kept: Kept, entries: "array[int]") -> bool:
        """Take over the GUIDs of what is kept; whether all of it is what would be written with them."""

        def fetch(offset: int, buffer: WritableBuffer, part: str) -> None:
            if kept.pread(offset, buffer) < len(buffer):
                raise truncated(offset, part)

        try:
            header = bytearray(HEADER_BYTES)
            fetch(HEADERS_AT[0], header, "a header")
            self._header = Header.parse(header) or self._header
            told = read_metadata(fetch, _METADATA)
            if told != replace(self.metadata, identity=told.identity):
                return False
            self.metadata, at = told, 0
            for wanted in self.pieces(entries):
                found = bytearray(len(wanted))
                fetch(at, found, "what stands before the blocks")
                if found != wanted:
                    return False
                at += len(wanted)
        except ImageError:
            return False
        return True

    def pieces(self, entries: "array[int]") -> Iterator[Buffer]:
        """Header section, log, metadata and the table of these entries, a MiB at a time.

        Not at once: to free one large buffer makes the C library keep all that are freed later.
        """
        regions = pack_regions([self._table, _METADATA])
        newer = replace(self._header, sequence=self._header.sequence + 1)
        section = bytearray(MIB)
        for offset, data in (
            (0, identifier(_CREATOR)),
            (HEADERS_AT[0], self._header.pack()),
            (HEADERS_AT[1], newer.pack()),
            (TABLES_AT[0], regions),
            (TABLES_AT[1], regions),
        ):
            section[offset : offset + len(data)] = data
        yield section
        yield bytes(_LOG.length)
        yield self.metadata.pack().ljust(_METADATA.length, b"\0")
        stored = little_endian(entries)
        for start in range(0, self._table.length, MIB):
            yield bytes(stored[start : start + MIB]).ljust(MIB, b"\0")


class VhdxSink:
    """Writes a dynamic VHDX with sectors of 512 bytes on 4096.

    With ``layout.allocation`` it writes forward, exactly ``layout.length`` bytes. Without, what stands
    before the blocks is written last: the output must take `pwrite`.

    Args:
        output: where to; written forward, or by offset.
        layout: of `plan`, or with a capacity alone.
        forward: whether ``output`` is written forward.
        kept: what is there already of an image that was planned alike.
        identity: as of `Front`.

    Raises: StaleError: what is kept was planned otherwise, or is not planned.
    """

    def __init__(
        self,
        output: OutputStream,
        layout: Layout,
        *,
        forward: bool,
        kept: Kept | None = None,
        identity: UUID | None = None,
    ) -> None:
        if forward and layout.allocation is None:
            raise ValueError("a VHDX is written forward by a planned layout only")
        self._planned = layout.allocation
        self._capacity = capacity = _sized(layout.capacity)
        self._front = Front(capacity, identity=identity)
        self._block = self._front.metadata.block
        self._entries = array("Q", bytes(self._front.shape.entries * 8))
        self._blocks_at = self._front.length
        self._end = self._blocks_at  # of the blocks that have a place
        self._file = Appender(output, forward=forward, offset=self._blocks_at)
        self.position = 0
        # Windows that were promised and are still to come, ascending.
        self._promised: Iterator[int] = iter(())
        if layout.allocation is not None:
            for offset, length in layout.allocation:
                for at in range(offset, offset + length, self._block):
                    self._place(at)
            self._promised = self._windows(layout.allocation)
            self._file.offset = 0
        if kept is not None:
            self._go_on(kept)
        elif layout.allocation is not None:
            self._write_front()

    def _go_on(self, kept: Kept) -> None:
        """Take over the GUIDs of what stands first, and pass over the windows that are there."""
        if self._planned is None or not self._front.adopt(kept, self._entries):
            # Only a planned image tells by its length which windows are there.
            raise StaleError("what is kept of the VHDX is not what would be written now")
        count, rest = divmod(kept.end - self._blocks_at, PIECE)
        self._file.offset = kept.end
        passed = 0
        for offset in islice(self._promised, max(0, count)):
            self.position = offset + PIECE
            passed += 1
        if rest or passed != count:
            raise StaleError("what is kept of the VHDX ends where no window of it does")

    @staticmethod
    def _windows(allocation: ExtentMap) -> Iterator[int]:
        for offset, length in allocation:
            yield from range(offset, offset + length, PIECE)

    def _place(self, offset: int) -> None:
        """The next place in the file is that of the block at the guest offset."""
        index = self._front.shape.entry(offset // self._block)
        self._entries[index] = self._end | PRESENT
        self._end += self._block

    def encode(self, parts: Sequence[Part]) -> Encoded:
        """The whole window; empty where it holds zeros only and none was promised."""
        if not parts:
            return Encoded((), 0)
        if self._planned is None and all(is_zero(data) for _, data in parts):
            return Encoded((), 0)
        start = parts[0][0] // PIECE * PIECE
        return Encoded(covered(parts, start, PIECE), PIECE, borrowed=True)

    def put(self, encoded: Encoded) -> None:
        """Append the window, and before it those of its block and before that are empty.

        Raises: ImageError: the window was not promised.
        """
        if not encoded.parts:
            return
        offset = encoded.parts[0][0]
        if self._planned is None:
            self._begin(offset)
        else:
            self._catch_up(offset)
        self._file.writev([data for _, data in encoded.parts])
        self.position = offset + PIECE

    def finish(self) -> None:
        """Write the windows that are left; without a planned layout also what stands first."""
        self._catch_up(None)
        if self._planned is None:
            self._fill(self._end)
            self._file.offset = 0
            self._write_front()
        self.position = self._capacity

    def _begin(self, offset: int) -> None:
        """Without a plan: zeros up to the window, in the block that is begun or in its own."""
        block = self._block
        if not self.position or (self.position - 1) // block != offset // block:
            self._fill(self._end)
            self._place(offset // block * block)
        self._fill(self._end - block + offset % block)

    def _fill(self, end: int) -> None:
        while self._file.offset < end:
            self._file.write(_ZEROS[: end - self._file.offset])

    def _catch_up(self, offset: int | None) -> None:
        for promised in self._promised:
            if promised == offset:
                return
            if offset is not None and promised > offset:
                break
            self._file.write(_ZEROS)
            self.position = promised + PIECE
        if offset is not None:
            raise unplanned(offset)

    def _write_front(self) -> None:
        for data in self._front.pieces(self._entries):
            self._file.write(data)


class FixedVhdxSink:
    """Writes a fixed VHDX: all blocks are there, one behind the other, as they stand on the disk.

    Its parts are named by their places in the file.

    Args:
        output: where to, by ``access``.
        layout: of `plan_fixed`.
        access: as of `RawSink`, of the whole file.
        kept: what is there already of such a file.

    Raises: StaleError: what is kept is not such a file.
    """

    def __init__(
        self, output: OutputStream, layout: Layout, access: Access, *, kept: Kept | None = None
    ) -> None:
        if layout.length is None:
            raise ValueError("a fixed VHDX is written by a planned layout")
        front = Front(layout.capacity, fixed=True)
        block = front.metadata.block
        entries = array("Q", bytes(front.shape.entries * 8))
        for number in range(front.shape.blocks):
            entries[front.shape.entry(number)] = front.length + number * block | PRESENT
        self._start = front.length
        if kept is not None and (kept.end < self._start or not front.adopt(kept, entries)):
            raise StaleError("what is kept of the VHDX is not what would be written now")
        self._raw = RawSink(output, Layout(layout.length), access, kept=kept)
        if kept is None:
            at = 0
            for data in front.pieces(entries):
                self._raw.put(self._raw.encode([(at, data)]))
                at += len(data)

    @property
    def position(self) -> int:
        """Guest bytes that are done."""
        return max(0, self._raw.position - self._start)

    def encode(self, parts: Sequence[Part]) -> Encoded:
        """As `RawSink.encode`."""
        return self._raw.encode([(self._start + offset, data) for offset, data in parts])

    def put(self, encoded: Encoded) -> None:
        """As `RawSink.put`."""
        self._raw.put(encoded)

    def finish(self) -> None:
        """Write the zeros that are left, up to the last block's end."""
        self._raw.finish()


_ZEROS = bytes(PIECE)
