"""Members of a package: where their bytes lie, and how they are read and compared."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from kensho_tui.disks.digest import DigestTap
from kensho_tui.disks.files import RangeInput
from kensho_tui.disks.image import ExtentMap, InputStream, WritableBuffer
from kensho_tui.disks.joined import JoinedInput
from kensho_tui.ovf.errors import DescriptorError, ManifestError, PackageError
from kensho_tui.ovf.inflate import GzipInput
from kensho_tui.ovf.manifest import Digest
from kensho_tui.ovf.spool import Spool


class PlaceInput(InputStream, Protocol):
    """The bytes of a place."""

    @property
    def length(self) -> int: ...
    @property
    def identity(self) -> str:
        """Changes when the file is replaced or written to."""
        ...

    def verify(self) -> None:
        """Raise an error where the file was changed since it was opened."""
        ...

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class Place(Protocol):
    """Where the bytes of a member lie: in a file here, in one on a web server, or in what was unpacked."""

    @property
    def size(self) -> int: ...
    @property
    def location(self) -> str:
        """Path or address of the file it is a range of."""
        ...

    @property
    def seekable(self) -> bool:
        """Whether its bytes can be had from anywhere on without fetching all of them first."""
        ...

    def open(self, subject: str, *, forward: bool = False) -> PlaceInput:
        """Its bytes. Args: forward: whether they are read once and forward only.

        Raises: FileError, WebError.
        """
        ...

    def part(self, offset: int, size: int) -> "Place":
        """A range of the range."""
        ...

    def stamp(self, *, fresh: bool = True) -> str:
        """What the file it lies in is, as far as can be told without reading it.

        Args: fresh: whether it is looked at anew where looking costs a question to a server.

        Raises: PackageError: the file is gone. WebError.
        """
        ...


@dataclass(frozen=True, slots=True)
class FilePlace:
    """A range of a file."""

    path: Path
    offset: int
    size: int

    @property
    def location(self) -> str:
        """The path."""
        return str(self.path)

    @property
    def seekable(self) -> bool:
        """It is."""
        return True

    def open(self, subject: str, *, forward: bool = False) -> PlaceInput:
        """As `Place.open`."""
        return RangeInput(self.path, self.offset, self.size, subject=subject)

    def part(self, offset: int, size: int) -> "FilePlace":
        """As `Place.part`."""
        return FilePlace(self.path, self.offset + offset, size)

    def stamp(self, *, fresh: bool = True) -> str:
        """Inode, size and time."""
        try:
            seen = self.path.stat()
        except OSError as error:
            raise PackageError(
                f"the file is gone: {error.strerror}", subject=str(self.path), remedy="Put it back"
            ) from error
        return f"{self.path.name}\0{seen.st_ino}:{seen.st_size}:{seen.st_mtime_ns}"


@dataclass(frozen=True, slots=True)
class SpooledPlace:
    """A range of what was unpacked, or fetched as a whole, of another place."""

    of: Place
    spool: Spool
    offset: int
    size: int

    @property
    def location(self) -> str:
        """Of what was unpacked."""
        return self.of.location

    @property
    def seekable(self) -> bool:
        """It is."""
        return True

    def open(self, subject: str, *, forward: bool = False) -> PlaceInput:
        """As `Place.open`."""
        return _SpooledInput(self.spool, self.offset, self.size, subject)

    def part(self, offset: int, size: int) -> "SpooledPlace":
        """As `Place.part`."""
        return SpooledPlace(self.of, self.spool, self.offset + offset, size)

    def stamp(self, *, fresh: bool = True) -> str:
        """Of what was unpacked."""
        return self.of.stamp(fresh=fresh)


class _SpooledInput(RangeInput):
    """A range of a spool: another one of the same file has the same identity."""

    def __init__(self, spool: Spool, offset: int, size: int, subject: str) -> None:
        super().__init__(spool.number, offset, size, subject=subject)
        self._identity = f"{spool.identity}:{offset}+{size}"

    @property
    def identity(self) -> str:
        """Changes when the file that was unpacked is replaced or written to."""
        return self._identity


class _Part:
    """One file of a member: hashed as it is read, and compared with the manifest."""

    def __init__(
        self, raw: PlaceInput, subject: str, expected: Digest | None, *, forward: bool
    ) -> None:
        self.raw = raw
        self._subject = subject
        self.expected = expected
        self._tap = DigestTap(raw, [expected.algorithm], forward=forward) if expected else None

    @property
    def source(self) -> InputStream:
        """What is to be read."""
        return self._tap or self.raw

    def verify(self) -> None:
        """As `MemberStream.verify`."""
        if self._tap is not None and self.expected is not None:
            self._tap.complete()
            found = self._tap.hexdigest(self.expected.algorithm)
            if not self.expected.matches(found):
                raise mismatch(self._subject, self.expected, found)
        self.raw.verify()


class MemberStream:
    """One member, read in place, as an `InputStream` that can say whether it was all right.

    Bytes are hashed as they are read; `verify` reads what is left and compares with the manifest.

    Args:
        files: the file, how the operator knows it, and what the manifest promises of it; of a member
            that is cut into chunks, all of them in their order.
        subject: how the operator knows the member.
        gzip: whether it is compressed as a whole, and so is read forward only.
    """

    def __init__(
        self, files: Sequence[tuple[PlaceInput, str, Digest | None]], subject: str, *, gzip: bool
    ) -> None:
        alone = len(files) == 1
        self._parts = [
            _Part(raw, each, expected, forward=gzip and alone) for raw, each, expected in files
        ]
        source = self._parts[0].source
        if not alone:
            source = JoinedInput([(part.raw.length, part.source) for part in self._parts])
        self._source = GzipInput(source, subject) if gzip else source
        self.forward = gzip
        self.digest = ""  # that of the manifest, once it was found to be right

    @property
    def covered(self) -> bool:
        """Whether the manifest promises a digest of all its bytes."""
        return all(part.expected for part in self._parts)

    @property
    def length(self) -> int | None:
        """Bytes of the stream; None for a compressed member."""
        return self._source.length

    @property
    def allocated(self) -> ExtentMap | None:
        """Ranges that are no holes of the file on disk."""
        return None if self.forward else self._source.allocated

    @property
    def identity(self) -> str:
        """Changes when a file of it is replaced or written to."""
        return " ".join(part.raw.identity for part in self._parts)

    def readinto(self, buffer: WritableBuffer, /) -> int:
        """Read forward; bytes read, 0 at the end. One thread."""
        return self._source.readinto(buffer)

    def pread(self, offset: int, buffer: WritableBuffer, /) -> int:
        """Read at the offset; not for compressed members. Thread-safe."""
        return self._source.pread(offset, buffer)

    def verify(self) -> None:
        """Compare with the manifest, reading what has not been read yet.

        Raises: ManifestError: the digest differs; both are told. FileError: the file was changed.
        """
        for part in self._parts:
            part.verify()
        self.digest = ", ".join(str(part.expected) for part in self._parts if part.expected)

    def close(self) -> None:
        """Give up or be done; from any thread, twice is once."""
        self._source.close()


def chunks(href: str, places: Collection[str]) -> list[str]:
    """The names of a file's chunks that are there, in order (DSP0243 2.1.1 §7.1: nine digits)."""
    found: list[str] = []
    while (name := f"{href.removeprefix('./')}.{len(found):09d}") in places:
        found.append(name)
    return found


def mismatch(subject: str, expected: Digest, found: str) -> ManifestError:
    """The error for a member that is not what the manifest promises."""
    return ManifestError(
        f"the file does not match the manifest: {expected.algorithm} is {found}, "
        f"the manifest says {expected.value.hex()}",
        subject=subject,
        remedy="The package is damaged or was changed: get it again",
    )


def whole(place: Place, limit: int, subject: str) -> bytes:
    """All bytes of a small member. Raises: DescriptorError: more than ``limit``. FileError."""
    if place.size > limit:
        raise DescriptorError(f"the file is larger than {limit >> 20} MiB", subject=subject)
    buffer = bytearray(place.size)
    with place.open(subject) as stream:
        stream.pread(0, buffer)
    return bytes(buffer)


def unsafe(href: str) -> str:
    """Why a reference is not a plain name, "" where it is one."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", href):
        return "an address outside the package"
    if href.startswith(("/", "\\")):
        return "an absolute path"
    if href in {"", ".", ".."} or "\0" in href:
        return "no file name"
    return "a path" if "/" in href or "\\" in href else ""
