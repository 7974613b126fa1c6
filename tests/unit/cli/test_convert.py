"""``kensho package convert``: packages as files, what is read of them afterwards, and what is refused."""

import json
from pathlib import Path

import pytest

from kensho_tui.cli.out import Exit
from kensho_tui.ovf.package import Package, open_package
from tests.unit.cli.test_edit import run
from tests.unit.ovf import second
from tests.unit.ovf.schemas import XSD, envelope_schema, problems, second_schema
from tests.unit.ovf.test_lint import ODD
from tests.unit.ovf.test_package import folder, manifest, ova
from tests.unit.ovf.test_rules import good

FIRST = {"a.ovf": good().encode(), "d.vmdk": b"123456789"}
SECOND = {"a.ovf": second.descriptor(), "d.vmdk": b"123456789", "shop.conf": b"x=1"}


def made(path: Path, members: dict[str, bytes], *, archive: bool = True) -> Path:
    """The package with a manifest."""
    all_ = {**members, "a.mf": manifest(members)}
    if archive:
        return ova(path / "a.ova", all_)
    return folder(path / "a", **{name.replace(".", "_"): data for name, data in all_.items()})


def intact(path: Path) -> Package:
    """The package, every file of it compared with its manifest."""
    opened = open_package(path)
    assert opened.manifest is not None
    for name in opened.covered:
        assert opened.digest(name) is not None, name
        opened.verify(name)
    return opened


@pytest.mark.parametrize("archive", [True, False])
def test_a_package_becomes_one_of_the_second_version_and_back(
    tmp_path: Path, archive: bool
) -> None:
    path = made(tmp_path, FIRST, archive=archive)
    before, _ = open_package(path).appliance()
    done = run("convert", path, "--to", "2.0")
    assert done.exit_code == Exit.OK, done.output
    there = intact(path)
    assert b"envelope/2" in there.descriptor
    if XSD.is_dir():
        assert problems(second_schema(), there.descriptor) == []
    assert there.appliance()[0] == before
    assert run("convert", path, "--to", "1.1").exit_code == Exit.OK
    assert intact(path).appliance()[0] == before


def test_what_cannot_be_carried_is_told_and_counted(tmp_path: Path) -> None:
    path = made(tmp_path, SECOND)
    done = run("convert", path, "--to", "1.1", "--output", tmp_path / "b.ova", "--json")
    assert done.exit_code == Exit.OK, done.output
    told = json.loads(done.stdout)
    assert (told["written"], told["lost"], told["version"]) == (True, 8, "1.1")
    assert {each["severity"] for each in told["findings"]} == {"warning"}
    opened = intact(tmp_path / "b.ova")
    if XSD.is_dir():
        assert problems(envelope_schema(), opened.descriptor) == []
    assert set(opened.places) == {*SECOND, "a.mf"}
    assert open_package(path).descriptor == SECOND["a.ovf"]


def test_strictly_nothing_is_written_where_something_is_lost(tmp_path: Path) -> None:
    path = made(tmp_path, SECOND)
    before = path.read_bytes()
    done = run("convert", path, "--to", "1.1", "--strict")
    assert done.exit_code == Exit.FINDINGS
    assert "Nothing was written: 8 things could not be carried" in done.stderr
    assert "shared" in done.stdout
    assert path.read_bytes() == before
    assert run("convert", path, "--to", "2.0", "--strict").exit_code == Exit.OK


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    path = made(tmp_path, SECOND)
    before = path.read_bytes()
    done = run("convert", path, "--to", "1.1", "--dry-run")
    assert done.exit_code == Exit.OK
    assert "Nothing was written." in done.stderr
    assert path.read_bytes() == before


def test_damage_is_not_covered_up(tmp_path: Path) -> None:
    members = {**FIRST, "a.mf": manifest(FIRST), "d.vmdk": b"987654321"}
    path = ova(tmp_path / "a.ova", members)
    done = run("convert", path, "--to", "2.0")
    assert done.exit_code == Exit.INPUT
    assert "does not match the manifest" in done.stderr


def test_encrypted_packages_are_refused(tmp_path: Path) -> None:
    members = {**SECOND, "a.ovf": second.descriptor(sections=second.ENCRYPTION)}
    done = run("convert", made(tmp_path, members), "--to", "1.1")
    assert done.exit_code == Exit.INPUT
    assert "encrypted" in done.stderr


def test_what_few_packages_have_is_shown(tmp_path: Path) -> None:
    path = made(tmp_path, SECOND)
    done = run("show", path)
    assert done.exit_code == Exit.OK, done.output
    for line in (
        "  web: 512 MiB to 4 GiB of memory are allowed",
        "  web: boots from cdrom, then disk",
        "  web: its first start installs it, within 120 s",
        "  web: disk quorum is shared (1.1 GB)",
        "  instances  web: 2 to 8, 4 as a rule; one is made",
        "  placement  apart (availability): web, db",
        "  together   shop: reserved 300 MiB",
    ):
        assert line in done.stdout.splitlines()
    told = json.loads(run("show", path, "--json").stdout)
    assert told["scale_outs"][0] == {
        "of": "web", "default": 4, "minimum": 2, "maximum": 8, "description": "Web servers",
    }  # fmt: skip
    assert told["machines"][0]["install"] == {"stop_delay_s": 120}
    assert told["placement_groups"][0]["policy"] == "availability"


def test_a_profile_says_what_is_refused_all_the_same_and_what_to_do(tmp_path: Path) -> None:
    path = made(tmp_path, {**FIRST, "a.ovf": ODD["virtualbox"].encode()})
    done = run("convert", path, "--profile", "hyperv", "--output", tmp_path / "b.ova", "--json")
    assert done.exit_code == Exit.OK, done.output
    told = json.loads(done.stdout)
    assert (told["written"], told["profile"], told["version"]) == (True, "hyperv", "1.1")
    left = {each["id"]: each["remedy"] for each in told["left"]}
    assert left.keys() == {"hyperv-package", "hyperv-disk-format"}
    assert "kensho disk convert -O vhdx" in left["hyperv-disk-format"]
    intact(tmp_path / "b.ova")
    refused = run("convert", path, "--profile", "hyperv", "--strict")
    assert refused.exit_code == Exit.FINDINGS
    assert "Nothing was written" in refused.stderr


def test_for_vsphere_nothing_is_refused_any_more(tmp_path: Path) -> None:
    path = made(tmp_path, {**FIRST, "a.ovf": ODD["virtualbox"].encode()})
    assert run("check", path, "--for", "vsphere").exit_code == Exit.FINDINGS
    done = run("convert", path, "--profile", "vmware")
    assert done.exit_code == Exit.OK, done.output
    assert "written as OVF 1.1, for vSphere" in done.stdout
    assert run("check", path, "--for", "vsphere").exit_code == Exit.OK
    intact(path)


def test_a_version_or_a_profile_is_wanted(tmp_path: Path) -> None:
    path = made(tmp_path, FIRST)
    assert run("convert", path).exit_code == Exit.USAGE
    assert run("convert", path, "--to", "2.0", "--configuration", "x").exit_code == Exit.USAGE
