"""Whom a web server has to be, how it is reached, and what is said where it is not who it should be."""

import socket
import ssl
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kensho_tui.certificate import Certificate, certificate
from kensho_tui.web.address import covers, origin
from kensho_tui.web.errors import UnreachableError, UntrustedError, WebError


@dataclass(frozen=True, slots=True)
class Access:
    """How a server is spoken to.

    Attributes:
        connection: name of the connection that says so; "" where none does.
        address: of that connection: pin, authorities and password are for what lies below it.
        username: who asks; "" nobody.
        password: finds the password, late; None: there is none.
        pin: SHA-256 of the server's certificate in DER, 64 hex digits; "" none.
        authorities: a PEM file, or a folder of them as OpenSSL has it, of those who vouch for the server
            instead of the system's; "" the system's.
        proxy: through which it is reached, ``http://host:port``; "" as the environment says.
        timeout_s: seconds to wait for a connection, and for each answer or piece of it.
    """

    connection: str = ""
    address: str = ""
    username: str = ""
    password: Callable[[], str] | None = None
    pin: str = ""
    authorities: str = ""
    proxy: str = ""
    timeout_s: float = 30.0

    def is_for(self, url: str) -> bool:
        """Whether it says something of what lies at that address."""
        return covers(self.address, url)

    def may_name(self, url: str) -> bool:
        """Whether the server there may be told user and password."""
        return bool(self.username) and self.password is not None and self.is_for(url)


NOBODY = Access()  # no connection says anything of the server


def server_of(url: str) -> str:
    """``https://host[:port]`` of an address, as a connection's address is written."""
    scheme, host, port = origin(url)
    named = f"[{host}]" if ":" in host else host
    return f"{scheme}://{named}" + ("" if port in {80, 443} else f":{port}")


def proxy_of(url: str, access: Access) -> str:
    """The proxy for the address, by the connection or else the environment; "" where it is asked directly."""
    scheme, host, port = origin(url)
    if access.proxy and access.is_for(url):
        return access.proxy
    if urllib.request.proxy_bypass(f"{host}:{port}"):
        return ""
    named = urllib.request.getproxies()
    found = named.get(scheme) or named.get("all") or ""
    return found if not found or "://" in found else f"http://{found}"


def context_of(access: Access, *, ours: bool) -> ssl.SSLContext:
    """What a certificate is held against; with a pin nothing but that, which the caller compares.

    Args: ours: whether the server is one that ``access`` is about; else it counts for nothing.

    Raises: WebError: the authorities cannot be read.
    """
    try:
        context = ssl.create_default_context()
        if ours and access.authorities:
            context = _vouched(Path(access.authorities))
    except (OSError, ssl.SSLError) as error:
        raise WebError(
            f"the authorities cannot be read ({error})",
            subject=access.authorities,
            remedy="Name a PEM file with certificates",
        ) from error
    if ours and access.pin:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _vouched(path: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    folder = path.is_dir()
    context.load_verify_locations(
        cafile=None if folder else str(path), capath=str(path) if folder else None
    )
    return context


def refused(error: Exception, url: str, subject: str, access: Access) -> WebError:
    """What a handshake that failed is called: mostly a certificate that is not trusted, which is shown."""
    said = str(error)
    trusted = "CERTIFICATE_VERIFY_FAILED" not in said and "certificate" not in said.lower()
    if "ingerprint" not in said and trusted:
        return UnreachableError(
            f"no secure connection can be made ({_reason(error)})", subject=subject
        )
    ours = access.is_for(url)
    # Behind a proxy there is no second connection that would be the same.
    found = Certificate("") if proxy_of(url, access) else _presented(url, access.timeout_s)
    expected = access.pin if ours else ""
    what = (
        f"the server shows another certificate ({found.fingerprint or 'unknown'}) than the one that is"
        f" trusted ({expected})"
        if expected
        else f"the server's certificate is not trusted ({_reason(error)})"
    )
    command = (
        f"kensho connection trust {access.connection}"
        if ours and access.connection
        else f"kensho connection add NAME --platform package --address {server_of(url)}/"
    )
    return UntrustedError(
        what,
        shown=found,
        expected=expected,
        subject=subject,
        remedy="Ask who runs the server for its fingerprint; if it is the same, run"
        f" '{command} --pin {found.fingerprint or 'FINGERPRINT'}'",
    )


def _reason(error: Exception) -> str:
    inner = error.args[0] if error.args else error
    if isinstance(inner, ssl.SSLCertVerificationError):
        return inner.verify_message
    return str(getattr(inner, "reason", None) or inner)[:200]


def _presented(url: str, timeout_s: float) -> Certificate:
    """The certificate that was refused, looked at over a second connection that sends nothing."""
    _, host, port = origin(url)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), timeout_s) as plain,
            context.wrap_socket(plain, server_hostname=host) as sock,
        ):
            return certificate(sock.getpeercert(binary_form=True) or b"")
    except OSError:
        return Certificate("")
