"""Connections that carry disks: the HTTP handlers beside XenAPI, under the same rule of trust.

xapi (ocaml/xapi/import_raw_vdi.ml, export_raw_vdi.ml): the status line comes before the body is read
or made; a host that does not reach the storage answers 302 with the address of one that does;
``Transfer-Encoding`` is refused.
"""

import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from urllib.parse import parse_qsl, urlencode, urlsplit

from backends.base import Buffer, ConnectError, TransferError, TrustError, WritableBuffer
from backends.xenserver import tasks
from backends.xenserver.address import Address
from backends.xenserver.api import Api
from backends.xenserver.trust import broken
from backends.xenserver.wire import kill
from kensho_tui.cancel import Cancel, CancelledError

_HEAD_LIMIT = 64 << 10
_HOPS = 3
_SECRET = "session_id"  # noqa: S105  # the name of a parameter


class Turn:
    """Lets one thread use a channel while any other may close it.

    Closing ends what the thread waits on; the socket itself is closed by whoever is last.
    """

    def __init__(self, cancel: Cancel, close: Callable[[], None]) -> None:
        """Args: cancel: set by `close`; close: frees the socket, called in one thread only."""
        self._cancel = cancel
        self._close = close
        self._lock = threading.Lock()
        self._inside = 0

    def __enter__(self) -> None:
        with self._lock:
            if self._cancel.cancelled:
                raise CancelledError
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            last = not self._inside and self._cancel.cancelled
        if last:
            self._close()

    def close(self) -> None:
        """End the transfer; from any thread, twice is once."""
        self._cancel.cancel()
        with self._lock:
            idle = not self._inside
        if idle:
            self._close()


