"""Processors, memory, families and transports of a machine (DSP0243 2.1.1 §8)."""

import re
from collections.abc import Iterator
from copy import deepcopy

from lxml import etree

from kensho_tui.ovf import names as n
from kensho_tui.ovf import xml
from kensho_tui.ovf.editing import Change
from kensho_tui.ovf.edits.machines import hardware_of
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.errors import DescriptorError
from kensho_tui.ovf.tree import (
    bound,
    drop,
    field,
    hardware_items,
    inserted,
    new_item,
    options,
    put,
    put_field,
    resource_type,
)
from kensho_tui.ovf.units import multiplier

_MIB = 1 << 20
_MOST_MEMORY = 1 << 50
_MOST_PROCESSORS = 4096


def set_processors(machine: str | None, count: int, configuration: str | None = None) -> Change:
    """How many processors the machine has, for one deployment option or for all.

    Raises (when applied): DescriptorError: a number no machine has, or no such option.
    """
    if not 0 < count <= _MOST_PROCESSORS:
        raise DescriptorError(f"a machine has 1 to {_MOST_PROCESSORS} processors, not {count}")

    def change(envelope: Envelope) -> None:
        for item in _edited_items(envelope, machine, n.PROCESSOR, configuration):
            put_field(item, "VirtualQuantity", str(count))

    return change


def set_memory(machine: str | None, size: int, configuration: str | None = None) -> Change:
    """The machine's memory in bytes, as `set_processors`; the unit stays where it can say it."""
    if not _MIB <= size <= _MOST_MEMORY:
        raise DescriptorError("a machine has 1 MiB to 1 PiB of memory")
    if size % _MIB:
        raise DescriptorError("a machine's memory is told in whole MiB")

    def change(envelope: Envelope) -> None:
        for item in _edited_items(envelope, machine, n.MEMORY, configuration):
            unit = multiplier(field(item, "AllocationUnits")) or 0
            if unit < 2 or size % unit:
                unit = _MIB
                put_field(item, "AllocationUnits", "byte * 2^20")
            put_field(item, "VirtualQuantity", str(size // unit))

    return change


def _edited_items(
    envelope: Envelope, machine: str | None, type_: int, configuration: str | None
) -> Iterator[etree._Element]:
    """The Item of that type to be edited in each hardware section; made where it is not there."""
    known = [each.id for each in envelope.configurations]
    if configuration is not None and configuration not in known:
        raise DescriptorError(
            f"there is no deployment option '{configuration}'",
            subject=envelope.subject,
            remedy=f"Known are: {', '.join(known)}" if known else "It has none",
        )
    for section in hardware_of(envelope, machine):
        items = [each for each in hardware_items(section) if resource_type(each) == type_]
        items = [each for each in items if bound(each) in {"", "normal"}] or items
        plain = [each for each in items if not options(each)]
        if configuration is None:
            yield from items or [new_item(section, type_)]
            continue
        own = [each for each in items if configuration in options(each)]
        if own and options(own[0]) == [configuration]:
            yield own[0]
        elif own:
            # It is that of others too: those keep it.
            yield _copied(own[0], configuration)
            others = [each for each in options(own[0]) if each != configuration]
            put(own[0], "configuration", " ".join(others))
        else:
            yield _copied(plain[0] if plain else new_item(section, type_), configuration)


def _copied(item: etree._Element, configuration: str) -> etree._Element:
    """A copy behind the Item, for one deployment option: it replaces the plain one of the same id."""
    copy = deepcopy(item)
    item.addnext(copy)
    put(copy, "configuration", configuration)
    return copy


def set_families(machine: str | None, families: str) -> Change:
    """The virtual hardware family (``vmx-21``): what the machine's hardware is for (§8.1)."""
    words = re.split(r"[\s,]+", families.strip())
    if not all(re.fullmatch(r"[A-Za-z0-9_.:+-]{1,80}", each) for each in words):
        raise DescriptorError(f"'{families}' is no virtual hardware family")

    def change(envelope: Envelope) -> None:
        for section in hardware_of(envelope, machine):
            described = xml.child(section, "System")
            if described is None:
                described = inserted(section, "System", after=("Info",))
                for name, value in (
                    ("ElementName", "Virtual Hardware Family"),
                    ("InstanceID", "0"),
                    ("VirtualSystemType", ""),
                ):
                    etree.SubElement(described, f"{{{n.VSSD}}}{name}").text = value
            put_field(described, "VirtualSystemType", " ".join(words), n.VSSD)

    return change


def set_transport(machine: str | None, transports: str) -> Change:
    """How the guest gets its OVF environment: ``iso``, ``com.vmware.guestInfo``, or "" (§9.5.2)."""

    def change(envelope: Envelope) -> None:
        for section in hardware_of(envelope, machine):
            if transports.split():
                put(section, "transport", " ".join(transports.split()))
            else:
                drop(section, "transport")

    return change
