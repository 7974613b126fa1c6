"""What goes in comes out, whatever the formats, accesses and sizes."""

import hashlib
from collections.abc import Callable
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kensho_tui.disks.image import Access, Offer
from kensho_tui.disks.vhdx_write import block_size
from tests.unit.disks.streams import (
    QCOW2_COMPRESSED,
    QCOW2_FORWARD,
    QCOW2_PLANNED,
    QCOW2_SEEK,
    RAW_EXTENTS,
    RAW_FORWARD,
    RAW_SEEK,
    VHD_FIXED,
    VHD_FORWARD,
    VHD_SEEK,
    VHDX_FIXED,
    VHDX_FORWARD,
    VHDX_SEEK,
    VMDK_FORWARD,
    VMDK_SEEK,
    VMDK_SPARSE,
    Extents,
    Memory,
    SparseDisk,
    Trickle,
    convert,
    qcow2,
    qcow2_compressed,
    seen,
    vhd,
    vhd_fixed,
    vhdx,
    vhdx_fixed,
    visible,
    vmdk,
    vmdk_sparse,
)

MIB = 1 << 20
TIB = 1 << 40


def filled(seed: int, length: int) -> bytes:
    """The same bytes for the same seed; every fourth seed gives zeros, every fifth what deflates."""
    if seed % 4 == 0:
        return bytes(length)
    if seed % 5 == 0:
        return (b"%d " % seed * length)[:length]
    return hashlib.shake_128(seed.to_bytes(4, "big")).digest(length)


