"""Jobs from begin to end against real back ends and the stand-in of XenServer."""

import hashlib

import pytest

from backends.base import AuthenticationError, BackendError, Consistency, Kind, TrustError
from kensho_tui.cancel import Cancel
from kensho_tui.connections import ConnectionBook
from kensho_tui.lab import XenLab
from kensho_tui.migration.context import FencedError, QuestionKind
from kensho_tui.migration.draft import Draft
from kensho_tui.migration.plan import Plan, RefModel
from kensho_tui.migration.run import run_job
from kensho_tui.migration.target import find_machines, items
from tests.unit.migration.conftest import World
from tests.unit.migration.memory import KilledError, MemoryContext

MACHINES = frozenset({Kind.MACHINE})


def plan_of(
    world: World,
    *names: str,
    start: bool = False,
    rename: str = "moved",
    how: Consistency = Consistency.OFF,
) -> Plan:
    """A plan that moves machines from ``old`` to ``new``."""
    draft = Draft()
    with world.sessions() as sessions:
        refs = find_machines(sessions.get("old"), MACHINES, names, "old")
        draft.load_machines(sessions, "old", refs, how)
        draft.load_target(sessions, "new")
        assert draft.appliance is not None
        for number, machine in enumerate(draft.appliance.machines):
            draft.rename(machine.id, f"{rename}{number}")
        draft.start = start
        draft.check(sessions)
    return draft.plan()


def digests(lab: XenLab, machine: str) -> list[str]:
    """Digest of every disk of the machine, in order."""
    return [
        hashlib.sha256(disk.file.read_bytes()).hexdigest()
        for disk in lab.disks()
        if disk.machine == machine
    ]


def test_a_machine_arrives_with_all_its_disks_and_the_source_is_as_before(world: World) -> None:
    before = world.state(world.old)
    plan = plan_of(world, "legacy-app", start=True)
    context = MemoryContext(world.secrets)
    outcome = run_job(context, plan)
    assert outcome.error is None
    assert outcome.state == "succeeded"
    assert outcome.result["machines"][0]["started"] is True
    assert outcome.result["machines"][0]["ref"]["name"] == "moved0"
    assert digests(world.new, "moved0") == digests(world.old, "legacy-app")
    assert len(digests(world.new, "moved0")) == 2
    assert world.state(world.old) == before
    assert context.undos() == []
    assert context.samples[-1].position == context.samples[-1].total


def test_two_machines_arrive_with_a_snapshot_of_the_running_one(world: World) -> None:
    before = world.state(world.old)
    plan = plan_of(world, "legacy-app", "files01", how=Consistency.SNAPSHOT)
    context = MemoryContext(world.secrets)
    seen: list[list[str]] = []
    context.on = lambda kind, step: (
        seen.append(world.state(world.old)["VM"]) if (kind, step) == ("begin", "commit") else None
    )
    assert run_job(context, plan).state == "succeeded"
    assert len(seen[0]) == len(before["VM"]) + 2
    assert world.state(world.old) == before
    assert digests(world.new, "moved1") == digests(world.old, "files01")


def test_a_running_machine_without_a_snapshot_fails_before_anything_is_written(
    world: World,
) -> None:
    before = world.state(world.new)
    plan = plan_of(world, "legacy-app")
    vm = next(iter(plan.spec.source.machines))
    database = world.old.toolstack.database
    with database.lock:
        database.set("VM", database.by_uuid("VM", vm.id), power_state="Running")
    context = MemoryContext(world.secrets, answers={QuestionKind.SOURCE_CHANGED: "continue"})
    outcome = run_job(context, plan)
    assert outcome.state == "failed"
    assert "the machine is running" in str(outcome.error)
    assert "Shut it down" in str(outcome.error)
    assert "deploy" not in context.steps("begin")
    assert world.state(world.new) == before


def test_a_disk_that_is_refused_leaves_nothing_behind(world: World) -> None:
    before = world.state(world.old), world.state(world.new)
    plan = plan_of(world, "files01", how=Consistency.SNAPSHOT)
    world.new.control.set(refuse_disk="*")
    context = MemoryContext(world.secrets)
    outcome = run_job(context, plan)
    assert outcome.state == "failed"
    assert isinstance(outcome.error, BackendError)
    assert outcome.leftovers == ()
    assert (world.state(world.old), world.state(world.new)) == before
    assert context.steps("undone") == ["deploy", "capture"]
    assert context.undos() == []


