"""QCOW2 as others write it: every cluster size, version, compression and kind of cluster."""

import hashlib
import struct
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from kensho_tui.disks.formats import open_source
from kensho_tui.disks.image import Piece
from tests.unit.disks.craft_qcow2 import (
    COPIED,
    Packed,
    Sub,
    deflated,
    extension,
    image,
    snapshot,
    zstandard,
)
from tests.unit.disks.streams import QCOW2_SEEK, RAW_EXTENTS, Extents, Memory, SparseDisk, seen

MIB = 1 << 20
GIB = 1 << 30
CLUSTER = 1 << 16
Make = Callable[[bytes], bytes | Packed]
KINDS: dict[str, tuple[Make, dict[str, Any]]] = {
    "plain": (lambda data: data, {}),
    "deflate": (deflated, {}),
    "zstd": (zstandard, {"incompatible": 8, "compression": 1}),
}


def content(bits: int) -> bytes:
    """A cluster that begins and ends with something, and deflates."""
    noise = hashlib.shake_128(bytes([bits])).digest(100)
    return (noise + b"text " * (1 << bits))[: (1 << bits) - 1] + b"\x01"


def disk(capacity: int, extents: Extents) -> tuple[int, list[tuple[int, bytes]]]:
    """What is to be seen of a disk."""
    inside = [(offset, data[: capacity - offset]) for offset, data in extents]
    return seen(SparseDisk(capacity, inside), RAW_EXTENTS)


def filled(*numbers: int) -> Extents:
    """Clusters of 64 KiB that are full of their number and one."""
    return [(n * CLUSTER, bytes([n + 1]) * CLUSTER) for n in numbers]


CASES = [(version, kind) for version in (2, 3) for kind in KINDS if (version, kind) != (2, "zstd")]


@pytest.mark.parametrize("version, kind", CASES)
@pytest.mark.parametrize("bits", range(9, 22))
def test_every_cluster_size_is_read(bits: int, version: int, kind: str) -> None:
    make, fields = KINDS[kind]
    cluster, data = 1 << bits, content(bits)
    per = cluster // 8
    # Next to each other, over the border of L2 tables and of windows, and a last one that is cut.
    numbers = [0, 1, 3, per - 1, per, 2 * per + 1] if bits < 17 else [0, 1, 3, 8]
    capacity = numbers[-1] * cluster + cluster // 2
    stored = [(n, make(data)) for n in numbers]
    found = image(capacity, stored, bits=bits, version=version, **fields)
    assert seen(Memory(found), QCOW2_SEEK) == disk(capacity, [(n * cluster, data) for n in numbers])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("order", [[0, 1, 2, 3, 40], [40, 3, 2, 1, 0], [2, 40, 0, 1, 3]])
def test_clusters_may_lie_in_any_order(order: list[int], kind: str) -> None:
    make, fields = KINDS[kind]
    stored = [(n, make(data)) for n, (_, data) in zip(order, filled(*order), strict=True)]
    found = image(3 * MIB, stored, **fields)
    assert seen(Memory(found), QCOW2_SEEK) == disk(3 * MIB, filled(*sorted(order)))


def test_compressed_and_plain_clusters_may_be_mixed() -> None:
    parts = filled(*range(6))
    stored = [(n, data if n % 2 else deflated(data)) for n, (_, data) in enumerate(parts)]
    assert seen(Memory(image(MIB, stored)), QCOW2_SEEK) == disk(MIB, parts)


def test_zeros_read_as_zeros_whether_or_not_they_have_a_place() -> None:
    parts = filled(*range(4))
    stored = [(n, data) for n, (_, data) in enumerate(parts)]
    found = image(MIB, stored, entries={1: 1, 2: COPIED | 1 | 6 * CLUSTER, 9: COPIED})
    assert seen(Memory(found), QCOW2_SEEK) == disk(MIB, [parts[0], parts[3]])
    assert list(open_source(Memory(found), QCOW2_SEEK).allocated or ()) == [
        (0, CLUSTER),
        (3 * CLUSTER, CLUSTER),
    ]


