"""Whole jobs in files of their own, so that the journal need not grow for ever.

A file is gzipped JSON lines: a head that says which job it is, every event with its hash, the job's
log file, and an end that says how many events there were and the hash of the last. It can be checked
and read without the journal it came from.

A job is taken out of the journal only when its file has been flushed and read back. The database
allows that in one way alone: its guards let go of a job's events when the table ``archived`` has an
entry with the number of these events and the hash of the last one, which they check against the
events themselves, and which can be neither changed nor removed. The entries are a chain too, and hold
the file's digest. So whoever takes events out by this way leaves behind, for good, which job it was,
how much, and what the file must be that holds it; and whoever goes round it must take the guards
away, break a chain or leave a gap. As with the events of a job, only what is cut off at the very end
of a chain, and nowhere else remembered, is not seen: keep the archives where the journal is not.
"""

import contextlib
import gzip
import json
import os
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import file_digest
from pathlib import Path

from kensho_tui import __version__
from kensho_tui.engine import checking, projection, schema
from kensho_tui.engine.checking import Chain, Checked, event_of
from kensho_tui.engine.events import Event, JobState, Json
from kensho_tui.engine.journal import Journal, JournalError, stamp
from kensho_tui.engine.places import FileLock, Places
from kensho_tui.engine.projection import dump
from kensho_tui.errors import KenshoError
from kensho_tui.findings import Finding, Severity

SUFFIX = ".kensho-job.gz"
FORMAT = 1
# A plan is one line; no event is longer.
LINE_LIMIT = 64 << 20
_NAMES = checking.COLUMNS.split(", ")
_DATA = _NAMES.index("data")
# Something of these is left over, and the journal is where it says what.
_NOT_UNNAMED = JobState.NEEDS_ATTENTION


class ArchiveError(KenshoError):
    """A file is no archived job, or cannot be written or read."""


@dataclass(frozen=True, slots=True)
class Archived:
    """A job that was written to a file. ``events``: how many; ``size`` of the file in bytes."""

    job: str
    name: str
    events: int
    file: str
    size: int


def ripe(
    journal: Journal, jobs: Sequence[str], older_than: timedelta | None, keep: int, now: datetime
) -> list[str]:
    """Which jobs are to be archived, oldest first.

    Args:
        jobs: named ones; all that have ended and left nothing over where there are none.
        older_than: since their last event.
        keep: of those, how many stay; the newest.

    Raises: JournalError: a named job is not there, or has not ended.
    """
    ended = {
        job: (JobState(state), updated)
        for job, state, updated in journal.rows("SELECT id, state, updated FROM job")
        if JobState(state).ended
    }
    for job in jobs:
        if job not in ended:
            raise JournalError("there is no such job that has ended", subject=job)
    before = stamp(now - older_than) if older_than else "~"
    found = [
        job
        for job, (state, updated) in sorted(ended.items(), key=lambda each: each[1][1])
        if (job in jobs if jobs else state is not _NOT_UNNAMED) and updated < before
    ]
    return found[: max(0, len(found) - keep)]


def archive(journal: Journal, places: Places, job: str, directory: Path) -> Archived:
    """Write an ended job to a file of that directory, then take it out of the journal.

    A file that an earlier try has left there is taken where it is of the same events. The job's
    lock and log files go too.

    Raises: ArchiveError: the file cannot be written, or another one of its name is there.
        JournalError: the job is still at work, has gone on meanwhile, or its events do not hold.
    """
    file = directory / f"{job}{SUFFIX}"
    with FileLock(places.job_lock(job)) as lock:
        if not lock.take():
            raise JournalError("its worker is still closing up", subject=job, retryable=True)
        rows = journal.rows("SELECT name, state, created, updated FROM job WHERE id = ?", (job,))
        ((events, head),) = journal.rows(
            "SELECT n, hash FROM event WHERE job = ? ORDER BY n DESC LIMIT 1", (job,)
        )
        name, state, created, updated = rows[0]
        first = {
            "kensho": "job", "format": FORMAT, "version": __version__, "job": job, "name": name,
            "state": state, "created": created, "updated": updated,
        }  # fmt: skip
        try:
            if not file.exists():
                _write(journal, places, first, file, (events, head))
            size = file.stat().st_size
            with file.open("rb") as stream:
                digest = file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise ArchiveError(
                f"cannot be written ({error.strerror})", subject=str(file)
            ) from error
        chain, seen = _check(file)
        if seen.findings:
            raise ArchiveError(seen.findings[0].message, subject=str(file))
        if (chain.job, chain.n, chain.hash) != (job, events, head):
            raise ArchiveError(
                "there is another file of that name", subject=str(file), remedy="Move it away"
            )
        journal.forget(job, events, head, file.absolute(), digest)
        for left in (places.job_log(job), places.job_lock(job)):
            left.unlink(missing_ok=True)
    return Archived(job, str(name), events, str(file), size)


def _write(
    journal: Journal, places: Places, first: dict[str, Json], file: Path, end: tuple[int, str]
) -> None:
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as raw:
            # No name and no time inside: the same job gives the same file.
            with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed:
                for line in _lines(journal, places, first, end):
                    packed.write(dump(line).encode("ascii") + b"\n")
            raw.flush()
            os.fsync(raw.fileno())
        os.link(draft, file)  # unlike a rename, it replaces nothing
        folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()


