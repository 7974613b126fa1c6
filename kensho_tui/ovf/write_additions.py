"""Sections that OVF 2 added, written: the way back of `kensho_tui.ovf.additions`."""

from collections.abc import Sequence

from lxml import etree

from kensho_tui.machine import Appliance, Boot, Machine
from kensho_tui.ovf.build import element, section
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
