"""Descriptors and disks that are not ours become machines on XenServer, byte for byte."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import XenAPI

from kensho_tui.connections import ConnectionBook
from tests.desk import Desk, desk_with_lab
from tests.peers.wrap import corpus, equal, file_system, ova, qemu_image

MIB = 1 << 20
GIB = 1 << 30
pytestmark = pytest.mark.peer


@dataclass(frozen=True)
class Case:
    """A descriptor, its disks (file name to capacity), its other files, and what the machine is."""

    name: str
    descriptor: str
    disks: dict[str, int]
    processors: int
    memory: int
    others: tuple[str, ...] = ()


GOVMOMI = "vmware__govmomi/ovf/fixtures"
COT = "glennmatthews__cot/COT/tests"
CASES = [
    Case("photon5", f"{GOVMOMI}/photon5.ovf", {"photon-ova-disk1.vmdk": 16 * GIB}, 1, 2 * GIB),
    Case(
        "ubuntu24.10",
        f"{GOVMOMI}/ubuntu24.10.ovf",
        {"ubuntu-oracular-24.10-cloudimg.vmdk": 10 * GIB},
        2,
        GIB,
    ),
    Case(
        "ttylinux",
        f"{GOVMOMI}/ttylinux.ovf",
        {"ttylinux-pc_i486-16.1-disk1.vmdk": 30 * MIB},
        1,
        32 * MIB,
    ),
    Case(
        "cot-input",
        f"{COT}/input.ovf",
        {"input.vmdk": GIB},
        4,
        4 * GIB,
        ("input.iso", "sample_cfg.txt"),
    ),
    Case("csr1000v", f"{COT}/csr1000v.ovf", {"input.vmdk": GIB}, 1, 4 * GIB, ("input.iso",)),
    Case(
        "sample_app",
        "xenserver__xenadmin/XenAdminTests/TestResources/sample_app.ovf",
        {"5936bc8c-20ae-4052-9083-b8e5b96dc683.vhd": 10 * MIB},
        1,
        64 * MIB,
    ),
]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One lab for the module: the packages stand side by side on it."""
    with desk_with_lab(tmp_path_factory.mktemp("desk")) as opened:
        yield opened


def vm_record(desk: Desk, uuid: str) -> dict[str, Any]:
    """The machine's record, read by XenServer's own client."""
    connection = ConnectionBook(desk.home / "config" / "connections.toml").get("lab-xen")
    password = Path(connection.secret.value).read_text().strip()
    session = XenAPI.Session(connection.address, ignore_ssl=True)
    session.xenapi.login_with_password(connection.username, password)
    try:
        record: dict[str, Any] = session.xenapi.VM.get_record(session.xenapi.VM.get_by_uuid(uuid))
        return record
    finally:
        session.xenapi.session.logout()
        session("close")()


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_a_package_of_other_tools_arrives_byte_for_byte(
    case: Case, desk: Desk, tmp_path: Path
) -> None:
    members, made = {}, {}
    for name, capacity in case.disks.items():
        origin = file_system(tmp_path / f"{name}.raw", capacity, case.name)
        made[name] = qemu_image(origin, tmp_path / name)
        members[name] = made[name].image
    for name in case.others:
        members[name] = tmp_path / name
        members[name].write_bytes(f"{name} of {case.name}\n".encode() * 64)
    package = ova(tmp_path / f"{case.name}.ova", corpus(case.descriptor), members)
    before = {d["uuid"] for d in desk.disks()}

    done = desk.run(
        "import", str(package), "--to", "lab-xen", "--accept-eula", "all",
        "--storage", "local-sr", "--wait", "--json",
    )  # fmt: skip

    assert "Traceback" not in done.stderr
    last = json.loads(done.stdout.splitlines()[-1])
    (machine,) = last["event"]["data"]["result"]["machines"]
    record = vm_record(desk, machine["ref"]["id"])
    assert int(record["VCPUs_max"]) == case.processors
    assert int(record["memory_static_max"]) == case.memory
    arrived = [d for d in desk.disks() if d["uuid"] not in before]
    assert json.loads(done.stdout.splitlines()[-1])
    for disk in made.values():
        matching = [d for d in arrived if d["capacity"] >= disk.origin.stat().st_size]
        assert matching, arrived
        equal(
            disk.origin,
            Path(matching[0]["file"]),
            left_format="raw",
            right_format=matching[0]["format"],
            size=disk.origin.stat().st_size,
        )
