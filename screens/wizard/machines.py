"""Machines of a platform: find them, mark them, take them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from textual import getters, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Footer, Input, Static

from backends.base import (
    ApplianceItem,
    Capabilities,
    Consistency,
    Kind,
    MachineItem,
    Power,
    Ref,
)
from kensho_tui.errors import KenshoError
from kensho_tui.migration.plan import ShutDown
from kensho_tui.migration.target import items
from kensho_tui.migration.units import count, memory, size
from screens import login
from screens.base import KenshoScreen
from screens.desk import Desk
from screens.states import LOOK, RUNNING
from screens.widgets.reason import ReasonLine
from screens.widgets.rows import Cell, Column, Row, Rows
from screens.widgets.title import TitleLine

COLUMNS = (
    Column("", 3),
    Column("NAME", 24, middle=True),
    Column("POWER", 9),
    Column("CPU", 3, right=True),
    Column("MEMORY", 8, right=True),
    Column("DISKS", 8, right=True),
    Column("SYSTEM", 0),
)
POWER = {
    Power.OFF: "off",
    Power.ON: "● on",
    Power.SUSPENDED: "suspended",
    Power.PAUSED: "paused",
}


@dataclass(frozen=True, slots=True)
class Picked:
    """The machines that were taken, and how their moment is chosen."""

    machines: tuple[Ref, ...]
    consistency: Consistency
    shut_down: ShutDown | None = None


@dataclass
class MachinesRead(Message):
    """What the platform has."""

    machines: list[MachineItem]
    appliances: list[ApplianceItem]
    capabilities: Capabilities


@dataclass
class MachinesUnread(Message):
    """The platform could not be asked."""

    error: KenshoError


class MachineList(Rows):
    """The list of machines."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "screen.mark", "Mark", id="machines.mark"),
        Binding("enter", "select", "Take", id="machines.take"),
    ]


