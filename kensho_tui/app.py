"""The Textual application: themes, key map and screen registry. Nothing else."""

import asyncio
import signal
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen
from textual.theme import Theme

from kensho_tui.bell import call
from kensho_tui.defects import kept
from kensho_tui.engine.ejecting import cancelled
from kensho_tui.engine.events import JobSummary
from kensho_tui.errors import KenshoError
from kensho_tui.person import person
from kensho_tui.text import one_line
from screens.base import KenshoScreen, sentence
from screens.desk import DRAW_SELDOM_S, Desk
from screens.home import Home
from screens.leave import Leave, Leaving
from screens.palette import ScreenCommands
from screens.widgets.ask import Ask
from screens.widgets.confirm import Confirm

DARK = Theme(
    name="kensho",
    primary="#5AB0FF",
    secondary="#9BC7F0",
    accent="#FFD166",
    success="#7BE07B",
    warning="#FFD166",
    error="#FF8A80",
    foreground="#F2F4F7",
    background="#0B0F14",
    surface="#141A21",
    panel="#222B36",
    dark=True,
    text_alpha=1.0,
    variables={
        "foreground-muted": "#A9B4C0",
        # Dark enough that the colours of a row's states stand out on it too.
        "block-cursor-background": "#1F4A78",
        "block-cursor-foreground": "#FFFFFF",
        "block-cursor-text-style": "bold",
        "block-cursor-blurred-background": "#2B3644",
        "block-cursor-blurred-foreground": "#F2F4F7",
        "footer-key-foreground": "#FFD166",
    },
)
LIGHT = Theme(
    name="kensho-light",
    primary="#0050B3",
    secondary="#39618C",
    accent="#8A4B00",
    success="#0B6B1B",
    warning="#8A4B00",
    error="#A8071A",
    foreground="#10161D",
    background="#FFFFFF",
    surface="#F3F5F8",
    panel="#DFE5EC",
    dark=False,
    text_alpha=1.0,
    variables={
        "foreground-muted": "#47535F",
        "block-cursor-background": "#BBD6F7",
        "block-cursor-foreground": "#10161D",
        "block-cursor-text-style": "bold",
        "block-cursor-blurred-background": "#E2E8EF",
        "block-cursor-blurred-foreground": "#10161D",
        "footer-key-foreground": "#8A4B00",
    },
)
SIGNALS = (signal.SIGHUP, signal.SIGTERM)


@dataclass
class SecretWanted(Message):
    """A thread needs a secret of the operator's and waits for the answer."""

    name: str
    answer: Future[str | None]


