"""Damaged and hostile VHDXs: each is refused with a sentence, whichever way it is read."""

import struct
from collections.abc import Callable
from contextlib import suppress
from uuid import UUID

import pytest

from kensho_tui.disks.formats import open_source
from kensho_tui.disks.image import Access, ExtentMap, Format, ImageError, Offer
from kensho_tui.disks.vhdx_structs import LARGEST_FILE
from tests.unit.disks import craft_vhdx as craft
from tests.unit.disks.craft_vhdx import KIB, MIB, PRESENT
from tests.unit.disks.streams import VHDX_SEEK, Memory, SparseDisk, Trickle, seen, vhdx

FORWARD = Offer(Format.VHDX, Access.FORWARD)
BOTH = pytest.mark.parametrize("offer", [VHDX_SEEK, FORWARD], ids=["seek", "forward"])
CAPACITY = 5 * MIB
CONTENT = [(5, b"first"), (2 * MIB + 3, b"third"), (5 * MIB - 4, b"last")]
BLOCKS: dict[int, tuple[int, bytes | None]] = {
    0: (PRESENT, b"\0" * 5 + b"first"),
    2: (PRESENT, b"\0" * 3 + b"third"),
    4: (PRESENT, bytes(MIB - 4) + b"last"),
}


def image(**parts: object) -> bytearray:
    return craft.image(CAPACITY, BLOCKS, **parts)  # type: ignore[arg-type]


def with_items(change: Callable[[list[craft.Item]], object]) -> bytearray:
    found = craft.items(CAPACITY)
    change(found)
    return image(found=found)


def with_regions(*entries: craft.Entry) -> bytearray:
    return image(tables=[craft.regions(entries)] * 2)


def with_entry(number: int, value: int, data: bytearray | None = None) -> bytearray:
    data = image() if data is None else data
    struct.pack_into("<Q", data, craft.TABLE_AT + 8 * number, value)
    return data


def place(data: bytearray, number: int) -> int:
    return int(struct.unpack_from("<Q", data, craft.TABLE_AT + 8 * number)[0]) & ~(MIB - 1)


def refused(data: bytes | bytearray, offer: Offer, sentence: str) -> None:
    with pytest.raises(ImageError, match=sentence) as caught:
        seen(Memory(data) if offer.access is Access.SEEK else Trickle(data, 1 << 16), offer)
    assert caught.value.remedy


@BOTH
def test_what_is_built_by_hand_is_read(offer: Offer) -> None:
    assert seen(Memory(image()), offer) == (CAPACITY, CONTENT)
    assert seen(Memory(image(), told=False), FORWARD) == (CAPACITY, CONTENT)


@BOTH
def test_no_cut_goes_unnoticed(offer: Offer) -> None:
    for whole in (bytes(image()), vhdx(CAPACITY, CONTENT)):
        cuts = [0, 7, 8, 64 * KIB, 68 * KIB, 200 * KIB, MIB, 2 * MIB + 1, 3 * MIB, 4 * MIB, 5 * MIB]
        for length in [*cuts, len(whole) - MIB - 1]:
            with pytest.raises(ImageError):
                seen(Memory(whole[:length]), offer)
            with pytest.raises(ImageError):
                seen(Memory(whole[:length], told=False), FORWARD)


def test_a_file_of_unknown_length_is_read_forward_only() -> None:
    with pytest.raises(ImageError, match="length of the VHDX is not known"):
        seen(Memory(image(), told=False), VHDX_SEEK)


# ----------------------------------------------------------------------------------------- headers
@BOTH
def test_a_file_without_identifier_is_refused(offer: Offer) -> None:
    data = image()
    data[0] = 0
    refused(data, offer, "no file identifier")


@BOTH
@pytest.mark.parametrize("copy", [0, 1])
def test_one_damaged_header_is_made_up_for_by_the_other(offer: Offer, copy: int) -> None:
    data = image()
    data[(copy + 1) * 64 * KIB + 30] ^= 1
    assert seen(Memory(data), offer) == (CAPACITY, CONTENT)


