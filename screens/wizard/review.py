"""Review: the plan in words, what preflight found, and the start."""

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from kensho_tui.errors import KenshoError
from kensho_tui.migration.draft import Page
from kensho_tui.migration.units import clause, count, sentence
from kensho_tui.migration.words import finding_line, plan_in_words
from kensho_tui.text import one_line
from screens import base
from screens.states import BAD, DONE, LOOK
from screens.widgets.ask import Ask
from screens.wizard.page import WizardPage
from screens.wizard.starting import Started, start
from screens.wizard.when import ask_when, eject_in_words

if TYPE_CHECKING:
    from kensho_tui.findings import Finding
    from kensho_tui.migration.split import Part
    from screens.wizard.screen import Wizard

# Two lines, and a command to remember.
WARNED_S = 30
STYLES = {BAD.glyph: BAD.style, LOOK.glyph: LOOK.style, "✗": BAD.style}
Text = str | tuple[str, str]


class ReviewPage(WizardPage):
    """Before anything happens."""

    PAGE = Page.REVIEW
    HELP_TEXT = """
All that was decided, in words, and what a last look at source and target found. Nothing has been
written yet. p chooses whether the machines are started at the end, w when the job begins, in which
hours it works, when the machines go into service, and how fast. j makes one job for all machines, or
a job for each, so that one that fails takes no other back. s starts the job: it runs outside this
program and goes on when you leave. y writes this text to a file.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "start", "Start", id="review.start"),
        Binding("p", "power", "Power", id="review.power"),
        Binding("w", "when", "When", id="review.when"),
        Binding("j", "separately", "Jobs", id="review.jobs"),
        Binding("y", "save", "Save", id="review.save"),
        Binding("j", "one_job", "Jobs", show=False, id="review.one-job"),
        Binding("f5", "check", "Check", id="review.check"),
    ]

    def __init__(self, wizard: "Wizard") -> None:
        super().__init__(wizard)
        # With a job for each machine: what each moves, and what keeps its package from being written.
        self._parts: tuple[Part, ...] = ()
        self._refused: list[Finding] = []

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
        place = self.draft.target_view
        self.wizard.call(
            "Checking source and target …",
            self._check,
            self.wizard.changed,
            connection=place.connection if place else "",
        )

    def _check(self) -> None:
        from kensho_tui.migration.separately import beside, parts, plans, refusals

        draft, sessions = self.draft, self.wizard.desk.sessions()
        self._parts, self._refused = (), []
        draft.check(sessions)
        if draft.separately and not draft.blocking():
            written = draft.target_view.package if draft.target_view else ""
            found = parts(draft, sessions, *beside(written))
            self._refused = refusals(plans(draft, found, ""), found, sessions)
            self._parts = found

    def refresh_page(self) -> None:
        """Draw the plan."""
        try:
            words = plan_in_words(self.draft)
        except KenshoError as error:
            self.query_one("#plan", Static).update(Content(str(error)))
            return
        started = "yes, in their start order" if self.draft.start else "no"
        parts: list[Text] = [(words.headline, "bold"), f"\n{words.promise}\n"]
        parts += [f"\n{each}" for each in words.machines]
        parts += ["\n\nMachines are started at the end: ", (started, "bold"), " (p changes it)"]
        parts += [f"\n{each}" for each in words.run or ("Begins at once (w changes it).",)]
        if self.draft.hands_over_password():
            said = eject_in_words(self.draft)
            parts.append(f"\nThe CD that hands guests a password {said} (w changes it).")
        parts += [f"\n{each}" for each in self._jobs()]
        parts.append(("\n\nFindings", "bold"))
        if self.draft.findings is None:
            parts.append("\nnot checked yet")
        elif not self._refused and all(line.startswith("·") for line in words.findings):
            parts += ["\n", (DONE.glyph, DONE.style), " nothing stands in the way"]
        for line in [*map(finding_line, self._refused), *words.findings]:
            parts += ["\n", (line[:1], f"bold {STYLES.get(line[:1], '')}".strip()), line[1:]]
        parts.append(f"\n\n{words.failure}")
        self.query_one("#plan", Static).update(Content.assemble(*parts))

    def objection(self) -> str:
        """Nothing is started unchecked."""
        draft = self.draft
        checked = draft.findings is not None and (self._parts or not draft.separately)
        if not checked and draft.page(Page.REVIEW).complete:
            return "the plan is not checked (F5 checks it)"
        if self._refused:
            first = self._refused[0]
            return f"{one_line(first.subject)}: {clause(first.message)}"
        return ""

    def hint(self) -> str:
        """What starting means."""
        if len(self._parts) > 1:
            return f"s starts the {len(self._parts)} jobs. They go on when you leave."
        return "s starts the job. It goes on when you leave."

    def action_power(self) -> None:
        """Start the machines at the end, or do not."""
        findings = self.draft.findings

        def turn() -> None:
            self.draft.start = not self.draft.start

        self.attempt(turn)
        if findings is not None:
            self.action_check()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """One machine is one job in any case; who asks for more is told why."""
        several = self._machines() > 1
        return {"separately": several, "one_job": not several}.get(action, True)

    def _machines(self) -> int:
        """How many were chosen of a platform; a package is one appliance."""
        source = self.draft.source
        return len(source.machines) if source is not None else 0

    def _jobs(self) -> list[str]:
        """What is done and undone together, in words; nothing where there is no choice."""
        from kensho_tui.migration.separately import together

        if self._machines() < 2:
            return []
        if not self.draft.separately:
            return ["One job for all machines: all arrive, or none (j makes a job for each)."]
        groups = together(self.draft)
        said = [f"{count(len(groups), 'job')}, each for itself (j makes it one for all machines)."]
        for group in groups:
            if len(group) > 1:
                names = ", ".join(one_line(each.name or each.id) for each in group)
                said.append(f"  {names} belong together, and are one job.")
        if any(each.package for each in self._parts):
            names = ", ".join(one_line(Path(each.package).name) for each in self._parts)
            said.append(f"  Packages in {Path(self._parts[0].package).parent}: {names}")
        return said

    def action_separately(self) -> None:
        """One job for all machines, or one for each."""

        def turn() -> None:
            self.draft.separately = not self.draft.separately

        if self.attempt(turn):
            self.action_check()

    def action_one_job(self) -> None:
        """Say why there is nothing to choose."""
        source = self.draft.source
        if source is not None and source.package is not None:
            said = "A package is one appliance: it arrives whole, by one job, or not at all."
        else:
            said = "There is one machine, so there is one job."
        self.wizard.say(said)

    def action_when(self) -> None:
        """Say when and how fast; what was checked is checked once more with it."""
        checked = self.draft.findings is not None
        ask_when(self, self.action_check if checked else lambda: None)

    def action_start(self) -> None:
        """Submit the job and show it."""
        state = self.draft.page(Page.REVIEW)
        if self.wizard.busy or self.objection() or not state.complete:
            self.app.bell()
            self.wizard.draw()
            return
        draft, desk, parts = self.draft, self.wizard.desk, self._parts
        started: list[Started] = []
        self.wizard.call(
            "Handing it to the runner …",
            lambda: started.append(start(draft, desk, parts)),
            lambda: self._show(started[0]),
        )

    def _show(self, started: Started) -> None:
        from screens.home import Home
        from screens.monitor import Monitor

        if started.batch:
            self.app.pop_screen()
            if isinstance(self.app.screen, Home):
                self.app.screen.show_batch(started.batch)
        else:
            self.app.switch_screen(Monitor(self.wizard.desk, started.jobs[0]))
        if started.error is not None:
            said = base.sentence(started.error)
            self.app.notify(said, severity="error", timeout=WARNED_S, markup=False)
        if started.warning:
            said = sentence(started.warning)
            self.app.notify(said, severity="warning", timeout=WARNED_S, markup=False)

    def action_save(self) -> None:
        """Write the plan in words to a file, and copy it where the terminal can."""
        text = "\n".join([plan_in_words(self.draft).text(), *self._jobs(), ""])
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