class KenshoApp(App[int]):
    """Kensho in the terminal.

    Args:
        desk: what the screens work with; None for the operator's own.
        package: open the wizard on this package at once.
        edit: the editor of this package is all that is opened.
        low_bandwidth: few bytes to the terminal: its own sixteen colours, and seldom a drawing.
    """

    TITLE = "Kensho"
    CSS_PATH = Path(__file__).with_name("app.tcss")
    COMMANDS = App.COMMANDS | {ScreenCommands}
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012
        (0, "-narrow"),
        (80, "-normal"),
        (110, "-wide"),
    ]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "leave", "Leave", id="app.leave"),
        Binding("ctrl+q", "leave_now", "Leave", show=False, priority=True, id="app.leave-now"),
    ]

    def __init__(
        self,
        desk: Desk | None = None,
        *,
        package: Path | None = None,
        edit: Path | None = None,
        low_bandwidth: bool = False,
    ) -> None:
        super().__init__()
        self.desk = desk or Desk()
        if low_bandwidth:
            self.desk.draw_every_s = DRAW_SELDOM_S
        self._package = package
        self._edit = edit
        self.animation_level = "none"
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        self.theme = "ansi-dark" if low_bandwidth else "kensho"
        self.parting = ""
        self._rings = True

    def on_mount(self) -> None:
        """A closed terminal or a polite kill ends the program in order; jobs go on."""
        loop = asyncio.get_running_loop()
        for each in SIGNALS:
            loop.add_signal_handler(each, partial(self.exit, return_code=128 + each))
        self.desk.asker = self._ask_from_thread
        self.desk.bell = self._ring_from_thread
        if self._edit is not None:
            from screens.package.editor import PackageEditor

            # By itself: who edits a file wants no jobs, nor a runner for them.
            self.push_screen(PackageEditor(self.desk, self._edit), lambda _: self.exit())
            return
        home = Home(self.desk)
        self.push_screen(home)
        if self._package is not None:
            self.call_after_refresh(home.new_migration, self._package)

    def _ring_from_thread(self, text: str) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # the program has ended meanwhile
                self._loop.call_soon_threadsafe(self._ring, text)

    def _ring(self, text: str) -> None:
        # What rings is drawn nowhere: straight to the terminal.
        if self._driver is not None and self._rings:
            self._driver.write(call(text))

    def action_ringing(self) -> None:
        """Ring when a job has ended or waits, or do not any more."""
        self._rings = not self._rings
        self.notify("A job's end rings." if self._rings else "Nothing rings.")

    def _ask_from_thread(self, name: str, answer: Future[str | None]) -> None:
        self.post_message(SecretWanted(name, answer))

    @on(SecretWanted)
    def _ask_secret(self, message: SecretWanted) -> None:
        def answered(value: str | None) -> None:
            if not message.answer.done():
                message.answer.set_result(value)

        from kensho_tui.engine.secrets import what_to_ask

        changed = self.desk.secrets().changed(message.name)
        text = one_line(what_to_ask(message.name) + (f"; {changed}" if changed else ""))
        self.push_screen(Ask("Password", f"{text}:", secret=True), answered)

    def _fatal_error(self) -> None:
        """A defect of ours ends the program: a sentence, and a report in a file.

        Textual would print the variables of every frame with it, passwords among them.
        """
        error = sys.exc_info()[1] or self._exception
        self.bell()
        if error is not None:
            self.parting = f"Error: {kept(error)}\n"
        self._close_messages_no_wait()

    def on_unmount(self) -> None:
        """Give the signals back and log out everywhere."""
        loop = asyncio.get_running_loop()
        for each in SIGNALS:
            loop.remove_signal_handler(each)
        self.desk.bell = None
        self.desk.close()

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The commands of the palette that belong to no screen."""
        yield SystemCommand("Theme", "Other colours", self.action_change_theme)
        yield SystemCommand("Bell", "Ring when a job ends: on or off", self.action_ringing)
        if isinstance(screen, Home):
            text = "Change what an OVF package says, and what is in it"
            yield SystemCommand("Edit a package", text, screen.action_edit_package)
        yield SystemCommand("Leave", "Leave; jobs go on", self.action_leave)

    def _going(self) -> list[JobSummary]:
        home = next((each for each in self.screen_stack if isinstance(each, Home)), None)
        return home.going if home else []

    def action_leave(self) -> None:
        """Leave; where jobs are under way, ask what becomes of them."""
        if self._asks_to_leave(self.action_leave):
            return
        if not self._going():
            self.exit()
        elif not isinstance(self.screen, Leave):
            self.push_screen(Leave(self._going()), self._leaving)

    def _asks_to_leave(self, then: Callable[[], object]) -> bool:
        """Whether something is not saved: then it is asked what becomes of it."""
        for each in reversed(self.screen_stack):
            if isinstance(each, KenshoScreen) and each.unsaved():
                if self.screen is each:
                    each.leave(then)
                else:
                    self.bell()  # a window of it is open, which has to be closed first
                return True
        return False

    def action_leave_now(self) -> None:
        """Leave. No job is touched; where a package is not saved, that is asked first."""
        if self._asks_to_leave(self.action_leave_now):
            return
        going = len(self._going())
        if going:
            jobs = "1 job goes on" if going == 1 else f"{going} jobs go on"
            self.parting = f"{jobs}. 'kensho' brings you back, 'kensho job list' shows them.\n"
        self.exit()

    def _leaving(self, how: Leaving | None) -> None:
        if how is Leaving.DETACH:
            self.action_leave_now()
        elif how is Leaving.CANCEL:
            jobs = self._going()
            names = "\n".join(f"  {one_line(each.name)}" for each in jobs)
            text = (
                f"{names}\nWhat they have made on their targets will be removed. Machines that are"
                " in service already stay. The sources are not changed."
            )

            def answered(yes: bool | None) -> None:
                if yes:
                    self._cancel_and_leave([each.id for each in jobs])

            title = "Cancel this job?" if len(jobs) == 1 else f"Cancel these {len(jobs)} jobs?"
            self.push_screen(Confirm(title, text, yes="cancel and leave", no="stay"), answered)

    @work(thread=True, group="leave", exit_on_error=False, description="cancel the jobs")
    def _cancel_and_leave(self, jobs: list[str]) -> None:
        said = []
        for job in jobs:
            try:
                said.append(cancelled(job, self.desk.runner().cancel(job, by=person())))
            except KenshoError as error:
                said.append(f"{job} goes on: {sentence(error)}")
        self.parting = "".join(f"{each}\n" for each in said)
        self.call_from_thread(self.exit)


def run(
    *, package: Path | None = None, edit: Path | None = None, low_bandwidth: bool = False
) -> int:
    """Open the terminal interface, on the wizard or the editor where a package is given; the exit code."""
    app = KenshoApp(package=package, edit=edit, low_bandwidth=low_bandwidth)
    app.run(mouse=not low_bandwidth)
    if app.parting:
        sys.stderr.write(app.parting)
    return app.return_code or 0
