"""Adding, trying and forgetting connections, as an operator or a script does it."""

import json
import shlex
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from kensho_tui.cli.connection import connection
from kensho_tui.cli.out import Exit
from kensho_tui.connections import ConnectionBook
from kensho_tui.person import person
from tests.contract.xenserver import XenBench


@pytest.fixture
def xen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[XenBench]:
    """A XenServer pool, and a connection book of one's own."""
    monkeypatch.setenv("KENSHO_CONFIG_DIR", str(tmp_path / "config"))
    with XenBench(tmp_path / "lab") as made:
        yield made


def kensho(*arguments: str, input: str | None = None) -> Result:
    """Run ``kensho connection …``."""
    return CliRunner().invoke(connection, list(arguments), input=input)


def add(xen: XenBench, *further: str) -> Result:
    """Add the lab as ``lab``."""
    return kensho(
        "add",
        "lab",
        "--platform=xenserver",
        f"--address={xen.lab.url}",
        "--username=root",
        f"--secret=file:{xen.lab.password_file}",
        *further,
    )


def data(result: Result) -> Any:
    """Standard output as JSON."""
    assert result.exit_code == Exit.OK, result.stderr
    return json.loads(result.stdout)


def test_a_first_contact_that_nobody_can_confirm_is_refused_with_the_pin_to_give(
    xen: XenBench,
) -> None:
    result = add(xen)
    assert result.exit_code == Exit.PLATFORM
    assert f"--pin {xen.lab.pin}" in result.stderr
    assert "valid        from 20" in result.stderr
    assert result.stdout == ""
    assert list(ConnectionBook()) == []


def test_the_command_that_is_told_adds_what_was_meant(xen: XenBench) -> None:
    said = add(xen, "--set", "timeout_s=20").stderr
    command = said.rpartition("run '")[2].rpartition("'")[0]
    assert command.startswith("kensho connection add lab --platform xenserver")
    result = kensho(*shlex.split(command)[2:])
    assert result.exit_code == Exit.OK, result.stderr
    known = ConnectionBook().get("lab")
    assert (known.pin, known.address, known.username) == (xen.lab.pin, xen.lab.url, "root")
    assert str(known.secret) == f"file:{xen.lab.password_file}"
    assert dict(known.settings) == {"timeout_s": "20"}
    assert kensho("test", "lab").exit_code == Exit.OK


def test_a_certificate_that_no_authority_vouches_for_is_told_with_the_command_to_paste(
    xen: XenBench,
) -> None:
    add(xen, "--pin", xen.lab.pin)
    book = ConnectionBook()
    book.put(replace(book.get("lab"), pin=""))
    said = kensho("test", "lab").stderr
    command = said.rpartition("run '")[2].rpartition("'")[0]
    assert kensho(*shlex.split(command)[2:]).exit_code == Exit.OK
    assert kensho("test", "lab").exit_code == Exit.OK


def test_with_json_the_certificate_is_data(xen: XenBench) -> None:
    result = add(xen, "--json")
    assert result.exit_code == Exit.PLATFORM
    certificate = json.loads(result.stdout)["error"]["certificate"]
    assert certificate["pin"] == xen.lab.pin
    assert certificate["issuer"]
    assert certificate["not_after"]


