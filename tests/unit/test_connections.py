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
