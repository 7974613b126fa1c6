"""What `kensho_tui.ovf` and the file system say, in the exceptions of the contract."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from backends.base import (
    AccessDeniedError,
    AuthenticationError,
    BackendError,
    ConnectError,
    DamagedError,
    NoSpaceError,
    NotFoundError,
    RefusedError,
    TransferError,
    TrustError,
)
from kensho_tui.cancel import Cancel, CancelledError
from kensho_tui.disks.files import FileError
from kensho_tui.disks.image import ImageError
from kensho_tui.ovf.errors import OvfError
from kensho_tui.web import errors as web

_BY_NUMBER: dict[int, type[BackendError]] = {
    errno.ENOSPC: NoSpaceError,
    errno.EDQUOT: NoSpaceError,
    errno.EFBIG: NoSpaceError,
    errno.EACCES: AccessDeniedError,
    errno.EPERM: AccessDeniedError,
    errno.EROFS: AccessDeniedError,
    errno.ENOENT: NotFoundError,
    errno.ENOTDIR: NotFoundError,
}

_BY_KIND: dict[type[web.WebError], type[BackendError]] = {
    web.AddressError: RefusedError,
    web.AbsentError: NotFoundError,
    web.LoginError: AuthenticationError,
    web.DeniedError: AccessDeniedError,
    web.ChangedError: DamagedError,
}


def _of_web(error: web.WebError) -> BackendError:
    """What a web server says, in the exceptions of the contract."""
    if isinstance(error, web.UntrustedError):
        return TrustError(
            error.what,
            presented=error.shown.fingerprint,
            expected=error.expected,
            issuer=error.shown.issuer,
            not_before=error.shown.not_before,
            not_after=error.shown.not_after,
            subject=error.subject,
            remedy=error.remedy,
        )
    if isinstance(error, web.UnreachableError):
        return ConnectError(error.what, subject=error.subject, remedy=error.remedy, retryable=True)
    kind = _BY_KIND.get(type(error), TransferError)
    return kind(error.what, subject=error.subject, remedy=error.remedy)


@contextmanager
def speaking(cancel: Cancel | None = None) -> Iterator[None]:
    """Raise what the contract allows: packages that are not right are damaged, files by their errno.

    With ``cancel``: what fails after cancellation is `CancelledError`.
    """
    try:
        yield
    except FileError as error:
        if cancel is not None and cancel.cancelled:
            raise CancelledError from error
        kind = _BY_NUMBER.get(error.errno or 0, TransferError)
        raise kind(error.what, subject=error.subject, remedy=error.remedy) from error
    except web.WebError as error:
        if cancel is not None and cancel.cancelled:
            raise CancelledError from error
        raise _of_web(error) from error
    except (OvfError, ImageError) as error:
        if cancel is not None and cancel.cancelled:
            raise CancelledError from error
        raise DamagedError(error.what, subject=error.subject, remedy=error.remedy) from error
