"""An OVF package: a folder with its ``.ovf``, or an ``.ova``, here or on a web server; read in place."""

import hashlib
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from humanize import naturalsize

from kensho_tui.cancel import Cancel
from kensho_tui.disks.files import FileError
from kensho_tui.findings import Finding, Severity
from kensho_tui.machine import Appliance
from kensho_tui.ovf import archive, promises, signature
from kensho_tui.ovf.envelope import Envelope, FileReference
from kensho_tui.ovf.errors import ManifestError, OvfError, PackageError
from kensho_tui.ovf.manifest import Digest, Manifest
from kensho_tui.ovf.members import (
    FilePlace,
    MemberStream,
    Place,
    PlaceInput,
    SpooledPlace,
    chunks,
    unsafe,
    whole,
)
from kensho_tui.ovf.promises import Integrity, Papers
from kensho_tui.ovf.signature import Origin
from kensho_tui.ovf.spool import VARIABLE, Spool
from kensho_tui.ovf.trust import Trust
from kensho_tui.ovf.wrapped import is_wrapped, unwrap
from kensho_tui.ovf.xml import MAX_BYTES

if TYPE_CHECKING:
    from kensho_tui.ovf.remote import Remote

_MAX_BLOB = 8 << 20
_MAX_BUNDLE = 4 << 20
_FOREIGN = (
    (b"BZh", "a bzip2 file", "Unpack it first and choose the .ovf or .ova in it"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "Unpack it first and choose the .ovf or .ova in it"),
    (b"KDMV", "a virtual disk", "Choose the .ovf that describes it"),
    (b"conectix", "a virtual disk", "Choose the .ovf that describes it"),
    (b"QFI\xfb", "a virtual disk", "Choose the .ovf that describes it"),
)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked of a package, and how it was found."""

    integrity: Integrity
    trust: Trust | None
    wrapped: bool = False
    recover: bool = False


@dataclass(frozen=True, slots=True)
class _Source:
    """What a path or an address leads to.

    Attributes:
        place: of all of it: the archive, the wrapping, the descriptor.
        start: its first bytes.
        beside: what lies beside a descriptor, by its name.
        linked: links beside it.
        noticed: what there is to say once all has been looked at.
    """

    name: str
    place: Place
    start: bytes
    beside: Callable[[Envelope], Mapping[str, Place]]
    linked: Callable[[], frozenset[str]] = frozenset
    noticed: Callable[[], Sequence[Finding]] = tuple


@dataclass(frozen=True)
class Package:
    """An opened package. Holds no file open.

    Attributes:
        name: how the operator knows it: the name of the file.
        place: of the ``.ova`` or ``.ovf``.
        archive: whether it is one tar archive.
        places: every member by its name, the descriptor and manifest among them.
        descriptor_name: name of the ``.ovf``.
        descriptor: its bytes; what was hashed is what was parsed.
        papers: manifest and certificate file.
        origin: what the signature says of where the package is from.
        covered: the members a manifest has to list: of an archive all but manifest and certificate file,
            of a folder the descriptor and what it refers to.
        identity: changes when the package changes.
        watched: a place in each file that `identity` looks at.
        findings: what was noticed about the package as files; the descriptor's come with
            `appliance`.
        wrapped: whether it lies in a zip file, or is compressed as a whole.
        linked: symbolic links beside the descriptor, which are no members: they could lead anywhere.
    """

    name: str
    place: Place
    archive: bool
    places: Mapping[str, Place]
    descriptor_name: str
    descriptor: bytes
    envelope: Envelope
    papers: Papers
    origin: Origin
    covered: Mapping[str, Place]
    identity: str
    watched: tuple[Place, ...]
    findings: tuple[Finding, ...] = ()
    linked: frozenset[str] = frozenset()
    wrapped: bool = False

    @property
    def location(self) -> str:
        """Its path or address."""
        return self.place.location

    @property
    def local(self) -> Path | None:
        """Of the ``.ova`` or ``.ovf``; None where it is on a web server."""
        place = self.place.of if isinstance(self.place, SpooledPlace) else self.place
        return place.path if isinstance(place, FilePlace) else None

    @property
    def path(self) -> Path:
        """Of the ``.ova`` or ``.ovf``. Raises: PackageError: it is on a web server, and only read there."""
        if self.local is None:
            raise PackageError(
                "the package is on a web server, where nothing is written",
                subject=self.name,
                remedy="Give a place for the new one (--output)",
            )
        return self.local

    @property
    def manifest(self) -> Manifest | None:
        """What the manifest promises; None where there is none or it cannot be read."""
        return self.papers.manifest

    @property
    def size(self) -> int:
        """Bytes of all members together; in a folder, of those the descriptor names."""
        places, watched = self.places.values(), {each.location for each in self.watched}
        return sum(each.size for each in places if self.archive or each.location in watched)

    def appliance(
        self, configuration: str | None = None, *, locale: str = "", target: str = ""
    ) -> tuple[Appliance, tuple[Finding, ...]]:
        """What the descriptor says, with all findings. See `Envelope.appliance`."""
        appliance, findings = self.envelope.appliance(configuration, locale=locale, target=target)
        return appliance, (*self.findings, *findings)

    def member(self, href: str) -> str:
        """The name of the member a reference points at.

        Raises: PackageError: it points out of the package, or at what is not there.
        """
        for name in dict.fromkeys((href, unquote(href))):
            name = name.removeprefix("./")
            problem = unsafe(name)
            if problem:
                raise PackageError(
                    f"the descriptor refers to {problem}; only files of the package are read",
                    subject=f"{self.name}: {href}",
                    remedy="Put the file beside the descriptor and refer to it by its name",
                )
            if name in self.places:
                return name
            if name in self.linked:
                raise PackageError(
                    "the file is a symbolic link, which is not followed",
                    subject=f"{self.name}: {href}",
                    remedy="Put the file itself in its place",
                )
        raise PackageError(
            "the file is not in the package",
            subject=f"{self.name}: {href}",
            remedy="Get the complete package",
        )

    @property
    def absent(self) -> list[str]:
        """What the descriptor refers to and is not among the members: links and paths out of it too."""
        return [
            each.href
            for each in self.envelope.files
            if not {each.href.removeprefix("./"), unquote(each.href).removeprefix("./")}
            & set(self.places)
            and not (each.chunk_size and chunks(each.href, self.places))
        ]

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
        reference = self.reference(href)
        chunked = reference is not None and reference.chunk_size and href not in self.places
        names = self._chunks(reference) if reference and chunked else [self.member(href)]
        compression = reference.compression if reference else ""
        if compression not in {"", "identity", "gzip"}:
            raise PackageError(
                f"the compression '{compression}' is not supported",
                subject=f"{self.name}: {href}",
                remedy="Unpack the file and build the package without compression",
            )
        subject = f"{self.name}: {href}"
        files = self._opened(names, digests=digests)
        return MemberStream(files, subject, gzip=compression == "gzip")

    def _chunks(self, file: FileReference) -> list[str]:
        size, names = file.chunk_size or 0, chunks(file.href, self.places)
        if not names:
            self.member(f"{file.href}.{0:09d}")  # says what is wrong with it
        sizes = [self.places[name].size for name in names]
        if any(found != size for found in sizes[:-1]) or not 0 < sizes[-1] <= size:
            raise PackageError(
                f"the file's chunks are not of {size} bytes each, as the descriptor says",
                subject=f"{self.name}: {file.href}",
                remedy="The package is damaged: get it again",
            )
        if file.size is not None and sum(sizes) != file.size:
            raise PackageError(
                f"the file's chunks have {sum(sizes)} bytes together, the descriptor says {file.size}",
                subject=f"{self.name}: {file.href}",
                remedy="Chunks are missing, or do not belong to it: get the complete package",
            )
        return names

    def _opened(
        self, names: Sequence[str], *, digests: bool
    ) -> list[tuple[PlaceInput, str, Digest | None]]:
        files: list[tuple[PlaceInput, str, Digest | None]] = []
        try:
            for name in names:
                subject = f"{self.name}: {name}"
                raw = self.places[name].open(subject)
                files.append((raw, subject, self.digest(name) if digests else None))
        except BaseException:
            for raw, _, _ in files:
                raw.close()
            raise
        return files

    def small(self, href: str, limit: int, *, digests: bool = True) -> bytes:
        """All bytes of a small member, inflated where the descriptor says ``gzip``.

        Args:
            href: as of `stream`.
            limit: bytes it may have.
            digests: whether it has to match the manifest.

        Raises: PackageError: larger, or as of `stream`. ManifestError: it does not match.
        """
        stream = self.stream(href, digests=digests)
        try:
            buffer, size = bytearray(limit + 1), 0
            while count := stream.readinto(memoryview(buffer)[size:]):
                size += count
            if size > limit:
                raise PackageError(
                    f"the file is larger than {limit >> 20} MiB", subject=f"{self.name}: {href}"
                )
            if digests:
                stream.verify()
        finally:
            stream.close()
        return bytes(buffer[:size])

    def verify(self, name: str) -> None:
        """Read all of a member, as it lies there, and compare it with the manifest.

        Raises: ManifestError: it differs. PackageError: there is no such member.
        """
        if name not in self.places:
            raise PackageError("the file is not in the package", subject=f"{self.name}: {name}")
        stream = MemberStream(
            self._opened([name], digests=True), f"{self.name}: {name}", gzip=False
        )
        try:
            stream.verify()
        finally:
            stream.close()

    def check_unchanged(self) -> None:
        """Raise `PackageError` if a file of the package is not the one that was opened."""
        if _identity(self.watched, self.descriptor, fresh=True) != self.identity:
            raise PackageError(
                "the package was changed since it was opened",
                subject=self.name,
                remedy="Leave the files alone, then start again",
            )

    def blobs(self) -> dict[str, bytes]:
        """Small files that are part of a machine's state and no disk: NVRAM."""
        found = {}
        for reference in self.envelope.files:
            if reference.href.lower().endswith(".nvram") and not unsafe(reference.href):
                place = self.places.get(reference.href)
                if place is not None and place.size <= _MAX_BLOB:
                    found[reference.href] = whole(place, _MAX_BLOB, self.name)
        return found


