"""Cutting and gathering: maps in bounded memory, units of a format, buffers used again."""

from hypothesis import given
from hypothesis import strategies as st

from kensho_tui.disks.buffers import Buffers
from kensho_tui.disks.image import PIECE, ExtentMap, gather, units
from kensho_tui.disks.raw import by_window
from tests.unit.disks.streams import SparseDisk

RANGES = st.lists(st.tuples(st.integers(0, 1 << 26), st.integers(1, 1 << 20)), max_size=40)


@given(RANGES)
def test_gathering_gives_the_same_map_as_building_it(ranges: list[tuple[int, int]]) -> None:
    assert gather(sorted(ranges)) == ExtentMap(ranges)


@given(RANGES, st.integers(1, 5))
def test_a_map_of_too_many_ranges_gets_coarser_and_never_smaller(
    ranges: list[tuple[int, int]], most: int
) -> None:
    found = gather(sorted(ranges), most)
    assert len(found) <= most
    for offset, length in ranges:
        assert list(found.within(offset, length)) == [(offset, length)]


def test_a_hundred_thousand_scattered_ranges_stay_within_the_bound() -> None:
    found = gather((i << 17, 512) for i in range(100_000))
    assert len(found) <= 1 << 16
    assert found.total >= 100_000 * 512
    assert found.overlaps(99_999 << 17, 512)


@given(RANGES)
def test_windows_hold_every_byte_once_and_in_order(ranges: list[tuple[int, int]]) -> None:
    wanted = ExtentMap(ranges)
    windows = list(by_window(wanted))
    assert ExtentMap(each for window in windows for each in window) == wanted
    assert sum(n for window in windows for _, n in window) == wanted.total
    numbers = [{o // PIECE for o, _ in w} | {(o + n - 1) // PIECE for o, n in w} for w in windows]
    assert all(len(each) == 1 for each in numbers)
    assert sorted(min(each) for each in numbers) == [min(each) for each in numbers]


@given(
    st.lists(st.tuples(st.integers(0, 400), st.binary(min_size=1, max_size=100)), max_size=8),
    st.sampled_from([bytes, bytearray, memoryview]),
)
def test_units_are_filled_with_zeros_around_the_parts(
    parts: list[tuple[int, bytes]], kind: type[bytes] | type[bytearray] | type[memoryview]
) -> None:
    disjoint: list[tuple[int, bytes]] = []
    for offset, data in sorted(parts):
        if not disjoint or offset >= disjoint[-1][0] + len(disjoint[-1][1]):
            disjoint.append((offset, data))
    disk = SparseDisk(640, disjoint)
    touched = {(o + i) // 64 for o, d in disjoint for i in range(len(d))}
    wanted = []
    for unit in sorted(touched):
        buffer = bytearray(64)
        disk.pread(unit * 64, buffer)
        wanted.append((unit * 64, bytes(buffer)))
    assert [(o, bytes(d)) for o, d in units([(o, kind(d)) for o, d in disjoint], 64)] == wanted


def test_a_buffer_that_is_given_back_is_used_again() -> None:
    buffers = Buffers()
    first = buffers.take(1000)
    memory = first.obj
    assert len(first) == 1000
    assert buffers.take(10).obj is not memory
    buffers.give(first)
    assert buffers.take(PIECE).obj is memory
    large = buffers.take(PIECE * 4)
    assert len(large) == PIECE * 4
    buffers.give(large)
    assert buffers.take(10).obj is not large.obj
