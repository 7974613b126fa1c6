"""A machine as the records XenAPI wants: complete, integers as text, nothing left to defaults.

``VM.create`` refuses a record that lacks one of the fields without a default (xapi:
ocaml/idl/datamodel_vm); so every field is written.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from backends.base import Key
from backends.xenserver import marks, xenkeys
from backends.xenserver.api import NULL, Record
from kensho_tui.machine import (
    Attachment,
    Boot,
    Disk,
    DiskId,
    Firmware,
    Machine,
    MachineId,
    Medium,
)
from kensho_tui.text import one_line, plain

_ORDER = {Boot.DISK: "c", Boot.CDROM: "d", Boot.NETWORK: "n"}
_PLATFORM = {"nx": "true", "acpi": "true", "apic": "true", "pae": "true", "stdvga": "0"}
_UEFI_MODEL = "qemu-upstream-uefi"
CD_POSITION = 3  # where XenCenter and the guest tools look for the CD drive


def boot_params(machine: Machine, given: Mapping[str, str]) -> dict[str, str]:
    """``HVM_boot_params``: ``order`` is any of c (disk), d (CD), n (network), in that order."""
    params = dict(given)
    letters = "".join(dict.fromkeys(_ORDER[each] for each in machine.boot_order if each in _ORDER))
    if letters:
        params["order"] = letters
    params.setdefault("order", "cd")
    if machine.firmware is Firmware.UEFI:
        params["firmware"] = "uefi"
    elif params.get("firmware", "bios") != "bios":
        del params["firmware"]
    return params


def platform(machine: Machine, given: Mapping[str, str] | None) -> dict[str, str]:
    """``platform``: what the source said, with processors and firmware as the machine now has them."""
    keys = dict(given) if given is not None else dict(_PLATFORM)
    if given is None and "windows" in machine.os.description.lower():
        keys["viridian"] = "true"
    keys.pop("cores-per-socket", None)
    if machine.processors.cores_per_socket > 1:
        keys["cores-per-socket"] = str(machine.processors.cores_per_socket)
    if machine.firmware is Firmware.UEFI:
        keys["device-model"] = _UEFI_MODEL
    elif keys.get("device-model") == _UEFI_MODEL:
        del keys["device-model"]  # the server refuses to start BIOS with it
    if machine.secure_boot:
        keys["secureboot"] = "true"
    elif keys.get("secureboot") == "true":
        keys["secureboot"] = "false"
    return keys


def vm_record(
    machine: Machine,
    key: Key,
    *,
    affinity: str,
    appliance: str,
    kept: Mapping[str, str] | None = None,
) -> Record:
    """The record of a machine that stays hidden until it is committed.

    ``kept``: further entries of ``other_config``.
    """
    given = xenkeys.fields(machine.extras)
    paravirtual = bool(given.get("PV_bootloader") or given.get("PV_kernel"))
    size = str(machine.memory.size)
    count = str(machine.processors.count)
    record: Record = {
        "name_label": one_line(machine.name),
        "name_description": plain(machine.description),
        "user_version": "1",
        "is_a_template": False,
        "affinity": affinity,
        "appliance": appliance,
        "memory_static_max": size,
        "memory_dynamic_max": size,
        "memory_dynamic_min": size,
        "memory_static_min": size,
        "VCPUs_params": {},
        "VCPUs_max": count,
        "VCPUs_at_startup": count,
        "actions_after_shutdown": "destroy",
        "actions_after_reboot": "restart",
        "actions_after_crash": "restart",
        "PV_bootloader": "",
        "PV_kernel": "",
        "PV_ramdisk": "",
        "PV_args": "",
        "PV_bootloader_args": "",
        "PV_legacy_args": "",
        "HVM_boot_policy": "" if paravirtual else "BIOS order",
        "HVM_shadow_multiplier": 1.0,
        "PCI_bus": "",
        "recommendations": "",
        "blocked_operations": {},
        "ha_always_run": False,
        "ha_restart_priority": "",
        "tags": [],
        "start_delay": str(machine.start.start_delay_s),
        "shutdown_delay": str(machine.start.stop_delay_s),
        "order": str(machine.start.order),
        "suspend_SR": NULL,
        "version": "0",
        "generation_id": "",
        "hardware_platform_version": "0",
        "has_vendor_device": False,
        "reference_label": "",
        "NVRAM": {},
    }
    record.update(given)
    record["HVM_boot_params"] = boot_params(machine, given.get("HVM_boot_params", {}))
    record["platform"] = platform(machine, given.get("platform"))
    record["other_config"] = {
        marks.KEY: key,
        marks.MACHINE: machine.id,
        marks.HIDDEN: "true",
        **xenkeys.kept(machine.extras),
        **(kept or {}),
    }
    return record


def vif_record(vm: str, device: int, network: str, mtu: str, mac: str | None) -> Record:
    """The record of a network adapter; without ``mac`` the server chooses one."""
    return {
        "device": str(device),
        "network": network,
        "VM": vm,
        "MAC": mac or "",
        "MTU": mtu,
        "other_config": {},
        "qos_algorithm_type": "",
        "qos_algorithm_params": {},
        "locking_mode": "network_default",
        "ipv4_allowed": [],
        "ipv6_allowed": [],
    }


def vdi_record(
    name: str, sr: str, size: int, other_config: Mapping[str, str], *, sharable: bool = False
) -> Record:
    """The record of a disk of ``size`` bytes. ``sm_config`` is the storage's own and never copied."""
    return {
        "name_label": one_line(name),
        "name_description": "",
        "SR": sr,
        "virtual_size": str(size),
        "type": "user",
        "sharable": sharable,
        "read_only": False,
        "other_config": dict(other_config),
        "xenstore_data": {},
        "sm_config": {},
        "tags": [],
    }


