"""The crash matrix: fifty seeds of it. ``./dev faults`` runs any others."""

from collections import Counter
from collections.abc import Callable

import pytest

from .matrix.__main__ import SEEDS
from .matrix.case import Case, Fault, Verb, case
from .matrix.play import Played

pytestmark = [pytest.mark.peer, pytest.mark.timeout(300)]


def test_the_seeds_that_are_run_have_every_verb_and_every_fault() -> None:
    cases = [case(seed) for seed in SEEDS]
    assert cases == [case(seed) for seed in SEEDS], "a pure function of the seed"
    assert set(Counter(each.verb for each in cases)) == set(Verb)
    assert {each.fault for each in cases} == set(Fault)


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_goes_wrong_all_is_there_and_equal_or_nothing_is(
    matrix: Callable[[Case], Played], seed: int
) -> None:
    played = matrix(case(seed))
    assert not played.broken, f"{played}\nagain: ./dev faults --seed {seed}"
