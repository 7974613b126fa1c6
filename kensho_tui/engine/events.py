"""What the engine tells: durable events, passing samples, and the views made of them.

Everything here is plain data that crosses the socket as JSON.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

from kensho_tui.migration.context import Question, Sample, StepState
from kensho_tui.text import one_line

Json: TypeAlias = Any


class JobState(StrEnum):
    """State of a job."""

    SCHEDULED = "scheduled"  # waits for its time
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"  # by the operator, or outside its window
    WAITING = "waiting"  # for an answer
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"  # and everything that was made is removed
    CANCELLED = "cancelled"  # likewise
    NEEDS_ATTENTION = "needs_attention"  # something is left over; the job says what

    @property
    def ended(self) -> bool:
        """Whether the job will do nothing more by itself."""
        return self in _ENDED


_ENDED = frozenset(
    {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED, JobState.NEEDS_ATTENTION}
)


class Reason(StrEnum):
    """Why a job is paused or scheduled."""

    OPERATOR = "operator"  # until he resumes it
    WINDOW = "window"  # until its window opens
    CUTOVER = "cutover"  # all bytes are there: until the window for the last step opens
    START = "start"  # until the time at which it is to begin


class EventKind(StrEnum):
    """What happened. ``data`` of each is described at `Event`."""

    SUBMITTED = "submitted"
    CLAIMED = "claimed"
    STATE = "state"
    STEP_BEGUN = "step_begun"
    RESUME_POINT = "resume_point"
    STEP_DONE = "step_done"
    STEP_FAILED = "step_failed"
    NOTE = "note"
    QUESTION = "question"
    ANSWER = "answer"
    UNDONE = "undone"
    SETTLED = "settled"
    LIMITED = "limited"
    REOPENED = "reopened"
    PRIORITIZED = "prioritized"


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the journal: ``(job, n)`` is its identity, n counts from 1 in each job.

    Attributes:
        epoch: of the lease under which it was written; 0 for the supervisor's own.
        at: ISO 8601 in UTC.
        data: by kind: SUBMITTED {plan, plan_digest, by}; CLAIMED {worker, attempt, why?}, which also
            makes a job run that is neither being cancelled nor paused by the operator; STATE
            {state, reason?: of `Reason`, by?, until?, and at the end error?, leftovers, result};
            STEP_BEGUN {title, machine, disk, undo?}; RESUME_POINT {token}; STEP_DONE {result};
            STEP_FAILED {error}; NOTE {level, message, machine}; QUESTION (fields of `Question`);
            ANSWER {question, value or null for a secret, by}; UNDONE {action, leftovers}; SETTLED
            {}; LIMITED {limit: bytes a second or null, by}; PRIORITIZED {priority, by}; REOPENED
            {by}: what is left over is tried once more, and nothing else. ``error`` is {what,
            subject, remedy}.
    """

    job: str
    n: int
    epoch: int
    kind: EventKind
    at: str
    step: str = ""
    data: dict[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StepView:
    """A step as the screens show it; ``sample`` is the latest progress, None when there is none.

    ``word``: what became of it where its state alone would mislead: "snapshot removed again" of a step
    that a good end undoes too, "stopped" of a disk that did not fail itself.
    """

    step: str
    title: str
    state: StepState
    machine: str = ""
    disk: str = ""
    began: str = ""
    ended: str = ""
    error: dict[str, str] | None = None
    result: Json = None
    sample: Sample | None = None
    word: str = ""


@dataclass(frozen=True, slots=True)
class JobSummary:
    """A job in one row. Times ISO 8601 in UTC; ``machines_done`` counts machines wholly moved."""

    id: str
    name: str
    state: JobState
    source: str
    target: str
    machines: int
    machines_done: int
    created: str
    updated: str
    step: str = ""  # title of what is running, or of what failed
    position: int = 0  # bytes over all disks, as in `Sample`
    total: int = 0
    rate: float = 0.0
    eta_s: float | None = None
    error: dict[str, str] | None = None
    questions: int = 0
    attempt: int = 1
    batch: str = ""  # jobs that were submitted together
    retry_of: str = ""  # the job this one does again
    priority: int = 0  # the highest first
    limit: int | None = None  # bytes a second that hold now, see `engine.limits`; None: none does
    limit_by: str = ""  # of `engine.limits.LimitBy`: whose it is
    reason: str = ""  # of `Reason`, where the job is paused or scheduled
    waits: str = ""  # for what, in words: "paused by anna", "waits for a slot of …"


@dataclass(frozen=True, slots=True)
class JobView:
    """A job in full."""

    summary: JobSummary
    plan: dict[str, Json]
    steps: tuple[StepView, ...] = ()
    questions: tuple[Question, ...] = ()
    log: tuple[Event, ...] = ()
    leftovers: tuple[dict[str, str], ...] = ()
    result: Json = None
    last: int = 0  # n of the last event


@dataclass(frozen=True, slots=True)
class RunnerStatus:
    """State of the supervisor.

    Attributes:
        full: the state disk is, and no worker is started; ``free`` and ``needed`` say in bytes what
            is free there, and what has to be for work to go on.
        settings_error: {what, subject: ``file:line``, remedy} of a ``runner.toml`` that is not
            right; what held before it was changed holds on.
    """

    running: bool
    pid: int | None = None
    since: str = ""
    version: str = ""
    workers: int = 0
    state_dir: str = ""
    full: bool = False
    free: int = 0
    needed: int = 0
    settings_error: dict[str, str] | None = None


# What `Client.watch` yields: an event of the journal, or (job, sample).
Update: TypeAlias = Event | tuple[str, Sample]


def leftover_text(leftover: Mapping[str, object]) -> str:
    """What is left, why, and what removes it, in one line."""
    ref = leftover.get("ref")
    named = " ".join(str(leftover[each]) for each in ("kind", "id") if leftover.get(each))
    name = leftover.get("name") or named or "something"
    if isinstance(ref, Mapping):
        name = f"{ref.get('kind', '')} {ref.get('name') or ref.get('id', '')}"
    reason, action = (str(leftover.get(each) or "").rstrip(". ") for each in ("reason", "action"))
    sentences = (f"{name}: {reason}" if reason else str(name), action)
    return one_line(" ".join(f"{each}." for each in sentences if each))


def why_in_words(reason: str, by: str = "", until: str = "") -> str:
    """What a job that is paused or scheduled waits for; "" where it is neither."""
    match reason:
        case Reason.OPERATOR:
            return f"paused by {by}" if by else "paused"
        case Reason.WINDOW:
            return f"waits until its window opens at {until}"
        case Reason.CUTOVER:
            return f"all is there; waits until the window for the last step opens at {until}"
        case Reason.START:
            return f"begins at {until}"
        case _:
            return ""
