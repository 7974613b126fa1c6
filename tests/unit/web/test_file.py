"""Bytes of files on a real web server: which are asked for, and what is never taken for another's."""

import contextlib
import hashlib
import random
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kensho_tui.cancel import Cancel, CancelledError
from kensho_tui.connections import Connection, ConnectionBookError
from kensho_tui.web import stream
from kensho_tui.web.address import beside, covers, is_url, parse, shown
from kensho_tui.web.client import NOBODY, Access, Web
from kensho_tui.web.errors import (
    AbsentError,
    AddressError,
    ChangedError,
    DeniedError,
    LoginError,
    UnreachableError,
    UntrustedError,
    WebError,
)
from kensho_tui.web.file import HEAD, WebFile
from kensho_tui.web.known import access_of, covering
from kensho_tui.web.stream import WebInput
from tests.web import Asked, Handler, Site, Trick, serving

DATA = random.Random(1).randbytes(1_500_000)


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(Site({"/a": DATA})) as made:
        yield made


def opened(site: Site, path: str = "/a", access: Access = NOBODY) -> WebFile:
    return WebFile(Web(access), site.at(path))


def whole(file: WebFile, **how: int) -> WebInput:
    return WebInput(file, how.get("offset", 0), how.get("length", file.size), subject="a")


def read_all(stream: WebInput, piece: int = 70_001) -> bytes:
    found, buffer = bytearray(), bytearray(piece)
    while count := stream.readinto(buffer):
        found += buffer[:count]
    return bytes(found)


def test_one_question_tells_what_it_is_and_gives_its_beginning(site: Site) -> None:
    file = opened(site)
    assert (file.size, file.ranges, file.stamped, file.name) == (len(DATA), True, True, "a")
    with whole(file) as stream:
        buffer = bytearray(100)
        assert stream.pread(1000, buffer) == 100
        assert buffer == DATA[1000:1100]
    assert [(each.range, each.sent) for each in site.asked] == [(f"bytes=0-{HEAD - 1}", HEAD)]


def test_reading_forward_is_one_answer_however_small_the_pieces_are(site: Site) -> None:
    with whole(opened(site)) as stream:
        assert read_all(stream, 999) == DATA
        stream.verify()
    ranges = [each.range for each in site.asked]
    assert len(ranges) == 3  # looking at it, one stream, looking whether it is the same
    assert site.sent < len(DATA) + 2 * HEAD


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.tuples(st.integers(0, len(DATA) + 10), st.integers(0, 200_000)), max_size=12),
    st.integers(0, 5000),
)
def test_whatever_is_read_in_whatever_order_is_what_is_there(
    site: Site, reads: list[tuple[int, int]], offset: int
) -> None:
    with whole(opened(site), offset=offset, length=len(DATA) - offset - 7) as stream:
        inside = DATA[offset : len(DATA) - 7]
        for at, length in reads:
            buffer = bytearray(length)
            count = stream.pread(at, buffer)
            assert buffer[:count] == inside[at : at + length]
            assert count == len(inside[at : at + length])


def test_threads_that_read_one_disk_together_share_one_answer(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "KEPT", 1 << 20)
    piece, found = 50_000, bytearray(len(DATA))
    places = iter(range(0, len(DATA), piece))
    lock = threading.Lock()

    with whole(opened(site)) as shared:

        def work() -> None:
            while True:
                with lock:
                    at = next(places, None)
                if at is None:
                    return
                view = memoryview(found)[at : at + piece]
                assert shared.pread(at, view) == len(view)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    assert found == DATA
    assert len(site.asked) < 12  # thirty pieces were read


def test_small_pieces_here_and_there_cost_little(site: Site) -> None:
    site.files["/big"] = DATA * 40
    file = opened(site, "/big")
    before = site.sent
    with whole(file) as stream:
        for at in range(1, 40):
            buffer = bytearray(512)
            stream.pread(at * len(DATA), buffer)
            assert buffer == DATA[:512]
            stream.pread(at * len(DATA) + 4, buffer)
    assert site.sent - before <= 39 * 2 * (8 << 10)


