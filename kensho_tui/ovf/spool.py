"""Where a package is unpacked to that is compressed as a whole: a private file that has no name.

What is compressed as a whole goes forward only, and an archive's members and a disk's tables want more.
Nothing stays of a spool: the system frees it with the last one who has it open, whatever ends a process.
"""

import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, TypeAlias

from humanize import naturalsize

from kensho_tui.cancel import Cancel
from kensho_tui.disks.files import system_errors
from kensho_tui.disks.image import InputStream
from kensho_tui.ovf.errors import PackageError
from kensho_tui.text import one_line

_CHUNK = 1 << 20
_RESERVE = 64 << 20  # of the storage, for everybody else on it
_LOOKED_AT = 64 << 20  # the room is looked at again each time so much was written
VARIABLE = "KENSHO_SPOOL_DIR"

Key: TypeAlias = tuple[str, str]


class Spool:
    """Unpacked bytes, and where in them each part is.

    Attributes:
        number: the open file, which lives as long as this.
        size: its bytes.
        parts: ``(offset, length)`` by name.
        folder: whose storage it takes.
        identity: of the file that was unpacked: the same for each spool of it.
    """

    def __init__(
        self, number: int, parts: Mapping[str, tuple[int, int]], folder: Path, identity: str
    ) -> None:
        self.number = number
        self.parts = parts
        self.size = sum(length for _, length in parts.values())
        self.folder = folder
        self.identity = identity
        weakref.finalize(self, os.close, number)


@dataclass(frozen=True, slots=True)
class Packed:
    """A part that has to be unpacked.

    Attributes:
        name: how the spool knows it.
        open: its bytes, read forward.
        expected: bytes that they will be at least, as far as that is known.
    """

    name: str
    open: Callable[[], InputStream]
    expected: int


class _Known(Protocol):
    @property
    def identity(self) -> str: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class Spoolable(Protocol):
    """What of a `Place` is asked here."""

    @property
    def location(self) -> str: ...
    def open(self, subject: str, *, forward: bool = False) -> _Known: ...


_spools: "weakref.WeakValueDictionary[Key, Spool]" = weakref.WeakValueDictionary()
_one_at_once = threading.Lock()


def folder() -> Path:
    """Where spools are: ``$KENSHO_SPOOL_DIR``, else ``$TMPDIR``, else ``/var/tmp``: on a disk."""
    for named in (os.environ.get(VARIABLE), os.environ.get("TMPDIR")):
        if named:
            return Path(named)
    # /tmp is memory on many systems.
    usual = Path("/var/tmp")  # noqa: S108 - the file is private, and has no name
    return usual if os.access(usual, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())


def spooled(
    of: Spoolable,
    name: str,
    packed: Sequence[Packed],
    *,
    cancel: Cancel | None = None,
    told: Callable[[str], None] = lambda _: None,
    doing: str = "Unpacking",
) -> Spool:
    """The parts of a file, unpacked; those who have it open at the same time share one.

    Args:
        of: where the file lies, for its identity.
        name: how the operator knows it.
        packed: what of it is unpacked.
        cancel: ends it.
        told: told before it begins what will be unpacked to where.
        doing: what is done, for that.

    Raises: PackageError: there is no room, or the data is damaged. BoundsError: it inflates too far.
        FileError: the system says no. WebError. CancelledError.
    """
    with of.open(name, forward=True) as stream:
        identity = stream.identity
    key = (of.location, identity)
    with _one_at_once:
        known = _spools.get(key)
        if known is None or not {each.name for each in packed} <= set(known.parts):
            known = _unpack(name, identity, packed, cancel or Cancel(), told, doing)
            _spools[key] = known
        return known


def _unpack(
    name: str,
    identity: str,
    packed: Sequence[Packed],
    cancel: Cancel,
    told: Callable[[str], None],
    doing: str,
) -> Spool:
    where, expected = folder(), sum(each.expected for each in packed)
    _expect_room(name, where, expected)
    size = f"{_words(expected)} or more" if expected else "how much is not known"
    told(f"{doing} {one_line(name)} to a temporary file in {where}, {size} …")
    parts: dict[str, tuple[int, int]] = {}
    with system_errors("write", str(where)):
        file = tempfile.TemporaryFile(dir=where, prefix="kensho-", buffering=0)  # noqa: SIM115
    with file:
        at = looked = 0
        for each in packed:
            start, buffer = at, bytearray(_CHUNK)
            stream = each.open()
            try:
                while count := stream.readinto(buffer):
                    cancel.check()
                    with system_errors("write", str(where)):
                        _write(file.fileno(), memoryview(buffer)[:count])
                    at += count
                    if at - looked >= _LOOKED_AT:
                        looked = at
                        _expect_room(name, where, expected - at)
            finally:
                stream.close()
            parts[each.name] = (start, at - start)
        return Spool(os.dup(file.fileno()), parts, where, identity)


def _write(number: int, data: memoryview) -> None:
    while len(data):
        data = data[os.write(number, data) :]


def _expect_room(name: str, where: Path, needed: int) -> None:
    with suppress(OSError):  # who cannot write there says so himself
        free = shutil.disk_usage(where).free
        if free < max(0, needed) + _RESERVE:
            raise PackageError(
                f"all of it has to be kept in a temporary file, and {where} has no room for it:"
                f" {_words(max(0, needed))} or more are needed, {_words(free)} are free",
                subject=name,
                remedy=f"Make room there, name another folder in {VARIABLE}, or unpack it yourself",
            )


def _words(count: int) -> str:
    return naturalsize(count, binary=True, format="%.1f")
