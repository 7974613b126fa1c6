"""Properties: the appliance's own questions, grouped, each with an editor that fits its type."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import events, getters, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from kensho_tui.errors import KenshoError
from kensho_tui.machine import Property
from kensho_tui.migration.draft import Page
from kensho_tui.migration.units import count
from kensho_tui.text import one_line, shorten_middle
from screens.states import DONE, LOOK, RUNNING
from screens.widgets.ask import Ask
from screens.widgets.choose import Choice, Choose
from screens.wizard.page import WizardPage
from screens.wizard.property_field import Answered, PropertyField

if TYPE_CHECKING:
    from screens.wizard.screen import Wizard

# Each question is five or more widgets: thousands of them at once would make every key wait.
AT_ONCE = 25


class PropertiesPage(WizardPage):
    """What the appliance asks."""

    PAGE = Page.PROPERTIES
    HELP_TEXT = """
What the appliance wants to know before it starts. * marks what must be answered. An answer that is
not valid says beside it what is allowed. Passwords are typed twice and never shown. tab goes to the
next question; what the question means stands at the bottom. An emptied field goes back to its default.

F2 finds a question by a word of it, and lists which are open or answered. F3 shows what the appliance
keeps to itself as well: set it only where whoever made the appliance says so. F7 writes all answers to
a file, F8 takes them from one; passwords stay out of it.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f2", "find", "Find", key_display="F2", id="properties.find"),
        Binding("f3", "hidden", "Hidden", key_display="F3", id="properties.hidden"),
        Binding("f7", "save_answers", "Save", show=False, id="properties.save"),
        Binding("f8", "take_answers", "Load", show=False, id="properties.take"),
        Binding("pagedown", "part(1)", "More", show=False, priority=True, id="properties.more"),
        Binding("pageup", "part(-1)", "Back", show=False, priority=True, id="properties.less"),
    ]

    about = getters.query_one("#question", Static)
    body = getters.query_one(VerticalScroll)

    def __init__(self, wizard: "Wizard") -> None:
        super().__init__(wizard)
        self._fields: dict[str, PropertyField] = {}
        self._hidden = False
        self._asked = self.draft.properties()
        self._parts = parts(self._asked)
        self._part = 0

    def compose(self) -> ComposeResult:
        """Which part it is, its questions under their headings, and about the one that has the focus."""
        yield Static("", markup=False, classes="part", id="part")
        with VerticalScroll(classes="body", can_focus=False):
            yield from self._questions()
        yield Static("", markup=False, classes="about", id="question")

    def _questions(self) -> ComposeResult:
        from kensho_tui.ovf.properties import choices

        self._fields = {}
        heading = None
        for asked in self._parts[self._part] if self._parts else ():
            place = self._heading(asked)
            if place != heading:
                heading = place
                yield Static(place, markup=False, classes="section")
            field = PropertyField(asked, self.draft.property_value(asked.address), choices(asked))
            self._fields[asked.address] = field
            yield field

    def on_mount(self) -> None:
        """Say which part it is."""
        self._say_part()

    def _say_part(self) -> None:
        line = self.query_one("#part", Static)
        line.display = len(self._parts) > 1 or self._hidden
        before = sum(map(len, self._parts[: self._part]))
        here = len(self._parts[self._part]) if self._parts else 0
        said = f"Questions {before + 1:,}–{before + here:,} of {len(self._asked):,}"
        if len(self._parts) > 1:
            said += "   pgdn/pgup More   F2 Find"
        if self._hidden:
            said += "   with hidden ones"
        line.update(said)

    async def _show_part(self, part: int, address: str = "", *, last: bool = False) -> None:
        """Put the questions of this part up, and the cursor on one of them."""
        self.commit()
        self._part = part
        self._fields = {}  # those that go still have something to say, which was taken over
        async with self.batch():
            await self.body.remove_children()
            await self.body.mount_all(self._questions())
        self._say_part()
        if self._fields:
            addresses = list(self._fields)
            chosen = address if address in self._fields else addresses[-1 if last else 0]
            # Not before they have their places: the cursor would be put out of sight.
            self.call_after_refresh(self._put_up, self._fields[chosen])

    def _put_up(self, chosen: PropertyField) -> None:
        self.refresh_page()
        if chosen.is_mounted:
            chosen.focus_editor()

    async def action_part(self, by: int) -> None:
        """Scroll; at the end of a part, go to the next one."""
        body = self.body
        end = body.scroll_y >= body.max_scroll_y if by > 0 else body.scroll_y <= 0
        if not end or not 0 <= self._part + by < len(self._parts):
            (body.scroll_page_down if by > 0 else body.scroll_page_up)(animate=False)
            return
        await self._show_part(self._part + by, last=by < 0)

    async def on_key(self, event: events.Key) -> None:
        """tab goes on from a part's last question to the next part, and back from its first."""
        by = {"tab": 1, "shift+tab": -1}.get(event.key, 0)
        if not by or not 0 <= self._part + by < len(self._parts) or not self._fields:
            return
        edge = list(self._fields.values())[-1 if by > 0 else 0]
        inside = [each for each in edge.query("*") if each.focusable]
        if inside and self.screen.focused is inside[-1 if by > 0 else 0]:
            event.stop()
            event.prevent_default()
            await self._show_part(self._part + by, last=by < 0)

    def _heading(self, asked: Property) -> str:
        appliance = self.draft.appliance
        names = {str(each.id): each.name for each in appliance.machines} if appliance else {}
        parts = [names.get(asked.owner, asked.owner), asked.product, asked.category]
        return one_line(" ▸ ".join(each for each in parts if each)) or "Settings"

    def refresh_page(self) -> None:
        """Show the answers of the draft (after an undo), and what is wrong with them."""
        if not self.is_mounted:
            return
        for address, field in self._fields.items():
            if field.children and not field.has_focus_within:
                field.show(self.draft.property_value(address))
                self._complain(field, None)

    def commit(self) -> None:
        """Take over what is typed."""
        for field in self._fields.values():
            if field.children:
                field.commit()
                self._take(field.asked.address, None if field.mismatch else field.value, field)

    def objection(self) -> str:
        """Passwords that differ; the draft knows nothing of the second one."""
        differ = [each.label for each in self._fields.values() if each.mismatch]
        return f"{differ[0]}: the two passwords differ" if differ else ""

    def go_to_problem(self) -> None:
        """To the first question that has no valid answer."""
        for field in self._fields.values():
            if field.mismatch:
                field.focus_editor()
                return
        for asked, _ in self.draft.objections():
            self._go_to(asked.address)
            return

    def _go_to(self, address: str) -> None:
        if address in self._fields:
            self._fields[address].focus_editor()
            return
        for number, part in enumerate(self._parts):
            if any(each.address == address for each in part):
                self.call_next(self._show_part, number, address)
                return

    # -------------------------------------------------------------------------- more than one
    def action_find(self) -> None:
        """Find a question by a word of it."""
        self.commit()
        open_ = {each.address: reason for each, reason in self.draft.objections()}

        def row(asked: Property) -> Choice:
            address = asked.address
            if address in open_:
                state = f"! {open_[address]}"
            elif self.draft.property_answered(address):
                state = "✓ answered"
            else:
                state = "default" if asked.default else "empty"
            detail = f"{state}   {self._heading(asked)}   {asked.key}"
            return Choice(address, one_line(asked.label or asked.key), one_line(detail))

        def picked(address: str | None) -> None:
            if address:
                self._go_to(address)

        # What is open stands first: it is what one looks for.
        rows = sorted(map(row, self._asked), key=lambda each: each.id not in open_)
        title = f"{count(len(rows), 'question')}, {len(open_)} open"
        self.app.push_screen(Choose(title, rows), picked)

    async def action_hidden(self) -> None:
        """Show what the appliance keeps to itself too, or not."""
        self._hidden = not self._hidden
        asked = self.draft.properties(hidden=self._hidden)
        more = len(asked) - len(self.draft.properties())
        if self._hidden and not more:
            self._hidden = False
            self.wizard.say("The appliance keeps nothing to itself.")
            return
        self._asked, self._parts = asked, parts(asked)
        await self._show_part(min(self._part, max(len(self._parts) - 1, 0)))
        if self._hidden:
            said = f"{count(more, 'question')} that the appliance keeps to itself can be seen too."
            self.wizard.say(said, LOOK)

    def action_save_answers(self) -> None:
        """Write all answers to a file."""
        self.commit()

        def named(path: str | None) -> None:
            if path:
                self._write(Path(path).expanduser())

        name = "".join(c if c.isalnum() or c in "-_." else "-" for c in self.draft.name)
        self.app.push_screen(
            Ask(
                "Save the answers",
                "All that was chosen so far, as YAML that F8 and 'kensho import --answers' take."
                " Passwords are left out.",
                value=f"{name or 'answers'}.answers.yaml",
            ),
            named,
        )

    def _write(self, path: Path) -> None:
        try:
            # Never over a file that is there: it may be somebody's only copy.
            with path.open("x", encoding="utf-8") as file:
                file.write(self.draft.export_answers())
        except FileExistsError:
            self.wizard.refuse(
                KenshoError("is there already", subject=str(path), remedy="Choose another name")
            )
        except OSError as error:
            self.wizard.refuse(
                KenshoError(f"cannot be written: {error.strerror}", subject=str(path))
            )
        else:
            self.wizard.say(f"The answers stand in {shorten_middle(str(path), 48)}.", DONE)

    def action_take_answers(self) -> None:
        """Take answers from a file."""

        def named(path: str | None) -> None:
            if path:
                self._read(Path(path).expanduser())

        text = "A YAML file as F7 writes it. What it does not name stays as it is."
        self.app.push_screen(Ask("Take answers from a file", text), named)

    def _read(self, path: Path) -> None:
        notes: list[str] = []

        def take() -> None:
            try:
                text = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                what = getattr(error, "strerror", None) or "this is no UTF-8 text"
                raise KenshoError(f"cannot be read: {what}", subject=str(path)) from error
            notes.extend(self.draft.import_answers(text, path.name, self.wizard.desk.sessions()))

        def taken() -> None:
            self._asked = self.draft.properties(hidden=self._hidden)
            self._parts = parts(self._asked)
            self.call_next(self._show_part, 0)
            self.wizard.changed()
            said = f"The answers of {path.name} are taken."
            self.wizard.say(" ".join([said, *(f"{each}." for each in notes)]), DONE)

        self.wizard.call(f"Reading {path.name} …", take, taken)

    # ------------------------------------------------------------------------------- answers
    def _take(self, address: str, value: str | None, field: PropertyField) -> None:
        if field.asked.default is not None and value == field.asked.default:
            value = None
        answered = self.draft.property_answered(address)
        if value is None and not answered:
            return
        if answered and value == self.draft.property_value(address):
            return
        self.draft.set_property(address, value)

    @on(Answered)
    def _answered(self, message: Answered) -> None:
        field = self._fields.get(message.address)
        if field is None:
            return  # of a part that is not up any more: what it held was taken over before
        if not message.typing:
            self._take(message.address, message.value, field)
            self.wizard.changed()
        self._complain(field, message.value if message.typing else None)
        if message.typing:
            self.wizard.say("" if field.mismatch else "⏎ or tab takes this answer.", RUNNING)

    def _complain(self, field: PropertyField, typed: str | None) -> None:
        if field.mismatch:
            field.complain("they differ")
            return
        problem = self.draft.property_problem(field.asked.address, typed)
        # An unanswered question is no mistake; the star and the reason line speak of it.
        missing = typed is None and self.draft.property_value(field.asked.address) is None
        field.complain("" if missing else problem or "")

    @on(events.DescendantFocus)
    def _focused(self, event: events.DescendantFocus) -> None:
        node: Widget | None = event.widget
        while node is not None and not isinstance(node, PropertyField):
            node = node.parent if isinstance(node.parent, Widget) else None
        if node is not None:
            self.about.update(Content(about(node.asked, node.choices)))