def open_package(
    path: "Path | Remote",
    *,
    integrity: Integrity = "require",
    signed_by: Sequence[Path] = (),
    cancel: Cancel | None = None,
    told: Callable[[str], None] = lambda _: None,
    recover: bool = False,
) -> Package:
    """Open an ``.ova``, an ``.ovf`` with the files beside it, or a folder that holds one ``.ovf``.

    So is a package in a zip file, and an ``.ova`` that is compressed as a whole (gzip, xz): what cannot
    be read in place is unpacked first, to a file that goes when the package is not held any more.

    Args:
        path: of the file or folder; or where it is on a web server.
        integrity: what a broken promise of the manifest is: an error, a warning, or not looked at.
        signed_by: files or folders with certificates of signers or of authorities: that the package is
            not signed by one of them is an error then, and so is a broken promise.
        cancel: ends the unpacking.
        told: told before something is unpacked, or fetched as a whole.
        recover: as of `Envelope.parse`.

    Raises:
        PackageError: no package, truncated, or hostile.
        DescriptorError: see `Envelope.parse`.
        SignatureError: one of ``signed_by`` holds no certificate.
        BoundsError: it inflates too far. CancelledError.
        WebError: the web server does not give it.
    """
    trust = Trust.of_files(signed_by) if signed_by else None
    asked = _Asked("require" if trust else integrity, trust, recover=recover)
    source = _local(path) if isinstance(path, Path) else _remote(path, cancel, told)
    name, start = source.name, source.start
    for magic, what, remedy in _FOREIGN:
        if start.startswith(magic):
            raise PackageError(f"this is no OVA but {what}", subject=name, remedy=remedy)
    if _is_text(start) or name.lower().endswith(".ovf"):
        return _opened(source, {name: source.place}, [name], asked, archived=False)
    if is_wrapped(start):
        content = unwrap(source.place, name, start, cancel=cancel, told=told)
        asked = replace(asked, wrapped=True)
        findings = [] if content.spool is None else [_announced(name, content.spool)]
        if "" not in content.places and not content.archive:
            names = [next(iter(content.places))]
            return _opened(source, content.places, names, asked, findings, archived=False)
        return _archived(source, content.places[content.archive], asked, findings)
    return _archived(source, source.place, asked, [])


