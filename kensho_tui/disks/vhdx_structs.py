"""Structures of VHDX that stand first in the file: identifier, headers, region tables.

Specification: [MS-VHDX] "Virtual Hard Disk v2 (VHDX) File Format", 2.2. Little-endian; offsets and
lengths in bytes; GUIDs in their binary form.
"""

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias
from uuid import UUID

from kensho_tui.disks.image import DAMAGED, Buffer, ImageError, WritableBuffer

KIB, MIB = 1 << 10, 1 << 20
SIGNATURE = b"vhdxfile"
HEADERS_AT = (64 * KIB, 128 * KIB)
TABLES_AT = (192 * KIB, 256 * KIB)
HEADER_BYTES = 4 * KIB
TABLE_BYTES = 64 * KIB
SECTION_BYTES = MIB  # all of this page stands in the first MiB
LARGEST_FILE = 128 << 40  # twice the largest disk: what lies behind it is damaged or hostile

NIL = UUID(int=0)
BAT = UUID("2DC27766-F623-4200-9D64-115E9BFD4A08")
METADATA = UUID("8B7CA206-4790-4B9A-B8FE-575F050F886E")

# Fills a buffer from an offset of the file; the text says of what, for the error of one that ends before.
Fetch: TypeAlias = Callable[[int, WritableBuffer, str], None]

_HEADER = struct.Struct("<4sIQ16s16s16sHHIQ")
_TABLE = struct.Struct("<4sIII")
_REGION = struct.Struct("<16sQII")
_MOST_REGIONS = 2047


def crc32c(data: Buffer, before: int = 0) -> int:
    """CRC-32C (Castagnoli); ``before`` is that of what came before."""
    import crc32c as library  # not above: it costs a third of a command's start, and few read VHDX

    found: int = library.crc32c(data, before)
    return found


def checksum(data: Buffer) -> int:
    """CRC-32C of a structure whose second four bytes are the checksum and count as zero."""
    view = memoryview(data)
    return crc32c(view[8:], crc32c(bytes(4), crc32c(view[:4])))


def damaged(what: str) -> ImageError:
    """The error of a file that is not what a VHDX can be."""
    return ImageError(what, remedy=DAMAGED)


def identifier(creator: str) -> bytes:
    """The file type identifier, 64 KiB (2.2.1)."""
    return (SIGNATURE + creator.encode("utf-16-le")).ljust(64 * KIB, b"\0")


@dataclass(frozen=True, slots=True)
class Header:
    """One of the two headers (2.2.2).

    Attributes:
        sequence: the header with the greater one counts.
        file_write: changes with every change to the file.
        data_write: changes with what a guest would see; children name it as their parent's.
        log: of the log entries that count; `NIL`: there is nothing to replay.
        log_version, version: of the log's format and the file's.
        log_offset, log_length: of the log.
    """

    sequence: int
    file_write: UUID
    data_write: UUID
    log: UUID
    log_version: int
    version: int
    log_offset: int
    log_length: int

    def pack(self) -> bytes:
        """The 4 KiB, with a right checksum."""
        data = bytearray(
            _HEADER.pack(
                b"head", 0, self.sequence, self.file_write.bytes_le, self.data_write.bytes_le,
                self.log.bytes_le, self.log_version, self.version, self.log_length, self.log_offset,
            ).ljust(HEADER_BYTES, b"\0")
        )  # fmt: skip
        return _summed(data)

    @classmethod
    def parse(cls, data: Buffer) -> "Header | None":
        """Read a header; None where signature or checksum do not hold."""
        (
            signature,
            total,
            sequence,
            file_write,
            data_write,
            log,
            log_version,
            version,
            length,
            at,
        ) = _HEADER.unpack_from(data)
        if signature != b"head" or total != checksum(data):
            return None
        return cls(
            sequence,
            UUID(bytes_le=file_write),
            UUID(bytes_le=data_write),
            UUID(bytes_le=log),
            log_version,
            version,
            at,
            length,
        )


