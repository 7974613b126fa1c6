"""What a job needs before it may begin, as its journaled plan says it."""

from datetime import UTC, datetime

from backends.base import Kind
from kensho_tui.migration.needs import Needs, needs
from kensho_tui.migration.plan import (
    MachinePlan,
    Metadata,
    Plan,
    RefModel,
    RunPlan,
    SourcePlan,
    Spec,
    TargetPlan,
    WindowPlan,
)
from kensho_tui.migration.times import parse_window


def ref(kind: Kind, name: str) -> RefModel:
    return RefModel(kind=kind, id=f"OpaqueRef:{name}", name=name)


def test_tags_name_what_a_plan_loads_each_once() -> None:
    front = ref(Kind.NETWORK, "front")
    plan = Plan(
        metadata=Metadata(name="shop"),
        spec=Spec(
            source=SourcePlan(connection="vc-old"),
            target=TargetPlan(connection="xen-new", home=ref(Kind.HOST, "h1")),
            machines={
                "db": MachinePlan(adapters={"0": front, "1": None}),
                "web": MachinePlan(adapters={"0": front}, home=ref(Kind.HOST, "h2")),
                "old": MachinePlan(include=False, adapters={"0": ref(Kind.NETWORK, "back")}),
            },
            storage={
                "d1": ref(Kind.STORAGE, "local-sr"),
                "d2": RefModel(kind=Kind.STORAGE, id="uuid-2"),
            },
        ),
    )
    assert needs(plan.model_dump(mode="json")).tags == (
        "source:vc-old",
        "target:xen-new",
        "storage:xen-new/local-sr",
        "storage:xen-new/uuid-2",
        "network:xen-new/front",
        "host:xen-new/h2",
        "host:xen-new/h1",
    )


def test_a_package_is_a_file_and_a_pool_no_host() -> None:
    plan = Plan(
        metadata=Metadata(name="shop"),
        spec=Spec(
            source=SourcePlan(package="/srv/shop.ova"),
            target=TargetPlan(connection="xen", home=ref(Kind.POOL, "pool")),
        ),
    )
    assert needs(plan.model_dump(mode="json")).tags == ("target:xen",)
    out = plan.model_copy(
        update={"spec": Spec(source=SourcePlan(connection="a"), target=TargetPlan(package="/x"))}
    )
    assert needs(out.model_dump(mode="json")).tags == ("source:a",)


def test_a_job_may_work_once_its_time_has_come_and_its_window_is_open() -> None:
    window = parse_window("daily 22:00-04:00 UTC")
    run = RunPlan(not_before=datetime(2026, 6, 1, 12, tzinfo=UTC), window=WindowPlan.of(window))
    found = needs({"spec": {"run": run.model_dump(mode="json")}})
    assert found == Needs((), run.not_before, window)
    assert found.may_work(datetime(2026, 5, 1, tzinfo=UTC)) == datetime(2026, 6, 1, 22, tzinfo=UTC)
    late = datetime(2026, 7, 1, 3, tzinfo=UTC)
    assert found.may_work(late) == late
    assert Needs().may_work(late) == late


def test_a_plan_that_cannot_be_read_holds_nothing_up() -> None:
    assert needs({}) == Needs()
    assert needs({"spec": {"run": {"window": {"from": "x"}, "not_before": "y"}}}) == Needs()
