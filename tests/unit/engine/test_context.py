"""What a running job is given: records, fencing, stopping, questions and secrets."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from kensho_tui.cancel import CancelledError
from kensho_tui.connections import Connection, SecretRef
from kensho_tui.engine import wire
from kensho_tui.engine.context import RunContext, StoppedError, UnwrittenError
from kensho_tui.engine.events import EventKind, JobState
from kensho_tui.engine.journal import Journal, JournalError
from kensho_tui.engine.places import Places
from kensho_tui.engine.secrets import connection_secret
from kensho_tui.errors import KenshoError
from kensho_tui.migration.context import (
    FencedError,
    Question,
    QuestionKind,
    Sample,
    StepRecord,
    StepState,
    Undo,
)

from .given import PLAN, FixedClock, context, journal

SAMPLE = Sample("a", "db01", "disk1", 1, 2)


def test_what_an_attempt_journaled_the_next_one_knows(tmp_path: Path) -> None:
    with journal(tmp_path) as one:
        job = one.submit(PLAN)
        first = context(one, job)
        assert first.past("a") is None
        first.begin("a", "Make a", undo=Undo("a", "remove", {"key": "k"}))
        first.resume_point("a", {"offset": 7})
        first.begin("b", "Make b", undo=Undo("b", "remove", 2))
        first.done("b", {"made": "b"})
        second = context(one, job)
        assert second.past("a") == StepRecord("a", StepState.RUNNING, None, {"offset": 7})
        assert second.past("b") == StepRecord("b", StepState.DONE, {"made": "b"}, None)
        assert second.undos() == [Undo("b", "remove", 2), Undo("a", "remove", {"key": "k"})]
        second.undone(Undo("b", "remove", 2), [{"name": "vdi"}])
        second.settled("a")
        assert second.undos() == []


def test_every_method_of_a_fenced_context_raises(tmp_path: Path) -> None:
    with journal(tmp_path) as one:
        job = one.submit(PLAN)
        old = context(one, job)
        old.begin("a", "Make a", undo=Undo("a", "remove", 1))
        new = context(one, job)
        before = one.events(job)
        calls: list[Callable[[], object]] = [
            lambda: old.done("a"),
            lambda: old.past("a"),
            lambda: old.begin("b", "Make b"),
            lambda: old.resume_point("a", 1),
            lambda: old.failed("a", KenshoError("no")),
            lambda: old.note("hello"),
            lambda: old.sample(SAMPLE),
            lambda: old.ask(Question("q", QuestionKind.SPACE, "?")),
            lambda: old.undos(),
            lambda: old.undone(Undo("a", "remove", 1), []),
            lambda: old.settled("a"),
        ]
        for call in calls:
            with pytest.raises(FencedError):
                call()
        assert one.events(job) == before
        new.done("a")


def test_a_stopped_context_records_what_happened_and_lets_nothing_new_begin(
    tmp_path: Path,
) -> None:
    with journal(tmp_path) as one:
        job = one.submit(PLAN)
        only = context(one, job)
        only.begin("a", "Make a")
        only.stop()
        only.done("a")
        with pytest.raises(StoppedError):
            only.begin("b", "Make b")
        with pytest.raises(StoppedError):
            only.sample(SAMPLE)
        only.requeue()
        assert one.rows("SELECT state, crashes FROM job") == [("queued", 0)]
        assert [each.kind for each in one.events(job)][-2:] == [
            EventKind.STEP_DONE,
            EventKind.STATE,
        ]


def test_the_first_failure_of_a_job_is_the_one_that_is_shown(tmp_path: Path) -> None:
    with journal(tmp_path) as one:
        job = one.submit(PLAN)
        only = context(one, job)
        for step in ("a", "b"):
            only.begin(step, step)
            only.failed(step, KenshoError(f"{step} broke", subject=step, remedy="mend it"))
        ((error,),) = one.rows("SELECT error FROM job")
        assert error == '{"remedy":"mend it","subject":"a","what":"a broke"}'


class Asked:
    """A question put in a thread of its own, and what came of it."""

    def __init__(self, one: RunContext, question: Question) -> None:
        self.answer: str | None = None
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._ask, args=(one, question))
        self._thread.start()

    def _ask(self, one: RunContext, question: Question) -> None:
        try:
            self.answer = one.ask(question)
        except KenshoError as error:
            self.error = error

    def ended(self) -> "Asked":
        self._thread.join(30)
        assert not self._thread.is_alive()
        return self


class Ended:
    """Something that runs in a thread of its own until it has ended."""

    def __init__(self, run: Callable[[], object]) -> None:
        self._thread = threading.Thread(target=run)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait until that holds, and no longer than a test may."""
        ticks = threading.Event()
        for _ in range(3000):
            if holds():
                return
            ticks.wait(0.01)
        raise AssertionError("it never held")

    def ended(self) -> None:
        self._thread.join(30)
        assert not self._thread.is_alive()


