"""Threads that wait for news of the runner, outside the pool that screens share, and post messages."""

import threading
from dataclasses import dataclass

from textual.message import Message
from textual.message_pump import MessagePump

from kensho_tui.cancel import Cancel
from kensho_tui.engine.events import Event, JobState, JobSummary
from kensho_tui.engine.telling import troubles
from kensho_tui.errors import KenshoError
from kensho_tui.migration.context import Sample
from screens.desk import Desk, Runner
from screens.states import JOB

EVERY_S = 1.0


@dataclass
class JobsArrived(Message):
    """All jobs as they stand now, and what of the runner's own is not as it should be."""

    jobs: list[JobSummary]
    troubles: list[str]


@dataclass
class RunnerSilent(Message):
    """The runner does not answer; ``error`` says why. It is asked again."""

    error: KenshoError


@dataclass
class NewsArrived(Message):
    """Something happened in the job: events of its journal, and the latest sample of each step."""

    job: str
    events: list[Event]
    samples: list[Sample]


class Feed(threading.Thread):
    """One thread with a client of its own, until `stop`. Daemon: it never holds up the end."""

    def __init__(self, name: str, desk: Desk, to: MessagePump) -> None:
        super().__init__(name=name, daemon=True)
        self.cancel = Cancel()
        self._desk = desk
        self._to = to

    def stop(self) -> None:
        """End the thread soon. Does not wait."""
        self.cancel.cancel()

    def run(self) -> None:
        """Post news; after an error say so and try again with growing pauses."""
        pause = EVERY_S
        while True:
            try:
                runner = self._desk.new_runner()
                try:
                    with self.cancel.closing(runner.close):
                        pause = EVERY_S
                        self.follow(runner)
                finally:
                    runner.close()
            except KenshoError as error:
                self._to.post_message(RunnerSilent(error))
            if self.cancel.wait(pause):
                return
            pause = min(pause * 2, 10.0)

    def follow(self, runner: Runner) -> None:
        """Post news until cancelled, or until the runner has no more."""
        raise NotImplementedError


class JobsFeed(Feed):
    """Asks for all jobs, once a second, and posts them while somebody looks; rings for an end.

    Attributes:
        jobs: as they were last; read in any thread.
        watched: whether they are shown. Where another screen lies above, Textual paints all of that
            one anew for every message to the one below, which costs a slow line its whole breath.
    """

    def __init__(self, desk: Desk, to: MessagePump) -> None:
        super().__init__("kensho-jobs", desk, to)
        self.jobs: list[JobSummary] = []
        self.watched = True

    def follow(self, runner: Runner) -> None:
        """Ask for the jobs again and again."""
        while not self.cancel.cancelled:
            before, self.jobs = self.jobs, runner.jobs()
            if called := wants_a_person(before, self.jobs):
                self._desk.ring(called)
            if self.watched:
                self._to.post_message(JobsArrived(self.jobs, troubles(runner.status())))
            self.cancel.wait(EVERY_S)


def wants_a_person(before: list[JobSummary], now: list[JobSummary]) -> str:
    """What a person is called for: jobs that have ended since, or that wait; "" for none."""
    known = {each.id: each.state for each in before}
    new = [
        each
        for each in now
        if each.id in known
        and each.state is not known[each.id]
        and (each.state.ended or each.state is JobState.WAITING)
    ]
    if len(new) > 1:
        return f"{len(new)} jobs have ended or wait for you"
    return f"{new[0].name}: {JOB[new[0].state].word}" if new else ""


class JobFeed(Feed):
    """Collects what happens in one job; whoever shows it takes it as often as the eye needs."""

    def __init__(self, desk: Desk, to: MessagePump, job: str) -> None:
        super().__init__(f"kensho-job-{job}", desk, to)
        self.job = job
        self._after: dict[str, int] = {}
        self._lock = threading.Lock()
        self._events: list[Event] = []
        self._samples: dict[str, Sample] = {}

    def follow(self, runner: Runner) -> None:
        """Follow the job, collecting what `take` hands out."""
        for update in runner.watch(self.job, dict(self._after)):
            if self.cancel.cancelled:
                return
            with self._lock:
                if isinstance(update, Event):
                    self._after[update.job] = update.n
                    self._events.append(update)
                else:
                    self._samples[update[1].step] = update[1]

    def take(self) -> NewsArrived | None:
        """What came since the last call; None where nothing did."""
        with self._lock:
            if not self._events and not self._samples:
                return None
            news = NewsArrived(self.job, self._events, list(self._samples.values()))
            self._events, self._samples = [], {}
        return news
