"""What the server holds, told as an appliance: records of VM, VBD, VDI and VIF to machines."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from backends import keepsake
from backends.base import Described, Finding, Kind, NotFoundError, Ref, RefusedError, Severity
from backends.xenserver import marks, xenkeys
from backends.xenserver.api import NULL, Api, Record
from backends.xenserver.lookup import number, opaque, references
from kensho_tui.machine import (
    Adapter,
    Appliance,
    Attachment,
    Boot,
    Disk,
    DiskId,
    Firmware,
    GuestOs,
    Machine,
    MachineId,
    Medium,
    Memory,
    Network,
    NetworkId,
    Processors,
    Start,
    canonical_mac,
)

_BOOT = {"c": Boot.DISK, "d": Boot.CDROM, "n": Boot.NETWORK}
# CIM_OperatingSystem.OsType of what the guest tools report, 64-bit as all of these are today.
_CIM = {"ubuntu": 94, "debian": 96, "rhel": 80, "centos": 107}
_CIM_LINUX_64 = 101


@dataclass(frozen=True, slots=True)
class Source:
    """A machine to be told: its record, and for a snapshot the record it was taken of."""

    ref: str
    record: Record
    origin: Record | None = None

    @property
    def told(self) -> Record:
        """The record that gives name and identity."""
        return self.origin or self.record


@dataclass(slots=True)
class Reading:
    """An appliance while it is read, and where its disks are on the server."""

    machines: list[Machine] = field(default_factory=list)
    disks: dict[DiskId, Disk] = field(default_factory=dict)
    vdis: dict[DiskId, marks.Object] = field(default_factory=dict)
    networks: dict[str, Network] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    facts: list[object] = field(default_factory=list)
    keepsakes: list[keepsake.Keepsake] = field(default_factory=list)


def sources(api: Api, refs: Sequence[Ref]) -> tuple[list[Source], Record | None]:
    """The machines the references name, and the VM_appliance where one was named.

    Raises: NotFoundError: one is gone. RefusedError: none is named, or one is no machine.
    """
    appliance: Record | None = None
    found: dict[str, Source] = {}
    if not refs:
        raise RefusedError("no machine is named", remedy="Name one or more machines")
    for ref in refs:
        handle = opaque(api, ref)
        if ref.kind is Kind.APPLIANCE:
            appliance = api.record("VM_appliance", handle, ref.name)
            members = references(appliance.get("VMs"))
        else:
            members = [handle]
        for vm in members:
            record = api.record("VM", vm, ref.name)
            if record.get("is_control_domain") or record.get("is_a_snapshot"):
                raise RefusedError(
                    "this is a control domain or a snapshot, no machine",
                    subject=str(record.get("name_label", "")),
                )
            found.setdefault(vm, Source(vm, record))
    if len(refs) > 1:
        appliance = _group(api, found)
    return list(found.values()), appliance


def _group(api: Api, found: Mapping[str, Source]) -> Record | None:
    """The VM_appliance that has just these machines, where there is one."""
    groups = {str(source.told.get("appliance", NULL)) for source in found.values()}
    if len(groups) != 1 or NULL in groups:
        return None
    record = api.record("VM_appliance", groups.pop(), "")
    return record if set(references(record.get("VMs"))) == set(found) else None


def read(api: Api, machines: Sequence[Source]) -> Reading:
    """The machines in full."""
    reading = Reading()
    for source in machines:
        _machine(api, reading, source)
    return reading


def appliance(reading: Reading, group: Record | None) -> Appliance:
    """The reading as one appliance, called as its group or as its only machine."""
    names = [machine.name for machine in reading.machines]
    name = str(group.get("name_label", "")) if group else names[0] if len(names) == 1 else ""
    told = Appliance(
        name=name or " + ".join(names[:3]),
        machines=tuple(reading.machines),
        disks=reading.disks,
        networks=tuple(reading.networks.values()),
        description=str(group.get("name_description", "")) if group else "",
        collection=group is not None or len(names) > 1,
    )
    return keepsake.restored(told, reading.keepsakes)


def described(reading: Reading, group: Record | None) -> Described:
    """The reading as the contract tells it."""
    facts = json.dumps(reading.facts, sort_keys=True, default=str)
    return Described(
        appliance(reading, group),
        tuple(reading.findings),
        hashlib.sha256(facts.encode()).hexdigest(),
    )


def _machine(api: Api, reading: Reading, source: Source) -> None:
    record, told = source.record, source.told
    taken = {machine.id for machine in reading.machines}
    # What was moved here keeps the id its package gave it; of two copies one has to be told apart.
    wanted = MachineId(marks.marks(told).get(marks.MACHINE, ""))
    ident = wanted if wanted and wanted not in taken else MachineId(str(told["uuid"]))
    name = str(told.get("name_label", ""))
    attachments = _attachments(api, reading, record, ident, name)
    params = record.get("HVM_boot_params")
    params = params if isinstance(params, dict) else {}
    platform = record.get("platform")
    platform = platform if isinstance(platform, dict) else {}
    count = max(1, number(record.get("VCPUs_max")))
    cores = number(platform.get("cores-per-socket", "1"))
    kept = keepsake.read(marks.marks(told).get(keepsake.ENTRY, ""))
    reading.keepsakes.append(kept)
    reading.machines.append(
        Machine(
            id=ident,
            name=name,
            memory=Memory(number(record.get("memory_static_max"))),
            processors=Processors(count, cores if cores > 0 and count % cores == 0 else 1),
            description=str(told.get("name_description", "")),
            uuid=str(told["uuid"]),
            firmware=Firmware.UEFI if params.get("firmware") == "uefi" else Firmware.BIOS,
            secure_boot=platform.get("secureboot") == "true",
            tpm=bool(references(record.get("VTPMs"))),
            attachments=attachments,
            adapters=_adapters(api, reading, record),
            boot_order=tuple(
                dict.fromkeys(_BOOT[c] for c in str(params.get("order", "")) if c in _BOOT)
            ),
            # What the guest's tools say now is nearer than what its package said then.
            os=_os(api.record_or_none("VM_guest_metrics", str(told.get("guest_metrics", NULL))))
            or kept.os
            or GuestOs(),
            start=Start(
                order=number(told.get("order")),
                start_delay_s=number(told.get("start_delay")),
                stop_delay_s=number(told.get("shutdown_delay")),
            ),
            hardware=("hvm-3.0-x86_64" if record.get("HVM_boot_policy") else "xen-3.0-x86_64",),
            extras=_extras(api, record),
        )
    )
    reading.facts.append([told["uuid"], record.get("memory_static_max"), count, params, platform])
    _warn(reading, record, name)


def _warn(reading: Reading, record: Record, name: str) -> None:
    if record.get("power_state") == "Suspended":
        reading.findings.append(
            Finding(
                "memory-not-moved",
                Severity.WARNING,
                "The machine is suspended; its memory image is not moved.",
                name,
                "Shut the guest down for a clean file system.",
            )
        )
    if references(record.get("VTPMs")):
        reading.findings.append(
            Finding(
                "tpm-not-moved",
                Severity.WARNING,
                "What the virtual TPM keeps cannot be moved.",
                name,
                "Have recovery keys of encrypted disks at hand.",
            )
        )


def _attachments(
    api: Api, reading: Reading, record: Record, ident: MachineId, name: str
) -> tuple[Attachment, ...]:
    drives = [api.record("VBD", ref, name) for ref in references(record.get("VBDs"))]
    drives.sort(key=lambda vbd: number(vbd.get("userdevice")))
    found: list[Attachment] = []
    bootable = 0
    for vbd in drives:
        position = number(vbd.get("userdevice"))
        vdi = api.record_or_none("VDI", str(vbd.get("VDI", NULL)))
        if vbd.get("type") == "CD":
            # The OVF environment belongs to one deployment, not to the machine.
            told = vdi is not None and marks.ENVIRONMENT in marks.marks(vdi)
            if told and vdi is not None and marks.BORROWED not in marks.marks(vdi):
                continue
            if vdi is None and marks.ENVIRONMENT in marks.marks(vbd):
                continue
            if vdi is not None and not told:
                reading.findings.append(
                    Finding(
                        "cd-not-moved",
                        Severity.INFO,
                        f"The CD '{vdi.get('name_label', '')}' is not moved; its drive will be empty.",
                        name,
                    )
                )
            found.append(Attachment(f"vbd{position}", Medium.CDROM, unit=position, read_only=True))
        elif vbd.get("type") == "Disk" and vdi is not None:
            boots = bootable if vbd.get("bootable") else None
            bootable += 1 if vbd.get("bootable") else 0
            found.append(
                Attachment(
                    f"vbd{position}",
                    Medium.DISK,
                    _disk(api, reading, str(vbd["VDI"]), vdi),
                    unit=position,
                    boot_index=boots,
                    read_only=vbd.get("mode") == "RO",
                )
            )
        reading.facts.append([ident, position, vbd.get("type"), vbd.get("VDI")])
    return tuple(found)


def _disk(api: Api, reading: Reading, ref: str, vdi: Record) -> DiskId:
    for known, held in reading.vdis.items():
        if held.ref == ref:
            return known
    # A snapshot is told as the disk it was taken of, so that ids stay what they are.
    told = (vdi.get("is_a_snapshot") and api.record_or_none("VDI", str(vdi["snapshot_of"]))) or vdi
    wanted = DiskId(marks.marks(told).get(marks.DISK, ""))
    free = bool(wanted) and wanted not in reading.disks
    ident = wanted if free else DiskId(str(told["uuid"]))
    used = number(vdi.get("physical_utilisation"))
    reading.disks[ident] = Disk(
        ident,
        number(vdi.get("virtual_size")),
        name=str(told.get("name_label", "")),
        image=f"{told['uuid']}.vhd",
        format="vhd",
        populated=used if used > 0 else None,
        shared=bool(vdi.get("sharable")),
    )
    reading.vdis[ident] = marks.Object(ref, vdi)
    reading.facts.append([vdi["uuid"], vdi.get("virtual_size"), used])
    return ident


def _adapters(api: Api, reading: Reading, record: Record) -> tuple[Adapter, ...]:
    vifs = [api.record("VIF", ref) for ref in references(record.get("VIFs"))]
    vifs.sort(key=lambda vif: number(vif.get("device")))
    found = []
    for vif in vifs:
        handle = str(vif.get("network", NULL))
        if handle not in reading.networks:
            network = api.record_or_none("network", handle) or {}
            label = str(network.get("name_label") or network.get("bridge") or handle)
            if label in {each.id for each in reading.networks.values()}:
                label = f"{label} ({network.get('bridge', '')})"
            description = str(network.get("name_description", ""))
            reading.networks[handle] = Network(NetworkId(label), description)
        mac = str(vif.get("MAC", ""))
        found.append(
            Adapter(
                f"vif{vif.get('device', '')}",
                reading.networks[handle].id,
                canonical_mac(mac) if mac else None,
                connected=vif.get("locking_mode") != "disabled",
            )
        )
        reading.facts.append([vif.get("device"), mac, handle])
    return tuple(found)


def _os(metrics: Record | None) -> GuestOs | None:
    version = metrics.get("os_version") if metrics else None
    if not isinstance(version, dict) or not version:
        return None
    distribution = str(version.get("distro", "")).lower()
    linux = bool(version.get("uname"))
    return GuestOs(
        description=str(version.get("name", "")).split("|")[0],
        cim_id=_CIM.get(distribution, _CIM_LINUX_64 if linux else None),
        vendor_id=distribution,
        version=".".join(
            str(version[key]) for key in ("major", "minor") if str(version.get(key, "")).strip()
        ),
    )


def _extras(api: Api, record: Record) -> dict[str, str]:
    found = xenkeys.extras(record)
    for ref in references(record.get("VGPUs")):
        text = _vgpu(api, ref)
        if text:
            found[xenkeys.NAMESPACE + "vgpu"] = text
    return found


def _vgpu(api: Api, ref: str) -> str:
    """A virtual GPU as XenCenter writes it: kinds of card, and vendor and model of its type."""
    try:
        vgpu = api.record("VGPU", ref)
    except NotFoundError:
        return ""
    group = api.record_or_none("GPU_group", str(vgpu.get("GPU_group", NULL))) or {}
    kind = api.record_or_none("VGPU_type", str(vgpu.get("type", NULL))) or {}
    types = ";".join(str(each) for each in group.get("GPU_types", []))
    return (
        f"GPU_types={{{types}}};VGPU_type_vendor_name={kind.get('vendor_name', '')};"
        f"VGPU_type_model_name={kind.get('model_name', '')};"
    )
