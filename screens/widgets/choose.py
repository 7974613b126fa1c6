"""Lets the operator choose one of a list, filtered by what is typed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Static

from kensho_tui.text import one_line, plain
from screens.widgets.modal import Window
from screens.widgets.rows import Cell, Column, Row, Rows


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing to choose. ``reason`` says why it cannot be chosen, "" where it can."""

    id: str
    label: str
    detail: str = ""
    reason: str = ""


class Choose(Window[str]):
    """A list with a filter; gives the id of the choice, None where none was made."""

    DEFAULT_CSS = """
    Choose {
        & > .window { height: 20; }
        & #filter { height: 1; }
        & #why { height: 2; color: $foreground; }
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "move(1)", "Down", show=False, priority=True, id="choose.down"),
        Binding("up", "move(-1)", "Up", show=False, priority=True, id="choose.up"),
        Binding("escape", "close_window", "Cancel", show=False, id="choose.close"),
    ]

    def __init__(
        self, title: str, choices: Sequence[Choice], current: str | None = None, *, text: str = ""
    ) -> None:
        """Args: current: id of what is chosen now. text: what is asked, where the title cannot hold it."""
        super().__init__()
        self._heading = title
        self._text = text
        self._choices = tuple(choices)
        self._current = current

    def compose(self) -> ComposeResult:
        """Filter, list, the reason of the row under the cursor, and the keys."""
        with Vertical(classes="window") as window:
            window.border_title = plain(self._heading).replace("[", "\\[")
            if self._text:
                yield Static(plain(self._text), markup=False, classes="text")
            field = Input(placeholder="type to filter", compact=True, id="filter")
            field.cursor_blink = False
            yield field
            yield Rows((Column("", 1), Column("", 28, middle=True), Column("", 0)), id="choices")
            yield Static("", markup=False, id="why")
            yield Static("↑↓ Move   ⏎ Choose   esc Cancel", markup=False, classes="keys")

    def on_mount(self) -> None:
        """Show all, with the cursor on what is chosen now."""
        self.call_after_refresh(self._fill)

    def _fill(self) -> None:
        needle = self.query_one(Input).value.casefold()
        rows = self.query_one(Rows)
        rows.show(
            [
                Row(
                    each.id,
                    (
                        "✗" if each.reason else "•" if each.id == self._current else "",
                        each.label,
                        Cell(each.reason or each.detail, "$foreground-muted"),
                    ),
                )
                for each in self._choices
                if needle in f"{each.label} {each.detail}".casefold()
            ]
        )
        if not needle and self._current:
            rows.go_to(self._current)
        self._explain()

    @on(Input.Changed)
    def _filter(self) -> None:
        self._fill()

    @on(Rows.OptionHighlighted)
    def _explain(self) -> None:
        chosen = self._chosen()
        text = ""
        if chosen is not None:
            text = f"✗ {chosen.reason}" if chosen.reason else chosen.detail
        elif not self.query_one(Rows).rows:
            text = "Nothing matches the filter."
        self.query_one("#why", Static).update(one_line(text))

    def _chosen(self) -> Choice | None:
        current = self.query_one(Rows).current
        return next((each for each in self._choices if each.id == current), None)

    def action_move(self, by: int) -> None:
        """Move the cursor of the list while the filter keeps the focus."""
        rows = self.query_one(Rows)
        if by > 0:
            rows.action_cursor_down()
        else:
            rows.action_cursor_up()

    @on(Input.Submitted)
    @on(Rows.OptionSelected)
    def _done(self) -> None:
        chosen = self._chosen()
        if chosen is None or chosen.reason:
            self.app.bell()
        else:
            self.dismiss(chosen.id)
