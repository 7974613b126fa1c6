"""Cancellation: one flag that many threads see, and callbacks that close what they wait on."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kensho_tui.errors import KenshoError


class CancelledError(KenshoError):
    """The operator cancelled what was running."""

    def __init__(self, what: str = "cancelled") -> None:
        super().__init__(what)


class Cancel:
    """A cancellation flag. Thread-safe; once set it stays set."""

    def __init__(self, guard: Callable[[], None] = lambda: None) -> None:
        """Args: guard: raises where nothing may be touched any more, not even to clean up."""
        self.guard = guard
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._next = 0

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._event.is_set()

    def cancel(self) -> None:
        """Set the flag and run every registered callback once, in the calling thread."""
        with self._lock:
            self._event.set()
            callbacks, self._callbacks = list(self._callbacks.values()), {}
        for callback in callbacks:
            callback()

    def apart(self) -> "Cancel":
        """A flag of its own, not set, under the same guard: for what a cancellation must not end."""
        return Cancel(self.guard)

    def check(self) -> None:
        """Raise `CancelledError` if the flag is set, or what the guard raises."""
        self.guard()
        if self._event.is_set():
            raise CancelledError

    def wait(self, timeout_s: float) -> bool:
        """Wait at most ``timeout_s`` seconds; true as soon as the flag is set."""
        return self._event.wait(timeout_s)

    @contextmanager
    def closing(self, close: Callable[[], None]) -> Iterator[None]:
        """Call ``close`` if cancellation comes while the block runs (at once if it already came).

        ``close`` runs in the thread that cancels: it must not block and must not raise. Closing the
        socket a thread waits on is what ends that wait; nobody polls.
        """
        with self._lock:
            key, self._next = self._next, self._next + 1
            now = self._event.is_set()
            if not now:
                self._callbacks[key] = close
        if now:
            close()
        try:
            yield
        finally:
            with self._lock:
                self._callbacks.pop(key, None)
