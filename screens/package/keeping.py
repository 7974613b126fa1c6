"""Saving, from the question to the end: what changed, where to, what if somebody else changed the package."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from textual.app import App

from kensho_tui.cancel import Cancel
from kensho_tui.errors import KenshoError
from kensho_tui.findings import Severity
from kensho_tui.ovf.package import Package
from kensho_tui.ovf.rewrite import Wanted
from kensho_tui.ovf.unsaved import Unsaved
from kensho_tui.ovf.workbench import Noticed, Workbench
from screens.package.answer import AnswerLine
from screens.package.saving import BeforeSaving, How, Writing
from screens.states import DONE, Sign
from screens.widgets.choose import Choice, Choose
from screens.widgets.file_picker import absolute

_OUTSIDE = (
    "Somebody changed the package since you opened it. It is not written over: what is there now would be lost,"
    " and its files may not be those any more that you saw."
)
_TAKEN = "There is something of that name already. Choose another name."


class Editor(Protocol):
    """What saving asks of the screen."""

    bench: Workbench | None
    found: Noticed | None
    path: Path

    @property
    def app(self) -> App[object]: ...
    def say(self, text: str, sign: Sign | None = None) -> None: ...
    def say_error(self, error: KenshoError) -> None: ...
    def open_anew(self) -> None: ...
    def take_up(self, found: Unsaved) -> None: ...
    def forget(self) -> None: ...
    def forget_kept(self) -> None: ...
    def leave_kept(self) -> None: ...
    def write(
        self, package: Package, wanted: Wanted, target: Path | None, cancel: Cancel
    ) -> object: ...
    def outside_changed(self, why: str) -> None: ...


class Keeping:
    """The way from the question to the written package.

    Attributes:
        outside: what somebody else did to the package; "" for nothing.
        window: shown while it is written; None while nothing is.
    """

    def __init__(self, editor: Editor) -> None:
        self._editor = editor
        self._leaving: Callable[[], None] | None = None
        self._cancel = Cancel()
        self.outside = ""
        self.window: Writing | None = None

    def ask(self, leaving: Callable[[], None] | None = None) -> None:
        """Show what changed, and ask. Args: leaving: what follows where the operator wants to go."""
        editor, bench = self._editor, self._editor.bench
        if bench is None or self.window is not None:
            return
        if not self.outside and (why := bench.changed_on_disk()):
            editor.outside_changed(why)
        if self.outside:
            self._ask_outside(leaving)
            return

        def picked(how: How | None) -> None:
            self._leaving = leaving
            if how is How.SAVE:
                self.begin(None)
            elif how is How.SAVE_AS:
                self.ask_target()
            elif how is How.DROP and leaving is not None:
                leaving()

        window = BeforeSaving(
            editor.path.name,
            bench.changes(),
            bench.difference(),
            self._warnings(bench),
            leaving=leaving is not None,
            aside=bench.package.wrapped,
        )
        editor.app.push_screen(window, picked)

    def _warnings(self, bench: Workbench) -> list[str]:
        said = []
        if bench.signed:
            said.append(
                "The package is signed. Its signature is of the old descriptor, and is taken off; sign it again"
                " with 'kensho package sign'."
            )
        found = self._editor.found
        if found is not None and (errors := found.count(Severity.ERROR)):
            what = "is 1 error" if errors == 1 else f"are {errors} errors"
            said.append(f"By the standard there {what} in it: f lists them.")
        if bench.package.wrapped:
            said.append("It is compressed as a whole, and can only be saved as a new package.")
        return said

    def _ask_outside(self, leaving: Callable[[], None] | None) -> None:
        choices = [
            Choice("keep", "Keep mine in a file", "to compare it with what is there now"),
            Choice("anew", "Open the package anew", "your changes are dropped"),
        ]
        if leaving is not None:
            choices.append(Choice("leave", "Leave", "your changes are dropped"))

        def picked(what: str | None) -> None:
            if what == "anew":
                self._editor.forget_kept()
                self._editor.open_anew()
            elif what == "keep":
                self._ask_keep(bench.editing.data if (bench := self._editor.bench) else b"")
            elif what == "leave" and leaving is not None:
                leaving()

        self._editor.app.push_screen(Choose("Changed by others", choices, text=_OUTSIDE), picked)

    def ask_take_up(self, found: Unsaved) -> None:
        """There are changes of an earlier time that were not saved: ask what becomes of them."""
        editor, bench = self._editor, self._editor.bench
        if bench is None:
            return
        when = f"{found.when.astimezone():%d %b %H:%M}"
        if found.fits(bench.package.descriptor):
            text = f"The package was edited until {when}, and the changes were not saved."
            first = Choice("take", "Go on with them", "they can be undone as one step")
        else:
            text = f"Changes of {when} were not saved, and the package is another one now."
            first = Choice("file", "Keep them in a file", "to compare it with this one")
        choices = [first, Choice("drop", "Drop them"), Choice("later", "Leave them for later")]

        def picked(what: str | None) -> None:
            if what == "take":
                editor.take_up(found)
            elif what == "file":
                self._ask_keep(found.descriptor)
            elif what == "drop":
                editor.forget()
            else:
                editor.leave_kept()

        editor.app.push_screen(Choose("Not saved", choices, text=text), picked)

    def _ask_keep(self, data: bytes) -> None:
        start = absolute(str(self._editor.path)).with_suffix(".edited.ovf")

        def kept(value: str) -> str:
            path = absolute(value)
            if path.exists():
                return _TAKEN
            try:
                with path.open("xb") as file:
                    file.write(data)
            except OSError as error:
                return f"It cannot be written: {error.strerror}."
            self._editor.say(f"The descriptor as you edited it is in {path}.", DONE)
            return ""

        about = "The descriptor alone is written there; no package is changed."
        self._editor.app.push_screen(AnswerLine("Keep my descriptor", about, str(start), kept))

    def ask_target(self) -> None:
        """Ask for another place, and write there."""
        bench = self._editor.bench
        if bench is None or self.window is not None:
            return
        path = absolute(str(bench.package.path))
        if bench.package.archive:
            name = path.name
            while name.lower().endswith((".gz", ".xz", ".zip", ".ova")):
                name = name.rpartition(".")[0]
            start = path.with_name(f"{name}-edited.ova")
            about = "The new package (.ova), which must not be there yet."
        else:
            start = path.parent.with_name(f"{path.parent.name}-edited")
            about = (
                "The folder of the new package, which must not be there yet. Its files are copied."
            )

        def given(value: str) -> str:
            target = absolute(value)
            if target.exists():
                return _TAKEN
            if not target.parent.is_dir():
                return f"There is no folder {target.parent}."
            # Once the window that asked is gone.
            self._editor.app.call_later(self.begin, target)
            return ""

        self._editor.app.push_screen(AnswerLine("Save as", about, str(start), given))

    def begin(self, target: Path | None) -> None:
        """Write it in a thread, and show how far it is."""
        editor, bench = self._editor, self._editor.bench
        if bench is None:
            return
        try:
            wanted = bench.wanted()
        except KenshoError as error:
            editor.say_error(error)
            return
        cancel = self._cancel = Cancel()
        self.window = Writing((target or editor.path).name, cancel.cancel)
        editor.app.push_screen(self.window)
        editor.write(bench.package, wanted, target, cancel)

    def end(self) -> None:
        """The screen goes: what is being written ends, with nothing half-made left."""
        self._cancel.cancel()

    def ended(self) -> Callable[[], None] | None:
        """The writing has ended: its window goes. What follows where the operator wanted to go."""
        window, self.window = self.window, None
        if window is not None and window.is_attached:
            window.dismiss(None)
        leaving, self._leaving = self._leaving, None
        return leaving
