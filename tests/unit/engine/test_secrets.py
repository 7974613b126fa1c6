"""Where secrets are found, what is refused, and that no value shows."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kensho_tui.connections import Connection, ConnectionBook, SecretRef
from kensho_tui.engine.secrets import (
    Secrets,
    connection_secret,
    from_environment,
    short_name,
    what_to_ask,
)
from kensho_tui.engine.sources import SecretError

CANARY = "canary-correct-horse"


def at(reference: str) -> Connection:
    return Connection("xen1", "xenserver", "xen1.example", secret=SecretRef.parse(reference))


XEN1 = connection_secret(at("prompt"))


def refused(secrets: Secrets, connection: Connection) -> SecretError:
    with pytest.raises(SecretError) as caught:
        secrets.password(connection)
    assert CANARY not in str(caught.value)
    return caught.value


def test_what_was_handed_over_comes_before_every_other_place() -> None:
    secrets = Secrets({XEN1: CANARY, "property:db.password": "p"})
    assert secrets.password(at("env:NOT_SET_ANYWHERE")) == CANARY
    assert secrets.secret("property:db.password") == "p"


def test_a_file_gives_its_first_line(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text(f"{CANARY}\nuser: root\n")
    path.chmod(0o600)
    assert Secrets().password(at(f"file:{path}")) == CANARY


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "password"
    path.write_text(CANARY)
    path.chmod(mode)
    error = refused(Secrets(), at(f"file:{path}"))
    assert "read by others" in error.what
    assert f"chmod 600 {path}" in error.remedy


def test_a_missing_and_an_empty_file_are_said(tmp_path: Path) -> None:
    assert "No such file" in refused(Secrets(), at(f"file:{tmp_path}/none")).what
    (tmp_path / "empty").touch(mode=0o600)
    assert "empty" in refused(Secrets(), at(f"file:{tmp_path}/empty")).what


def test_a_variable_gives_its_value_and_is_asked_for_where_it_is_not_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XEN_PASSWORD", CANARY)
    assert Secrets().password(at("env:XEN_PASSWORD")) == CANARY
    assert "NEVER_SET is not set" in refused(Secrets(), at("env:NEVER_SET")).what
    asked: list[str] = []

    def ask(name: str) -> str:
        asked.append(name)
        return "typed"

    assert Secrets(ask=ask).password(at("env:NEVER_SET")) == "typed"
    assert asked == [XEN1]


def command(*arguments: str) -> Connection:
    return at("command:" + json.dumps([sys.executable, "-c", *arguments]))


def test_a_command_gives_the_first_line_it_prints() -> None:
    assert Secrets().password(command(f"print('{CANARY}'); print('more')")) == CANARY


def test_a_command_that_fails_prints_nothing_or_is_no_list_is_refused() -> None:
    failed = refused(Secrets(), command(f"print('{CANARY}'); raise SystemExit(3)"))
    assert "exit code 3" in failed.what
    assert "printed nothing" in refused(Secrets(), command("")).what
    assert "no JSON list" in refused(Secrets(), at("command:pass show xen1")).what
    assert "cannot be run" in refused(Secrets(), at('command:["/no/such/program"]')).what


def test_a_command_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kensho_tui.engine.sources.COMMAND_TIMEOUT_S", 0.2)
    error: BaseException | None = refused(Secrets(), command("import time; time.sleep(60)"))
    assert "gave no answer" in str(error)
    while error is not None:
        # It would carry what the command had printed so far.
        assert not isinstance(error, subprocess.TimeoutExpired)
        error = error.__cause__ or error.__context__


def test_a_prompt_asks_once_and_says_what_to_do_where_nobody_can_be_asked() -> None:
    asked: list[str] = []

    def ask(name: str) -> str:
        asked.append(name)
        return CANARY

    secrets = Secrets(ask=ask)
    assert secrets.password(at("prompt")) == CANARY
    assert secrets.password(at("prompt")) == CANARY
    assert asked == [XEN1]
    assert "at a terminal or with --password-fd" in refused(Secrets(), at("prompt")).remedy


@pytest.mark.parametrize("reference", ["prompt", "env:XEN_PASSWORD"])
def test_a_refused_password_is_forgotten_and_asked_for_with_the_reason(
    reference: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XEN_PASSWORD", "stale")
    asked: list[str] = []

    def again(name: str, why: str) -> str:
        asked.append(f"{name}: {why}")
        return CANARY

    secrets = Secrets({XEN1: "stale"}, lambda name: "stale", again)
    assert secrets.password(at(reference)) == "stale"
    assert secrets.refused(at(reference), "the server refuses it")
    assert secrets.password(at(reference)) == CANARY
    assert asked == [f"{XEN1}: the server refuses it"]


def test_a_refused_password_of_a_file_is_read_anew_and_nobody_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.touch(mode=0o600)
    path.write_text("stale")
    secrets = Secrets(again=lambda name, why: "never")
    assert secrets.password(at(f"file:{path}")) == "stale"
    path.write_text(CANARY)
    assert not secrets.refused(at(f"file:{path}"), "refused")
    assert secrets.password(at(f"file:{path}")) == CANARY


CHANGES: list[dict[str, Any]] = [
    {"platform": "vsphere"},
    {"address": "other.example"},
    {"username": "admin"},
    {"pin": "ab" * 32},
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_password_goes_to_nobody_but_whom_it_was_given_for(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    """By the connection's own reference it is found anew, by a prompt it is asked for."""
    path = tmp_path / "password"
    path.touch(mode=0o600)
    path.write_text("of the new one")
    asked: list[str] = []

    def ask(name: str) -> str:
        asked.append(f"{what_to_ask(name)}: {secrets.changed(name)}")
        return "typed"

    given = {XEN1: CANARY}
    assert Secrets(given).password(replace(at(f"file:{path}"), **change)) == "of the new one"
    secrets = Secrets(given, ask)
    assert secrets.password(replace(at("prompt"), **change)) == "typed"
    assert secrets.password(at("prompt")) == CANARY, "it is still held for whom it was given"
    ((key, value),) = change.items()
    (question,) = asked
    before = getattr(at("prompt"), key) or "none"
    assert (
        f"has changed since its password was given: {key} was {before}, is {value[:16]}" in question
    )
    said = refused(Secrets(given), replace(at("prompt"), **change))
    assert f"{key} was {before}" in said.what
    assert said.subject == "connection:xen1"


