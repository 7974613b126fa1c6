"""Packages in a wrapping: ``.ova.gz``, ``.ova.xz``, and zip files with an OVA or an OVF folder in them.

Files that a zip only stores are read in place; all else is unpacked to a spool (`kensho_tui.ovf.spool`).
"""

import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Self, cast

from kensho_tui.cancel import Cancel
from kensho_tui.disks.bounds import expect_ratio
from kensho_tui.disks.image import ExtentMap, InputStream, WritableBuffer
from kensho_tui.ovf.errors import PackageError
from kensho_tui.ovf.inflate import GzipInput
from kensho_tui.ovf.members import Place, PlaceInput, SpooledPlace
from kensho_tui.ovf.spool import Packed, Spool, spooled
from kensho_tui.ovf.unxz import XzInput, unpacked_size

GZIP, XZ, ZIP = b"\x1f\x8b", b"\xfd7zXZ\x00", b"PK\x03\x04"
MAX_ENTRIES = 4096
_MAX_DIRECTORY = 8 << 20  # bytes of a zip's directory, or of anything that is read of it at once
_LOCAL = struct.Struct("<4s22xHH")
_ENCRYPTED = 1
# What the module raises of a file that is not right.
_OF_ZIPFILE = (
    zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, lzma.LZMAError, struct.error,
    EOFError, OSError, NotImplementedError, RuntimeError, ValueError, OverflowError, IndexError,
)  # fmt: skip
_WAYS = {zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}

Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Content:
    """What is in a wrapping.

    Attributes:
        places: of its files, by name.
        archive: the one that is an OVA; "" where they are the files of an OVF folder.
        spool: what was unpacked; None where all is read in place.
    """

    places: dict[str, Place]
    archive: str
    spool: Spool | None


def is_wrapped(start: bytes) -> bool:
    """Whether a file that begins so is one of these wrappings."""
    return start.startswith((GZIP, XZ, ZIP))


def unwrap(place: Place, name: str, start: bytes, *, cancel: Cancel | None, told: Told) -> Content:
    """What is in the file.

    Args: place: where all of it lies; name: how the operator knows it; start: its first bytes; cancel,
        told: as of `spool.spooled`.

    Raises: PackageError: nothing that is a package, damaged, or no room. Others: as of `spooled`.
    """
    if start.startswith(ZIP):
        return _Zip(place, name).content(cancel, told)
    inflater: Callable[[InputStream, str], InputStream] = (
        GzipInput if start.startswith(GZIP) else XzInput
    )
    # How long it becomes stands at its end, which who gives a file forward only does not give first.
    expected = place.size
    if place.seekable:
        with place.open(name) as file:
            told_size = _gzip_size(file) if inflater is GzipInput else unpacked_size(file)
        expected = max(expected, told_size)

    def unpacked() -> InputStream:
        return inflater(place.open(name, forward=True), name)

    spool = spooled(place, name, [Packed("", unpacked, expected)], cancel=cancel, told=told)
    return Content({"": _spooled(place, spool, "")}, "", spool)


def _spooled(place: Place, spool: Spool, name: str) -> Place:
    offset, size = spool.parts[name]
    return SpooledPlace(place, spool, offset, size)


def _gzip_size(file: PlaceInput) -> int:
    """The least that the file can inflate to: its end says it modulo 4 GiB (RFC 1952 2.3.1)."""
    told = bytearray(4)
    if file.length < 18:
        return 0
    file.pread(file.length - 4, told)
    size = int.from_bytes(told, "little")
    # What is compressed already, as disks in packages are, becomes longer by a thousandth at most.
    while size < file.length - (file.length >> 9) - 64:
        size += 1 << 32
    return size


