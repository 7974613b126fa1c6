"""Writing a package: disks first, descriptor and manifest from what was really written, then the name."""

import hashlib
import os
import shutil
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid5

from backends.base import (
    Access,
    DeployedMachine,
    Environment,
    ExtentMap,
    Format,
    Json,
    Key,
    Kind,
    Leftover,
    NameTakenError,
    Need,
    NotFoundError,
    Offer,
    Ref,
    RefusedError,
    Result,
    ResumeError,
    Transport,
    UnsupportedError,
)
from backends.package.errors import speaking
from backends.package.layout import (
    Done,
    Layout,
    Record,
    disk_names,
    is_marked,
    key_mark,
    mark,
)
from backends.package.parts import Making, Member, Parts
from backends.package.settings import PackageSettings
from backends.package.writer import (
    ENDINGS,
    URIS,
    ArchiveMember,
    FolderMember,
    PackageWriter,
    Progress,
)
from kensho_tui.cancel import Cancel
from kensho_tui.disks.files import FileOutput, sync_folder, system_errors
from kensho_tui.machine import Appliance, DiskId
from kensho_tui.ovf import manifest
from kensho_tui.ovf.appliance import FILE_DISK
from kensho_tui.ovf.archive_write import USTAR_LARGEST, ArchiveWriter
from kensho_tui.ovf.write import FileEntry, build

# Names of what images are known by inside, where the same machines are to give the same bytes.
_IMAGES = UUID("2b1d7a52-5d4c-5c0e-9f0b-6b1f0c6f3a11")
_LARGEST = (1 << 63) - 1  # what a size may become in the descriptor: its place is kept beforehand


