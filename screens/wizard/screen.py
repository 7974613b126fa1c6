"""The wizard: rail at the left, page at the right, one line that says why one cannot go on."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import events, getters, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Footer

from kensho_tui.errors import KenshoError
from kensho_tui.migration.draft import Draft, Page
from screens import login
from screens.base import KenshoScreen, defect, sentence
from screens.desk import Desk
from screens.states import BAD, DONE, LOOK, RUNNING, Sign
from screens.widgets.confirm import Confirm
from screens.widgets.reason import ReasonLine
from screens.widgets.rows import Rows
from screens.widgets.title import TitleLine
from screens.wizard.configuration import ConfigurationPage
from screens.wizard.licences import LicencesPage
from screens.wizard.mapping import MappingPage
from screens.wizard.package import PackagePage
from screens.wizard.page import WizardPage
from screens.wizard.properties import PropertiesPage
from screens.wizard.rail import TITLES, Rail
from screens.wizard.review import ReviewPage
from screens.wizard.source import SourcePage
from screens.wizard.target import TargetPage

PAGES: dict[Page, type[WizardPage]] = {
    each.PAGE: each
    for each in (
        SourcePage,
        PackagePage,
        LicencesPage,
        ConfigurationPage,
        TargetPage,
        MappingPage,
        PropertiesPage,
        ReviewPage,
    )
}
ORDER = list(Page)


@dataclass
class CallDone(Message):
    """A call that was made in a thread came to its end; ``error`` where it failed."""

    number: int
    then: Callable[[], None]
    connection: str
    again: Callable[[], None]
    error: KenshoError | None = None


class Wizard(KenshoScreen[None]):
    """A new migration."""

    CSS_PATH = "wizard.tcss"
    AUTO_FOCUS = ""
    HELP_TITLE = "New migration"
    HELP_TEXT = """
