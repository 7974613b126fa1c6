"""KVM on a real libvirtd, by what virsh says of it: firmware, what is left behind, who answers."""

import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backends.base import (
    ConnectError,
    Environment,
    Kind,
    MachineItem,
    NoSpaceError,
    Placement,
    Power,
    RefusedError,
)
from backends.kvm import PLATFORM
from kensho_tui.cancel import Cancel
from kensho_tui.connections import Connection
from kensho_tui.machine import (
    Appliance,
    Bus,
    Controller,
    DiskId,
    Firmware,
    GuestOs,
    Licence,
    Machine,
    MachineId,
    Product,
    Property,
    Start,
)
from tests.contract.bench import CAPACITY, DISKS, pattern
from tests.contract.kvm import KvmBench
from tests.contract.xenserver import Password
from tests.peers.libvirtd import missing

pytestmark = [pytest.mark.peer, pytest.mark.skipif(bool(missing()), reason=missing() or "-")]
KEY = "kensho:job-1:deploy"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[KvmBench]:
    """A libvirtd, with nothing on it."""
    with KvmBench(tmp_path) as made:
        yield made


def blank(bench: KvmBench, **changes: Any) -> tuple[Appliance, Placement]:
    """The web server alone, with a disk that starts empty."""
    appliance, placement = bench.appliance()
    machine: Machine = replace(appliance.machines[0], **changes)
    disk = replace(appliance.disks[DiskId("disk0")], image="")
    placed = replace(placement, storage={DiskId("disk0"): placement.storage[DiskId("disk0")]})
    return replace(appliance, machines=(machine,), disks={disk.id: disk}), placed


@pytest.mark.parametrize("secure", [False, True])
def test_secure_boot_is_as_it_was_asked_for(bench: KvmBench, secure: bool) -> None:
    """Left alone, libvirt takes the firmware that enforces it."""
    deployment = bench.session().deploy(*blank(bench, secure_boot=secure), KEY)
    result = deployment.commit(start=True)
    assert result.machines[0].started, result.findings
    running = bench.daemon.virsh("dumpxml", "web01")
    (loader,) = (line for line in running.splitlines() if "</loader>" in line)
    assert (".ms." in loader) is secure
    assert bench.session().describe([result.machines[0].ref]).appliance.machines[0].secure_boot is (
        secure
    )


def test_variables_of_uefi_go_with_a_machine_that_is_taken_back(bench: KvmBench) -> None:
    deployment = bench.session().deploy(*blank(bench), KEY)
    (name,) = bench.daemon.virsh("list", "--all", "--name").split()
    bench.daemon.virsh("start", name)
    assert bench.daemon.nvram()
    assert deployment.abort() == []
    assert bench.daemon.nvram() == set()
    assert bench.daemon.virsh("list", "--all", "--name").split() == []


@pytest.mark.parametrize("model", ["VirtualSCSI", "lsilogicsas", "lsilogic", "virtio-scsi"])
@pytest.mark.parametrize("firmware", list(Firmware))
def test_qemu_starts_with_each_controller(bench: KvmBench, model: str, firmware: Firmware) -> None:
    scsi = Controller("scsi0", Bus.SCSI, 0, model)
    deployment = bench.session().deploy(
        *blank(bench, firmware=firmware, controllers=(scsi,), boot_order=()), KEY
    )
    deployment.deliver(Environment({MachineId("web"): b"<Environment/>"}))
    result = deployment.commit(start=True)
    assert [machine.started for machine in result.machines] == [True], result.findings
    off = bench.session().power(result.machines[0].ref, Power.OFF, 0, force=True)
    assert off is Power.OFF


def test_a_guest_that_does_not_stop_is_switched_off_only_where_that_is_allowed(
    bench: KvmBench,
) -> None:
    session = bench.session()
    result = session.deploy(*blank(bench), KEY).commit(start=True)
    with pytest.raises(RefusedError, match="did not shut down"):
        session.power(result.machines[0].ref, Power.OFF, 0.1)
    assert session.power(result.machines[0].ref, Power.ON, 1) is Power.ON


def test_a_name_that_is_taken_is_told_before_and_gets_a_number_after(bench: KvmBench) -> None:
    session = bench.session()
    first = session.deploy(*blank(bench), KEY)
    first.commit(start=False)
    assert "name-taken" in {f.id for f in session.check(*blank(bench)) if f.severity == "error"}
    second = session.deploy(*blank(bench), f"{KEY}-2").commit(start=False)
    assert [machine.ref.name for machine in second.machines] == ["web01-2"]
    assert [finding.id for finding in second.findings] == ["name-taken"]


