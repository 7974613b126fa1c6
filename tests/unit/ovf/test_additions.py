"""What OVF 2 added and few packages have: read as what it is, told where no target is, and written again."""

from dataclasses import replace

import pytest

from kensho_tui.findings import Severity
from kensho_tui.machine import (
    Appliance,
    Boot,
    Install,
    Machine,
    MachineId,
    Memory,
    PlacementGroup,
    Processors,
    ScaleOut,
    SharedResources,
)
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.write import FileEntry, build
from tests.unit.ovf import second
from tests.unit.ovf.schemas import (
    envelope_schema,
    needs_xsd,
    problems,
    second_schema,
)
from tests.unit.ovf.test_envelope import CPU, envelope, ids, item, resolve, system
from tests.unit.ovf.test_rules import DISK, DRIVE, FILE, SCSI

MIB = 1 << 20


def test_the_example_to_the_letter() -> None:
    appliance, findings = Envelope.parse(second.descriptor()).appliance()
    web, db = appliance.machines
    assert (web.processors.count, web.memory) == (
        2,
        Memory(1024 * MIB, None, 512 * MIB, 4096 * MIB),
    )
    assert web.boot_order == (Boot.CDROM, Boot.DISK)
    assert (web.install, db.install) == (Install(120), None)
    assert (web.placement, db.placement) == ("apart", "apart")
    assert [a.read_only for a in web.attachments] == [False, False, True]
    assert [(d.id, d.shared) for d in appliance.disks.values()] == [("d", False), ("quorum", True)]
    assert [(a.network, a.model) for a in web.adapters] == [("lan", "VmxNet3")]
    assert appliance.placement_groups == (
        PlacementGroup("apart", "availability", "Not on one host"),
    )
    assert appliance.scale_outs == (ScaleOut("web", 4, 2, 8, "Web servers"),)
    assert appliance.shared_resources == (SharedResources("shop", memory_reservation=300 * MIB),)
    assert [(f.owner, f.path, f.name) for f in appliance.environment_files] == [
        ("web", "etc/shop.conf", "conf")
    ]
    assert [(each.id, each.severity, each.subject) for each in findings] == [
        ("scale-out", Severity.WARNING, "web"),
        ("placement-group", Severity.WARNING, "apart"),
        ("resources-together", Severity.INFO, "shop"),
        ("install-boot", Severity.INFO, "web"),
    ]
    said = {each.id: each.message for each in findings}
    assert said["scale-out"] == "2 to 8 instances are meant, 4 as a rule; one is made."
    assert said["placement-group"].startswith("web, db belong on different hosts;")


def test_an_encrypted_disk_is_refused_and_another_file_told() -> None:
    appliance, findings = Envelope.parse(
        second.descriptor(sections=second.SHARED + second.ENCRYPTION)
    ).appliance()
    assert appliance.encrypted == {"d.vmdk": "aes256-cbc"}
    (found,) = [each for each in findings if "encrypted" in each.id]
    assert (found.id, found.severity, found.subject) == ("disk-encrypted", Severity.ERROR, "d.vmdk")
    assert found.message == "The disk is encrypted (aes256-cbc), and Kensho does not decrypt it."
    other = second.ENCRYPTION.replace('URI="f"', 'URI="shop.conf"')
    _, findings = Envelope.parse(second.descriptor(sections=second.SHARED + other)).appliance()
    assert [(e.id, e.severity) for e in findings if "encrypted" in e.id] == [
        ("file-encrypted", Severity.WARNING)
    ]


def test_what_xencenter_encrypted_is_known_too() -> None:
    security = (
        '<SecuritySection ovf:required="true"><Info>Encrypted</Info><Security version="1.3.1">'
        '<x:ReferenceList><x:DataReference ValueType="xen_1"/></x:ReferenceList>'
        '<x:EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes192-cbc"/></Security>'
        "</SecuritySection>"
    ).replace("<Security ", '<Security xmlns:x="http://www.w3.org/2001/04/xmlenc#" ')
    file = FILE.replace("/>", ' xmlns:x="http://www.w3.org/2001/04/xmlenc#" x:Id="xen_1"/>')
    appliance, findings = resolve(
        envelope(content=system(SCSI + DRIVE), references=file, sections=DISK + security)
    )
    assert appliance.encrypted == {"d.vmdk": "aes192-cbc"}
    assert ids(findings, Severity.ERROR) == ["disk-encrypted"]


def test_a_shared_disk_that_is_only_read_is_read_only_in_every_machine() -> None:
    sections = second.SHARED.replace("<SharedDisk ", '<SharedDisk ovf:readOnly="true" ')
    appliance, _ = Envelope.parse(second.descriptor(sections=sections)).appliance()
    assert [a.read_only for a in appliance.machines[0].attachments] == [False, True, True]
    again, _ = Envelope.parse(build(appliance, {d: FileEntry("d", 9) for d in appliance.disks
                                                if d == "d"}, version="2.0")).appliance()  # fmt: skip
    assert again.machines == appliance.machines


def test_counts_and_resources_follow_the_deployment_option() -> None:
    options = (
        '<DeploymentOptionSection><Info/><Configuration ovf:id="small"><Label/><Description/></Configuration>'
        '<Configuration ovf:id="large"><Label/><Description/></Configuration></DeploymentOptionSection>'
    )
    scale = second.SCALE_OUT.replace(
        "</ScaleOutSection>",
        '<InstanceCount ovf:configuration="large" ovf:default="6"/></ScaleOutSection>',
    )
    data = second.descriptor(sections=options, collection=scale)
    small, large = (Envelope.parse(data).appliance(each)[0] for each in ("small", "large"))
    assert small.scale_outs[0].default == 4
    assert large.scale_outs == (ScaleOut("web", 6, 1, None, "Web servers"),)


