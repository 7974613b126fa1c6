"""A package written by hand, with disks made by qemu-img: nothing of it comes from our own writers."""

import hashlib
import io
import random
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

MIB = 1 << 20
PASSWORD = "s3cret-canary"

_OVF = """<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
  xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData">
  <References>
    <File ovf:id="f1" ovf:href="web.vmdk" ovf:size="{web_size}"/>
    <File ovf:id="f2" ovf:href="db.vmdk" ovf:size="{db_size}"/>
  </References>
  <DiskSection>
    <Info>Disks</Info>
    <Disk ovf:diskId="d1" ovf:fileRef="f1" ovf:capacity="{web_capacity}"
      ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>
    <Disk ovf:diskId="d2" ovf:fileRef="f2" ovf:capacity="{db_capacity}"
      ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>
    <Disk ovf:diskId="d3" ovf:capacity="8" ovf:capacityAllocationUnits="byte * 2^20"/>
  </DiskSection>
  <NetworkSection>
    <Info>Networks</Info>
    <Network ovf:name="VLAN 10"><Description>between the machines</Description></Network>
    <Network ovf:name="Front"/>
  </NetworkSection>
  <DeploymentOptionSection>
    <Info>Sizes</Info>
    <Configuration ovf:id="small" ovf:default="true"><Label>Small</Label><Description/></Configuration>
    <Configuration ovf:id="large"><Label>Large</Label><Description/></Configuration>
  </DeploymentOptionSection>
  <VirtualSystemCollection ovf:id="shop">
    <Info>A shop</Info>
    <EulaSection><Info>Licence</Info><License>You may look at it.</License></EulaSection>
    <ProductSection ovf:class="shop">
      <Info>Shop</Info><Product>Shop</Product><Vendor>Example</Vendor><Version>4.2</Version>
      <Property ovf:key="hostname" ovf:type="string" ovf:userConfigurable="true"
        ovf:qualifiers="MinLen(1)"><Label>Host name</Label></Property>
      <Property ovf:key="admin" ovf:type="string" ovf:userConfigurable="true" ovf:password="true"
        ovf:qualifiers="MinLen(4)"><Label>Admin password</Label></Property>
    </ProductSection>
    {web}
    {db}
    <Name>shop</Name>
  </VirtualSystemCollection>
</Envelope>
"""

_MACHINE = """<VirtualSystem ovf:id="{id}">
      <Info>One machine</Info><Name>{id}</Name>
      <VirtualHardwareSection>
        <Info>Hardware</Info>
        <Item><rasd:ElementName>cpu</rasd:ElementName><rasd:InstanceID>1</rasd:InstanceID>
          <rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>1</rasd:VirtualQuantity></Item>
        <Item ovf:configuration="large"><rasd:ElementName>cpu</rasd:ElementName>
          <rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType>
          <rasd:VirtualQuantity>4</rasd:VirtualQuantity></Item>
        <Item><rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits>
          <rasd:ElementName>memory</rasd:ElementName><rasd:InstanceID>2</rasd:InstanceID>
          <rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>512</rasd:VirtualQuantity></Item>
        <Item><rasd:ElementName>scsi</rasd:ElementName><rasd:InstanceID>3</rasd:InstanceID>
          <rasd:ResourceSubType>lsilogic</rasd:ResourceSubType>
          <rasd:ResourceType>6</rasd:ResourceType></Item>
        {items}
      </VirtualHardwareSection>
    </VirtualSystem>"""


def _disk(number: int, disk: str) -> str:
    return f"""<Item><rasd:AddressOnParent>{number}</rasd:AddressOnParent>
          <rasd:ElementName>disk{number}</rasd:ElementName>
          <rasd:HostResource>ovf:/disk/{disk}</rasd:HostResource>
          <rasd:InstanceID>{10 + number}</rasd:InstanceID><rasd:Parent>3</rasd:Parent>
          <rasd:ResourceType>17</rasd:ResourceType></Item>"""


def _adapter(number: int, network: str) -> str:
    return f"""<Item><rasd:AutomaticAllocation>true</rasd:AutomaticAllocation>
          <rasd:Connection>{network}</rasd:Connection>
          <rasd:ElementName>eth{number}</rasd:ElementName>
          <rasd:InstanceID>{20 + number}</rasd:InstanceID>
          <rasd:ResourceSubType>E1000</rasd:ResourceSubType>
          <rasd:ResourceType>10</rasd:ResourceType></Item>"""


def raw_disk(path: Path, size: int, seed: str) -> Path:
    """A raw disk with content that follows from the seed, and holes."""
    source = random.Random(seed)
    with path.open("wb") as file:
        file.truncate(size)
        for offset in (0, size // 2, size - 65536):
            file.seek(offset)
            file.write(source.randbytes(65536))
    return path


def sha256(path: Path) -> str:
    """Digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def shop(folder: Path, *, manifest: bool = True, damage: str = "", password: bool = True) -> Path:
    """``shop.ova`` in the folder, beside ``web.raw`` and ``db.raw`` that its disks were made of.

    Args:
        damage: name of a member one byte of which is changed after the manifest was written.
        password: whether what it asks for is a password.
    """
    if shutil.which("qemu-img") is None:
        pytest.skip("qemu-img is missing: install qemu-utils")
    sizes = {"web": 12 * MIB, "db": 6 * MIB}
    data: dict[str, bytes] = {}
    for name, size in sizes.items():
        raw = raw_disk(folder / f"{name}.raw", size, name)
        image = folder / f"{name}.vmdk"
        subprocess.run(
            ["qemu-img", "convert", "-O", "vmdk", "-o", "subformat=streamOptimized", raw, image],
            check=True,
        )
        data[f"{name}.vmdk"] = image.read_bytes()
        image.unlink()
    web = _MACHINE.format(
        id="web", items=_disk(0, "d1") + _adapter(0, "Front") + _adapter(1, "VLAN 10")
    )
    db = _MACHINE.format(id="db", items=_disk(0, "d2") + _disk(1, "d3") + _adapter(0, "VLAN 10"))
    descriptor = _OVF.format(
        web=web,
        db=db,
        web_size=len(data["web.vmdk"]),
        db_size=len(data["db.vmdk"]),
        web_capacity=sizes["web"],
        db_capacity=sizes["db"],
    )
    if not password:
        descriptor = descriptor.replace(' ovf:password="true"', "")
    members = {"shop.ovf": descriptor.encode(), **data}
    if manifest:
        lines = [f"SHA256({n})= {hashlib.sha256(d).hexdigest()}\n" for n, d in members.items()]
        members = {
            "shop.ovf": members.pop("shop.ovf"),
            "shop.mf": "".join(lines).encode(),
            **members,
        }
    if damage:
        broken = bytearray(members[damage])
        broken[len(broken) // 2] ^= 1
        members[damage] = bytes(broken)
    path = folder / "shop.ova"
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path
