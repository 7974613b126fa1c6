"""An appliance that is written and read again is the same appliance."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings

from kensho_tui.machine import (
    Appliance,
    Attachment,
    Boot,
    Disk,
    DiskId,
    EnvironmentFile,
    Machine,
    MachineId,
    Memory,
    Property,
)
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.errors import DescriptorError
from kensho_tui.ovf.versions import VERSIONS
from kensho_tui.ovf.write import FileEntry, build
from tests.unit.ovf.appliances import appliances
from tests.unit.ovf.schemas import envelope_schema, needs_xsd, problems, second_schema

ONE = Machine(MachineId("m1"), "web", Memory(1 << 30))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(appliances())
def test_what_is_written_is_read_again_as_the_same(
    given_: tuple[Appliance, Mapping[DiskId, FileEntry]],
) -> None:
    appliance, files = given_
    for version in VERSIONS:
        read, _ = Envelope.parse(build(appliance, files, version=version)).appliance()
        assert read == appliance


@needs_xsd
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(appliances())
def test_what_is_written_is_valid_by_the_schema(
    given_: tuple[Appliance, Mapping[DiskId, FileEntry]],
) -> None:
    assert problems(envelope_schema(), build(*given_)) == []
    assert problems(second_schema(), build(*given_, version="2.0")) == []


def test_the_second_version_names_the_guests_files_and_shared_disks() -> None:
    disk = Disk(DiskId("d"), 1 << 30, "d", shared=True)
    machine = replace(ONE, attachments=(Attachment("1", disk=disk.id, boot_index=0),),
                      boot_order=(Boot.NETWORK, Boot.DISK))  # fmt: skip
    file = EnvironmentFile("m1", "etc/x.conf", "x.conf")
    appliance = Appliance("web", (machine,), {disk.id: disk}, environment_files=(file,),
                          blobs={"x.conf": b"1"})  # fmt: skip
    data = build(appliance, {}, version="2.0")
    for name in (b"SharedDisk ", b"EnvironmentFilesSection", b"CIM:Network:1"):
        assert name in data
    read = Envelope.parse(data)
    again, _ = read.appliance()
    (named,) = again.environment_files
    assert (named.owner, named.path) == ("m1", "etc/x.conf")
    assert [each.href for each in read.files if each.id == named.name] == ["x.conf"]
    assert (again.machines, again.disks) == (appliance.machines, appliance.disks)


def test_a_name_with_characters_xml_cannot_hold_is_written_without_them() -> None:
    machine = replace(ONE, name="w\x00e\x1bb\ud800 <b>&[red]", description="a\x08b")
    read, _ = Envelope.parse(build(Appliance("w", (machine,)), {})).appliance()
    assert read.machines[0].name == "web <b>&[red]"
    assert read.machines[0].description == "ab"


def test_a_line_break_in_an_attribute_survives() -> None:
    asked = Property("motd", "m1", default="first\r\nsecond\tthird")
    read, _ = Envelope.parse(build(Appliance("w", (ONE,), properties=(asked,)), {})).appliance()
    assert read.properties == (asked,)


def test_a_disk_without_its_file_is_not_written() -> None:
    disk = Disk(DiskId("d"), 10, image="d.vmdk")
    with pytest.raises(DescriptorError, match="no file"):
        build(Appliance("w", (ONE,), {disk.id: disk}), {})


def test_a_disk_of_unknown_capacity_is_not_written() -> None:
    disk = Disk(DiskId("d"), None, image="d.vmdk")
    with pytest.raises(DescriptorError, match="capacity is not known"):
        build(Appliance("w", (ONE,), {disk.id: disk}), {disk.id: FileEntry("d.vmdk", 5)})


def test_a_blank_disk_stays_bound_to_its_property() -> None:
    disk = Disk(
        DiskId("d"),
        5 << 30,
        "d",
        capacity_property="m1/size",
        extras={"ovf:capacityUnit": str(1 << 30)},
    )
    machine = replace(ONE, attachments=(Attachment("1", disk=disk.id, boot_index=0),))
    asked = Property("size", "m1", "uint16", default="5", configurable=True)
    appliance = Appliance("web", (machine,), {disk.id: disk}, properties=(asked,))
    data = build(appliance, {})
    assert b'capacity="${size}"' in data
    assert Envelope.parse(data).appliance()[0] == appliance


def test_properties_of_the_whole_become_the_machines_where_there_is_only_one() -> None:
    appliance = Appliance("web", (ONE,), properties=(Property("a"), Property("b", "m1")))
    read, _ = Envelope.parse(build(appliance, {})).appliance()
    assert {each.key: each.owner for each in read.properties} == {"a": "m1", "b": "m1"}
