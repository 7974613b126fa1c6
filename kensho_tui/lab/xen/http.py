"""The host's web server: calls, disks, and the lab's own control, on one port.

A host answers HTTP on port 80 and HTTPS on 443; the lab has one port and tells them apart by the
first byte (22 begins a TLS handshake). Every connection has a thread; `stop` closes them all and
waits for their threads.
"""

import base64
import binascii
import contextlib
import json
import logging
import socket
import ssl
import threading
import xmlrpc.client
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from xml.parsers.expat import ExpatError

from kensho_tui.lab.xen.calls import Context
from kensho_tui.lab.xen.fault import Fault
from kensho_tui.lab.xen.schema import Wire
from kensho_tui.lab.xen.sessions import open_session
from kensho_tui.lab.xen.transfer import Cut, Request, Transfer

if TYPE_CHECKING:
    from kensho_tui.lab.xen.lab import XenLab

LOG = logging.getLogger("kensho.lab")
_TLS_HANDSHAKE = b"\x16"
_LARGEST_CALL = 64 * 1024 * 1024


class HostServer(ThreadingHTTPServer):
    """One host's address. ``slave``: it refuses logins, but takes disks."""

    daemon_threads = False
    block_on_close = True
    request_queue_size = 64

    def __init__(self, lab: "XenLab", address: tuple[str, int], *, slave: bool) -> None:
        self.lab = lab
        self.slave = slave
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        self._ended = False
        super().__init__(address, Connection)

    def server_bind(self) -> None:
        """As the standard library's, without its reverse lookup of the host's name."""
        self.allow_reuse_address = True
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.address: tuple[str, int] = (self.server_name, self.server_port)

    def opened(self, connection: socket.socket) -> None:
        """Remember a connection, so that `end` finds it."""
        with self._guard:
            self._open.add(connection)
            if self._ended:
                cut(connection)

    def closed(self, connection: socket.socket) -> None:
        """Forget it."""
        with self._guard:
            self._open.discard(connection)

    def accept_all(self) -> None:
        """Take connections until `end`; then the door is closed."""
        try:
            while True:
                connection, address = self.socket.accept()
                if self._ended:
                    connection.close()
                    return
                self.process_request(connection, address)
        finally:
            self.socket.close()

    def end(self) -> None:
        """Drop every connection and take no more. Waits for nobody."""
        with self._guard:
            self._ended = True
            for connection in self._open:
                cut(connection)
        # Whoever accepts is waiting: a last connection wakes it.
        with contextlib.suppress(OSError):
            socket.create_connection(self.address, timeout=5).close()

    def handle_error(self, request: object, client_address: object) -> None:
        """A connection ended badly: for the log, not for standard error."""
        LOG.debug("connection of %s ended", client_address, exc_info=True)


