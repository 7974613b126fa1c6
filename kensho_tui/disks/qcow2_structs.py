"""Structures of QCOW2, versions 2 and 3: header, header extensions, table entries, snapshot table.

Specification: QEMU's "docs/interop/qcow2.txt", "Header", "Header extensions", "Feature name table",
"Cluster mapping", "Snapshots". Big-endian; offsets and sizes in bytes.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kensho_tui.disks.image import DAMAGED, MAX_CAPACITY, ImageError
from kensho_tui.text import one_line

MAGIC = b"QFI\xfb"
ENTRY = 8  # bytes of an entry of the L1 table, and of the L2 table but for extended ones

COPIED = 1 << 63  # of L1 and L2 entries: what is named has a reference count of one
COMPRESSED = 1 << 62
ZERO = 1
PLACE = 0x00FFFFFFFFFFFE00
L1_RESERVED = 0x7F000000000001FF
L2_RESERVED = 0x3F000000000001FE

# Incompatible features. Dirty (bit 0) says only that reference counts may be wrong: reading needs none.
DIRTY, CORRUPT, DATA_FILE, COMPRESSION, EXTENDED_L2 = (1 << n for n in range(5))
_KNOWN = DIRTY | CORRUPT | DATA_FILE | COMPRESSION | EXTENDED_L2
ZLIB, ZSTD = 0, 1

# QEMU's own limits; what is beyond them QEMU has not written.
MAX_L1 = 32 << 20
MAX_REFCOUNT_TABLE = 8 << 20
_MAX_SNAPSHOTS = 1 << 16
_MAX_SNAPSHOT_TABLE = 64 << 20
_LONGEST_NAME = 1023

HEADER_BYTES = 112
_HEADER = struct.Struct(">4sIQIIQIIQQIIQ")
_MORE = struct.Struct(">QQQII")
_EXTENSION = struct.Struct(">II")
_FEATURE = struct.Struct(">BB46s")
_SNAPSHOT = struct.Struct(">QIHHIIQII")
_V2_BYTES = 72
_V3_BYTES = 104

_BITMAPS, _BITMAPS_KEPT = 0x23852875, 1
_BITMAPS_HEADER = struct.Struct(">IIQQ")
_END, _FEATURE_NAMES, _DATA_FILE_NAME, _BACKING_FORMAT = 0, 0x6803F857, 0x44415441, 0xE2792ACA

# Reads ``(offset, length, part)``, all of it; the text says of what, for the error of a short file.
Fetch = Callable[[int, int, str], bytes | bytearray | memoryview]


@dataclass(frozen=True, slots=True)
class Header:
    """What a QCOW2 says of itself; offsets and sizes in bytes.

    Attributes:
        l1_entries: of the active L1 table; it may have more than the disk needs.
        zstd: whether compressed clusters are zstd frames, and not raw deflate streams.
        extended: whether L2 entries have 16 bytes, with a bitmap of 32 subclusters.
        backing: the file the disk is only the difference to, in quotes behind a comma, where its name can
            be read; None: there is none.
        backing_format: what the file says that one is, by QEMU's name of the format; "" where it does not.
        order: a reference count has 2^order bits.
        bitmaps: offset and bytes of the directory of bitmaps, and how many there are; None: there are none
            that are kept up.
    """

    version: int
    cluster_bits: int
    capacity: int
    l1_entries: int
    l1_offset: int
    refcount_offset: int
    refcount_clusters: int
    snapshots: int = 0
    snapshots_offset: int = 0
    zstd: bool = False
    extended: bool = False
    backing: str | None = None
    backing_format: str = ""
    order: int = 4
    bitmaps: tuple[int, int, int] | None = None

    @property
    def cluster(self) -> int:
        """Bytes of a cluster."""
        return 1 << self.cluster_bits

    @property
    def entry(self) -> int:
        """Bytes of an L2 entry."""
        return 2 * ENTRY if self.extended else ENTRY

    @property
    def entries(self) -> int:
        """How many clusters an L2 table describes."""
        return self.cluster // self.entry

    @property
    def tables(self) -> int:
        """How many entries of the L1 table the disk needs."""
        return -(-self.capacity // (self.cluster * self.entries))

    def pack(self) -> bytes:
        """The header of version 3 with no feature in use, and the end of its extensions."""
        return _HEADER.pack(
            MAGIC, 3, 0, 0, self.cluster_bits, self.capacity, 0, self.l1_entries, self.l1_offset,
            self.refcount_offset, self.refcount_clusters, 0, 0,
        ) + _MORE.pack(0, 0, 0, 4, HEADER_BYTES).ljust(HEADER_BYTES - _V2_BYTES + 8, b"\0")  # fmt: skip

    @classmethod
    def read(cls, fetch: Fetch, length: int) -> "Header":
        """Read and check the header of a file of so many bytes.

        Raises: ImageError: it is none, damaged, or the disk needs what is not there or not known.
        """
        first = fetch(0, _V2_BYTES, "the header")
        (magic, version, backing, backing_size, bits, capacity, crypt, l1_entries, l1, refcounts,
         refcount_clusters, snapshots, snapshots_offset) = _HEADER.unpack_from(first)  # fmt: skip
        if magic != MAGIC:
            raise ImageError("the file does not start like a QCOW2", remedy=DAMAGED)
        if version not in (2, 3):
            raise ImageError(
                f"the QCOW2 has version {version}, and only 2 and 3 are known",
                remedy="Convert it first: qemu-img convert -O qcow2",
            )
        if not 9 <= bits <= 21:
            raise ImageError(f"the QCOW2 has clusters of 2^{bits} bytes", remedy=DAMAGED)
        if capacity > MAX_CAPACITY:
            raise ImageError(
                f"the QCOW2 claims a disk of {capacity} bytes, more than 64 TiB", remedy=DAMAGED
            )
        front = _Front(fetch, min(1 << bits, length), version, backing)
        features, zstd = front.features(bits) if version == 3 else (0, False)
        if crypt:
            raise ImageError(
                "the QCOW2 is encrypted",
                remedy="Convert it to one that is not, by qemu-img convert",
            )
        header = cls(
            version, bits, capacity, l1_entries, l1, refcounts, refcount_clusters,
            snapshots, snapshots_offset, zstd, bool(features & EXTENDED_L2),
            front.name(backing, backing_size) if backing else None, front.backing_format,
            front.order if version == 3 else 4, front.bitmaps if version == 3 else None,
        )  # fmt: skip
        header._check_tables(length)
        return header

    def _check_tables(self, length: int) -> None:
        most = MAX_L1 // ENTRY
        if self.tables > most or self.l1_entries > most:
            raise ImageError(
                f"the QCOW2's L1 table has {max(self.tables, self.l1_entries)} entries, more than"
                f" {most}, because its clusters of {self.cluster} bytes are too small for the disk",
                remedy="Convert it first: qemu-img convert -O qcow2 -o cluster_size=64k",
            )
        if self.l1_entries < self.tables:
            raise ImageError(
                f"the QCOW2's L1 table has {self.l1_entries} entries, its disk needs {self.tables}",
                remedy=DAMAGED,
            )
        if self.refcount_clusters * self.cluster > MAX_REFCOUNT_TABLE:
            raise ImageError(
                f"the QCOW2's refcount table has {self.refcount_clusters} clusters", remedy=DAMAGED
            )
        for name, (offset, end) in self._areas():
            if offset % self.cluster or not self.cluster <= offset <= end <= length:
                raise ImageError(
                    f"the QCOW2's {name} lies outside the file or over its header (byte {offset})",
                    remedy=DAMAGED,
                )

    def _areas(self) -> Iterator[tuple[str, tuple[int, int]]]:
        """Name, start and end of the tables of fixed place that are there."""
        areas = (
            ("L1 table", self.l1_offset, self.l1_entries * ENTRY),
            ("refcount table", self.refcount_offset, self.refcount_clusters * self.cluster),
        )
        for name, offset, size in areas:
            if size:
                yield name, (offset, offset + size)

    def reserved(self) -> list[tuple[int, int]]:
        """Start and end of the header's cluster and of the tables of fixed place."""
        return [(0, self.cluster), *(area for _, area in self._areas())]

    def check_snapshots(self, fetch: Fetch, length: int) -> None:
        """The snapshots are not read; their table and their L1 tables must lie inside the file.

        Raises: ImageError: they do not.
        """
        self.snapshot_tables(fetch, length)

    def snapshot_tables(self, fetch: Fetch, length: int) -> tuple[list[tuple[int, int]], int]:
        """Offset and entries of each snapshot's L1 table, and where the table of snapshots ends.

        Raises: ImageError: one of them lies outside the file.
        """
        tables: list[tuple[int, int]] = []
        at = self.snapshots_offset
        if self.snapshots > _MAX_SNAPSHOTS:
            raise ImageError(f"the QCOW2 claims {self.snapshots} snapshots", remedy=DAMAGED)
        if self.snapshots and (at % self.cluster or at < self.cluster):
            raise ImageError(f"the QCOW2's snapshot table is at byte {at}", remedy=DAMAGED)
        for number in range(self.snapshots):
            part = f"snapshot {number} of the QCOW2's table"
            if at + _SNAPSHOT.size > length:
                raise ImageError(f"{part} lies outside the file", remedy=DAMAGED)
            l1, entries, id_, name, _, _, _, _, extra = _SNAPSHOT.unpack(
                fetch(at, _SNAPSHOT.size, part)
            )
            at += -(-(_SNAPSHOT.size + extra + id_ + name) // 8) * 8
            if at - self.snapshots_offset > _MAX_SNAPSHOT_TABLE:
                raise ImageError("the QCOW2's snapshot table has no end", remedy=DAMAGED)
            inside = at <= length and l1 + entries * ENTRY <= length
            if not inside or l1 % self.cluster or entries * ENTRY > MAX_L1:
                raise ImageError(f"{part} lies outside the file", remedy=DAMAGED)
            tables.append((l1, entries))
        return tables, at


class _Front:
    """The rest of the header's cluster: the fields of version 3, the extensions, names of files."""

    def __init__(self, fetch: Fetch, size: int, version: int, backing: int) -> None:
        self._data = bytes(fetch(0, size, "the header"))
        self._size = _V2_BYTES
        if version == 3:
            if len(self._data) < _V3_BYTES:
                raise ImageError(
                    "the QCOW2's header is cut off", remedy="The file is truncated: get it again"
                )
            *_, self._size = _MORE.unpack_from(self._data, _V2_BYTES)
            if self._size % 8 or not _V3_BYTES <= self._size <= len(self._data):
                raise ImageError(f"the QCOW2's header claims {self._size} bytes", remedy=DAMAGED)
        # The name of the backing file stands behind the extensions.
        end = min(len(self._data), backing) if backing else len(self._data)
        self._extensions: dict[int, bytes] = {}
        for kind, data in self._walk(self._size, end):
            if kind in (_FEATURE_NAMES, _DATA_FILE_NAME, _BACKING_FORMAT, _BITMAPS):
                self._extensions[kind] = data

    @property
    def order(self) -> int:
        """As of `Header`, of version 3."""
        return int(_MORE.unpack_from(self._data, _V2_BYTES)[3])

    @property
    def bitmaps(self) -> tuple[int, int, int] | None:
        """As of `Header`, of version 3: its writer says by a feature that it kept them up."""
        data = self._extensions.get(_BITMAPS, b"")
        automatic = _MORE.unpack_from(self._data, _V2_BYTES)[2]
        if len(data) < _BITMAPS_HEADER.size or not automatic & _BITMAPS_KEPT:
            return None
        count, _, size, offset = _BITMAPS_HEADER.unpack_from(data)
        return offset, size, count

    @property
    def backing_format(self) -> str:
        """As of `Header`."""
        return self._extensions.get(_BACKING_FORMAT, b"")[:16].decode("ascii", "replace")

    def features(self, bits: int) -> tuple[int, bool]:
        """The incompatible features in use, and whether compression is by zstd.

        Raises: ImageError: one of them is unknown, or means that the disk cannot be read.
        """
        features, _, _, order, _ = _MORE.unpack_from(self._data, _V2_BYTES)
        extensions = self._extensions
        if features & ~_KNOWN:
            raise ImageError(
                "the QCOW2 needs what is not known here:"
                f" {_unknown(features & ~_KNOWN, extensions.get(_FEATURE_NAMES, b''))}",
                remedy="Convert it where that is known: qemu-img convert -O qcow2",
            )
        if features & DATA_FILE:
            raise ImageError(
                f"the QCOW2's data is in another file{_quoted(extensions.get(_DATA_FILE_NAME, b''))}",
                remedy="Such files are never followed. Convert the disk first:"
                " qemu-img convert -O qcow2",
            )
        if features & CORRUPT:
            raise ImageError(
                "the QCOW2 is marked as corrupt",
                remedy="Look at it with 'qemu-img check', and repair it with 'qemu-img check -r all'",
            )
        if order > 6 or (features & EXTENDED_L2 and bits < 14):
            raise ImageError("the QCOW2's header contradicts itself", remedy=DAMAGED)
        return features, self._zstd(features)

    def _zstd(self, features: int) -> bool:
        found = self._data[_V3_BYTES] if self._size > _V3_BYTES else ZLIB
        if bool(features & COMPRESSION) != (found != ZLIB):
            raise ImageError("the QCOW2's header contradicts itself", remedy=DAMAGED)
        if found not in (ZLIB, ZSTD):
            raise ImageError(
                f"the QCOW2 is compressed in a way that is not known here (type {found})",
                remedy="Convert it where that is known: qemu-img convert -O qcow2",
            )
        return found == ZSTD

    def _walk(self, at: int, end: int) -> Iterator[tuple[int, bytes]]:
        """Kind and data of the header extensions. Raises: ImageError: one goes beyond their end."""
        while at + _EXTENSION.size <= end:
            kind, size = _EXTENSION.unpack_from(self._data, at)
            if kind == _END:
                return
            at += _EXTENSION.size
            if size > end - at:
                raise ImageError("the QCOW2's header extensions have no end", remedy=DAMAGED)
            yield kind, self._data[at : at + size]
            at += -(-size // 8) * 8

    def name(self, offset: int, size: int) -> str:
        """The backing file, to be said behind a word; "" where its name is not where it has to be."""
        return _quoted(self._data[offset : offset + size]) if size <= _LONGEST_NAME else ""


def refuse_backing(named: str) -> ImageError:
    """The error for a disk whose backing file is not at hand; ``named`` as `Header.backing`."""
    return ImageError(
        f"the QCOW2 holds only the difference to another file{named}",
        remedy="Such files are never followed. Convert the disk first, which merges them"
        " (qemu-img convert -O qcow2), or name them with --parent",
    )


def _quoted(name: bytes) -> str:
    text = one_line(name[:_LONGEST_NAME].decode("utf-8", "replace"), limit=80)
    return f", '{text}'" if text else ""


def _unknown(bits: int, table: bytes) -> str:
    """The features of those bits, by the names the file itself gives them."""
    names = {
        bit: one_line(name.rstrip(b"\0").decode("utf-8", "replace"), limit=46)
        for kind, bit, name in _FEATURE.iter_unpack(table[: len(table) // 48 * 48])
        if kind == 0
    }
    found = [n for n in range(64) if bits >> n & 1]
    return ", ".join(f"'{names[n]}' (bit {n})" if names.get(n) else f"bit {n}" for n in found)
