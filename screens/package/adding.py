"""What has to be known of something that is put into the package, asked in one window."""

import asyncio
from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widget import Widget
from textual.widgets import Input, Select, Static, TextArea

from kensho_tui.errors import KenshoError
from kensho_tui.ovf.outline import Action, Field, Kind, Made
from kensho_tui.text import one_line, plain
from screens.base import sentence
from screens.widgets.modal import Window
from screens.widgets.yes_no import YesNo


class Adding(Window[bool]):
    """The fields of an action. Gives true where it was done."""

    DEFAULT_CSS = """
    Adding {
        & .fields { height: auto; max-height: 14; scrollbar-size-vertical: 1; }
        & .row { height: auto; }
        & .label { width: 18; }
        & .editor { width: 1fr; }
        & YesNo { background: $surface; }
        & TextArea {
            height: 6; border: none; padding: 0; background: $panel;
            &:focus { border: none; }
        }
        & .about { height: auto; min-height: 2; color: $foreground-muted; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s,f2", "take", "Add", id="adding.take", priority=True),
    ]

    def __init__(self, action: Action, put_in: Callable[[Made], str]) -> None:
        """Args: put_in: makes the change; why it is not made, "" where it is."""
        super().__init__()
        self._action = action
        self._put_in = put_in
        self._busy = False

    def compose(self) -> ComposeResult:
        """A line a field, what the one under the cursor means, why it cannot be done."""
        with Vertical(classes="window") as window:
            window.border_title = plain(f"Add: {self._action.label}").replace("[", "\\[")
            if self._action.about:
                yield Static(plain(self._action.about), markup=False)
            with VerticalScroll(classes="fields", can_focus=False):
                for number, field in enumerate(self._action.asks):
                    with Horizontal(classes="row"):
                        yield Static(field.label, markup=False, classes="label")
                        yield _editor(number, field)
            yield Static("", markup=False, classes="about")
            yield Static("", markup=False, classes="wrong")
            yield Static("tab Next field   ⏎ or ^s Add   esc Cancel", markup=False, classes="keys")

    def on_descendant_focus(self) -> None:
        """Say what the field means."""
        focused = self.focused
        if focused is None or focused.id is None or not focused.id.startswith("ask-"):
            return
        field = self._action.asks[int(focused.id.removeprefix("ask-"))]
        self.query_one(".about", Static).update(one_line(field.about))

    def _answers(self) -> dict[str, str]:
        found = {}
        for number, field in enumerate(self._action.asks):
            widget = self.query_one(f"#ask-{number}", Widget)
            if isinstance(widget, Select):
                found[field.id] = widget.value if isinstance(widget.value, str) else ""
            elif isinstance(widget, YesNo):
                found[field.id] = "yes" if widget.value else "no"
            elif isinstance(widget, TextArea):
                found[field.id] = widget.text
            elif isinstance(widget, Input):
                found[field.id] = widget.value
        return found

    @on(Input.Submitted)
    async def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        await self.action_take()

    async def action_take(self) -> None:
        """Do it; say why it cannot be done."""
        if self._busy:
            return
        self._busy = True
        self._say("")
        try:
            # A file has to be looked at, which a slow disk makes a while.
            made = await asyncio.to_thread(self._action.make, self._answers())
            said = self._put_in(made)
        except KenshoError as error:
            said = sentence(error)
        finally:
            self._busy = False
        if said:
            self._say(f"✗ {said}")
        else:
            self.dismiss(True)

    def _say(self, text: str) -> None:
        wrong = self.query_one(".wrong", Static)
        wrong.update(one_line(text))
        wrong.set_class(bool(text), "-said")


def _editor(number: int, field: Field) -> Widget:
    own = f"ask-{number}"
    match field.kind:
        case Kind.FLAG:
            box = YesNo(field.value == "yes", classes="editor")
            box.id = own
            return box
        case Kind.CHOICE:
            options = [(plain(shown).replace("[", "\\["), value) for value, shown in field.choices]
            return Select(
                options,
                value=field.value if field.value in dict(field.choices) else Select.NULL,
                allow_blank=field.value not in dict(field.choices),
                compact=True,
                id=own,
                classes="editor",
            )
        case Kind.LINES:
            area = TextArea(field.value, id=own, soft_wrap=True, classes="editor")
            area.cursor_blink = False
            return area
    typed = Input(
        field.value,
        compact=True,
        id=own,
        classes="editor",
        select_on_focus=False,
        placeholder="path of a file on this computer" if field.kind is Kind.PATH else "",
    )
    typed.cursor_blink = False
    return typed
