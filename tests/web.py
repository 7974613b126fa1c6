"""A web server on loopback that gives files, by ranges or not, and goes wrong as it is told to."""

import contextlib
import functools
import hashlib
import re
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

Bytes = bytes | Path


@dataclass
class Asked:
    """One request, and what became of it."""

    path: str
    headers: Mapping[str, str]
    status: int = 0
    sent: int = 0  # bytes of the body

    @property
    def range(self) -> str:
        return self.headers.get("Range", "")


# Answers the request itself, and says so; else the usual answer follows.
Trick = Callable[["Handler", Asked], bool]


@dataclass
class Site:
    """Attributes:
    files: by their path, such as ``/a.ova``.
    ranges: whether parts are given.
    tags, times: whether ETag and Last-Modified are told.
    lengths: whether the length is told of what is given whole.
    conditions: whether If-Match and its like are looked at.
    user: ``name:password`` that are asked for; "" none.
    trick: stands before the usual answer.
    cut: a body ends after so many bytes, this often (by its path).
    """

    files: dict[str, Bytes] = field(default_factory=dict)
    ranges: bool = True
    tags: bool = True
    times: bool = True
    lengths: bool = True
    conditions: bool = True
    user: str = ""
    trick: Trick | None = None
    cut: dict[str, list[int]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    url: str = ""
    certificate: Path | None = None

    def at(self, path: str) -> str:
        """The address of the file."""
        return f"{self.url}{path}"

    @property
    def sent(self) -> int:
        """Bytes of all bodies."""
        return sum(each.sent for each in self.asked)

    def of(self, path: str) -> list[Asked]:
        """What was asked of that path."""
        return [each for each in self.asked if each.path == path]


class Handler(BaseHTTPRequestHandler):
    """Answers for a `Site`."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    site: Site

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is said."""

    def do_GET(self) -> None:
        asked = Asked(urlsplit(self.path).path, {k.title(): v for k, v in self.headers.items()})
        self.asked = asked
        self.site.asked.append(asked)
        with contextlib.suppress(BrokenPipeError, ConnectionError, ssl.SSLError):
            if self.site.trick is not None and self.site.trick(self, asked):
                return
            self._answer(asked)

    def say(self, status: int, headers: Mapping[str, str] = {}, body: bytes = b"") -> None:
        """A short answer."""
        self.asked.status = status
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _answer(self, asked: Asked) -> None:
        site = self.site
        if site.user:
            import base64

            wanted = f"Basic {base64.b64encode(site.user.encode()).decode()}"
            if asked.headers.get("Authorization") != wanted:
                self.say(401, {"WWW-Authenticate": 'Basic realm="x"'})
                return
        file = site.files.get(asked.path)
        if file is None:
            self.say(404)
            return
        size = len(file) if isinstance(file, bytes) else file.stat().st_size
        tag = self._tag(file)
        time = "Sat, 28 Nov 2026 10:00:00 GMT"
        marks = ({"ETag": tag} if site.tags else {}) | (
            {"Last-Modified": time} if site.times else {}
        )
        if site.conditions and "If-Match" in asked.headers and asked.headers["If-Match"] != tag:
            self.say(412)
            return
        start, end, status = 0, size, 200
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", asked.range)
        fresh = asked.headers.get("If-Range") in (None, tag)
        if found and site.ranges and (fresh or not site.conditions):
            start, end, status = int(found[1]), min(int(found[2]) + 1, size), 206
            if start >= size:
                self.say(416, {"Content-Range": f"bytes */{size}"})
                return
            marks["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        asked.status = status
        self.send_response(status)
        for name, value in marks.items():
            self.send_header(name, value)
        if site.lengths or status == 206:
            self.send_header("Content-Length", str(end - start))
        else:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self._body(asked, file, start, end)

    def _tag(self, file: Bytes) -> str:
        if isinstance(file, bytes):
            return _digest(file)
        seen = file.stat()
        return f'"{seen.st_ino}-{seen.st_size}-{seen.st_mtime_ns}"'

    def _body(self, asked: Asked, file: Bytes, start: int, end: int) -> None:
        cuts = self.site.cut.get(asked.path)
        most = min(end, start + cuts.pop(0)) if cuts and end - start > 1 else end
        at = start
        with contextlib.ExitStack() as opened:
            source = None if isinstance(file, bytes) else opened.enter_context(file.open("rb"))
            while at < most:
                count = min(1 << 16, most - at)
                if source is None:
                    assert isinstance(file, bytes)
                    data = file[at : at + count]
                else:
                    source.seek(at)
                    data = source.read(count)
                asked.sent += len(data)  # before the other end can have it, and a test looks
                self.wfile.write(data)
                at += len(data)
        if most < end:
            self.close_connection = True


@functools.lru_cache(maxsize=8)
def _digest(data: bytes) -> str:
    return f'"{hashlib.sha256(data).hexdigest()[:16]}"'


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error."""


@contextlib.contextmanager
def serving(site: Site, *, tls: Path | None = None) -> Iterator[Site]:
    """The site, served. Args: tls: key and certificate in PEM, in one file."""
    handler = type("SiteHandler", (Handler,), {"site": site})
    server = _Server(("127.0.0.1", 0), handler)
    scheme = "http"
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
        site.certificate = tls
    site.url = f"{scheme}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
