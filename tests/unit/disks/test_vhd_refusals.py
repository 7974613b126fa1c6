"""Damaged and hostile VHDs: each is refused with a sentence, whichever way it is read."""

import struct
from contextlib import suppress

import pytest

from kensho_tui.disks.image import Access, ExtentMap, Format, ImageError, Offer
from kensho_tui.disks.vhd_structs import Footer, checksum, geometry
from tests.unit.disks.streams import VHD_SEEK, Memory, Trickle, seen, vhd

MIB = 1 << 20
FORWARD = Offer(Format.VHD, Access.FORWARD)
BOTH = pytest.mark.parametrize("offer", [VHD_SEEK, FORWARD], ids=["seek", "forward"])
CAPACITY = 9 * MIB
CONTENT = [(5, b"first"), (4 * MIB + 3, b"third"), (9 * MIB - 4, b"last")]
TABLE = 1536
FIRST = 2048  # the first block's bitmap


def image() -> bytearray:
    return bytearray(vhd(CAPACITY, CONTENT))


def summed(data: bytearray, start: int, length: int, at: int) -> None:
    struct.pack_into(">I", data, start + at, checksum(data[start : start + length], at))


def with_footer(data: bytearray, at: int, value: bytes) -> bytearray:
    """A field changed in both footers, their checksums right."""
    for start in (0, len(data) - 512):
        data[start + at : start + at + len(value)] = value
        summed(data, start, 512, 64)
    return data


def with_header(data: bytearray, at: int, value: bytes) -> bytearray:
    data[512 + at : 512 + at + len(value)] = value
    summed(data, 512, 1024, 36)
    return data


def with_entry(data: bytearray, index: int, sector: int) -> bytearray:
    struct.pack_into(">I", data, TABLE + 4 * index, sector)
    return data


def entry(data: bytearray, index: int) -> int:
    return int(struct.unpack_from(">I", data, TABLE + 4 * index)[0])


def refused(data: bytes | bytearray, offer: Offer, sentence: str) -> None:
    with pytest.raises(ImageError, match=sentence) as caught:
        seen(Memory(data) if offer.access is Access.SEEK else Trickle(data, 4096), offer)
    assert caught.value.remedy


@BOTH
def test_no_cut_goes_unnoticed(offer: Offer) -> None:
    whole = bytes(image())
    cuts = [0, 1, 511, 512, 1000, 1536, 1540, 2048, 2100, 2 * MIB, 4 * MIB, len(whole) - 513]
    for length in [*cuts, len(whole) - 512, len(whole) - 1]:
        with pytest.raises(ImageError):
            seen(Memory(whole[:length]), offer)
        with pytest.raises(ImageError):
            seen(Memory(whole[:length], told=False), FORWARD)


@BOTH
@pytest.mark.parametrize("at", [9, 40, 48, 60, 84])
def test_a_changed_footer_fails_its_checksum(offer: Offer, at: int) -> None:
    data = image()
    data[at] ^= 1
    refused(data, offer, "footer at its start fails its checksum")
    data = image()
    data[len(data) - 512 + at] ^= 1
    refused(data, offer, "footer at its end fails its checksum")


@BOTH
def test_a_changed_header_fails_its_checksum(offer: Offer) -> None:
    data = image()
    data[512 + 30] ^= 1
    refused(data, offer, "dynamic disk header fails its checksum")


@BOTH
def test_footers_of_two_disks_are_refused(offer: Offer) -> None:
    data = image()
    data[-512:] = vhd(CAPACITY, CONTENT)[-512:]  # another UUID
    refused(data, offer, "two footers disagree")


@BOTH
def test_a_differencing_disk_is_refused(offer: Offer) -> None:
    refused(
        with_footer(image(), 60, struct.pack(">I", 4)), offer, "only the difference to a parent"
    )


@BOTH
def test_an_unknown_type_is_refused(offer: Offer) -> None:
    refused(with_footer(image(), 60, struct.pack(">I", 7)), offer, "unknown type 7")


@BOTH
def test_a_disk_larger_than_the_format_allows_is_refused(offer: Offer) -> None:
    data = with_footer(image(), 48, struct.pack(">Q", 1 << 62))
    refused(data, offer, "claims a disk of 4611686018427387904 bytes")


@BOTH
def test_a_disk_larger_than_its_table_is_refused(offer: Offer) -> None:
    data = with_footer(image(), 48, struct.pack(">Q", 1 << 30))
    refused(data, offer, "block table has 5 entries, its disk needs 512")


@BOTH
@pytest.mark.parametrize("block", [0, 512, 3 << 20, 1 << 30])
def test_a_block_size_that_is_none_is_refused(offer: Offer, block: int) -> None:
    refused(with_header(image(), 32, struct.pack(">I", block)), offer, f"blocks of {block} bytes")


@BOTH
def test_a_table_outside_the_file_is_refused(offer: Offer) -> None:
    data = with_header(image(), 16, struct.pack(">Q", 1 << 40))
    refused(data, offer, "table lies outside the file|ends at byte")


@BOTH
def test_a_header_outside_the_file_is_refused(offer: Offer) -> None:
    data = with_footer(image(), 16, struct.pack(">Q", 1 << 39))
    refused(data, offer, "ends at byte")


@BOTH
def test_a_block_outside_the_file_is_refused(offer: Offer) -> None:
    data = with_entry(image(), 4, 1 << 30)
    refused(data, offer, "outside the file|ends at byte")


@BOTH
def test_a_block_that_would_reach_over_the_footer_is_refused(offer: Offer) -> None:
    data = image()
    refused(with_entry(data, 4, entry(data, 4) + 3 * 2048), offer, "outside the file|ends at byte")


