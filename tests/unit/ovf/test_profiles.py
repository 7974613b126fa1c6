"""What a profile writes is what its readers take: nothing is refused but disks, and machines stay the same."""

from collections.abc import Iterator, Mapping

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from kensho_tui.findings import Severity
from kensho_tui.machine import Appliance, Bus, DiskId, Firmware, Machine
from kensho_tui.ovf.convert import Converted
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.errors import DescriptorError, OvfError
from kensho_tui.ovf.profiles import PROFILES, profiled
from kensho_tui.ovf.rules.lint import lint_descriptor
from kensho_tui.ovf.write import FileEntry, build
from tests.unit.ovf import second
from tests.unit.ovf.appliances import appliances
from tests.unit.ovf.corpus import CORPUS, COT, GOVMOMI, needs_corpus
from tests.unit.ovf.schemas import XSD, envelope_schema, problems
from tests.unit.ovf.test_envelope import item
from tests.unit.ovf.test_lint import ODD, SECURE, XEN
from tests.unit.ovf.test_rules import DISK, NAMED_CPU, NAMED_MEMORY, good, option, product

# What a descriptor cannot help: it is the files that are so.
DISKS = {"disk-format", "disk-parent", "disk-size", "chunks", "package"}
NAMES = sorted(PROFILES)


def made(text: str | bytes, name: str, configuration: str | None = None) -> Converted:
    """The descriptor for those."""
    data = text.encode() if isinstance(text, str) else text
    return profiled(data, PROFILES[name], "a.ovf", configuration=configuration)


def refused(data: bytes, name: str) -> set[str]:
    """What the target of the profile refuses of a descriptor."""
    target = PROFILES[name].target
    noted = lint_descriptor(Envelope.parse(data), [target] if target else [])
    errors = [each.finding for each in noted if each.finding.severity is Severity.ERROR]
    return {each.id.removeprefix(f"{target}-") for each in errors}


def read(data: bytes, configuration: str | None = None) -> Appliance:
    """The appliance in a descriptor."""
    return Envelope.parse(data).appliance(configuration)[0]