@pytest.mark.parametrize("answer", ["y\n", "n\n", "\n"])
def test_at_a_terminal_the_operator_decides(
    xen: XenBench, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    monkeypatch.setattr("kensho_tui.cli.connection._at_terminal", lambda: True)
    result = kensho("add", "lab", "--platform=xenserver", f"--address={xen.lab.url}", input=answer)
    agreed = answer == "y\n"
    assert result.exit_code == (Exit.OK if agreed else Exit.PLATFORM)
    assert [each.pin for each in ConnectionBook()] == ([xen.lab.pin] if agreed else [])


def test_what_was_added_can_be_tried_listed_and_forgotten(xen: XenBench) -> None:
    added = data(add(xen, f"--pin={xen.lab.pin}", "--set=timeout_s=20", "--json"))
    assert added["pin"] == xen.lab.pin
    assert added["secret"] == f"file:{xen.lab.password_file}"
    tried = data(kensho("test", "lab", "--json"))
    assert tried["platform"]["vendor"] == "XenServer"
    assert tried["hosts"] == 2
    assert "XenServer" in kensho("test", "lab").stdout
    assert data(kensho("list", "--json")) == [added]
    listed = kensho("list").stdout
    assert "lab" in listed
    assert xen.lab.pin[:16] in listed
    assert data(kensho("remove", "lab", "--json")) == {"removed": "lab"}
    assert data(kensho("list", "--json")) == []


def test_trust_takes_what_is_shown(xen: XenBench) -> None:
    assert add(xen, "--trust").exit_code == Exit.OK
    assert ConnectionBook().get("lab").pin == xen.lab.pin


def test_the_book_says_how_a_certificate_came_to_be_trusted(
    xen: XenBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pinned(*further: str) -> str:
        assert add(xen, "--replace", *further).exit_code == Exit.OK
        when, by, how = ConnectionBook().get("lab").pinned.split(" ", 2)
        assert datetime.fromisoformat(when) <= datetime.now(UTC)
        assert by == f"{person()}:"
        return how

    assert pinned("--trust") == "taken with --trust, compared with nothing"
    assert pinned("--pin", xen.lab.pin) == "given with --pin"
    new = xen.lab.new_certificate()
    assert kensho("trust", "lab", "--pin", new).exit_code == Exit.OK
    assert ConnectionBook().get("lab").pinned.endswith(": given with --pin after it changed")
    monkeypatch.setattr("kensho_tui.cli.connection._at_terminal", lambda: True)
    xen.lab.new_certificate()
    assert kensho("trust", "lab", input="trust\n").exit_code == Exit.OK
    assert ConnectionBook().get("lab").pinned.endswith(": confirmed after it changed")
    asked = kensho("add", "other", "--platform=xenserver", f"--address={xen.lab.url}", input="y\n")
    assert asked.exit_code == Exit.OK
    assert ConnectionBook().get("other").pinned.endswith(": confirmed at first contact")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602])
def test_a_password_file_that_others_can_read_is_refused_when_it_is_named(
    xen: XenBench, tmp_path: Path, mode: int
) -> None:
    file = tmp_path / "password"
    file.write_text("secret")
    file.chmod(mode)
    xen.lab.control.clear_calls()
    result = add(xen, "--trust", f"--secret=file:{file}")
    assert result.exit_code == Exit.INPUT
    assert f"chmod 600 {file}" in result.stderr
    assert list(ConnectionBook()) == []
    assert xen.lab.control.calls == []
    file.chmod(0o600)
    assert add(xen, "--trust", f"--secret=file:{file}").exit_code == Exit.OK
    file.chmod(mode)
    assert "chmod 600" in kensho("test", "lab").stderr, "so is it when it is used"


def test_a_password_file_that_is_not_there_yet_may_come(xen: XenBench, tmp_path: Path) -> None:
    result = add(xen, "--trust", f"--secret=file:{tmp_path}/later")
    assert result.exit_code == Exit.OK
    assert f"Warning: {tmp_path}/later is not there yet" in result.stderr


def test_a_pin_that_is_not_the_servers_is_refused_even_with_trust(xen: XenBench) -> None:
    result = add(xen, f"--pin={'ab' * 32}", "--trust")
    assert result.exit_code == Exit.PLATFORM
    assert xen.lab.pin in result.stderr
    assert list(ConnectionBook()) == []


def test_a_name_that_is_taken_is_not_overwritten_by_chance(xen: XenBench) -> None:
    assert add(xen, "--trust").exit_code == Exit.OK
    assert add(xen, "--trust").exit_code == Exit.INPUT
    assert add(xen, "--trust", "--replace").exit_code == Exit.OK


@pytest.mark.parametrize(
    ("further", "reason"),
    [
        (("--set=colour=red",), "colour"),
        (("--set=timeout_s",), "KEY=VALUE"),
        (("--pin=12",), "64 hex digits"),
    ],
)
def test_what_is_not_right_is_refused_before_any_contact(
    xen: XenBench, further: tuple[str, ...], reason: str
) -> None:
    xen.lab.control.clear_calls()
    result = add(xen, *further)
    assert result.exit_code == Exit.INPUT
    assert reason in result.stderr
    assert xen.lab.control.calls == []


def test_a_platform_that_does_not_exist_is_told_with_the_known_ones(xen: XenBench) -> None:
    result = kensho("add", "x", "--platform=osborne", "--address=x")
    assert result.exit_code == Exit.USAGE
    assert "xenserver" in result.stderr