def parts(asked: Sequence[Property]) -> list[Sequence[Property]]:
    """The questions in portions that are shown at once, cut where a heading begins if that is near.

    At most `AT_ONCE` each, and more than half of that while more follow.
    """
    found: list[Sequence[Property]] = []
    start = 0
    while start < len(asked):
        end = min(start + AT_ONCE, len(asked))
        if end < len(asked):
            for at in range(end, start + AT_ONCE // 2, -1):
                if _place(asked[at]) != _place(asked[at - 1]):
                    end = at
                    break
        found.append(asked[start:end])
        start = end
    return found


def _place(asked: Property) -> tuple[str, str, str]:
    return asked.owner, asked.product, asked.category


def about(asked: Property, choices: tuple[str, ...]) -> str:
    """What is known of the question, for the foot of the page."""
    parts = [one_line(asked.description)]
    facts = asked.vendor_type or asked.type
    if choices and asked.type != "boolean":
        facts += f", one of {', '.join(choices)}"
    elif asked.qualifiers:
        facts += f", {asked.qualifiers}"
    if asked.default is not None and not asked.password:
        facts += f", default {asked.default or '(empty)'}"
    if not asked.configurable:
        facts += ", kept to itself by the appliance"
    parts.append(one_line(f"{asked.key}: {facts}"))
    return "\n".join(part for part in parts if part)
