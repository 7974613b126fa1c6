"""``kensho package edit`` and its like, on packages as files, and what is read of them afterwards."""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kensho_tui.cli.out import Exit
from kensho_tui.cli.package import package
from kensho_tui.ovf.package import open_package
from tests.unit.cli.test_signing import contents
from tests.unit.ovf.certificates import publisher
from tests.unit.ovf.test_edits import shop
from tests.unit.ovf.test_package import folder, manifest, ova

DISK = b"0123456789"
MEMBERS = {"a.ovf": shop(), "d.vmdk": DISK}


def run(*arguments: object) -> Result:
    """The command with those arguments."""
    return CliRunner().invoke(package, [str(each) for each in arguments])


def made(tmp_path: Path, *, archive: bool = True) -> Path:
    """The shop as a package."""
    members = {**MEMBERS, "a.mf": manifest(MEMBERS)}
    if archive:
        return ova(tmp_path / "a.ova", members)
    return folder(
        tmp_path / "a", **{name.replace(".", "_"): data for name, data in members.items()}
    )


def image(path: Path, format_: str = "vmdk", *options: str) -> Path:
    """A disk image with something on it, by QEMU."""
    if shutil.which("qemu-img") is None:
        pytest.skip("needs qemu-img: apt-get install qemu-utils")
    subprocess.run(["qemu-img", "create", "-q", "-f", format_, *options, path, "64M"], check=True)
    return path


@pytest.mark.parametrize("archive", [True, False])
def test_settings_are_written_into_the_package(tmp_path: Path, archive: bool) -> None:
    path = made(tmp_path, archive=archive)
    done = run("edit", path, "--machine", "web", "--set", "cpus=6", "--set", "memory=3GiB",
               "--set", "name=front01", "--set", "property:port=8080", "--set", "product=Store",
               "--set", "capacity:d=2GiB", "--set", "hardware=vmx-21")  # fmt: skip
    assert done.exit_code == Exit.OK, done.stderr
    opened = open_package(path)
    appliance, findings = opened.appliance()
    web = appliance.machine("web")
    assert (web.processors.count, web.memory.size, web.name) == (6, 3 << 30, "front01")
    assert (web.hardware, appliance.products[0].name) == (("vmx-21",), "Store")
    assert [each.default for each in appliance.properties] == ["8080", None]
    assert next(iter(appliance.disks.values())).capacity == 2 << 30
    assert "descriptor-damaged" not in {each.id for each in findings}
    assert run("verify", path).exit_code == Exit.OK
    assert contents(path)["d.vmdk"] == DISK


def test_one_deployment_option_is_changed_alone(tmp_path: Path) -> None:
    path = made(tmp_path)
    done = run("edit", path, "--machine", "web", "--configuration", "large", "--set", "cpus=9")
    assert done.exit_code == Exit.OK
    opened = open_package(path)
    counts = [opened.appliance(o)[0].machine("web").processors.count for o in ("small", "large")]
    assert counts == [2, 9]


def test_a_dry_run_shows_the_difference_and_changes_nothing(tmp_path: Path) -> None:
    path = made(tmp_path)
    before = path.read_bytes()
    done = run("edit", path, "--machine", "web", "--set", "name=front01", "--dry-run", "--json")
    assert done.exit_code == Exit.OK
    told = json.loads(done.stdout)
    assert told["changed"] is False
    assert any(line.startswith("+") and "front01" in line for line in told["difference"])
    assert path.read_bytes() == before
    same = run("edit", path, "--machine", "web", "--set", "name=web")
    assert ("nothing was written" in same.stderr, same.stdout) == (True, "")
    assert path.read_bytes() == before


def test_the_old_package_stays_where_another_place_is_named(tmp_path: Path) -> None:
    path = made(tmp_path)
    before = path.read_bytes()
    done = run("rename-network", path, "back", "storage", "--output", tmp_path / "b.ova")
    assert done.exit_code == Exit.OK
    assert path.read_bytes() == before
    networks = [each.id for each in open_package(tmp_path / "b.ova").appliance()[0].networks]
    assert networks == ["front", "storage"]


@pytest.mark.parametrize("archive", [True, False])
def test_a_disk_comes_into_the_package_and_goes_again(tmp_path: Path, archive: bool) -> None:
    path = made(tmp_path, archive=archive)
    disk = image(tmp_path / "more.qcow2", "qcow2")
    done = run("add-disk", path, disk, "--machine", "db", "--as", "second.qcow2")
    assert done.exit_code == Exit.OK, done.stderr
    opened = open_package(path)
    appliance, _ = opened.appliance()
    [added] = appliance.disks_of(appliance.machine("db"))
    assert (added.image, added.capacity, added.image_size) == (
        "second.qcow2",
        64 << 20,
        disk.stat().st_size,
    )
    assert contents(path)["second.qcow2"] == disk.read_bytes()
    assert run("verify", path).exit_code == Exit.OK
    gone = run("remove-disk", path, added.id)
    assert gone.exit_code == Exit.OK
    assert [each.href for each in open_package(path).envelope.files] == ["d.vmdk"]
    # In a folder nothing is deleted that somebody put there.
    assert ("second.qcow2" in contents(path)) is not archive
    assert run("verify", path).exit_code == Exit.OK