def gist(machine: Machine) -> tuple[object, ...]:
    """What no profile may change; memory may become whole MiB."""
    drives = tuple((each.medium, each.disk) for each in machine.attachments)
    nets = tuple((each.network, each.mac) for each in machine.adapters)
    return (
        machine.id,
        machine.name,
        machine.processors.count,
        -(-machine.memory.size >> 20),
        drives,
        nets,
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("odd", sorted(ODD))
def test_of_every_odd_package_nothing_is_refused_but_disks(odd: str, name: str) -> None:
    text = ODD[odd]
    result = made(text, name)
    left = refused(result.data, name)
    open_capacity = {"capacity"} if odd == "property" else set()
    assert left <= DISKS | open_capacity
    before, after = read(text.encode()), read(result.data)
    if odd != "several":  # of two descriptions one is taken, and which depends on the target
        assert [gist(each) for each in after.machines] == [gist(each) for each in before.machines]
    assert after.disks.keys() == before.disks.keys()


def wild() -> Iterator[bytes]:
    """Descriptors of the wild that people know."""
    for folder in (GOVMOMI, COT):
        for path in sorted((CORPUS / folder).glob("*.ovf")):
            data = path.read_bytes()
            try:
                parsed = Envelope.parse(data)
                if parsed.editable and parsed.appliance()[0].machines:
                    yield data
            except OvfError:
                continue


@needs_corpus
@pytest.mark.parametrize("name", NAMES)
def test_of_the_wild_nothing_is_refused_but_disks(name: str) -> None:
    seen = 0
    for data in wild():
        result = made(data, name)
        after = read(result.data)
        open_capacity = (
            {"capacity"} if any(e.id == "capacity-open" for e in result.findings) else set()
        )
        assert refused(result.data, name) <= DISKS | open_capacity
        target = PROFILES[name].target if PROFILES[name].flat else ""
        before = Envelope.parse(data).appliance(target=target)[0]
        assert [gist(each) for each in after.machines] == [gist(each) for each in before.machines]
        if XSD.is_dir() and not problems(envelope_schema(), data):
            assert problems(envelope_schema(), result.data) == []
        seen += 1
    assert seen > 20


def test_a_good_package_for_vmware_stays_as_it_is() -> None:
    text = good(family="vmx-13").replace(
        "</System>", "<vssd:ElementName>x</vssd:ElementName><vssd:InstanceID>0</vssd:InstanceID></System>"
    ).replace("ResourceType>6<", "ResourceType>6<").replace("SCSI</rasd:ElementName>",
        "SCSI</rasd:ElementName><rasd:ResourceSubType>lsilogic</rasd:ResourceSubType>")  # fmt: skip
    once = made(text, "vmware")
    assert made(once.data, "vmware").data == once.data
    assert once.lost == ()


def test_twice_is_once() -> None:
    for name in NAMES:
        once = made(ODD["xen"], name).data
        assert made(once, name).data == once, name


def test_deployment_options_are_resolved_for_those_who_add_them_up() -> None:
    large = (
        NAMED_CPU.replace("<Item>", '<Item ovf:configuration="large">').replace(">2<", ">8<")
        + NAMED_MEMORY.replace("<Item>", '<Item ovf:configuration="large">').replace("512", "4096")
    )  # fmt: skip
    asked = product('<Property ovf:key="k" ovf:type="string" ovf:value="s">'
                    '<Value ovf:value="l" ovf:configuration="large"/></Property>')  # fmt: skip
    text = good(options=option('ovf:id="small"', 'ovf:id="large"'), more=large, sections=asked)
    for name in ("virtualbox", "xenserver", "hyperv"):
        for wanted, count, size, value in ((None, 2, 512, "s"), ("large", 8, 4096, "l")):
            result = made(text, name, wanted)
            assert b"DeploymentOption" not in result.data
            assert result.data.count(b"ResourceType>4<") == 1
            after = read(result.data)
            (machine,) = after.machines
            assert (machine.processors.count, machine.memory.size) == (count, size << 20)
            assert [each.default for each in after.properties] == [value]
            assert "options-resolved" in [each.id for each in result.lost]
    kept = read(made(text, "vmware").data, "large")
    assert kept.machines[0].processors.count == 8
    with pytest.raises(DescriptorError, match="no deployment option 'huge'"):
        made(text, "virtualbox", "huge")


def test_a_capacity_that_is_a_property_becomes_its_default() -> None:
    asked = product(
        '<Property ovf:key="size" ovf:type="uint16" ovf:value="7" ovf:userConfigurable="true"/>'
    )
    text = good(disk=DISK.replace('capacity="1"', 'capacity="${size}"'), sections=asked)
    result = made(text, "virtualbox")
    assert f'ovf:capacity="{7 << 30}"'.encode() in result.data
    assert [each.id for each in result.lost] == ["capacity-fixed"]
    assert next(iter(read(made(text, "vmware").data).disks.values())).capacity_property


def test_drives_without_a_controller_get_one() -> None:
    cd = item(15, "8", ElementName="cd")
    text = ODD["loose"].replace("</VirtualHardwareSection>", f"{cd}</VirtualHardwareSection>")
    for name in ("vmware", "virtualbox"):
        (machine,) = read(made(text, name).data).machines
        controllers = {each.id: each for each in machine.controllers}
        disk, drive = machine.attachments
        assert controllers[disk.controller or ""].bus is Bus.SCSI
        assert controllers[drive.controller or ""].bus is Bus.IDE
        assert (disk.unit, drive.unit) == (0, 0)


@pytest.mark.parametrize(("disks", "bus"), [(1, Bus.IDE), (3, Bus.IDE), (4, Bus.SCSI)])
def test_a_machine_without_any_controller_gets_those_that_a_guest_of_xens_knows(
    disks: int, bus: Bus
) -> None:
    entries = "".join(f'<Disk ovf:diskId="d{i}" ovf:capacity="9"/>' for i in range(disks))
    drives = item(15, "30", ElementName="cd") + "".join(
        item(17, str(40 + i), ElementName=f"hd{i}", HostResource=f"ovf:/disk/d{i}")
        for i in range(disks)
    )
    text = good(scsi="", drive=drives, file="", disk=f"<DiskSection><Info/>{entries}</DiskSection>")
    for name in ("vmware", "virtualbox"):
        (machine,) = read(made(text, name).data).machines
        buses = {each.id: each.bus for each in machine.controllers}
        places = {(each.controller, each.unit) for each in machine.attachments}
        assert len(places) == disks + 1
        assert {buses[a.controller or ""] for a in machine.attachments if a.disk} == {bus}
        assert max(sum(b is Bus.IDE for b in buses.values()), 0) <= 2


def test_firmware_is_said_in_xencenters_words() -> None:
    (before,) = read(made(good(hardware=SECURE), "vmware").data).machines
    result = made(good(hardware=SECURE), "xenserver")
    assert b"vmw:Config" not in result.data
    (machine,) = read(result.data).machines
    assert (machine.firmware, machine.secure_boot) == (Firmware.UEFI, True)
    assert (before.firmware, before.secure_boot) == (Firmware.UEFI, True)
    assert machine.hardware == ("hvm-3.0-x86_64",)
    kept = made(good(hardware=XEN + SECURE), "xenserver")
    (machine,) = read(kept.data).machines
    assert machine.extras["xenserver:HVM_boot_params"] == "order=dc;firmware=uefi"


def test_what_xen_says_otherwise_does_not_come_up_when_others_words_go() -> None:
    params = XEN.replace("order=dc", "order=c;firmware=uefi")
    bios = '<vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="bios"/>'
    (before,) = read(good(hardware=params + bios).encode()).machines
    (after,) = read(made(good(hardware=params + bios), "xenserver").data).machines
    assert before.firmware is after.firmware is Firmware.BIOS
    assert after.extras["xenserver:HVM_boot_params"] == "order=c;firmware=bios"


@settings(max_examples=6, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate],
          suppress_health_check=[HealthCheck.too_slow])  # fmt: skip
