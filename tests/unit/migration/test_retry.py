"""What is tried again, how often, and after which pauses. Chance is ours."""

from collections.abc import Callable

import pytest

from backends.base import (
    AccessDeniedError,
    AuthenticationError,
    BackendError,
    ConnectError,
    NoSpaceError,
    RefusedError,
    TransferError,
)
from kensho_tui.cancel import CancelledError
from kensho_tui.errors import KenshoError
from kensho_tui.migration.context import FencedError
from kensho_tui.migration.plan import RetryPlan, RunPlan
from kensho_tui.migration.retry import Policy, Retries, Trouble, trouble

GONE = ConnectError("the host went away", retryable=True)
BUSY = RefusedError("the disk is in use", retryable=True)
LOST = TransferError("bytes did not arrive", retryable=True)
FINAL = TransferError("the server could not use them")


def always(chance: float) -> Callable[[], float]:
    return lambda: chance


def pauses(policy: Policy, *errors: KenshoError, chance: float = 1.0) -> list[float | None]:
    retries = Retries(policy, always(chance))
    return [retries.pause_s(each) for each in errors]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (GONE, Trouble.CONNECT),
        (BUSY, Trouble.BUSY),
        (LOST, Trouble.TRANSFER),
        (FINAL, Trouble.TRANSFER),
        (BackendError("503", retryable=True), Trouble.TRANSFER),
        (ConnectError("no such host"), None),
        (RefusedError("no"), None),
        (BackendError("400"), None),
        (AuthenticationError("no", retryable=True), None),
        (AccessDeniedError("no", retryable=True), None),
        (NoSpaceError("full", retryable=True), None),
        (CancelledError(), None),
        (FencedError("another", retryable=True), None),
    ],
)
def test_only_what_may_pass_is_tried_again(error: KenshoError, kind: Trouble | None) -> None:
    assert trouble(error) is kind
    assert (Retries(Policy()).pause_s(error) is None) == (kind is None)


def test_pauses_grow_to_the_longest_one_and_chance_takes_a_part_of_each() -> None:
    policy = Policy(connect=8, first_pause_s=2, longest_pause_s=30)
    assert pauses(policy, *[GONE] * 8) == [2, 4, 8, 16, 30, 30, 30, None]
    assert pauses(policy, *[GONE] * 8, chance=0.5) == [1, 2, 4, 8, 15, 15, 15, None]
    drawn = {Retries(policy).pause_s(GONE) for _ in range(50)}
    assert len(drawn) > 40, "no two jobs come back in step"
    assert all(each is not None and 0 <= each <= 2 for each in drawn)


def test_few_attempts_at_bytes_that_are_lost_and_one_more_at_a_final_answer() -> None:
    assert pauses(Policy(), LOST, LOST, LOST) == [2, 4, None]
    assert pauses(Policy(), FINAL, FINAL) == [2, None]
    assert pauses(Policy(transfer=9), FINAL, LOST, FINAL) == [2, 4, None]


def test_classes_are_counted_apart() -> None:
    assert pauses(Policy(), LOST, GONE, LOST, GONE, GONE) == [2, 4, 8, 16, 30]


def test_somebody_else_is_waited_for_by_time_however_chance_falls() -> None:
    for chance in (0.1, 1.0):
        retries, slept = Retries(Policy(busy_s=900), always(chance)), 0.0
        while (pause := retries.pause_s(BUSY)) is not None:
            slept += pause
        assert 900 <= slept <= 930
    assert pauses(Policy(busy_s=0), BUSY) == [None]


def test_who_came_further_has_all_attempts_again() -> None:
    retries = Retries(Policy(transfer=2), lambda: 1.0)
    assert retries.pause_s(LOST) == 2
    retries.progressed()
    assert retries.pause_s(LOST) == 2
    assert retries.pause_s(LOST) is None


def test_a_plan_may_say_other_numbers() -> None:
    run = RunPlan.model_validate({"retry": {"connect": 2, "longest_pause_s": 5}})
    assert run.retry.policy() == Policy(connect=2, longest_pause_s=5)
    assert RetryPlan().policy() == Policy()
    with pytest.raises(ValueError, match="retries"):
        RunPlan.model_validate({"retries": {}})
