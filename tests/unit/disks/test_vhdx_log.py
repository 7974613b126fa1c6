"""Files that were not closed: what their log promised is seen, whichever of it reached its place."""

import random
import struct
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kensho_tui.disks.formats import open_source
from kensho_tui.disks.image import Access, ExtentMap, Format, ImageError, Offer
from kensho_tui.disks.vhdx_front import read_header
from kensho_tui.disks.vhdx_log import Log, Replayed
from kensho_tui.disks.vhdx_structs import Header
from tests.unit.disks import craft_vhdx as craft
from tests.unit.disks.craft_vhdx import KIB, LOG_GUID, MIB, PRESENT, entry, ring
from tests.unit.disks.streams import RAW_EXTENTS, VHDX_SEEK, Memory, convert, seen

CAPACITY = 3 * MIB
SECTOR = 4 * KIB
DIRTY = [craft.header(5, log=LOG_GUID)] * 2
OLD = [(0, b"old")]
NEW = [(0, b"old"), (MIB, b"new")]


def table(*entries: int) -> bytes:
    """The table's first 4 KiB."""
    return struct.pack(f"<{len(entries)}Q", *entries).ljust(SECTOR, b"\0")


FIRST, SECOND = (4 * MIB) | PRESENT, (5 * MIB) | PRESENT
UPDATE: list[craft.Write] = [(craft.TABLE_AT, table(FIRST, SECOND))]


def image(log: bytes, **more: object) -> bytearray:
    """A disk of which the table knows one block; the file has a second one, behind it."""
    blocks = {0: (PRESENT, b"old")}
    return craft.image(CAPACITY, blocks, headers=DIRTY, log=log, **more) + b"new".ljust(MIB, b"\0")  # type: ignore[arg-type]


def shown(log: bytes) -> list[tuple[int, bytes]]:
    capacity, content = seen(Memory(image(log)), VHDX_SEEK)
    assert capacity == CAPACITY
    return content


def refused(log: bytes, sentence: str) -> None:
    with pytest.raises(ImageError, match=sentence) as caught:
        seen(Memory(image(log)), VHDX_SEEK)
    assert caught.value.remedy


def sequences(log: bytes) -> list[int]:
    """The numbers of the entries that would be replayed."""
    stream = Memory(image(log))

    def fetch(offset: int, buffer: bytearray | memoryview, part: str) -> None:
        assert stream.pread(offset, buffer) == len(buffer), part

    return [each.sequence for each in Log(fetch, read_header(fetch, stream.length)).active()]


# ------------------------------------------------------------------------------------------ replay
def test_what_the_log_promised_is_seen_and_the_file_is_not_changed() -> None:
    data = image(ring((0, entry(1, UPDATE))))
    before = bytes(data)
    assert seen(Memory(data), VHDX_SEEK) == (CAPACITY, NEW)
    assert data == before


def test_it_goes_into_other_formats() -> None:
    written, done = convert(Memory(image(ring((0, entry(1, UPDATE))))), VHDX_SEEK, RAW_EXTENTS)
    assert written.bytes[MIB : MIB + 3] == b"new"
    assert done.empty == CAPACITY - 2 * 64 * KIB


def test_a_log_without_guid_is_not_looked_at() -> None:
    log = ring((0, entry(1, UPDATE)))
    data = craft.image(CAPACITY, {0: (PRESENT, b"old")}, log=log) + bytes(MIB)
    assert seen(Memory(data), VHDX_SEEK) == (CAPACITY, OLD)


def test_forward_such_a_file_is_refused() -> None:
    with pytest.raises(ImageError, match="not closed and has a log to replay") as caught:
        seen(Memory(image(ring((0, entry(1, UPDATE))))), Offer(Format.VHDX, Access.FORWARD))
    assert "save it as a file first" in caught.value.remedy


def test_regions_and_metadata_are_read_through_the_log() -> None:
    """Both region tables and the metadata are damaged in the file, and whole in the log."""
    data = image(b"")
    regions = bytes(data[192 * KIB : 256 * KIB])
    writes: list[craft.Write] = [
        (at + n, regions[n : n + SECTOR])
        for at in (192 * KIB, 256 * KIB)
        for n in range(0, 64 * KIB, SECTOR)
    ]
    for at in (2 * MIB, 2 * MIB + 64 * KIB):
        writes.append((at, bytes(data[at : at + SECTOR])))
    whole = image(ring((0, entry(1, writes))))
    whole[192 * KIB : 320 * KIB] = b"\xff" * (128 * KIB)
    whole[2 * MIB : 3 * MIB] = b"\xff" * MIB
    assert seen(Memory(whole), VHDX_SEEK) == (CAPACITY, OLD)


