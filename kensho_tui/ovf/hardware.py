"""Items of one configuration to the hardware of a machine.

DSP0243 2.1.1 §8; the properties are those of CIM_ResourceAllocationSettingData.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from lxml import etree

from kensho_tui.findings import Finding, Severity
from kensho_tui.machine import (
    Adapter,
    Attachment,
    Bus,
    Controller,
    DiskId,
    Medium,
    Memory,
    NetworkId,
    Processors,
    canonical_mac,
)
from kensho_tui.ovf import items, xml
from kensho_tui.ovf import names as n
from kensho_tui.ovf.items import Item
from kensho_tui.ovf.units import is_frequency, multiplier

MIB = 1 << 20
# XenCenter writes this number where there is no limit.
_NO_LIMIT = 100_000
_ASSUMED_MEMORY = 1024 * MIB

_HOST_RESOURCE = re.compile(r"(?:ovf:)?/{1,2}(disk|file)/(.+)", re.IGNORECASE)
_DEVICE = re.compile(r"(?:^|,)\s*device=(\d{1,3})\s*(?:,|$)")
# How the hardware of a target's own kind calls its family (vssd:VirtualSystemType).
TARGETS = {
    "xenserver": re.compile(r"\b(hvm|xen)-?\d|dmtf:xen"),
    "vsphere": re.compile(r"\bvmx-"),
    "virtualbox": re.compile(r"\bvirtualbox-"),
    "hyperv": re.compile(r"\b301\b|hyper-?v|microsoft"),
    "kvm": re.compile(r"\b(kvm|qemu|rhev|ovirt)"),
}
_DRIVES = {
    n.DISK: Medium.DISK, n.STORAGE_EXTENT: Medium.DISK, n.LOGICAL_DISK: Medium.DISK,
    n.STORAGE_VOLUME: Medium.DISK, n.SERIAL: Medium.DISK,
    n.CDROM: Medium.CDROM, n.DVD: Medium.CDROM, n.FLOPPY: Medium.FLOPPY,
}  # fmt: skip
_CONTROLLERS = {n.IDE: Bus.IDE, n.SCSI: Bus.SCSI, n.USB: Bus.USB}

# From what a HostResource names ("disk" or "file" or "", and an id) to the disk, None: not there.
FindDisk = Callable[[str, str], DiskId | None]


@dataclass(slots=True)
class Hardware:
    """What the Items of one machine say."""

    processors: Processors = field(default_factory=Processors)
    memory: Memory = field(default_factory=lambda: Memory(_ASSUMED_MEMORY))
    controllers: list[Controller] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    adapters: list[Adapter] = field(default_factory=list)
    tpm: bool = False
    findings: list[Finding] = field(default_factory=list)


def choose(sections: Sequence[etree._Element], target: str = "") -> etree._Element | None:
    """Of several VirtualHardwareSections the one for the target, else for Xen, else for VMware, else the first.

    Args: target: one of `TARGETS`; "" for none.
    """
    order = [target, "xenserver", "vsphere"]

    def rank(section: etree._Element) -> int:
        families = " ".join(families_of(section)).lower()
        fits = [at for at, each in enumerate(order) if each and TARGETS[each].search(families)]
        return min(fits, default=len(order))

    return min(sections, key=rank, default=None)


def families_of(section: etree._Element) -> tuple[str, ...]:
    """The virtual hardware families the section is for: words, separated by blanks or commas."""
    system = xml.child(section, "System")
    if system is None:
        return ()
    written = xml.text(xml.child(system, "VirtualSystemType"))
    return tuple(word for word in re.split(r"[\s,]+", written) if word)


def read(
    section: etree._Element, configuration: str, machine: str, find_disk: FindDisk
) -> Hardware:
    """The hardware of one machine.

    Args:
        section: a VirtualHardwareSection.
        configuration: the deployment option that holds; "" where there is none.
        machine: how the operator knows the machine, for findings.
        find_disk: from a HostResource to the disk it names.
    """
    found = Hardware()
    reading = _Reading(found, machine, find_disk)
    resolved = items.resolve(section, configuration)
    for item in resolved:
        if item.type in _CONTROLLERS or item.type == n.OTHER_STORAGE:
            reading.controller(item)
    for item in resolved:
        reading.item(item)
    reading.finish()
    reading.ranges(items.grouped(section, configuration))
    return found


class _Reading:
    """Goes through the Items once; what cannot be understood becomes a finding."""

    def __init__(self, found: Hardware, machine: str, find_disk: FindDisk) -> None:
        self.found = found
        self.machine = machine
        self.find_disk = find_disk
        self.processors: list[Item] = []
        self.memories: list[Item] = []
        self.ids: set[str] = set()
        self.by_instance: dict[str, str] = {}  # controllers: InstanceID to our id

    def note(
        self, id_: str, severity: Severity, message: str, item: Item | None = None, clause: str = ""
    ) -> None:
        self.found.findings.append(
            Finding(
                id_,
                severity,
                message,
                subject=self.machine,
                clause=clause,
                line=item.line if item else None,
            )
        )

    def own_id(self, item: Item) -> str:
        """The Item's id, made unique; our own attribute keeps ids that are no InstanceIDs."""
        wanted = item.ours("id") or item.instance or item.label
        unique, count = wanted, 2
        while unique in self.ids:
            unique, count = f"{wanted}#{count}", count + 1
        if unique != wanted:
            self.note(
                "instance-twice",
                Severity.WARNING,
                f"The InstanceID '{wanted}' occurs twice; the second is called '{unique}'.",
                item,
                "DSP0243 2.1.1 §8.3",
            )
        self.ids.add(unique)
        return unique

    # ---------------------------------------------------------------------------------- devices
    def controller(self, item: Item) -> None:
        subtype = item.subtype
        named = item.ours("bus")
        bus: Bus | None = Bus(named) if named in set(Bus) else _CONTROLLERS.get(item.type or 0)
        if bus is None:
            words = f"{subtype} {item.get('Description')} {item.get('ElementName')}".lower()
            bus = next((bus for part, bus in n.SUBTYPE_BUS if part in words), None)
        if bus is None:
            self.dropped(item)
            return
        same = sum(1 for each in self.found.controllers if each.bus is bus)
        address = item.number("Address")
        if address is None:
            address = item.number("BusNumber")  # so drafts of 2008 called it
        model = item.ours("model")
        own = self.own_id(item)
        self.by_instance.setdefault(item.instance, own)
        self.found.controllers.append(
            Controller(
                id=own,
                bus=bus,
                number=same if address is None else address,
                model=subtype if model is None else model,
            )
        )

    def item(self, item: Item) -> None:
        match item.type:
            case n.PROCESSOR:
                self.processors.append(item)
            case n.MEMORY:
                self.memories.append(item)
            case n.ETHERNET:
                self.adapter(item)
            case n.IDE | n.SCSI | n.USB | n.OTHER_STORAGE:
                pass  # done already: drives name their controllers
            case kind if kind in _DRIVES:
                self.drive(item, _DRIVES[kind])
            case n.OTHER if "tpm" in item.subtype.lower():
                self.found.tpm = True
            case _:
                self.dropped(item)

    def dropped(self, item: Item) -> None:
        """A device no target of ours takes over: worth a look only where the author insists."""
        if item.type is None:
            self.note(
                "resource-type-missing",
                Severity.WARNING,
                f"'{item.label}' does not say what kind of resource it is and is left out.",
                item,
                "DSP0243 2.1.1 §8.3",
            )
        elif item.required:
            kind = n.RESOURCE_NAMES.get(item.type, f"resource of type {item.type}")
            self.note(
                "device-left-out",
                Severity.INFO,
                f"'{item.label}' ({kind}) is not taken over.",
                item,
                "DSP0243 2.1.1 §8.3",
            )

    def drive(self, item: Item, medium: Medium) -> None:
        written = item.get("HostResource")
        connection = item.get("Connection")
        disk = self.resource(written)
        if disk is None and connection:
            # XenCenter: "<disk or file id>,device=0"
            disk = self.resource(connection.partition(",")[0])
        if item.type == n.SERIAL and disk is None:
            self.dropped(item)  # a serial port; only Hyper-V's descriptors have disks of this type
            return
        if medium is Medium.DISK and disk is None:
            what = f"no disk '{written}' in the package" if written else "it names no disk"
            self.note(
                "disk-unresolved",
                Severity.ERROR if item.required else Severity.WARNING,
                f"The drive '{item.label}' is left out: {what}.",
                item,
                "DSP0243 2.1.1 §8.3",
            )
            return
        if disk is None and written and medium is Medium.CDROM:
            self.note(
                "medium-unresolved",
                Severity.INFO,
                f"The drive '{item.label}' is left empty: there is no '{written}' in the package.",
                item,
            )
        unit = item.number("AddressOnParent")
        device = _DEVICE.search(connection)
        if unit is None and device:
            unit = int(device[1])
        parent = item.get("Parent")
        # OVF 2: CIM_StorageAllocationSettingData.Access, of which 1 is "readable".
        access = item.get("Access")
        read_only = item.ours("readOnly") or (access and str(access == "1"))
        name = item.ours("name")
        self.found.attachments.append(
            Attachment(
                id=self.own_id(item),
                medium=medium,
                disk=disk,
                controller=self.parent(item, parent),
                unit=unit,
                boot_index=xml.number(item.ours("bootIndex")),
                read_only=xml.boolean(read_only, default=medium is Medium.CDROM),
                name=item.get("ElementName") if name is None else name,
            )
        )

    def parent(self, item: Item, instance: str) -> str | None:
        if not instance:
            return None
        if instance in self.by_instance:
            return self.by_instance[instance]
        self.note(
            "controller-missing",
            Severity.WARNING,
            f"The drive '{item.label}' hangs on controller '{instance}', which is not there.",
            item,
            "DSP0243 2.1.1 §8.3",
        )
        return None

    def resource(self, written: str) -> DiskId | None:
        if not written:
            return None
        match = _HOST_RESOURCE.fullmatch(written)
        if match:
            return self.find_disk(match[1].lower(), match[2])
        return self.find_disk("", written)

    def adapter(self, item: Item) -> None:
        address = item.get("Address")
        network = item.get("Connection")
        model = item.ours("model")
        name = item.ours("name")
        self.found.adapters.append(
            Adapter(
                id=self.own_id(item),
                network=NetworkId(network) if network else None,
                mac=canonical_mac(address) if address else None,
                model=item.subtype if model is None else model,
                connected=xml.boolean(item.get("AutomaticAllocation"), default=True),
                name=item.get("ElementName") if name is None else name,
            )
        )

    # ------------------------------------------------------------------------------- quantities
    def finish(self) -> None:
        """Processors and memory, summed over their Items, once all are known."""
        if self.processors:
            self.found.processors = self.processor_setting()
        else:
            self.note(
                "processors-missing",
                Severity.WARNING,
                "The descriptor names no processors; one is assumed.",
            )
        sizes = [size for size in map(self.memory_of, self.memories) if size]
        if sizes:
            units = self.unit(self.memories[0])
            reserved = self.memories[0].number("Reservation")
            self.found.memory = Memory(
                sum(sizes), reserved * units if units and reserved is not None else None
            )
        else:
            self.note(
                "memory-missing",
                Severity.WARNING,
                "The descriptor names no memory; 1 GiB is assumed.",
            )

    def processor_setting(self) -> Processors:
        count = sum(item.number("VirtualQuantity") or 0 for item in self.processors)
        first = self.processors[0]
        if not 0 < count <= 4096:
            self.note(
                "processors-missing",
                Severity.WARNING,
                f"'{first.get('VirtualQuantity')}' is no number of processors; one is assumed.",
                first,
                "DSP0243 2.1.1 §8.3",
            )
            count = 1
        setting = Processors(count, min(count, first.number("CoresPerSocket") or 1))
        written = first.get("AllocationUnits")
        factor = multiplier(written) if is_frequency(written) else None
        if factor is None:
            return setting
        reserved, limit = first.number("Reservation"), first.number("Limit")
        return replace(
            setting,
            reservation_mhz=None if reserved is None else reserved * factor // 10**6,
            limit_mhz=limit * factor // 10**6 if limit and limit != _NO_LIMIT else None,
        )

    def memory_of(self, item: Item) -> int | None:
        quantity = item.number("VirtualQuantity")
        unit = self.unit(item)
        if quantity is None or unit is None or not 0 < quantity * unit < 1 << 60:
            self.note(
                "memory-unreadable",
                Severity.ERROR,
                f"'{item.get('VirtualQuantity')} {item.get('AllocationUnits')}' is no size.",
                item,
                "DSP0243 2.1.1 §8.3",
            )
            return None
        return quantity * unit

    def ranges(self, groups: Sequence[Sequence[Item]]) -> None:
        """How few and how many processors and how much memory the guest can do with (§8.4)."""
        for type_ in (n.PROCESSOR, n.MEMORY):
            mine = [group for group in groups if group[0].type == type_]
            if len(mine) != 1:
                continue  # what several say together has no range
            ends: dict[str, int] = {}
            for item in mine[0]:
                for bound, own in (("min", item.ours("minimum")), ("max", item.ours("maximum"))):
                    if (said := xml.number(own)) is not None:
                        ends[bound] = said
                # The standard's own example has a Reservation as the lower end.
                names = ("VirtualQuantity", "Reservation" if item.bound == "min" else "Limit")
                amount = next((v for v in map(item.number, names) if v is not None), None)
                unit = self.unit(item) if type_ == n.MEMORY else 1
                if item.bound in {"min", "max"} and amount and unit:
                    ends.setdefault(item.bound, amount * unit)
            low, high = ends.get("min"), ends.get("max")
            if type_ == n.PROCESSOR:
                setting = self.found.processors
                self.found.processors = replace(setting, minimum=low, maximum=high)
            else:
                self.found.memory = replace(self.found.memory, minimum=low, maximum=high)

    def unit(self, item: Item) -> int | None:
        written = item.get("AllocationUnits") or item.get("VirtualQuantityUnits")
        if written:
            return multiplier(written)
        # Without a unit everybody means MiB; a number that large can only be bytes.
        return 1 if (item.number("VirtualQuantity") or 0) >= 4 * MIB else MIB
