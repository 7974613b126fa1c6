"""What holds a running job back, hour by hour, by a clock of our own and a journal that says it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kensho_tui.engine.context import RunContext
from kensho_tui.engine.events import EventKind, JobState, Reason
from kensho_tui.engine.journal import Journal
from kensho_tui.migration.context import CLEANUP
from kensho_tui.migration.plan import RunPlan, WindowPlan
from kensho_tui.migration.times import parse_window

from .given import PLAN, FixedClock, context, journal
from .test_context import Ended

MIB = 1 << 20
NIGHT = WindowPlan.of(parse_window("daily 22:00-04:00 UTC"))


def at(only: RunContext, hour: int, day: int = 1) -> None:
    """Let it be that hour; the worker looks, as it does every two seconds."""
    clock = only.clock
    assert isinstance(clock, FixedClock)
    clock.moment = datetime(2026, 3, day, hour, tzinfo=UTC)
    only.look()


def held(only: RunContext) -> bool:
    """Whether it is held now (asked anew each time, which a property does not tell a type checker)."""
    return only.pace.held


def standing(one: Journal, job: str) -> tuple[Any, ...]:
    return one.rows("SELECT state, reason, until FROM job WHERE id = ?", (job,))[0]


def states(one: Journal, job: str) -> list[str]:
    return [each.data["state"] for each in one.events(job) if each.kind is EventKind.STATE]


def test_outside_its_window_a_job_is_paused_and_goes_on_by_itself(tmp_path: Path) -> None:
    with journal(tmp_path) as one:
        job = one.submit(PLAN)
        only = context(one, job)
        at(only, 23)
        only.follow(RunPlan(window=NIGHT))
        assert not held(only)
        for day in (2, 3):
            at(only, 3, day)
            assert standing(one, job)[0] == JobState.RUNNING
            at(only, 4, day)
            assert held(only)
            assert standing(one, job) == ("paused", "window", f"2026-03-0{day}T22:00:00.000Z")
            at(only, 21, day)
            at(only, 22, day)
            assert not held(only)
        assert states(one, job) == ["paused", "running"] * 2, "said once each time"


def test_the_operators_pause_outlasts_the_window(tmp_path: Path) -> None:
    with journal(tmp_path) as one:
        job = one.submit(PLAN)
        only = context(one, job)
        at(only, 12)
        only.follow(RunPlan(window=NIGHT))
        one.pause(job, Reason.OPERATOR, "anna")
        at(only, 23)
        assert held(only)
        assert standing(one, job)[:2] == ("paused", "operator")
        assert not one.go_on(job, {Reason.WINDOW})
        assert one.go_on(job, {Reason.OPERATOR}, by="anna")
        at(only, 23)
        assert not held(only)
        one.pause(job, Reason.OPERATOR, "anna")
        assert one.go_on(job, {Reason.OPERATOR})
        at(only, 5, 2)
        assert standing(one, job)[:2] == ("paused", "window"), "resumed outside its window"


def test_limits_follow_the_hour_until_the_operator_says_another(tmp_path: Path) -> None:
    day = {"limit": 20 * MIB, "zone": "UTC", "from": "07:00", "to": "18:00"}
    with journal(tmp_path) as one:
        job = one.submit(PLAN)
        only = context(one, job)
        at(only, 6)
        only.follow(RunPlan.model_validate({"bandwidth": {"times": [day]}}))
        seen = []
        for hour in (6, 7, 17, 18):
            at(only, hour)
            seen.append(only.pace.limit)
        assert seen == [None, 20 * MIB, 20 * MIB, None]
        at(only, 12)
        only._receive({"share": 5 * MIB})
        assert only.pace.limit == 5 * MIB, "what all jobs together may take"
        only._receive({"share": 50 * MIB})
        assert only.pace.limit == 20 * MIB
        one.steer(job, EventKind.LIMITED, {"limit": 30 * MIB, "by": "anna"})
        only._receive({"look": True})
        assert only.pace.limit == 30 * MIB
        one.steer(job, EventKind.LIMITED, {"limit": None, "by": "anna"})
        only._receive({"look": True})
        assert only.pace.limit == 50 * MIB
        only._receive({"share": None})
        assert only.pace.limit is None


def test_the_last_step_waits_for_its_window_and_says_so(tmp_path: Path) -> None:
    with journal(tmp_path) as one:
        job = one.submit(PLAN)
        only = context(one, job)
        at(only, 12)
        waiting = Ended(lambda: only.until_open(NIGHT.window()))
        with Journal(one.path) as reader:
            waiting.until(lambda: standing(reader, job)[0] == "paused")
            assert standing(reader, job) == ("paused", "cutover", "2026-03-01T22:00:00.000Z")
        assert waiting.alive
        at(only, 22)
        waiting.ended()
        assert standing(one, job)[0] == JobState.RUNNING
        at(only, 12, 2)
        assert not held(only), "it was for that step alone"


def test_taking_back_waits_for_no_window(tmp_path: Path) -> None:
    with journal(tmp_path) as one:
        job = one.submit(PLAN)
        only = context(one, job)
        at(only, 23)
        only.follow(RunPlan(window=NIGHT))
        only.begin(CLEANUP, "Take back what was made")
        at(only, 5, 2)
        assert standing(one, job)[0] == JobState.RUNNING
        assert not held(only)


def test_another_worker_is_told_of_the_operators_pause(tmp_path: Path) -> None:
    with journal(tmp_path) as one:
        job = one.submit(PLAN)
        old = context(one, job)
        one.pause(job, Reason.OPERATOR, "anna")
        new = context(one, job)
        new.look()
        assert standing(one, job)[:2] == ("paused", "operator")
        assert new.pace.held
        old.follow(RunPlan(window=NIGHT))
        assert one.go_on(job, {Reason.OPERATOR})
        old.look()  # it would have to pause the job for the hour, and may not any more
        assert old.fenced
        assert standing(one, job)[0] == JobState.RUNNING


@pytest.mark.parametrize("hour", [12, 23])
def test_two_hours_of_looking_write_nothing_that_is_not_new(tmp_path: Path, hour: int) -> None:
    with journal(tmp_path) as one:
        job = one.submit(PLAN)
        only = context(one, job)
        at(only, hour)
        only.follow(RunPlan(window=NIGHT))
        last = len(one.events(job))
        clock = only.clock
        assert isinstance(clock, FixedClock)
        for _ in range(3600):
            clock.moment += timedelta(seconds=2)
            only.look()
        assert len(one.events(job)) == last
