"""The form of one node: a line a field, with what it means below."""

from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content

from kensho_tui.ovf.outline import Field, Kind, Node
from kensho_tui.text import one_line, plain
from screens.widgets.quiet import Quiet
from screens.widgets.rows import Cell, Column, Row, Rows

_NARROW = (Column("", 16), Column("", 0))
_WIDE = (Column("", 20), Column("", 0))


class Fields(Rows):
    """The fields of a node."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space", "select", "Change", id="package.change"),
        Binding("left,h,escape", "screen.to_tree", "Back", key_display="←", id="package.to-tree"),
    ]


class Form(Vertical):
    """What the node is, its fields, and what the field under the cursor means."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._node: Node | None = None
        self._option = ""

    def compose(self) -> ComposeResult:
        """Heading, fields, meaning."""
        yield Quiet("", id="node")
        yield Fields(_NARROW, id="fields")
        yield Quiet("", id="meaning")

    @property
    def fields(self) -> Fields:
        """The list of fields."""
        return self.query_one(Fields)

    @property
    def current(self) -> Field | None:
        """The field under the cursor."""
        here = self.fields.current
        return next((e for e in self._node.fields if e.id == here), None) if self._node else None

    def show_node(self, node: Node, option: str) -> None:
        """Show this node. Args: option: the deployment option that is edited; "" for all."""
        self._node, self._option = node, option
        self.fields.lay_out(_WIDE if self.size.width > 56 else _NARROW)
        head: list[str | tuple[str, str]] = [(one_line(node.label), "bold")]
        if node.noun and node.noun != "package":
            head.append((f"  {node.noun}", "$foreground-muted"))
        self.query_one("#node", Quiet).update(Content.assemble(*head))
        self.fields.show([self._row(each) for each in node.fields])
        self._explain()

    def _row(self, field: Field) -> Row:
        text = plain(field.text)
        if field.kind is Kind.LINES and "\n" in text.strip():
            lines = text.strip().splitlines()
            text = f"{lines[0]} … ({len(lines)} lines)"
        muted = "$foreground-muted"
        # What the option that is edited has for itself says so.
        own = f"  ◂ {one_line(self._option)}" if self._option and field.options else ""
        style = muted if field.fixed else "$accent" if own else ""
        return Row(field.id, (Cell(field.label, muted), Cell(f"{text}{own}", style)))

    @on(Rows.OptionHighlighted)
    def _moved(self, event: Rows.OptionHighlighted) -> None:
        event.stop()
        self._explain()

    def _explain(self) -> None:
        field, node = self.current, self._node
        if node is None:
            return
        parts: list[str | tuple[str, str]] = []
        if field is not None and self.fields.has_focus:
            parts.append((f"{field.label}. ", "bold"))
            parts.append(one_line(field.about))
            if field.fixed:
                blank = " " if field.about else ""
                parts.append((f"{blank}Cannot be changed here: {field.fixed}.", "$warning"))
            elif self._option and field.options:
                parts.append((f" For the option '{one_line(self._option)}' alone.", "$accent"))
            elif self._option:
                parts.append(" The same in all options.")
        else:
            parts.append(one_line(node.about))
            if not node.fields:
                parts.append(" It has nothing to fill in itself.")
        self.query_one("#meaning", Quiet).update(Content.assemble(*parts))

    @on(events.DescendantFocus)
    @on(events.DescendantBlur)
    def _focused(self) -> None:
        self.call_after_refresh(self._explain)

    @on(events.Resize)
    def _resized(self) -> None:
        if self._node is not None:
            self.call_after_refresh(self.show_node, self._node, self._option)
