"""Configuration: the deployment options of the appliance, and what each of them changes."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from textual import getters, on
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static

from kensho_tui.machine import Appliance, Machine
from kensho_tui.migration.draft import Page
from kensho_tui.migration.units import count, memory, size
from kensho_tui.text import one_line, plain
from screens.states import DONE
from screens.widgets.rows import Cell, Column, Row, Rows
from screens.wizard.page import WizardPage

if TYPE_CHECKING:
    from screens.wizard.screen import Wizard


class ConfigurationPage(WizardPage):
    """The deployment options."""

    PAGE = Page.CONFIGURATION
    HELP_TEXT = """
The sizes or kinds in which this appliance can be deployed. Enter chooses the one under the cursor.
Below the list stands what it changes. Answers that the other configuration asks for too are kept.
"""

    listing = getters.query_one("#configurations", Rows)

    def __init__(self, wizard: "Wizard") -> None:
        super().__init__(wizard)
        self._resolved: dict[str, Appliance] = {}

    def compose(self) -> ComposeResult:
        """Options, and about the one under the cursor."""
        yield Rows((Column("", 1), Column("", 22), Column("", 0)), id="configurations")
        yield Static("", markup=False, classes="about", id="changes")

    def on_mount(self) -> None:
        """Resolve every option in a thread, for what it changes."""
        draft, described = self.draft, self.draft.described
        if described is None:
            return
        options = [each.id for each in described.appliance.configurations]
        desk, found = self.wizard.desk, self._resolved

        def resolve() -> None:
            for option in options:
                found[option] = draft.describe(desk.sessions(), option).appliance

        self.wizard.call("Reading the configurations …", resolve, self.wizard.changed)

    def refresh_page(self) -> None:
        """Draw the options."""
        self._draw()

    def _draw(self) -> None:
        described = self.draft.described
        if described is None:
            return
        rows = []
        for option in described.appliance.configurations:
            chosen = option.id == self.draft.configuration
            label = one_line(option.label or option.id)
            label += " (default)" if option.default else ""
            rows.append(
                Row(
                    option.id,
                    (
                        Cell(DONE.glyph if chosen else "", DONE.style),
                        Cell(label, "bold" if chosen else ""),
                        Cell(self._summary(option.id), "$foreground-muted"),
                    ),
                )
            )
        fresh = not self.listing.rows
        self.listing.show(rows)
        if fresh:
            self.listing.go_to(self.draft.configuration)
        self._explain()

    def hint(self) -> str:
        """What is chosen, and how to choose another."""
        here = self.listing.current
        if here is not None and here != self.draft.configuration:
            return f"{self.draft.configuration} stays chosen; ⏎ takes the one under the cursor."
        return ""

    def _summary(self, option: str) -> str:
        appliance = self._resolved.get(option)
        if appliance is None:
            return ""
        cpus = sum(each.processors.count for each in appliance.machines)
        ram = sum(each.memory.size for each in appliance.machines)
        disks = sum(each.capacity or 0 for each in appliance.disks.values())
        machines = count(len(appliance.machines), "VM")
        return f"{machines}, {cpus} CPU, {memory(ram)}, {size(disks)}"

    @on(Rows.OptionHighlighted)
    def _explain(self) -> None:
        described, here = self.draft.described, self.listing.current
        if described is None or here is None:
            return
        option = next((o for o in described.appliance.configurations if o.id == here), None)
        text = plain(option.description, limit=400).strip() if option else ""
        now, then = described.appliance, self._resolved.get(here)
        if then is not None and here != self.draft.configuration:
            changes = "; ".join(differences(now, then)) or "nothing"
            text += f"\nIt changes: {changes}."
        elif here == self.draft.configuration:
            text += "\nThis is what is chosen now."
        self.query_one("#changes", Static).update(Content(text.strip()))
        self.wizard.draw()

    @on(Rows.OptionSelected)
    def _chosen(self) -> None:
        here = self.listing.current
        if here is None:
            return
        if here == self.draft.configuration:
            self.call_later(self.wizard.action_next)
            return
        draft, desk = self.draft, self.wizard.desk
        self.wizard.call(
            f"Taking configuration {here} …",
            lambda: draft.choose_configuration(desk.sessions(), here),
            self.wizard.changed,
        )


def differences(now: Appliance, then: Appliance) -> Iterator[str]:
    """What another configuration changes, one clause each."""
    before = {each.id: each for each in now.machines}
    after = {each.id: each for each in then.machines}
    for machine in now.machines:
        if machine.id not in after:
            yield f"{one_line(machine.name)} is left out"
    for machine in then.machines:
        if machine.id not in before:
            yield f"{one_line(machine.name)} is added"
            continue
        old = before[machine.id]
        changes = list(_machine_changes(old, machine))
        if changes:
            yield f"{one_line(machine.name)} {', '.join(changes)}"
    asked, would = ({p.address for p in each.properties if p.configurable} for each in (now, then))
    if would - asked:
        yield f"{count(len(would - asked), 'question')} more"
    if asked - would:
        yield f"{count(len(asked - would), 'question')} fewer"


def _machine_changes(old: Machine, new: Machine) -> Iterator[str]:
    if old.processors.count != new.processors.count:
        yield f"{old.processors.count} → {new.processors.count} CPU"
    if old.memory.size != new.memory.size:
        yield f"{memory(old.memory.size)} → {memory(new.memory.size)}"
    if len(old.attachments) != len(new.attachments):
        yield f"{len(old.attachments)} → {len(new.attachments)} drives"
    if len(old.adapters) != len(new.adapters):
        yield f"{len(old.adapters)} → {len(new.adapters)} adapters"
