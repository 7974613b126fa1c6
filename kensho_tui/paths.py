"""Where Kensho keeps its state and its configuration: private to the user, never world-readable."""

import errno
import os
import stat
import tempfile
import unicodedata
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path

import platformdirs

from kensho_tui.errors import KenshoError
from kensho_tui.text import one_line


def state_dir() -> Path:
    """The directory of journal, socket and job files: ``$KENSHO_STATE_DIR``, else the system's place.

    Not created here; `private_dir` does that.
    """
    named = os.environ.get("KENSHO_STATE_DIR")
    return Path(named) if named else platformdirs.user_state_path("kensho")


def config_dir() -> Path:
    """The directory of the connection book: ``$KENSHO_CONFIG_DIR``, else the system's place."""
    named = os.environ.get("KENSHO_CONFIG_DIR")
    return Path(named) if named else platformdirs.user_config_path("kensho")


# What stands in a state or a configuration directory.
_OURS = (
    "journal.db*",
    "runner.*",
    "jobs",
    "ballast*",
    "last-defect.txt",
    "connections.toml",
    "licences.toml",
    "secrets",
    "trust",
    "unsaved",
)


class SharedDirError(KenshoError):
    """A directory that must be private is not, and is not ours to change."""


def private_dir(path: Path, variable: str = "") -> Path:
    """The path, made with its parents where absent (0700), and nobody's but this user's.

    A directory that is there already is used as it is where it belongs to this user and is open to
    nobody else. One that is open to others becomes 0700 only where nobody can miss it: it belongs to
    this user, has no sticky bit, and is empty (``mkdir /srv/kensho``) or holds nothing but files of
    Kensho's, which nobody else could write to. Any other one may be shared on purpose, such as
    ``/tmp``: it is refused, and never changed.

    Args: variable: of the environment, which names another directory; for the error's advice.

    Raises: SharedDirError: it is refused. OSError: it cannot be made or read.
    """
    missing = [each for each in (path, *path.parents) if not each.exists()]
    for each in reversed(missing):
        with suppress(FileExistsError):  # made by another process just now, or no directory
            each.mkdir(mode=0o700)
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # All of the open directory, so that nobody can exchange it between the looks and the change.
        seen = os.fstat(handle)
        _require_own(path, seen, variable)
        if seen.st_mode & 0o077:
            _require_spare(path, seen, _names(handle), variable)
            os.fchmod(handle, 0o700)
            try:
                # From here on nobody else can put anything there; up to here somebody could.
                _require_spare(path, seen, _names(handle), variable)
            except SharedDirError:
                os.fchmod(handle, stat.S_IMODE(seen.st_mode))
                raise
    finally:
        os.close(handle)
    return path


def _names(directory: int) -> list[str]:
    with os.scandir(directory) as entries:
        return sorted(each.name for each in entries)


def _elsewhere(example: str, variable: str) -> str:
    return f"Set {variable} to {example}" if variable else f"Name {example}"


def _require_own(path: Path, seen: os.stat_result, variable: str) -> None:
    if seen.st_uid != os.geteuid():
        what, example = "the directory belongs to another user", "a directory of your own"
    elif seen.st_mode & stat.S_ISVTX:
        what = "the directory is one that users share (it has the sticky bit)"
        example = f"another directory, such as {path / 'kensho'}"
    else:
        return
    raise SharedDirError(what, subject=str(path), remedy=_elsewhere(example, variable))


def _require_spare(path: Path, seen: os.stat_result, names: list[str], variable: str) -> None:
    """Refuse a directory that is open to others and not for Kensho alone."""
    other = [name for name in names if not any(fnmatch(name, each) for each in _OURS)]
    written = bool(seen.st_mode & 0o022)
    if not names or not (other or written):
        return
    raise SharedDirError(
        f"others can {'write to' if written else 'look into'} the directory, and it is not empty"
        f" (it holds '{one_line((other or names)[0])}')",
        subject=str(path),
        remedy=_elsewhere(f"another directory, such as {path / 'kensho'}", variable)
        + f"; or, where this one is for Kensho alone, look at what is in it and run 'chmod 700 {path}'",
    )


def write_private(path: Path, data: bytes) -> None:
    """Write the file as a whole or not at all, readable by its owner alone (0600). Raises: OSError."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def named_path(path: str) -> str:
    """The path, which a plan and a journal can hold and the file system can look up.

    Raises: KenshoError: it holds bytes that are no text or control characters, or is too long.
    """
    if any(unicodedata.category(each) in {"Cc", "Cs"} for each in path):
        raise KenshoError(
            "the path holds a character that is no text",
            subject=ascii(path)[1:-1],
            remedy="Use another name",
        )
    try:
        os.lstat(path)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise KenshoError(
                "the name is too long for the file system",
                subject=path[:40] + "…",
                remedy="Use a shorter one",
            ) from error
    return path
