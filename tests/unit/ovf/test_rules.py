"""The conformance report: every rule finds its own case, says where, and mends what it can mend."""

import copy
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from kensho_tui.findings import Finding, Severity
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.errors import DescriptorError
from kensho_tui.ovf.rules import RULES, fix, inspect, merge
from kensho_tui.ovf.rules.catalog import _RULES
from tests.unit.ovf.corpus import CORPUS, needs_corpus
from tests.unit.ovf.test_envelope import CPU, MEMORY, envelope, item, system

NAMED = "<rasd:ElementName>x</rasd:ElementName>"
FILE = '<File ovf:id="f" ovf:href="d.vmdk" ovf:size="9"/>'
DISK = (
    '<DiskSection><Info/><Disk ovf:diskId="d" ovf:fileRef="f" ovf:capacity="1"'
    ' ovf:capacityAllocationUnits="byte * 2^30" ovf:format="x#vmdk"/></DiskSection>'
)
NETWORK = '<NetworkSection><Info/><Network ovf:name="lan"/></NetworkSection>'
SCSI = item(6, "5", ElementName="SCSI", Address=0)
DRIVE = item(17, "6", ElementName="hd", HostResource="ovf:/disk/d", Parent=5, AddressOnParent=0)
CARD = item(10, "7", ElementName="nic", Connection="lan")
NAMED_CPU, NAMED_MEMORY = (each.replace("<Item>", f"<Item>{NAMED}") for each in (CPU, MEMORY))


def good(**changes: str) -> str:
    """A descriptor that no rule has a word to say of; pieces of it by name, to be changed."""
    piece = {
        "file": FILE, "disk": DISK, "network": NETWORK, "cpu": NAMED_CPU, "memory": NAMED_MEMORY,
        "scsi": SCSI, "drive": DRIVE, "card": CARD, "sections": "", "more": "", "hardware": "",
        "options": "", "after": "", "family": "vmx-13",
    }  # fmt: skip
    assert changes.keys() <= piece.keys()
    piece |= changes
    content = system(
        piece["scsi"] + piece["drive"] + piece["card"] + piece["more"],
        sections=piece["sections"], hardware=piece["hardware"], family=piece["family"],
    )  # fmt: skip
    content = content.replace(CPU, piece["cpu"]).replace(MEMORY, piece["memory"])
    sections = piece["disk"] + piece["network"] + piece["options"]
    return envelope(
        content=content, references=piece["file"], sections=sections, after=piece["after"]
    )


def found(text: str, sizes: dict[str, int] | None = None) -> list[Finding]:
    """What the rules say of the descriptor."""
    return [each.finding for each in inspect(Envelope.parse(text.encode()), sizes or {})]


def product(properties: str, attributes: str = "") -> str:
    """A ProductSection."""
    return f"<ProductSection {attributes}><Info/>{properties}</ProductSection>"


def option(*options: str) -> str:
    """A DeploymentOptionSection."""
    inner = "".join(f"<Configuration {each}><Label>x</Label></Configuration>" for each in options)
    return f"<DeploymentOptionSection><Info/>{inner}</DeploymentOptionSection>"


def asks(attributes: str) -> str:
    """A ProductSection with one property."""
    return product(f'<Property ovf:key="k" ovf:value="" {attributes}/>')


def collection(inner: str) -> str:
    """A descriptor with a collection in place of a system."""
    before, _, rest = good().partition("<VirtualSystem ")
    start = f'{before}<VirtualSystemCollection ovf:id="all"><Info/>{inner}<VirtualSystem {rest}'
    return start.removesuffix("</Envelope>") + "</VirtualSystemCollection></Envelope>"


