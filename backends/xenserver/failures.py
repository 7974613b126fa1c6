"""XenAPI's error codes in the operator's words.

Every failure is a list: a code, then strings (xapi: ocaml/idl/datamodel_errors). A code that is not
in the table is told as it came, so that nothing is hidden.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

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
from kensho_tui.errors import KenshoError
from kensho_tui.text import one_line


@dataclass(frozen=True, slots=True)
class _Word:
    """How one code is told; ``{1}`` is the failure's first string."""

    error: Callable[..., BackendError]
    what: str
    remedy: str = ""
    retryable: bool = False


_SHUT_DOWN = "Shut the machine down, then try again"
_LATER = "Wait until it is done, then try again"
_CHOOSE_SR = "Choose another storage, or make room on this one"

_WORDS: dict[str, _Word] = {
    "SESSION_AUTHENTICATION_FAILED": _Word(
        AuthenticationError,
        "the server refuses this user name or password",
        "Check the user name and the password of the connection",
    ),
    "SESSION_AUTHORIZATION_FAILED": _Word(
        AuthenticationError, "this user has no role on the server", "Ask its administrator for one"
    ),
    "SESSION_INVALID": _Word(
        ConnectError, "the server has ended the session", "Try again", retryable=True
    ),
    "RBAC_PERMISSION_DENIED": _Word(
        AccessDeniedError,
        "this user's role may not do {1}",
        "Use an account with the role VM admin, or pool admin",
    ),
    "PERMISSION_DENIED": _Word(AccessDeniedError, "this user may not do that: {1}"),
    "LICENSE_RESTRICTION": _Word(RefusedError, "the server's licence does not allow {1}"),
    "FEATURE_RESTRICTED": _Word(RefusedError, "the server's edition does not have {1}"),
    "UUID_INVALID": _Word(NotFoundError, "there is no {1} {2} on the server"),
    "HANDLE_INVALID": _Word(NotFoundError, "this {1} is not there any more", "Look again"),
    "OBJECT_NOLONGER_EXISTS": _Word(NotFoundError, "it is not there any more", "Look again"),
    "VDI_MISSING": _Word(NotFoundError, "the storage does not have the disk any more"),
    "SR_FULL": _Word(NoSpaceError, "the storage is full", _CHOOSE_SR),
    "SR_SOURCE_SPACE_INSUFFICIENT": _Word(NoSpaceError, "the storage is full", _CHOOSE_SR),
    "SR_NOT_ATTACHED": _Word(
        RefusedError, "the storage is detached", "Repair or attach it, then try again"
    ),
    "SR_NO_PBDS": _Word(
        RefusedError, "no host is attached to the storage", "Repair or attach it, then try again"
    ),
    "SR_OPERATION_NOT_SUPPORTED": _Word(
        UnsupportedError, "this kind of storage cannot do that", "Choose another storage"
    ),
    "VDI_IN_USE": _Word(RefusedError, "the disk is in use", _LATER, retryable=True),
    "VDI_READONLY": _Word(RefusedError, "the disk is read-only", "Choose another storage"),
    "VDI_TOO_LARGE": _Word(
        UnsupportedError, "the disk is larger than the format allows ({2} bytes)"
    ),
    "VDI_TOO_SMALL": _Word(TransferError, "the disk on the server is smaller than the image"),
    "VDI_IO_ERROR": _Word(
        TransferError,
        "the server could not read or write the disk ({1})",
        # What a connection that broke looks like to the server: it says the same of both.
        "Look at the storage, the network and the server's log, then try again",
    ),
    "VDI_NOT_AVAILABLE": _Word(RefusedError, "the disk is not available now", _LATER),
    "HOST_OFFLINE": _Word(ConnectError, "the host is offline", "Start it or choose another"),
    "HOST_STILL_BOOTING": _Word(ConnectError, "the host is still starting", _LATER, retryable=True),
    "HOST_DISABLED": _Word(RefusedError, "the host is in maintenance mode", "Choose another host"),
    "HOST_IN_EMERGENCY_MODE": _Word(
        ConnectError, "the host has lost its pool", "Repair the pool, or connect to another member"
    ),
    "CANNOT_CONTACT_HOST": _Word(ConnectError, "a host of the pool does not answer"),
    "HOST_NOT_ENOUGH_FREE_MEMORY": _Word(
        RefusedError, "no host has enough free memory", "Stop a machine, or give this one less"
    ),
    "HOST_NOT_ENOUGH_PCPUS": _Word(
        RefusedError,
        "the machine has {1} processors and the host only {2}",
        "Give the machine fewer processors",
    ),
    "NO_HOSTS_AVAILABLE": _Word(RefusedError, "no host of the pool can run the machine"),
    "VM_BAD_POWER_STATE": _Word(
        RefusedError, "the machine is {3} and would have to be {2}", _SHUT_DOWN
    ),
    "VM_MISSING_PV_DRIVERS": _Word(
        RefusedError,
        "the guest has no tools that could shut it down",
        "Allow it to be switched off",
    ),
    "VM_LACKS_FEATURE": _Word(RefusedError, "the guest's tools cannot do that"),
    "VM_FAILED_SHUTDOWN_ACKNOWLEDGMENT": _Word(
        RefusedError, "the guest does not answer", "Allow it to be switched off"
    ),
    "VM_SHUTDOWN_TIMEOUT": _Word(
        RefusedError, "the guest did not shut down in time", "Allow it to be switched off"
    ),
    "VM_IS_TEMPLATE": _Word(RefusedError, "this is a template", "Choose a machine"),
    "VM_HVM_REQUIRED": _Word(UnsupportedError, "no host can run such a machine"),
    "VM_REQUIRES_SR": _Word(RefusedError, "no host reaches all storage of the machine"),
    "VM_REQUIRES_NETWORK": _Word(RefusedError, "no host reaches all networks of the machine"),
    "OPERATION_NOT_ALLOWED": _Word(RefusedError, "the server does not allow it: {1}"),
    "OPERATION_BLOCKED": _Word(RefusedError, "someone has blocked this operation ({2})"),
    "OTHER_OPERATION_IN_PROGRESS": _Word(
        RefusedError, "the server is still busy with it ({3})", _LATER, retryable=True
    ),
    "OPERATION_PARTIALLY_FAILED": _Word(RefusedError, "{1} did not work for all machines"),
    "MAC_INVALID": _Word(RefusedError, "{1} is no MAC address"),
    "DEVICE_ALREADY_EXISTS": _Word(RefusedError, "position {1} is taken already"),
    "INVALID_DEVICE": _Word(RefusedError, "there is no free position ({1})"),
    "INVALID_VALUE": _Word(RefusedError, "the server does not take {2} for {1}"),
    "VALUE_NOT_SUPPORTED": _Word(RefusedError, "the server does not take {2} for {1}: {3}"),
    "MEMORY_CONSTRAINT_VIOLATION": _Word(RefusedError, "the server does not take this memory size"),
    "MESSAGE_METHOD_UNKNOWN": _Word(UnsupportedError, "this server does not know {1}"),
    "NOT_IMPLEMENTED": _Word(UnsupportedError, "this server cannot do {1}"),
    "UNIMPLEMENTED_IN_SM_BACKEND": _Word(UnsupportedError, "this storage cannot do that: {1}"),
    "NOT_SUPPORTED_DURING_UPGRADE": _Word(RefusedError, "the pool is being upgraded", _LATER),
    "TASK_CANCELLED": _Word(TransferError, "someone cancelled it on the server"),
    "IMPORT_ERROR_PREMATURE_EOF": _Word(TransferError, "the server saw the data end too early"),
}
# SR_BACKEND_FAILURE_<n>: 44 is "insufficient space", the others are told with their text.
_SPACE = frozenset({"SR_BACKEND_FAILURE_44"})
# Words by which storage plug-ins and xapi's internal errors tell of a full disk.
_FULL = ("ENOSPC", "No space left", "insufficient space", "SR_FULL")


