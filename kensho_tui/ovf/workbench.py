"""A package that is being edited: its descriptor, the files that come into it, and saving it.

What the editor's screen works with. It is used from one thread; what takes long (`findings`, `save`) is given
what it needs and may run in another.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from kensho_tui.cancel import Cancel
from kensho_tui.findings import Finding, Severity
from kensho_tui.ovf import unsaved
from kensho_tui.ovf.editing import Change, Editing
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.errors import PackageError
from kensho_tui.ovf.outline import Made, Outline, words
from kensho_tui.ovf.package import Package, open_package
from kensho_tui.ovf.rewrite import Wanted, rewrite
from kensho_tui.ovf.rules import NAMES, inspect, lint, merge
from kensho_tui.ovf.sign import DEFAULT
from kensho_tui.ovf.unsaved import Unsaved

_MOST_OPTIONS = 16  # each is a reading of its own
_WEIGHTS = list(Severity)


@dataclass(frozen=True, slots=True)
class Noticed:
    """What is wrong with the document: by the standard, and by what each target makes of it."""

    findings: tuple[Finding, ...] = ()
    targets: Mapping[str, tuple[Finding, ...]] | None = None

    def count(self, severity: Severity) -> int:
        """How many findings of that weight the standard's rules have."""
        return sum(each.severity is severity for each in self.findings)

    @property
    def refused_by(self) -> list[str]:
        """Targets whose own import refuses the package as it is."""
        return [
            name
            for name, found in (self.targets or {}).items()
            if any(each.severity is Severity.ERROR for each in found)
        ]


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a package's changes, so that a lost terminal loses none; nothing where all is saved."""

    path: Path
    original: bytes = b""
    descriptor: bytes = b""
    files: Mapping[str, Path] = field(default_factory=dict)

    def keep(self) -> None:
        """Keep it, or forget what was kept. Raises: FileError, SharedDirError: it cannot be."""
        if self.descriptor:
            unsaved.keep(self.path, self.original, self.descriptor, self.files)
        else:
            unsaved.drop(self.path)


