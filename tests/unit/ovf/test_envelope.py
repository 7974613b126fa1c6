"""The descriptor as a view: what is not known is kept, and what is odd is told with its line."""

import pytest
from lxml import etree

from kensho_tui.findings import Finding, Severity
from kensho_tui.machine import Appliance, Bus, Firmware, Medium, Start
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.errors import DescriptorError

NS = (
    'xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"'
    ' xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"'
    ' xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData"'
    ' xmlns:vmw="http://www.vmware.com/schema/ovf" xmlns:v="urn:vendor"'
    ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
)
CPU = "<Item><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>2</rasd:VirtualQuantity></Item>"  # noqa: E501
MEMORY = "<Item><rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits><rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>512</rasd:VirtualQuantity></Item>"  # noqa: E501


def item(type_: int, instance: str = "9", attributes: str = "", **fields: object) -> str:
    """One Item."""
    inner = "".join(f"<rasd:{name}>{value}</rasd:{name}>" for name, value in fields.items())
    return (
        f"<Item {attributes}>{inner}<rasd:InstanceID>{instance}</rasd:InstanceID>"
        f"<rasd:ResourceType>{type_}</rasd:ResourceType></Item>"
    )


def system(
    items: str = "", *, id_: str = "vm", sections: str = "", hardware: str = "", family: str = ""
) -> str:
    """One VirtualSystem with a processor and memory."""
    typed = f"<vssd:VirtualSystemType>{family}</vssd:VirtualSystemType>" if family else ""
    return (
        f'<VirtualSystem ovf:id="{id_}"><Info/><Name>{id_}</Name>{sections}'
        f"<VirtualHardwareSection><Info/><System>{typed}</System>{CPU}{MEMORY}{items}{hardware}"
        "</VirtualHardwareSection></VirtualSystem>"
    )


def envelope(
    *, content: str = "", references: str = "", sections: str = "", after: str = ""
) -> str:
    """A descriptor."""
    return (
        f"<Envelope {NS}><References>{references}</References>{sections}"
        f"{content or system()}{after}</Envelope>"
    )


def resolve(
    text: str, configuration: str | None = None, locale: str = ""
) -> tuple[Appliance, tuple[Finding, ...]]:
    """The appliance in a descriptor."""
    return Envelope.parse(text.encode()).appliance(configuration, locale=locale)


def ids(findings: tuple[Finding, ...], severity: Severity | None = None) -> list[str]:
    """Ids of the findings, of one severity or all."""
    return [each.id for each in findings if severity in {None, each.severity}]


# --------------------------------------------------------------------------------- nothing is lost
def test_an_untouched_descriptor_is_saved_as_it_was() -> None:
    data = b"\xef\xbb\xbf" + envelope().encode().replace(b">", b" >", 3) + b"\n<!-- end -->\n"
    parsed = Envelope.parse(data)
    parsed.appliance()
    assert parsed.save() == data


def test_an_edit_keeps_all_else() -> None:
    data = (
        "<?xml version='1.0'?><!-- before -->"
        + envelope(
            references='<File ovf:id="f" ovf:href="a.vmdk" v:tag="kept"/>'
            '<File ovf:id="g" ovf:href="b.vmdk"/>',
            sections='<v:Section ovf:required="false"><v:x y="1">text</v:x></v:Section>',
        )
    ).encode()
    parsed = Envelope.parse(data)
    parsed.set_file("f", href="new.vmdk", size=7)
    saved = parsed.save()

    def canonical(document: bytes) -> bytes:
        return etree.tostring(etree.fromstring(document), method="c14n")

    expected = data.replace(b'ovf:href="a.vmdk"', b'ovf:href="new.vmdk" ovf:size="7"')
    assert canonical(saved) == canonical(expected)
    assert b"<!-- before -->" in saved
    assert (parsed.files[0].href, parsed.files[0].size) == ("new.vmdk", 7)
    with pytest.raises(DescriptorError):
        parsed.set_file("nowhere", size=1)


# ------------------------------------------------------------------------------- quantities, units
@pytest.mark.parametrize(
    ("units", "quantity", "size"),
    [
        ("byte * 2^20", 512, 512 << 20), ("byte * 2 ^ 20", 512, 512 << 20),
        ("byte*1024*1024", 512, 512 << 20), ("MegaBytes", 512, 512 << 20), ("MB", 512, 512 << 20),
        ("byte * 2^30", 2, 2 << 30), ("GigaBytes", 2, 2 << 30), ("KiloBytes", 2048, 2 << 20),
        ("byte", 1 << 29, 1 << 29), ("bytes", 1 << 29, 1 << 29), ("", 512, 512 << 20),
        ("", 1 << 29, 1 << 29), ("byte * 10^9", 1, 10**9),
    ],
)  # fmt: skip
def test_memory_in_every_spelling_of_its_unit(units: str, quantity: int, size: int) -> None:
    written = item(4, "2", AllocationUnits=units, VirtualQuantity=quantity)
    appliance, findings = resolve(envelope().replace(MEMORY, written))
    assert appliance.machines[0].memory.size == size
    assert findings == ()


