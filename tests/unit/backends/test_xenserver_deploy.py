"""What stands on the server after a deployment, and what does when it was interrupted."""

import threading
from dataclasses import replace
from typing import Any

import pytest

from backends.base import (
    BackendError,
    Consistency,
    Deployment,
    Environment,
    Kind,
    NoSpaceError,
    NotFoundError,
    Power,
    Ref,
    RefusedError,
    Transport,
)
from backends.xenserver import marks
from kensho_tui.machine import (
    Adapter,
    Attachment,
    Bus,
    Clock,
    Controller,
    DiskId,
    Firmware,
    Machine,
    MachineId,
    Medium,
    Memory,
    NetworkId,
    Processors,
    Start,
)
from tests.contract.bench import DISKS
from tests.contract.test_deploy import write
from tests.contract.xenserver import XenBench
from tests.desk import until

KEY = "kensho:job-4:deploy"


def records(xen: XenBench, kind: str) -> list[dict[str, Any]]:
    """Records of the lab's database."""
    database = xen.lab.toolstack.database
    with database.lock:
        return [database.record(kind, ref) for ref in database.refs(kind)]


def named(xen: XenBench, name: str) -> dict[str, Any]:
    """The machine's record."""
    return next(each for each in records(xen, "VM") if each["name_label"] == name)


def fill(xen: XenBench, deployment: Deployment) -> None:
    """Write all disks, in the plainest way."""
    for disk in DISKS:
        write(xen, deployment, disk, deployment.offers(disk)[-1])


def test_nothing_is_seen_before_the_commit_and_all_of_it_after(xen: XenBench) -> None:
    session = xen.session()
    deployment = session.deploy(*xen.appliance(), KEY)
    fill(xen, deployment)
    machines = frozenset({Kind.MACHINE})
    assert "web01" not in {item.ref.name for item in session.inventory(machines).items}
    assert named(xen, "web01")["other_config"]["HideFromXenCenter"] == "true"
    result = deployment.commit(start=False)
    assert {"web01", "db01"} <= {item.ref.name for item in session.inventory(machines).items}
    assert "HideFromXenCenter" not in named(xen, "web01")["other_config"]
    assert result.appliance is not None
    group = next(each for each in records(xen, "VM_appliance") if each["name_label"] == "shop")
    assert group["name_description"] == "A shop\nand its database"


def test_machines_start_in_their_order(xen: XenBench) -> None:
    deployment = xen.session().deploy(*xen.appliance(), KEY)
    fill(xen, deployment)
    xen.lab.control.clear_calls()
    result = deployment.commit(start=True)
    assert [machine.started for machine in result.machines] == [True, True]
    assert result.findings == ()
    assert xen.lab.control.calls.count("VM_appliance.start") == 1
    assert {named(xen, name)["power_state"] for name in ("web01", "db01")} == {"Running"}


def test_a_machine_that_is_not_to_start_stays_off(xen: XenBench) -> None:
    appliance, placement = xen.appliance()
    web, base = appliance.machines
    quiet = replace(appliance, machines=(replace(web, start=Start(order=1, start=False)), base))
    deployment = xen.session().deploy(quiet, placement, KEY)
    fill(xen, deployment)
    result = deployment.commit(start=True)
    assert [machine.started for machine in result.machines] == [False, True]


def test_a_machine_that_does_not_start_is_a_finding_and_stands(xen: XenBench) -> None:
    appliance, placement = xen.appliance()
    web, base = appliance.machines
    large = replace(web, memory=Memory(1 << 50))
    deployment = xen.session().deploy(replace(appliance, machines=(large, base)), placement, KEY)
    fill(xen, deployment)
    result = deployment.commit(start=True)
    assert [machine.started for machine in result.machines] == [False, True]
    assert [(f.id, f.subject) for f in result.findings] == [("machine-not-started", "web01")]
    assert named(xen, "web01")["power_state"] == "Halted"


def test_drives_and_adapters_hang_where_they_belong(xen: XenBench) -> None:
    xen.session().deploy(*xen.appliance(), KEY)
    database = xen.lab.toolstack.database
    with database.lock:
        drives = [database.record("VBD", ref) for ref in named(xen, "web01")["VBDs"]]
        adapters = [database.record("VIF", ref) for ref in named(xen, "web01")["VIFs"]]
    assert sorted((d["userdevice"], d["type"], d["mode"], d["bootable"]) for d in drives) == [
        ("0", "Disk", "RW", True),
        ("3", "CD", "RO", True),
    ]
    assert [(a["device"], a["MAC"], a["MTU"]) for a in adapters] == [
        ("0", "00:16:3e:00:00:01", 1500)
    ]


