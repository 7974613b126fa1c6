"""The lab's own VHD, independent of Kensho's disks: a strict reader and a plain writer of streams.

Follows the VHD Image Format Specification 1.0 ("Hard Disk Footer Format", "Dynamic Disk Header
Format", "Block Allocation Table and Data Blocks"). The reader goes forward only, as XAPI's does on
a socket: footer copy, header, table, blocks in any order of their numbers but ascending in the
file, footer. It refuses whatever is not exactly right, so that a wrong VHD fails here too.
"""

import struct
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

SECTOR = 512
BLOCK = 2 * 1024 * 1024
UNUSED = 0xFFFFFFFF
# Cookie, features, version, data offset, time, creator, creator version, creator OS, original size,
# current size, geometry (cylinders, heads, sectors), type, checksum, unique id, saved state.
_FOOTER = struct.Struct(">8sIIQI4s4s4sQQHBBII16sB427x")
# Cookie, data offset, table offset, version, table entries, block size, checksum, the rest is for
# differencing disks.
_HEADER = struct.Struct(">8sQQIIII16sI4x512s192s256x")
DYNAMIC = 3


class VhdError(Exception):
    """The stream is no dynamic VHD that a host would take."""


class Source(Protocol):
    """The body of a request."""

    def read(self, size: int, /) -> bytes:
        """Exactly so many bytes. Raises: VhdError: the stream ends before."""
        ...


@dataclass(frozen=True)
class Footer:
    """What a footer says. Sizes in bytes."""

    raw: bytes
    data_offset: int
    size: int


@dataclass(frozen=True)
class Header:
    """What a dynamic disk header says. Sizes in bytes."""

    table_offset: int
    entries: int
    block_size: int


def checksum(data: bytes, at: int) -> int:
    """One's complement of the sum of all bytes, the four of the checksum at ``at`` left out."""
    return ~(sum(data[:at]) + sum(data[at + 4 :])) & 0xFFFFFFFF


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise VhdError(what)


def parse_footer(raw: bytes) -> Footer:
    """A footer of a dynamic disk. Raises: VhdError."""
    (cookie, features, version, data_offset, _time, _app, _ver, _os, _original, size,
     _cylinders, _heads, _sectors, kind, check, _id, saved) = _FOOTER.unpack(raw)  # fmt: skip
    _require(cookie == b"conectix", "the footer's cookie is wrong")
    _require(check == checksum(raw, 64), "the footer's checksum is wrong")
    _require(version == 0x00010000, "the footer's version is unknown")
    _require(features & ~3 == 0 and features & 2 == 2, "the footer's features are wrong")
    _require(kind == DYNAMIC, f"the disk is of type {kind}, only dynamic (3) is taken")
    _require(saved == 0, "the disk is in saved state")
    _require(size > 0 and size % SECTOR == 0, "the size is no multiple of a sector")
    _require(data_offset % SECTOR == 0 and data_offset >= SECTOR, "the header's offset is wrong")
    return Footer(raw, data_offset, size)


