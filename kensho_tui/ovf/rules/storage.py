"""Rules of files, disks and networks (DSP0243 2.1.1 §7.1, §9.1, §9.2)."""

import re
from collections.abc import Iterator
from urllib.parse import unquote

from lxml import etree

from kensho_tui.findings import Severity
from kensho_tui.ovf import items, xml
from kensho_tui.ovf.names import ETHERNET, RASD
from kensho_tui.ovf.rules.catalog import FIX
from kensho_tui.ovf.rules.walk import Walk
from kensho_tui.ovf.tree import put
from kensho_tui.ovf.units import multiplier

HOST_RESOURCE = re.compile(r"(?:ovf:)?/{1,2}(disk|file)/(.+)", re.IGNORECASE)
_FORMATS = re.compile(
    r"vmdk|vhdspec|vhdx?\b|hh831446|qcow|iso|raw|virtualbox\.org|^(sparse|rawdisk)$", re.IGNORECASE
)
_PROPERTY = re.compile(r"\$\{[^}]+\}")
_MAX_CAPACITY = 1 << 62
_TIMES = re.compile(r"byte \* [0-9]+\^[0-9]+")
_KINDS = ("Item", "StorageItem", "EthernetPortItem")


def rules(walk: Walk) -> None:
    """All of them."""
    known = _files(walk)
    used = _disks(walk, known)
    _used(walk, known, used)
    _networks(walk)


def hardware_items(walk: Walk) -> Iterator[items.Item]:
    """Items of every VirtualHardwareSection, of all deployment options."""
    for system in walk.systems:
        for section in xml.children(system.element, "VirtualHardwareSection"):
            for element in xml.children(section, *_KINDS):
                yield items.read(element)


# --------------------------------------------------------------------------------------- files
def _files(walk: Walk) -> dict[str, etree._Element]:
    """Checks the References; the files by id."""
    known: dict[str, etree._Element] = {}
    places: set[str] = set()
    for references in xml.children(walk.root, "References"):
        for file in xml.children(references, "File"):
            id_, href = xml.attr(file, "id") or "", xml.attr(file, "href") or ""
            subject = href or id_
            if not id_:
                walk.note(
                    "file-id-missing", file, "The file has no id, so nothing can name it.", subject
                )
            elif id_ in known:
                walk.note("file-id-twice", file, f"The id '{id_}' is taken already; the first file has it.",
                          subject)  # fmt: skip
            known.setdefault(id_, file)
            if not href:
                walk.note("file-href-missing", file, "The file does not say where it is.", subject)
            elif href.removeprefix("./") in places:
                walk.note("file-href-twice", file, "The file is listed twice; it is read for both.",
                          subject)  # fmt: skip
            places.add(href.removeprefix("./"))
            _size(walk, file, subject)
            _packing(walk, file, subject)
    return known


def _size(walk: Walk, file: etree._Element, subject: str) -> None:
    written = xml.attr(file, "size")
    size = xml.number(written)
    names = (subject.removeprefix("./"), unquote(subject).removeprefix("./"))
    actual = next((walk.sizes[each] for each in names if each in walk.sizes), None)

    def mend() -> str:
        put(file, "size", str(actual))
        return f"ovf:size of '{subject}' is {actual}."

    able = mend if actual is not None else None
    if written is None:
        walk.note("file-size-missing", file, "The descriptor does not say how long the file is.",
                  subject, mend=able)  # fmt: skip
    elif size is None:
        walk.note("file-size-unreadable", file, f"'{written}' is no size; it is taken as not told.",
                  subject, mend=able)  # fmt: skip
    elif actual is not None and size != actual:
        walk.note("size-differs", file,
                  f"The descriptor says {size} bytes, the file has {actual}.", subject,
                  mend=mend, remedy=FIX)  # fmt: skip


def _packing(walk: Walk, file: etree._Element, subject: str) -> None:
    compression = (xml.attr(file, "compression") or "").strip().lower()
    if compression not in {"", "identity", "gzip"}:
        walk.note(
            "file-compression-unknown", file, f"It is compressed by '{compression}'.", subject
        )
    chunk = xml.attr(file, "chunkSize")
    if chunk is not None and not xml.number(chunk):
        walk.note("file-chunk-size-unreadable", file,
                  f"'{chunk}' is no size of chunks; it is taken as one file.", subject)  # fmt: skip


def _used(walk: Walk, known: dict[str, etree._Element], used: set[str]) -> None:
    named = {id_ for _, id_ in walk.named}
    for element, id_ in walk.named:
        if id_ and id_ not in known and xml.kind(element) not in {"Disk", "SharedDisk"}:
            walk.note(
                "file-ref-undeclared",
                element,
                f"The {xml.kind(element)} names the file '{id_}', which the references lack.",
            )
    for id_, file in known.items():
        if id_ and id_ not in named | walk.mentioned | used:
            walk.note("file-unused", file, "Nothing in the descriptor refers to the file.",
                      xml.attr(file, "href") or id_)  # fmt: skip


