"""Whether a journal is what was written: chains, leases, guards, and projections equal to events.

One job is looked at after the other, so that the memory taken is that of the largest job.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from kensho_tui.engine import projection, schema
from kensho_tui.engine.events import Event, EventKind, Json
from kensho_tui.engine.projection import dump
from kensho_tui.findings import Finding, Severity

Row = tuple[Json, ...]

COLUMNS = "job, n, epoch, kind, step, data, at, prev, hash"
# Every event of every job, in order.
EVENTS = f"SELECT {COLUMNS} FROM event ORDER BY job, n"  # noqa: S608

# What is made of events, and can be made of them again.
REBUILDABLE = frozenset(
    {"journal-projection-differs", "journal-lease-differs", "journal-unguarded"}
)
_REBUILD = "Run 'kensho journal rebuild'"
_KEEP = "Keep the state directory as it is, and compare it with a backup"


@dataclass(slots=True)
class Checked:
    """What was looked at, and what does not hold of it."""

    jobs: int = 0
    events: int = 0
    findings: list[Finding] = field(default_factory=list)


def event_of(row: Sequence[Json]) -> Event:
    """The event of a row that begins with job, n, epoch, kind, step, data, at."""
    job, n, epoch, kind, step, data, at = row[:7]
    return Event(job, n, epoch, EventKind(kind), at, step, json.loads(data))


def row_hash(previous: str, row: Sequence[Json]) -> str:
    """Link of the chain: SHA-256 over the hash before it and the event's columns as canonical JSON.

    Of the row and not of the `Event`, so that a row that is no event any more can be checked too.
    """
    job, n, epoch, kind, step, data, at = row[:7]
    head = dump([job, n, epoch, kind, step, at])
    return sha256(f"{previous}\n{head}\n{data}".encode()).hexdigest()


def archived_hash(previous: str, row: Sequence[Json]) -> str:
    """Link of the chain of what was archived; the row begins with the columns of the table."""
    return sha256(f"{previous}\n{dump(list(row[:7]))}".encode()).hexdigest()


class Chain:
    """The events of one job, one after the other. A row has the columns of `COLUMNS`."""

    def __init__(self, job: str) -> None:
        self.job = job
        self.n = 0
        self.hash = ""
        self.epoch = 0

    def broken_by(self, row: Row) -> Finding | None:
        """What the next row does to the chain; None where it follows from the one before it."""
        n, epoch, prev, digest = row[1], row[2], row[7], row[8]
        found = None
        if n != self.n + 1:
            found = self._finding("journal-gap", f"event {self.n + 1} is missing")
        elif prev != self.hash or digest != row_hash(prev, row):
            found = self._finding(
                "journal-chain-broken", f"event {n} was changed after it was written"
            )
        elif 0 < epoch < self.epoch:
            found = self._finding(
                "journal-epoch-back",
                f"event {n} was written under lease {epoch} after lease {self.epoch} had begun",
            )
        self.n, self.hash, self.epoch = n, digest, max(self.epoch, epoch)
        return found

    def _finding(self, id: str, message: str) -> Finding:
        return Finding(id, Severity.ERROR, message, subject=self.job, remedy=_KEEP)


def check(database: sqlite3.Connection, subject: str) -> Checked:
    """Look at everything, inside the caller's transaction; ``subject`` names the whole journal."""
    seen = Checked()
    for (said,) in database.execute("PRAGMA integrity_check(5)").fetchall():
        if said != "ok":
            message = f"the database is damaged ({said})"
            seen.findings.append(
                Finding("journal-damaged", Severity.ERROR, message, subject, _KEEP)
            )
    seen.findings += _unguarded(database, subject)
    seen.findings += _archived(database)
    with_events: set[str] = set()
    anew = sqlite3.connect(":memory:", isolation_level=None)
    try:
        for statement in schema.PROJECTIONS:
            anew.execute(statement)
        for job, rows in _by_job(database):
            with_events.add(job)
            seen.findings += _check_job(database, anew, job, rows, seen)
    finally:
        anew.close()
    seen.jobs = len(with_events)
    for table in (*schema.PROJECTION_TABLES, "lease"):
        for (job,) in database.execute(f"SELECT DISTINCT {_key(table)} FROM {table}").fetchall():  # noqa: S608
            if job not in with_events:
                seen.findings.append(_differs(job, table, "knows the job, and no event does"))
    return seen


