"""Ended jobs do not stay for ever: the runner archives what its settings do not keep.

The same files as ``kensho journal archive`` writes, one job at a time, beside jobs that run: a thread
of its own reads and writes them, and the journal's lock is held only while one job is taken out.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from kensho_tui.engine.journal import Journal, utc_now
from kensho_tui.engine.places import Places
from kensho_tui.errors import KenshoError

if TYPE_CHECKING:
    from kensho_tui.engine.slots import Settings

# Between two looks; settings that have changed are heeded at once.
EVERY_S = 3600.0


@dataclass(frozen=True, slots=True)
class Retention:
    """Which ended jobs stay in the journal: what needs attention, and what this says.

    Attributes:
        older_than: since a job's last event; None: age does not count.
        keep: so many of the others stay too, the newest.
        folder: where the others go, a file each.
    """

    older_than: timedelta | None
    keep: int
    folder: Path


def retain(
    places: Places,
    retention: Retention,
    log: Callable[[str], None],
    *,
    now: datetime,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Archive what does not stay. A job whose lock somebody holds is left for the next time.

    Args:
        log: told every job that is archived, and each trouble once.
        stop: asked between two jobs.

    Raises: KenshoError: the journal cannot be read, or the folder cannot be made.
    """
    # Here, because most runners archive nothing.
    from kensho_tui.engine.archive import archive, ripe

    troubles: set[str] = set()
    with Journal(places.journal) as journal:
        jobs = ripe(journal, (), retention.older_than, retention.keep, now)
        if jobs:
            _make(retention.folder)
        for job in jobs:
            if stop():
                return
            try:
                done = archive(journal, places, job, retention.folder)
            except KenshoError as error:
                if not error.retryable and error.what not in troubles:
                    troubles.add(error.what)
                    log(f"{job} is not archived: {error}")
            else:
                log(f"{job} is archived: {done.events} events in {done.file}")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise KenshoError(
            f"nothing can be archived there ({error.strerror})", subject=str(folder)
        ) from error


class Archivist:
    """Archives from time to time, as the settings say then. For one thread, beside its own.

    Args:
        log: told what was done and what cannot be done; from any thread.
    """

    def __init__(
        self, places: Places, settings: "Callable[[], Settings]", log: Callable[[str], None]
    ) -> None:
        self._places = places
        self._settings = settings
        self._log = log
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._heeded: Retention | None = None
        self._next = 0.0

    def tend(self) -> None:
        """Begin, if it is time to. Does not wait."""
        if self._thread is not None and self._thread.is_alive():
            return
        retention, now = self._settings().retention, time.monotonic()
        if retention is None or (retention == self._heeded and now < self._next):
            self._heeded = retention
            return
        self._heeded, self._next = retention, now + EVERY_S
        self._thread = threading.Thread(target=self._run, args=(retention,), name="archive")
        self._thread.start()

    def _run(self, retention: Retention) -> None:
        try:
            retain(self._places, retention, self._log, now=utc_now(), stop=self._stopping.is_set)
        except (KenshoError, OSError) as error:
            self._log(f"nothing is archived: {error}")

    def stop(self) -> None:
        """End after the job that is under way."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