@pytest.mark.parametrize("cuts", [[0], [100_000, 0, 0, 1], [70_000] * 25])
def test_a_connection_that_breaks_goes_on_where_it_broke(site: Site, cuts: list[int]) -> None:
    file = opened(site)
    site.cut["/a"] = list(cuts)
    with whole(file) as stream:
        assert read_all(stream) == DATA
    assert all(each.headers.get("If-Match") for each in site.asked[1:])


def test_a_connection_that_breaks_without_end_is_given_up_with_a_sentence(site: Site) -> None:
    file = opened(site)
    site.cut["/a"] = [0] * 99
    with (
        whole(file) as stream,
        pytest.raises(UnreachableError, match=r"ended the file|lost") as caught,
    ):
        read_all(stream)
    assert caught.value.retryable


def change(site: Site) -> None:
    site.files["/a"] = DATA[:-1] + b"!"


@pytest.mark.parametrize("conditions", [True, False])
@pytest.mark.parametrize("ranges", [True, False])
def test_a_file_that_is_changed_meanwhile_is_an_error_and_never_a_mixture(
    site: Site, conditions: bool, ranges: bool
) -> None:
    """Of a server that looks at conditions, and of one that does not; also where it gives no parts any more."""
    file = opened(site)
    site.conditions, site.ranges = conditions, ranges
    change(site)
    with whole(file) as stream:
        with pytest.raises(ChangedError, match="changed on the server"):
            stream.pread(HEAD + 5, bytearray(10))
        with pytest.raises(ChangedError):
            read_all(stream)
        with pytest.raises(ChangedError):
            stream.verify()


def test_a_file_that_is_changed_while_a_stream_of_it_breaks_is_an_error(site: Site) -> None:
    file = opened(site)
    site.cut["/a"] = [300_000]
    with whole(file) as stream:
        buffer = bytearray(200_000)
        stream.readinto(buffer)
        change(site)
        with pytest.raises(ChangedError):
            read_all(stream)


def test_a_file_of_another_length_with_the_same_date_is_another_file(site: Site) -> None:
    site.tags = False
    file = opened(site)
    assert file.stamped
    site.files["/a"] = DATA + b"more"
    with whole(file) as stream, pytest.raises(ChangedError):
        stream.pread(HEAD + 5, bytearray(10))


def test_identity_is_kept_by_what_the_server_says_and_by_nothing_else(site: Site) -> None:
    assert opened(site).identity == opened(site).identity
    before = opened(site).identity
    change(site)
    assert opened(site).identity != before
    site.tags = site.times = False
    # It may be the same file: nobody can tell, and so nothing goes on with it.
    assert opened(site).identity != opened(site).identity
    assert opened(site).stamp == opened(site).stamp


def test_a_weak_tag_is_compared_and_not_demanded(site: Site) -> None:
    def weak(handler: Handler, asked: Asked) -> bool:
        assert "If-Match" not in asked.headers
        handler.site.conditions = False
        return False

    site.trick = weak
    original = Handler._tag
    try:
        Handler._tag = lambda self, file: "W/" + original(self, file)  # type: ignore[method-assign]
        file = opened(site)
        with whole(file) as stream:
            assert read_all(stream) == DATA
        change(site)
        with whole(file) as stream, pytest.raises(ChangedError):
            stream.pread(HEAD + 5, bytearray(10))
    finally:
        Handler._tag = original  # type: ignore[method-assign]


@pytest.mark.parametrize(
    "told",
    ["bytes 5-104/1500000", "bytes 70000-70098/1500000", "bytes */1500000", "", "pages 1-2/3",
     "bytes 70000-70099/*x"],
)  # fmt: skip
def test_other_bytes_than_were_asked_for_are_refused(site: Site, told: str) -> None:
    file = opened(site)

    def trick(handler: Handler, asked: Asked) -> bool:
        tag = handler._tag(DATA)
        handler.say(206, {"Content-Range": told, "ETag": tag}, DATA[5:105])
        return True

    site.trick = trick
    with whole(file) as stream, pytest.raises(WebError, match=r"other bytes|changed"):
        stream.pread(70_000, bytearray(20_000))


