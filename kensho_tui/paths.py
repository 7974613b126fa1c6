"""Where Kensho keeps its state and its configuration: private to the user, never world-readable."""

import errno
import os
import tempfile
import unicodedata
from pathlib import Path

import platformdirs

from kensho_tui.errors import KenshoError


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


def private_dir(path: Path) -> Path:
    """The path, made with its parents where absent, readable by its owner alone (0700)."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


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
