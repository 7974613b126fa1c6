"""What libvirt says, in the exceptions of the contract."""

import errno

import pytest

from backends.base import (
    AccessDeniedError,
    AuthenticationError,
    BackendError,
    ConnectError,
    NameTakenError,
    NoSpaceError,
    NotFoundError,
    RefusedError,
    UnsupportedError,
)
from backends.kvm.failures import told


class Said:
    """As ``libvirt.libvirtError`` gives it."""

    def __init__(self, number: int | None, message: str = "why", int1: int = 0) -> None:
        self.get_error_code = lambda: number
        self.get_error_message = lambda: message
        self.get_int1 = lambda: int1


@pytest.mark.parametrize(
    ("said", "opening", "expected"),
    [
        (Said(42), False, NotFoundError),
        (Said(50), False, NotFoundError),
        (Said(20), False, NameTakenError),
        (Said(45), True, AuthenticationError),
        (Said(29), False, AccessDeniedError),
        (Said(67), False, UnsupportedError),
        (Said(38, int1=errno.ENOSPC), False, NoSpaceError),
        (Said(38, int1=errno.EACCES), True, AccessDeniedError),
        (Said(38, int1=errno.ECONNREFUSED), True, ConnectError),
        (Said(38, int1=errno.EIO), False, RefusedError),
        (Said(1, "qemu-img: No space left on device"), False, NoSpaceError),
        (Said(39), False, ConnectError),
        (Said(1, "internal error: client socket is closed"), False, ConnectError),
        (Said(None), False, RefusedError),
        (Said(None), True, ConnectError),
    ],
)
def test_each_has_its_kind(said: Said, opening: bool, expected: type[BackendError]) -> None:
    error = told(said, "web01", opening=opening)
    assert type(error) is expected
    assert error.subject == "web01"
    assert error.retryable is (expected is ConnectError)


def test_what_the_server_says_forges_no_line() -> None:
    assert "\n" not in told(Said(1, "one\ntwo\x1b[2J")).what
