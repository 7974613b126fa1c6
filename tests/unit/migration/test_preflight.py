"""Preflight: what would go wrong is said, with its remedy, and nothing is raised."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from backends.base import Kind, MachineItem, Placement, Power, Ref, Transport
from kensho_tui.connections import Connection
from kensho_tui.disks import bounds
from kensho_tui.disks.bounds import Bounds
from kensho_tui.findings import Finding, Severity
from kensho_tui.machine import Appliance, Firmware
from kensho_tui.migration import apply, preflight
from kensho_tui.migration.environment import way
from kensho_tui.migration.mapping import space
from kensho_tui.migration.plan import (
    LicenceAnswer,
    MachinePlan,
    RefModel,
    SecretValue,
    SourcePlan,
    Spec,
    TargetPlan,
)
from kensho_tui.migration.preflight import examine
from kensho_tui.migration.target import TargetView
from tests.unit.migration import samples
from tests.unit.migration.samples import DB, GB, LICENCE, LOCAL, WEB

WAY = ("environment-transport", Severity.INFO)


def spec() -> Spec:
    return samples.complete().plan().spec


def secret(name: str) -> str:
    return {"property:admin": "s3cret-canary"}[name]


def examined(
    spec: Spec,
    appliance: Appliance | None = None,
    view: TargetView | None = None,
    *,
    machines: tuple[MachineItem, ...] = (),
    placement: Placement | None = None,
) -> dict[str, Finding]:
    chosen = apply.chosen(appliance or samples.appliance(), spec)
    found = examine(
        chosen,
        spec,
        view or samples.target(),
        placement or apply.placement(chosen, spec),
        machines,
        secret,
    )
    # How the settings reach the guests is said in any case.
    return {each.id: each for each in found if (each.id, each.severity) != WAY}


def test_a_good_plan_has_nothing_to_say() -> None:
    assert examined(spec()) == {}


@pytest.mark.parametrize(
    ("asked", "severity", "said"),
    [
        (("iso",), Severity.INFO, "as the appliance asks"),
        (("com.vmware.guestInfo", "iso"), Severity.INFO, "as the appliance asks"),
        ((), Severity.INFO, "because the appliance names none"),
        (("com.vmware.guestInfo",), Severity.WARNING, "asks for com.vmware.guestInfo"),
    ],
)
def test_the_way_of_the_settings_to_the_guests_is_said_with_its_reason(
    asked: tuple[str, ...], severity: Severity, said: str
) -> None:
    found = way(replace(samples.appliance(), transports=asked), samples.target().capabilities)
    assert (found.id, found.severity) == ("environment-transport", severity)
    assert "on a CD (ovf-env.xml, transport iso)" in found.message
    assert said in found.message


def test_a_target_with_another_way_takes_that() -> None:
    can = replace(samples.target().capabilities, transport=Transport.GUEST_INFO)
    assert "a variable of the hypervisor" in way(samples.appliance(), can).message


def test_who_asks_for_nothing_is_told_of_no_way() -> None:
    plan = spec()
    seen, bare = samples.target(), samples.without_questions()
    found = examine(bare, plan, seen, apply.placement(bare, plan), (), secret)
    assert "environment-transport" not in {each.id for each in found}


def test_a_disk_over_the_operators_bounds_names_the_setting() -> None:
    bounds.hold(Bounds(disk=GB))
    try:
        found = examined(spec())["disk-over-bounds"]
    finally:
        bounds.hold(Bounds())
    assert found.severity is Severity.ERROR
    assert "disks up to 1 GB are accepted" in found.message
    assert "max_disk under [disks] in runner.toml" in found.remedy


def test_sectors_that_the_target_has_not_are_told_of() -> None:
    whole = samples.appliance()
    disks = {id: replace(each, sector=4096) for id, each in whole.disks.items()}
    found = examined(spec(), replace(whole, disks=disks))
    assert found["sectors-differ"].severity is Severity.WARNING
    assert "sectors of 4096 bytes, on the target they have 512" in found["sectors-differ"].message
    view = samples.target()
    can = replace(view.capabilities, sectors=frozenset({512, 4096}))
    assert examined(spec(), replace(whole, disks=disks), replace(view, capabilities=can)) == {}


def test_a_licence_that_is_not_accepted_names_its_digest() -> None:
    found = examined(spec().model_copy(update={"licences": ()}))
    assert found["licence-open"].severity is Severity.ERROR
    assert LICENCE.digest in found["licence-open"].remedy
    other = LicenceAnswer(digest="0" * 64, accepted_by="a", accepted_at="2026-01-01T00:00:00+00:00")
    assert "licence-open" in examined(spec().model_copy(update={"licences": (other,)}))


def test_licences_are_asked_for_where_a_package_is_deployed_and_nowhere_else() -> None:
    plan = spec().model_copy(update={"licences": ()})
    moved = plan.model_copy(update={"source": SourcePlan(connection="old")})
    assert "licence-open" not in examined(moved)
    written = plan.model_copy(update={"target": TargetPlan(package="/out.ova")})
    assert "licence-open" not in examined(written)


def test_a_password_that_is_not_valid_is_found_and_not_shown() -> None:
    wrong = spec().model_copy(update={"properties": {"admin": "abc", "hostname": "x"}})
    found = examined(wrong)["property-invalid"]
    assert found.subject == "admin"
    assert "abc" not in found.message
    right = wrong.model_copy(
        update={"properties": {"admin": SecretValue(secret="property:admin"), "hostname": "x"}}
    )
    assert examined(right) == {}


def test_what_the_appliance_keeps_to_itself_can_be_set_and_is_warned_of() -> None:
    answers = {**spec().properties, "build": "43"}
    found = examined(spec().model_copy(update={"properties": answers}))["property-hidden"]
    assert found.severity is Severity.WARNING
    assert found.subject == "build"


def test_an_answer_that_is_missing_is_found() -> None:
    found = examined(spec().model_copy(update={"properties": {"hostname": "x"}}))
    assert found["property-invalid"].message == "An answer is needed."


def test_a_target_that_delivers_no_environment_is_a_warning() -> None:
    view = samples.target()
    view = replace(view, capabilities=replace(view.capabilities, environment=False))
    assert examined(spec(), view=view)["environment-undelivered"].severity is Severity.WARNING


def test_an_adapter_without_a_network_is_an_error_and_an_unplugged_one_is_not() -> None:
    plan = spec()
    machines = dict(plan.machines)
    machines[DB] = machines[DB].model_copy(update={"adapters": {"e0": None}})
    found = examined(plan.model_copy(update={"machines": machines}))
    assert found["network-unmapped"].subject == "db01 adapter 1"
    assert '"VM Network"' in found["network-unmapped"].message


def test_a_network_or_storage_that_went_away_is_an_error() -> None:
    view = samples.target()
    found = examined(spec(), view=replace(view, networks=view.networks[:1]))
    assert found["network-gone"].severity is Severity.ERROR
    found = examined(spec(), view=replace(view, storages=view.storages[1:]))
    assert found["storage-gone"].message == "Storage local-sr takes no disks now."


def test_disks_that_do_not_fit_together_are_an_error_of_their_storage() -> None:
    plan = spec()
    crowded = dict.fromkeys(plan.storage, RefModel.of(LOCAL))
    found = examined(plan.model_copy(update={"storage": crowded}))["storage-full"]
    assert found.subject == "local-sr"
    assert found.message == "90 GB are needed, 55 GB are free."


def test_the_cd_with_the_guests_settings_counts_on_the_storage_where_it_lies() -> None:
    plan = spec()
    view = samples.target()
    disks = samples.appliance().disks.values()
    ours = [each for each in disks if plan.storage[each.id].ref() == LOCAL]
    exact = sum(space(each, view.capabilities) for each in ours)

    def found(free: int, appliance: Appliance | None = None) -> dict[str, Finding]:
        items = tuple(
            replace(each, free=free, thin=False) if each.ref == LOCAL else each
            for each in view.storages
        )
        return examined(plan, appliance, replace(view, storages=items))

    short = found(exact)["storage-full"]
    assert short.severity is Severity.ERROR
    assert "beside the disks lies a CD with the guests' settings" in short.message
    assert found(exact + (16 << 20)) == {}
    assert "storage-full" not in found(exact, replace(samples.appliance(), properties=()))


@pytest.mark.parametrize(
    ("target", "address", "warned"),
    [("old", "", True), ("new", "https://a", True), ("new", "https://b", False)],
)
def test_a_target_that_is_the_source_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, target: str, address: str, warned: bool
) -> None:
    book = [Connection("old", "xenserver", "https://a"), Connection("new", "xenserver", address)]
    monkeypatch.setattr(preflight, "ConnectionBook", lambda: iter(book))
    plan = spec()
    moved = plan.model_copy(
        update={
            "source": plan.source.model_copy(update={"package": None, "connection": "old"}),
            "target": plan.target.model_copy(update={"package": None, "connection": target}),
        }
    )
    found = list(preflight._one_server(moved))
    assert [each.id for each in found] == (["same-server"] if warned else [])
    assert all("this is the same server" in each.message.lower() for each in found)


def test_a_disk_without_a_storage_is_an_error() -> None:
    plan = spec()
    found = examined(plan.model_copy(update={"storage": {}}))
    assert found["storage-missing"].severity is Severity.ERROR


Change = Callable[[Appliance], Appliance]


def web_with(**changes: object) -> Change:
    def change(appliance: Appliance) -> Appliance:
        machines = tuple(
            replace(each, **changes) if each.id == WEB else each  # type: ignore[arg-type]
            for each in appliance.machines
        )
        return replace(appliance, machines=machines)

    return change


def limits(view: TargetView, **changes: object) -> TargetView:
    return replace(view, capabilities=replace(view.capabilities, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "limit", "id", "severity"),
    [
        (
            web_with(firmware=Firmware.UEFI),
            {"firmware": frozenset({Firmware.BIOS})},
            "firmware-unsupported",
            Severity.ERROR,
        ),
        (web_with(secure_boot=True), {}, "secure-boot-without-uefi", Severity.WARNING),
        (web_with(tpm=True), {}, "tpm-content", Severity.WARNING),
        (web_with(), {"max_attachments": 1}, "attachments-many", Severity.ERROR),
        (web_with(), {"max_disk": 35 * GB}, "disk-too-big", Severity.ERROR),
        (web_with(), {"imports": False}, "target-takes-nothing", Severity.ERROR),
        (web_with(name="old"), {}, "name-taken", Severity.WARNING),
        (web_with(name="db01"), {}, "name-twice", Severity.WARNING),
    ],
)
def test_what_the_target_cannot_do_is_found(
    change: Change, limit: dict[str, object], id: str, severity: Severity
) -> None:
    found = examined(spec(), change(samples.appliance()), limits(samples.target(), **limit))
    assert found[id].severity is severity
    assert found[id].message


def test_a_running_machine_needs_a_snapshot_or_to_be_shut_down() -> None:
    running = MachineItem(Ref(Kind.MACHINE, WEB, "web01"), power=Power.ON)
    plan = spec().model_copy(update={"source": SourcePlan(connection="old")})
    found = examined(plan, machines=(running,))["machine-running"]
    assert "Shut it down" in found.remedy
    snapshot = plan.model_copy(
        update={"source": SourcePlan(connection="old", consistency="snapshot")}
    )
    assert examined(snapshot, machines=(running,)) == {}
    suspended = replace(running, power=Power.SUSPENDED)
    assert examined(plan, machines=(suspended,)) == {}


def test_a_machine_that_cannot_be_read_is_an_error_unless_it_stays_behind() -> None:
    shielded = MachineItem(Ref(Kind.MACHINE, DB, "db01"), reason="it is shielded")
    assert examined(spec(), machines=(shielded,))["machine-unreadable"].subject == "db01"
    draft = samples.complete()
    draft.include(DB, False)
    assert examined(draft.plan().spec, machines=(shielded,)) == {}


def test_a_host_without_the_memory_to_start_is_a_warning() -> None:
    draft = samples.complete()
    draft.choose_home(samples.HOST)
    draft.start = True
    view = samples.target()
    tight = replace(view.hosts[0], memory_free=samples.GIB)
    found = examined(draft.plan().spec, view=replace(view, hosts=(tight, view.hosts[1])))
    assert found["memory-short"].message == "12 GiB of memory are needed to start, 1 GiB free."
    draft.start = False
    assert examined(draft.plan().spec, view=replace(view, hosts=(tight, view.hosts[1]))) == {}


def test_a_home_that_is_gone_is_an_error() -> None:
    draft = samples.complete()
    draft.choose_home(samples.HOST)
    view = samples.target()
    found = examined(draft.plan().spec, view=replace(view, hosts=view.hosts[1:]))
    assert found["home-gone"].subject == "xen1"


def test_sizes_that_round_to_the_same_word_are_told_exactly() -> None:
    assert preflight._apart(2200 * 10**9, 2190 * 10**9) == (
        "2,200,000,000,000 bytes",
        "2,190,000,000,000 bytes",
    )
    assert preflight._apart(3 * 10**12, 2 * 10**12) == ("3 TB", "2 TB")


def test_sizes_outside_of_what_the_appliance_allows_are_told() -> None:
    whole = samples.appliance()
    first, *others = whole.machines
    count, size = first.processors.count, first.memory.size

    def ranged(low: int, high: int) -> Appliance:
        machine = replace(
            first,
            processors=replace(first.processors, minimum=count + low, maximum=count + high),
            memory=replace(first.memory, minimum=size + (low << 30), maximum=size + (high << 30)),
        )
        return replace(whole, machines=(machine, *others))

    assert examined(spec(), ranged(0, 0)) == {}
    few = examined(spec(), ranged(1, 2))
    assert {each.severity for each in few.values()} == {Severity.WARNING}
    assert few.keys() == {"processors-out-of-range", "memory-out-of-range"}
    assert f"at least {count + 1}" in few["processors-out-of-range"].message
    machine = MachinePlan(processors=count + 3)
    many = examined(
        spec().model_copy(update={"machines": {**spec().machines, str(first.id): machine}}),
        ranged(0, 2),
    )
    assert "at most" in many["processors-out-of-range"].message
