"""Local files as streams: whole files, byte ranges of them, and files that appear only when complete."""

import errno
import fcntl
import os
import stat
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from kensho_tui.disks.image import Buffer, ExtentMap, WritableBuffer, gather
from kensho_tui.errors import KenshoError

_MOST_BUFFERS = 512  # in one call; Linux takes 1024
# An extended attribute of files that Kensho has not finished: what lies under a partial name without it
# may be somebody's.
_UNFINISHED = "user.kensho.unfinished"


class FileError(KenshoError):
    """A local file cannot be read or written.

    Attributes:
        errno: the system's number of the reason (`errno.ENOSPC` …), None where it gave none.
    """

    def __init__(
        self, what: str, *, subject: str = "", remedy: str = "", number: int | None = None
    ) -> None:
        super().__init__(what, subject=subject, remedy=remedy, retryable=number == errno.ENOSPC)
        self.errno = number


_REMEDIES = {
    errno.ENOSPC: "Free some space there, or choose another place",
    errno.EDQUOT: "Free some space there, or choose another place",
    errno.EFBIG: "The file system takes no file of that size: choose another place",
    errno.EACCES: "Check the permissions of the file and of its folder",
    errno.EPERM: "Check the permissions of the file and of its folder",
    errno.ENOENT: "Check the path",
    errno.EIO: "The storage reports an error: check it",
}


