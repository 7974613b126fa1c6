"""Structures of VMDK 5.0 streamOptimized: header, markers, descriptor.

Specification: "Virtual Disk Format 5.0" (VMware, 2011), "Hosted Sparse Extents" and
"Stream-Optimized Compressed Sparse Extents". Little-endian; offsets and capacities in sectors.
"""

import re
import secrets
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from kensho_tui.disks.image import DAMAGED, MAX_CAPACITY, SECTOR, Buffer, ImageError
from kensho_tui.text import one_line

MAGIC = b"KDMV"
COWD = b"COWD"
DESCRIPTOR_MAGIC = b"# Disk DescriptorFile"
GD_AT_END = 0xFFFFFFFFFFFFFFFF
ENTRIES = 512  # grain table entries
TABLE_BYTES = ENTRIES * 4

END_OF_STREAM = 0
GRAIN_TABLE = 1
GRAIN_DIRECTORY = 2
FOOTER = 3

FLAG_NEWLINE = 1 << 0
FLAG_REDUNDANT = 1 << 1
FLAG_COMPRESSED = 1 << 16
FLAG_MARKERS = 1 << 17

_HEADER = struct.Struct("<4sIIQQQQIQQQB4sH")
MARKER = struct.Struct("<QII")
GRAIN_MARKER = struct.Struct("<QI")
GRAIN_MARKER_BYTES = 12
_DESCRIPTOR_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class Header:
    """SparseExtentHeader; sizes and offsets in sectors."""

    capacity: int
    grain: int
    descriptor_offset: int
    descriptor_size: int
    directory_offset: int
    overhead: int

    @property
    def grain_bytes(self) -> int:
        """Guest bytes of a grain."""
        return self.grain * SECTOR

    @property
    def tables(self) -> int:
        """How many grain tables the directory has room for."""
        return -(-self.capacity // (self.grain * ENTRIES))

    @property
    def directory_at_end(self) -> bool:
        """Whether only the footer knows where the directory is."""
        return self.directory_offset == GD_AT_END

    def pack(self, directory_offset: int, redundant_offset: int | None = None) -> bytes:
        """The 512 bytes of header or footer.

        Args:
            redundant_offset: of the second grain directory, which extents have that are not streamed.
        """
        streamed = redundant_offset is None
        return _HEADER.pack(
            MAGIC,
            3 if streamed else 1,
            FLAG_NEWLINE | (FLAG_COMPRESSED | FLAG_MARKERS if streamed else FLAG_REDUNDANT),
            self.capacity,
            self.grain,
            self.descriptor_offset,
            self.descriptor_size,
            ENTRIES,
            redundant_offset or 0,
            directory_offset,
            self.overhead,
            0,
            b"\n \r\n",
            int(streamed),
        ).ljust(SECTOR, b"\0")

    @classmethod
    def parse(cls, sector: Buffer, what: str = "header", *, streamed: bool = True) -> "Header":
        """Read a header or footer.

        Args:
            streamed: whether it has to be of a streamOptimized extent, or of one that is not.

        Raises: ImageError: it is none, or of a kind that is refused.
        """
        if len(sector) < SECTOR:
            if bytes(sector).startswith(DESCRIPTOR_MAGIC):
                raise not_streamed(bytes(sector), what)
            raise ImageError(
                f"the VMDK {what} is cut off", remedy="The file is truncated: get it again"
            )
        (magic, version, flags, capacity, grain, at, size, entries, _, directory, overhead, _, eol, algo) = (
            _HEADER.unpack_from(sector)
        )  # fmt: skip
        if magic != MAGIC:
            raise not_streamed(bytes(sector[:64]), what)
        if version not in (1, 2, 3):
            raise ImageError(f"the VMDK {what} has the unknown version {version}", remedy=DAMAGED)
        if streamed and not is_streamed(flags):
            raise ImageError(
                "the VMDK is not streamOptimized",
                remedy="Export it again as OVF, or convert it to streamOptimized",
            )
        if not streamed and flags & (FLAG_COMPRESSED | FLAG_MARKERS):
            raise ImageError(
                "the VMDK's extent is compressed, which its kind does not have", remedy=DAMAGED
            )
        if flags & FLAG_NEWLINE and eol != b"\n \r\n":
            raise ImageError(
                f"the line ends in the VMDK {what} were changed by a transfer in text mode",
                remedy="Copy the file again in binary mode",
            )
        if algo != int(streamed):
            raise ImageError(f"the VMDK uses the unknown compression {algo}", remedy=DAMAGED)
        if grain & (grain - 1) or not 8 <= grain <= 4096:
            raise ImageError(f"the VMDK has grains of {grain} sectors", remedy=DAMAGED)
        if entries != ENTRIES:
            raise ImageError(f"the VMDK has grain tables of {entries} entries", remedy=DAMAGED)
        if capacity * SECTOR > MAX_CAPACITY:
            raise ImageError(
                f"the VMDK claims {capacity} sectors, more than 64 TiB", remedy=DAMAGED
            )
        if size * SECTOR > _DESCRIPTOR_LIMIT or at + size > overhead:
            raise ImageError("the VMDK's descriptor lies over its grains", remedy=DAMAGED)
        return cls(capacity, grain, at, size, directory, overhead)

    def check_inside(self) -> None:
        """Raise `ImageError` unless the descriptor is inside the file."""
        if not self.descriptor_offset or not self.descriptor_size:
            raise ImageError("the VMDK has no descriptor inside", remedy=DAMAGED)


def is_streamed(flags: int) -> bool:
    """Whether a header's flags are those of a streamOptimized extent."""
    return bool(flags & FLAG_COMPRESSED and flags & FLAG_MARKERS)


def flags_of(start: Buffer) -> int:
    """The flags of a header, without looking at the rest of it."""
    return int.from_bytes(start[8:12], "little")


def check_footer(header: Header, footer: Header) -> None:
    """Raise `ImageError` unless the footer is the header with its directory's place filled in."""
    if (footer.capacity, footer.grain) != (header.capacity, header.grain):
        raise ImageError("the VMDK's footer and header disagree", remedy=DAMAGED)
    if footer.directory_at_end:
        raise ImageError("the VMDK's footer does not say where its tables are", remedy=DAMAGED)


def most_stored(grain_bytes: int) -> int:
    """Bytes a compressed grain can need at most: deflate adds little to what it cannot compress."""
    return grain_bytes + grain_bytes // 8 + 512


def padded(length: int) -> int:
    """The length in whole sectors, in bytes."""
    return -(-length // SECTOR) * SECTOR


def not_streamed(start: bytes, what: str) -> ImageError:
    """Why something that should be a streamOptimized VMDK is none."""
    if start.startswith(DESCRIPTOR_MAGIC):
        return ImageError(
            "the VMDK is only a descriptor that points at other files; such files are never followed",
            remedy="Export the disk as streamOptimized, where all is in one file; or, if the folder is"
            " your own, convert the disk with 'kensho disk convert -f vmdk-extents'",
        )
    if start.startswith(COWD):
        return ImageError(
            "the VMDK is an ESX sparse extent, not streamOptimized",
            remedy="Export the disk as streamOptimized",
        )
    return ImageError(f"no VMDK {what} where one should be", remedy=DAMAGED)


def refuse_parent(fields: Mapping[str, str]) -> None:
    """Raise `ImageError` where a descriptor's fields (keys in lower case) name a parent."""
    if fields.get("parentcid", "ffffffff").lower() != "ffffffff" or "parentfilenamehint" in fields:
        raise ImageError(
            "the VMDK holds only the difference to a parent",
            remedy="Export the disk with its parents merged",
        )


_EXTENT = re.compile(r'^(RW|RDONLY|NOACCESS)\s+(\d+)\s+(\w+)(?:\s+"([^"]*)")?')


def check_descriptor(text: bytes, capacity: int, kind: str = "streamOptimized") -> None:
    """Refuse an embedded descriptor that means anything but one stream in this very file.

    Extent names are data: they are compared with nothing and never opened.

    Args:
        text: the descriptor's sectors; it ends at the first NUL.
        capacity: sectors, from the header.
        kind: the createType it has to be of.

    Raises: ImageError: another createType, another extent, a parent, another size.
    """
    lines = [line.strip() for line in text.split(b"\0", 1)[0].decode("latin-1").splitlines()]
    fields: dict[str, str] = {}
    extents: list[re.Match[str]] = []
    for line in lines:
        if line.startswith("#") or not line:
            continue
        if match := _EXTENT.match(line):
            extents.append(match)
        elif "=" in line:
            key, _, value = line.partition("=")
            fields.setdefault(key.strip().lower(), value.strip().strip('"'))
    told = fields.get("createtype", "")
    if told.lower() != kind.lower():
        shown = one_line(told, limit=40) or "no createType"
        raise ImageError(
            f"the VMDK's descriptor says {shown}, not {kind}",
            remedy="Export the disk as streamOptimized",
        )
    refuse_parent(fields)
    if len(extents) != 1 or extents[0][3] != "SPARSE":
        shown = one_line(", ".join(f"{e[3]} {e[4] or ''}" for e in extents), limit=80) or "none"
        raise ImageError(
            f"the VMDK's descriptor names other extents ({shown}); they are never followed",
            remedy="Export the disk as streamOptimized, where all is in one file",
        )
    if int(extents[0][2]) != capacity:
        raise ImageError(
            f"the VMDK's descriptor says {extents[0][2]} sectors, its header {capacity}",
            remedy=DAMAGED,
        )


def geometry(capacity: int, adapter: str) -> tuple[int, int, int]:
    """Cylinders, heads, sectors as VMware's BIOS would see a disk of so many sectors."""
    if adapter == "ide":
        heads, sectors, most = 16, 63, 16383
    elif capacity < 1 << 21:  # 1 GiB
        heads, sectors, most = 64, 32, 1 << 32
    elif capacity < 1 << 22:
        heads, sectors, most = 128, 32, 1 << 32
    else:
        heads, sectors, most = 255, 63, 1 << 32
    return max(1, min(most, capacity // (heads * sectors))), heads, sectors


def new_cid() -> int:
    """A content id by chance; the two that mean "none" do not occur."""
    return secrets.randbelow(0xFFFFFFFE)


def descriptor(
    capacity: int,
    *,
    name: str,
    adapter: str,
    cid: int,
    kind: str = "streamOptimized",
    beyond: str = "",
) -> bytes:
    """The embedded descriptor's text.

    Args:
        capacity: sectors.
        name: of the file; only characters that cannot end the line or the quotes are kept.
        adapter: ``ddb.adapterType``: ``ide``, ``buslogic`` or ``lsilogic``; the geometry goes with it.
        cid: content id, 32 bits; 0xfffffffe and 0xffffffff mean "none" and are not allowed.
        kind: the createType; only a streamOptimized extent is not to be written to.
        beyond: 24 hex digits, the long content id's own; "" by chance.
    """
    cylinders, heads, sectors = geometry(capacity, adapter)
    safe = re.sub(r'[^\x20-\x7e]|["\\]', "_", name) or "disk.vmdk"
    lines = [
        "# Disk DescriptorFile",
        "version=1",
        f"CID={cid:08x}",
        "parentCID=ffffffff",
        f'createType="{kind}"',
        "",
        "# Extent description",
        f'{"RDONLY" if kind == "streamOptimized" else "RW"} {capacity} SPARSE "{safe[-200:]}"',
        "",
        "# The Disk Data Base",
        "#DDB",
        "",
        f'ddb.adapterType = "{adapter}"',
        f'ddb.geometry.cylinders = "{cylinders}"',
        f'ddb.geometry.heads = "{heads}"',
        f'ddb.geometry.sectors = "{sectors}"',
        f'ddb.longContentID = "{beyond or secrets.token_hex(12)}{cid:08x}"',
        'ddb.virtualHWVersion = "4"',
        "",
    ]
    return "\n".join(lines).encode("ascii")
