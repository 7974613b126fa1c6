"""What is compressed by xz as a whole, read forward, and how long it is when it is unpacked."""

import lzma
from collections.abc import Iterator

from kensho_tui.disks.bounds import expect_ratio
from kensho_tui.disks.image import ExtentMap, InputStream, WritableBuffer
from kensho_tui.ovf.errors import PackageError

_CHUNK = 1 << 18
_MEMORY = 192 << 20  # xz -9 needs 65 MiB; what asks for more is made to
_FOOTER = 12
_INDEX = 16 << 20  # a record of some bytes for each block of megabytes


class XzInput:
    """The unpacked bytes of an .xz file as a FORWARD `InputStream`; never more than was asked for.

    Args:
        base: the compressed bytes, read forward; this stream owns it.
        subject: how the operator knows the file.
    """

    def __init__(self, base: InputStream, subject: str) -> None:
        self._base = base
        self._subject = subject
        self._stream = self._new()
        self._input = bytearray(_CHUNK)
        self._taken = self._given = 0  # bytes

    @staticmethod
    def _new() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY)

    @property
    def length(self) -> int | None:
        """None."""
        return None

    @property
    def allocated(self) -> ExtentMap | None:
        """None."""
        return None

    def readinto(self, buffer: WritableBuffer, /) -> int:
        """Read forward; bytes read, 0 at the end. One thread.

        Raises: PackageError: damaged, or it ends in the middle. BoundsError: it unpacks too far.
        """
        view = memoryview(buffer)
        while len(view):
            data = b""
            if self._stream.eof:
                data = self._stream.unused_data
                # Streams follow each other, with zeros between them (The .xz File Format, 2.2).
                while not (data := data.lstrip(b"\0")):
                    if not (data := self._more()):
                        return 0
                self._stream = self._new()
            elif self._stream.needs_input and not (data := self._more()):
                raise self._damaged("it ends too early")
            try:
                found = self._stream.decompress(data, len(view))
            except lzma.LZMAError as error:
                raise self._damaged(str(error)) from error
            if found:
                self._given += len(found)
                expect_ratio(self._taken, self._given)
                view[: len(found)] = found
                return len(found)
        return 0

    def _more(self) -> bytes:
        count = self._base.readinto(self._input)
        self._taken += count
        return bytes(memoryview(self._input)[:count])

    def _damaged(self, what: str) -> PackageError:
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


def unpacked_size(file: InputStream) -> int:
    """Bytes that the file's last stream says it unpacks to; 0 where that cannot be read.

    By its index (The .xz File Format, 4). It may lie: a hint of the room that is needed, no more.
    """
    end = file.length or 0
    footer = bytearray(_FOOTER)
    if end < 2 * _FOOTER or file.pread(end - _FOOTER, footer) < _FOOTER or footer[10:] != b"YZ":
        return 0
    size = (int.from_bytes(footer[4:8], "little") + 1) * 4
    if size > min(_INDEX, end - 2 * _FOOTER):
        return 0
    index = bytearray(size)
    file.pread(end - _FOOTER - size, index)
    numbers = _numbers(bytes(index[1:-4]))  # its mark before, its CRC behind
    count = next(numbers, 0)
    total = 0
    for _ in range(count):
        if next(numbers, None) is None:  # what the block is packed to
            break
        total += next(numbers, 0)
    return total


def _numbers(data: bytes) -> Iterator[int]:
    """Numbers in groups of seven bits, the lowest first (1.2)."""
    value = shift = 0
    for byte in data:
        value |= (byte & 0x7F) << shift
        shift += 7
        if shift > 63:
            return
        if not byte & 0x80:
            yield value
            value = shift = 0