@contextmanager
def system_errors(doing: str, subject: str) -> Iterator[None]:
    """Turn the system's `OSError` into a `FileError`: "cannot write: No space left on device"."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise FileError(
            f"cannot {doing}: {reason}",
            subject=subject,
            remedy=_REMEDIES.get(error.errno or 0, ""),
            number=error.errno,
        ) from error


def kind(mode: int) -> str:
    """What a path is that is no regular file, in words; ``mode`` as of `os.lstat`. "" for a file."""
    if stat.S_ISREG(mode):
        return ""
    for holds, word in _KINDS:
        if holds(mode):
            return word
    return "no file"


_KINDS = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISBLK, "a block device"),
    (stat.S_ISCHR, "a character device"),
)


def _expect_image(mode: int, subject: str) -> None:
    if not (stat.S_ISREG(mode) or stat.S_ISBLK(mode)):
        raise FileError(
            f"this is {kind(mode)}, not a file",
            subject=subject,
            remedy="Choose a file or a block device",
        )


class _Descriptor:
    """A file descriptor that any thread may close: the last call under way closes it for real.

    Closing at once would let the system give the number to another file while a read still uses it.
    """

    def __init__(self, number: int, subject: str) -> None:
        self._number = number
        self._subject = subject
        self._lock = threading.Lock()
        self._users = 0
        self._closed = False

    @contextmanager
    def use(self) -> Iterator[int]:
        with self._lock:
            if self._closed:
                raise FileError("the file is closed", subject=self._subject)
            self._users += 1
        try:
            yield self._number
        finally:
            self._leave()

    def _leave(self) -> None:
        with self._lock:
            self._users -= 1
            last = self._closed and not self._users
        if last:
            os.close(self._number)

    def close(self) -> None:
        with self._lock:
            now = not self._closed and not self._users
            self._closed = True
        if now:
            os.close(self._number)


@contextmanager
def _position_kept(number: int) -> Iterator[None]:
    """Seek and come back: a duplicated descriptor shares its position with the original."""
    before = os.lseek(number, 0, os.SEEK_CUR)
    try:
        yield
    finally:
        os.lseek(number, before, os.SEEK_SET)


class RangeInput:
    """A byte range of a file as an `InputStream`; members of an archive are read in place by it.

    Args:
        file: a path, or an open descriptor (duplicated: the caller keeps its own, and should not
            read by its position in another thread meanwhile).
        offset: first byte of the range in the file.
        length: bytes of the range; None: up to the end of the file.
        subject: how the operator knows it; the path where empty.

    Raises: FileError: it cannot be opened, is no file, or is shorter than the range.
    """

    def __init__(
        self, file: Path | int, offset: int = 0, length: int | None = None, *, subject: str = ""
    ) -> None:
        self._subject = subject or (str(file) if isinstance(file, Path) else "")
        with system_errors("read", self._subject):
            if isinstance(file, int):
                number = os.dup(file)
            else:
                # To open a pipe would wait for its writer, or cut the writer off: look at it first.
                _expect_image(file.stat().st_mode, self._subject)
                number = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            self._file = _Descriptor(number, self._subject)
            try:
                self._opened = os.fstat(number)
                _expect_image(self._opened.st_mode, self._subject)
                with _position_kept(number):
                    # Of block devices only the end of a seek tells the size.
                    size = os.lseek(number, 0, os.SEEK_END)
            except (OSError, FileError):
                self._file.close()
                raise
        if offset + (length or 0) > size:
            self._file.close()
            raise FileError(
                f"the file ends at byte {size}, but byte {offset + (length or 0)} is needed",
                subject=self._subject,
                remedy="The file is truncated: get it again",
            )
        self._offset = offset
        self._length = size - offset if length is None else length
        self._position = 0

    @property
    def length(self) -> int:
        """Bytes of the range."""
        return self._length

    @property
    def identity(self) -> str:
        """Changes when the file is replaced or written to: inode, size, time.

        Not with a reboot: the number of the device may, and is left out.
        """
        s = self._opened
        return f"{s.st_ino}:{s.st_size}:{s.st_mtime_ns}:{self._offset}+{self._length}"

    @property
    def allocated(self) -> ExtentMap | None:
        """Ranges that are no holes of the file; None where the file system cannot tell."""

        def data(number: int) -> Iterator[tuple[int, int]]:
            at, end = self._offset, self._offset + self._length
            while at < end:
                try:
                    start = os.lseek(number, at, os.SEEK_DATA)
                except OSError as error:
                    if error.errno == errno.ENXIO:  # nothing but a hole up to the end
                        return
                    raise
                at = min(os.lseek(number, start, os.SEEK_HOLE), end)
                if start < at:
                    yield start - self._offset, at - start

        with self._file.use() as number:
            try:
                with _position_kept(number):
                    return gather(data(number))
            except OSError as error:
                if error.errno in (errno.EINVAL, errno.ENOTSUP, errno.ESPIPE):
                    return None
                raise FileError(
                    f"cannot read: {error.strerror}", subject=self._subject, number=error.errno
                ) from error

    def readinto(self, buffer: WritableBuffer, /) -> int:
        """Read forward; bytes read, 0 at the end. One thread. Raises: FileError."""
        count = self.pread(self._position, buffer)
        self._position += count
        return count

    def pread(self, offset: int, buffer: WritableBuffer, /) -> int:
        """Read at the offset of the range; short only at its end. Thread-safe. Raises: FileError."""
        view = memoryview(buffer)[: max(0, self._length - offset)]
        done = 0
        with self._file.use() as number, system_errors("read", self._subject):
            while done < len(view):
                count = os.preadv(number, [view[done:]], self._offset + offset + done)
                if not count:
                    raise FileError(
                        "the file became shorter while it was read",
                        subject=self._subject,
                        remedy="Leave the file alone while it is read",
                    )
                done += count
        return done

    def verify(self) -> None:
        """Raise `FileError` if the file was written to since it was opened."""
        with self._file.use() as number, system_errors("read", self._subject):
            now, then = os.fstat(number), self._opened
        if (now.st_size, now.st_mtime_ns) != (then.st_size, then.st_mtime_ns):
            raise FileError(
                "the file was changed while it was read",
                subject=self._subject,
                remedy="Leave the file alone while it is read, then start again",
            )

    def close(self) -> None:
        """Give up or be done; from any thread, twice is once."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class FileInput(RangeInput):
    """A whole file (or block device) as an `InputStream`. Raises: FileError."""

    def __init__(self, path: Path, *, subject: str = "") -> None:
        super().__init__(path, subject=subject)


def refuse_special(path: Path) -> None:
    """Raise `FileError` where the path is there and no regular file; links are not followed."""
    try:
        found = kind(os.lstat(path).st_mode)
    except FileNotFoundError:
        return
    if found:
        raise FileError(
            f"this is {found}, and no file is put in its place",
            subject=str(path),
            remedy="Choose another name",
            number=errno.EEXIST,
        )