@BOTH
def test_two_damaged_headers_are_refused(offer: Offer) -> None:
    data = image()
    data[64 * KIB] = data[128 * KIB + 4095] = 1
    refused(data, offer, "neither of the VHDX's two headers is valid")


@BOTH
def test_the_header_with_the_greater_number_counts(offer: Offer) -> None:
    elsewhere = craft.header(7, log_at=1 << 50)  # outside the file, if it counted
    assert seen(Memory(image(headers=[craft.header(8), elsewhere])), offer)[0] == CAPACITY
    refused(image(headers=[elsewhere, craft.header(6)]), offer, "lies outside the file")


@BOTH
def test_two_headers_of_the_same_number_may_not_differ(offer: Offer) -> None:
    same = craft.header(3)
    assert seen(Memory(image(headers=[same, same])), offer) == (CAPACITY, CONTENT)
    other = craft.header(3, written=craft.STRANGE)
    refused(image(headers=[same, other]), offer, "both of the VHDX's headers claim to be")


@BOTH
def test_unknown_versions_are_refused(offer: Offer) -> None:
    refused(image(headers=[craft.header(3, version=2)] * 2), offer, "unknown version 2")
    plain = [craft.header(3, log_version=1)] * 2  # of no matter: there is no log to replay
    assert seen(Memory(image(headers=plain)), offer) == (CAPACITY, CONTENT)
    logged = [craft.header(3, log_version=1, log=craft.LOG_GUID)] * 2
    refused(image(headers=logged), offer, "log of the unknown version 1")


@BOTH
@pytest.mark.parametrize(
    "where, sentence",
    [
        ({"log_at": 64 * KIB}, "not where it could be"),
        ({"log_at": 0}, "not where it could be"),
        ({"log_length": 4096}, "not where it could be"),
        ({"log_at": 1 << 60}, "outside the file"),
        ({"log_at": 2 * MIB}, "two tables of the VHDX overlap"),
    ],
)
def test_a_log_where_none_can_be_is_refused(
    offer: Offer, where: dict[str, int], sentence: str
) -> None:
    refused(image(headers=[craft.header(3, **where)] * 2), offer, sentence)  # type: ignore[arg-type]


def test_a_file_without_log_is_read() -> None:
    data = image(headers=[craft.header(3, log_at=0, log_length=0)] * 2)
    assert seen(Memory(data), VHDX_SEEK) == (CAPACITY, CONTENT)


# ----------------------------------------------------------------------------------------- regions
@BOTH
@pytest.mark.parametrize("copy", [0, 1])
def test_one_damaged_region_table_is_made_up_for_by_the_other(offer: Offer, copy: int) -> None:
    data = image()
    data[(copy + 3) * 64 * KIB + 40] ^= 1
    assert seen(Memory(data), offer) == (CAPACITY, CONTENT)
    data[(4 - copy) * 64 * KIB + 60000] ^= 1
    refused(data, offer, "neither copy of the VHDX's region table is valid")


@BOTH
def test_region_tables_that_disagree_are_refused(offer: Offer) -> None:
    other = craft.regions([*craft.REGIONS, (craft.STRANGE, 4 * MIB, MIB, 0)])
    data = image(tables=[craft.regions(craft.REGIONS), other])
    refused(data, offer, "two copies of the VHDX's region table disagree")


@BOTH
def test_a_region_table_of_too_many_entries_is_none(offer: Offer) -> None:
    data = image(tables=[craft.regions(craft.REGIONS, count=2048)] * 2)
    refused(data, offer, "neither copy")


BAT, META = craft.REGIONS


