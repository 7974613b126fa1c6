"""What a running job is given: `kensho_tui.migration.context.JobContext` over journal and link."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from kensho_tui.cancel import Cancel, CancelledError
from kensho_tui.disks.pace import Pace
from kensho_tui.engine import wire
from kensho_tui.engine.ballast import Ballast
from kensho_tui.engine.environment import SystemClock
from kensho_tui.engine.events import EventKind, JobState, Json, Reason
from kensho_tui.engine.journal import Journal, JournalError, Lease, state_disk_full
from kensho_tui.engine.link import Link
from kensho_tui.engine.places import Places
from kensho_tui.engine.secrets import Secrets, short_name, what_to_ask
from kensho_tui.engine.steering import Steering
from kensho_tui.errors import KenshoError
from kensho_tui.machine import Property
from kensho_tui.migration.context import (
    CLEANUP,
    Clock,
    FencedError,
    Question,
    QuestionKind,
    Sample,
    StepRecord,
    StepState,
    Undo,
)
from kensho_tui.migration.times import Window
from kensho_tui.text import one_line, plain

if TYPE_CHECKING:
    from kensho_tui.migration.plan import RunPlan

# So long a look at the lease holds: nobody takes a job over sooner than that.
_SURE_S = 0.1
# Shorter values would be found inside ordinary words.
_SHORTEST_HIDDEN = 5


class StoppedError(FencedError):
    """This worker was told to stop: end at once, touch nothing more; another one will go on."""


class UnwrittenError(FencedError):
    """The journal cannot be written or read: end at once, touch nothing more; another one will go on.

    No failure of the job: taking back what is not known to be unwanted would be one.
    """


class _JobClock(SystemClock):
    """The machine's time; who sleeps by it wakes when the job is to end."""

    def __init__(self, sleep: Callable[[float, Cancel], None]) -> None:
        self._sleep = sleep

    def sleep(self, seconds: float, cancel: Cancel) -> None:
        """Wait; ends early with `CancelledError`, or with `FencedError` when the worker stops."""
        self._sleep(seconds, cancel)


