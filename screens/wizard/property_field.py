"""One question of the appliance: its label, an editor that fits its type, and why it is not valid."""

from dataclasses import dataclass

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Checkbox, Input, Select, Static

from kensho_tui.machine import Property
from kensho_tui.ovf.properties import needed
from kensho_tui.text import one_line, plain
from screens.widgets.yes_no import YesNo

HERE = "▸"


@dataclass
class Answered(Message):
    """The operator gave an answer; None goes back to the default. ``typing``: not finished yet."""

    address: str
    value: str | None
    typing: bool = False


class PropertyField(Vertical):
    """Label, editor, reason."""

    def __init__(self, asked: Property, value: str | None, choices: tuple[str, ...]) -> None:
        """Args: value: the answer or the default. choices: what is allowed, where it can be listed."""
        super().__init__()
        self.asked = asked
        self.value = value
        self.choices = choices
        self.mismatch = False
        self._touched = False

    @property
    def label(self) -> str:
        """What the question is called."""
        return one_line(self.asked.label or self.asked.key)

    def compose(self) -> ComposeResult:
        """The editor that fits."""
        asked = self.asked
        star = " *" if needed(asked) else ""
        with Horizontal(classes="row"):
            # Beside the colour, which not everybody sees.
            yield Static("", markup=False, classes="mark")
            yield Static(f"{self.label}{star}", markup=False, classes="label")
            if asked.type == "boolean":
                yield YesNo(self.value == "true", classes="editor")
            elif self.choices:
                options = [(plain(each).replace("[", "\\["), each) for each in self.choices]
                known = self.value in self.choices
                yield Select(
                    options,
                    value=self.value if known and self.value is not None else Select.NULL,
                    allow_blank=not known or asked.default is None,
                    compact=True,
                    prompt="(choose)",
                    classes="editor",
                )
            elif asked.password:
                yield self._input(self.value or "", "first", password=True)
                yield Static(" again ", markup=False, classes="again")
                yield self._input(self.value or "", "second", password=True)
            else:
                yield self._input(self.value or "", "first")
        yield Static("", markup=False, classes="why")

    def _input(self, value: str, kind: str, *, password: bool = False) -> Input:
        field = Input(
            value,
            password=password,
            placeholder="type it" if password else "type an answer",
            compact=True,
            classes=f"editor {kind}",
            select_on_focus=False,
        )
        field.cursor_blink = False
        return field

    def show(self, value: str | None) -> None:
        """Show this answer, where another one is shown and nobody types."""
        if value == self.value:
            return
        self.value = value
        with self.prevent(Input.Changed, Checkbox.Changed, Select.Changed):
            for field in self.query(Input):
                field.value = value or ""
            for box in self.query(Checkbox):
                box.value = value == "true"
            for select in self.query(Select):
                select.value = value if value in self.choices and value else Select.NULL

    def complain(self, reason: str) -> None:
        """Show why the answer is not valid; "" takes the reason away."""
        if not self.children:
            return  # it is being put up, and will be told again
        why = self.query_one(".why", Static)
        why.set_class(bool(reason), "-open")
        why.update(f"✗ {reason}" if reason else "")

    @on(events.DescendantFocus)
    @on(events.DescendantBlur)
    def _mark(self, event: events.Event) -> None:
        here = isinstance(event, events.DescendantFocus)
        self.query_one(".mark", Static).update(HERE if here else "", layout=False)

    def focus_editor(self) -> None:
        """Put the cursor into the editor; where two passwords differ, into the second."""
        if self.mismatch:
            self.query_one(".second", Input).focus()
            return
        for each in self.query("*"):
            if each.focusable:
                each.focus()
                return

    def typed(self) -> str | None:
        """What stands in the editor; None where that is the default, or nothing was ever typed."""
        text = self.query_one(".first", Input).value
        if text == (self.asked.default or "") and (self.asked.default is not None or not text):
            return "" if self._touched and self.asked.default is None else None
        return text

    def commit(self) -> None:
        """Give out what stands in the editor, if it has not been given out."""
        fields = list(self.query(Input))
        if not fields or not self._touched:
            return
        self.mismatch = len(fields) == 2 and fields[0].value != fields[1].value
        self.value = self.typed()
        self.post_message(Answered(self.asked.address, None if self.mismatch else self.value))

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        if not self._touched and event.value == (self.value or ""):
            return  # the field also tells of the value it was made with
        self._touched = True
        fields = list(self.query(Input))
        self.mismatch = len(fields) == 2 and fields[0].value != fields[1].value
        self.post_message(Answered(self.asked.address, self.typed(), typing=True))

    @on(Input.Blurred)
    @on(Input.Submitted)
    def _left(self, event: Message) -> None:
        event.stop()
        self.commit()

    @on(Checkbox.Changed)
    def _checked(self, event: Checkbox.Changed) -> None:
        event.stop()
        self._give("true" if event.value else "false")

    @on(Select.Changed)
    def _selected(self, event: Select.Changed) -> None:
        event.stop()
        self._give(event.value if isinstance(event.value, str) else None)

    def _give(self, value: str | None) -> None:
        # The widgets also tell of the value they were made with.
        if value != self.value:
            self.value = value
            self.post_message(Answered(self.asked.address, value))
