"""Asks once before something that cannot be taken back, and says what it will do."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from kensho_tui.text import plain
from screens.widgets.modal import Window


class Confirm(Window[bool]):
    """A question with two answers. ``yes`` and ``no`` say what each key does."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes", id="confirm.yes"),
        Binding("n", "answer(False)", "No", id="confirm.no"),
        Binding("escape", "answer(False)", "No", show=False, id="confirm.close"),
    ]

    def __init__(self, title: str, text: str, *, yes: str, no: str) -> None:
        super().__init__()
        self._heading = title
        self._text = text
        self._yes = yes
        self._no = no

    def compose(self) -> ComposeResult:
        """The question, what follows, and the two keys."""
        with Vertical(classes="window") as window:
            window.border_title = plain(self._heading).replace("[", "\\[")
            with VerticalScroll(classes="text"):
                yield Static(plain(self._text), markup=False)
            yield Static(f"y {self._yes}    n {self._no}", markup=False, classes="keys")

    def action_answer(self, yes: bool) -> None:
        """Answer and close."""
        self.dismiss(yes)
