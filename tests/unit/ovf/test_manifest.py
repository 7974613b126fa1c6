"""Manifests in all spellings, and those that cannot be understood."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kensho_tui.ovf.errors import ManifestError
from kensho_tui.ovf.manifest import Digest, parse, write

NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")),
    min_size=1,
    max_size=20,
)
HEX = st.binary(min_size=32, max_size=32).map(bytes.hex)


@given(st.dictionaries(NAMES, HEX, max_size=5))
def test_what_is_written_is_read(digests: dict[str, str]) -> None:
    found = parse(write(digests.items()))
    assert {name: each.value.hex() for name, each in found.digests.items()} == digests
    assert {each.algorithm for each in found.digests.values()} <= {"sha256"}


@pytest.mark.parametrize(
    "line",
    ["SHA256(a.vmdk)= {}", "SHA256 (a.vmdk) = {}", "sha256(a.vmdk)={}", "  SHA256(a.vmdk)=   {} ",
     "SHA-256(a.vmdk)= {}", "SHA2-256(a.vmdk)= {}"],
)  # fmt: skip
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", ""])
def test_every_spelling_of_a_line_is_read(line: str, end: str) -> None:
    text = hashlib.sha256(b"x").hexdigest().upper()
    found = parse((line.format(text) + end).encode())
    assert found.digests == {"a.vmdk": Digest("sha256", hashlib.sha256(b"x").digest())}
    assert not found.weak


def test_names_may_hold_parentheses_and_a_byte_order_mark_is_passed_over() -> None:
    text = b"\xef\xbb\xbfSHA1(disk (1).vmdk)= " + b"0" * 40
    found = parse(text)
    assert list(found.digests) == ["disk (1).vmdk"]
    assert found.weak


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("hello", "line 1 of the manifest is no"),
        ("MD5(a)= " + "0" * 32, "uses 'MD5'"),
        ("SHA256(a)= 00", "has 2 hex digits, not 64"),
        ("SHA1(a)= " + "0" * 40 + "\nSHA1(a)= " + "1" * 40, "lists 'a' twice"),
        ("SHA1(a)= " + "g" * 40, "line 1 of the manifest is no"),
    ],
)
def test_what_is_no_manifest_is_told_by_its_line(text: str, what: str) -> None:
    with pytest.raises(ManifestError, match=what):
        parse(text.encode())


@given(st.binary(max_size=300))
def test_no_bytes_bring_it_down(data: bytes) -> None:
    try:
        parse(data)
    except ManifestError as error:
        assert error.what


def test_bytes_are_compared_not_letters() -> None:
    digest = Digest("sha1", bytes.fromhex("ab" * 20))
    assert digest.matches("AB" * 20)
    assert not digest.matches("ac" * 20)
    assert not digest.matches("no hex")


def test_a_name_with_a_line_break_is_not_written() -> None:
    with pytest.raises(ManifestError):
        write([("a\nSHA256(b)= 00", "00")])
