"""The process that runs one job: ``python -m kensho_tui.engine.worker --state DIR --job ID``.

It holds the job's lock for as long as it lives, claims the job in the journal, and calls
`kensho_tui.migration.run.run_job`, or the function that ``--run module:function`` names. It needs no
supervisor to go on, and answers SIGTERM by ending at the job's next point, resumable.
"""

import argparse
import contextlib
import importlib
import json
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Protocol

from kensho_tui.cancel import CancelledError
from kensho_tui.disks.bounds import Bounds, hold
from kensho_tui.engine import wire
from kensho_tui.engine.context import RunContext, UnwrittenError
from kensho_tui.engine.events import JobState, Json
from kensho_tui.engine.journal import Journal, JournalError
from kensho_tui.engine.places import FileLock, Places, StateDirError, boot_id, log
from kensho_tui.engine.views import open_undos
from kensho_tui.errors import KenshoError
from kensho_tui.hidden import without_secrets
from kensho_tui.migration.context import FencedError, JobContext

if TYPE_CHECKING:
    from kensho_tui.migration.plan import Plan

RUN = "kensho_tui.migration.run:run_job"

# Exit codes, for the supervisor: anything else that is not 0 is a crash.
EXIT_STOPPED = 75  # in good order; the job can go on
EXIT_FENCED = 76  # another worker has it
EXIT_HELD = 77  # another worker's lock
EXIT_UNWRITTEN = 78  # the journal cannot be written or read; the job can go on where it can be

# A supervisor or a client that looks whether the lock is held, holds it for a moment.
LOCK_WAIT_S = 2.0
GREETING_WAIT_S = 3.0
# What a job that should end has left before its process ends without it.
GRACE_S = 10.0
# Two workers on one target are worse than one cut off.
FENCED_GRACE_S = 1.0
# A worker that only copies writes no journal for minutes: it looks whether the job is still its own.
LOOK_INTERVAL_S = 2.0


class Outcome(Protocol):
    """How a job ended, as `kensho_tui.migration.run` says it."""

    @property
    def state(self) -> str: ...
    @property
    def error(self) -> KenshoError | None: ...
    @property
    def leftovers(self) -> Sequence[Mapping[str, Json]]: ...
    @property
    def result(self) -> Json: ...


Run = Callable[[JobContext, "Plan"], Outcome]


def load_run(name: str) -> Run:
    """The function of ``module:function``."""
    module, _, attribute = name.partition(":")
    run: Run = getattr(importlib.import_module(module), attribute)
    return run


