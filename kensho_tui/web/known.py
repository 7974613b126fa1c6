"""What the connection book says of a web server: how it is trusted, and who asks there."""

import re
from collections.abc import Callable, Iterable

from kensho_tui.connections import Connection, ConnectionBookError
from kensho_tui.web.address import covers, is_url
from kensho_tui.web.client import NOBODY, Access

PLATFORM = "package"


def covering(book: Iterable[Connection], url: str) -> Connection | None:
    """The connection to packages whose address the URL lies below, the longest; None: no one does."""
    fitting = [e for e in book if e.platform == PLATFORM and covers(e.address, url)]
    return max(fitting, key=lambda each: len(each.address), default=None)


def access_of(connection: Connection, password: Callable[[], str]) -> Access:
    """How the server of that connection is spoken to.

    Raises: ConnectionBookError: its ``timeout_s`` is no number.
    """
    settings = connection.settings
    try:
        timeout_s = float(settings.get("timeout_s", NOBODY.timeout_s))
    except ValueError as error:
        raise ConnectionBookError("timeout_s is no number", subject=connection.name) from error
    return Access(
        # One that stands in no book is called as its address.
        connection="" if is_url(connection.name) else connection.name,
        address=connection.address,
        username=connection.username,
        password=password,
        pin=connection.pin,
        authorities=settings.get("authorities", ""),
        proxy=_proxy(connection),
        timeout_s=timeout_s,
    )


def _proxy(connection: Connection) -> str:
    """The proxy of its settings. Raises: ConnectionBookError: it is none, or holds a password."""
    text = connection.settings.get("proxy", "")
    if text and not re.fullmatch(r"https?://[^/@\s]+/?", text):
        raise ConnectionBookError(
            "the proxy is no http://HOST:PORT; a user name or a password does not belong there",
            subject=connection.name,
        )
    return text
