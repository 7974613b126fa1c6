"""Devices of a machine as an editor shows them: adapters, controllers with their drives, and the rest."""

from collections.abc import Callable
from dataclasses import dataclass

from lxml import etree

from kensho_tui.machine import canonical_mac
from kensho_tui.ovf import edits, items
from kensho_tui.ovf import names as n
from kensho_tui.ovf.editing import Change
from kensho_tui.ovf.edits.devices import CONTROLLERS, DISK_DRIVES, DRIVES
from kensho_tui.ovf.errors import DescriptorError
from kensho_tui.ovf.items import Item
from kensho_tui.ovf.outline import sizes
from kensho_tui.ovf.outline.actions import (
    adapter_action,
    attach_action,
    controller_action,
    disk_action,
    drive_action,
    files,
    networks,
    serial_action,
)
from kensho_tui.ovf.outline.context import Context
from kensho_tui.ovf.outline.nodes import Field, Kind, Node, flag, lines_of
from kensho_tui.ovf.tree import hardware_items

_NOUNS = {
    n.ETHERNET: "network adapter", n.IDE: "IDE controller", n.SCSI: "SCSI controller", n.USB: "USB controller",
    n.OTHER_STORAGE: "controller", n.CDROM: "CD drive", n.DVD: "DVD drive", n.FLOPPY: "floppy drive",
    n.SERIAL: "serial port", **dict.fromkeys(DISK_DRIVES, "disk drive"),
}  # fmt: skip
_NAMELESS = "it has neither InstanceID nor name: 'kensho package check --fix' gives it one"


@dataclass(frozen=True, slots=True)
class _Device:
    """One device: what it is in the option that is edited, and everywhere it is written."""

    item: Item
    elements: tuple[etree._Element, ...]
    only: str  # options it is in, where it is not in all

    @property
    def type(self) -> int:
        return self.item.type or 0

    @property
    def key(self) -> str:
        """What edits know it by; "" where it has nothing of the kind."""
        return self.item.instance or self.item.get("ElementName")


def _found(context: Context, section: etree._Element) -> list[_Device]:
    """The devices of the section: those of the option that is edited, or of all options."""
    every = [items.read(each) for each in hardware_items(section)]
    same: dict[tuple[str, int | None], list[Item]] = {}
    for each in every:
        same.setdefault((each.instance, each.type), []).append(each)
    resolved = items.resolve(section, context.appliance.configuration)
    here = {(each.instance, each.type): each for each in resolved if each.instance}
    nameless = {each.element for each in resolved if not each.instance}
    found: dict[object, _Device] = {}
    for number, each in enumerate(every):
        named = (each.instance, each.type)
        key: object = named if each.instance else number
        if key in found:
            continue
        shown = here.get(named) if each.instance else each if each.element in nameless else None
        if shown is None and context.configuration is not None:
            continue
        alike = same[named] if each.instance else [each]
        found[key] = _Device(
            shown or each, tuple(item.element for item in alike), _only(context, alike)
        )
    return list(found.values())


def _only(context: Context, alike: list[Item]) -> str:
    """The options that the device is in, where it is not in all of them."""
    if not context.others or any(not each.configurations for each in alike):
        return ""
    among = {option for each in alike for option in each.configurations}
    known = [each for each in context.others if each in among]
    return "" if len(known) == len(context.others) else ", ".join(known)


