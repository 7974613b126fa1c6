"""Descriptors that others wrote: none of them brings the reader down, and some are read to the letter."""

from pathlib import Path

import pytest

from kensho_tui.findings import Finding, Severity
from kensho_tui.machine import Appliance, Boot, Bus, Firmware, Medium
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.errors import DescriptorError, OvfError
from kensho_tui.ovf.write import FileEntry, build
from tests.unit.ovf.corpus import CORPUS, COT, GOVMOMI, descriptor, needs_corpus
from tests.unit.ovf.schemas import XSD, envelope_schema, problems

pytestmark = needs_corpus
MIB, GIB = 1 << 20, 1 << 30


def resolve(path: str, configuration: str | None = None) -> tuple[Appliance, tuple[Finding, ...]]:
    """One descriptor of the corpus, resolved."""
    return Envelope.parse(descriptor(path), path).appliance(configuration)


def errors(findings: tuple[Finding, ...]) -> list[str]:
    """Ids of what closes the way."""
    return [each.id for each in findings if each.severity is Severity.ERROR]


def test_every_descriptor_is_read_or_refused_in_words() -> None:
    seen = read = 0
    for path in sorted(CORPUS.rglob("*")):
        if path.suffix.lower() not in {".ovf", ".xml"}:
            continue
        seen += 1
        try:
            data = path.read_bytes()
            envelope = Envelope.parse(data, path.name)
            for option in [None, *(each.id for each in envelope.configurations)]:
                appliance, findings = envelope.appliance(option)
                assert appliance.machines or errors(findings)
                assert all(each.message.endswith(".") for each in findings)
            assert envelope.save() == data
            read += 1
        except OvfError as error:
            assert error.what
    assert seen > 500
    assert read > 500


def test_what_is_read_without_errors_can_be_written_and_is_valid() -> None:
    written = 0
    for path in sorted((CORPUS / GOVMOMI).glob("*.ovf")):
        try:
            appliance, findings = Envelope.parse(path.read_bytes(), path.name).appliance()
        except OvfError:
            continue
        if errors(findings) or any(d.capacity is None for d in appliance.disks.values()):
            continue
        files = {
            disk.id: FileEntry(f"disk{n}.vmdk", disk.image_size or 1, disk.format)
            for n, disk in enumerate(appliance.disks.values())
            if not disk.blank
        }
        data = build(appliance, files)
        again, _ = Envelope.parse(data).appliance()
        assert [(m.id, m.name, m.memory, m.processors, m.adapters) for m in again.machines] == [
            (m.id, m.name, m.memory, m.processors, m.adapters) for m in appliance.machines
        ], path.name
        assert again.properties == appliance.properties, path.name
        if XSD.is_dir():
            assert problems(envelope_schema(), data) == [], path.name
        written += 1
    assert written > 10


def test_photon() -> None:
    appliance, findings = resolve(f"{GOVMOMI}/photon5.ovf")
    assert errors(findings) == []
    (machine,) = appliance.machines
    assert (appliance.name, machine.id, machine.name) == ("Photon OS", "vm", "Photon OS")
    assert (machine.processors.count, machine.memory.size) == (1, 2048 * MIB)
    assert machine.firmware is Firmware.UEFI
    assert not machine.secure_boot
    assert machine.hardware == ("vmx-15",)
    assert (machine.os.cim_id, machine.os.vendor_id) == (36, "vmwarePhoton64Guest")
    assert [(c.id, c.bus, c.model) for c in machine.controllers] == [
        ("3", Bus.SATA, "vmware.sata.ahci"),
        ("4", Bus.SCSI, "VirtualSCSI"),
    ]
    assert [
        (a.medium, a.disk, a.controller, a.unit, a.boot_index) for a in machine.attachments
    ] == [
        (Medium.FLOPPY, None, None, 0, None),
        (Medium.DISK, "vmdisk1", "4", 0, 0),
        (Medium.CDROM, None, "3", 0, None),
    ]
    (disk,) = appliance.disks.values()
    assert (disk.capacity, disk.image, disk.image_size, disk.populated) == (
        16 * GIB, "photon-ova-disk1.vmdk", 322319360, 858521600,
    )  # fmt: skip
    assert [(a.network, a.model, a.connected) for a in machine.adapters] == [
        ("None", "VmxNet3", True)
    ]
    (product,) = appliance.products
    assert (product.name, product.vendor, product.version) == ("Photon OS", "VMware Inc.", "5.0")
    (licence,) = appliance.licences
    assert "VMWARE GENERAL TERMS" in licence.text
    assert licence.owner == "vm"


