"""Everything that is wrong with the package, as a list; enter goes to where it is."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from kensho_tui.findings import Finding, Severity
from kensho_tui.ovf.outline import Outline
from kensho_tui.ovf.workbench import Noticed
from kensho_tui.text import one_line
from screens.states import DONE, FINDING, LOOK
from screens.widgets.modal import Window
from screens.widgets.rows import Cell, Column, Row, Rows

_WORDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_COLUMNS = (Column("", 1), Column("", 18, middle=True), Column("", 0))


def summary(found: Noticed | None, *, fresh: bool) -> Content:
    """How much is wrong, in one line. Args: fresh: whether that is of the document as it is now."""
    if found is None:
        return Content("Looking at it …")
    parts: list[str | tuple[str, str]] = []
    for severity, one in _WORDS.items():
        number, sign = found.count(severity), FINDING[severity]
        style = sign.style if number else "$foreground-muted"
        noun = one if number == 1 else f"{one}s"
        parts += [(f"{sign.glyph} ", f"bold {style}"), f"{number} {noun}   "]
    if found.refused_by:
        refusing = ", ".join(found.refused_by)
        parts += [(f"{LOOK.glyph} ", f"bold {LOOK.style}"), f"{refusing} would refuse it"]
    else:
        parts += [(f"{DONE.glyph} ", f"bold {DONE.style}"), "no target refuses it"]
    return Content.assemble(*parts, "" if fresh else ("   looking …", "$foreground-muted"))


class Listed(Window[str]):
    """The findings; gives the id of the node that one is about."""

    DEFAULT_CSS = """
    Listed {
        & > .window { width: 100%; max-width: 110; height: 90%; }
        & #why { height: 5; border-top: solid $panel; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f,q", "close_window", "Close", show=False, id="listed.close"),
    ]

    def __init__(self, noticed: Noticed, outline: Outline) -> None:
        super().__init__()
        self._outline = outline
        self._all: dict[str, Finding] = {}
        self._rows: list[Row] = []
        self._group("By the standard", noticed.findings)
        for name, found in (noticed.targets or {}).items():
            self._group(f"Import by {name}", found)

    def _group(self, title: str, found: tuple[Finding, ...]) -> None:
        title = title if found else f"{title}: nothing"
        self._rows.append(Row(title, (title,), heading=True))
        for each in found:
            sign = FINDING[each.severity]
            own = f"{len(self._all)}"
            self._all[own] = each
            where = self._outline.at(each).label
            self._rows.append(Row(own, (Cell(sign.glyph, sign.style), where, each.message)))

    def compose(self) -> ComposeResult:
        """The list, the whole of the one under the cursor, the keys."""
        with Vertical(classes="window") as window:
            window.border_title = "What was noticed"
            yield Rows(_COLUMNS, id="listed")
            yield Static("", markup=False, id="why")
            yield Static("↑↓ Move   ⏎ Go there   esc Close", markup=False, classes="keys")

    def on_mount(self) -> None:
        """Fill it once its width is known."""
        self.call_after_refresh(self._fill)

    def _fill(self) -> None:
        self.query_one(Rows).show(self._rows)
        self.query_one(Rows).focus()
        self._explain()

    @on(Rows.OptionHighlighted)
    def _explain(self) -> None:
        found = self._all.get(self.query_one(Rows).current or "")
        if found is None:
            text = "Nothing: as far as the descriptor tells, all is as it should be."
            self.query_one("#why", Static).update("" if self._all else text)
            return
        sign = FINDING[found.severity]
        parts: list[str | tuple[str, str]] = [(f"{sign.glyph} {sign.word}: ", f"bold {sign.style}")]
        parts.append(one_line(found.message))
        if found.remedy:
            parts.append(f" {one_line(found.remedy)}")
        facts = [f"line {found.line}" if found.line else "", found.clause, found.id]
        parts.append((f"\n{', '.join(each for each in facts if each)}", "$foreground-muted"))
        self.query_one("#why", Static).update(Content.assemble(*parts))

    @on(Rows.OptionSelected)
    def _go(self) -> None:
        found = self._all.get(self.query_one(Rows).current or "")
        if found is not None:
            self.dismiss(self._outline.at(found).id)
