"""What screens and commands are shown of jobs: the projections, with the latest samples laid over."""

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from kensho_tui.engine.events import (
    Event,
    EventKind,
    JobState,
    JobSummary,
    JobView,
    Json,
    StepView,
    why_in_words,
)
from kensho_tui.engine.limits import LimitBy
from kensho_tui.engine.telling import TAKEN_BACK, stopped, undone_word
from kensho_tui.engine.wire import question_from
from kensho_tui.migration.context import COMMIT, Sample, StepState
from kensho_tui.migration.leftovers import DEPLOY, DISK, SWEEP, WITHDRAW, environment_left


class Told(Protocol):
    """Where the projections are read: the journal, or the file of an archived job."""

    def rows(self, sql: str, values: Sequence[Json] = ()) -> list[tuple[Json, ...]]: ...
    def events(self, job: str, after: int = 0, limit: int = -1) -> list[Event]: ...


# Latest sample of each step of a job.
Samples = Mapping[str, Sample]

LOG_LIMIT = 1000


class _Brief(NamedTuple):
    """What of a step goes into its job's row."""

    step: str
    title: str
    state: StepState
    machine: str
    error: str | None


_ROW = (
    "SELECT id, name, state, source, target, machines, created, updated, attempt, error, result,"
    " batch, retry_of, priority, rate_limit, reason, reason_by, until,"
    " (SELECT count(*) FROM question WHERE question.job = job.id AND question.state = 'open')"
    " FROM job"
)
_BRIEF = "SELECT job, step, title, state, machine, error FROM step"


def summaries(journal: Told, samples: Mapping[str, Samples]) -> list[JobSummary]:
    """All jobs, newest first. Two queries, however many jobs there are."""
    steps: dict[str, list[_Brief]] = {}
    for job, step, title, state, *rest in journal.rows(f"{_BRIEF} ORDER BY job, n"):
        steps.setdefault(job, []).append(_Brief(step, title, StepState(state), *rest))
    return [
        _summary(row, steps.get(row[0], []), samples.get(row[0], {}))
        for row in journal.rows(f"{_ROW} ORDER BY created DESC, id")
    ]


def summary(journal: Told, job: str, samples: Samples) -> JobSummary:
    """One job in one row. Raises KeyError where there is no such job."""
    rows = journal.rows(f"{_ROW} WHERE id = ?", (job,))
    if not rows:
        raise KeyError(job)
    steps = [
        _Brief(step, title, StepState(state), *rest)
        for _, step, title, state, *rest in journal.rows(
            f"{_BRIEF} WHERE job = ? ORDER BY n", (job,)
        )
    ]
    return _summary(rows[0], steps, samples)


def _summary(row: Sequence[Json], steps: Sequence[_Brief], samples: Samples) -> JobSummary:
    """The row of `_ROW` as a summary."""
    job, name, state, source, target, machines, created, updated, attempt, error, result = row[:11]
    batch, retry_of, priority, limit, reason, by, until, questions = row[11:]
    machines = machines or len({each.machine for each in steps if each.machine})
    # They stay hidden on the target until the job commits them all, whatever it waits for then, and
    # even where something else is left over.
    committed = (JobState(state).ended and result != "null") or any(
        each.step == COMMIT and each.state is StepState.DONE for each in steps
    )
    moving = [
        samples[each.step]
        for each in steps
        if each.step in samples and each.state is StepState.RUNNING
    ]
    position = sum(each.position for each in samples.values())
    total = sum(each.total for each in samples.values())
    rate = 0.0 if JobState(state).ended else sum(each.rate for each in moving)
    return JobSummary(
        id=job,
        name=name,
        state=JobState(state),
        source=source,
        target=target,
        machines=machines,
        machines_done=machines if committed or state == JobState.SUCCEEDED else 0,
        created=created,
        updated=updated,
        step=_current(steps, JobState(state)),
        position=position,
        total=total,
        rate=rate,
        eta_s=(total - position) / rate if rate > 0 else None,
        error=json.loads(error) if error else None,
        questions=questions,
        attempt=attempt,
        batch=batch,
        retry_of=retry_of,
        priority=priority,
        limit=limit,
        limit_by=LimitBy.OPERATOR if limit is not None else LimitBy.NOBODY,
        reason=reason,
        waits=why_in_words(reason, by, until),
    )


