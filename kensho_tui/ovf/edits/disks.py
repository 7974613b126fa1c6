"""Disks of a package and the drives they are in (DSP0243 2.1.1 §9.1)."""

from lxml import etree

from kensho_tui.ovf import names as n
from kensho_tui.ovf import xml
from kensho_tui.ovf.editing import Change
from kensho_tui.ovf.edits.drives import disk_place, disk_resource
from kensho_tui.ovf.edits.files import drop_file, new_file
from kensho_tui.ovf.edits.machines import hardware_of, systems
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.errors import DescriptorError
from kensho_tui.ovf.tree import (
    appended,
    behind,
    field,
    free,
    hardware_items,
    named,
    new_item,
    put,
    put_field,
    removed,
)
from kensho_tui.ovf.units import multiplier


def set_capacity(disk: str, capacity: int) -> Change:
    """Another capacity of a disk in bytes (§9.1); what its file holds is not looked at here."""
    if not 0 < capacity < 1 << 62:
        raise DescriptorError("that is no capacity of a disk")

    def change(envelope: Envelope) -> None:
        element = disk_of(envelope, disk)
        unit = multiplier(xml.attr(element, "capacityAllocationUnits") or "byte") or 1
        if capacity % unit:
            put(element, "capacityAllocationUnits", "byte")
            unit = 1
        put(element, "capacity", str(capacity // unit))

    return change


def disk_of(envelope: Envelope, disk: str) -> etree._Element:
    """The entry of the disk of that id. Raises: DescriptorError: there is none."""
    elements = {each.id: each.element for each in envelope.disks}
    found = elements.get(disk)
    if found is None:
        raise DescriptorError(f"there is no disk '{disk}'", subject=envelope.subject,
                              remedy=f"There are: {', '.join(elements)}")  # fmt: skip
    return found


def add_disk(machine: str | None, href: str, size: int, capacity: int, format_: str) -> Change:
    """A disk in a file of the package, attached to the machine: on a SCSI controller that has room.

    Args:
        href: name of the file, which must be new.
        size, capacity: bytes of the file and of the disk.
        format_: URI of the format.
    """

    def change(envelope: Envelope) -> None:
        if any(each.href == href for each in envelope.files):
            raise DescriptorError("the package has a file of that name", subject=href)
        hardware = hardware_of(envelope, machine)
        file = new_file(envelope, href, size)
        section = next(envelope.sections("DiskSection"), None)
        if section is None:
            section = etree.Element(named(envelope.root, "DiskSection"))
            behind(envelope.root, section, ("References",))
            appended(section, "Info").text = "The disks of this package"
        element = appended(section, "Disk")
        id_ = free("disk", {each.id for each in envelope.disks})
        for name, value in (
            ("capacity", str(capacity)), ("diskId", id_), ("fileRef", file), ("format", format_),
        ):  # fmt: skip
            put(element, name, value)
        envelope.touched()
        for each in hardware:
            parent, place = disk_place(each)
            item = new_item(each, n.DISK)
            put_field(item, "AddressOnParent", str(place))
            put_field(item, "HostResource", f"ovf:/disk/{id_}")
            put_field(item, "Parent", parent)
            put_field(item, "ElementName", f"Hard disk ({href})")

    return change


def remove_disk(disk: str) -> Change:
    """Take a disk out: its entry, the drives it is in, and its file where no other disk lies in it.

    Raises (when applied): DescriptorError: there is none, or another disk is only the difference to it.
    """

    def change(envelope: Envelope) -> None:
        element = disk_of(envelope, disk)
        child = next((each.id for each in envelope.disks if each.parent == disk), None)
        if child is not None:
            raise DescriptorError(f"the disk '{child}' is only the difference to it", subject=disk)
        for machine in systems(envelope):
            for section in xml.children(machine, "VirtualHardwareSection"):
                for item in list(hardware_items(section)):
                    if disk_resource(disk).fullmatch(field(item, "HostResource")):
                        removed(item)
        file = xml.attr(element, "fileRef")
        removed(element)
        envelope.touched()
        if file and not any(each.file == file for each in envelope.disks):
            drop_file(envelope, file)

    return change
