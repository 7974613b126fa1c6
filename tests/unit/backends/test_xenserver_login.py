"""Whom the XenServer back end talks to, and how it comes in and stays in."""

import socket
import threading
from pathlib import Path

import pytest

from backends.base import (
    AuthenticationError,
    ConnectError,
    Consistency,
    Kind,
    RefusedError,
    TrustError,
)
from backends.xenserver import PLATFORM
from backends.xenserver.address import Address
from backends.xenserver.settings import XenServerSettings
from backends.xenserver.trust import Trust
from kensho_tui.cancel import Cancel, CancelledError
from kensho_tui.connections import Connection
from tests.contract.xenserver import Password, XenBench

ALL = frozenset(Kind)


class Nobody:
    """Secrets that must not be needed."""

    def password(self, connection: Connection) -> str:
        """Fails the test."""
        raise AssertionError("the password was asked for")

    def secret(self, name: str) -> str:
        """Fails the test."""
        raise AssertionError("a secret was asked for")


def test_an_unknown_certificate_is_shown_before_a_password_is_asked_for(xen: XenBench) -> None:
    with pytest.raises(TrustError) as caught:
        PLATFORM.connect(xen.connection(pin=""), Nobody(), Cancel())
    assert caught.value.presented == xen.lab.pin
    assert caught.value.expected == ""
    assert caught.value.issuer
    assert caught.value.not_after.endswith("+00:00")
    assert f"--pin {xen.lab.pin}" in caught.value.remedy


def test_a_changed_certificate_is_told_with_both_fingerprints(xen: XenBench) -> None:
    old = xen.lab.pin
    session = xen.session()
    new = xen.lab.new_certificate()
    with pytest.raises(TrustError) as caught:
        PLATFORM.connect(xen.connection(pin=old), Nobody(), Cancel())
    assert (caught.value.expected, caught.value.presented) == (old, new)
    assert old in str(caught.value)
    assert new in str(caught.value)
    # The line that stands is still the server that was trusted when it was opened.
    assert session.inventory(ALL).items


def test_disks_do_not_go_to_a_server_whose_certificate_has_changed(xen: XenBench) -> None:
    session = xen.session()
    source = xen.captured()
    capture = session.capture(source.refs, Consistency.OFF, "kensho:j:c")
    disk = next(iter(source.contents))
    xen.lab.new_certificate()
    with pytest.raises(TrustError):
        capture.open(disk, capture.offers(disk)[0])


def test_without_a_pin_the_systems_authorities_decide(
    xen: XenBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(xen.lab.state / "host.pem"))
    session = PLATFORM.connect(xen.connection(pin=""), xen.secrets(), Cancel())
    assert session.inventory(ALL).items
    session.close()


def test_a_wrong_password_is_told_without_repeating_it(xen: XenBench) -> None:
    with pytest.raises(AuthenticationError) as caught:
        PLATFORM.connect(xen.connection(), Password("hunter2"), Cancel())
    assert "hunter2" not in repr(caught.value.__dict__)
    assert "hunter2" not in str(caught.value)


def test_a_slave_sends_us_to_its_master(xen: XenBench) -> None:
    session = PLATFORM.connect(xen.connection(address=xen.lab.second_url), xen.secrets(), Cancel())
    assert session.inventory(ALL).items
    session.close()


def test_members_that_each_name_another_master_are_told(xen: XenBench) -> None:
    with xen.modes(slave=True), pytest.raises(ConnectError, match="another master"):
        PLATFORM.connect(xen.connection(), xen.secrets(), Cancel())


def test_a_session_that_expires_again_and_again_is_not_noticed(xen: XenBench) -> None:
    session = xen.session()
    expected = session.inventory(ALL)
    xen.lab.control.clear_calls()
    with xen.modes(expire_after=3):
        assert session.inventory(ALL) == expected
    assert xen.lab.control.calls.count("session.login_with_password") > 1


def test_disks_are_opened_though_the_session_has_expired(xen: XenBench) -> None:
    session = xen.session()
    source = xen.captured()
    capture = session.capture(source.refs, Consistency.OFF, "kensho:j:c")
    disk = next(iter(source.contents))
    with xen.modes(expire_after=1):
        reader = capture.open(disk, capture.offers(disk)[1])
    buffer = bytearray(1 << 20)
    got = bytearray()
    while count := reader.readinto(buffer):
        got += buffer[:count]
    reader.verify()
    reader.close()
    assert got == source.contents[disk]


