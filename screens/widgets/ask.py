"""Asks for one line of text, or for a password, which is never shown."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Static

from kensho_tui.text import plain
from screens.widgets.modal import Window


class Ask(Window[str]):
    """One line of text; None where the operator gave none."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close_window", "Cancel", show=False, id="ask.close"),
    ]

    def __init__(
        self,
        title: str,
        text: str,
        *,
        secret: bool = False,
        value: str = "",
        empty: bool = False,
        word: str = "",
    ) -> None:
        """Args:
        secret: hide what is typed.
        value: to begin with.
        empty: whether "" is an answer.
        word: the only answer there is, beside none: for what a slip of a key must not do.
        """
        super().__init__()
        self._word = word
        self._heading = title
        self._text = text
        self._secret = secret
        self._value = value
        self._empty = empty

    def compose(self) -> ComposeResult:
        """The question, the field, and the keys."""
        with Vertical(classes="window") as window:
            window.border_title = plain(self._heading).replace("[", "\\[")
            yield Static(plain(self._text), markup=False)
            field = Input(self._value, password=self._secret, compact=True, id="answer")
            field.cursor_blink = False
            yield field
            yield Static("", markup=False, classes="wrong")
            hidden = "What you type is not shown and not kept.  " if self._secret else ""
            yield Static(f"{hidden}⏎ OK   esc Cancel", markup=False, classes="keys")

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        if self._word and event.value.strip() != self._word:
            # Closing would look as if it had been taken.
            said = f"Type the whole word {self._word}; esc leaves everything as it is."
            wrong = self.query_one(".wrong", Static)
            wrong.update(said)
            wrong.add_class("-said")
        elif event.value or self._empty:
            self.dismiss(event.value)