def test_an_adapter_without_a_network_is_left_out_and_the_others_keep_their_place(
    xen: XenBench,
) -> None:
    appliance, placement = xen.appliance()
    web, base = appliance.machines
    two = replace(web, adapters=(Adapter("n0", NetworkId("lan")), Adapter("n1", NetworkId("lan"))))
    network = placement.networks[web.id, "n0"]
    moved = replace(
        placement,
        networks={**placement.networks, (web.id, "n0"): None, (web.id, "n1"): network},
    )
    xen.session().deploy(replace(appliance, machines=(two, base)), moved, KEY)
    database = xen.lab.toolstack.database
    with database.lock:
        vifs = [database.record("VIF", ref) for ref in named(xen, "web01")["VIFs"]]
    assert [vif["device"] for vif in vifs] == ["1"]


def test_a_skipped_disk_is_not_made(xen: XenBench) -> None:
    appliance, placement = xen.appliance()
    kept = {disk: ref for disk, ref in placement.storage.items() if disk != "disk2"}
    deployment = xen.session().deploy(appliance, replace(placement, storage=kept), KEY)
    assert set(deployment.token["disks"]) == {"disk0", "disk1"}
    fill(xen, deployment)
    assert deployment.commit(start=False).machines


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"storage": "tiny-sr"}, NoSpaceError),
        ({"storage": "iso-library"}, BackendError),
        ({"network": None}, RefusedError),
        ({"storage": None}, NotFoundError),
    ],
)
def test_what_a_failed_deployment_made_is_removed_again(
    xen: XenBench, change: dict[str, str | None], error: type[BackendError]
) -> None:
    appliance, placement = xen.appliance()
    session = xen.session()
    before = xen.standing()
    if "storage" in change:
        name = change["storage"]
        gone = Ref(Kind.STORAGE, "00000000-0000-0000-0000-000000000000", "gone")
        place = xen.ref(Kind.STORAGE, name) if name else gone
        storage = {**placement.storage, DiskId("disk2"): place}
        large = replace(appliance.disks[DiskId("disk2")], capacity=256 << 20)
        appliance = replace(appliance, disks={**appliance.disks, DiskId("disk2"): large})
        placement = replace(placement, storage=storage)
    else:
        placement = replace(placement, networks={})
    with pytest.raises(error) as caught:
        session.deploy(appliance, placement, KEY)
    assert caught.value.remedy
    assert xen.standing() == before


def test_a_host_that_was_chosen_is_the_machines_home(xen: XenBench) -> None:
    appliance, placement = xen.appliance()
    home = xen.ref(Kind.HOST, "xen01")
    xen.session().deploy(appliance, replace(placement, home=home), KEY)
    database = xen.lab.toolstack.database
    with database.lock:
        affinity = database.record("host", named(xen, "web01")["affinity"])
    assert affinity["uuid"] == home.id


def test_a_commit_that_is_cut_off_anywhere_is_all_or_nothing(xen: XenBench) -> None:
    appliance, placement = xen.appliance()
    blank = {ident: replace(disk, image="") for ident, disk in appliance.disks.items()}
    appliance = replace(appliance, disks=blank)
    before = xen.standing()
    outcomes = set()
    for calls in range(200):
        key = f"kensho:job-{calls}:deploy"
        session = xen.mortal(1000)
        deployment = session.deploy(appliance, placement, key)
        xen.fuse.left = calls
        try:
            deployment.commit(start=False)
        except BackendError:
            assert xen.session().sweep(key) == []
            standing = [each for each in records(xen, "VM") if each["name_label"] == "web01"]
            outcomes.add(len(standing))
            if not standing:
                assert xen.standing() == before
                continue
        else:
            assert outcomes == {0, 1}
            return
        _whole(xen, key)
        _destroy(xen, key)
        assert xen.standing() == before
    pytest.fail("a commit of more than 200 calls")


def _whole(xen: XenBench, key: str) -> None:
    """Assert that everything of the key is in service."""
    for kind in ("VM", "VDI"):
        own = [r for r in records(xen, kind) if r["other_config"].get(marks.KEY) == key]
        assert len(own) == (2 if kind == "VM" else 3)
        assert all(marks.COMMITTED in r["other_config"] for r in own)
        assert not any("HideFromXenCenter" in r["other_config"] for r in own)
    group = next(each for each in records(xen, "VM_appliance") if each["name_label"] == "shop")
    assert group["name_description"] == "A shop\nand its database"