def partial_name(path: Path) -> Path:
    """Where a file is until it is complete."""
    return path.with_name(path.name + ".partial")


def open_partial(partial: Path, *, kept: bool = False, ours: bool = False) -> int:
    """Open an unfinished file, to write and read: a new one, or one that Kensho left there.

    Args:
        partial: its partial name.
        kept: whether it is gone on with: it has to be there then, and keeps what is in it.
        ours: whether the caller knows that nobody else's file can be of that name.

    Returns: the descriptor, with a lock on the file. `mark_finished` takes the file's mark off.

    Raises: FileError: what is there is no file, has another name too (a hard link), is being written,
        or may be somebody else's: it is not empty and has no mark, or the file system keeps none.
        OSError.
    """
    refuse_special(partial)
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        number = os.open(partial, flags | (0 if kept else os.O_CREAT | os.O_EXCL), 0o666)
    except FileExistsError:
        number = os.open(partial, flags)
    try:
        _lock(number, partial)
        refuse_linked(number, partial)
        if not (kept or ours or os.fstat(number).st_size == 0 or _is_marked(number)):
            raise FileError(
                "there is a file that Kensho may not have left there, and it is not overwritten",
                subject=str(partial),
                remedy="Move it away, or choose another name for what is written",
                number=errno.EEXIST,
            )
        with suppress(OSError, AttributeError):  # not every file system, or Python, has them
            os.setxattr(number, _UNFINISHED, b"1")
        if not kept:
            os.ftruncate(number, 0)
    except BaseException:
        os.close(number)
        raise
    return number


def mark_finished(number: int) -> None:
    """Say that a file of `open_partial` has its final name now, and is not Kensho's any more."""
    with suppress(OSError, AttributeError):
        os.removexattr(number, _UNFINISHED)


def refuse_linked(number: int, path: Path) -> None:
    """Raise `FileError` where the open file has more names than one: to write would change them all."""
    if os.fstat(number).st_nlink > 1:
        raise FileError(
            "this file has another name too (a hard link), and is not overwritten",
            subject=str(path),
            remedy="Move it away, or choose another name for what is written",
            number=errno.EMLINK,
        )


def _lock(number: int, partial: Path) -> None:
    """Take the file's lock, and make sure that it still is what the name leads to."""
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Between opening and locking the other one may have finished: then this is its result.
        same = os.path.samestat(os.fstat(number), os.lstat(partial))
    except FileNotFoundError:
        same = False
    except OSError as error:
        raise _busy(partial, error.errno) from error
    if not same:
        raise _busy(partial, None)


def _busy(partial: Path, number: int | None) -> FileError:
    return FileError(
        "the file is being written already",
        subject=str(partial),
        remedy="Wait until the other one is done, or choose another name",
        number=number,
    )


def _is_marked(number: int) -> bool:
    try:
        return os.getxattr(number, _UNFINISHED) == b"1"
    except (OSError, AttributeError):
        return False


