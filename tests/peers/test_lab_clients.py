"""The lab satisfies clients that are not ours: XenAPI for Python, xen-api for JavaScript.

Neither shares code with the product or with the lab; what they expect of a host is what hosts do.
"""

import http.client
import json
import os
import random
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kensho_tui.lab import XenLab

pytestmark = pytest.mark.peer

NODE = Path(__file__).parent / "node"
SIZE = 6 * 1024**2


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[XenLab]:
    with XenLab(tmp_path / "lab") as lab:
        yield lab


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A raw disk with data at its start, in its middle and at its end."""
    source = random.Random(7)
    path = tmp_path / "disk.raw"
    with path.open("wb") as file:
        file.truncate(SIZE)
        for offset, length in ((0, 100_000), (4 * 1024**2 - 700, 1400), (SIZE - 512, 512)):
            file.seek(offset)
            file.write(source.randbytes(length))
    return path


@pytest.fixture
def vhd(disk: Path) -> Path:
    """The disk as a VHD that qemu-img wrote."""
    if shutil.which("qemu-img") is None:
        pytest.skip("needs qemu-img: apt-get install qemu-utils, then ./dev test")
    path = disk.with_suffix(".vhd")
    command = ["qemu-img", "convert", "-f", "raw", "-O", "vpc", "-o", "force_size=on"]
    subprocess.run([*command, disk, path], check=True)
    return path


# ------------------------------------------------------------------------------- XenAPI for Python
@pytest.fixture
def session(lab: XenLab) -> Iterator[Any]:
    import XenAPI

    session = XenAPI.Session(lab.url, ignore_ssl=True)
    session.login_with_password(lab.username, lab.password, "2.21", "conformance")
    yield session
    session.logout()
    session("close")()


def test_the_python_client_is_refused_with_a_wrong_password(lab: XenLab) -> None:
    import XenAPI

    session = XenAPI.Session(lab.url, ignore_ssl=True)
    with pytest.raises(XenAPI.Failure) as failure:
        session.login_with_password(lab.username, "wrong", "2.21", "conformance")
    assert failure.value.details[0] == "SESSION_AUTHENTICATION_FAILED"
    session("close")()


def test_the_python_client_reads_records_and_errors(session: Any) -> None:
    import XenAPI

    (pool,) = session.xenapi.pool.get_all_records().values()
    assert pool["name_label"] == "lab-pool"
    assert session.xenapi.SR.get_name_label(pool["default_SR"]) == "local-sr"
    with pytest.raises(XenAPI.Failure) as failure:
        session.xenapi.VM.get_record("OpaqueRef:none")
    assert failure.value.details == ["HANDLE_INVALID", "VM", "OpaqueRef:none"]


def test_the_python_client_logs_in_again_when_its_session_is_gone(
    lab: XenLab, session: Any
) -> None:
    lab.control.expire_sessions()
    assert session.xenapi.pool.get_all()
    assert lab.control.calls.count("session.login_with_password") == 2


def test_the_python_client_imports_a_vhd_of_qemu_and_sees_the_task_by_events(
    lab: XenLab, session: Any, disk: Path, vhd: Path
) -> None:
    (sr,) = session.xenapi.SR.get_by_name_label("local-sr")
    record = {
        "name_label": "from python", "SR": sr, "virtual_size": str(SIZE), "type": "user",
        "sharable": False, "read_only": False, "other_config": {},
    }  # fmt: skip
    vdi = session.xenapi.VDI.create(record)
    token = getattr(session.xenapi, "event.from")(["task"], "", 0.0)["token"]
    task = session.xenapi.task.create("import", "")
    connection = http.client.HTTPSConnection(
        "127.0.0.1", lab.port, context=ssl._create_unverified_context()
    )
    query = f"session_id={session.handle}&task_id={task}&vdi={vdi}&format=vhd"
    with vhd.open("rb") as body:
        length = {"Content-Length": str(vhd.stat().st_size)}
        connection.request("PUT", f"/import_raw_vdi?{query}", body, length)
        assert connection.getresponse().status == 200
    connection.close()
    status = "pending"
    while status == "pending":
        answer = getattr(session.xenapi, "event.from")([f"task/{task}"], token, 30.0)
        token = answer["token"]
        status = [e["snapshot"]["status"] for e in answer["events"]][-1]
    assert status == "success"
    (made,) = [each for each in lab.disks() if each.name == "from python"]
    assert made.file.read_bytes() == disk.read_bytes()


# -------------------------------------------------------------------------- xen-api for JavaScript
@pytest.fixture(scope="module")
def node_client() -> Path:
    """The folder with the client installed, as its lock file says."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("needs node: apt-get install nodejs npm, then ./dev test")
    installed = NODE / "node_modules" / ".package-lock.json"
    lock = NODE / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        command = ["npm", "ci", "--ignore-scripts", "--legacy-peer-deps", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=NODE, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"needs xen-api 4.7.6, which npm cannot install: {done.stderr[-300:]}")
    return NODE


@pytest.mark.parametrize("redirect", [False, True], ids=["master", "redirected"])
def test_the_javascript_client_connects_watches_imports_and_exports(
    lab: XenLab, disk: Path, vhd: Path, node_client: Path, redirect: bool, tmp_path: Path
) -> None:
    broken = bytearray(vhd.read_bytes())
    broken[512 + 40] ^= 1
    (tmp_path / "broken.vhd").write_bytes(broken)
    lab.control.set(redirect=redirect)
    exported = tmp_path / "exported.raw"
    environment = {
        **os.environ,
        "LAB_URL": lab.url,
        "LAB_PASSWORD": lab.password,
        "LAB_VHD": str(vhd),
        "LAB_SIZE": str(SIZE),
        "LAB_RAW": str(exported),
        "LAB_BROKEN": str(tmp_path / "broken.vhd"),
    }
    done = subprocess.run(
        ["node", "conformance.mjs"],
        cwd=node_client,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "wrongPassword": "SESSION_AUTHENTICATION_FAILED",
        "pool": "lab-pool",
        "networks": ["Host internal", "Pool-wide eth0", "VLAN 10", "storage-net"],
        "size": 2 * 1024**4,
        "imported": "success",
        "utilisation": 3 * 2 * 1024**2,
        "broken": ["VDI_IO_ERROR", "Device I/O errors"],
        "exported": SIZE,
        "event": "renamed",
        "unknown": ["MESSAGE_METHOD_UNKNOWN", "VM.sing"],
        "missing": "INTERNAL_ERROR",
        "invalid": ["HANDLE_INVALID", "VM", "OpaqueRef:none"],
    }
    assert exported.read_bytes() == disk.read_bytes()
