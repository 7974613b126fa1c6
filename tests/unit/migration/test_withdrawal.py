"""The CD with a password in it goes once the guests have read it, and is known until then."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from backends.xenserver import removal
from kensho_tui.machine import MachineId
from kensho_tui.migration.context import QuestionKind
from kensho_tui.migration.plan import Plan
from kensho_tui.migration.run import run_job
from tests.unit.migration.conftest import World
from tests.unit.migration.memory import KilledError, MemoryContext
from tests.unit.migration.packages import PASSWORD, shop
from tests.unit.migration.test_run_package import import_plan


def cds(world: World) -> list[str]:
    """Disks of the lab in whose file the password stands."""
    files = (world.new.state / "disks").iterdir()
    return [path.name for path in files if PASSWORD.encode() in path.read_bytes()]


def prepared(
    world: World, tmp_path: Path, *, start: bool = True
) -> tuple[Plan, Callable[..., MemoryContext]]:
    """A plan, and contexts of the one journal it is run with."""
    plan, secrets = import_plan(world, shop(tmp_path), start=start)
    journal: list[str] = []

    def context(**answers: str) -> MemoryContext:
        return MemoryContext(secrets, journal, {QuestionKind(k): v for k, v in answers.items()})

    return plan, context


def tidied(context: MemoryContext, plan: Plan) -> None:
    """What `kensho job eject` has the next worker do after the job's end."""
    context.reopen()
    assert run_job(context, plan).state == "succeeded"
    assert context.leftovers() == []


def test_the_guests_get_their_time_and_then_the_cd_is_gone(world: World, tmp_path: Path) -> None:
    plan, contexts = prepared(world, tmp_path)
    context = contexts()
    seen: list[int] = []
    context.on = lambda kind, step: seen.append(len(cds(world))) if kind == "question" else None
    outcome = run_job(context, plan)
    assert (outcome.state, outcome.leftovers) == ("succeeded", ())
    (question,) = context.asked
    assert (question.kind, question.default) == (QuestionKind.ENVIRONMENT, "eject")
    assert question.choices == ("eject", "keep")
    assert question.expires == context.clock.now() + timedelta(minutes=15)
    assert "web" in question.text and "db" in question.text
    assert seen == [2]  # both stood there while the job waited
    assert cds(world) == []
    assert not [d for d in world.new.disks() if "environment" in d.name]


def test_the_undo_is_journaled_before_the_cd_is_made(world: World, tmp_path: Path) -> None:
    plan, contexts = prepared(world, tmp_path)
    context = contexts()

    def look(kind: str, step: str) -> None:
        if (kind, step) == ("begin", "environment"):
            assert cds(world) == []

    context.on = look
    run_job(context, plan)
    (begun,) = [each for each in context.events("begin") if each["step"] == "environment"]
    assert begun["undo"]["action"] == "withdraw"
    assert begun["undo"]["data"] == {"connection": "new", "key": f"kensho:{context.job}:deploy"}


def test_a_plan_may_give_the_guests_no_time(world: World, tmp_path: Path) -> None:
    plan, contexts = prepared(world, tmp_path)
    spec = plan.spec.model_copy(update={"eject_after": 0})
    context = contexts()
    assert run_job(context, plan.model_copy(update={"spec": spec})).state == "succeeded"
    assert context.asked == []
    assert cds(world) == []


def test_what_is_kept_is_listed_and_goes_by_hand(world: World, tmp_path: Path) -> None:
    plan, contexts = prepared(world, tmp_path)
    context = contexts(environment="keep")
    outcome = run_job(context, plan)
    assert outcome.state == "succeeded"
    (left,) = outcome.leftovers
    assert (left["kind"], left["where"]) == ("environment", "new")
    assert left["action"].endswith(f"'kensho job eject {context.job}'")
    assert len(cds(world)) == 2
    tidied(contexts(), plan)
    assert cds(world) == []


