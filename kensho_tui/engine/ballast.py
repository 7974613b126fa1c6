"""Room that is kept on the state disk, so that a full one can still be told of.

A file of some size stands in the state directory. Where the journal finds the disk full, the file is
removed, and what must be written is written into its place: how what was made is taken back, what is
left over, how the job ended. Nothing new is begun until the file stands again.
"""

import contextlib
import errno
import os
import sqlite3
from pathlib import Path

from kensho_tui.engine.places import Places

# Taking back a job of some hundred disks writes less than half of it, the write-ahead log included.
BALLAST_SIZE = 16 << 20
# Free beside the ballast before a worker is started.
FLOOR = 1 << 20
_ZEROS = bytes(1 << 20)


class Ballast:
    """The file, and whether there is room for work. Any process may have one."""

    def __init__(self, places: Places, size: int = BALLAST_SIZE) -> None:
        """``size`` in bytes."""
        self.path = places.ballast
        self.size = size

    def keep(self) -> bool:
        """Make the file where it is missing and there is room; whether there is room for work.

        Made only where as much again stays free: what a worker has just let go of, it needs.
        """
        try:
            if not self._stands():
                if free(self.path.parent) < 2 * self.size:
                    return False
                self._make()
            return free(self.path.parent) >= FLOOR
        except OSError:
            return False

    def needed(self) -> int:
        """Bytes that have to be free for work to go on, the ballast included that is still to be made."""
        with contextlib.suppress(OSError):
            if self._stands():
                return FLOOR
        return 2 * self.size

    def free(self) -> int:
        """Bytes that are free now; 0 where that cannot be told."""
        try:
            return free(self.path.parent)
        except OSError:
            return 0

    def _stands(self) -> bool:
        try:
            return self.path.stat().st_size >= self.size
        except FileNotFoundError:
            return False

    def _make(self) -> None:
        draft = self.path.with_suffix(".new")
        try:
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(handle, 0, self.size)
                else:  # macOS: blocks that were written are blocks that are there
                    for _ in range(0, self.size, len(_ZEROS)):
                        os.write(handle, _ZEROS)
                os.fsync(handle)
            finally:
                os.close(handle)
            draft.replace(self.path)
        except OSError:
            draft.unlink(missing_ok=True)
            raise

    def release(self) -> None:
        """Give the room away."""
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)


def free(directory: Path) -> int:
    """Bytes that this user can still write on the directory's file system."""
    seen = os.statvfs(directory)
    return seen.f_bavail * seen.f_frsize


def is_full(error: sqlite3.Error | OSError, directory: Path) -> bool:
    """Whether the error means that the directory's file system is full, or the user's share of it.

    SQLite tells a full disk from other failures where a write meets it, and not where its shared
    memory or a flush does; those are judged by what is free.
    """
    if isinstance(error, OSError):
        return error.errno in {errno.ENOSPC, errno.EDQUOT}
    code = getattr(error, "sqlite_errorcode", 0)
    if code == sqlite3.SQLITE_FULL:
        return True
    with contextlib.suppress(OSError):
        return code & 0xFF == sqlite3.SQLITE_IOERR and free(directory) < FLOOR
    return False
