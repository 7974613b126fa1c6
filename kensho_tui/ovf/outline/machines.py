"""A machine as an editor shows it: what it is, when it starts, and what is in it."""

from lxml import etree

from kensho_tui.machine import Firmware, Machine
from kensho_tui.ovf import edits, hardware, xml
from kensho_tui.ovf.edits.settings import entries, has_boot_order
from kensho_tui.ovf.errors import DescriptorError
from kensho_tui.ovf.outline import sizes
from kensho_tui.ovf.outline.actions import (
    adapter_action,
    controller_action,
    disk_action,
    drive_action,
    licence_actions,
    product_action,
    serial_action,
    setting_action,
)
from kensho_tui.ovf.outline.context import Context
from kensho_tui.ovf.outline.devices import devices
from kensho_tui.ovf.outline.nodes import Field, Kind, Node, flag, lines_of, yes
from kensho_tui.ovf.outline.products import licence_nodes, product_nodes

_TRANSPORTS = ("", "iso", "com.vmware.guestInfo", "iso com.vmware.guestInfo")
ALONE = "the machine is alone in its package"


def machine_node(context: Context, element: etree._Element, found: Machine) -> Node:
    """The machine with all that is in it. Args: found: what was read of the element."""
    id_ = found.id
    section = hardware.choose(list(xml.children(element, "VirtualHardwareSection")))
    groups, rest = devices(context, id_, section)
    products = product_nodes(context, id_, element)
    licences = licence_nodes(context, id_, element)
    settings = _settings(id_, section)
    actions = (
        adapter_action(context, id_),
        disk_action(id_),
        drive_action(context, id_),
        controller_action(context, id_),
        serial_action(context, id_),
        product_action(id_),
        *licence_actions(id_),
        setting_action(id_),
    )
    alone = len(context.appliance.machines) < 2
    return Node(
        id=f"machine:{id_}",
        label=found.name,
        noun="machine",
        detail=f"{found.processors.count} CPU, {sizes.shown(found.memory.size)}",
        about="One virtual machine. a adds a device, a product, a licence or a setting to it.",
        fields=(
            *_about(context, element, found),
            *_hardware(context, found, section),
            *_system(context, element, found),
            *_start(context, found, alone=alone),
        ),
        actions=actions if section is not None else (),
        remove=None if alone else edits.remove_machine(id_),
        stays="a package has at least one machine" if alone else "",
        children=(*groups, *rest, *products, *licences, *settings),
        lines=lines_of(element),
    )


def _about(context: Context, element: etree._Element, found: Machine) -> list[Field]:
    id_ = found.id
    name = xml.child(element, "Name")
    note = next(
        (xml.child(each, "Annotation") for each in xml.children(element, "AnnotationSection")), None
    )
    about = "What it is called on the target, unless another name is chosen there."
    return [
        Field("name", "Name", context.text(name), about=context.translated(name, about),
              change=lambda v: edits.set_name(id_, v)),
        Field("annotation", "Annotation", context.text(note), Kind.LINES,
              about=context.translated(note, "What people read about it."),
              change=lambda v: edits.set_annotation(id_, v)),
    ]  # fmt: skip


def _system(context: Context, element: etree._Element, found: Machine) -> list[Field]:
    id_ = found.id
    system = xml.child(element, "OperatingSystemSection")
    said = None if system is None else xml.child(system, "Description")
    return [
        Field("os", "System", found.os.description,
              about=context.translated(said, "The operating system in words."),
              change=lambda v: edits.set_system(id_, "os", v)),
        Field("os-id", "System's number", "" if system is None else xml.attr(system, "id") or "",
              about="Its number in CIM_OperatingSystem.OsType: 96 is Debian 64 bit, 1 is another one.",
              change=lambda v: edits.set_system(id_, "os-id", v)),
        Field("os-version", "System's version", found.os.version,
              about="The version of the operating system; may be empty.",
              change=lambda v: edits.set_system(id_, "os-version", v)),
        Field("os-type", "VMware's name", found.os.vendor_id,
              about="VMware's own name of the system, such as ubuntu64Guest; empty for none.",
              change=lambda v: edits.set_system(id_, "os-type", v)),
    ]  # fmt: skip


