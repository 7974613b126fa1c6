"""The rate of what moves by fits and starts."""

import pytest

from kensho_tui.migration.rates import Rate

MIB = 1 << 20
HUNDRED_K = MIB / 10


def told(chunk: int, every_s: float, seconds: int) -> list[float]:
    """What is told twice a second where a chunk comes that often."""
    rate = Rate()
    ticks = [number / 2 for number in range(2 * seconds)]
    found = [rate.at(now, int(now // every_s) * chunk) for now in ticks]
    return [each for each in found if each is not None]


@pytest.mark.parametrize("every_s", [0.5, 2, 20, 60])
def test_a_limited_disk_has_the_rate_of_its_limit_and_not_that_of_its_chunks(
    every_s: float,
) -> None:
    found = told(int(HUNDRED_K * every_s), every_s, 600)
    assert found
    assert all(0.9 * HUNDRED_K < each < 1.1 * HUNDRED_K for each in found)


def test_what_stands_still_becomes_slower_and_what_goes_on_faster_again() -> None:
    rate = Rate()
    for second in range(20):
        rate.at(second, second * MIB)
    assert rate.at(19, 19 * MIB) == MIB
    stuck = [rate.at(now, 19 * MIB) or 0 for now in range(22, 200)]
    assert stuck == sorted(stuck, reverse=True)
    assert stuck[-1] < MIB / 30
    for second in range(200, 220):
        last = rate.at(second, (second - 180) * MIB)
    assert last == pytest.approx(MIB, rel=0.1)


def test_the_first_chunk_of_a_limited_disk_is_no_burst() -> None:
    rate = Rate()
    rate.at(0, 0)
    assert rate.at(0.1, 2 * MIB) == 20 * MIB
    assert rate.at(0.2, 2 * MIB, 100_000) == 100_000


def test_a_pause_is_no_slowness() -> None:
    rate = Rate()
    rate.at(0, 0)
    rate.at(1, MIB)
    rate.reset()
    assert rate.at(1000, MIB) is None
    rate.at(1001, 2 * MIB)
    assert rate.at(1002, 3 * MIB) == MIB
