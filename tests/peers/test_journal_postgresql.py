"""The journal's tables on a real PostgreSQL: guards, fencing, numbers, and the same projections."""

import threading
from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest

from kensho_tui.engine import checking, postgresql, projection, schema
from kensho_tui.engine.events import Event, EventKind, JobState
from kensho_tui.engine.journal import Journal, append_to, fence, take_lease
from kensho_tui.errors import KenshoError
from kensho_tui.migration.context import FencedError
from tests.unit.engine.given import PLAN

from .postgresql import programs, server

AT = "2026-03-01T12:00:00.000Z"
WRITES = 40

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(
        programs() is None, reason="PostgreSQL is missing: apt-get install postgresql"
    ),
]


@pytest.fixture(scope="module")
def where() -> Iterator[str]:
    """A server."""
    found = programs()
    assert found
    with server(found) as made:
        yield made


class Database:
    """PostgreSQL for the engine's own statements: what `sqlite3.Connection` is to it elsewhere."""

    def __init__(self, connection: "psycopg.Connection[Any]") -> None:
        self._connection = connection

    def execute(self, sql: str, values: Sequence[Any] = ()) -> "psycopg.Cursor[Any]":
        plain = [each.value if isinstance(each, Enum) else each for each in values]
        return self._connection.execute(postgresql.statement(sql).encode(), plain)


@pytest.fixture
def made(where: str) -> Iterator[str]:
    """An empty database with the journal's tables; what to connect with."""
    with psycopg.connect(where, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS journal WITH (FORCE)")
        connection.execute("CREATE DATABASE journal")
    journal = where.replace("dbname=postgres", "dbname=journal")
    with psycopg.connect(journal) as connection:
        for statement in postgresql.definition():
            connection.execute(statement.encode())
    yield journal


def write(connection: "psycopg.Connection[Any]", event: Event, *, fenced: bool = True) -> Event:
    """As `Journal.append` does it."""
    database = cast(Any, Database(connection))
    with connection.transaction():
        if fenced:
            fence(database, event.job, event.epoch)
        return append_to(database, event)


def claim(connection: "psycopg.Connection[Any]", job: str) -> int:
    """As `Journal.claim` does it."""
    database = cast(Any, Database(connection))
    with connection.transaction():
        epoch = take_lease(database, job, "w", AT)
        data = {"worker": "w", "attempt": epoch}
        append_to(database, Event(job, 0, epoch, EventKind.CLAIMED, AT, data=data))
    return epoch


def submitted(job: str) -> Event:
    return Event(job, 0, 0, EventKind.SUBMITTED, AT, data={"plan": PLAN, "plan_digest": ""})


def note(job: str, epoch: int, text: str = "") -> Event:
    data = {"message": text, "level": "info", "machine": ""}
    return Event(job, 0, epoch, EventKind.NOTE, AT, data=data)


def chain(connection: "psycopg.Connection[Any]", job: str) -> list[tuple[Any, ...]]:
    """The job's events, after a look at their chain."""
    rows = connection.execute(
        f"SELECT {checking.COLUMNS} FROM event WHERE job = %s ORDER BY n", (job,)
    ).fetchall()
    link = checking.Chain(job)
    assert [link.broken_by(row) for row in rows] == [None] * len(rows)
    return rows


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE event SET data = '{}'",
        "DELETE FROM event",
        "TRUNCATE event",
        "TRUNCATE archived",
        "INSERT INTO archived VALUES (1, 'a', 1, 'no such hash', '', '', '', '', '')",
    ],
)
def test_the_truth_cannot_be_changed(made: str, statement: str) -> None:
    with psycopg.connect(made, autocommit=True) as connection:
        write(connection, submitted("a"), fenced=False)
        with pytest.raises(psycopg.errors.RaiseException, match=r"append-only|not those"):
            connection.execute(statement.encode())
        assert len(chain(connection, "a")) == 1


def test_only_a_whole_job_that_is_archived_can_be_taken_out(made: str) -> None:
    with psycopg.connect(made, autocommit=True) as connection:
        for job in ("a", "b"):
            write(connection, submitted(job), fenced=False)
        ((head,),) = connection.execute("SELECT hash FROM event WHERE job = 'a'").fetchall()
        connection.execute(
            "INSERT INTO archived VALUES (1, 'a', 1, %s, 'file', '', '', '', '')", (head,)
        )
        with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
            connection.execute("DELETE FROM event")
        connection.execute("DELETE FROM event WHERE job = 'a'")
        assert chain(connection, "a") == []
        assert len(chain(connection, "b")) == 1
        with pytest.raises(psycopg.errors.RaiseException, match="is archived"):
            write(connection, submitted("a"), fenced=False)
        for statement in ("DELETE FROM archived", "UPDATE archived SET file = ''"):
            with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
                connection.execute(statement.encode())


