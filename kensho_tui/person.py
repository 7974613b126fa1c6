"""Who it is that decides: for the journal, the plan and reports."""

import getpass
import os


def person() -> str:
    """The user's name on this machine, or ``uid 1000`` where that has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
