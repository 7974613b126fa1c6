"""Where a command finds the passwords it needs: descriptors, the connection's own place, the terminal."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from kensho_tui.errors import KenshoError
from kensho_tui.text import one_line

if TYPE_CHECKING:
    from kensho_tui.engine.secrets import Secrets

password_fd_option = click.option(
    "--password-fd",
    multiple=True,
    metavar="[CONNECTION=]N",
    help="Read the password from this open file descriptor; for automation.",
)


def secrets_for(descriptors: Sequence[str], connections: Sequence[str]) -> "Secrets":
    """Secrets of a command that logs in to these connections, in memory alone.

    Args: descriptors: as given, ``N`` or ``CONNECTION=N``.

    Raises: KenshoError: one is no descriptor, or it does not say whose password it gives, or there is
        no such connection.
    """
    from kensho_tui.connections import ConnectionBook
    from kensho_tui.engine.secrets import Secrets, connection_secret
    from kensho_tui.engine.sources import from_descriptor

    numbers: dict[str, int] = {}
    for each in descriptors:
        name, mark, text = each.rpartition("=")
        if not text.isascii() or not text.isdigit():
            raise KenshoError(
                "this is no file descriptor",
                subject=f"--password-fd {each}",
                remedy="Give a number",
            )
        if not mark and len(connections) == 1:
            name = connections[0]
        if name not in connections or name in numbers:
            raise KenshoError(
                "it is not clear whose password this is",
                subject=f"--password-fd {each}",
                remedy=f"Write CONNECTION=N, once for each of: {', '.join(connections)}",
            )
        numbers[name] = int(text)
    book = ConnectionBook()
    known = {connection_secret(book.get(name)): from_descriptor(n) for name, n in numbers.items()}
    return Secrets(known, ask) if sys.stdin.isatty() else Secrets(known)


def ask(name: str) -> str:
    """Ask the person at the terminal for the secret of that name."""
    from kensho_tui.engine.secrets import what_to_ask

    value: str = click.prompt(one_line(what_to_ask(name)), hide_input=True, err=True)
    return value
