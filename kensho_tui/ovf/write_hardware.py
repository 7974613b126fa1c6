"""A machine to a VirtualHardwareSection: the way back of `kensho_tui.ovf.hardware`."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from lxml import etree

from kensho_tui.machine import (
    Adapter,
    Attachment,
    Bus,
    Clock,
    Controller,
    Firmware,
    Machine,
    Medium,
)
from kensho_tui.ovf import names as n
from kensho_tui.ovf.appliance import FILE_DISK
from kensho_tui.ovf.build import element, extra, put, section, truth
from kensho_tui.ovf.vendor import CONSUMED, boot_indices

MIB = 1 << 20
_CONTROLLER_TYPES = {Bus.IDE: n.IDE, Bus.SCSI: n.SCSI, Bus.USB: n.USB}
_MODELS = {
    Bus.SATA: "AHCI", Bus.NVME: "vmware.nvme.controller", Bus.VIRTIO: "virtio", Bus.XEN: "xen",
    Bus.FLOPPY: "floppy",
}  # fmt: skip
_MEDIA = {
    Medium.DISK: (n.DISK, "Hard disk"),
    Medium.CDROM: (n.CDROM, "CD-ROM"),
    Medium.FLOPPY: (n.FLOPPY, "Floppy"),
}


def hardware(
    parent: etree._Element, machine: Machine, transports: Sequence[str], boots: Collection[str]
) -> None:
    """The VirtualHardwareSection of the machine (DSP0243 2.1.1 §8).

    Args:
        transports: how the guest wants its environment.
        boots: ids of the disks that the DiskSection marks as bootable.
    """
    made = section(parent, "ovf:VirtualHardwareSection", "The virtual hardware")
    if transports:
        put(made, "ovf:transport", " ".join(transports))
    system = element(made, "ovf:System")
    element(system, "vssd:ElementName", "Virtual Hardware Family")
    element(system, "vssd:InstanceID", "0")
    element(system, "vssd:VirtualSystemIdentifier", machine.name)
    if machine.hardware:
        element(system, "vssd:VirtualSystemType", " ".join(machine.hardware))
    ids = _Ids(machine)
    _processors(made, machine, ids)
    _memory(made, machine, ids)
    for controller in machine.controllers:
        _controller(made, controller, ids)
    explicit = _explicit_boot(machine, boots)
    if explicit:
        put(made, "kensho:boot", "explicit")
    for number, attachment in enumerate(machine.attachments, 1):
        _drive(made, attachment, number, ids, explicit=explicit)
    for number, adapter in enumerate(machine.adapters, 1):
        _adapter(made, adapter, number, ids)
    _beyond(made, machine)


class _Ids:
    """InstanceIDs of one section: numbers, as VMware wants them; ours stand beside where they differ."""

    def __init__(self, machine: Machine) -> None:
        own = [each.id for each in machine.controllers]
        own += [each.id for each in machine.attachments]
        own += [each.id for each in machine.adapters]
        kept = len(set(own)) == len(own) and all(
            id_.isascii() and id_.isdigit() and len(id_) < 10 and str(int(id_)) == id_ != "0"
            for id_ in own
        )
        self._kept = kept
        self._free = self._numbers(set(own) if kept else set())
        self.controllers: dict[str, str] = {}

    @staticmethod
    def _numbers(taken: set[str]) -> Iterator[str]:
        number = 0
        while True:
            number += 1
            if str(number) not in taken:
                yield str(number)

    def free(self) -> str:
        """A number nothing has."""
        return next(self._free)

    def of(self, id_: str) -> tuple[str, str | None]:
        """InstanceID for one of ours, and our own id where it is another."""
        return (id_, None) if self._kept else (self.free(), id_)


def _item(
    parent: etree._Element, fields: Mapping[str, str | int | None], own: Mapping[str, str | None]
) -> etree._Element:
    """An Item; its fields in the order of the alphabet, which is the schema's."""
    made = element(parent, "ovf:Item")
    for name in sorted(fields):
        value = fields[name]
        if value is not None:
            element(made, f"rasd:{name}", str(value))
    for name, value in own.items():
        if value is not None:
            put(made, f"kensho:{name}", value)
    return made


def _ends(low: int | None, high: int | None) -> dict[str, str | None]:
    """The ends of a range as attributes of our own: most importers add an Item for an end to the others."""
    ends = {"minimum": low, "maximum": high}
    return {name: None if value is None else str(value) for name, value in ends.items()}


def _processors(parent: etree._Element, machine: Machine, ids: _Ids) -> None:
    setting = machine.processors
    made = _item(
        parent,
        {
            "AllocationUnits": "hertz * 10^6",
            "Description": "Number of virtual processors",
            "ElementName": f"{setting.count} virtual CPU(s)",
            "InstanceID": ids.free(),
            "Limit": setting.limit_mhz,
            "Reservation": setting.reservation_mhz,
            "ResourceType": n.PROCESSOR,
            "VirtualQuantity": setting.count,
        },
        _ends(setting.minimum, setting.maximum),
    )
    if setting.cores_per_socket != 1:
        cores = element(made, "vmw:CoresPerSocket", str(setting.cores_per_socket))
        put(cores, "ovf:required", "false")