class Workbench:
    """One package under the editor's hands.

    Args: package: as it was opened.

    Raises: DescriptorError: it cannot be edited.
    """

    def __init__(self, package: Package) -> None:
        self.package = package
        self.editing = Editing(package.descriptor, package.name)
        self.configuration: str | None = None
        # By the document: files that come into the package, by the ids they have in it.
        self._outline: tuple[Envelope, Outline] | None = None
        self._coming: dict[bytes, Mapping[str, Path]] = {}

    @classmethod
    def open(cls, path: Path, told: Callable[[str], None] = lambda _: None) -> "Workbench":
        """The package there. Raises: OvfError: see `open_package`; or it cannot be edited."""
        return cls(open_package(path, integrity="warn", told=told))

    # ---------------------------------------------------------------------------------- the document
    @property
    def envelope(self) -> Envelope:
        """The document as it is now."""
        return self.editing.envelope

    @property
    def changed(self) -> bool:
        """Whether there is something to save."""
        return self.editing.changed

    def outline(self) -> Outline:
        """The nodes, for the option that is edited; for all, where that one is gone."""
        known = {each.id for each in self.envelope.configurations}
        if self.configuration not in known:
            self.configuration = None
        if self.configuration is None:
            return self._whole()
        return Outline(self.envelope, self.configuration)

    def _whole(self) -> Outline:
        """The nodes for all options, of the document as it is now."""
        if self._outline is None or self._outline[0] is not self.envelope:
            self._outline = (self.envelope, Outline(self.envelope))
        return self._outline[1]

    def do(self, *changes: Change) -> list[str]:
        """Make the changes as one step, and say what they changed.

        Raises: DescriptorError: refused; nothing is changed.
        """
        return self._stepped(lambda: self.editing.apply(*changes), self._here())

    def put_in(self, made: Made) -> list[str]:
        """The same for what an action made, with the files that come with it."""
        coming = dict(self._here())
        said = self._stepped(lambda: self.editing.apply(*made.changes), coming)
        ids = {each.href: each.id for each in self.envelope.files}
        more = {ids[href]: path for href, path in made.files.items() if href in ids}
        self._coming[self.editing.data] = {**coming, **more}
        return said

    def take_up(self, found: Unsaved) -> list[str]:
        """Go on with what was not saved, as one step; what it changed.

        Raises: DescriptorError: it cannot be read any more.
        """
        return self._stepped(lambda: self.editing.become(found.descriptor), found.files)

    def to_keep(self) -> "Kept":
        """What is to be kept of it, by `Kept.keep`, in any thread."""
        path = self.package.path
        if not self.changed:
            return Kept(path)
        return Kept(path, self.editing.original, self.editing.data, self._here())

    def undo(self) -> list[str]:
        """Take the last step back; what it had changed."""
        before, old = self.envelope, self._whole()
        self.editing.undo()
        return words(self.envelope, before, self._whole(), old)

    def redo(self) -> list[str]:
        """Make the step again that was taken back; what it changed."""
        before, old = self.envelope, self._whole()
        self.editing.redo()
        return words(before, self.envelope, old, self._whole())

    def _here(self) -> Mapping[str, Path]:
        return self._coming.get(self.editing.data, {})

    def _stepped(self, step: Callable[[], None], coming: Mapping[str, Path]) -> list[str]:
        before, old = self.envelope, self._whole()
        step()
        self._coming[self.editing.data] = coming
        return words(before, self.envelope, old, self._whole())

    def changes(self) -> list[str]:
        """What is different from how the package is saved, in sentences."""
        return words(Envelope.parse(self.editing.original, self.package.name), self.envelope)

    def difference(self) -> list[str]:
        """The same as lines of a unified difference of the XML."""
        return list(self.editing.diff())

    # ---------------------------------------------------------------------------------- looking at it
    def snapshot(self) -> Package:
        """The package as it would be saved, as far as its descriptor tells; for `noticed`."""
        data = self.editing.data
        envelope = Envelope.parse(data, self.package.name)
        return replace(self.package, descriptor=data, envelope=envelope)

    def sizes(self) -> dict[str, int]:
        """Bytes of the files that the package has or is to have, by name."""
        found = {name: place.size for name, place in self.package.places.items()}
        found |= {new: found[old] for old, new in self._renamed().items() if old in found}
        coming = self._here()
        return found | {
            each.href: each.size or 0 for each in self.envelope.files if each.id in coming
        }

    # ---------------------------------------------------------------------------------------- saving
    def _renamed(self) -> dict[str, str]:
        before = {each.id: each.href for each in Envelope.parse(self.editing.original).files}
        now = {each.id: each.href for each in self.envelope.files}
        coming = self._here()
        return {
            href: now[id_]
            for id_, href in before.items()
            if id_ in now and now[id_] != href and id_ not in coming and href in self.package.places
        }

    def wanted(self) -> Wanted:
        """What the saved package is to be.

        Raises: PackageError: a file that comes into it is not there any more, or is another one.
        """
        coming, renamed = self._here(), self._renamed()
        now = {each.href: each for each in self.envelope.files}
        added: dict[str, Path] = {}
        for file in self.envelope.files:
            path = coming.get(file.id)
            if path is None:
                continue
            if not path.is_file() or path.stat().st_size != file.size:
                raise PackageError(
                    "the file is not any more the one that was added",
                    subject=str(path),
                    remedy="Remove it from the package, and add it again",
                )
            added[file.href] = path
        before = {each.href for each in Envelope.parse(self.editing.original).files}
        removed = {each for each in before if each not in now and each not in renamed}
        listed = self.package.manifest.digests.values() if self.package.manifest else ()
        used = Counter(each.algorithm for each in listed).most_common(1)
        return Wanted(
            descriptor=self.editing.data,
            algorithm=used[0][0] if used else DEFAULT,
            added=added,
            removed=removed,
            renamed=renamed,
        )

    @property
    def signed(self) -> bool:
        """Whether there is a signature, which is lost when it is saved."""
        return bool(self.package.papers.certificate_name)

    def changed_on_disk(self) -> str:
        """Why the package is not any more what was opened; "" where it is."""
        try:
            self.package.check_unchanged()
        except PackageError as error:
            return error.what
        return ""

    def saved(self, path: Path, wanted: Wanted) -> None:
        """It was saved there: go on with what is there now. Raises: as of `open`."""
        package = open_package(path, integrity="warn")
        self.package = package
        files = wanted.added or wanted.removed or wanted.renamed
        if package.descriptor == self.editing.data and not files:
            self.editing.saved()
        else:
            # A step back would name files that are not there any more.
            self.editing = Editing(package.descriptor, package.name)
        self._coming = {}


def noticed(package: Package, sizes: Mapping[str, int]) -> Noticed:
    """What is wrong with the package, worst first; may take a while, in any thread."""
    found: list[Finding] = []
    options: list[str | None] = [each.id for each in package.envelope.configurations]
    for option in options[:_MOST_OPTIONS] or [None]:
        found = merge(found, package.envelope.appliance(option)[1])
    found = merge(found, [each.finding for each in inspect(package.envelope, sizes)])
    targets = {
        name: tuple(each.finding for each in lint(package, [target]))
        for target, name in NAMES.items()
    }
    return Noticed(
        tuple(sorted(found, key=lambda each: (_WEIGHTS.index(each.severity), each.line or 0))),
        {
            name: tuple(sorted(each, key=lambda f: _WEIGHTS.index(f.severity)))
            for name, each in targets.items()
        },
    )


def save(
    package: Package,
    wanted: Wanted,
    target: Path | None,
    cancel: Cancel,
    progress: Callable[[int, int], None],
) -> Path:
    """Write the package anew; see `rewrite`. In any thread."""
    return rewrite(package, wanted, target, cancel, progress=progress)