# ------------------------------------------------------------------------------------------- zip
class _Zip:
    """A zip file that a package lies in."""

    def __init__(self, place: Place, name: str) -> None:
        self._place = place
        self._name = name

    def content(self, cancel: Cancel | None, told: Told) -> Content:
        try:
            entries = self._entries()
            chosen, archive = self._package(entries)
            places: dict[str, Place] = {}
            packed: list[Packed] = []
            for name, entry in chosen.items():
                if entry.flag_bits & _ENCRYPTED:
                    raise self._refused(f"{entry.filename} is encrypted", "Unpack it first")
                if entry.compress_type == zipfile.ZIP_STORED:
                    places[name] = self._in_place(entry)
                elif entry.compress_type in _WAYS:
                    expect_ratio(entry.compress_size, entry.file_size)
                    packed.append(Packed(name, self._opening(entry), entry.file_size))
                else:
                    raise self._refused(
                        f"{entry.filename} is compressed in a way that is not known",
                        "Unpack it first",
                    )
            spool = None
            if packed:
                spool = spooled(self._place, self._name, packed, cancel=cancel, told=told)
        except _OF_ZIPFILE as error:
            raise self._refused(f"the zip file is damaged ({error})", "Get it again") from error
        if spool is not None:
            places |= {each.name: _spooled(self._place, spool, each.name) for each in packed}
        return Content({name: places[name] for name in chosen}, archive, spool)

    def _refused(self, what: str, remedy: str) -> PackageError:
        return PackageError(what, subject=self._name, remedy=remedy)

    def _entries(self) -> list[zipfile.ZipInfo]:
        with (
            _Directory(self._place, self._name) as file,
            zipfile.ZipFile(cast("IO[bytes]", file)) as archive,
        ):
            found = archive.infolist()
        if len(found) > MAX_ENTRIES:
            raise self._refused(f"the zip file holds {len(found)} files", "Unpack it first")
        named = [each for each in found if each.filename]
        return [each for each in named if not each.is_dir() and not _hidden(each.filename)]

    def _package(self, entries: list[zipfile.ZipInfo]) -> tuple[dict[str, zipfile.ZipInfo], str]:
        """The files of the one package in it, and its name where it is an OVA."""
        for ending in (".ovf", ".ova"):
            found = [each for each in entries if each.filename.lower().endswith(ending)]
            if len(found) > 1:
                raise self._refused(
                    f"the zip file holds {len(found)} packages ({ending})",
                    "Unpack it first, and choose one",
                )
            if found and ending == ".ova":
                return {found[0].filename: found[0]}, found[0].filename
            if found:
                chosen = dict(self._beside(found[0], entries))
                # The descriptor first: its folder's order is that of whoever packed it.
                return {(name := _base(found[0])): chosen.pop(name), **chosen}, ""
        raise self._refused("the zip file holds no package (.ovf or .ova)", "Choose another file")

    def _beside(
        self, descriptor: zipfile.ZipInfo, entries: list[zipfile.ZipInfo]
    ) -> Iterator[tuple[str, zipfile.ZipInfo]]:
        folder = descriptor.filename.rpartition("/")[0]
        seen: set[str] = set()
        for each in entries:
            if each.filename.rpartition("/")[0] != folder:
                continue
            if (name := _base(each)) in seen:
                raise self._refused(
                    f"the zip file holds two files of the name {name}",
                    "Do not trust this package",
                )
            seen.add(name)
            yield name, each

    def _in_place(self, entry: zipfile.ZipInfo) -> Place:
        """Where the bytes of a file lie that is only stored (APPNOTE.TXT 4.3.7)."""
        header = bytearray(_LOCAL.size)
        with self._place.open(self._name) as file:
            if entry.header_offset < 0 or file.pread(entry.header_offset, header) < len(header):
                raise zipfile.BadZipFile(f"{entry.filename} lies outside of it")
            magic, name, extra = _LOCAL.unpack(header)
            start = entry.header_offset + _LOCAL.size + name + extra
            if magic != ZIP or entry.file_size != entry.compress_size:
                raise zipfile.BadZipFile(f"{entry.filename} is not where its directory says")
            if start + entry.file_size > file.length:
                raise zipfile.BadZipFile(f"it ends in the middle of {entry.filename}")
        return self._place.part(start, entry.file_size)

    def _opening(self, entry: zipfile.ZipInfo) -> Callable[[], InputStream]:
        return lambda: _ZipInput(_Seeking(self._place, self._name), entry)


def _hidden(name: str) -> bool:
    return name.startswith("__MACOSX/") or name.rpartition("/")[2].startswith(".")


def _base(entry: zipfile.ZipInfo) -> str:
    return entry.filename.rpartition("/")[2]


class _Seeking:
    """A place as a file that Python's module reads."""

    def __init__(self, place: Place, name: str) -> None:
        self._input = place.open(name)
        self._at = 0

    def read(self, count: int = -1) -> bytes:
        left = max(0, self._input.length - self._at)
        buffer = bytearray(left if count < 0 else min(count, left))
        self._input.pread(self._at, buffer)
        self._at += len(buffer)
        return bytes(buffer)

    def seek(self, offset: int, whence: int = 0) -> int:
        base = (0, self._at, self._input.length)[whence]
        if base + offset < 0:
            raise ValueError("before the beginning")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        self._input.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Directory(_Seeking):
    """One that gives nothing away in one piece that is larger than a zip's directory may be."""

    def __init__(self, place: Place, name: str) -> None:
        super().__init__(place, name)
        self._name = name

    def read(self, count: int = -1) -> bytes:
        if not 0 <= count <= _MAX_DIRECTORY:
            left = self._input.length - self._at
            if count > 0 or left > _MAX_DIRECTORY:
                raise PackageError(
                    "the directory of the zip file is too large",
                    subject=self._name,
                    remedy="Unpack it first",
                )
        return super().read(count)


class _ZipInput:
    """One compressed file of a zip, unpacked forward; its CRC is checked at its end."""

    length: int | None = None
    allocated: ExtentMap | None = None

    def __init__(self, file: _Seeking, entry: zipfile.ZipInfo) -> None:
        self._whole = file
        try:
            self._zip = zipfile.ZipFile(cast("IO[bytes]", file))
            self._file = self._zip.open(entry)
        except BaseException:
            file.close()
            raise

    def readinto(self, buffer: WritableBuffer, /) -> int:
        data = self._file.read(len(buffer))
        memoryview(buffer)[: len(data)] = data
        return len(data)

    def pread(self, offset: int, buffer: WritableBuffer, /) -> int:
        raise NotImplementedError

    def close(self) -> None:
        self._file.close()
        self._zip.close()
        self._whole.close()
