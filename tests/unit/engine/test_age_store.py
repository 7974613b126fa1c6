"""The store of secrets: what opens it, what is refused, and that nothing in it can be read."""

import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from kensho_tui.connections import Connection, SecretRef
from kensho_tui.engine.age_store import PASSPHRASE, AgeStore, WrongPassphraseError
from kensho_tui.engine.secrets import Secrets
from kensho_tui.engine.sources import SecretError
from kensho_tui.paths import SharedDirError

CANARY = "canary-correct-horse"
XEN1 = Connection("xen1", "xenserver", "xen1.example", secret=SecretRef.parse("age:xen1"))


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AgeStore:
    monkeypatch.setenv("KENSHO_CONFIG_DIR", str(tmp_path / "config"))
    return AgeStore()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_secret_comes_back_and_its_files_are_private_and_unreadable(
    store: AgeStore, tmp_path: Path
) -> None:
    key = tmp_path / "keys" / "age.txt"
    assert store.open_with(key)
    assert not store.open_with(key)
    store.put("xen1", CANARY)
    store.put("xen2", "other")
    assert Secrets().password(XEN1) == CANARY
    assert store.names() == ["xen1", "xen2"]
    assert (mode(key), mode(key.parent), mode(store.folder)) == (0o600, 0o700, 0o700)
    for path in store.folder.iterdir():
        assert mode(path) == 0o600
        assert CANARY.encode() not in path.read_bytes()
    assert (store.folder / "xen1.age").read_bytes().startswith(b"age-encryption.org/v1\n")
    store.remove("xen1")
    assert store.names() == ["xen2"]
    with pytest.raises(SecretError, match="no such secret") as caught:
        Secrets().password(XEN1)
    assert "kensho secret set xen1" in caught.value.remedy


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen here")
def test_an_ssh_key_opens_it_and_one_with_a_passphrase_is_refused(
    store: AgeStore, tmp_path: Path
) -> None:
    for name, phrase in (("locked", "secret"), ("key", "")):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", phrase, "-f", tmp_path / name], check=True
        )
    with pytest.raises(SecretError):
        store.open_with(tmp_path / "locked")
        store.put("xen1", CANARY)
        store.get("xen1")
    shutil.rmtree(store.folder, ignore_errors=True)
    store.open_with(tmp_path / "key")
    store.put("xen1", CANARY)
    assert store.get("xen1") == CANARY
    (tmp_path / "key.pub").unlink()
    with pytest.raises(SecretError, match="public half") as caught:
        store.put("xen1", CANARY)
    assert "ssh-keygen -y" in caught.value.remedy


def test_a_key_that_is_gone_or_exposed_is_said_to_be_a_key_and_no_password(
    store: AgeStore, tmp_path: Path
) -> None:
    key = tmp_path / "age.txt"
    store.open_with(key)
    store.put("xen1", CANARY)
    key.chmod(0o640)
    with pytest.raises(SecretError, match="read by others") as caught:
        Secrets().password(XEN1)
    assert f"chmod 600 {key}" in caught.value.remedy
    assert "a new key" in caught.value.remedy
    key.unlink()
    for use in (lambda: Secrets().password(XEN1), lambda: store.put("xen2", "other")):
        with pytest.raises(SecretError, match="No such file") as caught:
            use()
        assert "age identity" in caught.value.remedy
        assert "copy it there" in caught.value.remedy
        assert f"age-keygen -o {key}" in caught.value.remedy
        assert "first line" not in caught.value.remedy


def test_a_passphrase_opens_it_and_a_wrong_one_does_not(store: AgeStore) -> None:
    store.open_with(None)
    store.put("xen1", CANARY, lambda: "open sesame")
    assert store.asks
    assert store.get("xen1", lambda: "open sesame") == CANARY
    with pytest.raises(WrongPassphraseError):
        store.get("xen1", lambda: "open barley")
    with pytest.raises(WrongPassphraseError):
        store.put("xen2", "other", lambda: "another one")
    with pytest.raises(SecretError, match="nobody can be asked"):
        Secrets().password(XEN1)


def test_a_wrong_passphrase_is_asked_for_again_and_goes_to_no_job(store: AgeStore) -> None:
    store.open_with(None)
    store.put("xen1", CANARY, lambda: "open sesame")
    asked: list[str] = []

    def again(name: str, why: str) -> str:
        asked.append(why)
        return "open sesame"

    secrets = Secrets(ask=lambda name: "open barley", again=again)
    assert secrets.password(XEN1) == CANARY
    assert asked == ["this passphrase does not open the store"]
    assert PASSPHRASE not in secrets.known()
    assert "open sesame" not in secrets.known().values()


def test_nothing_opens_it_yet_or_something_else_does(store: AgeStore, tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="nothing opens the store yet") as caught:
        store.put("xen1", CANARY)
    assert "--key FILE" in caught.value.remedy
    store.open_with(tmp_path / "one")
    with pytest.raises(SecretError, match="something else opens"):
        store.open_with(tmp_path / "two")
    assert not (tmp_path / "two").exists()


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "x" * 64])
def test_a_name_that_leaves_the_store_is_refused(store: AgeStore, name: str) -> None:
    for call in (lambda: store.put(name, "v"), lambda: store.get(name), lambda: store.remove(name)):
        with pytest.raises(SecretError, match="a secret's name is"):
            call()


def test_a_key_that_others_can_read_or_that_is_none_is_refused(
    store: AgeStore, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    store.open_with(key)
    store.put("xen1", CANARY)
    key.chmod(0o644)
    with pytest.raises(SecretError, match="can be read by others"):
        store.get("xen1")
    key.chmod(0o600)
    key.write_text("no key at all\n")
    with pytest.raises(SecretError, match="no age identity"):
        store.get("xen1")


def test_a_secret_that_was_made_for_another_key_says_so(store: AgeStore, tmp_path: Path) -> None:
    key = tmp_path / "key"
    store.open_with(key)
    store.put("xen1", CANARY)
    key.unlink()
    other = AgeStore(tmp_path / "elsewhere")
    other.open_with(key)
    with pytest.raises(SecretError, match="does not open it"):
        store.get("xen1")


def test_no_store_is_made_in_a_directory_that_users_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "tmp"
    shared.mkdir()
    shared.chmod(0o1777)
    monkeypatch.setenv("KENSHO_CONFIG_DIR", str(shared))
    with pytest.raises(SharedDirError, match="KENSHO_CONFIG_DIR"):
        AgeStore().open_with(None)
    assert list(shared.iterdir()) == []