def test_zeros_in_the_log_are_zeros() -> None:
    """A table full of rubbish that was about to be cleared, and then written."""
    data = image(ring((0, entry(1, [(craft.TABLE_AT, MIB), *UPDATE]))))
    data[craft.TABLE_AT : craft.TABLE_AT + MIB] = b"\xff" * MIB
    assert seen(Memory(data), VHDX_SEEK) == (CAPACITY, NEW)


def test_later_writes_count_and_so_do_later_zeros() -> None:
    rubbish = (craft.TABLE_AT, b"\xff" * SECTOR)
    assert shown(ring((0, entry(1, [rubbish, *UPDATE])))) == NEW
    cleared = entry(1, [*UPDATE, (craft.TABLE_AT, SECTOR)])
    assert shown(ring((0, cleared))) == []
    second = entry(2, UPDATE)
    assert shown(ring((0, cleared), (len(cleared), second))) == NEW


def test_a_file_that_was_about_to_grow_reads_as_zero_there() -> None:
    update: list[craft.Write] = [(craft.TABLE_AT, table(FIRST, (20 * MIB) | PRESENT))]
    assert shown(ring((0, entry(1, update, flushed=6 * MIB, last=21 * MIB)))) == OLD
    refused(ring((0, entry(1, update, last=20 * MIB))), "lies outside the file")
    zeros: list[craft.Write] = [*update, (20 * MIB, MIB)]
    assert shown(ring((0, entry(1, zeros)))) == OLD


def test_a_file_shorter_than_it_was_is_refused() -> None:
    refused(ring((0, entry(1, UPDATE, flushed=7 * MIB))), "has 6291456 bytes, and had 7340032")
    assert shown(ring((0, entry(1, UPDATE, flushed=6 * MIB)))) == NEW


def test_writes_into_holes_of_the_file_are_seen() -> None:
    """Though the specification forbids the log to hold anything of blocks."""
    data = image(ring((0, entry(1, [*UPDATE, (5 * MIB + SECTOR, b"x" * SECTOR)]))))
    stream = Memory(data)
    stream.allocated = ExtentMap([(0, 5 * MIB)])
    assert open_source(stream, VHDX_SEEK).allocated == ExtentMap([(0, MIB), (MIB + SECTOR, SECTOR)])
    assert seen(stream, VHDX_SEEK) == (CAPACITY, [(0, b"old"), (MIB + SECTOR, b"x" * SECTOR)])


# ------------------------------------------------------------------------------------- which counts
def test_a_log_without_a_whole_sequence_is_refused() -> None:
    for log in (
        b"",
        ring((0, entry(1, UPDATE, guid=craft.STRANGE))),
        ring((0, entry(0, UPDATE))),
        ring((0, entry(2, UPDATE, tail=SECTOR))),  # begins where nothing is
        ring((SECTOR, entry(2, UPDATE, tail=0))),
    ):
        refused(log, "its log holds nothing that is whole")
    data = image(b"")
    headers = craft.header(5, log=LOG_GUID, log_at=0, log_length=0)
    data[64 * KIB : 68 * KIB] = data[128 * KIB : 132 * KIB] = headers
    with pytest.raises(ImageError, match="not where it could be"):
        seen(Memory(data), VHDX_SEEK)


def test_the_newest_sequence_counts() -> None:
    rubbish = [(craft.TABLE_AT, b"\xff" * SECTOR)]
    old, new = entry(7, rubbish, tail=0), entry(9, UPDATE, tail=16 * SECTOR)
    log = ring((0, old), (16 * SECTOR, new))
    assert sequences(log) == [9]
    assert shown(log) == NEW
    log = ring((0, entry(9, UPDATE)), (16 * SECTOR, entry(7, rubbish, tail=16 * SECTOR)))
    assert sequences(log) == [9]


def test_a_sequence_begins_at_its_last_entry_s_tail() -> None:
    """What stands before the tail reached its place, and may have been written over since."""
    parts = [entry(n, UPDATE, tail=(n - 1) * 2 * SECTOR) for n in (1, 2, 3)]
    parts.append(entry(4, UPDATE, tail=2 * 2 * SECTOR))
    log = ring(*((n * 2 * SECTOR, part) for n, part in enumerate(parts)))
    assert sequences(log) == [3, 4]


def test_a_sequence_may_go_over_the_end_of_the_ring() -> None:
    size = len(entry(1, UPDATE))
    start = MIB - size - SECTOR  # the second entry is torn in two by the end
    first, second = entry(1, UPDATE, tail=start), entry(2, UPDATE, tail=start)
    third = entry(3, UPDATE, tail=start)
    log = ring((start, first), (start + size, second), (size - SECTOR, third))
    assert sequences(log) == [1, 2, 3]
    assert shown(log) == NEW


