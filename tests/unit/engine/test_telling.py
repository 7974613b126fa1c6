"""The journal as people read it."""

import pytest

from kensho_tui.engine.events import Event, EventKind, JobState
from kensho_tui.engine.places import boot_id
from kensho_tui.engine.telling import Level, LogLine, log_line
from kensho_tui.engine.worker import why_again

AT = "2026-01-01T00:00:00.000Z"
ERROR = {"what": "the storage is full", "subject": "local-sr", "remedy": "Make room"}


def line(kind: EventKind, step: str = "", **data: object) -> LogLine | None:
    return log_line(Event("j", 7, 1, kind, AT, step, data), {"d1": "db01 disk 1"})


def text(kind: EventKind, step: str = "", **data: object) -> str:
    told = line(kind, step, **data)
    assert told is not None
    return told.text


def test_steps_are_called_by_their_titles() -> None:
    titles: dict[str, str] = {}
    begun = Event("j", 1, 1, EventKind.STEP_BEGUN, AT, "d2", {"title": "db01 disk 2"})
    done = Event("j", 2, 1, EventKind.STEP_DONE, AT, "d2", {"result": None})
    told = [log_line(each, titles) for each in (begun, done)]
    assert [each and each.text for each in told] == ["db01 disk 2", "db01 disk 2: done"]


def test_a_secret_answer_is_not_in_the_log() -> None:
    assert text(EventKind.ANSWER, value=None, by="root") == "answered by root: (hidden)"


def test_escape_sequences_and_lines_from_outside_do_not_reach_the_log() -> None:
    assert text(EventKind.NOTE, message="a\x1b[31mb\u202ec\nd", level="info") == "abc d"


def test_a_resume_point_is_nothing_for_people() -> None:
    assert line(EventKind.RESUME_POINT, "d1", token={}) is None
    assert line(EventKind.CLAIMED, attempt=1, worker="h:1") is None


@pytest.mark.parametrize(
    ("action", "title", "word"),
    [
        ("release", "Hold the machines on old still by a snapshot", "snapshot removed again"),
        ("release", "Hold the machines on old still", "let go"),
        ("start", "Shut down db01 on old", "started again"),
        ("withdraw", "Hand the guests their settings", "ejected and deleted"),
        ("sweep", "Build db01 on new", "taken back"),
    ],
)
def test_what_a_good_end_undoes_too_is_not_called_taken_back(
    action: str, title: str, word: str
) -> None:
    event = Event("j", 7, 1, EventKind.UNDONE, AT, "s", {"action": action, "leftovers": []})
    told = log_line(event, {"s": title})
    assert told is not None
    assert told.text == f"{title}: {word}"


def test_a_disk_that_was_only_stopped_did_not_fail() -> None:
    other = {"what": "stopped, because db01 disk 2 failed", "subject": "", "remedy": ""}
    told = text(EventKind.STEP_FAILED, "d1", error=other)
    assert told == "db01 disk 1: stopped, because db01 disk 2 failed"
    asked = {"what": "cancelled", "subject": "", "remedy": ""}
    assert text(EventKind.STEP_FAILED, "d1", error=asked) == "db01 disk 1: cancelled"
    assert text(EventKind.STEP_FAILED, "d1", error=ERROR).startswith("db01 disk 1: failed: ")


def test_why_a_job_is_taken_up_again_is_said_where_it_is_known() -> None:
    why = "this host was restarted"
    said = text(EventKind.CLAIMED, attempt=2, worker="h:1", why=why)
    assert said == "taken up again (attempt 2): this host was restarted"
    assert text(EventKind.CLAIMED, attempt=3, worker="h:1") == "taken up again (attempt 3)"


@pytest.mark.parametrize(
    ("before", "state", "why"),
    [
        ({}, JobState.RUNNING, ""),
        ({"pid": 7, "boot": "another"}, JobState.RUNNING, "host was restarted"),
        ({"pid": 7}, JobState.RUNNING, "(pid 7) had ended without a word"),
        ({"pid": 7}, JobState.QUEUED, "stopped in good order"),
        ({"pid": 7}, JobState.PAUSED, ""),
    ],
)
def test_what_became_of_the_worker_before_is_read_off_its_lock_and_the_journal(
    before: dict[str, object], state: JobState, why: str
) -> None:
    held = {"boot": boot_id(), **before} if before else {}
    assert (why in why_again(held, state)) is True
    assert bool(why_again(held, state)) is bool(why)


@pytest.mark.parametrize(
    ("kind", "data", "level"),
    [
        (EventKind.NOTE, {"message": "m", "level": "warning"}, Level.WARNING),
        (EventKind.NOTE, {"message": "m", "level": "error"}, Level.ERROR),
        (EventKind.NOTE, {"message": "m", "level": "info"}, Level.INFO),
        (EventKind.STEP_FAILED, {"error": ERROR}, Level.ERROR),
        (EventKind.STEP_FAILED, {"error": {"what": "cancelled"}}, Level.WARNING),
        (EventKind.STATE, {"state": "failed", "error": ERROR}, Level.ERROR),
        (EventKind.STATE, {"state": "needs_attention", "leftovers": []}, Level.WARNING),
        (EventKind.STATE, {"state": "succeeded"}, Level.INFO),
        (EventKind.CLAIMED, {"attempt": 2}, Level.WARNING),
        (EventKind.UNDONE, {"leftovers": [{"name": "x"}], "action": "sweep"}, Level.WARNING),
        (EventKind.QUESTION, {"text": "?"}, Level.WARNING),
    ],
)
def test_what_wants_a_look_weighs_more(
    kind: EventKind, data: dict[str, object], level: Level
) -> None:
    told = line(kind, "d1", **data)
    assert told is not None
    assert told.level is level


def test_the_end_says_why_and_what_is_left_once() -> None:
    left = {"name": "disk x", "reason": "the storage is full", "action": "Remove it"}
    said = text(EventKind.STATE, state="needs_attention", error=ERROR, leftovers=[left])
    assert said == (
        "job needs attention: local-sr: the storage is full. Make room. Left over: disk x. Remove it."
    )
