"""Windows around saving: what will be written, and how far it is."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from kensho_tui.migration.units import size
from kensho_tui.text import one_line, plain
from screens.figures import bar, percent, share
from screens.states import LOOK
from screens.widgets.modal import Window
from screens.widgets.quiet import Quiet

_BAR = 30
_STYLES = {"+": "$success", "-": "$error", "@": "$primary"}


class How(StrEnum):
    """What the operator wants of a package with changes."""

    SAVE = "save"
    SAVE_AS = "save-as"
    DROP = "drop"


class BeforeSaving(Window[How]):
    """What changed, in words and as a difference, before anything is written."""

    DEFAULT_CSS = """
    BeforeSaving {
        & > .window { width: 100%; max-width: 110; }
        & .text { max-height: 17; scrollbar-size-vertical: 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s,enter", "close('save')", "Save", id="saving.save"),
        Binding("w", "close('save-as')", "Save as", id="saving.as"),
        Binding("d", "difference", "Difference", id="saving.difference"),
        Binding("x", "close('drop')", "Drop", id="saving.drop"),
    ]

    def __init__(
        self,
        name: str,
        changes: Sequence[str],
        difference: Sequence[str],
        warnings: Sequence[str],
        *,
        leaving: bool = False,
        aside: bool = False,
    ) -> None:
        """Args:
        leaving: whether the operator wants to go, and may drop the changes.
        aside: whether it can only be saved under another name.
        """
        super().__init__()
        self._name = name
        self._changes = tuple(changes)
        self._difference = tuple(difference)
        self._warnings = tuple(warnings)
        self._leaving = leaving
        self._aside = aside
        self._as_xml = False

    def compose(self) -> ComposeResult:
        """The text and the keys."""
        with Vertical(classes="window") as window:
            title = (
                "{} has changes that are not saved"
                if self._leaving
                else "Save these changes of {}?"
            )
            window.border_title = plain(title.format(self._name)).replace("[", "\\[")
            with VerticalScroll(classes="text"):
                yield Static(self._text(), markup=False, id="text")
            yield Static(self._keys(), markup=False, classes="keys")

    def _keys(self) -> str:
        keys = [] if self._aside else ["s Save"]
        keys += ["w Save as…", "d In words" if self._as_xml else "d As XML"]
        keys += ["x Leave without"] if self._leaving else []
        return "   ".join([*keys, "esc Back"])

    def _text(self) -> Content:
        parts: list[str | tuple[str, str]] = []
        if self._as_xml:
            for line in self._difference:
                parts += [(one_line_kept(line), _STYLES.get(line[:1], "")), "\n"]
            return Content.assemble(*parts)
        for each in self._changes:
            parts += [f"• {one_line(each)}", "\n"]
        if not self._changes:
            parts += ["Nothing is changed.", "\n"]
        for each in self._warnings:
            parts += ["\n", (f"{LOOK.glyph} ", f"bold {LOOK.style}"), one_line(each), "\n"]
        return Content.assemble(*parts)

    def action_difference(self) -> None:
        """Show it as XML, or in words again."""
        self._as_xml = not self._as_xml
        self.query_one("#text", Static).update(self._text())
        self.query_one(".keys", Static).update(self._keys())

    def action_close(self, how: str) -> None:
        """Close with that answer, where it is one."""
        chosen = How(how)
        if (chosen is How.DROP and not self._leaving) or (chosen is How.SAVE and self._aside):
            self.app.bell()
            return
        self.dismiss(chosen)


def one_line_kept(text: str) -> str:
    """The line with its indentation, without what a terminal must not see."""
    return plain(text.replace("\t", "  "))


class Writing(Window[None]):
    """How far the saving is; x ends it, and nothing is changed then."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x,escape", "end", "Cancel", id="writing.cancel"),
    ]

    def __init__(self, name: str, end: Callable[[], None]) -> None:
        """Args: end: ends the writing."""
        super().__init__()
        self._name = name
        self._end = end
        self.ended = False

    def compose(self) -> ComposeResult:
        """The bar and the key."""
        with Vertical(classes="window") as window:
            window.border_title = plain(f"Saving {self._name}").replace("[", "\\[")
            yield Quiet("Comparing the files with the manifest …", id="far")
            yield Static("x Cancel: the package stays as it was", markup=False, classes="keys")

    def show(self, done: int, total: int) -> None:
        """Show how many bytes were read and written of how many."""
        if self.ended or not self.query("#far"):
            return  # or it is not drawn yet
        text = (
            f"{bar(share(done, total), _BAR)} {percent(done, total)}  {size(done)} of {size(total)}"
        )
        self.query_one("#far", Quiet).update(text)

    def action_end(self) -> None:
        """Ask the writer to end."""
        self.ended = True
        self.query_one("#far", Quiet).update("Ending …")
        self._end()
