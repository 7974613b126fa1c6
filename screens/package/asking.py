"""What the editor asks: the value of a field, what is added, which deployment option is edited."""

from collections.abc import Callable

from textual.app import App

from kensho_tui.errors import KenshoError
from kensho_tui.ovf.editing import Change
from kensho_tui.ovf.outline import Field, Kind, Made, Node
from kensho_tui.ovf.workbench import Workbench
from kensho_tui.text import one_line
from screens.base import sentence
from screens.package.adding import Adding
from screens.package.answer import AnswerLine, AnswerLines
from screens.widgets.choose import Choice, Choose

# Makes a change; why it is refused, "" where it is made.
Attempt = Callable[[Change], str]
# Says a sentence that something was refused.
Refuse = Callable[[str], None]


def ask_value(
    app: App[object], node: Node, field: Field, option: str | None, attempt: Attempt, refuse: Refuse
) -> None:
    """Ask for another value of the field, in the way that fits, and make the change."""
    change = field.change
    if change is None:
        return

    def given(value: str) -> str:
        try:
            made = change(value)
        except KenshoError as error:
            return sentence(error)
        return attempt(made)

    title = f"{one_line(node.label)}: {field.label}"
    about = field.about
    if option is not None and field.options:
        about += f" For the option '{one_line(option)}' alone."
    match field.kind:
        case Kind.FLAG:
            if said := given("no" if field.value == "yes" else "yes"):
                refuse(said)
        case Kind.CHOICE:
            _choose(app, title, about, field, given, refuse)
        case Kind.LINES:
            app.push_screen(AnswerLines(title, about, field.value, given))
        case _:
            app.push_screen(AnswerLine(title, about, field.value, given))


def _choose(
    app: App[object],
    title: str,
    about: str,
    field: Field,
    given: Callable[[str], str],
    refuse: Refuse,
) -> None:
    if not field.choices:
        refuse("There is nothing to choose from: add something of the kind first (a).")
        return

    def picked(chosen: str | None) -> None:
        if chosen is not None and (said := given(chosen[1:])):
            refuse(said)

    # A row with the id "" would be none.
    choices = [Choice(f"={value}", shown) for value, shown in field.choices]
    app.push_screen(Choose(title, choices, f"={field.value}", text=about), picked)


def ask_addition(app: App[object], holder: Node, put_in: Callable[[Made], str]) -> None:
    """Ask what is added to the node, and what has to be known of it."""

    def picked(id_: str | None) -> None:
        found = next((each for each in holder.actions if each.id == id_), None)
        if found is not None:
            app.push_screen(Adding(found, put_in))

    if len(holder.actions) == 1:
        picked(holder.actions[0].id)
        return
    choices = [Choice(each.id, each.label, each.about) for each in holder.actions]
    app.push_screen(Choose(f"Add to {one_line(holder.label)}", choices), picked)


def ask_option(app: App[object], bench: Workbench, then: Callable[[str], None]) -> None:
    """Ask for the deployment option whose hardware and defaults are edited; "" for all of them."""
    choices = [Choice("=", "(all options)", "a change holds for each of them")]
    choices += [
        Choice(f"={each.id}", each.id, each.label + (" (default)" if each.default else ""))
        for each in bench.envelope.configurations
    ]

    def picked(chosen: str | None) -> None:
        if chosen is not None:
            then(chosen[1:])

    title, current = "Edit the hardware and defaults of", f"={bench.configuration or ''}"
    app.push_screen(Choose(title, choices, current), picked)
