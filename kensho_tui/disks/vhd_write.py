"""VHD 1.0 written, dynamic and fixed: what XenServer and Hyper-V take.

Specification: "Virtual Hard Disk Image Format Specification" 1.0 (Microsoft, 2006), "Dynamic Hard Disk
Image".
"""

import uuid
from array import array
from collections.abc import Iterator, Sequence

from kensho_tui.disks.append import Appender
from kensho_tui.disks.image import (
    SECTOR,
    Access,
    Encoded,
    ExtentMap,
    ImageError,
    Kept,
    Layout,
    OutputStream,
    Part,
    StaleError,
    covered,
    is_zero,
    unplanned,
)
from kensho_tui.disks.numbers import stored
from kensho_tui.disks.raw import RawSink
from kensho_tui.disks.vhd_structs import (
    DYNAMIC,
    FIXED,
    FOOTER_BYTES,
    HEADER_BYTES,
    MAX_CAPACITY,
    NOWHERE,
    UNUSED,
    DynamicHeader,
    Footer,
)

BLOCK = 1 << 21
_DATA = FOOTER_BYTES + HEADER_BYTES  # the table follows the header at once


def plan(capacity: int, allocation: ExtentMap) -> Layout:
    """What a dynamic VHD of the disk will be, before its first byte.

    Args:
        capacity: guest-visible bytes, rounded up to a sector.
        allocation: where data may come; grown to whole blocks.

    Raises: ImageError: VHD ends at 2040 GiB.
    """
    capacity = _sized(capacity)
    blocks = ExtentMap(allocation.within(0, capacity)).aligned(BLOCK)
    return Layout(capacity, _length(capacity, blocks.total // BLOCK), blocks)


def _sized(capacity: int) -> int:
    capacity = -(-capacity // SECTOR) * SECTOR
    if capacity > MAX_CAPACITY:
        raise ImageError(
            f"a VHD ends at 2040 GiB, and the disk has {capacity} bytes",
            remedy="Choose another disk format for the target",
        )
    return capacity


def _data_offset(capacity: int) -> int:
    table = -(-capacity // BLOCK) * 4
    return _DATA + -(-table // SECTOR) * SECTOR


def _length(capacity: int, blocks: int) -> int:
    return _data_offset(capacity) + blocks * (SECTOR + BLOCK) + FOOTER_BYTES


class VhdSink:
    """Writes a dynamic VHD.

    With ``layout.allocation`` it writes forward, exactly ``layout.length`` bytes. Without, the table is
    written last, at the start: the output must take `pwrite`.

    Args:
        output: where to; written forward, or by offset.
        layout: of `plan`, or with a capacity alone.
        forward: whether ``output`` is written forward.
        identity: the disk's UUID; a random one where None.
        kept: what is there already of an image that was planned alike.

    Raises: StaleError: what is kept was planned otherwise, or is not planned.
    """

    def __init__(
        self,
        output: OutputStream,
        layout: Layout,
        *,
        forward: bool,
        identity: uuid.UUID | None = None,
        kept: Kept | None = None,
    ) -> None:
        if forward and layout.allocation is None:
            raise ValueError("a VHD is written forward by a planned layout only")
        self._output = output
        self._planned = layout.allocation
        capacity = _sized(layout.capacity)
        # Who says what the image is known by wants the same bytes again: no time is told then.
        told = {} if identity is None else {"created": 0}
        known = (identity or uuid.uuid4()).bytes
        self._footer = Footer(capacity, DYNAMIC, FOOTER_BYTES, known, **told)
        self._table = array("I", [UNUSED]) * -(-capacity // BLOCK)
        self._end = Appender(output, forward=forward, offset=_data_offset(capacity))
        self.position = 0
        # Blocks that were promised and are still to come, ascending.
        self._promised: Iterator[int] = iter(())
        if layout.allocation is not None:
            self._promised = self._numbers(layout.allocation)
            place = _data_offset(capacity)
            for block in self._numbers(layout.allocation):
                self._table[block] = place // SECTOR
                place += SECTOR + BLOCK
            self._end.offset = 0
        if kept is not None:
            self._go_on(kept)
        elif layout.allocation is not None:
            self._end.write(self._front())

    def _go_on(self, kept: Kept) -> None:
        """Take over the footer that stands first, and pass over the blocks that are there."""
        front = bytearray(min(kept.end, _data_offset(self._footer.capacity)))
        whole = kept.pread(0, front) == len(front)
        try:
            self._footer = Footer.parse(front, "at its start")
        except ImageError as error:
            raise StaleError(error.what) from error
        count, rest = divmod(kept.end - len(front), SECTOR + BLOCK)
        # Only a planned image tells by its length which blocks are there.
        if not whole or rest or self._planned is None or bytes(front) != self._front():
            raise StaleError("what is kept of the VHD is not what would be written now")
        self._end.offset = kept.end
        for _ in range(count):
            self.position = (next(self._promised, -1) + 1) * BLOCK
        if count and not self.position:
            raise StaleError("what is kept of the VHD has more blocks than were planned")

    @staticmethod
    def _numbers(allocation: ExtentMap) -> Iterator[int]:
        for offset, length in allocation:
            yield from range(offset // BLOCK, (offset + length) // BLOCK)

    def encode(self, parts: Sequence[Part]) -> Encoded:
        """The block with its sector bitmap; empty where it holds zeros only and none was promised."""
        if not parts:
            return Encoded((), 0)
        if self._planned is None and all(is_zero(data) for _, data in parts):
            return Encoded((), 0)
        start = parts[0][0] // BLOCK * BLOCK
        return Encoded([(start, _ALL), *covered(parts, start, BLOCK)], BLOCK, borrowed=True)

    def put(self, encoded: Encoded) -> None:
        """Append the block, and before it those that were promised and turned out empty.

        Raises: ImageError: the block was not promised.
        """
        if not encoded.parts:
            return
        number = encoded.parts[0][0] // BLOCK
        if self._planned is None:
            self._table[number] = self._end.offset // SECTOR
        else:
            self._catch_up(number)
        self._end.writev([data for _, data in encoded.parts])
        self.position = (number + 1) * BLOCK

    def finish(self) -> None:
        """Append the footer; without a planned layout also write the tables at the start."""
        self._catch_up(None)
        self._end.write(self._footer.pack())
        if self._planned is None:
            self._output.pwrite(0, self._front())
        self.position = self._footer.capacity

    def _catch_up(self, number: int | None) -> None:
        for promised in self._promised:
            if promised == number:
                return
            if number is not None and promised > number:
                break
            self._end.writev((_ALL, _ZEROS))
            self.position = (promised + 1) * BLOCK
        if number is not None:
            raise unplanned(number * BLOCK)

    def _front(self) -> bytes:
        header = DynamicHeader(_DATA, len(self._table), BLOCK)
        size = -(-len(self._table) * 4 // SECTOR) * SECTOR
        table = stored(self._table, "big").ljust(size, b"\xff")
        return self._footer.pack() + header.pack() + table


class FixedVhdSink:
    """Writes a fixed VHD: the raw disk, and a footer behind it.

    Args:
        output: where to, by ``access``.
        layout: of `plan_fixed`.
        access: as of `RawSink`.
        identity: the disk's UUID; a random one where None.
        kept: what is there already of the raw disk.
    """

    def __init__(
        self,
        output: OutputStream,
        layout: Layout,
        access: Access,
        *,
        identity: uuid.UUID | None = None,
        kept: Kept | None = None,
    ) -> None:
        self._output = output
        self._access = access
        self._raw = RawSink(output, layout, access, kept=kept)
        self._footer = Footer(layout.capacity, FIXED, NOWHERE, (identity or uuid.uuid4()).bytes)

    @property
    def position(self) -> int:
        """Guest bytes that are done."""
        return self._raw.position

    def encode(self, parts: Sequence[Part]) -> Encoded:
        """As `RawSink.encode`."""
        return self._raw.encode(parts)

    def put(self, encoded: Encoded) -> None:
        """As `RawSink.put`."""
        self._raw.put(encoded)

    def finish(self) -> None:
        """Write the zeros that are left, and the footer."""
        self._raw.finish()
        footer = self._footer.pack()
        if self._access is Access.FORWARD:
            self._output.write(footer)
        else:
            self._output.pwrite(self._footer.capacity, footer)


def plan_fixed(capacity: int, allocation: ExtentMap | None) -> Layout:
    """What a fixed VHD of the disk will be. Raises: ImageError: VHD ends at 2040 GiB."""
    capacity = _sized(capacity)
    return Layout(capacity, capacity + FOOTER_BYTES, allocation)


_ALL = b"\xff" * SECTOR
_ZEROS = bytes(BLOCK)