def test_where_nothing_was_started_nobody_is_asked_and_the_cd_is_listed(
    world: World, tmp_path: Path
) -> None:
    plan, contexts = prepared(world, tmp_path, start=False)
    context = contexts()
    outcome = run_job(context, plan)
    assert outcome.state == "succeeded"
    assert [each["kind"] for each in outcome.leftovers] == ["environment"]
    assert context.asked == []
    assert len(cds(world)) == 2
    tidied(contexts(), plan)
    database = world.new.toolstack.database
    with database.lock:
        (web,) = database.find("VM", name_label="web")
        drives = [database.record("VBD", vbd) for vbd in database.get("VM", web, "VBDs")]
    assert all(each["type"] == "Disk" for each in drives)


def test_settings_without_a_password_stay_as_they_are(world: World, tmp_path: Path) -> None:
    plan, secrets = import_plan(world, shop(tmp_path, password=False), start=True)
    context = MemoryContext(secrets)
    outcome = run_job(context, plan)
    assert (outcome.state, outcome.leftovers, context.asked) == ("succeeded", (), [])
    assert len(cds(world)) == 2


@pytest.mark.parametrize(
    ("kind", "step"),
    [
        ("done", "environment"), ("begin", "commit"), ("done", "commit"), ("settled", "deploy"),
        ("question", ""), ("begin", "withdraw"), ("undone", "environment"), ("done", "withdraw"),
    ],
)  # fmt: skip
def test_whenever_the_worker_dies_the_next_one_takes_the_cd(
    world: World, tmp_path: Path, kind: str, step: str
) -> None:
    plan, contexts = prepared(world, tmp_path)
    first = contexts()

    def die(now: str, at: str) -> None:
        if (now, at) == (kind, step):
            raise KilledError

    first.on = die
    with pytest.raises(KilledError):
        run_job(first, plan)
    outcome = run_job(contexts(), plan)
    assert (outcome.state, outcome.leftovers) == ("succeeded", ())
    assert cds(world) == []


def test_a_job_that_fails_after_it_delivered_takes_the_cd_with_it(
    world: World, tmp_path: Path
) -> None:
    plan, contexts = prepared(world, tmp_path)
    before = world.state(world.new)
    context = contexts()
    context.on = lambda kind, step: (
        context.cancel.cancel() if (kind, step) == ("done", "environment") else None
    )
    assert run_job(context, plan).state == "cancelled"
    assert cds(world) == []
    assert world.state(world.new) == before


def test_who_cancels_while_the_guests_are_waited_for_ends_the_waiting_alone(
    world: World, tmp_path: Path
) -> None:
    plan, contexts = prepared(world, tmp_path)
    context = contexts()
    context.on = lambda kind, step: (
        context.cancel.cancel() if (kind, step) == ("settled", "deploy") else None
    )
    outcome = run_job(context, plan)
    assert (outcome.state, outcome.leftovers) == ("succeeded", ())
    assert cds(world) == []
    assert any("in service and stay" in each["message"] for each in context.events("note"))
    again = contexts()
    again.cancel.cancel()
    assert run_job(again, plan).state == "succeeded"


def test_a_cd_that_cannot_be_deleted_needs_attention_and_is_tried_again(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal, "_GIVE_UP_S", 0.0)
    plan, contexts = prepared(world, tmp_path)
    context = contexts()
    usage, database = world.new.toolstack.usage, world.new.toolstack.database
    held: list[str] = []

    def hold(kind: str, step: str) -> None:
        if kind == "question":
            held.extend(
                vdi
                for vdi in database.refs("VDI")
                if database.get("VDI", vdi, "other_config").get("kensho:environment")
                == MachineId("web")
            )
            usage._busy[held[0]] = "copy"

    context.on = hold
    outcome = run_job(context, plan)
    assert outcome.state == "needs_attention"
    (left,) = outcome.leftovers
    assert "web" in left["name"]
    assert (left["kind"], left["id"]) == ("environment", database.get("VDI", held[0], "uuid"))
    assert "kensho job eject" in left["action"]
    assert len(cds(world)) == 1
    usage.release(held[0], 0)
    tidied(contexts(), plan)
    assert cds(world) == []