@pytest.mark.parametrize(("units", "quantity"), [("Disk", "5"), ("byte * 2^99", "1"), ("MB", "-3")])
def test_memory_that_is_no_size_is_an_error(units: str, quantity: str) -> None:
    written = item(4, "2", AllocationUnits=units, VirtualQuantity=quantity)
    _, findings = resolve(envelope().replace(MEMORY, written))
    assert "memory-unreadable" in ids(findings, Severity.ERROR)


def test_of_a_range_the_normal_value_is_taken() -> None:
    bounds = "".join(
        item(4, "2", f'ovf:bound="{bound}"', AllocationUnits="MB", VirtualQuantity=value)
        for bound, value in (("min", 256), ("normal", 1024), ("max", 4096))
    )
    appliance, findings = resolve(envelope().replace(MEMORY, bounds))
    assert appliance.machines[0].memory.size == 1024 << 20
    assert findings == ()
    appliance, _ = resolve(
        envelope().replace(MEMORY, bounds.replace('ovf:bound="normal"', 'ovf:bound="max"'))
    )
    assert appliance.machines[0].memory.size == 256 << 20


def test_an_item_of_the_configuration_replaces_the_common_one() -> None:
    options = (
        '<DeploymentOptionSection><Info/><Configuration ovf:id="s"><Label>S</Label></Configuration>'
        '<Configuration ovf:id="l" ovf:default="true"/></DeploymentOptionSection>'
    )
    text = envelope(
        sections=options,
        content=system(
            item(3, "1", 'ovf:configuration="l xl"', VirtualQuantity=8)
            + item(10, "7", 'ovf:configuration="s"', Connection="lan")
        ),
    )
    large, _ = resolve(text)
    small, _ = resolve(text, "s")
    assert (large.machines[0].processors.count, len(large.machines[0].adapters)) == (8, 0)
    assert (small.machines[0].processors.count, len(small.machines[0].adapters)) == (2, 1)


def test_without_processors_and_memory_something_is_assumed_and_told() -> None:
    appliance, findings = resolve(envelope().replace(CPU, "").replace(MEMORY, ""))
    assert (appliance.machines[0].processors.count, appliance.machines[0].memory.size) == (
        1,
        1 << 30,
    )
    assert ids(findings, Severity.WARNING) == ["processors-missing", "memory-missing"]


# ------------------------------------------------------------------------------------------- disks
DISK = '<DiskSection><Info/><Disk ovf:diskId="d" ovf:capacity="1" ovf:capacityAllocationUnits="byte * 2^30" ovf:fileRef="f"/></DiskSection>'  # noqa: E501
FILE = '<File ovf:id="f" ovf:href="d.vmdk" ovf:size="99"/>'


@pytest.mark.parametrize(
    "resource", ["ovf:/disk/d", "/disk/d", "ovf://disk/d", "d", "ovf:/file/f", "f"]
)
@pytest.mark.parametrize("type_", [17, 19, 21, 31])
def test_every_spelling_of_a_disk_is_found(resource: str, type_: int) -> None:
    text = envelope(
        references=FILE, sections=DISK, content=system(item(type_, HostResource=resource))
    )
    appliance, findings = resolve(text)
    assert [(a.disk, a.boot_index) for a in appliance.machines[0].attachments] == [("d", 0)]
    assert appliance.disks_of(appliance.machines[0])[0].capacity == 1 << 30
    assert findings == ()


def test_xencenters_connection_names_disk_and_device() -> None:
    text = envelope(
        references=FILE, sections=DISK, content=system(item(17, Connection="f,device=3"))
    )
    (drive,) = resolve(text)[0].machines[0].attachments
    assert (drive.disk, drive.unit) == ("d", 3)


def test_a_drive_without_its_disk_is_an_error_with_its_line() -> None:
    text = envelope(content=system("\n\n" + item(17, HostResource="ovf:/disk/gone")))
    appliance, findings = resolve(text)
    assert appliance.machines[0].attachments == ()
    (found,) = findings
    assert (found.id, found.severity, found.line) == ("disk-unresolved", Severity.ERROR, 3)
    assert "gone" in found.message


