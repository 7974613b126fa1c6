"""What a running job needs of whoever runs it. Declared here, implemented by the engine."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from threading import Condition
from typing import Any, Protocol, TypeAlias

from kensho_tui.cancel import Cancel, CancelledError
from kensho_tui.connections import LoginSecrets
from kensho_tui.disks.pace import Pace
from kensho_tui.errors import KenshoError
from kensho_tui.machine import Property
from kensho_tui.migration.times import Window

Json: TypeAlias = Any

# The step that takes back what was made. Where it was ever begun a job does nothing else any more.
CLEANUP = "cleanup"
CLEANUP_TITLE = "Take back what was made"
# The step that puts the machines into service: once it is done they are all there.
COMMIT = "commit"

# What a step says that did not fail itself: the operator cancelled, or another disk failed.
STOPPED = "stopped, because"


def was_stopped(what: str) -> bool:
    """Whether a step whose error says that was only stopped."""
    return what == CancelledError().what or what.startswith(STOPPED)


class Clock(Protocol):
    """Time, so that hours can be tested in seconds."""

    def now(self) -> datetime:
        """Now, in UTC, timezone-aware."""
        ...

    def monotonic(self) -> float:
        """Seconds that only ever grow."""
        ...

    def sleep(self, seconds: float, cancel: Cancel) -> None:
        """Wait; ends early with `CancelledError` when cancelled."""
        ...

    def wait(self, changed: Condition, seconds: float | None) -> None:
        """Wait for the condition, whose lock is held, at most so long; None: however long it takes."""
        ...


class StepState(StrEnum):
    """State of one step of a job."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    UNDOING = "undoing"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What the journal knows of a step from an earlier attempt."""

    step: str
    state: StepState
    result: Json = None
    resume: Json = None


@dataclass(frozen=True, slots=True)
class Undo:
    """How an effect is taken back: an action of `kensho_tui.migration.undo`, as data.

    ``data`` is JSON and holds all that is needed in another process after a crash (connection
    name, key, token) and no secret.
    """

    step: str
    action: str
    data: Json


class QuestionKind(StrEnum):
    """What the job cannot decide by itself."""

    SECRET = "secret"  # noqa: S105
    CHANGED_PIN = "changed_pin"
    SOURCE_CHANGED = "source_changed"
    CUTOVER = "cutover"
    SPACE = "space"
    ENVIRONMENT = "environment"  # have the guests read what they were handed


@dataclass(frozen=True, slots=True)
class Question:
    """A question of a job. The answer is one of ``choices``, or free text where there are none.

    ``id`` is unique in the job and the same on every attempt. At ``expires`` the default answers;
    without a default the question waits for ever. The answer to a SECRET question is never stored:
    it is kept in memory under the name ``secret``, and every asking has an id of its own.

    ``asked``: the property whose rules an answer has to keep; None where there are none.
    """

    id: str
    kind: QuestionKind
    text: str
    choices: tuple[str, ...] = ()
    default: str | None = None
    expires: datetime | None = None
    secret: str = ""
    asked: Property | None = None

    @property
    def answers_itself(self) -> bool:
        """Whether the default answers at the deadline, so that the job goes on without a person."""
        return self.default is not None and self.expires is not None


@dataclass(frozen=True, slots=True)
class Sample:
    """Progress of one disk, at most twice a second; goes over the socket and is never stored.

    Attributes:
        position: bytes of the disk's capacity that are dealt with, empty ones included.
        total: the disk's capacity in bytes.
        read, written: bytes that passed the source and the target stream.
        empty: bytes of the capacity that were known or found to be zero and were not moved.
        rate: bytes of ``position`` per second, smoothed; eta_s: seconds left, None if unknown.
    """

    step: str
    machine: str
    disk: str
    position: int
    total: int
    read: int = 0
    written: int = 0
    empty: int = 0
    rate: float = 0.0
    eta_s: float | None = None


class FencedError(KenshoError):
    """Another worker has taken the job over: stop at once and touch nothing more."""


class JobContext(Protocol):
    """What `run_job` works with. Every method but `sample` writes the journal before it returns.

    All methods raise `FencedError` once another owner holds the job. Thread-safe.
    """

    @property
    def job(self) -> str:
        """Id of the job; part of every key: ``kensho:<job>:<step>``."""
        ...

    @property
    def cancel(self) -> Cancel: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def pace(self) -> Pace:
        """How fast the bytes of all disks may move together, and the gate that pauses the job."""
        ...

    @property
    def secrets(self) -> LoginSecrets: ...

    def past(self, step: str) -> StepRecord | None:
        """What an earlier attempt (or this one) journaled of the step; None: never begun."""
        ...

    def begin(
        self, step: str, title: str, *, machine: str = "", disk: str = "", undo: Undo | None = None
    ) -> None:
        """Journal that the step is about to have its effect, and how to take it back. Before it.

        ``title`` is what the operator reads: "db01 disk 1 to local-sr". Beginning again after a
        crash keeps the first undo.
        """
        ...

    def resume_point(self, step: str, token: Json) -> None:
        """From here the step could go on in another process."""
        ...

    def done(self, step: str, result: Json = None) -> None:
        """The step is done; ``result`` is what later steps and reports need, no secrets."""
        ...

    def failed(self, step: str, error: KenshoError) -> None:
        """The step failed. The first failure of a job is the one that is shown."""
        ...

    def note(self, message: str, *, level: str = "info", machine: str = "", step: str = "") -> None:
        """A line of the job's log. ``level``: info, warning, error."""
        ...

    def sample(self, sample: Sample) -> None:
        """Progress; cheap, never blocks, may be dropped."""
        ...

    def ask(self, question: Question) -> str:
        """Ask and wait; the job is ``waiting`` meanwhile. Raises `CancelledError`."""
        ...

    def expect(self, secret: str, asked: Property) -> None:
        """Have answers to the question for that secret refused that the property does not accept."""
        ...

    def until_open(self, window: Window) -> None:
        """Wait until the window is open; the job is ``paused`` meanwhile and says until when.

        Raises `CancelledError`.
        """
        ...

    def undos(self) -> Sequence[Undo]:
        """What is still to be taken back, latest first."""
        ...

    def undone(self, undo: Undo, leftovers: Json) -> None:
        """The undo has been done; ``leftovers`` (JSON list, maybe empty) is what it could not do."""
        ...

    def leftovers(self) -> list[dict[str, str]]:
        """What the undos could not remove, in any attempt since the job was last opened."""
        ...

    def settled(self, step: str) -> None:
        """The step's undo is not needed any more: its effect is meant to stay."""
        ...