@BOTH
@pytest.mark.parametrize(
    "entries, sentence",
    [
        ([BAT], "the VHDX has no metadata"),
        ([META], "the VHDX has no block table"),
        ([META, (craft.BAT, 3 * MIB, 0, 1)], "the VHDX has no block table"),
        ([BAT, META, BAT], "names a region twice"),
        ([BAT, META, (craft.STRANGE, 4 * MIB, MIB, 1)], "has to be understood and is not known"),
        ([(craft.BAT, 2 * MIB, MIB, 1), META], "two tables of the VHDX overlap"),
        ([(craft.BAT, 1 * MIB, MIB, 1), META], "two tables of the VHDX overlap"),  # the log
        ([(craft.BAT, 3 * MIB + 4096, MIB, 1), META], "not where it could be"),
        ([(craft.BAT, 3 * MIB, MIB + 8, 1), META], "not where it could be"),
        ([(craft.BAT, 0, MIB, 1), META], "not where it could be"),
        ([(craft.BAT, 1 << 40, MIB, 1), META], "outside the file|too far from its start"),
        ([(craft.BAT, 1 << 63, MIB, 1), META], "outside the file"),
        ([BAT, META, (craft.STRANGE, 4 * MIB, MIB, 0)], "lies over its tables"),
    ],
)
def test_regions_that_cannot_be_are_refused(
    offer: Offer, entries: list[craft.Entry], sentence: str
) -> None:
    refused(with_regions(*entries), offer, sentence)


@BOTH
def test_a_region_nobody_has_to_know_is_passed_over(offer: Offer) -> None:
    data = with_regions(*craft.REGIONS, (craft.STRANGE, 7 * MIB, MIB, 0)) + bytes(MIB)
    assert seen(Memory(data), offer) == (CAPACITY, CONTENT)


# ---------------------------------------------------------------------------------------- metadata
@BOTH
@pytest.mark.parametrize("lacking", range(5))
def test_every_known_item_is_needed(offer: Offer, lacking: int) -> None:
    refused(with_items(lambda found: found.pop(lacking)), offer, "metadata lacks an item")


@BOTH
@pytest.mark.parametrize(
    "item, sentence",
    [
        ((craft.SIZE, b"12345678", 6), "names an item twice"),
        ((craft.STRANGE, b"?", 4), "has to be understood and is not known"),
        ((craft.SIZE, b"?", 5), "has to be understood and is not known"),  # a user's own
        ((craft.STRANGE, bytes(MIB - 65000), 0), "outside its region"),
    ],
)
def test_items_that_cannot_be_are_refused(offer: Offer, item: craft.Item, sentence: str) -> None:
    refused(with_items(lambda found: found.append(item)), offer, sentence)


@BOTH
def test_items_nobody_has_to_know_are_passed_over(offer: Offer) -> None:
    data = with_items(
        lambda found: found.extend(
            [(craft.STRANGE, b"?", 0), (craft.STRANGE, b"", 1), (craft.SIZE, b"x", 1)]
        )
    )
    assert seen(Memory(data), offer) == (CAPACITY, CONTENT)


@BOTH
def test_more_user_items_than_there_may_be_are_refused(offer: Offer) -> None:
    more = [(UUID(int=n + 1), b"", 1) for n in range(1025)]
    refused(with_items(lambda found: found.extend(more)), offer, "more user items")


@BOTH
def test_overlapping_items_are_refused(offer: Offer) -> None:
    data = image()
    (second,) = struct.unpack_from("<I", data, craft.METADATA_AT + 32 + 32 + 16)
    struct.pack_into("<I", data, craft.METADATA_AT + 32 + 64 + 16, second + 4)
    refused(data, offer, "two items of the VHDX's metadata overlap")


@BOTH
def test_an_item_before_the_region_s_own_table_ends_is_refused(offer: Offer) -> None:
    data = image()
    struct.pack_into("<I", data, craft.METADATA_AT + 32 + 16, 100)
    refused(data, offer, "outside its region")


@BOTH
def test_a_metadata_table_that_is_none_is_refused(offer: Offer) -> None:
    data = image()
    data[craft.METADATA_AT] = 0
    refused(data, offer, "no metadata table")
    data = image()
    struct.pack_into("<H", data, craft.METADATA_AT + 10, 2048)
    refused(data, offer, "no metadata table")


