"""Other programs that are asked one thing: run to their end, of which one line is read."""

import subprocess
from collections.abc import Sequence
from contextlib import suppress
from typing import Literal

from kensho_tui.errors import KenshoError


class NoAnswerError(KenshoError):
    """The program did not end in time."""


def first_line(
    command: Sequence[str], of: Literal["stdout", "stderr"], timeout_s: float
) -> tuple[int, str]:
    """The program's exit code, and the first line of what it printed there; "" where it is empty.

    What it printed elsewhere is dropped, and what it prints never stands in an error.

    Raises: NoAnswerError: it was ended after so many seconds. OSError: it cannot be run.
    """
    done = None
    # The error is raised outside: chained to what says that it took too long, it would carry what
    # the program had printed so far.
    with suppress(subprocess.TimeoutExpired):
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if of == "stdout" else subprocess.DEVNULL,
            stderr=subprocess.PIPE if of == "stderr" else subprocess.DEVNULL,
            check=False,
            timeout=timeout_s,
        )
    if done is None:
        raise NoAnswerError(
            f"no answer within {timeout_s:.0f} s", subject=command[0], retryable=True
        )
    lines = (done.stdout if of == "stdout" else done.stderr).decode("utf-8", errors="replace")
    return done.returncode, next(iter(lines.splitlines()), "")
