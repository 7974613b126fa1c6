"""Where Kensho keeps its state and its configuration: private to the user, never world-readable."""

import os
from pathlib import Path

import platformdirs


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
