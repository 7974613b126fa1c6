"""Which limit holds, and in which words."""

from datetime import UTC, datetime

import pytest

from kensho_tui.engine.limits import Limit, LimitBy, in_force, in_words
from kensho_tui.migration.needs import needs
from kensho_tui.migration.plan import BandwidthPlan, RunPlan
from kensho_tui.migration.times import Limits, parse_limits

MIB = 1 << 20
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)  # a Monday
DAY = parse_limits(["20M mon-fri 07:00-18:00 UTC"])


@pytest.mark.parametrize(
    ("told", "operator", "planned", "share", "holds"),
    [
        (False, None, Limits(), None, Limit()),
        (False, None, DAY, None, Limit(20 * MIB, LimitBy.PLAN)),
        (True, 30 * MIB, DAY, None, Limit(30 * MIB, LimitBy.OPERATOR)),
        (True, None, DAY, None, Limit()),
        (False, None, DAY, 5 * MIB, Limit(5 * MIB, LimitBy.RUNNER)),
        (False, None, DAY, 50 * MIB, Limit(20 * MIB, LimitBy.PLAN)),
        (True, None, DAY, 50 * MIB, Limit(50 * MIB, LimitBy.RUNNER)),
    ],
)
def test_what_was_told_wins_over_the_plan_and_a_lower_share_over_both(
    told: bool, operator: int | None, planned: Limits, share: int | None, holds: Limit
) -> None:
    assert in_force(NOON, told=told, operator=operator, planned=planned, share=share) == holds


def test_a_limit_is_said_with_whose_it_is() -> None:
    assert in_words(20 * MIB, "plan") == "20 MiB/s, as its plan says"
    assert in_words(20 * MIB, "operator") == "20 MiB/s, as it was told"
    assert "runner.toml" in in_words(1, "runner")
    assert in_words(None, "") == "no limit"


def test_the_plans_limits_are_read_off_the_plan_as_the_journal_keeps_it() -> None:
    run = RunPlan(bandwidth=BandwidthPlan.of(DAY)).model_dump(mode="json")
    assert needs({"spec": {"run": run}}).bandwidth == DAY
