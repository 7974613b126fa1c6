"""One job: its machines and disks with their progress, its log, its questions, and its end."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

from rich.text import Text
from textual import getters, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Footer, RichLog

from kensho_tui.engine import ejecting
from kensho_tui.engine.events import JobState, JobView, Reason
from kensho_tui.engine.limits import LimitBy, in_words
from kensho_tui.engine.telling import log_line
from kensho_tui.errors import KenshoError
from kensho_tui.migration.context import Sample, StepState
from kensho_tui.migration.units import memory, parse_rate, size
from kensho_tui.person import person
from kensho_tui.text import one_line
from screens import doable, figures, job_report
from screens.base import KenshoScreen, sentence
from screens.desk import Desk, Runner
from screens.feed import JobFeed, NewsArrived, RunnerSilent
from screens.states import BAD, JOB, LOOK
from screens.widgets.ask import Ask
from screens.widgets.confirm import Confirm
from screens.widgets.notice import Notice
from screens.widgets.quiet import Quiet
from screens.widgets.reason import ReasonLine
from screens.widgets.rows import Column, Rows
from screens.widgets.title import TitleLine

NARROW = (
    Column("", 1),
    Column("STEP", 0),
    Column("PROGRESS", job_report.BAR),
    Column("", 5, right=True),
    Column("RATE", 9, right=True),
    Column("LEFT/AT", 9, right=True),
)
SMALL = (*NARROW[:2], Column("DONE", 10, right=True))  # on a terminal too narrow for the others
WIDE = (*NARROW[:4], Column("MOVED", 18, right=True), *NARROW[4:])
STAY = "esc goes home; the job goes on. x cancels it."


EJECTED = (
    "The CDs with the guests' settings, a password among them, are ejected and deleted.\n"
    "A guest that has not read its own by now never will."
)


class Steps(Rows):
    """The list of steps."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select", "Details", id="monitor.details")
    ]


@dataclass
class JobLoaded(Message):
    """The job as it stands now."""

    view: JobView


@dataclass
class RequestFailed(Message):
    """The runner refused what was asked of it, or is not there."""

    error: KenshoError


