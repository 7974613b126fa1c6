"""Devices of a machine: finding them, and what all kinds have in common (DSP0243 2.1.1 §8.3).

A device is named by its InstanceID, or by its ElementName where one device alone has it. A machine may
have several hardware sections, for several families: what is changed is changed in each that has it.
"""

from collections.abc import Sequence

from lxml import etree

from kensho_tui.ovf import names as n
from kensho_tui.ovf import xml
from kensho_tui.ovf.editing import Change
from kensho_tui.ovf.edits.machines import hardware_of
from kensho_tui.ovf.edits.variants import check_option, variants, without
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.errors import DescriptorError
from kensho_tui.ovf.tree import (
    field,
    hardware_items,
    new_item,
    put,
    put_field,
    removed,
    resource_type,
)

CONTROLLERS = frozenset({n.IDE, n.SCSI, n.OTHER_STORAGE, n.USB})
DISK_DRIVES = frozenset({n.DISK, n.STORAGE_EXTENT, n.LOGICAL_DISK, n.STORAGE_VOLUME})
MEDIA_DRIVES = frozenset({n.CDROM, n.DVD, n.FLOPPY})
DRIVES = DISK_DRIVES | MEDIA_DRIVES
ADAPTERS = frozenset({n.ETHERNET})
_YES = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


def ident(item: etree._Element) -> str:
    """The Item's InstanceID, also in the spelling of 2008."""
    return field(item, "InstanceID") or field(item, "InstanceId")


def devices(envelope: Envelope, machine: str | None, device: str) -> list[list[etree._Element]]:
    """The Items of the device, of all deployment options, one list for each hardware section that has it.

    Raises: DescriptorError: there is none, or several have that name.
    """
    sections = [list(hardware_items(each)) for each in hardware_of(envelope, machine)]
    found = [[each for each in items if ident(each) == device] for items in sections]
    if not any(found):
        found = [[e for e in items if field(e, "ElementName") == device] for items in sections]
        if any(len({ident(each) for each in items}) > 1 for items in found):
            raise DescriptorError(
                f"several devices are called '{device}'",
                subject=envelope.subject,
                remedy="Name it by its InstanceID: "
                + ", ".join(dict.fromkeys(ident(each) for items in found for each in items)),
            )
    found = [items for items in found if items]
    if not found:
        known = {
            ident(each): field(each, "ElementName")
            for items in sections
            for each in items
            if resource_type(each) not in {n.PROCESSOR, n.MEMORY}
        }
        listed = ", ".join(f"{id_} ({name})" for id_, name in list(known.items())[:20])
        raise DescriptorError(
            f"the machine has no device '{device}'",
            subject=envelope.subject,
            remedy=f"It has: {listed}" if listed else "It has none",
        )
    return found


def edited(
    envelope: Envelope,
    machine: str | None,
    device: str,
    configuration: str | None,
    kinds: frozenset[int],
    noun: str,
) -> list[etree._Element]:
    """The Items to edit of a device of those kinds."""
    check_option(envelope, configuration)
    found = devices(envelope, machine, device)
    if any(resource_type(each) not in kinds for items in found for each in items):
        raise DescriptorError(f"the device '{device}' is no {noun}", subject=envelope.subject)
    return [each for items in found for each in variants(items, configuration)]


def put_or_drop(item: etree._Element, name: str, value: str) -> None:
    """Set a CIM property, or take it away where the value is ""."""
    present = xml.child(item, name)
    if value:
        put_field(item, name, value)
    elif present is not None:
        removed(present)


def forget(item: etree._Element, name: str) -> None:
    """Take away what our own writer kept beside the standard's property: it is another one now."""
    item.attrib.pop(f"{{{n.KENSHO}}}{name}", None)


def set_device_name(
    machine: str | None, device: str, name: str, configuration: str | None = None
) -> Change:
    """What the device is called (ElementName)."""
    if not name.strip():
        raise DescriptorError("a device has a name")

    def change(envelope: Envelope) -> None:
        check_option(envelope, configuration)
        for items in devices(envelope, machine, device):
            for item in variants(items, configuration):
                put_field(item, "ElementName", xml.printable(name))
                forget(item, "name")

    return change


