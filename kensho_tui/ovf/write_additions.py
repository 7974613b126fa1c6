"""Sections about machines together and those that OVF 2 added: the way back of `kensho_tui.ovf.additions`."""

from collections.abc import Sequence

from lxml import etree

from kensho_tui.machine import Appliance, Boot, Machine, ScaleOut, SharedResources
from kensho_tui.ovf import names as n
from kensho_tui.ovf.build import element, put, section
from kensho_tui.ovf.names import BOOT_CONFIG, BOOT_SOURCE

# CIM_BootSourceSetting.StructuredBootString: "<organization>:<device>:<number>"
_SOURCES = {
    Boot.DISK: "CIM:Hard-Disk:1", Boot.CDROM: "CIM:CD/DVD:1", Boot.NETWORK: "CIM:Network:1",
    Boot.FLOPPY: "CIM:Floppy:1",
}  # fmt: skip


def boot_devices(parent: etree._Element, order: Sequence[Boot]) -> None:
    """A BootDeviceSection, where there is an order."""
    if not order:
        return
    made = section(parent, "ovf:BootDeviceSection", "The order of boot devices")
    space = {"bootc": BOOT_CONFIG, "boots": BOOT_SOURCE}
    config = etree.SubElement(made, f"{{{BOOT_CONFIG}}}CIM_BootConfigSetting", nsmap=space)
    _fields(config, BOOT_CONFIG, ElementName="Boot order", InstanceID="boot")
    for number, boot in enumerate(order, 1):
        source = etree.SubElement(config, f"{{{BOOT_SOURCE}}}CIM_BootSourceSetting")
        _fields(source, BOOT_SOURCE, ElementName=boot.value, InstanceID=f"boot-{number}",
                StructuredBootString=_SOURCES[boot])  # fmt: skip


def _fields(parent: etree._Element, space: str, **fields: str) -> None:
    for name, value in fields.items():
        etree.SubElement(parent, f"{{{space}}}{name}").text = value


def environment_files(parent: etree._Element, appliance: Appliance, machine: Machine) -> None:
    """An EnvironmentFilesSection with the files that the machine's guest is handed."""
    mine = [e for e in appliance.environment_files if e.owner in {"", machine.id}]
    if not mine:
        return
    made = section(parent, "ovf:EnvironmentFilesSection", "Files for the guest")
    for file in mine:
        element(made, "ovf:File", fileRef=f"blob-{file.name}", path=file.path)


def install(parent: etree._Element, machine: Machine) -> None:
    """An InstallSection, where the machine's first start installs it (DSP0243 2.1.1 §9.10)."""
    if machine.install is not None:
        delay = str(min(max(machine.install.stop_delay_s, 0), 65535))
        section(
            parent, "ovf:InstallSection", "Installed by the first start", initialBootStopDelay=delay
        )


def placement_groups(parent: etree._Element, appliance: Appliance) -> None:
    """A PlacementGroupSection for each group."""
    for group in appliance.placement_groups:
        made = section(
            parent, "ovf:PlacementGroupSection", "Placement", id=group.id, policy=group.policy
        )
        if group.description:
            element(made, "ovf:Description", group.description)


def placement(parent: etree._Element, machine: Machine) -> None:
    """A PlacementSection, where the machine is in a group."""
    if machine.placement:
        section(parent, "ovf:PlacementSection", "Placement", group=machine.placement)


def scale_outs(parent: etree._Element, found: Sequence[ScaleOut]) -> None:
    """A ScaleOutSection for each."""
    for each in found:
        made = section(parent, "ovf:ScaleOutSection", "Instances", id=each.of)
        if each.description:
            element(made, "ovf:Description", each.description)
        counts = element(
            made, "ovf:InstanceCount", minimum=str(each.minimum), default=str(each.default)
        )
        if each.maximum is not None:
            put(counts, "ovf:maximum", str(each.maximum))


def shared_resources(parent: etree._Element, found: Sequence[SharedResources]) -> None:
    """A ResourceAllocationSection for each (DSP0243 2.1.1 §9.3)."""
    for each in found:
        made = section(parent, "ovf:ResourceAllocationSection", "Resources of all together")
        for number, (type_, units, reserved, most) in enumerate(
            (
                (
                    n.PROCESSOR,
                    "hertz * 10^6",
                    each.processor_reservation_mhz,
                    each.processor_limit_mhz,
                ),
                (n.MEMORY, "byte", each.memory_reservation, each.memory_limit),
            ),
            1,
        ):
            if reserved is None and most is None:
                continue
            item = element(made, "ovf:Item")
            element(item, "rasd:AllocationUnits", units)
            element(item, "rasd:ElementName", "Processors" if type_ == n.PROCESSOR else "Memory")
            element(item, "rasd:InstanceID", str(number))
            if most is not None:
                element(item, "rasd:Limit", str(most))
            if reserved is not None:
                element(item, "rasd:Reservation", str(reserved))
            element(item, "rasd:ResourceType", str(type_))
