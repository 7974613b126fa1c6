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


class UnpackedInput:
    """The unpacked bytes of a stream that is compressed as a whole, as a FORWARD `InputStream`.

    What kind of compression, a class below says. Never more is unpacked than was asked for.

    Args:
        base: the compressed bytes, read forward; this stream owns it.
        subject: how the operator knows the member.
    """

    length: int | None = None  # such a file does not tell reliably
    allocated: ExtentMap | None = None

    def __init__(self, base: InputStream, subject: str) -> None:
        self._base = base
        self._subject = subject
        self._input = bytearray(_CHUNK)
        self._taken = self._given = 0  # bytes

    def unpack(self, most: int) -> bytes:
        """The next bytes, at most so many; b"" at the end. Raises: PackageError."""
        raise NotImplementedError

    def readinto(self, buffer: WritableBuffer, /) -> int:
        """Read forward; bytes read, 0 at the end. One thread.

        Raises: PackageError: damaged, or it ends in the middle. BoundsError: it unpacks too far.
        """
        view = memoryview(buffer)
        data = self.unpack(len(view)) if len(view) else b""
        if data:
            self._given += len(data)
            expect_ratio(self._taken, self._given)
            view[: len(data)] = data
        return len(data)

    def more(self) -> bytes:
        """The next compressed bytes; b"" at the end."""
        count = self._base.readinto(self._input)
        self._taken += count
        return bytes(memoryview(self._input)[:count])

    def damaged(self, what: str) -> PackageError:
        """The error of data that cannot be unpacked."""
        return PackageError(
            f"the compressed data is damaged ({what})",
            subject=self._subject,
            remedy="Get the package again",
        )

    def pread(self, offset: int, buffer: WritableBuffer, /) -> int:
        """Not possible. Raises: PackageError."""
        raise PackageError("compressed data can be read forward only", subject=self._subject)

    def close(self) -> None:
        """Give up or be done; from any thread, twice is once."""
        self._base.close()


class GzipInput(UnpackedInput):
    """The inflated bytes of a gzip file (RFC 1952)."""

    def __init__(self, base: InputStream, subject: str) -> None:
        super().__init__(base, subject)
        self._inflate = isal_zlib.decompressobj(wbits=_GZIP)
        self._pending = b""

    def unpack(self, most: int) -> bytes:
        """As `UnpackedInput.unpack`."""
        while True:
            if not self._pending and not (data := self.more()):
                if self._inflate.eof:
                    return b""
                raise self.damaged("it ends too early")
            self._pending = self._pending or data
            if self._inflate.eof:
                # Another gzip file after the first, as gzip itself appends them.
                self._inflate = isal_zlib.decompressobj(wbits=_GZIP)
            try:
                found = bytes(self._inflate.decompress(self._pending, most))
            except _DAMAGED as error:
                raise self.damaged(str(error)) from error
            self._pending = (
                self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
            )
            if found:
                return found
