"""A `JobContext` in memory whose journal is JSON text, so that a job can be continued from it."""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from kensho_tui.cancel import Cancel
from kensho_tui.connections import Connection
from kensho_tui.disks.pace import Pace
from kensho_tui.errors import KenshoError
from kensho_tui.machine import Property
from kensho_tui.migration.context import Json, Question, Sample, StepRecord, StepState, Undo
from kensho_tui.migration.times import Window


class KilledError(BaseException):
    """Stands for the process's end: nothing of the job runs after it."""


class MemoryClock:
    """Time that passes only where somebody sleeps."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 1, tzinfo=UTC)
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()

    def sleep(self, seconds: float, cancel: Cancel) -> None:
        cancel.check()
        self.slept.append(seconds)
        self.time += timedelta(seconds=seconds)

    def wait(self, changed: threading.Condition, seconds: float | None) -> None:
        changed.wait(seconds)


class MemorySecrets:
    """Secrets by name: ``connection:<name>`` and those of the plan.

    ``more``: what a person says, one after the other, when a password was refused.
    """

    def __init__(self, known: Mapping[str, str]) -> None:
        self.known = dict(known)
        self.more: list[str] = []

    def password(self, connection: Connection) -> str:
        return self.known[f"connection:{connection.name}"]

    def secret(self, name: str) -> str:
        return self.known[name]

    def refused(self, connection: Connection, why: str) -> bool:
        if not self.more:
            return False
        self.known[f"connection:{connection.name}"] = self.more.pop(0)
        return True


class MemoryContext:
    """One attempt at a job. A second one made with the same ``journal`` goes on with it.

    Attributes:
        journal: lines of JSON, as they would be written.
        on: called with (kind, step) before a line is written; raising `KilledError` there is a
            crash: whatever would follow is refused.
        answers: answers by kind of question.
    """

    def __init__(
        self,
        secrets: Mapping[str, str],
        journal: list[str] | None = None,
        answers: Mapping[str, str] | None = None,
    ) -> None:
        self.journal = [] if journal is None else journal
        self.job = "shop-1"
        self.cancel = Cancel()
        self.clock = MemoryClock()
        self.pace = Pace()
        self.secrets = MemorySecrets(secrets)
        self.answers = dict(answers or {})
        self.asked: list[Question] = []
        self.expected: dict[str, Property] = {}
        self.samples: list[Sample] = []
        self.on: Callable[[str, str], None] = lambda kind, step: None
        self._dead = False
        self._lock = threading.RLock()

    def events(self, kind: str) -> list[dict[str, Any]]:
        """The lines of that kind."""
        return [each for each in map(json.loads, self.journal) if each["kind"] == kind]

    def steps(self, kind: str = "done") -> list[str]:
        """Steps of the lines of that kind, in order."""
        return [each["step"] for each in self.events(kind)]

    def steps_errors(self) -> list[str]:
        """What the steps failed with."""
        return [each["what"] for each in self.events("failed")]

    def notes(self) -> str:
        """All notes, as one text."""
        return "\n".join(each["message"] for each in self.events("note"))

    def _write(self, kind: str, step: str = "", **data: Json) -> None:
        with self._lock:
            if self._dead:
                raise KilledError
            try:
                self.on(kind, step)
            except KilledError:
                self._dead = True
                raise
            self.journal.append(json.dumps({"kind": kind, "step": step, **data}))

    def past(self, step: str) -> StepRecord | None:
        states = {
            "begin": StepState.RUNNING,
            "done": StepState.DONE,
            "failed": StepState.FAILED,
            "undone": StepState.UNDONE,
        }
        record: StepRecord | None = None
        for line in map(json.loads, list(self.journal)):
            if line["step"] != step:
                continue
            before = record or StepRecord(step, StepState.RUNNING)
            if line["kind"] in states:
                result = line.get("result", before.result)
                record = StepRecord(step, states[line["kind"]], result, before.resume)
            elif line["kind"] == "resume":
                record = StepRecord(step, before.state, before.result, line["token"])
        return record

    def begin(
        self, step: str, title: str, *, machine: str = "", disk: str = "", undo: Undo | None = None
    ) -> None:
        data = None if undo is None else {"action": undo.action, "data": undo.data}
        self._write("begin", step, title=title, machine=machine, disk=disk, undo=data)

    def resume_point(self, step: str, token: Json) -> None:
        self._write("resume", step, token=token)

    def done(self, step: str, result: Json = None) -> None:
        self._write("done", step, result=result)

    def failed(self, step: str, error: KenshoError) -> None:
        self._write("failed", step, error=str(error), what=error.what)

    def note(self, message: str, *, level: str = "info", machine: str = "", step: str = "") -> None:
        self._write("note", step, message=message, level=level)

    def sample(self, sample: Sample) -> None:
        self.samples.append(sample)
        self.on("sample", sample.step)

    def ask(self, question: Question) -> str:
        self.cancel.check()
        self._write("question", text=question.text, id=question.id)
        self.asked.append(question)
        answer = self.answers.get(question.kind, question.default)
        assert answer is not None
        return answer

    def expect(self, secret: str, asked: Property) -> None:
        self.expected[secret] = asked

    def until_open(self, window: Window) -> None:
        self.cancel.check()
        opens = window.opens(self.clock.time)
        self._write("until", window=str(window), until=opens.isoformat())
        self.clock.time = opens

    def undos(self) -> Sequence[Undo]:
        found: dict[str, Undo] = {}
        for line in map(json.loads, list(self.journal)):
            if line["kind"] == "begin" and line["undo"]:
                found.setdefault(line["step"], Undo(line["step"], **line["undo"]))
            elif line["kind"] in ("undone", "settled"):
                found.pop(line["step"], None)
        return list(reversed(found.values()))

    def undone(self, undo: Undo, leftovers: Json) -> None:
        self._write("undone", undo.step, leftovers=leftovers)

    def leftovers(self) -> list[dict[str, str]]:
        return [
            left
            for line in self._since_opened()
            if line["kind"] == "undone"
            for left in line["leftovers"]
        ]

    def reopen(self) -> None:
        """As the journal does it: what left something is open again, and cleaned up next."""
        left = [
            line for line in self._since_opened() if line["kind"] == "undone" and line["leftovers"]
        ]
        begun = {line["step"]: line for line in self.events("begin")}
        self._write("reopened")
        for line in reversed(left):
            self._write(**begun[line["step"]])
        self._write("begin", "cleanup", title="", undo=None)

    def _since_opened(self) -> list[dict[str, Any]]:
        lines = [json.loads(each) for each in self.journal]
        opened = [n for n, line in enumerate(lines) if line["kind"] == "reopened"]
        return lines[opened[-1] :] if opened else lines

    def settled(self, step: str) -> None:
        self._write("settled", step)
