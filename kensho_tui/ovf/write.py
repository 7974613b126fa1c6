"""An appliance to a descriptor of OVF 1.1 (valid by DSP8023 1.1.1) or 2.0 (valid by DSP8023 2.0.1).

What the standard has no place for goes into attributes and elements of our own namespace, where
every other reader may pass over it; what VMware and XenCenter understand is written as they write it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from lxml import etree

from kensho_tui.machine import Appliance, Disk, DiskId, Machine, Medium, Start
from kensho_tui.ovf.appliance import FILE_DISK
from kensho_tui.ovf.build import NAMESPACES, element, extra, put, q, section, truth
from kensho_tui.ovf.errors import DescriptorError
from kensho_tui.ovf.names import XML
from kensho_tui.ovf.versions import Version, to_version
from kensho_tui.ovf.write_additions import (
    boot_devices,
    environment_files,
    install,
    placement,
    placement_groups,
    scale_outs,
    shared_resources,
)
from kensho_tui.ovf.write_hardware import hardware
from kensho_tui.ovf.write_sections import annotation, licences, operating_system, products


@dataclass(frozen=True, slots=True)
class FileEntry:
    """The file that holds a disk: name in the package, bytes, and format as a URI.

    ``compression``: ``gzip`` or ""; ``chunk_size``: bytes of the files that it is cut into, 0 where it is one.
    """

    href: str
    size: int
    format: str = ""
    compression: str = ""
    chunk_size: int = 0


def build(
    appliance: Appliance,
    files: Mapping[DiskId, FileEntry],
    *,
    key: str = "",
    version: Version = "1.1",
) -> bytes:
    """The descriptor of the appliance, in UTF-8.

    Args:
        appliance: resolved; its deployment options are not written any more.
        files: file of each disk that is not blank.
        key: mark of who wrote it, found again by `written_by`; "" for none.
        version: of the standard; what 1.1 has no word for is in 2.0 only.

    Raises: DescriptorError: a disk that has neither file nor capacity.
    """
    root = etree.Element(q("ovf:Envelope"), nsmap=NAMESPACES)
    root.set(f"{{{XML}}}lang", "en-US")
    if key:
        put(root, "kensho:key", key)
    collection = appliance.collection or len(appliance.machines) != 1
    file_ids = _references(root, appliance, files)
    _disks(root, appliance, files, file_ids)
    _networks(root, appliance)
    if version != "1.1":
        placement_groups(root, appliance)
    if collection:
        content = element(root, "ovf:VirtualSystemCollection", id=_collection_id(appliance))
        element(content, "ovf:Info", "The machines of the appliance")
        element(content, "ovf:Name", appliance.name)
        annotation(content, appliance.description)
        products(content, appliance, "")
        licences(content, appliance, "")
        shared_resources(content, appliance.shared_resources)
        if version != "1.1":
            scale_outs(content, appliance.scale_outs)
        _startup(content, appliance)
        for machine in appliance.machines:
            _system(content, appliance, machine, version)
    else:
        machine = appliance.machines[0]
        if appliance.name != machine.name:
            put(root, "xenovf:Name", appliance.name)
        if appliance.description:
            put(root, "kensho:description", appliance.description)
        _startup(root, appliance)
        _system(root, appliance, machine, version, owners=("", machine.id))
    etree.indent(root)
    if version != "1.1":
        root = to_version(root.getroottree(), version, lambda _: None)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8") + b"\n"


def _collection_id(appliance: Appliance) -> str:
    """An id no machine has."""
    wanted = appliance.name or "appliance"
    taken = {str(machine.id) for machine in appliance.machines}
    while wanted in taken:
        wanted += "-collection"
    return wanted


def _references(
    root: etree._Element, appliance: Appliance, files: Mapping[DiskId, FileEntry]
) -> dict[DiskId, str]:
    """The References; gives the file id of each disk that has a file."""
    references = element(root, "ovf:References")
    ids: dict[DiskId, str] = {}
    taken = {disk.removeprefix(FILE_DISK) for disk in files if disk.startswith(FILE_DISK)}
    for number, disk in enumerate(appliance.disks, 1):
        entry = files.get(disk)
        if entry is None:
            continue
        id_ = disk.removeprefix(FILE_DISK) if disk.startswith(FILE_DISK) else f"file{number}"
        while id_ in taken and not disk.startswith(FILE_DISK):
            id_ += "-disk"
        taken.add(id_)
        ids[disk] = id_
        made = element(references, "ovf:File", id=id_, href=entry.href, size=str(entry.size))
        if entry.compression:
            put(made, "ovf:compression", entry.compression)
        if entry.chunk_size:
            put(made, "ovf:chunkSize", str(entry.chunk_size))
    for name, data in appliance.blobs.items():
        element(references, "ovf:File", id=f"blob-{name}", href=name, size=str(len(data)))
    return ids


def _disks(
    root: etree._Element,
    appliance: Appliance,
    files: Mapping[DiskId, FileEntry],
    file_ids: Mapping[DiskId, str],
) -> None:
    if not appliance.disks and not appliance.extras:
        return
    made = section(root, "ovf:DiskSection", "The virtual disks")
    boots = _boots(appliance)
    for disk in appliance.disks.values():
        entry = files.get(disk.id)
        if not disk.blank and entry is None:
            raise DescriptorError("the disk has no file", subject=disk.name or disk.id)
        if disk.id.startswith(FILE_DISK):
            continue
        _disk(made, appliance, disk, entry, file_ids.get(disk.id), boots=disk.id in boots)
    for name, value in appliance.extras.items():
        extra(made, name, value)


def _boots(appliance: Appliance) -> frozenset[str]:
    """Ids of the disks some machine boots from."""
    return frozenset(
        str(attachment.disk)
        for machine in appliance.machines
        for attachment in machine.attachments
        if attachment.medium is Medium.DISK and attachment.boot_index == 0
    )


def _disk(
    parent: etree._Element,
    appliance: Appliance,
    disk: Disk,
    entry: FileEntry | None,
    file_id: str | None,
    *,
    boots: bool,
) -> None:
    capacity, units = _capacity(appliance, disk)
    made = element(parent, "ovf:Disk", diskId=disk.id, capacity=capacity)
    put(made, "ovf:capacityAllocationUnits", units)
    if entry is not None and file_id is not None:
        put(made, "ovf:fileRef", file_id)
    form = entry.format if entry is not None else disk.format
    if form:
        put(made, "ovf:format", form)
    if disk.populated is not None:
        put(made, "ovf:populatedSize", str(disk.populated))
    if disk.parent is not None:
        put(made, "ovf:parentRef", disk.parent)
    if disk.name != disk.id:
        put(made, "kensho:name", disk.name)
    if disk.shared:
        put(made, "kensho:shared", "true")
    if boots:
        put(made, "xenovf:isBootable", "true")
    for name, value in disk.extras.items():
        if name != "ovf:capacityUnit":
            extra(made, name, value)


def _capacity(appliance: Appliance, disk: Disk) -> tuple[str, str]:
    """Capacity and unit as written. A blank disk stays bound to its property while both agree."""
    asked = next((p for p in appliance.properties if p.address == disk.capacity_property), None)
    unit = int(disk.extras.get("ovf:capacityUnit", "1"))
    if asked is not None and disk.blank:
        value = (asked.default or "").strip()
        if disk.capacity is None or (value.isdigit() and int(value) * unit == disk.capacity):
            return f"${{{asked.key}}}", "byte" if unit == 1 else f"byte * {unit}"
    if disk.capacity is None:
        raise DescriptorError("the disk's capacity is not known", subject=disk.name or disk.id)
    return str(disk.capacity), "byte"


def _networks(root: etree._Element, appliance: Appliance) -> None:
    names = {network.id: network.description for network in appliance.networks}
    for machine in appliance.machines:
        for adapter in machine.adapters:
            if adapter.network is not None:
                names.setdefault(adapter.network, "")
    if not names:
        return
    made = section(root, "ovf:NetworkSection", "The networks the machines are on")
    for name, description in names.items():
        network = element(made, "ovf:Network")
        put(network, "ovf:name", name)
        if description:
            element(network, "ovf:Description", description)


def _startup(parent: etree._Element, appliance: Appliance) -> None:
    if all(machine.start == Start() for machine in appliance.machines):
        return
    made = section(parent, "ovf:StartupSection", "The order in which the machines start")
    for machine in appliance.machines:
        start = machine.start
        element(
            made,
            "ovf:Item",
            id=machine.id,
            order=_short(start.order),
            startDelay=_short(start.start_delay_s),
            waitingForGuest=truth(start.wait_for_guest),
            stopDelay=_short(start.stop_delay_s),
            startAction="powerOn" if start.start else "none",
        )


def _short(value: int) -> str:
    return str(min(max(value, 0), 65535))


def _system(
    parent: etree._Element,
    appliance: Appliance,
    machine: Machine,
    version: Version,
    owners: tuple[str, ...] | None = None,
) -> None:
    made = element(parent, "ovf:VirtualSystem", id=machine.id)
    element(made, "ovf:Info", "A virtual machine")
    element(made, "ovf:Name", machine.name)
    annotation(made, machine.description)
    products(made, appliance, *(owners or (machine.id,)))
    for owner in owners or (machine.id,):
        licences(made, appliance, owner)
    operating_system(made, machine.os)
    install(made, machine)
    if version != "1.1":
        placement(made, machine)
        boot_devices(made, machine.boot_order)
        environment_files(made, appliance, machine)
    hardware(made, machine, appliance.transports, _boots(appliance))


__all__ = ["FileEntry", "build"]