def sync_folder(path: Path) -> None:
    """Bring the folder's names to the disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


class FileOutput:
    """A file that gets its name only when it is complete: until `finish` it is ``NAME.partial``.

    What an earlier attempt left under the partial name is replaced; what may be somebody else's is refused
    (`open_partial`). `close` without `finish` removes it.

    Args:
        path: the final name.
        size: the final length, for files that are written sparsely (what is not written reads as zero).
        overwrite: whether a file of the final name may be replaced. What is no regular file (a
            device, a pipe, a link, a folder) is never replaced.
        lasting: whether `close` leaves an unfinished file where it is, to be gone on with.
        kept: bytes of such a file to go on after; the rest of it is cut off by `cut`, and only then.
        ours: whether the folder is Kensho's own, so that no partial name in it is somebody else's.

    Raises: FileError: a name is taken, the file cannot be made, or it is shorter than ``kept``.
    """

    def __init__(
        self,
        path: Path,
        *,
        size: int | None = None,
        overwrite: bool = False,
        lasting: bool = False,
        kept: int = 0,
        ours: bool = False,
    ) -> None:
        self._path = path
        self._overwrite = overwrite
        self._lasting = lasting
        self._partial = partial_name(path)
        self._refuse_taken()
        with system_errors("write", str(path)):
            number = open_partial(self._partial, kept=kept > 0, ours=ours)
        self._file = _Descriptor(number, str(path))
        self._lock = threading.Lock()
        self._state = "open"
        self._position = kept
        try:
            with system_errors("write", str(path)):
                if kept and os.fstat(number).st_size < kept:
                    raise FileError("the file is shorter than it was", subject=str(path))
                if size is not None:
                    os.ftruncate(number, size)
        except FileError:
            self.close()
            raise

    def _refuse_taken(self) -> None:
        with system_errors("write", str(self._path)):
            refuse_special(self._path)
        if not self._overwrite and os.path.lexists(self._path):
            raise FileError(
                "there is a file of that name already",
                subject=str(self._path),
                remedy="Choose another name, or say that it may be replaced",
                number=errno.EEXIST,
            )

    @property
    def position(self) -> int:
        """Bytes appended so far."""
        return self._position

    def write(self, data: Buffer, /) -> None:
        """Append the bytes, all of them. One thread. Raises: FileError."""
        self.pwrite(self._position, data)
        self._position += memoryview(data).nbytes

    def pwrite(self, offset: int, data: Buffer, /) -> None:
        """Write the bytes at the offset, all of them. Raises: FileError."""
        view = memoryview(data)
        with self._file.use() as number, system_errors("write", str(self._path)):
            while len(view):
                count = os.pwrite(number, view, offset)
                view, offset = view[count:], offset + count

    def writev(self, parts: Sequence[Buffer], /) -> None:
        """Append the buffers, one behind the other. One thread. Raises: FileError."""
        self.pwritev(self._position, parts)
        self._position += sum(map(len, parts))

    def pwritev(self, offset: int, parts: Sequence[Buffer], /) -> None:
        """Write the buffers at the offset, one behind the other. Raises: FileError."""
        with self._file.use() as number, system_errors("write", str(self._path)):
            for first in range(0, len(parts), _MOST_BUFFERS):
                some = parts[first : first + _MOST_BUFFERS]
                length = sum(map(len, some))
                done = os.pwritev(number, some, offset)
                if done < length:  # a full disk says why with the next call
                    rest = memoryview(b"".join(some))[done:]
                    while len(rest):
                        count = os.pwrite(number, rest, offset + done)
                        rest, done = rest[count:], done + count
                offset += length

    def pread(self, offset: int, buffer: WritableBuffer, /) -> int:
        """Read back at the offset; short only at the end. Raises: FileError."""
        view, done = memoryview(buffer), 0
        with self._file.use() as number, system_errors("read", str(self._path)):
            while done < len(view) and (
                count := os.preadv(number, [view[done:]], offset + done)
            ):  # fmt: skip
                done += count
        return done

    def cut(self) -> None:
        """Cut off what follows the bytes that were appended or kept. Raises: FileError."""
        with self._file.use() as number, system_errors("write", str(self._path)):
            os.ftruncate(number, self._position)

    def sync(self) -> None:
        """Bring what was written to the disk, and the partial name with it. Raises: FileError."""
        with self._file.use() as number, system_errors("write", str(self._path)):
            os.fsync(number)
            sync_folder(self._path.parent)

    def finish(self) -> None:
        """Bring the bytes to the disk and give the file its name. Raises: FileError."""
        with self._file.use() as number, system_errors("write", str(self._path)):
            os.fsync(number)
            self._refuse_taken()
            with self._lock:
                if self._state != "open":
                    raise FileError("the file is closed", subject=str(self._path))
                self._partial.replace(self._path)
                self._state = "finished"
            mark_finished(number)
            sync_folder(self._path.parent)

    def close(self) -> None:
        """Give up or be done; from any thread, twice is once.

        Without `finish` the file is removed, unless it is a lasting one.
        """
        with self._lock:
            if self._state == "open":
                if not self._lasting:
                    with suppress(OSError):  # nobody waits for a reason; its name says enough
                        self._partial.unlink()
                self._state = "closed"
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
