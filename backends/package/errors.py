"""What `kensho_tui.ovf` and the file system say, in the exceptions of the contract."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from backends.base import (
    AccessDeniedError,
    BackendError,
    DamagedError,
    NoSpaceError,
    NotFoundError,
    TransferError,
)
from kensho_tui.cancel import Cancel, CancelledError
from kensho_tui.disks.files import FileError
from kensho_tui.disks.image import ImageError
from kensho_tui.ovf.errors import OvfError

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
    except (OvfError, ImageError) as error:
        if cancel is not None and cancel.cancelled:
            raise CancelledError from error
        raise DamagedError(error.what, subject=error.subject, remedy=error.remedy) from error
