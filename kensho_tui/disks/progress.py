"""How far a transfer is, and how fast it may go."""

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from kensho_tui.cancel import Cancel
from kensho_tui.disks.pace import INTERVAL_S, Pace

_LATELY_S = 10.0


def processors() -> int:
    """Processors this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a transfer is; bytes and seconds.

    Attributes:
        position, total: of the guest-visible disk.
        read, written: bytes of the source's and of the target's stream.
        empty: guest bytes that were not written because they are zero.
        rate: bytes a second through the busier of the two streams, lately.
        eta_s: seconds that are left; None where it cannot be told yet.
    """

    position: int
    total: int
    read: int
    written: int
    empty: int
    rate: float
    eta_s: float | None


class Meter:
    """Counts what moves, tells it at most twice a second, and holds back what goes too fast.

    Args:
        tell: told in the thread that calls `tick` and `last`; None: nobody.
        total: guest bytes of the disk.
        expected: guest bytes that may hold data, where that is known beforehand.
        length: bytes of the source's stream, where known.
        pace: how fast it may go; maybe shared with other transfers.
        cancel: ends waiting.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        tell: Callable[[Progress], None] | None,
        *,
        total: int,
        expected: int | None,
        length: int | None,
        pace: Pace,
        cancel: Cancel,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tell = tell
        self._total = total
        self._expected = expected
        self._length = length
        self._pace = pace
        self._spent = 0  # bytes that the pace knows of
        self._cancel = cancel
        self._clock = clock
        self._start = self._told = clock()
        self._lately: deque[tuple[float, int, float]] = deque([(self._start, 0, 0.0)])
        self._lock = threading.Lock()
        self._read = 0
        self.written = 0
        self.position = 0  # guest bytes behind
        self.seen = 0  # guest bytes of windows that held something
        self.data = 0  # guest bytes written as data

    @property
    def read(self) -> int:
        """Bytes of the source's stream that were read."""
        return self._read

    @property
    def empty(self) -> int:
        """Guest bytes behind that were not written."""
        return max(0, self.position - self.data)

    def carry_on(self, position: int, *, seen: int, data: int, read: int, written: int) -> None:
        """Begin with what an earlier transfer of the same disk had counted, which took no time of ours."""
        self.position, self.seen, self.data, self.written = position, seen, data, written
        self.count_read(read)
        self._spent = max(read, written)
        self._lately = deque([(self._start, self._spent, self._share())])

    def count_read(self, count: int) -> None:
        """Bytes were read; from any thread."""
        with self._lock:
            self._read += count

    def hold(self) -> None:
        """Wait while more has moved than the limit allows. Raises: CancelledError."""
        moved = max(self._read, self.written)
        fresh, self._spent = moved - self._spent, moved
        self._pace.spend(fresh, self._cancel, self.tick)

    def pass_gate(self) -> None:
        """Wait while the transfer is paused. Raises: CancelledError."""
        if self._pace.held:
            self._pace.pass_gate(self._cancel, self.tick)
            # Neither rate nor time left are to count the pause.
            moved = max(self._read, self.written)
            self._lately = deque([(self._clock(), moved, self._share())])

    def tick(self) -> None:
        """Tell, if it is time to."""
        if self._tell is not None and self._clock() - self._told >= INTERVAL_S:
            self.last()

    def last(self) -> None:
        """Tell now."""
        if self._tell is None:
            return
        now = self._clock()
        self._told = now
        moved = max(self._read, self.written)
        share = self._share()
        self._lately.append((now, moved, share))
        while len(self._lately) > 2 and now - self._lately[1][0] > _LATELY_S:
            self._lately.popleft()
        then, before, share_before = self._lately[0]
        span = now - then
        rate = (moved - before) / span if span > 0 else 0.0
        gain = share - share_before
        eta = (1 - share) * span / gain if gain > 0 else None
        if self._pace.held:
            rate, eta = 0.0, None
        self._tell(
            Progress(
                self.position,
                self._total,
                self._read,
                self.written,
                self.empty,
                rate,
                0.0 if share >= 1 else eta,
            )
        )

    def _share(self) -> float:
        """What part of the work is done, by the best measure there is."""
        if self.position >= self._total:
            return 1.0
        if self._expected:
            return min(1.0, self.seen / self._expected)
        if self._length:
            return min(1.0, self._read / self._length)
        return self.position / self._total
