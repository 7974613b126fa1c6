"""Leaving the terminal: a child process in a session of its own, reported when it is ready."""

import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

from kensho_tui.engine.places import Places, private_log
from kensho_tui.errors import KenshoError


class RunnerHeldError(KenshoError):
    """Another supervisor has this state directory."""


def off_the_terminal(places: Places) -> None:
    """Have this process read nothing, and say what it says into the runner's log."""
    with private_log(places.runner_log) as log, Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
    os.chdir("/")


def detached(places: Places, supervise: Callable[[Callable[[], None]], None]) -> int:
    """Call ``supervise(ready)`` in a child process that belongs to no terminal.

    Comes back when that one has called ``ready`` (0), found another supervisor (0), or failed (1,
    its sentence on standard error). The child itself comes back when ``supervise`` does.
    """
    places.make()
    heard, say = os.pipe()
    if os.fork():
        os.close(say)
        with os.fdopen(heard, encoding="utf-8") as file:
            said = file.read()
        if said == "ready\n":
            return 0
        sys.stderr.write(said or "it ended while starting\n")
        return 1
    os.close(heard)
    os.setsid()
    off_the_terminal(places)
    told = False

    def tell(text: str) -> None:
        nonlocal told
        if not told:
            told = True
            os.write(say, f"{text}\n".encode())
            os.close(say)

    try:
        supervise(lambda: tell("ready"))
    except RunnerHeldError:
        tell("ready")  # someone was quicker; the client finds that one
    except (KenshoError, OSError) as error:
        tell(str(error))
        with contextlib.suppress(OSError):  # the log stands on a disk that may be full
            os.write(2, f"{error}\n".encode("utf-8", errors="replace"))
        return 1
    return 0
