"""Disks that are only the difference to a parent: read together with those that are given, or refused."""

import struct
from collections.abc import Mapping, Sequence
from random import Random
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kensho_tui.disks.copy import transfer
from kensho_tui.disks.formats import open_source
from kensho_tui.disks.image import (
    Access,
    ExtentMap,
    Format,
    Image,
    ImageError,
    Offer,
    Source,
)
from kensho_tui.disks.vhdx import VhdxSource
from tests.unit.disks import craft_vhdx as craft
from tests.unit.disks.craft_vhdx import MIB, PARTIAL, PRESENT
from tests.unit.disks.streams import (
    RAW_EXTENTS,
    VHD_SEEK,
    VHDX_FORWARD,
    VHDX_SEEK,
    VMDK_SEEK,
    Kept,
    Memory,
    Trickle,
    content,
    seen,
    vhd,
    vhdx,
    visible,
)

CAPACITY = 5 * MIB
BASE = UUID(int=1)
MIDDLE = UUID(int=2)
HAS_PARENT = 2


def header(written: UUID) -> list[bytes]:
    return [craft.header(1, written=written), craft.header(2, written=written)]


def child(
    blocks: Mapping[int, tuple[int, bytes | None]],
    *,
    linkage: UUID = BASE,
    written: UUID = craft.WRITTEN,
    capacity: int = CAPACITY,
    sector: int = 512,
    bitmaps: dict[int, bytes] | None = None,
    locator: bytes | None = None,
) -> Memory:
    """A difference in blocks of 1 MiB."""
    found = craft.items(
        capacity,
        sector=sector,
        flags=HAS_PARENT,
        locator=craft.locator(linkage=linkage) if locator is None else locator,
    )
    return Memory(
        craft.image(
            capacity, blocks, sector=sector, bitmaps=bitmaps, found=found, headers=header(written)
        )
    )


def base(letters: str = "abcde", *, capacity: int = CAPACITY, sector: int = 512) -> Memory:
    """A disk whose blocks are full of a letter each."""
    blocks: dict[int, tuple[int, bytes | None]] = {
        n: (PRESENT, each.encode() * MIB) for n, each in enumerate(letters) if each != " "
    }
    return Memory(craft.image(capacity, blocks, sector=sector, headers=header(BASE)))


def opened(stream: Memory, *parents: Memory) -> Source:
    return open_source(stream, VHDX_SEEK, parents=[Image(each, VHDX_SEEK) for each in parents])


def shown(stream: Memory, *parents: Memory) -> bytes:
    """All of the disk."""
    source = opened(stream, *parents)
    whole = bytearray(source.capacity)
    for offset, data in content(source):
        whole[offset : offset + len(data)] = data
    return bytes(whole)


def letters(disk: bytes) -> str:
    """The first and the last letter of each MiB."""
    return " ".join(
        "".join(chr(disk[at]) if disk[at] else "." for at in (n, min(n + MIB, len(disk)) - 1))
        for n in range(0, len(disk), MIB)
    )