def _by_job(database: sqlite3.Connection) -> Iterator[tuple[str, Iterator[Row]]]:
    """Each job with its rows, read while they are taken."""
    jobs = [job for (job,) in database.execute("SELECT DISTINCT job FROM event ORDER BY job")]
    for job in jobs:
        of_job = f"SELECT {COLUMNS} FROM event WHERE job = ? ORDER BY n"  # noqa: S608
        yield job, database.execute(of_job, (job,))


def _check_job(
    database: sqlite3.Connection,
    anew: sqlite3.Connection,
    job: str,
    rows: Iterator[Row],
    seen: Checked,
) -> list[Finding]:
    chain = Chain(job)
    findings: list[Finding] = []
    owner: tuple[int, str] | None = None
    anew.execute("BEGIN")
    try:
        for row in rows:
            seen.events += 1
            found = chain.broken_by(row)
            if found and found.id != "journal-epoch-back":
                return [found]  # what follows says nothing any more
            if found and not findings:
                findings.append(found)
            try:
                event = event_of(row)
                projection.apply(anew, event)
                if event.kind is EventKind.CLAIMED:
                    owner = (event.epoch, str(event.data["worker"]))
            except (ValueError, KeyError, TypeError, AttributeError, sqlite3.Error):
                message = f"event {row[1]} is none that this version understands"
                findings.append(
                    Finding("journal-event-unknown", Severity.ERROR, message, job, _KEEP)
                )
                return findings
        stored = database.execute("SELECT last FROM job WHERE id = ?", (job,)).fetchone()
        if stored and stored[0] > chain.n:
            message = f"events are missing at the end: there were {stored[0]}, and are {chain.n}"
            return [Finding("journal-cut-off", Severity.ERROR, message, job, _KEEP)]
        for table in schema.PROJECTION_TABLES:
            if _rows_of(anew, table, job) != _rows_of(database, table, job):
                findings.append(_differs(job, table, "is not what the events say"))
    finally:
        anew.execute("ROLLBACK")
    leases = database.execute("SELECT epoch, owner FROM lease WHERE job = ?", (job,)).fetchall()
    if leases != ([owner] if owner else []):
        message = "the lease is not that of the last claim"
        findings.append(Finding("journal-lease-differs", Severity.ERROR, message, job, _REBUILD))
    return findings


def _key(table: str) -> str:
    return "id" if table == "job" else "job"


def _rows_of(database: sqlite3.Connection, table: str, job: str) -> list[Row]:
    """The job's rows of a projection, in an order of their own."""
    select = f"SELECT * FROM {table} WHERE {_key(table)} = ?"  # noqa: S608
    return sorted(database.execute(select, (job,)).fetchall(), key=repr)


def _differs(job: str, table: str, how: str) -> Finding:
    return Finding(
        "journal-projection-differs", Severity.ERROR, f"the table '{table}' {how}", job, _REBUILD
    )


def _archived(database: sqlite3.Connection) -> list[Finding]:
    """What does not hold of the list of archived jobs."""
    findings: list[Finding] = []
    last: tuple[int, str] = (0, "")
    for row in database.execute("SELECT * FROM archived ORDER BY n").fetchall():
        n, job, prev, digest = row[0], row[1], row[7], row[8]
        if n != last[0] + 1 or prev != last[1] or digest != archived_hash(prev, row):
            message = f"entry {n} of the archived jobs was changed, or one before it is missing"
            return [Finding("journal-archive-broken", Severity.ERROR, message, job, _KEEP)]
        if database.execute("SELECT 1 FROM event WHERE job = ? LIMIT 1", (job,)).fetchone():
            message = "it is archived, and events of it are in the journal"
            findings.append(Finding("journal-archived-twice", Severity.ERROR, message, job, _KEEP))
        last = (n, digest)
    return findings


def _unguarded(database: sqlite3.Connection, subject: str) -> list[Finding]:
    """Guards that are missing or say something else."""
    there = dict(
        database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    )
    return [
        Finding(
            "journal-unguarded",
            Severity.ERROR,
            f"the guard '{each.name}' was taken away: the table '{each.table}' could be changed",
            subject,
            _REBUILD,
        )
        for each in schema.GUARDS
        if there.get(each.name) != each.sqlite()
    ]
