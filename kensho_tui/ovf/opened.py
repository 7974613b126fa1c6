"""A package that is open: its members, what is promised of them, and their bytes."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from kensho_tui.findings import Finding
from kensho_tui.machine import Appliance
from kensho_tui.ovf.envelope import Envelope, FileReference
from kensho_tui.ovf.errors import PackageError
from kensho_tui.ovf.manifest import Digest, Manifest
from kensho_tui.ovf.members import (
    FilePlace,
    MemberStream,
    Place,
    PlaceInput,
    SpooledPlace,
    chunks,
    mismatch,
    unsafe,
    whole,
)
from kensho_tui.ovf.promises import Papers
from kensho_tui.ovf.signature import Origin

_MAX_BLOB = 8 << 20
_CHUNK = 1 << 20


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
        subject, expected = f"{self.name}: {name}", self.digest(name)
        # Forward, which a web server that gives no parts of files can do as well.
        with self.places[name].open(subject, forward=True) as stream:
            if expected is not None:
                found = hashlib.new(expected.algorithm, usedforsecurity=False)
                for piece in _ahead(stream):
                    found.update(piece)
                if not expected.matches(found.hexdigest()):
                    raise mismatch(subject, expected, found.hexdigest())
            stream.verify()

    def check_unchanged(self) -> None:
        """Raise `PackageError` if a file of the package is not the one that was opened."""
        if identity_of(self.watched, self.descriptor, fresh=True) != self.identity:
            raise PackageError(
                "the package was changed since it was opened",
                subject=self.name,
                remedy="Do it again: it then begins with the files as they are now",
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


def identity_of(watched: Sequence[Place], descriptor: bytes, *, fresh: bool) -> str:
    """What every file is known by, and the descriptor's digest."""
    digest = hashlib.sha256(descriptor)
    for place in watched:
        digest.update(f"{place.stamp(fresh=fresh)}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _ahead(stream: PlaceInput) -> Iterator[memoryview]:
    """Pieces of the stream; the next one is read while one is looked at, and takes its place after."""
    here, there = memoryview(bytearray(_CHUNK)), memoryview(bytearray(_CHUNK))
    with ThreadPoolExecutor(1, thread_name_prefix="kensho-ahead") as reading:
        coming = reading.submit(stream.readinto, here)
        while count := coming.result():
            coming = reading.submit(stream.readinto, there)
            yield here[:count]
            here, there = there, here
