"""A descriptor's tree in another version of the standard: OVF 0.9, 1.x and 2.x as OVF 1.1 or 2.0.

What the wanted version has under another name is said so; what it has not is left out, and noted. Prefixes,
comments, vendors' sections and attributes stay.
"""

from collections.abc import Callable, Iterator
from typing import Literal

from lxml import etree

from kensho_tui.findings import Finding
from kensho_tui.ovf import names as n
from kensho_tui.ovf import newer, xml
from kensho_tui.ovf.arrange import alphabetical, arrange, by_kind
from kensho_tui.ovf.items import FIELDS, FIELDS_1, KINDS
from kensho_tui.ovf.namespaces import moved
from kensho_tui.ovf.tree import field, removed, resource_type

Version = Literal["1.1", "2.0"]
VERSIONS: tuple[Version, ...] = ("1.1", "2.0")
Note = Callable[[Finding], None]

_SPACES = {"1.1": n.ENVELOPE_1, "2.0": n.ENVELOPE_2}
# VirtualBox puts ".xsd" behind the names of CIM's namespaces.
_CIM = {
    part.rpartition("/")[2]: part
    for part in (n.RASD, n.VSSD, n.SASD, n.EPASD, n.BOOT_CONFIG, n.BOOT_SOURCE)
}
_STORAGE = frozenset({
    n.FLOPPY, n.CDROM, n.DVD, n.DISK, n.STORAGE_EXTENT, n.LOGICAL_DISK, n.STORAGE_VOLUME,
})  # fmt: skip
# Attributes that DSP8023 has; some write them without the standard's namespace.
_ATTRIBUTES = frozenset({
    "id", "href", "size", "compression", "chunkSize", "diskId", "capacity", "capacityAllocationUnits",
    "fileRef", "format", "populatedSize", "parentRef", "name", "transport", "required", "configuration",
    "bound", "key", "type", "qualifiers", "userConfigurable", "value", "password", "class", "instance",
    "msgid", "order", "startDelay", "waitingForGuest", "stopDelay", "startAction", "stopAction", "default",
    "initialBoot", "initialBootStopDelay", "version", "height", "width", "mimeType", "readOnly", "policy",
    "group", "minimum", "maximum", "path",
})  # fmt: skip
_HARDWARE = ("VirtualHardwareSection", "ResourceAllocationSection")
_CONTENT = ("VirtualSystem", "VirtualSystemCollection")
_ITEMS = ("Item", "EthernetPortItem", "StorageItem")
_ORDERS = {
    "Envelope": by_kind("References", (), _CONTENT, "Strings", others=1),
    "VirtualSystem": by_kind("Info", "Name"),
    "VirtualSystemCollection": by_kind("Info", "Name", (), _CONTENT, others=2),
    "VirtualHardwareSection": by_kind("Info", "System", *_ITEMS),
    "ResourceAllocationSection": by_kind("Info", *_ITEMS),
    "ProductSection": by_kind("Info", "Product", "Vendor", "Version", "FullVersion", "ProductUrl",
                              "VendorUrl", "AppUrl", "Icon"),
    "Property": by_kind("Label", "Description", "Value"),
    "OperatingSystemSection": by_kind("Info", "Description"),
    "Configuration": by_kind("Label", "Description"),
}  # fmt: skip


def version_of(root: etree._Element) -> str:
    """``0.9``, ``1.1`` or ``2.0``, by the namespace."""
    space = xml.namespace(root)
    return {n.ENVELOPE_2: "2.0", n.ENVELOPE_0: "0.9"}.get(space, "1.1")


def to_version(tree: etree._ElementTree, version: Version, note: Note) -> etree._Element:
    """The root of the document in that version.

    Args:
        note: told of what is left out (warning) or said in another way (info).

    Raises: DescriptorError: it cannot be said in one version; see `newer.refuse_encryption`.
    """
    if version == "1.1":
        newer.refuse_encryption(tree.getroot())
    space = _SPACES[version]
    prefixes = {"ovf": space, "rasd": n.RASD, "vssd": n.VSSD}
    if version == "2.0":
        prefixes |= {"epasd": n.EPASD, "sasd": n.SASD}
    elif newer.says_more(tree.getroot()):
        prefixes["kensho"] = n.KENSHO
    root = moved(tree, lambda uri: _space(uri, space), prefixes)
    work = _Version(root, version, note)
    work.elements()
    work.sections()
    work.attributes()
    if version == "1.1":
        newer.left_out(root, note)
    else:
        newer.shared_disks(root)
    work.hardware()
    work.order()
    return root


def _space(uri: str, envelope: str) -> str:
    if uri in n.ENVELOPES or uri == n.STRINGS:
        return envelope
    name = uri.rpartition("/")[2].removesuffix(".xsd")
    return _CIM.get(name, uri)


