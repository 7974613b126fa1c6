"""A machine becomes a complete record, and a record the same machine again."""

from dataclasses import replace

import pytest

from backends.xenserver import marks, records, xenkeys
from backends.xenserver.api import NULL
from backends.xenserver.lookup import space_free, zeroed
from kensho_tui.machine import (
    Attachment,
    Boot,
    Bus,
    Controller,
    Disk,
    DiskId,
    Firmware,
    GuestOs,
    Machine,
    MachineId,
    Medium,
    Memory,
    Processors,
    Start,
)

MACHINE = Machine(MachineId("web"), "web01", Memory(1 << 30), Processors(4, 2))
# Fields of VM.create that have no default (xapi: ocaml/idl/datamodel_vm.ml).
REQUIRED = [
    "user_version", "is_a_template", "affinity", "memory_static_max", "memory_dynamic_max",
    "memory_dynamic_min", "memory_static_min", "VCPUs_params", "VCPUs_max", "VCPUs_at_startup",
    "actions_after_shutdown", "actions_after_reboot", "actions_after_crash", "PV_bootloader",
    "PV_kernel", "PV_ramdisk", "PV_args", "PV_bootloader_args", "PV_legacy_args",
    "HVM_boot_policy", "HVM_boot_params", "platform", "PCI_bus", "other_config",
    "recommendations",
]  # fmt: skip


def record(machine: Machine) -> dict[str, object]:
    """The record under a key of the tests."""
    return records.vm_record(machine, "kensho:j:d", affinity=NULL, appliance=NULL, kept={})


def drives(*attachments: Attachment) -> list[tuple[int, str | None, bool]]:
    """Position, disk and bootability of the drives that a machine gets."""
    disks = {a.disk: Disk(a.disk, 1 << 20) for a in attachments if a.disk is not None}
    machine = replace(MACHINE, attachments=attachments)
    return [(d.position, d.disk, d.bootable) for d in records.drives(machine, disks)]


def disk(
    name: str, *, unit: int | None = None, boot: int | None = None, on: str = "c"
) -> Attachment:
    """A disk on a controller of the source's."""
    return Attachment(name, disk=DiskId(name), controller=on or None, unit=unit, boot_index=boot)


def test_no_field_without_a_default_is_missing() -> None:
    assert set(REQUIRED) <= set(record(MACHINE))


def test_integers_are_text_and_memory_is_fixed() -> None:
    made = record(MACHINE)
    assert {made[f"memory_{each}"] for each in ("static_max", "dynamic_max", "dynamic_min")} == {
        str(1 << 30)
    }
    assert made["VCPUs_max"] == made["VCPUs_at_startup"] == "4"
    assert made["platform"] == {
        "nx": "true", "acpi": "true", "apic": "true", "pae": "true", "stdvga": "0",
        "cores-per-socket": "2",
    }  # fmt: skip


def test_a_machine_is_hidden_and_carries_its_key() -> None:
    config = record(MACHINE)["other_config"]
    assert config == {
        marks.KEY: "kensho:j:d", marks.MACHINE: "web", "HideFromXenCenter": "true"
    }  # fmt: skip


def test_start_order_and_delays_are_the_servers_own() -> None:
    made = record(replace(MACHINE, start=Start(3, 20, 30)))
    assert (made["order"], made["start_delay"], made["shutdown_delay"]) == ("3", "20", "30")


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ((), "cd"),
        ((Boot.CDROM, Boot.DISK), "dc"),
        ((Boot.NETWORK,), "n"),
        ((Boot.FLOPPY, Boot.DISK, Boot.DISK), "c"),
    ],
)
def test_the_boot_order_is_spelled_in_letters(order: tuple[Boot, ...], expected: str) -> None:
    assert records.boot_params(replace(MACHINE, boot_order=order), {})["order"] == expected


def test_uefi_brings_its_device_model_and_bios_takes_it_away() -> None:
    uefi = replace(MACHINE, firmware=Firmware.UEFI, secure_boot=True)
    made = record(uefi)
    assert made["HVM_boot_params"] == {"order": "cd", "firmware": "uefi"}
    assert records.platform(uefi, None)["device-model"] == "qemu-upstream-uefi"
    assert records.platform(uefi, None)["secureboot"] == "true"
    came = {"device-model": "qemu-upstream-uefi", "secureboot": "true", "vga": "std"}
    assert records.platform(MACHINE, came) == {
        "secureboot": "false", "vga": "std", "cores-per-socket": "2"
    }  # fmt: skip
    assert records.boot_params(MACHINE, {"firmware": "uefi", "order": "n"}) == {"order": "n"}


def test_windows_gets_its_enlightenments_unless_the_source_said_otherwise() -> None:
    windows = replace(MACHINE, os=GuestOs("Microsoft Windows Server 2022 (64-bit)"))
    assert records.platform(windows, None)["viridian"] == "true"
    assert "viridian" not in records.platform(windows, {"acpi": "1"})


def test_escape_sequences_do_not_reach_the_server() -> None:
    made = record(replace(MACHINE, name="web\x1b[2J\x00 01", description="a\nb\x07"))
    assert (made["name_label"], made["name_description"]) == ("web 01", "a\nb")


