"""The tree of a package: one line a node, indented, folded where the operator folds it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message

from kensho_tui.findings import Severity
from kensho_tui.ovf.outline import Node, Outline
from kensho_tui.text import one_line, shorten_middle
from screens.states import FINDING
from screens.widgets.rows import Column, Row, Rows

_OPEN, _FOLDED, _LEAF = "▾ ", "▸ ", "  "


@dataclass
class Entered(Message):
    """The operator goes into the form of the node."""

    node: str


class Branches(Rows):
    """The nodes of an outline."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "go_in", "Edit", id="package.go-in"),
        Binding("right,l", "unfold", "Open", show=False, id="package.unfold"),
        Binding("left,h", "fold", "Fold", show=False, id="package.fold"),
        Binding("space", "flip", "Fold", show=False, id="package.toggle"),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__((Column("", 0),), id=id)
        self._outline: Outline | None = None
        self._depth: dict[str, int] = {}
        self._open = {"package"}
        self._marks: Mapping[str, Severity] = {}

    def show_outline(self, outline: Outline, marks: Mapping[str, Severity]) -> None:
        """Show these nodes. Args: marks: the worst finding of each node and of those under it."""
        first = self._outline is None
        self._outline, self._marks = outline, marks
        if first:
            machines = [each for each in outline.root.children if each.noun == "machine"]
            self._open |= {each.id for each in machines[:3]}
        self._draw()

    def _draw(self) -> None:
        if self._outline is None:
            return
        rows: list[Row] = []
        self._depth = {}

        def walk(node: Node, depth: int) -> None:
            if node.id in self._depth:
                return
            self._depth[node.id] = depth
            sign = _LEAF if not node.children else _OPEN if node.id in self._open else _FOLDED
            # A folded node answers for what is in it.
            marked = self._marks.get(node.id)
            mark = FINDING[marked].glyph if marked and marked is not Severity.INFO else ""
            rows.append(Row(node.id, (sign, one_line(node.label), one_line(node.detail), mark)))
            if node.id in self._open:
                for each in node.children:
                    walk(each, depth + 1)

        walk(self._outline.root, 0)
        self.show(rows)

    def _prompt(self, row: Row, width: int) -> Content:
        sign, label, detail, mark = (
            each if isinstance(each, str) else each.text for each in row.cells
        )
        depth = self._depth.get(row.id, 0)
        indent = " " * max(0, 2 * (depth - 1)) if depth else ""
        room = max(4, width - 2 - len(indent) - len(sign))
        label = shorten_middle(label, room)
        left = room - len(label) - 2
        detail = one_line(detail, limit=left) if left > 3 else ""
        severity = self._marks.get(row.id)
        style = FINDING[severity].style if severity else ""
        return Content.assemble(
            (f"{mark or ' '} ", f"bold {style}" if mark else ""),
            indent,
            (sign, "$foreground-muted"),
            (label, "bold") if depth == 0 else label,
            "  " if detail else "",
            (detail, "$foreground-muted"),
        )

    def reveal(self, node: str) -> None:
        """Unfold what is above the node, and put the cursor on it."""
        if self._outline is None or node not in self._outline.nodes:
            return
        self._open |= {each.id for each in self._outline.above(node)}
        self._draw()
        self.go_to(node)

    def action_go_in(self) -> None:
        """Go into the form."""
        if self.current is not None:
            self.post_message(Entered(self.current))

    def action_unfold(self) -> None:
        """Show what is in the node; where that is shown, go into the form."""
        node = self._here()
        if node is None:
            return
        if node.children and node.id not in self._open:
            self._open.add(node.id)
            self._draw()
        elif node.children:
            self.action_cursor_down()
        else:
            self.action_go_in()

    def action_fold(self) -> None:
        """Hide what is in the node; where nothing is shown, go to the one above."""
        node = self._here()
        if node is None or self._outline is None:
            return
        if node.id in self._open and node.children and node.id != "package":
            self._open.discard(node.id)
            self._draw()
        elif above := self._outline.above(node.id):
            self.go_to(above[-1].id)

    def action_flip(self) -> None:
        """Show or hide what is in the node."""
        node = self._here()
        if node is None or not node.children:
            return
        self._open ^= {node.id}
        self._draw()

    def action_select(self) -> None:
        """A click goes into the form, as enter does."""
        self.action_go_in()

    def _here(self) -> Node | None:
        if self._outline is None or self.current is None:
            return None
        return self._outline.nodes.get(self.current)
