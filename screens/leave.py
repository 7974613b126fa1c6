"""Leaving while jobs are under way: they go on, unless the operator says otherwise."""

from collections.abc import Sequence
from enum import StrEnum
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from kensho_tui.engine.events import JobSummary
from kensho_tui.migration.units import count
from kensho_tui.text import one_line
from screens.states import JOB
from screens.widgets.modal import Window


class Leaving(StrEnum):
    """What becomes of the jobs. Staying is no answer."""

    DETACH = "detach"
    CANCEL = "cancel"


class Leave(Window[Leaving]):
    """Detach, cancel or stay."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d,enter,q", "leave('detach')", "Leave", id="leave.detach"),
        Binding("x", "leave('cancel')", "Cancel", id="leave.cancel"),
        Binding("s", "close_window", "Stay", id="leave.stay"),
    ]

    def __init__(self, jobs: Sequence[JobSummary]) -> None:
        """Args: jobs: those that have not ended."""
        super().__init__()
        self._jobs = tuple(jobs)

    def compose(self) -> ComposeResult:
        """What is under way, and the three ways."""
        with Vertical(classes="window") as window:
            window.border_title = "Leave Kensho?"
            with VerticalScroll(classes="text"):
                yield Static(self._text(), markup=False)
            yield Static(
                "d Leave, the jobs go on    x Leave and cancel them…    s Stay",
                markup=False,
                classes="keys",
            )

    def _text(self) -> str:
        lines = [f"{count(len(self._jobs), 'job')} under way:"]
        lines += [
            f"  {JOB[each.state].glyph} {one_line(each.name, limit=40)}  {JOB[each.state].word}"
            for each in self._jobs
        ]
        return "\n".join(
            [*lines, "", "Jobs run outside this program. 'kensho' brings you back to them."]
        )

    def action_leave(self, how: str) -> None:
        """Close with the answer."""
        self.dismiss(Leaving(how))
