"""QCOW2 files built by hand after the specification, so that each part can be made wrong."""

import struct
import sys
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

COPIED = 1 << 63
COMPRESSED = 1 << 62


@dataclass(frozen=True)
class Packed:
    """The bytes of a compressed cluster, as they are stored. ``sectors``: what its entry says instead."""

    data: bytes
    sectors: int | None = None


@dataclass(frozen=True)
class Sub:
    """A cluster with subclusters: what is stored, and its bitmap."""

    data: bytes
    bitmap: int


def deflated(data: bytes) -> Packed:
    """A cluster compressed as QEMU does."""
    one = zlib.compressobj(6, zlib.DEFLATED, -12)
    return Packed(one.compress(data) + one.flush())


def zstandard(data: bytes, window: int = 0) -> Packed:
    """A cluster as a zstd frame. ``window``: bits of the window that its header asks for."""
    if not window:
        return Packed(zstd.compress(data))
    # Only an encoder that does not know its end keeps a window that is larger than the data.
    one = zstd.ZstdCompressor(options={int(zstd.CompressionParameter.window_log): window})
    return Packed(one.compress(data) + one.flush())


def extension(kind: int, data: bytes) -> bytes:
    """A header extension."""
    return struct.pack(">II", kind, len(data)) + data.ljust(-(-len(data) // 8) * 8, b"\0")


def features(*names: tuple[int, int, bytes]) -> bytes:
    """A feature name table: type, bit, name."""
    return extension(0x6803F857, b"".join(struct.pack(">BB46s", *each) for each in names))


def header(
    capacity: int,
    *,
    magic: bytes = b"QFI\xfb",
    version: int = 3,
    backing: tuple[int, int] = (0, 0),
    bits: int = 16,
    crypt: int = 0,
    l1: tuple[int, int] = (0, 0),
    refcounts: tuple[int, int] = (0, 0),
    snapshots: tuple[int, int] = (0, 0),
    incompatible: int = 0,
    order: int = 4,
    length: int = 112,
    compression: int = 0,
    extensions: bytes = b"",
) -> bytes:
    """The header: tables as ``(offset, count)``, then the extensions."""
    front = struct.pack(
        ">4sIQIIQIIQQIIQ", magic, version, *backing, bits, capacity, crypt, l1[1], l1[0],
        *refcounts, snapshots[1], snapshots[0],
    )  # fmt: skip
    if version < 3:
        return front
    more = struct.pack(">QQQIIB", incompatible, 0, 0, order, length, compression)
    return (front + more).ljust(max(length, 105), b"\0") + extensions


def image(
    capacity: int,
    clusters: Iterable[tuple[int, bytes | Packed | Sub]] = (),
    *,
    bits: int = 16,
    extended: bool = False,
    entries: Mapping[int, int] | None = None,
    tables: Mapping[int, int] | None = None,
    l1: tuple[int, int] | None = None,
    behind: bytes = b"",
    **fields: object,
) -> bytearray:
    """A QCOW2: header, L1 table, L2 tables, then the clusters in the order in which they are given.

    Args:
        capacity: bytes.
        clusters: number of the guest's cluster, and what is stored.
        extended: whether L2 entries have bitmaps; the feature's bit is set.
        entries: L2 entries by number of the cluster, that replace the right ones.
        tables: L1 entries, that replace the right ones.
        l1: offset and entries of the L1 table as the header says it, where not the right ones.
        behind: bytes after the last cluster.
        fields: of the header.
    """
    cluster = 1 << bits
    per = cluster // (16 if extended else 8)
    stored = list(clusters)
    used = sorted({n // per for n, _ in stored} | {n // per for n in entries or {}})
    count = -(-capacity // (cluster * per))
    start = 1 + -(-count * 8 // cluster)  # cluster of the first L2 table
    places = {number: (start + i) * cluster for i, number in enumerate(used)}
    out = bytearray((start + len(used)) * cluster)
    for number, data in stored:
        _put(out, places[number // per] + number % per * cluster // per, data, bits)
    for number, entry in (entries or {}).items():
        at = places[number // per] + number % per * cluster // per
        struct.pack_into(">Q", out, at, entry)
    for number, entry in {**{n: p | COPIED for n, p in places.items()}, **(tables or {})}.items():
        struct.pack_into(">Q", out, cluster + number * 8, entry)
    incompatible = fields.pop("incompatible", 0) | (extended << 4)  # type: ignore[operator]
    front = header(
        capacity,
        bits=bits,
        l1=l1 or (cluster, count),
        incompatible=incompatible,
        **fields,  # type: ignore[arg-type]
    )
    assert len(front) <= cluster
    out[: len(front)] = front
    return out + behind


def _put(out: bytearray, at: int, data: bytes | Packed | Sub, bits: int) -> None:
    """Append a cluster's bytes and name them in its L2 entry."""
    cluster = 1 << bits
    if isinstance(data, Packed):
        place = len(out)
        sectors = (place % 512 + len(data.data) + 511) // 512 - 1
        sectors = sectors if data.sectors is None else data.sectors
        struct.pack_into(">Q", out, at, COMPRESSED | sectors << (70 - bits) | place)
        out += data.data
        return
    out += bytes(-len(out) % cluster)
    struct.pack_into(">Q", out, at, COPIED | len(out))
    if isinstance(data, Sub):
        struct.pack_into(">Q", out, at + 8, data.bitmap)
        data = data.data
    out += data.ljust(cluster, b"\0")


def snapshot(l1: int, entries: int, *, extra: int = 16, name: bytes = b"before") -> bytes:
    """One entry of a snapshot table."""
    front = struct.pack(">QIHHIIQII", l1, entries, 1, len(name), 0, 0, 0, 0, extra)
    entry = front + bytes(min(extra, 1024)) + b"1" + name
    return entry.ljust(-(-len(entry) // 8) * 8, b"\0")