ONE = 'ovf:id="a" ovf:default="true"'
CASES: dict[str, str] = {
    "references-missing": re.sub("<References>.*</References>", "", good()),
    "file-id-missing": good(file=FILE + '<File ovf:href="x" ovf:size="1"/>'),
    "file-id-twice": good(file=FILE + '<File ovf:id="f" ovf:href="x" ovf:size="1"/>'),
    "file-href-missing": good(file=FILE + '<File ovf:id="g" ovf:size="1"/>'),
    "file-href-twice": good(file=FILE + '<File ovf:id="g" ovf:href="./d.vmdk" ovf:size="1"/>'),
    "file-size-missing": good(file='<File ovf:id="f" ovf:href="d.vmdk"/>'),
    "file-size-unreadable": good(file=FILE.replace('"9"', '"-9"')),
    "file-compression-unknown": good(file=FILE.replace("/>", ' ovf:compression="bzip2"/>')),
    "file-chunk-size-unreadable": good(file=FILE.replace("/>", ' ovf:chunkSize="-1"/>')),
    "file-ref-undeclared": good(sections=product('<Icon ovf:fileRef="gone"/>')),
    "file-unused": good(file=FILE + '<File ovf:id="g" ovf:href="x" ovf:size="1"/>'),
    "version-missing": good().replace(
        "schemas.dmtf.org/ovf/envelope/1", "www.vmware.com/schema/ovf/1/envelope"
    ),
    "version-unknown": good().replace("<Envelope ", '<Envelope ovf:version="7.5" '),
    "version-mixed": good(more=f'<StorageItem>{NAMED}<rasd:InstanceID>9</rasd:InstanceID>'
                               "<rasd:ResourceType>15</rasd:ResourceType></StorageItem>"),
    "namespace-old": good().replace("ovf/envelope/1", "ovf/envelope/1/"),
    "content-several": good(after=system(id_="other")),
    "collection-empty": collection('<VirtualSystemCollection ovf:id="e"><Info/></VirtualSystemCollection>'),
    "content-id-missing": good().replace('<VirtualSystem ovf:id="vm">', "<VirtualSystem>"),
    "content-id-twice": collection(system(id_="vm")),
    "section-misplaced": good(sections=NETWORK),
    "section-twice": good(network=NETWORK + NETWORK.replace("lan", "wan")),
    "info-missing": good(network=NETWORK.replace("<Info/>", "")),
    "section-unknown": good(sections='<v:MagicSection ovf:required="false"><Info/></v:MagicSection>'),
    "element-required": good(hardware='<v:Magic ovf:required="true"/>'),
    "message-missing": good().replace("<Name>", '<Name ovf:msgid="nowhere">'),
    "disk-id-missing": good(disk=DISK.replace("</DiskSection>", '<Disk ovf:capacity="1"/></DiskSection>')),
    "disk-id-twice": good(disk=DISK.replace("</Disk", '<Disk ovf:diskId="d" ovf:capacity="1"/></Disk')),
    "disk-file-twice": good(disk=DISK.replace("</Disk", '<Disk ovf:diskId="e" ovf:fileRef="f"'
                                              ' ovf:format="vmdk" ovf:capacity="1"/></Disk')),
    "disk-unused": good(drive=""),
    "disk-format-missing": good(disk=DISK.replace('ovf:format="x#vmdk"', "")),
    "disk-format-unknown": good(disk=DISK.replace("x#vmdk", "urn:punched-cards")),
    "disk-scattered-compressed": good(
        file=FILE.replace("/>", ' ovf:compression="gzip"/>'), disk=DISK.replace("x#vmdk", "x#qcow2")
    ),
    "capacity-units-odd": good(disk=DISK.replace("byte * 2^30", "GigaBytes")),
    "populated-size-large": good(disk=DISK.replace("/>", ' ovf:populatedSize="9000000000"/>')),
    "disk-parent-undeclared": good(disk=DISK.replace("/>", ' ovf:parentRef="gone"/>', 1)
                                   .replace("<Info ovf:parentRef", "<Info v:x").replace(
                                       'x#vmdk"', 'x#vmdk" ovf:parentRef="gone"')),
    "disk-parent-order": good(disk=DISK.replace('x#vmdk"', 'x#vmdk" ovf:parentRef="p"').replace(
        "</Disk", '<Disk ovf:diskId="p" ovf:capacity="1"/></Disk')),
    "network-name-missing": good(network=NETWORK.replace("</Net", "<Network/></Net", 1)),
    "network-twice": good(network=NETWORK.replace("</Net", '<Network ovf:name="lan"/></Net', 1)),
    "network-unused": good(network=NETWORK.replace("</Net", '<Network ovf:name="wan"/></Net', 1)),
    "system-missing": re.sub("<System>.*</System>", "", good()),
    "family-list-odd": good(family="vmx-10, vmx-13"),
    "instance-missing": good(card=CARD.replace("<rasd:InstanceID>7</rasd:InstanceID>", "")),
    "instance-spelling": good(card=CARD.replace("InstanceID", "InstanceId")),
    "element-name-missing": good(cpu=CPU),
    "resource-type-unknown": good(more=item(99, ElementName="x")),
    "item-field-unknown": good(card=CARD.replace("</Item>", "<rasd:Colour>red</rasd:Colour></Item>")),
    "quantity-unreadable": good(cpu=NAMED_CPU.replace(">2<", ">two<")),
    "reservation-large": good(memory=NAMED_MEMORY.replace(
        "<rasd:ResourceType>", "<rasd:Reservation>900</rasd:Reservation><rasd:ResourceType>")),
    "units-missing": good(memory=re.sub("<rasd:AllocationUnits>.*</rasd:AllocationUnits>", "", NAMED_MEMORY)),
    "units-odd": good(memory=NAMED_MEMORY.replace("byte * 2^20", "MegaBytes")),
    "units-unknown": good(memory=NAMED_MEMORY.replace("byte * 2^20", "furlong")),
    "host-resource-form": good(drive=DRIVE.replace("ovf:/disk/d", "/disk/d")),
    "host-resource-empty": good(more=item(15, ElementName="cd", HostResource="", Parent=5, AddressOnParent=1)),
    "drive-unattached": good(drive=DRIVE.replace("<rasd:Parent>5</rasd:Parent>", "")),
    "parent-no-controller": good(drive=DRIVE.replace("Parent>5<", "Parent>7<")),
    "controller-unused": good(more=item(5, ElementName="IDE")),
    "address-clash": good(more=item(15, ElementName="cd", Parent=5, AddressOnParent=0)),
    "controller-address-clash": good(more=item(6, ElementName="SCSI", Address=0)),
    "adapter-network-missing": good(more=item(10, ElementName="nic")),
    "mac-unreadable": good(card=item(10, "7", ElementName="nic", Connection="lan", Address="any")),
    "mac-twice": good(card="".join(item(10, i, ElementName="nic", Connection="lan",
                                        Address="00:16:3e:00:00:01") for i in "78")),
    "bound-unknown": good(memory=NAMED_MEMORY + NAMED_MEMORY.replace("<Item>", '<Item ovf:bound="most">')),
    "bound-twice": good(memory=NAMED_MEMORY + 2 * NAMED_MEMORY.replace("<Item>", '<Item ovf:bound="max">')),
    "bound-without-normal": good(memory=NAMED_MEMORY.replace("<Item>", '<Item ovf:bound="max">')),
    "transport-unknown": good().replace("dwareSection>", 'dwareSection ovf:transport="pigeon">', 1),
    "transport-missing": good(sections=asks('ovf:type="string" ovf:userConfigurable="true"')),
    "property-key-missing": good(sections=product('<Property ovf:type="string" ovf:value=""/>')),
    "property-key-odd": good(sections=product('<Property ovf:key="a.b" ovf:type="string" ovf:value=""/>')),
    "property-type-missing": good(sections=asks("")),
    "property-type-odd": good(sections=asks('ovf:type="ip:Net"')),
    "property-type-spelling": good(sections=asks('ovf:type="String"')),
    "property-type-unknown": good(sections=asks('ovf:type="colour"')),
    "property-default-invalid": good(sections=product(
        '<Property ovf:key="k" ovf:type="uint8"><Value ovf:value="256" ovf:configuration="a"/></Property>'),
        options=option(ONE)),
    "property-default-missing": good(sections=product('<Property ovf:key="k" ovf:type="string"/>')),
    "product-twice": good(sections=2 * product("", 'ovf:class="c"')),
    "licence-missing": good(sections="<EulaSection><Info/><License> </License></EulaSection>"),
    "annotation-missing": good(sections="<AnnotationSection><Info/></AnnotationSection>"),
    "os-id-missing": good(sections="<OperatingSystemSection><Info/></OperatingSystemSection>"),
    "startup-undeclared": collection(
        '<StartupSection><Info/><Item ovf:id="x" ovf:order="1"/></StartupSection>'),
    "startup-twice": collection(
        '<StartupSection><Info/>' + 2 * '<Item ovf:id="vm" ovf:order="1"/>' + "</StartupSection>"),
    "configuration-id-missing": good(options=option(ONE, "")),
    "configuration-twice": good(options=option(ONE, 'ovf:id="a"')),
    "configuration-default-missing": good(options=option('ovf:id="a"')),
    "configuration-default-twice": good(options=option(ONE, 'ovf:id="b" ovf:default="true"')),
    "configuration-undeclared": good(options=option(ONE), card=CARD.replace(
        "<Item ", '<Item ovf:configuration="a huge" ')),
}  # fmt: skip


