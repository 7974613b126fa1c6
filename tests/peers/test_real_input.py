"""Descriptors and disks that are not ours become machines on XenServer, byte for byte."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import XenAPI

from kensho_tui.app import KenshoApp
from kensho_tui.connections import ConnectionBook
from kensho_tui.engine.events import JobState
from screens.monitor import Monitor
from tests.desk import Desk, desk_with_lab
from tests.peers.wrap import MadeDisk, corpus, equal, file_system, ova, qemu_image
from tests.ui.deciding import decide
from tests.ui.waiting import seen, until

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


def wrapped(case: Case, directory: Path) -> tuple[Path, list[MadeDisk]]:
    """The package of the case, and its disks by qemu-img."""
    members, made = {}, []
    for name, capacity in case.disks.items():
        origin = file_system(directory / f"{name}.raw", capacity, case.name)
        made.append(qemu_image(origin, directory / name))
        members[name] = made[-1].image
    for name in case.others:
        members[name] = directory / name
        members[name].write_bytes(f"{name} of {case.name}\n".encode() * 64)
    return ova(directory / f"{case.name}.ova", corpus(case.descriptor), members), made


def arrived(made: list[MadeDisk], disks: list[dict[str, Any]]) -> None:
    """Assert that each disk is among those on the lab, byte for byte up to its capacity."""
    for disk in made:
        size = disk.origin.stat().st_size
        matching = [d for d in disks if d["capacity"] >= size and d["device"] == "0"]
        assert matching, disks
        found = matching[0]
        equal(
            disk.origin,
            Path(found["file"]),
            left_format="raw",
            right_format=found["format"],
            size=size,
        )


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_a_package_of_other_tools_arrives_byte_for_byte(
    case: Case, desk: Desk, tmp_path: Path
) -> None:
    package, made = wrapped(case, tmp_path)
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
    arrived(made, [d for d in desk.disks() if d["uuid"] not in before])


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
async def test_the_wizard_takes_it_there_as_well(
    case: Case, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, made = wrapped(case, tmp_path)
    for name in ("KENSHO_STATE_DIR", "KENSHO_CONFIG_DIR"):
        monkeypatch.setenv(name, desk.environment[name])
    before = {d["uuid"] for d in desk.disks()}
    app = KenshoApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await decide(app, pilot, package)
        await until(pilot, lambda: isinstance(app.screen, Monitor))
        monitor = app.screen
        assert isinstance(monitor, Monitor)
        await until(
            pilot,
            lambda: monitor.view is not None and monitor.view.summary.state.ended,
            longest_s=120,
        )
        assert monitor.view is not None
        assert monitor.view.summary.state is JobState.SUCCEEDED, seen(app)
    arrived(made, [d for d in desk.disks() if d["uuid"] not in before])
