"""One connection to XenAPI: XML-RPC over a TLS socket that can be ended from another thread."""

import http.client
import select
import socket
import xmlrpc.client
from typing import Any
from xml.parsers.expat import ExpatError

from backends.base import ConnectError
from backends.xenserver.address import Address
from backends.xenserver.trust import Trust, broken


def kill(sock: socket.socket | None) -> None:
    """End whatever waits on the socket, from any thread; the owner still closes it."""
    if sock is None:
        return
    # SSLSocket.shutdown would drop its TLS state first: a writer in another thread would then
    # send its next bytes in the clear. The plain method cuts the connection beneath TLS.
    try:
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:  # not connected any more: that is what was wanted
        return


class _Connection(http.client.HTTPConnection):
    """An HTTP connection whose socket the trust rule opens."""

    def __init__(self, address: Address, trust: Trust, timeout_s: float) -> None:
        super().__init__(address.host, address.port)
        self._address = address
        self._trust = trust
        self._timeout_s = timeout_s
        self._dialling: socket.socket | None = None
        self._killed = False

    def connect(self) -> None:
        """Connect by the trust rule."""
        self.sock = self._trust.open(self._address, self._timeout_s, self._made)

    def _made(self, sock: socket.socket) -> None:
        self._dialling = sock
        if self._killed:
            raise ConnectionAbortedError("ended before it began")

    def kill(self) -> None:
        """End connecting, or what waits on the connection, in another thread."""
        self._killed = True
        kill(self._dialling)


class Transport(xmlrpc.client.Transport):
    """Keeps one connection alive; never sends a call twice, because most are not repeatable."""

    accept_gzip_encoding = False
    user_agent = "kensho"

    def __init__(self, address: Address, trust: Trust, timeout_s: float) -> None:
        super().__init__()
        self._address = address
        self._trust = trust
        self._timeout_s = timeout_s
        self.answer_s = timeout_s
        self._killed = False

    def kill(self) -> None:
        """End connecting, or a call under way, in another thread."""
        self._killed = True
        connection = self._connection[1]
        if isinstance(connection, _Connection):
            connection.kill()

    def make_connection(self, host: Any) -> http.client.HTTPConnection:  # noqa: ANN401
        """The live connection, made anew where the server has closed it meanwhile."""
        connection = self._connection[1]
        sock = connection.sock if isinstance(connection, _Connection) else None
        # Nothing may come while no call is under way: readable means closed by the server.
        if sock is None or select.select([sock], [], [], 0)[0]:
            self.close()
            connection = _Connection(self._address, self._trust, self._timeout_s)
            self._connection = (host, connection)
            if self._killed:
                raise ConnectionAbortedError("ended before it began")
            connection.connect()
            sock = connection.sock
        sock.settimeout(self.answer_s)
        assert isinstance(connection, _Connection)  # nothing else is ever put there
        return connection

    def request(  # the types are the base class's
        self,
        host: Any,  # noqa: ANN401
        handler: str,
        request_body: Any,  # noqa: ANN401
        verbose: bool = False,
    ) -> Any:  # noqa: ANN401
        """One call. The base class would repeat it on a reset, and so make two machines of one."""
        return self.single_request(host, handler, request_body, verbose)


class Line:
    """One XenAPI connection; one thread at a time, `kill` from any."""

    def __init__(self, address: Address, trust: Trust, timeout_s: float) -> None:
        import XenAPI

        self._address = address
        self._transport = Transport(address, trust, timeout_s)
        self._proxy = XenAPI.Session(f"https://{address.netloc}", transport=self._transport)

    def call(self, method: str, parameters: tuple[Any, ...], answer_s: float) -> dict[str, Any]:
        """The server's answer: ``Status`` with ``Value`` or ``ErrorDescription``.

        Raises: ConnectError: the connection broke, or no answer within ``answer_s`` seconds.
        """
        self._transport.answer_s = answer_s
        try:
            answer = getattr(self._proxy, method)(*parameters)
        except TimeoutError as error:
            raise ConnectError(
                f"no answer to {method} within {answer_s:g} seconds",
                subject=str(self._address),
                remedy="Try again, or set timeout_s of the connection higher",
                retryable=True,
            ) from error
        except OSError as error:
            raise broken(self._address, error) from error
        except (http.client.HTTPException, xmlrpc.client.Error, ExpatError) as error:
            raise ConnectError(
                f"the connection broke, or this is no XenServer ({type(error).__name__})",
                subject=str(self._address),
                remedy="Check the address and try again",
                retryable=True,
            ) from error
        if not isinstance(answer, dict) or "Status" not in answer:
            raise ConnectError(
                f"the answer to {method} is not XenAPI's",
                subject=str(self._address),
                remedy="Check that this is the address of a XenServer",
            )
        return answer

    def kill(self) -> None:
        """End a call under way in another thread."""
        self._transport.kill()

    def close(self) -> None:
        """Close the connection. The thread that owns the line calls this."""
        self._transport.close()