def devices(
    context: Context, id_: str, section: etree._Element | None
) -> tuple[list[Node], list[Node]]:
    """Adapters and drives in groups of their own, and the rest in one."""
    if section is None:
        return [], []
    every = _found(context, section)
    adapters = [_node(context, id_, e) for e in every if e.type == n.ETHERNET]
    controllers = [each for each in every if each.type in CONTROLLERS]
    drives = [each for each in every if each.type in DRIVES or _is_disk(each)]
    there = {each.item.instance for each in controllers}
    storage = [
        _node(
            context,
            id_,
            each,
            controllers,
            [d for d in drives if d.item.get("Parent") == each.item.instance],
        )
        for each in controllers
    ]
    storage += [
        _node(context, id_, each, controllers)
        for each in drives
        if each.item.get("Parent") not in there
    ]
    taken = {id(each) for each in (*controllers, *drives)}
    others = [
        _node(context, id_, each)
        for each in every
        if id(each) not in taken and each.type not in {n.PROCESSOR, n.MEMORY, n.ETHERNET}
    ]
    groups = [
        Node(
            f"machine:{id_}/adapters", "Network adapters", detail=str(len(adapters)),
            about="What connects the machine to networks. a adds one.",
            actions=(adapter_action(context, id_),), children=tuple(adapters),
        ),
        Node(
            f"machine:{id_}/storage", "Disks and drives", detail=str(len(drives)),
            about="Controllers, and the disks and drives on them. a adds one.",
            actions=(disk_action(id_), attach_action(context, id_), drive_action(context, id_),
                     controller_action(context, id_)),
            children=tuple(storage),
        ),
    ]  # fmt: skip
    rest = [
        Node(
            f"machine:{id_}/others", "Other devices", detail=str(len(others)),
            about="Ports, cards and what else the machine has.",
            actions=(serial_action(context, id_),), children=tuple(others),
        )
    ] if others else []  # fmt: skip
    return groups, rest


def _is_disk(device: _Device) -> bool:
    """A disk as Hyper-V writes one, under the number of a serial port."""
    return device.type == n.SERIAL and bool(device.item.get("HostResource"))


def _node(
    context: Context,
    machine: str,
    device: _Device,
    controllers: list[_Device] | None = None,
    drives: list[_Device] | None = None,
) -> Node:
    item, key = device.item, device.key
    option = context.configuration
    noun = _NOUNS.get(device.type) or n.RESOURCE_NAMES.get(device.type, "device")
    about = f"{noun[0].upper()}{noun[1:]}, InstanceID {item.instance or 'missing'}."
    if device.only:
        about += f" Only in: {device.only}."
    named = item.get("ElementName")
    fields = [_field(context, key, "name", "Name", named, "What it is called.",
                     lambda v: edits.set_device_name(machine, key, v, option))]  # fmt: skip
    if device.type == n.ETHERNET:
        fields += _adapter(context, machine, device)
    elif device.type in CONTROLLERS:
        fields += _controller(context, machine, device)
    elif device.type in DRIVES or _is_disk(device):
        fields += _drive(context, machine, device, controllers or [])
    else:
        fields.append(Field("type", "Kind", str(item.type or ""), shown=f"{noun} ({item.type})",
                            fixed="remove it and add another one"))  # fmt: skip
        if device.type == n.SERIAL:
            fields.append(
                _field(context, key, "address", "Leads to", item.get("Address"), "Such as telnet://:9101.",
                       lambda v: edits.set_device_address(machine, key, v, option))
            )  # fmt: skip
    detail = _detail(context, device)
    return Node(
        id=f"machine:{machine}/device:{item.instance or item.label}",
        label=named or item.get("Caption") or f"{noun[0].upper()}{noun[1:]}",
        noun=noun,
        detail=f"{detail} · only {device.only}" if device.only else detail,
        about=about,
        fields=tuple(fields),
        remove=edits.remove_device(machine, key, option) if key else None,
        stays="" if key else _NAMELESS,
        actions=(adapter_action(context, machine),) if device.type == n.ETHERNET else (),
        children=tuple(_node(context, machine, each, controllers) for each in drives or []),
        lines=lines_of(*device.elements),
    )


def _field(
    context: Context,
    key: str,
    id_: str,
    label: str,
    value: str,
    about: str,
    change: Callable[[str], Change],
    kind: Kind = Kind.TEXT,
    choices: tuple[tuple[str, str], ...] = (),
) -> Field:
    """A field that a deployment option may have for itself."""
    return Field(id_, label, value, kind, choices, about, "" if key else _NAMELESS, change, True)


