"""Progress in few characters."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from screens import figures


@given(st.floats(0, 1), st.integers(0, 60))
def test_a_bar_is_exactly_as_wide_as_asked(share: float, width: int) -> None:
    assert len(figures.bar(share, width)) == width


def test_a_bar_is_full_only_when_all_is_done() -> None:
    assert figures.bar(0.999, 10) == "█████████░"
    assert figures.bar(1.0, 10) == "██████████"


def test_a_hundred_percent_means_all_of_it() -> None:
    assert figures.percent(999, 1000) == "99 %"
    assert figures.percent(1000, 1000) == "100 %"
    assert figures.percent(0, 0) == "100 %"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, ""),
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (660, "11 min"),
        (3599, "1 h"),
        (7800, "2 h 10 min"),
        (100000, "1 d 3 h"),
    ],
)
def test_a_span_is_said_in_at_most_two_units(seconds: float | None, words: str) -> None:
    assert figures.span(seconds) == words


def test_what_took_how_long_counts_up_to_now_while_it_runs() -> None:
    now = datetime(2026, 1, 1, 1, 2, 3, tzinfo=UTC)
    assert figures.elapsed("2026-01-01T00:00:00+00:00", "", now) == "01:02:03"
    assert figures.elapsed("2026-01-01T00:00:00Z", "2026-01-01T00:00:09Z", now) == "00:00:09"
    assert figures.elapsed("", "", now) == ""


def test_a_package_is_called_by_its_files_name() -> None:
    assert figures.place("/srv/shop.ova") == "shop.ova"
    assert figures.place("lab-xen") == "lab-xen"
