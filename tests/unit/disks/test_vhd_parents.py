"""VHDs that hold only the difference to a parent: built by hand, sector by sector."""

import struct
import uuid
from collections.abc import Mapping

import pytest

from kensho_tui.disks.copy import transfer
from kensho_tui.disks.formats import open_source
from kensho_tui.disks.image import ExtentMap, Image, ImageError, Offer, Source
from kensho_tui.disks.vhd import VhdSource
from kensho_tui.disks.vhd_structs import DIFFERENCING, Footer, checksum
from tests.unit.disks.streams import (
    RAW_EXTENTS,
    VHD_FORWARD,
    VHD_SEEK,
    Extents,
    Kept,
    Memory,
    SparseDisk,
    convert,
    vhd,
    visible,
)

MIB = 1 << 20
BLOCK = 2 * MIB
CAPACITY = 9 * MIB
PARENT = [(0, b"p" * 1024), (BLOCK + 512, b"q" * 1024), (8 * MIB, b"r" * 512)]


def difference(
    parent: bytes, sectors: Mapping[int, bytes], *, of: bytes | None = None, name: str = "base.vhd"
) -> bytes:
    """A differencing VHD by the specification: blocks with the bits of the sectors that it has.

    Args:
        parent: the image; its UUID is that of its last 512 bytes.
        sectors: of the disk, by number.
        of: the parent's UUID, where it is not the right one.
    """
    identity = of or bytes(parent[-512:][68:84])
    footer = Footer(CAPACITY, DIFFERENCING, 512, uuid.uuid4().bytes).pack()
    count = -(-CAPACITY // BLOCK)
    header = bytearray(1024)
    struct.pack_into(">8sQQIII", header, 0, b"cxsparse", (1 << 64) - 1, 1536, 0x10000, count, BLOCK)
    header[40:56] = identity
    title = name.encode("utf-16-be")
    header[64 : 64 + len(title)] = title
    struct.pack_into(">I", header, 36, checksum(header, 36))
    table, blocks = [0xFFFFFFFF] * count, bytearray()
    for block in sorted({n // 4096 for n in sectors}):
        table[block] = (2048 + len(blocks)) // 512
        bits, data = bytearray(512), bytearray(b"\xee" * BLOCK)  # what no bit names is nobody's
        for number, content in sectors.items():
            if number // 4096 == block:
                inside = number % 4096
                bits[inside // 8] |= 0x80 >> inside % 8
                data[inside * 512 : inside * 512 + 512] = content.ljust(512, b"\0")
        blocks += bits + data
    entries = struct.pack(f">{count}I", *table).ljust(512, b"\xff")
    return footer + bytes(header) + entries + bytes(blocks) + footer


def shown(source: Source) -> list[tuple[int, bytes]]:
    parts = [part for piece in source.pieces() for part in piece.load()]
    return visible([(offset, bytes(data)) for offset, data in parts])


def over(base: Extents, sectors: Mapping[int, bytes]) -> list[tuple[int, bytes]]:
    """What the two show together."""
    disk = bytearray(CAPACITY)
    for offset, data in base:
        disk[offset : offset + len(data)] = data
    for number, data in sectors.items():
        disk[number * 512 : number * 512 + 512] = data.ljust(512, b"\0")
    return visible([(0, bytes(disk))])


@pytest.fixture
def parent() -> bytes:
    return vhd(CAPACITY, PARENT)


def test_sectors_of_the_child_hide_those_of_the_parent_and_no_others(parent: bytes) -> None:
    sectors = {1: b"child", 4097: b"", 4100: b"more", 3 * 4096: b"own block"}
    child = Memory(difference(parent, sectors))
    base = VhdSource(Memory(parent))
    source = VhdSource(child, base)
    assert source.capacity == CAPACITY
    assert shown(source) == over(PARENT, sectors)
    assert source.allocated == ExtentMap([(0, 4 * MIB), (6 * MIB, 3 * MIB)])


def test_a_chain_of_three_is_read_and_converted(parent: bytes) -> None:
    first, second = {1: b"first", 2: b"kept"}, {1: b"second", 17000: b"last"}
    middle = difference(parent, first)
    child = difference(middle, second, name="middle.vhd")
    below = [Image(Memory(middle), VHD_SEEK), Image(Memory(parent), VHD_SEEK)]
    kept: list[Kept] = []

    def open_writer(offer: Offer, length: int | None, allocation: ExtentMap | None) -> Kept:
        kept.append(Kept(offer, length))
        return kept[0]

    transfer(Memory(child), VHD_SEEK, targets=[VHD_FORWARD], open_writer=open_writer, parents=below)
    assert shown(VhdSource(Memory(kept[0].bytes))) == over(PARENT, {**first, **second})


def test_a_fixed_parent_will_do(parent: bytes) -> None:
    fixed = convert(
        SparseDisk(CAPACITY, PARENT), RAW_EXTENTS, Offer(RAW_EXTENTS.format, RAW_EXTENTS.access)
    )[0].bytes.ljust(CAPACITY, b"\0")
    base = fixed + Footer(CAPACITY, 2, (1 << 64) - 1, uuid.uuid4().bytes).pack()
    child = Memory(difference(base, {0: b"x"}))
    assert shown(VhdSource(child, VhdSource(Memory(base)))) == over(PARENT, {0: b"x"})


def test_without_its_parent_a_difference_is_refused_and_the_parent_named(parent: bytes) -> None:
    child = difference(parent, {0: b"x"}, name="../../etc/base\x1b.vhd")
    for offer in (VHD_SEEK, VHD_FORWARD):
        with pytest.raises(ImageError, match="only the difference to a parent") as caught:
            open_source(Memory(child), offer)
        assert "base" in caught.value.what
        assert "\x1b" not in caught.value.what


def test_another_parent_and_a_needless_one_are_refused(parent: bytes) -> None:
    base = VhdSource(Memory(parent))
    with pytest.raises(ImageError, match=r"is another disk than base\.vhd"):
        VhdSource(Memory(difference(parent, {}, of=bytes(16))), base)
    with pytest.raises(ImageError, match="has no parent, and one is given"):
        VhdSource(Memory(parent), base)
    raw = open_source(SparseDisk(CAPACITY), RAW_EXTENTS)
    with pytest.raises(ImageError, match="is another disk"):
        VhdSource(Memory(difference(parent, {})), raw)
    with pytest.raises(ImageError, match="not read together with parents"):
        open_source(SparseDisk(CAPACITY), RAW_EXTENTS, parents=[Image(Memory(parent), VHD_SEEK)])
