"""A real runner on a private state directory, and waiting for what it tells."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kensho_tui.engine.client import Client, start_runner
from kensho_tui.engine.events import Event, EventKind, JobState, JobView, Update
from kensho_tui.migration.plan import Metadata, Plan, SourcePlan, Spec, TargetPlan

ROOT = Path(__file__).parents[2]
RUN = "tests.faults.runs:run_job"

# Longer than anything takes here; a test that reaches it fails, none measures it.
DEADLINE_S = 60.0


class Bench:
    """A state directory, its runner and a client of it."""

    def __init__(self, directory: Path, run: str = RUN) -> None:
        self.directory = directory
        self.run = run
        self.state = directory / "state"
        self.effects = directory / "effects"
        self.start()
        self.client = Client.open(self.state, start=False)

    def start(self) -> None:
        """Start a runner where none is."""
        start_runner(
            self.state,
            run=self.run,
            environment={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "KENSHO_CONFIG_DIR": str(self.directory / "config"),
            },
        )

    def plan(self, *script: list[Any]) -> Plan:
        labels = {"script": json.dumps(script), "effects": str(self.effects)}
        return Plan(
            metadata=Metadata(name="Shop Ünit", labels=labels),
            spec=Spec(
                source=SourcePlan(package="/srv/shop.ova"), target=TargetPlan(package="/srv/out")
            ),
        )

    def submit(self, *script: list[Any], secrets: dict[str, str] | None = None) -> str:
        return self.client.submit(self.plan(*script), secrets)

    def gate(self, name: str) -> str:
        """A named pipe for a ``gate`` of the script."""
        path = self.directory / name
        os.mkfifo(path)
        return str(path)

    def open_gate(self, path: str) -> None:
        """Let whoever waits at the gate pass (waits for it to come there)."""
        Path(path).write_bytes(b"go")

    def wait(self, job: str, holds: Callable[[Update], bool], after: int = 0) -> Update:
        """The first update after that event, by default of all, for which that holds."""
        with Client.open(self.state, start=False) as client:
            alarm = threading.Timer(DEADLINE_S, client.close)
            alarm.start()
            try:
                for update in client.watch(job, {job: after}):
                    if holds(update):
                        return update
            finally:
                alarm.cancel()
                alarm.join()
        raise AssertionError(f"{job}: it never came; the log: {self.log(job)}")

    def wait_state(self, job: str, *states: JobState, after: int = 0) -> JobView:
        self.wait(
            job,
            lambda u: (
                isinstance(u, Event) and u.kind is EventKind.STATE and u.data["state"] in states
            ),
            after,
        )
        return self.client.job(job)

    def wait_end(self, job: str, after: int = 0) -> JobView:
        return self.wait_state(job, *[each for each in JobState if each.ended], after=after)

    def wait_note(self, job: str, text: str, *, epoch: int = 0) -> Event:
        found = self.wait(
            job,
            lambda u: (
                isinstance(u, Event)
                and u.kind is EventKind.NOTE
                and text in u.data["message"]
                and u.epoch >= epoch
            ),
        )
        assert isinstance(found, Event)
        return found

    def stuck(self, step: str) -> Path:
        """The file that keeps a step from being taken back wholly, as long as it is there."""
        return self.effects.with_name(f"stuck-{step}")

    def done(self) -> list[str]:
        """What was done, in order: names of effects."""
        if not self.effects.exists():
            return []
        return [line.split()[0] for line in self.effects.read_text().splitlines()]

    def worker_pid(self, job: str) -> int:
        return int(json.loads((self.state / "jobs" / f"{job}.lock").read_text())["pid"])

    def log(self, job: str) -> str:
        path = self.state / "jobs" / f"{job}.log"
        return path.read_text() if path.exists() else "(none)"

    def close(self) -> None:
        self.client.close()
        with Client.open(self.state) as client:
            client.stop(workers=True)


@contextmanager
def bench(directory: Path, run: str = RUN) -> Iterator[Bench]:
    """A bench that leaves no process behind; ``run`` is what its workers call."""
    one = Bench(directory, run)
    try:
        yield one
    finally:
        one.close()
