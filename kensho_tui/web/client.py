"""Asking a web server: whom we trust, who we say we are, where we let ourselves be sent, and how often we ask.

Only GET is ever sent, which may be sent again. RFC 9110.
"""

import base64
import random
import socket
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, LocationValueError, NameResolutionError
from urllib3.exceptions import SSLError as TlsError
from urllib3.response import BaseHTTPResponse

from kensho_tui.cancel import Cancel, CancelledError
from kensho_tui.web.address import origin, redirected, shown
from kensho_tui.web.errors import (
    AbsentError,
    AddressError,
    DeniedError,
    LoginError,
    UnreachableError,
    WebError,
)
from kensho_tui.web.trust import NOBODY, Access, context_of, proxy_of, refused, server_of

_HOPS = 5
_ATTEMPTS = 4
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_MOVED = {301, 302, 303, 307, 308}
_LATER = {408, 425, 429, 500, 502, 503, 504}
_AGENT = "kensho"


class Answer:
    """What a server answered, and the bytes of its body as they come."""

    def __init__(self, web: "Web", url: str, response: BaseHTTPResponse) -> None:
        self._web = web
        self.url = url
        self._response = response

    @property
    def status(self) -> int:
        return self._response.status

    def header(self, name: str) -> str:
        """ "" where it is not there."""
        return str(self._response.headers.get(name, "")).strip()

    def read(self, count: int) -> bytes:
        """Some bytes of the body, at most so many; b"" at its end. Raises: UnreachableError: cut off."""
        with self._web.waiting():
            try:
                return self._response.read(count)
            except (HTTPError, OSError) as error:
                raise self._web.broken(error, self.url) from error

    def close(self) -> None:
        """Be done; a body that was not read to its end costs the connection."""
        self._response.close()

    def done(self) -> None:
        """The body was read to its end: the connection can be used again."""
        self._response.release_conn()