class Channel:
    """One open transfer. One thread; `cancel` ends it from any."""

    def __init__(self, api: Api, cancel: Cancel) -> None:
        """Args: cancel: of this transfer alone; the job's and the session's end it as well."""
        self._api = api
        self.cancel = cancel
        self._cancels = [cancel, api.closed, *([] if api.cleaning_now else [api.cancel])]
        self._stack = ExitStack()
        self._sock: ssl.SSLSocket | None = None
        self._address = api.address
        self._rest = b""

    # ------------------------------------------------------------------------------------ opening
    def open(
        self, method: str, path: str, query: Mapping[str, str], length: int | None, subject: str
    ) -> None:
        """Send the request and wait for ``200 OK``, following the server to where the storage is.

        Args:
            query: without the session, which is added here and at every further hop.
            length: bytes of the body, None for a body that ends by itself.

        Raises: ConnectError, TrustError, TransferError, or what the task says.
        """
        address, asked = self._api.address, dict(query)
        handle = self._api.handle
        renewed = False
        for _ in range(_HOPS + 1):
            self._connect(address)
            status, location = self._request(method, path, asked, length, address, handle)
            if status == 200:
                return
            self._drop()
            if status == 302 and location:
                address, path, asked = self._follow(location, address, asked)
            elif status in {401, 403} and not renewed:
                # The handle was forgotten between two calls; a refused role stays refused.
                renewed = True
                self._api.renew(handle)
                handle = self._api.handle
            else:
                self._refused(asked.get("task_id", ""), status, subject)
        raise TransferError("the hosts of the pool send the transfer in a circle", subject=subject)

    def _connect(self, address: Address) -> None:
        self._check()
        self._address = address
        killers: list[socket.socket] = []

        def made(sock: socket.socket) -> None:
            killers.append(sock)
            self._check()  # a cancellation that came just before would otherwise be missed

        def end() -> None:
            for each in killers:
                kill(each)

        self._stack = ExitStack()
        for each in self._cancels:
            self._stack.enter_context(each.closing(end))
        settings = self._api.settings
        try:
            self._sock = self._api.trust.open(address, settings.timeout_s, made)
        except TrustError:
            self._stack.close()
            known = self._api.member_pins()
            if address == self._api.address or not known:
                raise
            # Another host of the pool: the one we trust says whose certificates those are.
            self._api.trust.learn(known)
            for each in self._cancels:
                self._stack.enter_context(each.closing(end))
            self._sock = self._api.trust.open(address, settings.timeout_s, made)
        except ConnectError:
            self._stack.close()
            self._check()
            raise
        self._sock.settimeout(settings.long_s)

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        length: int | None,
        address: Address,
        handle: str,
    ) -> tuple[int, str]:
        # Servers write query strings to their logs, and cookies not.
        lines = [
            f"{method} {path}?{urlencode(query)} HTTP/1.1",
            f"Host: {address.netloc}",
            f"Cookie: {_SECRET}={handle}",
            "User-Agent: kensho",
        ]
        lines += [f"Content-Length: {length}"] if length is not None else []
        lines += ["Connection: close", "", ""]
        self.send("\r\n".join(lines).encode("ascii"))
        head = self._head()
        first, *fields = head.decode("latin-1").split("\r\n")
        words = first.split(" ", 2)
        if len(words) < 2 or not words[0].startswith("HTTP/") or not words[1].isdigit():
            raise TransferError("the answer is no HTTP", subject=str(address))
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (each.partition(":") for each in fields)
        }
        return int(words[1]), headers.get("location", "")

    def _head(self) -> bytes:
        held = bytearray()
        while (end := held.find(b"\r\n\r\n")) < 0:
            if len(held) > _HEAD_LIMIT:
                raise TransferError("the answer's header has no end")
            buffer = bytearray(4096)
            count = self.receive(buffer)
            if not count:
                raise ConnectError(
                    "the server closed the connection without an answer",
                    subject=str(self._api.address),
                    remedy="Try again",
                    retryable=True,
                )
            held += buffer[:count]
        self._rest = bytes(held[end + 4 :])
        return bytes(held[:end])

    def _follow(
        self, location: str, address: Address, query: Mapping[str, str]
    ) -> tuple[Address, str, dict[str, str]]:
        parts = urlsplit(location)
        if parts.scheme not in {"https", ""}:
            raise TransferError(
                "the server sends the transfer to an address without TLS", subject=str(address)
            )
        there = Address.parse(f"https://{parts.netloc}") if parts.netloc else address
        asked = {name: value for name, value in parse_qsl(parts.query) if name != _SECRET}
        return there, parts.path, {**query, **asked}

    def _refused(self, task: str, status: int, subject: str) -> None:
        if task:
            # The reason is the task's; the status line only says that there is one.
            record = tasks.settled(self._api, task, self.cancel)
            if record is not None:
                tasks.verdict(record, subject)
        raise TransferError(
            f"the server refuses the transfer (HTTP {status})",
            subject=subject,
            remedy="Look at the server's log",
        )

    # -------------------------------------------------------------------------------------- bytes
    def send(self, data: Buffer) -> None:
        """Send all bytes. Raises: ConnectError: the other end is gone. CancelledError."""
        self._api.cancel.guard()
        if self._sock is None:
            self._check()
            raise ConnectError("the transfer is closed", subject=str(self._api.address))
        try:
            self._sock.sendall(data)
        except OSError as error:
            self._check()
            raise broken(self._address, error) from error

    def receive(self, buffer: WritableBuffer) -> int:
        """Read some bytes; 0 at the end. Raises: ConnectError, CancelledError."""
        if self._rest:
            count = min(len(self._rest), len(buffer))
            buffer[:count] = self._rest[:count]
            self._rest = self._rest[count:]
            return count
        if self._sock is None:
            self._check()
            raise ConnectError("the transfer is closed", subject=str(self._api.address))
        try:
            count = self._sock.recv_into(buffer)
        except OSError as error:
            self._check()
            raise broken(self._address, error) from error
        if not count:
            self._check()
        return count

    def _check(self) -> None:
        if self.cancel.cancelled or any(each.cancelled for each in self._cancels):
            raise CancelledError

    def _drop(self) -> None:
        self._stack.close()
        if self._sock is not None:
            self._sock.close()
            self._sock = None
        self._rest = b""

    def close(self) -> None:
        """Close the connection; by the thread that uses it."""
        self._drop()
