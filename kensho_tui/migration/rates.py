"""How fast a disk moves when it moves by fits and starts, as every limited one does."""

from collections import deque

# What is told is the mean of so long, and of so many steps at least: a chunk of 2 MiB that comes every
# twenty seconds is 100 KiB a second, and neither nothing nor two MiB.
WINDOW_S = 10.0
_STEPS = 4
# After so many steps' time without another one it has become slower, and is told so.
_LATE = 2.0


class Rate:
    """Bytes a second, told by moments at which more had moved. Used by one thread."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, int]] = deque()

    def reset(self) -> None:
        """Forget what was: a pause is no slowness."""
        self._points.clear()

    def at(self, now: float, moved: int, limit: int | None = None) -> float | None:
        """The rate now; None until it can be told.

        Args:
            now: seconds that only grow.
            moved: bytes so far.
            limit: bytes a second that it may go; the first chunk of all comes sooner than it is due.
        """
        points = self._points
        if not points or moved != points[-1][1]:
            points.append((now, moved))
        while len(points) > _STEPS and now - points[1][0] > WINDOW_S:
            points.popleft()
        (began, before), (last, after) = points[0], points[-1]
        if len(points) < 2 or last <= began:
            return None
        each = (last - began) / (len(points) - 1)
        until = last if now - last <= _LATE * each else now
        rate = (after - before) / (until - began)
        return rate if limit is None else min(rate, float(limit))