def test_a_cluster_may_be_there_by_parts() -> None:
    data = b"".join(bytes([n + 1]) * 2048 for n in range(32))
    stored: list[tuple[int, Packed | Sub]] = [
        (0, Sub(data, 0b1011)),  # two neighbours, and one of none
        (1, Sub(data, 0xFFFFFFFF)),
        (2, Sub(data, 0xFFFF0000_00000001)),  # the upper half reads as zeros
        (3, Sub(data, 0)),
        (4, deflated(data)),
    ]
    found = image(MIB, stored, extended=True)
    wanted = [
        (0, data[:4096]),
        (3 * 2048, data[3 * 2048 : 4 * 2048]),
        (CLUSTER, data),
        (2 * CLUSTER, data[:2048]),
        (4 * CLUSTER, data),
    ]
    assert seen(Memory(found), QCOW2_SEEK) == disk(MIB, wanted)


def test_a_disk_that_was_not_closed_is_read() -> None:
    stored = [(0, b"data")]
    found = image(MIB, stored, incompatible=1)
    assert seen(Memory(found), QCOW2_SEEK) == (MIB, [(0, b"data")])


def test_snapshots_and_unknown_extensions_are_passed_over() -> None:
    table = snapshot(CLUSTER, 1) + snapshot(CLUSTER, 1, extra=24, name=b"after")
    stored = [(0, b"data")]
    found = image(
        MIB,
        stored,
        snapshots=(4 * CLUSTER, 2),
        behind=table,
        extensions=extension(0x12345678, b"odd") + extension(0xE2792ACA, b"raw"),
    )
    assert found.index(table) == 4 * CLUSTER
    assert seen(Memory(found), QCOW2_SEEK) == (MIB, [(0, b"data")])


def test_an_l1_table_may_be_longer_than_the_disk_needs() -> None:
    """What a snapshot keeps of a machine's memory stands behind the disk."""
    found = image(MIB, [(0, b"data"), (16, b"no part of the disk")], l1=(CLUSTER, 9))
    assert seen(Memory(found), QCOW2_SEEK) == (MIB, [(0, b"data")])


def test_a_file_may_end_inside_its_last_cluster_where_the_guest_does() -> None:
    parts = [(0, b"a" * CLUSTER), (CLUSTER, b"b" * 1000)]
    found = image(CLUSTER + 1000, [(offset // CLUSTER, data) for offset, data in parts])
    del found[-(CLUSTER - 1000) :]
    assert seen(Memory(found), QCOW2_SEEK) == disk(CLUSTER + 1000, parts)


class Counting(Memory):
    """Counts readings."""

    def __init__(self, data: bytes | bytearray) -> None:
        super().__init__(data)
        self.sizes: list[int] = []

    def pread(self, offset: int, buffer: bytearray | memoryview, /) -> int:
        self.sizes.append(len(buffer))
        return super().pread(offset, buffer)


def loaded(stream: Counting, window: int) -> list[int]:
    """Sizes of the readings that one window takes."""
    pieces: Sequence[Piece] = list(open_source(stream, QCOW2_SEEK).pieces())
    stream.sizes.clear()
    pieces[window].load()
    return stream.sizes


def test_neighbours_are_read_in_one_go() -> None:
    parts = filled(*range(32), 33, 34)
    plain = Counting(image(4 * MIB, [(n // CLUSTER, data) for n, data in parts]))
    assert loaded(plain, 0) == [2 * MIB]
    assert loaded(plain, 1) == [2 * CLUSTER], "in the file they follow each other"
    packed = Counting(image(4 * MIB, [(n // CLUSTER, deflated(data)) for n, data in parts]))
    assert len(loaded(packed, 0)) == 1


def test_the_tables_of_a_large_disk_take_little_memory() -> None:
    """128 GiB in clusters of 512 bytes: an L1 table of 32 MiB, and it names an L2 table at its end."""
    last = 128 * GIB // 32768 - 1
    place = 512 + (32 << 20)
    stream = SparseDisk(
        place + 1024,
        [
            (0, bytes(image(512, bits=9, l1=(512, last + 1)))[:112]),
            (24, struct.pack(">Q", 128 * GIB)),
            (512 + last * 8, struct.pack(">Q", place | COPIED)),
            (place, struct.pack(">Q", place + 512 | COPIED)),
            (place + 512, b"data"),
        ],
    )
    tracemalloc.start()
    try:
        assert seen(stream, QCOW2_SEEK) == (128 * GIB, [(last * 32768, b"data")])
        assert tracemalloc.get_traced_memory()[1] < 4 * MIB
    finally:
        tracemalloc.stop()
