"""Calling the person at a terminal: the bell, and a notification where the terminal shows them."""

import os
from collections.abc import Mapping

from kensho_tui.text import one_line

# Set to anything, nothing rings; in the manner of NO_COLOR.
OFF = "KENSHO_NO_BELL"
_LIMIT = 160
# These print what they do not know, or show no notifications.
_PLAIN_TERMINALS = frozenset({"", "dumb", "linux"})


def call(text: str, environment: Mapping[str, str] | None = None) -> str:
    """What has a terminal ring and notify (OSC 9); "" where the operator wants no bell.

    Inside tmux the notification is passed through to the terminal outside (``allow-passthrough``);
    a terminal that could show it as text gets the bell alone.

    Args:
        environment: of the program at the terminal; this process's own when None.
    """
    known = os.environ if environment is None else environment
    if known.get(OFF):
        return ""
    if known.get("TERM", "") in _PLAIN_TERMINALS or known.get("STY"):
        return "\a"
    # A name first: some terminals read a number there as another command of theirs.
    notification = f"\x1b]9;Kensho: {one_line(text, limit=_LIMIT)}\a"
    if known.get("TMUX"):
        notification = "\x1bPtmux;" + notification.replace("\x1b", "\x1b\x1b") + "\x1b\\"
    return "\a" + notification
