"""The metadata region of a VHDX: what the disk is, and who its parent is.

Specification: [MS-VHDX] 2.6. Offsets of items count from the region's start.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from uuid import UUID

from kensho_tui.disks.image import MAX_CAPACITY, Buffer, ImageError
from kensho_tui.disks.vhdx_structs import KIB, MIB, NIL, Fetch, Region, damaged
from kensho_tui.text import one_line

TABLE_BYTES = 64 * KIB
SECTORS = (512, 4096)
BLOCKS = (MIB, 256 * MIB)

_PARAMETERS = UUID("CAA16737-FA36-4D43-B3B6-33F0AA44E76B")
_SIZE = UUID("2FA54224-CD1B-4876-B211-5DBED83BF4B8")
_IDENTITY = UUID("BECA12AB-B2E6-4523-93EF-C309E000C746")
_LOGICAL = UUID("8141BF1D-A96F-4709-BA47-F233A8FAAB5F")
_PHYSICAL = UUID("CDA348C7-445D-4471-9CC9-E9885251C556")
_LOCATOR = UUID("A8D35F2D-B30B-454D-ABF7-D3D84834AB0C")
_VHDX_PARENT = UUID("B04AEFB7-D19E-4A81-B789-25B8E9445913")

_HEADER = struct.Struct("<8sHH20s")
_ENTRY = struct.Struct("<16sIIII")
_USER, _VIRTUAL, _REQUIRED = 1, 2, 4
_MOST_ENTRIES, _MOST_USER = 2047, 1024
_MOST_BYTES = MIB  # of an item
_STAYS, _HAS_PARENT = 1, 2  # blocks stay allocated; the disk is a difference
_LOCATOR_HEADER = struct.Struct("<16sHH")
_PAIR = struct.Struct("<IIHH")
_PATHS = ("relative_path", "volume_path", "absolute_win32_path")


@dataclass(frozen=True, slots=True)
class ParentLink:
    """Whom a differencing disk names as its parent (2.6.2.6).

    Attributes:
        identities: the parent's `Header.data_write` is one of them.
        name: of the parent's file, for the operator's eyes; it is never opened.
    """

    identities: tuple[UUID, ...]
    name: str


@dataclass(frozen=True, slots=True)
class Metadata:
    """The known items (2.6.2); sizes in bytes.

    Attributes:
        capacity: guest-visible bytes.
        block: of a payload block.
        sector, physical: as the guest is told.
        identity: of the virtual disk.
        parent: of a differencing disk.
        fixed: whether all blocks are there and stay.
    """

    capacity: int
    block: int
    sector: int
    physical: int
    identity: UUID
    parent: ParentLink | None = None
    fixed: bool = False

    def pack(self) -> bytes:
        """Table and items of a disk without parent; the rest of the region is zeros."""
        file, disk = _REQUIRED, _REQUIRED | _VIRTUAL
        items = (
            (_PARAMETERS, file, struct.pack("<II", self.block, _STAYS if self.fixed else 0)),
            (_SIZE, disk, struct.pack("<Q", self.capacity)),
            (_IDENTITY, disk, self.identity.bytes_le),
            (_LOGICAL, disk, struct.pack("<I", self.sector)),
            (_PHYSICAL, disk, struct.pack("<I", self.physical)),
        )
        table = _HEADER.pack(b"metadata", 0, len(items), b"")
        body = b""
        for guid, flags, data in items:
            at = TABLE_BYTES + len(body)
            table += _ENTRY.pack(guid.bytes_le, at, len(data), flags, 0)
            body += data
        return table.ljust(TABLE_BYTES, b"\0") + body


@dataclass(frozen=True, slots=True)
class _Item:
    guid: UUID
    offset: int
    length: int
    flags: int


def read(fetch: Fetch, region: Region) -> Metadata:
    """The metadata of a file, checked.

    Raises: ImageError: it is damaged, or holds an item that has to be understood and is not known.
    """
    items = _table(fetch, region)
    known = (_PARAMETERS, _SIZE, _IDENTITY, _LOGICAL, _PHYSICAL, _LOCATOR)
    for item in items:
        if item.flags & _REQUIRED and (item.flags & _USER or item.guid not in known):
            raise ImageError(
                f"the VHDX has metadata that has to be understood and is not known ({item.guid})",
                remedy="Convert it to a plain VHDX where it was made",
            )
    content = dict(_content(fetch, region, items, known))
    block, flags = struct.unpack("<II", _exactly(content, _PARAMETERS, 8))
    (capacity,) = struct.unpack("<Q", _exactly(content, _SIZE, 8))
    (sector,) = struct.unpack("<I", _exactly(content, _LOGICAL, 4))
    (physical,) = struct.unpack("<I", _exactly(content, _PHYSICAL, 4))
    if block & (block - 1) or not BLOCKS[0] <= block <= BLOCKS[1]:
        raise damaged(f"the VHDX has blocks of {block} bytes")
    if sector not in SECTORS or physical not in SECTORS:
        raise damaged(f"the VHDX has sectors of {sector} bytes, on a disk of {physical}")
    if capacity % sector or capacity > MAX_CAPACITY:
        why = f"no multiple of {sector}" if capacity % sector else "more than 64 TiB"
        raise damaged(f"the VHDX claims a disk of {capacity} bytes, {why}")
    return Metadata(
        capacity,
        block,
        sector,
        physical,
        UUID(bytes_le=_exactly(content, _IDENTITY, 16)),
        parent=_parent(content) if flags & _HAS_PARENT else None,
        fixed=bool(flags & _STAYS),
    )


def _table(fetch: Fetch, region: Region) -> list[_Item]:
    """The table's entries (2.6.1), each of them inside the region and apart from the others."""
    data = bytearray(TABLE_BYTES)
    fetch(region.offset, data, "the metadata table")
    signature, _, count, _ = _HEADER.unpack_from(data)
    if signature != b"metadata" or count > _MOST_ENTRIES:
        raise damaged("the VHDX has no metadata table")
    items = [
        _Item(UUID(bytes_le=guid), offset, length, flags)
        for guid, offset, length, flags, _ in _ENTRY.iter_unpack(
            memoryview(data)[_HEADER.size : _HEADER.size + count * _ENTRY.size]
        )
    ]
    if len({(item.guid, item.flags & _USER) for item in items}) < count:
        raise damaged("the VHDX's metadata table names an item twice")
    if sum(item.flags & _USER for item in items) > _MOST_USER:
        raise damaged("the VHDX's metadata table has more user items than it may have")
    for item in items:
        inside = TABLE_BYTES <= item.offset <= region.length - item.length
        if item.length > _MOST_BYTES or not (inside if item.length else not item.offset):
            raise damaged("an item of the VHDX's metadata lies outside its region")
    placed = sorted((item.offset, item.length) for item in items if item.length)
    if any(offset + length > after for (offset, length), (after, _) in pairwise(placed)):
        raise damaged("two items of the VHDX's metadata overlap")
    return items


