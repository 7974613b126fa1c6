"""Addresses of libvirt, and what is said where its library is not here."""

import sys

import pytest

from backends.base import RefusedError, UnsupportedError
from backends.kvm import PLATFORM
from backends.kvm.address import uri
from backends.kvm.settings import KvmSettings
from kensho_tui.cancel import Cancel
from kensho_tui.connections import Connection
from tests.contract.xenserver import Password


@pytest.mark.parametrize(
    ("address", "username", "expected"),
    [
        ("", "", "qemu:///system"),
        ("localhost", "", "qemu:///system"),
        ("/run/own/libvirt-sock", "", "qemu+unix:///system?socket=/run/own/libvirt-sock"),
        ("kvm1.example.org", "", "qemu+ssh://kvm1.example.org/system?no_tty=1"),
        ("kvm1:2222", "root", "qemu+ssh://root@kvm1:2222/system?no_tty=1"),
        ("qemu+ssh://kvm1/system?keyfile=/k", "", "qemu+ssh://kvm1/system?keyfile=/k&no_tty=1"),
        ("qemu+tls://kvm1/system", "", "qemu+tls://kvm1/system"),
        ("qemu:///session", "", "qemu:///session"),
    ],
)
def test_an_address_becomes_a_uri(address: str, username: str, expected: str) -> None:
    assert uri(address, username) == expected


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(RefusedError) as caught:
        uri("qemu+ssh://root:geheim@kvm1/system")
    assert "geheim" not in str(caught.value)


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(RefusedError):
        uri("qemu://[::1/system")


def test_without_the_library_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "libvirt", None)
    with pytest.raises(UnsupportedError) as caught:
        PLATFORM.connect(Connection("kvm1", "kvm", ""), Password(""), Cancel())
    assert "pip install kensho-tui[kvm]" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_setting_is_named() -> None:
    with pytest.raises(RefusedError, match="disk_format"):
        KvmSettings.of("kvm1", {"disk_format": "vmdk"})
