"""What is compressed by xz as a whole, read forward, and how long it is when it is unpacked."""

import lzma
from collections.abc import Iterator

from kensho_tui.disks.image import InputStream
from kensho_tui.ovf.inflate import UnpackedInput

_MEMORY = 192 << 20  # xz -9 needs 65 MiB; what asks for more is made to
_FOOTER = 12
_INDEX = 16 << 20  # a record of some bytes for each block of megabytes


class XzInput(UnpackedInput):
    """The unpacked bytes of an .xz file."""

    def __init__(self, base: InputStream, subject: str) -> None:
        super().__init__(base, subject)
        self._stream = self._new()

    @staticmethod
    def _new() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY)

    def unpack(self, most: int) -> bytes:
        """As `UnpackedInput.unpack`."""
        while True:
            data = b""
            if self._stream.eof:
                data = self._stream.unused_data
                # Streams follow each other, with zeros between them (The .xz File Format, 2.2).
                while not (data := data.lstrip(b"\0")):
                    if not (data := self.more()):
                        return b""
                self._stream = self._new()
            elif self._stream.needs_input and not (data := self.more()):
                raise self.damaged("it ends too early")
            try:
                found = self._stream.decompress(data, most)
            except lzma.LZMAError as error:
                raise self.damaged(str(error)) from error
            if found:
                return found


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
