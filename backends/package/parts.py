"""The files that one disk becomes in a package: one, or as many as its size asks for; compressed or not.

A file is cut only where it grows past the limit, so that one that does not is a file like any other. What is
cut is called as DSP0243 2.1.1 §7.1 has it: ``disk.vmdk.000000000`` and so on, all of one size but the last.
"""

import hashlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from isal import isal_zlib

from backends.base import Buffer, UnsupportedError, WritableBuffer

_GZIP = 31  # window bits: a gzip header without name and time, and its trailer (RFC 1952)
_FAST = 2  # ISA-L's level; what a reproducible package takes is zlib's, which knows no kinds of processors
_USUAL = 6
MOST = 10**9  # chunks that nine digits can number


@dataclass(frozen=True, slots=True)
class Part:
    """A file of the package: its name, bytes, and digest (hexadecimal) by the manifest's algorithm."""

    name: str
    size: int
    digest: str


class Member(Protocol):
    """A file of the package that is being written."""

    def write(self, data: Buffer, /) -> None: ...
    def pread(self, offset: int, buffer: WritableBuffer, /) -> int: ...
    def cut(self) -> None: ...
    def sync(self) -> None: ...
    def finish(self, name: str) -> int:
        """Under this name; gives where the archive has come to, 0 in a folder."""
        ...

    def close(self) -> None: ...


class _Deflating(Protocol):
    def compress(self, data: Buffer, /) -> bytes: ...
    def flush(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Making:
    """How the files of disks are made.

    Attributes:
        algorithm: of the manifest.
        limit: bytes of a file; 0: none.
        compressed: whether they are compressed as files (``ovf:compression="gzip"``).
        reproducible: whether the same bytes give the same files on every machine.
    """

    algorithm: str = "sha256"
    limit: int = 0
    compressed: bool = False
    reproducible: bool = False


class Parts:
    """Where the bytes of one disk go.

    Args:
        name: of the file.
        begin: begins a file of that name.
        first: the first file, which may hold bytes of an earlier writer (`again`).
    """

    def __init__(
        self, name: str, first: Member, begin: Callable[[str], Member], making: Making
    ) -> None:
        self._name = name
        self._begin = begin
        self._making = making
        self._member = first
        self._digest = _new(making.algorithm)
        self._size = 0  # of the file that is being written
        self._done: list[Part] = []
        self._packer: _Deflating | None = None
        if making.compressed:
            self._packer = (
                zlib.compressobj(_USUAL, wbits=_GZIP)
                if making.reproducible
                else isal_zlib.compressobj(_FAST, wbits=_GZIP)
            )
        self._end = 0

    @property
    def resumable(self) -> bool:
        """Whether the bytes that were written are those of one file, so that one can go on with it."""
        return self._packer is None and not self._done

    @property
    def sha256(self) -> str | None:
        """Of what one goes on after, where that is computed for the manifest anyway."""
        if self._making.algorithm != "sha256" or not self.resumable:
            return None
        return str(self._digest.copy().hexdigest())

    @property
    def end(self) -> int:
        """Where the archive has come to, once all is finished."""
        return self._end

    @property
    def parts(self) -> tuple[Part, ...]:
        """The files, once all is finished."""
        return tuple(self._done)

    def again(self, data: Buffer) -> None:
        """Bytes that an earlier writer has left in the first file."""
        self._digest.update(data)
        self._size += memoryview(data).nbytes

    def write(self, data: Buffer) -> None:
        """Append all of them."""
        packed = data if self._packer is None else self._packer.compress(data)
        self._put(memoryview(packed).cast("B"))

    def _put(self, view: memoryview) -> None:
        limit = self._making.limit
        while len(view):
            if limit and self._size == limit:
                self._finish(self._chunk(len(self._done)))
                self._member = self._begin(self._chunk(len(self._done)))
                self._digest, self._size = _new(self._making.algorithm), 0
            some = view[: limit - self._size] if limit else view
            self._member.write(some)
            self._digest.update(some)
            self._size += len(some)
            view = view[len(some) :]

    def _chunk(self, number: int) -> str:
        if number >= MOST:
            raise UnsupportedError(
                "the disk has more chunks than can be numbered", subject=self._name
            )
        return f"{self._name}.{number:09d}"

    def _finish(self, name: str) -> None:
        self._end = self._member.finish(name)
        self._done.append(Part(name, self._size, self._digest.hexdigest()))

    def pread(self, offset: int, buffer: WritableBuffer) -> int:
        """Read back bytes of the first file."""
        return self._member.pread(offset, buffer)

    def cut(self) -> None:
        """Cut off what an earlier writer has left behind what is gone on after."""
        self._member.cut()

    def sync(self) -> None:
        """Bring what was written to the storage."""
        self._member.sync()

    def finish(self) -> None:
        """All bytes are written."""
        if self._packer is not None:
            self._put(memoryview(self._packer.flush()))
        self._finish(self._chunk(len(self._done)) if self._done else self._name)

    def close(self) -> None:
        """Be done; without `finish` before it: undone."""
        self._member.close()


def _new(algorithm: str) -> Any:  # noqa: ANN401 - what hashlib gives
    return hashlib.new(algorithm, usedforsecurity=False)
