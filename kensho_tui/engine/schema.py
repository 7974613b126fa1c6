"""The journal's tables. Plain columns and JSON as text, so that PostgreSQL can hold them too: see
`kensho_tui.engine.postgresql`.

``event`` is the truth and only grows, but for whole jobs that ``archived`` says are kept elsewhere.
``lease`` says whose writes count. The other tables are projections: made of events in the
transaction that writes the event, and rebuildable from them.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

# Marks the file as ours ("KNSH"), so that another program's database is not taken for a journal.
APPLICATION_ID = 0x4B4E5348

PROJECTIONS = (
    """
    CREATE TABLE job (
        id TEXT NOT NULL PRIMARY KEY,
        name TEXT NOT NULL,
        state TEXT NOT NULL,
        source TEXT NOT NULL,
        target TEXT NOT NULL,
        machines INTEGER NOT NULL,
        plan TEXT NOT NULL,
        created TEXT NOT NULL,
        updated TEXT NOT NULL,
        last INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        crashes INTEGER NOT NULL,
        error TEXT,
        leftovers TEXT NOT NULL,
        result TEXT NOT NULL,
        batch TEXT NOT NULL,
        retry_of TEXT NOT NULL,
        priority INTEGER NOT NULL,
        rate_limit INTEGER,
        reason TEXT NOT NULL,
        reason_by TEXT NOT NULL,
        until TEXT NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE step (
        job TEXT NOT NULL,
        step TEXT NOT NULL,
        n INTEGER NOT NULL,
        title TEXT NOT NULL,
        machine TEXT NOT NULL,
        disk TEXT NOT NULL,
        state TEXT NOT NULL,
        began TEXT NOT NULL,
        ended TEXT NOT NULL,
        error TEXT,
        result TEXT NOT NULL,
        resume TEXT NOT NULL,
        PRIMARY KEY (job, step)
    ) STRICT
    """,
    """
    CREATE TABLE question (
        job TEXT NOT NULL,
        id TEXT NOT NULL,
        n INTEGER NOT NULL,
        state TEXT NOT NULL,
        asked TEXT NOT NULL,
        answer TEXT NOT NULL,
        answered_by TEXT NOT NULL,
        PRIMARY KEY (job, id)
    ) STRICT
    """,
    """
    CREATE TABLE undo (
        job TEXT NOT NULL,
        step TEXT NOT NULL,
        n INTEGER NOT NULL,
        action TEXT NOT NULL,
        data TEXT NOT NULL,
        state TEXT NOT NULL,
        PRIMARY KEY (job, step)
    ) STRICT
    """,
)

PROJECTION_TABLES = ("job", "step", "question", "undo")

_TRUTH = (
    """
    CREATE TABLE event (
        job TEXT NOT NULL,
        n INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        kind TEXT NOT NULL,
        step TEXT NOT NULL,
        data TEXT NOT NULL,
        at TEXT NOT NULL,
        prev TEXT NOT NULL,
        hash TEXT NOT NULL,
        PRIMARY KEY (job, n)
    ) STRICT
    """,
    """
    CREATE TABLE lease (
        job TEXT NOT NULL PRIMARY KEY,
        epoch INTEGER NOT NULL,
        owner TEXT NOT NULL,
        at TEXT NOT NULL
    ) STRICT
    """,
)


@dataclass(frozen=True, slots=True)
class Guard:
    """A trigger that refuses a change of the truth, whoever asks for it."""

    name: str
    change: str  # INSERT, UPDATE or DELETE
    table: str
    message: str
    unless: str = ""  # a condition on OLD or NEW, of EXISTS alone: that one is never NULL

    def sqlite(self) -> str:
        """The trigger, as SQLite writes it."""
        when = f" WHEN NOT ({self.unless})" if self.unless else ""
        return (
            f"CREATE TRIGGER {self.name} BEFORE {self.change} ON {self.table}{when}"
            f" BEGIN SELECT RAISE(ABORT, '{self.message}'); END"
        )


# Whole jobs that were written to files; see `kensho_tui.engine.archive`.
_ARCHIVED = """
    CREATE TABLE archived (
        n INTEGER NOT NULL PRIMARY KEY,
        job TEXT NOT NULL UNIQUE,
        events INTEGER NOT NULL,
        head TEXT NOT NULL,
        file TEXT NOT NULL,
        digest TEXT NOT NULL,
        at TEXT NOT NULL,
        prev TEXT NOT NULL,
        hash TEXT NOT NULL
    ) STRICT
    """

_APPEND_ONLY = "the journal is append-only"
GUARDS = (
    Guard("event_is_never_changed", "UPDATE", "event", _APPEND_ONLY),
    Guard(
        "event_is_never_deleted",
        "DELETE",
        "event",
        _APPEND_ONLY,
        unless="EXISTS (SELECT 1 FROM archived WHERE archived.job = OLD.job"
        " AND archived.events >= OLD.n)",
    ),
    Guard(
        "event_of_no_archived_job",
        "INSERT",
        "event",
        "the job is archived",
        unless="NOT EXISTS (SELECT 1 FROM archived WHERE archived.job = NEW.job)",
    ),
    Guard("archived_is_never_changed", "UPDATE", "archived", _APPEND_ONLY),
    Guard("archived_is_never_deleted", "DELETE", "archived", _APPEND_ONLY),
    Guard(
        "archived_is_what_was_there",
        "INSERT",
        "archived",
        "the events are not those that were archived",
        unless="EXISTS (SELECT 1 FROM event WHERE event.job = NEW.job AND event.n = NEW.events"
        " AND event.hash = NEW.head) AND NOT EXISTS"
        " (SELECT 1 FROM event WHERE event.job = NEW.job AND event.n > NEW.events)",
    ),
)

# All tables as they are now.
TABLES = (*_TRUTH, _ARCHIVED, *PROJECTIONS)

# A step that only changes projections: they are made anew, as they are now, from the events.
REMAKE: tuple[str, ...] = ()

# Entry i takes a journal from user_version i to i + 1. Only ever appended to.
MIGRATIONS: tuple[tuple[str, ...], ...] = ((*_TRUTH, *PROJECTIONS), REMAKE, REMAKE, (_ARCHIVED,))

Replay = Callable[[sqlite3.Connection], None]


def remake(database: sqlite3.Connection, replay: Replay) -> None:
    """Make the projections anew, inside the caller's transaction; ``replay`` applies all events."""
    for table in PROJECTION_TABLES:
        database.execute(f"DROP TABLE IF EXISTS {table}")
    for statement in PROJECTIONS:
        database.execute(statement)
    replay(database)


def guard(database: sqlite3.Connection) -> None:
    """Put the guards in place as they are now, inside the caller's transaction."""
    for each in GUARDS:
        database.execute(f"DROP TRIGGER IF EXISTS {each.name}")
        database.execute(each.sqlite())


def migrate(database: sqlite3.Connection, replay: Replay) -> None:
    """Bring the database to the newest version, each step in one transaction.

    The caller has checked that it is not newer than that.
    """
    while True:
        database.execute("BEGIN IMMEDIATE")
        try:
            # Read under the lock: another process may have migrated while we waited for it.
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version >= len(MIGRATIONS):
                database.execute("ROLLBACK")
                return
            for statement in MIGRATIONS[version]:
                database.execute(statement)
            if MIGRATIONS[version] is REMAKE:
                remake(database, replay)
            if version + 1 == len(MIGRATIONS):
                guard(database)
            database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            database.execute(f"PRAGMA user_version = {version + 1}")
            database.execute("COMMIT")
        except BaseException:
            if database.in_transaction:
                database.execute("ROLLBACK")
            raise
