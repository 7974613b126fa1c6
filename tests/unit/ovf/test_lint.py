"""What consumers refuse: every fact of the table has a package that shows it, and a good package has none."""

import re
from pathlib import Path

import pytest

from kensho_tui.findings import Finding, Severity
from kensho_tui.ovf.package import Package, open_package
from kensho_tui.ovf.rules import NAMES, fix, lint
from kensho_tui.ovf.rules.features import disk_format
from kensho_tui.ovf.rules.targets import FACTS
from tests.unit.ovf.test_envelope import item, system
from tests.unit.ovf.test_package import manifest
from tests.unit.ovf.test_rules import CARD, DISK, DRIVE, FILE, NAMED_MEMORY, SCSI, good, product

PLAIN = {
    "scsi": SCSI.replace("</Item>", "<rasd:ResourceSubType>lsilogic</rasd:ResourceSubType></Item>"),
    "card": CARD.replace("</Item>", "<rasd:ResourceSubType>VmxNet3</rasd:ResourceSubType></Item>"),
}
ASKS = product('<Property ovf:key="k" ovf:type="string" ovf:userConfigurable="true"/>')
START = '<StartupSection><Info/><Item ovf:id="vm" ovf:order="1"/></StartupSection>'
XEN = (
    '<VirtualSystemOtherConfigurationData Name="HVM_boot_params"><Value>order=dc</Value>'
    "</VirtualSystemOtherConfigurationData>"
)
SECURE = (
    '<vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="efi"/>'
    '<vmw:Config ovf:required="false" vmw:key="bootOptions.efiSecureBootEnabled" vmw:value="true"/>'
)


def package(folder: Path, text: str, digest: str = "", spaced: str = "") -> Package:
    """The package around a descriptor."""
    folder.mkdir(exist_ok=True)
    members = {"a.ovf": text.encode(), "d.vmdk": b"KDMV" + bytes(5)}
    if digest:
        promised = manifest(members, digest)
        members["a.mf"] = promised.replace(b"(", b" (") if spaced else promised
    for name, data in members.items():
        (folder / name).write_bytes(data)
    return open_package(folder / "a.ovf")


def said(opened: Package, *targets: str) -> list[Finding]:
    """What those targets, or all, make of it."""
    return [each.finding for each in lint(opened, targets or NAMES)]


def controller(type_: int, subtype: str) -> str:
    return item(type_, "20", ElementName=subtype, ResourceSubType=subtype)


def large(tib: int) -> str:
    return DISK.replace('capacity="1"', f'capacity="{tib}"').replace("2^30", "2^40")


ODD = {
    "xen": good(family="xen-3.0-x86_32", hardware=XEN, more=controller(20, "xen vbd"),
                network="", card=item(10, "7", ElementName="nic", ResourceSubType="rtl8139"))
           .replace("<VirtualSystem ", START + "<VirtualSystem ", 1),
    "virtualbox": good(family="virtualbox-2.2", more=controller(20, "AHCI"), sections=ASKS),
    "nvme": good(family="", more=controller(20, "NVMe"), hardware=SECURE + '<vmw:Config vmw:key="x"/>'),
    "scsi": good(more=controller(6, "virtio-scsi") + item(32768, "21", ElementName="nvram")),
    "transport": good(sections=ASKS).replace("dwareSection>", 'dwareSection ovf:transport="pigeon">', 1),
    "qcow2": good(disk=DISK.replace("x#vmdk", "http://x/qcow-image-format.html")),
    "difference": good(disk=DISK.replace('x#vmdk"', 'x#vmdk" ovf:parentRef="p"')),
    "property": good(disk=DISK.replace('capacity="1"', 'capacity="${size}"')),
    "huge": good(disk=large(65)),
    "chunked": good(file=FILE.replace("/>", ' ovf:chunkSize="4"/>')),
    "v2": good().replace("ovf/envelope/1", "ovf/envelope/2"),
    "v0.9": good().replace("schemas.dmtf.org/ovf/envelope/1", "www.vmware.com/schema/ovf/1/envelope"),
    "items": good(more="<StorageItem><rasd:InstanceID>9</rasd:InstanceID></StorageItem>"),
    "several": good().replace("</VirtualSystem>", system().partition("<Name>")[2].partition("</Name>")[2]),
    "loose": good(drive=DRIVE.replace("<rasd:Parent>5</rasd:Parent>", "")),
    "bytes": good(memory=NAMED_MEMORY.replace("byte * 2^20", "byte").replace(">512<", ">536870912<")),
    "units": good(memory=NAMED_MEMORY.replace("2^20", "2^30")),
    "options": good(card=CARD.replace("<Item ", '<Item ovf:configuration="a" ')),
    "texts": good(after='<Strings xml:lang="de" ovf:fileRef="f"/>'),
    "groups": good(sections=
                   '<vmw:StorageGroupSection ovf:required="false"><Info/></vmw:StorageGroupSection>'),
    "nested": good().replace("<VirtualSystem ", '<VirtualSystemCollection ovf:id="o"><Info/>'
                             '<VirtualSystemCollection ovf:id="i"><Info/><VirtualSystem ', 1).replace(
        "</VirtualSystem>", "</VirtualSystem></VirtualSystemCollection></VirtualSystemCollection>"),
    "tpm": good(hardware=XEN.replace("HVM_boot_params", "platform").replace("order=dc", "vtpm=true;")),
}  # fmt: skip


