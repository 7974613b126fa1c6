"""What events mean: each one changes the projections, and nothing else ever does."""

import json
import sqlite3

from kensho_tui.engine.events import Event, EventKind, JobState, Json, Reason
from kensho_tui.migration.context import CLEANUP, CLEANUP_TITLE, StepState


def dump(value: Json) -> str:
    """Canonical JSON: the same value is always the same text, ASCII alone, and never NaN.

    ASCII, because a file name that is no UTF-8 holds surrogates, which no database takes.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _endpoints(plan: Json) -> tuple[str, str, int]:
    """Source, target and number of machines, as far as the plan alone says."""
    spec = plan.get("spec", {})
    source, target = spec.get("source", {}), spec.get("target", {})
    chosen = [each for each in spec.get("machines", {}).values() if each.get("include", True)]
    return (
        str(source.get("package") or source.get("connection") or ""),
        str(target.get("connection") or target.get("package") or ""),
        len(chosen) or len(source.get("machines", ())),
    )


def apply(database: sqlite3.Connection, event: Event) -> None:
    """Change the projections as the event says, inside the caller's transaction."""
    _APPLY[event.kind](database, event)
    database.execute(
        "UPDATE job SET updated = ?, last = ? WHERE id = ?", (event.at, event.n, event.job)
    )


def _submitted(database: sqlite3.Connection, event: Event) -> None:
    plan = event.data["plan"]
    source, target, machines = _endpoints(plan)
    metadata = plan.get("metadata", {})
    name = str(metadata.get("name") or event.job)
    database.execute(
        "INSERT INTO job VALUES (?,?,?,?,?,?,?,?,?,?,1,0,NULL,'[]','null',?,?,?,NULL,'','','')",
        (
            event.job,
            name,
            JobState.QUEUED,
            source,
            target,
            machines,
            dump(plan),
            event.at,
            event.at,
            event.n,
            str(metadata.get("batch") or ""),
            str(metadata.get("retry_of") or ""),
            int(plan.get("spec", {}).get("run", {}).get("priority") or 0),
        ),
    )


def _claimed(database: sqlite3.Connection, event: Event) -> None:
    database.execute(
        "UPDATE job SET attempt = ?, crashes = crashes + 1 WHERE id = ?",
        (event.data["attempt"], event.job),
    )
    # What was said of the job meanwhile holds; the worker learns of it first of all.
    database.execute(
        "UPDATE job SET state = 'running', reason = '', reason_by = '', until = '' WHERE id = ?"
        " AND state <> 'cancelling' AND NOT (state = 'paused' AND reason = ?)",
        (event.job, Reason.OPERATOR),
    )


def _state(database: sqlite3.Connection, event: Event) -> None:
    state, data = JobState(event.data["state"]), event.data
    why = tuple(str(data.get(each) or "") for each in ("reason", "by", "until"))
    database.execute(
        "UPDATE job SET state = ?, reason = ?, reason_by = ?, until = ? WHERE id = ?",
        (state, *why, event.job),
    )
    if state is JobState.QUEUED:  # an orderly stop is no crash
        _progressed(database, event)
    if data.get("error"):
        database.execute("UPDATE job SET error = ? WHERE id = ?", (dump(data["error"]), event.job))
    elif state is JobState.SUCCEEDED:
        database.execute("UPDATE job SET error = NULL WHERE id = ?", (event.job,))
    if "leftovers" in data:
        database.execute(
            "UPDATE job SET leftovers = ? WHERE id = ?", (dump(data["leftovers"]), event.job)
        )
    if "result" in data:
        database.execute(
            "UPDATE job SET result = ? WHERE id = ?", (dump(data["result"]), event.job)
        )
    if state.ended:
        database.execute(
            "UPDATE question SET state = 'void' WHERE job = ? AND state = 'open'", (event.job,)
        )


def _progressed(database: sqlite3.Connection, event: Event) -> None:
    """Workers that die count only as long as nothing is reached between their deaths."""
    database.execute("UPDATE job SET crashes = 0 WHERE id = ?", (event.job,))


def _step_begun(database: sqlite3.Connection, event: Event) -> None:
    data = event.data
    database.execute(
        "INSERT INTO step VALUES (?,?,?,?,?,?,?,?,'',NULL,'null','null')"
        " ON CONFLICT (job, step) DO UPDATE SET title = excluded.title,"
        " machine = excluded.machine, disk = excluded.disk, state = excluded.state,"
        " began = excluded.began, ended = '', error = NULL",
        (
            event.job,
            event.step,
            event.n,
            data["title"],
            data["machine"],
            data["disk"],
            StepState.RUNNING,
            event.at,
        ),
    )
    if undo := data.get("undo"):
        # Beginning again after a crash keeps the first undo while that one is still to be done.
        database.execute(
            "INSERT INTO undo VALUES (?,?,?,?,?,'open') ON CONFLICT (job, step) DO UPDATE SET"
            " n = excluded.n, action = excluded.action, data = excluded.data, state = 'open'"
            " WHERE undo.state <> 'open'",
            (event.job, event.step, event.n, undo["action"], dump(undo["data"])),
        )


