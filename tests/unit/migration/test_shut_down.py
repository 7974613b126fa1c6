"""Machines that run are shut down first, where the plan consents, and never left off by a failure."""

from pathlib import Path

import pytest

from backends.base import Kind, Power
from kensho_tui.migration.context import StepState
from kensho_tui.migration.draft import Draft
from kensho_tui.migration.plan import Plan, ShutDown
from kensho_tui.migration.run import run_job
from kensho_tui.migration.target import find_machines
from tests.unit.migration.conftest import World
from tests.unit.migration.memory import KilledError, MemoryContext
from tests.unit.migration.test_run import digests

MACHINES = frozenset({Kind.MACHINE})


def plan_of(
    world: World, machine: str, *, package: Path | None = None, force: bool = False
) -> Plan:
    """A plan that shuts the machine on ``old`` down and moves it to ``new``, or into the package."""
    draft = Draft()
    with world.sessions() as sessions:
        refs = find_machines(sessions.get("old"), MACHINES, [machine], "old")
        draft.load_machines(sessions, "old", refs, shut_down=ShutDown(force=force))
        if package is None:
            draft.load_target(sessions, "new")
            assert draft.appliance is not None
            draft.rename(draft.appliance.machines[0].id, "moved")
        else:
            draft.load_target_package(sessions, str(package), "ova")
        findings = draft.check(sessions)
    assert [each.id for each in findings if each.id.startswith("machine-")] == ["machine-shut-down"]
    return draft.plan()


def power(world: World, machine: str) -> str:
    """The machine's power state on ``old``, in the server's word."""
    database = world.old.toolstack.database
    with database.lock:
        (vm,) = database.find("VM", name_label=machine, is_a_snapshot=False)
        return str(database.get("VM", vm, "power_state"))


def test_it_is_shut_down_before_it_is_read_and_stays_off_where_its_copy_takes_over(
    world: World,
) -> None:
    assert power(world, "files01") == "Running"
    context = MemoryContext(world.secrets)
    outcome = run_job(context, plan_of(world, "files01"))
    assert outcome.state == "succeeded", outcome.error
    begun = context.steps("begin")
    assert begun.index("shut-down") < begun.index("capture")
    assert power(world, "files01") == "Halted"
    assert digests(world.new, "moved") == digests(world.old, "files01")
    assert context.undos() == []


def test_when_it_was_written_to_a_package_it_runs_again(world: World, tmp_path: Path) -> None:
    package = tmp_path / "files01.ova"
    context = MemoryContext(world.secrets)
    outcome = run_job(context, plan_of(world, "files01", package=package))
    assert outcome.state == "succeeded", outcome.error
    assert package.exists()
    assert power(world, "files01") == "Running"
    assert context.steps("undone")[-1] == "shut-down"


@pytest.mark.parametrize("how", ["refused", "cancelled"])
def test_when_the_move_comes_to_nothing_it_runs_again(world: World, how: str) -> None:
    before = world.state(world.old), world.state(world.new)
    plan = plan_of(world, "files01")
    context = MemoryContext(world.secrets)
    if how == "refused":
        world.new.control.set(refuse_disk="*")
    else:
        context.on = lambda kind, step: (
            context.cancel.cancel() if (kind, step) == ("begin", "deploy") else None
        )
    outcome = run_job(context, plan)
    assert outcome.state == ("failed" if how == "refused" else "cancelled")
    assert outcome.leftovers == ()
    assert power(world, "files01") == "Running"
    assert (world.state(world.old), world.state(world.new)) == before


def test_a_guest_that_does_not_follow_ends_the_job_and_runs_on(world: World) -> None:
    with world.sessions() as sessions:
        (ref,) = find_machines(sessions.get("old"), MACHINES, ["legacy-app"], "old")
        sessions.get("old").power(ref, Power.ON, 30)
    outcome = run_job(MemoryContext(world.secrets), plan_of(world, "legacy-app"))
    assert outcome.state == "failed"
    assert outcome.error is not None
    assert "did not shut down" in outcome.error.what
    assert "allow it to be switched off" in outcome.error.remedy
    assert power(world, "legacy-app") == "Running"
    forced = run_job(MemoryContext(world.secrets), plan_of(world, "legacy-app", force=True))
    assert forced.state == "succeeded", forced.error
    assert power(world, "legacy-app") == "Halted"


@pytest.mark.parametrize("moment", ["begin", "done"])
def test_after_a_crash_at_the_shut_down_the_next_worker_goes_on(world: World, moment: str) -> None:
    plan = plan_of(world, "files01")
    first = MemoryContext(world.secrets)

    def kill(kind: str, step: str) -> None:
        if (kind, step) == (moment, "shut-down"):
            raise KilledError

    first.on = kill
    with pytest.raises(KilledError):
        run_job(first, plan)
    second = MemoryContext(world.secrets, first.journal)
    world.new.control.set(refuse_disk="*")
    outcome = run_job(second, plan)
    assert outcome.state == "failed"
    past = second.past("shut-down")
    assert past is not None
    assert past.state is StepState.UNDONE
    assert power(world, "files01") == "Running", "whoever shut it down, it is known that it ran"


def test_a_machine_that_cannot_be_started_again_is_told_with_what_to_do(world: World) -> None:
    plan = plan_of(world, "files01")
    world.new.control.set(refuse_disk="*")
    context = MemoryContext(world.secrets)

    def occupy(kind: str, step: str) -> None:
        if (kind, step) == ("done", "shut-down"):
            database = world.old.toolstack.database
            with database.lock:
                (vm,) = database.find("VM", name_label="files01", is_a_snapshot=False)
                database.set("VM", vm, memory_dynamic_max=1 << 50, memory_static_max=1 << 50)

    context.on = occupy
    outcome = run_job(context, plan)
    assert outcome.state == "needs_attention"
    (left,) = outcome.leftovers
    assert left["name"] == "files01"
    assert "was shut down" in left["reason"]
    assert left["action"] == "Look on old whether 'files01' runs, and start it"
