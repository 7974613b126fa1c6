"""systemd's own judgement of the runner's unit, and the runner as systemd starts it."""

import os
import re
import shlex
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from kensho_tui.engine.client import Client
from kensho_tui.engine.service import EXIT_HELD, Service

pytestmark = pytest.mark.peer


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None,
    reason="systemd-analyze is missing: apt-get install systemd",
)
@pytest.mark.parametrize("state", ["state", 'a "b" c', "50% $HOME"])
def test_systemd_takes_the_unit(
    tmp_path: Path, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KENSHO_CONFIG_DIR", str(tmp_path / "con fig"))
    unit = tmp_path / "kensho-runner.service"
    unit.write_text(Service(tmp_path / state).text())
    done = subprocess.run(
        ["systemd-analyze", "verify", "--user", unit],
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    # It also reads units of the machine, which are not ours.
    said = [line for line in done.stderr.splitlines() if "kensho-runner" in line]
    assert said == []
    assert done.returncode == 0, done.stderr


def test_the_unit_s_command_says_when_it_is_ready_and_runs_in_the_foreground(
    tmp_path: Path,
) -> None:
    state = tmp_path / "state"
    (line,) = re.findall(r"^ExecStart=(.*)$", Service(state).text(), re.MULTILINE)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(60)
        environment = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")}
        with subprocess.Popen(shlex.split(line), env=environment) as process:
            try:
                assert systemd.recv(100) == b"READY=1"
                with Client.open(state, start=False) as client:
                    assert client.status().pid == process.pid
                second = subprocess.run(shlex.split(line), env=environment, check=False, timeout=60)
                assert second.returncode == EXIT_HELD, "systemd need not try again"
            finally:
                process.terminate()
            assert process.wait(60) == 0, "an orderly stop is not started again"
    assert "is running already" in (state / "runner.log").read_text()
