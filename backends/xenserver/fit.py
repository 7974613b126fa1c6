"""What of a machine a XenServer cannot do, or does in its own way: size, firmware, devices."""

from collections.abc import Iterator, Sequence

from backends import findings
from backends.base import Finding, HostItem, Severity
from backends.xenserver import xenkeys
from backends.xenserver.features import Features
from kensho_tui.machine import Bus, Clock, Firmware, Machine, Medium

_ADAPTERS = 16  # VIF devices 0 to 15 (xapi: allowed_VIF_devices_HVM)
_DRIVES = 255  # VBD devices 0 to 254 (xapi: allowed_VBD_devices_HVM)
_EMULATED = {Bus.SCSI, Bus.SATA, Bus.NVME, Bus.VIRTIO}


def fit(machine: Machine, hosts: Sequence[HostItem], features: Features) -> Iterator[Finding]:
    """Findings about the machine on any of these hosts; without hosts its size is not looked at."""
    yield from _size(machine, hosts)
    yield from _firmware(machine, features)
    yield from _devices(machine)


def gib(size: int) -> str:
    """Bytes as GiB, for people."""
    return f"{size / (1 << 30):.1f} GiB"


def _size(machine: Machine, hosts: Sequence[HostItem]) -> Iterator[Finding]:
    count, cores = machine.processors.count, machine.processors.cores_per_socket
    if cores < 1 or count % cores:
        yield Finding(
            "cores-per-socket",
            Severity.ERROR,
            f"{count} processors are no multiple of {cores} cores per socket.",
            machine.name,
            "Change the number of processors.",
        )
    if not hosts:
        return
    most = max(host.processors for host in hosts)
    if count > most:
        yield Finding(
            "too-many-processors",
            Severity.WARNING,
            f"The machine has {count} processors, the largest host {most}: it will not start.",
            machine.name,
            f"Give it at most {most}.",
        )
    size = machine.memory.size
    if size > max(host.memory_total for host in hosts):
        yield Finding(
            "too-much-memory",
            Severity.ERROR,
            f"The machine wants {gib(size)} of memory, more than any host has.",
            machine.name,
            "Give it less memory.",
        )
    elif size > max(host.memory_free for host in hosts):
        yield Finding(
            "memory-not-free",
            Severity.WARNING,
            f"The machine wants {gib(size)} of memory, more than any host has free now.",
            machine.name,
            "Free memory before it is started.",
        )


def _firmware(machine: Machine, features: Features) -> Iterator[Finding]:
    if machine.firmware is Firmware.UEFI and not features.uefi:
        yield Finding(
            "uefi-unsupported",
            Severity.ERROR,
            "This server starts no machines by UEFI.",
            machine.name,
            "Choose a newer server.",
        )
    if machine.secure_boot and machine.firmware is not Firmware.UEFI:
        yield findings.secure_boot_without_uefi(machine)
    if machine.tpm and not features.tpm:
        yield Finding(
            "tpm-unsupported",
            Severity.ERROR,
            "This server has no virtual TPM.",
            machine.name,
            "Choose a newer server.",
        )
    elif machine.tpm and machine.firmware is not Firmware.UEFI:
        yield Finding("tpm-without-uefi", Severity.ERROR, "A virtual TPM needs UEFI.", machine.name)
    elif machine.tpm:
        yield findings.tpm_empty(machine)
    if machine.clock is Clock.LOCAL:
        yield Finding(
            "clock-utc",
            Severity.INFO,
            "The machine's clock counts UTC here; the guest corrects it by its time service.",
            machine.name,
        )


def _devices(machine: Machine) -> Iterator[Finding]:
    if len(machine.adapters) > _ADAPTERS:
        yield Finding(
            "too-many-adapters",
            Severity.ERROR,
            f"A machine has at most {_ADAPTERS} network adapters here.",
            machine.name,
        )
    count = sum(each.medium is not Medium.FLOPPY for each in machine.attachments)
    if count > _DRIVES:
        yield Finding(
            "too-many-drives",
            Severity.ERROR,
            f"The machine has {count} drives; XenServer takes {_DRIVES}.",
            machine.name,
            "Take drives away, or leave the machine behind.",
        )
    used = {each.controller for each in machine.attachments if each.medium is Medium.DISK}
    kinds = {each.bus for each in machine.controllers if each.id in used} & _EMULATED
    if kinds:
        names = " and ".join(sorted(kind.upper() for kind in kinds))
        yield Finding(
            "controller-emulated",
            Severity.INFO,
            f"There is no {names} controller here: the disks appear as emulated IDE, and as Xen"
            " disks once the guest has its drivers.",
            machine.name,
        )
    if any(each.medium is Medium.FLOPPY for each in machine.attachments):
        yield Finding(
            "floppy-dropped", Severity.INFO, "There are no floppy drives here.", machine.name
        )
    if any(each.read_only and each.medium is Medium.DISK for each in machine.attachments):
        yield Finding(
            "disk-writable",
            Severity.WARNING,
            "Disks of such machines cannot be read-only here; they become writable.",
            machine.name,
        )
    for key in xenkeys.KEPT:
        if xenkeys.NAMESPACE + key in machine.extras:
            yield Finding(
                f"{key}-kept",
                Severity.INFO,
                f"The setting '{key}' is remembered, but its device is not made.",
                machine.name,
                "Add the device by hand.",
            )