def bits(*sectors: int) -> bytes:
    """A sector bitmap: the lowest bit of the first byte is the first sector's."""
    found = bytearray(MIB)
    for sector in sectors:
        found[sector // 8] |= 1 << sector % 8
    return bytes(found)


# -------------------------------------------------------------------------------------------- reading
def test_blocks_are_the_child_s_its_zeros_or_the_parent_s() -> None:
    states = {
        0: (PRESENT, b"X" * MIB),
        2: (craft.ZERO, None),
        3: (craft.UNMAPPED, None),
        4: (craft.UNDEFINED, None),
    }
    assert letters(shown(child(states), base())) == "XX bb .. .. .."
    assert letters(shown(child({}), base())) == "aa bb cc dd ee"
    assert letters(shown(child({}), base("     "))) == ".. .. .. .. .."


def test_sectors_are_the_child_s_where_their_bit_is_set() -> None:
    mine = bits(2048, 2050, 4095)  # of the second block: its first, third and last sector
    blocks = {1: (PARTIAL, b"X" * MIB), 2: (PRESENT, b"Y" * MIB)}
    disk = shown(child(blocks, bitmaps={0: mine}), base())
    assert letters(disk) == "aa XX YY dd ee"
    part = disk[MIB : 2 * MIB]
    assert part[:1536] == b"X" * 512 + b"b" * 512 + b"X" * 512
    assert part[1536:-512] == b"b" * (MIB - 2048)


def test_zeros_of_the_child_hide_the_parent_s_data() -> None:
    disk = shown(child({1: (PARTIAL, bytes(MIB))}, bitmaps={0: bits(2049)}), base())
    assert disk[MIB : MIB + 1536] == b"b" * 512 + bytes(512) + b"b" * 512


def test_holes_of_the_child_s_file_hide_the_parent_s_data() -> None:
    stream = child({1: (PRESENT, bytes(MIB))})
    stream.allocated = ExtentMap([(0, craft.BLOCKS_AT)])
    assert letters(shown(stream, base())) == "aa .. cc dd ee"


@pytest.mark.parametrize("sector", [512, 4096])
def test_the_bitmap_of_each_chunk_is_its_own(sector: int) -> None:
    """Two chunks of 4 or 32 GiB, a block at the end of the first and at the start of the second."""
    chunk = (1 << 23) * sector
    capacity, ratio, each = chunk + MIB, chunk // MIB, MIB // sector
    blocks: dict[int, tuple[int, bytes | None]] = {
        ratio - 1: (PARTIAL, b"X" * MIB),
        ratio: (PARTIAL, b"Y" * MIB),
    }
    bitmaps = {0: bits((1 << 23) - 1), 1: bits(1)}
    stream = child(blocks, capacity=capacity, sector=sector, bitmaps=bitmaps)
    parent = Memory(
        craft.image(capacity, {ratio: (PRESENT, b"p" * MIB)}, sector=sector, headers=header(BASE))
    )
    found = visible(content(opened(stream, parent)))
    letters = b"X" * sector + b"p" * sector + b"Y" * sector + b"p" * (each - 2) * sector
    assert found == [(chunk - sector, letters)]


def test_a_chain_of_three() -> None:
    middle = child({0: (PRESENT, b"M" * MIB), 1: (craft.ZERO, None)}, written=MIDDLE)
    top = child({3: (PRESENT, b"T" * MIB)}, linkage=MIDDLE)
    assert letters(shown(top, middle, base())) == "MM .. cc TT ee"


def test_a_child_may_be_larger_or_smaller_than_its_parent() -> None:
    larger = child({6: (PRESENT, b"X" * MIB)}, capacity=7 * MIB)
    assert letters(shown(larger, base())) == "aa bb cc dd ee .. XX"
    smaller = child({0: (PRESENT, b"X" * MIB)}, capacity=2 * MIB + 512)
    disk = shown(smaller, base())
    assert letters(disk) == "XX bb cc"
    assert len(disk) == 2 * MIB + 512


def test_what_is_allocated_is_so_in_the_child_or_the_parent() -> None:
    found = opened(child({0: (PRESENT, b"X"), 2: (craft.ZERO, None)}), base("  cd ")).allocated
    assert found == ExtentMap([(0, MIB), (2 * MIB, 2 * MIB)])


def test_a_parent_that_was_not_closed_is_read_through_its_log() -> None:
    table = struct.pack("<2Q", (4 * MIB) | PRESENT, (5 * MIB) | PRESENT).ljust(4096, b"\0")
    log = craft.ring((0, craft.entry(1, [(craft.TABLE_AT, table)])))
    dirty = [craft.header(5, log=craft.LOG_GUID, written=BASE)] * 2
    data = craft.image(CAPACITY, {0: (PRESENT, b"a" * MIB)}, log=log, headers=dirty)
    assert letters(shown(child({}), Memory(data + b"b" * MIB))) == "aa bb .. .. .."


def test_a_chain_becomes_one_disk_and_all_streams_are_closed() -> None:
    top, parent = child({1: (PRESENT, b"X" * MIB)}), base()
    kept: list[Kept] = []

    def open_writer(offer: Offer, length: int | None, allocation: ExtentMap | None) -> Kept:
        kept.append(Kept(offer, length))
        return kept[0]

    done = transfer(
        top,
        VHDX_SEEK,
        targets=[VHDX_FORWARD],
        open_writer=open_writer,
        parents=[Image(parent, VHDX_SEEK)],
    )
    assert done.read > 5 * MIB
    assert top.closed
    assert parent.closed
    whole = (
        CAPACITY,
        visible([(0, b"a" * MIB + b"X" * MIB + b"c" * MIB + b"d" * MIB + b"e" * MIB)]),
    )
    assert seen(Memory(kept[0].bytes), VHDX_SEEK) == whole


# ------------------------------------------------------------------------------------------ refusals
def refused(sentence: str, stream: Memory, *parents: Memory) -> ImageError:
    with pytest.raises(ImageError, match=sentence) as caught:
        opened(stream, *parents)
    assert caught.value.remedy
    return caught.value


def test_without_its_parent_a_difference_is_refused_and_nothing_is_opened() -> None:
    """The name is for the operator's eyes: what a file says of where its parent is, is not followed."""
    error = refused(r"only the difference to a parent \(parent.vhdx\)", child({}))
    assert "parents merged" in error.remedy
    with pytest.raises(ImageError, match="only the difference to a parent"):
        seen(child({}), Offer(Format.VHDX, Access.FORWARD))


def test_the_parent_s_name_is_made_fit_for_a_terminal() -> None:
    words = {
        "parent_linkage": f"{{{BASE}}}",
        "relative_path": "..\\\x1b[31mevil\n\u202e" + "x" * 300,
    }
    error = refused("only the difference", child({}, locator=craft.locator(words)))
    assert "\x1b" not in error.what
    assert "\u202e" not in error.what
    assert "evil" in error.what
    assert len(error.what) < 200


def test_another_parent_is_refused() -> None:
    refused("another disk than parent.vhdx", child({}, linkage=MIDDLE), base())
    refused("another disk", child({}, linkage=BASE), Memory(vhdx(CAPACITY, [])))
    with pytest.raises(ImageError, match="another disk"):
        open_source(child({}), VHDX_SEEK, parents=[Image(Memory(vhd(CAPACITY, [])), VHD_SEEK)])


def test_the_second_linkage_counts_too() -> None:
    """Of a parent into which somebody was merging."""
    words = {"parent_linkage": f"{{{MIDDLE}}}", "parent_linkage2": f"{{{str(BASE).upper()}}}"}
    assert letters(shown(child({}, locator=craft.locator(words)), base())) == "aa bb cc dd ee"


def test_a_chain_in_another_order_or_too_long_or_too_short_is_refused() -> None:
    middle = child({}, written=MIDDLE)
    top = child({}, linkage=MIDDLE)
    refused("another disk", top, base())
    refused("only the difference", top, middle)
    refused("has no parent, and one is given", top, middle, base(), base())
    refused("has no parent, and one is given", base(), base())


def test_a_disk_that_names_itself_is_refused() -> None:
    """Chains are as long as the list that is given: none can go in a circle."""
    itself = child({}, linkage=craft.WRITTEN)
    refused("only the difference", itself, itself, itself)


@pytest.mark.parametrize("offer", [RAW_EXTENTS, VMDK_SEEK, Offer(Format.VHDX, Access.FORWARD)])
def test_what_has_no_parents_here_is_refused_with_one(offer: Offer) -> None:
    with pytest.raises(ImageError, match="not read together with parents"):
        open_source(Trickle(b""), offer, parents=[Image(base(), VHDX_SEEK)])


def test_sectors_of_another_size_are_refused() -> None:
    refused("sectors of 4096 bytes, its parent of 512", child({}, sector=4096), base())


def test_a_partly_present_block_without_bitmap_is_refused() -> None:
    refused("lacks the sector bitmap", child({0: (PARTIAL, b"X" * MIB)}), base())


def test_a_bitmap_outside_the_file_or_over_something_is_refused() -> None:
    stream = child({0: (PARTIAL, b"X" * MIB)}, bitmaps={0: bits(1)})
    data = bytearray(stream.length or 0)
    stream.pread(0, data)
    for place, sentence in (
        (1 << 40, "outside the file"),
        (craft.BLOCKS_AT, "two blocks of the VHDX overlap"),
        (craft.METADATA_AT, "over its tables"),
    ):
        struct.pack_into("<Q", data, craft.TABLE_AT + 8 * 4096, place | PRESENT)
        refused(sentence, Memory(data), base())
    struct.pack_into("<Q", data, craft.TABLE_AT + 8 * 4096, craft.BLOCKS_AT | 5)
    refused("lacks the sector bitmap", Memory(data), base())


LINKAGE = {"parent_linkage": f"{{{BASE}}}"}


@pytest.mark.parametrize(
    "locator, sentence",
    [
        (b"", "metadata lacks|does not say which"),
        (craft.locator()[:19], "does not say which"),
        (craft.locator()[:40], "locator is cut off"),
        (craft.locator()[:-1], "text of the VHDX's parent locator lies outside"),
        (craft.locator(kind=craft.STRANGE), "parent is no VHDX"),
        (craft.locator({"relative_path": "x"}), "does not say which"),
        (craft.locator({"parent_linkage2": f"{{{BASE}}}"}), "does not say which"),
        (craft.locator({"parent_linkage": "{}"}), "names its parent by no GUID"),
        (craft.locator({"parent_linkage": f"{{{UUID(int=0)}}}"}), "does not say which"),
        (craft.locator(LINKAGE | {"x": ""}), "text of the VHDX's parent locator lies outside"),
        (craft.locator(LINKAGE).replace(b"p\0a\0", b"p\0\0\xd8"), "parent locator is none"),
    ],
)
def test_a_locator_that_is_none_is_refused(locator: bytes, sentence: str) -> None:
    refused(sentence, child({}, locator=locator), base())


def test_a_locator_with_a_key_twice_is_refused() -> None:
    words = craft.locator({"parent_linkage": f"{{{BASE}}}", "parent_linkagf": f"{{{BASE}}}"})
    twice = words.replace("linkagf".encode("utf-16-le"), "linkage".encode("utf-16-le"))
    refused("has a key twice", child({}, locator=twice), base())


# --------------------------------------------------------------------------------------- as a whole
STATES = st.sampled_from([None, PRESENT, PARTIAL, craft.ZERO, craft.UNMAPPED])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(STATES, min_size=3, max_size=3), min_size=1, max_size=3), st.randoms())
def test_any_chain_is_what_its_layers_say_sector_by_sector(
    layers: Sequence[Sequence[int | None]], order: Random
) -> None:
    capacity = 3 * MIB - 512
    wanted = bytearray(b"".join(letter * MIB for letter in (b"a", b"b", b"c"))[:capacity])
    chain = [base("abc", capacity=capacity)]
    for number, states in enumerate(layers):
        blocks: dict[int, tuple[int, bytes | None]] = {}
        bitmap: set[int] = set()
        for block, state in enumerate(states):
            if state is None:
                continue
            whole = range(block * 2048, min((block + 1) * 2048, capacity // 512))
            mine = whole
            if state == PARTIAL:
                start = order.choice(whole)
                mine = range(start, min(whole[-1] + 1, start + order.choice([1, 3, 8, 700])))
                bitmap.update(mine)
            content = bytes(MIB)
            if state in (PRESENT, PARTIAL):
                content = bytes([order.randrange(1, 255)]) * MIB
                blocks[block] = (state, content)
            else:
                blocks[block] = (state, None)
            wanted[mine[0] * 512 : (mine[-1] + 1) * 512] = content[: len(mine) * 512]
        guid = UUID(int=number + 2)
        linkage = UUID(int=number + 1)
        bitmaps = {0: bits(*bitmap)} if bitmap else None
        chain.insert(
            0, child(blocks, linkage=linkage, written=guid, capacity=capacity, bitmaps=bitmaps)
        )
    assert shown(*chain) == wanted
    source = opened(*chain)
    assert isinstance(source, VhdxSource)
    assert source.sector == 512