class Monitor(KenshoScreen[None]):
    """What one job does."""

    CSS_PATH = "monitor.tcss"
    AUTO_FOCUS = "Steps"
    # The log gives way to the steps where there is no room for both; l shows it.
    VERTICAL_BREAKPOINTS = [(0, "-low"), (18, "-high")]  # noqa: RUF012
    HELP_TITLE = "A job"
    HELP_TEXT = """
Every step of the job, by machine: what it does, how far it is, how fast, and how long it will take.
Below it the log. The job runs outside this program: esc goes home and the job goes on.

  ● running   ✓ done   ✗ failed   – removed again   ! wants a look

space lets the job hold still where it is, and go on; b says how fast it may go. x cancels: it asks
once and says what will be removed. Machines that are in service already stay, and the source is never
changed. Where the job waits for an answer, a asks you. Where it failed, r does it once more; where it
left something over, r tries to remove it.
Where guests were handed a password on a CD, e ejects and deletes that, once they have read it.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "answer", "Answer", id="monitor.answer"),
        Binding("space", "hold", "Pause", id="monitor.pause"),
        Binding("space", "go_on", "Go on", id="monitor.resume"),
        Binding("b", "limit", "Speed", id="monitor.limit"),
        Binding("x", "cancel", "Cancel…", id="monitor.cancel"),
        Binding("r", "retry", "Retry", id="monitor.retry"),
        Binding("r", "clean_up", "Clean up", id="monitor.clean-up"),
        Binding("e", "eject", "Eject…", id="monitor.eject"),
        Binding("l", "log", "Log", id="monitor.log"),
        Binding("escape", "home", "Home", id="monitor.home"),
    ]

    steps = getters.query_one(Steps)
    log_pane = getters.query_one(RichLog)
    reason = getters.query_one(ReasonLine)
    title_line = getters.query_one(TitleLine)

    def __init__(self, desk: Desk, job: str, *, answer: bool = False) -> None:
        """Args: answer: ask the job's question as soon as it is known."""
        super().__init__()
        self.desk = desk
        self.job = job
        self.view: JobView | None = None
        self._answer_at_once = answer
        self._samples: dict[str, Sample] = {}
        self._titles: dict[str, str] = {}
        self._logged = 0
        self._said = ""
        self._feed = JobFeed(desk, self, job)

    def compose(self) -> ComposeResult:
        """The whole, the steps, the end's report, the log."""
        yield TitleLine("Job")
        yield Quiet("Asking the runner …", id="overall")
        with Horizontal(id="work"):
            with Vertical(id="left"):
                yield Quiet("", classes="heading")
                yield Steps(NARROW, id="steps")
            yield Quiet("", id="details")
        with VerticalScroll(id="report"):
            yield Quiet("", id="report-text")
        yield RichLog(id="log", wrap=True, markup=False, highlight=False, max_lines=2000)
        yield ReasonLine(STAY)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Begin to listen."""
        self.load()
        self._feed.start()
        self.set_interval(self.desk.draw_every_s, self._take)

    def on_unmount(self) -> None:
        """Stop listening; the job goes on."""
        self._feed.stop()

    # ------------------------------------------------------------------------------------- news
    def _take(self) -> None:
        news = self._feed.take()
        if news is not None:
            self.post_message(news)

    @on(NewsArrived)
    def _news(self, news: NewsArrived) -> None:
        self._samples.update({sample.step: sample for sample in news.samples})
        if news.events:
            self.load()
        elif self.view is not None:
            self.render_job()

    @on(RunnerSilent)
    def _silent(self, message: RunnerSilent) -> None:
        self.say_error(message.error)

    @work(thread=True, group="job", exclusive=True, exit_on_error=False, description="load the job")
    def load(self) -> None:
        """Ask for the job as it stands now."""
        try:
            self.post_message(JobLoaded(self.desk.runner().job(self.job)))
        except KenshoError as error:
            self.post_message(RequestFailed(error))

    @on(JobLoaded)
    def _loaded(self, message: JobLoaded) -> None:
        before, self.view = self.view, message.view
        if before is None or doable.doable(before) != doable.doable(self.view):
            self.refresh_bindings()
        self._said = ""
        self._write_log()
        self.render_job()
        if self.view.summary.state.ended:
            self._feed.stop()
        elif self._feed.cancel.cancelled:  # it had ended, and what it left over is taken back
            self._feed = JobFeed(self.desk, self, self.job)
            self._feed.start()
        if self._answer_at_once and self.view.questions:
            self._answer_at_once = False
            self.action_answer()

    @on(RequestFailed)
    def _failed(self, message: RequestFailed) -> None:
        self._said = sentence(message.error)
        self.say_error(message.error)

    # ---------------------------------------------------------------------------------- drawing
    def _write_log(self) -> None:
        assert self.view is not None
        new = [event for event in self.view.log if event.n > self._logged]
        if new:
            self._logged = new[-1].n
        for event in new:
            if line := log_line(event, self._titles):
                self.log_pane.write(Text(str(line)))

    def render_job(self) -> None:
        """Draw everything but the log."""
        view = self.view
        if view is None:
            return
        job, now = view.summary, datetime.now(UTC)
        sign = JOB[job.state]
        self.title_line.left = (
            f"{job.name} ▸ {figures.place(job.source)} → {figures.place(job.target)}"
        )
        took = figures.elapsed(job.created, job.updated if job.state.ended else "", now)
        self.title_line.right = f"{sign.glyph} {sign.word} {took}"
        self.query_one("#overall", Quiet).update(self._overall(view))
        width = self.steps.size.width
        wide, small = width >= 90, width < 64
        columns = WIDE if wide else SMALL if small else NARROW
        if self.steps.columns != columns:
            self.steps.lay_out(columns)
        self.steps.show(job_report.step_rows(view, self._samples, wide=wide, small=small))
        self.query_one(".heading", Quiet).update(self.steps.headings())
        ending = job_report.report(view, now)
        self.query_one("#report").set_class(bool(ending), "-open")
        self.query_one("#report-text", Quiet).update(Content(ending))
        self._show_details()
        self._say(view)

    def _overall(self, view: JobView) -> Content:
        job = view.summary
        states = {step.step: step.state for step in view.steps}
        # Samples come more often than the job itself is read.
        dealt = sum(
            each.total if states.get(each.step) is StepState.DONE else each.position
            for each in self._samples.values()
        )
        position = max(job.position, dealt)
        rate = sum(
            each.rate
            for each in self._samples.values()
            if states.get(each.step) is StepState.RUNNING
        )
        parts = [f"{job.machines_done} of {job.machines} machines"]
        if job.total and not job.state.ended:
            parts += [
                f"{figures.bar(figures.share(position, job.total), 12)} "
                f"{figures.percent(position, job.total)}",
                f"{size(position)} of {size(job.total)}",
                figures.rate(rate),
            ]
            if rate >= 1 and position < job.total:
                parts.append(f"{figures.span((job.total - position) / rate)} left")
        return Content("  ".join(part for part in parts if part))

    def _say(self, view: JobView) -> None:
        job = view.summary
        if view.questions:
            text = one_line(view.questions[0].text)
            self.reason.say(f"The job waits for you: {text} Press a to answer.", LOOK)
        elif job.state is JobState.PAUSED or job.waits:
            on = " space lets it go on." if job.reason == Reason.OPERATOR else ""
            waits = job.waits or "paused"
            self.reason.say(f"{waits[:1].upper()}{waits[1:]}.{on}", LOOK)
        elif job.state is JobState.CANCELLING:
            self.reason.say("Cancelling: what was made is being removed.", LOOK)
        elif job.state is JobState.SUCCEEDED and ejecting.left_over(view):
            text = "Done, but a CD with a password is still in the guests' drives. e ejects it."
            self.reason.say(text, LOOK)
        elif job.state is JobState.SUCCEEDED:
            self.reason.say("Done. esc goes home.", JOB[job.state])
        elif job.state in doable.AGAIN:
            self.reason.say(
                f"Ended; the report above says how. {doable.AGAIN[job.state]}", JOB[job.state]
            )
        elif self._said:
            self.reason.say(self._said, BAD)
        else:
            self.reason.say(STAY)

    def _step_text(self) -> str:
        here = self.steps.current
        for step in self.view.steps if self.view else ():
            if step.step == here:
                sample = self._samples.get(step.step, step.sample)
                return job_report.step_text(step, sample, datetime.now(UTC))
        return ""

    @on(Rows.OptionHighlighted)
    def _show_details(self) -> None:
        details = self.query_one("#details", Quiet)
        if details.display:
            details.update(Content(self._step_text()))

    # ---------------------------------------------------------------------------------- actions
    @on(Rows.OptionSelected)
    def _open_details(self) -> None:
        text = self._step_text()
        if text:
            self.app.push_screen(Notice("Step", text))

    def action_home(self) -> None:
        """Back home, or out of the log."""
        if self.has_class("-log"):
            self.action_log()
        else:
            self.dismiss(None)

    def action_log(self) -> None:
        """Give the log the whole screen, or take it back."""
        self.toggle_class("-log")
        (self.log_pane if self.has_class("-log") else self.steps).focus()

    def action_answer(self) -> None:
        """Ask the first open question."""
        questions = self.view.questions if self.view else ()
        if not questions:
            self.reason.say("The job asks nothing now.")
            return
        question = questions[0]

        def answered(value: str | None) -> None:
            if value is not None:
                self._send_answer(question.id, value)

        self.app.push_screen(doable.window(question), answered)

    def _send_answer(self, question: str, value: str) -> None:
        self._ask_runner(lambda runner: runner.answer(self.job, question, value, by=person()))

    @work(thread=True, group="request", exit_on_error=False, description="ask the runner")
    def _ask_runner(self, request: Callable[[Runner], object]) -> None:
        try:
            request(self.desk.runner())
            self.post_message(JobLoaded(self.desk.runner().job(self.job)))
        except KenshoError as error:
            self.post_message(RequestFailed(error))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys are shown where they do something; a job that is not known yet has none of these."""
        return action not in doable.STEERING or (
            self.view is not None and action in doable.doable(self.view)
        )

    def action_hold(self) -> None:
        """Let the job hold still."""
        self._ask_runner(lambda runner: runner.pause(self.job, by=person()))

    def action_go_on(self) -> None:
        """Let the job go on."""
        self._ask_runner(lambda runner: runner.resume(self.job, by=person()))

    def action_limit(self) -> None:
        """Ask how fast the job may go."""
        assert self.view is not None
        row = self.view.summary
        planned = any(self.view.plan.get("spec", {}).get("run", {}).get("bandwidth", {}).values())
        # Of the plan's limit, which may change with the hour, enter makes none of the operator's.
        own = row.limit_by == LimitBy.OPERATOR or (row.limit is None and not planned)
        before = (memory(row.limit) if row.limit else "none") if own else ""
        said = f"Now: {in_words(row.limit, row.limit_by)}."

        def answered(value: str | None) -> None:
            if value is None or value == before:
                return
            try:
                wanted = parse_rate(value)
            except KenshoError as error:
                self._failed(RequestFailed(error))
                return
            self._ask_runner(lambda runner: runner.limit(self.job, wanted, by=person()))

        text = (
            f"How fast may it go, all its disks together?\n{said}\n"
            "Bytes a second with a unit, such as 50M or 1.5 GiB; none for as fast as it can."
        )
        self.app.push_screen(Ask("Speed", text, value=before, empty=not before), answered)

    @work(thread=True, group="request", exit_on_error=False, description="do the job again")
    def action_retry(self) -> None:
        """Do the job once more, as a new one, and show that."""
        try:
            again = self.desk.runner().retry(self.job, by=person())
            self.app.call_from_thread(self.app.switch_screen, Monitor(self.desk, again))
        except KenshoError as error:
            self.post_message(RequestFailed(error))

    def action_clean_up(self) -> None:
        """Try once more to remove what was left over."""
        self._ask_runner(lambda runner: runner.cleanup(self.job, by=person()))

    def action_eject(self) -> None:
        """Ask once, then have the CDs that hold a password ejected and deleted."""
        view = self.view
        if view is None:
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self._ask_runner(eject)

        def eject(runner: Runner) -> None:
            ejecting.eject(
                view,
                lambda question, value: runner.answer(self.job, question, value, by=person()),
                lambda: runner.cleanup(self.job, by=person()),
            )

        self.app.push_screen(
            Confirm("Eject the CDs?", EJECTED, yes="eject them", no="leave them"), answered
        )

    def action_cancel(self) -> None:
        """Ask once, say what will be removed, then cancel."""
        view = self.view
        if view is None:
            return
        if view.summary.state.ended:
            self.reason.say("The job has ended; there is nothing to cancel.")
            return
        made = [
            one_line(step.title)
            for step in view.steps
            if step.state in {StepState.DONE, StepState.RUNNING} and (step.machine or step.disk)
        ]
        removed = "\n".join(f"  {title}" for title in made) or "  nothing has been made yet"
        target = one_line(view.summary.target)
        title = f"Cancel {view.summary.name}?"
        text = (
            f"What these steps made on {target} will be removed:\n"
            f"{removed}\nThe source is not changed."
        )
        yes, no = "cancel the job", "let it go on"
        if ejecting.in_service(view):
            text = f"What the job made on {target} is in service and stays: cancelling removes none of it."
            if ejecting.asked(view):
                text += f"\n{EJECTED}"
                title, yes, no = "Eject the CDs and end the job?", "eject them", "leave them"

        def answered(yes: bool | None) -> None:
            if yes:
                self._send_cancel()

        self.app.push_screen(
            Confirm(title, text, yes=yes, no=no),
            answered,
        )

    def _send_cancel(self) -> None:
        self._ask_runner(lambda runner: runner.cancel(self.job, by=person()))
