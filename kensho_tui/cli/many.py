"""Following many jobs as one, to the end of all of them."""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import click

from kensho_tui.cli.out import Exit, emit_line, narrate
from kensho_tui.text import one_line

if TYPE_CHECKING:
    from kensho_tui.engine.batches import Tally
    from kensho_tui.engine.client import Client
    from kensho_tui.engine.events import JobState, JobSummary

EVERY_S = 1.0
_SHARE_BETWEEN_LINES = 0.05
_SECONDS_BETWEEN_LINES = 10.0

# What many jobs end with is what the worst of them ended with.
_BAD_TO_WORSE = (Exit.OK, Exit.CANCELLED, Exit.WAITING, Exit.FAILED, Exit.ATTENTION)


def follow_jobs(client: "Client", jobs: Sequence[str], *, as_json: bool, quiet: bool) -> Exit:
    """Follow one job in full, several as one; see `follow_batch`."""
    from kensho_tui.cli.follow import follow

    if len(jobs) == 1:
        return follow(client, jobs[0], as_json=as_json, ask=True, quiet=quiet)
    wanted = set(jobs)

    def chosen() -> "list[JobSummary]":
        return [each for each in client.jobs() if each.id in wanted]

    name = f"{len(jobs)} jobs"
    return _follow(client, chosen, name, "kensho job list", as_json=as_json, quiet=quiet)


def follow_batch(client: "Client", batch: str, *, as_json: bool, quiet: bool) -> Exit:
    """A line for each job that ended, and one of progress for the whole, until all have ended.

    A job that was done again is left to the later one. Ends also when nothing goes on without an
    answer of a person. Gives the worst exit of the jobs.

    Args:
        as_json: an object a line: ``{"job": …, "state": …}`` or ``{"batch": …, "share": …}``.

    Raises: UnknownBatchError; RunnerAbsentError.
    """
    from kensho_tui.engine.batches import current, jobs_of

    def chosen() -> "list[JobSummary]":
        return current(jobs_of(client.jobs(), batch))

    more = f"kensho job watch --batch {batch}"
    return _follow(client, chosen, batch, more, as_json=as_json, quiet=quiet)


def _follow(
    client: "Client",
    chosen: "Callable[[], list[JobSummary]]",
    name: str,
    more: str,
    *,
    as_json: bool,
    quiet: bool,
) -> Exit:
    from kensho_tui.cli.follow import ENDED, ring
    from kensho_tui.engine.batches import tally

    lines = _Lines(name, as_json)
    try:
        while True:
            jobs = chosen()
            counted = tally(jobs)
            lines.show(jobs, counted)
            if not any(_moves(client, each) for each in jobs):
                break
            time.sleep(EVERY_S)
    except KeyboardInterrupt:
        narrate(f"The jobs go on; '{more}' shows them.")
        return Exit.INTERRUPTED
    code = worst(each.state for each in jobs)
    ring(f"{name}: {ENDED.get(code, 'ended')}", quiet=quiet)
    return code


def _moves(client: "Client", job: "JobSummary") -> bool:
    """Whether the job will end without a person."""
    if job.state != "waiting":
        return not job.state.ended
    return all(each.answers_itself for each in client.job(job.id).questions)


def worst(states: "Iterable[JobState]") -> Exit:
    """The exit that says the worst of these states; `Exit.OK` for none."""
    from kensho_tui.cli.follow import exit_of

    return max((exit_of(each) for each in states), key=_BAD_TO_WORSE.index, default=Exit.OK)


class _Lines:
    """Prints what is new."""

    def __init__(self, name: str, as_json: bool) -> None:
        self._name = name
        self._as_json = as_json
        self._states: dict[str, JobState] = {}
        self._said: tuple[float, float, object] | None = None

    def show(self, jobs: "Sequence[JobSummary]", counted: "Tally") -> None:
        """A line for each job that ended or waits since the last call, and one for all of them."""
        for each in reversed(jobs):
            if self._states.get(each.id) is not each.state:
                self._states[each.id] = each.state
                self._job(each)
        now = time.monotonic()
        if self._said is not None:
            share, when, states = self._said
            if states == counted.states and (
                counted.share - share < _SHARE_BETWEEN_LINES and now - when < _SECONDS_BETWEEN_LINES
            ):
                return
        self._said = counted.share, now, counted.states
        if self._as_json:
            emit_line({"batch": self._name, **_data(counted)})
        else:
            from kensho_tui.engine.batches import in_words

            click.echo(one_line(f"{self._name}: {in_words(counted)}"))

    def _job(self, job: "JobSummary") -> None:
        from kensho_tui.engine.telling import error_text

        if self._as_json:
            emit_line({"job": job.id, "state": job.state, "error": job.error})
        elif job.state.ended or job.state == "waiting":
            why = f": {error_text(job.error)}" if job.error and job.state.ended else ""
            how = f": kensho job show {job.id}" if job.state == "waiting" else ""
            click.echo(one_line(f"  {job.id} {job.state.replace('_', ' ')}{why}{how}"))


def _data(counted: "Tally") -> dict[str, object]:
    return {
        "jobs": counted.jobs,
        "ended": counted.ended,
        "states": {str(state): number for state, number in counted.states.items()},
        "share": round(counted.share, 4),
        "rate": round(counted.rate),
        "questions": counted.questions,
    }
