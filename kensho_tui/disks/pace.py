"""How fast bytes may move, and whether they may move at all: one pace for all disks of a job."""

import threading
import time
from collections.abc import Callable

from kensho_tui.cancel import Cancel

# Between two looks of who waits: progress is told that often, and cancellation needs no look.
INTERVAL_S = 0.5
# What was not used lately may be caught up with; more would be a burst.
_CREDIT_S = 0.5


def _nothing() -> None:
    """Nobody has to be told."""


class Pace:
    """A limit and a gate that any number of transfers share; both may change at any time. Thread-safe.

    Args:
        limit: bytes a second for all of them together; None: none.
        clock: seconds that only grow.
        check: called by who waits, between two looks; what it raises ends the wait.
    """

    def __init__(
        self,
        limit: int | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        check: Callable[[], None] = _nothing,
    ) -> None:
        self._clock = clock
        self._check = check
        self._changed = threading.Condition()
        self._limit = limit
        self._held = False
        self._owed = 0.0  # bytes that have moved and are not due yet; below zero: credit
        self._since = clock()

    @property
    def held(self) -> bool:
        """Whether the gate is closed."""
        return self._held

    @property
    def limit(self) -> int | None:
        """Bytes a second; None: none."""
        return self._limit

    def set(self, *, held: bool, limit: int | None) -> None:
        """Close or open the gate, and limit anew; who waits takes notice at once."""
        with self._changed:
            if (held, limit) == (self._held, self._limit):
                return
            self._settle()
            self._held, self._limit = held, limit
            self._changed.notify_all()

    def pass_gate(self, cancel: Cancel, told: Callable[[], None] = _nothing) -> None:
        """Wait while the gate is closed; ``told`` is called between two looks.

        Raises: CancelledError, and what ``check`` and ``told`` raise.
        """
        while self._held:
            self._look(INTERVAL_S, cancel, told, lambda: self._held)

    def spend(self, count: int, cancel: Cancel, told: Callable[[], None] = _nothing) -> None:
        """Wait until so many bytes more, which have moved, are due.

        Raises: CancelledError, and what ``check`` and ``told`` raise.
        """
        with self._changed:
            self._settle()
            if self._limit is None:
                return
            self._owed += count
        while (ahead := self._ahead()) > 0:
            self._look(min(ahead, INTERVAL_S), cancel, told, lambda: self._ahead() > 0)

    def wait(self, seconds: float) -> None:
        """Wait for a change, at most so long, with the lock held; a test lets its own clock pass."""
        self._changed.wait(seconds)

    def _look(
        self,
        seconds: float,
        cancel: Cancel,
        told: Callable[[], None],
        needed: Callable[[], bool],
    ) -> None:
        with cancel.closing(self._wake), self._changed:
            if needed() and not cancel.cancelled:
                self.wait(seconds)
        cancel.check()
        self._check()
        told()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _ahead(self) -> float:
        """Seconds until what has moved is due."""
        with self._changed:
            self._settle()
            # Less than a byte is what floating point leaves.
            return self._owed / self._limit if self._limit and self._owed >= 1 else 0.0

    def _settle(self) -> None:
        """What is due by now is not owed any more, at the limit that held until now."""
        now = self._clock()
        if self._limit is None:
            self._owed = 0.0
        else:
            self._owed -= (now - self._since) * self._limit
            self._owed = max(self._owed, -_CREDIT_S * self._limit)
        self._since = now
