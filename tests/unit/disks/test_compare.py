"""The first byte in which two images differ, of whatever formats."""

from itertools import product

import pytest

from kensho_tui.cancel import Cancel, CancelledError
from kensho_tui.disks.compare import capacity_of, first_difference
from kensho_tui.disks.image import Access, Format, Image, ImageError, Offer
from tests.unit.disks.streams import (
    RAW_EXTENTS,
    VHD_SEEK,
    VHDX_SEEK,
    VMDK_FORWARD,
    VMDK_SEEK,
    Extents,
    Memory,
    SparseDisk,
    vhd,
    vhdx,
    vmdk,
)

MIB = 1 << 20
BASE = [(100, b"start"), (7 * MIB, b"middle"), (20 * MIB - 3, b"end")]


def image(kind: str, extents: Extents, capacity: int = 20 * MIB) -> Image:
    match kind:
        case "raw":
            return Image(SparseDisk(capacity, extents), RAW_EXTENTS)
        case "unmapped":
            return Image(SparseDisk(capacity, extents, mapped=False), RAW_EXTENTS)
        case "vmdk":
            return Image(Memory(vmdk(capacity, extents)), VMDK_SEEK)
        case "forward":
            return Image(Memory(vmdk(capacity, extents)), VMDK_FORWARD)
        case "stream":
            return Image(Memory(vhd(capacity, extents)), Offer(Format.VHD, Access.FORWARD))
        case "vhdx":
            return Image(Memory(vhdx(capacity, extents)), VHDX_SEEK)
        case "vhdx stream":
            return Image(Memory(vhdx(capacity, extents)), Offer(Format.VHDX, Access.FORWARD))
    return Image(Memory(vhd(capacity, extents)), VHD_SEEK)


KINDS = ["raw", "unmapped", "vmdk", "forward", "vhd", "stream", "vhdx", "vhdx stream"]


@pytest.mark.parametrize("one, other", list(product(KINDS, KINDS)))
def test_the_same_disk_is_equal_in_any_two_formats(one: str, other: str) -> None:
    assert first_difference(image(one, BASE), image(other, BASE)) is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "extents, at",
    [
        (BASE[1:], 100),
        (BASE[:1] + BASE[2:], 7 * MIB),
        ([*BASE, (3 * MIB + 1, b"x")], 3 * MIB + 1),
        ([*BASE[:2], (20 * MIB - 3, b"enD")], 20 * MIB - 1),
        ([], 100),
    ],
)
def test_the_first_byte_that_differs_is_found(kind: str, extents: Extents, at: int) -> None:
    assert first_difference(image(kind, BASE), image("raw", extents)) == at
    assert first_difference(image("raw", extents), image(kind, BASE)) == at


def test_only_the_declared_capacity_is_compared() -> None:
    larger = image("vhd", [*BASE, (21 * MIB, b"tail")], 22 * MIB)
    assert first_difference(larger, image("vmdk", BASE)) is None
    assert first_difference(larger, image("vmdk", BASE), capacity=22 * MIB) == 21 * MIB
    assert first_difference(larger, image("vmdk", BASE), capacity=0) is None
    assert first_difference(image("raw", BASE), image("raw", []), capacity=100) is None
    assert first_difference(image("raw", BASE), image("raw", []), capacity=101) == 100
    assert capacity_of(larger) == 22 * MIB


def test_damage_is_an_error_and_no_difference() -> None:
    data = bytearray(vmdk(20 * MIB, BASE))
    data[65536 + 14] ^= 0xFF
    with pytest.raises(ImageError):
        first_difference(Image(Memory(data), VMDK_SEEK), image("raw", BASE))


def test_a_comparison_can_be_cancelled() -> None:
    cancel = Cancel()
    cancel.cancel()
    with pytest.raises(CancelledError):
        first_difference(image("raw", BASE), image("vhd", BASE), cancel=cancel)
