"""What a job needs before it may begin, read off its plan as the journal keeps it.

The plan is read as JSON here, and not as its model: who decides whose turn it is reads many plans, and
those that an earlier version journaled too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from kensho_tui.migration.times import Limits, TimeError, Window, parse_moment, window_of

# What a tag says of: a connection that is read, one that is written, and places on the latter.
TAGS = ("source", "target", "storage", "network", "host")


@dataclass(frozen=True, slots=True)
class Needs:
    """Of one job.

    Attributes:
        tags: what it loads, each once: ``source:vc-old``, ``storage:xen-new/local-sr``.
        not_before: it does not begin earlier; in UTC.
        window: it works only while this is open.
        bandwidth: how fast its plan lets it move bytes.
    """

    tags: tuple[str, ...] = ()
    not_before: datetime | None = None
    window: Window | None = None
    bandwidth: Limits = field(default_factory=Limits)

    def may_work(self, now: datetime) -> datetime:
        """The first moment from then on at which the job may work."""
        earliest = max(now, self.not_before) if self.not_before else now
        return self.window.opens(earliest) if self.window else earliest


def needs(plan: Mapping[str, Any]) -> Needs:
    """Of the plan; what cannot be read holds nothing up."""
    spec = plan.get("spec") or {}
    run = spec.get("run") or {}
    try:
        moment = run.get("not_before")
        window = run.get("window")
        return Needs(
            tags(spec),
            parse_moment(moment) if moment else None,
            window_of(window) if window else None,
            _limits(run.get("bandwidth") or {}),
        )
    except (TimeError, KeyError, TypeError):
        return Needs(tags(spec))


def _limits(said: Mapping[str, Any]) -> Limits:
    times = said.get("times") or ()
    return Limits(said.get("limit"), tuple((window_of(each), each.get("limit")) for each in times))


def tags(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """What a plan loads, by the names that people know; packages are files and load nothing."""
    found: list[str] = []
    source = (spec.get("source") or {}).get("connection")
    if source:
        found.append(f"source:{source}")
    target = spec.get("target") or {}
    connection = target.get("connection")
    if connection:
        found.append(f"target:{connection}")
        machines = [
            each for each in (spec.get("machines") or {}).values() if each.get("include", True)
        ]
        places = [("storage", each) for each in (spec.get("storage") or {}).values()]
        places += [
            ("network", network)
            for machine in machines
            for network in (machine.get("adapters") or {}).values()
        ]
        homes = [machine.get("home") for machine in machines] + [target.get("home")]
        places += [("host", home) for home in homes if home and home.get("kind") == "host"]
        found += [
            f"{kind}:{connection}/{place.get('name') or place.get('id')}"
            for kind, place in places
            if place
        ]
    return tuple(dict.fromkeys(found))
