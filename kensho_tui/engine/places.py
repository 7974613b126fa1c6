"""Where the engine's files stand inside the state directory, and the locks that say who is alive."""

import errno
import fcntl
import hashlib
import json
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from kensho_tui.errors import KenshoError
from kensho_tui.paths import SharedDirError, private_dir
from kensho_tui.text import plain

# sun_path holds 108 bytes on Linux and 104 on macOS, the closing NUL included.
SOCKET_PATH_LIMIT = 100


class StateDirError(KenshoError):
    """The state directory cannot hold what must be private or lockable."""


@dataclass(frozen=True, slots=True)
class Places:
    """The files of one state directory. Making one touches nothing on disk."""

    state: Path

    @property
    def journal(self) -> Path:
        """The journal's database."""
        return self.state / "journal.db"

    @property
    def runner_lock(self) -> Path:
        """Held by the one supervisor of this directory; says its process id."""
        return self.state / "runner.lock"

    @property
    def runner_log(self) -> Path:
        """What the supervisor has to say."""
        return self.state / "runner.log"

    @property
    def socket_pointer(self) -> Path:
        """Holds the socket's path where that one stands elsewhere."""
        return self.state / "runner.sock.path"

    @property
    def ballast(self) -> Path:
        """Room that is kept for when the disk is full."""
        return self.state / "ballast"

    def job_lock(self, job: str) -> Path:
        """Held by the worker of the job for as long as it lives."""
        return self.state / "jobs" / f"{job}.lock"

    def job_log(self, job: str) -> Path:
        """Standard output and error of the job's workers, tracebacks included."""
        return self.state / "jobs" / f"{job}.log"

    def make(self) -> None:
        """Make the directories, private to their owner.

        Raises: StateDirError: they cannot be made, or are not this user's alone.
        """
        try:
            private_dir(self.state, "KENSHO_STATE_DIR")
            private_dir(self.state / "jobs")
        except SharedDirError as error:
            raise StateDirError(error.what, subject=error.subject, remedy=error.remedy) from error
        except OSError as error:
            raise StateDirError(
                f"the state directory cannot be made ({error.strerror})",
                subject=str(self.state),
                remedy="Set KENSHO_STATE_DIR to a directory of your own",
            ) from error

    def socket(self) -> Path:
        """Where clients find the supervisor's socket."""
        try:
            return Path(self.socket_pointer.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return self.state / "runner.sock"

    def make_socket_place(self) -> Path:
        """Choose the socket's path and publish it; called by the supervisor alone.

        A path too long for a socket address moves to a short private directory.

        Raises: StateDirError: that directory exists and is not ours alone.
        """
        near = self.state / "runner.sock"
        if len(os.fsencode(near)) <= SOCKET_PATH_LIMIT:
            self.socket_pointer.unlink(missing_ok=True)
            return near
        digest = hashlib.sha256(os.fsencode(self.state.resolve())).hexdigest()[:12]
        runtime = os.environ.get("XDG_RUNTIME_DIR", "")
        if runtime and len(os.fsencode(runtime)) < 60:
            place = Path(runtime) / f"kensho-{digest}"
        else:
            place = Path("/tmp") / f"kensho-{os.getuid()}-{digest}"  # noqa: S108 - checked below
        place.mkdir(mode=0o700, exist_ok=True)
        require_private(place)
        far = place / "runner.sock"
        draft = self.socket_pointer.with_suffix(".new")
        draft.write_text(str(far), encoding="utf-8")
        draft.replace(self.socket_pointer)
        return far


def require_private(directory: Path) -> None:
    """Refuse a directory that another user owns or may write to, or that is a link.

    Raises: StateDirError: it is not private.
    """
    seen = directory.lstat()
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.getuid() or seen.st_mode & 0o077:
        raise StateDirError(
            "the directory is not private to you",
            subject=str(directory),
            remedy="Remove it, or set KENSHO_STATE_DIR to a shorter path",
        )


class FileLock:
    """An advisory lock on a file (``flock``), held by this process until it ends or releases it.

    The kernel frees it when the process dies, however it dies.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = None

    def take(self, *, wait_s: float = 0.0) -> bool:
        """Take the lock; false when another process still holds it after ``wait_s`` seconds.

        The short wait is for those who only look whether it is held.
        """
        end = time.monotonic() + wait_s
        while True:
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                os.close(handle)
                if error.errno not in {errno.EAGAIN, errno.EACCES}:
                    raise StateDirError(
                        f"cannot be locked ({error.strerror})", subject=str(self.path)
                    ) from error
                if time.monotonic() >= end:
                    return False
                time.sleep(0.02)
                continue
            self._handle = handle
            if self.stands():
                return True
            # Removed between open and lock: what we hold locks nobody out.
            self.release()

    def stands(self) -> bool:
        """Whether the file we hold is still the one that its path names."""
        if self._handle is None:
            return False
        try:
            return os.path.samestat(os.fstat(self._handle), self.path.stat())
        except FileNotFoundError:
            return False

    def read(self) -> dict[str, object]:
        """What the file says of who holds or held it; empty where it says nothing that can be read."""
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def write(self, content: dict[str, object]) -> None:
        """Say in the file who holds it. Raises: StateDirError: it cannot be written."""
        if self._handle is None:
            raise ValueError("the lock is not held")
        try:
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, json.dumps(content).encode() + b"\n", 0)
        except OSError as error:
            raise StateDirError(
                f"cannot be written ({error.strerror})",
                subject=str(self.path),
                remedy="Look whether the disk is full",
            ) from error

    def release(self) -> None:
        """Let go; the file stays."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def __enter__(self) -> "FileLock":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock on that file."""
    if not path.exists():
        return False
    with FileLock(path) as lock:
        return not lock.take()


@contextmanager
def private_log(path: Path) -> Iterator[int]:
    """A file descriptor that appends to the log file, which only its owner can read."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(handle, 0o600)
        yield handle
    finally:
        os.close(handle)


def log(text: str) -> None:
    """Into the log that standard error is, unbuffered: a full disk costs the line, not the process."""
    with suppress(OSError):
        os.write(2, f"{plain(text).rstrip()}\n".encode(errors="backslashreplace"))


def boot_id() -> str:
    """What tells this run of the machine from an earlier one; empty where the system does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
