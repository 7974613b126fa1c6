"""A machine as the XML that libvirt defines it by (libvirt: "Domain XML format")."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from backends.kvm.features import ARCH, Features
from backends.kvm.hardware import Drive, Hardware
from backends.kvm.marks import NAMESPACE, Mark
from backends.kvm.xml import E, Element
from kensho_tui.machine import Clock, DiskId, Firmware, Machine, Medium
from kensho_tui.text import plain


@dataclass(frozen=True, slots=True)
class Volume:
    """Where a disk is: path on the host and format."""

    path: str
    format: str


def domain_xml(
    machine: Machine,
    uuid: UUID,
    mark: Mark,
    name: str,
    hard: Hardware,
    features: Features,
    volumes: Mapping[DiskId, Volume],
    networks: Mapping[str, tuple[str, str] | None],
) -> Element:
    """The domain.

    Args:
        name: it is called so until it is in service.
        volumes: of its disks; one that is not there is left out.
        networks: by adapter: ``("network", name)`` or ``("bridge", name)``; None: unplugged.
    """
    marked = mark.element()
    marked.tag = f"{{{NAMESPACE}}}deployment"
    root = E.domain(
        E.name(name),
        E.uuid(str(uuid)),
        E.metadata(marked),
        E.memory(str(-(-machine.memory.size // 1024)), unit="KiB"),
        E.vcpu(str(machine.processors.count)),
        _system(machine, hard, features),
        _features(machine),
        _processor(machine, features),
        E.clock(offset="localtime" if machine.clock is Clock.LOCAL else "utc"),
        E.on_poweroff("destroy"),
        E.on_reboot("restart"),
        E.on_crash("destroy"),
        type=features.accelerator,
    )
    if machine.description:
        root.insert(3, E.description(plain(machine.description)))
    devices = E.devices()
    if hard.scsi:
        devices.append(E.controller(type="scsi", index="0", model=hard.scsi))
    boot = {ident: str(n) for n, ident in enumerate(hard.boot, 1)}
    for drive in hard.drives:
        disk = drive.attachment.disk
        if drive.attachment.medium is Medium.DISK and disk not in volumes:
            continue
        element = drive_xml(drive, volumes.get(disk) if disk else None)
        _boots(element, boot.get(drive.attachment.id))
        devices.append(element)
    for adapter, card in zip(machine.adapters, hard.cards, strict=True):
        where = networks.get(adapter.id)
        if where is None:
            continue
        kind, target = where
        element = E.interface(E.source({kind: target}), E.model(type=card), type=kind)
        if adapter.mac:
            element.insert(0, E.mac(address=adapter.mac))
        if not adapter.connected:
            element.append(E.link(state="down"))
        _boots(element, boot.get(adapter.id))
        devices.append(element)
    devices.append(E.serial(E.target(port="0"), type="pty"))
    devices.append(E.input(type="tablet", bus="usb"))
    if features.vnc:
        # A socket that libvirt hands out itself: no port is opened.
        devices.append(E.graphics(E.listen(type="socket"), type="vnc"))
    devices.append(E.video(E.model(type="vga")))
    if machine.tpm:
        devices.append(E.tpm(E.backend(type="emulator", version="2.0"), model="tpm-crb"))
    root.append(devices)
    return root


def drive_xml(drive: Drive, volume: Volume | None, alias: str = "") -> Element:
    """A drive; without a volume it is empty."""
    medium = drive.attachment.medium
    kind = {Medium.DISK: "disk", Medium.CDROM: "cdrom", Medium.FLOPPY: "floppy"}[medium]
    element = E.disk(type="file", device=kind)
    element.append(E.driver(name="qemu", type=volume.format if volume else "raw"))
    if volume is not None:
        element.append(E.source(file=volume.path))
    element.append(E.target(dev=drive.target, bus=drive.bus))
    if drive.attachment.read_only or medium is Medium.CDROM:
        element.append(E.readonly())
    if alias:
        element.append(E.alias(name=alias))
    return element


def _boots(element: Element, place: str | None) -> None:
    if place is not None:
        element.append(E.boot(order=place))


def _system(machine: Machine, hard: Hardware, features: Features) -> Element:
    found = E.os(E.type("hvm", arch=ARCH, machine=hard.machine))
    if machine.firmware is Firmware.UEFI:
        # Said explicitly: left alone, libvirt takes the firmware that enforces secure boot, and
        # a guest that is not signed hangs.
        secure = "yes" if machine.secure_boot else "no"
        found.set("firmware", "efi")
        found.append(
            E.firmware(
                E.feature(enabled=secure, name="secure-boot"),
                E.feature(enabled=secure, name="enrolled-keys"),
            )
        )
        if machine.secure_boot:
            found.append(E.loader(secure="yes"))
    return found


def _features(machine: Machine) -> Element:
    found = E.features(E.acpi(), E.apic())
    if machine.firmware is Firmware.UEFI and machine.secure_boot:
        found.append(E.smm(state="on"))
    return found


def _processor(machine: Machine, features: Features) -> Element:
    count, cores = machine.processors.count, machine.processors.cores_per_socket
    mode = "host-model" if features.accelerator == "kvm" else "maximum"
    found = E.cpu(mode=mode)
    if cores > 1 and count % cores == 0:
        found.append(E.topology(sockets=str(count // cores), cores=str(cores), threads="1"))
    return found