class MachinePicker(KenshoScreen[Picked]):
    """A list with a filter, in which several can be marked."""

    AUTO_FOCUS = "MachineList"
    CSS = """
    MachinePicker #filter { display: none; margin: 0 1; }
    MachinePicker #filter.-open { display: block; }
    """
    HELP_TITLE = "Machines of a platform"
    HELP_TEXT = """
Mark machines with space (a marks all that are shown), then take them with enter; enter on a machine
with nothing marked takes that one. / filters by name, power state and system. A machine that cannot
be exported now says why.

A machine that runs is read from a snapshot and runs on. s changes that: it is shut down first, so that
nothing that happens in it meanwhile is lost, and started again if the move fails.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "mark_all", "Mark all", id="machines.all"),
        Binding("s", "shut_down", "Shut down first", id="machines.shut-down"),
        Binding("slash", "filter", "Filter", key_display="/", id="machines.filter"),
        Binding("escape", "leave", "Back", id="machines.leave"),
    ]

    listing = getters.query_one(MachineList)
    reason = getters.query_one(ReasonLine)

    def __init__(self, desk: Desk, connection: str) -> None:
        super().__init__()
        self.desk = desk
        self.connection = connection
        self.machines: list[MachineItem] = []
        self.marked: set[Ref] = set()
        self.shutting_down = False
        self._capabilities: Capabilities | None = None

    def compose(self) -> ComposeResult:
        """Filter, list, reason, keys."""
        yield TitleLine(f"New migration ▸ machines of {self.connection}")
        field = Input(placeholder="name, power state or system", compact=True, id="filter")
        field.cursor_blink = False
        yield field
        yield Static("", markup=False, classes="heading")
        yield MachineList(COLUMNS, id="machines")
        yield ReasonLine()
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Ask the platform."""
        self._ask()

    def _ask(self) -> None:
        self.reason.say(f"Asking {self.connection} …", RUNNING)
        self.read()

    @work(thread=True, group="machines", exclusive=True, exit_on_error=False)
    def read(self) -> None:
        """Read the platform's machines."""
        try:
            session = self.desk.sessions().get(self.connection)
            found = list(items(session, frozenset({Kind.MACHINE, Kind.APPLIANCE})))
        except KenshoError as error:
            self.post_message(MachinesUnread(error))
            return
        self.post_message(
            MachinesRead(
                [each for each in found if isinstance(each, MachineItem)],
                [each for each in found if isinstance(each, ApplianceItem)],
                session.capabilities,
            )
        )

    @on(MachinesUnread)
    def _unread(self, message: MachinesUnread) -> None:
        self.say_error(message.error)
        login.mend(self.app, self.desk, self.connection, message.error, self._ask)

    @on(MachinesRead)
    def _read(self, message: MachinesRead) -> None:
        self.machines = sorted(
            (each for each in message.machines if each.ref.kind is Kind.MACHINE),
            key=lambda each: each.ref.name.casefold(),
        )
        self._capabilities = message.capabilities
        self.draw()

    def shown(self) -> Iterator[MachineItem]:
        """The machines that match the filter."""
        needle = self.query_one("#filter", Input).value.casefold()
        for each in self.machines:
            if needle in f"{each.ref.name} {POWER[each.power]} {each.os}".casefold():
                yield each

    def draw(self) -> None:
        """Draw the list and the line below it."""
        self.listing.show(
            [
                Row(
                    each.ref.id,
                    (
                        "[✓]" if each.ref in self.marked else "[ ]",
                        each.ref.name,
                        POWER[each.power],
                        str(each.processors),
                        memory(each.memory),
                        size(each.disk_bytes),
                        self._about(each),
                    ),
                )
                for each in self.shown()
            ]
        )
        self.query_one(".heading", Static).update(self.listing.headings())
        self._explain()

    @on(Rows.OptionHighlighted)
    def _explain(self) -> None:
        here = self._current()
        if self._capabilities is None:
            return
        if not self.machines:
            self.reason.say(f"{self.connection} has no machines.", LOOK)
        elif here is not None and self._objection(here):
            self.reason.say(f"{here.ref.name}: {self._objection(here)}.", LOOK)
        elif here is not None and here.power is Power.ON:
            how = (
                "it is shut down first, and started again if the move fails"
                if self._shuts(here)
                else "it is read from a snapshot, and runs on"
            )
            self.reason.say(f"{here.ref.name} runs: {how}.")
        elif self.marked:
            self.reason.say(f"{count(len(self.marked), 'machine')} marked; ⏎ takes them.")
        else:
            self.reason.say("space marks a machine, ⏎ takes it.")

    def _current(self) -> MachineItem | None:
        here = self.listing.current
        return next((each for each in self.machines if each.ref.id == here), None)

    def _objection(self, machine: MachineItem) -> str:
        """Why the machine cannot be taken now, "" where it can."""
        if machine.power not in {Power.ON, Power.PAUSED}:
            return machine.reason
        if self._shuts(machine):
            return ""
        if self.shutting_down:
            return "it is paused: its guest cannot shut down"
        if self._capabilities is not None and self._capabilities.captures_running:
            return ""
        return (
            machine.reason
            or "it runs, and this platform gives away only machines that are shut down"
        )

    def _about(self, machine: MachineItem) -> Cell:
        if self._objection(machine):
            return Cell(self._objection(machine), LOOK.style)
        running = machine.power in {Power.ON, Power.PAUSED}
        how = ""
        if running:
            how = "shut down first" if self._shuts(machine) else "by a snapshot"
        return Cell("  ".join(each for each in (machine.os, how) if each))

    def _shuts(self, machine: MachineItem) -> bool:
        """Whether the job shuts this one down."""
        return self.shutting_down and machine.power is Power.ON

    def action_shut_down(self) -> None:
        """Have running machines shut down first, or read from a snapshot."""
        able = self._capabilities is not None and self._capabilities.powers
        if not able:
            self.app.bell()
            self.reason.say("This platform cannot shut machines down.", LOOK)
            return
        self.shutting_down = not self.shutting_down
        self.marked -= {each.ref for each in self.machines if self._objection(each)}
        self.draw()

    def action_mark(self) -> None:
        """Mark the machine under the cursor, or take the mark away."""
        here = self._current()
        if here is None:
            return
        if self._objection(here):
            self.app.bell()
            return
        self.marked ^= {here.ref}
        self.draw()
        self.listing.action_cursor_down()

    def action_mark_all(self) -> None:
        """Mark all that are shown and can be taken, or take all marks away."""
        able = {each.ref for each in self.shown() if not self._objection(each)}
        self.marked = self.marked - able if able <= self.marked else self.marked | able
        self.draw()

    def action_filter(self) -> None:
        """Open the filter."""
        field = self.query_one("#filter", Input)
        field.add_class("-open")
        field.focus()

    def action_leave(self) -> None:
        """Take the filter away; without one, go back."""
        field = self.query_one("#filter", Input)
        if field.has_class("-open"):
            field.value = ""
            field.remove_class("-open")
            self.listing.focus()
        else:
            self.dismiss(None)

    @on(Input.Changed, "#filter")
    def _filtered(self) -> None:
        self.draw()

    @on(Input.Submitted, "#filter")
    def _filter_done(self) -> None:
        self.listing.focus()

    @on(Rows.OptionSelected)
    def _take(self) -> None:
        here = self._current()
        chosen = [each for each in self.machines if each.ref in self.marked]
        if not chosen and here is not None:
            if self._objection(here):
                self.app.bell()
                return
            chosen = [here]
        running = any(each.power in {Power.ON, Power.PAUSED} for each in chosen)
        how = Consistency.SNAPSHOT if running and not self.shutting_down else Consistency.OFF
        consent = ShutDown() if running and self.shutting_down else None
        if chosen:
            self.dismiss(Picked(tuple(each.ref for each in chosen), how, consent))