@st.composite
def disks(draw: st.DrawFn, most: int = 64 << 30) -> tuple[int, Extents]:
    """A capacity in sectors' multiples and some data, anywhere, of odd sizes and over borders."""
    capacity = draw(st.integers(0, 40 * MIB // 512) | st.integers(0, most // 512)) * 512
    extents: list[tuple[int, bytes]] = []
    end = 0
    borders = st.sampled_from([65536, 2 * MIB, 32 * MIB])
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(end, max(end, capacity)))
        if draw(st.booleans()):
            border = draw(borders)
            start = max(end, start // border * border + draw(st.integers(-3, 3)))
        length = min(draw(st.integers(1, 200_000)), capacity - start)
        if length <= 0:
            break
        extents.append((start, filled(draw(st.integers(0, 1 << 20)), length)))
        end = start + length
    return capacity, extents


QCOW2 = [QCOW2_FORWARD, QCOW2_PLANNED, QCOW2_SEEK, QCOW2_COMPRESSED]
PLANNED = [VHD_FORWARD, VHDX_FORWARD, QCOW2_FORWARD, QCOW2_PLANNED]
TARGETS = [
    VMDK_FORWARD,
    VMDK_SEEK,
    VHD_FORWARD,
    VHD_SEEK,
    VHDX_FORWARD,
    VHDX_SEEK,
    VMDK_SPARSE,
    *QCOW2,
    RAW_EXTENTS,
]
IMAGES: dict[str, tuple[Callable[[int, Extents], bytes], Offer]] = {
    "vmdk": (vmdk, VMDK_SEEK),
    "vhd": (vhd, VHD_SEEK),
    "vhdx": (vhdx, VHDX_SEEK),
    "vhdx-fixed": (vhdx_fixed, VHDX_FIXED),
    "vmdk-sparse": (vmdk_sparse, VMDK_SPARSE),
    "vhd-fixed": (vhd_fixed, VHD_FIXED),
    "qcow2": (qcow2, QCOW2_SEEK),
    "compressed": (qcow2_compressed, QCOW2_COMPRESSED),
}
SCATTERED = {VMDK_SPARSE.format, QCOW2_SEEK.format}  # not to be read forward


@settings(max_examples=150, deadline=None)
@given(disks(), st.sampled_from(TARGETS), st.booleans())
def test_any_disk_survives_any_format_and_both_ways_of_reading(
    disk: tuple[int, Extents], target: Offer, mapped: bool
) -> None:
    capacity, extents = disk
    wanted = (capacity, visible(extents))
    if capacity > 100 * MIB or target in PLANNED:
        mapped = True  # without a map every zero is read, and no table is planned
    written, done = convert(SparseDisk(capacity, extents, mapped=mapped), RAW_EXTENTS, target)
    assert done.capacity == capacity
    assert done.empty <= capacity
    if target == RAW_EXTENTS:
        assert visible(sorted(written.extents)) == wanted[1]
        return
    assert seen(Memory(written.bytes), Offer(target.format, VMDK_SEEK.access)) == wanted
    if target.format not in SCATTERED:
        assert seen(Trickle(written.bytes), Offer(target.format, VMDK_FORWARD.access)) == wanted


@settings(max_examples=120, deadline=None)
@given(
    disks(24 * MIB),
    st.sampled_from(list(IMAGES)),
    st.booleans(),
    st.sampled_from(["raw", *IMAGES]),
)
def test_every_format_becomes_every_format(
    disk: tuple[int, Extents], form: str, forward: bool, to: str
) -> None:
    capacity, extents = disk
    make, source = IMAGES[form]
    image = Memory(make(capacity, extents))
    if forward and source.format not in SCATTERED and form != "vhd-fixed":
        source = Offer(source.format, Access.FORWARD)
    if to == "raw":
        written, _ = convert(image, source, RAW_FORWARD)
        assert written.at == capacity
        assert visible([(0, written.bytes)]) == visible(extents)
    else:
        target = VMDK_FORWARD if to == "vmdk" else IMAGES[to][1]
        written, _ = convert(image, source, target)
        assert seen(Memory(written.bytes), Offer(target.format, VMDK_SEEK.access)) == (
            capacity,
            visible(extents),
        )


EDGES: list[tuple[int, Extents]] = [
    (0, []),
    (512, []),
    (512, [(0, b"x" * 512)]),
    (65536 + 512, [(65536, b"y" * 512)]),
    (2 * MIB + 512, [(2 * MIB - 1, b"zz")]),
    (32 * MIB, [(0, b"first"), (32 * MIB - 1, b"l")]),
    (33 * MIB + 512, [(32 * MIB - 1, b"over the border of grain tables")]),
    (5 * MIB, [(0, bytes(5 * MIB))]),
]


@pytest.mark.parametrize("capacity, extents", EDGES)
@pytest.mark.parametrize(
    "form, second", list(product(IMAGES, [RAW_EXTENTS, RAW_SEEK, RAW_FORWARD]))
)
def test_edges_survive_every_format_and_every_way_of_writing_raw(
    capacity: int, extents: Extents, form: str, second: Offer
) -> None:
    make, source = IMAGES[form]
    written, done = convert(Memory(make(capacity, extents)), source, second)
    assert done.capacity == capacity
    assert visible(sorted(written.extents)) == visible(extents)
    if second is not RAW_EXTENTS:
        assert sum(len(data) for _, data in written.extents) == capacity


def test_a_disk_of_four_tebibytes_takes_no_more_work_than_its_data() -> None:
    extents = [(0, b"start"), (3 * TIB + 4097, b"middle"), (4 * TIB - 1, b"\x01")]
    image = vmdk(4 * TIB, extents)
    assert len(image) < 2 * MIB
    assert seen(Memory(image), VMDK_SEEK) == (4 * TIB, visible(extents))
    assert seen(Trickle(image, 1 << 16), VMDK_FORWARD) == (4 * TIB, visible(extents))
    written, done = convert(Memory(image), VMDK_SEEK, RAW_EXTENTS)
    assert visible(written.extents) == visible(extents)
    assert done.empty > 4 * TIB - MIB


def test_the_largest_vhd_there_may_be() -> None:
    capacity = 2040 << 30
    extents = [(7, b"start"), (capacity - 3, b"end")]
    assert seen(Memory(vhd(capacity, extents)), VHD_SEEK) == (capacity, visible(extents))


def test_a_raw_disk_of_an_odd_size_is_rounded_up_to_a_sector() -> None:
    for target in (VMDK_FORWARD, VHD_FORWARD, VHDX_FORWARD, VHDX_SEEK, *QCOW2):
        written, done = convert(SparseDisk(1000, [(998, b"ab")]), RAW_EXTENTS, target, increment=1)
        assert done.capacity == 1024
        assert seen(Memory(written.bytes), Offer(target.format, VMDK_SEEK.access)) == (
            1024,
            [(998, b"ab")],
        )


@pytest.mark.parametrize("form, target", [("vhd", VHD_FORWARD), ("vhdx", VHDX_FORWARD)])
def test_a_stream_becomes_one_of_the_promised_length(form: str, target: Offer) -> None:
    make, offer = IMAGES[form]
    image = make(9 * MIB, [(5 * MIB, b"data")])
    written, _ = convert(Trickle(image, 1 << 16), Offer(offer.format, Access.FORWARD), target)
    assert written.promised == written.at == len(image)
    assert seen(Memory(written.bytes), offer) == (9 * MIB, [(5 * MIB, b"data")])


@pytest.mark.parametrize("target", [VHDX_FORWARD, VHDX_SEEK])
@pytest.mark.parametrize("capacity", [2 * TIB, 2 * TIB + 512, 5 * TIB, 64 * TIB])
def test_a_vhdx_of_any_size_takes_no_more_room_than_its_data_and_table(
    capacity: int, target: Offer
) -> None:
    extents = [(7, b"start"), (capacity // 2 + 4 * MIB - 1, b"middle"), (capacity - 3, b"end")]
    written, _ = convert(SparseDisk(capacity, extents), RAW_EXTENTS, target)
    block = block_size(capacity)
    assert capacity // block <= 1 << 20
    assert written.at <= 13 * MIB + 4 * block
    assert seen(Memory(written.bytes), VHDX_SEEK) == (capacity, visible(extents))
    assert seen(Trickle(written.bytes, 1 << 20), VHDX_FORWARD) == (capacity, visible(extents))


@pytest.mark.parametrize("target", [VMDK_FORWARD, QCOW2_SEEK, QCOW2_COMPRESSED])
def test_zeros_cost_nothing(target: Offer) -> None:
    disk = SparseDisk(8 * MIB, [(0, bytes(8 * MIB))])
    full, _ = convert(disk, RAW_EXTENTS, target)
    assert len(full.bytes) == len(convert(SparseDisk(8 * MIB), RAW_EXTENTS, target)[0].bytes)


@pytest.mark.parametrize("target", QCOW2)
def test_a_qcow2_of_the_largest_disk_takes_no_more_than_its_data(target: Offer) -> None:
    capacity = 64 * TIB
    extents = [(7, b"start"), (40 * TIB + 4097, b"middle"), (capacity - 3, b"end")]
    written, _ = convert(SparseDisk(capacity, extents), RAW_EXTENTS, target)
    assert len(written.bytes) < 2 * MIB
    assert seen(Memory(written.bytes), QCOW2_SEEK) == (capacity, visible(extents))


def test_a_planned_cluster_that_turns_out_empty_is_written_all_the_same() -> None:
    disk = SparseDisk(4 * MIB, [(0, b"a" * 10), (MIB, bytes(70_000)), (3 * MIB, b"z")])
    written, _ = convert(disk, RAW_EXTENTS, QCOW2_FORWARD)
    assert seen(Memory(written.bytes), QCOW2_SEEK) == (4 * MIB, [(0, b"a" * 10), (3 * MIB, b"z")])
    assert written.promised == written.at == (1 + 1 + 1 + 1 + 1 + 4) * 65536
