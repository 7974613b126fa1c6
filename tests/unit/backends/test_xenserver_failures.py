"""Every code of the server's becomes an exception of the contract, in words."""

import pytest

from backends.base import (
    AccessDeniedError,
    AuthenticationError,
    BackendError,
    ConnectError,
    NoSpaceError,
    NotFoundError,
    RefusedError,
    TransferError,
    UnsupportedError,
)
from backends.xenserver.failures import explain


@pytest.mark.parametrize(
    ("details", "error", "words"),
    [
        (["SESSION_AUTHENTICATION_FAILED", "root", "no"], AuthenticationError, "refuses"),
        (["RBAC_PERMISSION_DENIED", "vm.create", ""], AccessDeniedError, "vm.create"),
        (["UUID_INVALID", "VM", "1234"], NotFoundError, "no VM 1234"),
        (["HANDLE_INVALID", "VDI", "OpaqueRef:1"], NotFoundError, "VDI"),
        (["SR_FULL", "1", "0"], NoSpaceError, "full"),
        (["SR_BACKEND_FAILURE_44", "", "not enough space", ""], NoSpaceError, "full"),
        (["SR_BACKEND_FAILURE_78", "", "VDI Creation failed", ""], RefusedError, "VDI Creation"),
        (["INTERNAL_ERROR", "Unix.Unix_error(ENOSPC, write)"], NoSpaceError, "full"),
        (["INTERNAL_ERROR", "boom"], TransferError, "boom"),
        (["VDI_IN_USE", "OpaqueRef:1", "destroy"], RefusedError, "in use"),
        (["HOST_NOT_ENOUGH_PCPUS", "8", "4"], RefusedError, "8 processors and the host only 4"),
        (["VM_BAD_POWER_STATE", "r", "Halted", "Running"], RefusedError, "is Running"),
        (["MESSAGE_METHOD_UNKNOWN", "VM.fly"], UnsupportedError, "VM.fly"),
        (["HOST_OFFLINE", "h"], ConnectError, "offline"),
        (["SOMETHING_NEW", "a", "b"], RefusedError, "SOMETHING_NEW: a, b"),
        ([], RefusedError, "UNKNOWN"),
        (["UUID_INVALID"], NotFoundError, "no"),
    ],
)
def test_a_failure_is_a_sentence(details: list[str], error: type[BackendError], words: str) -> None:
    told = explain(details, "db01")
    assert type(told) is error
    assert words in told.what
    assert str(told).startswith("db01: ")
    assert not told.what.endswith(".")


def test_what_passes_by_itself_is_marked() -> None:
    assert explain(["VDI_IN_USE"]).retryable
    assert not explain(["SR_FULL"]).retryable


def test_the_servers_text_is_made_fit_for_a_terminal() -> None:
    assert "\x1b" not in str(explain(["INTERNAL_ERROR", "a\x1b[2Jb\nc"]))