The rail at the left shows all steps. tab moves between rail, list and fields; enter on the rail goes
to a step; no answer is lost by going back. Nothing is written anywhere before you start the job at
the end.

  ✓ decided   ! wants a look, with how many   ○ not yet seen   – not needed   ● here
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+b", "back", "Back", priority=True, key_display="^b", id="wizard.back"),
        Binding("ctrl+n", "next", "Next", priority=True, key_display="^n", id="wizard.next"),
        Binding("left", "back", "Back", show=False, id="wizard.back-arrow"),
        Binding("right", "next", "Next", show=False, id="wizard.next-arrow"),
        Binding("ctrl+z", "undo", "Undo", key_display="^z", id="wizard.undo"),
        Binding("escape", "give_up", "Close", id="wizard.close"),
        Binding("q", "give_up", "Close", show=False, id="wizard.close-q"),
    ]

    rail = getters.query_one(Rail)
    reason = getters.query_one(ReasonLine)
    title_line = getters.query_one(TitleLine)

    def __init__(
        self, desk: Desk, *, package: Path | None = None, draft: Draft | None = None
    ) -> None:
        super().__init__()
        self.desk = desk
        self.draft = draft or Draft()
        self.package = package
        self.here = Page.SOURCE
        self.seen: set[Page] = set()
        self.busy = ""
        self._error: KenshoError | None = None
        self._said = ""
        self._sign = LOOK
        self._call_number = 0

    def compose(self) -> ComposeResult:
        """Rail, page, reason, keys."""
        yield TitleLine("New migration")
        with Horizontal(id="work"):
            yield Rail()
            yield Vertical(id="page")
        yield ReasonLine()
        yield Footer(show_command_palette=False)

    async def on_mount(self) -> None:
        """Begin with the source."""
        await self.go(Page.SOURCE)
        if self.package is not None and isinstance(self.page, SourcePage):
            self.page.open_package(str(self.package))

    @property
    def page(self) -> WizardPage | None:
        """The page one is on; None while it is built up or taken down, without its parts."""
        found = [each for each in self.query(WizardPage) if each.display and each.children]
        return found[0] if found else None

    def help_text(self) -> str:
        """Help of the wizard and of the page."""
        page = self.page
        own = f"{page.HELP_TEXT.strip()}\n\n" if page and page.HELP_TEXT else ""
        return f"{own}{self.HELP_TEXT.strip()}"

    # -------------------------------------------------------------------------------- moving
    async def go(self, page: Page) -> None:
        """Show this page."""
        self.seen.add(page)
        self.here = page
        self._error, self._said = None, ""
        room = self.query_one("#page", Vertical)
        await room.remove_children()
        widget = PAGES[page](self)
        await room.mount(widget)
        self.set_focus(None)
        widget.refresh_page()
        self.draw()
        self.call_after_refresh(self._focus_first, widget)

    def _focus_first(self, widget: WizardPage) -> None:
        if self.focused is None:
            for each in widget.query("*"):
                if each.focusable and each.display:
                    self.set_focus(each)
                    return

    def _neighbour(self, step: int) -> Page | None:
        at = ORDER.index(self.here) + step
        while 0 <= at < len(ORDER):
            if self.draft.page(ORDER[at]).needed:
                return ORDER[at]
            at += step
        return None

    async def action_next(self) -> None:
        """Go on, where nothing is in the way; else say what is."""
        if self.page is not None:
            self.page.commit()
        state = self.draft.page(self.here)
        following = self._neighbour(1)
        objection = self.page.objection() if self.page is not None else ""
        if self.busy or objection or not state.complete or following is None:
            self.app.bell()
            if self.page is not None and not self.busy:
                self.page.go_to_problem()
            self.draw()
        else:
            await self.go(following)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Nothing comes after the last page."""
        return action != "next" or self._neighbour(1) is not None

    async def action_back(self) -> None:
        """Go back one page."""
        if self.page is not None:
            self.page.commit()
        before = self._neighbour(-1)
        if before is not None and not self.busy:
            await self.go(before)

    @on(Rows.OptionSelected, "#rail")
    async def _rail_chosen(self) -> None:
        page = Page(self.rail.current or self.here)
        state = self.draft.page(page)
        if self.page is not None:
            self.page.commit()
        if not state.needed:
            self.say(f"{TITLES[page]} is not needed: {state.reason}.")
            return
        for before in ORDER[: ORDER.index(page)]:
            if not self.draft.page(before).complete:
                reason = self.draft.page(before).reason
                self.say(f"{TITLES[page]} is not open yet. {TITLES[before]}: {reason}.")
                return
            if self.draft.page(before).needed and before not in self.seen:
                self.say(f"Look at {TITLES[before]} first.")
                return
        await self.go(page)

    def action_undo(self) -> None:
        """Take the latest choice back."""
        if self.draft.undo():
            self.changed()
            self.say("The latest choice is taken back.")
        else:
            self.say("There is nothing to take back.")

    def action_give_up(self) -> None:
        """Close the wizard; asks first where something was decided."""
        if self.draft.described is None:
            self.dismiss(None)
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self.dismiss(None)

        text = "Nothing has been written anywhere. Your answers in this wizard are not kept."
        self.app.push_screen(
            Confirm("Close the wizard?", text, yes="close it", no="stay"), answered
        )

    # ------------------------------------------------------------------------------- telling
    def changed(self) -> None:
        """The draft changed: draw page, rail and reason."""
        self._error, self._said = None, ""
        if self.draft.dropped:
            self._sign = LOOK
            self._said = "Not valid any more: " + "; ".join(self.draft.dropped) + "."
        if self.page is not None:
            self.page.refresh_page()
        self.draw()

    def refuse(self, error: KenshoError) -> None:
        """Show why a choice was refused, until the next one."""
        self._error = error
        self.draw()

    def say(self, text: str, sign: Sign = LOOK) -> None:
        """Show a sentence, until the next choice."""
        self._error, self._said, self._sign = None, text, sign
        self.draw()

    def draw(self) -> None:
        """Draw title, rail and reason."""
        if not self.query(TitleLine):
            return  # the screen is being taken down
        draft = self.draft
        place = draft.target_view
        target = (place.connection or place.package) if place else ""
        way = f" ▸ {draft.name} → {target or '…'}" if draft.described else ""
        self.title_line.left = f"New migration{way}"
        self.title_line.right = TITLES[self.here]
        states = draft.pages()
        self.rail.draw(states, self.here, self.seen)
        self._draw_reason()

    def _draw_reason(self) -> None:
        state = self.draft.page(self.here)
        following = self._neighbour(1)
        if self.busy:
            self.reason.say(self.busy, RUNNING)
        elif self._error is not None:
            self.reason.say(sentence(self._error), BAD)
        elif self._said:
            self.reason.say(self._said, self._sign)
        elif self.page is not None and self.page.objection():
            self.reason.say(f"Next is closed: {self.page.objection()}.", LOOK)
        elif not state.complete:
            self.reason.say(f"Next is closed: {state.reason}.", LOOK)
        elif self.page is not None and self.page.hint():
            self.reason.say(self.page.hint(), DONE)
        elif following is not None:
            self.reason.say(f"Next: {TITLES[following]} (^n).", DONE)

    @on(events.Resize)
    def _resized(self) -> None:
        self.call_after_refresh(self.draw)

    # ------------------------------------------------------------------------ calls in threads
    def call(
        self,
        busy: str,
        what: Callable[[], object],
        then: Callable[[], None],
        *,
        connection: str = "",
    ) -> None:
        """Call ``what`` in a thread while ``busy`` is shown, then ``then`` here.

        A login to ``connection`` that is refused for its certificate or password is mended with
        the operator, and the call made again. Any other error is shown in place.
        """
        self._call_number += 1
        self.busy, self._error, self._said = busy, None, ""
        self.draw()
        again = functools.partial(self.call, busy, what, then, connection=connection)
        self._call(CallDone(self._call_number, then, connection, again), what)

    @work(thread=True, group="wizard", exit_on_error=False, description="ask a package or platform")
    def _call(self, done: CallDone, what: Callable[[], object]) -> None:
        try:
            what()
        except KenshoError as error:
            done.error = error
        self.post_message(done)

    def defect(self, error: BaseException) -> None:
        """The call did not even fail as it should: the page is open again."""
        self.busy = ""
        self.refuse(defect(error))

    @on(CallDone)
    def _called(self, done: CallDone) -> None:
        if done.number != self._call_number:
            # A later call has taken its place; what this one found is not wanted any more.
            return
        self.busy = ""
        if done.error is None:
            done.then()
            return
        self.refuse(done.error)
        if done.connection:
            login.mend(self.app, self.desk, done.connection, done.error, done.again)
