"""The unit, systemd told through a stand-in, and readiness said over a real socket."""

import os
import socket
from pathlib import Path

import pytest

from kensho_tui.engine.client import Client
from kensho_tui.engine.service import Service, ServiceError, notify
from kensho_tui.errors import KenshoError


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ``systemctl`` that writes down what it is told, and fails where ``refuse`` says."""
    programs = tmp_path / "bin"
    programs.mkdir()
    file = tmp_path / "told"
    script = programs / "systemctl"
    script.write_text(
        "#!/bin/sh\n"
        f'echo "$@" >> {file}\n'
        f'if grep -qs -- "$2" {tmp_path}/refuse; then echo "no such bus" >&2; exit 1; fi\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    return file


def test_it_is_installed_and_taken_away(tmp_path: Path, told: Path) -> None:
    service = Service(tmp_path / "home" / "kensho")
    assert service.name == "kensho-runner.service"
    service.install()
    assert service.path == tmp_path / "config" / "systemd" / "user" / "kensho-runner.service"
    assert service.path.read_text() == service.text()
    service.uninstall()
    assert not service.path.exists()
    assert told.read_text().splitlines() == [
        "--user daemon-reload",
        "--user enable --now kensho-runner.service",
        "--user disable --now kensho-runner.service",
        "--user daemon-reload",
    ]
    with pytest.raises(ServiceError, match="no such unit"):
        service.uninstall()


def test_a_unit_that_does_not_start_is_taken_away_again(tmp_path: Path, told: Path) -> None:
    (tmp_path / "refuse").write_text("enable\n")
    service = Service(tmp_path / "state")
    with pytest.raises(ServiceError, match="no such bus") as caught:
        service.install()
    assert caught.value.remedy
    assert not service.path.exists()


def test_two_state_directories_have_two_units(tmp_path: Path, told: Path) -> None:
    names = {Service(tmp_path / name).name for name in ("a", "b", "home/kensho")}
    assert len(names) == 3
    assert all(each.startswith("kensho-runner") and each.endswith(".service") for each in names)


def test_paths_are_written_so_that_systemd_reads_them_back(
    tmp_path: Path, told: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KENSHO_CONFIG_DIR", "/srv/50% off")
    monkeypatch.setenv("KENSHO_SPOOL_DIR", "/srv/spool")
    text = Service(Path('/srv/a b/"q"/$HOME/%h/x\\y')).text()
    assert r'"--state" "/srv/a b/\"q\"/$$HOME/%%h/x\\y" "--log"' in text
    assert 'Environment="KENSHO_CONFIG_DIR=/srv/50%% off"' in text
    assert "KENSHO_SPOOL_DIR=/srv/spool" in text
    with pytest.raises(KenshoError):
        Service(Path("/srv/a\nExecStartPre=/bin/false")).text()


def test_without_systemd_it_is_said_that_none_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    service = Service(tmp_path / "state")
    with pytest.raises(ServiceError, match="no systemd") as caught:
        service.install()
    assert "starts by itself" in caught.value.remedy
    assert not service.path.exists()


def test_a_runner_that_is_a_service_is_started_as_one_and_by_hand_where_that_fails(
    tmp_path: Path, told: Path
) -> None:
    state = tmp_path / "state"
    service = Service(state)
    assert not service.start()
    service.install()
    assert service.start()
    (tmp_path / "refuse").write_text("start\n")
    told.unlink()
    with Client.open(state) as client:
        assert client.status().running
        client.stop()
    assert told.read_text() == f"--user start {service.name}\n"


@pytest.mark.parametrize("abstract", [False, True])
def test_readiness_is_said_where_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abstract: bool
) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        name = f"kensho-test-{os.getpid()}"
        monkeypatch.chdir(tmp_path)
        systemd.bind(f"\0{name}" if abstract else "notify")
        address = f"@{name}" if abstract else str(tmp_path / "notify")
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        systemd.settimeout(10)
        notify("READY=1")
        assert systemd.recv(100) == b"READY=1"
    notify("READY=1")  # nobody hears it, and nothing comes of it