@given(appliances())
def test_of_any_package_of_ours_nothing_is_refused_and_the_machines_stay_the_same(
    given_: tuple[Appliance, Mapping[DiskId, FileEntry]],
) -> None:
    data = build(*given_)
    for name in NAMES:
        once = made(data, name)
        assert refused(once.data, name) <= DISKS
        assert [gist(each) for each in read(once.data).machines] == [
            gist(each) for each in given_[0].machines
        ]
        assert made(once.data, name).data == once.data
        if XSD.is_dir():
            assert problems(envelope_schema(), once.data) == []


def test_vendors_words_go_and_are_told() -> None:
    text = good(hardware=XEN + SECURE, sections="<v:Odd><Info/></v:Odd>")
    told = {each.message for each in made(text, "standard").lost}
    assert "VMware's Config settings are left out." in told
    assert any(each.startswith("That the machine starts by UEFI") for each in told)
    assert any("'urn:vendor': Odd is left out" in each for each in told)
    data = made(text, "standard").data
    for word in (b"vmw:", b"<v:", b"OtherConfigurationData"):
        assert word not in data.replace(b"xmlns:vmw", b"").replace(b"xmlns:v=", b"")
    assert b"vmw:Config" in made(text, "vmware").data
    assert b"StorageGroupSection" not in made(ODD["groups"], "vmware").data


def test_what_kensho_writes_itself_is_taken() -> None:
    appliance, _ = Envelope.parse(second.descriptor(sections=second.PLACEMENT)).appliance()
    disks = {
        each.id: FileEntry(each.image, 9, each.format)
        for each in appliance.disks.values()
        if each.image
    }
    data = build(appliance, disks)
    for name in NAMES:
        result = made(data, name)
        assert refused(result.data, name) <= DISKS
        if XSD.is_dir():
            assert problems(envelope_schema(), result.data) == []
