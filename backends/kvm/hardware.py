"""Which devices a machine gets, and why: those its guest can drive."""

from collections.abc import Iterator
from dataclasses import dataclass

from backends.base import Finding, Severity
from backends.kvm.settings import KvmSettings
from kensho_tui.machine import Adapter, Attachment, Boot, Bus, Controller, Firmware, Machine, Medium

# Controllers of other platforms that QEMU has too: the guest keeps its driver.
_SAME = {
    "virtualscsi": "vmpvscsi",
    "pvscsi": "vmpvscsi",
    "vmpvscsi": "vmpvscsi",
    "lsilogicsas": "lsisas1068",
    "lsisas1068": "lsisas1068",
    "virtio-scsi": "virtio-scsi",
    "virtioscsi": "virtio-scsi",
}
_CARDS = {
    "vmxnet3": "vmxnet3",
    "e1000": "e1000",
    "e1000e": "e1000e",
    "virtio": "virtio",
    "rtl8139": "rtl8139",
}
_IDE_UNITS = 4
_PREFIX = {"ide": "hd", "sata": "sd", "scsi": "sd", "virtio": "vd", "fdc": "fd"}


@dataclass(frozen=True, slots=True)
class Drive:
    """A drive of the domain: where it hangs, and what it is called (``sda``)."""

    attachment: Attachment
    bus: str
    target: str


@dataclass(frozen=True, slots=True)
class Hardware:
    """What of a machine follows from what its guest can drive.

    ``scsi``: model of the SCSI controller; "" where nothing hangs on one. ``boot``: attachments and
    adapters by id, in the order they are tried.
    """

    machine: str
    drives: tuple[Drive, ...]
    scsi: str
    cards: tuple[str, ...]
    boot: tuple[str, ...]
    findings: tuple[Finding, ...]


def hardware(machine: Machine, settings: KvmSettings) -> Hardware:
    """The devices of a machine."""
    # The old chipset has IDE, which any guest drives; the new one is what UEFI is made for.
    chipset = "q35" if machine.firmware is Firmware.UEFI else "pc"
    controllers = {each.id: each for each in machine.controllers}
    findings: list[Finding] = []
    drives: list[Drive] = []
    scsi = ""
    for each in machine.attachments:
        if each.medium is Medium.FLOPPY:
            bus, model = "fdc", ""
        elif each.medium is Medium.CDROM:
            bus, model = ("ide" if chipset == "pc" else "sata"), ""
        else:
            found = controllers.get(each.controller or "")
            bus, model, why = _disk(found, chipset, settings)
            if model and scsi and model != scsi:
                model = scsi  # one controller carries them all
            findings += [_disk_finding(machine, bus, model, why)] if why else []
        if bus == "ide" and sum(drive.bus == "ide" for drive in drives) == _IDE_UNITS:
            bus = "sata"
        scsi = scsi or model
        drives.append(Drive(each, bus, next_target(bus, [drive.target for drive in drives])))
    cards = []
    for adapter in machine.adapters:
        card, why = _card(adapter, settings)
        cards.append(card)
        findings += [_card_finding(machine, card, why)] if why else []
    return Hardware(
        chipset,
        tuple(drives),
        scsi,
        tuple(cards),
        tuple(_boot(machine)),
        tuple(dict.fromkeys(findings)),
    )


def next_target(bus: str, taken: list[str]) -> str:
    """The next free name for a drive on the bus, such as ``sdb``: one in use is not given twice."""
    prefix = _PREFIX[bus]
    number = 0
    while (name := prefix + _letters(number)) in taken:
        number += 1
    return name


def _letters(number: int) -> str:
    text = ""
    while True:
        text = chr(ord("a") + number % 26) + text
        number = number // 26 - 1
        if number < 0:
            return text


def _disk(found: Controller | None, chipset: str, settings: KvmSettings) -> tuple[str, str, str]:
    """Bus, model of the SCSI controller, and why it is another one than the guest had ("": it is not)."""
    wanted = settings.disk_bus
    if wanted != "auto":
        bus = "sata" if wanted == "ide" and chipset == "q35" else wanted
        return bus, "virtio-scsi" if bus == "scsi" else "", "the connection's settings say so"
    if found is None:
        return "sata", "", "the source names no controller"
    model = _SAME.get(found.model.lower().replace(" ", ""), "")
    if found.bus is Bus.VIRTIO:
        return ("scsi", model, "") if model else ("virtio", "", "")
    if found.bus is Bus.SCSI and model:
        return "scsi", model, ""
    if found.bus is Bus.IDE:
        return ("ide", "", "") if chipset == "pc" else ("sata", "", "there is no IDE beside UEFI")
    if found.bus is Bus.SATA:
        return "sata", "", ""
    had = f"{found.bus.upper()} {found.model}".strip()
    return "sata", "", f"QEMU has no {had}"


def _disk_finding(machine: Machine, bus: str, model: str, why: str) -> Finding:
    name = {"sata": "SATA", "ide": "IDE", "virtio": "virtio-blk"}.get(bus, model)
    remedy = ""
    if bus == "sata":
        why += ", and SATA is driven by almost any system"
        remedy = "Once the guest has virtio's drivers, a virtio controller is faster."
    elif bus in {"virtio", "scsi"}:
        remedy = "The guest starts only if it has virtio's drivers already."
    return Finding(
        "disk-controller", Severity.INFO, f"Disks hang on {name}: {why}.", machine.name, remedy
    )


def _card(adapter: Adapter, settings: KvmSettings) -> tuple[str, str]:
    if settings.nic_model != "auto":
        return settings.nic_model, "the connection's settings say so"
    known = _CARDS.get(adapter.model.lower().replace(" ", ""))
    if known:
        return known, ""
    had = f"QEMU has no {adapter.model}" if adapter.model else "the source names no model"
    return "e1000", f"{had}, and almost any system drives this one"


def _card_finding(machine: Machine, card: str, why: str) -> Finding:
    return Finding(
        "adapter-model", Severity.INFO, f"A network adapter is an {card}: {why}.", machine.name
    )


def _boot(machine: Machine) -> Iterator[str]:
    order = machine.boot_order or (Boot.DISK, Boot.CDROM)
    disks = [each for each in machine.attachments if each.medium is Medium.DISK and each.disk]
    named = sorted((e for e in disks if e.boot_index is not None), key=lambda e: e.boot_index or 0)
    for kind in order:
        if kind is Boot.DISK:
            yield from (each.id for each in named or disks)
        elif kind is Boot.CDROM:
            yield from (e.id for e in machine.attachments if e.medium is Medium.CDROM)
        elif kind is Boot.NETWORK:
            yield from (each.id for each in machine.adapters)
