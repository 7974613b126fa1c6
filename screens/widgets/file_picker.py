"""Finds an OVF package on this machine: folders, and files that may be one."""

import os
from dataclasses import dataclass
from pathlib import Path

from textual import getters, on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Static

from kensho_tui.migration.units import size
from kensho_tui.text import one_line
from screens.widgets.modal import Window
from screens.widgets.rows import Cell, Column, Row, Rows

SUFFIXES = (".ova", ".ovf", ".ova.gz", ".ova.xz", ".zip")


@dataclass(frozen=True, slots=True)
class Entry:
    """A folder, or a file with its size in bytes."""

    path: str
    name: str
    folder: bool
    bytes: int = 0


@dataclass
class FolderRead(Message):
    """What is in a folder; ``problem`` says why it cannot be read."""

    folder: Path
    entries: list[Entry]
    problem: str = ""


def absolute(text: str) -> Path:
    """The path with ``~`` resolved and from the root on: a job has another current directory."""
    path = Path(text)
    try:
        return path.expanduser().absolute()
    except RuntimeError:
        # "~nobody": there is no such user, so it can only be a file's name.
        return path.absolute()


def entries(folder: Path) -> list[Entry]:
    """Folders and packages in the folder, folders first, hidden ones left out. Raises OSError."""
    found = []
    with os.scandir(folder) as listing:
        for each in listing:
            if each.name.startswith("."):
                continue
            if each.is_dir():
                found.append(Entry(each.path, f"{each.name}/", True))
            elif each.name.lower().endswith(SUFFIXES) and each.is_file():
                found.append(Entry(each.path, each.name, False, each.stat().st_size))
    return sorted(found, key=lambda entry: (not entry.folder, entry.name.casefold()))


class FilePicker(Window[str]):
    """Gives the path of the package that was chosen."""

    DEFAULT_CSS = """
    FilePicker > .window { height: 20; }
    FilePicker #where { text-style: bold; height: 1; }
    """

    listing = getters.query_one(Rows)

    def __init__(self, start: str = "") -> None:
        """Args: start: a path to begin near; the current folder where it is none."""
        super().__init__()
        path = absolute(start) if start else Path.cwd()
        while not path.is_dir() and path != path.parent:
            path = path.parent
        self._folder = path

    def compose(self) -> ComposeResult:
        """The folder, what is in it, the keys."""
        with Vertical(classes="window") as window:
            window.border_title = "Find a package (.ova, .ovf)"
            yield Static("", markup=False, id="where")
            yield Rows((Column("", 0, middle=True), Column("", 8, right=True)), id="files")
            yield Static("↑↓ Move   ⏎ Open   esc Cancel", markup=False, classes="keys")

    def on_mount(self) -> None:
        """Read the first folder."""
        self.read(self._folder)

    @work(thread=True, group="folder", exclusive=True, exit_on_error=False)
    def read(self, folder: Path) -> None:
        """Read a folder; a slow file system holds nothing up."""
        try:
            self.post_message(FolderRead(folder, entries(folder)))
        except OSError as error:
            self.post_message(FolderRead(folder, [], error.strerror or str(error)))

    @on(FolderRead)
    def _read(self, message: FolderRead) -> None:
        if message.problem:
            self.query_one("#where", Static).update(
                one_line(f"{message.folder} cannot be read: {message.problem}")
            )
            return
        self._folder = message.folder
        self.query_one("#where", Static).update(one_line(str(message.folder)))
        rows = [
            Row(each.path, (each.name, "" if each.folder else Cell(size(each.bytes))))
            for each in message.entries
        ]
        if message.folder != message.folder.parent:
            rows.insert(0, Row(str(message.folder.parent), ("../", "")))
        self.listing.show(rows)
        if len(rows) > 1 and not message.entries[0].folder:
            self.listing.go_to(rows[1].id)

    @on(Rows.OptionSelected)
    def _chosen(self) -> None:
        path = Path(self.listing.current or self._folder)
        if path.is_dir():
            self.read(path)
        else:
            self.dismiss(str(path))
