"""What the host holds, told as an appliance: the XML of domains to machines."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import libvirt

from backends import keepsake
from backends.base import Described, Finding, Kind, Ref, RefusedError, Severity
from backends.kvm import delivery, marks
from backends.kvm.inventory import power, size
from backends.kvm.link import Link
from backends.kvm.xml import Element, every, parse, said, written
from kensho_tui.machine import (
    Adapter,
    Appliance,
    Attachment,
    Boot,
    Bus,
    Clock,
    Controller,
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

_BUSES = {
    "ide": Bus.IDE,
    "scsi": Bus.SCSI,
    "sata": Bus.SATA,
    "virtio": Bus.VIRTIO,
    "usb": Bus.USB,
    "fdc": Bus.FLOPPY,
}
_MEDIA = {"disk": Medium.DISK, "cdrom": Medium.CDROM, "floppy": Medium.FLOPPY}
_BOOT = {"hd": Boot.DISK, "cdrom": Boot.CDROM, "network": Boot.NETWORK, "fd": Boot.FLOPPY}
# Devices that are only told of.
_LEFT = {
    "hostdev": "a device of the host",
    "filesystem": "a folder of the host",
    "vsock": "a vsock",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where the bytes of a disk are."""

    pool: str
    volume: str
    format: str
    file: int  # bytes of the file
    chained: bool = False


@dataclass(slots=True)
class Reading:
    """An appliance while it is read."""

    machines: list[Machine] = field(default_factory=list)
    disks: dict[DiskId, Disk] = field(default_factory=dict)
    places: dict[DiskId, Place | None] = field(default_factory=dict)
    networks: dict[str, Network] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)
    states: dict[str, Any] = field(default_factory=dict)
    kept: list[keepsake.Keepsake] = field(default_factory=list)

    @property
    def appliance(self) -> Appliance:
        """The machines as one."""
        names = [machine.name for machine in self.machines]
        told = Appliance(
            " + ".join(names[:3]),
            tuple(self.machines),
            self.disks,
            tuple(self.networks.values()),
            collection=len(names) > 1,
        )
        return keepsake.restored(told, self.kept)

    @property
    def described(self) -> Described:
        """As the contract tells it."""
        identity = hashlib.sha256("\n".join(self.facts).encode()).hexdigest()
        return Described(self.appliance, tuple(self.findings), identity)


def read(link: Link, refs: Sequence[Ref]) -> Reading:
    """The machines in full. Raises: NotFoundError: one is gone. RefusedError: none is named."""
    if not refs:
        raise RefusedError("no machine is named", remedy="Name one or more machines")
    reading = Reading()
    for ref in dict.fromkeys(refs):
        subject = ref.name or ref.id
        if ref.kind is not Kind.MACHINE:
            raise RefusedError("this is no machine", subject=subject)

        def look(conn: Any, uuid: str = ref.id) -> tuple[marks.Domain, Any, dict[str, Any]]:
            dom = conn.lookupByUUIDString(uuid)
            found = marks.domain(dom)
            return found, power(dom), {p: _volume(conn, dom, p) for p in _paths(found.xml)}

        found, state, volumes = link.call(look, subject, long=True)
        reading.states[found.name] = state
        _machine(reading, found, volumes)
    return reading


def _paths(root: Element) -> list[str]:
    paths = [
        said(each, "source", "file") or said(each, "source", "dev")
        for each in every(root, "devices/disk")
        if each.get("device", "disk") == "disk"
    ]
    return [path for path in paths if path]


def _volume(conn: Any, dom: Any, path: str) -> tuple[int, int | None, Place | None]:
    """Capacity, bytes that it takes, and where it is; None: in no storage pool."""
    try:
        volume = conn.storageVolLookupByPath(path)
    except libvirt.libvirtError:
        capacity, taken, _ = dom.blockInfo(path)
        return capacity, taken, None
    pool = volume.storagePoolLookupByVolume()
    told = parse(volume.XMLDesc())
    place = Place(
        pool.UUIDString(),
        volume.name(),
        "",
        size(told, "physical") or size(told, "capacity"),
        told.find("backingStore/path") is not None,
    )
    capacity, taken, _ = dom.blockInfo(path)
    return capacity, taken, place


def _machine(reading: Reading, found: marks.Domain, volumes: Mapping[str, Any]) -> None:
    root = found.xml
    ident = found.mark.machine if found.mark else MachineId(found.uuid)
    if ident in {machine.id for machine in reading.machines}:
        ident = MachineId(found.uuid)
    controllers: dict[str, Controller] = {}
    attachments = _attachments(reading, found, volumes, controllers)
    count = said(root, "vcpu")
    processors = int(count) if count.isdecimal() else 1
    cores = said(root, "cpu/topology", "cores")
    per_socket = int(cores) if cores.isdecimal() and int(cores) else 1
    firmware, secure = _firmware(root)
    kept = keepsake.read(found.mark.about if found.mark else "")
    reading.kept.append(kept)
    reading.machines.append(
        Machine(
            id=ident,
            name=found.name,
            memory=Memory(size(root, "memory")),
            processors=Processors(processors, per_socket if processors % per_socket == 0 else 1),
            description=said(root, "description"),
            uuid=found.uuid,
            firmware=firmware,
            secure_boot=secure,
            tpm=root.find("devices/tpm") is not None,
            clock=Clock.LOCAL if said(root, "clock", "offset") == "localtime" else Clock.UTC,
            controllers=tuple(controllers.values()),
            attachments=attachments,
            adapters=_adapters(reading, root),
            boot_order=tuple(
                dict.fromkeys(
                    _BOOT[each.get("dev", "")]
                    for each in every(root, "os/boot")
                    if each.get("dev") in _BOOT
                )
            ),
            os=kept.os or GuestOs(),
            start=found.mark.start if found.mark else Start(),
            hardware=(f"kvm-{said(root, 'os/type', 'machine')}",),
        )
    )
    reading.facts.append(written(root))
    _warn(reading, found)


