"""What a pool is found to say to a deployment before anything is made."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from backends.base import Content, Kind, NetworkItem, Placement, PoolItem, Ref, StorageItem
from kensho_tui.findings import Severity
from kensho_tui.machine import (
    Appliance,
    Attachment,
    Clock,
    DiskId,
    Firmware,
    Medium,
    Memory,
    Processors,
)
from tests.contract.xenserver import XenBench

GONE = Ref(Kind.STORAGE, "00000000-0000-0000-0000-000000000000", "gone")


def with_web(appliance: Appliance, **changes: object) -> Appliance:
    """The appliance with another web server."""
    web, base = appliance.machines
    return replace(appliance, machines=(replace(web, **changes), base))  # type: ignore[arg-type]


def with_disk(appliance: Appliance, **changes: object) -> Appliance:
    """The appliance with another first disk."""
    ident = DiskId("disk0")
    disk = replace(appliance.disks[ident], **changes)  # type: ignore[arg-type]
    return replace(appliance, disks={**appliance.disks, ident: disk})


MACHINES: list[tuple[dict[str, object], str, Severity]] = [
    ({"processors": Processors(3, 2)}, "cores-per-socket", Severity.ERROR),
    ({"processors": Processors(512)}, "too-many-processors", Severity.WARNING),
    ({"memory": Memory(1 << 50)}, "too-much-memory", Severity.ERROR),
    ({"memory": Memory(67 << 30)}, "too-much-memory", Severity.ERROR),
    ({"secure_boot": True}, "secure-boot-without-uefi", Severity.WARNING),
    ({"tpm": True, "firmware": Firmware.UEFI}, "tpm", Severity.ERROR),
    ({"clock": Clock.LOCAL}, "clock-utc", Severity.INFO),
    ({"extras": {"xenserver:vgpu": "x"}}, "vgpu-kept", Severity.INFO),
    ({"attachments": (Attachment("f", Medium.FLOPPY),)}, "floppy-dropped", Severity.INFO),
    ({"name": "legacy-app"}, "name-taken", Severity.WARNING),
]


@pytest.mark.parametrize(("changes", "ident", "severity"), MACHINES)
def test_what_is_amiss_with_a_machine_is_found(
    xen: XenBench, changes: dict[str, object], ident: str, severity: Severity
) -> None:
    appliance, placement = xen.appliance()
    findings = xen.session().check(with_web(appliance, **changes), placement)
    found = [f for f in findings if f.id.startswith(ident)]
    assert found, findings
    if ident != "tpm":
        assert found[0].severity is severity
    assert found[0].message.endswith(".")


def test_scsi_is_emulated(xen: XenBench) -> None:
    findings = xen.session().check(*xen.appliance())
    assert {f.id for f in findings} == {"controller-emulated"}
    assert "SCSI" in findings[0].message


def _on(name: str) -> Callable[[XenBench, Placement], Placement]:
    def move(xen: XenBench, placement: Placement) -> Placement:
        place = xen.ref(Kind.STORAGE, name)
        return replace(placement, storage={**placement.storage, DiskId("disk0"): place})

    return move


def _gone_storage(xen: XenBench, placement: Placement) -> Placement:
    return replace(placement, storage={**placement.storage, DiskId("disk0"): GONE})


def _gone_network(xen: XenBench, placement: Placement) -> Placement:
    gone = replace(GONE, kind=Kind.NETWORK)
    return replace(placement, networks=dict.fromkeys(placement.networks, gone))


def _unmapped(xen: XenBench, placement: Placement) -> Placement:
    return replace(placement, networks={})


def _elsewhere(xen: XenBench, placement: Placement) -> Placement:
    return replace(placement, home=xen.ref(Kind.HOST, "xen02"))


def _nowhere(xen: XenBench, placement: Placement) -> Placement:
    return replace(placement, home=replace(GONE, kind=Kind.HOST))


@pytest.mark.parametrize(
    ("move", "ident"),
    [
        (_on("iso-library"), "storage-unusable"),
        (_gone_storage, "storage-gone"),
        (_gone_network, "network-gone"),
        (_unmapped, "network-unmapped"),
        (_elsewhere, "storage-unreachable"),
        (_nowhere, "home-gone"),
    ],
)
def test_a_place_that_does_not_do_is_an_error(
    xen: XenBench, move: Callable[[XenBench, Placement], Placement], ident: str
) -> None:
    appliance, placement = xen.appliance()
    findings = xen.session().check(appliance, move(xen, placement))
    found = [f for f in findings if f.id == ident]
    assert found, findings
    assert found[0].severity is Severity.ERROR
    assert found[0].remedy


@pytest.mark.parametrize(
    ("storage", "disk", "ident"),
    [
        ("tiny-sr", {"capacity": 1 << 30}, "storage-full"),
        ("local-sr", {"capacity": 1 << 40, "populated": 1 << 42}, "storage-full"),
        ("shared-nfs", {"capacity": 2000 << 30}, "storage-may-fill"),
        ("local-sr", {"capacity": 2041 << 30}, "disk-too-large"),
        ("local-sr", {"capacity": None}, "disk-size-unknown"),
    ],
)
def test_space_is_counted_as_the_storage_counts_it(
    xen: XenBench, storage: str, disk: dict[str, object], ident: str
) -> None:
    appliance, placement = xen.appliance()
    findings = xen.session().check(with_disk(appliance, **disk), _on(storage)(xen, placement))
    assert ident in {f.id for f in findings}, findings


def test_an_address_that_is_in_use_is_a_warning(xen: XenBench) -> None:
    appliance, placement = xen.appliance()
    session = xen.session()
    session.deploy(appliance, placement, "kensho:job-9:deploy")
    ids = {f.id for f in session.check(appliance, placement)}
    assert {"mac-in-use", "name-taken"} <= ids


def test_the_inventory_tells_what_can_be_used_and_why_not(xen: XenBench) -> None:
    items = xen.session().inventory(frozenset(Kind)).items
    storage = {each.ref.name: each for each in items if isinstance(each, StorageItem)}
    assert storage["iso-library"].content is Content.ISO
    assert storage["iso-library"].reason
    assert storage["local-sr"].reason == ""
    assert 0 < storage["local-sr"].free <= storage["local-sr"].capacity
    networks = {each.ref.name: each for each in items if isinstance(each, NetworkItem)}
    assert networks["Pool-wide eth0"].management
    assert networks["VLAN 10"].vlan == 10
    pool = next(each for each in items if isinstance(each, PoolItem))
    assert pool.default_storage == storage["local-sr"].ref
    assert pool.master is not None


@pytest.mark.parametrize(("drives", "found"), [(17, False), (255, False), (256, True)])
def test_more_drives_than_xenserver_takes_are_found_before_the_start(
    xen: XenBench, drives: int, found: bool
) -> None:
    appliance, placement = xen.appliance()
    attachments = tuple(Attachment(f"cd{n}", Medium.CDROM) for n in range(drives))
    findings = xen.session().check(with_web(appliance, attachments=attachments), placement)
    said = [f.message for f in findings if f.id == "too-many-drives"]
    assert said == (["The machine has 256 drives; XenServer takes 255."] if found else [])


def test_a_machine_with_seventeen_drives_is_made(xen: XenBench) -> None:
    appliance, placement = xen.appliance()
    attachments = tuple(Attachment(f"cd{n}", Medium.CDROM) for n in range(17))
    xen.session().deploy(with_web(appliance, attachments=attachments), placement, "kensho:job-17:x")
    database = xen.lab.toolstack.database
    with database.lock:
        (web,) = database.find("VM", name_label="web01")
        assert len(database.get("VM", web, "VBDs")) == 17
