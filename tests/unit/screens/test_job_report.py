"""A job in words."""

from datetime import UTC, datetime

from kensho_tui.engine.events import JobState, JobSummary, JobView, StepView
from kensho_tui.migration.context import StepState
from screens import figures, job_report
from screens.monitor import NARROW, WIDE
from screens.widgets.rows import layout

AT = "2026-01-01T00:00:00+00:00"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def job(state: JobState, **changes: object) -> JobView:
    """A job of one machine."""
    summary = JobSummary("j", "shop", state, "shop.ova", "lab", 1, 0, AT, AT)
    return JobView(**{"summary": summary, "plan": {}, **changes})  # type: ignore[arg-type]


def test_a_running_job_has_no_report() -> None:
    assert job_report.report(job(JobState.RUNNING), NOW) == ""


def test_a_job_that_succeeded_names_what_it_made() -> None:
    result = {"machines": [{"ref": {"name": "web01"}, "started": True}], "location": ""}
    said = job_report.report(job(JobState.SUCCEEDED, result=result), NOW)
    assert "1 machine on lab." in said
    assert "web01: started" in said


def test_a_failure_without_undo_says_that_nothing_had_to_be_removed() -> None:
    said = job_report.report(job(JobState.FAILED), NOW)
    assert "Cleaned up  nothing had to be removed" in said
    assert "the source was not changed" in said


def test_what_was_taken_back_is_listed() -> None:
    steps = (StepView("b", "Build Shop on lab", StepState.UNDONE),)
    assert "Cleaned up  Build Shop on lab" in job_report.report(
        job(JobState.CANCELLED, steps=steps), NOW
    )


def test_steps_of_a_machine_stand_under_its_name() -> None:
    steps = (
        StepView("d", "disk", StepState.RUNNING, "web01"),
        StepView("c", "Check", StepState.DONE),
    )
    rows = job_report.step_rows(job(JobState.RUNNING, steps=steps), {}, wide=False)
    assert [row.id for row in rows] == ["c", "machine:web01", "d"]
    assert rows[1].heading


def test_a_long_word_has_the_room_of_the_figures_that_are_not_there() -> None:
    undone = StepView("c", "Hold", StepState.UNDONE, ended=AT, word="snapshot removed again")
    for wide, width in ((False, 80), (True, 120)):
        (row,) = job_report.step_rows(job(JobState.SUCCEEDED, steps=(undone,)), {}, wide=wide)
        line = layout(WIDE if wide else NARROW, row.cells, width).plain
        assert "snapshot removed again" in line
        assert line.rstrip().endswith(figures.clock(AT))
        assert len(line) == width
