"""Shows a longer text in a window: help, details, a whole error."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from kensho_tui.text import plain
from screens.widgets.modal import Window


class Notice(Window[None]):
    """A text that scrolls; escape, enter or ``q`` closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,q,question_mark,f1", "close_window", "Close", show=False, id="notice.close"),
    ]

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._heading = title
        self.text = plain(text)

    def compose(self) -> ComposeResult:
        """The text and the key that closes it."""
        with Vertical(classes="window") as window:
            window.border_title = plain(self._heading).replace("[", "\\[")
            with VerticalScroll(classes="text"):
                yield Static(self.text, markup=False)
            yield Static("↑↓ Scroll   esc Close", markup=False, classes="keys")