def test_bytes_that_are_compressed_unasked_are_refused(site: Site) -> None:
    def trick(handler: Handler, asked: Asked) -> bool:
        assert asked.headers["Accept-Encoding"] == "identity"
        handler.say(200, {"Content-Encoding": "gzip"}, b"x" * 100)
        return True

    site.trick = trick
    with pytest.raises(WebError, match="sends it as 'gzip'"):
        opened(site)


@pytest.mark.parametrize("lengths", [True, False])
def test_a_server_without_ranges_gives_it_forward(site: Site, lengths: bool) -> None:
    site.ranges, site.lengths = False, lengths
    file = opened(site)
    assert (file.ranges, file.size) == (False, len(DATA) if lengths else None)
    with whole(file) as stream:
        assert read_all(stream) == DATA


def test_a_small_file_of_a_server_without_ranges_needs_none(site: Site) -> None:
    site.ranges = False
    site.files["/a"] = b"small" * 1000
    with whole(opened(site)) as stream:
        buffer = bytearray(5)
        for at in (0, 5, 10):
            stream.pread(at, buffer)
        assert read_all(stream) == b"small" * 1000
        assert bytes(buffer) == b"small"
    assert len(site.asked) == 1


def test_an_empty_file_is_empty(site: Site) -> None:
    site.files["/a"] = b""
    file = opened(site)
    assert file.size == 0
    with whole(file) as stream:
        assert read_all(stream) == b""


# ------------------------------------------------------------------------------- statuses, redirections
@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (404, AbsentError, "no such file"),
        (410, AbsentError, "no such file"),
        (403, DeniedError, "does not give this file away"),
        (401, LoginError, "wants a user name and a password"),
        (500, UnreachableError, "cannot serve it now .HTTP 500"),
        (503, UnreachableError, "cannot serve it now"),
        (418, WebError, "refuses .HTTP 418"),
        (407, DeniedError, "proxy wants"),
    ],
)
def test_what_a_server_says_is_said_in_a_sentence(
    site: Site, status: int, kind: type[WebError], said: str
) -> None:
    def trick(handler: Handler, asked: Asked) -> bool:
        handler.say(status)
        return True

    site.trick = trick
    with pytest.raises(kind, match=said) as caught:
        opened(site)
    assert caught.value.subject.startswith("http://127.0.0.1")
    assert len(site.asked) == (4 if status >= 500 else 1)


def test_what_passes_is_asked_for_again(site: Site) -> None:
    left = [500, 503, 429]

    def trick(handler: Handler, asked: Asked) -> bool:
        if not left:
            return False
        handler.say(left.pop(0), {"Retry-After": "0"})
        return True

    site.trick = trick
    assert opened(site).size == len(DATA)


def redirecting(to: str) -> Trick:
    def trick(handler: Handler, asked: Asked) -> bool:
        if asked.path == "/a":
            return False
        handler.say(302, {"Location": to})
        return True

    return trick


def test_a_redirection_is_followed_and_remembered_for_a_while(site: Site) -> None:
    site.trick = redirecting("/a")
    file = opened(site, "/moved")
    with whole(file) as stream:
        assert read_all(stream) == DATA
    assert len(site.of("/moved")) == 1


def test_an_address_that_ended_meanwhile_is_asked_for_anew(site: Site) -> None:
    """As those with a signature in them do, that a store sends on to."""
    good = ["/one"]

    def trick(handler: Handler, asked: Asked) -> bool:
        if asked.path == "/moved":
            handler.say(307, {"Location": good[0]})
            return True
        if asked.path != good[0]:
            handler.say(403)
            return True
        return False

    site.files["/one"] = site.files["/two"] = DATA
    site.trick = trick
    file = opened(site, "/moved")
    good[0] = "/two"
    with whole(file) as stream:
        assert read_all(stream) == DATA
    assert len(site.of("/moved")) == 2


def test_a_redirection_without_end_is_given_up(site: Site) -> None:
    site.trick = redirecting("/again")
    with pytest.raises(WebError, match="more than 5 times"):
        opened(site, "/moved")


