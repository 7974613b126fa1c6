"""Review: the plan in words, what preflight found, and the start."""

import contextlib
import getpass
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from kensho_tui.engine.secrets import connection_secret
from kensho_tui.errors import KenshoError
from kensho_tui.migration.draft import Page
from kensho_tui.migration.units import sentence
from kensho_tui.migration.words import plan_in_words
from screens.states import BAD, DONE, LOOK
from screens.widgets.ask import Ask
from screens.wizard.page import WizardPage
from screens.wizard.when import ask_when

# Two lines, and a command to remember.
WARNED_S = 30
STYLES = {BAD.glyph: BAD.style, LOOK.glyph: LOOK.style, "✗": BAD.style}
Part = str | tuple[str, str]


class ReviewPage(WizardPage):
    """Before anything happens."""

    PAGE = Page.REVIEW
    HELP_TEXT = """
All that was decided, in words, and what a last look at source and target found. Nothing has been
written yet. p chooses whether the machines are started at the end, w when the job begins, in which
hours it works, when the machines go into service, and how fast. s starts the job: it runs outside this
program and goes on when you leave. y writes this text to a file.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "start", "Start", id="review.start"),
        Binding("p", "power", "Power", id="review.power"),
        Binding("w", "when", "When", id="review.when"),
        Binding("y", "save", "Save", id="review.save"),
        Binding("f5", "check", "Check again", show=False, id="review.check"),
    ]

    def compose(self) -> ComposeResult:
        """One text that scrolls."""
        with VerticalScroll(classes="text"):
            yield Static("", markup=False, id="plan")

    def on_mount(self) -> None:
        """Look once more."""
        if self.draft.page(Page.MAPPING).complete:
            self.action_check()

    def action_check(self) -> None:
        """Run preflight."""
        draft, sessions = self.draft, self.wizard.desk.sessions
        place = draft.target_view
        self.wizard.call(
            "Checking source and target …",
            lambda: draft.check(sessions()),
            self.wizard.changed,
            connection=place.connection if place else "",
        )

    def refresh_page(self) -> None:
        """Draw the plan."""
        try:
            words = plan_in_words(self.draft)
        except KenshoError as error:
            self.query_one("#plan", Static).update(Content(str(error)))
            return
        start = "yes, in their start order" if self.draft.start else "no"
        parts: list[Part] = [(words.headline, "bold"), f"\n{words.promise}\n"]
        parts += [f"\n{each}" for each in words.machines]
        parts += ["\n\nMachines are started at the end: ", (start, "bold"), " (p changes it)"]
        parts += [f"\n{each}" for each in words.run or ("Begins at once (w changes it).",)]
        parts.append(("\n\nFindings", "bold"))
        if self.draft.findings is None:
            parts.append("\nnot checked yet")
        elif not words.findings:
            parts += ["\n", (DONE.glyph, DONE.style), " nothing stands in the way"]
        for line in words.findings:
            parts += ["\n", (line[:1], f"bold {STYLES.get(line[:1], '')}".strip()), line[1:]]
        parts.append(f"\n\n{words.failure}")
        self.query_one("#plan", Static).update(Content.assemble(*parts))

    def objection(self) -> str:
        """Nothing is started unchecked."""
        if self.draft.findings is None and self.draft.page(Page.REVIEW).complete:
            return "the plan is not checked (F5 checks it)"
        return ""

    def hint(self) -> str:
        """What starting means."""
        return "s starts the job. It goes on when you leave."

    def action_power(self) -> None:
        """Start the machines at the end, or do not."""
        findings = self.draft.findings

        def turn() -> None:
            self.draft.start = not self.draft.start

        self.attempt(turn)
        if findings is not None:
            self.action_check()

    def action_when(self) -> None:
        """Say when and how fast."""
        ask_when(self)

    def action_start(self) -> None:
        """Submit the job and show it."""
        state = self.draft.page(Page.REVIEW)
        if self.wizard.busy or self.objection() or not state.complete:
            self.app.bell()
            self.wizard.draw()
            return
        draft, desk = self.draft, self.wizard.desk
        started: list[str] = []
        warned: list[str] = []

        def submit() -> None:
            from kensho_tui.engine.logind import ends_at_logout

            plan = draft.plan()
            places = {plan.spec.source.connection, plan.spec.target.connection}
            names = {connection_secret(each) for each in places if each}
            known = desk.secrets().known()
            secrets = {name: known[name] for name in names if name in known}
            started.append(desk.runner().submit(plan, {**secrets, **draft.secrets()}))
            with contextlib.suppress(KenshoError):  # the job is on its way, and that is what counts
                pid = desk.runner().status().pid
                warned.append(ends_at_logout(pid, getpass.getuser()) if pid else "")

        def show() -> None:
            from screens.monitor import Monitor

            self.app.switch_screen(Monitor(desk, started[0]))
            if any(warned):
                said = sentence(warned[0])
                self.app.notify(said, severity="warning", timeout=WARNED_S, markup=False)

        self.wizard.call("Handing the job to the runner …", submit, show)

    def action_save(self) -> None:
        """Write the plan in words to a file, and copy it where the terminal can."""
        text = plan_in_words(self.draft).text() + "\n"
        self.app.copy_to_clipboard(text)

        def given(path: str | None) -> None:
            if not path:
                return
            try:
                Path(path).expanduser().write_text(text, encoding="utf-8")
            except OSError as error:
                self.wizard.refuse(
                    KenshoError(f"the file cannot be written ({error.strerror})", subject=path)
                )
            else:
                self.wizard.say(f"Written to {path}.", DONE)

        start = str(Path.cwd() / f"{self.draft.name or 'plan'}.txt")
        self.app.push_screen(Ask("Save the plan as text", "File:", value=start), given)
