"""Taking a machine out of a package, with what is only its own."""

from lxml import etree

from kensho_tui.ovf import xml
from kensho_tui.ovf.editing import Change
from kensho_tui.ovf.edits.disks import remove_disk
from kensho_tui.ovf.edits.drives import disk_resource
from kensho_tui.ovf.edits.machines import id_of, system, systems
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.errors import DescriptorError
from kensho_tui.ovf.tree import field, hardware_items, removed


def remove_machine(machine: str | None) -> Change:
    """Take a machine out: with its place in the start order, its disks that no other has, and their files.

    Raises (when applied): DescriptorError: it is the only one, or another disk is the difference to one of
        its disks.
    """

    def change(envelope: Envelope) -> None:
        found = system(envelope, machine)
        if len(systems(envelope)) < 2:
            raise DescriptorError("a package has at least one machine", subject=envelope.subject)
        disks = disks_of(envelope, found)
        for section in envelope.root.iter(etree.Element):
            if xml.kind(section) == "StartupSection":
                for item in list(xml.children(section, "Item")):
                    if xml.attr(item, "id") == id_of(found):
                        removed(item)
        removed(found)
        envelope.touched()
        others = {disk for each in systems(envelope) for disk in disks_of(envelope, each)}
        for disk in disks:
            if disk not in others:
                remove_disk(disk)(envelope)

    return change


def disks_of(envelope: Envelope, machine: etree._Element) -> list[str]:
    """Ids of the disks that the machine has, in any deployment option."""
    resources = [
        field(item, "HostResource")
        for section in xml.children(machine, "VirtualHardwareSection")
        for item in hardware_items(section)
    ]
    return [
        each.id
        for each in envelope.disks
        if any(disk_resource(each.id).fullmatch(text) for text in resources)
    ]
