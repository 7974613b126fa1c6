"""What holds a running job back: laid on its pace as the journal says it."""

from kensho_tui.disks.pace import Pace
from kensho_tui.engine.events import JobState, Reason
from kensho_tui.engine.journal import Journal


class Steering:
    """Of one worker's job. Whoever calls `look` brings its pace up to date; any thread may."""

    def __init__(self, journal: Journal, job: str, pace: Pace) -> None:
        self._journal = journal
        self._job = job
        self._pace = pace

    def look(self) -> None:
        """Take notice of what was journaled meanwhile. Raises `JournalError`."""
        ((state, reason, limit),) = self._journal.rows(
            "SELECT state, reason, rate_limit FROM job WHERE id = ?", (self._job,)
        )
        held = state == JobState.PAUSED and reason == Reason.OPERATOR
        self._pace.set(held=held, limit=limit)