def test_ubuntu() -> None:
    appliance, findings = resolve(f"{GOVMOMI}/ubuntu24.10.ovf")
    assert errors(findings) == []
    (machine,) = appliance.machines
    assert machine.name == "ubuntu-oracular-24.10-cloudimg-20241109"
    assert (machine.processors.count, machine.memory.size) == (2, 1024 * MIB)
    assert machine.firmware is Firmware.BIOS
    assert appliance.transports == ("iso",)
    assert [(c.bus, c.number) for c in machine.controllers] == [
        (Bus.SCSI, 0), (Bus.IDE, 1), (Bus.IDE, 0),
    ]  # fmt: skip
    assert [(a.id, a.medium, a.controller) for a in machine.attachments] == [
        ("9", Medium.CDROM, "5"), ("10", Medium.DISK, "3"), ("11", Medium.FLOPPY, None),
    ]  # fmt: skip
    assert appliance.disks_of(machine)[0].capacity == 10 * GIB
    assert [(p.key, p.default) for p in appliance.properties] == [
        ("instance-id", "id-ovf"), ("hostname", "ubuntuguest"), ("seedfrom", None),
        ("public-keys", ""), ("user-data", ""), ("password", ""),
    ]  # fmt: skip
    assert all(p.configurable and p.type == "string" for p in appliance.properties)
    assert machine.extras["vmware:config.memoryHotAddEnabled"] == "false"


def test_ttylinux() -> None:
    appliance, findings = resolve(f"{GOVMOMI}/ttylinux.ovf")
    assert errors(findings) == []
    (machine,) = appliance.machines
    assert (machine.processors.count, machine.memory.size) == (1, 32 * MIB)
    assert [(a.disk, a.controller, a.unit) for a in machine.attachments] == [("vmdisk1", "3", 0)]
    assert [c.bus for c in machine.controllers] == [Bus.IDE]
    assert appliance.disks_of(machine)[0].capacity == 30 * MIB
    assert [(n.id, n.description) for n in appliance.networks] == [("nat", "The nat network")]
    assert machine.adapters[0].model == "E1000"
    assert machine.extras["vmware:extraConfig.tools.syncTimeWithHost"] == "true"


@pytest.mark.parametrize(
    ("configuration", "processors", "memory", "adapters"),
    [
        (None, 4, 4096, 3),
        ("1CPU-1GB-1NIC", 1, 1024, 1),
        ("2CPU-2GB-1NIC", 2, 2048, 1),
        ("4CPU-4GB-3NIC", 4, 4096, 3),
    ],
)
def test_cot_input_in_each_of_its_configurations(
    configuration: str | None, processors: int, memory: int, adapters: int
) -> None:
    appliance, findings = resolve(f"{COT}/input.ovf", configuration)
    assert errors(findings) == []
    (machine,) = appliance.machines
    assert machine.processors.count == processors
    assert machine.memory.size == memory * MIB
    assert [a.name for a in machine.adapters] == [
        f"GigabitEthernet{n + 1}" for n in range(adapters)
    ]
    assert appliance.configuration == (configuration or "4CPU-4GB-3NIC")
    assert [(c.id, c.default) for c in appliance.configurations] == [
        ("1CPU-1GB-1NIC", False), ("2CPU-2GB-1NIC", False), ("4CPU-4GB-3NIC", True),
    ]  # fmt: skip


def test_cot_input_has_a_cd_in_its_drive_and_asks_by_category() -> None:
    appliance, _ = resolve(f"{COT}/input.ovf")
    (machine,) = appliance.machines
    assert [(a.medium, a.disk, a.controller, a.read_only) for a in machine.attachments] == [
        (Medium.DISK, "vmdisk1", "3", False),
        (Medium.CDROM, "file:file2", "4", True),
        (Medium.CDROM, None, "4", True),
    ]
    disc = appliance.disks_of(machine)[1]
    assert (disc.image, disc.capacity, disc.format) == ("input.iso", 360448, "iso")
    assert machine.hardware == ("vmx-07", "vmx-08")
    assert list(dict.fromkeys(p.category for p in appliance.properties)) == [
        "1. Bootstrap Properties", "2. Features", "3. Additional Configuration Properties",
    ]  # fmt: skip
    secret = next(p for p in appliance.properties if p.key == "login-password")
    assert (secret.password, secret.qualifiers, secret.owner) == (True, "MaxLen(25)", "test")


def test_csr1000v_names_its_properties_by_class_and_instance() -> None:
    appliance, findings = resolve(f"{COT}/csr1000v.ovf", "4CPU-8GB")
    assert errors(findings) == []
    (machine,) = appliance.machines
    assert (machine.processors.count, machine.memory.size) == (4, 8192 * MIB)
    assert [a.network for a in machine.adapters] == [
        "GigabitEthernet1", "GigabitEthernet2", "GigabitEthernet3",
    ]  # fmt: skip
    assert [c.model for c in machine.controllers] == ["virtio lsilogic", "", ""]
    assert [a.disk for a in machine.attachments] == ["vmdisk1", "file:csr1000v.iso", None]
    first = appliance.properties[0]
    assert (first.key, first.configurable, first.default) == (
        "com.cisco.csr1000v.config-version.1", False, "1.0",
    )  # fmt: skip
    assert resolve(f"{COT}/csr1000v.ovf")[0].machines[0].memory.size == 4096 * MIB


