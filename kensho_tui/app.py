"""The Textual application: themes, key map and screen registry. Nothing else."""

import asyncio
import signal
import sys
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen
from textual.theme import Theme

from screens.desk import Desk
from screens.home import Home
from screens.palette import ScreenCommands
from screens.widgets.ask import Ask

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
        Binding("ctrl+q", "leave", "Leave", show=False, priority=True, id="app.leave-now"),
    ]

    def __init__(self, desk: Desk | None = None, *, package: Path | None = None) -> None:
        super().__init__()
        self.desk = desk or Desk()
        self._package = package
        self.animation_level = "none"
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        self.theme = "kensho"
        self.parting = ""

    def on_mount(self) -> None:
        """A closed terminal or a polite kill ends the program in order; jobs go on."""
        loop = asyncio.get_running_loop()
        for each in SIGNALS:
            loop.add_signal_handler(each, partial(self.exit, return_code=128 + each))
        self.desk.asker = self._ask_from_thread
        home = Home(self.desk)
        self.push_screen(home)
        if self._package is not None:
            self.call_after_refresh(home.new_migration, self._package)

    def _ask_from_thread(self, name: str, answer: Future[str | None]) -> None:
        self.post_message(SecretWanted(name, answer))

    @on(SecretWanted)
    def _ask_secret(self, message: SecretWanted) -> None:
        def answered(value: str | None) -> None:
            if not message.answer.done():
                message.answer.set_result(value)

        what = message.name.removeprefix("connection:")
        self.push_screen(Ask("Password", f"Password of {what}:", secret=True), answered)

    def on_unmount(self) -> None:
        """Give the signals back and log out everywhere."""
        loop = asyncio.get_running_loop()
        for each in SIGNALS:
            loop.remove_signal_handler(each)
        self.desk.close()

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The commands of the palette that belong to no screen."""
        yield SystemCommand("Theme", "Other colours", self.action_change_theme)
        yield SystemCommand("Leave", "Leave; jobs go on", self.action_leave)

    def action_leave(self) -> None:
        """Leave. No job is touched."""
        home = next((each for each in self.screen_stack if isinstance(each, Home)), None)
        going = home.going if home else 0
        if going:
            jobs = "1 job goes on" if going == 1 else f"{going} jobs go on"
            self.parting = f"{jobs}. 'kensho' brings you back, 'kensho job list' shows them.\n"
        self.exit()


def run(*, package: Path | None = None) -> int:
    """Open the terminal interface, on the wizard where a package is given; the exit code."""
    app = KenshoApp(package=package)
    app.run()
    if app.parting:
        sys.stderr.write(app.parting)
    return app.return_code or 0
