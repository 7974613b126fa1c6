"""A descriptor resolved for one configuration: machines, disks, networks and the questions it asks."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from lxml import etree

from kensho_tui.findings import Finding, Severity
from kensho_tui.machine import (
    Appliance,
    Configuration,
    Disk,
    DiskId,
    Machine,
    MachineId,
    Network,
    NetworkId,
    Property,
    Start,
)
from kensho_tui.ovf import additions, hardware, vendor, xml
from kensho_tui.ovf.envelope import DiskEntry, Envelope
from kensho_tui.ovf.errors import DescriptorError
from kensho_tui.ovf.names import HARMLESS_SECTIONS, KENSHO, KNOWN_SECTIONS
from kensho_tui.ovf.required import unknown_in
from kensho_tui.ovf.sections import Sections
from kensho_tui.ovf.strings import Strings
from kensho_tui.ovf.whole import Whole

# A disk that is a file only (a CD image): it has no entry in the DiskSection.
FILE_DISK = "file:"
_BOUND = re.compile(r"\$\{([^}]+)\}")
_MAX_CAPACITY = 1 << 62
_LENIENT = (
    "Ask its author what the machine misses, or take it all the same (kensho import --lenient)."
)
_HOLDERS = frozenset({"VirtualSystem", "VirtualSystemCollection"})


def resolve(
    envelope: Envelope, configuration: str | None, locale: str, target: str = ""
) -> tuple[Appliance, tuple[Finding, ...]]:
    """See `Envelope.appliance`."""
    return _Resolving(envelope, configuration, locale, target).appliance()


class _Resolving:
    """One walk through the descriptor for one configuration."""

    def __init__(
        self, envelope: Envelope, configuration: str | None, locale: str, target: str
    ) -> None:
        self.envelope = envelope
        self.target = target
        self.strings: Strings = envelope.strings(locale)
        self.configurations = envelope.configurations_in(locale)
        self.configuration = self.chosen(configuration)
        self.findings: list[Finding] = list(envelope.findings)
        self.disks: dict[DiskId, Disk] = {}
        self.machines: list[Machine] = []
        self.sections: list[Sections] = []
        self.starts: dict[str, Start] = {}
        self.transports: dict[str, None] = {}
        self.whole = Whole(self.configuration, self.strings)

    def chosen(self, wanted: str | None) -> str:
        known = [each.id for each in self.configurations]
        if wanted is None or (wanted == "" and not known):
            return next((each.id for each in self.configurations if each.default), "")
        if wanted not in known:
            raise DescriptorError(
                f"there is no deployment option '{wanted}'",
                subject=self.envelope.subject,
                remedy=f"Known are: {', '.join(known)}" if known else "It has none",
            )
        return wanted

    def note(
        self,
        id_: str,
        severity: Severity,
        message: str,
        *,
        subject: str = "",
        remedy: str = "",
        clause: str = "",
        line: int | None = None,
    ) -> None:
        self.findings.append(Finding(id_, severity, message, subject, remedy, clause, line))

    # --------------------------------------------------------------------------------- the whole
    def appliance(self) -> tuple[Appliance, tuple[Finding, ...]]:
        root, content = self.envelope.root, self.envelope.content
        collection = content is not None and xml.kind(content) == "VirtualSystemCollection"
        self.read_sections(root, "")
        if content is not None and collection:
            self.read_sections(content, "")
            self.walk(content, nested=False)
        elif content is not None:
            self.machine(content)
        if not self.machines:
            self.note("no-machine", Severity.ERROR, "The descriptor describes no machine.",
                      clause="DSP0243 2.1.1 §7.2")  # fmt: skip
        self.check_sections(root)
        for language in self.strings.unread:
            self.note(
                "strings-unread",
                Severity.INFO,
                f"The texts in '{language}' are in a file of their own, which was not read.",
                clause="DSP0243 2.1.1 §10",
            )
        properties = tuple(p for each in self.sections for p in each.properties)
        self.bind_capacities(properties)
        machines = tuple(
            replace(m, start=self.starts[m.id]) if m.id in self.starts else m for m in self.machines
        )
        name = self.envelope.title
        if content is not None and not name:
            name = self.strings.message(xml.child(content, "Name")) or xml.attr(content, "id") or ""
        whole = self.sections[1] if collection else None
        several = len(self.strings.languages) > 1
        self.whole.tell(machines)
        encrypted = self.whole.encrypted(self.envelope.files, self.disks)
        appliance = Appliance(
            name=name,
            machines=machines,
            disks=self.disks,
            networks=self.networks(machines),
            description=whole.annotation if whole else root.get(f"{{{KENSHO}}}description", ""),
            collection=collection,
            products=tuple(p for each in self.sections for p in each.products),
            licences=tuple(p for each in self.sections for p in each.licences),
            properties=properties,
            environment_files=tuple(f for each in self.sections for f in each.environment_files),
            configurations=self.configurations,
            configuration=self.configuration,
            transports=tuple(self.transports),
            placement_groups=tuple(self.whole.placement_groups),
            scale_outs=tuple(self.whole.scale_outs),
            shared_resources=tuple(self.whole.shared_resources),
            encrypted=encrypted,
            extras={**self.whole.extras, **self.extras(root)},
            languages=self.strings.languages if several else (),
            language=self.strings.language if several else "",
        )
        self.findings.extend(self.whole.findings)
        for each in self.sections:
            self.findings.extend(each.findings)
        return appliance, tuple(self.findings)

    def read_sections(self, element: etree._Element, owner: str) -> None:
        self.sections.append(Sections(element, owner, self.configuration, self.strings))
        self.whole.read(element)
        for section in xml.children(element, "StartupSection"):
            for item in xml.children(section, "Item"):
                self.starts[xml.attr(item, "id") or ""] = _start(item)

    def walk(self, collection: etree._Element, *, nested: bool) -> None:
        if nested:
            self.note(
                "collection-nested",
                Severity.WARNING,
                "A collection inside a collection is taken as part of the outer one.",
                subject=xml.attr(collection, "id") or "",
                clause="DSP0243 2.1.1 §7.2",
                line=xml.line(collection),
            )
            self.read_sections(collection, "")
        for element in xml.children(collection, "VirtualSystem", "VirtualSystemCollection"):
            if xml.kind(element) == "VirtualSystem":
                self.machine(element)
            else:
                self.walk(element, nested=True)

    # ---------------------------------------------------------------------------------- machines
    def machine(self, system: etree._Element) -> None:
        id_ = self.machine_id(system)
        name = self.strings.message(xml.child(system, "Name")) or id_
        sections = list(xml.children(system, "VirtualHardwareSection"))
        section = hardware.choose(sections, self.target)
        if section is None:
            self.note("no-hardware", Severity.ERROR, "The machine has no virtual hardware.",
                      subject=name, clause="DSP0243 2.1.1 §8.1", line=xml.line(system))  # fmt: skip
        elif len(sections) > 1:
            families = " ".join(hardware.families_of(section)) or "the first one"
            self.note("hardware-chosen", Severity.INFO,
                      f"Of {len(sections)} hardware descriptions the one for {families} is taken.",
                      subject=name, line=xml.line(section))  # fmt: skip
        found = (
            hardware.Hardware()
            if section is None
            else hardware.read(section, self.configuration, name, self.find_disk)
        )
        self.findings.extend(found.findings)
        beyond = vendor.settings(system, section)
        self.read_sections(system, id_)
        if section is not None:
            for word in re.split(r"[\s,]+", xml.attr(section, "transport") or ""):
                if word:
                    self.transports[word] = None
        explicit = section is not None and section.get(f"{{{KENSHO}}}boot") == "explicit"
        bootable = {each.id: each.bootable for each in self.envelope.disks}
        own = additions.of_machine(system)
        fixed = {each.id for each in self.envelope.disks if each.read_only}
        attachments = [
            replace(a, read_only=True) if str(a.disk) in fixed else a for a in found.attachments
        ]
        if own.first is not None and not any(bootable.values()):
            # VMware's BootOrderSection names the Item that boots first.
            first = next((a.disk for a in found.attachments if a.id == own.first), None)
            bootable = {**bootable, str(first): True}
        self.machines.append(
            Machine(
                id=MachineId(id_),
                name=name,
                memory=found.memory,
                processors=found.processors,
                description=self.sections[-1].annotation,
                uuid=beyond.uuid,
                firmware=beyond.firmware,
                secure_boot=beyond.secure_boot,
                tpm=beyond.tpm or found.tpm,
                clock=beyond.clock,
                controllers=tuple(found.controllers),
                attachments=vendor.boot_indices(attachments, bootable, explicit=explicit),
                adapters=tuple(found.adapters),
                boot_order=beyond.boot_order or own.boot_order,
                os=vendor.guest_os(xml.child(system, "OperatingSystemSection"), self.strings),
                hardware=() if section is None else hardware.families_of(section),
                install=own.install,
                placement=own.placement,
                extras=beyond.extras,
            )
        )

    def machine_id(self, system: etree._Element) -> str:
        wanted = xml.attr(system, "id") or f"machine-{len(self.machines) + 1}"
        taken = {str(each.id) for each in self.machines}
        unique, count = wanted, 2
        while unique in taken:
            unique, count = f"{wanted}#{count}", count + 1
        if unique != wanted:
            self.note("machine-twice", Severity.WARNING,
                      f"Two machines have the id '{wanted}'; the second is called '{unique}'.",
                      subject=wanted, clause="DSP0243 2.1.1 §7.2", line=xml.line(system))  # fmt: skip
        return unique

    # ------------------------------------------------------------------------------------- disks
    def find_disk(self, what: str, id_: str) -> DiskId | None:
        entry = next((each for each in self.envelope.disks if each.id == id_), None)
        if entry is not None and what != "file":
            if entry.id not in self.disks:
                self.disks[DiskId(entry.id)] = self.disk(entry)
            return DiskId(entry.id)
        file = self.envelope.file(id_)
        if file is None or what == "disk":
            return None
        # XenCenter's Connection names the file; it is the disk that has it.
        owner = next((each for each in self.envelope.disks if each.file == id_), None)
        if owner is not None:
            return self.find_disk("disk", owner.id)
        disk = DiskId(FILE_DISK + id_)
        self.disks[disk] = Disk(
            id=disk,
            capacity=file.size,
            name=file.href,
            image=file.href,
            image_size=file.size,
            format="iso",
        )
        return disk

    def disk(self, entry: DiskEntry) -> Disk:
        image, size = "", None
        if entry.file is not None:
            file = self.envelope.file(entry.file)
            if file is None:
                self.note("file-unreferenced", Severity.ERROR,
                          f"The disk names the file '{entry.file}', which the references lack.",
                          subject=entry.id, clause="DSP0243 2.1.1 §9.1", line=entry.line)  # fmt: skip
            else:
                image, size = file.href, file.size
        extras = {
            element.get("name", ""): xml.text(element)
            for element in ([] if entry.element is None else entry.element)
            if isinstance(element.tag, str) and element.tag == f"{{{KENSHO}}}Extra"
        }
        name = None if entry.element is None else entry.element.get(f"{{{KENSHO}}}name")
        shared = entry.element is not None and entry.element.get(f"{{{KENSHO}}}shared") == "true"
        if entry.parent is not None:
            self.note("disk-parent", Severity.ERROR,
                      f"The disk is only the difference to '{entry.parent}'; that is not supported.",
                      subject=entry.id, clause="DSP0243 2.1.1 §9.1", line=entry.line)  # fmt: skip
        return Disk(
            id=DiskId(entry.id),
            capacity=self.capacity(entry),
            name=entry.id if name is None else name,
            image=image,
            image_size=size,
            format=entry.format,
            populated=entry.populated,
            parent=None if entry.parent is None else DiskId(entry.parent),
            shared=entry.shared or shared,
            capacity_property=entry.capacity if _BOUND.fullmatch(entry.capacity) else None,
            extras=extras,
        )

    def capacity(self, entry: DiskEntry) -> int | None:
        if entry.unit is None:
            self.note("capacity-unreadable", Severity.ERROR,
                      "The unit of the disk's capacity is not known.",
                      subject=entry.id, clause="DSP0243 2.1.1 §9.1", line=entry.line)  # fmt: skip
            return None
        if _BOUND.fullmatch(entry.capacity):
            return None  # once the properties are known
        value = xml.number(entry.capacity)
        if value is None or not 0 < value * entry.unit < _MAX_CAPACITY:
            image = entry.file is not None
            self.note("capacity-unreadable", Severity.WARNING if image else Severity.ERROR,
                      f"The disk's capacity '{entry.capacity}' is no size"
                      + ("; its image tells." if image else "."),
                      subject=entry.id, clause="DSP0243 2.1.1 §9.1", line=entry.line)  # fmt: skip
            return None
        return value * entry.unit

    def bind_capacities(self, properties: tuple[Property, ...]) -> None:
        """Capacities of the form ``${key}``: the key is the full one, or the last part of it."""
        for disk in list(self.disks.values()):
            match = _BOUND.fullmatch(disk.capacity_property or "")
            if match is None:
                continue
            entry = next(each for each in self.envelope.disks if each.id == disk.id)
            asked = next((p for p in properties if p.key == match[1]), None) or next(
                (p for p in properties if f".{p.key}.".find(f".{match[1]}.") >= 0), None
            )
            value = xml.number(asked.default) if asked else None
            if asked is None or value is None:
                self.note("capacity-unbound",
                          Severity.ERROR if asked is None else Severity.WARNING,
                          f"The disk's capacity is the property '{match[1]}', which "
                          + ("is not there." if asked is None else "needs an answer."),
                          subject=disk.id, clause="DSP0243 2.1.1 §9.1", line=entry.line)  # fmt: skip
            unit = entry.unit or 1
            self.disks[disk.id] = replace(
                disk,
                capacity=None if value is None else value * unit,
                capacity_property=asked.address if asked else None,
                extras={**disk.extras, "ovf:capacityUnit": str(unit)},
            )

    # ------------------------------------------------------------------------------------ others
    def networks(self, machines: tuple[Machine, ...]) -> tuple[Network, ...]:
        found = {each.id: replace(each) for each in self.envelope.networks}
        for machine in machines:
            for adapter in machine.adapters:
                if adapter.network is not None and adapter.network not in found:
                    self.note("network-undeclared", Severity.WARNING,
                              f"The network '{adapter.network}' is used but not declared.",
                              subject=machine.name, clause="DSP0243 2.1.1 §9.2")  # fmt: skip
                    found[adapter.network] = Network(NetworkId(adapter.network))
        return tuple(found.values())

    def extras(self, root: etree._Element) -> Mapping[str, str]:
        """What our own writer put beside the disks, for the whole appliance."""
        return {
            element.get("name", ""): xml.text(element)
            for section in self.envelope.sections("DiskSection")
            for element in section
            if isinstance(element.tag, str) and element.tag == f"{{{KENSHO}}}Extra"
        }

    def check_sections(self, root: etree._Element) -> None:
        """Sections that are not understood: an error where the author requires them (§7.3)."""
        for section in _all_sections(root):
            name = xml.kind(section)
            for element in [] if name in _HOLDERS else unknown_in(section):
                if name in KNOWN_SECTIONS:
                    self.note(
                        "element-required",
                        Severity.ERROR,
                        f"'{xml.local(element)}' is marked as required and is not understood.",
                        remedy=_LENIENT,
                        clause="DSP0243 2.1.1 §7.3",
                        line=xml.line(element),
                    )
            if name in KNOWN_SECTIONS or not xml.flag(section, "required", default=True):
                continue
            harmless = name in HARMLESS_SECTIONS
            self.note(
                "section-ignored" if harmless else "section-required",
                Severity.WARNING if harmless else Severity.ERROR,
                f"The section '{name}' is not taken over."
                if harmless
                else f"The section '{name}' is marked as required but is not understood.",
                remedy="" if harmless else _LENIENT,
                clause="DSP0243 2.1.1 §7.3",
                line=xml.line(section),
            )


def _all_sections(element: etree._Element) -> Iterator[etree._Element]:
    for child in xml.children(element):
        yield child
        if xml.kind(child) in {"VirtualSystem", "VirtualSystemCollection"}:
            yield from _all_sections(child)


def _start(item: etree._Element) -> Start:
    return Start(
        order=xml.number(xml.attr(item, "order")) or 0,
        start_delay_s=xml.number(xml.attr(item, "startDelay")) or 0,
        stop_delay_s=xml.number(xml.attr(item, "stopDelay")) or 0,
        start=(xml.attr(item, "startAction") or "powerOn").lower() != "none",
        wait_for_guest=xml.flag(item, "waitingForGuest", default=False),
    )


__all__ = ["FILE_DISK", "Configuration", "resolve"]
