"""An OVF package on disk: a folder with its ``.ovf``, or an ``.ova``; members are read in place."""

import hashlib
import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

from kensho_tui.disks.digest import DigestTap
from kensho_tui.disks.files import RangeInput
from kensho_tui.disks.image import ExtentMap, InputStream, WritableBuffer
from kensho_tui.findings import Finding, Severity
from kensho_tui.machine import Appliance
from kensho_tui.ovf import archive, manifest
from kensho_tui.ovf.envelope import Envelope, FileReference
from kensho_tui.ovf.errors import DescriptorError, ManifestError, PackageError
from kensho_tui.ovf.inflate import GzipInput
from kensho_tui.ovf.manifest import Digest, Manifest
from kensho_tui.ovf.xml import MAX_BYTES

Integrity = Literal["require", "warn", "off"]

_MAX_BLOB = 8 << 20
_FOREIGN = (
    (b"\x1f\x8b", "a gzip file", "Unpack it with gunzip first"),
    (b"PK\x03\x04", "a zip archive", "Unpack it first and choose the .ovf or .ova in it"),
    (b"KDMV", "a virtual disk", "Choose the .ovf that describes it"),
    (b"conectix", "a virtual disk", "Choose the .ovf that describes it"),
    (b"QFI\xfb", "a virtual disk", "Choose the .ovf that describes it"),
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the bytes of a member lie: a range of a file."""

    path: Path
    offset: int
    size: int


class MemberStream:
    """One member, read in place, as an `InputStream` that can say whether it was all right.

    Bytes are hashed as they are read; `verify` reads what is left and compares with the manifest.
    """

    def __init__(
        self, raw: RangeInput, subject: str, expected: Digest | None, *, gzip: bool
    ) -> None:
        """See `Package.stream`."""
        self._raw = raw
        self._subject = subject
        self._expected = expected
        self._tap = DigestTap(raw, [expected.algorithm], forward=gzip) if expected else None
        source: InputStream = self._tap or raw
        self._source = GzipInput(source, subject) if gzip else source
        self.forward = gzip

    @property
    def length(self) -> int | None:
        """Bytes of the stream; None for a compressed member."""
        return self._source.length

    @property
    def allocated(self) -> ExtentMap | None:
        """Ranges that are no holes of the file on disk."""
        return None if self.forward else self._raw.allocated

    @property
    def identity(self) -> str:
        """Changes when the file is replaced or written to."""
        return self._raw.identity

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
        if self._tap is not None and self._expected is not None:
            self._tap.complete()
            found = self._tap.hexdigest(self._expected.algorithm)
            if not self._expected.matches(found):
                raise mismatch(self._subject, self._expected, found)
        self._raw.verify()

    def close(self) -> None:
        """Give up or be done; from any thread, twice is once."""
        self._source.close()


def mismatch(subject: str, expected: Digest, found: str) -> ManifestError:
    """The error for a member that is not what the manifest promises."""
    return ManifestError(
        f"the file does not match the manifest: {expected.algorithm} is {found}, "
        f"the manifest says {expected.value.hex()}",
        subject=subject,
        remedy="The package is damaged or was changed: get it again",
    )


@dataclass(frozen=True)
class Package:
    """An opened package. Holds no file open.

    Attributes:
        path: the ``.ova`` or ``.ovf``.
        archive: whether it is one tar archive.
        places: every member by its name, the descriptor and manifest among them.
        descriptor_name: name of the ``.ovf``.
        descriptor: its bytes; what was hashed is what was parsed.
        manifest: what the manifest promises; None where there is none or it cannot be read.
        identity: changes when the package changes.
        watched: the files `identity` looks at.
        findings: what was noticed about the package as files; the descriptor's come with
            `appliance`.
    """

    path: Path
    archive: bool
    places: Mapping[str, Place]
    descriptor_name: str
    descriptor: bytes
    envelope: Envelope
    manifest: Manifest | None
    identity: str
    watched: tuple[Path, ...]
    findings: tuple[Finding, ...] = ()

    @property
    def name(self) -> str:
        """How the operator knows it: the name of the file."""
        return self.path.name

    @property
    def size(self) -> int:
        """Bytes of all members together; in a folder, of those the descriptor names."""
        places = self.places.values()
        return sum(place.size for place in places if self.archive or place.path in self.watched)

    def appliance(
        self, configuration: str | None = None, *, locale: str = ""
    ) -> tuple[Appliance, tuple[Finding, ...]]:
        """What the descriptor says, with all findings. See `Envelope.appliance`."""
        appliance, findings = self.envelope.appliance(configuration, locale=locale)
        return appliance, (*self.findings, *findings)

    def member(self, href: str) -> str:
        """The name of the member a reference points at.

        Raises: PackageError: it points out of the package, or at what is not there.
        """
        for name in dict.fromkeys((href, unquote(href))):
            name = name.removeprefix("./")
            problem = _unsafe(name)
            if problem:
                raise PackageError(
                    f"the descriptor refers to {problem}; only files of the package are read",
                    subject=f"{self.name}: {href}",
                    remedy="Put the file beside the descriptor and refer to it by its name",
                )
            if name in self.places:
                return name
        raise PackageError(
            "the file is not in the package",
            subject=f"{self.name}: {href}",
            remedy="Get the complete package",
        )

    def digest(self, name: str) -> Digest | None:
        """What the manifest promises of the member; None where it promises nothing."""
        return self.manifest.digests.get(name) if self.manifest else None

    def reference(self, href: str) -> FileReference | None:
        """The entry of the References with that href."""
        return next((each for each in self.envelope.files if each.href == href), None)

    def stream(self, href: str, *, digests: bool = True) -> MemberStream:
        """The bytes of a member, read in place; inflated where the descriptor says ``gzip``.

        Args:
            href: as the descriptor (or `Disk.image`) writes it.
            digests: whether to hash what is read, so that `MemberStream.verify` compares.

        Raises: PackageError: see `member`; or a compression that is not supported.
        """
        name = self.member(href)
        reference = self.reference(href)
        compression = reference.compression if reference else ""
        if compression not in {"", "identity", "gzip"}:
            raise PackageError(
                f"the compression '{compression}' is not supported",
                subject=f"{self.name}: {name}",
                remedy="Unpack the file and build the package without compression",
            )
        if reference and reference.chunk_size:
            raise PackageError(
                "the file is cut into chunks, which is not supported",
                subject=f"{self.name}: {name}",
                remedy="Join the chunks into one file",
            )
        place = self.places[name]
        subject = f"{self.name}: {name}"
        raw = RangeInput(place.path, place.offset, place.size, subject=subject)
        return MemberStream(
            raw, subject, self.digest(name) if digests else None, gzip=compression == "gzip"
        )

    def verify(self, name: str) -> None:
        """Read all of a member, as it lies there, and compare it with the manifest.

        Raises: ManifestError: it differs. PackageError: there is no such member.
        """
        if name not in self.places:
            raise PackageError("the file is not in the package", subject=f"{self.name}: {name}")
        place = self.places[name]
        subject = f"{self.name}: {name}"
        raw = RangeInput(place.path, place.offset, place.size, subject=subject)
        stream = MemberStream(raw, subject, self.digest(name), gzip=False)
        try:
            stream.verify()
        finally:
            stream.close()

    def check_unchanged(self) -> None:
        """Raise `PackageError` if a file of the package is not the one that was opened."""
        if _identity(self.watched, self.descriptor) != self.identity:
            raise PackageError(
                "the package was changed since it was opened",
                subject=self.name,
                remedy="Leave the files alone, then start again",
            )

    def blobs(self) -> dict[str, bytes]:
        """Small files that are part of a machine's state and no disk: NVRAM."""
        found = {}
        for reference in self.envelope.files:
            if reference.href.lower().endswith(".nvram") and not _unsafe(reference.href):
                place = self.places.get(reference.href)
                if place is not None and place.size <= _MAX_BLOB:
                    found[reference.href] = _bytes(place, _MAX_BLOB, self.name)
        return found


def open_package(path: Path, *, integrity: Integrity = "require") -> Package:
    """Open an ``.ova``, an ``.ovf`` with the files beside it, or a folder that holds one ``.ovf``.

    Args:
        path: of the file or folder.
        integrity: what a broken promise of the manifest is: an error, a warning, or not looked at.

    Raises: PackageError: no package, truncated, or hostile. DescriptorError: see `Envelope.parse`.
    """
    path = _descriptor_in(path) if path.is_dir() else path
    try:
        with path.open("rb") as file:
            start = file.read(archive.BLOCK)
            seen = os.fstat(file.fileno())
    except OSError as error:
        raise PackageError(
            f"the package cannot be read: {error.strerror}",
            subject=str(path),
            remedy="Check the path and its permissions",
        ) from error
    if not stat.S_ISREG(seen.st_mode):
        raise PackageError("this is no file", subject=str(path))
    for magic, what, remedy in _FOREIGN:
        if start.startswith(magic):
            raise PackageError(f"this is no OVA but {what}", subject=path.name, remedy=remedy)
    if _is_text(start) or path.suffix.lower() == ".ovf":
        return _opened(path, _beside(path), [path.name], integrity, archived=False)
    found = archive.members(path)
    names = [each.name for each in found if each.name.lower().endswith(".ovf")]
    if not names:
        raise PackageError(
            "this archive holds no descriptor (.ovf), so it is no OVA",
            subject=path.name,
            remedy="Choose an .ova or .ovf file",
        )
    places = {each.name: Place(path, each.offset, each.size) for each in found}
    return _opened(path, places, names, integrity, archived=True)


def _opened(
    path: Path,
    places: Mapping[str, Place],
    names: list[str],
    integrity: Integrity,
    *,
    archived: bool,
) -> Package:
    descriptor = _bytes(places[names[0]], MAX_BYTES, f"{path.name}: {names[0]}")
    envelope = Envelope.parse(descriptor, path.name)
    promised, findings = _manifest(path, places, names[0], integrity, archived=archived)
    if archived:
        findings += _shape(path, places, names)
        covered = [name for name in places if not name.lower().endswith((".mf", ".cert"))]
    else:
        covered = [names[0], *(f.href for f in envelope.files if f.href in places)]
    findings += _references(envelope, places)
    findings += _promises(promised, places, names[0], descriptor, integrity, covered)
    watched = tuple(sorted({places[name].path for name in covered}))
    return Package(
        path=path,
        archive=archived,
        places=places,
        descriptor_name=names[0],
        descriptor=descriptor,
        envelope=envelope,
        manifest=promised,
        identity=_identity(watched, descriptor),
        watched=watched,
        findings=tuple(findings),
    )


def _descriptor_in(folder: Path) -> Path:
    found = sorted(each for each in folder.iterdir() if each.suffix.lower() == ".ovf")
    if len(found) != 1:
        what = "no descriptor (.ovf)" if not found else f"{len(found)} descriptors (.ovf)"
        raise PackageError(
            f"the folder holds {what}", subject=str(folder), remedy="Choose the .ovf file itself"
        )
    return found[0]


def _is_text(start: bytes) -> bool:
    """Whether the file begins like XML in any encoding that occurs."""
    bare = start.lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n\0")
    return bare.startswith(b"<")


def _beside(path: Path) -> dict[str, Place]:
    """Regular files beside the descriptor; links are none: they could lead anywhere."""
    found = {path.name: Place(path, 0, path.stat().st_size)}
    with os.scandir(path.parent) as entries:
        for entry in entries:
            if entry.is_file(follow_symlinks=False):
                size = entry.stat(follow_symlinks=False).st_size
                found.setdefault(entry.name, Place(path.parent / entry.name, 0, size))
    return found


def _bytes(place: Place, limit: int, subject: str) -> bytes:
    if place.size > limit:
        raise DescriptorError(f"the file is larger than {limit >> 20} MiB", subject=subject)
    buffer = bytearray(place.size)
    with RangeInput(place.path, place.offset, place.size, subject=subject) as stream:
        stream.pread(0, buffer)
    return bytes(buffer)


def _unsafe(href: str) -> str:
    """Why a reference is not a plain name, "" where it is one."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", href):
        return "an address outside the package"
    if href.startswith(("/", "\\")):
        return "an absolute path"
    if href in {"", ".", ".."} or "\0" in href:
        return "no file name"
    return "a path" if "/" in href or "\\" in href else ""


def _identity(watched: Sequence[Path], descriptor: bytes) -> str:
    """Inode, size and time of every file, and the descriptor's digest."""
    digest = hashlib.sha256(descriptor)
    for path in watched:
        try:
            seen = path.stat()
        except OSError as error:
            raise PackageError(
                f"the file is gone: {error.strerror}", subject=str(path), remedy="Put it back"
            ) from error
        digest.update(f"{path.name}\0{seen.st_ino}:{seen.st_size}:{seen.st_mtime_ns}\n".encode(
            "utf-8", "surrogateescape"))  # fmt: skip
    return digest.hexdigest()


# ------------------------------------------------------------------------------------- findings
def _shape(path: Path, places: Mapping[str, Place], names: list[str]) -> list[Finding]:
    found = []
    if len(names) > 1:
        found.append(Finding("descriptors-several", Severity.WARNING,
            f"The archive holds {len(names)} descriptors; '{names[0]}' is taken.",
            subject=path.name, clause="DSP0243 2.1.1 §5.3"))  # fmt: skip
    elif next(iter(places)) != names[0]:
        found.append(Finding("descriptor-not-first", Severity.INFO,
            "The descriptor is not the first member of the archive.",
            subject=path.name, clause="DSP0243 2.1.1 §5.3"))  # fmt: skip
    if any(name.lower().endswith(".cert") for name in places):
        found.append(Finding("signature-unchecked", Severity.INFO,
            "The package is signed; the signature is not checked.", subject=path.name))  # fmt: skip
    return found


def _references(envelope: Envelope, places: Mapping[str, Place]) -> list[Finding]:
    found = []
    for file in envelope.files:
        name = file.href.removeprefix("./")
        place = places.get(name) or places.get(unquote(name))
        if _unsafe(name):
            found.append(Finding("href-outside", Severity.ERROR,
                f"The descriptor refers to {_unsafe(name)}; only files of the package are read.",
                subject=file.href, clause="DSP0243 2.1.1 §7.1", line=file.line))  # fmt: skip
        elif place is None and not file.chunk_size:
            found.append(Finding("member-missing", Severity.ERROR,
                "The file is not in the package.", subject=file.href,
                remedy="Get the complete package.", clause="DSP0243 2.1.1 §7.1",
                line=file.line))  # fmt: skip
        elif place is not None and file.size is not None and file.size != place.size:
            found.append(Finding("size-differs", Severity.WARNING,
                f"The descriptor says {file.size} bytes, the file has {place.size}.",
                subject=file.href, clause="DSP0243 2.1.1 §7.1", line=file.line))  # fmt: skip
    return found


def _manifest(
    path: Path,
    places: Mapping[str, Place],
    descriptor: str,
    integrity: Integrity,
    *,
    archived: bool,
) -> tuple[Manifest | None, list[Finding]]:
    """The package's manifest; one of an archive may have any name, one of a folder has the .ovf's."""
    wanted = f"{Path(descriptor).stem}.mf".lower()
    names = [n for n in places if n.lower() == wanted or (archived and n.lower().endswith(".mf"))]
    if integrity == "off":
        return None, []
    if not names:
        return None, [
            Finding("manifest-missing", Severity.WARNING,
                    "The package has no manifest: nothing tells whether its files are intact.",
                    subject=path.name, clause="DSP0243 2.1.1 §6.2")
        ]  # fmt: skip
    try:
        data = _bytes(places[names[0]], manifest.MAX_BYTES, f"{path.name}: {names[0]}")
        return manifest.parse(data, f"{path.name}: {names[0]}"), []
    except ManifestError as error:
        return None, [
            Finding("manifest-unreadable", _weight(integrity), f"{_sentence(error.what)}.",
                    subject=names[0], clause="DSP0243 2.1.1 §6.2")
        ]  # fmt: skip


def _promises(
    promised: Manifest | None,
    places: Mapping[str, Place],
    descriptor: str,
    data: bytes,
    integrity: Integrity,
    covered: Sequence[str],
) -> list[Finding]:
    if promised is None:
        return []
    found = []
    for name, digest in promised.digests.items():
        if name not in places:
            found.append(Finding("manifest-lists-missing", _weight(integrity),
                "The manifest lists a file that is not in the package.", subject=name,
                remedy="Get the complete package.", clause="DSP0243 2.1.1 §6.2"))  # fmt: skip
        elif name == descriptor:
            actual = hashlib.new(digest.algorithm, data, usedforsecurity=False).hexdigest()
            if not digest.matches(actual):
                found.append(Finding("descriptor-damaged", _weight(integrity),
                    f"The descriptor does not match the manifest: {digest.algorithm} is {actual}, "
                    f"the manifest says {digest.value.hex()}.", subject=name,
                    remedy="Get the package again.", clause="DSP0243 2.1.1 §6.2"))  # fmt: skip
    for name in covered:
        if name not in promised.digests:
            found.append(Finding("manifest-incomplete", Severity.WARNING,
                "The manifest says nothing of this file.", subject=name,
                clause="DSP0243 2.1.1 §6.2"))  # fmt: skip
    if promised.weak:
        found.append(Finding("manifest-weak", Severity.INFO,
            "The manifest rests on SHA-1: it finds damage, but no deliberate change.",
            clause="DSP0243 2.1.1 §6.2"))  # fmt: skip
    return found


def _weight(integrity: Integrity) -> Severity:
    return Severity.ERROR if integrity == "require" else Severity.WARNING


def _sentence(clause: str) -> str:
    return clause[:1].upper() + clause[1:]


__all__ = ["Appliance", "Integrity", "MemberStream", "Package", "Place", "mismatch", "open_package"]