class Web:
    """Asks by one rule of trust. Thread-safe; `close`, from any thread, ends what waits."""

    def __init__(self, access: Access, cancel: Cancel | None = None) -> None:
        self.access = access
        self._cancel = cancel or Cancel()
        self._lock = threading.Lock()
        self._pools: dict[tuple[bool, str], Any] = {}
        self._sockets: set[socket.socket] = set()
        self._closed = False
        self._named = False  # whether the server has asked who we are
        self._word: str | None = None

    def apart(self) -> "Web":
        """Connections of their own by the same rule: for one stream, which is closed for itself."""
        other = Web(self.access, self._cancel)
        other._named, other._word = self._named, self._word
        return other

    # -------------------------------------------------------------------------------- asking
    def get(self, url: str, headers: Mapping[str, str], subject: str) -> Answer:
        """The answer to GET, after redirections; asked again where what is wrong may pass.

        Raises: UnreachableError, UntrustedError, LoginError; AddressError: a redirection that is not
            followed; CancelledError. Other statuses than those of a login are the caller's.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                answer = self._follow(url, headers, subject)
            except UnreachableError:
                if attempt == _ATTEMPTS:
                    raise
                self.pause(attempt)
                continue
            if answer.status not in _LATER or attempt == _ATTEMPTS:
                return answer
            answer.close()
            self.pause(attempt, answer.header("Retry-After"))
        raise AssertionError("unreachable")

    def _follow(self, url: str, headers: Mapping[str, str], subject: str) -> Answer:
        at = url
        for _ in range(_HOPS + 1):
            answer = self._ask(at, headers, subject)
            if answer.status not in _MOVED:
                return answer
            location = answer.header("Location")
            answer.close()
            if not location:
                raise WebError("the server sends on, and does not say where to", subject=subject)
            at = redirected(at, location, subject)
        raise WebError(
            f"the server sends on more than {_HOPS} times",
            subject=subject,
            remedy="Give the address that the file has itself",
        )

    def _ask(self, url: str, headers: Mapping[str, str], subject: str) -> Answer:
        answer = Answer(self, url, self._send(url, self._dressed(url, headers), subject))
        if answer.status != 401:
            return answer
        answer.close()
        if self._named or not self.access.may_name(url):
            raise self._unknown_user(url, subject)
        self._named = True
        answer = Answer(self, url, self._send(url, self._dressed(url, headers), subject))
        if answer.status == 401:
            answer.close()
            raise self._unknown_user(url, subject)
        return answer

    def _dressed(self, url: str, headers: Mapping[str, str]) -> dict[str, str]:
        dressed = {"User-Agent": _AGENT, "Accept-Encoding": "identity", **headers}
        if self._named and self.access.may_name(url):
            if origin(url)[0] != "https":
                raise LoginError(
                    "a password is not sent without TLS",
                    subject=shown(url),
                    remedy="Use https://",
                )
            assert self.access.password is not None
            if self._word is None:
                self._word = self.access.password()
            pair = f"{self.access.username}:{self._word}".encode()
            dressed["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        return dressed

    def _unknown_user(self, url: str, subject: str) -> LoginError:
        access = self.access
        if self._named and self.access.may_name(url):
            return LoginError(
                f"the server refuses user '{access.username}' with the password of"
                f" '{access.connection}'",
                subject=subject,
                remedy="Check the user name and where the connection finds its password",
            )
        return LoginError(
            "the server wants a user name and a password",
            subject=subject,
            remedy=f"Say them by a connection: 'kensho connection add NAME --platform package"
            f" --address {server_of(url)}/ --username USER --secret file:/path'",
        )

    def _send(self, url: str, headers: Mapping[str, str], subject: str) -> BaseHTTPResponse:
        manager = self._pool(url)
        with self.waiting():
            try:
                response: BaseHTTPResponse = manager.request(
                    "GET", url, headers=headers, redirect=False, retries=False,
                    preload_content=False, decode_content=False,
                )  # fmt: skip
            except TlsError as error:
                raise refused(error, url, subject, self.access) from error
            except LocationValueError as error:
                raise AddressError("this is no address", subject=subject) from error
            except (HTTPError, OSError) as error:
                raise self.broken(error, url) from error
        return response

    def pause(self, attempt: int, asked: str = "") -> None:
        """Wait before another attempt, as the server asks within reason. Raises: CancelledError."""
        seconds = _FIRST_PAUSE_S * 2 ** (attempt - 1) * (0.5 + random.random() / 2)  # noqa: S311 - chance, no secret
        if asked.isascii() and asked.isdigit():
            seconds = max(seconds, float(asked[:6]))
        self._cancel.wait(min(seconds, _LONGEST_PAUSE_S))
        self._cancel.check()

    # -------------------------------------------------------------------------------- trust
    def _pool(self, url: str) -> Any:  # noqa: ANN401 - urllib3's PoolManager or ProxyManager
        ours, proxy = self.access.is_for(url), proxy_of(url, self.access)
        with self._lock:
            if self._closed:
                raise CancelledError("the connection is closed")
            if (ours, proxy) not in self._pools:
                self._pools[ours, proxy] = self._made(ours, proxy)
            return self._pools[ours, proxy]

    def _made(self, ours: bool, proxy: str) -> Any:  # noqa: ANN401
        access = self.access
        timeout = urllib3.Timeout(connect=access.timeout_s, read=access.timeout_s)
        options: dict[str, Any] = {"num_pools": 4, "maxsize": 4, "timeout": timeout}
        options["ssl_context"] = context_of(access, ours=ours)
        if ours and access.pin:
            options |= {"assert_fingerprint": access.pin, "cert_reqs": "CERT_NONE"}
            options["assert_hostname"] = False
        if proxy:
            parts = urlsplit(proxy)
            told = None
            if parts.username is not None:
                pair = f"{parts.username}:{parts.password or ''}"
                told = urllib3.make_headers(proxy_basic_auth=unquote(pair))
                proxy = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
            manager: Any = urllib3.ProxyManager(proxy, proxy_headers=told, **options)
        else:
            manager = urllib3.PoolManager(**options)
        manager.pool_classes_by_scheme = self._classes()
        return manager

    def _classes(self) -> dict[str, Any]:
        """Connections whose sockets can be ended by another thread."""
        web = self

        class Plain(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                web.keep(self.sock)

        class Tls(HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                web.keep(self.sock)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class TlsPool(HTTPSConnectionPool):
            ConnectionCls = Tls

        return {"http": PlainPool, "https": TlsPool}

    # -------------------------------------------------------------------------------- ending
    def keep(self, sock: object) -> None:
        """Remember the socket of a new connection, to end it."""
        if isinstance(sock, socket.socket):
            with self._lock:
                self._sockets = {each for each in self._sockets if each.fileno() >= 0} | {sock}
                closed = self._closed
            if closed or self._cancel.cancelled:
                _end(sock)

    def waiting(self) -> Any:  # noqa: ANN401 - a context manager
        """While a thread waits for the server: a cancellation ends it. Raises: CancelledError."""
        self._cancel.check()
        return self._cancel.closing(self._kill)

    def broken(self, error: Exception, url: str) -> "WebError | CancelledError":
        """What a connection that failed is called; `CancelledError` where somebody ended it."""
        if self._cancel.cancelled or self._closed:
            return CancelledError("the connection is closed")
        return UnreachableError(_words(error), subject=server_of(url))

    def _kill(self) -> None:
        with self._lock:
            sockets = list(self._sockets)
        for each in sockets:
            _end(each)

    def close(self) -> None:
        """Close all connections; from any thread, twice is once."""
        with self._lock:
            self._closed = True
            pools, self._pools = list(self._pools.values()), {}
        self._kill()
        for each in pools:
            each.clear()


def expect(answer: Answer, subject: str, *, also: tuple[int, ...] = ()) -> None:
    """Raise for every status that is no file: `also` are statuses that the caller understands.

    Raises: AbsentError, DeniedError, UnreachableError, WebError.
    """
    status = answer.status
    if status in (200, 206, *also):
        return
    answer.close()
    if status in (404, 410):
        raise AbsentError(
            f"there is no such file (HTTP {status})", subject=subject, remedy="Check the address"
        )
    if status == 403:
        raise DeniedError(
            "the server does not give this file away (HTTP 403)",
            subject=subject,
            remedy="Ask who runs the server for access",
        )
    if status == 407:
        raise DeniedError(
            "the proxy wants a user name and a password (HTTP 407)",
            subject=subject,
            remedy="Say them in the environment: https_proxy=http://USER:PASSWORD@HOST:PORT",
        )
    if status in _LATER:
        raise UnreachableError(f"the server cannot serve it now (HTTP {status})", subject=subject)
    raise WebError(f"the server refuses (HTTP {status})", subject=subject)


def _end(sock: socket.socket) -> None:
    # SSLSocket.shutdown would drop its TLS state first; the plain method cuts beneath TLS.
    try:
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:  # not connected any more: that is what was wanted
        return


def _words(error: Exception) -> str:
    """What happened to a connection, in an operator's words."""
    chain: list[BaseException] = [error]
    while (below := chain[-1].__cause__ or chain[-1].__context__) and below not in chain:
        chain.append(below)
    if any(isinstance(each, NameResolutionError | socket.gaierror) for each in chain):
        return "the name of the server is not known"
    if any(isinstance(each, ConnectionRefusedError) for each in chain):
        return "nothing listens at this address"
    if any(isinstance(each, TimeoutError | urllib3.exceptions.TimeoutError) for each in chain):
        return "the server does not answer"
    if isinstance(error, urllib3.exceptions.ProxyError):
        return "the proxy cannot be used"
    if isinstance(error, urllib3.exceptions.NewConnectionError):
        return "the server cannot be reached"
    return "the connection was lost"


__all__ = ["NOBODY", "Access", "Answer", "Web", "expect"]
