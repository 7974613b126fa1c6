"""Properties: the appliance's own questions, grouped, each with an editor that fits its type."""

from typing import TYPE_CHECKING

from textual import events, getters, on
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from kensho_tui.machine import Property
from kensho_tui.migration.draft import Page
from kensho_tui.text import one_line
from screens.states import RUNNING
from screens.wizard.page import WizardPage
from screens.wizard.property_field import Answered, PropertyField

if TYPE_CHECKING:
    from screens.wizard.screen import Wizard


class PropertiesPage(WizardPage):
    """What the appliance asks."""

    PAGE = Page.PROPERTIES
    HELP_TEXT = """
What the appliance wants to know before it starts. * marks what must be answered. An answer that is
not valid says beside it what is allowed. Passwords are typed twice and never shown. tab goes to the
next question; what the question means stands at the bottom. An emptied field goes back to its default.
"""

    about = getters.query_one("#question", Static)

    def __init__(self, wizard: "Wizard") -> None:
        super().__init__(wizard)
        self._fields: dict[str, PropertyField] = {}

    def compose(self) -> ComposeResult:
        """The questions under their headings, and about the one that has the focus."""
        from kensho_tui.ovf.properties import choices

        with VerticalScroll(classes="body", can_focus=False):
            heading = None
            for asked in self.draft.properties():
                place = self._heading(asked)
                if place != heading:
                    heading = place
                    yield Static(place, markup=False, classes="section")
                value = self.draft.property_value(asked.address)
                field = PropertyField(asked, value, choices(asked))
                self._fields[asked.address] = field
                yield field
        yield Static("", markup=False, classes="about", id="question")

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
            if field.is_mounted and not field.has_focus_within:
                field.show(self.draft.property_value(address))
                self._complain(field, None)

    def commit(self) -> None:
        """Take over what is typed."""
        for field in self._fields.values():
            field.commit()
            self._take(field.asked.address, None if field.mismatch else field.value, field)

    def objection(self) -> str:
        """Passwords that differ; the draft knows nothing of the second one."""
        differ = [each.label for each in self._fields.values() if each.mismatch]
        return f"{differ[0]}: the two passwords differ" if differ else ""

    def go_to_problem(self) -> None:
        """To the first question that has no valid answer."""
        for address, field in self._fields.items():
            if field.mismatch or self.draft.property_problem(address):
                field.focus_editor()
                return

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
        field = self._fields[message.address]
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
    parts.append(one_line(f"{asked.key}: {facts}"))
    return "\n".join(part for part in parts if part)
