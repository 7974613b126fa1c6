"""Descriptors in another version: what comes back is the same, and what cannot be carried is told."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from lxml import etree

from kensho_tui.findings import Severity
from kensho_tui.machine import Appliance, DiskId
from kensho_tui.ovf.convert import Converted, convert
from kensho_tui.ovf.editing import Editing
from kensho_tui.ovf.edits import set_name
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.errors import DescriptorError, OvfError
from kensho_tui.ovf.rules import fix
from kensho_tui.ovf.versions import VERSIONS, Version, version_of
from kensho_tui.ovf.write import FileEntry, build
from tests.unit.ovf import second
from tests.unit.ovf.appliances import appliances
from tests.unit.ovf.corpus import CORPUS, COT, descriptor, needs_corpus
from tests.unit.ovf.schemas import XSD, envelope_schema, needs_xsd, problems, second_schema
from tests.unit.ovf.test_edits import shop
from tests.unit.ovf.test_envelope import envelope, item, system
from tests.unit.ovf.test_rules import good


def resolved(data: bytes) -> list[Appliance]:
    """The appliance, for every deployment option."""
    read = Envelope.parse(data)
    options: list[str | None] = [each.id for each in read.configurations]
    options = options or [None]
    return [read.appliance(each)[0] for each in options]


def ids(made: Converted) -> list[str]:
    """What was noted."""
    return [each.id for each in made.findings]


def valid(data: bytes) -> list[str]:
    """What the schema of its version says."""
    second_one = version_of(etree.fromstring(data)) == "2.0"
    return problems(second_schema() if second_one else envelope_schema(), data)


# --------------------------------------------------------------------------------- there and back
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(appliances())
def test_there_and_back_is_the_same(given_: tuple[Appliance, Mapping[DiskId, FileEntry]]) -> None:
    data = build(*given_)
    there = convert(data, "2.0")
    assert version_of(etree.fromstring(there.data)) == "2.0"
    assert there.lost == ()
    assert resolved(there.data) == [given_[0]]
    back = convert(there.data, "1.1")
    assert {each.id for each in back.lost} <= {"shared-disk-unsaid", "access-unsaid"}
    assert resolved(back.data) == [given_[0]]
    if XSD.is_dir():
        assert valid(there.data) == []
        assert valid(back.data) == []


def wild() -> Iterator[tuple[Path, bytes]]:
    """Descriptors of the corpus that can be read, as they are once mended."""
    for path in sorted(CORPUS.rglob("*.ovf")):
        try:
            read = Envelope.parse(path.read_bytes(), path.name)
        except OvfError:
            continue
        if read.editable:
            fix(read)
            yield path, read.save()


@needs_corpus
def test_the_wild_there_and_back_is_the_same() -> None:
    seen = 0
    for path, data in wild():
        there = convert(data, "2.0", path.name)
        assert there.lost == (), path
        back = convert(there.data, "1.1", path.name)
        if back.lost:
            assert b"envelope/2" in data, path  # sections of OVF 2 in the first place
            continue
        assert [_bare(each) for each in resolved(back.data)] == [
            _bare(each) for each in resolved(data)
        ], path
        assert resolved(there.data) == resolved(back.data), path
        if XSD.is_dir() and version_of(etree.fromstring(data)) == "1.1" and not valid(data):
            assert valid(there.data) == [], path
            assert valid(back.data) == [], path
        seen += 1
    assert seen > 400


def _bare(appliance: Appliance) -> Appliance:
    return appliance


@needs_corpus
@needs_xsd
@pytest.mark.parametrize("version", VERSIONS)
def test_vmwares_first_draft_becomes_valid(version: Version) -> None:
    data = descriptor(f"{COT}/v0.9.ovf")
    made = convert(data, version)
    assert valid(made.data) == []
    (before,), (after,) = resolved(data), resolved(made.data)
    assert [(m.id, m.memory, m.processors, len(m.adapters)) for m in after.machines] == [
        (m.id, m.memory, m.processors, len(m.adapters)) for m in before.machines
    ]
    assert after.disks == before.disks
    assert after.licences == before.licences


@needs_corpus
@needs_xsd
def test_virtualboxs_second_version_becomes_valid_but_for_its_own_section() -> None:
    made = convert(descriptor(f"{COT}/ubuntu.2.0.ovf"), "2.0")
    assert all("virtualbox" in each for each in valid(made.data)), valid(made.data)


# --------------------------------------------------------------------------------- to the letter
def test_only_what_differs_is_written_anew() -> None:
    text = good().replace("<Envelope", "<!-- before --><Envelope").replace(
        "<References>", "<!-- in it --><References>"
    ).replace("<VirtualHardwareSection>", '<VirtualHardwareSection v:keep="yes">')  # fmt: skip
    made = convert(text.encode(), "2.0").data.decode()
    for kept in (
        "<!-- before -->",
        "<!-- in it -->",
        'v:keep="yes"',
        "<References>",
        "<rasd:ResourceType>3",
    ):
        assert kept in made
    assert "envelope/1" not in made
    assert made.count("<StorageItem") == 1
    assert "<sasd:HostResource>ovf:/disk/d</sasd:HostResource>" in made
    assert "<epasd:Connection>lan</epasd:Connection>" in made
    assert made.index("<EthernetPortItem") < made.index("<StorageItem")


def test_the_same_version_stays_as_it_is() -> None:
    data = convert(good().encode(), "1.1").data
    assert convert(data, "1.1").data == data


def test_a_comment_stays_before_its_item() -> None:
    text = good(card="<!-- the card -->" + item(10, "7", ElementName="nic", Connection="lan"),
                more="<!-- the last -->" + item(4, "8", ElementName="more", VirtualQuantity=1,
                                                AllocationUnits="byte * 2^20"))  # fmt: skip
    made = convert(text.encode(), "2.0").data.decode()
    assert "<!-- the card --><EthernetPortItem" in made
    assert "<!-- the last --><Item" in made


@needs_xsd
def test_attributes_get_the_namespace_that_the_schema_wants() -> None:
    text = good().replace('ovf:diskId="d"', 'diskId="d"').replace('ovf:id="f"', 'id="f"')
    made = convert(text.encode(), "1.1")
    assert valid(made.data) == []
    assert resolved(made.data) == resolved(text.encode())


def test_what_stands_there_in_two_versions_is_refused() -> None:
    text = good().replace(
        '<File ovf:id="f"',
        '<File xmlns:two="http://schemas.dmtf.org/ovf/envelope/2" two:id="g" ovf:id="f"',
    )
    with pytest.raises(DescriptorError, match="cannot be written in one namespace"):
        convert(text.encode(), "2.0")


def test_an_address_of_a_namespace_in_a_text_stays() -> None:
    said = 'xmlns="http://schemas.dmtf.org/ovf/envelope/1"'
    text = envelope(content=system(sections=f"<AnnotationSection><Info/><Annotation>{said}</Annotation>"
                                   "</AnnotationSection>"))  # fmt: skip
    (made,) = resolved(convert(text.encode(), "2.0").data)
    assert made.machines[0].description == said


# --------------------------------------------------------------------------------- what is lost
@needs_xsd
def test_the_example_is_valid() -> None:
    assert valid(second.descriptor()) == []
    assert valid(second.descriptor(sections=second.ENCRYPTION)) == []


def test_what_the_first_version_has_not_is_left_out_and_told() -> None:
    made = convert(second.descriptor(), "1.1")
    assert sorted(ids(made)) == sorted([
        "access-unsaid", "boot-order-unsaid", "environment-files-unsaid", "scale-out-unsaid",
        "shared-disk-unsaid", *["placement-unsaid"] * 3,
    ])  # fmt: skip
    assert {each.severity for each in made.findings} == {Severity.WARNING}
    assert all(each.message.endswith(".") and each.line for each in made.findings)
    text = made.data.decode()
    assert "envelope/2" not in text
    assert "StorageItem" not in text
    if XSD.is_dir():
        assert valid(made.data) == []


def test_a_shared_disk_is_one_again_on_the_way_back() -> None:
    (before,) = resolved(second.descriptor())
    there = convert(second.descriptor(), "1.1").data
    (between,) = resolved(there)
    (after,) = resolved(convert(there, "2.0").data)
    assert [d.shared for d in before.disks.values()] == [False, True]
    assert between.disks == before.disks == after.disks
    assert b"SharedDiskSection" in convert(there, "2.0").data


def test_an_encrypted_package_is_not_converted_to_what_cannot_say_so() -> None:
    with pytest.raises(DescriptorError, match="encrypted") as told:
        convert(second.descriptor(sections=second.ENCRYPTION), "1.1")
    assert told.value.subject == "f"


def test_a_namespace_with_a_relative_name_is_converted_and_edited_like_any_other() -> None:
    data = shop().replace(b'xmlns:v="urn:vendor"', b'xmlns:v="vendor"')
    assert data != shop()
    assert b'"vendor"' in convert(data, "2.0").data
    editing = Editing(data)
    editing.apply(set_name("web", "other"))
    assert editing.changed
    editing.undo()
    assert editing.data == data