def set_device_type(
    machine: str | None, device: str, subtype: str, configuration: str | None = None
) -> Change:
    """Its model (ResourceSubType), such as ``VmxNet3`` or ``VirtualSCSI``; "" leaves it to the target."""

    def change(envelope: Envelope) -> None:
        kinds, noun = CONTROLLERS | {n.ETHERNET, n.SERIAL}, "adapter or controller"
        for item in edited(envelope, machine, device, configuration, kinds, noun):
            put_or_drop(item, "ResourceSubType", xml.printable(subtype.strip()))
            forget(item, "model")

    return change


def set_device_address(
    machine: str | None, device: str, address: str, configuration: str | None = None
) -> Change:
    """Where a serial port leads (``telnet://host:9101``), or the number of a controller on its bus."""

    def change(envelope: Envelope) -> None:
        kinds, noun = CONTROLLERS | {n.SERIAL}, "serial port or controller"
        for item in edited(envelope, machine, device, configuration, kinds, noun):
            put_or_drop(item, "Address", xml.printable(address.strip()))

    return change


def holds(item: etree._Element, configuration: str) -> bool:
    named = (xml.attr(item, "configuration") or "").split()
    return not named or configuration in named


def of_kind(section: etree._Element, *kinds: int) -> list[etree._Element]:
    return [each for each in hardware_items(section) if resource_type(each) in kinds]


def _hanging(section_items: Sequence[etree._Element], controller: str) -> list[str]:
    """Names of the drives on a controller."""
    return [
        field(each, "ElementName") or ident(each)
        for each in section_items
        if field(each, "Parent") == controller
    ]


def set_connected(
    machine: str | None, device: str, connected: str, configuration: str | None = None
) -> Change:
    """Whether the device is connected when the machine starts (AutomaticAllocation): yes or no."""
    value = _YES.get(connected.strip().lower())
    if value is None:
        raise DescriptorError(
            f"whether it is connected is yes or no, not '{connected}'", subject=device
        )

    def change(envelope: Envelope) -> None:
        kinds = MEDIA_DRIVES | {n.ETHERNET, n.SERIAL}
        for item in edited(envelope, machine, device, configuration, kinds, "adapter or drive"):
            put_field(item, "AutomaticAllocation", "true" if value else "false")

    return change


def add_serial(machine: str | None, where: str = "", configuration: str | None = None) -> Change:
    """A serial port. Args: where: it leads, such as ``telnet://:9101``; "" for nowhere yet."""

    def change(envelope: Envelope) -> None:
        check_option(envelope, configuration)
        for section in hardware_of(envelope, machine):
            count = len({ident(each) for each in of_kind(section, n.SERIAL)})
            item = new_item(section, n.SERIAL)
            put_field(item, "ElementName", f"Serial port {count + 1}")
            put_field(item, "AutomaticAllocation", "true")
            put_or_drop(item, "Address", xml.printable(where.strip()))
            if configuration is not None:
                put(item, "configuration", configuration)

    return change


def remove_device(machine: str | None, device: str, configuration: str | None = None) -> Change:
    """Take a device away, from all deployment options or from one. A disk itself stays in the package.

    Raises (when applied): DescriptorError: drives hang on it, or the machine cannot be without it.
    """

    def change(envelope: Envelope) -> None:
        check_option(envelope, configuration)
        for items in devices(envelope, machine, device):
            if resource_type(items[0]) in {n.PROCESSOR, n.MEMORY}:
                raise DescriptorError("a machine has processors and memory", subject=device)
            section = items[0].getparent()
            here = [] if section is None else list(hardware_items(section))
            if configuration is not None:
                here = [each for each in here if holds(each, configuration)]
            drives = (
                _hanging(here, ident(items[0])) if resource_type(items[0]) in CONTROLLERS else []
            )
            if drives:
                raise DescriptorError(
                    f"drives hang on it: {', '.join(dict.fromkeys(drives))}",
                    subject=device,
                    remedy="Move or remove those first",
                )
            without(envelope, items, configuration)

    return change
