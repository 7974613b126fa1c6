"""A package written anew around its disks: another descriptor, manifest or signature, the same files.

Nothing of the old package is touched before the new one is whole: an archive is written beside the old one
and takes its name at the end; in a folder the small files are replaced one by one, the signature first
and last, so that no file on the way claims what is not so.
"""

import hashlib
import os
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kensho_tui.cancel import Cancel
from kensho_tui.disks.files import (
    FileOutput,
    mark_finished,
    open_partial,
    partial_name,
    sync_folder,
    system_errors,
)
from kensho_tui.ovf import manifest, sign
from kensho_tui.ovf.archive_write import ArchiveWriter
from kensho_tui.ovf.errors import ManifestError, PackageError
from kensho_tui.ovf.manifest import Digest
from kensho_tui.ovf.members import FilePlace, Place, mismatch
from kensho_tui.ovf.output import destination, papers
from kensho_tui.ovf.package import Package

_CHUNK = 1 << 20
_Write = Callable[[memoryview], object]
# Bytes that were read, and how many there are.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the new package is to be.

    Attributes:
        descriptor: its bytes; None: as it is.
        algorithm: of a new manifest; None: the manifest stays as it is, to the byte.
        signer: who signs it; None: it is not signed.
        signed_with: digest that is signed.
        complete: whether all that the descriptor refers to has to be there.
        verify: whether every file is compared with the manifest that is there, and has to be in one
            that stays.
        added: files that come into the package, by the names they have in it.
        mtime: time of the files of an archive, in seconds since 1970.
        removed: names of files that are not part of it any more. In a folder they stay where they are.
        renamed: new names of files, by the names they have.
        copied: whether it is the same package in another place: descriptor, manifest and signature stay
            as they are, to the byte. What the manifest lists is compared with it.
    """

    descriptor: bytes | None = None
    algorithm: str | None = None
    signer: sign.Signer | None = None
    signed_with: str = sign.DEFAULT
    verify: bool = True
    complete: bool = False
    mtime: int = 0
    added: Mapping[str, Path] = field(default_factory=dict)
    removed: Collection[str] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    copied: bool = False


def rewrite(
    package: Package,
    wanted: Wanted,
    target: Path | None = None,
    cancel: Cancel | None = None,
    told: Callable[[str], None] = lambda _: None,
    progress: Progress = lambda done, total: None,
) -> Path:
    """Write the package anew. What it became: its path.

    Args:
        told: told of each file that does not match a manifest that is not compared with.
        progress: told of the bytes of files that were read, and of all there are to read.
        target: an archive or a folder by its name, whatever the old one is (see `output.destination`);
            None: in place.

    Raises:
        ManifestError: a file does not match the manifest that stays, or is not listed in it.
        PackageError: the target is there, or the package changed meanwhile.
        SignatureError: see `sign.certificate_file`.
        FileError: the system says no. CancelledError.
    """
    if wanted.descriptor is not None and wanted.algorithm is None:
        raise ValueError("another descriptor needs another manifest")
    if package.wrapped and target is None:
        raise PackageError(
            "the package is compressed as a whole, and is not written anew like that",
            subject=package.name,
            remedy="Give the new one another place (--output)",
        )
    if wanted.copied and (target is None or wanted.algorithm or wanted.signer):
        raise ValueError("a copy has another place, and nothing else that is new")
    cancel = cancel or Cancel()
    if wanted.complete and package.absent:
        raise PackageError(
            f"the descriptor refers to files that are not in the package: {', '.join(package.absent)}",
            subject=package.name,
            remedy="Get the complete package, or take them out of it (kensho package remove-disk)",
        )
    path, archive = (None, package.archive) if target is None else destination(target)
    work = _Work(package, wanted, cancel, told, progress, archive=archive)
    return work.archive(path) if archive else work.folder(path)


class _Work:
    """One package on its way."""

    def __init__(
        self,
        package: Package,
        wanted: Wanted,
        cancel: Cancel,
        told: Callable[[str], None],
        progress: Progress,
        *,
        archive: bool,
    ) -> None:
        self._told = told
        self._progress = progress
        self._done = self._total = 0
        self._package = package
        self._wanted = wanted
        self._cancel = cancel
        self._stem = Path(package.descriptor_name).stem
        # A folder's has the descriptor's name, or nobody finds it.
        kept = package.papers.name if archive or not package.archive else ""
        self._manifest = kept or f"{self._stem}.mf"
        self._copied = papers(package, archive=archive) if wanted.copied else {}
        self._certificate = f"{Path(self._manifest).stem}.cert"
        self._digests: list[tuple[str, str]] = []
        stays = wanted.algorithm is None and not wanted.copied
        if stays and package.manifest is None and (wanted.signer or wanted.verify):
            raise ManifestError(
                "the package has no manifest that can be read, and a signature signs the manifest",
                subject=package.name,
                remedy="Have a new one made (--new-manifest)",
            )

    @property
    def _descriptor(self) -> bytes:
        return (
            self._package.descriptor if self._wanted.descriptor is None else self._wanted.descriptor
        )

    def _members(self) -> Mapping[str, Place]:
        """All that is in the package, but what is made anew."""
        package = self._package
        new = {package.descriptor_name, *self._wanted.removed}
        found = dict(package.covered)
        if self._wanted.algorithm is None and package.manifest is not None:
            # A manifest that stays needs what it lists, though nothing else may name it in a folder.
            listed = (name for name in package.manifest.digests if name in package.places)
            found |= {name: package.places[name] for name in listed}
        return {
            name: place
            for name, place in found.items()
            if name not in new and not name.lower().endswith((".mf", ".cert"))
        }

    def _added(self) -> Mapping[str, FilePlace]:
        """What comes into it."""
        return {
            name: FilePlace(path, 0, path.stat().st_size)
            for name, path in self._wanted.added.items()
        }

    def _renamed(self, name: str) -> str:
        return self._wanted.renamed.get(name, name)

    def _count(self) -> None:
        places = [*self._members().values(), *self._added().values()]
        self._done, self._total = 0, sum(each.size for each in places)

    # ---------------------------------------------------------------------------------- kinds
    def archive(self, target: Path | None) -> Path:
        # Where a link leads, so that it still leads there.
        path = self._package.path.resolve() if target is None else target
        partial = partial_name(path)
        with system_errors("write", str(path)):
            number = open_partial(partial)  # keeps others away until it is closed
        try:
            self._archive(partial, path)
            mark_finished(number)
        except BaseException:
            with suppress(OSError):
                partial.unlink()
            raise
        finally:
            os.close(number)
        return path

    def _archive(self, partial: Path, path: Path) -> None:
        descriptor = self._descriptor
        writer = ArchiveWriter(
            partial, self._package.descriptor_name, len(descriptor), mtime=self._wanted.mtime
        )
        try:
            self._count()
            self._note(self._package.descriptor_name, descriptor)
            for name, place in {**self._members(), **self._added()}.items():
                writer.begin(self._renamed(name))
                self._copy(name, place, writer.write)
                writer.finish()
            writer.close_with(descriptor, lambda _: self._papers())
            self._package.check_unchanged()
            self._cancel.check()
            with system_errors("write", str(path)):
                if self._package.local is not None:
                    _as_before(self._package.local, partial)
                partial.replace(path)
                sync_folder(path.parent)
        finally:
            writer.close()

    def folder(self, target: Path | None) -> Path:
        if target is None:
            return self._folder(self._package.path.parent, None)
        with system_errors("write", str(target)):
            target.mkdir(parents=True)
            if self._package.local is not None:
                one = self._package.archive or self._package.wrapped
                _no_wider(self._package.local, target, one=one)
        try:
            return self._folder(target, target)
        except BaseException:
            # The folder is new, so what has these names in it is what was written here.
            papers_ = (self._manifest, self._certificate, *self._copied)
            names = [self._renamed(each) for each in self._members()]
            with suppress(OSError):
                for name in (self._package.descriptor_name, *names, *self._wanted.added, *papers_):
                    (target / name).unlink(missing_ok=True)
                target.rmdir()
            raise

    def _folder(self, folder: Path, target: Path | None) -> Path:
        self._count()
        self._note(self._package.descriptor_name, self._descriptor)
        with ExitStack() as opened:
            # In place, no file gets its name before all of them can.
            late: list[FileOutput] = []
            for name, place in self._members().items():
                new = self._renamed(name)
                if target is None and new == name:
                    self._copy(name, place, None)
                else:
                    late += self._written(folder / new, name, place, opened, now=target is not None)
            for name, place in self._added().items():
                if (folder / name).exists() and place.path.samefile(folder / name):
                    self._copy(name, place, None)  # it lies there already
                else:
                    late += self._written(
                        folder / name, name, place, opened, now=target is not None
                    )
            small = self._papers()
            if self._wanted.descriptor is not None or target is not None:
                small = [(self._package.descriptor_name, self._descriptor), *small]
            if target is None and self._wanted.algorithm is None:
                small = [each for each in small if each[0] != self._manifest]  # it stays
            # What can be refused is refused before the signature goes.
            for name, data in small:
                late.append(opened.enter_context(FileOutput(folder / name, overwrite=True)))
                late[-1].write(data)
            self._package.check_unchanged()
            self._cancel.check()
            with system_errors("remove", str(folder / self._certificate)):
                for name in () if target else self._package.places:
                    if name.lower() == self._certificate.lower():
                        (folder / name).unlink(missing_ok=True)
            for output in late:
                output.finish()
        if target is None:
            # Only now does nothing name them any more.
            for name in self._wanted.renamed:
                with system_errors("remove", str(folder / name)):
                    (folder / name).unlink(missing_ok=True)
        return folder / self._package.descriptor_name

    def _written(
        self, path: Path, name: str, place: Place, opened: ExitStack, *, now: bool
    ) -> list[FileOutput]:
        """Copy a file there; unless ``now``, it gets its name later, by `FileOutput.finish`."""
        if not now:
            output = opened.enter_context(FileOutput(path))
            self._copy(name, place, output.write)
            return [output]
        with FileOutput(path) as output:
            self._copy(name, place, output.write)
            output.finish()
        return []

    # ---------------------------------------------------------------------------------- pieces
    def _promised(self, name: str) -> Digest | None:
        """What the manifest that is there promises of the file; None where that is not looked at."""
        package = self._package
        if name in self._wanted.added or package.manifest is None:
            return None
        if self._wanted.algorithm is None and not self._wanted.verify:
            return None
        if name == package.descriptor_name and self._wanted.descriptor is not None:
            return None
        promised = package.manifest.digests.get(name)
        if promised is None and self._wanted.algorithm is None and not self._wanted.copied:
            raise ManifestError(
                "the manifest does not list this file, so a signature would not cover it",
                subject=f"{package.name}: {name}",
                remedy="Have a new manifest made (--new-manifest)",
            )
        return promised

    def _running(self, name: str) -> tuple[dict[str, Any], Digest | None]:
        """Digests to compute of a file, by algorithm: the new manifest's, and the one to compare."""
        promised = self._promised(name)
        wanted = {self._wanted.algorithm, promised.algorithm if promised else None} - {None}
        return {each: hashlib.new(each, usedforsecurity=False) for each in wanted if each}, promised

    def _known(self, name: str, running: dict[str, Any], promised: Digest | None) -> None:
        if promised is not None:
            found = running[promised.algorithm].hexdigest()
            if not promised.matches(found):
                if self._wanted.verify:
                    raise mismatch(f"{self._package.name}: {name}", promised, found)
                self._told(name)
        if self._wanted.algorithm is not None:
            self._digests.append((self._renamed(name), running[self._wanted.algorithm].hexdigest()))

    def _note(self, name: str, data: bytes) -> None:
        running, promised = self._running(name)
        for each in running.values():
            each.update(data)
        self._known(name, running, promised)

    def _copy(self, name: str, place: Place, write: _Write | None) -> None:
        running, promised = self._running(name)
        if write is None and not running:
            self._done += place.size
            return
        subject = f"{self._package.name}: {name}"
        buffer = memoryview(bytearray(_CHUNK))
        with place.open(subject, forward=True) as stream:
            while count := stream.readinto(buffer):
                self._cancel.check()
                for each in running.values():
                    each.update(buffer[:count])
                if write is not None:
                    write(buffer[:count])
                self._done += count
                self._progress(self._done, self._total)
            stream.verify()
        self._known(name, running, promised)

    def _papers(self) -> list[tuple[str, bytes]]:
        """Manifest and certificate file, where there are to be any."""
        if self._wanted.copied:
            return list(self._copied.items())
        if self._wanted.algorithm is not None:
            promised = manifest.write(self._digests, self._wanted.algorithm)
        elif self._package.papers.data is not None:
            promised = self._package.papers.data
        else:
            return []
        made = [(self._manifest, promised)]
        if self._wanted.signer is not None:
            signed = sign.certificate_file(
                promised, self._manifest, self._wanted.signer, self._wanted.signed_with
            )
            made.append((self._certificate, signed))
        return made


def _as_before(old: Path, new: Path) -> None:
    """Who may read the old file may read the new one; its owner stays where we may say so."""
    seen = old.stat()
    with suppress(PermissionError):
        os.chown(new, seen.st_uid, seen.st_gid)
    new.chmod(seen.st_mode & 0o7777)


def _no_wider(old: Path, folder: Path, *, one: bool) -> None:
    """Keep those out of a new folder who may not read the old one, which is one file or a folder."""
    seen = (old if one else old.parent).stat().st_mode
    looks = seen | (seen & 0o444) >> 2 if one else seen
    folder.chmod(folder.stat().st_mode & (looks | 0o700) & 0o777)