def test_every_fact_is_shown_by_a_package(tmp_path: Path) -> None:
    seen: set[tuple[str, str]] = set()
    for name, text in ODD.items():
        for digest, spaced in (("sha256", "spaced"), ("sha512", "")):
            for each in said(package(tmp_path / f"{name}-{digest}", text, digest, spaced)):
                seen.add((each.id, each.message))
    packed = package(tmp_path / "packed", good())
    object.__setattr__(packed, "wrapped", True)
    seen |= {(each.id, each.message) for each in said(packed)}
    silent = [
        (fact.target, fact.feature, fact.pattern)
        for fact in FACTS
        if not any(
            id_ == f"{fact.target}-{fact.feature}"
            and re.fullmatch(_pattern(NAMES[fact.target], fact.said), message)
            for id_, message in seen
        )
    ]
    assert silent == []


def _pattern(name: str, said_: str) -> str:
    words = re.escape(said_).replace(r"\{value\}", ".+").replace(r"\{subject\}", ".+")
    return rf"{name} {words}\."


def test_facts_are_of_known_targets_and_say_what_to_do_in_sentences() -> None:
    assert {fact.target for fact in FACTS} == NAMES.keys()
    assert [fact for fact in FACTS if fact.remedy and not fact.remedy.endswith(".")] == []
    assert [fact for fact in FACTS if fact.mend and "--fix" not in fact.remedy] == []


@pytest.mark.parametrize(("target", "expected"), [
    ("vsphere", []), ("xenserver", ["xenserver-family"]), ("kvm", ["kvm-networks"]),
    ("virtualbox", ["virtualbox-networks", "virtualbox-capacity"]),
])  # fmt: skip
def test_an_ordinary_package_for_vmware(tmp_path: Path, target: str, expected: list[str]) -> None:
    opened = package(tmp_path, good(**PLAIN), "sha1")
    found = said(opened, target)
    assert [each.id for each in found] == expected
    assert Severity.ERROR not in [each.severity for each in found]


def test_hyper_v_imports_nothing_by_itself(tmp_path: Path) -> None:
    (first, *_) = said(package(tmp_path, good()), "hyperv")
    assert (first.id, first.severity) == ("hyperv-package", Severity.ERROR)
    assert "kensho disk convert" in first.remedy


def test_a_finding_has_its_line_its_object_and_the_command(tmp_path: Path) -> None:
    text = good(family="virtualbox-2.2").replace(
        "<vssd:VirtualSystemType>", "\n\n<vssd:VirtualSystemType>"
    )
    (found,) = [e for e in said(package(tmp_path, text), "vsphere") if e.id == "vsphere-family"]
    assert (found.line, found.subject, found.severity) == (3, "vm", Severity.ERROR)
    assert found.message == "vSphere does not support the hardware family virtualbox-2.2."
    assert found.remedy == "'kensho package check --for vsphere --fix' writes vmx-13."


@pytest.mark.parametrize("name", ["xen", "virtualbox", "nvme", "scsi"])
def test_what_a_fix_promises_is_mended(tmp_path: Path, name: str) -> None:
    opened = package(tmp_path, ODD[name])
    before = {each.id for each in said(opened, "vsphere") if "--fix" in each.remedy}
    assert before
    fixed = fix(opened.envelope, {}, lint(opened, ["vsphere"]))
    assert before <= {each.id for each in fixed}
    (tmp_path / "a.ovf").write_bytes(opened.envelope.save())
    left = {
        each.id
        for each in said(open_package(tmp_path / "a.ovf"), "vsphere")
        if "--fix" in each.remedy
    }
    assert left == set()
    # Nothing of another target is written where it was not asked for.
    assert fix(open_package(tmp_path / "a.ovf").envelope) == []


def test_what_is_not_there_cannot_be_written(tmp_path: Path) -> None:
    """A controller without a ResourceSubType: no edit, so no command is named that would make one."""
    nameless = item(20, "20", ElementName="SATA controller", Description="sata")
    noted = [each for each in lint(package(tmp_path, good(more=nameless)), ["vsphere"])
             if each.finding.id == "vsphere-controller"]  # fmt: skip
    assert [(each.mend, each.finding.remedy) for each in noted] == [(None, "")]


@pytest.mark.parametrize(
    ("uri", "href", "name"),
    [
        ("http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized", "d", "vmdk"),
        ("http://www.microsoft.com/technet/virtualserver/downloads/vhdspec.mspx", "d.vmdk", "vhd"),
        ("http://technet.microsoft.com/en-us/library/hh831446.aspx#monolithic_sparse", "d", "vhdx"),
        ("http://www.gnome.org/~markmc/qcow-image-format.html", "d", "qcow2"),
        ("", "disk.VHDX.gz", "vhdx"), ("", "disk.img", "raw"), ("", "cd.iso", "iso"), ("", "disk", ""),
    ],
)  # fmt: skip
def test_a_format_is_known_by_its_uri_else_by_the_files_name(
    uri: str, href: str, name: str
) -> None:
    assert disk_format(uri, href) == name


def test_names_of_drives_do_not_make_controllers(tmp_path: Path) -> None:
    opened = package(tmp_path, good(drive=DRIVE.replace(">hd<", ">sata disk<"), **PLAIN))
    assert [each.id for each in said(opened, "vsphere")] == []