class _Version:
    """One document on its way."""

    def __init__(self, root: etree._Element, version: Version, note: Note) -> None:
        self.root = root
        self.version = version
        self.space = _SPACES[version]
        self.note = note

    def own(self) -> Iterator[etree._Element]:
        """All elements of the standard."""
        for element in self.root.iter(etree.Element):
            if xml.namespace(element) == self.space:
                yield element

    # --------------------------------------------------------------------------------- names
    def elements(self) -> None:
        """The first drafts' children have no namespace: those of the standard's elements get it."""
        for element in self.root.iter(etree.Element):
            parent = element.getparent()
            if parent is None or xml.namespace(element):
                continue
            if xml.namespace(parent) == self.space:
                element.tag = f"{{{self.space}}}{xml.local(element)}"

    def sections(self) -> None:
        """OVF 0.9 told sections apart by xsi:type; later versions do by the element's name."""
        for element in list(self.own()):
            if xml.local(element) not in {"Section", "Content"}:
                continue
            typed = element.attrib.pop(f"{{{n.XSI}}}type", None)
            if typed is None:
                continue
            prefix, _, name = str(typed).rpartition(":")
            space = element.nsmap.get(prefix or None, self.space)
            element.tag = f"{{{space}}}{name.removesuffix('_Type')}"
        if xml.child(self.root, "References") is None:
            self.root.insert(0, etree.Element(f"{{{self.space}}}References"))

    def attributes(self) -> None:
        """The standard's attributes in the standard's namespace; and no version but that of the namespace."""
        for element in self.own():
            for name in [str(each) for each in element.attrib]:
                if name in _ATTRIBUTES:
                    qualified = f"{{{self.space}}}{name}"
                    value = str(element.attrib.pop(name))
                    if element.get(qualified) is None:
                        element.set(qualified, value)
        if xml.attr(self.root, "version") is not None:
            self.root.attrib.pop(f"{{{self.space}}}version")
            if self.version == "2.0":
                self.root.set(f"{{{self.space}}}version", "2.0")

    # ------------------------------------------------------------------------------- hardware
    def hardware(self) -> None:
        for section in self.root.iter(*(f"{{{self.space}}}{name}" for name in _HARDWARE)):
            system = xml.child(section, "System")
            if system is not None:
                self.fields(system, n.VSSD)
                _named(system)
            for item in list(xml.children(section, *KINDS)):
                self.item(item)

    def item(self, item: etree._Element) -> None:
        kind, space = self.kind(item)
        item.tag = f"{{{self.space}}}{kind}"
        self.fields(item, space)
        address, bus = field(item, "Address"), xml.child(item, "BusNumber")
        if bus is not None and xml.namespace(bus) == space:
            # 2008's name for what Address says of a controller.
            if address:
                removed(bus)
            else:
                bus.tag = f"{{{space}}}Address"
        if self.version == "1.1":
            self.older(item)
        elif kind == "StorageItem":
            _read_only(item, space)
        arrange(item, alphabetical(space))

    def kind(self, item: etree._Element) -> tuple[str, str]:
        """Name of the element, and namespace of what stands in it."""
        if self.version == "1.1":
            return "Item", n.RASD
        type_, written = resource_type(item), xml.local(item)
        if type_ == n.ETHERNET or written == "EthernetPortItem":
            return "EthernetPortItem", n.EPASD
        if type_ in _STORAGE or written == "StorageItem":
            return "StorageItem", n.SASD
        return "Item", n.RASD

    def fields(self, parent: etree._Element, space: str) -> None:
        """CIM's properties in the namespace that the parent wants."""
        for child in xml.children(parent):
            name, own = xml.local(child), xml.namespace(child)
            cim = own in _CIM.values() or own in {"", self.space}
            if cim and (name in FIELDS or own in _CIM.values()):
                child.tag = f"{{{space}}}{'InstanceID' if name == 'InstanceId' else name}"
        if space == n.VSSD:
            arrange(parent, alphabetical(space))

    def older(self, item: etree._Element) -> None:
        """Properties that OVF 1.1 has not are left out; that a drive is only read is said our way."""
        access = xml.child(item, "Access")
        if access is not None:
            read_only = xml.text(access).strip() == "1"
            if item.get(f"{{{n.KENSHO}}}readOnly") is None:
                item.set(f"{{{n.KENSHO}}}readOnly", "true" if read_only else "false")
            removed(access)
            if read_only:
                newer.tell(self.note, "access-unsaid", _label(item), item,
                           "That the drive is read only has no word in OVF 1.1: Kensho reads it from an"
                           " attribute of its own, others do not.")  # fmt: skip
        for child in list(xml.children(item)):
            name = xml.local(child)
            if xml.namespace(child) == n.RASD and name in FIELDS - FIELDS_1:
                newer.tell(self.note, "field-unsaid", _label(item), child,
                           f"OVF 1.1 has no {name} ('{xml.text(child).strip()}'); it is left out.")  # fmt: skip
                removed(child)

    # ---------------------------------------------------------------------------------- order
    def order(self) -> None:
        for element in list(self.own()):
            rank = _ORDERS.get(xml.local(element))
            if rank is None and xml.local(element).endswith("Section"):
                rank = by_kind("Info")
            if rank is not None:
                arrange(element, rank)


def _named(system: etree._Element) -> None:
    """A System has to have a name and an id."""
    for name, value in (("ElementName", "Virtual Hardware Family"), ("InstanceID", "0")):
        if xml.child(system, name) is None:
            made = etree.SubElement(system, f"{{{n.VSSD}}}{name}")
            made.text = value
    arrange(system, alphabetical(n.VSSD))


def _read_only(item: etree._Element, space: str) -> None:
    """Our word for a drive that is only read, in CIM's: CIM_StorageAllocationSettingData.Access, readable."""
    ours = item.get(f"{{{n.KENSHO}}}readOnly")
    if ours == "true" and xml.child(item, "Access") is None:
        etree.SubElement(item, f"{{{space}}}Access").text = "1"


def _label(item: etree._Element) -> str:
    return field(item, "ElementName") or field(item, "Caption") or field(item, "InstanceID")