def test_a_password_is_never_an_argument(xen: XenBench) -> None:
    options = {n for each in connection.commands.values() for o in each.params for n in o.opts}
    assert {each for each in options if "password" in each} == {"--password-fd"}
    result = kensho("add", "x", "--platform=xenserver", "--address=x", "--secret=hunter2")
    assert result.exit_code == Exit.INPUT


def test_a_secrets_file_is_found_from_anywhere(
    xen: XenBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(xen.lab.state)
    result = kensho(
        "add", "lab", "--platform=xenserver", f"--address={xen.lab.url}", "--trust",
        "--secret=file:password", "--json",
    )  # fmt: skip
    assert data(result)["secret"] == f"file:{xen.lab.state / 'password'}"


def test_show_lists_what_other_commands_can_name(xen: XenBench) -> None:
    add(xen, f"--pin={xen.lab.pin}")
    text = kensho("show", "lab").stdout
    for name in ("legacy-app", "local-sr", "Pool-wide eth0", "lab-pool", "xen01"):
        assert name in text
    names = {each["ref"]["name"] for each in data(kensho("show", "lab", "--json"))}
    assert {"legacy-app", "local-sr", "Pool-wide eth0", "lab-pool", "xen01"} <= names


# ------------------------------------------------------------------------------------------ trust
def test_what_is_trusted_and_what_is_shown_are_told_and_nothing_changes(xen: XenBench) -> None:
    add(xen, "--pin", xen.lab.pin)
    result = kensho("trust", "lab")
    assert result.exit_code == Exit.OK, result.stderr
    assert "given with --pin" in result.stderr
    assert result.stderr.count(xen.lab.pin[-2:].upper()) >= 2
    assert "nothing changes" in result.stderr


def test_a_changed_certificate_is_trusted_only_by_its_own_fingerprint(xen: XenBench) -> None:
    add(xen, "--pin", xen.lab.pin)
    old, new = xen.lab.pin, xen.lab.new_certificate()
    nobody = kensho("trust", "lab")
    assert nobody.exit_code != Exit.OK
    assert f"run 'kensho connection trust lab --pin {new}'." in nobody.stderr
    wrong = kensho("trust", "lab", "--pin", "ab" * 32)
    assert wrong.exit_code == Exit.PLATFORM
    assert new in wrong.stderr
    assert "ab" * 32 in wrong.stderr
    # It stops hard until then, with both, and says how to go on.
    stopped = kensho("test", "lab")
    assert stopped.exit_code == Exit.PLATFORM
    for said in (old, new, f"'kensho connection trust lab --pin {new}'"):
        assert said in stopped.stderr
    assert ConnectionBook().get("lab").pin == old
    assert kensho("trust", "lab", "--pin", new, "--reason", "renewed, CHG7").exit_code == Exit.OK
    kept = ConnectionBook().get("lab")
    assert kept.pin == new
    assert kept.pinned.endswith(": renewed, CHG7")
    assert kept.pinned[:2] == "20"
    assert kensho("test", "lab").exit_code == Exit.OK


@pytest.mark.parametrize(("typed", "agreed"), [("trust\n", True), ("y\n", False), ("\n", False)])
def test_at_a_terminal_a_changed_certificate_wants_the_word(
    xen: XenBench, monkeypatch: pytest.MonkeyPatch, typed: str, agreed: bool
) -> None:
    monkeypatch.setattr("kensho_tui.cli.connection._at_terminal", lambda: True)
    add(xen, "--pin", xen.lab.pin)
    old, new = xen.lab.pin, xen.lab.new_certificate()
    result = kensho("trust", "lab", input=typed)
    assert (result.exit_code == Exit.OK) is agreed
    assert ConnectionBook().get("lab").pin == (new if agreed else old)


def test_the_systems_authorities_are_trusted_again_only_where_they_vouch(xen: XenBench) -> None:
    add(xen, "--pin", xen.lab.pin)
    result = kensho("trust", "lab", "--system")
    assert result.exit_code == Exit.PLATFORM
    assert ConnectionBook().get("lab").pin == xen.lab.pin


def test_with_json_a_certificate_that_nobody_agreed_to_is_data(xen: XenBench) -> None:
    add(xen, "--pin", xen.lab.pin)
    new = xen.lab.new_certificate()
    result = kensho("trust", "lab", "--json")
    assert result.exit_code == Exit.PLATFORM
    error = json.loads(result.stdout)["error"]
    assert error["certificate"]["pin"] == new
    assert error["what"] == "the certificate has changed"
