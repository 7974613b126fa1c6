"""A descriptor of OVF 2.0 with everything that OVF 2 added; valid by DSP8023 2.0.1."""

CIM = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/"
NS = " ".join(
    [
        'xmlns="http://schemas.dmtf.org/ovf/envelope/2" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/2"',
        f'xmlns:rasd="{CIM}CIM_ResourceAllocationSettingData"',
        f'xmlns:vssd="{CIM}CIM_VirtualSystemSettingData"',
        f'xmlns:sasd="{CIM}CIM_StorageAllocationSettingData"',
        f'xmlns:epasd="{CIM}CIM_EthernetPortAllocationSettingData"',
        f'xmlns:bootc="{CIM}CIM_BootConfigSetting" xmlns:boots="{CIM}CIM_BootSourceSetting"',
        'xmlns:xenc="http://www.w3.org/2001/04/xmlenc#" xmlns:xenc11="http://www.w3.org/2009/xmlenc11#"',
    ]
)
SHARED = (
    '<SharedDiskSection><Info>Shared</Info><SharedDisk ovf:diskId="quorum" ovf:capacity="1"'
    ' ovf:capacityAllocationUnits="byte * 2^30"/></SharedDiskSection>'
)
PLACEMENT = (
    '<PlacementGroupSection ovf:id="apart" ovf:policy="availability"><Info>Apart</Info>'
    "<Description>Not on one host</Description></PlacementGroupSection>"
)
ENCRYPTION = (
    "<EncryptionSection><Info>Encrypted</Info><xenc:EncryptedKey>"
    '<xenc:EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes256-cbc"/>'
    "<xenc:CipherData><xenc:CipherValue>AAAA</xenc:CipherValue></xenc:CipherData>"
    '<xenc:ReferenceList><xenc:DataReference URI="f"/></xenc:ReferenceList>'
    "</xenc:EncryptedKey></EncryptionSection>"
)
SCALE_OUT = (
    '<ScaleOutSection ovf:id="web"><Info>Web servers</Info><Description>Web servers</Description>'
    '<InstanceCount ovf:minimum="2" ovf:default="4" ovf:maximum="8"/></ScaleOutSection>'
)
RESOURCES = (
    "<ResourceAllocationSection><Info>Together</Info><Item>"
    "<rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits><rasd:ElementName>300 MB</rasd:ElementName>"
    "<rasd:InstanceID>0</rasd:InstanceID><rasd:Reservation>300</rasd:Reservation>"
    "<rasd:ResourceType>4</rasd:ResourceType></Item></ResourceAllocationSection>"
)
BOOT = (
    "<BootDeviceSection><Info>Boot order</Info><bootc:CIM_BootConfigSetting>"
    "<bootc:ElementName>Boot</bootc:ElementName><bootc:InstanceID>b0</bootc:InstanceID>"
    "<boots:CIM_BootSourceSetting><boots:ElementName>first</boots:ElementName>"
    "<boots:InstanceID>b1</boots:InstanceID>"
    "<boots:StructuredBootString>CIM:CD/DVD:1</boots:StructuredBootString></boots:CIM_BootSourceSetting>"
    "<boots:CIM_BootSourceSetting><boots:ElementName>then</boots:ElementName>"
    "<boots:InstanceID>b2</boots:InstanceID>"
    "<boots:StructuredBootString>CIM:Hard-Disk:1</boots:StructuredBootString></boots:CIM_BootSourceSetting>"
    "</bootc:CIM_BootConfigSetting></BootDeviceSection>"
)
FILES = (
    '<EnvironmentFilesSection><Info>For the guest</Info><File ovf:fileRef="conf" ovf:path="etc/shop.conf"/>'
    "</EnvironmentFilesSection>"
)
INSTALL = '<InstallSection ovf:initialBootStopDelay="120"><Info>First boot</Info></InstallSection>'
PLACED = '<PlacementSection ovf:group="apart"><Info>Apart</Info></PlacementSection>'


def _item(kind: str, prefix: str, attributes: str = "", **fields: object) -> str:
    inner = "".join(f"<{prefix}:{name}>{fields[name]}</{prefix}:{name}>" for name in sorted(fields))
    return f"<{kind} {attributes}>{inner}</{kind}>"


MEMORY = "".join(
    _item("Item", "rasd", bound, AllocationUnits="byte * 2^20", ElementName="Memory", InstanceID=2,
          ResourceType=4, VirtualQuantity=size)
    for bound, size in (("", 1024), ('ovf:bound="min"', 512), ('ovf:bound="max"', 4096))
)  # fmt: skip
DRIVES = (
    _item("StorageItem", "sasd", AddressOnParent=0, ElementName="Hard disk", HostResource="ovf:/disk/d",
          InstanceID=4, Parent=3, ResourceType=17)
    + _item("StorageItem", "sasd", AddressOnParent=1, ElementName="Quorum",
            HostResource="ovf:/disk/quorum", InstanceID=5, Parent=3, ResourceType=17)
    + _item("StorageItem", "sasd", Access=1, ElementName="CD", InstanceID=6, ResourceType=15)
)  # fmt: skip


def machine(id_: str, sections: str = "", *, drives: str = DRIVES, family: str = "vmx-13") -> str:
    """One VirtualSystem."""
    return (
        f'<VirtualSystem ovf:id="{id_}"><Info>Machine</Info><Name>{id_}</Name>{sections}'
        "<VirtualHardwareSection><Info>Hardware</Info><System>"
        "<vssd:ElementName>Virtual Hardware Family</vssd:ElementName><vssd:InstanceID>0</vssd:InstanceID>"
        f"<vssd:VirtualSystemType>{family}</vssd:VirtualSystemType></System>"
        + _item("Item", "rasd", ElementName="CPU", InstanceID=1, ResourceType=3, VirtualQuantity=2)
        + MEMORY
        + _item("Item", "rasd", Address=0, ElementName="SCSI", InstanceID=3, ResourceSubType="lsilogic",
                ResourceType=6)
        + _item("EthernetPortItem", "epasd", Connection="lan", ElementName="nic", InstanceID=7,
                ResourceSubType="VmxNet3", ResourceType=10)
        + f"{drives}</VirtualHardwareSection></VirtualSystem>"
    )  # fmt: skip


def descriptor(
    sections: str = SHARED + PLACEMENT,
    collection: str = SCALE_OUT + RESOURCES,
    first: str = PLACED + INSTALL + BOOT + FILES,
    drives: str = DRIVES,
) -> bytes:
    """Two machines, of which the first has all that a machine can have."""
    quorum = drives if "quorum" in sections or drives != DRIVES else ""
    content = (
        f'<VirtualSystemCollection ovf:id="shop"><Info>Shop</Info><Name>Shop</Name>{collection}'
        + machine("web", first, drives=quorum)
        + machine("db", PLACED if "apart" in sections else "", drives="")
        + "</VirtualSystemCollection>"
    )
    return (
        f"<Envelope {NS}><References>"
        '<File ovf:id="f" ovf:href="d.vmdk" ovf:size="9"/><File ovf:id="conf" ovf:href="shop.conf"/>'
        "</References><DiskSection><Info>Disks</Info>"
        '<Disk ovf:diskId="d" ovf:fileRef="f" ovf:capacity="1" ovf:capacityAllocationUnits="byte * 2^30"'
        ' ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>'
        '</DiskSection><NetworkSection><Info>Networks</Info><Network ovf:name="lan"/></NetworkSection>'
        f"{sections}{content}</Envelope>"
    ).encode()
