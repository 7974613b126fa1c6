"""The journal: what happened to every job, in order, and the only truth about it.

Append-only events, numbered per job inside the transaction that writes them, under the lease epoch
of the job, chained by SHA-256. Projections change in the same transaction.
"""

import contextlib
import functools
import json
import os
import secrets
import sqlite3
import threading
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Concatenate, ParamSpec, TypeVar

from kensho_tui.engine import checking, projection, schema
from kensho_tui.engine.ballast import is_full
from kensho_tui.engine.checking import Checked, event_of
from kensho_tui.engine.events import Event, EventKind, JobState, Json, Reason
from kensho_tui.engine.projection import dump
from kensho_tui.errors import KenshoError
from kensho_tui.findings import Finding
from kensho_tui.migration.context import FencedError
from kensho_tui.migration.units import size
from kensho_tui.paths import SharedDirError, private_dir

P = ParamSpec("P")
T = TypeVar("T")

# How long a writer waits for another one; transactions take milliseconds.
BUSY_TIMEOUT_MS = 10_000

# SQLite's write-ahead log needs shared memory, which these do not give.
_NETWORK_FILE_SYSTEMS = frozenset(
    {"9p", "afs", "afpfs", "beegfs", "ceph", "cifs", "coda", "davfs", "gfs2", "glusterfs", "gpfs"}
    | {"fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs", "lustre", "ncpfs", "nfs"}
    | {"nfs4", "ocfs2", "orangefs", "pvfs2", "smb3", "smbfs"}
)


class JournalError(KenshoError):
    """The journal cannot be opened, read or written."""


class StateDiskFullError(JournalError):
    """The file system of the state directory is full; nothing of what was to be written is."""


def state_disk_full(directory: Path, needed: int = 0) -> StateDiskFullError:
    """The error for a full disk, in the same words wherever it is met.

    Args: needed: bytes that have to be free there, where that is known.
    """
    much = f" ({size(needed)} have to be free)" if needed else ""
    return StateDiskFullError(
        "the state disk is full",
        subject=str(directory),
        remedy=f"Make room there{much}, then start the job again",
    )


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write a job's journal. ``attempt`` counts the workers the job has had, from 1."""

    job: str
    epoch: int
    attempt: int


def utc_now() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)


