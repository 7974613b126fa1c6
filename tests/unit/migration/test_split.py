"""One plan for many machines made into one for each."""

from dataclasses import replace

import pytest

from backends.base import Described, Kind, MachineItem, Ref
from kensho_tui.machine import (
    Appliance,
    Attachment,
    Disk,
    DiskId,
    Licence,
    Machine,
    MachineId,
    Memory,
    Property,
)
from kensho_tui.migration.plan import (
    LicenceAnswer,
    MachinePlan,
    Metadata,
    Plan,
    RefModel,
    SecretValue,
    SourcePlan,
    Spec,
    TargetPlan,
)
from kensho_tui.migration.split import Part, groups, split

SR = RefModel(kind=Kind.STORAGE, id="sr", name="local-sr")
NFS = RefModel(kind=Kind.STORAGE, id="nfs", name="shared-nfs")
SHOP = Ref(Kind.APPLIANCE, "app-1", "shop")


def machine(name: str, *disks: str, id: str = "") -> Machine:
    drives = tuple(Attachment(f"vbd{n}", disk=DiskId(each)) for n, each in enumerate(disks))
    return Machine(
        MachineId(id or name), name, Memory(1 << 30), uuid=f"u-{name}", attachments=drives
    )


def appliance(*machines: Machine, **changes: object) -> Appliance:
    held = {a.disk: Disk(a.disk, 1) for m in machines for a in m.attachments if a.disk is not None}
    whole = Appliance(" + ".join(m.name for m in machines), machines, held)
    return replace(whole, **changes)  # type: ignore[arg-type]


def ref(name: str) -> Ref:
    return Ref(Kind.MACHINE, f"u-{name}", name)


def item(name: str, of: Ref | None = None) -> MachineItem:
    return MachineItem(ref(name), appliance=of)


def plan(*names: str, **changes: object) -> Plan:
    spec = Spec(
        source=SourcePlan(
            connection="old", machines=tuple(RefModel.of(ref(n)) for n in names), identity="all"
        ),
        target=TargetPlan(connection="new"),
    ).model_copy(update=changes)
    return Plan(metadata=Metadata(name="wave", labels={"team": "a"}), spec=spec)


def part(described: Appliance, *names: str, package: str = "") -> Part:
    return Part(tuple(map(ref, names)), Described(described, (), "id-" + names[0]), package)


# ------------------------------------------------------------------------------------- groups
def test_machines_of_one_appliance_and_machines_that_share_a_disk_stay_together() -> None:
    names = ["web", "alone", "node1", "db", "node2", "last"]
    whole = appliance(
        machine("web", "w"), machine("alone", "a"), machine("node1", "n1", "quorum"),
        machine("db", "d"), machine("node2", "n2", "quorum"), machine("last", "l"),
    )  # fmt: skip
    items = [item("web", SHOP), item("db", SHOP), item("alone"), item("last")]
    found = groups([ref(each) for each in names], whole, items)
    assert [[each.name for each in group] for group in found] == [
        ["web", "db"], ["alone"], ["node1", "node2"], ["last"],
    ]  # fmt: skip


def test_groups_that_have_a_member_in_common_are_one() -> None:
    whole = appliance(machine("web"), machine("db", "q"), machine("other", "q"))
    items = [item("web", SHOP), item("db", SHOP), item("other")]
    found = groups([ref("other"), ref("web"), ref("db")], whole, items)
    assert [[each.name for each in group] for group in found] == [["other", "web", "db"]]


def test_a_disk_that_two_are_made_on_keeps_them_together() -> None:
    whole = appliance(machine("one", "c1"), machine("two", "c2"))
    golden = Disk(DiskId("golden"), 1)
    disks = {id: replace(disk, parent=golden.id) for id, disk in whole.disks.items()}
    whole = replace(whole, disks={**disks, golden.id: golden})
    assert len(groups([ref("one"), ref("two")], whole, [])) == 1


def test_an_appliance_that_was_named_is_one_part() -> None:
    whole = appliance(machine("web"), machine("db"), machine("alone"))
    assert groups([SHOP, ref("alone")], whole, [item("alone")]) == [(SHOP,), (ref("alone"),)]


