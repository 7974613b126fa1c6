"""An OVF package: a folder with its ``.ovf``, or an ``.ova``, here or on a web server; read in place."""

import os
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from humanize import naturalsize

from kensho_tui.cancel import Cancel
from kensho_tui.disks.files import FileError
from kensho_tui.findings import Finding, Severity
from kensho_tui.ovf import archive, promises, signature
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.errors import ManifestError, OvfError, PackageError
from kensho_tui.ovf.members import (
    FilePlace,
    MemberStream,
    Place,
    chunks,
    whole,
)
from kensho_tui.ovf.opened import Package, identity_of
from kensho_tui.ovf.promises import Integrity
from kensho_tui.ovf.signature import Origin
from kensho_tui.ovf.spool import VARIABLE, Spool
from kensho_tui.ovf.trust import Trust
from kensho_tui.ovf.wrapped import is_wrapped, unwrap
from kensho_tui.ovf.xml import MAX_BYTES

if TYPE_CHECKING:
    from kensho_tui.ovf.remote import Remote

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
        identity=identity_of(watched, descriptor, fresh=False),
        watched=watched,
        findings=tuple(findings),
        linked=linked,
        wrapped=asked.wrapped,
    )
    noticed = _take_bundles(opened, integrity)
    return replace(opened, findings=(*opened.findings, *noticed, *source.noticed()))


def _take_bundles(package: Package, integrity: Integrity) -> list[Finding]:
    """Read the texts that are in files of their own; what is wrong with one leaves the others."""
    envelope = package.envelope
    found = _take(package, integrity, envelope.bundle_files, envelope.take_bundle)
    return found + _take(package, integrity, envelope.message_files, envelope.take_message)


def _take(
    package: Package,
    integrity: Integrity,
    ids: Sequence[str],
    take: Callable[[str, bytes, str], None],
) -> list[Finding]:
    found = []
    for id_ in ids:
        file = package.envelope.file(id_)
        subject = f"{package.name}: {file.href if file else id_}"
        try:
            if file is None:
                raise PackageError("the references have no such file", subject=subject)
            data = package.small(file.href, _MAX_BUNDLE, digests=integrity != "off")
            take(id_, data, subject)
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


__all__ = ["FilePlace", "Integrity", "MemberStream", "Package", "Place", "open_package"]
