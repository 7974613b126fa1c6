"""What holds a running job back: the operator, the hour, and limits, laid on the pace of its bytes."""

import threading
from typing import TYPE_CHECKING

from kensho_tui.disks.pace import Pace
from kensho_tui.engine.events import EventKind, JobState, Reason
from kensho_tui.engine.journal import Journal, Lease, stamp
from kensho_tui.engine.limits import in_force
from kensho_tui.migration.context import CLEANUP, Clock
from kensho_tui.migration.times import Limits, Window

if TYPE_CHECKING:
    from kensho_tui.migration.plan import RunPlan


class Steering:
    """Of one worker's job. Whoever calls `look` brings its pace up to date; any thread may.

    Nothing of it is kept: what the operator said stands in the journal, and the hour is by the clock.
    """

    def __init__(self, journal: Journal, lease: Lease, pace: Pace, clock: Clock) -> None:
        self._journal = journal
        self._lease = lease
        self._pace = pace
        self._clock = clock
        self._lock = threading.Lock()
        self._run: RunPlan | None = None
        self._share: int | None = None
        self._last_step: Window | None = None

    def follow(self, run: "RunPlan") -> None:
        """Heed the plan's window and limits from now on."""
        self._run = run

    def share(self, limit: int | None) -> None:
        """What this job may have of the limit for all jobs of the runner, in bytes a second."""
        self._share = limit

    def until_open(self, window: Window | None) -> None:
        """Hold the job, whose last step is next, until the window is open; None: no more."""
        self._last_step = window

    def look(self) -> None:
        """Take notice of what was journaled meanwhile, and of the hour.

        Raises: JournalError. FencedError: another worker has the job.
        """
        with self._lock:
            timed = self._by_the_hour()
            ((state, reason, limit, said),) = self._journal.rows(
                "SELECT state, reason, rate_limit,"
                " EXISTS (SELECT 1 FROM event WHERE event.job = job.id AND kind = ?)"
                " FROM job WHERE id = ?",
                (EventKind.LIMITED, self._lease.job),
            )
            paused = state == JobState.PAUSED
            if timed and state in {JobState.RUNNING, JobState.WAITING}:
                self._journal.pause(self._lease.job, *timed, lease=self._lease)
            elif not timed and paused and reason in {Reason.WINDOW, Reason.CUTOVER}:
                waited_for = {Reason.WINDOW, Reason.CUTOVER}
                self._journal.go_on(self._lease.job, waited_for, lease=self._lease)
            by_operator = paused and reason == Reason.OPERATOR
            holds = in_force(
                self._clock.now(),
                told=bool(said),
                operator=limit,
                planned=self._run.bandwidth.limits() if self._run is not None else Limits(),
                share=self._share,
            )
            self._pace.set(held=by_operator or timed is not None, limit=holds.rate)

    def _by_the_hour(self) -> tuple[Reason, str, str] | None:
        """What holds the job at this hour: why, by whom (nobody), and until when."""
        now = self._clock.now()
        windows = [(Reason.CUTOVER, self._last_step)]
        if self._run is not None and self._run.window is not None:
            windows.insert(0, (Reason.WINDOW, self._run.window.window()))
        for reason, window in windows:
            if window is not None and not window.is_open(now) and not self._cleans_up():
                return reason, "", stamp(window.opens(now))
        return None

    def _cleans_up(self) -> bool:
        """What was made is being taken back, which waits for no window."""
        return bool(
            self._journal.rows(
                "SELECT 1 FROM step WHERE job = ? AND step = ?", (self._lease.job, CLEANUP)
            )
        )
