"""Which devices a machine gets on KVM: the guest keeps what it knows, where QEMU has it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.kvm.hardware import Hardware, hardware, next_target
from backends.kvm.settings import KvmSettings
from kensho_tui.machine import (
    Adapter,
    Attachment,
    Boot,
    Bus,
    Controller,
    DiskId,
    Firmware,
    Machine,
    MachineId,
    Medium,
    Memory,
)


def machine(
    bus: Bus | None,
    model: str = "",
    *,
    firmware: Firmware = Firmware.BIOS,
    disks: int = 1,
    **more: object,
) -> Machine:
    """A machine with so many disks on one controller."""
    controller = Controller("c", bus, 0, model) if bus else None
    facts: dict[str, object] = {
        "firmware": firmware,
        "controllers": (controller,) if controller else (),
        "attachments": tuple(
            Attachment(f"d{n}", disk=DiskId(f"disk{n}"), controller="c") for n in range(disks)
        ),
    }
    return Machine(MachineId("m"), "m01", Memory(1 << 30), **(facts | more))  # type: ignore[arg-type]


def made(bus: Bus | None, model: str = "", **more: object) -> Hardware:
    """Its hardware with the usual settings."""
    return hardware(machine(bus, model, **more), KvmSettings())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("bus", "model", "firmware", "expected", "scsi", "told"),
    [
        (Bus.SCSI, "VirtualSCSI", Firmware.BIOS, "scsi", "vmpvscsi", False),
        (Bus.SCSI, "lsilogicsas", Firmware.UEFI, "scsi", "lsisas1068", False),
        (Bus.SCSI, "lsilogic", Firmware.BIOS, "sata", "", True),
        (Bus.SCSI, "virtio-scsi", Firmware.BIOS, "scsi", "virtio-scsi", False),
        (Bus.VIRTIO, "", Firmware.BIOS, "virtio", "", False),
        (Bus.IDE, "", Firmware.BIOS, "ide", "", False),
        (Bus.IDE, "", Firmware.UEFI, "sata", "", True),
        (Bus.SATA, "ahci", Firmware.UEFI, "sata", "", False),
        (Bus.NVME, "", Firmware.UEFI, "sata", "", True),
        (None, "", Firmware.BIOS, "sata", "", True),
    ],
)
def test_a_disk_hangs_on_what_the_guest_drives_and_a_change_is_told(
    bus: Bus | None, model: str, firmware: Firmware, expected: str, scsi: str, told: bool
) -> None:
    found = made(bus, model, firmware=firmware)
    assert [drive.bus for drive in found.drives] == [expected]
    assert found.scsi == scsi
    assert bool(found.findings) is told


def test_settings_have_the_last_word_and_warn_of_drivers() -> None:
    found = hardware(machine(Bus.SATA), KvmSettings(disk_bus="virtio", nic_model="virtio"))
    assert [drive.bus for drive in found.drives] == ["virtio"]
    assert "driver" in found.findings[0].remedy


def test_the_fifth_drive_of_ide_is_a_sata_one() -> None:
    found = made(Bus.IDE, disks=6)
    assert [drive.bus for drive in found.drives] == ["ide"] * 4 + ["sata"] * 2


def test_an_adapter_keeps_a_model_that_there_is() -> None:
    adapters = (Adapter("a", model="VmxNet3"), Adapter("b", model="PCNet32"), Adapter("c"))
    found = made(None, adapters=adapters)
    assert found.cards == ("vmxnet3", "e1000", "e1000")


def test_what_boots_first_comes_first() -> None:
    drives = (
        Attachment("late", disk=DiskId("a"), boot_index=1),
        Attachment("first", disk=DiskId("b"), boot_index=0),
        Attachment("never", disk=DiskId("c")),
        Attachment("cd", Medium.CDROM),
    )
    assert made(None, attachments=drives).boot == ("first", "late", "cd")
    order = (Boot.NETWORK, Boot.CDROM)
    found = made(None, attachments=drives, adapters=(Adapter("n"),), boot_order=order)
    assert found.boot == ("n", "cd")


@given(st.lists(st.sampled_from(["ide", "sata", "scsi", "virtio", "fdc"]), max_size=60))
def test_no_two_drives_are_called_alike(buses: list[str]) -> None:
    names: list[str] = []
    for bus in buses:
        names.append(next_target(bus, names))
    assert len(set(names)) == len(names)


def test_names_go_on_behind_z() -> None:
    names: list[str] = []
    for _ in range(28):
        names.append(next_target("virtio", names))
    assert names[25:] == ["vdz", "vdaa", "vdab"]
