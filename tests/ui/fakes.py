"""A runner that does what a test tells it to: stands where the real one's client would."""

import queue
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from kensho_tui.engine import ejecting
from kensho_tui.engine.events import (
    Event,
    EventKind,
    JobState,
    JobSummary,
    JobView,
    RunnerStatus,
    StepView,
    Update,
)
from kensho_tui.errors import KenshoError
from kensho_tui.migration.context import Sample, StepState
from kensho_tui.migration.plan import Plan
from kensho_tui.migration.sessions import Sessions
from screens.desk import Desk

BEGAN = "2026-11-23T09:00:00+00:00"
LATER = "2026-11-23T09:14:00+00:00"
GB = 1000**3


def summary(job: str = "j1", state: JobState = JobState.RUNNING, **changes: object) -> JobSummary:
    """A job of two machines, one of them done."""
    values: dict[str, object] = {
        "id": job,
        "name": "shop",
        "state": state,
        "source": "shop.ova",
        "target": "lab-xen",
        "machines": 2,
        "machines_done": 1,
        "created": BEGAN,
        "updated": LATER,
        "step": "db01 disk 1 to local-sr",
        "position": 8 * GB,
        "total": 20 * GB,
        "rate": 212e6,
        "eta_s": 660.0,
    }
    return JobSummary(**{**values, **changes})  # type: ignore[arg-type]


def view(of: JobSummary, **changes: object) -> JobView:
    """The job in full: a step for all, one machine done, one under way."""
    values: dict[str, object] = {
        "summary": of,
        "plan": {"spec": {"machines": {"vm1": {"name": "web01"}}}},
        "steps": (
            StepView("check", "Check the plan", StepState.DONE, began=BEGAN, ended=BEGAN),
            StepView(
                "disk:1", "web01 disk 0 to local-sr", StepState.DONE, "vm1", "d1", BEGAN, LATER
            ),
            StepView("disk:2", "db01 disk 1 to local-sr", StepState.RUNNING, "vm2", "d2", LATER),
        ),
        "log": (
            Event(of.id, 1, 0, EventKind.SUBMITTED, BEGAN),
            Event(of.id, 2, 1, EventKind.STEP_BEGUN, BEGAN, "check", {"title": "Check the plan"}),
            Event(of.id, 3, 1, EventKind.STEP_DONE, BEGAN, "check"),
            Event(of.id, 4, 1, EventKind.NOTE, BEGAN, "", {"message": "7 of 7 members match"}),
        ),
        "last": 4,
    }
    return JobView(**{**values, **changes})  # type: ignore[arg-type]


SAMPLE = Sample(
    "disk:2", "vm2", "d2", 4 * GB, 10 * GB, read=3 * GB, written=3 * GB, rate=212e6, eta_s=360
)


@dataclass
class FakeRunner:
    """Jobs by id, and what was asked. ``updates`` feeds `watch`; ``silent`` makes every call fail."""

    views: dict[str, JobView] = field(default_factory=dict)
    silent: str = ""
    cancelled: list[str] = field(default_factory=list)
    answers: list[tuple[str, str, str]] = field(default_factory=list)
    standing: RunnerStatus = field(default_factory=lambda: RunnerStatus(running=True, pid=1))
    said: list[tuple[object, ...]] = field(default_factory=list)
    submitted: list[tuple[Plan, dict[str, str]]] = field(default_factory=list)
    updates: "queue.Queue[Update]" = field(default_factory=queue.Queue)
    asked: threading.Event = field(default_factory=threading.Event)

    def _speak(self) -> None:
        if self.silent:
            raise KenshoError(self.silent, remedy="Run 'kensho runner status'")

    def jobs(self) -> list[JobSummary]:
        self._speak()
        self.asked.set()
        return [each.summary for each in self.views.values()]

    def job(self, job: str) -> JobView:
        self._speak()
        return self.views[job]

    def status(self) -> RunnerStatus:
        self._speak()
        return self.standing

    def submit(self, plan: Plan, secrets: Mapping[str, str] | None = None) -> str:
        self._speak()
        self.submitted.append((plan, dict(secrets or {})))
        job = f"new{len(self.submitted)}"
        name, batch = plan.metadata.name, plan.metadata.batch
        self.views[job] = view(summary(job, name=name, batch=batch))
        return job

    def cancel(self, job: str, *, by: str = "") -> bool:
        self._speak()
        self.cancelled.append(job)
        return job in self.views and ejecting.in_service(self.views[job])

    def answer(self, job: str, question: str, value: str, *, by: str = "") -> None:
        self._speak()
        self.answers.append((job, question, value))

    def pause(self, job: str, *, by: str = "") -> None:
        self._speak()
        self.said.append(("pause", job))

    def resume(self, job: str, *, by: str = "") -> None:
        self._speak()
        self.said.append(("resume", job))

    def limit(self, job: str, bytes_per_second: int | None, *, by: str = "") -> None:
        self._speak()
        self.said.append(("limit", job, bytes_per_second))

    def retry(self, job: str, *, by: str = "") -> str:
        self._speak()
        self.said.append(("retry", job))
        self.views["again"] = view(summary("again", name="shop-again"))
        return "again"

    def cleanup(self, job: str, *, by: str = "") -> None:
        self._speak()
        self.said.append(("cleanup", job))
        self.views[job] = view(summary(job, JobState.QUEUED))

    def desk(self, sessions: Sessions | None = None) -> Desk:
        """A desk whose clients all speak to this runner."""
        return Desk(lambda: FakeClient(self), sessions)


class FakeClient:
    """One client of the runner: closing it ends its watches and nothing else."""

    def __init__(self, runner: FakeRunner) -> None:
        self._runner = runner
        self._closed = threading.Event()
        self.jobs = runner.jobs
        self.job = runner.job
        self.submit = runner.submit
        self.cancel = runner.cancel
        self.answer = runner.answer
        self.pause = runner.pause
        self.resume = runner.resume
        self.limit = runner.limit
        self.retry = runner.retry
        self.cleanup = runner.cleanup
        self.status = runner.status

    def watch(
        self, job: str | None = None, after: Mapping[str, int] | None = None
    ) -> Iterator[Update]:
        while not self._closed.is_set():
            try:
                yield self._runner.updates.get(timeout=0.05)
            except queue.Empty:
                continue

    def close(self) -> None:
        self._closed.set()