def _memory(parent: etree._Element, machine: Machine, ids: _Ids) -> None:
    size, reservation = machine.memory.size, machine.memory.reservation
    unit = MIB if size % MIB == 0 and (reservation or 0) % MIB == 0 else 1
    _item(
        parent,
        {
            "AllocationUnits": "byte" if unit == 1 else "byte * 2^20",
            "Description": "Memory size",
            "ElementName": f"{size // MIB} MB of memory",
            "InstanceID": ids.free(),
            "Reservation": None if reservation is None else reservation // unit,
            "ResourceType": n.MEMORY,
            "VirtualQuantity": size // unit,
        },
        _ends(machine.memory.minimum, machine.memory.maximum),
    )


def _controller(parent: etree._Element, controller: Controller, ids: _Ids) -> None:
    instance, own = ids.of(controller.id)
    ids.controllers[controller.id] = instance
    type_ = _CONTROLLER_TYPES.get(controller.bus, n.OTHER_STORAGE)
    subtype = controller.model or _MODELS.get(controller.bus, "")
    plain = type_ != n.OTHER_STORAGE
    _item(
        parent,
        {
            "Address": controller.number,
            "ElementName": f"{controller.bus.upper()} controller {controller.number}",
            "InstanceID": instance,
            "ResourceSubType": subtype or None,
            "ResourceType": type_,
        },
        {
            "id": own,
            "bus": None if plain else controller.bus.value,
            "model": None if subtype == controller.model else controller.model,
        },
    )


def _explicit_boot(machine: Machine, boots: Collection[str]) -> bool:
    """Whether a reader would guess the boot indices wrong."""
    marked = dict.fromkeys(boots, True)
    return boot_indices(machine.attachments, marked, explicit=False) != machine.attachments


def _drive(
    parent: etree._Element, drive: Attachment, number: int, ids: _Ids, *, explicit: bool
) -> None:
    instance, own = ids.of(drive.id)
    type_, word = _MEDIA[drive.medium]
    resource = None
    if drive.disk is not None and drive.disk.startswith(FILE_DISK):
        resource = f"ovf:/file/{drive.disk.removeprefix(FILE_DISK)}"
    elif drive.disk is not None:
        resource = f"ovf:/disk/{drive.disk}"
    default = drive.medium is Medium.CDROM
    _item(
        parent,
        {
            "AddressOnParent": drive.unit,
            "AutomaticAllocation": truth(drive.disk is not None),
            "ElementName": drive.name or f"{word} {number}",
            "HostResource": resource,
            "InstanceID": instance,
            "Parent": None if drive.controller is None else ids.controllers.get(drive.controller),
            "ResourceType": type_,
        },
        {
            "id": own,
            "name": None if drive.name else "",
            "readOnly": None if drive.read_only is default else truth(drive.read_only),
            "bootIndex": str(drive.boot_index)
            if explicit and drive.boot_index is not None
            else None,
        },
    )


def _adapter(parent: etree._Element, adapter: Adapter, number: int, ids: _Ids) -> None:
    instance, own = ids.of(adapter.id)
    _item(
        parent,
        {
            "Address": adapter.mac,
            "AutomaticAllocation": truth(adapter.connected),
            "Connection": adapter.network,
            "ElementName": adapter.name or f"Network adapter {number}",
            "InstanceID": instance,
            "ResourceSubType": adapter.model or None,
            "ResourceType": n.ETHERNET,
        },
        {"id": own, "name": None if adapter.name else ""},
    )


def _beyond(parent: etree._Element, machine: Machine) -> None:
    """What is no Item: firmware, clock, boot order, and the extras of every platform."""
    extras = machine.extras
    _config(parent, "Config", "firmware", "efi" if machine.firmware is Firmware.UEFI else "bios")
    _config(parent, "Config", "bootOptions.efiSecureBootEnabled", truth(machine.secure_boot))
    if machine.uuid:
        put(parent, "kensho:uuid", machine.uuid)
    if machine.clock is not Clock.UTC:
        put(parent, "kensho:clock", machine.clock.value)
    # Xen's own words would speak where ours are absent, so ours are written beside them.
    if machine.tpm or "xenserver:platform" in extras:
        put(parent, "kensho:tpm", truth(machine.tpm))
    if machine.boot_order or "xenserver:HVM_boot_params" in extras:
        put(parent, "kensho:bootOrder", " ".join(machine.boot_order))
    for name, value in extras.items():
        space, _, key = name.partition(":")
        if space == "xenserver":
            made = element(parent, "xenovf:VirtualSystemOtherConfigurationData")
            made.set("Name", key)
            put(made, "ovf:required", "false")
            element(made, "xenovf:Info", "XenServer specific information")
            element(made, "xenovf:Value", value)
        elif name.startswith("vmware:config."):
            key = name.removeprefix("vmware:config.")
            if key not in CONSUMED:
                _config(parent, "Config", key, value)
        elif name.startswith("vmware:extraConfig."):
            _config(parent, "ExtraConfig", name.removeprefix("vmware:extraConfig."), value)
        else:
            extra(parent, name, value)


def _config(parent: etree._Element, kind: str, key: str, value: str) -> None:
    made = element(parent, f"vmw:{kind}", required="false")
    put(made, "vmw:key", key)
    put(made, "vmw:value", value)