def until_open(one: Journal, job: str, question: str) -> None:
    """Until the question stands in the journal."""
    with Journal(one.path) as reader:
        ticks = threading.Event()
        for _ in range(3000):
            found = reader.answer_to(job, question)
            if found and found[0] == "open":
                return
            ticks.wait(0.01)
    raise AssertionError("the question was never asked")


QUESTION = Question("cut", QuestionKind.CUTOVER, "Now?", ("yes", "no"))
SECRET = Question("secret:connection:xen1", QuestionKind.SECRET, "Password?")


def test_an_answer_holds_in_later_attempts(tmp_path: Path) -> None:
    with journal(tmp_path) as one:
        job = one.submit(PLAN)
        first = context(one, job)
        asked = Asked(first, QUESTION)
        until_open(one, job, "cut")
        assert one.answer(job, "cut", "yes", by="me")
        first._receive({"answered": "cut"})
        assert asked.ended().answer == "yes"
        assert context(one, job).ask(QUESTION) == "yes"
        kinds = [each.kind for each in one.events(job)]
        assert kinds.count(EventKind.QUESTION) == 1


def test_a_secret_is_journaled_as_null_and_asked_for_anew_in_the_next_attempt(
    tmp_path: Path,
) -> None:
    with journal(tmp_path) as one:
        job = one.submit(PLAN)
        for value in ("canary-1", "canary-2"):
            attempt = context(one, job)
            asked = Asked(attempt, SECRET)
            until_open(one, job, SECRET.id)
            attempt._receive({"secret": SECRET.id, "value": value})
            assert asked.ended().answer == value
        answers = [each for each in one.events(job) if each.kind is EventKind.ANSWER]
        assert [each.data["value"] for each in answers] == [None, None]
        assert one.rows("SELECT 1 FROM event WHERE data LIKE '%canary%'") == []


def test_every_asking_for_a_refused_secret_has_an_id_of_its_own_and_says_so(
    tmp_path: Path,
) -> None:
    connection = Connection("xen1", "xenserver", "h", secret=SecretRef.parse("prompt"))
    with journal(tmp_path) as one:
        job = one.submit(PLAN)
        # A value that stands in the id: what is read back is not made unreadable.
        only = context(one, job, secrets={"connection:other": "secret"})
        for id, value in ((SECRET.id, "canary-1"), (f"{SECRET.id}:2", "canary-2")):
            got: list[str] = []
            thread = threading.Thread(
                target=lambda got=got: got.append(only.secrets.password(connection))
            )
            thread.start()
            until_open(one, job, id)
            only._receive({"secret": id, "value": value})
            thread.join(10)
            assert got == [value]
            assert only.secrets.refused(connection, "no such user")
        asked = [each.data for each in one.events(job) if each.kind is EventKind.QUESTION]
        assert [each["secret"] for each in asked] == [connection_secret(connection)] * 2
        assert "the last one was refused: no such user" in asked[1]["text"]