def test_a_connection_that_is_cut_once_is_made_again(world: World) -> None:
    plan = plan_of(world, "legacy-app")
    world.new.control.set(cut_after=64 * 1024)
    context = MemoryContext(world.secrets)

    def mend(kind: str, step: str) -> None:
        if kind == "note" and step.startswith("disk"):
            world.new.control.set(cut_after=None)

    context.on = mend
    outcome = run_job(context, plan)
    assert outcome.state == "succeeded", outcome.error
    assert "trying again" in context.notes()
    assert digests(world.new, "moved0") == digests(world.old, "legacy-app")


def test_a_connection_that_is_cut_again_and_again_ends_the_job_cleanly(world: World) -> None:
    before = world.state(world.new)
    plan = plan_of(world, "legacy-app")
    world.new.control.set(cut_after=64 * 1024)
    context = MemoryContext(world.secrets)
    outcome = run_job(context, plan)
    assert outcome.state == "failed"
    assert isinstance(outcome.error, BackendError)
    assert len(context.clock.slept) >= 1
    assert world.state(world.new) == before


def test_a_cancelled_job_leaves_nothing_behind(world: World) -> None:
    before = world.state(world.old), world.state(world.new)
    plan = plan_of(world, "files01", how=Consistency.SNAPSHOT)
    world.new.control.set(bytes_per_second=200_000)
    context = MemoryContext(world.secrets)

    def cancel(kind: str, step: str) -> None:
        if (kind, step[:4]) == ("begin", "disk"):
            context.cancel.cancel()

    context.on = cancel
    outcome = run_job(context, plan)
    assert (outcome.state, outcome.error) == ("cancelled", None)
    assert (world.state(world.old), world.state(world.new)) == before


def test_a_job_that_is_cancelled_before_it_begins_touches_nothing(world: World) -> None:
    plan = plan_of(world, "legacy-app")
    context = MemoryContext(world.secrets)
    context.cancel.cancel()
    world.new.control.clear_calls()
    assert run_job(context, plan).state == "cancelled"
    assert world.new.control.calls == []
    assert context.steps("begin") == []


def test_a_cancellation_that_comes_during_the_commit_comes_too_late(world: World) -> None:
    plan = plan_of(world, "legacy-app")
    context = MemoryContext(world.secrets)

    class Late(Cancel):
        """Is cancelled when the commit has passed its last look at it."""

        def check(self) -> None:
            super().check()
            if "commit" in context.steps("begin"):
                self.cancel()

    context.cancel = Late()
    outcome = run_job(context, plan)
    assert outcome.state == "succeeded", outcome.error
    assert "too late to cancel" in context.notes()
    assert len(digests(world.new, "moved0")) == 2


@pytest.mark.parametrize(
    ("kind", "step"),
    [
        ("done", "source"),
        ("begin", "deploy"),
        ("done", "deploy"),
        ("begin", "disk"),
        ("sample", "disk"),
        ("done", "disk"),
        ("begin", "commit"),
        ("done", "commit"),
        ("settled", "deploy"),
        ("undone", "capture"),
    ],
)
def test_a_job_whose_runner_is_killed_is_gone_on_with(world: World, kind: str, step: str) -> None:
    before = world.state(world.old)
    plan = plan_of(world, "legacy-app", start=True)
    first = MemoryContext(world.secrets)

    def kill(what: str, where: str) -> None:
        if what == kind and where.split(":")[0] == step:
            raise KilledError

    first.on = kill
    with pytest.raises(KilledError):
        run_job(first, plan)
    second = MemoryContext(world.secrets, first.journal)
    outcome = run_job(second, plan)
    assert outcome.state == "succeeded", outcome.error
    assert digests(world.new, "moved0") == digests(world.old, "legacy-app")
    names = world.state(world.new)["VM"]
    assert names.count("moved0") == 1
    assert world.state(world.old) == before
    assert second.undos() == []


