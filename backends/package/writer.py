"""One disk of a package that is written: a file of its own, or a member of the archive."""

import hashlib
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from backends.base import (
    Buffer,
    ExtentMap,
    Format,
    Json,
    Offer,
    ResumeError,
    TransferError,
    UnsupportedError,
    WritableBuffer,
)
from backends.package.errors import speaking
from backends.package.layout import Done
from backends.package.parts import Making, Parts
from kensho_tui.cancel import Cancel, CancelledError
from kensho_tui.disks.files import FileError, FileOutput, system_errors
from kensho_tui.machine import DiskId
from kensho_tui.ovf.archive_write import ArchiveWriter
from kensho_tui.ovf.names import DISK_URIS

_READ = 1 << 20

URIS = {**DISK_URIS, Format.RAW: ""}
# How the files of those formats end.
ENDINGS = {
    Format.VMDK_STREAM: ".vmdk",
    Format.VHD: ".vhd",
    Format.VHDX: ".vhdx",
    Format.QCOW2: ".qcow2",
}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a disk is: what a token says. The digest is of all bytes up to there."""

    name: str
    size: int
    sha256: str

    @classmethod
    def of(cls, token: Json, name: str) -> "Progress":
        """From a token. Raises: ResumeError: it is none, or of another file."""
        try:
            made = cls(str(token["name"]), int(token["size"]), str(token["sha256"]))
        except (TypeError, KeyError, ValueError):
            raise ResumeError("this is no place to go on from", subject=name) from None
        if made.name != name or made.size <= 0:
            raise ResumeError("this is a place of another disk", subject=name)
        return made


class Deploying(Protocol):
    """What a writer tells its deployment."""

    @property
    def cancel(self) -> Cancel: ...
    def written(self, disk: DiskId, done: Done) -> None: ...
    def closed(self, writer: "PackageWriter") -> None: ...


class PackageWriter:
    """One disk as the contract's `Writer`: hashed as it is written."""

    def __init__(
        self,
        deployment: Deploying,
        disk: DiskId,
        name: str,
        offer: Offer,
        out: Parts,
        length: int | None,
        resume_bytes: int,
        making: Making,
    ) -> None:
        """See `backends.package.deployment.PackageDeployment.open`."""
        self._length = length
        self._deployment = deployment
        self._disk = disk
        self._name = name
        self._offer = offer
        self._out = out
        # For tokens, where the manifest's algorithm is another one.
        self._digest = None if making.algorithm == "sha256" else hashlib.sha256()
        self.digest = ""  # of the file, once it is there
        self._size = 0
        self._resume_bytes = resume_bytes
        self._making = making
        self._safe: Progress | None = None  # what is on the storage for good
        self._kept = 0
        self._lock = threading.Lock()
        self._state = "open"

    def write(self, data: Buffer, /) -> None:
        """Append all bytes. One thread. Raises: NoSpaceError, TransferError, CancelledError."""
        self._deployment.cancel.check()
        with self._lock:
            self._must_be_open()
            with speaking(self._deployment.cancel):
                self._out.write(data)
            if self._digest is not None and self._out.resumable:
                self._digest.update(data)
            self._size += memoryview(data).nbytes

    def pwrite(self, offset: int, data: Buffer, /) -> None:
        """Never: packages are written forward. Raises: UnsupportedError."""
        raise UnsupportedError("a package is written forward only")

    def go_on(self, kept: Progress) -> None:
        """Take over what is there, before the first `write`.

        Raises: ResumeError: it is not what the token says; it is left as it is.
        """
        buffer = memoryview(bytearray(_READ))
        while self._size < kept.size:
            self._deployment.cancel.check()
            with self._lock:
                self._must_be_open()
                count = self._out.pread(self._size, buffer[: kept.size - self._size])
            if not count:
                break
            if self._digest is not None:
                self._digest.update(buffer[:count])
            self._out.again(buffer[:count])
            self._size += count
        if self._size != kept.size or self._sha256() != kept.sha256:
            raise ResumeError(
                "what is there of the disk is not what was written", subject=self._name
            )
        self._out.cut()
        self._safe, self._kept = kept, kept.size

    def durable(self) -> tuple[ExtentMap, Json]:
        """What the storage has for good; a token is the bytes up to there, and their digest."""
        with self._lock:
            self._must_be_open()
            new = self._size - (self._safe.size if self._safe else 0)
            # What is compressed or was cut is no file yet that one could go on with.
            if self._out.resumable and new >= self._resume_bytes:
                with speaking(self._deployment.cancel):
                    self._out.sync()
                self._safe = Progress(self._name, self._size, self._sha256())
            if self._safe is None:
                return ExtentMap(), None
            return ExtentMap([(0, self._safe.size)]), asdict(self._safe)

    def _sha256(self) -> str:
        """Of all bytes so far, while the disk is one file."""
        found = self._out.sha256 if self._digest is None else self._digest.copy().hexdigest()
        return found or ""

    def pread(self, offset: int, buffer: WritableBuffer, /) -> int:
        """Read back what was kept. Raises: UnsupportedError: nothing was."""
        if not self._kept:
            raise UnsupportedError("nothing was kept of the disk", subject=self._name)
        with self._lock, speaking(self._deployment.cancel):
            self._must_be_open()
            return self._out.pread(offset, memoryview(buffer)[: max(0, self._kept - offset)])

    def finish(self) -> None:
        """Bring the bytes to the disk and remember that they are there."""
        self._deployment.cancel.check()
        with self._lock:
            self._must_be_open()
            if self._length is not None and self._size != self._length:
                raise TransferError(
                    f"{self._size} of {self._length} bytes were written", subject=self._name
                )
            with speaking(self._deployment.cancel):
                whole = self._out.resumable
                self._out.finish()
                uri = URIS.get(self._offer.format, "")
                compressed = self._making.compressed
                done = Done(self._name, uri, self._out.parts, self._out.end, compressed)
                self._deployment.written(self._disk, done)
            self._state = "finished"
            if whole:
                self.digest = f"{self._making.algorithm} {done.parts[0].digest}"
        self._deployment.closed(self)

    def close(self) -> None:
        """Be done; without `finish` before it: undone."""
        with self._lock:
            if self._state != "closed":
                self._state = "closed"
                self._out.close()
        self._deployment.closed(self)

    def _must_be_open(self) -> None:
        if self._state == "closed":
            raise CancelledError
        if self._state != "open":
            raise TransferError("the disk has been written already", subject=self._name)


