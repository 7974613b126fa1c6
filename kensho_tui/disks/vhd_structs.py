"""Structures of VHD 1.0: footer, dynamic disk header, geometry.

Specification: "Virtual Hard Disk Image Format Specification" 1.0 (Microsoft, 2006): "Hard Disk Footer
Format", "Dynamic Disk Header Format", "CHS Calculation". Big-endian; offsets in bytes, the block
allocation table in sectors.
"""

import struct
import time
from dataclasses import dataclass, field

from kensho_tui.disks.image import DAMAGED, SECTOR, Buffer, ImageError
from kensho_tui.text import one_line

COOKIE = b"conectix"
HEADER_COOKIE = b"cxsparse"
HEADER_BYTES = 1024
FOOTER_BYTES = 512
UNUSED = 0xFFFFFFFF
NOWHERE = 0xFFFFFFFFFFFFFFFF
FIXED, DYNAMIC, DIFFERENCING = 2, 3, 4
MAX_CAPACITY = 2040 << 30  # the format's own end; XAPI refuses larger ones as VDI_TOO_LARGE

_FOOTER = struct.Struct(">8sIIQI4sI4sQQHBBII16sB")
_HEADER = struct.Struct(">8sQQIIII")
_EPOCH = 946684800  # 2000-01-01 00:00 UTC, in Unix time


def checksum(data: Buffer, at: int) -> int:
    """One's complement of the sum of all bytes but the four of the checksum itself."""
    return ~(sum(data) - sum(data[at : at + 4])) & 0xFFFFFFFF


def geometry(sectors: int) -> tuple[int, int, int]:
    """Cylinders, heads, sectors per track: the specification's appendix, rounded down."""
    total = min(sectors, 65535 * 16 * 255)
    if total >= 65535 * 16 * 63:
        return total // 255 // 16, 16, 255
    track = 17
    cylinder_heads = total // track
    heads = max(4, (cylinder_heads + 1023) // 1024)
    if cylinder_heads >= heads * 1024 or heads > 16:
        track, heads = 31, 16
        cylinder_heads = total // track
    if cylinder_heads >= heads * 1024:
        track, heads = 63, 16
        cylinder_heads = total // track
    return cylinder_heads // heads, heads, track


def _now() -> int:
    return max(0, int(time.time()) - _EPOCH)


@dataclass(frozen=True, slots=True)
class Footer:
    """Hard disk footer: capacity and offset of the dynamic header in bytes.

    ``created`` is in seconds since 2000-01-01 UTC. It belongs to the value, because the copy in front
    of a dynamic disk and the footer at its end must be the same bytes, however long writing takes.
    """

    capacity: int
    kind: int
    header_offset: int
    uuid: bytes
    created: int = field(default_factory=_now)

    def pack(self) -> bytes:
        """The 512 bytes, with a right checksum."""
        cylinders, heads, track = geometry(self.capacity // SECTOR)
        # The creator "win " is how qemu and others know that the size is in "current size" and not in
        # the geometry, which cannot express most sizes.
        data = bytearray(
            _FOOTER.pack(
                COOKIE, 2, 0x10000, self.header_offset, self.created, b"win ",
                0xA0000, b"Wi2k", self.capacity, self.capacity, cylinders, heads, track, self.kind,
                0, self.uuid, 0,
            ).ljust(FOOTER_BYTES, b"\0")
        )  # fmt: skip
        struct.pack_into(">I", data, 64, checksum(data, 64))
        return bytes(data)

    @classmethod
    def parse(cls, data: Buffer, where: str) -> "Footer":
        """Read a footer. Raises: ImageError: it is none, or damaged."""
        if len(data) < FOOTER_BYTES or bytes(data[:8]) != COOKIE:
            raise ImageError(
                f"the VHD has no footer {where}", remedy="The file is truncated: get it again"
            )
        (_, _, version, offset, created, _, _, _, _, capacity, _, _, _, kind, total, uuid, _) = (
            _FOOTER.unpack_from(data)
        )
        if total != checksum(data[:FOOTER_BYTES], 64):
            raise ImageError(f"the VHD's footer {where} fails its checksum", remedy=DAMAGED)
        if version >> 16 != 1:
            raise ImageError(f"the VHD has the unknown version {version:#x}", remedy=DAMAGED)
        if kind not in (FIXED, DYNAMIC, DIFFERENCING):
            raise ImageError(f"the VHD is of the unknown type {kind}", remedy=DAMAGED)
        if capacity % SECTOR or capacity > MAX_CAPACITY:
            raise ImageError(f"the VHD claims a disk of {capacity} bytes", remedy=DAMAGED)
        return cls(capacity, kind, offset, uuid, created)


@dataclass(frozen=True, slots=True)
class DynamicHeader:
    """Dynamic disk header: table offset and block size in bytes, entries of the table.

    ``parent`` and ``parent_name`` are the UUID and the file name of a differencing disk's parent.
    """

    table_offset: int
    entries: int
    block: int
    parent: bytes = bytes(16)
    parent_name: str = ""

    @property
    def bitmap(self) -> int:
        """Bytes of a block's sector bitmap, padded to a sector."""
        return -(-self.block // SECTOR // 8 // SECTOR) * SECTOR

    def pack(self) -> bytes:
        """The 1024 bytes, with a right checksum."""
        data = bytearray(
            _HEADER.pack(
                HEADER_COOKIE, NOWHERE, self.table_offset, 0x10000, self.entries, self.block, 0
            ).ljust(HEADER_BYTES, b"\0")
        )
        struct.pack_into(">I", data, 36, checksum(data, 36))
        return bytes(data)

    @classmethod
    def parse(cls, data: Buffer, capacity: int) -> "DynamicHeader":
        """Read a header. Raises: ImageError: it is none, damaged, or its table is too small."""
        if len(data) < HEADER_BYTES or bytes(data[:8]) != HEADER_COOKIE:
            raise ImageError("the VHD has no dynamic disk header", remedy=DAMAGED)
        _, _, table, version, entries, block, total = _HEADER.unpack_from(data)
        if total != checksum(data[:HEADER_BYTES], 36):
            raise ImageError("the VHD's dynamic disk header fails its checksum", remedy=DAMAGED)
        if version >> 16 != 1:
            raise ImageError(f"the VHD has the unknown version {version:#x}", remedy=DAMAGED)
        if block & (block - 1) or not 1 << 19 <= block <= 1 << 28:
            raise ImageError(f"the VHD has blocks of {block} bytes", remedy=DAMAGED)
        needed = -(-capacity // block)
        if entries < needed:
            raise ImageError(
                f"the VHD's block table has {entries} entries, its disk needs {needed}",
                remedy=DAMAGED,
            )
        name = bytes(data[64:576]).decode("utf-16-be", "replace").split("\0", 1)[0]
        return cls(table, needed, block, bytes(data[40:56]), name)


def refuse_parent(name: str = "") -> ImageError:
    """The error for a differencing disk whose parent is not at hand."""
    named = f" ({one_line(name, limit=80)})" if name else ""
    return ImageError(
        f"the VHD holds only the difference to a parent{named}",
        remedy="Export the disk with its parents merged, or name them with --parent",
    )
