"""The workers of a supervisor: started, watched, started again, given up on."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from kensho_tui.engine.ballast import Ballast
from kensho_tui.engine.environment import clean_environment
from kensho_tui.engine.events import JobState, Reason
from kensho_tui.engine.journal import Journal, stamp, utc_now
from kensho_tui.engine.places import Places, is_held, private_log
from kensho_tui.engine.slots import Settings, Slots
from kensho_tui.engine.views import open_undos
from kensho_tui.engine.worker import EXIT_FENCED, EXIT_HELD, EXIT_STOPPED, EXIT_UNWRITTEN
from kensho_tui.migration.context import CLEANUP
from kensho_tui.migration.needs import Needs, needs

# Deaths without getting any further in between, after which a person has to look.
MOST_CRASHES = 3
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0


@dataclass(frozen=True, slots=True)
class _Standing:
    """How a job stands. ``crashes`` since it got any further; ``last``: number of its last event."""

    state: JobState
    reason: str
    last: int
    crashes: int
    cleans_up: bool


class Crew:
    """One worker process for each job that is under way. Used by one thread."""

    def __init__(
        self,
        places: Places,
        journal: Journal,
        run: str,
        ended: Callable[[str], None],
        *,
        settings: Callable[[], Settings] = Settings,
        now: Callable[[], datetime] = utc_now,
        first_pause_s: float = FIRST_PAUSE_S,
    ) -> None:
        """Args:
        run: ``module:function`` for the workers; empty for the usual one.
        ended: called in some thread with the job's id when a worker of this crew has ended.
        settings: how many jobs at once, and of what; asked at every round.
        """
        self.ballast = Ballast(places)
        self._places = places
        self._journal = journal
        self._run = run
        self._ended = ended
        self._settings = settings
        self._now = now
        self._first_pause_s = first_pause_s
        self._own: dict[str, subprocess.Popen[bytes]] = {}
        self._alive: set[str] = set()
        self._not_before: dict[str, float] = {}
        # Deaths before the worker had claimed its job, which the journal therefore does not know.
        self._silent: dict[str, tuple[int, int]] = {}
        # Ends in a row for want of a journal, and how many of the claims that is of: no deaths.
        self._unwritten: dict[str, int] = {}
        self._excused: dict[str, int] = {}
        self._needs: dict[str, Needs] = {}
        self._waits: dict[str, str] = {}

    @property
    def size(self) -> int:
        """How many workers are alive, those of an earlier supervisor included."""
        return len(self._alive)

    @property
    def waits(self) -> Mapping[str, str]:
        """What jobs that could begin wait for, in words; as of the last round."""
        return self._waits

    def running(self) -> list[str]:
        """Jobs that have a worker and are not paused, as of the last round."""
        rows = self._journal.rows("SELECT id FROM job WHERE state <> 'paused' ORDER BY created, id")
        return [job for (job,) in rows if job in self._alive]

    def tend(self) -> float | None:
        """Take stock and start what can be started, in the order of priority and then of age.

        Nothing is started while the state disk has no room for its events.

        Gives the seconds after which a job is due to be started; None where none is.
        """
        room = self.ballast.keep()
        unended = self._unended()
        for job in set(self._own) | self._alive:
            if job not in unended:
                self._reap(job)
        self._alive = {job for job in unended if self._is_alive(job)}
        self._needs = {job: self.needs_of(job) for job in unended}
        slots = Slots(self._settings(), room=room)
        for job in self._alive:
            slots.run(self._needs[job].tags)
        waits: dict[str, str] = {}
        due = [
            wait
            for job, standing in unended.items()
            if job not in self._alive and (wait := self._look_at(job, standing, slots, waits))
        ]
        self._waits = waits
        return min(due, default=None)

    def _look_at(
        self, job: str, standing: "_Standing", slots: Slots, waits: dict[str, str]
    ) -> float | None:
        """Start the job, or say what it waits for; the seconds until it is due, where that is known."""
        if standing.state is JobState.PAUSED and standing.reason == Reason.OPERATOR:
            return None
        silent = self._silent.get(job, (0, 0))
        crashes = self._deaths(job, standing.crashes)
        crashes += silent[1] if silent[0] == standing.last else 0
        if crashes >= MOST_CRASHES:
            self._give_up(job, crashes)
            return None
        wait = self._not_before.get(job, 0.0) - time.monotonic()
        if wait > 0:
            return wait
        tags = self._needs[job].tags
        # What is to be taken back waits for nobody.
        if standing.state is not JobState.CANCELLING and not standing.cleans_up:
            if seconds := self._wait_for_its_time(job):
                return seconds
            if lacking := slots.lacking(tags):
                waits[job] = lacking
                slots.wait(tags)
                return None
        if slots.room:
            self._start(job)
            slots.run(tags)
        return None

    def _wait_for_its_time(self, job: str) -> float:
        """Journal that the job waits for its time, or does no more; the seconds that are left."""
        needs, now = self._needs[job], self._now()
        at = needs.may_work(now)
        if at <= now:
            waited_for = {Reason.START, Reason.WINDOW, Reason.CUTOVER}
            self._journal.go_on(job, waited_for, queued=True)
            return 0.0
        early = needs.not_before is not None and needs.not_before > now
        if self.is_queued(job):
            reason = Reason.START if early else Reason.WINDOW
            self._journal.schedule(job, reason, stamp(at))
        else:
            self._journal.pause(job, Reason.WINDOW, until=stamp(at))
        return (at - now).total_seconds()

    def needs_of(self, job: str) -> Needs:
        """Of the job's plan, which never changes."""
        if job not in self._needs:
            ((plan,),) = self._journal.rows("SELECT plan FROM job WHERE id = ?", (job,))
            return needs(json.loads(plan))
        return self._needs[job]

    def _unended(self) -> dict[str, "_Standing"]:
        """Jobs that are not over, in the order in which they may begin."""
        rows = self._journal.rows(
            "SELECT id, state, reason, last, crashes, EXISTS (SELECT 1 FROM step"
            " WHERE step.job = job.id AND step.step = ?) FROM job ORDER BY priority DESC, created, id",
            (CLEANUP,),
        )
        return {
            job: _Standing(JobState(state), reason, last, crashes, bool(cleans_up))
            for job, state, reason, last, crashes, cleans_up in rows
            if not JobState(state).ended
        }

    def _is_alive(self, job: str) -> bool:
        """Whether a worker has the job, ours or one that an earlier supervisor started."""
        if job in self._own:
            if self._own[job].poll() is None:
                return True
            self._reap(job)
        return is_held(self._places.job_lock(job))

    def _reap(self, job: str) -> None:
        """Note how a worker of ours ended, and when the next one may start."""
        process = self._own.get(job)
        if process is None:
            return
        code = process.poll()
        if code is None:
            return  # it has journaled the end and is closing up
        rows = self._journal.rows("SELECT last, crashes FROM job WHERE id = ?", (job,))
        last, crashes = rows[0] if rows else (0, 0)  # none: archived meanwhile
        del self._own[job]
        times = self._unwritten.pop(job, 0)
        if code in {0, EXIT_FENCED, EXIT_HELD, EXIT_STOPPED}:
            pause = 0.0 if code == 0 else self._first_pause_s
        elif code == EXIT_UNWRITTEN:
            self._unwritten[job], self._excused[job] = times + 1, crashes
            pause = min(self._first_pause_s * 2**times, LONGEST_PAUSE_S)
        else:
            crashes = self._deaths(job, crashes)
            before = self._silent.get(job, (0, 0))
            # Said nothing since the death before: it died before it could claim the job.
            if before[0] == last:
                self._silent[job] = (last, before[1] + 1)
            else:
                self._silent[job] = (last, 0 if crashes else 1)
            deaths = crashes + self._silent[job][1]
            pause = min(self._first_pause_s * 2 ** max(0, deaths - 1), LONGEST_PAUSE_S)
        self._not_before[job] = time.monotonic() + pause

    def _deaths(self, job: str, crashes: int) -> int:
        """Of the claims that led to nothing, those that no journal that failed is to blame for."""
        excused = self._excused[job] = min(crashes, self._excused.get(job, 0))
        return crashes - excused

    def _give_up(self, job: str, crashes: int) -> None:
        error = {
            "what": f"its worker process died {crashes} times without getting any further",
            "subject": job,
            "remedy": f"Look at {self._places.job_log(job)}",
        }
        self._journal.set_state(
            job,
            JobState.NEEDS_ATTENTION,
            error=error,
            leftovers=open_undos(self._journal, job),
            result=None,
        )

    def _start(self, job: str) -> None:
        command = [sys.executable, "-P", "-m", "kensho_tui.engine.worker"]
        command += ["--state", str(self._places.state), "--job", job]
        bounds = self._settings().bounds
        command += ["--max-disk", str(bounds.disk), "--max-ratio", str(bounds.ratio)]
        if self._run:
            command += ["--run", self._run]
        with private_log(self._places.job_log(job)) as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=clean_environment(os.environ),
                start_new_session=True,
            )
        self._own[job] = process
        self._alive.add(job)

        def wait() -> None:
            process.wait()
            self._ended(job)

        # Not asyncio's subprocesses: those kill their process when the event loop goes.
        threading.Thread(target=wait, name=f"wait-{job}", daemon=True).start()

    def is_queued(self, job: str) -> bool:
        """Whether no worker has ever had the job, and none is on its way to it."""
        return job not in self._own and not self._journal.rows(
            "SELECT 1 FROM lease WHERE job = ?", (job,)
        )

    def has_worker(self, job: str) -> bool:
        """Whether a worker has the job, looked at now."""
        return self._is_alive(job)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all workers that are alive."""
        for job in self._alive:
            process = self._own.get(job)
            if process is not None:
                if process.poll() is None:
                    process.send_signal(number)
            elif is_held(self._places.job_lock(job)):
                # Held, so that the process id in it is that of a living worker.
                content = self._places.job_lock(job).read_text(encoding="utf-8")
                with contextlib.suppress(ProcessLookupError, ValueError, KeyError):
                    os.kill(int(json.loads(content)["pid"]), number)

    def any_alive(self) -> bool:
        """Whether a worker is still alive, looked at now."""
        self._alive = {job for job in self._alive if self._is_alive(job)}
        return bool(self._alive)
