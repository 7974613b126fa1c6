"""Home: the jobs in flight and the recent ones, and the platforms that can be reached."""

from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from textual import events, getters, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Footer, Input

from kensho_tui.engine.batches import current, in_words, tally
from kensho_tui.engine.events import JobState, JobSummary
from kensho_tui.errors import KenshoError
from kensho_tui.migration.units import size
from kensho_tui.text import one_line
from screens import figures
from screens.base import KenshoScreen, sentence
from screens.desk import Desk
from screens.feed import JobsArrived, JobsFeed, RunnerSilent
from screens.probe import ASKING, ASKS, Probed, Standing, probe, silent, standing
from screens.states import BAD, JOB, LOOK, RUNNING
from screens.widgets.quiet import Quiet
from screens.widgets.reason import ReasonLine
from screens.widgets.rows import Cell, Column, Row, Rows
from screens.widgets.title import TitleLine

NARROW = (
    Column("", 1),
    Column("JOB", 14, middle=True),
    Column("VMS", 7),
    Column("FROM → TO", 20, middle=True),
    Column("STEP", 0),
    Column("DONE", 5, right=True),
    Column("LEFT", 9, right=True),
)
STAY = "Jobs go on when you leave. 'kensho' brings you back here."


class Jobs(Rows):
    """The list of jobs."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "select", "Open", id="home.open")]


def job_row(job: JobSummary, now: datetime) -> Row:
    """The job in one row of the columns above. What has ended says how, in words."""
    sign = JOB[job.state]
    moving = job.state in {JobState.RUNNING, JobState.CANCELLING}
    cells: list[Cell | str] = [
        Cell(sign.glyph, sign.style),
        job.name,
        f"{job.machines_done} of {job.machines}",
        f"{figures.place(job.source)} → {figures.place(job.target)}",
    ]
    if moving:
        percent = figures.percent(job.position, job.total) if job.total else ""
        cells += [outcome(job, now), percent, figures.span(job.eta_s)]
    else:
        cells.append(Cell(outcome(job, now), sign.style, span=3))
    return Row(job.id, tuple(cells))


def outcome(job: JobSummary, now: datetime) -> str:
    """What the job does now, waits for, or came to, in few words."""
    if job.state is JobState.SUCCEEDED:
        took = figures.elapsed(job.created, job.updated, now)
        return f"finished {figures.day(job.updated, now)}, took {took}"
    if job.state in {JobState.FAILED, JobState.NEEDS_ATTENTION} and job.error:
        return f"{JOB[job.state].word}: {job.error.get('what', '')}"
    if job.waits:
        return job.waits
    if job.state is JobState.RUNNING:
        return job.step or "running"
    return JOB[job.state].word


class Home(KenshoScreen[None]):
    """What is going on."""

    CSS_PATH = "home.tcss"
    AUTO_FOCUS = "Jobs"
    HELP_TITLE = "Home"
    HELP_TEXT = """
The jobs of this machine: what runs, what waits for you, what has ended. Jobs run outside this
program: leaving it, or losing the connection to this terminal, does not touch them.

  ● running    ○ queued     ‖ paused    ! waits for you, or something is left over
  ✓ finished   ✗ failed; what it had made is removed    – cancelled