def stamp(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds and Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def file_system_of(path: Path, mounts: str | None = None) -> str:
    """Type of the file system the path stands on; empty where the system does not tell.

    ``mounts`` is the text of ``/proc/self/mounts``, read here when None.
    """
    if mounts is None:
        try:
            mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
    whole, best = path.resolve(), ("", "")
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = fields[1].replace("\\040", " ")
        if whole.is_relative_to(point) and len(point) >= len(best[0]):
            best = (point, fields[2])
    return best[1]


def _kept(write: Callable[Concatenate["Journal", P], T]) -> Callable[Concatenate["Journal", P], T]:
    """What must be written even on a full disk: tried again when ``on_full`` has made room."""

    @functools.wraps(write)
    def written(self: "Journal", /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return write(self, *args, **kwargs)
        except StateDiskFullError:
            if not self.on_full():
                raise
            return write(self, *args, **kwargs)

    return written


FENCE = "SELECT epoch FROM lease WHERE job = ?"


def fence(database: sqlite3.Connection, job: str, epoch: int) -> None:
    """Refuse a writer whose lease has passed to another, inside the caller's transaction."""
    row = database.execute(FENCE, (job,)).fetchone()
    if row is None or row[0] != epoch:
        raise FencedError("another worker has taken the job over", subject=job)


def take_lease(database: sqlite3.Connection, job: str, owner: str, at: str) -> int:
    """Give the job to the owner, inside the caller's transaction; the new epoch, from 1."""
    database.execute(
        "INSERT INTO lease VALUES (?,1,?,?) ON CONFLICT (job) DO UPDATE SET"
        " epoch = lease.epoch + 1, owner = excluded.owner, at = excluded.at",
        (job, owner, at),
    )
    (epoch,) = database.execute(FENCE, (job,)).fetchone()
    return int(epoch)


def append_to(database: sqlite3.Connection, event: Event) -> Event:
    """Append the event under the job's next number, inside the caller's transaction; as it is then."""
    last = database.execute(
        "SELECT n, hash FROM event WHERE job = ? ORDER BY n DESC LIMIT 1", (event.job,)
    ).fetchone() or (0, "")
    event = replace(event, n=last[0] + 1)
    row = (
        event.job, event.n, event.epoch, event.kind, event.step, dump(event.data), event.at,
    )  # fmt: skip
    database.execute(
        "INSERT INTO event VALUES (?,?,?,?,?,?,?,?,?)",
        (*row, last[1], checking.row_hash(last[1], row)),
    )
    projection.apply(database, event)
    return event


class Journal:
    """One connection to the journal. Thread-safe; other threads and processes may open their own.

    Every writing method is on disk when it returns (WAL, ``synchronous=FULL``). It raises
    `StateDiskFullError` where the disk is full, and has then written nothing.

    Attributes:
        on_full: called when a full disk keeps something from being written that must be; whether
            it has made room.
    """

    def __init__(self, path: Path, *, now: Callable[[], datetime] = utc_now) -> None:
        """Open the journal, made private to its owner where it is absent.

        Raises: JournalError: its directory is not this user's alone or is on a network file system,
            or it is damaged, is no journal of ours, or was written by a newer Kensho.
        """
        self.path = path
        self.on_full: Callable[[], bool] = lambda: False
        self._now = now
        self._lock = threading.RLock()
        try:
            with self._errors():
                private_dir(path.parent, "KENSHO_STATE_DIR")
        except SharedDirError as error:
            raise JournalError(error.what, subject=error.subject, remedy=error.remedy) from error
        kind = file_system_of(path.parent)
        if kind in _NETWORK_FILE_SYSTEMS:
            raise JournalError(
                f"the state directory is on a network file system ({kind}), which cannot hold "
                "the journal",
                subject=str(path.parent),
                remedy="Set KENSHO_STATE_DIR to a directory on a local disk",
            )
        # SQLite would make it with the umask's mode; its -wal and -shm files take over this one.
        # Never opened by us where it exists: closing any descriptor of a file drops all locks that
        # this process holds on it, those of other connections to the same journal included.
        with self._errors(), contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        with self._errors():
            path.chmod(0o600)
            self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            with self._errors():
                self._prepare()
        except BaseException:
            self._database.close()
            raise

    def _prepare(self) -> None:
        self._database.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        (application,) = self._database.execute("PRAGMA application_id").fetchone()
        (tables,) = self._database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and application != schema.APPLICATION_ID:
            raise JournalError("the file is no journal of Kensho's", subject=str(self.path))
        if version > len(schema.MIGRATIONS):
            raise JournalError(
                f"the journal was written by a newer Kensho (format {version})",
                subject=str(self.path),
                remedy="Use that version, or another state directory",
            )
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        if version < len(schema.MIGRATIONS):
            schema.migrate(self._database, _replay)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            if is_full(error, self.path.parent):
                raise state_disk_full(self.path.parent) from error
            raise JournalError(
                f"the journal cannot be used ({error})",
                subject=str(self.path),
                remedy="Look whether the disk is full and the directory is yours",
            ) from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._errors():
            # Immediate: the number that is given below must still be the next one at commit.
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    def _write(
        self, job: str, epoch: int, kind: EventKind, step: str = "", data: Json = None
    ) -> Event:
        at = stamp(self._now())
        return append_to(self._database, Event(job, 0, epoch, kind, at, step, data or {}))

    def _fence(self, job: str, epoch: int) -> None:
        fence(self._database, job, epoch)

    # ------------------------------------------------------------------------------------ writing
    def submit(self, plan: Mapping[str, Json], *, by: str = "") -> str:
        """Journal a new job, queued; its id is made of the plan's name and is easy to type.

        ``by``: who submits it.
        """
        with self._writing() as database:
            return self._submit(database, plan, by)

    def _submit(self, database: sqlite3.Connection, plan: Mapping[str, Json], by: str) -> str:
        name = str(plan.get("metadata", {}).get("name", ""))
        digest = sha256(dump(dict(plan)).encode()).hexdigest()
        body = {"plan": dict(plan), "plan_digest": digest, "by": by}
        while True:
            job = f"{slug(name)}-{secrets.token_hex(2)}"
            taken = "SELECT id FROM job WHERE id = ? UNION SELECT job FROM archived WHERE job = ?"
            if not database.execute(taken, (job, job)).fetchone():
                break
        self._write(job, 0, EventKind.SUBMITTED, data=body)
        return job

    def retry(self, job: str, *, by: str = "") -> str:
        """Journal a new job of the same plan as this one, which has failed or was cancelled.

        Raises: JournalError: it has not ended so, or is being done again already.
        """
        with self._writing() as database:
            row = self._row(database, job)
            if row[0] == JobState.NEEDS_ATTENTION:
                raise JournalError(
                    "something of it is left over",
                    subject=job,
                    remedy=f"Clean up first: kensho job cleanup {job}",
                )
            if row[0] not in {JobState.FAILED, JobState.CANCELLED}:
                raise JournalError(
                    f"only a job that failed or was cancelled is done again; it is {row[0]}",
                    subject=job,
                )
            for other, state in database.execute(
                "SELECT id, state FROM job WHERE retry_of = ?", (job,)
            ):
                if not JobState(state).ended:
                    raise JournalError(f"it is being done again already, as {other}", subject=job)
            plan = json.loads(row[1])
            plan["metadata"] = {**plan.get("metadata", {}), "retry_of": job}
            return self._submit(database, plan, by)

    def reopen(self, job: str, *, by: str = "") -> None:
        """Put what the job left over back to be taken back, and the job to be gone on with.

        Raises: JournalError: nothing of it is left over.
        """
        with self._writing() as database:
            row = self._row(database, job)
            # Of a success it may have been left on purpose.
            kept = row[0] == JobState.SUCCEEDED and row[2] != "[]"
            if row[0] != JobState.NEEDS_ATTENTION and not kept:
                state = str(row[0]).replace("_", " ")
                raise JournalError(f"there is nothing to clean up: it is {state}", subject=job)
            self._write(job, 0, EventKind.REOPENED, data={"by": by})

    def _row(self, database: sqlite3.Connection, job: str) -> tuple[str, str, str]:
        """State, plan and leftovers of a job."""
        row = database.execute(
            "SELECT state, plan, leftovers FROM job WHERE id = ?", (job,)
        ).fetchone()
        if row is None:
            raise JournalError("there is no such job", subject=job)
        return str(row[0]), str(row[1]), str(row[2])

    def claim(self, job: str, owner: str, why: str = "") -> Lease:
        """Take the job: from now on every write under an earlier epoch is refused.

        ``why``: what became of the worker before, in words, where that is known.

        Raises: JournalError: there is no such job, or it has ended.
        """
        with self._writing() as database:
            row = database.execute("SELECT state FROM job WHERE id = ?", (job,)).fetchone()
            if row is None or JobState(row[0]).ended:
                raise JournalError("there is no such job that could go on", subject=job)
            epoch = take_lease(database, job, owner, stamp(self._now()))
            data: dict[str, Json] = {"worker": owner, "attempt": epoch}
            if why and epoch > 1:
                data["why"] = why
            self._write(job, epoch, EventKind.CLAIMED, data=data)
        return Lease(job, epoch, epoch)

    @_kept
    def append(
        self, lease: Lease, kind: EventKind, step: str = "", data: dict[str, Json] | None = None
    ) -> Event:
        """Append an event under the lease. Raises `FencedError` when the lease has passed on."""
        with self._writing():
            self._fence(lease.job, lease.epoch)
            return self._write(lease.job, lease.epoch, kind, step, data)

    @_kept
    def set_state(
        self, /, job: str, state: JobState, *, lease: Lease | None = None, **data: Json
    ) -> bool:
        """Journal the job's state; false when it has ended already and nothing was written.

        Without a lease it is the supervisor who speaks.
        """
        with self._writing() as database:
            if lease:
                self._fence(job, lease.epoch)
            row = database.execute("SELECT state FROM job WHERE id = ?", (job,)).fetchone()
            if row is None or JobState(row[0]).ended:
                return False
            body = {"state": state, **data}
            self._write(job, lease.epoch if lease else 0, EventKind.STATE, data=body)
            return True

    @_kept
    def ask(self, lease: Lease, question: dict[str, Json]) -> bool:
        """Open the question; false when it stands open from an earlier attempt. The job waits."""
        with self._writing() as database:
            self._fence(lease.job, lease.epoch)
            found = self.answer_to(lease.job, question["id"])
            fresh = found is None or found[0] != "open"
            if fresh:
                self._write(lease.job, lease.epoch, EventKind.QUESTION, data=question)
            self._waiting(database, lease.job, lease.epoch)
            return fresh

    @_kept
    def answer(
        self, job: str, question: str, value: str | None, *, by: str, lease: Lease | None = None
    ) -> bool:
        """Journal the answer; false when the question is not open (any more).

        The value of a secret is given as None. The job runs on when nothing else is open.
        """
        with self._writing() as database:
            if lease:
                self._fence(job, lease.epoch)
            found = self.answer_to(job, question)
            if found is None or found[0] != "open":
                return False
            epoch = lease.epoch if lease else 0
            data = {"question": question, "value": value, "by": by}
            self._write(job, epoch, EventKind.ANSWER, data=data)
            self._waiting(database, job, epoch)
            return True

    def pause(
        self, job: str, reason: Reason, by: str = "", until: str = "", *, lease: Lease | None = None
    ) -> bool:
        """Journal that the job is paused; false when nothing was written, because it is so already,
        is paused by the operator, is being cancelled, or has ended.
        """
        with self._writing() as database:
            if lease:
                self._fence(job, lease.epoch)
            state, before = self._standing(database, job)
            if state.ended or state is JobState.CANCELLING:
                return False
            if state is JobState.PAUSED and before in {reason, Reason.OPERATOR}:
                return False
            body = {"state": JobState.PAUSED, "reason": reason, "by": by, "until": until}
            self._write(job, lease.epoch if lease else 0, EventKind.STATE, data=body)
            return True

    def go_on(
        self,
        job: str,
        reasons: Collection[Reason],
        *,
        by: str = "",
        queued: bool = False,
        lease: Lease | None = None,
    ) -> bool:
        """Journal that the job runs, or waits, again; false when it is not paused for one of these.

        ``queued``: no worker has it, so that it waits for one.
        """
        with self._writing() as database:
            if lease:
                self._fence(job, lease.epoch)
            state, before = self._standing(database, job)
            if state not in {JobState.PAUSED, JobState.SCHEDULED} or before not in reasons:
                return False
            state = JobState.QUEUED if queued else self._unpaused(database, job)
            epoch = lease.epoch if lease else 0
            self._write(job, epoch, EventKind.STATE, data={"state": state, "by": by})
            return True

    def schedule(self, job: str, reason: Reason, until: str) -> bool:
        """Journal that a job that has not begun waits for its time; false where it is not queued."""
        with self._writing() as database:
            if self._standing(database, job)[0] is not JobState.QUEUED:
                return False
            body = {"state": JobState.SCHEDULED, "reason": reason, "until": until}
            self._write(job, 0, EventKind.STATE, data=body)
            return True

    def steer(self, job: str, kind: EventKind, data: dict[str, Json]) -> bool:
        """Journal LIMITED, PRIORITIZED or a NOTE; false when the job has ended and nothing was written."""
        with self._writing() as database:
            if self._standing(database, job)[0].ended:
                return False
            self._write(job, 0, kind, data=data)
            return True

    def _standing(self, database: sqlite3.Connection, job: str) -> tuple[JobState, str]:
        """The job's state, and why it is in it."""
        state, reason = database.execute(
            "SELECT state, reason FROM job WHERE id = ?", (job,)
        ).fetchone()
        return JobState(state), reason

    def _unpaused(self, database: sqlite3.Connection, job: str) -> JobState:
        open_questions = database.execute(
            "SELECT 1 FROM question WHERE job = ? AND state = 'open' LIMIT 1", (job,)
        ).fetchone()
        return JobState.WAITING if open_questions else JobState.RUNNING

    def _waiting(self, database: sqlite3.Connection, job: str, epoch: int) -> None:
        """Journal that the job waits or runs, by whether a question is open, where that changed."""
        (state,) = database.execute("SELECT state FROM job WHERE id = ?", (job,)).fetchone()
        wanted = self._unpaused(database, job)
        if state != wanted and state in {JobState.RUNNING, JobState.WAITING}:
            self._write(job, epoch, EventKind.STATE, data={"state": wanted})

    def forget(self, job: str, events: int, head: str, file: Path, digest: str) -> None:
        """Take a whole job out, which that file holds; see `kensho_tui.engine.archive`.

        Args:
            events, head: number of its events and hash of the last one, as they are in the file.
            digest: SHA-256 of the file.

        Raises: JournalError: something has happened to the job since, or it has not ended.
        """
        with self._writing() as database:
            row = database.execute("SELECT state FROM job WHERE id = ?", (job,)).fetchone()
            last = database.execute(
                "SELECT n, hash FROM event WHERE job = ? ORDER BY n DESC LIMIT 1", (job,)
            ).fetchone()
            if row is None or not JobState(row[0]).ended or last != (events, head):
                raise JournalError("it has gone on meanwhile", subject=job)
            before = database.execute(
                "SELECT n, hash FROM archived ORDER BY n DESC LIMIT 1"
            ).fetchone() or (0, "")
            entry = (before[0] + 1, job, events, head, str(file), digest, stamp(self._now()))
            database.execute(
                "INSERT INTO archived VALUES (?,?,?,?,?,?,?,?,?)",
                (*entry, before[1], checking.archived_hash(before[1], entry)),
            )
            for table in ("event", "lease", "step", "question", "undo"):
                database.execute(f"DELETE FROM {table} WHERE job = ?", (job,))  # noqa: S608
            database.execute("DELETE FROM job WHERE id = ?", (job,))

    # ------------------------------------------------------------------------------------ reading
    def rows(self, sql: str, values: Sequence[Json] = ()) -> list[tuple[Json, ...]]:
        """Rows of a query over the tables of `kensho_tui.engine.schema`."""
        with self._lock, self._errors():
            return self._database.execute(sql, values).fetchall()

    def events(self, job: str, after: int = 0, limit: int = -1) -> list[Event]:
        """The job's events from number ``after`` + 1 on, at most ``limit`` of them."""
        return [
            event_of(row)
            for row in self.rows(
                "SELECT job, n, epoch, kind, step, data, at FROM event"
                " WHERE job = ? AND n > ? ORDER BY n LIMIT ?",
                (job, after, limit),
            )
        ]

    def heads(self) -> dict[str, int]:
        """Number of the last event of every job, oldest job first."""
        return dict(self.rows("SELECT id, last FROM job ORDER BY created, id"))

    def answer_to(self, job: str, question: str) -> tuple[str, str | None, Json] | None:
        """State (open, answered, void), answer and text of a question; None: never asked."""
        rows = self.rows(
            "SELECT state, answer, asked FROM question WHERE job = ? AND id = ?", (job, question)
        )
        return (rows[0][0], json.loads(rows[0][1]), json.loads(rows[0][2])) if rows else None

    # ----------------------------------------------------------------------------------- checking
    def check(self) -> Checked:
        """Look whether everything holds, in one view of the journal, while others write on.

        Memory is that of the largest job.
        """
        with self._lock, self._errors():
            self._database.execute("BEGIN")
            try:
                return checking.check(self._database, str(self.path))
            finally:
                self._database.execute("ROLLBACK")

    def verify(self) -> list[Finding]:
        """What does not hold: numbers without gaps, the hash chain, projections equal to events."""
        return self.check().findings

    def rebuild(self) -> list[Finding]:
        """Make projections, leases and guards anew from the events; gives what was wrong with them.

        In one transaction, for whose length every other writer waits: see
        `kensho_tui.engine.keeping.quiet`.

        Raises: JournalError: the events themselves do not hold; nothing was changed.
        """
        with self._writing() as database:
            found = checking.check(database, str(self.path)).findings
            wrong = [each for each in found if each.id not in checking.REBUILDABLE]
            if wrong:
                raise JournalError(
                    f"the events themselves do not hold ({wrong[0].message})",
                    subject=wrong[0].subject,
                    remedy="Nothing is made of them; keep the state directory as it is",
                )
            schema.guard(database)
            schema.remake(database, _replay)
            database.execute("DELETE FROM lease WHERE job NOT IN (SELECT job FROM event)")
            claims = f"SELECT job, epoch, data, at FROM event WHERE kind = '{EventKind.CLAIMED}'"  # noqa: S608
            for job, epoch, data, at in database.execute(f"{claims} ORDER BY job, n"):
                self._lease_to(database, job, epoch, json.loads(data)["worker"], at)
            return found

    @staticmethod
    def _lease_to(database: sqlite3.Connection, job: str, epoch: int, owner: str, at: str) -> None:
        database.execute(
            "INSERT INTO lease VALUES (?,?,?,?) ON CONFLICT (job) DO UPDATE SET"
            " epoch = excluded.epoch, owner = excluded.owner, at = excluded.at",
            (job, epoch, owner, at),
        )

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._database.close()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _replay(database: sqlite3.Connection) -> None:
    for row in database.execute(checking.EVENTS):
        projection.apply(database, event_of(row))


def slug(name: str) -> str:
    """The name in at most 24 lower-case letters, digits and dashes; ``job`` where nothing is left."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    words = "".join(c if c.isalnum() else " " for c in ascii_name).split()
    return "-".join(words)[:24].strip("-") or "job"
