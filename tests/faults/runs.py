"""A job body for the engine's tests: does what the plan's label ``script`` lists, word by word.

Named to the runner as ``tests.faults.runs:run_job``. Every effect is a line in the file that the label
``effects`` names, so that a test sees from outside what was done, how often and by which process.
"""

import contextlib
import json
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from kensho_tui.cancel import CancelledError
from kensho_tui.disks.bounds import current
from kensho_tui.disks.pace import Pace
from kensho_tui.engine.context import RunContext
from kensho_tui.errors import KenshoError
from kensho_tui.machine import Property
from kensho_tui.migration.context import (
    CLEANUP,
    JobContext,
    Question,
    QuestionKind,
    Sample,
    StepState,
    Undo,
)
from kensho_tui.migration.plan import Plan


@dataclass
class Outcome:
    """As `kensho_tui.migration.run` gives it."""

    state: str
    error: KenshoError | None = None
    leftovers: tuple[dict[str, Any], ...] = ()
    result: Any = None


class Script:
    """One attempt at the script."""

    def __init__(self, context: JobContext, plan: Plan) -> None:
        self.context = context
        self.labels = plan.metadata.labels
        self.result: dict[str, Any] = {}

    def effect(self, text: str) -> None:
        """Do something that is seen from outside."""
        with Path(self.labels["effects"]).open("a") as file:
            file.write(f"{text} {os.getpid()}\n")

    def run(self) -> Outcome:
        for word, *arguments in json.loads(self.labels["script"]):
            getattr(self, word)(*arguments)
        return Outcome("succeeded", result=self.result)

    # ----------------------------------------------------------------------------- words
    def step(self, name: str) -> None:
        past = self.context.past(name)
        if past and past.state is StepState.DONE:
            self.result[name] = past.result
            return
        undo = Undo(name, "remove", {"what": name})
        self.context.begin(name, f"Make {name}", machine="db01", undo=undo)
        self.effect(name)
        self.context.done(name, {"by": os.getpid()})
        self.result[name] = {"by": os.getpid()}

    def gate(self, path: str) -> None:
        """Wait until the test writes into the named pipe."""
        self.context.note(f"at gate {path}")
        Path(path).read_bytes()

    def edge(self) -> None:
        """The edge of a chunk, where a pause is kept that has come to the worker by then."""
        assert isinstance(self.context, RunContext)
        self.context.look()
        self.context.pace.pass_gate(self.context.cancel)

    def limit(self) -> None:
        """Say how fast bytes may move, once there is a limit, and then wait until there is none."""
        pace, ticks = self.context.pace, threading.Event()
        while pace.limit is None:
            ticks.wait(0.01)
        self.context.note(f"limit {pace.limit}")
        while pace.limit is not None:
            self.context.cancel.check()
            ticks.wait(0.01)

    def bounds(self) -> None:
        """What this worker accepts of disks."""
        self.context.note(f"accepts {current().disk} bytes, {current().ratio} times")

    def move(self, megabytes: int) -> None:
        """Bytes that have moved: wait until they are due."""
        self.context.note("moving")
        self.context.pace.spend(megabytes << 20, self.context.cancel)

    def hold(self) -> None:
        """Wait to be cancelled."""
        self.context.note("holding")
        self.context.clock.sleep(120, self.context.cancel)

    def sample(self, position: int) -> None:
        self.context.sample(Sample("disk", "db01", "disk1", position, 100, rate=10.0))

    def samples_until_stopped(self) -> None:
        self.context.note("sampling")
        while True:
            self.context.sample(Sample("disk", "db01", "disk1", 1, 100))
            self.context.clock.sleep(0.01, self.context.cancel)

    def ask(self, name: str, *choices: str) -> None:
        self.result[name] = self.context.ask(
            Question(name, QuestionKind.CUTOVER, f"What about {name}?", tuple(choices))
        )

    def ask_for(self, seconds: float, name: str, default: str, *choices: str) -> None:
        """A question that its default answers after so long."""
        expires = self.context.clock.now() + timedelta(seconds=seconds)
        self.result[name] = self.context.ask(
            Question(name, QuestionKind.CUTOVER, f"What about {name}?", choices, default, expires)
        )

    def secret(self, name: str) -> None:
        """Shows only that the value is known: its length, and what stands in an error about it."""
        value = self.context.secrets.secret(name)
        self.result[name] = len(value)
        self.context.note(f"logged in with {value}")

    def rule(self, name: str, qualifiers: str) -> None:
        """Have the secret held against the rules of a property."""
        asked = Property(name, qualifiers=qualifiers, configurable=True, password=True)
        self.context.expect(name, asked)

    def spill(self, name: str) -> None:
        """A defect that has the value in its message and in its frames."""
        value = self.context.secrets.secret(name)
        raise ZeroDivisionError(f"cannot divide {value}")

    def kill_once(self, mark: str) -> None:
        """Die as by kill -9, the first time only."""
        if not Path(mark).exists():
            Path(mark).touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def kill(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def fail(self, step: str, what: str) -> None:
        self.context.begin(step, f"Try {step}")
        error = KenshoError(what, subject=step, remedy="Try something else")
        self.context.failed(step, error)
        raise error

    def fail_unless(self, mark: str) -> None:
        if not Path(mark).exists():
            self.fail("disk", "the storage is full")

    def defect(self) -> None:
        raise ZeroDivisionError("internal detail")


def run_job(context: JobContext, plan: Plan) -> Outcome:
    """Run the script; take everything back when cancelled or failed."""
    script = Script(context, plan)
    reopened = context.past(CLEANUP)
    if reopened:
        state, error = "cancelled", None
        if not reopened.resume.get("cancelled"):
            state, error = "failed", KenshoError(**reopened.resume)
    else:
        try:
            return script.run()
        except CancelledError:
            state, error = "cancelled", None
        except KenshoError as failure:
            if type(failure) is not KenshoError:
                raise
            state, error = "failed", failure
    for undo in context.undos():
        script.effect(f"undo-{undo.step}")
        stuck = Path(f"{Path(script.labels['effects']).parent}/stuck-{undo.step}").exists()
        context.undone(undo, [{"name": undo.step, "reason": "it is in use"}] if stuck else [])
    left = tuple(context.leftovers())
    return Outcome("needs_attention" if left else state, error, left)


class Dying:
    """A context whose process dies, as by kill -9, at one point of one step, the first time only.

    The plan's labels say which: ``die`` is ``beginning:STEP``, ``begun:STEP`` (journaled, no effect
    yet) or ``done:STEP`` (the effect is there, and not journaled), ``mark`` a file that says it has
    happened.
    """

    def __init__(self, context: JobContext, labels: dict[str, str]) -> None:
        self._context = context
        self._moment, _, self._step = labels["die"].partition(":")
        self._mark = Path(labels["mark"])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def _die(self, moment: str, step: str) -> None:
        if (moment, step) == (self._moment, self._step) and not self._mark.exists():
            self._mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def begin(self, step: str, *arguments: Any, **named: Any) -> None:
        self._die("beginning", step)
        self._context.begin(step, *arguments, **named)
        self._die("begun", step)

    def done(self, step: str, *arguments: Any) -> None:
        self._die("done", step)
        self._context.done(step, *arguments)


class Filling(Dying):
    """A context whose state disk fills up at one point of one step, the first time only."""

    def _die(self, moment: str, step: str) -> None:
        if (moment, step) == (self._moment, self._step) and not self._mark.exists():
            fill(self._mark)


def fill(path: Path) -> None:
    """Write into that file until nothing more fits beside it."""
    with path.open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))


