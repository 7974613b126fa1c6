"""Controllers and the drives on them (DSP0243 2.1.1 §8.3)."""

import re
from collections.abc import Sequence

from lxml import etree

from kensho_tui.ovf import names as n
from kensho_tui.ovf import xml
from kensho_tui.ovf.editing import Change
from kensho_tui.ovf.edits.devices import (
    CONTROLLERS,
    DRIVES,
    MEDIA_DRIVES,
    edited,
    ident,
    of_kind,
    put_or_drop,
)
from kensho_tui.ovf.edits.machines import hardware_of
from kensho_tui.ovf.edits.variants import check_option
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.errors import DescriptorError
from kensho_tui.ovf.tree import field, hardware_items, new_item, put, put_field, resource_type

# A SCSI bus has sixteen places, one of which is the controller's own.
PLACES = {n.SCSI: [*range(7), *range(8, 16)], n.IDE: [0, 1], n.OTHER_STORAGE: list(range(30))}
# Kinds of controllers by the word an operator has for them: type, and sub-type where it has to say.
KINDS = {
    "ide": (n.IDE, ""), "scsi": (n.SCSI, "lsilogic"), "sata": (n.OTHER_STORAGE, "AHCI"),
    "nvme": (n.OTHER_STORAGE, "vmware.nvme.controller"), "virtio": (n.OTHER_STORAGE, "virtio"),
    "usb": (n.USB, ""),
}  # fmt: skip


def add_controller(
    machine: str | None, kind: str, *, subtype: str = "", configuration: str | None = None
) -> Change:
    """A controller more: ``ide``, ``scsi``, ``sata``, ``nvme``, ``virtio`` or ``usb``.

    Args: subtype: its model; "" takes the usual one.

    Raises: DescriptorError: no such kind.
    """
    if kind.lower() not in KINDS:
        raise DescriptorError(
            f"there is no kind of controller '{kind}'", remedy=f"Known are: {', '.join(KINDS)}"
        )
    type_, usual = KINDS[kind.lower()]

    def change(envelope: Envelope) -> None:
        check_option(envelope, configuration)
        for section in hardware_of(envelope, machine):
            item = made_controller(section, type_, subtype.strip() or usual, kind.upper())
            if configuration is not None:
                put(item, "configuration", configuration)

    return change


def made_controller(section: etree._Element, type_: int, subtype: str, word: str) -> etree._Element:
    """A new controller in a hardware section, with the next number of its kind."""
    number = len({ident(each) for each in of_kind(section, type_)})
    item = new_item(section, type_)
    put_field(item, "ElementName", f"{word} controller {number}")
    put_field(item, "Address", str(number))
    put_or_drop(item, "ResourceSubType", xml.printable(subtype))
    return item


def place(section: etree._Element, wanted: Sequence[int]) -> tuple[str, int] | None:
    """A controller's InstanceID and a free address on it, of the first of those kinds with room; None: none."""
    taken: dict[str, set[str]] = {}
    for item in hardware_items(section):
        taken.setdefault(field(item, "Parent"), set()).add(field(item, "AddressOnParent"))
    for type_ in wanted:
        for item in of_kind(section, type_):
            for at in PLACES[type_]:
                if ident(item) and str(at) not in taken.get(ident(item), set()):
                    return ident(item), at
    return None


def disk_place(section: etree._Element) -> tuple[str, int]:
    """Where a new disk goes; a SCSI controller is made where none has room."""
    found = place(section, (n.SCSI, n.OTHER_STORAGE, n.IDE))
    if found is not None:
        return found
    made = new_item(section, n.SCSI)
    put_field(made, "ElementName", "SCSI controller")
    put_field(made, "ResourceSubType", "lsilogic")
    return ident(made), 0


def set_place(
    machine: str | None,
    device: str,
    controller: str,
    unit: int | None = None,
    configuration: str | None = None,
) -> Change:
    """The controller a drive hangs on, and its address there; None takes the next free one.

    Raises (when applied): DescriptorError: no drive, no such controller, no such place, or it is taken.
    """

    def change(envelope: Envelope) -> None:
        for item in edited(envelope, machine, device, configuration, DRIVES, "drive"):
            _hang(envelope, item, controller, unit)

    return change


