"""What an operator sees of errors: a sentence and an exit code, never a traceback."""

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import kensho_tui.cli
from backends.base import ConnectError
from kensho_tui.cancel import CancelledError
from kensho_tui.cli import out, transfer
from kensho_tui.cli.root import root
from kensho_tui.engine.events import leftover_text
from kensho_tui.engine.secrets import Secrets
from kensho_tui.errors import KenshoError


def failing(error: BaseException) -> click.Command:
    """A command that raises."""

    @click.command()
    @out.json_option
    @out.guarded
    def command(as_json: bool) -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (KenshoError("broken", subject="shop.ova"), out.Exit.INPUT),
        (ConnectError("no answer", subject="xen-new"), out.Exit.PLATFORM),
        (CancelledError(), out.Exit.CANCELLED),
        (KeyboardInterrupt(), out.Exit.INTERRUPTED),
    ],
)
def test_an_error_is_a_sentence_and_an_exit_code(error: BaseException, code: out.Exit) -> None:
    result = CliRunner().invoke(failing(error), [])
    assert result.exit_code == code
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_with_json_the_error_is_data_too() -> None:
    error = KenshoError("broken", subject="shop.ova", remedy="Get it again")
    result = CliRunner().invoke(failing(error), ["--json"])
    assert json.loads(result.stdout) == {
        "error": {"what": "broken", "subject": "shop.ova", "remedy": "Get it again"}
    }
    assert "shop.ova: broken. Get it again." in result.stderr


def test_escape_sequences_in_an_error_do_not_reach_the_terminal() -> None:
    result = CliRunner().invoke(failing(KenshoError("x\x1b[2Jy‮")), [])
    assert "xy." in result.stderr or "xy\n" in result.stderr


def test_a_defect_leaves_a_report_and_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KENSHO_STATE_DIR", str(tmp_path / "state"))

    secret = Secrets({"connection:xen1": "canary-correct-horse"}).values()[0]

    def broken(**_: object) -> None:
        raise ZeroDivisionError(f"oops {secret}")

    monkeypatch.setattr(root, "main", broken)
    with pytest.raises(SystemExit) as stopped:
        kensho_tui.cli.main()
    assert stopped.value.code == out.Exit.INTERNAL
    said = capsys.readouterr().err
    report = tmp_path / "state" / "last-defect.txt"
    assert str(report) in said and "Traceback" not in said
    assert "ZeroDivisionError: oops •••" in report.read_text()
    assert secret not in report.read_text() + said
    assert report.stat().st_mode & 0o777 == 0o600


def test_without_a_terminal_the_interface_is_refused_and_paints_nothing() -> None:
    result = CliRunner().invoke(root, [])
    assert result.exit_code == out.Exit.USAGE
    assert "needs a terminal" in result.stderr
    assert "\x1b" not in result.output


def test_a_leftover_is_told_in_sentences_without_none_and_without_two_full_stops() -> None:
    said = leftover_text(
        {
            "kind": "key",
            "id": "kensho:shop-1:deploy",
            "name": "what the job made",
            "reason": "the server does not answer. Check the network..",
            "action": "Remove by hand what carries kensho:shop-1:deploy on lab-xen.",
        }
    )
    assert said == (
        "what the job made: the server does not answer. Check the network. "
        "Remove by hand what carries kensho:shop-1:deploy on lab-xen."
    )
    assert leftover_text({"name": None, "reason": "gone", "ref": None}) == "something: gone."


@pytest.mark.parametrize("name", ["bad\udcff.ova", "two\nlines.ova"])
def test_a_path_that_no_plan_can_hold_is_refused_at_once(name: str) -> None:
    with pytest.raises(KenshoError, match="no text") as caught:
        transfer._absolute(name)
    assert str(caught.value).isascii()