def _destroy(xen: XenBench, key: str) -> None:
    """What an operator does who does not want it after all."""
    api = xen.session()._api
    for kind in ("VM", "VDI"):
        for ref, record in api.records(kind).items():
            if record["other_config"].get(marks.KEY) == key:
                api.call(f"{kind}.destroy", ref)
    for ref, record in api.records("VM_appliance").items():
        if record["name_label"] == "shop":
            api.call("VM_appliance.destroy", ref)


def test_a_copy_that_someone_made_of_a_machine_is_not_ours(xen: XenBench) -> None:
    session = xen.session()
    deployment = session.deploy(*xen.appliance(), KEY)
    fill(xen, deployment)
    deployment.commit(start=False)
    database = xen.lab.toolstack.database
    with database.lock:
        ref = next(r for r in database.refs("VM") if database.get("VM", r, "name_label") == "web01")
    session._api.call("VM.clone", ref, "a copy")
    standing = xen.standing()
    assert xen.session().deploy(*xen.appliance(), KEY).token == deployment.token
    assert session.sweep(KEY) == []
    assert xen.standing() == standing


FULL = Machine(
    MachineId("full"),
    "full01",
    Memory(1 << 30),
    Processors(4, 2),
    description="All there is",
    firmware=Firmware.UEFI,
    secure_boot=True,
    clock=Clock.UTC,
    controllers=(Controller("c", Bus.SCSI, 0, "pvscsi"),),
    attachments=(
        Attachment("d0", disk=DiskId("disk0"), controller="c", unit=0, boot_index=0),
        Attachment("cd", Medium.CDROM),
    ),
    start=Start(2, 10, 20),
    extras={
        "xenserver:reference_label": "debian-12",
        "xenserver:vgpu": "GPU_types={};VGPU_type_vendor_name=;VGPU_type_model_name=;",
        "xenserver:PV_args": "quiet",
    },
)


def test_what_was_deployed_is_described_as_it_was(xen: XenBench) -> None:
    appliance, placement = xen.appliance()
    single = replace(
        appliance,
        name="full01",
        machines=(FULL,),
        disks={DiskId("disk0"): appliance.disks[DiskId("disk0")]},
        collection=False,
    )
    session = xen.session()
    place = replace(
        placement, storage={DiskId("disk0"): placement.storage[DiskId("disk0")]}, networks={}
    )
    deployment = session.deploy(single, place, KEY)
    write(xen, deployment, DiskId("disk0"))
    environment = Environment({MachineId("full"): b"<Environment/>"})
    assert deployment.deliver(environment) is Transport.ISO
    assert deployment.deliver(environment) is Transport.ISO
    result = deployment.commit(start=False)
    assert result.appliance is None
    described = session.describe([result.machines[0].ref])
    found = described.appliance.machines[0]
    same = ("id", "name", "description", "memory", "processors", "firmware", "secure_boot", "start")
    for field in same:
        assert getattr(found, field) == getattr(FULL, field), field
    assert FULL.extras.items() <= found.extras.items()
    assert [(a.medium, a.disk, a.boot_index) for a in found.attachments] == [
        (Medium.DISK, "disk0", 0),
        (Medium.CDROM, None, None),
    ]
    assert described.findings == ()


def test_the_environment_is_a_cd_that_holds_the_document(xen: XenBench) -> None:
    deployment = xen.session().deploy(*xen.appliance(), KEY)
    deployment.deliver(Environment({MachineId("db"): b"<Environment>db</Environment>"}))
    disc = next(each for each in xen.lab.disks() if "environment" in each.name)
    assert (disc.machine, disc.device) == ("db01", "3")
    content = disc.file.read_bytes()
    assert content[0x8001:0x8006] == b"CD001"
    assert b"<Environment>db</Environment>" in content


def test_a_running_machine_is_captured_by_one_snapshot_and_left_as_it_was(xen: XenBench) -> None:
    session = xen.session()
    running = xen.ref(Kind.MACHINE, "files01")
    before = xen.standing()
    with pytest.raises(RefusedError, match="running"):
        session.capture([running], Consistency.OFF, KEY)
    assert xen.standing() == before
    capture = session.capture([running], Consistency.SNAPSHOT, KEY)
    standing = xen.standing()
    assert standing != before
    again = xen.session().capture([running], Consistency.SNAPSHOT, KEY)
    assert xen.standing() == standing
    assert again.appliance == capture.appliance
    described = session.describe([running]).appliance
    assert set(capture.appliance.disks) == set(described.disks)
    assert capture.appliance.machines[0].name == "files01"
    assert capture.release() == []
    assert capture.release() == []
    assert xen.standing() == before
    assert named(xen, "files01")["power_state"] == "Running"