def test_nobody_is_sent_from_one_server_to_another_without_tls(site: Site) -> None:
    """So no address inside a network is asked because a server outside of it says so."""
    with serving(Site({"/a": DATA})) as other:
        site.trick = redirecting(other.at("/a"))
        with pytest.raises(AddressError, match="fetched without TLS"):
            opened(site, "/moved")
        assert other.asked == []


@pytest.mark.parametrize(
    "to", ["file:///etc/passwd", "ftp://127.0.0.1/a", "http://u:p@127.0.0.1/a", "https://"]
)
def test_nobody_is_sent_to_what_is_no_address(site: Site, to: str) -> None:
    site.trick = redirecting(to)
    with pytest.raises(AddressError):
        opened(site, "/moved")


# --------------------------------------------------------------------------------------- trust, passwords
def test_a_server_is_trusted_by_an_authority_or_a_pin_and_by_nothing_else(
    certified: tuple[Path, Path],
) -> None:
    both, ca = certified
    with serving(Site({"/a": DATA}), tls=both) as site:
        with pytest.raises(UntrustedError, match="not trusted") as caught:
            opened(site)
        fingerprint = caught.value.shown.fingerprint
        assert len(fingerprint) == 64
        assert f"--pin {fingerprint}" in caught.value.remedy
        assert "connection add NAME --platform package" in caught.value.remedy
        assert site.asked == []
        assert opened(site, access=Access(address=site.url, authorities=str(ca))).size == len(DATA)
        assert opened(site, access=Access(address=site.url, pin=fingerprint)).size == len(DATA)
        with pytest.raises(UntrustedError, match="another certificate") as caught:
            opened(site, access=Access("depot", site.url, pin="0" * 64))
        assert caught.value.expected == "0" * 64
        assert f"connection trust depot --pin {fingerprint}" in caught.value.remedy
        with pytest.raises(UntrustedError, match="not trusted"):
            # Trust that is said of another server is none of this one.
            opened(site, access=Access(address="https://127.0.0.1:1/", pin=fingerprint))


def secure(site: Site, ca: Path, password: str = "s3cret-canary") -> Access:
    return Access("depot", site.url, "anna", lambda: password, authorities=str(ca))


def test_a_password_is_said_when_it_is_asked_for_and_to_this_server_alone(
    certified: tuple[Path, Path],
) -> None:
    both, ca = certified
    with serving(Site({"/a": DATA}, user="anna:s3cret-canary"), tls=both) as site:
        with whole(opened(site, access=secure(site, ca))) as stream:
            assert read_all(stream) == DATA
        told = [("Authorization" in each.headers) for each in site.asked]
        assert told[0] is False  # whoever does not ask is not told that there is one
        assert all(told[1:])
        with pytest.raises(LoginError, match="refuses user 'anna'") as caught:
            opened(site, access=secure(site, ca, "wrong-canary"))
        assert "canary" not in str(caught.value)
        with pytest.raises(LoginError, match="wants a user name"):
            opened(site, access=Access(address=site.url, authorities=str(ca)))


def test_a_password_is_not_carried_on_to_another_server(certified: tuple[Path, Path]) -> None:
    both, ca = certified
    with serving(Site({"/a": DATA}, user="anna:s3cret-canary"), tls=both) as other:
        with serving(Site({"/a": DATA}, user="anna:s3cret-canary"), tls=both) as site:

            def trick(handler: Handler, asked: Asked) -> bool:
                if "Authorization" not in asked.headers:
                    return False
                handler.say(302, {"Location": other.at("/a")})
                return True

            site.trick = trick
            access = secure(site, ca)
            with pytest.raises(UntrustedError):
                # Not even trust: the authority was named for the first server.
                opened(site, access=access)
            assert other.asked == []


def test_a_password_is_never_sent_without_tls(site: Site) -> None:
    site.user = "anna:s3cret-canary"
    with pytest.raises(LoginError, match="not sent without TLS"):
        opened(site, access=Access("depot", site.url, "anna", lambda: "s3cret-canary"))
    assert all("Authorization" not in each.headers for each in site.asked)