def _content(
    fetch: Fetch, region: Region, items: list[_Item], known: tuple[UUID, ...]
) -> Iterator[tuple[UUID, bytes]]:
    for item in items:
        if item.guid in known and not item.flags & _USER:
            data = bytearray(item.length)
            fetch(region.offset + item.offset, data, "the metadata")
            yield item.guid, bytes(data)


def _exactly(content: Mapping[UUID, bytes], guid: UUID, length: int) -> bytes:
    data = content.get(guid)
    if data is None or len(data) != length:
        raise damaged(f"the VHDX's metadata lacks an item, or has it in another size ({guid})")
    return data


def _parent(content: Mapping[UUID, bytes]) -> ParentLink:
    """The parent locator of type VHDX (2.6.2.6.3)."""
    data = content.get(_LOCATOR, b"")
    if len(data) < _LOCATOR_HEADER.size:
        raise damaged("the VHDX has a parent and does not say which")
    kind, _, count = _LOCATOR_HEADER.unpack_from(data)
    if UUID(bytes_le=kind) != _VHDX_PARENT:
        raise ImageError(
            f"the VHDX's parent is no VHDX ({UUID(bytes_le=kind)})",
            remedy="Export the disk with its parents merged",
        )
    pairs = _pairs(data, count)
    identities = tuple(
        _guid(pairs[key]) for key in ("parent_linkage", "parent_linkage2") if key in pairs
    )
    if "parent_linkage" not in pairs or NIL in identities:
        raise damaged("the VHDX has a parent and does not say which")
    path = next((pairs[key] for key in _PATHS if key in pairs), "")
    return ParentLink(identities, one_line(path.replace("/", "\\").split("\\")[-1], limit=80))


def _pairs(data: bytes, count: int) -> dict[str, str]:
    """The locator's keys and values (2.6.2.6.2)."""
    start = _LOCATOR_HEADER.size
    if start + count * _PAIR.size > len(data):
        raise damaged("the VHDX's parent locator is cut off")
    found: dict[str, str] = {}
    for key, value, key_bytes, value_bytes in _PAIR.iter_unpack(
        data[start : start + count * _PAIR.size]
    ):
        name = _text(data, key, key_bytes)
        if name in found:
            raise damaged("the VHDX's parent locator has a key twice")
        found[name] = _text(data, value, value_bytes)
    return found


def _text(data: Buffer, offset: int, length: int) -> str:
    if not offset or not length or offset + length > len(data):
        raise damaged("a text of the VHDX's parent locator lies outside of it")
    try:
        return bytes(data[offset : offset + length]).decode("utf-16-le")
    except UnicodeDecodeError:
        raise damaged("a text of the VHDX's parent locator is none") from None


def _guid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise damaged("the VHDX's parent locator names its parent by no GUID") from None