def test_a_question_of_the_connection_as_it_was_is_not_answered_for_what_it_has_become(
    tmp_path: Path,
) -> None:
    before = Connection("xen1", "xenserver", "h", secret=SecretRef.parse("prompt"))
    after = replace(before, address="elsewhere")
    with journal(tmp_path) as one:
        job = one.submit(PLAN)

        def asked_by(attempt: RunContext, connection: Connection, id: str, value: str) -> str:
            got: list[str] = []
            thread = threading.Thread(
                target=lambda: got.append(attempt.secrets.password(connection))
            )
            thread.start()
            until_open(one, job, id)
            attempt._receive({"secret": id, "value": value})
            thread.join(10)
            return got[0]

        # The question of an attempt that died with it open.
        left = Question(SECRET.id, QuestionKind.SECRET, "?", secret=connection_secret(before))
        dead = context(one, job)
        assert one.ask(dead._lease, wire.question_to(left))
        second = context(one, job, secrets={connection_secret(before): "canary-1"})
        assert asked_by(second, after, f"{SECRET.id}:2", "canary-2") == "canary-2"
        found = one.answer_to(job, SECRET.id)
        assert found is not None
        assert found[0] == "answered", "nobody can answer it any more"
        assert second.secrets.password(before) == "canary-1"
        asked = [each.data for each in one.events(job) if each.kind is EventKind.QUESTION]
        assert "address was h, is elsewhere" in asked[1]["text"]
        (note,) = [each.data for each in one.events(job) if each.kind is EventKind.NOTE]
        assert "address was h, is elsewhere; that one is not sent there" in note["message"]
        # The next attempt is handed both by the supervisor, as its worker tells them at hello.
        third = context(one, job, secrets=second._hello()["secrets"])
        assert third.secrets.password(after) == "canary-2"


def test_cancelling_ends_the_wait_for_an_answer(tmp_path: Path) -> None:
    with journal(tmp_path) as one:
        job = one.submit(PLAN)
        only = context(one, job)
        asked = Asked(only, QUESTION)
        until_open(one, job, "cut")
        only.cancel.cancel()
        assert isinstance(asked.ended().error, CancelledError)


def test_after_cancelling_a_secret_is_asked_for_only_while_something_is_to_be_taken_back(
    tmp_path: Path,
) -> None:
    with journal(tmp_path) as one:
        job = one.submit(PLAN)
        only = context(one, job)
        only.cancel.cancel()
        with pytest.raises(CancelledError):
            only.ask(SECRET)
        only.begin("a", "Make a", undo=Undo("a", "remove", 1))
        asked = Asked(only, SECRET)
        until_open(one, job, SECRET.id)
        only._receive({"secret": SECRET.id, "value": "v"})
        assert asked.ended().answer == "v"
        again = Asked(only, SECRET)
        until_open(one, job, SECRET.id)
        only._receive({"give_up": True})
        assert isinstance(again.ended().error, CancelledError)


def test_the_default_answers_when_the_time_is_over(tmp_path: Path) -> None:
    with journal(tmp_path) as one:
        job = one.submit(PLAN)
        only = context(one, job)
        clock = only.clock
        assert isinstance(clock, FixedClock)
        question = Question(
            "cut",
            QuestionKind.CUTOVER,
            "?",
            ("yes", "no"),
            "no",
            clock.now() + timedelta(minutes=5),
        )
        asked = Asked(only, question)
        until_open(one, job, "cut")
        clock.moment += timedelta(minutes=6)
        only._receive({})
        assert asked.ended().answer == "no"
        (answer,) = [each for each in one.events(job) if each.kind is EventKind.ANSWER]
        assert answer.data == {"question": "cut", "value": "no", "by": "default"}


