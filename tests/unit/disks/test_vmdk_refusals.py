"""Damaged and hostile VMDKs: each is refused with a sentence, whichever way it is read."""

import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import suppress

import pytest

from kensho_tui.disks.image import Access, ImageError, Offer
from tests.unit.disks import craft
from tests.unit.disks.streams import VMDK_FORWARD, VMDK_SEEK, Memory, Trickle, seen, visible, vmdk

CAPACITY = 4096  # sectors: 32 grains
GRAINS = [(0, craft.grain(b"a")), (128, craft.grain(b"b")), (1024, craft.grain(b"c"))]
CONTENT = visible([(0, b"a" * 65536), (65536, b"b" * 65536), (524288, b"c" * 65536)])
BOTH = pytest.mark.parametrize("offer", [VMDK_SEEK, VMDK_FORWARD], ids=["seek", "forward"])


def refused(data: bytes, offer: Offer, sentence: str) -> ImageError:
    with pytest.raises(ImageError, match=sentence) as caught:
        seen(Memory(data) if offer.access is Access.SEEK else Trickle(data), offer)
    assert caught.value.remedy
    assert "." not in caught.value.what[-1]
    return caught.value


@BOTH
def test_a_right_file_made_by_hand_is_read(offer: Offer) -> None:
    data = craft.image(CAPACITY, GRAINS)
    stream = Memory(data) if offer.access is Access.SEEK else Trickle(data)
    assert seen(stream, offer) == (CAPACITY * 512, CONTENT)


@BOTH
@pytest.mark.parametrize("padding", [0, 512, 65536 - 512])
def test_tables_before_the_grains_are_read(offer: Offer, padding: int) -> None:
    data = craft.tables_first(CAPACITY, GRAINS, padding)
    stream = Memory(data) if offer.access is Access.SEEK else Trickle(data)
    assert seen(stream, offer) == (CAPACITY * 512, CONTENT)


@BOTH
def test_padding_behind_the_end_is_passed_over(offer: Offer) -> None:
    assert seen(Memory(craft.image(CAPACITY, GRAINS) + bytes(5120)), offer)[1] == CONTENT


@BOTH
def test_no_cut_goes_unnoticed(offer: Offer) -> None:
    whole = craft.image(CAPACITY, GRAINS)
    for length in [*range(0, len(whole), 509), len(whole) - 1, len(whole) - 512, len(whole) - 513]:
        with pytest.raises(ImageError):
            seen(Memory(whole[:length]), offer)


@BOTH
def test_no_cut_goes_unnoticed_where_the_tables_come_first(offer: Offer) -> None:
    whole = craft.tables_first(CAPACITY, GRAINS)
    for length in [*range(0, len(whole), 509), len(whole) - 512]:
        with pytest.raises(ImageError):
            seen(Memory(whole[:length]), offer)


@BOTH
def test_a_grain_that_is_a_bomb_is_refused_in_little_memory(offer: Offer) -> None:
    data = craft.image(CAPACITY, [(0, craft.grain(b"a")), (128, craft.bomb()[:65000])])
    tracemalloc.start()
    try:
        refused(
            data, offer, "VMDK grain 1: compressed data is damaged, or inflates to more than 65536"
        )
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


@BOTH
def test_a_grain_that_claims_more_compressed_bytes_than_there_can_be_is_refused(
    offer: Offer,
) -> None:
    data = craft.image(CAPACITY, [(0, craft.bomb())])
    refused(
        data, offer, r"grain 0 (claims \d+ compressed bytes|runs into what follows)|ends at byte"
    )


@BOTH
def test_a_grain_that_inflates_to_too_little_is_refused(offer: Offer) -> None:
    data = craft.image(CAPACITY, [(0, zlib.compress(b"short"))])
    refused(data, offer, "grain 0 inflates to 5 bytes, not 65536")


@BOTH
def test_flipped_bits_in_a_grain_are_refused(offer: Offer) -> None:
    data = bytearray(craft.image(CAPACITY, GRAINS))
    data[128 * 512 + 40] ^= 0xFF
    refused(bytes(data), offer, "grain 0: compressed data is damaged")


@BOTH
def test_a_grain_beyond_the_capacity_is_refused(offer: Offer) -> None:
    data = craft.image(CAPACITY, [(0, craft.grain(b"a")), (CAPACITY, craft.grain(b"b"))])
    refused(data, offer, "its capacity ends at 32|claims sector 4096, outside the disk")


