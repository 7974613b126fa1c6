"""How many jobs may load the same thing at once: caps by tag, and who has to wait for which."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from kensho_tui.disks.bounds import Bounds
from kensho_tui.migration.times import Limits

if TYPE_CHECKING:
    from kensho_tui.engine.retention import Retention

JOBS_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Settings:
    """What ``runner.toml`` says of all jobs of a runner together.

    Attributes:
        bandwidth: of all jobs together, by the hour.
        retention: which ended jobs do not stay; None: all stay.
        bounds: of the disks that jobs take.
        caps: by tag (`kensho_tui.migration.needs.tags`) or pattern of tags; a pattern holds for
            each tag that it fits.
    """

    jobs_at_once: int = JOBS_AT_ONCE
    bandwidth: Limits = field(default_factory=Limits)
    caps: Mapping[str, int] = field(default_factory=dict)
    retention: "Retention | None" = None
    bounds: Bounds = field(default_factory=Bounds)

    def cap(self, tag: str) -> int | None:
        """How many jobs of that tag at once; the tag itself counts before the longest pattern."""
        if tag in self.caps:
            return self.caps[tag]
        fitting = [each for each in self.caps if fnmatchcase(tag, each)]
        return self.caps[max(fitting, key=lambda each: (len(each), each))] if fitting else None


class Slots:
    """The places of one round: taken by jobs that run, and by those that wait before others do.

    Who waits for a tag keeps all its places, so that many small jobs cannot overtake it for ever.
    """

    def __init__(self, settings: Settings, *, room: bool = True) -> None:
        """``room``: whether the state disk has room for what jobs journal."""
        self.room = room
        self._settings = settings
        self._jobs = 0
        self._taken: Counter[str] = Counter()

    def run(self, tags: Iterable[str]) -> None:
        """A job runs."""
        self._jobs += 1
        self._taken.update(tags)

    def lacking(self, tags: Sequence[str]) -> str:
        """What a job waits for, in words; "" where all its places are free."""
        if not self.room:
            return "waits for room on the state disk"
        for tag in tags:
            cap = self._settings.cap(tag)
            if cap is not None and self._taken[tag] >= cap:
                kind, _, name = tag.partition(":")
                return f"waits for a slot of {kind} {name} ({min(self._taken[tag], cap)} of {cap})"
        most = self._settings.jobs_at_once
        if self._jobs >= most:
            return f"waits for a slot ({self._jobs} of {most} jobs are under way)"
        return ""

    def wait(self, tags: Iterable[str]) -> None:
        """A job waits: what it needs is kept for it."""
        self._taken.update(tags)


def shares(total: int | None, limits: Mapping[str, int | None]) -> dict[str, int | None]:
    """A limit divided among jobs: what one does not take, by a lower limit of its own, others get.

    Args:
        total: bytes a second; None: no limit.
        limits: job → its own limit, None where it has none.
    """
    if total is None:
        return dict.fromkeys(limits, None)
    found: dict[str, int | None] = {}
    left, ordered = total, sorted(limits, key=lambda job: (limits[job] is None, limits[job] or 0))
    for number, job in enumerate(ordered):
        even = max(1, left // (len(ordered) - number))
        own = limits[job]
        found[job] = even if own is None else min(own, even)
        left -= found[job] or 0
    return found
