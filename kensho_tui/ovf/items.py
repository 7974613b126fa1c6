"""Items of a VirtualHardwareSection, as far as one configuration has them (DSP0243 2.1.1 §8.3, §9.8)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lxml import etree

from kensho_tui.ovf import xml
from kensho_tui.ovf.names import KENSHO, RESOURCE_NAMES, VMW

KINDS = ("Item", "StorageItem", "EthernetPortItem")
# CIM_ResourceAllocationSettingData as DSP8023 1.1.1 has it, and as 2.0.1 does.
FIELDS_1 = frozenset({
    "Address", "AddressOnParent", "AllocationUnits", "AutomaticAllocation", "AutomaticDeallocation",
    "Caption", "Connection", "ConsumerVisibility", "Description", "ElementName", "HostResource",
    "InstanceID", "Limit", "MappingBehavior", "OtherResourceType", "Parent", "PoolID", "Reservation",
    "ResourceSubType", "ResourceType", "VirtualQuantity", "VirtualQuantityUnits", "Weight",
})  # fmt: skip
FIELDS_2 = FIELDS_1 | {
    "ChangeableType", "ComponentSetting", "ConfigurationName", "Generation", "SoID", "SoOrgID",
}  # fmt: skip
# What its subclasses for storage and Ethernet add, and what drafts of 2008 had.
FIELDS = FIELDS_2 | {
    "BusNumber", "InstanceId",
    "Access", "HostExtentName", "HostExtentNameFormat", "HostExtentNameNamespace",
    "HostExtentStartingAddress", "HostResourceBlockSize", "OtherHostExtentNameFormat",
    "OtherHostExtentNameNamespace", "VirtualResourceBlockSize",
    "AllowedPriorities", "AllowedToReceiveMACAddresses", "AllowedToReceiveVLANs",
    "AllowedToTransmitMACAddresses", "AllowedToTransmitVLANs", "DefaultPortVID", "DefaultPriority",
    "DesiredVLANEndpointMode", "GroupID", "ManagerID", "NetworkPortProfileID",
    "NetworkPortProfileIDType", "OtherEndpointMode", "OtherNetworkPortProfileIDTypeInfo",
    "PortCorrelationID", "PortVID", "Promiscuous", "ReceiveBandwidthLimit",
    "ReceiveBandwidthReservation", "SourceMACFilteringEnabled", "VSITypeID", "VSITypeIDVersion",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Item:
    """One Item. Texts are stripped; what is absent is "" (or None for numbers)."""

    element: etree._Element
    instance: str
    type: int | None
    bound: str
    configurations: tuple[str, ...]
    required: bool
    fields: Mapping[str, tuple[str, ...]]

    def get(self, name: str) -> str:
        """The first value of a CIM property; "" where it is absent."""
        values = self.fields.get(name, ())
        return values[0] if values else ""

    def number(self, name: str) -> int | None:
        """A CIM property as a non-negative number."""
        return xml.number(self.get(name))

    def ours(self, name: str) -> str | None:
        """An attribute of our own namespace; None where it is absent."""
        return self.element.get(f"{{{KENSHO}}}{name}")

    @property
    def subtype(self) -> str:
        """ResourceSubType; the first where several are named."""
        return self.get("ResourceSubType")

    @property
    def label(self) -> str:
        """How the operator knows it: ElementName, else Caption, else what kind it is."""
        name = self.get("ElementName") or self.get("Caption") or self.get("Description")
        return name or RESOURCE_NAMES.get(self.type or 0, f"resource of type {self.type}")

    @property
    def line(self) -> int | None:
        """Line in the descriptor."""
        return xml.line(self.element)


def read(element: etree._Element) -> Item:
    """One Item as it is written; ``InstanceId`` (2008) is read as ``InstanceID``."""
    fields: dict[str, list[str]] = {}
    for field in xml.children(element):
        name = xml.local(field)
        if xml.namespace(field) == VMW and name != "CoresPerSocket":
            continue
        fields.setdefault(name, []).append(xml.text(field).strip())
    return Item(
        element=element,
        instance=next(iter(fields.get("InstanceID") or fields.get("InstanceId") or []), ""),
        type=xml.number(next(iter(fields.get("ResourceType", [])), "")),
        bound=(xml.attr(element, "bound") or "").strip().lower(),
        configurations=tuple((xml.attr(element, "configuration") or "").split()),
        required=xml.flag(element, "required", default=True),
        fields={name: tuple(values) for name, values in fields.items()},
    )


def resolve(section: etree._Element, configuration: str) -> list[Item]:
    """The Items that make the machine in this configuration, in the order of the descriptor.

    An Item bound to the configuration replaces an unbound one of the same InstanceID; of a range
    (``bound``) the plain or ``normal`` Item is taken, else ``min``, else ``max``.
    """
    return [item for group in grouped(section, configuration) for item in _normal(group)]


def grouped(section: etree._Element, configuration: str) -> list[list[Item]]:
    """The Items of this configuration, those of one device (a range) together."""
    groups: dict[tuple[str, int | None], list[Item]] = {}
    for number, element in enumerate(xml.children(section, *KINDS)):
        # Most Items of a package with many options are those of other ones: they are not even read.
        wanted = (xml.attr(element, "configuration") or "").split()
        if wanted and configuration not in wanted:
            continue
        item = read(element)
        # Without an id an Item can replace nothing: it stands for itself.
        groups.setdefault((item.instance or f"#{number}", item.type), []).append(item)
    return [[item for item in group if item.configurations] or group for group in groups.values()]


def _normal(group: Sequence[Item]) -> Sequence[Item]:
    if not any(item.bound for item in group):
        return group
    for bound in ("", "normal", "min", "max"):
        matching = [item for item in group if item.bound == bound]
        if matching:
            return matching[:1]
    return group[:1]