def test_a_snapshot_keeps_its_moment_over_a_crash_even_if_the_machine_goes_on(
    world: World,
) -> None:
    before = world.state(world.old)
    plan = plan_of(world, "files01", how=Consistency.SNAPSHOT)
    expected = digests(world.old, "files01")
    first = MemoryContext(world.secrets)

    def kill(kind: str, step: str) -> None:
        if kind == "begin" and step.startswith("disk"):
            raise KilledError

    first.on = kill
    with pytest.raises(KilledError):
        run_job(first, plan)
    (disk,) = [each for each in world.old.disks() if each.machine == "files01"]
    with disk.file.open("r+b") as file:
        file.write(b"written by the guest after the snapshot")
    database = world.old.toolstack.database
    with database.lock:
        (vm,) = database.find("VM", name_label="files01", is_a_snapshot=False)
        database.set("VM", vm, name_description="changed meanwhile")
    second = MemoryContext(world.secrets, first.journal)
    outcome = run_job(second, plan)
    assert outcome.state == "succeeded", outcome.error
    assert second.asked == []
    assert digests(world.new, "moved0") == expected
    assert world.state(world.old) == before


def test_a_disk_that_was_done_before_the_crash_is_not_sent_again(world: World) -> None:
    plan = plan_of(world, "legacy-app")
    first = MemoryContext(world.secrets)

    def kill(kind: str, step: str) -> None:
        if kind == "begin" and step == "commit":
            raise KilledError

    first.on = kill
    with pytest.raises(KilledError):
        run_job(first, plan)
    world.new.control.clear_calls()
    assert run_job(MemoryContext(world.secrets, first.journal), plan).state == "succeeded"
    assert world.new.control.calls.count("PUT /import_raw_vdi") == 0
    assert world.new.control.calls.count("VM.create") == 0


def test_a_job_that_is_cancelled_after_a_crash_cleans_up(world: World) -> None:
    before = world.state(world.old), world.state(world.new)
    plan = plan_of(world, "files01", how=Consistency.SNAPSHOT)
    first = MemoryContext(world.secrets)

    def kill(kind: str, step: str) -> None:
        if kind == "sample":
            raise KilledError

    first.on = kill
    with pytest.raises(KilledError):
        run_job(first, plan)
    assert (world.state(world.old), world.state(world.new)) != before
    second = MemoryContext(world.secrets, first.journal)
    second.cancel.cancel()
    outcome = run_job(second, plan)
    assert outcome.state == "cancelled"
    assert (world.state(world.old), world.state(world.new)) == before


def test_a_runner_that_dies_while_it_cleans_up_is_followed_by_one_that_cleans_up(
    world: World,
) -> None:
    before = world.state(world.old), world.state(world.new)
    plan = plan_of(world, "files01", how=Consistency.SNAPSHOT)
    world.new.control.set(refuse_disk="*")
    first = MemoryContext(world.secrets)

    def kill(kind: str, step: str) -> None:
        if kind == "undone":
            raise KilledError

    first.on = kill
    with pytest.raises(KilledError):
        run_job(first, plan)
    world.new.control.set(refuse_disk="")
    second = MemoryContext(world.secrets, first.journal)
    outcome = run_job(second, plan)
    assert outcome.state == "failed"
    assert outcome.error is not None
    assert outcome.error.what in first.steps_errors()
    assert (world.state(world.old), world.state(world.new)) == before


def test_a_job_that_somebody_else_holds_is_left_alone(world: World) -> None:
    plan = plan_of(world, "legacy-app")
    context = MemoryContext(world.secrets)

    def fence(kind: str, step: str) -> None:
        if kind == "done" and step.startswith("disk"):
            raise FencedError("another worker has it")

    context.on = fence
    before = world.state(world.new)
    with pytest.raises(FencedError):
        run_job(context, plan)
    assert context.steps("undone") == []
    assert context.steps("failed") == []
    assert world.state(world.new) != before


