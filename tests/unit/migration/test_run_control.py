"""Jobs that keep to what their plan says of when and how fast: against the stand-in of XenServer."""

import json
import threading
from datetime import UTC, datetime
from typing import Any

import pytest

from kensho_tui.cancel import Cancel, CancelledError
from kensho_tui.migration.plan import Plan, RunPlan
from kensho_tui.migration.run import run_job
from tests.unit.migration.conftest import World
from tests.unit.migration.memory import MemoryContext
from tests.unit.migration.test_run import digests, plan_of


def running(plan: Plan, **run: Any) -> Plan:
    """The plan, run as said."""
    spec = plan.spec.model_copy(update={"run": RunPlan.model_validate(run)})
    return plan.model_copy(update={"spec": spec})


def test_the_last_step_waits_for_its_window_with_all_bytes_there(world: World) -> None:
    cutover = {"zone": "Europe/Berlin", "days": ["sat"], "from": "22:00", "to": "04:00"}
    plan = running(plan_of(world, "legacy-app"), cutover=cutover)
    context = MemoryContext(world.secrets)  # it is Thursday
    assert run_job(context, plan).state == "succeeded"
    kinds = [(each["kind"], each["step"]) for each in map(json.loads, context.journal)]
    waited = kinds.index(("until", ""))
    assert all(kinds.index(("done", each)) < waited for each in context.steps() if "disk:" in each)
    assert waited < kinds.index(("begin", "commit"))
    assert context.clock.now() >= datetime(2026, 1, 3, 21, tzinfo=UTC)
    assert digests(world.new, "moved0") == digests(world.old, "legacy-app")


@pytest.mark.parametrize("at_once", [1, 2])
def test_so_many_disks_at_once_as_the_plan_says(world: World, at_once: int) -> None:
    plan = running(plan_of(world, "legacy-app"), disks_at_once=at_once)
    context = MemoryContext(world.secrets)
    assert run_job(context, plan).state == "succeeded"
    lines = [
        each["kind"]
        for each in map(json.loads, context.journal)
        if each["step"].startswith("disk:") and each["kind"] in {"begin", "done"}
    ]
    under_way = most = 0
    for kind in lines:
        under_way += 1 if kind == "begin" else -1
        most = max(most, under_way)
    assert most <= at_once
    if at_once == 1:
        assert lines == ["begin", "done"] * 2


def test_a_paused_job_begins_no_step_and_a_cancellation_ends_its_wait(world: World) -> None:
    context = MemoryContext(world.secrets)
    plan = plan_of(world, "legacy-app")

    def on(kind: str, step: str) -> None:
        if (kind, step) == ("done", "deploy"):
            context.pace.set(held=True, limit=None)
            stopping.start()

    stopping = threading.Timer(0.0, context.cancel.cancel)
    context.on = on
    outcome = run_job(context, plan)
    stopping.join()
    assert outcome.state == "cancelled"
    assert not [each for each in context.steps("begin") if each.startswith("disk:")]


def test_a_gate_that_is_shut_lets_nobody_pass_who_is_cancelled() -> None:
    context, cancel = MemoryContext({}), Cancel()
    context.pace.set(held=True, limit=None)
    cancel.cancel()
    with pytest.raises(CancelledError):
        context.pace.pass_gate(cancel)
