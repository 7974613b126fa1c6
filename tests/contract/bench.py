"""What the suite needs to know of a platform: how to build on it, and how to look at it from outside."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from backends.base import Deployment, Placement, Ref, Session
from kensho_tui.cancel import Cancel
from kensho_tui.connections import Connection
from kensho_tui.disks.image import ExtentMap, ImageError, WritableBuffer
from kensho_tui.machine import Appliance, DiskId
from kensho_tui.migration.draft import Draft
from kensho_tui.migration.sessions import Sessions


@dataclass(frozen=True)
class Captured:
    """Machines that can be captured while off, and every byte of their disks."""

    refs: Sequence[Ref]
    contents: Mapping[DiskId, bytes]


class Bench(ABC):
    """One platform on a test bench. `sessions` it gave are closed by the fixture."""

    name: str
    # How plans and the connection book call it; two of one platform need two.
    alias: str = "bench"

    @abstractmethod
    def session(self, cancel: Cancel | None = None) -> Session:
        """A new login, not closed by anything but the fixture. ``cancel``: that of its job."""

    def careful(self) -> Session:
        """A new login as of `session`, whose target acknowledges what is written as often as it can."""
        return self.session()

    @abstractmethod
    def appliance(self) -> tuple[Appliance, Placement]:
        """Two machines with three disks, ``disk0`` to ``disk2``; ``disk2`` is blank.

        Each disk holds `CAPACITY` bytes. The placement is complete, and the platform takes it.
        """

    @abstractmethod
    def standing(self) -> object:
        """All that is on the platform, seen from outside the session; comparable by ``==``."""

    @abstractmethod
    def content(self, deployment: Deployment, disk: DiskId) -> bytes:
        """What the disk holds on the platform, seen from outside; of a committed deployment."""

    @abstractmethod
    def captured(self) -> Captured:
        """Something to capture, made where needed; the same each time it is asked for."""

    def environments(self) -> object:
        """All that hands guests their settings there, seen from outside; comparable by ``==``."""
        return None

    # ------------------------------------------------------------------- as an end of a whole move
    def known(self) -> tuple[Connection, str] | None:
        """Its entry in the connection book, called `alias`, and its password.

        None: a plan names it by a path.
        """
        return None

    @abstractmethod
    def as_source(self, draft: Draft, sessions: Sessions) -> Captured:
        """Make what `captured` holds the source of the draft."""

    @abstractmethod
    def as_target(self, draft: Draft, sessions: Sessions) -> None:
        """Make it the target of the draft, which has its source, and choose what has to be chosen."""

    @abstractmethod
    def arrived(self, result: dict[str, Any]) -> dict[DiskId, bytes]:
        """What the disks of a move's result hold, seen from outside; by the source's ids."""

    # ------------------------------------------------------------------------------------ mishaps
    def damaged(self, captured: Captured) -> AbstractContextManager[None] | None:
        """While inside, what is read of the first disk is not whole. None: cannot be arranged."""
        return None

    def stalled(self) -> AbstractContextManager[None] | None:
        """While inside, disks move so slowly that a transfer does not end. None: cannot be arranged."""
        return None

    def mortal(self, calls: int) -> Session | None:
        """A session that is cut off from its platform after so many calls. None: cannot be arranged.

        Every call after that fails with a `ConnectError`, as when the process had been killed: what
        the session would tidy up stays as it is.
        """
        return None

    def settled(self) -> AbstractContextManager[None]:
        """Entered before `standing` is asked for, where the platform needs time to notice a death."""
        return nullcontext()


CAPACITY = 4 << 20
DISKS = (DiskId("disk0"), DiskId("disk1"))  # those with bytes; disk2 is blank


def pattern(disk: DiskId, capacity: int = CAPACITY) -> bytes:
    """Bytes of a disk with data at the front, holes, and data in the very last sector."""
    seed = f"{disk}:".encode()
    block = (seed * (65536 // len(seed) + 1))[:65536]
    content = bytearray(capacity)
    content[: len(block)] = block
    content[1 << 20 : (1 << 20) + len(block)] = block[::-1]
    content[-512:] = block[:512]
    return bytes(content)


class MemoryDisk:
    """A raw disk in memory, as an `InputStream` with SEEK access that knows where its data is."""

    def __init__(self, content: bytes, before_read: Callable[[int], None] = lambda n: None) -> None:
        """Args: before_read: told the offset of each read; may raise."""
        self._content = content
        self._before_read = before_read
        self.closed = False

    @property
    def length(self) -> int | None:
        """All bytes."""
        return len(self._content)

    @property
    def allocated(self) -> ExtentMap | None:
        """Whole 64 KiB blocks that are not all zero."""
        step = 65536
        ranges = [
            (offset, min(step, len(self._content) - offset))
            for offset in range(0, len(self._content), step)
            if self._content[offset : offset + step].strip(b"\0")
        ]
        return ExtentMap(ranges)

    def readinto(self, buffer: WritableBuffer, /) -> int:
        """Not forward."""
        raise ImageError("this disk is read by offset")

    def pread(self, offset: int, buffer: WritableBuffer, /) -> int:
        """Read at the offset."""
        if self.closed:
            raise ImageError("this disk is closed")
        self._before_read(offset)
        piece = self._content[offset : offset + len(buffer)]
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        """Nothing to free."""
        self.closed = True