def current(headers: Sequence[Header | None]) -> Header:
    """The header that counts (2.2.2, SequenceNumber).

    Raises: ImageError: none is valid, both claim to count, or it is of a version that is not known.
    """
    valid = sorted((each for each in headers if each is not None), key=lambda each: each.sequence)
    if not valid:
        raise damaged("neither of the VHDX's two headers is valid")
    found = valid[-1]
    # Two equal ones are no contradiction: Disk2vhd is known to write them.
    if len(valid) == 2 and valid[0].sequence == found.sequence and valid[0] != found:
        raise damaged("both of the VHDX's headers claim to be the current one")
    if found.version != 1:
        raise ImageError(
            f"the VHDX has the unknown version {found.version}",
            remedy="Convert it to a VHDX of version 1 where it was made",
        )
    if found.log != NIL and found.log_version:
        raise ImageError(
            f"the VHDX has a log of the unknown version {found.log_version}",
            remedy="Open and close the disk where it was made: its log is then written back",
        )
    return found


@dataclass(frozen=True, slots=True)
class Region:
    """A part of the file that the region table names (2.2.3.2)."""

    guid: UUID
    offset: int
    length: int
    required: bool = True

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.offset + self.length


def pack_regions(regions: Sequence[Region]) -> bytes:
    """A region table, 64 KiB, with a right checksum."""
    entries = b"".join(
        _REGION.pack(each.guid.bytes_le, each.offset, each.length, each.required)
        for each in regions
    )
    data = _TABLE.pack(b"regi", 0, len(regions), 0) + entries
    return _summed(bytearray(data.ljust(TABLE_BYTES, b"\0")))


def parse_regions(data: Buffer) -> list[Region] | None:
    """The entries of a region table; None where signature, checksum or count do not hold."""
    signature, total, count, _ = _TABLE.unpack_from(data)
    if signature != b"regi" or total != checksum(data) or count > _MOST_REGIONS:
        return None
    found = memoryview(data)[_TABLE.size : _TABLE.size + count * _REGION.size]
    return [
        Region(UUID(bytes_le=guid), offset, length, bool(required & 1))
        for guid, offset, length, required in _REGION.iter_unpack(found)
    ]


def regions(tables: Sequence[list[Region] | None], log: Region, length: int | None) -> list[Region]:
    """The regions of a file, checked (2.2.3); the log is one of them.

    Args:
        tables: both copies.
        log: where the log is; of no bytes where there is none.
        length: of the file; None where it is not known.

    Raises: ImageError: no copy is valid, they differ, a region that is needed is missing, one is not
        known and must be, or two of them lie over each other.
    """
    valid = [each for each in tables if each is not None]
    if not valid:
        raise damaged("neither copy of the VHDX's region table is valid")
    found = valid[0]
    if any(each != found for each in valid):
        raise damaged("the two copies of the VHDX's region table disagree")
    if len({each.guid for each in found}) < len(found):
        raise damaged("the VHDX's region table names a region twice")
    for each in found:
        if each.required and each.guid not in (BAT, METADATA):
            raise ImageError(
                f"the VHDX has a part that has to be understood and is not known ({each.guid})",
                remedy="Convert it to a plain VHDX where it was made",
            )
    for guid, name in ((BAT, "block table"), (METADATA, "metadata")):
        if guid not in {each.guid for each in found if each.length}:
            raise damaged(f"the VHDX has no {name}")
    placed = [each for each in (*found, log) if each.length]
    check_places(placed, length)
    return placed


def check_places(placed: Iterable[Region], length: int | None) -> None:
    """Raise `ImageError` where a region is not aligned, lies outside the file, or over another one."""
    ordered = sorted(placed, key=lambda each: each.offset)
    for each in ordered:
        if each.offset % MIB or each.length % MIB or each.offset < SECTION_BYTES:
            raise damaged(
                f"a table or the log of the VHDX is not where it could be ({each.offset})"
            )
        if each.end > (LARGEST_FILE if length is None else length):
            raise ImageError(
                f"a table or the log of the VHDX lies outside the file (byte {each.offset})",
                remedy="The file is truncated or damaged: get it again",
            )
    for before, after in pairwise(ordered):
        if before.end > after.offset:
            raise damaged(f"two tables of the VHDX overlap (byte {after.offset})")


def log_region(header: Header) -> Region:
    """Where the log is."""
    return Region(NIL, header.log_offset, header.log_length)


def _summed(data: bytearray) -> bytes:
    struct.pack_into("<I", data, 4, checksum(data))
    return bytes(data)