class Holding:
    """A context whose disk goes no further than a chunk past its first resume point.

    The log then says `STANDS`, and the disk waits for the end of its process.
    """

    STANDS = "stands a chunk past its resume point"

    def __init__(self, context: JobContext) -> None:
        self._context = context
        self._step = ""
        self._passed = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    @property
    def pace(self) -> "HeldPace":
        return HeldPace(self._context.pace, self._edge)

    def resume_point(self, step: str, token: Any) -> None:
        self._context.resume_point(step, token)
        self._step = step

    def _edge(self) -> None:
        """One chunk more is written after the point."""
        if self._step and self._passed:
            self._context.note(self.STANDS, step=self._step)
            self._context.clock.sleep(120, self._context.cancel)
        self._passed += bool(self._step)


class HeldPace:
    """The real pace, and something to be done at every edge of a chunk."""

    def __init__(self, pace: Pace, edge: Callable[[], None]) -> None:
        self._pace = pace
        self._edge = edge

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pace, name)

    @property
    def held(self) -> bool:
        """So that whoever copies comes to the gate."""
        return True

    def pass_gate(self, *arguments: Any) -> None:
        self._pace.pass_gate(*arguments)
        self._edge()


def run_holding(context: JobContext, plan: Plan) -> Any:
    """The real job, whose first attempt stands still in the middle of a disk until it is killed."""
    from kensho_tui.migration.run import run_job as real

    assert isinstance(context, RunContext)
    run: Callable[[Any, Plan], Any] = real
    return run(Holding(context) if context.epoch == 1 else context, plan)


def run_filling(context: JobContext, plan: Plan) -> Any:
    """The real job, on a state disk that fills up where the plan's labels say."""
    from kensho_tui.migration.run import run_job as real

    run: Callable[[Any, Plan], Any] = real
    return run(Filling(context, plan.metadata.labels), plan)


def run_dying(context: JobContext, plan: Plan) -> Any:
    """The real job, in a process that dies where the plan's labels say."""
    from kensho_tui.migration.run import run_job as real

    run: Callable[[Any, Plan], Any] = real
    return run(Dying(context, plan.metadata.labels), plan)
