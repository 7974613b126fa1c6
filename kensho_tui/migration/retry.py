"""What is worth another try, how often, and how long to wait before it: by the class of the error.

Pauses grow by the factor two up to a longest one and are drawn from zero to that ("full jitter"), so
that jobs which one outage stopped do not come back in step.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from backends.base import (
    AccessDeniedError,
    AuthenticationError,
    ConnectError,
    DamagedError,
    NameTakenError,
    NoSpaceError,
    NotFoundError,
    RefusedError,
    TransferError,
    TrustError,
    UnsupportedError,
)
from kensho_tui.cancel import CancelledError
from kensho_tui.errors import KenshoError
from kensho_tui.migration.context import FencedError

# What only a person can change, whatever the platform says of it.
_NEVER = (
    CancelledError, FencedError, AuthenticationError, AccessDeniedError, TrustError, NotFoundError,
    NameTakenError, NoSpaceError, UnsupportedError, DamagedError,
)  # fmt: skip


class Trouble(Enum):
    """Classes of errors that may pass."""

    CONNECT = auto()  # the platform cannot be reached, or went away
    BUSY = auto()  # it refuses because of somebody else, who needs as long as he needs
    TRANSFER = auto()  # bytes did not arrive, or whatever else may succeed when tried again


def trouble(error: KenshoError) -> Trouble | None:
    """The class of the error; None: trying again changes nothing."""
    if isinstance(error, _NEVER):
        return None
    if isinstance(error, TransferError):
        # Bytes that did not arrive are worth a second try, whatever the server calls it.
        return Trouble.TRANSFER
    if not error.retryable:
        return None
    if isinstance(error, RefusedError):
        return Trouble.BUSY
    return Trouble.CONNECT if isinstance(error, ConnectError) else Trouble.TRANSFER


@dataclass(frozen=True, slots=True)
class Policy:
    """How often, and how long.

    Attributes:
        connect, transfer: attempts of that class in a row, the first one included.
        busy_s: seconds that somebody else is waited for.
        first_pause_s, longest_pause_s: what pauses grow from and to, before chance shortens them.
    """

    connect: int = 6
    transfer: int = 3
    busy_s: float = 900.0
    first_pause_s: float = 2.0
    longest_pause_s: float = 30.0


class Retries:
    """The attempts at one thing. Not thread-safe.

    Args:
        chance: from 0 to 1; which part of the longest possible pause is taken.
    """

    def __init__(self, policy: Policy, chance: Callable[[], float] = random.random) -> None:
        self._policy = policy
        self._chance = chance
        self._count: dict[Trouble, int] = {}
        self._waited_s = 0.0
        self._pause_s = policy.first_pause_s
        self._unsure = False

    def progressed(self) -> None:
        """It came further: what is tried again is not what failed before."""
        self._count.clear()
        self._waited_s, self._pause_s, self._unsure = 0.0, self._policy.first_pause_s, False

    def pause_s(self, error: KenshoError) -> float | None:
        """Seconds to wait before the next attempt; None: there is none, and the error stands."""
        kind = trouble(error)
        if kind is None:
            return None
        if kind is Trouble.BUSY:
            if self._waited_s >= self._policy.busy_s:
                return None
        else:
            self._count[kind] = self._count.get(kind, 0) + 1
            most = self._policy.connect if kind is Trouble.CONNECT else self._policy.transfer
            # An error that the platform calls final is tried once more, and not oftener.
            if self._count[kind] >= most or (self._unsure and not error.retryable):
                return None
            self._unsure = self._unsure or not error.retryable
        pause = self._pause_s * self._chance()
        self._pause_s = min(self._pause_s * 2, self._policy.longest_pause_s)
        self._waited_s += pause
        return pause