def test_a_snapshot_of_a_killed_job_is_swept_at_any_stage(xen: XenBench) -> None:
    running = xen.ref(Kind.MACHINE, "files01")
    before = xen.standing()
    for calls in range(100):
        session = xen.mortal(calls)
        try:
            session.capture([running], Consistency.SNAPSHOT, KEY).release()
        except BackendError:
            assert xen.session().sweep(KEY) == []
            assert xen.standing() == before, calls
        else:
            # Releasing tells what it could not do; that it was cut off is told there.
            if xen.standing() == before:
                return
            assert xen.session().sweep(KEY) == []
            assert xen.standing() == before, calls
    pytest.fail("a capture of more than 100 calls")


def test_machines_are_switched_on_and_off(xen: XenBench) -> None:
    session = xen.session()
    ref = xen.ref(Kind.MACHINE, "legacy-app")
    assert session.power(ref, Power.ON, 30) is Power.ON
    assert session.power(ref, Power.ON, 30) is Power.ON
    assert session.power(ref, Power.OFF, 30, force=True) is Power.OFF
    assert session.power(ref, Power.OFF, 30) is Power.OFF


def test_a_machine_that_is_just_shutting_down_is_started_when_it_is_off(xen: XenBench) -> None:
    session = xen.session()
    ref = xen.ref(Kind.MACHINE, "files01")
    database = xen.lab.toolstack.database
    with database.lock:
        vm = database.by_uuid("VM", ref.id)
        database.set("VM", vm, shutdown_delay=1)
    xen.lab.control.set(delay_scale=1.5)
    closing = threading.Thread(target=session.power, args=(ref, Power.OFF, 60))
    closing.start()
    until("the shutdown", lambda: database.get("VM", vm, "current_operations"))
    assert session.power(ref, Power.ON, 60) is Power.ON
    closing.join(60)
    assert named(xen, "files01")["power_state"] == "Running"


def test_a_guest_without_tools_is_switched_off_only_by_force(xen: XenBench) -> None:
    session = xen.session()
    ref = xen.ref(Kind.MACHINE, "legacy-app")
    session.power(ref, Power.ON, 30)
    with pytest.raises(RefusedError, match="did not shut down") as caught:
        session.power(ref, Power.OFF, 30)
    assert "switched off" in caught.value.remedy
    assert named(xen, "legacy-app")["power_state"] == "Running"
    assert session.power(ref, Power.OFF, 30, force=True) is Power.OFF


def test_a_suspended_machine_is_captured_without_its_memory_and_says_so(xen: XenBench) -> None:
    session = xen.session()
    ref = xen.ref(Kind.MACHINE, "files01")
    handle = session._api.call("VM.get_by_uuid", ref.id)
    session._api.call("VM.suspend", handle)
    assert [f.id for f in session.describe([ref]).findings] == ["memory-not-moved"]
    capture = session.capture([ref], Consistency.OFF, KEY)
    assert len(capture.appliance.disks) == 1
    with pytest.raises(RefusedError, match="memory"):
        session.power(ref, Power.OFF, 30)
    assert session.power(ref, Power.ON, 30) is Power.ON


def test_the_same_disk_in_two_machines_is_one_and_sharable(xen: XenBench) -> None:
    appliance, placement = xen.appliance()
    web, base = appliance.machines
    shared = Attachment("s", disk=DiskId("disk2"))
    both = replace(web, attachments=(*web.attachments, shared))
    deployment = xen.session().deploy(replace(appliance, machines=(both, base)), placement, KEY)
    disks = [r for r in records(xen, "VDI") if r["uuid"] == deployment.token["disks"]["disk2"]]
    assert [(len(r["VBDs"]), r["sharable"]) for r in disks] == [(2, True)]
    write(xen, deployment, DiskId("disk2"), deployment.offers(DiskId("disk2"))[-1])
    with xen.modes(cut_after=1 << 20), pytest.raises(BackendError):
        write(xen, deployment, DiskId("disk2"), deployment.offers(DiskId("disk2"))[-1])
    write(xen, deployment, DiskId("disk2"), deployment.offers(DiskId("disk2"))[-1])
    again = [r for r in records(xen, "VDI") if r["uuid"] == deployment.token["disks"]["disk2"]]
    assert [(len(r["VBDs"]), r["sharable"]) for r in again] == [(2, True)]
    assert deployment.abort() == []


def test_a_commit_with_a_disk_that_was_never_written_is_refused(xen: XenBench) -> None:
    deployment = xen.session().deploy(*xen.appliance(), KEY)
    write(xen, deployment, DISKS[0])
    with pytest.raises(RefusedError, match="not written"):
        deployment.commit(start=True)
    assert named(xen, "web01")["power_state"] == "Halted"