def test_a_proxy_of_the_environment_is_used_and_told_the_whole_address(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", site.url.replace("http://", "http://who:word@"))

    def trick(handler: Handler, asked: Asked) -> bool:
        assert handler.path == "http://depot.example.org/a"
        assert asked.headers["Proxy-Authorization"].startswith("Basic ")
        return False

    site.trick = trick
    assert WebFile(Web(Access()), "http://depot.example.org/a").size == len(DATA)


def test_a_proxy_of_the_connection_goes_before_that_of_the_environment(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    depot = "http://depot.example.org/"
    book = [Connection("depot", "package", depot, settings={"proxy": site.url})]
    found = covering(book, f"{depot}a")
    assert found is not None
    access = access_of(found, lambda: "")
    assert WebFile(Web(access), f"{depot}a").size == len(DATA)
    for wrong in ("http://anna:s3cret-canary@proxy:3128", "proxy:3128", "socks5://proxy"):
        with pytest.raises(ConnectionBookError, match="the proxy is no") as caught:
            access_of(Connection("depot", "package", depot, settings={"proxy": wrong}), lambda: "")
        assert "canary" not in str(caught.value)


class _Tunnel(socketserver.StreamRequestHandler):
    """A proxy that connects through, as CONNECT asks (RFC 9110 9.3.6)."""

    asked: ClassVar[list[str]] = []

    def handle(self) -> None:
        words = self.rfile.readline().decode().split()
        while self.rfile.readline().strip():
            continue
        self.asked.append(" ".join(words[:2]))
        host, _, port = words[1].rpartition(":")
        with socket.create_connection((host, int(port))) as there:
            self.wfile.write(b"HTTP/1.1 200 Connected\r\n\r\n")
            back = threading.Thread(target=self._pump, args=(there, self.connection), daemon=True)
            back.start()
            self._pump(self.connection, there)
            back.join()

    @staticmethod
    def _pump(one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(1 << 16):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)


def test_tls_goes_through_a_proxy_to_the_server_that_is_pinned_and_no_other(
    certified: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    both, _ = certified
    shown = both.read_text()
    first = shown[shown.index("-----BEGIN CERTIFICATE") :].partition("-----END CERTIFICATE-----")
    own = ssl.PEM_cert_to_DER_cert(first[0] + first[1])
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Tunnel) as proxy:
        proxy.daemon_threads = True
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.server_address[1]}")
        with serving(Site({"/a": DATA}), tls=both) as site:
            pin = hashlib.sha256(own).hexdigest()
            with whole(opened(site, access=Access(address=site.url, pin=pin))) as stream:
                assert read_all(stream) == DATA
            assert _Tunnel.asked[0] == f"CONNECT {site.url.removeprefix('https://')}"
            with pytest.raises(UntrustedError, match="another certificate"):
                opened(site, access=Access("depot", site.url, pin="0" * 64))
            with pytest.raises(UntrustedError, match="not trusted") as caught:
                opened(site)
            assert "--pin FINGERPRINT" in caught.value.remedy
        proxy.shutdown()


# --------------------------------------------------------------------------------------------- endings
def after(met: threading.Event, act: Callable[[], None]) -> None:
    def wait() -> None:
        met.wait()
        act()

    threading.Thread(target=wait, daemon=True).start()


def test_cancelling_ends_what_waits_for_a_server_that_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        cancel, met = Cancel(), threading.Event()

        def accept() -> None:
            held.append(silent.accept()[0])
            met.set()

        held: list[socket.socket] = []
        threading.Thread(target=accept, daemon=True).start()
        web = Web(Access(timeout_s=60), cancel)
        after(met, cancel.cancel)
        with pytest.raises(CancelledError):
            WebFile(web, f"http://127.0.0.1:{silent.getsockname()[1]}/a")
        held[0].close()


def test_closing_a_stream_ends_what_waits_on_it(site: Site) -> None:
    file, met, go = opened(site), threading.Event(), threading.Event()

    def trick(handler: Handler, asked: Asked) -> bool:
        met.set()
        go.wait(30)
        return True

    site.trick = trick
    stream = whole(file)
    after(met, stream.close)
    try:
        with pytest.raises(CancelledError):
            stream.pread(100_000, bytearray(1 << 19))
    finally:
        go.set()


def test_a_server_that_stops_taking_part_is_waited_for_so_long_and_no_longer(site: Site) -> None:
    file = opened(site, access=Access(timeout_s=0.05))
    go = threading.Event()
    site.trick = lambda handler, asked: go.wait(30)
    try:
        with whole(file) as stream, pytest.raises(UnreachableError, match="does not answer"):
            stream.pread(100_000, bytearray(10))
    finally:
        go.set()


def test_a_server_that_is_slow_and_steady_is_waited_for(site: Site) -> None:
    """Longer than any one wait may be, because it goes on."""
    file = opened(site, access=Access(timeout_s=0.4))
    never = threading.Event()

    def drip(handler: Handler, asked: Asked) -> bool:
        start, end = map(int, asked.range.removeprefix("bytes=").split("-"))
        data = DATA[start : end + 1]
        handler.send_response(206)
        handler.send_header("ETag", handler._tag(DATA))
        handler.send_header("Content-Range", f"bytes {start}-{end}/{len(DATA)}")
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        for at in range(0, len(data), 10_000):
            never.wait(0.1)
            handler.wfile.write(data[at : at + 10_000])
        return True

    site.trick = drip
    with whole(file, offset=100_000, length=100_000) as stream:
        assert read_all(stream) == DATA[100_000:200_000]
    assert len(site.asked) == 2


def test_nobody_there_and_no_such_name_are_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with pytest.raises(UnreachableError, match="nothing listens"):
        WebFile(Web(Access()), f"http://127.0.0.1:{port}/a")
    with pytest.raises(UnreachableError, match="name of the server is not known"):
        WebFile(Web(Access()), "http://nobody.invalid/a")


# -------------------------------------------------------------------------------------------- addresses
@pytest.mark.parametrize(
    "text",
    ["https://", "http:///a", "https://h:x/a", "https://h/a b", "https://h/\x1b", "ftp://h/a"],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(AddressError, match="no address"):
        parse(text)


@pytest.mark.parametrize(
    "text", ["https://anna:s3cret-canary@h/a", "https://anna@h/a", "http://:s3cret-canary@h/a"]
)
def test_a_password_in_an_address_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(AddressError, match="user name or a password stands") as caught:
        parse(text)
    assert "canary" not in str(caught.value)
    assert "kensho connection add" in caught.value.remedy


def test_addresses_as_people_are_told_them() -> None:
    assert parse("HTTPS://Host/a.ova?key=1#part") == "https://Host/a.ova?key=1"
    assert shown("https://h/a.ova?sig=secret") == "https://h/a.ova"
    assert (is_url("https://x"), is_url("/a/https://x"), is_url("a.ova")) == (True, False, False)


@pytest.mark.parametrize(
    "name", ["d 1.vmdk", "d?x=1.vmdk", "d#2.vmdk", "d%2e.vmdk", "ä.vmdk", "d&amp;.vmdk"]
)
def test_a_name_stays_a_name_beside_an_address(name: str) -> None:
    from urllib.parse import unquote, urlsplit

    made = beside("https://h/x/a.ovf?key=1", name)
    parts = urlsplit(made)
    assert (unquote(parts.path), parts.query, parts.fragment) == (f"/x/{name}", "", "")


def test_a_connection_covers_its_own_folder_on_its_own_server() -> None:
    yes = ["https://h/d/a.ova", "https://H:443/d/x/a.ova", "https://h/d"]
    no = ["http://h/d/a.ova", "https://h:8443/d/a.ova", "https://h.evil/d/a.ova", "https://h/da.ova",
          "https://h/d/../a.ova", "https://h/d/%2e%2e/a.ova", "/d/a.ova"]  # fmt: skip
    assert [covers("https://h/d", each) for each in [*yes, *no]] == [True] * 3 + [False] * 7