@BOTH
def test_a_grain_inside_another_one_is_refused(offer: Offer) -> None:
    data = craft.image(CAPACITY, [(64, craft.grain(b"a"))])
    refused(data, offer, "its marker says sector 64|claims sector 64, outside the disk or inside")


@BOTH
def test_grains_that_go_backwards_are_refused(offer: Offer) -> None:
    data = craft.image(CAPACITY, [(256, craft.grain(b"a")), (128, craft.grain(b"b"))])
    refused(data, offer, "lies before the one it follows|out of order: 1 after 2")


@BOTH
def test_a_grain_given_twice_is_refused(offer: Offer) -> None:
    data = craft.image(CAPACITY, [(128, craft.grain(b"a")), (128, craft.grain(b"b"))])
    refused(data, offer, "tables do not name|out of order: 1 after 1|markers disagree")


@BOTH
def test_tables_that_name_another_place_than_the_markers_are_refused(offer: Offer) -> None:
    data = craft.image(CAPACITY, GRAINS, tables={0: {0: 129}})
    refused(data, offer, "tables and markers disagree|lies before the one it follows")


@BOTH
def test_a_grain_that_no_table_names_is_refused(offer: Offer) -> None:
    data = craft.image(CAPACITY, GRAINS, tables={0: {1: 0}})
    refused(data, offer, "holds a grain that its tables do not name|tables and markers disagree")


@BOTH
def test_a_grain_hidden_before_the_tables_is_refused(offer: Offer) -> None:
    hidden = craft.record(2048, craft.grain(b"z"))
    data = craft.image(
        CAPACITY, GRAINS, between=craft.marker(1, 3) + craft.header(CAPACITY, 5) + hidden
    )
    refused(data, offer, "holds a grain that its tables do not name|tables and markers disagree")


@BOTH
def test_a_grain_that_only_the_tables_name_is_refused(offer: Offer) -> None:
    data = craft.image(CAPACITY, GRAINS, tables={0: {20: 133}})
    refused(data, offer, "tables and markers disagree|runs into")


@BOTH
def test_a_table_entry_outside_the_file_is_refused(offer: Offer) -> None:
    data = craft.image(CAPACITY, GRAINS, tables={0: {20: 1 << 30}})
    refused(data, offer, "grain 20 lies outside the file|tables and markers disagree")


@BOTH
def test_a_grain_directory_outside_the_file_is_refused(offer: Offer) -> None:
    data = craft.image(CAPACITY, GRAINS, directory_at=1 << 40)
    refused(
        data, offer, "grain directory lies outside the file|footer points at no grain directory"
    )


def test_a_grain_table_outside_the_file_is_refused() -> None:
    data = bytearray(craft.tables_first(CAPACITY, GRAINS))
    data[32 * 512 : 32 * 512 + 4] = (1 << 30).to_bytes(4, "little")
    for offer in (VMDK_SEEK, VMDK_FORWARD):
        refused(bytes(data), offer, "grain table 0 lies outside the file")


@BOTH
def test_a_footer_of_another_disk_is_refused(offer: Offer) -> None:
    refused(
        craft.image(CAPACITY, GRAINS, footer={"grain": 64}), offer, "footer and header disagree"
    )


@BOTH
def test_an_unknown_marker_is_refused(offer: Offer) -> None:
    data = craft.image(CAPACITY, GRAINS, between=craft.marker(3, 77) + bytes(3 * 512))
    if offer is VMDK_FORWARD:
        refused(data, offer, r"unknown marker \(type 77, 3 sectors\)")


@BOTH
def test_something_behind_the_end_is_refused(offer: Offer) -> None:
    data = craft.image(CAPACITY, GRAINS) + b"more"
    refused(data, offer, "no footer at its end|more behind the end")