class PackageDeployment:
    """A package that is being written, under a name that ends in ``.partial`` until `commit`."""

    def __init__(
        self,
        layout: Layout,
        appliance: Appliance,
        settings: PackageSettings,
        key: Key,
        cancel: Cancel,
    ) -> None:
        """Begin, or go on where an earlier process with the same key stopped.

        Raises: NameTakenError: something is there already. NotFoundError: the folder is not there.
        """
        self.cancel = cancel
        self._layout = layout
        self._appliance = appliance
        self._settings = settings
        self._key = key
        self._names = disk_names(layout, appliance, f".{settings.disk_format}")
        self._lock = threading.RLock()
        self._writers: set[PackageWriter] = set()
        self._archive: ArchiveWriter | None = None
        self._committed = committed(layout, key)
        self._aborted = False
        self._record = Record(key)
        self._making = making(settings, archive=layout.archive)
        if not self._committed:
            with speaking(cancel):
                self._begin()

    def _begin(self) -> None:
        layout = self._layout
        if os.path.lexists(layout.final):
            raise NameTakenError(
                "there is a file or folder of that name already",
                subject=str(layout.final),
                remedy="Choose another name, or move it away",
            )
        if not layout.final.parent.is_dir():
            raise NotFoundError(
                "the folder is not there",
                subject=str(layout.final.parent),
                remedy="Make it, or choose another one",
            )
        known = Record.load(layout.record)
        if os.path.lexists(layout.partial) and (known is None or known.key != self._key):
            raise NameTakenError(
                "another job is writing this package, or left it unfinished",
                subject=str(layout.partial),
                remedy="Wait for that job, or remove the file if there is none",
            )
        if known is not None and known.key == self._key:
            self._record = known
        self._record.save(layout.record)
        if not layout.archive:
            with system_errors("write", str(layout.partial)):
                layout.partial.mkdir(exist_ok=True)
        else:
            reserved = len(self._descriptor(reserve=True))
            end = max((done.end for done in self._record.disks.values()), default=None)
            self._archive = ArchiveWriter(
                layout.partial, layout.descriptor, reserved, end=end, mtime=self._settings.epoch
            )

    @property
    def aborted(self) -> bool:
        """Whether it was given up: the same key begins anew."""
        return self._aborted

    @property
    def token(self) -> Json:
        """Where it is written."""
        return {"path": str(self._layout.final), "partial": str(self._layout.partial)}

    @property
    def parallel(self) -> int:
        """An archive takes one member after the other."""
        return 1 if self._layout.archive else 4

    def offers(self, disk: DiskId) -> Sequence[Offer]:
        """The configured format first, then one that needs less known; a CD image stays as it is."""
        if disk not in self._names:
            raise NotFoundError("the package has no such disk, or it is blank", subject=str(disk))
        if disk.startswith(FILE_DISK):
            return (Offer(Format.RAW, Access.FORWARD),)
        known = None
        if self._settings.reproducible:
            known = uuid5(_IMAGES, self._names[disk])
        vmdk = Offer(Format.VMDK_STREAM, Access.FORWARD, identity=known)
        wanted = Format(self._settings.disk_format)
        planned = Format.VHD if wanted is Format.VMDK_STREAM else wanted
        other = Offer(planned, Access.FORWARD, frozenset({Need.ALLOCATION}), identity=known)
        return (vmdk, other) if wanted is Format.VMDK_STREAM else (other, vmdk)

    def open(
        self,
        disk: DiskId,
        offer: Offer,
        length: int | None = None,
        allocation: ExtentMap | None = None,
        resume: Json | None = None,
    ) -> PackageWriter:
        """Write the disk; what an earlier writer of it left is replaced, or gone on with.

        To go on, all that is kept is read and hashed again: the manifest's digest covers it, and it
        must be what the token says was written.

        Raises: UnsupportedError: an offer that was not made. ResumeError: see `Deployment.open`.
            RefusedError: another disk of the archive is being written.
        """
        self.cancel.check()
        if offer not in self.offers(disk):
            raise UnsupportedError("the disk is not written that way", subject=str(disk))
        name = self._name(disk, offer.format)
        kept = None if resume is None else Progress.of(resume, name)
        with self._lock, speaking(self.cancel):
            self._must_be_unfinished()
            if self._archive is not None and self._writers:
                raise RefusedError(
                    "an archive takes one disk after the other", subject=self._layout.final.name
                )
            if kept is not None and str(disk) in self._record.disks:
                raise ResumeError("the disk was written to its end since", subject=name)
            self._forget(disk)
            if self._archive is not None:
                # Chunks of a disk that was given up are finished members: they go too.
                self._archive.rewind(self._archive_end())
            out = Parts(name, self._member(name, kept), self._member, self._making)
            writer = PackageWriter(
                self, disk, name, offer, out, length, self._settings.resume_bytes, self._making
            )
            self._writers.add(writer)
        if kept is not None:
            try:
                with speaking(self.cancel):
                    writer.go_on(kept)
            except BaseException:
                writer.close()
                raise
        return writer

    def _member(self, name: str, kept: Progress | None = None) -> Member:
        if self._archive is None:
            return FolderMember(self._layout.partial / name, kept)
        return ArchiveMember(self._archive, name, kept)

    def _archive_end(self) -> int | None:
        """Where the last disk that is there ends in the archive."""
        return max((done.end for done in self._record.disks.values()), default=None)

    def _name(self, disk: DiskId, format_: Format) -> str:
        name = self._names[disk]
        if format_ is Format.RAW:
            return name
        return str(Path(name).with_suffix(ENDINGS[format_]))

    def _forget(self, disk: DiskId) -> None:
        """A disk that is written again: in an archive all that follows it has to go as well."""
        if str(disk) not in self._record.disks:
            return
        if self._archive is not None:
            last = max(done.end for done in self._record.disks.values())
            if self._record.disks[str(disk)].end != last:
                raise RefusedError(
                    "another disk follows it in the archive", subject=f"{self._layout.stem}: {disk}"
                )
        del self._record.disks[str(disk)]
        self._record.save(self._layout.record)
        if self._archive is not None:
            self._archive.rewind(self._archive_end())

    def written(self, disk: DiskId, done: Done) -> None:
        """A writer has finished. Raises: FileError."""
        with self._lock:
            self._record.disks[str(disk)] = done
            self._record.save(self._layout.record)

    def closed(self, writer: PackageWriter) -> None:
        """A writer is done, well or not."""
        with self._lock:
            self._writers.discard(writer)

    def deliver(self, environment: Environment) -> Transport:
        """A package is no guest: its environment is made where it is deployed."""
        return Transport.NONE

    # ------------------------------------------------------------------------------ the end of it
    def commit(self, start: bool) -> Result:
        """Descriptor, manifest, and the final name. Twice is once.

        Raises: RefusedError: a disk has not been written. NameTakenError: the name is taken by now.
        """
        self.cancel.check()
        with self._lock:
            if not self._committed:
                self._must_be_unfinished()
                missing = [name for disk, name in self._names.items()
                           if str(disk) not in self._record.disks]  # fmt: skip
                if missing or self._writers:
                    raise RefusedError(
                        f"not all disks have been written: {', '.join(missing) or 'one is open'}",
                        subject=self._layout.final.name,
                    )
                self._must_be_free()
                with speaking(self.cancel):
                    self._complete()
                    self._rename()
                self._committed = True
        return self._result()

    def _complete(self) -> None:
        descriptor = self._descriptor()
        if self._archive is not None:
            # What an earlier attempt to commit has appended is written again.
            self._archive.rewind(self._archive_end())
            for name, data in self._appliance.blobs.items():
                self._archive.add(name, data)
            self._archive.close_with(
                descriptor, lambda filled: [(self._layout.manifest, self._manifest(filled))]
            )
            return
        folder = self._layout.partial
        files = dict(self._appliance.blobs)
        files[self._layout.descriptor] = descriptor
        files[self._layout.manifest] = self._manifest(descriptor)
        disks = {part.name for done in self._record.disks.values() for part in done.parts}
        for path in folder.iterdir():
            # Of a writing that was given up: in another format, or in more chunks.
            if path.name not in disks and not path.is_dir():
                path.unlink(missing_ok=True)
        for name, data in files.items():
            with FileOutput(folder / name, overwrite=True, ours=True) as file:
                file.write(data)
                file.finish()
        if self._settings.reproducible:
            for path in folder.iterdir():
                os.utime(path, (self._settings.epoch, self._settings.epoch))

    def _must_be_free(self) -> None:
        if os.path.lexists(self._layout.final):
            raise NameTakenError(
                "something of that name has come into being",
                subject=str(self._layout.final),
                remedy="Move it away",
            )

    def _rename(self) -> None:
        layout = self._layout
        self._must_be_free()
        self.cancel.guard()
        with system_errors("write", str(layout.final)):
            if self._settings.reproducible:
                mark(layout.partial, self._key)
            layout.partial.rename(layout.final)
            sync_folder(layout.final.parent)
            layout.record.unlink(missing_ok=True)
        if self._archive is not None:
            self._archive.close()

    def _descriptor(self, *, reserve: bool = False) -> bytes:
        """The descriptor; with ``reserve`` one that is at least as long as it can become."""
        entries = {}
        for disk, name in self._names.items():
            done = self._record.disks.get(str(disk))
            if reserve or done is None:
                longest = max(URIS.values(), key=len)
                uri = "" if disk.startswith(FILE_DISK) else longest
                if reserve and uri:
                    name = str(Path(name).with_suffix(max(ENDINGS.values(), key=len)))
                made, packed = self._making, "gzip" if self._making.compressed else ""
                entries[disk] = FileEntry(name, _LARGEST, uri, packed, made.limit)
            else:
                packed = "gzip" if done.compressed else ""
                entries[disk] = FileEntry(
                    done.name, done.size, done.format, packed, done.chunk_size
                )
        data = build(
            self._in_order(),
            entries,
            key="" if self._settings.reproducible else key_mark(self._key),
            version=self._settings.ovf_version,
        )
        if self._settings.profile:
            from backends.package.profile import written_for

            data = written_for(data, self._settings)
        return data

    def _in_order(self) -> Appliance:
        """The appliance with its disks as they lie in the archive.

        Files follow each other there as the References name them (DSP0243 2.1.1 §5).
        """
        if self._archive is None:
            return self._appliance
        ends = {disk: done.end for disk, done in self._record.disks.items()}
        disks = self._appliance.disks
        order = sorted(disks, key=lambda disk: ends.get(str(disk), _LARGEST))
        return replace(self._appliance, disks={disk: disks[disk] for disk in order})

    def _manifest(self, descriptor: bytes) -> bytes:
        algorithm = self._settings.digest

        def digest(data: bytes) -> str:
            return hashlib.new(algorithm, data, usedforsecurity=False).hexdigest()

        lines = [(self._layout.descriptor, digest(descriptor))]
        written = self._record.disks
        for disk in self._in_order().disks:
            if (done := written.get(str(disk))) is not None:
                lines += [(part.name, part.digest) for part in done.parts]
        lines += [(name, digest(data)) for name, data in self._appliance.blobs.items()]
        return manifest.write(lines, algorithm)

    def _result(self) -> Result:
        folder = str(self._layout.final)
        location = (
            folder if self._layout.archive else str(self._layout.final / self._layout.descriptor)
        )
        machines = tuple(
            DeployedMachine(
                machine.id,
                Ref(Kind.MACHINE, machine.id, machine.name),
                started=False,
                disks={
                    disk.id: Ref(Kind.STORAGE, done.name, done.name)
                    for disk in self._appliance.disks_of(machine)
                    if (done := self._record.disks.get(str(disk.id))) is not None
                },
            )
            for machine in self._appliance.machines
        )
        return Result(machines, Ref(Kind.APPLIANCE, location, self._appliance.name), location)

    def abort(self) -> list[Leftover]:
        """Remove all that was written. Twice is once; what is committed stays."""
        self.cancel.guard()
        with self._lock:
            writers = list(self._writers)
        for writer in writers:
            writer.close()
        with self._lock:
            if self._archive is not None:
                self._archive.close()
            if self._committed:
                return []
            self._aborted = True
            return remove(self._layout.partial, self._layout.record)

    def detach(self) -> None:
        """Let go of what is open and touch nothing: the key finds it again."""
        with self._lock:
            writers = list(self._writers)
        for writer in writers:
            writer.close()
        with self._lock:
            if self._archive is not None:
                self._archive.close()

    def _must_be_unfinished(self) -> None:
        if self._committed:
            raise RefusedError("the package is complete", subject=self._layout.final.name)
        if self._aborted:
            raise RefusedError("the package was given up", subject=self._layout.final.name)