def test_a_changed_certificate_is_asked_about_and_may_be_trusted_for_the_job(
    world: World,
) -> None:
    plan = plan_of(world, "legacy-app")
    pin = world.new.new_certificate()
    context = MemoryContext(world.secrets, answers={QuestionKind.CHANGED_PIN: "trust"})
    assert run_job(context, plan).state == "succeeded"
    assert pin in context.asked[0].text
    assert context.asked[0].default == "stop"
    assert ConnectionBook().get("new").pin != pin


def test_a_changed_certificate_that_nobody_trusts_ends_the_job(world: World) -> None:
    plan = plan_of(world, "legacy-app")
    world.new.new_certificate()
    outcome = run_job(MemoryContext(world.secrets), plan)
    assert outcome.state == "failed"
    assert isinstance(outcome.error, TrustError)


def test_a_source_that_changed_since_the_plan_is_asked_about(world: World) -> None:
    plan = plan_of(world, "legacy-app")
    source = plan.spec.source.model_copy(update={"identity": "another"})
    changed = plan.model_copy(update={"spec": plan.spec.model_copy(update={"source": source})})
    stopped = MemoryContext(world.secrets)
    outcome = run_job(stopped, changed)
    assert outcome.state == "failed"
    assert "not what it was when the plan was made" in str(outcome.error)
    assert stopped.asked[0].kind is QuestionKind.SOURCE_CHANGED
    going_on = MemoryContext(world.secrets, answers={QuestionKind.SOURCE_CHANGED: "continue"})
    assert run_job(going_on, changed).state == "succeeded"


def test_a_wrong_password_is_one_clear_sentence(world: World) -> None:
    plan = plan_of(world, "legacy-app")
    context = MemoryContext({**world.secrets, "connection:new": "wr0ng-canary"})
    outcome = run_job(context, plan)
    assert outcome.state == "failed"
    assert isinstance(outcome.error, AuthenticationError)
    assert "wr0ng-canary" not in str(outcome.error)
    assert "wr0ng-canary" not in "".join(context.journal)


def test_a_refused_password_is_asked_for_again_until_one_is_right(world: World) -> None:
    plan = plan_of(world, "legacy-app")
    context = MemoryContext({**world.secrets, "connection:new": "wr0ng-canary"})
    context.secrets.more = ["wr0ng-again", world.secrets["connection:new"]]
    assert run_job(context, plan).state == "succeeded"
    assert context.secrets.more == []


def test_cleaning_up_asks_again_for_a_refused_password_and_leaves_nothing(world: World) -> None:
    before = world.state(world.new)
    plan = plan_of(world, "legacy-app")
    context = MemoryContext(world.secrets)

    def killed(kind: str, step: str) -> None:
        if (kind, step) == ("begin", "commit"):
            raise KilledError

    context.on = killed
    with pytest.raises(KilledError):
        run_job(context, plan)
    second = MemoryContext({**world.secrets, "connection:new": "wr0ng"}, context.journal)
    second.secrets.more = [world.secrets["connection:new"]]
    second.cancel.cancel()
    outcome = run_job(second, plan)
    assert (outcome.state, outcome.leftovers) == ("cancelled", ())
    assert world.state(world.new) == before


def test_a_target_that_dies_midway_leaves_a_list_of_what_to_look_for(world: World) -> None:
    plan = plan_of(world, "legacy-app")
    world.new.control.set(die_after=64 * 1024)
    context = MemoryContext(world.secrets)
    outcome = run_job(context, plan)
    assert outcome.state == "needs_attention"
    assert isinstance(outcome.error, BackendError)
    (left,) = outcome.leftovers
    assert left["where"] == "new"
    assert "kensho:shop-1:deploy" in left["action"]
    assert context.undos() == []


def test_what_was_left_is_taken_back_later_and_the_first_error_is_kept(world: World) -> None:
    plan = plan_of(world, "legacy-app")
    before = world.state(world.new)
    wrong = {**world.secrets, "connection:new": "wr0ng"}
    context = MemoryContext(world.secrets)
    world.new.control.set(refuse_disk="*")

    def forget(kind: str, step: str) -> None:
        if (kind, step) == ("begin", "cleanup"):
            context.secrets.known = dict(wrong)  # nobody can log in for the cleaning up

    context.on = forget
    first = run_job(context, plan)
    assert first.state == "needs_attention"
    assert first.leftovers[0]["where"] == "new"
    again = MemoryContext(wrong, context.journal)
    again.reopen()
    still = run_job(again, plan)
    assert (still.state, len(still.leftovers)) == ("needs_attention", len(first.leftovers))
    last = MemoryContext(world.secrets, context.journal)
    last.reopen()
    outcome = run_job(last, plan)
    assert (outcome.state, outcome.leftovers) == ("failed", ())
    assert str(outcome.error) == str(first.error)
    assert world.state(world.new) == before


