"""Extent maps, held against a plain set of bytes."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kensho_tui.disks.image import ExtentMap

ranges = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 12)), max_size=12)


def members(pairs: list[tuple[int, int]]) -> set[int]:
    """Every byte in the ranges."""
    return {b for offset, length in pairs for b in range(offset, offset + length)}


@given(ranges)
def test_a_map_holds_just_its_bytes_sorted_and_coalesced(pairs: list[tuple[int, int]]) -> None:
    extents = ExtentMap(pairs)
    listed = list(extents)
    assert members(listed) == members(pairs)
    assert all(a + n < b for (a, n), (b, _) in pairwise(listed))
    assert extents.total == len(members(pairs))
    assert extents.end == max(members(pairs), default=-1) + 1


@given(ranges, st.integers(0, 70), st.integers(0, 20))
def test_overlap_and_parts_agree_with_the_bytes(
    pairs: list[tuple[int, int]], offset: int, length: int
) -> None:
    inside = members(pairs) & set(range(offset, offset + length))
    assert ExtentMap(pairs).overlaps(offset, length) == bool(inside)
    assert members(list(ExtentMap(pairs).within(offset, length))) == inside


@given(ranges, st.integers(1, 9))
def test_alignment_covers_and_ends_on_blocks(pairs: list[tuple[int, int]], block: int) -> None:
    grown = ExtentMap(pairs).aligned(block)
    assert members(list(grown)) >= members(pairs)
    assert all(a % block == 0 and n % block == 0 for a, n in grown)
    touched = {b // block for b in members(pairs)}
    assert {b // block for b in members(list(grown))} == touched


def test_a_negative_extent_is_refused() -> None:
    with pytest.raises(ValueError, match="no extent"):
        ExtentMap([(-1, 5)])
