"""``kensho package``: data on standard output, findings by weight, documented exits."""

import gzip
import json
import lzma
import os
import random
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kensho_tui.cli.out import Exit
from kensho_tui.cli.package import package
from tests.contract.package import write_package
from tests.unit.disks.streams import vmdk
from tests.unit.ovf.corpus import CORPUS, COT, GOVMOMI, needs_corpus
from tests.unit.ovf.test_envelope import envelope, system
from tests.unit.ovf.test_package import good, ova

BYTES = random.Random(0).randbytes(4 << 20)


def run(*arguments: object) -> Result:
    """The command with those arguments."""
    return CliRunner().invoke(package, [str(each) for each in arguments])


def test_names_with_line_breaks_and_odd_bytes_forge_no_line(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"a\xff\n  signature  by Example, author proven\n.ova")
    ova(path, good())
    done = run("show", path)
    assert done.exit_code == Exit.OK, done.stderr
    assert "a\\xff signature by Example" in done.stdout.splitlines()[0]
    signatures = [line for line in done.stdout.splitlines() if line.startswith("  signature")]
    assert signatures == ["  signature  none"]
    told = run("show", path, "--json")
    told.stdout_bytes.decode()
    assert "a\\xff\n" in json.loads(told.stdout)["package"]


@needs_corpus
def test_show_tells_what_the_package_is() -> None:
    done = run("show", CORPUS / GOVMOMI / "photon5.ovf")
    assert done.exit_code == Exit.OK
    assert "machine    Photon OS: 1 CPU, 2 GiB, UEFI, vmwarePhoton64Guest" in done.stdout
    assert "disk     vmdisk1: 17 GB (photon-ova-disk1.vmdk, 322 MB)" in done.stdout
    assert "product    Photon OS · 5.0 · VMware Inc." in done.stdout
    assert "licence 1" in done.stdout
    assert "1 error: see 'kensho package check'." in done.stderr


@needs_corpus
def test_show_resolves_the_configuration_that_is_named() -> None:
    path = CORPUS / COT / "csr1000v.ovf"
    default = json.loads(run("show", path, "--json").stdout)
    large = json.loads(run("show", path, "--json", "--configuration", "4CPU-8GB").stdout)
    assert (default["configuration"], large["configuration"]) == ("1CPU-4GB", "4CPU-8GB")
    assert [d["machines"][0]["processors"]["count"] for d in (default, large)] == [1, 4]
    refused = run("show", path, "--configuration", "huge")
    assert refused.exit_code == Exit.INPUT
    assert "no deployment option 'huge'" in refused.stderr
    assert "4CPU-8GB" in refused.stderr


def test_a_password_is_never_shown(tmp_path: Path) -> None:
    product = (
        '<ProductSection><Info/><Property ovf:key="pw" ovf:type="string" ovf:password="true"'
        ' ovf:userConfigurable="true" ovf:value="s3cret"/></ProductSection>'
    )
    path = tmp_path / "a.ovf"
    path.write_text(envelope(content=system(sections=product)))
    for arguments in (["show", path], ["show", path, "--json"]):
        done = run(*arguments)
        assert done.exit_code == Exit.OK
        assert "pw" in done.stdout
        assert "s3cret" not in done.output


def test_names_from_outside_reach_the_terminal_as_plain_text(tmp_path: Path) -> None:
    path = tmp_path / "a.ovf"
    name = "<Name>[red]&#x9b;31m&#x202e;x\n\ny</Name>"
    path.write_text(envelope(content=system().replace("<Name>vm</Name>", name)))
    done = run("show", path)
    assert "machine    [red]31mx y: 2 CPUs" in done.stdout
    assert "\x9b" not in done.stdout


def test_check_is_content_with_what_we_write_and_reads_every_byte(tmp_path: Path) -> None:
    path = write_package(tmp_path / "shop.ova")
    done = run("check", path, "--digests", "--json")
    assert done.exit_code == Exit.OK, done.output
    data = json.loads(done.stdout)
    assert (data["errors"], data["findings"]) == (0, [])
    assert data["digests"] == {
        "shop.ovf": "intact", "shop-disk1.vmdk": "intact", "shop-disk2.vmdk": "intact",
    }  # fmt: skip
    assert "no errors" in run("check", path).stdout


def test_check_finds_a_damaged_member_only_when_it_reads_it(tmp_path: Path) -> None:
    path = write_package(tmp_path / "shop.ova")
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))
    assert run("check", path).exit_code == Exit.OK
    done = run("check", path, "--digests")
    assert done.exit_code == Exit.FINDINGS
    assert "does not match the manifest" in done.stdout
    assert "intact   shop.ovf" in done.stdout


