"""What every page of the wizard has: the draft, its place on the rail, and how it answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from textual.containers import Vertical

from kensho_tui.errors import KenshoError
from kensho_tui.migration.draft import Draft, Page
from screens.base import Passing

if TYPE_CHECKING:
    from screens.wizard.screen import Wizard


class WizardPage(Passing, Vertical):
    """One page. It is made anew each time it is entered: every answer lives in the draft."""

    PAGE: ClassVar[Page]
    HELP_TEXT: ClassVar[str] = ""

    def __init__(self, wizard: Wizard) -> None:
        super().__init__(id=f"page-{self.PAGE}", classes="page")
        self.wizard = wizard

    @property
    def draft(self) -> Draft:
        """The move that is being decided."""
        return self.wizard.draft

    def refresh_page(self) -> None:
        """Draw what the draft says now."""

    def commit(self) -> None:
        """Put what is typed and not yet taken over into the draft."""

    def objection(self) -> str:
        """What closes Next on this page beside what the draft says, one clause; "" for nothing."""
        return ""

    def go_to_problem(self) -> None:
        """Put the cursor on the first thing that closes Next."""

    def hint(self) -> str:
        """What may be done here, said where nothing is wrong; "" says what comes next."""
        return ""

    def attempt(self, choice: Callable[[], object]) -> bool:
        """Make a choice in the draft; a refusal is shown in place. Whether it was accepted."""
        try:
            choice()
        except KenshoError as error:
            self.wizard.refuse(error)
            return False
        self.wizard.changed()
        return True
