"""A member that is compressed as a whole (``ovf:compression="gzip"``), read forward."""

from typing import cast

from isal import isal_zlib
from isal.igzip_lib import IsalError

from kensho_tui.disks.bounds import expect_ratio
from kensho_tui.disks.image import ExtentMap, InputStream, WritableBuffer
from kensho_tui.ovf.errors import PackageError

_CHUNK = 1 << 18
_DAMAGED = cast("type[Exception]", IsalError)  # its stub calls it an instance
_GZIP = 31  # window bits: a gzip header and trailer


class GzipInput:
    """The inflated bytes of a gzip file as a FORWARD `InputStream`; never more than was asked for.

    Args:
        base: the compressed bytes, read forward; this stream owns it.
        subject: how the operator knows the member.
    """

    def __init__(self, base: InputStream, subject: str) -> None:
        self._base = base
        self._subject = subject
        self._inflate = isal_zlib.decompressobj(wbits=_GZIP)
        self._input = bytearray(_CHUNK)
        self._pending = b""
        self._taken = self._given = 0  # bytes

    @property
    def length(self) -> int | None:
        """None: a gzip file does not tell reliably."""
        return None

    @property
    def allocated(self) -> ExtentMap | None:
        """None."""
        return None

    def readinto(self, buffer: WritableBuffer, /) -> int:
        """Read forward; bytes read, 0 at the end. One thread.

        Raises: PackageError: damaged, or it ends in the middle. BoundsError: it inflates too far.
        """
        view = memoryview(buffer)
        while len(view):
            if not self._pending and not self._refill():
                return 0
            if self._inflate.eof:
                # Another gzip file after the first, as gzip itself appends them.
                self._inflate = isal_zlib.decompressobj(wbits=_GZIP)
            try:
                data = self._inflate.decompress(self._pending, len(view))
            except _DAMAGED as error:
                raise PackageError(
                    f"the compressed data is damaged ({error})",
                    subject=self._subject,
                    remedy="Get the package again",
                ) from error
            self._pending = (
                self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
            )
            if data:
                self._given += len(data)
                expect_ratio(self._taken, self._given)
                view[: len(data)] = data
                return len(data)
        return 0

    def _refill(self) -> bool:
        count = self._base.readinto(self._input)
        self._taken += count
        self._pending = bytes(memoryview(self._input)[:count])
        if not count and not self._inflate.eof:
            raise PackageError(
                "the compressed data ends too early",
                subject=self._subject,
                remedy="Get the package again",
            )
        return count > 0

    def pread(self, offset: int, buffer: WritableBuffer, /) -> int:
        """Not possible. Raises: PackageError."""
        raise PackageError("compressed data can be read forward only", subject=self._subject)

    def close(self) -> None:
        """Give up or be done; from any thread, twice is once."""
        self._base.close()