def test_disks_count_from_zero_in_boot_order_and_leave_three_to_the_cd() -> None:
    scsi = [disk(f"d{n}", unit=n) for n in range(4)]
    scsi[2] = replace(scsi[2], boot_index=0)
    assert drives(*scsi, Attachment("cd", Medium.CDROM)) == [
        (0, "d2", True), (1, "d0", False), (2, "d1", False), (4, "d3", False), (3, None, True),
    ]  # fmt: skip


def test_without_a_cd_no_position_is_left_out() -> None:
    assert [d[0] for d in drives(*(disk(f"d{n}") for n in range(5)))] == [0, 1, 2, 3, 4]


def test_a_machine_of_a_xenserver_keeps_its_positions() -> None:
    came = (disk("a", unit=5, on=""), disk("b", unit=0, boot=0, on=""))
    assert drives(*came) == [(5, "a", False), (0, "b", True)]


def test_a_second_cd_and_a_floppy_find_their_place_or_none() -> None:
    given = (Attachment("cd1", Medium.CDROM), Attachment("f", Medium.FLOPPY), disk("a"))
    assert drives(*given, Attachment("cd2", Medium.CDROM)) == [
        (0, "a", True), (3, None, True), (1, None, True)
    ]  # fmt: skip


def test_a_cd_drive_is_read_only_and_a_disk_goes_with_its_machine() -> None:
    cd = records.vbd_record("vm", NULL, 3, cd=True, bootable=True)
    assert (cd["mode"], cd["type"], cd["empty"], cd["userdevice"]) == ("RO", "CD", True, "3")
    hard = records.vbd_record("vm", "vdi", 0, cd=False, bootable=True)
    assert (hard["mode"], hard["empty"], hard["other_config"]) == ("RW", False, {"owner": "true"})


def test_the_sources_storage_settings_are_never_copied() -> None:
    made = records.vdi_record("d", "sr", 1 << 20, {})
    assert made["sm_config"] == {}


EXTRAS = {
    "HVM_boot_params": "order=dc;firmware=uefi;",
    "HVM_boot_policy": "BIOS order",
    "HVM_shadow_multiplier": "1.5",
    "platform": "nx=true;secureboot=auto;device-model=qemu-upstream-uefi;",
    "NVRAM": "EFI-variables=AAAA==;",
    "PV_args": "console=hvc0",
    "PV_bootloader": "pygrub",
    "PV_bootloader_args": "-q",
    "PV_kernel": "/boot/vmlinuz",
    "PV_legacy_args": "x",
    "PV_ramdisk": "/boot/initrd",
    "hardware_platform_version": "2",
    "recommendations": '<restrictions><restriction field="vcpus-max" max="8"/></restrictions>',
    "reference_label": "debian-12",
    "VM_has_vendor_device": "true",
    "vgpu": "GPU_types={10de/13f2};VGPU_type_vendor_name=NVIDIA;VGPU_type_model_name=M60;",
    "pvssite": "PVS_SITE={uuid=1234};",
}


def test_there_are_seventeen_xen_keys() -> None:
    assert set(xenkeys.KEYS) == set(EXTRAS)
    assert len(xenkeys.KEYS) == 17


def test_every_xen_key_comes_back_as_it_went() -> None:
    given = {f"xenserver:{key}": value for key, value in EXTRAS.items()}
    uefi = replace(
        MACHINE,
        processors=Processors(),
        firmware=Firmware.UEFI,
        boot_order=(Boot.CDROM, Boot.DISK),
        extras=given,
    )
    assert xenkeys.extras(record(uefi)) == given


def test_a_flag_is_read_in_any_case_and_nonsense_numbers_are_not_sent() -> None:
    odd = {
        "xenserver:VM_has_vendor_device": "True",
        "xenserver:hardware_platform_version": "x",
        "xenserver:HVM_shadow_multiplier": "much",
        "xenserver:HVM_boot_params": "order=c;;junk",
    }
    assert xenkeys.fields(odd) == {
        "has_vendor_device": True,
        "hardware_platform_version": "0",
        "HVM_shadow_multiplier": 1.0,
        "HVM_boot_params": {"order": "c"},
    }


@pytest.mark.parametrize(
    ("kind", "config", "expected"),
    [
        ("ext", {}, True),
        ("nfs", {}, True),
        ("lvm", {"use_vhd": "true"}, True),
        ("lvm", {}, False),
        ("lvmoiscsi", {}, False),
        ("equal", {"allocation": "Thick"}, False),
        ("equal", {}, True),
        ("cslg", {}, False),
    ],
)
def test_storage_that_does_not_wipe_is_known(
    kind: str, config: dict[str, str], expected: bool
) -> None:
    assert zeroed({"type": kind, "sm_config": config}) is expected


def test_free_space_is_never_negative() -> None:
    assert space_free({"physical_size": "10", "physical_utilisation": "3"}) == 7
    assert space_free({"physical_size": "-1", "physical_utilisation": "3"}) == 0
    assert space_free({}) == 0


def test_a_controller_is_no_reason_to_lose_a_disk() -> None:
    machine = replace(
        MACHINE,
        controllers=(Controller("c", Bus.SCSI),),
        attachments=(disk("a", unit=0), disk("b", unit=0)),
    )
    disks = {DiskId(n): Disk(DiskId(n), 1) for n in "ab"}
    assert [d.position for d in records.drives(machine, disks)] == [0, 1]