@BOTH
@pytest.mark.parametrize("block", [0, 512 * KIB, 3 * MIB, 512 * MIB])
def test_a_block_size_that_is_none_is_refused(offer: Offer, block: int) -> None:
    refused(image(found=craft.items(CAPACITY, block=block)), offer, f"blocks of {block} bytes")


@BOTH
@pytest.mark.parametrize("how", [{"sector": 1024}, {"sector": 0}, {"physical": 8192}])
def test_a_sector_size_that_is_none_is_refused(offer: Offer, how: dict[str, int]) -> None:
    found = craft.items(CAPACITY, **how)  # type: ignore[arg-type]
    refused(image(found=found), offer, "has sectors of")


@BOTH
@pytest.mark.parametrize(
    "capacity, sector", [(1000, 512), (512 * 3, 4096), ((64 << 40) + 512, 512), (1 << 63, 4096)]
)
def test_a_size_that_is_none_is_refused(offer: Offer, capacity: int, sector: int) -> None:
    data = image(found=craft.items(capacity, sector=sector))
    refused(data, offer, f"claims a disk of {capacity} bytes")


@BOTH
def test_a_disk_larger_than_its_table_is_refused(offer: Offer) -> None:
    wanted = "block table has 1048576 bytes, its disk needs 537001976"
    refused(image(found=craft.items(64 << 40)), offer, wanted)


# ------------------------------------------------------------------------------------------- table
@BOTH
@pytest.mark.parametrize("state", [4, 5, craft.PARTIAL])
def test_a_state_that_is_none_is_refused(offer: Offer, state: int) -> None:
    refused(with_entry(1, state), offer, f"block 1 of the VHDX has the unknown state {state}")


@BOTH
@pytest.mark.parametrize("bits", [8, 1 << 19])
def test_bits_without_meaning_are_refused(offer: Offer, bits: int) -> None:
    data = image()
    data = with_entry(2, place(data, 2) | PRESENT | bits, data)
    refused(data, offer, "block 2 of the VHDX has bits set that have no meaning")


@BOTH
@pytest.mark.parametrize("state", [craft.UNDEFINED, craft.ZERO, craft.UNMAPPED])
def test_blocks_without_content_read_as_zero_wherever_they_point(offer: Offer, state: int) -> None:
    for where in (0, 4 * MIB, 1 << 60):
        data = with_entry(2, state | where)
        assert seen(Memory(data), offer) == (CAPACITY, [CONTENT[0], CONTENT[2]])


@BOTH
def test_a_bitmap_s_entry_is_not_looked_at_without_parent(offer: Offer) -> None:
    found = craft.items(4100 * MIB)
    data = craft.image(4100 * MIB, {4095: (PRESENT, b"a"), 4096: (PRESENT, b"b")}, found=found)
    struct.pack_into("<Q", data, craft.TABLE_AT + 8 * 4096, 0xFFFFFFFFFFFFFFF5)
    assert seen(Memory(data), offer) == (4100 * MIB, [(4095 * MIB, b"a"), (4096 * MIB, b"b")])


@BOTH
def test_a_block_outside_the_file_is_refused(offer: Offer) -> None:
    for where in (7 * MIB, 1 << 40, (1 << 64) - MIB):
        refused(with_entry(4, where | PRESENT), offer, r"lies outside the file|ends at byte")
    with pytest.raises(ImageError, match=r"outside the file|ends at byte"):
        seen(Memory(with_entry(4, (1 << 63) | PRESENT), told=False), FORWARD)


def test_the_last_block_may_end_where_the_disk_does() -> None:
    """Of the block's rest no guest sees anything; some writers leave it out."""
    data = craft.image(CAPACITY - 512, BLOCKS, found=craft.items(CAPACITY - 512))
    assert seen(Memory(data[: len(data) - 512]), VHDX_SEEK)[0] == CAPACITY - 512
    refused(data[: len(data) - 513], VHDX_SEEK, "outside the file")