Open a job to see its machines and disks, its log, and to cancel it.
e edits an OVF package: what it says of its machines, and what is in it.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "new", "New migration", id="home.new"),
        Binding("a", "answer", "Answer", id="home.answer"),
        Binding("slash", "filter", "Filter", key_display="/", id="home.filter"),
        Binding("c", "connections", "Connections", id="home.connections"),
        Binding("e", "edit_package", "Edit a package", show=False, id="home.edit-package"),
        Binding("escape", "unfilter", "All", show=False, id="home.unfilter"),
    ]

    jobs_list = getters.query_one(Jobs)
    reason = getters.query_one(ReasonLine)
    title_line = getters.query_one(TitleLine)

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk
        self._feed = JobsFeed(desk, self)
        self._silent = ""
        self._platforms: dict[str, Standing] = {}
        self._to_list = False  # once there is something in it

    @property
    def jobs(self) -> list[JobSummary]:
        """All jobs, as they were a moment ago."""
        return self._feed.jobs

    @property
    def going(self) -> list[JobSummary]:
        """The jobs that have not ended."""
        return [job for job in self.jobs if not job.state.ended]

    def compose(self) -> ComposeResult:
        """Jobs at the left, about one of them at the right where there is room."""
        yield TitleLine("Kensho")
        with Horizontal(id="jobs-pane", classes="-empty"):
            with Vertical(id="list"):
                field = Input(
                    placeholder="name, batch, source or target", compact=True, id="filter"
                )
                field.cursor_blink = False
                yield field
                yield Quiet("", classes="heading")
                yield Jobs(NARROW, id="jobs")
                yield Quiet("Asking the runner …", id="nothing")
            yield Quiet("", id="about")
        yield Quiet("", id="runner")
        yield Quiet("", id="connections")
        yield ReasonLine(STAY)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Begin to listen."""
        self._feed.start()
        self.call_after_refresh(self.ask_platforms)

    def on_unmount(self) -> None:
        """Stop listening."""
        self._feed.stop()

    def ask_platforms(self) -> None:
        """Ask every platform that needs no password of the operator whether it is there."""
        try:
            known = list(self.desk.book())
        except KenshoError as error:
            self.query_one("#connections", Quiet).update(Content(one_line(f"! {error}")))
            return
        self._platforms = {
            each.name: self._platforms.get(each.name, ASKING if silent(each) else ASKS)
            for each in known
            if each.platform != "package"
        }
        for each in known:
            if self._platforms.get(each.name) is ASKING:
                probe(self.desk, each.name, self)
        self._draw_platforms()

    @on(Probed)
    def _probed(self, message: Probed) -> None:
        self._platforms[message.name] = standing(message)
        self._draw_platforms()

    def _draw_platforms(self) -> None:
        parts: list[str | tuple[str, str]] = [("Connections", "$foreground-muted")]
        for name, state in self._platforms.items():
            parts += ["   ", f"{name} ", (state.sign.glyph, state.sign.style), f" {state.word}"]
        if not self._platforms:
            parts.append("   none yet: c adds one")
        self.query_one("#connections", Quiet).update(Content.assemble(*parts))

    @on(events.ScreenSuspend)
    def _covered(self) -> None:
        self._feed.watched = False

    @on(events.ScreenResume)
    def _back_again(self) -> None:
        self._feed.watched = True
        if self.is_mounted:
            self.render_jobs()
            self.ask_platforms()

    @on(JobsArrived)
    def _arrived(self, message: JobsArrived) -> None:
        self._silent = ""
        line = self.query_one("#runner", Quiet)
        line.set_class(bool(message.troubles), "-open")
        line.update(Content("\n".join(f"! {each}" for each in message.troubles)))
        self.render_jobs()

    @on(RunnerSilent)
    def _silent_runner(self, message: RunnerSilent) -> None:
        self._silent = sentence(message.error)
        self.render_jobs()

    def render_jobs(self) -> None:
        """Draw the list, the counts and the line about the job under the cursor."""
        now = datetime.now(UTC)
        needle = self.query_one("#filter", Input).value.casefold()
        found = [
            job
            for job in self.jobs
            if needle
            in f"{job.name} {job.batch} {job.source} {job.target} {JOB[job.state].word}".casefold()
        ]
        self.query_one("#jobs-pane").set_class(not found, "-empty")
        nothing = "No job matches the filter. esc shows all." if self.jobs else EMPTY
        if self._silent:
            nothing = ""
        self.query_one("#nothing", Quiet).update(Content(nothing))
        self.jobs_list.show([job_row(job, now) for job in found])
        self._headings()
        if not self.jobs_list.size.width:  # it was hidden until now: its width is known then
            self.call_after_refresh(self._headings)
        self._title(found)
        if found and self._to_list:
            self._to_list = False
            self.call_after_refresh(self.jobs_list.focus)
        self._explain()

    def _headings(self) -> None:
        self.query_one(".heading", Quiet).update(self.jobs_list.headings())

    def _title(self, found: list[JobSummary]) -> None:
        """What is going on; where the filter is a batch's name, how far that batch is."""
        needle = self.query_one("#filter", Input).value.casefold()
        batch = next((job.batch for job in found if needle == job.batch.casefold()), "")
        if batch:
            of_it = current([job for job in found if job.batch == batch])
            self.title_line.left = f"Kensho ▸ {batch}"
            self.title_line.right = in_words(tally(of_it))
        else:
            self.title_line.left, self.title_line.right = "Kensho", self._counts()

    def _counts(self) -> str:
        running = sum(job.state in {JobState.RUNNING, JobState.QUEUED} for job in self.jobs)
        looking = sum(JOB[job.state].glyph == LOOK.glyph for job in self.jobs)
        done = sum(job.state is JobState.SUCCEEDED for job in self.jobs)
        # One that was done again is spoken for by the later one.
        failed = sum(job.state is JobState.FAILED for job in current(self.jobs))
        needs = "needs" if looking == 1 else "need"
        counts = [f"{RUNNING.glyph} {running} running", f"! {looking} {needs} you"]
        counts += [f"{BAD.glyph} {failed} failed"] if failed else []
        return "   ".join([*counts, f"✓ {done} finished"])

    def current(self) -> JobSummary | None:
        """The job under the cursor."""
        here = self.jobs_list.current
        return next((job for job in self.jobs if job.id == here), None)

    @on(Rows.OptionHighlighted)
    def _explain(self) -> None:
        job = self.current()
        if self._silent:
            self.reason.say(self._silent, LOOK)
        elif job is None:
            self.reason.say(STAY)
        elif job.questions:
            self.reason.say(f"{job.name} waits for your answer: press a.", LOOK)
        elif job.error:
            error = job.error
            remedy = f" {error['remedy']}." if error.get("remedy") else ""
            what = error.get("what", "")
            self.reason.say(f"{one_line(job.name)}: {what}.{remedy}", JOB[job.state])
        else:
            self.reason.say(STAY)
        self.query_one("#about", Quiet).update(about(job) if job else "")

    @on(events.Resize)
    def _resized(self) -> None:
        self.call_after_refresh(self.render_jobs)

    # ---------------------------------------------------------------------------------- actions
    @on(Rows.OptionSelected)
    def _open(self) -> None:
        job = self.current()
        if job is not None:
            self.open_job(job.id)

    def open_job(self, job: str, *, answer: bool = False) -> None:
        """Show the job; with ``answer`` ask its question at once."""
        from screens.monitor import Monitor

        self.app.push_screen(Monitor(self.desk, job, answer=answer))

    def action_answer(self) -> None:
        """Answer the question of the job under the cursor, else of the first that has one."""
        here = self.current()
        asking = [job for job in self.jobs if job.questions]
        if here is not None and here.questions:
            self.open_job(here.id, answer=True)
        elif asking:
            self.open_job(asking[0].id, answer=True)
        else:
            self.reason.say("No job waits for an answer.")

    def action_new(self) -> None:
        """Open the wizard."""
        self.new_migration(None)

    def new_migration(self, package: Path | None) -> None:
        """Open the wizard, on the package where one is given."""
        from screens.wizard.screen import Wizard

        self.app.push_screen(Wizard(self.desk, package=package))

    def action_edit_package(self) -> None:
        """Find a package, and open its editor."""
        from screens.widgets.file_picker import FilePicker

        def picked(path: str | None) -> None:
            if path:
                self.edit_package(Path(path))

        self.app.push_screen(FilePicker(), picked)

    def edit_package(self, package: Path) -> None:
        """Open the editor of the package."""
        from screens.package.editor import PackageEditor

        self.app.push_screen(PackageEditor(self.desk, package))

    def action_connections(self) -> None:
        """Open the connections."""
        from screens.connections import Connections

        self.app.push_screen(Connections(self.desk))

    def action_filter(self) -> None:
        """Open the filter."""
        field = self.query_one("#filter", Input)
        field.add_class("-open")
        field.focus()

    def show_batch(self, batch: str) -> None:
        """Show the jobs of that batch, and how far they are together; escape shows all again."""
        field = self.query_one("#filter", Input)
        field.value = batch
        field.add_class("-open")
        # A moment passes until the runner tells of them, and what is hidden has no focus.
        self._to_list = True

    def action_unfilter(self) -> None:
        """Show all jobs again."""
        field = self.query_one("#filter", Input)
        field.value = ""
        field.remove_class("-open")
        self.jobs_list.focus()

    @on(Input.Changed, "#filter")
    def _filtered(self) -> None:
        self.render_jobs()

    @on(Input.Submitted, "#filter")
    def _filter_done(self) -> None:
        self.jobs_list.focus()