def test_no_rule_speaks_of_what_is_right() -> None:
    assert found(good(), {"d.vmdk": 9}) == []
    assert found(good(family="vmx-10 vmx-13")) == []


@pytest.mark.parametrize("id_", CASES)
def test_each_rule_finds_its_case(id_: str) -> None:
    (finding,) = [each for each in found(CASES[id_]) if each.id == id_]
    assert finding.line == 1
    assert finding.message.endswith(".")
    assert finding.severity in Severity
    assert finding.clause.startswith("DSP0243 2.1.1 §")


def test_every_rule_of_the_catalog_has_a_case() -> None:
    assert {each[0] for each in _RULES} - CASES.keys() == set()


def test_every_finding_that_reading_makes_is_in_the_catalog() -> None:
    folder = Path(__file__).parents[3] / "kensho_tui" / "ovf"
    made = re.compile(r"(?:Finding|note)\(\s*\"([a-z0-9-]+)\"")
    used = {id_ for path in folder.rglob("*.py") for id_ in made.findall(path.read_text())}
    assert len(used) > 100
    assert used - RULES.keys() == set()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (CASES["units-missing"], "'x' does not say its units, taken as 'byte * 2^20'."),
        (CASES["units-missing"].replace(">512<", ">536870912<"), "taken as 'byte'."),
        (CASES["units-odd"], "'x' is in 'MegaBytes', taken as 'byte * 2^20'."),
        (CASES["capacity-units-odd"], "in 'GigaBytes', taken as 'byte * 2^30'."),
        (CASES["host-resource-form"], "'/disk/d', taken as 'ovf:/disk/d'."),
        (CASES["property-type-odd"], "taken as a string that is checked further."),
        (CASES["configuration-default-missing"], "the first, 'a', is taken."),
        (good(sections=NETWORK), "belongs into the Envelope; it is not read."),
        (CASES["property-default-invalid"], "for 'a' must be a whole number from 0 to 255."),
    ],
)
def test_a_finding_says_what_a_thing_was_taken_for(text: str, words: str) -> None:
    assert any(words in each.message for each in found(text))


