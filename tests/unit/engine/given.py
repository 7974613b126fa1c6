"""What the engine's unit tests start from."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Condition
from typing import Any

from kensho_tui.cancel import Cancel
from kensho_tui.engine.context import RunContext
from kensho_tui.engine.journal import Journal
from kensho_tui.engine.places import Places

PLAN: dict[str, Any] = {
    "metadata": {"name": "Shop"},
    "spec": {
        "source": {"package": "/srv/shop.ova"},
        "target": {"connection": "xen1"},
        "machines": {"db": {"include": True}, "web": {"include": False}},
    },
}


class FixedClock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.moment.timestamp()

    def sleep(self, seconds: float, cancel: Cancel) -> None:
        cancel.check()
        self.moment += timedelta(seconds=seconds)

    def wait(self, changed: Condition, seconds: float | None) -> None:
        changed.wait(seconds)


@contextmanager
def journal(directory: Path) -> Iterator[Journal]:
    """A journal of its own."""
    with Journal(directory / "state" / "journal.db") as one:
        yield one


def context(one: Journal, job: str, *, secrets: dict[str, str] | None = None) -> RunContext:
    """A worker's context, claimed anew, whose link was never started."""
    lease = one.claim(job, "test:1")
    return RunContext(one, lease, Places(one.path.parent), secrets=secrets, clock=FixedClock())
