"""What two formats store alike passes as it is: checked, but neither inflated nor deflated again."""

import zlib

import pytest

from kensho_tui.disks.codec import Compression
from kensho_tui.disks.copy import transfer
from kensho_tui.disks.image import ExtentMap, ImageError, Offer
from tests.unit.disks import craft
from tests.unit.disks.streams import (
    RAW_EXTENTS,
    VMDK_FORWARD,
    VMDK_SEEK,
    Kept,
    Memory,
    convert,
    seen,
    visible,
)

MIB = 1 << 20
GRAIN = 65536
BOTH = pytest.mark.parametrize("way", [VMDK_FORWARD, VMDK_SEEK], ids=["forward", "seek"])


def stored(level: int, grains: int = 40) -> tuple[bytes, list[tuple[int, bytes]]]:
    """A VMDK whose grains were deflated by zlib at that level, and what it shows."""
    plain = [(n * 3, b"%5d " % n * 20_000) for n in range(grains)]
    parts = [(n * 128, zlib.compress(data[:GRAIN], level)) for n, data in plain]
    image = craft.image(16 * MIB // 512, parts)
    return image, [(n * GRAIN, data[:GRAIN]) for n, data in plain]


def again(
    image: bytes, way: Offer, compression: Compression | None = None, *, inspect: bool = False
) -> bytes:
    kept: list[Kept] = []

    def open_writer(offer: Offer, length: int | None, allocation: ExtentMap | None) -> Kept:
        kept.append(Kept(offer, length))
        return kept[0]

    transfer(
        Memory(image),
        way,
        targets=[VMDK_FORWARD],
        open_writer=open_writer,
        compression=compression,
        inspect=inspect,
    )
    return kept[0].bytes


@BOTH
def test_grains_pass_as_they_are(way: Offer) -> None:
    image, shown = stored(9)
    passed = again(image, way)
    assert seen(Memory(passed), VMDK_SEEK) == (16 * MIB, visible(shown))
    for _, data in shown:
        assert zlib.compress(data, 9) in passed


@BOTH
def test_who_asks_for_a_compression_gets_it(way: Offer) -> None:
    image, shown = stored(0)
    made = again(image, way, Compression.SMALL)
    assert len(made) < len(image) // 10
    assert seen(Memory(made), VMDK_SEEK) == (16 * MIB, visible(shown))


@BOTH
def test_a_grain_that_somebody_stored_with_much_waste_is_deflated_anew(way: Offer) -> None:
    pressed = zlib.compressobj(0)
    wasteful = b"".join(
        pressed.compress(b"x" * 128) + pressed.flush(zlib.Z_FULL_FLUSH) for _ in range(512)
    )
    wasteful += pressed.flush()
    assert len(wasteful) > GRAIN + 512
    made = again(craft.image(MIB // 512, [(128, wasteful)]), way)
    assert seen(Memory(made), VMDK_SEEK) == (MIB, [(GRAIN, b"x" * GRAIN)])


@BOTH
@pytest.mark.parametrize("what", ["a byte", "the checksum", "too short", "too long"])
def test_damage_inside_a_grain_passes_unless_it_is_inspected(way: Offer, what: str) -> None:
    grain = bytearray(zlib.compress(b"grain 3 " * (GRAIN // 8), 0))  # stored: any byte may change
    if what == "a byte":
        grain[1000] ^= 1
    elif what == "the checksum":
        grain[-1] ^= 1
    else:
        length = GRAIN - 9 if what == "too short" else GRAIN + 9
        grain = bytearray(zlib.compress(b"x" * length))
    image = craft.image(MIB // 512, [(128, zlib.compress(b"a" * GRAIN)), (3 * 128, bytes(grain))])
    assert bytes(grain) in again(image, way)
    with pytest.raises(ImageError, match="VMDK grain 3"):
        again(image, way, inspect=True)


@BOTH
def test_grains_that_are_inspected_pass_as_they_are(way: Offer) -> None:
    image, shown = stored(9)
    passed = again(image, way, inspect=True)
    assert seen(Memory(passed), VMDK_SEEK) == (16 * MIB, visible(shown))
    for _, data in shown:
        assert zlib.compress(data, 9) in passed


@BOTH
def test_what_is_no_zlib_stream_does_not_pass(way: Offer) -> None:
    with pytest.raises(ImageError, match="grain 1 is not compressed by zlib"):
        again(craft.image(MIB // 512, [(128, b"no zlib stream")]), way)


@BOTH
def test_another_capacity_means_other_grains(way: Offer) -> None:
    image, shown = stored(9, 2)
    kept, done = convert(Memory(image), way, VMDK_FORWARD, increment=3 * MIB)
    assert done.capacity == 18 * MIB
    assert seen(Memory(kept.bytes), VMDK_SEEK) == (18 * MIB, visible(shown))
    assert zlib.compress(shown[0][1], 9) not in kept.bytes


def test_other_formats_do_not_see_what_was_stored() -> None:
    image, shown = stored(9, 2)
    kept, _ = convert(Memory(image), VMDK_SEEK, RAW_EXTENTS)
    assert visible(sorted(kept.extents)) == visible(shown)
