"""Whose turn it is: by time, by caps, by priority. No worker is started; time is our own."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kensho_tui.engine.crew import Crew
from kensho_tui.engine.events import EventKind, JobState, Reason
from kensho_tui.engine.journal import Journal
from kensho_tui.engine.places import Places
from kensho_tui.engine.slots import Settings

NIGHT = {"zone": "UTC", "from": "22:00", "to": "04:00"}


class Dry(Crew):
    """A crew whose workers are only written down; each lives until `end`."""

    def __init__(self, one: Journal) -> None:
        self.moment = datetime(2026, 3, 1, 12, tzinfo=UTC)
        self.settings = Settings()
        self.started: list[str] = []
        self.living: set[str] = set()
        super().__init__(
            Places(one.path.parent),
            one,
            "",
            lambda job: None,
            settings=lambda: self.settings,
            now=lambda: self.moment,
        )
        self.one = one

    def _start(self, job: str) -> None:
        self.started.append(job)
        self.living.add(job)
        self._alive.add(job)
        self.one.claim(job, "test:1")

    def _is_alive(self, job: str) -> bool:
        return job in self.living

    def end(self, job: str) -> None:
        self.one.set_state(job, JobState.SUCCEEDED)
        self.living.discard(job)

    def tick(self) -> list[str]:
        """One round; the jobs that it began."""
        self.started = []
        self.tend()
        return self.started


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Journal]:
    seconds = itertools.count()
    start = datetime(2026, 1, 1, tzinfo=UTC)
    # Every event a second later than the one before it, so that the oldest job is one.
    with Journal(
        tmp_path / "state" / "journal.db", now=lambda: start + timedelta(seconds=next(seconds))
    ) as opened:
        yield opened


def plan(target: str = "xen", storage: str = "sr", **run: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "job"},
        "spec": {
            "source": {"package": "/srv/shop.ova"},
            "target": {"connection": target},
            "storage": {"d": {"kind": "storage", "id": "1", "name": storage}},
            "run": run,
        },
    }


def standing(one: Journal, job: str) -> tuple[Any, ...]:
    return one.rows("SELECT state, reason, until FROM job WHERE id = ?", (job,))[0]


def test_a_scheduled_job_begins_at_its_time_and_a_missed_time_is_now(one: Journal) -> None:
    crew = Dry(one)
    later = one.submit(plan(not_before="2026-03-01T14:00:00Z"))
    missed = one.submit(plan(not_before="2026-02-01T14:00:00Z"))
    assert crew.tick() == [missed]
    assert standing(one, later) == ("scheduled", "start", "2026-03-01T14:00:00.000Z")
    assert crew.tend() == 2 * 3600
    anew = Dry(one)  # the next runner, after a restart of the machine
    anew.living = {missed}
    assert anew.tick() == []
    anew.moment += timedelta(hours=5)
    assert anew.tick() == [later]
    assert standing(one, later) == ("running", "", "")
    events = [e.data["state"] for e in one.events(later) if e.kind is EventKind.STATE]
    assert events == ["scheduled", "queued"]


def test_a_job_that_has_not_begun_is_scheduled_for_its_window_and_a_begun_one_paused(
    one: Journal,
) -> None:
    crew = Dry(one)
    crew.moment = datetime(2026, 3, 1, 23, tzinfo=UTC)
    begun = one.submit(plan(window=NIGHT))
    assert crew.tick() == [begun]
    crew.living.clear()  # its worker dies, and then the window closes
    crew.moment = datetime(2026, 3, 2, 12, tzinfo=UTC)
    fresh = one.submit(plan(window=NIGHT))
    assert crew.tick() == []
    assert standing(one, begun) == ("paused", "window", "2026-03-02T22:00:00.000Z")
    assert standing(one, fresh) == ("scheduled", "window", "2026-03-02T22:00:00.000Z")
    crew.moment = datetime(2026, 3, 2, 22, tzinfo=UTC)
    assert crew.tick() == [begun, fresh]


def test_what_is_to_be_taken_back_waits_neither_for_time_nor_for_a_slot(one: Journal) -> None:
    crew = Dry(one)
    crew.moment = datetime(2026, 3, 1, 23, tzinfo=UTC)
    job = one.submit(plan(window=NIGHT))
    assert crew.tick() == [job]
    crew.living.clear()
    one.set_state(job, JobState.CANCELLING)
    crew.moment = datetime(2026, 3, 2, 12, tzinfo=UTC)
    crew.settings = Settings(jobs_at_once=1)
    other = one.submit(plan())
    one.steer(other, EventKind.PRIORITIZED, {"priority": 9, "by": ""})
    assert crew.tick() == [other, job]


def test_a_job_paused_by_the_operator_is_not_started_whatever_its_time(one: Journal) -> None:
    crew = Dry(one)
    job = one.submit(plan(not_before="2026-03-01T14:00:00Z"))
    crew.tick()
    one.pause(job, Reason.OPERATOR, "anna")
    crew.moment += timedelta(days=1)
    assert crew.tick() == []
    assert one.go_on(job, {Reason.OPERATOR}, queued=True)
    assert crew.tick() == [job]


def test_caps_hold_and_the_job_says_what_it_waits_for(one: Journal) -> None:
    crew = Dry(one)
    crew.settings = Settings(caps={"storage:xen/sr": 1, "target:*": 2})
    first, second = one.submit(plan()), one.submit(plan())
    elsewhere = one.submit(plan(storage="big"))
    more = one.submit(plan(storage="big"))
    assert crew.tick() == [first]
    # The second waits for the storage and keeps its place on the target for itself.
    assert crew.waits == {
        second: "waits for a slot of storage xen/sr (1 of 1)",
        elsewhere: "waits for a slot of target xen (2 of 2)",
        more: "waits for a slot of target xen (2 of 2)",
    }
    crew.settings = Settings(caps={"storage:xen/sr": 1, "target:*": 3})
    assert crew.tick() == [elsewhere]
    crew.end(first)
    assert crew.tick() == [second, more]
    assert not crew.waits


def test_the_highest_priority_begins_first_and_then_the_oldest(one: Journal) -> None:
    crew = Dry(one)
    crew.settings = Settings(jobs_at_once=1)
    running = one.submit(plan())
    crew.tick()
    old, urgent, new = one.submit(plan()), one.submit(plan(priority=3)), one.submit(plan())
    late = one.submit(plan())
    one.steer(late, EventKind.PRIORITIZED, {"priority": 5, "by": "anna"})
    order, current = list[str](), running
    for _ in range(4):
        crew.end(current)
        (current,) = crew.tick()
        order.append(current)
    assert order == [late, urgent, old, new]


def test_paused_jobs_get_no_share_of_the_limit(one: Journal) -> None:
    crew = Dry(one)
    first, second = one.submit(plan()), one.submit(plan())
    crew.tick()
    assert set(crew.running()) == {first, second}
    one.pause(first, Reason.OPERATOR, "anna")
    assert crew.running() == [second]