def _hang(envelope: Envelope, item: etree._Element, controller: str, unit: int | None) -> None:
    """Put a drive on a controller of its own hardware section."""
    section = item.getparent()
    here = [] if section is None else list(hardware_items(section))
    found = [each for each in here if controller in {ident(each), field(each, "ElementName")}]
    kind = resource_type(found[0]) if found else None
    if kind not in CONTROLLERS:
        known = [
            f"{ident(each)} ({field(each, 'ElementName')})"
            for each in here
            if resource_type(each) in CONTROLLERS
        ]
        raise DescriptorError(
            f"the machine has no controller '{controller}'",
            subject=envelope.subject,
            remedy=f"It has: {', '.join(known)}" if known else "Add one first",
        )
    parent = ident(found[0])
    taken = {
        field(each, "AddressOnParent"): field(each, "ElementName") or ident(each)
        for each in here
        if field(each, "Parent") == parent and ident(each) != ident(item)
    }
    places = PLACES.get(kind or 0, list(range(16)))
    at = unit
    if at is None:
        at = next((each for each in places if str(each) not in taken), None)
        if at is None:
            raise DescriptorError(
                f"the controller '{controller}' has no room",
                subject=envelope.subject,
                remedy="Add a controller, or move another drive first",
            )
    if at not in places:
        raise DescriptorError(
            f"a controller of this kind has no place {at}",
            subject=envelope.subject,
            remedy=f"Its places are {places[0]} to {places[-1]}"
            + (", without 7, which is its own" if kind == n.SCSI else ""),
        )
    if str(at) in taken:
        raise DescriptorError(
            f"'{taken[str(at)]}' is on that place already",
            subject=envelope.subject,
            remedy="Choose another place",
        )
    put_field(item, "Parent", parent)
    put_field(item, "AddressOnParent", str(at))


def add_drive(
    machine: str | None, medium: str = "cdrom", href: str = "", configuration: str | None = None
) -> Change:
    """A CD or floppy drive, empty or with a file of the package in it.

    Args:
        medium: ``cdrom`` or ``floppy``.
        href: name of the file; "" for an empty drive.

    Raises: DescriptorError: another medium; when applied: no such file.
    """
    if medium not in {"cdrom", "floppy"}:
        raise DescriptorError(
            f"there is no drive for '{medium}'", remedy="Known are: cdrom, floppy"
        )

    def change(envelope: Envelope) -> None:
        check_option(envelope, configuration)
        for section in hardware_of(envelope, machine):
            cdrom = medium == "cdrom"
            where = place(section, (n.IDE, n.OTHER_STORAGE, n.SCSI)) if cdrom else None
            if cdrom and where is None:
                made = made_controller(section, n.IDE, "", "IDE")
                where = ident(made), 0
            type_ = n.CDROM if cdrom else n.FLOPPY
            count = len({ident(each) for each in of_kind(section, type_)})
            item = new_item(section, type_)
            noun = "CD/DVD drive" if cdrom else "Floppy drive"
            put_field(item, "ElementName", f"{noun} {count + 1}")
            put_field(item, "AutomaticAllocation", "true")
            if where is not None:
                put_field(item, "AddressOnParent", str(where[1]))
                put_field(item, "Parent", where[0])
            put_or_drop(item, "HostResource", _file_resource(envelope, href))
            if configuration is not None:
                put(item, "configuration", configuration)

    return change


def _file_resource(envelope: Envelope, href: str) -> str:
    if not href:
        return ""
    file = next((each for each in envelope.files if each.href == href), None)
    if file is None:
        raise DescriptorError(
            "the package has no such file", subject=href, remedy="Add it to the package first"
        )
    return f"ovf:/file/{file.id}"


def set_medium(
    machine: str | None, device: str, href: str, configuration: str | None = None
) -> Change:
    """The file in a CD or floppy drive; "" empties it."""

    def change(envelope: Envelope) -> None:
        resource = _file_resource(envelope, href)
        for item in edited(
            envelope, machine, device, configuration, MEDIA_DRIVES, "CD or floppy drive"
        ):
            put_or_drop(item, "HostResource", resource)

    return change


def attach_disk(
    machine: str | None, disk: str, controller: str = "", configuration: str | None = None
) -> Change:
    """A drive with a disk that the package has already.

    Args: controller: that it hangs on; "" takes one that has room, or a new one.
    """

    def change(envelope: Envelope) -> None:
        check_option(envelope, configuration)
        known = [each.id for each in envelope.disks]
        if disk not in known:
            raise DescriptorError(f"there is no disk '{disk}'", subject=envelope.subject,
                                  remedy=f"There are: {', '.join(known)}")  # fmt: skip
        for section in hardware_of(envelope, machine):
            parent, at = disk_place(section)
            item = new_item(section, n.DISK)
            put_field(item, "ElementName", f"Hard disk ({disk})")
            put_field(item, "AddressOnParent", str(at))
            put_field(item, "HostResource", f"ovf:/disk/{disk}")
            put_field(item, "Parent", parent)
            if configuration is not None:
                put(item, "configuration", configuration)
            if controller:
                _hang(envelope, item, controller, None)

    return change


def disk_resource(disk: str) -> re.Pattern[str]:
    """How a drive names that disk."""
    return re.compile(rf"(?:ovf:)?/+disk/{re.escape(disk)}")