def _hardware(context: Context, found: Machine, section: etree._Element | None) -> list[Field]:
    id_, option = found.id, context.configuration
    if section is None:
        return [Field("hardware", "Hardware", fixed="the machine has no virtual hardware")]
    transport = " ".join((xml.attr(section, "transport") or "").split())
    known = dict.fromkeys((*_TRANSPORTS, transport))
    places = has_boot_order(context.envelope, id_)
    uefi = found.firmware is Firmware.UEFI
    return [
        Field("cpus", "Processors", str(found.processors.count), options=True,
              shown=context.differing(id_, lambda m: str(m.processors.count)),
              about="How many processors the guest sees.",
              change=lambda v: edits.set_processors(id_, _whole(v), option)),
        Field("cores", "Cores a socket", str(found.processors.cores_per_socket), options=True,
              shown=context.differing(id_, lambda m: str(m.processors.cores_per_socket)),
              about="How many of them are in one socket; it divides the processors. Only VMware reads it.",
              change=lambda v: edits.set_cores(id_, _whole(v), option)),
        Field("memory", "Memory", sizes.shown(found.memory.size), options=True,
              shown=context.differing(id_, lambda m: sizes.shown(m.memory.size)),
              about="Main memory: 512 MiB, 4 GiB.",
              change=lambda v: edits.set_memory(id_, sizes.parsed(v), option)),
        Field("hardware", "Hardware family", " ".join(found.hardware),
              about="What the hardware is made for: vmx-21 for vSphere, hvm-3.0-unknown for Xen.",
              change=lambda v: edits.set_families(id_, v)),
        Field("transport", "Settings come by", transport, Kind.CHOICE,
              tuple((each, each or "not said") for each in known),
              about="How the guest is handed its settings: a CD (iso), or VMware Tools (com.vmware.guestInfo).",
              change=lambda v: edits.set_transport(id_, v)),
        Field("firmware", "Firmware", found.firmware.value, Kind.CHOICE,
              tuple((each.value, each.value.upper()) for each in Firmware),
              about="What starts the machine. A system that was installed for one does not start by the other.",
              change=lambda v: edits.set_firmware(id_, v)),
        Field("secure-boot", "Secure boot", flag(found.secure_boot), Kind.FLAG,
              about="Whether only what is signed is started.",
              fixed="" if uefi else "only UEFI has it",
              change=lambda v: edits.set_secure_boot(id_, yes(v))),
        Field("boot-order", "Boot order", " ".join(found.boot_order),
              shown="" if places else "as the target has it",
              about="What is tried, in this order: disk, cdrom, network, floppy.",
              fixed="" if places else "OVF has no place for it, and this package has no vendor's",
              change=lambda v: edits.set_boot_order(id_, v.replace(",", " ").split())),
    ]  # fmt: skip


def _start(context: Context, found: Machine, *, alone: bool) -> list[Field]:
    id_, start = found.id, found.start
    fixed = ALONE if alone else ""
    return [
        Field("start", "Is started", flag(start.start), Kind.FLAG, fixed=fixed,
              about="Whether it is started with the others.",
              change=lambda v: edits.set_start(id_, "start", v)),
        Field("order", "Start order", str(start.order), fixed=fixed,
              about="Machines of a lower number start first, those of the same number together.",
              change=lambda v: edits.set_start(id_, "order", v)),
        Field("start-delay", "Wait after start", str(start.start_delay_s), fixed=fixed,
              shown=f"{start.start_delay_s} s",
              about="Seconds after this machine's start until the next ones start.",
              change=lambda v: edits.set_start(id_, "start-delay", v)),
        Field("wait-for-guest", "Wait for guest", flag(start.wait_for_guest), Kind.FLAG, fixed=fixed,
              about="Whether the next ones wait until the guest says that it is up.",
              change=lambda v: edits.set_start(id_, "wait-for-guest", v)),
        Field("stop-delay", "Wait after stop", str(start.stop_delay_s), fixed=fixed,
              shown=f"{start.stop_delay_s} s",
              about="Seconds after this machine's stop until the next ones stop.",
              change=lambda v: edits.set_start(id_, "stop-delay", v)),
    ]  # fmt: skip


def _whole(text: str) -> int:
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) < 7):
        raise DescriptorError(f"'{text}' is no whole number")
    return int(text)


def _settings(machine: str, section: etree._Element | None) -> list[Node]:
    """VMware's settings, where there are some."""
    if section is None:
        return []
    found = entries(section)
    if not found:
        return []
    nodes = []
    for element, kind, key, value in found:
        nodes.append(_setting(machine, element, kind, key, value))
    return [
        Node(
            id=f"machine:{machine}/settings",
            label="Settings of VMware's",
            detail=str(len(nodes)),
            about="Pairs of key and value that VMware's products read.",
            actions=(setting_action(machine),),
            children=tuple(nodes),
        )
    ]


def _setting(machine: str, element: etree._Element, kind: str, key: str, value: str) -> Node:
    return Node(
        id=f"machine:{machine}/setting:{kind}:{key}",
        label=key,
        noun="setting",
        detail=value,
        about="ExtraConfig is a line of the .vmx file; Config is a setting that VMware names."
        if kind == "ExtraConfig"
        else "A setting of the machine that VMware names.",
        fields=(
            Field("value", "Value", value, about="A text; true and false are written so.",
                  change=lambda v: edits.set_setting(machine, kind, key, v)),
        ),
        remove=edits.remove_setting(machine, kind, key),
        lines=lines_of(element),
    )  # fmt: skip