def test_a_worker_that_dies_while_it_cleans_up_forgets_nothing_that_was_left(world: World) -> None:
    plan = plan_of(world, "files01", how=Consistency.SNAPSHOT)
    world.new.control.set(refuse_disk="*")
    context = MemoryContext(world.secrets)

    def at(kind: str, step: str) -> None:
        if (kind, step) == ("begin", "cleanup"):
            context.secrets.known["connection:new"] = "wr0ng"
        if (kind, step) == ("undone", "capture"):
            raise KilledError

    context.on = at
    with pytest.raises(KilledError):
        run_job(context, plan)
    outcome = run_job(MemoryContext(world.secrets, context.journal), plan)
    assert outcome.state == "needs_attention"
    assert [each["where"] for each in outcome.leftovers] == ["new"]


def test_a_move_whose_hold_on_the_source_was_left_has_succeeded_once_that_is_gone(
    world: World,
) -> None:
    plan = plan_of(world, "files01", how=Consistency.SNAPSHOT)
    before = world.state(world.old)
    context = MemoryContext(world.secrets)

    def killed(kind: str, step: str) -> None:
        if (kind, step) == ("undone", "capture") or (kind, step) == ("settled", "deploy"):
            raise KilledError

    context.on = killed
    with pytest.raises(KilledError):
        run_job(context, plan)
    later = MemoryContext({**world.secrets, "connection:old": "wr0ng"}, context.journal)
    left = run_job(later, plan)
    assert left.state == "needs_attention"
    assert left.result["machines"][0]["ref"]["name"] == "moved0"
    last = MemoryContext(world.secrets, context.journal)
    last.reopen()
    outcome = run_job(last, plan)
    assert (outcome.state, outcome.leftovers) == ("succeeded", ())
    assert outcome.result == left.result
    assert world.state(world.old) == before
    assert len(digests(world.new, "moved0")) == 1, "what is in service stays"


def test_no_password_is_in_the_plan_or_in_the_journal(world: World) -> None:
    plan = plan_of(world, "legacy-app")
    context = MemoryContext(world.secrets)
    run_job(context, plan)
    told = plan.model_dump_json() + "".join(context.journal)
    for password in world.secrets.values():
        assert password not in told


def test_what_the_target_says_itself_is_not_said_twice(world: World) -> None:
    draft = Draft()
    with world.sessions() as sessions:
        refs = find_machines(sessions.get("old"), MACHINES, ["legacy-app"], "old")
        draft.load_machines(sessions, "old", refs)
        draft.load_target(sessions, "new")
        found = draft.check(sessions)
    taken = [each for each in found if each.id == "name-taken"]
    assert [each.subject for each in taken] == ["legacy-app"]
    assert "the server allows two" in taken[0].message


def test_a_storage_that_is_too_small_is_found_before_anything_is_written(world: World) -> None:
    plan = plan_of(world, "legacy-app")
    with world.sessions() as sessions:
        tiny = next(
            item.ref
            for item in items(sessions.get("new"), frozenset({Kind.STORAGE}))
            if item.ref.name == "tiny-sr"
        )
    huge = {disk: RefModel.of(tiny) for disk in plan.spec.storage}
    spec = plan.spec.model_copy(update={"storage": huge})
    database = world.new.toolstack.database
    with database.lock:
        (sr,) = database.find("SR", name_label="tiny-sr")
        database.set("SR", sr, physical_utilisation=60 << 20)
    context = MemoryContext(world.secrets)
    outcome = run_job(context, plan.model_copy(update={"spec": spec}))
    assert outcome.state == "failed"
    assert "tiny-sr" in str(outcome.error)
    assert "deploy" not in context.steps("begin")