def test_where_nothing_listens_is_told_in_a_sentence(xen: XenBench) -> None:
    connection = xen.connection()
    xen.lab.stop()
    with pytest.raises(ConnectError, match="nothing listens") as caught:
        PLATFORM.connect(connection, Nobody(), Cancel())
    assert caught.value.retryable


def test_what_is_no_xenserver_is_told(tmp_path: Path, xen: XenBench) -> None:
    with pytest.raises(RefusedError, match="not sent without TLS"):
        PLATFORM.connect(xen.connection(address=xen.lab.plain_url), Nobody(), Cancel())


def test_a_cancelled_job_cannot_log_in(xen: XenBench) -> None:
    cancel = Cancel()
    cancel.cancel()
    with pytest.raises(CancelledError):
        PLATFORM.connect(xen.connection(), Nobody(), cancel)


def test_a_server_that_comes_back_is_talked_to_again(xen: XenBench) -> None:
    session = xen.session()
    first = session.inventory(frozenset({Kind.NETWORK}))
    xen.lab.stop()
    with pytest.raises(ConnectError):
        session.inventory(ALL)
    xen.lab.start()
    assert session.inventory(frozenset({Kind.NETWORK})) == first


def test_a_pool_members_certificate_is_trusted_once_the_pool_has_told_it(xen: XenBench) -> None:
    address = Address.parse(xen.lab.second_url)
    trust = Trust("ab" * 32, verify_hostname=True)
    with pytest.raises(TrustError):
        trust.open(address, 10)
    trust.learn(frozenset({xen.lab.pin}))
    trust.open(address, 10).close()


def test_a_job_cancelled_while_it_waits_for_a_silent_server_ends() -> None:
    cancel = Cancel()
    ended: list[BaseException] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        connection = Connection("x", "xenserver", f"127.0.0.1:{port}", pin="ab" * 32)

        def run() -> None:
            try:
                PLATFORM.connect(connection, Nobody(), cancel)
            except BaseException as error:  # noqa: BLE001  # the test wants to see which
                ended.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        taken, _ = silent.accept()
        cancel.cancel()
        thread.join(20)
        assert not thread.is_alive()
        taken.close()
    assert [type(each) for each in ended] == [CancelledError]


def test_a_session_that_is_closed_ends_what_another_thread_waits_for(xen: XenBench) -> None:
    session = xen.session()
    ended: list[BaseException] = []
    waiting = threading.Event()

    def run() -> None:
        waiting.set()
        try:
            session._api.call("event.from", ["pool"], "", 30.0)
            session._api.call("event.from", ["nothing"], "", 30.0)
        except BaseException as error:  # noqa: BLE001  # the test wants to see which
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    waiting.wait()
    session.close()
    thread.join(20)
    assert not thread.is_alive()
    assert [type(each) for each in ended] == [ConnectError]


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("xen1", "xen1", 443),
        ("xen1:8443", "xen1", 8443),
        ("https://xen1.example.org/", "xen1.example.org", 443),
        ("2001:db8::1", "2001:db8::1", 443),
        ("[2001:db8::1]:8443", "2001:db8::1", 8443),
        (" 10.0.0.1 ", "10.0.0.1", 443),
    ],
)
def test_addresses_are_read_as_people_write_them(text: str, host: str, port: int) -> None:
    assert Address.parse(text) == Address(host, port)


@pytest.mark.parametrize(
    "text",
    ["", "http://xen1", "https://", "xen1:http", "root@xen1", "https://xen1/path", "xen1:99999"],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(RefusedError):
        Address.parse(text)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [({"timeout_s": "0"}, "timeout_s"), ({"pins": "12"}, "64 hex"), ({"colour": "red"}, "colour")],
)
def test_a_setting_that_is_not_right_is_told_by_name(
    xen: XenBench, settings: dict[str, str], reason: str
) -> None:
    with pytest.raises(ConnectError, match=reason):
        PLATFORM.connect(xen.connection(settings=settings), Nobody(), Cancel())


def test_pins_of_pool_members_are_one_spelling() -> None:
    spelled = f"{':'.join(['AB'] * 32)}, {'cd' * 32}"
    assert XenServerSettings(pins=spelled).member_pins == {"ab" * 32, "cd" * 32}