def test_disks_that_no_package_holds_are_refused_with_the_way_out(tmp_path: Path) -> None:
    path = made(tmp_path)
    raw = tmp_path / "raw.img"
    raw.write_bytes(bytes(1 << 20))
    done = run("add-disk", path, raw, "--machine", "db")
    assert (done.exit_code, "kensho disk convert" in done.stderr) == (Exit.INPUT, True)


@pytest.mark.parametrize("archive", [True, False])
def test_files_and_licences(tmp_path: Path, archive: bool) -> None:
    path = made(tmp_path, archive=archive)
    (tmp_path / "notes.txt").write_text("Ein Text.", "utf-8")
    assert run("add-file", path, tmp_path / "notes.txt").exit_code == Exit.OK
    assert contents(path)["notes.txt"] == b"Ein Text."
    assert run("add-licence", path, tmp_path / "notes.txt", "--machine", "web").exit_code == Exit.OK
    licences = open_package(path).appliance()[0].licences
    assert [each.digest for each in licences] == [hashlib.sha256(b"Ein Text.").hexdigest()]
    assert run("remove-file", path, "notes.txt").exit_code == Exit.OK
    used = run("remove-file", path, "d.vmdk")
    assert (used.exit_code, "the file is used" in used.stderr) == (Exit.INPUT, True)
    again = run("add-file", path, tmp_path / "notes.txt", "--as", "d.vmdk")
    assert (again.exit_code, "a file of that name" in again.stderr) == (Exit.INPUT, True)
    for name in ("../x", "x.ovf", "/etc/x"):
        assert run("add-file", path, tmp_path / "notes.txt", "--as", name).exit_code == Exit.INPUT


def test_a_file_that_lies_in_the_folder_already_is_taken_as_it_is(tmp_path: Path) -> None:
    path = made(tmp_path, archive=False)
    (path.parent / "notes.txt").write_text("mine")
    assert run("add-file", path, path.parent / "notes.txt").exit_code == Exit.OK
    assert (path.parent / "notes.txt").read_text() == "mine"
    assert run("verify", path).exit_code == Exit.OK


def test_editing_takes_the_signature_off_and_does_not_cover_damage_up(tmp_path: Path) -> None:
    key, certificate = publisher().save(tmp_path, "who")
    path = made(tmp_path)
    run("sign", path, "--key", key, "--certificate", certificate)
    done = run("edit", path, "--machine", "web", "--set", "cpus=3")
    assert (done.exit_code, "signature was taken off" in done.stderr) == (Exit.OK, True)
    assert "a.cert" not in contents(path)
    members = contents(path)
    members["d.vmdk"] = b"damaged..."
    damaged = ova(tmp_path / "damaged.ova", members)
    before = damaged.read_bytes()
    refused = run("edit", damaged, "--machine", "web", "--set", "cpus=4")
    assert (refused.exit_code, "does not match the manifest" in refused.stderr) == (
        Exit.INPUT,
        True,
    )
    assert damaged.read_bytes() == before


@pytest.mark.parametrize("more", [(), ("--dry-run",), ("--json",)])
def test_with_nothing_named_the_editor_wants_a_terminal(
    tmp_path: Path, more: tuple[str, ...]
) -> None:
    done = run("edit", made(tmp_path), *more)
    assert (done.exit_code, "--set or --unset" in done.stderr) == (Exit.USAGE, True)


def test_what_changes_is_said_in_sentences(tmp_path: Path) -> None:
    path = made(tmp_path)
    done = run("edit", path, "--machine", "web", "--set", "cpus=6", "--dry-run")
    assert done.stdout.splitlines()[:2] == ["web: Processors 2 → 6.", ""]
    done = run("remove-device", path, "40", "--machine", "web", "--json")
    assert json.loads(done.stdout)["changes"] == [
        "web: network adapter 'Network adapter' is removed (front)."
    ]


@pytest.mark.parametrize(
    "setting",
    ["cpus", "cpus=many", "memory=lots", "colour=red", "property=1", "capacity=1", "product:x=1"],
)
def test_what_is_no_setting_is_a_wrong_command_line(tmp_path: Path, setting: str) -> None:
    path = made(tmp_path)
    done = run("edit", path, "--machine", "web", "--set", setting)
    assert done.exit_code == Exit.USAGE
    assert "Traceback" not in done.output