def remove(partial: Path, record: Path) -> list[Leftover]:
    """Remove a partial package and then its record; what could not be removed is told."""
    try:
        if partial.is_dir() and not partial.is_symlink():
            shutil.rmtree(partial)
        else:
            partial.unlink(missing_ok=True)
        record.unlink(missing_ok=True)
    except OSError as error:
        return [
            Leftover(
                Ref(Kind.STORAGE, str(partial), partial.name),
                error.strerror or str(error),
                f"Remove {partial}",
            )
        ]
    return []


def committed(layout: Layout, key: Key) -> bool:
    """Whether the final name holds what this key has made."""
    from kensho_tui.errors import KenshoError
    from kensho_tui.ovf.package import open_package

    path = layout.final if layout.archive else layout.final / layout.descriptor
    if not path.is_file():
        return False
    if is_marked(layout.final, key):
        return True
    try:
        package = open_package(path, integrity="off")
    except KenshoError:
        return False
    return package.envelope.written_by == key_mark(key)


def making(settings: PackageSettings, *, archive: bool) -> Making:
    """How the files of disks are made by the settings."""
    limits = [settings.chunk_bytes] if settings.chunk_bytes else []
    if settings.strict and archive:
        limits.append(USTAR_LARGEST)
    return Making(
        settings.digest,
        min(limits, default=0),
        settings.compression == "gzip",
        settings.reproducible,
    )
