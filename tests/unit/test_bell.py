"""Calling the person at a terminal."""

import pytest

from kensho_tui.bell import call

OSC = "\a\x1b]9;Kensho: shop: finished\a"


@pytest.mark.parametrize(
    ("environment", "rung"),
    [
        ({"TERM": "xterm-256color"}, OSC),
        (
            {"TERM": "tmux-256color", "TMUX": "/tmp/tmux,1,0"},
            "\a\x1bPtmux;\x1b\x1b]9;Kensho: shop: finished\a\x1b\\",
        ),
        ({"TERM": "screen", "STY": "1.pts"}, "\a"),
        ({"TERM": "linux"}, "\a"),
        ({}, "\a"),
        ({"TERM": "xterm", "KENSHO_NO_BELL": "1"}, ""),
        ({"TERM": "xterm", "KENSHO_NO_BELL": ""}, OSC),
    ],
)
def test_each_terminal_is_called_as_it_can_be(environment: dict[str, str], rung: str) -> None:
    assert call("shop: finished", environment) == rung


def test_a_name_from_outside_ends_no_sequence_and_begins_none() -> None:
    rung = call("a\x07\x1b]52;c;eA==\x07\x1b\\b\nc" + "x" * 500, {"TERM": "xterm"})
    assert rung.startswith("\a\x1b]9;Kensho: ab c")
    assert (rung.count("\a"), rung.count("\x1b")) == (2, 1)
    assert len(rung) < 200