def image(tmp_path: Path, name: str, content: bytes) -> Path:
    """A package whose only disk is that file, which the descriptor calls a VMDK."""
    text = envelope(
        references=f'<File ovf:id="f" ovf:href="{name}"/>',
        sections='<DiskSection><Info/><Disk ovf:diskId="d" ovf:fileRef="f" ovf:capacity="1048576"'
        ' ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>'
        "</DiskSection>",
    )
    return ova(tmp_path / "a.ova", {"a.ovf": text.encode(), name: content})


def test_a_file_that_is_no_disk_of_its_format_is_an_error_once_it_is_looked_into(
    tmp_path: Path,
) -> None:
    path = image(tmp_path, "disk.vmdk", b"hello" * 1000)
    assert run("check", path).exit_code == Exit.OK
    done = run("check", path, "--digests")
    assert done.exit_code == Exit.FINDINGS
    assert "error    disk.vmdk: The descriptor says the disk is a VMDK, but the file is none. " in (
        done.stdout
    )


def test_a_disk_is_walked_and_what_is_wrong_in_it_is_said_with_its_members_name(
    tmp_path: Path,
) -> None:
    whole = vmdk(4 << 20, [(0, BYTES)])
    intact = run("check", image(tmp_path, "disk.vmdk", whole), "--digests")
    assert intact.exit_code == Exit.OK, intact.output
    broken = bytearray(whole)
    broken[len(broken) // 2] ^= 1
    done = run("check", image(tmp_path, "disk.vmdk", bytes(broken)), "--digests", "--json")
    assert done.exit_code == Exit.FINDINGS
    (found,) = [e for e in json.loads(done.stdout)["findings"] if e["severity"] == "error"]
    assert (found["id"], found["subject"]) == ("disk-damaged", "disk.vmdk")
    cut = run("check", image(tmp_path, "disk.vmdk", whole[: len(whole) // 2]), "--digests")
    assert cut.exit_code == Exit.FINDINGS
    assert "error    disk.vmdk: " in cut.stdout


@pytest.mark.parametrize("broken", [False, True])
def test_a_compressed_disk_is_looked_into_too(tmp_path: Path, broken: bool) -> None:
    content = bytearray(vmdk(4 << 20, [(0, BYTES)]))
    content[len(content) // 2] ^= broken
    text = envelope(
        references='<File ovf:id="f" ovf:href="disk.gz" ovf:compression="gzip"/>',
        sections='<DiskSection><Info/><Disk ovf:diskId="d" ovf:fileRef="f" ovf:capacity="4194304"'
        ' ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>'
        "</DiskSection>",
    )
    members = {"a.ovf": text.encode(), "disk.gz": gzip.compress(bytes(content))}
    done = run("check", ova(tmp_path / "a.ova", members), "--digests")
    assert done.exit_code == (Exit.FINDINGS if broken else Exit.OK), done.output
    assert ("error    disk.gz: " in done.stdout) is broken


def test_check_weighs_its_findings(tmp_path: Path) -> None:
    text = envelope(
        references='<File ovf:id="f" ovf:href="gone.vmdk"/>', sections="<v:Magic><Info/></v:Magic>"
    )
    done = run("check", ova(tmp_path / "a.ova", {"a.ovf": text.encode()}))
    assert done.exit_code == Exit.FINDINGS
    words = [line.split()[0] for line in done.stdout.splitlines()]
    assert words == ["error", "error", "warning", *["info"] * 3, "a.ova:"]
    assert "[DSP0243 2.1.1 §7.1]" in done.stdout


@pytest.mark.parametrize("command", ["show", "check"])
def test_what_is_no_package_is_said_in_one_sentence(tmp_path: Path, command: str) -> None:
    path = tmp_path / "a.ova"
    path.write_bytes(b"hello" * 200)
    done = run(command, path, "--json")
    assert done.exit_code == Exit.INPUT
    assert done.stderr == (
        "Error: a.ova: this is no OVA: it is not a tar archive. Choose an .ova or .ovf file.\n"
    )
    assert json.loads(done.stdout)["error"]["subject"] == "a.ova"
    assert run(command, tmp_path / "gone.ova").exit_code == Exit.USAGE


def test_a_packed_package_is_told_about_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KENSHO_SPOOL_DIR", str(tmp_path))
    path = tmp_path / "a.ova.xz"
    path.write_bytes(lzma.compress(ova(tmp_path / "a.ova", good()).read_bytes()))
    done = run("check", path, "--digests")
    assert done.exit_code == Exit.OK, done.output
    assert done.stderr.startswith(f"Unpacking a.ova.xz to a temporary file in {tmp_path}, ")
    assert "intact   d.vmdk" in done.stdout
    assert "info     a.ova.xz: It is compressed as a whole: " in done.stdout