class RunContext:
    """The context of one attempt at one job. Thread-safe.

    After `stop`, once another worker holds the job, or on a full state disk, every method that
    leads to a new effect raises; what has happened already can still be journaled after `stop`, and
    on a full disk also how it is taken back.
    """

    def __init__(
        self,
        journal: Journal,
        lease: Lease,
        places: Places,
        *,
        secrets: Mapping[str, str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._journal = journal
        self._lease = lease
        self._cancel = Cancel(self._guard)
        self._sure_until = 0.0
        self._clock = clock or _JobClock(self._sleep)
        self._secrets = Secrets(secrets, self._ask_secret, self._ask_secret, self._warn)
        self._changed = threading.Condition()
        self._stopped = False
        self._unwritten = False
        self._fenced = threading.Event()
        self._pace = Pace(clock=self._clock.monotonic, check=self._point)
        self._steering = Steering(journal, lease, self._pace, self._clock)
        self._impatient = False
        self._ballast = Ballast(places)
        self._full = threading.Event()
        self._backing_out = False
        self._answers: dict[str, str] = {}
        self._expected: dict[str, Property] = {}
        self.link = Link(places, self._hello, self._receive)

    # ------------------------------------------------------------------- what the worker does to it
    def _hello(self) -> dict[str, Json]:
        """Its secrets go with it: a supervisor that was started anew has none for the next worker."""
        return {
            "job": self.job,
            "epoch": self._lease.epoch,
            "secrets": self._secrets.known(),
        }

    def _receive(self, message: dict[str, Json]) -> None:
        for name, value in message.get("secrets", {}).items():
            self._secrets.put(name, value)
        with self._changed:
            if "secret" in message:
                self._answers[message["secret"]] = message["value"]
            if message.get("give_up"):
                self._impatient = True
            self._changed.notify_all()
        if "share" in message:
            self._steering.share(message["share"])
        if message.get("look") or "share" in message:
            with contextlib.suppress(JournalError):  # the worker looks again soon
                self.look()
        if message.get("cancel"):
            self._cancel.cancel()

    def look(self) -> None:
        """Take notice of what the journal says of the job by now, and of the hour.

        Raises `JournalError`.
        """
        try:
            self._steering.look()
        except FencedError:
            self.fence()

    def follow(self, run: "RunPlan") -> None:
        """Heed the plan's window and limits. Raises `JournalError`."""
        self._steering.follow(run)
        with self._kept():
            self.look()

    def stop(self) -> None:
        """Have the job end at its next point, as it is."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def fence(self) -> None:
        """Note that another worker has the job."""
        self._fenced.set()
        with self._changed:
            self._changed.notify_all()

    def disk_is_full(self) -> bool:
        """Note that the state disk is full, and make what room there is for taking back.

        From now on nothing new is begun; see `Journal.on_full`.
        """
        self._full.set()
        self._ballast.release()
        return True

    def lose(self) -> None:
        """Note that the journal cannot be written or read."""
        with self._changed:
            self._unwritten = True
            self._changed.notify_all()

    @property
    def epoch(self) -> int:
        """Of the lease this attempt writes under."""
        return self._lease.epoch

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped

    @property
    def fenced(self) -> bool:
        """Whether another worker has the job."""
        return self._fenced.is_set()

    @property
    def unwritten(self) -> bool:
        """Whether the journal could not be written or read."""
        return self._unwritten

    @contextmanager
    def _kept(self) -> Iterator[None]:
        """Around every use of the journal: where it fails, nothing more may happen."""
        try:
            yield
        except FencedError:
            raise
        except JournalError as error:
            self.lose()
            raise UnwrittenError(error.what, subject=error.subject, remedy=error.remedy) from error

    def clean(self, value: Json) -> Json:
        """The value with every known secret taken out of its texts; the last resort, not the rule.

        For what people read. What machines read back (tokens, undo data, results) must stay as it
        is, and by contract holds no secret.
        """
        if isinstance(value, str):
            for secret in self._secrets.values():
                if len(secret) >= _SHORTEST_HIDDEN and secret in value:
                    value = value.replace(secret, "•••")
            return value
        if isinstance(value, Mapping):
            return {self.clean(key): self.clean(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.clean(each) for each in value]
        return value

    # ------------------------------------------------------------------------------- JobContext
    @property
    def job(self) -> str:
        """Id of the job."""
        return self._lease.job

    @property
    def cancel(self) -> Cancel:
        """Set when the operator cancels."""
        return self._cancel

    @property
    def clock(self) -> Clock:
        """The machine's time."""
        return self._clock

    @property
    def pace(self) -> Pace:
        """How fast the bytes of all disks may move, and whether the job is paused."""
        return self._pace

    @property
    def secrets(self) -> Secrets:
        """What was handed over with the job, and the way to ask for more."""
        return self._secrets

    def until_open(self, window: Window) -> None:
        """Wait, paused for that reason, until the window is open."""
        self._steering.until_open(window)
        try:
            with self._kept():
                self.look()
            self._pace.pass_gate(self._cancel)
        finally:
            self._steering.until_open(None)
        self._point()

    def _point(self) -> None:
        """Where a job that is to stop ends."""
        if self.fenced:
            raise FencedError("another worker has taken the job over", subject=self.job)
        if self._unwritten:
            raise UnwrittenError("the journal cannot be used", subject=self.job)
        if self._stopped:
            raise StoppedError("the worker is stopping", subject=self.job)

    def _guard(self) -> None:
        """Whether the job is still this worker's, asked right before a platform is touched.

        A process that was stopped for a while (by a signal, with its machine) does not know what
        has happened meanwhile, and the next thing it did would be done to somebody else's job.
        """
        if self.fenced or self._unwritten:
            self._point()
        now = self._clock.monotonic()
        if now < self._sure_until:
            return
        rows = self._rows("SELECT epoch FROM lease WHERE job = ?", (self.job,))
        if not rows or rows[0][0] != self._lease.epoch:
            self.fence()
            self._point()
        self._sure_until = now + _SURE_S

    def _new_work(self) -> None:
        """Where a job ends that could not write down what it does next."""
        self._point()
        if self._full.is_set() and not self._backing_out:
            raise state_disk_full(self._journal.path.parent)

    def _append(self, kind: EventKind, step: str = "", **data: Json) -> None:
        if self.fenced or self._unwritten:
            self._point()
        try:
            with self._kept():
                self._journal.append(self._lease, kind, step, data)
        except UnwrittenError:
            raise
        except FencedError:
            self.fence()
            raise
        self.link.nudge()

    def _rows(self, sql: str, values: Sequence[Json]) -> list[tuple[Json, ...]]:
        with self._kept():
            return self._journal.rows(sql, values)

    def past(self, step: str) -> StepRecord | None:
        """What was journaled of the step; None: never begun."""
        self._point()
        rows = self._rows(
            "SELECT state, result, resume FROM step WHERE job = ? AND step = ?", (self.job, step)
        )
        if not rows:
            return None
        state, result, resume = rows[0]
        return StepRecord(step, StepState(state), json.loads(result), json.loads(resume))

    def begin(
        self, step: str, title: str, *, machine: str = "", disk: str = "", undo: Undo | None = None
    ) -> None:
        """Journal that the step is about to have its effect, and how to take it back."""
        if step == CLEANUP:
            self._backing_out = True
        self._new_work()
        data: dict[str, Json] = {
            "title": self.clean(one_line(title)),
            "machine": machine,
            "disk": disk,
        }
        if undo:
            data["undo"] = {"action": undo.action, "data": undo.data}
        self._append(EventKind.STEP_BEGUN, step, **data)
        self._new_work()

    def resume_point(self, step: str, token: Json) -> None:
        """From here the step could go on in another process."""
        self._append(EventKind.RESUME_POINT, step, token=token)
        self._new_work()

    def done(self, step: str, result: Json = None) -> None:
        """The step is done."""
        self._append(EventKind.STEP_DONE, step, result=result)

    def failed(self, step: str, error: KenshoError) -> None:
        """The step failed."""
        self._append(EventKind.STEP_FAILED, step, error=self.clean(wire.error_to(error)))

    def note(self, message: str, *, level: str = "info", machine: str = "", step: str = "") -> None:
        """A line of the job's log."""
        self._append(
            EventKind.NOTE,
            step,
            message=self.clean(plain(message)),
            level=level,
            machine=one_line(machine),
        )

    def _warn(self, message: str) -> None:
        self.note(message, level="warning")

    def sample(self, sample: Sample) -> None:
        """Progress, dropped where nobody listens."""
        self._new_work()
        self.link.sample(sample)

    def undos(self) -> Sequence[Undo]:
        """What is still to be taken back, latest first."""
        self._point()
        rows = self._rows(
            "SELECT step, action, data FROM undo WHERE job = ? AND state = 'open' ORDER BY n DESC",
            (self.job,),
        )
        return [Undo(step, action, json.loads(data)) for step, action, data in rows]

    def undone(self, undo: Undo, leftovers: Json) -> None:
        """The undo has been done."""
        left = self.clean(list(leftovers))
        self._append(EventKind.UNDONE, undo.step, action=undo.action, leftovers=left)

    def leftovers(self) -> list[dict[str, str]]:
        """What the undos could not remove, in any attempt since the job was last opened."""
        self._point()
        rows = self._rows("SELECT leftovers FROM job WHERE id = ?", (self.job,))
        left: list[dict[str, str]] = json.loads(rows[0][0])
        return left

    def settled(self, step: str) -> None:
        """The step's effect is meant to stay."""
        self._append(EventKind.SETTLED, step)

    # --------------------------------------------------------------------------------- questions
    def ask(self, question: Question) -> str:
        """Ask and wait. An answer from an earlier attempt holds, a secret is asked for anew.

        After cancellation only a secret is still asked for, and only while something is to be
        taken back; cancelling once more ends that wait too.
        """
        self._point()
        with self._kept():
            return self._ask(question)

    def _ask(self, question: Question) -> str:
        secret = question.kind is QuestionKind.SECRET
        if not secret:
            found = self._journal.answer_to(self.job, question.id)
            if found and found[0] == "answered" and found[1] is not None:
                return found[1]
        heeds = not (secret and self._cancel.cancelled and self.undos())
        if heeds:
            self._cancel.check()
        if not self._fencing_ask(question):
            # It stands open since an earlier attempt; its time runs since then.
            found = self._journal.answer_to(self.job, question.id)
            if found:
                question = wire.question_from(found[2])
        self.link.nudge()
        with self._cancel.closing(self._wake), self._changed:
            while True:
                self._point()
                if (value := self._answer_of(question, secret)) is not None:
                    break
                if (heeds and self._cancel.cancelled) or self._impatient:
                    raise CancelledError
                self._clock.wait(self._changed, self._seconds_left(question))
        self.link.nudge()
        return value

    def _fencing_ask(self, question: Question) -> bool:
        try:
            # The text alone: what is no text is read back, and would not be found again.
            data = {**wire.question_to(question), "text": self.clean(question.text)}
            return self._journal.ask(self._lease, data)
        except FencedError:
            self.fence()
            raise

    def _answer_of(self, question: Question, secret: bool) -> str | None:
        """The answer, where there is one by now; a secret's arrival is journaled, never its value."""
        if secret:
            value = self._answers.pop(question.id, None)
            if value is not None:
                self._journal.answer(self.job, question.id, None, by="", lease=self._lease)
            return value
        found = self._journal.answer_to(self.job, question.id)
        if found and found[0] == "answered":
            return found[1]
        if question.default is not None and self._seconds_left(question) == 0.0:
            if self._journal.answer(
                self.job, question.id, question.default, by="default", lease=self._lease
            ):
                return question.default
            found = self._journal.answer_to(self.job, question.id)
            return found[1] if found else None
        return None

    def _seconds_left(self, question: Question) -> float | None:
        """Until the default answers; None where it never does."""
        if question.expires is None or question.default is None:
            return None
        left: float = (question.expires - self._now()).total_seconds()
        return max(0.0, left)

    def _now(self) -> datetime:
        return self._clock.now()

    def _sleep(self, seconds: float, cancel: Cancel) -> None:
        end = time.monotonic() + seconds
        with cancel.closing(self._wake), self._changed:
            while not cancel.cancelled and (left := end - time.monotonic()) > 0:
                self._point()
                self._changed.wait(left)
        cancel.check()
        self._point()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _ask_secret(self, name: str, refused: str = "") -> str:
        """Ask for a secret; ``refused``: why the last one was, where it was."""
        text = what_to_ask(name)
        if refused:
            text += f" (the last one was refused: {refused.rstrip('.')})"
        elif changed := self._secrets.changed(name):
            text += f" ({changed})"
        first, times = f"secret:{short_name(name)}", 1
        id = first
        # Whoever answers an earlier asking late must not answer this one.
        with self._kept():
            while found := self._journal.answer_to(self.job, id):
                if found[0] == "open":
                    if found[2].get("secret") == name:
                        break
                    # Asked of the connection as it was: that answer would be sent elsewhere.
                    self._journal.answer(self.job, id, None, by="", lease=self._lease)
                times += 1
                id = f"{first}:{times}"
        asked = self._expected.get(name)
        return self.ask(Question(id, QuestionKind.SECRET, text, secret=name, asked=asked))

    def expect(self, secret: str, asked: Property) -> None:
        """Have answers to the question for that secret held against the property."""
        # Of the texts and the default nothing is needed, and the journal keeps what is asked.
        default = "" if asked.default == "" else None
        self._expected[secret] = replace(
            asked, default=default, label="", description="", category="", product=""
        )

    # ---------------------------------------------------------------------------------- the end
    def end(
        self,
        state: JobState,
        error: dict[str, str] | None,
        leftovers: Sequence[Mapping[str, Json]],
        result: Json,
    ) -> None:
        """Journal how the job ended; nothing is journaled of it after that."""
        data: dict[str, Json] = {"leftovers": self.clean(leftovers), "result": result}
        if error:
            data["error"] = self.clean(error)
        with self._kept():
            self._journal.set_state(self.job, state, lease=self._lease, **data)
        self.link.nudge()

    def requeue(self) -> None:
        """Journal that this worker stopped in good order and the job waits for another."""
        rows = self._rows("SELECT state, reason FROM job WHERE id = ?", (self.job,))
        if rows and rows[0] in {(JobState.CANCELLING, ""), (JobState.PAUSED, Reason.OPERATOR)}:
            return  # the next worker must know
        with self._kept():
            self._journal.set_state(self.job, JobState.QUEUED, lease=self._lease)
        self.link.nudge()