# --------------------------------------------------------------------------------------- disks
def _disks(walk: Walk, files: dict[str, etree._Element]) -> set[str]:
    """Checks the disks; every id that the hardware names, of disks or files."""
    used = _named_by_hardware(walk)
    entries = walk.envelope.disks
    ids = {each.id for each in entries}
    before: set[str] = set()
    parents = {each.parent for each in entries}
    owners: set[str] = set()
    for entry in entries:
        element = entry.element
        if element is None:
            continue
        if not entry.id:
            walk.note("disk-id-missing", element, "The disk has no id, so no machine can have it.")
        elif entry.id in before:
            walk.note("disk-id-twice", element,
                      f"The id '{entry.id}' is taken already; the first disk has it.", entry.id)  # fmt: skip
        elif entry.id not in used and entry.id not in parents:
            walk.note("disk-unused", element, "No machine has the disk; it is not moved.", entry.id,
                      severity=Severity.WARNING if entry.file else Severity.INFO)  # fmt: skip
        if entry.file is not None:
            if entry.file not in files:
                walk.note("file-unreferenced", element, f"The disk names the file '{entry.file}', which"
                          " the references lack.", entry.id, severity=Severity.ERROR)  # fmt: skip
            if entry.file in owners:
                walk.note("disk-file-twice", element,
                          f"The file '{entry.file}' is another disk's too.", entry.id)  # fmt: skip
            owners.add(entry.file)
            packed = (
                (xml.attr(files[entry.file], "compression") or "") if entry.file in files else ""
            )
            if packed.strip().lower() == "gzip" and "qcow" in entry.format.lower():
                walk.note("disk-scattered-compressed", element, "It is a QCOW2, which is read here and"
                          " there, in a file that is compressed, which is read forward only.",
                          entry.id)  # fmt: skip
            if not entry.format:
                walk.note("disk-format-missing", element,
                          "The disk does not say its format; its first bytes tell.", entry.id)  # fmt: skip
        if entry.format and not _FORMATS.search(entry.format):
            walk.note("disk-format-unknown", element,
                      f"'{entry.format}' is no known format; its first bytes tell.", entry.id)  # fmt: skip
        _capacity(walk, element, entry.id, image=entry.file is not None)
        if entry.parent is not None and (entry.parent not in ids or entry.parent == entry.id):
            walk.note("disk-parent-undeclared", element,
                      f"It is the difference to '{entry.parent}', which is not there.", entry.id)  # fmt: skip
        elif entry.parent is not None and entry.parent not in before:
            walk.note("disk-parent-order", element, f"Its parent '{entry.parent}' comes after it.",
                      entry.id)  # fmt: skip
        before.add(entry.id)
    return used


def _named_by_hardware(walk: Walk) -> set[str]:
    used: set[str] = set()
    for item in hardware_items(walk):
        for resource in item.fields.get("HostResource", ()):
            match = HOST_RESOURCE.fullmatch(resource)
            used.add(match[2] if match else resource)
        # XenCenter: "<disk or file id>,device=0"
        used.update(each.partition(",")[0] for each in item.fields.get("Connection", ()))
    # A file that is named is the disk that is made of it.
    files = {each.file: each.id for each in walk.envelope.disks if each.file}
    return used | {files[each] for each in used if each in files}


def _capacity(walk: Walk, element: etree._Element, id_: str, *, image: bool) -> None:
    written = (xml.attr(element, "capacity") or "").strip()
    units = xml.attr(element, "capacityAllocationUnits")
    unit = multiplier(units or "byte")
    if unit is None:
        walk.note("capacity-unreadable", element, "The unit of the disk's capacity is not known.", id_,
                  severity=Severity.ERROR)  # fmt: skip
        return
    if units is not None and not proper(units):
        spelled = spelling(unit)

        def mend() -> str:
            put(element, "capacityAllocationUnits", spelled)
            return f"capacityAllocationUnits of '{id_}' are '{spelled}'."

        walk.note("capacity-units-odd", element,
                  f"The capacity is in '{units}', taken as '{spelled}'.", id_, mend=mend)  # fmt: skip
    if _PROPERTY.fullmatch(written):
        return
    value = xml.number(written)
    if value is None or not 0 < value * unit < _MAX_CAPACITY:
        walk.note("capacity-unreadable", element,
                  f"The disk's capacity '{written}' is no size" + ("; its image tells." if image else "."),
                  id_, severity=Severity.WARNING if image else Severity.ERROR)  # fmt: skip
        return
    populated = xml.number(xml.attr(element, "populatedSize"))
    if populated is not None and populated > value * unit:
        walk.note("populated-size-large", element,
                  f"It is to hold {populated} bytes and its capacity is {value * unit}; the capacity holds.",
                  id_)  # fmt: skip


def proper(units: str) -> bool:
    """Whether units of size are in the one spelling that everybody reads: ``byte``, ``byte * 2^20``."""
    return units == "byte" or _TIMES.fullmatch(units) is not None


def spelling(unit: int) -> str:
    """Units of size of so many bytes, spelled as the standard's examples do."""
    if unit == 1:
        return "byte"
    if unit & (unit - 1) == 0:
        return f"byte * 2^{unit.bit_length() - 1}"
    zeros = len(str(unit)) - 1
    return f"byte * 10^{zeros}" if unit == 10**zeros else f"byte * {unit}^1"


# ------------------------------------------------------------------------------------ networks
def _networks(walk: Walk) -> None:
    used: set[str] = set()
    names: set[str] = set()
    adapters = [each for each in hardware_items(walk) if each.type == ETHERNET]
    for item in adapters:
        used.update(item.fields.get("Connection", ()))
    for section in walk.envelope.sections("NetworkSection"):
        for network in xml.children(section, "Network"):
            name = xml.attr(network, "name") or ""
            if not name:
                walk.note("network-name-missing", network, "The network has no name.")
            elif name in names:
                walk.note(
                    "network-twice",
                    network,
                    "The network is declared twice; the first holds.",
                    name,
                )
            elif name not in used:
                walk.note("network-unused", network, "No adapter is on the network.", name)
            names.add(name)
    for item in adapters:
        for name in item.fields.get("Connection", ()):
            if name and name not in names:
                names.add(name)
                walk.note("network-undeclared", _connection(item),
                          f"The network '{name}' is used but not declared.")  # fmt: skip


def _connection(item: items.Item) -> etree._Element:
    found = item.element.find(f"{{{RASD}}}Connection")
    return item.element if found is None else found