@BOTH
def test_blocks_that_overlap_are_refused(offer: Offer) -> None:
    data = image()
    refused(with_entry(data, 2, entry(data, 0) + 8), offer, "two blocks of the VHD overlap")
    refused(with_entry(data, 2, entry(data, 0)), offer, "two blocks of the VHD overlap")


@BOTH
def test_a_block_over_the_tables_is_refused(offer: Offer) -> None:
    refused(with_entry(image(), 0, 1), offer, "lies over its tables")


def test_more_blocks_than_the_file_can_hold_are_refused() -> None:
    data = image()
    for index in range(5):
        with_entry(data, index, 4 + index * 4097)
    refused(data, VHD_SEEK, "names 5 blocks, more than the file can hold")


def test_blocks_in_another_order_are_read_with_seeks_only() -> None:
    data = image()
    first, third = entry(data, 0), entry(data, 2)
    with_entry(with_entry(data, 0, third), 2, first)
    wanted = [(3, b"third"), (4 * MIB + 5, b"first"), (9 * MIB - 4, b"last")]
    assert seen(Memory(data), VHD_SEEK) == (CAPACITY, wanted)
    refused(data, FORWARD, "not stored in the disk's order")


@BOTH
def test_sectors_whose_bit_is_not_set_read_as_zero(offer: Offer) -> None:
    data = image()
    assert data[FIRST : FIRST + 512] == b"\xff" * 512
    data[FIRST] = 0x7F
    assert seen(Memory(data), offer) == (CAPACITY, CONTENT[1:])
    data[FIRST : FIRST + 512] = b"\x80" + bytes(511)
    assert seen(Memory(data), offer) == (CAPACITY, CONTENT)


def rebuilt(block: int) -> bytes:
    """A dynamic VHD of another block size, built by hand."""
    count = -(-CAPACITY // block)
    raw = bytearray(count * block)
    for offset, data in CONTENT:
        raw[offset : offset + len(data)] = data
    bitmap = -(-block // 512 // 8 // 512) * 512
    start = 1536 + 512
    table = b""
    body = b""
    for number in range(count):
        chunk = bytes(raw[number * block : (number + 1) * block])
        if any(chunk):
            table += struct.pack(">I", (start + len(body)) // 512)
            body += b"\xff" * bitmap + chunk
        else:
            table += b"\xff" * 4
    head = bytearray(struct.pack(">8sQQIII", b"cxsparse", 2**64 - 1, 1536, 0x10000, count, block))
    head = head.ljust(1024, b"\0")
    struct.pack_into(">I", head, 36, checksum(head, 36))
    footer = bytes(image()[:512])
    return footer + bytes(head) + table.ljust(512, b"\xff") + body + footer


@BOTH
@pytest.mark.parametrize("block", [512 << 10, 1 * MIB, 2 * MIB, 4 * MIB, 16 * MIB])
def test_blocks_of_other_sizes_are_read(offer: Offer, block: int) -> None:
    assert seen(Memory(rebuilt(block)), offer) == (CAPACITY, CONTENT)


def test_a_fixed_disk_is_read() -> None:
    footer = Footer(CAPACITY, 2, 0xFFFFFFFFFFFFFFFF, b"u" * 16).pack()
    raw = bytearray(CAPACITY)
    for offset, data in CONTENT:
        raw[offset : offset + len(data)] = data
    assert seen(Memory(raw + footer), VHD_SEEK) == (CAPACITY, CONTENT)
    sparse = Memory(raw + footer)
    sparse.allocated = ExtentMap(
        [(0, 512), (4 * MIB, 512), (4 * MIB + 8192, 512), (9 * MIB - 8, 520)]
    )
    assert seen(sparse, VHD_SEEK) == (CAPACITY, CONTENT)
    refused(raw[512:] + footer, VHD_SEEK, "ends at byte")


@BOTH
def test_random_damage_never_shows_another_error_or_other_content(offer: Offer) -> None:
    whole = image()
    right = seen(Memory(whole), VHD_SEEK)
    for at in [*range(0, 1536, 23), *range(len(whole) - 512, len(whole), 29)]:
        for value in (0x00, 0x7F, 0xFF):
            before, whole[at] = whole[at], value
            with suppress(ImageError):
                assert seen(Memory(whole), offer) == right, f"byte {at} = {value:#x}"
            whole[at] = before


@pytest.mark.parametrize(
    "sectors, wanted",
    [
        (0, (0, 4, 17)),
        (2048 * 100, (1003, 12, 17)),
        (16777216, (16644, 16, 63)),
        (65535 * 16 * 255 + 1, (65535, 16, 255)),
    ],
)
def test_the_geometry_is_the_specifications(sectors: int, wanted: tuple[int, int, int]) -> None:
    assert geometry(sectors) == wanted


@BOTH
def test_a_damaged_table_is_refused_or_read_but_never_another_error(offer: Offer) -> None:
    """The table has no checksum: an entry that still fits cannot be told from a right one."""
    whole = image()
    for at in range(TABLE, TABLE + 24):
        for value in (0x00, 0x7F, 0xFF):
            before, whole[at] = whole[at], value
            with suppress(ImageError):
                assert seen(Memory(whole), offer)[0] == CAPACITY
            whole[at] = before


@BOTH
@pytest.mark.parametrize(
    ("at", "value"), [(24, b"\0\0\0\x07"), (28, b"qemu"), (68, bytes(16)), (200, b"x")]
)
def test_a_footer_unlike_its_copy_in_front_is_refused(offer: Offer, at: int, value: bytes) -> None:
    data = image()
    end = len(data) - 512
    data[end + at : end + at + len(value)] = value
    summed(data, end, 512, 64)
    refused(data, offer, "the VHD's two footers disagree")
