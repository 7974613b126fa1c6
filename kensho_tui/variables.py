"""Secrets in environment variables: read once, and then no child's any more."""

import os
import threading

_lock = threading.Lock()
_taken: dict[str, str] = {}


def take_variable(name: str) -> str | None:
    """The value of the variable, which is removed from the environment that children inherit.

    This process can take it again; None where it is not set, or is empty.
    """
    with _lock:
        value = os.environ.pop(name, "")
        if value:
            _taken[name] = value
        return _taken.get(name)


def has_variable(name: str) -> bool:
    """Whether `take_variable` would give something."""
    return bool(os.environ.get(name)) or name in _taken