def test_a_sequence_may_fill_the_ring() -> None:
    size = 4 * SECTOR
    parts = [(n * size, entry(n + 1, UPDATE, tail=0, slack=2 * SECTOR)) for n in range(MIB // size)]
    assert sequences(ring(*parts)) == list(range(1, MIB // size + 1))
    # And one that is full and begins in its middle.
    half = MIB // 2
    turned = [((at + half) % MIB, entry(n + 1, UPDATE, tail=half, slack=2 * SECTOR))
              for n, (at, _) in enumerate(parts)]  # fmt: skip
    assert sequences(ring(*turned)) == list(range(1, MIB // size + 1))


def test_entries_of_an_earlier_lap_do_not_count() -> None:
    """Numbers that do not follow end a sequence, though each entry is whole."""
    size = len(entry(1, UPDATE))
    old = [(n * size, entry(n + 1, UPDATE, tail=0)) for n in range(8)]
    new = [(n * size, entry(n + 100, UPDATE, tail=0)) for n in range(3)]
    assert sequences(ring(*old, *new)) == [100, 101, 102]


@pytest.mark.parametrize("torn", ["header", "descriptor", "data", "last", "slack"])
def test_a_torn_entry_does_not_count_and_those_before_it_do(torn: str) -> None:
    rubbish = [(craft.TABLE_AT, b"\xff" * SECTOR)]
    first, second = entry(1, UPDATE), bytearray(entry(2, rubbish, slack=SECTOR))
    at = {"header": 48, "descriptor": 80, "data": 5000, "last": 8191, "slack": 8192}[torn]
    second[at] ^= 1
    log = ring((0, first), (len(first), bytes(second)))
    assert sequences(log) == [1]
    assert shown(log) == NEW


def broken(at: int, form: str, value: object, *, whole: bool = True) -> bytes:
    """An entry with a field changed and its checksum right."""
    data = bytearray(entry(2, [(craft.TABLE_AT, SECTOR), *UPDATE], tail=2 * SECTOR))
    struct.pack_into(form, data, at, value)
    return craft.summed(bytes(data), len(data)) if whole else bytes(data)


@pytest.mark.parametrize(
    "at, form, value",
    [
        (0, "4s", b"logE"),
        (8, "<I", 0),
        (8, "<I", SECTOR),  # too short for its data
        (8, "<I", 2 * SECTOR + 512),
        (8, "<I", 2 * MIB),
        (12, "<I", 2 * SECTOR + 512),
        (12, "<I", MIB),
        (16, "<Q", 0),
        (24, "<I", 300),
        (24, "<I", 0xFFFFFFFF),
        (28, "<I", 1),
        (48, "<Q", 4096),
        (56, "<Q", 4096),
        (64, "4s", b"what"),
        (68, "<I", 1),
        (72, "<Q", 100),
        (80, "<Q", 100),
        (88, "<Q", 3),
        (96 + 16, "<Q", 100),
        (96 + 24, "<Q", 3),
        (SECTOR, "4s", b"dada"),
        (SECTOR + 4, "<I", 1),
        (2 * SECTOR - 4, "<I", 3),
    ],
)
def test_every_field_of_an_entry_is_checked(at: int, form: str, value: object) -> None:
    """The entry after it is whole and would count only if this one did."""
    first = entry(1, UPDATE)
    right = broken(68, "<I", 0)
    assert sequences(ring((0, first), (2 * SECTOR, right))) == [2]
    log = ring((0, first), (2 * SECTOR, broken(at, form, value)))
    assert sequences(log) == [1]


# ------------------------------------------------------------------------------------------ hostile
@pytest.mark.parametrize("place", [0, 64 * KIB, 128 * KIB, 188 * KIB, (128 << 40), (1 << 63)])
def test_a_log_that_writes_where_it_must_not_is_refused(place: int) -> None:
    refused(ring((0, entry(1, [(place, bytes(SECTOR))]))), "writes where it must not")
    refused(ring((0, entry(1, [(place, SECTOR)]))), "writes where it must not")


def test_a_log_that_writes_over_itself_is_refused() -> None:
    for what in (bytes(SECTOR), SECTOR, 4 * MIB):
        refused(ring((0, entry(1, [(MIB + 512 * KIB, what)]))), "writes over itself")


def test_a_log_that_asks_for_a_giant_file_is_refused() -> None:
    refused(ring((0, entry(1, UPDATE, last=1 << 60))), "asks for a file of 1152921504606846976")
    refused(ring((0, entry(1, [(4 * MIB, 1 << 62)]))), "writes where it must not")


def test_a_log_larger_than_any_is_refused() -> None:
    data = image(b"")
    start = len(data)
    data += bytes(65 * MIB)
    header = craft.header(5, log=LOG_GUID, log_at=start, log_length=65 * MIB)
    data[64 * KIB : 68 * KIB] = data[128 * KIB : 132 * KIB] = header
    with pytest.raises(ImageError, match="a log of 68157440 bytes to replay"):
        seen(Memory(data), VHDX_SEEK)


def test_more_updates_than_any_log_holds_are_refused() -> None:
    data = image(b"")
    start = len(data)
    one = entry(1, [(craft.TABLE_AT, 0)] * 40000, tail=0)
    two = entry(2, [(craft.TABLE_AT, 0)] * 40000, tail=0)
    length = -(-len(one + two) // MIB) * MIB
    data += (one + two).ljust(length, b"\0")
    header = craft.header(5, log=LOG_GUID, log_at=start, log_length=length)
    data[64 * KIB : 68 * KIB] = data[128 * KIB : 132 * KIB] = header
    with pytest.raises(ImageError, match="holds more than 65536 updates"):
        seen(Memory(data), VHDX_SEEK)


def test_entries_over_each_other_end_in_an_error_and_not_in_endless_work() -> None:
    """Each sector begins an entry that goes to the end of the ring and around it, its checksum wrong."""
    head = bytearray(entry(1, [], slack=MIB - SECTOR)[:SECTOR])
    head[4] ^= 1
    refused(ring(*((at, bytes(head)) for at in range(0, MIB, SECTOR))), "lie over each other")


def test_whole_entries_that_lead_nowhere_end_in_an_error() -> None:
    parts = [(at, entry(at // SECTOR + 1, [], tail=at)) for at in range(0, MIB, SECTOR)]
    assert len(sequences(ring(*parts))) == 1
    lost = [(at, entry(at // SECTOR + 9, [], tail=at + SECTOR)) for at, _ in parts[:-1]]
    refused(ring(*lost), "holds nothing that is whole")


# --------------------------------------------------------------------------------------- as a whole
WRITES = st.lists(
    st.tuples(st.integers(0, 63), st.integers(1, 12), st.none() | st.integers(0, 255)), max_size=12
)


@settings(max_examples=80, deadline=None)
@given(st.lists(WRITES, min_size=1, max_size=6), st.integers(0, 255), st.integers(0, 1 << 32))
def test_any_log_is_seen_as_if_it_had_been_written(
    batches: list[list[tuple[int, int, int | None]]], start: int, seed: int
) -> None:
    """Entries anywhere in the ring, reads of any place and length, against writing it all in order."""
    at = start * SECTOR
    wanted = bytearray(random.Random(seed).randbytes(300 * KIB))
    data = craft.front(b"", []) + wanted
    ring_parts: list[tuple[int, bytes]] = []
    end = len(wanted)
    tail = at
    for number, batch in enumerate(batches, 1 << 32):
        writes: list[craft.Write] = []
        for sector, count, fill in batch:
            place = sector * 2 * SECTOR
            if fill is None:
                writes.append((craft.BLOCKS_AT + place, count * SECTOR))
                content = bytes(count * SECTOR)
            else:
                content = bytes([fill, number & 255]) * (SECTOR // 2)
                writes.append((craft.BLOCKS_AT + place, content))
            wanted = wanted.ljust(place + len(content), b"\0")
            wanted[place : place + len(content)] = content
            end = max(end, place + len(content))
        part = entry(number, writes, tail=tail)
        ring_parts.append((at, part))
        at = (at + len(part)) % MIB
    log = ring(*ring_parts)
    data[MIB : 2 * MIB] = log
    stream = Memory(data)

    def fetch(offset: int, buffer: bytearray | memoryview, part: str) -> None:
        assert stream.pread(offset, buffer) == len(buffer)

    header = Header.parse(craft.header(1, log=LOG_GUID))
    assert header is not None
    replayed = Replayed(stream, fetch, header)
    assert replayed.length == craft.BLOCKS_AT + end
    order = random.Random(seed)
    for _ in range(20):
        offset = order.randrange(end)
        buffer = bytearray(order.choice([1, 500, SECTOR, 3 * SECTOR + 7, end]))
        count = replayed.pread(craft.BLOCKS_AT + offset, buffer)
        assert count == min(len(buffer), end - offset)
        assert buffer[:count] == wanted[offset : offset + count]


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(1, 8))
def test_damage_to_a_log_shows_the_old_disk_or_the_new_one_or_an_error(
    seed: int, changes: int
) -> None:
    size = len(entry(1, UPDATE))
    zeros = [(craft.TABLE_AT + SECTOR, SECTOR)]
    log = ring((0, entry(1, zeros)), (SECTOR, entry(2, UPDATE)), (SECTOR + size, entry(3, zeros)))
    data = image(log)
    order = random.Random(seed)
    for _ in range(changes):
        near = order.choice([100, 2 * SECTOR, 5 * SECTOR])
        data[MIB + order.randrange(near)] = order.choice([0, 1, 0x80, 0xFF, order.randrange(256)])
    with suppress(ImageError):
        assert seen(Memory(data), VHDX_SEEK) in ((CAPACITY, OLD), (CAPACITY, NEW))