@BOTH
@pytest.mark.parametrize("where", [0, MIB, 2 * MIB, 3 * MIB])
def test_a_block_over_the_tables_is_refused(offer: Offer, where: int) -> None:
    refused(with_entry(0, where | PRESENT), offer, "lies over its tables")


def test_blocks_named_twice_or_overlapping_are_refused() -> None:
    data = image()
    refused(with_entry(2, place(data, 0) | PRESENT), VHDX_SEEK, "two blocks of the VHDX overlap")
    big = craft.image(6 * MIB, {0: (PRESENT, b"a"), 2: (PRESENT, b"c")}, block=2 * MIB)
    moved = with_entry(2, (place(big, 2) - MIB) | PRESENT, bytearray(big))
    refused(moved, VHDX_SEEK, "two blocks of the VHDX overlap")
    moved = with_entry(0, (place(big, 0) + MIB) | PRESENT, bytearray(big))
    refused(moved, VHDX_SEEK, "two blocks of the VHDX overlap")


def test_blocks_in_another_order_are_read_with_seeks_only() -> None:
    data = craft.image(CAPACITY, dict(reversed(BLOCKS.items())))
    assert seen(Memory(data), VHDX_SEEK) == (CAPACITY, CONTENT)
    refused(data, FORWARD, "not stored in the disk's order")


def test_blocks_before_the_tables_are_read_with_seeks_only() -> None:
    log, meta, bat = 2 * MIB, 3 * MIB, 4 * MIB
    data = bytearray(bat + MIB)
    data[: 2 * MIB] = image()[: 2 * MIB]
    data[meta : meta + MIB] = craft.metadata(craft.items(MIB))
    data[MIB : MIB + 5] = b"first"
    for at in (64 * KIB, 128 * KIB):
        data[at : at + 4096] = craft.header(at, log_at=log)
    for at in (192 * KIB, 256 * KIB):
        data[at : at + 64 * KIB] = craft.regions(
            [(craft.BAT, bat, MIB, 1), (craft.METADATA, meta, MIB, 1)]
        )
    struct.pack_into("<Q", data, bat, MIB | PRESENT)
    assert seen(Memory(data), VHDX_SEEK) == (MIB, [(0, b"first")])
    refused(data, FORWARD, "stand before its tables")


def test_tables_too_far_from_the_start_are_read_with_seeks_only() -> None:
    data = image()
    data += bytes(30 * MIB)
    at = len(data)
    data += data[craft.TABLE_AT : craft.TABLE_AT + MIB]
    for copy in (192 * KIB, 256 * KIB):
        data[copy : copy + 64 * KIB] = craft.regions([(craft.BAT, at, MIB, 1), META])
    assert seen(Memory(data), VHDX_SEEK) == (CAPACITY, CONTENT)
    refused(data, FORWARD, "too far from its start")


# ------------------------------------------------------------------------------------ in all sizes
@pytest.mark.parametrize("sector", [512, 4096])
@pytest.mark.parametrize("block", [1 << n for n in range(20, 29)])
def test_every_block_and_sector_size_is_read(block: int, sector: int) -> None:
    """The blocks on both sides of a sector bitmap's entry among them."""
    ratio = (1 << 23) * sector // block
    capacity = (ratio + 1) * block + sector
    front = craft.image(capacity, {}, found=craft.items(capacity, block=block, sector=sector))
    for place, number in enumerate((0, ratio - 1, ratio)):
        entry = (craft.BLOCKS_AT + place * block) | PRESENT
        struct.pack_into(
            "<Q", front, craft.TABLE_AT + 8 * craft.index(number, block, sector), entry
        )
    disk = SparseDisk(
        craft.BLOCKS_AT + 3 * block,
        [(0, bytes(front)), (craft.BLOCKS_AT, b"a"), (craft.BLOCKS_AT + 2 * block - 1, b"bc")],
    )
    wanted = (capacity, [(0, b"a"), (ratio * block - 1, b"bc")])
    assert seen(disk, VHDX_SEEK) == wanted
    if block <= 16 * MIB:  # forward, holes are read
        assert seen(disk, FORWARD) == wanted