def test_a_default_that_is_wrong_is_never_told() -> None:
    secret = good(
        sections=product('<Property ovf:key="k" ovf:type="password(9..)" ovf:value="s3cret"/>')
    )
    said = [each for each in found(secret) if each.id == "property-default-invalid"]
    assert [each.message for each in said] == [
        "The default of 'k' must have at least 9 characters."
    ]


def test_items_of_different_options_or_bounds_may_share_an_id() -> None:
    small, large = (
        item(10, "7", f'ovf:configuration="{name}"', ElementName="nic", Connection="lan")
        for name in "ab"
    )
    options = option(ONE, 'ovf:id="b"')
    assert found(good(card=CARD + small + large, options=options)) == []
    twice = found(good(card=CARD + small + small, options=options))
    assert [each.id for each in twice] == ["instance-twice"]


def test_what_reading_said_already_is_not_said_again() -> None:
    parsed = Envelope.parse(good(drive=DRIVE.replace("Parent>5<", "Parent>77<")).encode())
    said = parsed.appliance()[1]
    merged = merge(said, [each.finding for each in inspect(parsed)])
    assert [each.id for each in merged].count("controller-missing") == 1
    assert {each.id for each in said} == {"controller-missing"}
    assert {each.id for each in merged} == {"controller-missing", "controller-unused"}


