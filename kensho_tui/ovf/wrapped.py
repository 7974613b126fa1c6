"""Packages in a wrapping: ``.ova.gz``, ``.ova.xz``, and zip files with an OVA or an OVF folder in them.

Files that a zip only stores are read in place; all else is unpacked to a spool (`kensho_tui.ovf.spool`).
"""

import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from kensho_tui.cancel import Cancel
from kensho_tui.disks.bounds import expect_ratio
from kensho_tui.disks.files import FileInput, RangeInput
from kensho_tui.disks.image import ExtentMap, InputStream, WritableBuffer
from kensho_tui.ovf.errors import PackageError
from kensho_tui.ovf.inflate import GzipInput
from kensho_tui.ovf.members import Place
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


def unwrap(path: Path, start: bytes, *, cancel: Cancel | None, told: Told) -> Content:
    """What is in the file.

    Args: start: its first bytes; cancel, told: as of `spool.spooled`.

    Raises: PackageError: nothing that is a package, damaged, or no room. Others: as of `spooled`.
    """
    if start.startswith(ZIP):
        return _zipped(path, cancel, told)
    inflater: Callable[[InputStream, str], InputStream] = (
        GzipInput if start.startswith(GZIP) else XzInput
    )
    with FileInput(path, subject=path.name) as file:
        expected = _gzip_size(file) if inflater is GzipInput else unpacked_size(file)
        expected = max(expected, file.length)

    def unpacked() -> InputStream:
        return inflater(FileInput(path, subject=path.name), path.name)

    spool = spooled(path, [Packed("", unpacked, expected)], cancel=cancel, told=told)
    return Content({"": _spooled(path, spool, "")}, "", spool)


def _spooled(path: Path, spool: Spool, name: str) -> Place:
    offset, size = spool.parts[name]
    return Place(path, offset, size, spool)


def _gzip_size(file: RangeInput) -> int:
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
def _zipped(path: Path, cancel: Cancel | None, told: Told) -> Content:
    try:
        entries = _entries(path)
        chosen, archive = _package(path, entries)
        places: dict[str, Place] = {}
        packed: list[Packed] = []
        for name, entry in chosen.items():
            if entry.flag_bits & _ENCRYPTED:
                raise _refused(path, f"{entry.filename} is encrypted", "Unpack it first")
            if entry.compress_type == zipfile.ZIP_STORED:
                places[name] = _in_place(path, entry)
            elif entry.compress_type in _WAYS:
                expect_ratio(entry.compress_size, entry.file_size)
                packed.append(Packed(name, _opening(path, entry), entry.file_size))
            else:
                raise _refused(
                    path,
                    f"{entry.filename} is compressed in a way that is not known",
                    "Unpack it first",
                )
        spool = spooled(path, packed, cancel=cancel, told=told) if packed else None
    except _OF_ZIPFILE as error:
        raise _refused(path, f"the zip file is damaged ({error})", "Get it again") from error
    if spool is not None:
        places |= {each.name: _spooled(path, spool, each.name) for each in packed}
    return Content({name: places[name] for name in chosen}, archive, spool)


def _refused(path: Path, what: str, remedy: str) -> PackageError:
    return PackageError(what, subject=path.name, remedy=remedy)


def _entries(path: Path) -> list[zipfile.ZipInfo]:
    with _Directory(path) as file, zipfile.ZipFile(cast("IO[bytes]", file)) as archive:
        found = archive.infolist()
    if len(found) > MAX_ENTRIES:
        raise _refused(path, f"the zip file holds {len(found)} files", "Unpack it first")
    named = [each for each in found if each.filename]
    return [each for each in named if not each.is_dir() and not _hidden(each.filename)]


def _hidden(name: str) -> bool:
    return name.startswith("__MACOSX/") or name.rpartition("/")[2].startswith(".")


def _package(path: Path, entries: list[zipfile.ZipInfo]) -> tuple[dict[str, zipfile.ZipInfo], str]:
    """The files of the one package in it, and its name where it is an OVA."""
    for ending in (".ovf", ".ova"):
        found = [each for each in entries if each.filename.lower().endswith(ending)]
        if len(found) > 1:
            raise _refused(
                path,
                f"the zip file holds {len(found)} packages ({ending})",
                "Unpack it first, and choose one",
            )
        if found and ending == ".ova":
            return {found[0].filename: found[0]}, found[0].filename
        if found:
            chosen = dict(_beside(path, found[0], entries))
            # The descriptor first: its folder's order is that of whoever packed it.
            return {(name := _base(found[0])): chosen.pop(name), **chosen}, ""
    raise _refused(path, "the zip file holds no package (.ovf or .ova)", "Choose another file")


def _beside(
    path: Path, descriptor: zipfile.ZipInfo, entries: list[zipfile.ZipInfo]
) -> Iterator[tuple[str, zipfile.ZipInfo]]:
    folder = descriptor.filename.rpartition("/")[0]
    seen: set[str] = set()
    for each in entries:
        if each.filename.rpartition("/")[0] != folder:
            continue
        if (name := _base(each)) in seen:
            raise _refused(
                path,
                f"the zip file holds two files of the name {name}",
                "Do not trust this package",
            )
        seen.add(name)
        yield name, each


def _base(entry: zipfile.ZipInfo) -> str:
    return entry.filename.rpartition("/")[2]


def _in_place(path: Path, entry: zipfile.ZipInfo) -> Place:
    """Where the bytes of a file lie that is only stored (APPNOTE.TXT 4.3.7)."""
    header = bytearray(_LOCAL.size)
    with FileInput(path, subject=path.name) as file:
        if entry.header_offset < 0 or file.pread(entry.header_offset, header) < len(header):
            raise zipfile.BadZipFile(f"{entry.filename} lies outside of it")
        magic, name, extra = _LOCAL.unpack(header)
        start = entry.header_offset + _LOCAL.size + name + extra
        if magic != ZIP or entry.file_size != entry.compress_size:
            raise zipfile.BadZipFile(f"{entry.filename} is not where its directory says")
        if start + entry.file_size > file.length:
            raise zipfile.BadZipFile(f"it ends in the middle of {entry.filename}")
    return Place(path, start, entry.file_size)


def _opening(path: Path, entry: zipfile.ZipInfo) -> Callable[[], InputStream]:
    return lambda: _ZipInput(path, entry)


class _ZipInput:
    """One compressed file of a zip, unpacked forward; its CRC is checked at its end."""

    length: int | None = None
    allocated: ExtentMap | None = None

    def __init__(self, path: Path, entry: zipfile.ZipInfo) -> None:
        self._zip = zipfile.ZipFile(path)
        try:
            self._file = self._zip.open(entry)
        except BaseException:
            self._zip.close()
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


class _Directory:
    """A file that gives nothing away in one piece that is larger than a zip's directory may be."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("rb")
        self.seek, self.tell = self._file.seek, self._file.tell

    def read(self, count: int = -1) -> bytes:
        if not 0 <= count <= _MAX_DIRECTORY:
            left = self._path.stat().st_size - self.tell()
            if count > 0 or left > _MAX_DIRECTORY:
                raise _refused(
                    self._path, "the directory of the zip file is too large", "Unpack it first"
                )
        return self._file.read(count)

    def seekable(self) -> bool:
        return True

    def __enter__(self) -> "_Directory":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