def cut(connection: socket.socket) -> None:
    """End both directions of a connection that another thread may be waiting on."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class Connection(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    server_version = "xapi-lab"
    sys_version = ""
    server: HostServer
    connection: socket.socket

    def setup(self) -> None:
        """Find out whether it is TLS, and shake hands."""
        plain: socket.socket = self.request
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.server.opened(plain)
        try:
            if plain.recv(1, socket.MSG_PEEK) == _TLS_HANDSHAKE:
                lab = self.server.lab
                own = lab.second_tls if self.server.slave else None
                secure = (own or lab.tls).wrap_socket(
                    plain, server_side=True, do_handshake_on_connect=False
                )
                self.server.opened(secure)
                self.request = secure
                try:
                    secure.do_handshake()
                except BaseException:
                    secure.close()
                    raise
        finally:
            if self.request is not plain:
                self.server.closed(plain)
        super().setup()

    def finish(self) -> None:
        """Close, whatever the other side does."""
        with contextlib.suppress(OSError, ssl.SSLError):
            super().finish()
        self.server.closed(self.connection)
        self.connection.close()

    def handle(self) -> None:
        """Requests, until one side has had enough."""
        try:
            super().handle()
        except (OSError, ssl.SSLError, ValueError, Cut) as error:
            LOG.debug("%s: %s", self.client_address, error)

    def log_message(self, format: str, *args: object) -> None:
        """To the log."""
        LOG.debug(format, *args)

    # ------------------------------------------------------------------------------------- calls
    def do_POST(self) -> None:
        """A call, in either wire's form, or the control."""
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > _LARGEST_CALL:
            self._answer(400, b"no length", "text/plain")
            self.close_connection = True
            return
        body = self.rfile.read(int(length))
        path = self.path.partition("?")[0].rstrip("/")
        if path in {"/jsonrpc", "/json"}:
            self._json(body)
        elif path in {"", "/RPC2"}:
            self._xml(body)
        elif path == "/lab/control":
            token = self.headers.get("X-Lab-Token", "")
            code, answer = self.server.lab.control.request(token, body)
            self._answer(code, json.dumps(answer).encode(), "application/json")
            self.server.lab.control.after()
        else:
            self._answer(404, b"", "text/html")

    def _xml(self, body: bytes) -> None:
        try:
            params, method = xmlrpc.client.loads(body)
            if method is None:
                raise ValueError("no method name")
        except (ExpatError, ValueError, TypeError, xmlrpc.client.Error) as error:
            self._answer(500, f"<html><body><h1>{error}</h1></body></html>".encode(), "text/html")
            return
        answer: dict[str, object]
        try:
            value = self._call(method, list(params), Wire.XML)
            answer = {"Status": "Success", "Value": value}
        except Fault as fault:
            answer = {"Status": "Failure", "ErrorDescription": fault.description}
        out = xmlrpc.client.dumps((answer,), methodresponse=True, allow_none=False)
        self._answer(200, out.encode(), "text/xml")

    def _json(self, body: bytes) -> None:
        try:
            question = json.loads(body)
            method, params = question["method"], list(question["params"])
        except (ValueError, KeyError, TypeError) as error:
            self._answer(500, f"<html><body><h1>{error}</h1></body></html>".encode(), "text/html")
            return
        second = question.get("jsonrpc") == "2.0"
        answer: dict[str, object] = {"id": question.get("id")}
        if second:
            answer["jsonrpc"] = "2.0"
        else:
            answer |= {"result": None, "error": None}
        try:
            answer["result"] = self._call(str(method), params, Wire.JSON)
        except Fault as fault:
            if second:
                data = list(fault.params)
                answer["error"] = {"code": 1, "message": fault.code, "data": data}
            else:
                answer["error"] = fault.description
        self._answer(200, json.dumps(answer).encode(), "application/json")

    def _call(self, method: str, params: list[object], wire: Wire) -> object:
        return self.server.lab.toolstack.call(method, params, wire, slave=self.server.slave)

    def _answer(self, code: int, body: bytes, kind: str) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    # ------------------------------------------------------------------------------------- disks
    def do_PUT(self) -> None:
        """An import."""
        self._transfer("/import_raw_vdi")

    def do_GET(self) -> None:
        """An export."""
        self._transfer("/export_raw_vdi")

    def _transfer(self, known: str) -> None:
        self.close_connection = True
        headers = {k.lower(): v for k, v in self.headers.items()}
        request = Request.parse(self.command, self.path, headers)
        if request.path != known:
            self._answer(404, b"", "text/html")
            return
        lab = self.server.lab
        lab.toolstack.log.add(f"{self.command} {known}")
        try:
            session = self._session(request)
        except Fault as fault:
            LOG.info("%s refused: %s", known, fault.description)
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="XenAPI"')
            self.send_header("Content-Length", "0")
            self.send_header("Connection", "close")
            self.end_headers()
            return
        temporary = session != request.params.get("session_id")
        try:
            transfer = Transfer(lab.toolstack, request, Channel(self), session, lab.die)
            if lab.toolstack.modes.redirect and not self.server.slave:
                transfer.redirect(lab.second_url)
            else:
                transfer.run()
        finally:
            if temporary and lab.toolstack.database.exists("session", session):
                lab.toolstack.end_session(session)

    def _session(self, request: Request) -> str:
        """By ``session_id``, else by HTTP Basic, which makes a session for this request."""
        stack = self.server.lab.toolstack
        if "session_id" in request.params:
            return stack.check_session(request.params["session_id"])
        kind, _, credentials = self.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "basic":
            raise Fault("SESSION_INVALID", "")
        try:
            user, _, password = base64.b64decode(credentials, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise Fault("SESSION_AUTHENTICATION_FAILED", "", "") from None
        with stack.database.lock:
            return open_session(Context(stack, "", Wire.XML), user, password)


class Channel:
    """A connection as a transfer uses it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def read(self, size: int) -> bytes:
        """Up to so many bytes."""
        rfile: Any = self._connection.rfile
        data: bytes = rfile.read1(size)
        return data

    def write(self, data: bytes) -> None:
        """All of them."""
        self._connection.wfile.write(data)

    def status(self, code: int, headers: dict[str, str]) -> None:
        """Status line and headers, at once."""
        self._connection.send_response(code)
        for name, value in {**headers, "Connection": "close"}.items():
            self._connection.send_header(name, value)
        if code != 200:
            self._connection.send_header("Content-Length", "0")
        self._connection.end_headers()

    def cut(self) -> None:
        """Drop the connection."""
        cut(self._connection.connection)
