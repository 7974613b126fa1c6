"""Windows that take an answer: one line or several. They stay open until the answer is one that is taken."""

from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Static, TextArea

from kensho_tui.text import plain
from screens.widgets.modal import Window

# Makes the change; why it is not made, "" where it is.
Attempt = Callable[[str], str]


class _Answer(Window[bool]):
    """What both have in common. Gives true where the answer was taken."""

    def __init__(self, title: str, about: str, value: str, attempt: Attempt) -> None:
        super().__init__()
        self._heading = title
        self._about = about
        self._value = value
        self._attempt = attempt

    def give(self, value: str) -> None:
        """Try the answer; say why it is not taken."""
        said = self._attempt(value)
        if not said:
            self.dismiss(True)
            return
        wrong = self.query_one(".wrong", Static)
        wrong.update(f"✗ {said}")
        wrong.add_class("-said")


class AnswerLine(_Answer):
    """One line."""

    def compose(self) -> ComposeResult:
        """What is asked, the field, why it is not taken."""
        with Vertical(classes="window") as window:
            window.border_title = plain(self._heading).replace("[", "\\[")
            yield Static(plain(self._about), markup=False)
            field = Input(self._value, compact=True, id="answer", select_on_focus=False)
            field.cursor_blink = False
            yield field
            yield Static("", markup=False, classes="wrong")
            yield Static("⏎ OK   esc Cancel", markup=False, classes="keys")

    def on_mount(self) -> None:
        """Show the end of a long text: of a path, that is its name."""
        self.call_after_refresh(self._to_end)

    def _to_end(self) -> None:
        # The cursor is there already; only one that moves takes the view with it.
        field = self.query_one(Input)
        field.action_home()
        field.action_end()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        self.give(event.value)


class AnswerLines(_Answer):
    """A text of several lines."""

    DEFAULT_CSS = """
    AnswerLines TextArea {
        height: 12; border: none; padding: 0; background: $panel;
        &:focus { border: none; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s,f2", "take", "OK", id="answer.take", priority=True),
        Binding("escape", "give_up", "Cancel", show=False, id="answer.give-up", priority=True),
    ]

    def __init__(self, title: str, about: str, value: str, attempt: Attempt) -> None:
        super().__init__(title, about, value, attempt)
        self._warned = False

    def compose(self) -> ComposeResult:
        """What is asked, the text, why it is not taken."""
        with Vertical(classes="window") as window:
            window.border_title = plain(self._heading).replace("[", "\\[")
            yield Static(plain(self._about), markup=False)
            area = TextArea(self._value, id="answer", soft_wrap=True, show_line_numbers=False)
            area.cursor_blink = False
            yield area
            yield Static("", markup=False, classes="wrong")
            yield Static("^s (or F2) OK   esc Cancel", markup=False, classes="keys")

    def on_mount(self) -> None:
        """Type at once."""
        self.query_one(TextArea).focus()

    def action_take(self) -> None:
        """Give the text as the answer."""
        self.give(self.query_one(TextArea).text)

    def action_give_up(self) -> None:
        """Close; a text that was changed is dropped only the second time."""
        if self._warned or self.query_one(TextArea).text == self._value:
            self.dismiss(False)
            return
        self._warned = True
        wrong = self.query_one(".wrong", Static)
        wrong.update("What you typed is not taken yet: ^s takes it, esc again drops it.")
        wrong.add_class("-said")
