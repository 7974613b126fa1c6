"""What is in a package that some consumer may not take: features, each with its value and its place."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from lxml import etree

from kensho_tui.machine import Firmware
from kensho_tui.ovf import hardware, items, vendor, xml
from kensho_tui.ovf import names as n
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.package import Package
from kensho_tui.ovf.rules.hardware import memory_unit
from kensho_tui.ovf.rules.storage import spelling
from kensho_tui.ovf.rules.walk import Holder, Walk

_FORMATS = (
    ("vhdx", re.compile(r"hh831446|vhdx", re.IGNORECASE)),
    ("vhd", re.compile(r"vhdspec|\bvhd\b", re.IGNORECASE)),
    ("qcow2", re.compile(r"qcow", re.IGNORECASE)),
    ("vmdk", re.compile(r"vmdk|^sparse$", re.IGNORECASE)),
    ("iso", re.compile(r"\biso\b", re.IGNORECASE)),
    ("raw", re.compile(r"\braw\b|rawdisk|\bimg\b", re.IGNORECASE)),
)
_BUSES = {n.IDE: "ide", n.SCSI: "scsi"}
_SPACED = re.compile(rb"^\s*([A-Za-z0-9-]+ +\([^\r\n]{0,40})", re.MULTILINE)
_VERSIONS = {
    n.ENVELOPE_1: "1",
    n.ENVELOPE_2: "2",
    "http://www.vmware.com/schema/ovf/1/envelope": "0.9",
}
_TAKEN = frozenset({n.PROCESSOR, n.MEMORY, n.ETHERNET, *_BUSES, n.OTHER_STORAGE})


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature. ``number`` is its size where it has one; ``element`` the place an edit would change."""

    key: str
    value: str = ""
    subject: str = ""
    element: etree._Element | None = None
    number: int = 0


def features(package: Package) -> Iterator[Feature]:
    """All features of a package, of all its systems and deployment options."""
    yield from _files(package)
    yield from of_descriptor(package.envelope)


def of_descriptor(envelope: Envelope) -> Iterator[Feature]:
    """Those that stand in the descriptor."""
    walk = Walk(envelope, {})
    root = walk.root
    yield Feature("namespace", _VERSIONS.get(xml.namespace(root), "1"), element=root)
    kinds: dict[str, etree._Element] = {}
    for element in walk.other_version:
        kinds.setdefault(xml.local(element), element)
    for name in ("StorageItem", "EthernetPortItem"):
        if name in kinds:
            yield Feature("item-kind", name, element=kinds[name])
    yield from _disks(envelope)
    yield from _sections(walk)
    for system in walk.systems:
        yield from _system(walk, system)


def _files(package: Package) -> Iterator[Feature]:
    kind = "ova" if package.archive else "folder"
    yield Feature("package", "wrapped" if package.wrapped else kind, package.name)
    for file in package.envelope.files:
        if file.chunk_size:
            yield Feature("chunks", subject=file.href)
        if file.compression == "gzip":
            yield Feature("compression", "gzip", file.href)
    if package.manifest is not None:
        for algorithm in sorted({each.algorithm for each in package.manifest.digests.values()}):
            yield Feature("digest", algorithm, package.papers.name)
    spaced = _SPACED.search(package.papers.data or b"")
    if spaced:
        yield Feature("digest-spelling", spaced[1].decode(errors="replace"), package.papers.name)


def _disks(envelope: Envelope) -> Iterator[Feature]:
    for entry in envelope.disks:
        file = envelope.file(entry.file) if entry.file else None
        if file is not None:
            name = disk_format(entry.format, file.href)
            if name:
                yield Feature("disk-format", name, file.href, entry.element)
        size = (xml.number(entry.capacity) or 0) * (entry.unit or 0)
        yield Feature("disk-size", str(size), entry.id, entry.element, size)
        if entry.parent is not None:
            yield Feature("disk-parent", entry.parent, entry.id, entry.element)
        if entry.capacity.startswith("${"):
            yield Feature("capacity", "property", entry.id, entry.element)
        elif entry.unit not in {1, None}:
            yield Feature("capacity", "units", entry.id, entry.element)


def disk_format(uri: str, href: str) -> str:
    """Short name of a disk's format: by its URI, else by the file's name; "" where neither tells."""
    bare = href.lower().removesuffix(".gz")
    for written in (uri, PurePosixPath(bare).suffix):
        for name, pattern in _FORMATS:
            if written and pattern.search(written):
                return name
    return ""


