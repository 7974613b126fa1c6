"""What a host would say to a deployment, without changing anything: where, whether it fits, what changes."""

from collections import defaultdict
from collections.abc import Iterator

from backends import findings, keepsake
from backends.base import (
    Finding,
    HostItem,
    Kind,
    NetworkItem,
    Placement,
    Ref,
    Severity,
    StorageItem,
)
from backends.kvm import marks
from backends.kvm.build import wanted_disks
from backends.kvm.features import Features
from backends.kvm.hardware import hardware
from backends.kvm.inventory import Listing
from backends.kvm.link import Link
from kensho_tui.machine import Appliance, Disk, DiskId, Firmware, Machine


def check(
    link: Link, features: Features, appliance: Appliance, placement: Placement
) -> list[Finding]:
    """All findings."""
    items = Listing(link, features).items(frozenset({Kind.HOST, Kind.STORAGE, Kind.NETWORK}))
    hosts = [item for item in items if isinstance(item, HostItem)]
    storage = {item.ref: item for item in items if isinstance(item, StorageItem)}
    networks = {item.ref for item in items if isinstance(item, NetworkItem)}
    names = {each.name for each in marks.domains(link)}
    found: list[Finding] = []
    for machine in appliance.machines:
        found += _machine(machine, hosts, features)
        found += _networks(machine, placement, networks)
        found += hardware(machine, link.settings).findings
        found += keepsake.dropped(keepsake.of(appliance, machine), machine)
        if marks.slug(machine.name) in names:
            found.append(
                Finding(
                    "name-taken",
                    Severity.ERROR,
                    "There is a machine of this name already.",
                    machine.name,
                    "Give the machine another name.",
                )
            )
    found += _disks(wanted_disks(appliance, placement), placement, storage)
    return found


def _machine(machine: Machine, hosts: list[HostItem], features: Features) -> Iterator[Finding]:
    if not features.accelerator:
        yield Finding(
            "no-host", Severity.ERROR, f"No machine runs here: {features.why}.", machine.name
        )
    elif features.accelerator == "qemu":
        yield Finding(
            "emulated",
            Severity.WARNING,
            f"The machine is emulated and slow: {features.why}.",
            machine.name,
            "Choose a host with KVM.",
        )
    most = max((host.processors for host in hosts), default=0)
    if most and machine.processors.count > most:
        yield Finding(
            "too-many-processors",
            Severity.WARNING,
            f"The machine has {machine.processors.count} processors, the host {most}: it gets slow.",
            machine.name,
            f"Give it at most {most}.",
        )
    total = max((host.memory_total for host in hosts), default=0)
    if total and machine.memory.size > total:
        yield Finding(
            "too-much-memory",
            Severity.ERROR,
            "The machine wants more memory than the host has.",
            machine.name,
            "Give it less memory.",
        )
    if machine.firmware is Firmware.UEFI and not features.uefi:
        yield Finding(
            "uefi-unsupported",
            Severity.ERROR,
            "This host has no UEFI for machines.",
            machine.name,
            "Install it there (Debian: ovmf), or choose another host.",
        )
    elif machine.secure_boot and machine.firmware is not Firmware.UEFI:
        yield findings.secure_boot_without_uefi(machine)
    elif machine.secure_boot and not features.secure_boot:
        yield Finding(
            "secure-boot-unsupported",
            Severity.ERROR,
            "This host's UEFI has no secure boot.",
            machine.name,
            "Choose another host.",
        )
    if machine.tpm and not features.tpm:
        yield Finding(
            "tpm-unsupported",
            Severity.ERROR,
            "This host has no virtual TPM.",
            machine.name,
            "Install it there (Debian: swtpm), or choose another host.",
        )
    elif machine.tpm:
        yield findings.tpm_empty(machine)


def _networks(machine: Machine, placement: Placement, there: set[Ref]) -> Iterator[Finding]:
    for adapter in machine.adapters:
        where = (machine.id, adapter.id)
        if where not in placement.networks:
            yield findings.network_unmapped(machine, adapter)
            continue
        ref = placement.networks[where]
        if ref is not None and ref not in there:
            yield Finding(
                "network-gone",
                Severity.ERROR,
                f"The network '{ref.name or ref.id}' is not on the host.",
                machine.name,
                "Choose another network.",
            )


def _disks(
    wanted: dict[DiskId, Disk], placement: Placement, storage: dict[Ref, StorageItem]
) -> Iterator[Finding]:
    held: dict[Ref, list[Disk]] = defaultdict(list)
    for ident, disk in wanted.items():
        name, ref = disk.name or ident, placement.storage[ident]
        found = storage.get(ref)
        if found is None:
            yield Finding(
                "storage-gone",
                Severity.ERROR,
                f"The storage pool '{ref.name or ref.id}' is not on the host.",
                name,
                "Choose another one.",
            )
            continue
        held[ref].append(disk)
        if found.reason:
            yield Finding(
                "storage-unusable",
                Severity.ERROR,
                f"The storage pool '{found.ref.name}' takes no disks: {found.reason}.",
                name,
                "Choose another one.",
            )
        if disk.capacity is None:
            yield findings.disk_size_unknown(name)
    for ref, disks in held.items():
        found = storage[ref]
        whole, least = sum(d.capacity or 0 for d in disks), sum(d.populated or 0 for d in disks)
        if least > found.free:
            yield Finding(
                "storage-full",
                Severity.ERROR,
                f"The disks need {least >> 20} MiB, and {found.free >> 20} MiB are free.",
                found.ref.name,
                "Choose another storage pool, or make room on this one.",
            )
        elif whole > found.free:
            yield Finding(
                "storage-may-fill",
                Severity.WARNING,
                f"The disks can grow to {whole >> 20} MiB, and {found.free >> 20} MiB are free.",
                found.ref.name,
            )