def test_a_blank_disk_and_a_delta_disk() -> None:
    disks = (
        '<DiskSection><Info/><Disk ovf:diskId="blank" ovf:capacity="1024"/>'
        '<Disk ovf:diskId="delta" ovf:capacity="1024" ovf:fileRef="f" ovf:parentRef="blank"/>'
        "</DiskSection>"
    )
    drives = item(17, "8", HostResource="/disk/blank") + item(17, "9", HostResource="/disk/delta")
    appliance, findings = resolve(envelope(references=FILE, sections=disks, content=system(drives)))
    blank, delta = appliance.disks_of(appliance.machines[0])
    assert (blank.blank, blank.capacity, delta.parent) == (True, 1024, "blank")
    assert ids(findings) == ["disk-parent"]


def test_controllers_by_type_and_by_their_words() -> None:
    controllers = (
        item(5, "3", Address=1)
        + item(6, "4", ResourceSubType="lsilogicsas")
        + item(20, "5", ResourceSubType="vmware.sata.ahci")
        + item(20, "6", ResourceSubType="vmware.nvme.controller")
        + item(20, "7", ResourceSubType="", Description="SATA Controller")
        + item(20, "8", ResourceSubType="who knows")
    )
    appliance, findings = resolve(
        envelope(content=system(controllers + item(15, "9", Parent=3, AddressOnParent=1)))
    )
    (machine,) = appliance.machines
    assert [(c.id, c.bus, c.number) for c in machine.controllers] == [
        ("3", Bus.IDE, 1), ("4", Bus.SCSI, 0), ("5", Bus.SATA, 0), ("6", Bus.NVME, 0),
        ("7", Bus.SATA, 1),
    ]  # fmt: skip
    assert ids(findings) == ["device-left-out"]
    (drive,) = machine.attachments
    assert (drive.medium, drive.controller, drive.unit, drive.read_only) == (
        Medium.CDROM, "3", 1, True,
    )  # fmt: skip


def test_devices_that_nobody_takes_over_are_told_only_where_the_author_insists() -> None:
    devices = item(24) + item(24, "8", 'ovf:required="false"') + item(21, "7")
    _, findings = resolve(envelope(content=system(devices)))
    assert [(each.id, each.severity) for each in findings] == [
        ("device-left-out", Severity.INFO), ("device-left-out", Severity.INFO),
    ]  # fmt: skip


def test_a_repeated_instance_id_is_made_unique() -> None:
    appliance, findings = resolve(
        envelope(content=system(item(10, "9", Connection="a") + item(10, "9", Connection="b")))
    )
    assert [a.id for a in appliance.machines[0].adapters] == ["9", "9#2"]
    assert ids(findings) == ["instance-twice", "network-undeclared", "network-undeclared"]


# --------------------------------------------------------------------------------- other sections
def test_hardware_for_xen_is_preferred_then_for_vmware() -> None:
    def hardware(family: str, memory: int) -> str:
        return (
            f"<VirtualHardwareSection><Info/><System><vssd:VirtualSystemType>{family}"
            f"</vssd:VirtualSystemType></System>{CPU}"
            f"{item(4, '2', AllocationUnits='MB', VirtualQuantity=memory)}</VirtualHardwareSection>"
        )

    def chosen(*families: str) -> tuple[str, ...]:
        sections = "".join(hardware(f, 64 * n) for n, f in enumerate(families, 1))
        appliance, findings = resolve(
            envelope(content=f'<VirtualSystem ovf:id="x"><Info/>{sections}</VirtualSystem>')
        )
        assert ids(findings) == ["hardware-chosen"]
        return appliance.machines[0].hardware

    assert chosen("301", "vmx-13", "hvm-3.0-x86_64") == ("hvm-3.0-x86_64",)
    assert chosen("301", "vmx-10,vmx-11") == ("vmx-10", "vmx-11")
    assert chosen("foobar", "301") == ("foobar",)


def test_a_required_section_nobody_knows_is_an_error() -> None:
    text = envelope(
        sections="<v:Magic><Info/></v:Magic>\n"
        '<v:Other ovf:required="false"/><vmw:SnapshotSection><Info/></vmw:SnapshotSection>'
    )
    _, findings = resolve(text)
    assert [(each.id, each.severity) for each in findings] == [
        ("section-required", Severity.ERROR), ("section-ignored", Severity.WARNING),
    ]  # fmt: skip