def vbd_record(vm: str, vdi: str, position: int, *, cd: bool, bootable: bool) -> Record:
    """The record of a drive: a disk, or a CD drive that is empty where ``vdi`` is `NULL`."""
    return {
        "VM": vm,
        "VDI": vdi,
        "userdevice": str(position),
        "bootable": bootable,
        "mode": "RO" if cd else "RW",
        "type": "CD" if cd else "Disk",
        "unpluggable": not cd,
        "empty": vdi == NULL,
        "other_config": {} if cd else {"owner": "true"},
        "qos_algorithm_type": "",
        "qos_algorithm_params": {},
    }


@dataclass(frozen=True, slots=True)
class Drive:
    """A drive of a machine that is to be made: where it hangs, and the disk in it if any."""

    position: int
    disk: DiskId | None
    cd: bool
    bootable: bool


def drives(machine: Machine, disks: Mapping[DiskId, Disk]) -> list[Drive]:
    """Positions of a machine's drives.

    Machines that came from XenServer keep theirs. Otherwise disks count from 0 in the order they
    boot and stand, and leave 3 to the CD drive. Floppy drives are left out: there are none here.

    Args: disks: those that will be made; drives of others are left out.
    """
    wanted = [
        each
        for each in machine.attachments
        if each.medium is Medium.CDROM or (each.medium is Medium.DISK and each.disk in disks)
    ]
    units = [each.unit for each in wanted]
    kept = all(each.controller is None for each in wanted) and None not in units
    if kept and len(set(units)) == len(units):
        positions = [unit for unit in units if unit is not None]
    else:
        wanted.sort(key=lambda each: (_is_cd(each), _boots(each)))
        positions = _positions([_is_cd(each) for each in wanted])
    first = next(
        (
            n
            for n, each in sorted(enumerate(wanted), key=lambda p: _boots(p[1]))
            if not _is_cd(each)
        ),
        None,
    )
    return [
        Drive(
            position,
            None if _is_cd(each) else each.disk,
            cd=_is_cd(each),
            bootable=_is_cd(each) or n == first,
        )
        for n, (position, each) in enumerate(zip(positions, wanted, strict=True))
    ]


def _is_cd(attachment: Attachment) -> bool:
    return attachment.medium is Medium.CDROM


def _boots(attachment: Attachment) -> int:
    return attachment.boot_index if attachment.boot_index is not None else 1 << 30


def _positions(cds: list[bool]) -> list[int]:
    free = iter(n for n in range(1 << 10) if n != CD_POSITION or not any(cds))
    positions = []
    cd_placed = False
    for cd in cds:
        if cd and not cd_placed:
            positions.append(CD_POSITION)
            cd_placed = True
        else:
            positions.append(next(free))
    return positions


def disk_marks(key: Key, disk: DiskId) -> dict[str, str]:
    """``other_config`` of a disk that is being made."""
    return {marks.KEY: key, marks.DISK: disk}


def environment_marks(key: Key, machine: MachineId, *, borrowed: bool) -> dict[str, str]:
    """``other_config`` of an OVF environment's ISO; ``borrowed``: in a drive of the machine's."""
    found = {marks.KEY: key, marks.ENVIRONMENT: str(machine)}
    return {**found, marks.BORROWED: "true"} if borrowed else found