def test_what_stands_in_something_optional_is_not_required() -> None:
    optional = '<v:Magic ovf:required="false"><v:Spell ovf:required="true"/></v:Magic>'
    assert found(good(hardware=optional)) == []
    plain = '<v:Magic><v:Spell ovf:required="true"/></v:Magic>'
    assert [each.id for each in found(good(hardware=plain))] == ["element-required"]


# ------------------------------------------------------------------------------------- mending
MENDED = [
    "file-size-missing", "file-size-unreadable", "info-missing", "capacity-units-odd",
    "family-list-odd", "instance-spelling", "element-name-missing", "units-missing", "units-odd",
    "host-resource-form", "property-type-missing", "property-type-spelling",
]  # fmt: skip


def test_the_list_of_what_is_mended_is_the_catalogs() -> None:
    assert {each[0] for each in _RULES if "--fix" in (each[4] if len(each) > 4 else "")} == set(
        MENDED
    )


@pytest.mark.parametrize("id_", MENDED)
def test_mending_mends_that_alone_and_once(id_: str) -> None:
    text = "<?xml version='1.0'?><!-- kept -->" + CASES[id_]
    parsed = Envelope.parse(text.encode())
    before = parsed.appliance()[0]
    (done,) = fix(parsed, {"d.vmdk": 9})
    assert done.id == id_
    assert done.message.endswith(".")
    saved = parsed.save()
    assert found(saved.decode(), {"d.vmdk": 9}) == []
    again = Envelope.parse(saved)
    assert again.appliance()[0].machines == before.machines or id_ == "element-name-missing"
    assert fix(again, {"d.vmdk": 9}) == []
    assert again.save() == saved
    # One element was edited or put in; all else is as it was.
    old, new = (sorted(_lines(each)) for each in (text.encode(), saved))
    assert sum(each not in old for each in new) <= 1
    assert sum(each not in new for each in old) <= 1


def _lines(document: bytes) -> Iterator[str]:
    """Every element with its attributes and own text, and where it stands."""
    root = etree.fromstring(document)
    for element in root.iter(etree.Element):
        path = [str(each.tag) for each in element.iterancestors()]
        yield repr((path, element.tag, sorted(element.attrib.items()), element.text))


def test_nothing_is_mended_that_only_a_person_can_decide() -> None:
    parsed = Envelope.parse(good(drive="", file=FILE.replace(' ovf:size="9"', "")).encode())
    assert fix(parsed) == []
    assert parsed.save() == parsed._data


def test_the_size_in_the_references_is_that_of_the_file() -> None:
    parsed = Envelope.parse(good().encode())
    assert [each.message for each in fix(parsed, {"d.vmdk": 77})] == ["ovf:size of 'd.vmdk' is 77."]
    assert parsed.files[0].size == 77
    assert parsed.save() == Envelope.parse(parsed.save()).save()


def test_a_wrong_declaration_of_the_encoding_is_mended() -> None:
    text = "<?xml version='1.0' encoding='utf-16'?>" + good().replace("lan", "Büro")
    parsed = Envelope.parse(text.encode())
    assert [each.id for each in fix(parsed, {"d.vmdk": 9})] == ["encoding-repaired"]
    saved = parsed.save()
    assert saved.startswith(b"<?xml version='1.0' encoding='UTF-8'?>")
    assert Envelope.parse(saved).findings == ()
    old, new = (etree.fromstring(x) for x in (text.partition("?>")[2].encode(), saved))
    assert etree.tostring(old, method="c14n") == etree.tostring(new, method="c14n")


