"""Prefixes that are not declared: never silently, and once asked for, for what they can only mean."""

from pathlib import Path

import pytest

from kensho_tui.cli.out import Exit
from kensho_tui.findings import Severity
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.errors import DescriptorError
from kensho_tui.ovf.package import open_package
from kensho_tui.ovf.rules import fix
from tests.unit.cli.test_edit import run
from tests.unit.ovf.corpus import CORPUS, needs_corpus
from tests.unit.ovf.test_package import manifest, ova
from tests.unit.ovf.test_rules import good

STRINGS = '<ovfstr:Strings xml:lang="de"><ovfstr:Msg ovf:msgid="a">Ja</ovfstr:Msg></ovfstr:Strings>'
BROKEN = good(after=STRINGS).encode()


def test_it_is_refused_with_the_way_out() -> None:
    with pytest.raises(DescriptorError, match="prefix 'ovfstr' is not declared") as told:
        Envelope.parse(BROKEN, "a.ovf")
    assert "--recover" in told.value.remedy


def test_it_is_read_for_what_it_can_only_mean_and_told() -> None:
    read = Envelope.parse(BROKEN, "a.ovf", recover=True)
    appliance, findings = read.appliance()
    assert [m.id for m in appliance.machines] == ["vm"]
    (found,) = findings
    assert (found.id, found.severity, found.line) == ("prefix-undeclared", Severity.WARNING, 1)
    assert "'ovfstr'" in found.message
    assert "ovf/strings/1" in found.message
    assert read.strings("de").languages == ("en-US", "de")
    assert read.save() == BROKEN  # nothing is written that nobody asked for


def test_the_standards_own_prefix_is_that_of_the_document() -> None:
    text = good().replace(
        ' xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"', "", 1
    ).replace('xmlns="http://schemas.dmtf.org/ovf/envelope/1"',
              'xmlns="http://www.vmware.com/schema/ovf/1/envelope"')  # fmt: skip
    read = Envelope.parse(text.encode(), recover=True)
    assert "http://www.vmware.com/schema/ovf/1/envelope" in read.findings[0].message
    assert read.disks[0].id == "d"


@pytest.mark.parametrize(
    "text",
    [good(after="<x:y>"), good(after=STRINGS + "<oops>"), good().replace("<Info/>", "<Info>", 1)],
)
def test_what_is_broken_otherwise_stays_refused(text: str) -> None:
    with pytest.raises(DescriptorError, match="not well-formed"):
        Envelope.parse(text.encode(), recover=True)


def test_a_fix_declares_it() -> None:
    read = Envelope.parse(BROKEN, recover=True)
    assert [each.id for each in fix(read)] == ["prefix-undeclared"]
    assert Envelope.parse(read.save()).appliance()[0] == read.appliance()[0]


def made(tmp_path: Path) -> Path:
    members = {"a.ovf": BROKEN, "d.vmdk": b"123456789"}
    return ova(tmp_path / "a.ova", {**members, "a.mf": manifest(members)})


def test_the_commands_take_the_switch(tmp_path: Path) -> None:
    path = made(tmp_path)
    for words in (["show"], ["check"], ["edit", "--set", "cpus=4"], ["convert", "--to", "2.0"]):
        done = run(words[0], path, *words[1:])
        assert done.exit_code == Exit.INPUT
        assert "--recover" in done.stderr
    assert run("show", path, "--recover").exit_code == Exit.OK
    checked = run("check", path, "--recover")
    assert checked.exit_code == Exit.OK
    assert "prefix 'ovfstr' is not declared" in checked.stdout
    assert open_package(path, recover=True).descriptor == BROKEN


@pytest.mark.parametrize(
    "words",
    [
        ["check", "--fix"],
        ["edit", "--set", "cpus=4"],
        ["convert", "--to", "2.0"],
        ["convert", "--to", "1.1"],
    ],
)
def test_what_is_written_is_well_formed(tmp_path: Path, words: list[str]) -> None:
    path = made(tmp_path)
    done = run(words[0], path, *words[1:], "--recover")
    assert done.exit_code == Exit.OK, done.output
    opened = open_package(path)
    assert "prefix-undeclared" not in [each.id for each in opened.appliance()[1]]
    assert opened.envelope.strings("de").languages == ("en-US", "de")


@needs_corpus
def test_the_wild_has_some() -> None:
    seen = []
    for path in sorted(CORPUS.rglob("*.ovf")):
        try:
            Envelope.parse(path.read_bytes(), path.name)
        except DescriptorError as error:
            if "is not declared" in error.what and b"FakeEnvelope" not in path.read_bytes():
                read = Envelope.parse(path.read_bytes(), path.name, recover=True)
                assert read.appliance()[0].machines
                seen.append(path.name)
    assert len(seen) >= 4
