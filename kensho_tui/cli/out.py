"""How every command speaks: data on standard output, narration on standard error, documented exits."""

import functools
import json
import sys
from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum
from typing import ParamSpec, TypeVar

import click

from kensho_tui.cancel import CancelledError
from kensho_tui.errors import KenshoError
from kensho_tui.text import one_line, plain, plain_json

P = ParamSpec("P")
T = TypeVar("T")


class Exit(IntEnum):
    """Exit codes of every command (documented in docs/cli.md; keep both in step)."""

    OK = 0
    INTERNAL = 1  # a defect of Kensho's own
    USAGE = 2  # the command line is not right
    INPUT = 3  # a file, a package or a plan is not right
    PLATFORM = 4  # a platform refuses, cannot be reached or is not trusted
    FAILED = 5  # the job failed; what it had made is removed
    ATTENTION = 6  # something is left over; the job says what
    CANCELLED = 7
    FINDINGS = 8  # checked, and there are errors (or nothing could be started because of them)
    DIFFERENT = 9  # compared, and not equal
    WAITING = 10  # the job waits for an answer that only a person can give
    OUTPUT = 11  # standard output cannot be written; what the command did besides is done
    INTERRUPTED = 130  # ctrl+c; a job that was followed goes on
    PIPE = 141  # nobody reads standard output any more, as behind ``| head``: nothing is said


def narrate(message: str) -> None:
    """A line for the person at the terminal, on standard error."""
    with suppress(OSError):  # nobody is there to be told, and the work goes on
        click.echo(plain(message), err=True)


def emit(data: object, text: str, *, as_json: bool) -> None:
    """The command's data on standard output: JSON of ``data``, or ``text`` for people."""
    if as_json:
        from pydantic_core import to_jsonable_python

        click.echo(plain_json(json.dumps(to_jsonable_python(data), indent=2, ensure_ascii=False)))
    elif text:
        click.echo(plain(text))


def emit_line(data: object) -> None:
    """One JSON record on one line, at once: for commands that stream."""
    from pydantic_core import to_jsonable_python

    click.echo(plain_json(json.dumps(to_jsonable_python(data), ensure_ascii=False)))
    sys.stdout.flush()


def exit_code(error: KenshoError) -> Exit:
    """Which exit an error means."""
    if isinstance(error, CancelledError):
        return Exit.CANCELLED
    # Looked up by name, so that a command that needs no platform does not load the contract.
    named = {each.__name__ for each in type(error).__mro__}
    if "UnknownPlatformError" in named:
        return Exit.USAGE  # a word on the command line, and nothing was asked of a platform
    if named & {"AbsentError", "AddressError"}:
        return Exit.INPUT  # of a package on a web server: there is none at that address
    if named & {"BackendError", "WebError"}:
        return Exit.PLATFORM
    return Exit.INPUT


def guarded(command: Callable[P, T]) -> Callable[P, T]:
    """Turn a `KenshoError` into its sentence and its exit code; no traceback reaches an operator.

    The command's ``--json`` option, where it has one, makes the error JSON on standard output too.
    """

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except KenshoError as error:
            if kwargs.get("as_json"):
                emit(
                    {
                        "error": {
                            "what": error.what,
                            "subject": error.subject,
                            "remedy": error.remedy,
                        }
                    },
                    "",
                    as_json=True,
                )
            # Names from outside may hold line breaks; a sentence is one line.
            narrate(one_line(f"Error: {error}"))
            raise SystemExit(int(exit_code(error))) from None
        except (KeyboardInterrupt, click.Abort):
            narrate("Interrupted.")
            raise SystemExit(int(Exit.INTERRUPTED)) from None

    return run


json_option = click.option("--json", "as_json", is_flag=True, help="Data as JSON.")
