"""A list of one-line rows in fixed columns: the shape of nearly every list of the operator's."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from kensho_tui.text import one_line, shorten_middle


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its heading, and its width in characters; width 0 takes what is left (one may)."""

    heading: str
    width: int
    right: bool = False
    middle: bool = False  # shortened in the middle, where the end tells as much as the beginning


@dataclass(frozen=True, slots=True)
class Cell:
    """A text with the style that underlines it. ``span``: how many columns it may fill."""

    text: str
    style: str = ""
    span: int = 1


@dataclass(frozen=True, slots=True)
class Row:
    """A row. ``heading`` rows divide the list: the cursor passes over them.

    ``columns`` are the row's own where a list holds rows of several kinds.
    """

    id: str
    cells: tuple[Cell | str, ...]
    heading: bool = False
    columns: tuple[Column, ...] | None = None


def layout(columns: Sequence[Column], cells: Sequence[Cell | str], width: int) -> Content:
    """The cells in columns, exactly ``width`` characters wide, one blank between columns."""
    fixed = sum(column.width for column in columns) + len(columns) - 1
    rooms = [column.width or max(0, width - fixed) for column in columns]
    parts: list[str | tuple[str, str]] = []
    at = 0
    for cell in [*cells, *[""] * len(columns)]:
        if at >= len(columns):
            break
        each = Cell(cell) if isinstance(cell, str) else cell
        column, span = columns[at], min(each.span, len(columns) - at)
        room = sum(rooms[at : at + span]) + span - 1
        at += span
        text = one_line(each.text)
        text = shorten_middle(text, room) if column.middle else one_line(text, limit=room)
        text = text.rjust(room) if column.right else text.ljust(room)
        parts.append((text, each.style) if each.style else text)
        if at < len(columns):
            parts.append(" ")
    return Content.assemble(*parts)


class Rows(OptionList):
    """The list. Rows keep their cursor by id when they change; columns follow the width."""

    DEFAULT_CSS = """
    Rows {
        border: none !important;
        padding: 0 1;
        background: $background;
        height: 1fr;
        scrollbar-size-vertical: 1;
        &:focus { background-tint: $foreground 0%; }
    }
    """

    SLACK: ClassVar[int] = 3
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select", "Choose", id="rows.choose"),
        Binding("j", "cursor_down", "Down", show=False, id="rows.down"),
        Binding("k", "cursor_up", "Up", show=False, id="rows.up"),
    ]

    def __init__(
        self, columns: Sequence[Column], *, id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(id=id, classes=classes, markup=False)
        self.columns = tuple(columns)
        self.rows: tuple[Row, ...] = ()
        self._laid_out_for = 0

    @property
    def room(self) -> int:
        """Characters a row may fill; the scroll bar's column is always left free.

        A guess before the first layout, which lays the rows out again.
        """
        return max(10, (self.size.width or 60) - self.SLACK)

    @property
    def current(self) -> str | None:
        """Id of the row under the cursor."""
        if self.highlighted is None or self.highlighted >= len(self.rows):
            return None
        return self.rows[self.highlighted].id

    def lay_out(self, columns: Sequence[Column]) -> None:
        """Use other columns from now on; the rows stay until they are set anew."""
        self.columns = tuple(columns)
        self._laid_out_for = 0

    def show(self, rows: Sequence[Row]) -> None:
        """Show these rows. What did not change is not drawn again; the cursor stays on its row."""
        rows = tuple(rows)
        width = self.room
        before = self.rows
        same = [row.id for row in rows] == [row.id for row in before]
        if same and self._laid_out_for == width:
            self.rows = rows
            for index, (old, new) in enumerate(zip(before, rows, strict=True)):
                if old != new:
                    self.replace_option_prompt_at_index(index, self._prompt(new, width))
            return
        current = self.current
        self.rows = rows
        self._laid_out_for = width
        scroll = self.scroll_y
        self.clear_options()
        self.add_options(
            [Option(self._prompt(row, width), id=row.id, disabled=row.heading) for row in rows]
        )
        self._restore(current)
        self.scroll_to(y=scroll, animate=False)

    def go_to(self, row: str) -> None:
        """Put the cursor on the row of that id; nothing where there is none."""
        for index, each in enumerate(self.rows):
            if each.id == row:
                self.highlighted = index

    def _restore(self, current: str | None) -> None:
        usable = [i for i, row in enumerate(self.rows) if not row.heading]
        if not usable:
            return
        where = {row.id: index for index, row in enumerate(self.rows)}
        self.highlighted = where.get(current or "", usable[0])

    def _prompt(self, row: Row, width: int) -> Content:
        if row.heading and row.columns is None:
            words = " ".join(cell if isinstance(cell, str) else cell.text for cell in row.cells)
            return Content.styled(one_line(words, limit=width), "bold $foreground-muted")
        content = layout(row.columns or self.columns, row.cells, width)
        return content.stylize("$foreground-muted") if row.heading else content

    def on_resize(self, event: events.Resize) -> None:
        """Lay the rows out for the new width."""
        if self.rows and self._laid_out_for != self.room:
            self.show(self.rows)

    def headings(self) -> Content:
        """The line of headings that belongs above this list at its present width."""
        cells = [Cell(column.heading, "$foreground-muted") for column in self.columns]
        return layout(self.columns, cells, self.room)
