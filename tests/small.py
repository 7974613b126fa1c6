"""A small package of our own for tests that need bytes that take a while: one machine, some disks."""

import random
from pathlib import Path

from tests.peers.wrap import ova, qemu_image

MIB = 1 << 20

_ENVELOPE = """<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
  xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData">
  <References>{files}</References>
  <DiskSection><Info>Disks</Info>{disks}</DiskSection>
  <NetworkSection><Info>Networks</Info><Network ovf:name="Front"/></NetworkSection>
  <VirtualSystem ovf:id="{name}">
    <Info>One machine</Info>
    <Name>{name}</Name>
    {settings}<VirtualHardwareSection{transport}>
      <Info>Hardware</Info>
      <System><vssd:ElementName>x</vssd:ElementName><vssd:InstanceID>0</vssd:InstanceID>
        <vssd:VirtualSystemType>vmx-13</vssd:VirtualSystemType></System>
      <Item><rasd:ElementName>1 CPU</rasd:ElementName><rasd:InstanceID>1</rasd:InstanceID>
        <rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>1</rasd:VirtualQuantity></Item>
      <Item><rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits>
        <rasd:ElementName>Memory</rasd:ElementName><rasd:InstanceID>2</rasd:InstanceID>
        <rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>256</rasd:VirtualQuantity></Item>
      <Item><rasd:ElementName>SCSI</rasd:ElementName><rasd:InstanceID>3</rasd:InstanceID>
        <rasd:ResourceSubType>lsilogic</rasd:ResourceSubType>
        <rasd:ResourceType>6</rasd:ResourceType></Item>
      {items}
      <Item><rasd:AddressOnParent>7</rasd:AddressOnParent>
        <rasd:AutomaticAllocation>true</rasd:AutomaticAllocation>
        <rasd:Connection>Front</rasd:Connection>
        <rasd:ElementName>Network</rasd:ElementName><rasd:InstanceID>90</rasd:InstanceID>
        <rasd:ResourceSubType>VmxNet3</rasd:ResourceSubType>
        <rasd:ResourceType>10</rasd:ResourceType></Item>
    </VirtualHardwareSection>
  </VirtualSystem>
</Envelope>
"""


_SETTINGS = """<ProductSection ovf:class="org.example"><Info>Settings</Info>
      <Property ovf:key="hostname" ovf:type="string" ovf:value="small"/></ProductSection>
    """


def random_disk(path: Path, size: int, one_in: int = 1) -> Path:
    """A raw disk that holds random bytes in one of so many MiB, and holes in the others."""
    source = random.Random(path.name)
    with path.open("wb") as file:
        file.truncate(size)
        for at in range(0, size, one_in * MIB):
            file.seek(at)
            file.write(source.randbytes(min(MIB, size - at)))
    return path


def package(
    directory: Path, name: str, sizes: list[int], *, settings: bool = False, one_in: int = 1
) -> tuple[Path, list[Path]]:
    """An OVA of one machine with disks of random bytes (which do not compress).

    Args:
        settings: the guest is handed a property, on a CD.
        one_in: of so many MiB one holds bytes.

    Returns: the package, and the raw disks that qemu-img made its VMDKs of.
    """
    members, origins, files, disks, items = {}, [], [], [], []
    for number, size in enumerate(sizes):
        origin = random_disk(directory / f"{name}-{number}.raw", size, one_in)
        member = f"{name}-disk{number}.vmdk"
        members[member] = qemu_image(origin, directory / member).image
        origins.append(origin)
        files.append(f'<File ovf:id="file{number}" ovf:href="{member}" ovf:size="0"/>')
        disks.append(
            f'<Disk ovf:diskId="disk{number}" ovf:fileRef="file{number}" ovf:capacity="{size}" '
            'ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>'
        )
        items.append(
            f"<Item><rasd:AddressOnParent>{number}</rasd:AddressOnParent>"
            f"<rasd:ElementName>Disk {number}</rasd:ElementName>"
            f"<rasd:HostResource>ovf:/disk/disk{number}</rasd:HostResource>"
            f"<rasd:InstanceID>{10 + number}</rasd:InstanceID><rasd:Parent>3</rasd:Parent>"
            "<rasd:ResourceType>17</rasd:ResourceType></Item>"
        )
    text = _ENVELOPE.format(
        name=name,
        files="".join(files),
        disks="".join(disks),
        items="".join(items),
        settings=_SETTINGS if settings else "",
        transport=' ovf:transport="iso"' if settings else "",
    )
    return ova(directory / f"{name}.ova", text.encode(), members), origins