def test_holes_of_the_file_are_no_data() -> None:
    front = craft.image(64 * MIB, {0: (PRESENT, b"a" * 9)}, block=32 * MIB)
    stream = Memory(front)
    stream.allocated = ExtentMap([(0, craft.BLOCKS_AT + 4096), (craft.BLOCKS_AT + 8 * MIB, 512)])
    source = open_source(stream, VHDX_SEEK)
    assert source.allocated == ExtentMap([(0, 4096), (8 * MIB, 512)])
    assert [(piece.offset, piece.end) for piece in source.pieces()] == [
        (0, 4096),
        (8 * MIB, 8 * MIB + 512),
    ]
    assert seen(stream, VHDX_SEEK) == (64 * MIB, [(0, b"a" * 9)])


# ------------------------------------------------------------------------------------------ bounds
class Claimed(SparseDisk):
    """A file of any length that holds little; counts what is read of it."""

    def __init__(self, data: bytes | bytearray, length: int) -> None:
        super().__init__(length, [(0, bytes(data))], mapped=False)
        self.asked = 0

    def pread(self, offset: int, buffer: bytearray | memoryview, /) -> int:
        self.asked += len(buffer)
        return super().pread(offset, buffer)


def test_the_table_of_a_full_64_tib_disk_is_read_in_pages_and_only_where_it_says_something() -> (
    None
):
    """Blocks of 1 MiB: 512 MiB of table, all but its last entry empty."""
    capacity = 64 << 40
    entries = (64 << 20) + ((64 << 20) - 1) // 4096
    length = -(-entries * 8 // MIB) * MIB
    start = craft.image(capacity, {}, found=craft.items(capacity))
    for at in (192 * KIB, 256 * KIB):
        start[at : at + 64 * KIB] = craft.regions([(craft.BAT, 3 * MIB, length, 1), META])
    end = 3 * MIB + length
    last = struct.pack("<Q", end | PRESENT)
    stream = SparseDisk(
        end + MIB,
        [(0, bytes(start[: 3 * MIB])), (3 * MIB + (entries - 1) * 8, last), (end + 7, b"!")],
        mapped=False,
    )
    assert seen(stream, VHDX_SEEK) == (capacity, [(capacity - MIB + 7, b"!")])


def test_a_file_longer_than_any_is_refused_before_memory_is_taken_for_it() -> None:
    data = image()
    stream = Claimed(data, LARGEST_FILE + MIB)
    with pytest.raises(ImageError, match=f"has {LARGEST_FILE + MIB} bytes"):
        seen(stream, VHDX_SEEK)
    assert stream.asked < 2 * MIB


@BOTH
def test_random_damage_never_shows_another_error_or_other_content(offer: Offer) -> None:
    """Of all that has a checksum; and of what has none, never another error."""
    whole = image()
    right = seen(Memory(whole), VHDX_SEEK)
    checked = [
        *range(8),
        *range(64 * KIB, 64 * KIB + 100, 7),
        *range(192 * KIB, 192 * KIB + 90, 5),
    ]
    free = [
        *range(2 * MIB, 2 * MIB + 200, 9),
        *range(2 * MIB + 64 * KIB, 2 * MIB + 64 * KIB + 40, 3),
    ]
    for at in [*checked, *free, *range(3 * MIB, 3 * MIB + 40, 3)]:
        for value in (0x06, 0xFF):
            before, whole[at] = whole[at], value
            with suppress(ImageError):
                found = seen(Memory(whole), offer)
                assert at not in checked or found == right, f"byte {at} = {value:#x}"
            whole[at] = before