def test_the_lower_end_of_a_range_may_be_a_reservation() -> None:
    """So the standard's own example of a range has it."""
    ends = (
        item(4, "2", "", AllocationUnits="byte * 2^20", VirtualQuantity=512)
        + item(4, "2", 'ovf:bound="min"', AllocationUnits="byte * 2^20", Reservation=384)
        + item(4, "2", 'ovf:bound="max"', AllocationUnits="byte * 2^20", Limit=1024)
        + item(3, "1", 'ovf:bound="max"', VirtualQuantity=8)
    )  # fmt: skip
    hardware = f"<VirtualHardwareSection><Info/>{CPU}{ends}</VirtualHardwareSection>"
    appliance, _ = resolve(
        envelope(content=f'<VirtualSystem ovf:id="x"><Info/>{hardware}</VirtualSystem>')
    )
    (machine,) = appliance.machines
    assert machine.memory == Memory(512 * MIB, None, 384 * MIB, 1024 * MIB)
    assert (machine.processors.count, machine.processors.maximum) == (2, 8)


@pytest.mark.parametrize(
    ("kind", "order", "first"), [("disk", (), 1), ("cdrom", (Boot.CDROM, Boot.DISK), 0)]
)
def test_vmware_says_what_boots_first(kind: str, order: tuple[Boot, ...], first: int) -> None:
    drives = DRIVE + item(17, "8", HostResource="ovf:/disk/e", Parent=5, AddressOnParent=1)
    more = '<Disk ovf:diskId="e" ovf:capacity="1"/></DiskSection>'
    boot = (
        f'<vmw:BootOrderSection vmw:instanceId="8" vmw:type="{kind}"><Info/></vmw:BootOrderSection>'
    )
    appliance, findings = resolve(
        envelope(content=system(SCSI + drives, sections=boot), references=FILE,
                 sections=DISK.replace("</DiskSection>", more))
    )  # fmt: skip
    (machine,) = appliance.machines
    assert machine.boot_order == order
    assert [a.boot_index for a in machine.attachments].index(0) == first
    assert ids(findings, Severity.ERROR) == []


def test_storage_groups_and_addresses_of_vsphere_are_told_and_kept() -> None:
    sections = (
        '<vmw:StorageGroupSection vmw:id="g" vmw:name="Fast"><Info/></vmw:StorageGroupSection>'
        '<vmw:IpAssignmentSection ovf:required="false" vmw:protocols="IPv4" vmw:schemes="ovfenv,dhcp"><Info/>'
        "</vmw:IpAssignmentSection>"
    )
    appliance, findings = resolve(envelope(sections=sections))
    assert appliance.extras == {
        "vmware:storageGroup.g": "Fast",
        "vmware:ipAssignment": "IPv4 ovfenv,dhcp",
    }
    assert ids(findings) == ["storage-group", "ip-assignment"]
    assert Envelope.parse(build(appliance, {})).appliance()[0].extras == appliance.extras


def test_what_is_required_inside_of_a_known_section_makes_the_section_unknown() -> None:
    magic = '<v:Magic ovf:required="true"/>'
    text = envelope(sections=f"<NetworkSection><Info/>{magic}</NetworkSection>")
    _, findings = resolve(text)
    (found,) = findings
    assert (found.id, found.severity) == ("element-required", Severity.ERROR)
    assert "--lenient" in found.remedy
    assert resolve(text.replace("true", "false"))[1] == ()


@needs_xsd
def test_what_is_written_is_read_again_and_valid() -> None:
    machine = Machine(
        MachineId("m1"), "web", Memory(1024 * MIB, None, 512 * MIB, 4096 * MIB),
        Processors(2, minimum=1, maximum=8), install=Install(60), placement="g",
    )  # fmt: skip
    whole = Appliance(
        "shop", (machine,), collection=True,
        placement_groups=(PlacementGroup("g", "affinity", "Close"),),
        scale_outs=(ScaleOut("m1", 3, 1, 5, "Web"), ScaleOut("m1", 2)),
        shared_resources=(SharedResources("shop", 100, 2000, 1 << 30, 1 << 40),),
    )  # fmt: skip
    data = build(whole, {}, version="2.0")
    assert problems(second_schema(), data) == []
    assert Envelope.parse(data).appliance()[0] == whole
    data = build(whole, {})
    assert problems(envelope_schema(), data) == []
    bare = replace(
        whole, machines=(replace(machine, placement=""),), placement_groups=(), scale_outs=()
    )
    assert Envelope.parse(data).appliance()[0] == bare


def test_hardware_is_chosen_for_the_target() -> None:
    def hardware(family: str) -> str:
        return (
            f"<VirtualHardwareSection><Info/><System><vssd:VirtualSystemType>{family}"
            f"</vssd:VirtualSystemType></System>{CPU}</VirtualHardwareSection>"
        )

    sections = "".join(map(hardware, ("vmx-13", "hvm-3.0-x86_64", "virtualbox-2.2", "301")))
    text = envelope(content=f'<VirtualSystem ovf:id="x"><Info/>{sections}</VirtualSystem>')
    for target, family in (
        ("", "hvm-3.0-x86_64"), ("vsphere", "vmx-13"), ("virtualbox", "virtualbox-2.2"), ("hyperv", "301"),
        ("kvm", "hvm-3.0-x86_64"),
    ):  # fmt: skip
        appliance, _ = Envelope.parse(text.encode()).appliance(target=target)
        assert appliance.machines[0].hardware == (family,)
