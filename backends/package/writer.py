"""One disk of a package that is written: a file of its own, or a member of the archive."""

import hashlib
import threading
from pathlib import Path
from typing import Protocol

from backends.base import Buffer, ExtentMap, Format, Json, Offer, TransferError, UnsupportedError
from backends.package.errors import speaking
from backends.package.layout import Done
from kensho_tui.cancel import Cancel, CancelledError
from kensho_tui.disks.files import FileOutput
from kensho_tui.machine import DiskId
from kensho_tui.ovf.archive_write import ArchiveWriter
from kensho_tui.ovf.names import FORMAT_VHD, FORMAT_VMDK

URIS = {Format.VMDK_STREAM: FORMAT_VMDK, Format.VHD: FORMAT_VHD, Format.RAW: ""}


class Output(Protocol):
    """Where the bytes of one disk go."""

    def write(self, data: Buffer, /) -> None: ...
    def finish(self) -> int: ...
    def close(self) -> None: ...


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
        out: Output,
        length: int | None,
    ) -> None:
        """See `backends.package.deployment.PackageDeployment.open`."""
        self._length = length
        self._deployment = deployment
        self._disk = disk
        self._name = name
        self._offer = offer
        self._out = out
        self._digest = hashlib.sha256()
        self.digest = ""  # of the file, once it is there
        self._size = 0
        self._lock = threading.Lock()
        self._state = "open"

    def write(self, data: Buffer, /) -> None:
        """Append all bytes. One thread. Raises: NoSpaceError, TransferError, CancelledError."""
        self._deployment.cancel.check()
        with self._lock:
            self._must_be_open()
            with speaking(self._deployment.cancel):
                self._out.write(data)
            self._digest.update(data)
            self._size += memoryview(data).nbytes

    def pwrite(self, offset: int, data: Buffer, /) -> None:
        """Never: packages are written forward. Raises: UnsupportedError."""
        raise UnsupportedError("a package is written forward only")

    def durable(self) -> tuple[ExtentMap, Json]:
        """Nothing to resume from within one disk."""
        return ExtentMap(), None

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
                end = self._out.finish()
                self._deployment.written(
                    self._disk,
                    Done(
                        self._name, self._size, self._digest.hexdigest(),
                        URIS.get(self._offer.format, ""), end,
                    ),
                )  # fmt: skip
            self._state = "finished"
            self.digest = f"sha256 {self._digest.hexdigest()}"
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

    def __init__(self, path: Path) -> None:
        self._file = FileOutput(path, overwrite=True)

    def write(self, data: Buffer, /) -> None:
        self._file.write(data)

    def finish(self) -> int:
        self._file.finish()
        self._file.close()
        return 0

    def close(self) -> None:
        self._file.close()


class ArchiveMember:
    """A member of the archive that is being written."""

    def __init__(self, archive: ArchiveWriter, name: str) -> None:
        self._archive = archive
        archive.begin(name)

    def write(self, data: Buffer, /) -> None:
        self._archive.write(data)

    def finish(self) -> int:
        self._archive.finish()
        return self._archive.position

    def close(self) -> None:
        """The unfinished member is cut off when the next one begins."""