def explain(details: Sequence[object], subject: str = "") -> KenshoError:
    """The exception for a XenAPI failure.

    Args:
        details: code and parameters, as ``XenAPI.Failure.details`` or a task's ``error_info``.
        subject: what the call was about, as the operator knows it.
    """
    words = [one_line(str(each), limit=300) for each in details] or ["UNKNOWN"]
    code = words[0]
    known = _WORDS.get(code)
    if known is not None:
        filled = known.what
        for n in range(1, 5):
            filled = filled.replace(f"{{{n}}}", words[n] if n < len(words) else "?")
        return known.error(filled, subject=subject, remedy=known.remedy, retryable=known.retryable)
    rest = ", ".join(word for word in words[1:] if word)
    if code in _SPACE or any(mark in rest for mark in _FULL):
        return NoSpaceError("the storage is full", subject=subject, remedy=_CHOOSE_SR)
    if code.startswith("SR_BACKEND_FAILURE"):
        return RefusedError(
            f"the storage reports an error ({rest or code})",
            subject=subject,
            remedy="Look at the storage and at the server's log",
        )
    if code == "INTERNAL_ERROR":
        return TransferError(
            f"the server failed ({rest})",
            subject=subject,
            remedy="Look at the server's log, then try again",
        )
    told = f"{code}: {rest}" if rest else code
    return RefusedError(f"the server refuses ({told})", subject=subject)
