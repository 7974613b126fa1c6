"""Two hours of a job in seconds, by a clock of its own: leases, sessions, questions, windows."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from backends.base import Kind, Session
from backends.xenserver import PLATFORM
from kensho_tui.cancel import Cancel
from kensho_tui.connections import Connection
from kensho_tui.engine import worker
from kensho_tui.engine.context import RunContext
from kensho_tui.engine.events import EventKind
from kensho_tui.engine.journal import Journal
from kensho_tui.engine.places import FileLock, Places
from kensho_tui.lab import XenLab
from kensho_tui.migration.context import JobContext, Question, QuestionKind
from kensho_tui.migration.plan import Metadata, Plan, SourcePlan, Spec, TargetPlan
from kensho_tui.migration.times import Window
from tests.contract.xenserver import Password

from .runs import Outcome

SPEED = 1800.0  # so many times faster than ours
START = datetime(2026, 3, 2, 20, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


class FastClock:
    """A clock that runs ahead; whoever waits by it waits so much shorter."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def monotonic(self) -> float:
        return (time.monotonic() - self._began) * SPEED

    def now(self) -> datetime:
        return START + timedelta(seconds=self.monotonic())

    def sleep(self, seconds: float, cancel: Cancel) -> None:
        cancel.wait(seconds / SPEED)
        cancel.check()

    def wait(self, changed: threading.Condition, seconds: float | None) -> None:
        changed.wait(None if seconds is None else seconds / SPEED)


def shifts(lab: XenLab, session: Session, said: list[str]) -> Callable[[JobContext, Plan], Any]:
    """A job that works for two hours, and is alone with a question and a closed window in them."""

    def run(context: JobContext, plan: Plan) -> Outcome:
        end = context.clock.now() + 2 * HOUR
        while context.clock.now() < end:
            # A server forgets a session when it likes; the next call logs in again.
            lab.control.expire_sessions()
            session.inventory(frozenset({Kind.STORAGE}))
            if not said:
                expires = context.clock.now() + HOUR
                text = "Nobody is there to answer. Go on?"
                question = Question(
                    "alone", QuestionKind.SPACE, text, ("yes", "no"), "yes", expires
                )
                said.append(context.ask(question))
                assert context.clock.now() >= expires
            context.clock.sleep(600, context.cancel)
        opens = context.clock.now() + timedelta(minutes=30)
        closes = opens + HOUR
        days = frozenset(range(7))
        context.until_open(Window("UTC", days, opens.time(), closes.time()))
        assert context.clock.now() >= opens
        session.inventory(frozenset({Kind.STORAGE}))
        return Outcome("succeeded")

    return run


def test_two_hours_of_a_job_need_no_two_hours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, places = FastClock(), Places(tmp_path / "state")
    said: list[str] = []
    looks: list[datetime] = []
    places.make()
    plan = Plan(
        metadata=Metadata(name="night"),
        spec=Spec(source=SourcePlan(package="/srv/a.ova"), target=TargetPlan(package="/srv/b.ova")),
    )
    with (
        XenLab(tmp_path / "lab") as lab,
        Journal(places.journal, now=clock.now) as journal,
        FileLock(places.state / "lock") as lock,
    ):
        assert lock.take()
        job = journal.submit(plan.model_dump(mode="json"))
        context = RunContext(journal, journal.claim(job, "test:1"), places, clock=clock)
        connection = Connection("lab", "xenserver", lab.url, lab.username, pin=lab.pin)
        session = PLATFORM.connect(connection, Password(lab.password), context.cancel)
        monkeypatch.setattr(worker, "load_run", lambda name: shifts(lab, session, said))
        look = context.look

        def counted() -> None:
            looks.append(clock.now())
            look()

        monkeypatch.setattr(context, "look", counted)
        try:
            assert worker.Worker(journal, context, lock).run("") == 0
        finally:
            session.close()
        took = clock.now() - START
        assert took >= 2.5 * HOUR
        assert said == ["yes"]
        events = journal.events(job)
        assert events[-1].data["state"] == "succeeded"
        (answer,) = [each for each in events if each.kind is EventKind.ANSWER]
        assert answer.data["by"] == "default"
        paused = [each for each in events if each.data.get("state") == "paused"]
        assert [each.data["reason"] for each in paused] == ["cutover"]
        assert journal.verify() == []
        # It looked after its lease all the time, whatever the job waited for.
        gaps = [later - earlier for earlier, later in pairwise(looks)]
        assert max(gaps) < HOUR
        assert lab.control.calls.count("session.login_with_password") > 3
