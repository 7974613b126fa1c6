"""Processors, memory, families and transports of a machine (DSP0243 2.1.1 §8)."""

import re
from collections.abc import Iterator

from lxml import etree

from kensho_tui.ovf import names as n
from kensho_tui.ovf import xml
from kensho_tui.ovf.editing import Change
from kensho_tui.ovf.edits.machines import hardware_of
from kensho_tui.ovf.edits.variants import check_option, variants
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.errors import DescriptorError
from kensho_tui.ovf.tree import (
    bound,
    drop,
    field,
    hardware_items,
    inserted,
    new_item,
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
    check_option(envelope, configuration)
    for section in hardware_of(envelope, machine):
        items = [each for each in hardware_items(section) if resource_type(each) == type_]
        items = [each for each in items if bound(each) in {"", "normal"}] or items
        yield from variants(items or [new_item(section, type_)], configuration)


def set_cores(machine: str | None, cores: int, configuration: str | None = None) -> Change:
    """Cores of a socket, as VMware tells it; they have to divide the number of processors.

    Raises (when applied): DescriptorError: they do not.
    """
    if not 0 < cores <= _MOST_PROCESSORS:
        raise DescriptorError(f"a socket has 1 to {_MOST_PROCESSORS} cores, not {cores}")

    def change(envelope: Envelope) -> None:
        for item in _edited_items(envelope, machine, n.PROCESSOR, configuration):
            count = xml.number(field(item, "VirtualQuantity")) or 0
            if count % cores:
                raise DescriptorError(
                    f"{count} processors cannot be sockets of {cores} cores each",
                    subject=envelope.subject,
                    remedy="Choose a number of cores that divides the number of processors",
                )
            present = xml.child(item, "CoresPerSocket")
            if present is None:
                present = etree.SubElement(item, f"{{{n.VMW}}}CoresPerSocket", nsmap={"vmw": n.VMW})
                put(present, "required", "false")
            present.text = str(cores)

    return change


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