def _local(path: Path) -> _Source:
    path = _descriptor_in(path) if path.is_dir() else path
    try:
        # A pipe would wait for a writer for ever.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            seen = os.fstat(file.fileno())
            start = file.read(archive.BLOCK) if stat.S_ISREG(seen.st_mode) else b""
    except OSError as error:
        raise PackageError(
            f"the package cannot be read: {error.strerror}",
            subject=str(path),
            remedy="Check the path and its permissions",
        ) from error
    if not stat.S_ISREG(seen.st_mode):
        raise PackageError("this is no file", subject=str(path))
    place = FilePlace(path, 0, seen.st_size)
    return _Source(path.name, place, start, lambda _: _beside(path), lambda: _links_beside(path))


def _remote(remote: "Remote", cancel: Cancel | None, told: Callable[[str], None]) -> _Source:
    found = remote.look(cancel, told)
    return _Source(
        found.name,
        found.place,
        found.start(archive.BLOCK),
        found.beside,
        noticed=found.findings,
    )


def _announced(name: str, spool: Spool) -> Finding:
    size = naturalsize(spool.size, binary=True, format="%.1f")
    return Finding(
        "package-spooled",
        Severity.INFO,
        f"It is compressed as a whole: {size} of it are unpacked to a temporary file in {spool.folder},"
        " by each program that reads it; nothing stays there.",
        name,
        f"Another folder can be named in {VARIABLE}; unpacked before, it needs none.",
    )


