"""Connections: the platforms Kensho knows, how each stands, and how one is added or forgotten."""

from typing import ClassVar

from textual import events, getters, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Footer, Static

from kensho_tui.connections import Connection
from kensho_tui.errors import KenshoError
from kensho_tui.text import one_line
from screens import login
from screens.base import KenshoScreen, sentence
from screens.desk import Desk
from screens.probe import ASKING, ASKS, UNASKED, Probed, Standing, probe, silent, standing
from screens.states import LOOK
from screens.widgets.confirm import Confirm
from screens.widgets.reason import ReasonLine
from screens.widgets.rows import Cell, Column, Row, Rows
from screens.widgets.title import TitleLine

COLUMNS = (
    Column("", 1),
    Column("NAME", 18, middle=True),
    Column("PLATFORM", 11),
    Column("ADDRESS", 22, middle=True),
    Column("STATE", 0),
)
EMPTY = """No platform is known yet.

a  adds one: its address, who logs in, and where the password is found.
   The password itself is never kept here."""


class Connections(KenshoScreen[None]):
    """The list of platforms."""

    CSS_PATH = "connections.tcss"
    AUTO_FOCUS = "Rows"
    HELP_TITLE = "Connections"
    HELP_TEXT = """
The platforms Kensho can reach. The list is a file that you may edit by hand; it holds no password,
only where one is found. A certificate is trusted by its SHA-256 fingerprint once you have confirmed
it; when it changes, you are asked again.

  ✓ answers   ! wants a look: the line below says what to do   ○ not asked yet
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "add", "Add", id="connections.add"),
        Binding("t", "test", "Test", id="connections.test"),
        Binding("d", "remove", "Remove…", id="connections.remove"),
        Binding("escape", "leave", "Home", id="connections.leave"),
    ]

    listing = getters.query_one(Rows)
    reason = getters.query_one(ReasonLine)

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk
        self.known: list[Connection] = []
        self.states: dict[str, Standing] = {}
        self._problem: KenshoError | None = None

    def compose(self) -> ComposeResult:
        """List, about the one under the cursor, reason, keys."""
        yield TitleLine("Connections")
        yield Static("", markup=False, classes="heading")
        yield Rows(COLUMNS, id="list")
        yield Static(EMPTY, markup=False, id="nothing")
        yield Static("", markup=False, id="about")
        yield ReasonLine()
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Read the book and ask every platform that can be asked in silence."""
        self.read()
        for each in self.known:
            if silent(each):
                self.ask(each.name)

    def read(self) -> None:
        """Read the book again."""
        self._problem = None
        try:
            self.known = [each for each in self.desk.book() if each.platform != "package"]
        except KenshoError as error:
            self._problem = error
        self.call_after_refresh(self.draw)

    def ask(self, name: str) -> None:
        """Ask the platform how it is."""
        self.states[name] = ASKING
        probe(self.desk, name, self)
        self.draw()

    @on(Probed)
    def _probed(self, message: Probed) -> None:
        self.states[message.name] = standing(message)
        self.draw()

    def _state(self, each: Connection) -> Standing:
        return self.states.get(each.name, UNASKED if silent(each) else ASKS)

    def draw(self) -> None:
        """Draw the list."""
        self.set_class(not self.known, "-empty")
        rows = []
        for each in self.known:
            state = self._state(each)
            rows.append(
                Row(
                    each.name,
                    (
                        Cell(state.sign.glyph, state.sign.style),
                        each.name,
                        each.platform,
                        each.address,
                        Cell(state.word, state.sign.style),
                    ),
                )
            )
        self.listing.show(rows)
        self.query_one(".heading", Static).update(self.listing.headings())
        self._explain()

    def current(self) -> Connection | None:
        """The connection under the cursor."""
        here = self.listing.current
        return next((each for each in self.known if each.name == here), None)

    @on(Rows.OptionHighlighted)
    def _explain(self) -> None:
        if self._problem is not None:
            self.say_error(self._problem)
            return
        here = self.current()
        about = self.query_one("#about", Static)
        if here is None:
            about.update("")
            self.reason.say("a adds a platform.")
            return
        pin = (
            f"trusted by SHA-256 {here.pin[:16]}…" if here.pin else "trusted by the system's store"
        )
        pin += f", {one_line(here.pinned)}" if here.pinned else ""
        about.update(
            Content(
                f"{here.name}: {here.platform} at {here.address}\n"
                f"User {here.username or '(none)'}, password from: {here.secret}\n"
                f"Certificate {pin}"
            )
        )
        state = self._state(here)
        if state.error is not None:
            self.reason.say(sentence(state.error), LOOK)
        else:
            self.reason.say("t logs in and says what is there.")

    @on(events.Resize)
    def _resized(self) -> None:
        self.call_after_refresh(self.draw)

    # ---------------------------------------------------------------------------------- actions
    def action_leave(self) -> None:
        """Back home."""
        self.dismiss(None)

    @on(Rows.OptionSelected)
    def action_test(self) -> None:
        """Log in anew; mend with the operator what can be mended."""
        here = self.current()
        if here is None:
            return
        name = here.name
        error = self._state(here).error
        self.desk.sessions().forget(name)

        def again() -> None:
            self.read()
            self.ask(name)

        if error is None or not login.mend(self.app, self.desk, name, error, again):
            again()

    def action_add(self) -> None:
        """Add a platform."""
        from screens.add_connection import AddConnection

        def added(name: str | None) -> None:
            if name is not None:
                self.desk.sessions().forget(name)
                self.read()
                self.ask(name)

        self.app.push_screen(AddConnection(self.desk), added)

    def action_remove(self) -> None:
        """Forget the platform under the cursor; asks first."""
        here = self.current()
        if here is None:
            return
        name = here.name

        def answered(yes: bool | None) -> None:
            if yes:
                try:
                    self.desk.book().remove(name)
                except KenshoError as error:
                    self.say_error(error)
                    return
                self.desk.sessions().forget(name)
                self.states.pop(name, None)
                self.read()

        text = (
            f"Kensho forgets the address, user and certificate of {name}. The platform itself is "
            "not touched. Jobs that use it and have not ended will need it."
        )
        self.app.push_screen(
            Confirm(f"Remove {name}?", text, yes="remove it", no="keep it"), answered
        )
