"""How the files of a package are made, from the command line: export and create."""

import filecmp
import json
import subprocess
import tarfile
from pathlib import Path

import pytest

from kensho_tui.cli.out import Exit
from kensho_tui.lab import XenLab
from kensho_tui.ovf.package import open_package
from tests.unit.cli.conftest import Kensho
from tests.unit.ovf.certificates import publisher

TEMPLATE = """
name: Shop
machines:
  - {id: web, cpus: 2, memory: 1GiB, disks: [{file: web.img}]}
options:
  - {id: small, label: Small, default: true}
  - {id: large, label: Large, machines: {web: {cpus: 8}}}
"""


@pytest.fixture
def template(tmp_path: Path) -> Path:
    (tmp_path / "web.img").write_bytes(bytes(range(256)) * 4096 + bytes(5 << 20))
    path = tmp_path / "shop.yaml"
    path.write_text(TEMPLATE)
    return path


@pytest.mark.parametrize("disk_format", ["vmdk", "vhd", "vhdx", "qcow2"])
@pytest.mark.parametrize("form", ["ova", "ovf"])
def test_a_template_gives_the_same_package_again(
    kensho: Kensho, template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    form: str, disk_format: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1600000000")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        done = kensho("package", "create", template, "--output", tmp_path / name / f"shop.{form}",
                      "--format", form, "--disk-format", disk_format, "--reproducible")  # fmt: skip
        assert done.exit_code == Exit.OK, done.output
    one, other = (
        tmp_path / name / ("shop.ova" if form == "ova" else "shop") for name in ("a", "b")
    )
    same = subprocess.run(["diff", "-r", one, other], capture_output=True, text=True)
    assert (same.returncode, same.stdout) == (0, "")
    if form == "ova":
        listed = subprocess.run(
            ["tar", "--utc", "-tvf", one], capture_output=True, text=True, check=True
        )
        assert all("2020-09-13 12:26" in line for line in listed.stdout.splitlines())


def test_a_template_says_how_files_are_made(kensho: Kensho, template: Path, tmp_path: Path) -> None:
    path = tmp_path / "shop.ova"
    done = kensho("package", "create", template, "--output", path, "--disk-format", "vhd",
                  "--chunk-size", "1MiB", "--digest", "sha512")  # fmt: skip
    assert done.exit_code == Exit.OK, done.output
    package = open_package(path)
    (file,) = package.envelope.files
    assert file.chunk_size == 1 << 20
    assert package.manifest is not None
    assert {each.algorithm for each in package.manifest.digests.values()} == {"sha512"}
    verified = kensho("package", "verify", path)
    assert "SHA512" in verified.stdout
    assert verified.exit_code == Exit.OK
    checked = kensho("package", "check", path, "--digests", "--for", "xenserver")
    assert "does not join chunks" in checked.stdout


def test_what_is_no_time_is_refused(
    kensho: Kensho, template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    done = kensho("package", "create", template, "--output", tmp_path / "x.ova", "--reproducible")
    assert (done.exit_code, "SOURCE_DATE_EPOCH" in done.stderr) == (Exit.USAGE, True)
    done = kensho("package", "create", template, "--output", tmp_path / "x.ova")
    assert done.exit_code == Exit.OK, "nobody asked for the time"


def test_an_export_says_in_its_plan_how_files_are_made_and_makes_them_so(
    kensho: Kensho, lab: XenLab, tmp_path: Path
) -> None:
    options = ("--compress", "--chunk-size", "200KiB", "--digest", "sha512", "--strict",
               "--reproducible")  # fmt: skip
    planned = kensho(
        "export", "lab-xen", "legacy-app", "--output", tmp_path / "x.ova", *options, "--dry-run"
    )
    for said in ("are compressed (gzip)", "more than 200 KiB is cut", "SHA512 digests",
                 "ustar and nothing else", "same machines give the same bytes"):  # fmt: skip
        assert said in planned.stdout, planned.stdout
    data = json.loads(
        kensho("export", "lab-xen", "legacy-app", "--output", tmp_path / "x.ova", *options, "--dry-run",
               "--json").stdout
    )  # fmt: skip
    target = data["plan"]["spec"]["target"]
    assert (target["compression"], target["chunk_bytes"], target["digest"]) == (
        "gzip",
        200 << 10,
        "sha512",
    )
    paths = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        paths.append(tmp_path / name / "x.ova")
        done = kensho("export", "lab-xen", "legacy-app", "--output", paths[-1], *options, "--wait")
        assert done.exit_code == Exit.OK, done.output
    package = open_package(paths[0])
    assert {each.compression for each in package.envelope.files} == {"gzip"}
    for name in package.manifest.digests if package.manifest else ():
        package.verify(name)
    assert filecmp.cmp(paths[0], paths[1], shallow=False)


def test_what_writes_a_package_anew_gives_the_same_bytes_again(
    kensho: Kensho, template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "shop.ova"
    assert kensho("package", "create", template, "--output", path).exit_code == Exit.OK
    key, certificate = publisher().save(tmp_path, "publisher")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1600000000")
    for command in (
        ("edit", path, "--machine", "web", "--set", "cpus=4"),
        ("sign", path, "--key", key, "--certificate", certificate),
        ("manifest", path, "--algorithm", "sha512"),
    ):
        made = [tmp_path / f"{command[0]}-{n}.ova" for n in range(2)]
        for each in made:
            done = kensho("package", *command, "--output", each)
            assert done.exit_code == Exit.OK, done.output
        assert filecmp.cmp(made[0], made[1], shallow=False)
        with tarfile.open(made[0]) as tar:
            assert {each.mtime for each in tar} == {1_600_000_000}