def test_writers_side_by_side_share_one_row_of_numbers(made: str) -> None:
    with psycopg.connect(made, autocommit=True) as connection:
        write(connection, submitted("a"), fenced=False)
        epoch = claim(connection, "a")
        failed: list[Exception] = []
        start = threading.Barrier(2)

        def append() -> None:
            try:
                with psycopg.connect(made, autocommit=True) as own:
                    start.wait(30)
                    for number in range(WRITES):
                        write(own, note("a", epoch, str(number)))
            except (psycopg.Error, KenshoError) as error:
                failed.append(error)

        threads = [threading.Thread(target=append) for _ in range(2)]
        for each in threads:
            each.start()
        for each in threads:
            each.join(60)
        assert failed == []
        assert [row[1] for row in chain(connection, "a")] == list(range(1, 2 + 2 * WRITES + 1))


def test_a_claim_fences_the_writer_before_it_while_both_write(made: str) -> None:
    with psycopg.connect(made, autocommit=True) as connection:
        write(connection, submitted("a"), fenced=False)
        old = claim(connection, "a")
        under_way, refused = threading.Event(), threading.Event()

        def append() -> None:
            with psycopg.connect(made, autocommit=True) as own:
                try:
                    while True:
                        write(own, note("a", old))
                        under_way.set()
                except FencedError:
                    refused.set()

        zombie = threading.Thread(target=append, daemon=True)
        zombie.start()
        assert under_way.wait(30)
        new = claim(connection, "a")
        write(connection, note("a", new))
        assert refused.wait(30)
        zombie.join(30)
        epochs = [row[2] for row in chain(connection, "a")]
        assert new == old + 1
        assert epochs == sorted(epochs), "nothing of the old one came after the new one's claim"


def test_the_same_events_make_the_same_projections(made: str, tmp_path: Path) -> None:
    """What the engine journals in SQLite, an event of each kind, applied by the same code."""
    undo = {"action": "remove", "data": {"key": "k"}}
    begun = {"title": "Make a", "machine": "m", "disk": "d", "undo": undo}
    with Journal(tmp_path / "state" / "journal.db") as one:
        job = one.submit(PLAN)
        lease = one.claim(job, "w:1")
        one.append(lease, EventKind.STEP_BEGUN, "a", begun)
        one.append(lease, EventKind.STEP_BEGUN, "a", begun)
        one.append(lease, EventKind.RESUME_POINT, "a", {"token": {"at": 1}})
        one.append(lease, EventKind.STEP_DONE, "a", {"result": {"größe": "%s?"}})
        one.append(lease, EventKind.STEP_BEGUN, "b", begun)
        error = {"what": "w", "subject": "s", "remedy": "r"}
        one.append(lease, EventKind.STEP_FAILED, "b", {"error": error})
        one.append(lease, EventKind.NOTE, data={"message": "m", "level": "info", "machine": ""})
        one.ask(lease, {"id": "q", "text": "?"})
        one.answer(job, "q", "yes", by="me")
        one.append(lease, EventKind.SETTLED, "a")
        left = {"action": "remove", "leftovers": [{"name": "n"}]}
        one.append(lease, EventKind.UNDONE, "b", left)
        one.append(lease, EventKind.LIMITED, data={"limit": 1 << 40, "by": "me"})
        one.append(lease, EventKind.PRIORITIZED, data={"priority": -7, "by": "me"})
        one.set_state(job, JobState.NEEDS_ATTENTION, lease=lease, error=error, result={"a": 1})
        one.reopen(job, by="me")
        rows = one.rows(checking.EVENTS)
        stored = {
            table: sorted(one.rows(f"SELECT * FROM {table}"), key=repr)
            for table in schema.PROJECTION_TABLES
        }
    with psycopg.connect(made) as connection:
        database = cast(Any, Database(connection))
        for row in rows:
            projection.apply(database, checking.event_of(row))
        for table in schema.PROJECTION_TABLES:
            found = connection.execute(f"SELECT * FROM {table}".encode()).fetchall()
            assert sorted(found, key=repr) == stored[table], table
