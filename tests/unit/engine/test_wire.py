"""What crosses the socket comes out as it went in; a client is light to import."""

import json
import subprocess
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kensho_tui.engine import views, wire
from kensho_tui.engine.events import EventKind, JobState
from kensho_tui.errors import KenshoError
from kensho_tui.migration.context import COMMIT, Question, QuestionKind, Sample, StepState, Undo
from kensho_tui.migration.leftovers import RELEASE, SWEEP

from .given import PLAN, context, journal

SAMPLE = Sample("disk:a", "db01", "a", 40, 100, read=10, written=5, rate=20.0, eta_s=3.0)


def through(data: object) -> dict[str, object]:
    """As it comes out of the socket."""
    assert isinstance(data, dict)
    return wire.parse(wire.line(data))


def test_a_job_in_full_comes_out_as_it_went_in(tmp_path: Path) -> None:
    with journal(tmp_path) as one:
        job = one.submit(PLAN)
        only = context(one, job)
        only.begin("disk:a", "Disk ä", machine="db01", disk="a", undo=Undo("disk:a", "x", {}))
        only.begin("b", "Other")
        only.failed("b", KenshoError("w", subject="s", remedy="r"))
        question = Question(
            "q", QuestionKind.SPACE, "?", ("a", "b"), "a", datetime(2026, 3, 1, tzinfo=UTC)
        )
        assert one.ask(only._lease, wire.question_to(question))
        view = views.view(one, job, {"disk:a": SAMPLE})
    assert wire.view_from(through(wire.view_to(view))) == view
    assert view.questions == (question,)
    assert [each.state for each in view.steps] == [StepState.RUNNING, StepState.FAILED]
    assert view.steps[0].sample == SAMPLE
    row = view.summary
    assert (row.state, row.questions, row.machines, row.machines_done) == (
        JobState.WAITING,
        1,
        1,
        0,
    )
    assert (row.position, row.total, row.rate, row.eta_s) == (40, 100, 20.0, 3.0)
    assert row.step == "Disk ä"
    assert row.error == {"what": "w", "subject": "s", "remedy": "r"}
    assert wire.summary_from(through(asdict(row))) == row
    assert view.log[0].kind is EventKind.SUBMITTED
    assert "plan" not in view.log[0].data


def test_machines_count_as_done_when_the_job_has_a_result(tmp_path: Path) -> None:
    with journal(tmp_path) as one:
        done, failed = one.submit(PLAN), one.submit(PLAN)
        context(one, done).end(JobState.NEEDS_ATTENTION, None, [{"name": "snapshot"}], {"id": 1})
        context(one, failed).end(JobState.FAILED, None, [], None)
        # In service, and the job waits for something else yet.
        waits = one.submit(PLAN)
        asking = context(one, waits)
        asking.begin(COMMIT, "Put it into service")
        assert views.summary(one, waits, {}).machines_done == 0
        asking.done(COMMIT, {"id": 1})
        rows = {each.id: each for each in views.summaries(one, {})}
    assert [rows[each].machines_done for each in (done, failed, waits)] == [1, 0, 1]


def test_the_steps_of_a_job_that_was_taken_back_say_what_became_of_them(tmp_path: Path) -> None:
    with journal(tmp_path) as one:
        job = one.submit(PLAN)
        it = context(one, job)
        undo = Undo("capture", RELEASE, {"key": "k"})
        it.begin("capture", "Hold still by a snapshot", undo=undo)
        it.done("capture")
        it.begin("deploy", "Build it", undo=Undo("deploy", SWEEP, {"key": "k"}))
        it.done("deploy")
        for disk, error in (("a", None), ("b", "the storage is full"), ("c", "stopped, because b")):
            it.begin(f"disk:{disk}", f"Disk {disk}")
            it.failed(f"disk:{disk}", KenshoError(error)) if error else it.done(f"disk:{disk}")
        for undone in it.undos():
            it.undone(undone, [])
        it.end(JobState.FAILED, None, [], None)
        view = views.view(one, job, {})
    words = {each.step: (each.state, each.word) for each in view.steps}
    assert words == {
        "capture": (StepState.UNDONE, "snapshot removed again"),
        "deploy": (StepState.UNDONE, ""),
        "disk:a": (StepState.UNDONE, ""),
        "disk:b": (StepState.FAILED, ""),
        "disk:c": (StepState.FAILED, "stopped"),
    }
    assert view.summary.step == "Disk b"


def test_what_is_no_message_is_refused() -> None:
    for raw in (b"no json\n", b"[1]\n", b"\n", b"\xff\n"):
        with pytest.raises(wire.ProtocolError):
            wire.parse(raw)


def test_a_client_is_imported_without_what_only_the_runner_needs() -> None:
    code = (
        "import sys, json, kensho_tui.engine.client\n"
        "heavy = {'pydantic', 'asyncio', 'textual', 'sqlite3', 'lxml', 'backends'}\n"
        "print(json.dumps(sorted(heavy & set(sys.modules))))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert json.loads(said.stdout) == []


def test_the_supervisor_is_imported_without_pydantic_and_any_platform() -> None:
    code = (
        "import sys, json, kensho_tui.engine.supervisor\n"
        "heavy = {'pydantic', 'textual', 'lxml', 'backends', 'XenAPI', 'pyVmomi'}\n"
        "print(json.dumps(sorted(heavy & set(sys.modules))))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert json.loads(said.stdout) == []
