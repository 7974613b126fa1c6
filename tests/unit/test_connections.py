"""The connection book keeps what the operator wrote, and no secret."""

from pathlib import Path

import pytest

from kensho_tui.connections import (
    Connection,
    ConnectionBook,
    ConnectionBookError,
    SecretKind,
    SecretRef,
    normal_pin,
)
from kensho_tui.paths import SharedDirError

XEN = Connection(
    "xen-new",
    "xenserver",
    "https://xen.example.org",
    username="root",
    secret=SecretRef(SecretKind.FILE, "/run/secrets/xen"),
    pin="ab" * 32,
    settings={"timeout_s": "30"},
)


@pytest.fixture
def book(tmp_path: Path) -> ConnectionBook:
    return ConnectionBook(tmp_path / "config" / "connections.toml")


def test_what_is_put_is_got_again(book: ConnectionBook) -> None:
    book.put(XEN)
    assert book.get("xen-new") == XEN
    assert list(ConnectionBook(book.path)) == [XEN]


def test_the_file_is_the_owners_alone(book: ConnectionBook) -> None:
    book.put(XEN)
    assert book.path.stat().st_mode & 0o777 == 0o600
    assert book.path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_book_that_others_can_write_is_not_believed(book: ConnectionBook, mode: int) -> None:
    book.put(XEN)
    book.path.chmod(mode)
    with pytest.raises(ConnectionBookError, match=r"others can write.*chmod 600"):
        book.get("xen-new")
    with pytest.raises(ConnectionBookError, match="others can write"):
        book.put(XEN)
    book.path.chmod(0o644)
    assert book.get("xen-new") == XEN


def test_a_book_goes_into_no_directory_that_is_shared(tmp_path: Path) -> None:
    shared = tmp_path / "etc"
    shared.mkdir(mode=0o755)
    (shared / "hosts").touch()
    with pytest.raises(SharedDirError, match="KENSHO_CONFIG_DIR"):
        ConnectionBook(shared / "connections.toml").put(XEN)
    assert [each.name for each in shared.iterdir()] == ["hosts"]
    assert shared.stat().st_mode & 0o777 == 0o755


def test_the_operators_comments_survive_a_change(book: ConnectionBook) -> None:
    book.put(XEN)
    book.path.write_text("# my site\n" + book.path.read_text())
    book.put(Connection("kvm", "kvm", "qemu:///system"))
    assert book.path.read_text().startswith("# my site\n")
    assert [c.name for c in book] == ["xen-new", "kvm"]


def test_an_unknown_name_is_told_with_the_known_ones(book: ConnectionBook) -> None:
    book.put(XEN)
    with pytest.raises(ConnectionBookError, match="Known are: xen-new"):
        book.get("xen-old")
    book.remove("xen-new")
    with pytest.raises(ConnectionBookError, match="kensho connection add"):
        book.get("xen-new")


@pytest.mark.parametrize("name", ["", "../x", "a b", "-x", "x" * 64, "a\n"])
def test_a_name_that_is_no_name_is_refused(book: ConnectionBook, name: str) -> None:
    with pytest.raises(ConnectionBookError, match="at most 63"):
        book.put(Connection(name, "xenserver", "x"))
    assert not book.path.exists()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("broken = [", "cannot be read"),
        ("xen = 3", "no table"),
        ("[xen]\nplatform = 'xenserver'", "address missing"),
        ("[xen]\nplatform='x'\naddress='y'\nsecret='plain:hunter2'", "no place for a secret"),
        ("[xen]\nplatform='x'\naddress='y'\npin='1234'", "64 hex digits"),
        ("[xen]\nplatform='x'\naddress='y'\nsettings=1", "no table"),
    ],
)
def test_a_damaged_book_is_told_and_not_overwritten(
    book: ConnectionBook, text: str, reason: str
) -> None:
    book.path.parent.mkdir()
    book.path.write_text(text)
    with pytest.raises(ConnectionBookError, match=reason):
        list(book)
    assert book.path.read_text() == text


def test_pins_are_one_spelling() -> None:
    spelled = "sha256:" + ":".join(["AB"] * 32)
    assert normal_pin(spelled) == "ab" * 32
    assert normal_pin("") == ""
