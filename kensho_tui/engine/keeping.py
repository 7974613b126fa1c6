"""Looking after a journal from outside the runner."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from kensho_tui.engine.journal import Journal, JournalError
from kensho_tui.engine.places import FileLock, Places, boot_id, is_held


def open_existing(places: Places) -> Journal:
    """The journal of that state directory.

    Raises: JournalError: there is none, or it cannot be used.
    """
    if not places.journal.exists():
        raise JournalError(
            "there is no journal here", subject=str(places.state), remedy="No job was ever started"
        )
    return Journal(places.journal)


@contextmanager
def quiet(places: Places) -> Iterator[None]:
    """Nobody else writes the journal inside this block: no runner, no worker, and none is started.

    For what takes longer than a writer waits for another (`journal.BUSY_TIMEOUT_MS`): a worker that
    waits in vain ends, and its job with it.

    Raises: JournalError: a runner runs, or a worker does; the message says which.
    """
    with FileLock(places.runner_lock) as lock:
        if not lock.take():
            raise JournalError(
                "the runner is writing the journal",
                subject=str(places.state),
                remedy="Run 'kensho runner stop --workers' first; jobs go on with the next start",
            )
        for each in sorted(places.state.glob("jobs/*.lock")):
            if is_held(each):
                raise JournalError(
                    "the job is still under way, and writes the journal",
                    subject=each.stem,
                    remedy="Run 'kensho job list', which starts a runner, and then "
                    "'kensho runner stop --workers'",
                )
        lock.write({"pid": os.getpid(), "boot": boot_id(), "version": "journal"})
        yield
