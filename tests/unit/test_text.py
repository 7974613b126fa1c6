"""Text from outside is made fit for a terminal."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kensho_tui.text import one_line, plain, plain_json, shorten_middle


def test_escape_sequences_vanish_whole() -> None:
    assert plain("a\x1b[31mred\x1b[0m b\x1b]0;title\x07c\x1b]8;;http://x\x1b\\d") == "ared bcd"


def test_bidirectional_overrides_and_controls_vanish() -> None:
    assert plain("invoice‮gpj.exe\x00\x08\x7f") == "invoicegpj.exe"


def test_line_breaks_stay_and_fold_into_one_line() -> None:
    assert plain("one\r\ntwo\tthree") == "one\ntwo\tthree"
    assert one_line("one\r\n  two\tthree ") == "one two three"


def test_markup_is_left_as_text() -> None:
    assert plain("[bold]x[/]") == "[bold]x[/]"


def test_bytes_that_are_no_utf8_are_shown_and_never_are_lone_surrogates() -> None:
    name = b"a\xff\x80.vhd".decode("utf-8", "surrogateescape")
    assert plain(name) == one_line(name) == "a\\xff\\x80.vhd"
    text = plain_json(json.dumps({name: "x\ud800y"}, ensure_ascii=False))
    assert json.loads(text) == {"a\\xff\\x80.vhd": "x\ufffdy"}


@given(st.text())
def test_nothing_a_terminal_acts_on_survives(text: str) -> None:
    left = {unicodedata.category(c) for c in plain(text) if c not in "\n\t"}
    assert not left & {"Cc", "Cf", "Cs", "Co"}


@given(st.text(), st.integers(0, 40))
def test_a_limit_holds(text: str, limit: int) -> None:
    assert len(plain(text, limit=limit)) <= max(limit, 1)


@given(st.text(max_size=60), st.integers(0, 40))
def test_shortening_keeps_both_ends_and_the_width(text: str, width: int) -> None:
    short = shorten_middle(text, width)
    assert len(short) <= max(width, 0) or short == text
    if len(text) > width >= 3:
        assert short[0] == text[0] and short[-1] == text[-1] and "…" in short


@pytest.mark.parametrize("name", ["web\u202egpj", "a\x9b31mb", "\x85", "\U000f0000", "Zürich 商店"])
def test_json_says_the_same_and_moves_no_cursor(name: str) -> None:
    text = plain_json(json.dumps({name: [name, "\n"]}, indent=2, ensure_ascii=False))
    assert json.loads(text) == {name: [name, "\n"]}
    assert plain(text) == text
    text.encode()
