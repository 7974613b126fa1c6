"""Whom we talk to: TLS connections that are trusted by pin, else by the system's authorities.

The pin is the SHA-256 of the server's certificate in DER. The same rule holds for XenAPI calls and
for the connections that carry disks, also after a redirection to another member of the pool.
"""

import socket
import ssl
from collections.abc import Callable

from backends.base import ConnectError, TrustError
from backends.xenserver.address import Address
from kensho_tui.certificate import Certificate, certificate


class Trust:
    """The rule by which a server's certificate is accepted. Thread-safe."""

    def __init__(
        self,
        pin: str = "",
        member_pins: frozenset[str] = frozenset(),
        *,
        verify_hostname: bool,
        name: str = "NAME",
    ) -> None:
        """Args:
        pin: of the connection, "" for the system's authorities.
        member_pins: of pool members.
        name: of the connection, for the command that trusts another certificate.
        """
        self._name = name
        self._pin = pin
        self._members = member_pins
        self._verify_hostname = verify_hostname

    def learn(self, pins: frozenset[str]) -> None:
        """Trust these too: certificates that a server we trust says are its pool members'."""
        self._members |= pins

    def open(
        self,
        address: Address,
        timeout_s: float,
        made: Callable[[socket.socket], None] = lambda sock: None,
    ) -> ssl.SSLSocket:
        """A connected, trusted socket; ``timeout_s`` holds for connecting and for the handshake.

        ``made`` is handed the socket before it connects, so that another thread can end the wait.

        Raises: ConnectError: no connection. TrustError: not the server it should be.
        """
        pinned = bool(self._pin or self._members)
        context = ssl.create_default_context()
        context.check_hostname = not pinned and self._verify_hostname
        if pinned:
            context.verify_mode = ssl.CERT_NONE
        try:
            sock = _dial(context, address, timeout_s, made)
        except ssl.SSLCertVerificationError as error:
            raise self._unknown(address, timeout_s, error.verify_message) from error
        except OSError as error:
            raise unreachable(address, error) from error
        if pinned:
            shown = certificate(sock.getpeercert(binary_form=True) or b"")
            if shown.fingerprint != self._pin and shown.fingerprint not in self._members:
                sock.close()
                raise self._changed(address, shown)
        return sock

    def _changed(self, address: Address, shown: Certificate) -> TrustError:
        return TrustError(
            f"the server shows another certificate ({shown.fingerprint}) than the one that is"
            f" trusted ({self._pin or 'by its pool'})",
            presented=shown.fingerprint,
            expected=self._pin,
            issuer=shown.issuer,
            not_before=shown.not_before,
            not_after=shown.not_after,
            subject=str(address),
            remedy="Ask who runs the server whether its certificate was changed; if so, compare the"
            f" fingerprint and run '{self._command(shown)}'",
        )

    def _unknown(self, address: Address, timeout_s: float, reason: str) -> TrustError:
        """The certificate that was refused, looked at over a second connection that sends nothing."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        try:
            with _dial(context, address, timeout_s) as sock:
                shown = certificate(sock.getpeercert(binary_form=True) or b"")
        except OSError as error:
            raise unreachable(address, error) from error
        return TrustError(
            f"the server's certificate is not trusted ({reason})",
            presented=shown.fingerprint,
            issuer=shown.issuer,
            not_before=shown.not_before,
            not_after=shown.not_after,
            subject=str(address),
            remedy="Compare the fingerprint with the one on the server's console; if it is the same,"
            f" run '{self._command(shown)}'",
        )

    def _command(self, shown: Certificate) -> str:
        return f"kensho connection trust {self._name} --pin {shown.fingerprint}"


def _dial(
    context: ssl.SSLContext,
    address: Address,
    timeout_s: float,
    made: Callable[[socket.socket], None] = lambda sock: None,
) -> ssl.SSLSocket:
    """Connect to the first of the name's addresses that answers, and shake hands."""
    failure: OSError = OSError("the name has no address")
    for family, kind, protocol, _, target in socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM
    ):
        plain = socket.socket(family, kind, protocol)
        plain.settimeout(timeout_s)
        # Wrapped before it connects: one object, and one file descriptor, from first to last.
        sock = context.wrap_socket(plain, server_hostname=address.host)
        try:
            made(sock)
            sock.connect(target)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            sock.close()
            if isinstance(error, ssl.SSLError):
                raise
            failure = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure


def unreachable(address: Address, error: OSError) -> ConnectError:
    """The connection could not be made, in an operator's words."""
    if isinstance(error, TimeoutError):
        what = "the server does not answer"
    elif isinstance(error, socket.gaierror):
        what = f"the name is not known ({error.strerror})"
    elif isinstance(error, ConnectionRefusedError):
        what = "nothing listens at this address"
    elif isinstance(error, ssl.SSLError):
        what = f"no secure connection can be made ({error.reason or error})"
    else:
        what = f"the server cannot be reached ({error.strerror or error})"
    return ConnectError(
        what, subject=str(address), remedy="Check the address and the network", retryable=True
    )


def broken(address: Address, error: OSError) -> ConnectError:
    """A connection that stood has ended, in an operator's words."""
    if isinstance(error, TimeoutError):
        what = "the server stopped taking part"
    elif isinstance(error, (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        what = "the server or the network ended it"
    else:
        told = getattr(error, "reason", "") or error.strerror or type(error).__name__
        what = f"it broke ({told})"
    return ConnectError(
        f"the connection was lost: {what}",
        subject=str(address),
        remedy="Check the network and the server, then try again",
        retryable=True,
    )
