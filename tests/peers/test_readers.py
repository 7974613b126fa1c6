"""Packages of ours as two other programs read them: COT, and virt-v2v's reader of OVAs.

virt-v2v compares the manifest and finds the disks in the archive; ``--print-source`` says what it took
the descriptor for. COT has an environment of its own (``./dev test`` makes it): its libraries are not ours.
"""

import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from kensho_tui.machine import Firmware
from kensho_tui.ovf.package import open_package
from tests.unit.cli.test_create import files, run

ROOT = Path(__file__).parents[2]
COT = ROOT / ".venv-cot" / "bin" / "cot"
pytestmark = pytest.mark.peer
cot_needed = pytest.mark.skipif(
    not COT.exists(), reason=f"COT is missing: ./dev test installs it into {COT.parents[1].name}"
)
v2v_needed = pytest.mark.skipif(
    shutil.which("virt-v2v") is None, reason="virt-v2v is missing: apt-get install virt-v2v"
)
TEMPLATE = """\
name: Shop
product: {name: Shop, vendor: Example, version: "4.2"}
networks: {front: What customers see, back: ""}
licences: [licence.txt]
questions:
  - {key: zone, label: Time zone, category: General, default: UTC}
machines:
  - id: web
    cpus: 2
    memory: 3GiB
    firmware: uefi
    os: Debian 12
    hardware: [vmx-13]
    disks: [{file: web.img}, {file: db.img, name: data}]
    networks: [front, back]
    questions:
      - {key: port, type: uint16, label: Port, default: "80", qualifiers: "MinValue(1)"}
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """One machine with two disks, two networks, two questions and a licence."""
    path = tmp_path / "shop.ova"
    made = run("create", files(tmp_path, TEMPLATE), "--output", path)
    assert made.exit_code == 0, made.output
    return path


def said(*command: object) -> str:
    """What the program says, both ways; it has to succeed."""
    done = subprocess.run(
        [str(each) for each in command],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "LC_ALL": "C.UTF-8", "TERM": "dumb"},
    )  # fmt: skip
    text = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
    assert done.returncode == 0, text
    return text


@cot_needed
def test_cot_reads_what_we_write(shop: Path) -> None:
    # COT takes every digest of a 1.x package for SHA-1.
    assert run("manifest", shop, "--algorithm", "sha1").exit_code == 0
    text = said(COT, "info", "-v", shop)
    assert "tampered" not in text
    assert re.search(r"Product: +Shop\n", text)
    assert re.search(r"Version: +4\.2\n", text)
    assert re.search(r"shop-disk1\.vmdk .* 3 MiB harddisk @ SCSI 0:0", text)
    assert re.search(r"shop-disk2\.vmdk .* 1 MiB harddisk @ SCSI 0:1", text)
    assert re.search(r"None \(default\) +2 +3 GiB +2 ", text)
    assert re.search(r'front +"What customers see"', text)
    assert re.search(r'<port> +Port +"80"', text)
    assert re.search(r'<zone> +Time zone +"UTC"', text)
    assert "Be kind." in text


@cot_needed
def test_we_read_what_cot_made_of_it(shop: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed.ova"
    # To change hardware is what COT does for platforms it knows; this one is "generic" to it.
    said(COT, "-f", "-q", "edit-hardware", shop, "--cpus", 4, "--memory", "6GB", "-o", changed)
    with_property = tmp_path / "property.ova"
    said(COT, "-f", "-q", "edit-properties", changed, "-p", "port=8080", "-o", with_property)
    found = open_package(with_property)
    appliance, _ = found.appliance()
    machine = appliance.machines[0]
    assert machine.processors.count == 4
    assert machine.memory.size == 6 << 30
    assert machine.firmware is Firmware.UEFI
    assert {each.key: each.default for each in appliance.properties} == {
        "port": "8080",
        "zone": "UTC",
    }
    for name in found.covered:
        found.verify(name)


@v2v_needed
@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512"])
def test_virt_v2v_reads_what_we_write(shop: Path, algorithm: str) -> None:
    assert run("manifest", shop, "--algorithm", algorithm).exit_code == 0
    text = said("virt-v2v", "-i", "ova", "--print-source", shop)
    assert "source name: web" in text
    assert f"memory: {3 << 30} (bytes)" in text
    assert "nr vCPUs: 2" in text
    assert "firmware: uefi" in text
    assert re.findall(r"^\t\d+ \[(\w+)\]", text, re.MULTILINE) == ["scsi", "scsi"]
    assert re.findall(r'"(front|back)"', text) == ["front", "back"]


@v2v_needed
def test_virt_v2v_refuses_what_we_call_damaged(shop: Path) -> None:
    data = bytearray(shop.read_bytes())
    with tarfile.open(shop) as tar:
        member = tar.getmember("shop-disk2.vmdk")
    data[member.offset_data + member.size // 2] ^= 1
    shop.write_bytes(data)
    assert run("verify", shop).exit_code == 8
    done = subprocess.run(
        ["virt-v2v", "-i", "ova", "--print-source", str(shop)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "checksum of disk shop-disk2.vmdk does not match" in done.stderr
