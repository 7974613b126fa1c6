"""``kensho lab`` and ``kensho demo``: the stand-in in a process of its own."""

import base64
import http.client
import json
import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from kensho_tui.cli.demo import DemoError, demo, demo_world
from kensho_tui.cli.lab import ask, lab, read_address, stop_lab
from kensho_tui.connections import Connection, ConnectionBook, SecretRef


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("KENSHO_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("KENSHO_STATE_DIR", str(tmp_path / "state"))
    yield tmp_path / "lab"
    stop_lab(tmp_path / "lab")


def run(*args: str) -> Result:
    return CliRunner().invoke(lab, args)


def data(*args: str) -> Any:
    result = run(*args, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_lab_is_started_listed_and_stopped(state: Path) -> None:
    started = data("start", "--state", str(state))
    connection = ConnectionBook().get("lab-xen")
    assert connection.platform == "xenserver"
    assert (connection.address, connection.pin) == (started["url"], started["pin"])
    assert str(connection.secret) == f"file:{state / 'password'}"
    again = data("start", "--state", str(state))
    assert again["pid"] == started["pid"], "it runs already"
    status = data("status", "--state", str(state))
    assert status["running"] and status["modes"]["cut_after"] is None
    disks = data("disks", "--state", str(state))
    listed = [(d["machine"], d["device"], d["format"], d["capacity"]) for d in disks]
    assert ("legacy-app", "0", "raw", 24 * 1024**2) in listed
    assert all(Path(d["file"]).stat().st_size == d["capacity"] for d in disks)
    assert data("stop", "--state", str(state)) == {"stopped": True}
    assert data("stop", "--state", str(state)) == {"stopped": False}
    assert data("status", "--state", str(state)) == {"running": False}


def test_two_labs_stand_side_by_side_under_names_of_their_own(state: Path, tmp_path: Path) -> None:
    first, other = data("start", "--state", str(state)), tmp_path / "other"
    try:
        refused = run("start", "--state", str(other))
        assert refused.exit_code == 3
        assert f"another lab, which runs (in {state})" in refused.stderr
        assert "--name lab-xen-2" in refused.stderr
        assert not other.exists(), "nothing was started"
        assert ConnectionBook().get("lab-xen").address == first["url"]
        second = data("start", "--state", str(other), "--name", "lab-xen-2")
        assert second["connection"] == "lab-xen-2"
        book = {each.name: each for each in ConnectionBook()}
        assert book["lab-xen"].address == first["url"]
        assert (book["lab-xen-2"].address, book["lab-xen-2"].pin) == (second["url"], second["pin"])
        assert f"as the lab in {other} says itself" in book["lab-xen-2"].pinned
        stop_lab(state)
        # What leads to a lab that runs no more may be taken over.
        assert data("start", "--state", str(other))["url"] == second["url"]
        assert ConnectionBook().get("lab-xen").address == second["url"]
    finally:
        stop_lab(other)


@pytest.mark.parametrize(
    "secret", ["prompt", "file:/srv/xen1/password", "file:{state}/password", "age:xen1"]
)
def test_a_connection_that_no_lab_has_made_is_not_replaced(
    state: Path, tmp_path: Path, secret: str
) -> None:
    (tmp_path / "passwords").mkdir()
    reference = SecretRef.parse(secret.format(state=tmp_path / "passwords"))
    real = Connection("lab-xen", "xenserver", "https://xen1.example", "root", reference)
    ConnectionBook().put(real)
    refused = run("start", "--state", str(state))
    assert refused.exit_code == 3
    assert "no lab has made it" in refused.stderr
    assert ConnectionBook().get("lab-xen") == real
    assert not state.exists()


def test_a_lab_that_is_started_again_keeps_what_was_set_of_its_connection(state: Path) -> None:
    data("start", "--state", str(state))
    book = ConnectionBook()
    changed = replace(book.get("lab-xen"), settings={"timeout_s": "5"})
    book.put(changed)
    stop_lab(state)
    data("start", "--state", str(state))
    assert book.get("lab-xen") == changed
    assert run("start", "--state", str(state), "--name", "no name").exit_code == 3


def test_disks_are_listed_for_people_too(state: Path) -> None:
    run("start", "--state", str(state))
    lines = run("disks", "--state", str(state)).stdout.splitlines()
    assert lines[0].split() == ["MACHINE", "DEVICE", "NAME", "FORMAT", "CAPACITY", "FILE"]
    assert any(line.startswith("legacy-app  1 ") for line in lines)


def test_a_lab_that_does_not_run_says_how_to_start_it(state: Path) -> None:
    result = run("disks", "--state", str(state))
    assert result.exit_code == 3
    assert f"Start it with 'kensho lab start --state {state}'" in result.stderr


def test_a_lab_that_cannot_start_says_why(state: Path) -> None:
    state.mkdir(mode=0o700)
    (state / "world.sqlite").write_text("no database at all, but long enough to be looked at")
    result = run("start", "--state", str(state))
    assert result.exit_code == 3
    assert "the lab does not start" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_demo_is_private_and_leaves_nothing(state: Path, tmp_path: Path) -> None:
    place = tmp_path / "demo"
    with demo_world(place) as package:
        assert package.is_file()
        assert ConnectionBook().path.is_relative_to(place)
        assert ConnectionBook().get("lab-xen").platform == "xenserver"
        assert os.environ["KENSHO_STATE_DIR"].startswith(str(place))
        address = read_address(place / "lab")
        assert address is not None
    assert not place.exists()
    assert os.environ["KENSHO_CONFIG_DIR"] == str(tmp_path / "config")
    assert list(ConnectionBook()) == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", address.port), timeout=10)


def test_a_demo_that_is_kept_can_be_opened_again(state: Path, tmp_path: Path) -> None:
    place = tmp_path / "demo"
    with demo_world(place, keep=True) as package:
        made = package.stat().st_mtime_ns
    with demo_world(place) as package:
        assert package.stat().st_mtime_ns == made
    assert not place.exists()


def test_a_demo_refuses_a_directory_with_something_else_in_it(state: Path, tmp_path: Path) -> None:
    place = tmp_path / "mine"
    place.mkdir()
    (place / "thesis.txt").write_text("years of work")
    with pytest.raises(DemoError, match="the directory holds something else"), demo_world(place):
        pass
    assert (place / "thesis.txt").exists()


def test_a_demo_needs_a_terminal(state: Path) -> None:
    result = CliRunner().invoke(demo, [])
    assert result.exit_code == 3
    assert "needs a terminal" in result.stderr


def test_a_lab_that_dies_in_a_transfer_is_started_again_with_its_world(state: Path) -> None:
    first = data("start", "--state", str(state))
    before = [(d["uuid"], d["capacity"]) for d in data("disks", "--state", str(state))]
    ask(state, {"modes": {"die_after": 1}})
    credentials = base64.b64encode(f"root:{(state / 'password').read_text().strip()}".encode())
    idle = next(d["uuid"] for d in data("disks", "--state", str(state)) if d["device"] == "1")
    address = read_address(state)
    assert address is not None
    connection = http.client.HTTPConnection("127.0.0.1", address.port, timeout=30)
    headers = {"Authorization": f"Basic {credentials.decode()}"}
    connection.request("GET", f"/export_raw_vdi?vdi={idle}&format=raw", headers=headers)
    response = connection.getresponse()
    # It ends like any export, before its time: only the size tells.
    assert len(response.read()) < 10 * 1024**2
    response.close()
    connection.close()
    assert data("status", "--state", str(state)) == {"running": False}
    second = data("start", "--state", str(state))
    assert second["pid"] != first["pid"]
    assert (second["url"], second["pin"]) == (first["url"], first["pin"])
    after = [(d["uuid"], d["capacity"]) for d in data("disks", "--state", str(state))]
    assert after == before
