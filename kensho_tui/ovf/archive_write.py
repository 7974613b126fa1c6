"""Writing an ``.ova``: the descriptor's place is kept at the front, members are appended, then all is patched.

DSP0243 2.1.1 §5 wants the descriptor first, but only at the end are the sizes known that stand in it.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from kensho_tui.disks.files import FileError, refuse_linked, sync_folder, system_errors
from kensho_tui.disks.image import Buffer, WritableBuffer
from kensho_tui.ovf.archive import BLOCK, Member
from kensho_tui.ovf.errors import PackageError

OCTAL_LIMIT = 8 << 30  # eleven octal digits; above it GNU's base-256
USTAR_LARGEST = OCTAL_LIMIT - BLOCK  # a file that ends with a block
_END = bytes(2 * BLOCK)


def header(name: str, size: int, *, mtime: int = 0) -> bytes:
    """A ustar header of a regular file; sizes over 8 GiB in GNU's base-256.

    Raises: PackageError: a name of more than 100 bytes.
    """
    raw = name.encode("utf-8", "surrogateescape")
    if not 0 < len(raw) <= 100:
        raise PackageError("the name does not fit into an archive (100 bytes)", subject=name)
    block = bytearray(BLOCK)
    block[0 : len(raw)] = raw
    block[100:108] = b"0000644\0"
    block[108:116] = block[116:124] = b"0000000\0"
    block[124:136] = b"%011o\0" % size if size < OCTAL_LIMIT else b"\x80" + size.to_bytes(11, "big")
    block[136:148] = b"%011o\0" % mtime
    block[148:156] = b" " * 8
    block[156:157] = b"0"
    block[257:265] = b"ustar\x0000"
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


class ArchiveWriter:
    """An archive that is being written. One thread at a time.

    Args:
        path: of the archive; made where absent. That a file which is there may be written is for the
            caller to know; one with other names (hard links) never is.
        head: name of the descriptor, the first member.
        reserved: bytes kept for it.
        end: where an earlier writer had come to (`position` of its last finished member); what it
            wrote after that is cut off when the next member begins. None: it had finished none.
        mtime: time of all members, in seconds since 1970.

    Raises: FileError: the system says no.
    """

    def __init__(
        self, path: Path, head: str, reserved: int, *, end: int | None = None, mtime: int = 0
    ) -> None:
        self._mtime = mtime
        self._path = path
        self._head = head
        self._reserved = reserved
        with system_errors("write", str(path)):
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            self._number = os.open(path, flags, 0o666)
            try:
                refuse_linked(self._number, path)
                start = BLOCK + _padded(reserved)
                self.position = start if end is None else end
                if os.fstat(self._number).st_size < self.position:
                    os.ftruncate(self._number, self.position)
            except (OSError, FileError):
                os.close(self._number)
                raise
        self._member: tuple[str, int] | None = None

    def rewind(self, end: int | None) -> None:
        """Forget what was written after that place (a `position`); None: all members."""
        self.position = BLOCK + _padded(self._reserved) if end is None else end
        self._member = None

    def begin(self, name: str) -> None:
        """Begin a member; an unfinished one before it is forgotten."""
        header(name, 0)
        with system_errors("write", str(self._path)):
            os.ftruncate(self._number, self.position)
        self._member = (name, 0)

    def go_on(self, name: str, size: int) -> bool:
        """Go on with a member that was begun and not finished; whether so much of it is there."""
        header(name, 0)
        with system_errors("read", str(self._path)):
            there = os.fstat(self._number).st_size >= self.position + BLOCK + size
        if there:
            self._member = (name, size)
        return there

    def pread(self, offset: int, buffer: WritableBuffer) -> int:
        """Read back bytes of the member that is being written; short only at its end."""
        _, size = self._begun()
        view, done = memoryview(buffer)[: max(0, size - offset)], 0
        with system_errors("read", str(self._path)):
            while done < len(view) and (
                count := os.preadv(
                    self._number, [view[done:]], self.position + BLOCK + offset + done
                )
            ):
                done += count
        return done

    def cut(self) -> None:
        """Cut off what follows the member that is being written."""
        _, size = self._begun()
        with system_errors("write", str(self._path)):
            os.ftruncate(self._number, self.position + BLOCK + size)

    def sync(self) -> None:
        """Bring what was written to the disk, and the archive's name with it."""
        with system_errors("write", str(self._path)):
            os.fsync(self._number)
            sync_folder(self._path.parent)

    def _begun(self) -> tuple[str, int]:
        if self._member is None:
            raise PackageError("no member has been begun", subject=str(self._path))
        return self._member

    def rename(self, name: str) -> None:
        """Call the member that is being written otherwise: its header is written when it is finished."""
        header(name, 0)
        _, size = self._begun()
        self._member = (name, size)

    def write(self, data: Buffer) -> None:
        """Append to the member."""
        name, size = self._begun()
        self._put(self.position + BLOCK + size, data)
        self._member = (name, size + memoryview(data).nbytes)

    def finish(self) -> Member:
        """Close the member: its header, its padding, and all of it on the disk."""
        name, size = self._begun()
        self._put(self.position, header(name, size, mtime=self._mtime))
        member = Member(name, self.position + BLOCK, size)
        with system_errors("write", str(self._path)):
            end = member.offset + _padded(size)
            os.ftruncate(self._number, end)
            os.fsync(self._number)
        self.position = end
        self._member = None
        return member

    def add(self, name: str, data: bytes) -> Member:
        """A member whose bytes are all there."""
        self.begin(name)
        self.write(data)
        return self.finish()

    def close_with(
        self, descriptor: bytes, papers: Callable[[bytes], Sequence[tuple[str, bytes]]]
    ) -> None:
        """The descriptor into its place, the papers after the last member, the end of the archive.

        Args:
            descriptor: at most as long as was reserved; filled up with line feeds, which XML allows
                after the last tag.
            papers: from the descriptor as it is written to the names and bytes of what closes the
                archive: manifest and certificate file.

        Raises: PackageError: the descriptor does not fit.
        """
        if len(descriptor) > self._reserved:
            raise PackageError("the descriptor outgrew its place", subject=str(self._path))
        filled = descriptor.ljust(self._reserved, b"\n")
        self._put(0, header(self._head, self._reserved, mtime=self._mtime))
        self._put(BLOCK, filled)
        for name, data in papers(filled):
            self.add(name, data)
        self._put(self.position, _END)
        with system_errors("write", str(self._path)):
            os.ftruncate(self._number, self.position + len(_END))
            os.fsync(self._number)

    def close(self) -> None:
        """Let go of the file; twice is once."""
        if self._number >= 0:
            os.close(self._number)
            self._number = -1

    def _put(self, offset: int, data: Buffer) -> None:
        view = memoryview(data).cast("B")
        with system_errors("write", str(self._path)):
            while len(view):
                count = os.pwrite(self._number, view, offset)
                view, offset = view[count:], offset + count


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK
