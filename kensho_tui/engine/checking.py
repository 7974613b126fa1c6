"""Whether a journal is what was written: the chain of hashes, and projections equal to events."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from hashlib import sha256

from kensho_tui.engine import projection, schema
from kensho_tui.engine.events import Event, EventKind, Json
from kensho_tui.engine.projection import dump
from kensho_tui.findings import Finding, Severity

Rows = list[tuple[Json, ...]]

_TABLES = {table: f"SELECT * FROM {table}" for table in schema.PROJECTION_TABLES}  # noqa: S608


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


def projections(database: sqlite3.Connection) -> dict[str, Rows]:
    """All rows of all projections, in an order of their own."""
    return {
        table: sorted(database.execute(select).fetchall(), key=repr)
        for table, select in _TABLES.items()
    }


def findings(rows: Rows, stored: Mapping[str, Rows], subject: str) -> list[Finding]:
    """What does not hold of the events (all columns, by job and n) and the projections beside them."""
    broken = _broken_chains(rows)
    if broken:
        return [
            Finding(
                "journal-chain-broken",
                Severity.ERROR,
                f"event {n} was changed or removed after it was written",
                subject=job,
            )
            for job, n in broken.items()
        ]
    anew = sqlite3.connect(":memory:", isolation_level=None)
    try:
        for statement in schema.PROJECTIONS:
            anew.execute(statement)
        for row in rows:
            projection.apply(anew, event_of(row))
        wanted = projections(anew)
    finally:
        anew.close()
    return [
        Finding(
            "journal-projection-differs",
            Severity.ERROR,
            f"the table '{table}' is not what the events say",
            subject=subject,
            remedy="Rebuild it from the events",
        )
        for table in schema.PROJECTION_TABLES
        if wanted[table] != stored[table]
    ]


def _broken_chains(rows: Rows) -> dict[str, int]:
    """Job → number of the first event that does not follow from the one before it."""
    broken: dict[str, int] = {}
    last: dict[str, tuple[int, str]] = {}
    for row in rows:
        job, n, prev, digest = row[0], row[1], row[7], row[8]
        before = last.get(job, (0, ""))
        if job not in broken and (
            n != before[0] + 1 or prev != before[1] or digest != row_hash(prev, row)
        ):
            broken[job] = n
        last[job] = (n, digest)
    return broken