def _lines(
    journal: Journal, places: Places, first: dict[str, Json], end: tuple[int, str]
) -> Iterator[dict[str, Json]]:
    yield first
    last, lines = 0, 0
    while rows := journal.rows(
        f"SELECT {checking.COLUMNS} FROM event WHERE job = ? AND n > ? ORDER BY n LIMIT 500",  # noqa: S608
        (first["job"], last),
    ):
        for row in rows:
            last = row[1]
            yield {**dict(zip(_NAMES, row, strict=True)), "data": json.loads(row[_DATA])}
    with (
        contextlib.suppress(FileNotFoundError),
        places.job_log(first["job"]).open(encoding="utf-8", errors="surrogateescape") as log,
    ):
        for text in log:
            lines += 1
            yield {"log": text.rstrip("\n")}
    yield {"end": {"events": end[0], "head": end[1], "log": lines}}


def _read(file: Path) -> Iterator[dict[str, Json]]:
    """The lines of a file. Raises `ArchiveError` where it is cut off, damaged or something else."""
    try:
        with gzip.open(file, "rb") as stream:
            while line := stream.readline(LINE_LIMIT):
                value = json.loads(line)
                if not isinstance(value, dict):
                    raise ValueError
                yield value
    except OSError as error:
        what = f"cannot be read ({error.strerror or error})"
        raise ArchiveError(what, subject=str(file)) from error
    except (EOFError, zlib.error, ValueError) as error:
        raise ArchiveError("the file is damaged or cut off", subject=str(file)) from error


def _head(lines: Iterator[dict[str, Json]], file: Path) -> dict[str, Json]:
    first = next(lines, {})
    if first.get("kensho") != "job" or not isinstance(first.get("job"), str):
        raise ArchiveError("the file is no archived job", subject=str(file))
    if first.get("format") != FORMAT:
        raise ArchiveError(
            "the file was written by another Kensho", subject=str(file), remedy="Use that version"
        )
    return first


def _row(line: dict[str, Json]) -> tuple[Json, ...]:
    """The event's row, as the journal has it."""
    row = [line.get(name) for name in _NAMES]
    row[_DATA] = dump(row[_DATA])
    return tuple(row)


def check(file: Path) -> Checked:
    """What does not hold of an archived job, by itself alone.

    Raises: ArchiveError: it cannot be read, or is no archived job at all.
    """
    return _check(file)[1]


def _check(file: Path) -> tuple[Chain, Checked]:
    seen = Checked(jobs=1)
    lines = _read(file)
    chain = Chain(_head(lines, file)["job"])
    end: Json = None
    try:
        for line in lines:
            if "end" in line:
                end = line["end"]
            elif "log" not in line:
                seen.events += 1
                found = chain.broken_by(_row(line))
                if line.get("job") != chain.job:
                    found = _finding(chain, "archive-foreign", f"event {chain.n} is another job's")
                if found:
                    seen.findings.append(found)
                    return chain, seen
    except ArchiveError as error:
        seen.findings.append(
            _finding(chain, "archive-damaged", f"{error.what}, after event {chain.n}")
        )
        return chain, seen
    except (TypeError, AttributeError):
        found = _finding(chain, "archive-damaged", f"what follows event {chain.n} is no event")
        seen.findings.append(found)
        return chain, seen
    if not isinstance(end, dict) or (end.get("events"), end.get("head")) != (chain.n, chain.hash):
        message = f"it ends with event {chain.n}, which is not the last one"
        seen.findings.append(_finding(chain, "archive-cut-off", message))
    return chain, seen


def _finding(chain: Chain, id: str, message: str) -> Finding:
    return Finding(id, Severity.ERROR, message, chain.job, "Look for another copy of the file")


def known(journal: Journal, file: Path) -> Finding | None:
    """What the journal that a job came from says against its file; None where it says nothing."""
    job = _head(_read(file), file)["job"]
    rows = journal.rows("SELECT digest FROM archived WHERE job = ?", (job,))
    with file.open("rb") as stream:
        digest = file_digest(stream, "sha256").hexdigest()
    if not rows or rows[0][0] == digest:
        return None
    message = "it is not the file that was written when the job left this journal"
    remedy = "Look for another copy of the file"
    return Finding("archive-exchanged", Severity.ERROR, message, job, remedy)


class ArchivedJob:
    """An archived job to be looked at, as `kensho_tui.engine.views` takes it."""

    def __init__(self, file: Path) -> None:
        """Read the file. Raises: ArchiveError: it does not hold, or cannot be read."""
        seen = check(file)
        if seen.findings:
            raise ArchiveError(seen.findings[0].message, subject=str(file))
        self.log: list[str] = []
        self._events: list[Event] = []
        self._database = sqlite3.connect(":memory:", isolation_level=None)
        for statement in schema.PROJECTIONS:
            self._database.execute(statement)
        lines = _read(file)
        self.job: str = _head(lines, file)["job"]
        for line in lines:
            if "log" in line:
                self.log.append(str(line["log"]))
            elif "end" not in line:
                event = event_of(_row(line))
                projection.apply(self._database, event)
                self._events.append(event)

    def rows(self, sql: str, values: Sequence[Json] = ()) -> list[tuple[Json, ...]]:
        """Rows of a query over the projections."""
        return self._database.execute(sql, values).fetchall()

    def events(self, job: str, after: int = 0, limit: int = -1) -> list[Event]:
        """The job's events from number ``after`` + 1 on, at most ``limit`` of them."""
        found = [each for each in self._events if each.job == job and each.n > after]
        return found if limit < 0 else found[:limit]

    def close(self) -> None:
        """Let go of the memory."""
        self._database.close()

    def __enter__(self) -> "ArchivedJob":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