class Worker:
    """One attempt at one job."""

    def __init__(self, journal: Journal, context: RunContext, lock: FileLock) -> None:
        self._journal = journal
        self._context = context
        self._lock = lock
        self._ended = threading.Condition()
        self._over = False
        self._code = 1

    def run(self, name: str) -> int:
        """Run the job to its end, and give the exit code of the process."""
        context = self._context
        context.look()
        context.link.start(GREETING_WAIT_S)
        # A thread of its own, so that this one is free for signals.
        work = threading.Thread(target=self._work, args=(name,), name="job", daemon=True)
        work.start()
        try:
            while not self._wait(LOOK_INTERVAL_S):
                self._look()
                if context.fenced or context.stopped or context.unwritten:
                    orderly = context.stopped and not context.fenced
                    self._wait(GRACE_S if orderly else FENCED_GRACE_S)
                    break
        finally:
            context.link.close()
        if self._over:
            return self._code
        # It does not listen. Whatever it does is safe to be cut off anywhere, or it would not be
        # safe against a crash either.
        log("the job did not end in time; its process ends without it")
        if context.unwritten:
            os._exit(EXIT_UNWRITTEN)
        if not context.fenced:
            with contextlib.suppress(KenshoError):  # then it counts as a death, which it is
                context.requeue()
        os._exit(EXIT_FENCED if context.fenced else EXIT_STOPPED)

    def _wait(self, seconds: float) -> bool:
        """Wait for the job's end, at most so long by its clock; whether it has come."""
        with self._ended:
            if not self._over:
                self._context.clock.wait(self._ended, seconds)
            return self._over

    def _look(self) -> None:
        context = self._context
        try:
            rows = self._journal.rows("SELECT epoch FROM lease WHERE job = ?", (context.job,))
            if rows and rows[0][0] == context.epoch and self._lock.stands():
                context.look()
            else:
                context.fence()
        except FencedError:
            context.fence()
        except JournalError as error:
            log(f"worker of {context.job}: {error}")
            context.lose()

    def _work(self, name: str) -> None:
        try:
            self._code = self._attempt(name)
        except FencedError as error:
            self._code = self._gave_up(error)
        except JournalError as error:
            self._code = self._unwritten(error)
        finally:
            with self._ended:
                self._over = True
                self._ended.notify_all()

    def _gave_up(self, error: FencedError) -> int:
        context = self._context
        if context.unwritten:
            return self._unwritten(error)
        if context.fenced or not context.stopped:
            return EXIT_FENCED
        try:
            context.requeue()
        except UnwrittenError as last:
            return self._unwritten(last)
        except FencedError:
            return EXIT_FENCED
        return EXIT_STOPPED

    def _unwritten(self, error: KenshoError) -> int:
        log(f"worker of {self._context.job} stops: {error}")
        return EXIT_UNWRITTEN

    def _attempt(self, name: str) -> int:
        # Here, and not above: whoever only wants the exit codes needs no pydantic.
        from kensho_tui.migration.plan import Plan

        context = self._context
        plan_text = self._journal.rows("SELECT plan FROM job WHERE id = ?", (context.job,))[0][0]
        try:
            plan = Plan.model_validate(json.loads(plan_text))
            context.follow(plan.spec.run)
            outcome = load_run(name)(context, plan)
        except FencedError:
            raise
        except CancelledError:
            self._end_unfinished(JobState.CANCELLED, None)
        except KenshoError as error:
            self._end_unfinished(JobState.FAILED, wire.error_to(error))
        except Exception as defect:  # noqa: BLE001 - the boundary: a defect ends the job, not more
            log(context.clean(without_secrets(traceback.format_exc())))
            self._end_unfinished(
                JobState.FAILED,
                {
                    "what": f"a defect of Kensho's own ended the job ({type(defect).__name__})",
                    "subject": context.job,
                    "remedy": "Report it with the job's log file, which holds the details",
                },
            )
        else:
            first = wire.error_to(outcome.error) if outcome.error else None
            context.end(JobState(outcome.state), first, outcome.leftovers, outcome.result)
        return 0

    def _end_unfinished(self, state: JobState, error: dict[str, str] | None) -> None:
        """End a job whose run came out by an exception; what it did not take back is left over."""
        leftovers = open_undos(self._journal, self._context.job)
        if leftovers:
            state = JobState.NEEDS_ATTENTION
        self._context.end(state, error, leftovers, None)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the job of the command line; gives the exit code."""
    parser = argparse.ArgumentParser(prog="kensho_tui.engine.worker", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="the state directory")
    parser.add_argument("--job", required=True, help="id of the job")
    parser.add_argument("--run", default=RUN, help="module:function that runs it")
    usual = Bounds()
    parser.add_argument("--max-disk", type=int, default=usual.disk, help="as of Bounds")
    parser.add_argument("--max-ratio", type=int, default=usual.ratio, help="as of Bounds")
    options = parser.parse_args(argv)
    os.umask(0o077)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    places = Places(options.state.absolute())
    lock = FileLock(places.job_lock(options.job))
    try:
        places.make()
        hold(Bounds(options.max_disk, options.max_ratio))
        with lock, Journal(places.journal) as journal:
            return _run_held(places, journal, lock, options.job, options.run)
    except (JournalError, StateDirError) as error:
        log(f"worker of {options.job}: {error}")
        return EXIT_UNWRITTEN


def why_again(before: Mapping[str, object], state: JobState) -> str:
    """What became of the worker before, by what it left in its lock and in the journal; "" unknown."""
    if not before:
        return ""
    if before.get("boot") != boot_id():
        return "this host was restarted"
    if state in {JobState.QUEUED, JobState.SCHEDULED}:  # as it says itself that it stops in order
        return "its worker was stopped in good order, as with 'kensho runner stop --workers'"
    if state is JobState.PAUSED:
        return ""  # a paused job keeps its state, however its worker ended
    return f"its worker process (pid {before.get('pid')}) had ended without a word"


def _run_held(places: Places, journal: Journal, lock: FileLock, job: str, run: str) -> int:
    if not lock.take(wait_s=LOCK_WAIT_S):
        return EXIT_HELD
    before = lock.read()
    lock.write({"pid": os.getpid(), "boot": boot_id()})
    rows = journal.rows("SELECT state, reason FROM job WHERE id = ?", (job,))
    if not rows or JobState(rows[0][0]).ended:
        return 0
    why = why_again(before, JobState(rows[0][0]))
    lease = journal.claim(job, f"{socket.gethostname()}:{os.getpid()}", why)
    context = RunContext(journal, lease, places)
    journal.on_full = context.disk_is_full
    if rows[0][0] == JobState.CANCELLING:
        context.cancel.cancel()

    def stop(number: int, frame: FrameType | None) -> None:
        context.stop()

    signal.signal(signal.SIGTERM, stop)
    return Worker(journal, context, lock).run(run)


if __name__ == "__main__":
    sys.exit(main())
