"""What libvirt says went wrong, in the exceptions of the contract."""

import errno
from typing import Any

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
from kensho_tui.text import one_line

# virErrorNumber (libvirt/virterror.h) by its number: the names of new ones are not everywhere.
_BY_NUMBER: dict[int, type[BackendError]] = {
    3: UnsupportedError,  # NO_SUPPORT
    5: ConnectError,  # NO_CONNECT
    6: ConnectError,  # INVALID_CONN
    20: NameTakenError,  # DOM_EXIST
    29: AccessDeniedError,  # OPERATION_DENIED
    42: NotFoundError,  # NO_DOMAIN
    43: NotFoundError,  # NO_NETWORK
    45: AuthenticationError,  # AUTH_FAILED
    49: NotFoundError,  # NO_STORAGE_POOL
    50: NotFoundError,  # NO_STORAGE_VOL
    67: UnsupportedError,  # CONFIG_UNSUPPORTED
    79: AuthenticationError,  # AUTH_CANCELLED
    88: AccessDeniedError,  # ACCESS_DENIED
    90: NameTakenError,  # STORAGE_VOL_EXIST
}
_BY_ERRNO: dict[int, type[BackendError]] = {
    errno.ENOSPC: NoSpaceError,
    errno.EDQUOT: NoSpaceError,
    errno.EACCES: AccessDeniedError,
    errno.EPERM: AccessDeniedError,
    errno.EROFS: AccessDeniedError,
}
_SYSTEM_ERROR, _RPC = 38, 39
# What a broken connection says of itself, as an internal error.
_BROKEN = ("socket is closed", "connection closed due to keepalive", "client socket is closing")
_REMEDIES: dict[type[BackendError], str] = {
    NoSpaceError: "Choose another storage pool, or make room on this one",
    AuthenticationError: "Check the user name and the password",
    AccessDeniedError: "Use an account that may manage libvirt (on most hosts: the group libvirt)",
    ConnectError: "Check the address, and that libvirtd runs there",
}


def told(error: Any, subject: str = "", *, opening: bool = False) -> BackendError:
    """The error of a call.

    Args:
        error: a ``libvirt.libvirtError``.
        opening: whether it came while connecting, when whatever it is, there is no connection.
    """
    number = int(error.get_error_code() or 0)
    message = one_line(str(error.get_error_message() or error), limit=400)
    kind = _BY_NUMBER.get(number)
    if number == _SYSTEM_ERROR:
        kind = _BY_ERRNO.get(int(error.get_int1() or 0))
        if kind is None and opening:
            kind = ConnectError
    elif number == _RPC or any(each in message for each in _BROKEN):
        kind = ConnectError
    elif "No space left on device" in message:
        kind = NoSpaceError
    if opening and (kind is None or kind in {NotFoundError, NameTakenError}):
        kind = ConnectError
    kind = kind or RefusedError
    return kind(
        message,
        subject=subject,
        remedy=_REMEDIES.get(kind, ""),
        retryable=kind is ConnectError,
    )
