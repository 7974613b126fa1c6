"""Places of secrets, one by one: what they give, what is refused, and that no value shows."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keyring
import pytest
from keyring.backend import KeyringBackend

from kensho_tui.connections import Connection, ConnectionBookError, SecretRef
from kensho_tui.engine.age_store import AgeStore
from kensho_tui.engine.environment import clean_environment
from kensho_tui.engine.keyrings import ALLOWED
from kensho_tui.engine.secrets import Secrets, asks
from kensho_tui.engine.sources import SecretError, from_descriptor

CANARY = "canary-correct-horse"


def at(reference: str) -> Connection:
    return Connection("xen1", "xenserver", "xen1.example", secret=SecretRef.parse(reference))


def refused(reference: str, secrets: Secrets | None = None) -> SecretError:
    with pytest.raises(SecretError) as caught:
        (secrets or Secrets()).password(at(reference))
    assert CANARY not in str(caught.value)
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize(
    "text",
    ["vault:x", "systemd:", "systemd:a/b", "systemd:..//x", "keyring:xen1", "keyring:xen1/", "age:",
     "age:a/b", "env:", "env:A=B", "file:", "command:", "prompt:x", "kerberos:x"],
)  # fmt: skip
def test_a_reference_that_says_not_where_is_refused(text: str) -> None:
    with pytest.raises(ConnectionBookError) as caught:
        SecretRef.parse(text)
    assert caught.value.remedy


def test_a_reference_reads_as_it_was_written() -> None:
    for text in ("systemd:xen1", "keyring:a/b/root", "age:xen1", "env:X", "kerberos", "prompt"):
        assert str(SecretRef.parse(text)) == text


# --------------------------------------------------------------------------------------- systemd
def test_a_credential_of_the_service_is_found_and_handed_on_to_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "xen1").write_text(f"{CANARY}\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert Secrets().password(at("systemd:xen1")) == CANARY
    assert clean_environment(os.environ)["CREDENTIALS_DIRECTORY"] == str(tmp_path)
    assert "gave this service no 'xen2'" in refused("systemd:xen2").what


def test_outside_a_service_there_are_no_credentials_and_a_person_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    error = refused("systemd:xen1")
    assert "no credentials by systemd" in error.what
    assert "LoadCredentialEncrypted=xen1" in error.remedy
    assert Secrets(ask=lambda name: CANARY).password(at("systemd:xen1")) == CANARY


# -------------------------------------------------------------------------------------- kerberos
def test_a_platform_that_takes_no_ticket_says_so_in_one_sentence() -> None:
    error = refused("kerberos", Secrets(ask=lambda name: CANARY))
    assert error.what == "xenserver takes a user name and a password, no Kerberos ticket"


# ----------------------------------------------------------------------------------- descriptors
def test_a_descriptor_gives_its_first_line_and_is_closed() -> None:
    reading, writing = os.pipe()
    os.write(writing, f"{CANARY}\nmore".encode())
    os.close(writing)
    assert from_descriptor(reading) == CANARY
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(reading)


def test_a_descriptor_that_is_not_open_or_gives_nothing_is_said() -> None:
    with pytest.raises(SecretError, match="cannot be read") as caught:
        from_descriptor(987)
    assert "file descriptor 987" in caught.value.subject
    reading, writing = os.pipe()
    os.close(writing)
    with pytest.raises(SecretError, match="empty"):
        from_descriptor(reading)


# ----------------------------------------------------------------------------------- environment
def test_a_variable_that_was_read_is_no_childs_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XEN1_PASSWORD", CANARY)
    assert Secrets().password(at("env:XEN1_PASSWORD")) == CANARY
    program = "import os; print(os.environ.get('XEN1_PASSWORD'))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "None\n"
    # This process itself can read it again, such as for a second login.
    assert Secrets().password(at("env:XEN1_PASSWORD")) == CANARY


# --------------------------------------------------------------------------------------- keyring
class Memory(KeyringBackend):
    """A keyring in memory; its class is named after another one where a test wants that."""

    priority = 1.0

    def __init__(self, entries: dict[tuple[str, str], str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.entries = entries

    def get_password(self, service: str, username: str) -> str | None:
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.entries[service, username] = password


def named(name: str, entries: dict[tuple[str, str], str]) -> KeyringBackend:
    """A keyring in memory under the full name of a class."""
    module, _, attribute = name.rpartition(".")
    made: Any = type(attribute, (Memory,), {"__module__": module, "__qualname__": attribute})
    KeyringBackend._classes.discard(made)
    found: KeyringBackend = made(entries)
    return found


@pytest.fixture
def _keyring() -> Iterator[None]:
    before = keyring.get_keyring()
    yield
    keyring.set_keyring(before)


@pytest.mark.usefixtures("_keyring")
@pytest.mark.parametrize("name", sorted(ALLOWED))
def test_a_keyring_on_the_list_gives_its_entry(name: str) -> None:
    keyring.set_keyring(named(name, {("xen1", "root"): CANARY}))
    assert Secrets().password(at("keyring:xen1/root")) == CANARY
    error = refused("keyring:xen1/anna")
    assert "has no entry for 'anna' of 'xen1'" in error.what


@pytest.mark.usefixtures("_keyring")
def test_a_plain_text_keyring_is_refused_by_name_with_the_reason(tmp_path: Path) -> None:
    from keyrings.alt.file import PlaintextKeyring

    plain = PlaintextKeyring()
    plain.file_path = str(tmp_path / "keyring.cfg")
    plain.set_password("xen1", "root", CANARY)
    keyring.set_keyring(plain)
    error = refused("keyring:xen1/root")
    assert "keyrings.alt.file.PlaintextKeyring is refused, it keeps passwords in a plain file" in (
        error.what
    )
    assert "age:NAME" in error.remedy


@pytest.mark.usefixtures("_keyring")
def test_no_keyring_and_an_unknown_one_are_refused_by_name() -> None:
    from keyring.backends.fail import Keyring

    keyring.set_keyring(Keyring())  # type: ignore[no-untyped-call]
    assert "no keyring service runs here" in refused("keyring:xen1/root").what
    keyring.set_keyring(named("somewhere.Shiny", {("xen1", "root"): CANARY}))
    assert "somewhere.Shiny is refused, it is not on the list" in refused("keyring:xen1/root").what


@pytest.mark.usefixtures("_keyring")
def test_of_several_keyrings_those_on_the_list_are_asked_alone() -> None:
    class ChainerBackend(Memory):
        backends = (
            named("keyrings.alt.file.PlaintextKeyring", {("xen1", "root"): "plain"}),
            named("keyring.backends.SecretService.Keyring", {("xen1", "root"): CANARY}),
        )

    ChainerBackend.__module__ = "keyring.backends.chainer"
    ChainerBackend.__qualname__ = "ChainerBackend"
    KeyringBackend._classes.discard(ChainerBackend)
    keyring.set_keyring(ChainerBackend({}))
    assert Secrets().password(at("keyring:xen1/root")) == CANARY


def test_who_would_be_asked_is_known_without_asking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KENSHO_CONFIG_DIR", str(tmp_path))
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    for reference in ("prompt", "env:NEVER_SET_HERE", "systemd:xen1"):
        assert asks(at(reference)), reference
    for reference in ("file:/x", 'command:["true"]', "age:xen1", "kerberos", "keyring:a/b"):
        assert not asks(at(reference)), reference
    monkeypatch.setenv("SET_HERE", CANARY)
    assert not asks(at("env:SET_HERE"))
    assert os.environ["SET_HERE"] == CANARY
    AgeStore().open_with(None)
    assert asks(at("age:xen1"))
