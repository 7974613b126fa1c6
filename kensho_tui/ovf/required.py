"""What an author marks as required and nobody here understands (DSP0243 2.1.1 §7.3, Extensibility)."""

from lxml import etree

from kensho_tui.ovf import xml
from kensho_tui.ovf.items import FIELDS
from kensho_tui.ovf.names import KENSHO, VBOX, VMW, XENOVF

_KNOWN = frozenset({
    "Item", "StorageItem", "EthernetPortItem", "System", "VirtualSystemOtherConfigurationData",
    "Property", "Category", "Disk", "SharedDisk", "HostResource", "Network", "Configuration", "Icon",
    "Machine",
})  # fmt: skip
_VENDORS = frozenset({VMW, XENOVF, VBOX, KENSHO})


def understood(element: etree._Element) -> bool:
    """Whether an element inside a section is one that is read, or a known vendor's."""
    name = xml.local(element)
    return xml.namespace(element) in _VENDORS or name in _KNOWN or name in FIELDS


def unknown_in(section: etree._Element) -> list[etree._Element]:
    """Children of a section that are marked as required and not understood: then neither is the section."""
    return [
        each
        for each in xml.children(section)
        if not understood(each) and xml.flag(each, "required", default=False)
    ]
