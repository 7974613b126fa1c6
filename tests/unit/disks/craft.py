"""VMDK files built by hand, byte by byte after the specification, so that each part can be made wrong."""

import struct
import zlib
from collections.abc import Mapping, Sequence

SECTOR = 512
GRAIN = 65536

DESCRIPTOR = """# Disk DescriptorFile
version=1
CID=12345678
parentCID=ffffffff
createType="{kind}"
{extent}
ddb.adapterType = "lsilogic"
"""


def sectors(data: bytes) -> bytes:
    """Padded to whole sectors."""
    return data.ljust(-(-len(data) // SECTOR) * SECTOR, b"\0")


def marker(value: int, kind: int) -> bytes:
    """A metadata marker."""
    return sectors(struct.pack("<QII", value, 0, kind))


def record(lba: int, data: bytes, size: int | None = None) -> bytes:
    """A grain marker with its compressed bytes."""
    return sectors(struct.pack("<QI", lba, len(data) if size is None else size) + data)


def header(
    capacity: int,
    directory: int,
    *,
    magic: bytes = b"KDMV",
    version: int = 3,
    flags: int = 0x30001,
    grain: int = 128,
    entries: int = 512,
    overhead: int = 128,
    line_ends: bytes = b"\n \r\n",
    algorithm: int = 1,
    descriptor: tuple[int, int] = (1, 20),
) -> bytes:
    """A header or footer."""
    return sectors(
        struct.pack(
            "<4sIIQQQQIQQQB4sH", magic, version, flags, capacity, grain, *descriptor, entries, 0,
            directory, overhead, 0, line_ends, algorithm,
        )
    )  # fmt: skip


def text(capacity: int, kind: str = "streamOptimized", extent: str | None = None) -> bytes:
    """An embedded descriptor."""
    line = f'RW {capacity} SPARSE "disk.vmdk"' if extent is None else extent
    return DESCRIPTOR.format(kind=kind, extent=line).encode()


def front(capacity: int, directory: int, descriptor: bytes, **fields: object) -> bytes:
    """Header and descriptor, up to the first grain."""
    head = header(capacity, directory, **fields)  # type: ignore[arg-type]
    return (head + descriptor).ljust(128 * SECTOR, b"\0")


def image(
    capacity: int,
    grains: Sequence[tuple[int, bytes]],
    *,
    tables: Mapping[int, Mapping[int, int]] | None = None,
    descriptor: bytes | None = None,
    footer: Mapping[str, object] | None = None,
    between: bytes = b"",
    directory_at: int | None = None,
    **fields: object,
) -> bytes:
    """A streamOptimized VMDK with one grain table after the other behind the grains.

    Args:
        capacity: sectors.
        grains: sector of the disk and bytes as stored, in the order they are stored.
        tables: entries ``{table: {index: sector}}`` that replace the right ones.
        descriptor: its text, where it is not the right one.
        footer: header fields that differ in the footer.
        between: bytes that stand between the grains and the tables.
        directory_at: sector the footer names instead of the right one.
        fields: of the header.
    """
    out = bytearray(
        front(
            capacity,
            0xFFFFFFFFFFFFFFFF,
            text(capacity) if descriptor is None else descriptor,
            **fields,
        )
    )
    right: dict[int, dict[int, int]] = {}
    for lba, data in grains:
        table, index = divmod(lba // 128, 512)
        right.setdefault(table, {})[index] = len(out) // SECTOR
        out += record(lba, data)
    out += between
    for number, changes in (tables or {}).items():
        right.setdefault(number, {}).update(changes)
    places = [0] * -(-capacity // (128 * 512))
    for number, entries in sorted(right.items()):
        out += marker(4, 1)
        places[number] = len(out) // SECTOR
        out += struct.pack("<512I", *(entries.get(i, 0) for i in range(512)))
    packed = sectors(struct.pack(f"<{len(places)}I", *places))
    out += marker(len(packed) // SECTOR, 2)
    directory = len(out) // SECTOR if directory_at is None else directory_at
    end = header(capacity, directory, **{**fields, **(footer or {})})  # type: ignore[arg-type]
    return bytes(out + packed + marker(1, 3) + end + marker(0, 0))


def tables_first(capacity: int, grains: Sequence[tuple[int, bytes]], padding: int = 0) -> bytes:
    """A VMDK with one grain table before the grains, as qemu-img makes it."""
    overhead = 128
    entries = [0] * 512
    body = bytearray()
    for lba, data in grains:
        entries[lba // 128] = overhead + len(body) // SECTOR
        body += record(lba, data)
    out = bytearray(front(capacity, 32, text(capacity)))
    out[32 * SECTOR : 32 * SECTOR + 4] = struct.pack("<I", 40)
    out[40 * SECTOR : 44 * SECTOR] = struct.pack("<512I", *entries)
    return bytes(out + body + bytes(padding))


def grain(fill: bytes) -> bytes:
    """A compressed grain that repeats ``fill``."""
    return zlib.compress((fill * GRAIN)[:GRAIN])


def bomb(length: int = 256 << 20) -> bytes:
    """A zlib stream that inflates to so many zeros."""
    one = zlib.compressobj(9)
    chunk = bytes(1 << 20)
    return b"".join([one.compress(chunk) for _ in range(length >> 20)] + [one.flush()])