def view(journal: Told, job: str, samples: Samples) -> JobView:
    """The job in full. Raises KeyError where there is no such job."""
    row = summary(journal, job, samples)
    ((plan, leftovers, result, last),) = journal.rows(
        "SELECT plan, leftovers, result, last FROM job WHERE id = ?", (job,)
    )
    asked = journal.rows(
        "SELECT asked FROM question WHERE job = ? AND state = 'open' ORDER BY n", (job,)
    )
    return JobView(
        summary=row,
        plan=json.loads(plan),
        steps=tuple(_steps(journal, job, samples)),
        questions=tuple(question_from(json.loads(each)) for (each,) in asked),
        log=_log(journal, job),
        leftovers=tuple(json.loads(leftovers)),
        result=json.loads(result),
        last=last,
    )


def _steps(journal: Told, job: str, samples: Samples) -> list[StepView]:
    rows = journal.rows(
        "SELECT step, title, state, machine, disk, began, ended, error, result,"
        " (SELECT action || ' ' || state FROM undo WHERE undo.job = step.job"
        " AND undo.step = step.step)"
        " FROM step WHERE job = ? ORDER BY n",
        (job,),
    )
    # Wholly: where something of it is left, a disk may be among that.
    swept = any(row[0] == DEPLOY and row[-1] == f"{SWEEP} undone" for row in rows)
    return [
        StepView(
            step=step,
            title=title,
            state=_state(step, StepState(state), swept=swept),
            machine=machine,
            disk=disk,
            began=began,
            ended=ended,
            error=json.loads(error) if error else None,
            result=json.loads(result),
            sample=samples.get(step),
            word=_word(StepState(state), title, undo, error),
        )
        for step, title, state, machine, disk, began, ended, error, result, undo in rows
    ]


def _state(step: str, state: StepState, *, swept: bool) -> StepState:
    """A disk that was moved is gone again with what was built for it (``swept``)."""
    done = state is StepState.DONE
    return StepState.UNDONE if swept and done and step.startswith(DISK) else state


def _word(state: StepState, title: str, undo: str | None, error: str | None) -> str:
    if state is StepState.UNDONE and undo:
        word = undone_word(undo.partition(" ")[0], title)
        return "" if word == TAKEN_BACK else word
    failed = state is StepState.FAILED and error is not None
    return "stopped" if failed and stopped({"error": json.loads(error or "null")}) else ""


def _current(steps: Sequence[_Brief], state: JobState) -> str:
    """Title of what is running now, or of what failed first; empty where neither is."""
    wanted = StepState.FAILED if state.ended else StepState.RUNNING
    if state is JobState.SUCCEEDED:
        return ""
    found = [each for each in steps if each.state is wanted]
    # What was only stopped because of another did not fail first.
    found = [each for each in found if not _word(each.state, "", None, each.error)] or found
    titles = [each.title for each in found]
    return titles[0 if state.ended else -1] if titles else ""


def _log(journal: Told, job: str) -> tuple[Event, ...]:
    """The last events; without resume points, and without the plan, which stands beside it."""
    events = [each for each in journal.events(job) if each.kind is not EventKind.RESUME_POINT]
    return tuple(_without_plan(each) for each in events[-LOG_LIMIT:])


def _without_plan(event: Event) -> Event:
    if event.kind is not EventKind.SUBMITTED:
        return event
    data: dict[str, Json] = {"plan_digest": event.data.get("plan_digest")}
    return Event(event.job, event.n, event.epoch, event.kind, event.at, event.step, data)


def open_undos(journal: Told, job: str) -> list[dict[str, Json]]:
    """What was begun and neither settled nor taken back, as leftovers; what was left before, first."""
    before: list[dict[str, Json]] = json.loads(
        journal.rows("SELECT leftovers FROM job WHERE id = ?", (job,))[0][0]
    )
    rows = journal.rows(
        "SELECT step.title, undo.action, undo.data FROM undo JOIN step USING (job, step)"
        " WHERE job = ? AND undo.state = 'open' ORDER BY undo.n DESC",
        (job,),
    )
    return before + [_open(job, title, action, json.loads(data)) for title, action, data in rows]


def _open(job: str, title: str, action: str, data: Json) -> dict[str, Json]:
    reason = "was begun and not taken back"
    if action == WITHDRAW:
        return {**environment_left(job, data, reason)}
    look = f"Look on the target for what carries the job's key 'kensho:{job}:'"
    return {"name": title, "reason": reason, "action": look}