def _sections(walk: Walk) -> Iterator[Feature]:
    for holder in walk.holders:
        where = "envelope" if holder.where == "Envelope" else "collection"
        for section in xml.children(holder.element):
            kind = xml.kind(section)
            if kind == "StartupSection":
                yield Feature("startup", where, holder.subject, section)
            elif kind == "NetworkSection":
                yield Feature("networks", element=section)
            elif kind == "Strings" and xml.attr(section, "fileRef"):
                yield Feature("strings", "file", element=section)
            elif kind in n.HARMLESS_SECTIONS | n.TOLD_SECTIONS:
                yield Feature("section", kind, holder.subject, section)
        asked = [each for section in xml.children(holder.element, "ProductSection")
                 for each in xml.children(section, "Property")]  # fmt: skip
        if asked:
            yield Feature("properties", str(len(asked)), holder.subject, asked[0])
        if holder.where == "VirtualSystemCollection":
            outer = holder.element.getparent()
            nested = outer is not None and xml.kind(outer) == "VirtualSystemCollection"
            yield Feature(
                "nested" if nested else "content", "collection", holder.subject, holder.element
            )
    bound = [each for each, _ in walk.bound if xml.kind(each).endswith("Item")]
    if bound:
        yield Feature("options", element=bound[0])


def _system(walk: Walk, system: Holder) -> Iterator[Feature]:
    sections = list(xml.children(system.element, "VirtualHardwareSection"))
    if len(sections) > 1:
        yield Feature("hardware", "several", system.subject, sections[1])
    chosen = hardware.choose(sections)
    families = [word for section in sections for word in hardware.families_of(section)]
    if sections:
        element = next(
            (typed for section in sections for part in xml.children(section, "System")
             for typed in xml.children(part, "VirtualSystemType")), sections[0],
        )  # fmt: skip
        yield Feature("family", " ".join(families), system.subject, element)
    for section in sections:
        for name in re.split(r"[\s,]+", (xml.attr(section, "transport") or "").strip()):
            yield Feature("transport", name, system.subject, section)
        found = [items.read(each) for each in xml.children(section, *items.KINDS)]
        controllers = {each.instance for each in found if controller_bus(each)}
        for item in found:
            yield from _item(system, item)
            if item.type in {n.DISK, n.CDROM} and item.get("Parent") not in controllers:
                yield Feature("drive", "unattached", system.subject, item.element)
        xen = xml.child(section, "VirtualSystemOtherConfigurationData")
        if xen is not None and xml.flag(xen, "required", default=True):
            for data in xml.children(section, "VirtualSystemOtherConfigurationData"):
                yield Feature("xen-data", "required", xml.local(data), data)
    yield from _beyond(system, chosen)


def controller_bus(item: items.Item) -> str:
    """What bus a controller has, ``other`` where nobody knows; "" for what is none."""
    if item.type not in _BUSES and item.type != n.OTHER_STORAGE:
        return ""
    words = f"{item.subtype} {item.get('Description')} {item.get('ElementName')}".lower()
    found = next((bus.value for part, bus in n.SUBTYPE_BUS if part in words), "other")
    return _BUSES.get(item.type or 0, found)


def _item(system: Holder, item: items.Item) -> Iterator[Feature]:
    field = next(xml.children(item.element, "ResourceSubType"), None)
    place = item.element if field is None else field
    bus = controller_bus(item)
    if bus:
        yield Feature("controller", f"{bus}:{item.subtype}", system.subject, place)
    elif item.type == n.ETHERNET:
        yield Feature("adapter", item.subtype, system.subject, place)
    elif item.type == n.MEMORY:
        unit = memory_unit(item)
        if unit is not None:
            yield Feature("memory-units", spelling(unit), system.subject, item.element)
        yield Feature("memory-written", item.get("AllocationUnits"), system.subject, item.element)
    elif item.type == n.OTHER and "tpm" in item.subtype.lower():
        yield Feature("tpm", subject=system.subject, element=item.element)
    if item.type is not None and item.type not in _TAKEN:
        wanted = "required" if item.required else "optional"
        yield Feature("resource", f"{item.type} {wanted}", system.subject, item.element)


def _beyond(system: Holder, section: etree._Element | None) -> Iterator[Feature]:
    found = vendor.settings(system.element, section)
    if found.firmware is Firmware.UEFI:
        xen = "firmware=uefi" in found.extras.get("xenserver:HVM_boot_params", "")
        yield Feature("firmware", "uefi-xen" if xen else "uefi", system.subject, section)
    if found.secure_boot:
        yield Feature("secure-boot", subject=system.subject, element=section)
    if found.tpm:
        yield Feature("tpm", subject=system.subject, element=section)
