"""How fast a job may go, and who says so: the operator, its plan, or its share of what all may take."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from kensho_tui.migration.times import Limits
from kensho_tui.migration.units import rate


class LimitBy(StrEnum):
    """Whose limit holds."""

    OPERATOR = "operator"
    PLAN = "plan"
    RUNNER = "runner"  # the job's share of ``bandwidth`` in ``runner.toml``
    NOBODY = ""


@dataclass(frozen=True, slots=True)
class Limit:
    """The limit that holds now: bytes a second, None for none; and whose it is."""

    rate: int | None = None
    by: LimitBy = LimitBy.NOBODY


def in_force(
    now: datetime,
    *,
    told: bool,
    operator: int | None,
    planned: Limits,
    share: int | None,
) -> Limit:
    """The limit that holds at that moment.

    Args:
        told: whether the operator has ever limited the job; then ``operator`` holds and the plan
            does not, None ("no limit") too.
        share: what of the limit for all jobs of the runner this one may have; holds where it is
            the lower one.
    """
    own = operator if told else planned.at(now)
    if share is not None and (own is None or share < own):
        return Limit(share, LimitBy.RUNNER)
    if own is None:
        return Limit()
    return Limit(own, LimitBy.OPERATOR if told else LimitBy.PLAN)


_WHOSE = {
    LimitBy.OPERATOR: "as it was told",
    LimitBy.PLAN: "as its plan says",
    LimitBy.RUNNER: "its share of 'bandwidth' in runner.toml",
}


def in_words(limit: int | None, by: str) -> str:
    """``20 MiB/s, as its plan says``; ``no limit``."""
    if limit is None or not by:
        return rate(limit)
    return f"{rate(limit)}, {_WHOSE[LimitBy(by)]}"