def _resume_point(database: sqlite3.Connection, event: Event) -> None:
    database.execute(
        "UPDATE step SET resume = ? WHERE job = ? AND step = ?",
        (dump(event.data["token"]), event.job, event.step),
    )
    _progressed(database, event)


def _step_done(database: sqlite3.Connection, event: Event) -> None:
    database.execute(
        "UPDATE step SET state = 'done', ended = ?, result = ?, error = NULL"
        " WHERE job = ? AND step = ?",
        (event.at, dump(event.data["result"]), event.job, event.step),
    )
    _progressed(database, event)


def _step_failed(database: sqlite3.Connection, event: Event) -> None:
    error = dump(event.data["error"])
    database.execute(
        "UPDATE step SET state = 'failed', ended = ?, error = ? WHERE job = ? AND step = ?",
        (event.at, error, event.job, event.step),
    )
    database.execute("UPDATE job SET error = ? WHERE id = ? AND error IS NULL", (error, event.job))


def _note(database: sqlite3.Connection, event: Event) -> None:
    """A note is read where it stands; nothing is made of it."""


def _question(database: sqlite3.Connection, event: Event) -> None:
    database.execute(
        "INSERT INTO question VALUES (?,?,?,'open',?,'null','') ON CONFLICT (job, id) DO UPDATE"
        " SET n = excluded.n, state = 'open', asked = excluded.asked, answer = 'null',"
        " answered_by = ''",
        (event.job, event.data["id"], event.n, dump(event.data)),
    )


def _answer(database: sqlite3.Connection, event: Event) -> None:
    database.execute(
        "UPDATE question SET state = 'answered', answer = ?, answered_by = ?"
        " WHERE job = ? AND id = ?",
        (dump(event.data["value"]), event.data["by"], event.job, event.data["question"]),
    )
    _progressed(database, event)


def _undone(database: sqlite3.Connection, event: Event) -> None:
    database.execute(
        "UPDATE undo SET state = ? WHERE job = ? AND step = ?",
        ("left" if event.data["leftovers"] else "undone", event.job, event.step),
    )
    database.execute(
        "UPDATE step SET state = 'undone', ended = ? WHERE job = ? AND step = ?",
        (event.at, event.job, event.step),
    )
    (before,) = database.execute("SELECT leftovers FROM job WHERE id = ?", (event.job,)).fetchone()
    database.execute(
        "UPDATE job SET leftovers = ? WHERE id = ?",
        (dump(json.loads(before) + list(event.data["leftovers"])), event.job),
    )
    _progressed(database, event)


def _settled(database: sqlite3.Connection, event: Event) -> None:
    database.execute(
        "UPDATE undo SET state = 'settled' WHERE job = ? AND step = ?", (event.job, event.step)
    )


def _limited(database: sqlite3.Connection, event: Event) -> None:
    database.execute("UPDATE job SET rate_limit = ? WHERE id = ?", (event.data["limit"], event.job))


def _reopened(database: sqlite3.Connection, event: Event) -> None:
    """Undos that left something are open again, and the job begins with taking back.

    Where it had not come to that it ends as failed by its first error, or as cancelled without one.
    """
    database.execute(
        "UPDATE step SET state = ? WHERE job = ? AND step IN"
        " (SELECT step FROM undo WHERE undo.job = step.job AND undo.state = 'left')",
        (StepState.UNDOING, event.job),
    )
    database.execute(
        "UPDATE undo SET state = 'open' WHERE job = ? AND state = 'left'", (event.job,)
    )
    (error,) = database.execute("SELECT error FROM job WHERE id = ?", (event.job,)).fetchone()
    database.execute(
        "INSERT INTO step VALUES (?,?,?,?,'','',?,?,'',NULL,'null',?) ON CONFLICT (job, step)"
        " DO UPDATE SET state = excluded.state, began = excluded.began, ended = '', error = NULL,"
        " result = 'null'",
        (
            event.job,
            CLEANUP,
            event.n,
            CLEANUP_TITLE,
            StepState.RUNNING,
            event.at,
            error or dump({"cancelled": True}),
        ),
    )
    database.execute(
        "UPDATE job SET state = ?, leftovers = '[]' WHERE id = ?", (JobState.QUEUED, event.job)
    )
    _progressed(database, event)


def _prioritized(database: sqlite3.Connection, event: Event) -> None:
    database.execute(
        "UPDATE job SET priority = ? WHERE id = ?", (event.data["priority"], event.job)
    )


_APPLY = {
    EventKind.SUBMITTED: _submitted,
    EventKind.CLAIMED: _claimed,
    EventKind.STATE: _state,
    EventKind.STEP_BEGUN: _step_begun,
    EventKind.RESUME_POINT: _resume_point,
    EventKind.STEP_DONE: _step_done,
    EventKind.STEP_FAILED: _step_failed,
    EventKind.NOTE: _note,
    EventKind.QUESTION: _question,
    EventKind.ANSWER: _answer,
    EventKind.UNDONE: _undone,
    EventKind.SETTLED: _settled,
    EventKind.LIMITED: _limited,
    EventKind.REOPENED: _reopened,
    EventKind.PRIORITIZED: _prioritized,
}