def test_a_collection_starts_in_order_and_a_nested_one_is_flattened() -> None:
    startup = (
        '<StartupSection><Info/><Item ovf:id="a" ovf:order="2" ovf:startDelay="30"'
        ' ovf:stopDelay="5" ovf:startAction="none" ovf:waitingForGuest="true"/></StartupSection>'
    )
    text = envelope(
        content='<VirtualSystemCollection ovf:id="c"><Info/><Name>Shop</Name>'
        "<AnnotationSection><Info/><Annotation>All of it</Annotation></AnnotationSection>"
        f"{startup}{system(id_='a')}<VirtualSystemCollection ovf:id='inner'><Info/>"
        f"{system(id_='b')}</VirtualSystemCollection></VirtualSystemCollection>"
    )
    appliance, findings = resolve(text)
    assert (appliance.name, appliance.collection, appliance.description) == (
        "Shop", True, "All of it",
    )  # fmt: skip
    assert [(m.id, m.start) for m in appliance.machines] == [
        ("a", Start(2, 30, 5, start=False, wait_for_guest=True)),
        ("b", Start()),
    ]
    assert ids(findings) == ["collection-nested"]


def test_texts_in_the_language_of_choice() -> None:
    product = (
        '<ProductSection><Info/><Product ovf:msgid="p">Shop</Product>'
        '<Property ovf:key="k" ovf:type="string"><Label ovf:msgid="l"/></Property></ProductSection>'
    )
    bundles = (
        '<Strings xml:lang="de-DE"><Msg ovf:msgid="p">Laden</Msg><Msg ovf:msgid="l">Feld</Msg></Strings>'
        '<Strings xml:lang="en-US"><Msg ovf:msgid="l">Field</Msg></Strings>'
        '<Strings xml:lang="fr" ovf:fileRef="x"/>'
    )
    text = envelope(content=system(sections=product), after=bundles)

    def texts(locale: str) -> tuple[str, str]:
        appliance, _ = resolve(text, locale=locale)
        return appliance.products[0].name, appliance.properties[0].label

    assert texts("de-DE") == ("Laden", "Feld")
    assert texts("de-AT") == ("Laden", "Feld")
    assert texts("") == ("Shop", "Field")
    assert texts("fr-FR") == ("Shop", "Feld")  # what has no text of its own takes any


def test_texts_in_a_file_of_their_own_are_told() -> None:
    _, findings = resolve(envelope(after='<Strings xml:lang="fr" ovf:fileRef="x"/>'))
    assert ids(findings, Severity.INFO) == ["strings-unread"]


def test_values_follow_the_configuration() -> None:
    options = (
        '<DeploymentOptionSection><Info/><Configuration ovf:id="s"/><Configuration ovf:id="l"/>'
        "</DeploymentOptionSection>"
    )
    product = (
        '<ProductSection><Info/><Property ovf:key="k" ovf:type="uint8" ovf:value="1">'
        '<Value ovf:value="9" ovf:configuration="l"/></Property></ProductSection>'
    )
    text = envelope(sections=options, content=system(sections=product))
    assert resolve(text)[0].properties[0].default == "1"
    assert resolve(text, "l")[0].properties[0].default == "9"


def test_firmware_secure_boot_and_tpm() -> None:
    config = (
        '<vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="efi"/>'
        '<vmw:Config vmw:key="bootOptions.efiSecureBootEnabled" vmw:value="true"/>'
    )
    text = envelope(content=system(item(1, ResourceSubType="vmware.vtpm"), hardware=config))
    (machine,) = resolve(text)[0].machines
    assert (machine.firmware, machine.secure_boot, machine.tpm) == (Firmware.UEFI, True, True)


def test_ovf_0_9_is_understood() -> None:
    text = f"""<Envelope xmlns="http://www.vmware.com/schema/ovf/1/envelope"
      xmlns:ovf="http://www.vmware.com/schema/ovf/1/envelope"
      xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
      xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><References>{FILE}</References>
      <Section xsi:type="ovf:DiskSection_Type">
      <Disk ovf:diskId="d" ovf:capacity="1024" ovf:fileRef="f"/></Section>
      <Content xsi:type="ovf:VirtualSystem_Type" ovf:id="old"><Info/>
      <Section xsi:type="ovf:VirtualHardwareSection_Type">
      {(CPU + MEMORY + item(17, HostResource="disk/d")).replace("InstanceID", "InstanceId")}
      </Section></Content></Envelope>"""
    appliance, findings = resolve(text.replace("disk/d", "ovf:/disk/d"))
    (machine,) = appliance.machines
    assert (machine.id, machine.processors.count, machine.memory.size) == ("old", 2, 512 << 20)
    assert machine.attachments[0].disk == "d"
    assert findings == ()


def test_markup_and_control_characters_in_names_are_only_text() -> None:
    text = envelope(
        content=system().replace("<Name>vm</Name>", "<Name>[red]&lt;b&gt;&#9;%s{x}</Name>")
    )
    assert resolve(text)[0].machines[0].name == "[red]<b>\t%s{x}"


def test_a_descriptor_without_machines_says_so() -> None:
    _, findings = resolve(f"<Envelope {NS}><References/></Envelope>")
    assert ids(findings, Severity.ERROR) == ["no-machine"]
