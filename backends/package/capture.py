"""Reading a package: its members as readers, checked against the manifest on the bytes that are read."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from backends.base import (
    Access,
    ChangeId,
    DamagedError,
    ExtentMap,
    Format,
    Json,
    Leftover,
    NotFoundError,
    Offer,
    TransferError,
    UnsupportedError,
    WritableBuffer,
)
from backends.package.errors import speaking
from kensho_tui.cancel import Cancel, CancelledError
from kensho_tui.disks.image import SCATTERED
from kensho_tui.disks.probe import probe
from kensho_tui.machine import Appliance, Disk, DiskId
from kensho_tui.ovf.appliance import FILE_DISK
from kensho_tui.ovf.package import MemberStream, Package

_PROBED = 1 << 16
# Parts of a format's URI or name, and what the image must be then.
_DECLARED = (
    ("vmdk", Format.VMDK_STREAM),
    ("vhdx", Format.VHDX),
    ("hh831446", Format.VHDX),  # Microsoft's page about it
    ("vhd", Format.VHD),
    ("virtualpc", Format.VHD),
    ("qcow", Format.QCOW2),
)


class PackageReader:
    """One member as the contract's `Reader`."""

    def __init__(self, stream: MemberStream, offer: Offer, cancel: Cancel, *, check: bool) -> None:
        """Args: check: whether `verify` compares with the manifest."""
        self._stream = stream
        self._offer = offer
        self._cancel = cancel
        self._check = check
        self._closed = False

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """In the words of the contract; what fails because somebody closed it was cancelled."""
        self._cancel.check()
        try:
            with speaking(self._cancel):
                yield
        except TransferError as error:
            if self._closed:
                raise CancelledError from error
            raise

    @property
    def length(self) -> int | None:
        """Bytes of the image; None for a compressed member."""
        return self._stream.length

    @property
    def identity(self) -> str:
        """Changes when the file on disk changes."""
        return self._stream.identity

    @property
    def covered(self) -> bool:
        """Whether the manifest promises something of the member, and is believed."""
        return self._check and self._stream.covered

    @property
    def digest(self) -> str:
        """Of the member, once it was found to be what the manifest promises."""
        return self._stream.digest

    @property
    def allocated(self) -> ExtentMap | None:
        """Ranges of a raw image that are no holes of the file."""
        if self._offer.format is not Format.RAW:
            return None
        with self._reading():
            return self._stream.allocated

    def readinto(self, buffer: WritableBuffer, /) -> int:
        """Read forward. Raises: TransferError, DamagedError."""
        with self._reading():
            return self._stream.readinto(buffer)

    def pread(self, offset: int, buffer: WritableBuffer, /) -> int:
        """Read at the offset. Raises: UnsupportedError: the member is compressed; as above."""
        if self._stream.forward:
            raise UnsupportedError("a compressed member is read forward only")
        with self._reading():
            return self._stream.pread(offset, buffer)

    def verify(self) -> None:
        """Read what is left and compare with the manifest. Raises: DamagedError."""
        if self._check:
            with self._reading():
                self._stream.verify()

    def close(self) -> None:
        """Be done; from any thread."""
        self._closed = True
        self._stream.close()


class PackageCapture:
    """A package held for reading. Nothing is locked: a package that changes is found out."""

    def __init__(
        self, package: Package, appliance: Appliance, cancel: Cancel, *, integrity: str
    ) -> None:
        """Args: integrity: as in `PackageSettings`."""
        self._package = package
        self._appliance = appliance
        self._cancel = cancel
        self._integrity = integrity

    @property
    def token(self) -> Json:
        """What was opened, and as what it was seen."""
        return {"path": self._package.location, "identity": self._package.identity}

    @property
    def appliance(self) -> Appliance:
        """As `describe` gave it."""
        return self._appliance

    @property
    def changes(self) -> Mapping[DiskId, ChangeId]:
        """Empty: a package tracks no changes."""
        return {}

    def offers(self, disk: DiskId) -> Sequence[Offer]:
        """In place, by the image's own magic; forward only where the member is compressed.

        Of a compressed member that cannot be read forward, whoever reads it says so.

        Raises: DamagedError: the image is not of the format the descriptor says.
        """
        with speaking(self._cancel):
            stream = self._stream(disk, digests=False)
            try:
                format_ = self._format(self._disk(disk), stream)
            finally:
                stream.close()
        forward, seek = Offer(format_, Access.FORWARD), Offer(format_, Access.SEEK)
        if stream.forward:
            return (forward,)
        return (seek,) if format_ in SCATTERED else (seek, forward)

    def open(self, disk: DiskId, offer: Offer, since: ChangeId | None = None) -> PackageReader:
        """Read the disk. Raises: UnsupportedError: ``since``, or an offer that was not made."""
        self._cancel.check()
        if since is not None:
            raise UnsupportedError("a package tracks no changes", subject=self._package.name)
        if offer not in self.offers(disk):
            raise UnsupportedError("the disk is not offered that way", subject=str(disk))
        with speaking(self._cancel):
            self._package.check_unchanged()
            stream = self._stream(disk, digests=self._integrity != "off")
        return PackageReader(stream, offer, self._cancel, check=self._integrity != "off")

    def release(self) -> list[Leftover]:
        """Nothing was made."""
        return []

    def _disk(self, disk: DiskId) -> Disk:
        found = self._appliance.disks.get(disk)
        if found is None or found.blank:
            what = "has no image" if found else "is not in the package"
            raise NotFoundError(f"the disk {what}", subject=f"{self._package.name}: {disk}")
        return found

    def _stream(self, disk: DiskId, *, digests: bool) -> MemberStream:
        return self._package.stream(self._disk(disk).image, digests=digests)

    def _format(self, disk: Disk, stream: MemberStream) -> Format:
        """By the magic; what is declared must not be anything else."""
        if disk.id.startswith(FILE_DISK):
            return Format.RAW  # a CD image: whatever its first bytes say
        declared = next((f for part, f in _DECLARED if part in disk.format.lower()), None)
        found = probe(_Start(stream) if stream.forward else stream)
        if declared is not None and found is Format.RAW:
            raise DamagedError(
                f"the descriptor says the disk is a {declared.upper()}, but the file is none",
                subject=f"{self._package.name}: {disk.image}",
                remedy="Get the package again",
            )
        return found


class _Start:
    """The first bytes of a compressed member, for `probe`."""

    allocated = None

    def __init__(self, stream: MemberStream) -> None:
        buffer = bytearray(_PROBED)
        at = 0
        while at < len(buffer):
            count = stream.readinto(memoryview(buffer)[at:])
            if not count:
                break
            at += count
        self._data = bytes(buffer[:at])
        self.length: int | None = None

    def pread(self, offset: int, buffer: WritableBuffer, /) -> int:
        data = self._data[offset : offset + len(buffer)]
        memoryview(buffer)[: len(data)] = data
        return len(data)

    def readinto(self, buffer: WritableBuffer, /) -> int:
        raise TransferError("only the first bytes are looked at")

    def close(self) -> None:
        """Nothing is open."""