ODD = st.sampled_from(
    [
        "",
        " ",
        "-1",
        "0",
        "9" * 30,
        "${x}",
        "é\u2028",
        "a b",
        "ovf:/disk/d",
        "/file/f",
        "byte * 2^99",
        "true",
        "vm",
    ]
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(CASES)), st.data())
def test_no_descriptor_brings_the_rules_down(id_: str, data: st.DataObject) -> None:
    """Values replaced, elements removed and put twice: findings in sentences, and one mending is enough."""
    root = etree.fromstring(CASES[id_])
    for _ in range(data.draw(st.integers(1, 6))):
        elements = list(root.iter(etree.Element))
        element = elements[data.draw(st.integers(0, len(elements) - 1))]
        parent = element.getparent()
        match data.draw(st.integers(0, 3)):
            case 0 if parent is not None:
                parent.remove(element)
            case 1 if parent is not None:
                parent.append(copy.deepcopy(element))
            case 2 if element.attrib:
                element.set(
                    data.draw(st.sampled_from(sorted(map(str, element.attrib)))), data.draw(ODD)
                )
            case _:
                element.text = data.draw(ODD)
    parsed = Envelope.parse(etree.tostring(root))
    said = [each.finding for each in inspect(parsed, {"d.vmdk": 9})]
    assert all(each.message.endswith(".") and each.id in RULES for each in said)
    fix(parsed, {"d.vmdk": 9})
    again = Envelope.parse(parsed.save())
    assert fix(again, {"d.vmdk": 9}) == []


@needs_corpus
def test_descriptors_of_the_wild_are_mended_and_mean_the_same() -> None:
    mended = 0
    for path in sorted(CORPUS.rglob("*.ovf")):
        try:
            parsed = Envelope.parse(path.read_bytes(), path.name)
        except DescriptorError:
            continue
        before = parsed.appliance()[0]
        tree = copy.deepcopy(parsed.root)
        done = fix(parsed)
        if not done:
            assert parsed.save() == path.read_bytes()
            continue
        mended += 1
        again = Envelope.parse(parsed.save(), path.name)
        after = again.appliance()[0]
        assert [(m.id, m.memory, m.processors) for m in after.machines] == [
            (m.id, m.memory, m.processors) for m in before.machines
        ], path
        assert after.disks == before.disks, path
        assert [each for each in fix(again) if each.id != "encoding-repaired"] == [], path
        _same_but(tree, again.root, {each.id for each in done})
    assert mended > 200


def _same_but(old: etree._Element, new: etree._Element, mended: set[str]) -> None:
    """Take what the mended rules edit out of both documents; what is left is C14N-equal."""
    fields = {
        "info-missing": {"Info"}, "instance-spelling": {"InstanceId", "InstanceID"},
        "element-name-missing": {"ElementName"}, "units-missing": {"AllocationUnits"},
        "units-odd": {"AllocationUnits"}, "host-resource-form": {"HostResource"},
        "family-list-odd": {"VirtualSystemType"},
    }  # fmt: skip
    attributes = {"capacity-units-odd": "capacityAllocationUnits", "property-type-missing": "type",
                  "property-type-spelling": "type"}  # fmt: skip
    gone = set().union(*(fields.get(id_, set()) for id_ in mended))
    names = {attributes[id_] for id_ in mended & attributes.keys()}
    for root in (old, new):
        for element in list(root.iter(etree.Element)):
            for key in list(element.attrib):
                if etree.QName(key).localname in names and element.tag is not None:
                    del element.attrib[key]
            if etree.QName(element).localname in gone and element.getparent() is not None:
                element.getparent().remove(element)  # type: ignore[union-attr]
        for element in root.iter(etree.Element):  # white space around what was taken out
            element.text = (element.text or "").strip()
            element.tail = (element.tail or "").strip()
    assert _canonical(old) == _canonical(new)


def _canonical(root: etree._Element) -> bytes:
    try:
        return etree.tostring(root, method="c14n")
    except etree.C14NError:  # a namespace whose name is no URI
        return etree.tostring(root)