class FolderMember:
    """A file of its own."""

    def __init__(self, path: Path, kept: Progress | None = None) -> None:
        """Raises: ResumeError: there is less of it than was kept."""
        self._path = path
        try:
            size = kept.size if kept else 0
            self._file = FileOutput(path, overwrite=True, lasting=True, kept=size, ours=True)
        except FileError as error:
            if kept is None:
                raise
            raise ResumeError(error.what, subject=path.name) from error

    def write(self, data: Buffer, /) -> None:
        self._file.write(data)

    def pread(self, offset: int, buffer: WritableBuffer, /) -> int:
        return self._file.pread(offset, buffer)

    def cut(self) -> None:
        self._file.cut()

    def sync(self) -> None:
        self._file.sync()

    def finish(self, name: str) -> int:
        self._file.finish()
        self._file.close()
        if name != self._path.name:
            with system_errors("write", name):
                self._path.replace(self._path.with_name(name))
        return 0

    def close(self) -> None:
        self._file.close()


class ArchiveMember:
    """A member of the archive that is being written."""

    def __init__(self, archive: ArchiveWriter, name: str, kept: Progress | None = None) -> None:
        """Raises: ResumeError: there is less of it than was kept."""
        self._archive = archive
        if kept is None:
            archive.begin(name)
        elif not archive.go_on(name, kept.size):
            raise ResumeError("the archive is shorter than it was", subject=name)

    def write(self, data: Buffer, /) -> None:
        self._archive.write(data)

    def pread(self, offset: int, buffer: WritableBuffer, /) -> int:
        return self._archive.pread(offset, buffer)

    def cut(self) -> None:
        self._archive.cut()

    def sync(self) -> None:
        self._archive.sync()

    def finish(self, name: str) -> int:
        self._archive.rename(name)
        self._archive.finish()
        return self._archive.position

    def close(self) -> None:
        """The unfinished member is cut off when another one begins."""