def _archived(source: _Source, place: Place, asked: _Asked, findings: list[Finding]) -> Package:
    found = archive.members(place, source.name)
    names = [each.name for each in found if each.name.lower().endswith(".ovf")]
    if not names:
        raise PackageError(
            "this archive holds no descriptor (.ovf), so it is no OVA",
            subject=source.name,
            remedy="Choose an .ova or .ovf file",
        )
    places = {each.name: place.part(each.offset, each.size) for each in found}
    end = max(-(-(each.offset + each.size) // archive.BLOCK) for each in found)
    if end * archive.BLOCK >= place.size:
        findings.append(
            Finding(
                "archive-unmarked-end",
                Severity.WARNING,
                "The archive ends after a member without the mark of its end; what follows"
                " may have been cut off.",
                source.name,
            )
        )
    findings += [
        Finding(
            "size-beyond-ustar",
            Severity.INFO,
            "How long it is, the archive tells in a way of GNU tar or PAX, which ustar does not know;"
            " some tools do not read it.",
            each.name,
            clause="DSP0243 2.1.1 §5",
        )
        for each in found
        if each.beyond
    ]
    return _opened(source, places, names, asked, findings, archived=True)


def _opened(
    source: _Source,
    places: Mapping[str, Place],
    names: list[str],
    asked: _Asked,
    noticed: Sequence[Finding] = (),
    *,
    archived: bool,
) -> Package:
    file = source.name
    descriptor = whole(places[names[0]], MAX_BYTES, f"{file}: {names[0]}")
    envelope = Envelope.parse(descriptor, file, recover=asked.recover)
    integrity, trust = asked.integrity, asked.trust
    if not (archived or asked.wrapped):
        places = {**places, **source.beside(envelope)}
    papers, findings = promises.papers_of(file, places, names[0], integrity, archived=archived)
    origin = Origin()
    if papers.certificate is not None:
        subject = f"{file}: {papers.certificate_name}"
        origin = signature.origin(
            papers.certificate,
            papers.data,
            papers.name,
            trust=trust or Trust.usual(),
            now=datetime.now(UTC),
            subject=subject,
        )
    findings = [*noticed, *findings]
    findings += promises.signed(origin, papers, integrity, trust.name if trust else "")
    if archived:
        findings += promises.shape(file, places, names)
        covered = [name for name in places if not name.lower().endswith((".mf", ".cert"))]
    else:
        covered = [names[0]]
        for each in envelope.files:
            covered += [each.href] if each.href in places else chunks(each.href, places)
    linked = frozenset() if archived else source.linked()
    findings += promises.references(envelope, places, linked)
    referred = [each.href.removeprefix("./") for each in envelope.files]
    unlisted = Severity.ERROR if trust else Severity.WARNING
    findings += promises.kept(papers.manifest, places, names[0], descriptor, integrity, covered,
                              referred, unlisted=unlisted)  # fmt: skip
    files = {places[name].location: places[name] for name in covered}
    watched = tuple(files[each] for each in sorted(files))
    opened = Package(
        name=file,
        place=source.place,
        archive=archived,
        places=places,
        descriptor_name=names[0],
        descriptor=descriptor,
        envelope=envelope,
        papers=papers,
        origin=origin,
        covered={name: places[name] for name in covered},
        identity=_identity(watched, descriptor, fresh=False),
        watched=watched,
        findings=tuple(findings),
        linked=linked,
        wrapped=asked.wrapped,
    )
    noticed = _take_bundles(opened, integrity)
    return replace(opened, findings=(*opened.findings, *noticed, *source.noticed()))


def _take_bundles(package: Package, integrity: Integrity) -> list[Finding]:
    """Read the texts that are in files of their own; what is wrong with one leaves the others."""
    found = []
    for id_ in package.envelope.bundle_files:
        file = package.envelope.file(id_)
        subject = f"{package.name}: {file.href if file else id_}"
        try:
            if file is None:
                raise PackageError("the references have no such file", subject=subject)
            data = package.small(file.href, _MAX_BUNDLE, digests=integrity != "off")
            package.envelope.take_bundle(id_, data, subject)
        except ManifestError as error:
            weight = Severity.ERROR if integrity == "require" else Severity.WARNING
            found.append(
                Finding("strings-damaged", weight, f"{error.what}.", subject, error.remedy)
            )
        except (OvfError, FileError) as error:
            said = f"The texts in this file are not read: {error.what}."
            clause = "DSP0243 2.1.1 §10"
            found.append(
                Finding("strings-unreadable", Severity.WARNING, said, subject, clause=clause)
            )
    return found


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
    found: dict[str, Place] = {path.name: FilePlace(path, 0, path.stat().st_size)}
    with os.scandir(path.parent) as entries:
        for entry in entries:
            if entry.is_file(follow_symlinks=False):
                size = entry.stat(follow_symlinks=False).st_size
                found.setdefault(entry.name, FilePlace(path.parent / entry.name, 0, size))
    return found


def _links_beside(path: Path) -> frozenset[str]:
    """Symbolic links beside the descriptor, so that it can be said that they are not followed."""
    with os.scandir(path.parent) as entries:
        return frozenset(each.name for each in entries if each.is_symlink())


def _identity(watched: Sequence[Place], descriptor: bytes, *, fresh: bool) -> str:
    """What every file is known by, and the descriptor's digest."""
    digest = hashlib.sha256(descriptor)
    for place in watched:
        digest.update(f"{place.stamp(fresh=fresh)}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


__all__ = ["FilePlace", "Integrity", "MemberStream", "Package", "Place", "open_package"]
