"""Many jobs as one."""

from pathlib import Path

import pytest

from kensho_tui.cli.many import worst
from kensho_tui.cli.out import Exit
from kensho_tui.engine import views
from kensho_tui.engine.batches import (
    UnknownBatchError,
    current,
    in_words,
    jobs_of,
    tally,
    to_clean_up,
    to_do_again,
)
from kensho_tui.engine.events import JobState, JobSummary
from kensho_tui.errors import KenshoError
from kensho_tui.migration.context import Sample

from .given import PLAN, context, journal


def job(id: str, state: JobState, retry_of: str = "", batch: str = "b", at: int = 0) -> JobSummary:
    return JobSummary(
        id, id, state, "s", "t", 1, 0, "", "", position=at, total=100, batch=batch,
        retry_of=retry_of, rate=5.0 if state is JobState.RUNNING else 0.0,
    )  # fmt: skip


FAILED, CANCELLED, DONE = JobState.FAILED, JobState.CANCELLED, JobState.SUCCEEDED
LEFT, RUNNING, QUEUED = JobState.NEEDS_ATTENTION, JobState.RUNNING, JobState.QUEUED


@pytest.mark.parametrize(
    ("jobs", "again"),
    [
        ([job("a", FAILED), job("b", DONE), job("c", CANCELLED)], ["a", "c"]),
        ([job("a", FAILED), job("a2", DONE, "a")], []),
        ([job("a", FAILED), job("a2", RUNNING, "a")], []),
        ([job("a", FAILED), job("a2", FAILED, "a")], ["a2"]),
        ([job("a", FAILED), job("a2", CANCELLED, "a"), job("a3", DONE, "a2")], []),
        ([job("a", LEFT), job("b", RUNNING), job("c", QUEUED)], []),
    ],
)
def test_what_failed_is_done_again_once_and_never_what_succeeded_since(
    jobs: list[JobSummary], again: list[str]
) -> None:
    assert to_do_again(jobs) == again


def test_only_the_jobs_of_the_batch_are_its_jobs() -> None:
    jobs = [job("a", DONE), job("b", DONE, batch=""), job("c", LEFT, batch="c")]
    assert [each.id for each in jobs_of(jobs, "b")] == ["a"]
    assert to_clean_up(jobs) == ["c"]
    with pytest.raises(UnknownBatchError, match="There are: b, c"):
        jobs_of(jobs, "d")
    with pytest.raises(UnknownBatchError):
        jobs_of(jobs, "")


def test_what_was_done_again_does_not_count_twice() -> None:
    jobs = [job("a", FAILED), job("a2", DONE, "a"), job("b", RUNNING, at=50), job("c", QUEUED)]
    counted = tally(current(jobs))
    assert (counted.jobs, counted.ended, counted.rate) == (3, 1, 5.0)
    assert counted.share == pytest.approx(0.5)
    assert in_words(counted) == "50 % of 3 jobs: 1 succeeded, 1 running, 1 queued, 5 B/s"


@pytest.mark.parametrize(
    ("states", "code"),
    [
        ([DONE, DONE], Exit.OK),
        ([DONE, CANCELLED], Exit.CANCELLED),
        ([CANCELLED, JobState.WAITING], Exit.WAITING),
        ([JobState.WAITING, FAILED, CANCELLED], Exit.FAILED),
        ([FAILED, LEFT, DONE], Exit.ATTENTION),
        ([], Exit.OK),
    ],
)
def test_many_jobs_end_with_the_worst_of_them(states: list[JobState], code: Exit) -> None:
    assert worst(states) == code


def test_the_rows_of_all_jobs_are_those_of_each_of_them(tmp_path: Path) -> None:
    with journal(tmp_path) as one:
        for number in range(3):
            job = one.submit({**PLAN, "metadata": {"name": f"shop {number}", "batch": "b"}})
            running = context(one, job)
            running.begin("a", "Make a", machine="m1")
            running.done("a", {"made": "a"})
            running.begin("b", f"Make b{number}", machine="m2")
        running.failed("b", KenshoError("the storage is full"))
        one.set_state(job, JobState.FAILED, error={"what": "w"}, leftovers=[], result=None)
        sample = Sample("b", "m2", "d", 10, 100, rate=5.0)
        samples = {each: {"b": sample} for each in one.heads()}
        rows = views.summaries(one, samples)
        assert rows == [views.summary(one, each.id, samples[each.id]) for each in rows]
        told = {each.name: (each.step, each.rate, each.state) for each in rows}
    assert told == {
        "shop 0": ("Make b0", 5.0, RUNNING),
        "shop 1": ("Make b1", 5.0, RUNNING),
        "shop 2": ("Make b2", 0.0, FAILED),
    }