def _adapter(context: Context, machine: str, device: _Device) -> list[Field]:
    item, key, option = device.item, device.key, context.configuration
    network, mac = item.get("Connection"), item.get("Address")
    connected = item.get("AutomaticAllocation").lower() not in {"false", "0", "no"}
    return [
        _field(context, key, "network", "Network", network, "The network it is on.",
               lambda v: edits.set_adapter_network(machine, key, v, option),
               Kind.CHOICE, networks(context, network)),
        _field(context, key, "mac", "MAC address", canonical_mac(mac) or mac,
               "Such as 00:50:56:aa:bb:01. Empty: the target chooses one.",
               lambda v: edits.set_adapter_mac(machine, key, v, option)),
        _field(context, key, "model", "Model", item.subtype,
               "What the guest sees it as: VmxNet3, E1000, virtio … Empty leaves it to the target.",
               lambda v: edits.set_device_type(machine, key, v, option)),
        _field(context, key, "connected", "Connected", flag(connected),
               "Whether it is connected when the machine starts.",
               lambda v: edits.set_connected(machine, key, v, option), Kind.FLAG),
    ]  # fmt: skip


def _controller(context: Context, machine: str, device: _Device) -> list[Field]:
    item, key, option = device.item, device.key, context.configuration
    return [
        _field(context, key, "model", "Model", item.subtype,
               "Such as lsilogic, VirtualSCSI or AHCI. Empty leaves it to the target.",
               lambda v: edits.set_device_type(machine, key, v, option)),
        _field(context, key, "address", "Number", item.get("Address"), "Its number among those of its kind.",
               lambda v: edits.set_device_address(machine, key, v, option)),
    ]  # fmt: skip


def _drive(
    context: Context, machine: str, device: _Device, controllers: list[_Device]
) -> list[Field]:
    item, key, option = device.item, device.key, context.configuration
    parent, unit = item.get("Parent"), item.get("AddressOnParent")
    known = tuple((each.item.instance, each.item.label) for each in controllers)
    fields = [
        _field(context, key, "controller", "On controller", parent, "It takes the next free place there.",
               lambda v: edits.set_place(machine, key, v, None, option), Kind.CHOICE, known),
        _field(context, key, "unit", "At place", unit, "Its number on the controller, from 0.",
               lambda v: edits.set_place(machine, key, parent, _place(v), option)),
    ]  # fmt: skip
    if device.type in DISK_DRIVES or _is_disk(device):
        disk = item.get("HostResource") or item.get("Connection")
        fixed = "remove the drive, and add one with another disk (a)"
        return [Field("disk", "Disk", disk, shown=disk.rpartition("/")[2], fixed=fixed), *fields]
    inside = files(context)
    href = _inside(context, device)
    if href and href not in dict(inside):
        inside = (*inside, (href, href))
    medium = _field(context, key, "file", "File in it", href, "A file of the package; or none.",
                    lambda v: edits.set_medium(machine, key, v, option), Kind.CHOICE, inside)  # fmt: skip
    return [medium, *fields]


def _place(text: str) -> int:
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) < 4):
        raise DescriptorError(f"'{text}' is no place", remedy="Places are numbers from 0")
    return int(text)


def _inside(context: Context, device: _Device) -> str:
    """Name of the file in a drive; "" where it is empty."""
    id_ = device.item.get("HostResource").rpartition("/")[2]
    file = context.envelope.file(id_) if id_ else None
    return file.href if file else ""


def _detail(context: Context, device: _Device) -> str:
    item = device.item
    if device.type == n.ETHERNET:
        return item.get("Connection") or "not connected"
    if device.type in CONTROLLERS:
        return item.subtype
    if device.type in DISK_DRIVES or _is_disk(device):
        id_ = (item.get("HostResource") or item.get("Connection").partition(",")[0]).rpartition(
            "/"
        )[2]
        disk = next((each for key, each in context.appliance.disks.items() if key == id_), None)
        return id_ if disk is None else f"{id_}, {sizes.shown(disk.capacity) or 'size unknown'}"
    if device.type in DRIVES:
        return _inside(context, device) or "empty"
    return item.get("Address")