def test_what_an_appliance_says_is_kept_with_its_machines(bench: KvmBench) -> None:
    appliance, placement = blank(bench, start=Start(3, 20, 10), os=GuestOs("Debian 12", 96))
    named = replace(appliance.disks[DiskId("disk0")], name="the system's disk")
    appliance = replace(
        appliance,
        disks={named.id: named},
        products=(Product(name="Shop", vendor="Example"),),
        properties=(Property("hostname", label="<Host> & name", configurable=True),),
        licences=(Licence("You may."),),
        transports=("iso",),
    )
    session = bench.session()
    result = session.deploy(appliance, placement, KEY).commit(start=False)
    found = session.describe([result.machines[0].ref]).appliance
    for name in ("products", "properties", "licences", "transports"):
        assert getattr(found, name) == getattr(appliance, name)
    assert found.machines[0].start == appliance.machines[0].start
    assert found.machines[0].os == appliance.machines[0].os
    assert found.disks[named.id].name == "the system's disk"


def test_kvm_is_not_believed_where_the_processor_cannot(bench: KvmBench) -> None:
    facts = Path("/proc/cpuinfo").read_text().split()
    able = not {"vmx", "svm"}.isdisjoint(facts) and Path("/dev/kvm").exists()
    findings = bench.session().check(*blank(bench))
    assert ("emulated" in {finding.id for finding in findings}) is not able


def test_a_server_that_is_silent_is_given_up_on(bench: KvmBench) -> None:
    made = bench.session().deploy(*blank(bench), KEY).commit(start=False)
    session = bench.session(timeout_s=0.5)
    with bench.daemon.still(), pytest.raises(ConnectError, match="did not answer"):
        session.power(made.machines[0].ref, Power.OFF, 0)
    assert session.inventory(frozenset({Kind.HOST})).items


def test_a_daemon_that_dies_in_the_middle_of_a_disk_is_an_error_and_the_next_attempt_works(
    bench: KvmBench,
) -> None:
    before = bench.standing()
    session = bench.session(disk_format="raw")
    deployment = session.deploy(*bench.appliance(), KEY)
    (offer,) = deployment.offers(DISKS[0])
    writer = deployment.open(DISKS[0], offer)
    writer.pwrite(0, pattern(DISKS[0])[: 1 << 20])
    bench.daemon.kill()
    with pytest.raises(ConnectError):
        writer.pwrite(1 << 20, pattern(DISKS[0])[1 << 20 :])
    writer.close()
    again = session.deploy(*bench.appliance(), KEY)
    assert again.token == deployment.token
    writer = again.open(DISKS[0], offer)
    writer.pwrite(0, pattern(DISKS[0]))
    writer.finish()
    assert bench.content(again, DISKS[0]) == pattern(DISKS[0])
    assert session.sweep(KEY) == []
    assert bench.standing() == before


def test_a_machine_runs_on_while_the_daemon_is_started_anew(bench: KvmBench) -> None:
    session = bench.session()
    ref = session.deploy(*blank(bench), KEY).commit(start=True).machines[0].ref
    bench.daemon.kill()
    (item,) = session.inventory(frozenset({Kind.MACHINE})).items
    assert isinstance(item, MachineItem)
    assert (item.ref, item.power) == (ref, Power.ON)


@pytest.mark.parametrize("format_", ["qcow2", "raw"])
def test_a_pool_that_is_full_is_told_as_that_and_nothing_is_left(
    bench: KvmBench, format_: str
) -> None:
    before = bench.standing()
    with bench.daemon.small_pool(2 << 20):
        session = bench.session(disk_format=format_)
        appliance, placement = bench.appliance()
        full = replace(
            placement, storage=dict.fromkeys(placement.storage, bench.ref(Kind.STORAGE, "small"))
        )
        deployment = session.deploy(appliance, full, KEY)
        (offer,) = deployment.offers(DISKS[0])
        writer = deployment.open(DISKS[0], offer)
        with pytest.raises(NoSpaceError):
            writer.pwrite(0, os.urandom(CAPACITY))
            writer.finish()
        writer.close()
        with pytest.raises(RefusedError):
            deployment.commit(start=False)
        assert session.sweep(KEY) == []
        assert bench.daemon.virsh("vol-list", "small").split() == []
    assert bench.standing() == before


def test_an_address_where_nobody_listens_is_no_connection(tmp_path: Path) -> None:
    connection = Connection("kvm1", "kvm", str(tmp_path / "libvirt-sock"))
    with pytest.raises(ConnectError) as caught:
        PLATFORM.connect(connection, Password(""), Cancel())
    assert caught.value.remedy


def test_whoever_started_it_and_was_killed_leaves_none(tmp_path: Path) -> None:
    code = (
        "from tests.peers.libvirtd import libvirtd\n"
        "with libvirtd() as found:\n"
        "    print(found._daemon(), found.folder, flush=True)\n"
        "    input()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    daemon, folder = process.stdout.readline().split()
    try:
        descriptor = os.pidfd_open(int(daemon))
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert select.select([descriptor], [], [], 60)[0], "it still runs"
        os.close(descriptor)
    finally:
        shutil.rmtree(folder)
        process.stdout.close()
        if process.stdin is not None:
            process.stdin.close()