def _firmware(root: Element) -> tuple[Firmware, bool]:
    loader = said(root, "os/loader")
    system = root.find("os")
    named = system is not None and system.get("firmware") == "efi"
    if not named and said(root, "os/loader", "type") != "pflash":
        return Firmware.BIOS, False
    features = every(root, "os/firmware/feature")
    stated = [e.get("enabled") for e in features if e.get("name") == "secure-boot"]
    enrolled = [e.get("enabled") for e in features if e.get("name") == "enrolled-keys"]
    if stated:
        return Firmware.UEFI, stated[0] == "yes" and enrolled[:1] != ["no"]
    return Firmware.UEFI, said(root, "os/loader", "secure") == "yes" and ".ms." in loader


def _warn(reading: Reading, found: marks.Domain) -> None:
    if found.xml.find("devices/tpm") is not None:
        reading.findings.append(
            Finding(
                "tpm-not-moved",
                Severity.WARNING,
                "What the virtual TPM keeps cannot be moved.",
                found.name,
                "Have recovery keys of encrypted disks at hand.",
            )
        )
    for tag, what in _LEFT.items():
        if found.xml.find(f"devices/{tag}") is not None:
            reading.findings.append(
                Finding(
                    f"{tag}-not-moved",
                    Severity.WARNING,
                    f"The machine has {what}, which is not moved.",
                    found.name,
                )
            )


def _attachments(
    reading: Reading,
    found: marks.Domain,
    volumes: Mapping[str, Any],
    controllers: dict[str, Controller],
) -> tuple[Attachment, ...]:
    models = {
        each.get("index", "0"): each.get("model", "")
        for each in every(found.xml, "devices/controller")
        if each.get("type") == "scsi"
    }
    known = {} if found.mark is None else {m.volume: m for m in found.mark.disks}
    result: list[Attachment] = []
    for each in every(found.xml, "devices/disk"):
        medium = _MEDIA.get(each.get("device", "disk"))
        target = said(each, "target", "dev")
        if medium is None or each in delivery.drives(found.xml):
            continue
        bus = _BUSES.get(said(each, "target", "bus"), Bus.SATA)
        number = said(each, "address", "controller") or "0"
        ident = f"{bus}{number}"
        model = models.get(number, "") if bus is Bus.SCSI else ""
        controllers.setdefault(
            ident, Controller(ident, bus, int(number) if number.isdecimal() else 0, model)
        )
        unit = said(each, "address", "unit") or said(each, "address", "target")
        disk = None
        path = said(each, "source", "file") or said(each, "source", "dev")
        if medium is Medium.DISK:
            if path not in volumes:
                reading.findings.append(_elsewhere(found, target))
                continue
            disk = _disk(reading, found, each, volumes[path], known)
        elif path:
            reading.findings.append(
                Finding(
                    "cd-not-moved",
                    Severity.INFO,
                    f"What lies in drive {target} is not moved; the drive will be empty.",
                    found.name,
                )
            )
        boot = said(each, "boot", "order")
        result.append(
            Attachment(
                target,
                medium,
                disk,
                ident,
                # Virtio disks have a place on the bus of the machine, not on a controller.
                int(unit) if unit.isdecimal() and bus is not Bus.VIRTIO else None,
                int(boot) - 1 if boot.isdecimal() else None,
                each.find("readonly") is not None,
            )
        )
    return tuple(result)


def _elsewhere(found: marks.Domain, target: str) -> Finding:
    return Finding(
        "disk-not-moved",
        Severity.WARNING,
        f"Disk {target} is no file and no device of the host, and is left out.",
        found.name,
        "Move what is on it by other means.",
    )


def _disk(
    reading: Reading,
    found: marks.Domain,
    element: Element,
    told: tuple[int, int | None, Place | None],
    known: Mapping[str, marks.DiskMark],
) -> DiskId:
    capacity, taken, place = told
    path = said(element, "source", "file") or said(element, "source", "dev")
    name = path.rpartition("/")[2]
    format_ = said(element, "driver", "type") or "raw"
    mark = known.get(name)
    ident = mark.id if mark else DiskId(path)
    if ident in reading.disks and reading.disks[ident].image != name:
        ident = DiskId(path)
    reading.disks[ident] = Disk(
        ident,
        capacity,
        name=(mark.name if mark else "") or name,
        image=name,
        format=format_,
        populated=taken or None,
        shared=element.find("shareable") is not None,
    )
    reading.places[ident] = (
        None
        if place is None
        else Place(place.pool, place.volume, format_, place.file, place.chained)
    )
    reading.facts.append(f"{path} {capacity} {taken}")
    return ident


def _adapters(reading: Reading, root: Element) -> tuple[Adapter, ...]:
    found = []
    for number, each in enumerate(every(root, "devices/interface")):
        source = each.find("source")
        kind = each.get("type", "")
        label = next(
            (
                source.get(k, "")
                for k in ("network", "bridge", "dev")
                if source is not None and source.get(k)
            ),
            kind,
        )
        reading.networks.setdefault(label, Network(NetworkId(label)))
        mac = said(each, "mac", "address")
        found.append(
            Adapter(
                f"net{number}",
                reading.networks[label].id,
                canonical_mac(mac) if mac else None,
                model=said(each, "model", "type"),
                connected=said(each, "link", "state") != "down",
            )
        )
    return tuple(found)
