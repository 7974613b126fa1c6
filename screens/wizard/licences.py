"""Licences: every text, to be read and accepted one by one."""

from typing import ClassVar

from textual import getters, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from kensho_tui.machine import Licence
from kensho_tui.migration.draft import Page
from kensho_tui.person import person
from kensho_tui.text import plain
from screens.states import DONE, LOOK
from screens.widgets.rows import Cell, Column, Row, Rows
from screens.wizard.page import WizardPage


class LicencesPage(WizardPage):
    """The texts of the appliance and of its machines."""

    PAGE = Page.LICENCES
    HELP_TEXT = """
The licences that come with the appliance. Choose one in the list, read it below (tab, then the arrow
keys and page down), and accept it with a. a again takes the acceptance back. Who accepted what and
when becomes part of the plan.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "accept", "Accept", id="licences.accept"),
    ]

    listing = getters.query_one("#licences", Rows)

    def compose(self) -> ComposeResult:
        """List and text."""
        yield Rows((Column("", 1), Column("", 12), Column("", 0)), id="licences")
        with VerticalScroll(classes="text"):
            yield Static("", markup=False, id="licence-text")

    def refresh_page(self) -> None:
        """Draw the list and the text of the one under the cursor."""
        self._draw()

    def _draw(self) -> None:
        rows = []
        for licence in self.draft.licences():
            yes = self.draft.accepted(licence.digest)
            sign = DONE if yes else LOOK
            word = "accepted" if yes else "to accept"
            rows.append(
                Row(
                    licence.digest,
                    (Cell(sign.glyph, sign.style), word, f"licence of {self._owner(licence)}"),
                )
            )
        self.listing.show(rows)
        self._show_text()

    def _owner(self, licence: Licence) -> str:
        appliance = self.draft.appliance
        for machine in appliance.machines if appliance else ():
            if machine.id == licence.owner:
                return machine.name
        return licence.owner or "the appliance"

    def _current(self) -> Licence | None:
        here = self.listing.current
        return next((each for each in self.draft.licences() if each.digest == here), None)

    @on(Rows.OptionHighlighted)
    def _show_text(self) -> None:
        licence = self._current()
        text = Content(plain(licence.text) if licence else "")
        self.query_one("#licence-text", Static).update(text)
        self.query_one(VerticalScroll).scroll_home(animate=False)

    @on(Rows.OptionSelected)
    def action_accept(self) -> None:
        """Accept the licence under the cursor and go to the next, or take the acceptance back."""
        licence = self._current()
        if licence is None:
            return
        digest = licence.digest
        if self.draft.accepted(digest):
            self.attempt(lambda: self.draft.withdraw_licence(digest))
            return
        self.attempt(lambda: self.draft.accept_licence(digest, person()))
        for each in self.draft.licences():
            if not self.draft.accepted(each.digest):
                self.listing.go_to(each.digest)
                break
