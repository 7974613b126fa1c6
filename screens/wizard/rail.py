"""The rail: all steps of the wizard with their state; the cursor goes to any that is open."""

from collections.abc import Collection
from typing import ClassVar

from textual.binding import Binding, BindingType

from kensho_tui.migration.draft import Page, PageState
from screens.states import DONE, LATER, LOOK, RUNNING, UNNEEDED, Sign
from screens.widgets.rows import Cell, Column, Row, Rows

TITLES: dict[Page, str] = {
    Page.SOURCE: "Source",
    Page.PACKAGE: "Package",
    Page.LICENCES: "Licences",
    Page.CONFIGURATION: "Configuration",
    Page.TARGET: "Target",
    Page.MAPPING: "Mapping",
    Page.PROPERTIES: "Properties",
    Page.REVIEW: "Review",
}


def sign(state: PageState, here: bool, seen: bool) -> Sign:
    """The sign of a page's state."""
    if not state.needed:
        return UNNEEDED
    if here:
        return RUNNING if state.complete and not state.attention else LOOK
    if not seen:
        return LATER
    return DONE if state.complete and not state.attention else LOOK


class Rail(Rows):
    """The steps. Enter goes to the one under the cursor."""

    DEFAULT_CSS = """
    Rail {
        width: 19;
        padding: 0;
        border-right: solid $panel !important;
        background: $surface;
    }
    """

    SLACK: ClassVar[int] = 0
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "select", "Go there", id="rail.go")]

    def __init__(self) -> None:
        super().__init__((Column("", 1), Column("", 0), Column("", 2, right=True)), id="rail")

    def draw(self, states: list[PageState], here: Page, seen: Collection[Page]) -> None:
        """Show the states; the step one is on is bold."""
        rows = []
        for state in states:
            mark = sign(state, state.page is here, state.page in seen)
            known = state.page is here or state.page in seen
            many = str(state.attention) if known and state.needed and state.attention else ""
            style = "bold" if state.page is here else ""
            if not state.needed:
                style = "$foreground-muted"
            title = TITLES[state.page]
            rows.append(Row(state.page, (Cell(mark.glyph, mark.style), Cell(title, style), many)))
        self.show(rows)
        if not self.has_focus:
            self.go_to(here)