def test_what_does_not_say_whom_a_password_is_sent_to_may_change(tmp_path: Path) -> None:
    secrets = Secrets({XEN1: CANARY})
    moved = replace(at("file:/gone"), settings={"timeout_s": "5"}, pinned="by me")
    assert secrets.password(moved) == CANARY


def test_a_person_is_told_where_the_password_goes() -> None:
    name = connection_secret(replace(at("prompt"), username="root"))
    assert what_to_ask(name) == "Password of 'xen1' (root at xen1.example)"
    assert short_name(name) == "connection:xen1"
    assert what_to_ask("property:shop admin [1]") == "Value of 'shop admin [1]'"
    assert short_name("property:shop admin [1]") == "property:shop admin [1]"


def test_a_listing_of_secrets_shows_names_alone() -> None:
    secrets = Secrets({XEN1: CANARY})
    assert repr(secrets) == f"Secrets({XEN1})"
    assert CANARY not in f"{secrets} {vars(secrets).keys()}"


def test_variables_of_the_connections_in_use_are_taken_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KENSHO_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("A", CANARY)
    monkeypatch.delenv("B", raising=False)
    book = ConnectionBook()
    for name, reference in {"a": "env:A", "b": "env:B", "c": "prompt", "other": "env:A"}.items():
        book.put(Connection(name, "xenserver", "h", secret=SecretRef.parse(reference)))
    assert from_environment(["a", "b", "c", "gone"]) == {connection_secret(book.get("a")): CANARY}
