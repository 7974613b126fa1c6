"""The journal as people read it."""

import pytest

from kensho_tui.engine.events import Event, EventKind
from kensho_tui.engine.telling import Level, LogLine, log_line

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
    ("kind", "data", "level"),
    [
        (EventKind.NOTE, {"message": "m", "level": "warning"}, Level.WARNING),
        (EventKind.NOTE, {"message": "m", "level": "error"}, Level.ERROR),
        (EventKind.NOTE, {"message": "m", "level": "info"}, Level.INFO),
        (EventKind.STEP_FAILED, {"error": ERROR}, Level.ERROR),
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
