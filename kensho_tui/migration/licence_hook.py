"""A program of the site's that is asked whether an appliance may be deployed: seats, hosts, contracts.

It is run without a shell, in an environment of its own and in its own session, and gets one JSON document on
its standard input. It answers with one on its standard output, ``{"allow": true, "text": "12 of 20 seats"}``,
and ends with 0. Whatever else it does is no answer.
"""

import json
import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from kensho_tui.errors import KenshoError
from kensho_tui.migration.licence_policy import HookPolicy
from kensho_tui.text import one_line, plain

VERSION = "kensho-licences/1"
_LONGEST = 64 << 10  # bytes of an answer
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}


class HookError(KenshoError):
    """The program gave no answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the program says; ``text`` is one line for people."""

    allow: bool
    text: str


def ask(hook: HookPolicy, question: Mapping[str, Any]) -> Answer:
    """Ask it, and wait for the answer at most so long as the policy says.

    Raises: HookError: it cannot be run, or ends without an answer; what it said stands in the error.
    """
    data = json.dumps({"version": VERSION, **question}, ensure_ascii=False).encode()
    try:
        # Its own session, so that what it starts can be ended with it.
        program = subprocess.Popen(
            hook.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_ENVIRONMENT,
            cwd="/",
            start_new_session=True,
            close_fds=True,
        )
    except OSError as error:
        raise _failed(hook, f"it cannot be run ({error.strerror})") from error
    with program:
        try:
            out, said = program.communicate(data, timeout=hook.timeout_s)
        except BaseException as error:
            # It still runs, so that the group is its own; what it has started goes with it.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(program.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise _failed(hook, f"no answer within {hook.timeout_s:g} s") from None
            raise
    if program.returncode:
        words = one_line(plain(said[:500].decode("utf-8", "replace")), limit=200)
        raise _failed(hook, f"exit code {program.returncode}{f': {words}' if words else ''}")
    return _read(hook, out)


def _read(hook: HookPolicy, out: bytes) -> Answer:
    if len(out) > _LONGEST:
        raise _failed(hook, f"an answer of more than {_LONGEST >> 10} KiB")
    try:
        told = json.loads(out)
    except ValueError as error:
        raise _failed(hook, "its answer is no JSON") from error
    allow = told.get("allow") if isinstance(told, dict) else None
    text = told.get("text", "") if isinstance(told, dict) else ""
    if not isinstance(allow, bool) or not isinstance(text, str):
        raise _failed(hook, 'its answer is not {"allow": true or false, "text": "…"}')
    return Answer(allow, one_line(plain(text), limit=300))


def _failed(hook: HookPolicy, what: str) -> HookError:
    return HookError(
        f"the licence program gave no answer: {what}",
        subject=hook.command[0],
        remedy="Run it by hand to see why, or ask who keeps the policy of licences",
    )