def test_known_secrets_are_taken_out_of_what_people_read(tmp_path: Path) -> None:
    with journal(tmp_path) as one:
        job = one.submit(PLAN)
        only = context(one, job, secrets={"connection:xen1": "canary-42"})
        only.note("login with canary-42 refused\x1b[31m")
        only.begin("a", "Make canary-42", undo=Undo("a", "remove", {"key": "kept whole"}))
        only.failed("a", KenshoError("canary-42?", subject="canary-42", remedy="not canary-42"))
        only.end(JobState.FAILED, {"what": "canary-42"}, [{"name": "canary-42"}], None)
        assert one.rows("SELECT 1 FROM event WHERE data LIKE '%canary%'") == []
        (note,) = [each for each in one.events(job) if each.kind is EventKind.NOTE]
        assert note.data["message"] == "login with ••• refused"


def test_a_file_name_that_is_no_text_goes_into_the_journal_and_out_again(tmp_path: Path) -> None:
    with journal(tmp_path) as one:
        only = context(one, one.submit(PLAN))
        only.begin("a", "Read caf\udce9.ova", undo=Undo("a", "remove", {"path": "caf\udce9.ova"}))
        only.done("a", "caf\udce9.ova")
        record = only.past("a")
        assert record is not None
        assert record.result == "caf\udce9.ova"
        assert only.undos() == [Undo("a", "remove", {"path": "caf\udce9.ova"})]


def test_who_sleeps_wakes_when_the_job_is_stopped_or_cancelled(tmp_path: Path) -> None:
    with journal(tmp_path) as one:
        for end, kind in ((RunContext.stop, StoppedError), (_cancelled, CancelledError)):
            lease = one.claim(one.submit(PLAN), "test:1")
            only = RunContext(one, lease, Places(one.path.parent))
            alarm = threading.Timer(0.0, end, [only])
            alarm.start()
            with pytest.raises(kind):
                only.clock.sleep(3600, only.cancel)
            alarm.join()
            with pytest.raises(kind):
                only.clock.sleep(0, only.cancel)


def _cancelled(context: RunContext) -> None:
    context.cancel.cancel()


def test_where_the_journal_cannot_be_used_nothing_more_may_happen_and_nothing_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with journal(tmp_path) as one:
        job = one.submit(PLAN)
        attempt = context(one, job)
        attempt.begin("a", "Make a", undo=Undo("a", "remove", 1))

        def full(*arguments: object, **named: object) -> None:
            raise JournalError("the journal cannot be used (disk is full)")

        with monkeypatch.context() as patched:
            patched.setattr(one, "append", full)
            with pytest.raises(UnwrittenError, match="disk is full"):
                attempt.done("a")
        calls: list[Callable[[], object]] = [
            lambda: attempt.done("a"),
            lambda: attempt.past("a"),
            lambda: attempt.begin("b", "Make b"),
            lambda: attempt.failed("a", KenshoError("no")),
            lambda: attempt.sample(SAMPLE),
            lambda: attempt.ask(Question("q", QuestionKind.SPACE, "?")),
            lambda: attempt.undos(),
        ]
        for call in calls:
            with pytest.raises(UnwrittenError):
                call()
        assert attempt.unwritten
        assert not attempt.fenced
        again = context(one, job)
        assert again.past("a") == StepRecord("a", StepState.RUNNING)
        assert again.undos() == [Undo("a", "remove", 1)]


def test_a_worker_that_slept_while_another_got_the_job_does_nothing_when_it_wakes_up(
    tmp_path: Path,
) -> None:
    with journal(tmp_path) as one:
        job = one.submit(PLAN)
        sleeper = context(one, job)
        apart = sleeper.cancel.apart()
        sleeper.cancel.guard()
        context(one, job)
        sleeper.clock.sleep(1.0, sleeper.cancel)
        for flag in (apart, sleeper.cancel):
            with pytest.raises(FencedError):
                flag.guard()
            with pytest.raises(FencedError):
                flag.check()
        assert sleeper.fenced
