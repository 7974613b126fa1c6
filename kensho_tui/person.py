"""Who it is that decides, and in which language: for the journal, the plan and reports."""

import getpass
import os
import re

_LOCALE = re.compile(r"([a-z]{2,3})(?:[_-]([A-Za-z]{2}))?(?:[.@].*)?")


def person() -> str:
    """The user's name on this machine, or ``uid 1000`` where that has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def language() -> str:
    """The language of the user's terminal, as XML has it (``de-DE``); "" where none is set.

    POSIX: ``LC_ALL`` goes before ``LC_MESSAGES``, and that before ``LANG``; ``C`` is no language.
    """
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := os.environ.get(name):
            found = _LOCALE.fullmatch(value)
            return "-".join(each for each in found.groups() if each) if found else ""
    return ""