def test_xencenter_writes_utf_8_and_says_utf_16() -> None:
    appliance, findings = resolve("xenserver__xenadmin/XenAdminTests/TestResources/sample_app.ovf")
    assert errors(findings) == []
    assert "encoding-repaired" in [each.id for each in findings]
    (machine,) = appliance.machines
    assert (appliance.name, machine.name) == ("Web server", "Web server")
    assert (machine.processors.count, machine.processors.limit_mhz) == (1, None)
    assert machine.memory.size == 64 * MIB
    assert machine.hardware == ("xen-3.0-unknown",)
    assert machine.start.order == 2
    assert machine.extras == {
        "xenserver:platform": "nx=false;pae=true;acpi=true;viridian=true;apic=true;",
        "xenserver:PV_bootloader": "pygrub",
    }
    (drive,) = machine.attachments
    assert (drive.disk, drive.unit, drive.boot_index) == (
        "64891892-169e-470b-9779-368ee4ad2c15", 0, 0,
    )  # fmt: skip
    disk = appliance.disks_of(machine)[0]
    assert (disk.capacity, disk.image_size) == (10485760, 16777216)
    assert disk.format.endswith("vhdspec.mspx")
    assert appliance.licences[0].text == "this is my eula document\n\nblah blah blah"


def test_virtualbox_and_hassio_say_efi_and_cores() -> None:
    path = "home-assistant__operating-system/buildroot-external/board/pc/ova/home-assistant.ovf"
    appliance, findings = resolve(path)
    assert errors(findings) == []
    (machine,) = appliance.machines
    assert machine.firmware is Firmware.UEFI
    assert (machine.processors.count, machine.processors.cores_per_socket) == (2, 2)
    assert machine.memory.size == 2048 * MIB
    assert machine.attachments[0].disk == "vmdisk1"
    assert machine.uuid == "cab1600e-df75-47c2-a237-cfb10215b42b"
    assert Boot.DISK not in machine.boot_order


@pytest.mark.parametrize(
    ("configuration", "processors", "disks", "keys"),
    [
        ("small", 2, [1], {"hostname", "tier_small", "size_preset", "scratch_space_size_small"}),
        ("medium", 4, [2, 2], {"hostname", "tier_medium", "size_preset"}),
        ("large", 8, [4, 4, 4], {"hostname", "tier_large", "size_preset", "scratch_space_size_large"}),
    ],
)  # fmt: skip
def test_each_configuration_has_its_own_disks_and_properties(
    configuration: str, processors: int, disks: list[int], keys: set[str]
) -> None:
    appliance, findings = resolve(f"{GOVMOMI}/deployment-configs.ovf", configuration)
    assert errors(findings) == []
    (machine,) = appliance.machines
    assert machine.processors.count == processors
    assert machine.memory.size == processors * GIB
    assert [(d.capacity or 0) // GIB for d in appliance.disks_of(machine)] == disks
    assert {p.key for p in appliance.properties} == keys
    assert machine.description.startswith("Fixture for deployment config")


def test_a_capacity_is_taken_from_its_property() -> None:
    appliance, findings = resolve(f"{GOVMOMI}/disk-capacity-property.ovf")
    assert errors(findings) == []
    (disk,) = appliance.disks.values()
    assert disk.blank
    assert (disk.capacity, disk.capacity_property) == (
        5 * GIB, "disk-capacity-property-vm/disksize",
    )  # fmt: skip


def test_property_types_in_all_spellings() -> None:
    appliance, _ = resolve(f"{GOVMOMI}/property-types.ovf")
    types = {p.key: (p.type, p.vendor_type) for p in appliance.properties}
    assert types["p_int_plain"] == ("sint32", "int")
    assert types["p_String_capital"] == ("string", "")
    assert types["p_Boolean_capital"] == ("boolean", "")
    assert types["p_uint64"] == ("uint64", "")
    assert types["p_real32"] == ("real32", "")
    assert len(types) == 23


def test_class_and_instance_make_the_key() -> None:
    appliance, _ = resolve(f"{GOVMOMI}/properties.ovf")
    assert [p.key for p in appliance.properties] == [
        "ttylinux.ntp-server.vm", "ttylinux.enable_ssh.vm", "ttylinux.nfs_mount.vm",
        "ttylinux.whitespace_int.vm", "vm.vmname",
    ]  # fmt: skip


def test_an_unknown_configuration_is_told_with_those_that_are_known() -> None:
    with pytest.raises(DescriptorError, match="no deployment option 'huge'") as caught:
        resolve(f"{COT}/input.ovf", "huge")
    assert "4CPU-4GB-3NIC" in caught.value.remedy


def test_an_entity_attack_is_refused() -> None:
    hostile = [p for p in (CORPUS / "proxmox__pve-storage").rglob("*") if "XEE" in p.name]
    assert hostile
    for path in hostile:
        with pytest.raises(DescriptorError, match="DTD"):
            Envelope.parse(Path(path).read_bytes())
