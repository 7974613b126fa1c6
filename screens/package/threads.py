"""What the editor does in threads: opening, looking, keeping, writing; each tells by a message how it went."""

import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from textual import work
from textual.message import Message

from kensho_tui.cancel import Cancel
from kensho_tui.errors import KenshoError
from kensho_tui.ovf.package import Package
from kensho_tui.ovf.rewrite import Wanted
from kensho_tui.ovf.unsaved import Unsaved, drop, kept
from kensho_tui.ovf.workbench import Kept, Noticed, Workbench, noticed, save
from screens.base import KenshoScreen
from screens.desk import Desk


@dataclass
class Opened(Message):
    """The package was opened, or cannot be."""

    bench: Workbench | None
    error: KenshoError | None = None
    kept: Unsaved | None = None


@dataclass
class Looked(Message):
    """What is wrong with the document of that number."""

    version: int
    found: Noticed


@dataclass
class ChangedOutside(Message):
    """Somebody else changed the package."""

    why: str


@dataclass
class Unkept(Message):
    """What is not saved cannot be kept."""

    error: KenshoError


@dataclass
class Progressed(Message):
    """How far the saving is, in bytes."""

    done: int
    total: int


@dataclass
class Saved(Message):
    """The package was written, or was not."""

    wanted: Wanted
    path: Path | None = None
    error: KenshoError | None = None


class PackageThreads(KenshoScreen[None]):
    """A screen with a package.

    Attributes:
        version: counts the steps, so that what comes late is known to be late.
        keeps: whether what is not saved is kept in the state directory.
    """

    def __init__(self, desk: Desk, path: Path) -> None:
        super().__init__()
        self.desk = desk
        self.path = path
        self.bench: Workbench | None = None
        self.version = 0
        self.keeps = True
        self._lock = threading.Lock()
        self._next_drawing = 0.0

    @work(thread=True, group="open", exclusive=True, exit_on_error=False)
    def open_package(self) -> None:
        """Open it; one that is packed takes a while."""
        try:
            bench = Workbench.open(self.path)
            self.post_message(Opened(bench, kept=kept(bench.package.path)))
        except KenshoError as error:
            self.post_message(Opened(None, error))

    @work(thread=True, group="keep", exit_on_error=False)
    def keep(self, what: Kept, version: int) -> None:
        """Keep what is not saved, where a lost terminal does not lose it."""
        try:
            with self._lock:
                if version == self.version:  # else a later step is kept instead
                    what.keep()
        except KenshoError as error:
            self.post_message(Unkept(error))

    @work(thread=True, group="look", exclusive=True, exit_on_error=False)
    def look(self, package: Package, sizes: Mapping[str, int], version: int) -> None:
        """Hold the document against the rules."""
        self.post_message(Looked(version, noticed(package, sizes)))

    @work(thread=True, group="watch", exclusive=True, exit_on_error=False)
    def watch_outside(self, bench: Workbench) -> None:
        """Look whether somebody else changed the package."""
        if (why := bench.changed_on_disk()) and bench is self.bench:
            self.post_message(ChangedOutside(why))

    @work(thread=True, group="save", exit_on_error=False)
    def write(self, package: Package, wanted: Wanted, target: Path | None, cancel: Cancel) -> None:
        """Write the package anew; nothing of the old one is touched before the new one is whole."""

        def progress(done: int, total: int) -> None:
            now = monotonic()
            if now >= self._next_drawing:
                self._next_drawing = now + self.desk.draw_every_s
                self.post_message(Progressed(done, total))

        try:
            path = save(package, wanted, target, cancel, progress)
        except KenshoError as error:
            self.post_message(Saved(wanted, error=error))
        else:
            self.post_message(Saved(wanted, path))

    def forget_kept(self) -> None:
        """Nothing is to be kept any more: it is saved, or dropped on purpose."""
        with self._lock:
            self.version += 1
            if self.keeps and self.bench is not None:
                with suppress(KenshoError):  # it could not be kept either, which was said
                    drop(self.bench.package.path)