EMPTY = """No jobs yet.

n  starts a migration: from an OVF package, or from machines of a platform.
e  edits an OVF package.
c  shows the platforms Kensho can reach, and adds one."""


def about(job: JobSummary) -> Content:
    """What is known of the job, for the pane of a wide terminal."""
    sign = JOB[job.state]
    now = datetime.now(UTC)
    parts: list[str | tuple[str, str]] = [
        (f"{one_line(job.name)}\n", "bold"),
        (f"{sign.glyph} {sign.word}", sign.style),
        f"\n\nFrom    {one_line(job.source)}\nTo      {one_line(job.target)}",
        f"\nVMs     {job.machines_done} of {job.machines} done",
        f"\nBegun   {figures.day(job.created, now)}",
    ]
    if job.batch:
        parts.append(f"\nBatch   {one_line(job.batch)}")
    if job.total:
        parts.append(f"\nMoved   {size(job.position)} of {size(job.total)}")
    if job.rate >= 1 and not job.state.ended:
        parts.append(f"\nRate    {figures.rate(job.rate)}")
    if job.step:
        parts.append(f"\nStep    {one_line(job.step)}")
    if job.error:
        parts.append((f"\n\n{one_line(job.error.get('what', ''))}", sign.style))
        if job.error.get("subject"):
            parts.append(f"\nWhere: {one_line(job.error['subject'])}")
        if job.error.get("remedy"):
            parts.append(f"\nWhat to do: {one_line(job.error['remedy'])}")
    if job.questions:
        parts.append(("\n\nIt waits for your answer: press a.", LOOK.style))
    return Content.assemble(*parts)
