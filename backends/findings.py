"""What every platform says in the same words of a machine that is to be deployed there."""

from backends.base import Finding, Severity
from kensho_tui.machine import Adapter, Machine


def network_unmapped(machine: Machine, adapter: Adapter) -> Finding:
    """Nobody said on which network the adapter goes."""
    return Finding(
        "network-unmapped",
        Severity.ERROR,
        f"No network is chosen for adapter {adapter.name or adapter.id}.",
        machine.name,
        "Choose one, or leave the adapter unplugged.",
    )


def secure_boot_without_uefi(machine: Machine) -> Finding:
    """Secure boot is asked for by BIOS."""
    return Finding(
        "secure-boot-without-uefi",
        Severity.WARNING,
        "Secure boot needs UEFI and is left off.",
        machine.name,
    )


def tpm_empty(machine: Machine) -> Finding:
    """What a TPM holds stays where it is."""
    return Finding(
        "tpm-empty",
        Severity.WARNING,
        "The machine gets a new, empty TPM: what the old one keeps cannot be moved.",
        machine.name,
        "Have recovery keys of encrypted disks at hand.",
    )


def disk_size_unknown(name: str) -> Finding:
    """A disk has to be made before its bytes come."""
    return Finding("disk-size-unknown", Severity.ERROR, "Nobody says how large the disk is.", name)