# ------------------------------------------------------------------------------------- split
def test_each_plan_is_complete_in_itself_and_holds_what_was_decided_for_its_machine() -> None:
    web, db = machine("web", "w0", "w1"), machine("db", "d0")
    whole = plan(
        "web", "db",
        machines={"web": MachinePlan(name="front"), "db": MachinePlan(memory=8 << 30)},
        storage={"w0": SR, "w1": NFS, "d0": NFS},
        accepted=("w-1",), start=True, name="both",
    )  # fmt: skip
    one, two = split(
        whole, appliance(web, db), [part(appliance(web), "web"), part(appliance(db), "db")], "b"
    )
    assert (one.metadata.name, two.metadata.name) == ("front", "db")
    assert {one.metadata.batch, two.metadata.batch} == {"b"}
    assert one.metadata.labels == {"team": "a"}
    assert one.spec.machines == {"web": MachinePlan(name="front")}
    assert one.spec.storage == {"w0": SR, "w1": NFS}
    assert two.spec.storage == {"d0": NFS}
    assert one.spec.source.machines == (RefModel.of(ref("web")),)
    assert (one.spec.source.identity, two.spec.source.identity) == ("id-web", "id-db")
    assert one.spec.name is None
    assert two.spec.start
    assert two.spec.accepted == ("w-1",)
    assert Plan.model_validate(one.model_dump(mode="json")) == one


def test_a_machine_or_disk_that_has_another_id_alone_is_found_by_its_place() -> None:
    # Two copies of one machine: in company the second is told by its UUID.
    first = machine("copy1", "system", id="db01")
    second = machine("copy2", "u-disk", id="u-copy2")
    whole = plan(
        "copy1", "copy2",
        machines={"db01": MachinePlan(name="a"), "u-copy2": MachinePlan(name="b")},
        storage={"system": SR, "u-disk": NFS},
    )  # fmt: skip
    alone = machine("copy2", "system", id="db01")
    parts = [part(appliance(first), "copy1"), part(appliance(alone), "copy2")]
    one, two = split(whole, appliance(first, second), parts, "b")
    assert (one.metadata.name, two.metadata.name) == ("a", "b")
    assert two.spec.machines == {"db01": MachinePlan(name="b")}
    assert (one.spec.storage, two.spec.storage) == ({"system": SR}, {"system": NFS})


def test_licences_and_answers_go_with_the_machine_that_asks_for_them() -> None:
    licence = Licence("Look.", owner="web")
    asked = Property("shop.admin", owner="web")
    web = appliance(machine("web"), licences=(licence,), properties=(asked,))
    db = appliance(machine("db"))
    answer = LicenceAnswer(digest=licence.digest, accepted_by="me", accepted_at="2026-01-01")
    whole = plan(
        "web", "db", licences=(answer,), properties={asked.address: SecretValue(secret="property:a")}
    )  # fmt: skip
    both = appliance(*web.machines, *db.machines)
    one, two = split(whole, both, [part(web, "web"), part(db, "db")], "b")
    assert (len(one.spec.licences), list(one.spec.properties)) == (1, [asked.address])
    assert (two.spec.licences, two.spec.properties) == ((), {})


def test_a_machine_that_is_left_out_has_no_plan() -> None:
    web, db = machine("web"), machine("db")
    whole = plan("web", "db", machines={"db": MachinePlan(include=False)})
    parts = [part(appliance(web), "web"), part(appliance(db), "db")]
    (one,) = split(whole, appliance(web, db), parts, "b")
    assert one.metadata.name == "web"


@pytest.mark.parametrize("package", ["/out/web.ova", ""])
def test_each_package_has_a_path_of_its_own(package: str) -> None:
    web = appliance(machine("web"))
    target = TargetPlan(package="/out/first.ova") if package else TargetPlan(connection="new")
    (one,) = split(plan("web", target=target), web, [part(web, "web", package=package)], "b")
    assert one.spec.target.package == (package or None)
    assert one.spec.target.connection == (None if package else "new")