def parse_header(raw: bytes, size: int) -> Header:
    """A dynamic disk header. Raises: VhdError."""
    (cookie, data_offset, table, version, entries, block, check, _parent, _time, _name,
     _locators) = _HEADER.unpack(raw)  # fmt: skip
    _require(cookie == b"cxsparse", "the header's cookie is wrong")
    _require(check == checksum(raw, 36), "the header's checksum is wrong")
    _require(data_offset == 0xFFFFFFFFFFFFFFFF, "the header's data offset is not unused")
    _require(version == 0x00010000, "the header's version is unknown")
    _require(block == BLOCK, f"blocks of {block} bytes are not taken")
    _require(entries >= -(-size // block), "the table has fewer entries than the disk has blocks")
    _require(table % SECTOR == 0, "the table's offset is no multiple of a sector")
    return Header(table, entries, block)


class _Forward:
    def __init__(self, source: Source) -> None:
        self._source = source
        self.at = 0

    def read(self, size: int) -> bytes:
        data = self._source.read(size)
        self.at += size
        return data

    def skip_to(self, offset: int, what: str) -> None:
        _require(offset >= self.at, f"{what} overlaps what comes before it")
        while self.at < offset:
            self.read(min(BLOCK, offset - self.at))


def expand(source: Source, write: Callable[[int, bytes], None]) -> int:
    """Read a dynamic VHD to its end and write what it holds; the size it declares in bytes.

    Args:
        write: called with offset and bytes for each run of sectors that the bitmaps mark.

    Raises: VhdError.
    """
    stream = _Forward(source)
    footer = parse_footer(stream.read(SECTOR))
    stream.skip_to(footer.data_offset, "the header")
    header = parse_header(stream.read(2 * SECTOR), footer.size)
    stream.skip_to(header.table_offset, "the table")
    table = struct.unpack(f">{header.entries}I", stream.read(4 * header.entries))
    bitmap_size = -(-(header.block_size // SECTOR // 8) // SECTOR) * SECTOR
    blocks = sorted((at, number) for number, at in enumerate(table) if at != UNUSED)
    for at, number in blocks:
        start = number * header.block_size
        _require(start < footer.size, f"block {number} lies beyond the end of the disk")
        stream.skip_to(at * SECTOR, f"block {number}")
        bitmap = stream.read(bitmap_size)
        data = stream.read(header.block_size)
        for offset, length in marked(bitmap, header.block_size):
            end = min(start + offset + length, footer.size)
            if start + offset < end:
                write(start + offset, data[offset : end - start])
    # Between the last block and the footer only padding to a sector may stand.
    stream.skip_to(-(-stream.at // SECTOR) * SECTOR, "the footer")
    _require(stream.read(SECTOR) == footer.raw, "the footer at the end is not its copy")
    return footer.size


def marked(bitmap: bytes, block_size: int) -> Iterator[tuple[int, int]]:
    """The runs of sectors a block's bitmap marks, as (offset, length) in bytes."""
    sectors = block_size // SECTOR
    used = bitmap[: sectors // 8]
    if used == b"\xff" * len(used):
        yield 0, block_size
        return
    start = None
    for sector in range(sectors + 1):
        on = sector < sectors and bitmap[sector // 8] >> (7 - sector % 8) & 1
        if on and start is None:
            start = sector
        elif not on and start is not None:
            yield start * SECTOR, (sector - start) * SECTOR
            start = None


def _geometry(size: int) -> tuple[int, int, int]:
    """Cylinders, heads, sectors a track (VHD 1.0, appendix "CHS Calculation")."""
    sectors = min(size // SECTOR, 65535 * 16 * 255)
    if sectors >= 65535 * 16 * 63:
        per_track, heads = 255, 16
        cylinder_heads = sectors // per_track
    else:
        per_track = 17
        cylinder_heads = sectors // per_track
        heads = max(4, (cylinder_heads + 1023) // 1024)
        if cylinder_heads >= heads * 1024 or heads > 16:
            per_track, heads = 31, 16
            cylinder_heads = sectors // per_track
        if cylinder_heads >= heads * 1024:
            per_track, heads = 63, 16
            cylinder_heads = sectors // per_track
    return cylinder_heads // heads, heads, per_track


def compose(size: int, blocks: list[int], read: Callable[[int, int], bytes]) -> Iterator[bytes]:
    """The pieces of a dynamic VHD, in order, of a disk with these allocated blocks (ascending).

    Args:
        read: called with offset and length; the bytes of the disk, zeros beyond its end.
    """
    fields: list[object] = [
        b"conectix", 2, 0x00010000, SECTOR, 0, b"tap\0", b"\0\1\0\0", b"\0\0\0\0", size, size,
        *_geometry(size), DYNAMIC, 0, uuid.uuid4().bytes, 0,
    ]  # fmt: skip
    fields[14] = checksum(_FOOTER.pack(*fields), 64)
    footer = _FOOTER.pack(*fields)
    entries = -(-size // BLOCK)
    table_offset = 3 * SECTOR
    header_fields: list[object] = [
        b"cxsparse", 0xFFFFFFFFFFFFFFFF, table_offset, 0x00010000, entries, BLOCK, 0, bytes(16), 0,
        bytes(512), bytes(192),
    ]  # fmt: skip
    header_fields[6] = checksum(_HEADER.pack(*header_fields), 36)
    table_size = -(-4 * entries // SECTOR) * SECTOR
    at = (table_offset + table_size) // SECTOR
    table = [UNUSED] * (table_size // 4)
    for number in blocks:
        table[number] = at
        at += 1 + BLOCK // SECTOR
    yield footer + _HEADER.pack(*header_fields) + struct.pack(f">{len(table)}I", *table)
    for number in blocks:
        yield b"\xff" * SECTOR
        yield read(number * BLOCK, BLOCK)
    yield footer
