"""Reading in exact amounts, at an offset or from a stream that goes forward only."""

from kensho_tui.disks.image import ImageError, InputStream, WritableBuffer

_CHUNK = 1 << 20


def truncated(position: int, part: str) -> ImageError:
    """The error of a stream that ends too early: at which byte, inside what."""
    return ImageError(
        f"the image ends at byte {position}, inside {part}",
        remedy="The file is truncated: get it again",
    )


def fill(stream: InputStream, offset: int, buffer: WritableBuffer, part: str) -> None:
    """Fill the buffer from an offset of the stream. Raises: ImageError: it ends inside the part."""
    count = stream.pread(offset, buffer)
    if count < len(buffer):
        raise truncated(offset + count, part)


def fetch(stream: InputStream, offset: int, length: int, part: str) -> bytearray:
    """So many bytes at an offset of the stream. Raises: ImageError: it ends inside the part."""
    buffer = bytearray(length)
    fill(stream, offset, buffer, part)
    return buffer


class ForwardBytes:
    """A FORWARD `InputStream` read in exact amounts. One thread."""

    def __init__(self, stream: InputStream) -> None:
        self._stream = stream
        self._buffer = memoryview(bytearray(_CHUNK))
        self._low = 0
        self._high = 0
        self.position = 0  # of the next byte that is handed out

    def _fill(self) -> bool:
        if self._low == self._high:
            self._low, self._high = 0, self._stream.readinto(self._buffer)
        return self._low < self._high

    def readinto(self, buffer: WritableBuffer) -> int:
        """Fill the buffer; fewer bytes only at the end of the stream."""
        view = memoryview(buffer)
        done = 0
        while done < len(view):
            if self._low == self._high and len(view) - done >= _CHUNK:
                count = self._stream.readinto(view[done:])
                if not count:
                    break
            elif self._fill():
                count = min(len(view) - done, self._high - self._low)
                view[done : done + count] = self._buffer[self._low : self._low + count]
                self._low += count
            else:
                break
            done += count
        self.position += done
        return done

    def read(self, length: int, part: str) -> bytearray:
        """Exactly so many bytes. Raises: ImageError: the stream ends before; ``part`` says inside what."""
        buffer = bytearray(length)
        if self.readinto(buffer) < length:
            raise truncated(self.position, part)
        return buffer

    def read_sector(self) -> bytearray | None:
        """512 bytes; None at the end of the stream. Raises: ImageError: it ends inside a sector."""
        buffer = bytearray(512)
        count = self.readinto(buffer)
        if 0 < count < 512:
            raise truncated(self.position, "a sector")
        return buffer if count else None

    def skip(self, length: int, part: str) -> None:
        """Pass over so many bytes. Raises: ImageError: the stream ends before."""
        while length:
            if not self._fill():
                raise truncated(self.position, part)
            count = min(length, self._high - self._low)
            self._low += count
            self.position += count
            length -= count

    def expect_padding(self, most: int) -> None:
        """Read to the end. Raises: ImageError: something else than ``most`` zero bytes follows."""
        passed = 0
        while self._fill():
            rest = bytes(self._buffer[self._low : self._high])
            passed += len(rest)
            if passed > most or rest.count(0) != len(rest):
                raise ImageError(
                    f"there is more behind the end of the image (byte {self.position})",
                    remedy="Two readers could see two different disks: have the image made again",
                )
            self.position += len(rest)
            self._low = self._high
