"""``kensho runner``: installing it, and what is said of a logout."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kensho_tui.cli.out import Exit
from kensho_tui.cli.runner import runner, warn_of_logout
from kensho_tui.engine import logind
from kensho_tui.engine.events import RunnerStatus
from tests.unit.engine.test_service import told

__all__ = ["told"]  # a fixture


def run(*arguments: str) -> Result:
    """The command with those arguments."""
    return CliRunner().invoke(runner, list(arguments))


def test_a_dry_run_shows_the_unit_and_the_commands_and_does_nothing(
    tmp_path: Path, told: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KENSHO_STATE_DIR", str(tmp_path / "state"))
    done = run("install", "--dry-run")
    assert done.exit_code == Exit.OK
    assert "Type=notify" in done.stdout
    assert "  systemctl --user daemon-reload\n" in done.stdout
    data = json.loads(run("install", "--dry-run", "--json").stdout)
    assert data["commands"][1][:4] == ["systemctl", "--user", "enable", "--now"]
    assert not Path(data["unit"]).exists()
    assert not told.exists()
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("linger", [False, True])
def test_installing_says_what_else_it_wants(
    tmp_path: Path, told: Path, monkeypatch: pytest.MonkeyPatch, linger: bool
) -> None:
    monkeypatch.setenv("KENSHO_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr(logind, "lingers", lambda user: linger)
    done = run("install")
    assert done.exit_code == Exit.OK, done.stderr
    assert ("loginctl enable-linger" in done.stderr) is not linger
    assert len(told.read_text().splitlines()) == 2
    assert run("uninstall").exit_code == Exit.OK
    assert run("uninstall").exit_code == Exit.INPUT


def test_a_logout_that_would_end_the_runner_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logind, "ends_at_logout", lambda pid, user: "it ends: do this")
    warn_of_logout(RunnerStatus(running=False))
    assert capsys.readouterr().err == ""
    warn_of_logout(RunnerStatus(running=True, pid=1))
    assert capsys.readouterr().err == "Warning: it ends: do this.\n"
