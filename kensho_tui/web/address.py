"""Addresses of files on web servers: what one may be, and how it is said to people."""

import re
import unicodedata
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit, urlunsplit

from kensho_tui.web.errors import AddressError

_LONGEST = 8192  # characters; servers take no more
_PORTS = {"http": 80, "https": 443}


def is_url(text: str) -> bool:
    """Whether it begins like an address on the web, right or not; all else is a path."""
    return re.match(r"https?://", text, re.IGNORECASE) is not None


def parse(text: str) -> str:
    """The address, checked, without a fragment.

    Raises: AddressError: it is none, or a user name or password stands in it.
    """
    parts = _split(text)
    if parts is None or not parts.hostname or len(text) > _LONGEST or _unclean(text):
        raise AddressError(
            "this is no address of a file on a web server",
            subject=shown(text),
            remedy="Write https://host/path/package.ova",
        )
    if "@" in parts.netloc:
        raise AddressError(
            "a user name or a password stands in the address, where everybody reads it",
            subject=shown(text),
            remedy="Take it out, and say where the password is: 'kensho connection add NAME"
            f" --platform package --address {parts.scheme.lower()}://{_host(parts)}/"
            " --username USER --secret file:/path'",
        )
    return urlunsplit((parts.scheme.lower(), parts.netloc, parts.path or "/", parts.query, ""))


def _split(text: str) -> SplitResult | None:
    try:
        parts = urlsplit(text)
        _ = parts.port  # what is no port is found out here
    except ValueError:
        return None
    return parts if parts.scheme.lower() in _PORTS else None


def _unclean(text: str) -> bool:
    return any(each.isspace() or unicodedata.category(each) in {"Cc", "Cf", "Cs"} for each in text)


def _host(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]


def shown(text: str) -> str:
    """The address as people are told it: without a query, which may be a key to the file."""
    parts = _split(text)
    if parts is None:
        return text[:80]
    return urlunsplit((parts.scheme, _host(parts), parts.path, "", ""))


def file_name(url: str) -> str:
    """The name of the file: the last part of the path."""
    name = unquote(urlsplit(url).path.rpartition("/")[2])
    return name or _host(urlsplit(url))


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port: who is spoken to."""
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or _PORTS[scheme]


def covers(prefix: str, url: str) -> bool:
    """Whether the address lies below that of a connection: the same server, and the same folder or deeper."""
    if not (is_url(prefix) and is_url(url)):
        return False
    ours, theirs = _split(prefix), _split(url)
    if ours is None or theirs is None or origin(prefix) != origin(url):
        return False
    folder, path = unquote(ours.path), unquote(theirs.path)
    if any(each in {".", ".."} for each in path.split("/")):
        return False  # who knows where that leads on the server
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def beside(url: str, name: str) -> str:
    """The address of the file of that name in the same folder. The name is one: no path, no address.

    A query is left out: it was meant for the one file.
    """
    parts = urlsplit(url)
    folder = parts.path.rpartition("/")[0]
    return urlunsplit((parts.scheme, parts.netloc, f"{folder}/{quote(name, safe='')}", "", ""))


def redirected(url: str, location: str, subject: str) -> str:
    """Where a server sends us on to.

    Raises: AddressError: to where nothing is fetched from: without TLS from a server with TLS, or another
        server without TLS.
    """
    try:
        wanted = urljoin(url, location)
        parsed = parse(wanted)
    except (ValueError, AddressError) as error:
        raise AddressError("the server sends on to what is no address", subject=subject) from error
    if origin(parsed)[0] != "https" and origin(parsed) != origin(url):
        raise AddressError(
            f"the server sends on to {shown(parsed)}, which would be fetched without TLS",
            subject=subject,
            remedy="Give the address that it is to be fetched from itself, where you trust it",
        )
    return parsed