HEADERS: list[tuple[Callable[[], bytes], str]] = [
    (lambda: craft.image(CAPACITY, GRAINS, magic=b"KDMX"), "no VMDK header"),
    (lambda: craft.image(CAPACITY, GRAINS, magic=b"COWD"), "ESX sparse extent"),
    (lambda: craft.image(CAPACITY, GRAINS, version=9), "unknown version 9"),
    (lambda: craft.image(CAPACITY, GRAINS, flags=1), "not streamOptimized"),
    (lambda: craft.image(CAPACITY, GRAINS, line_ends=b"\n\n\r\n"), "transfer in text mode"),
    (lambda: craft.image(CAPACITY, GRAINS, algorithm=2), "unknown compression 2"),
    (lambda: craft.image(CAPACITY, GRAINS, grain=100), "grains of 100 sectors"),
    (lambda: craft.image(CAPACITY, GRAINS, grain=1 << 40), "grains of"),
    (lambda: craft.image(CAPACITY, GRAINS, entries=1 << 20), "tables of 1048576 entries"),
    (lambda: craft.image(CAPACITY, GRAINS, descriptor=b"", version=3), "no createType"),
    (lambda: craft.front(1 << 60, 0, craft.text(1 << 60)), "more than 64 TiB"),
    (
        lambda: craft.header(CAPACITY, 0, descriptor=(0, 0)) + bytes(65536),
        "no descriptor inside",
    ),
    (
        lambda: craft.header(CAPACITY, 0, descriptor=(1, 1 << 50)) + bytes(65536),
        "descriptor lies over its grains",
    ),
]


@BOTH
@pytest.mark.parametrize("make, sentence", HEADERS)
def test_a_header_that_says_what_it_must_not_is_refused(
    offer: Offer, make: Callable[[], bytes], sentence: str
) -> None:
    refused(make(), offer, sentence)


DESCRIPTORS = [
    (craft.text(CAPACITY, "monolithicFlat"), "descriptor says monolithicFlat"),
    (craft.text(CAPACITY, "vmfs[bold]\x1b[31m"), r"descriptor says vmfs\[bold\], not"),
    (craft.text(CAPACITY, extent='RW 4096 FLAT "/etc/passwd" 0'), "names other extents .FLAT /etc/passwd"),
    (craft.text(CAPACITY, extent='RW 4096 VMFSRDM "/dev/sda"'), "names other extents"),
    (craft.text(CAPACITY, extent='RW 4096 SPARSE "a"\nRW 8 FLAT "../x" 0'), "names other extents"),
    (craft.text(CAPACITY, extent=""), r"other extents \(none\)"),
    (craft.text(CAPACITY, extent='RW 9 SPARSE "a"'), "descriptor says 9 sectors, its header 4096"),
    (craft.text(CAPACITY).replace(b"ffffffff", b"0badcafe"), "only the difference to a parent"),
    (craft.text(CAPACITY) + b'parentFileNameHint="/p.vmdk"\n', "only the difference to a parent"),
]  # fmt: skip


@BOTH
@pytest.mark.parametrize("descriptor, sentence", DESCRIPTORS)
def test_a_descriptor_that_means_more_than_this_file_is_refused(
    offer: Offer, descriptor: bytes, sentence: str
) -> None:
    refused(craft.image(CAPACITY, GRAINS, descriptor=descriptor), offer, sentence)


@BOTH
def test_a_second_descriptor_hidden_in_the_padding_is_not_looked_at(offer: Offer) -> None:
    hidden = craft.text(CAPACITY) + b"\0" + craft.text(CAPACITY, extent='RW 8 FLAT "/etc/passwd"')
    assert seen(Memory(craft.image(CAPACITY, GRAINS, descriptor=hidden)), offer)[1] == CONTENT


@BOTH
def test_a_descriptor_file_that_points_at_another_file_is_refused(offer: Offer) -> None:
    text = b'# Disk DescriptorFile\nversion=1\ncreateType="monolithicFlat"\nRW 8 FLAT "/etc/passwd" 0\n'
    for length in (0, 1024):
        padded = text.ljust(length, b"\n")
        error = refused(padded, offer, "only a descriptor that points at other files")
        assert "never followed" in error.what


@BOTH
def test_random_damage_never_shows_another_error_or_endless_work(offer: Offer) -> None:
    """Every sector of the tables and markers, one byte changed: refused, or the content is the same."""
    whole = vmdk(3 << 20, [(0, b"a" * 5), (70_000, b"b" * 100), (2 << 20, b"c" * 70_000)])
    right = seen(Memory(whole), VMDK_SEEK)
    for at in [*range(96), *range(65536, len(whole), 37)]:
        for value in (0x00, 0x80, 0xFF):
            changed = bytearray(whole)
            changed[at] = value
            with suppress(ImageError):
                assert seen(Memory(bytes(changed)), offer) == right, f"byte {at} = {value:#x}"
