"""The words and glyphs of every state. Colour (a style class) only underlines them."""

from dataclasses import dataclass

from kensho_tui.engine.events import JobState
from kensho_tui.findings import Severity
from kensho_tui.migration.context import StepState


@dataclass(frozen=True, slots=True)
class Sign:
    """How a state is shown. ``style`` is a variable of the theme: ``$success``."""

    glyph: str
    word: str
    style: str = ""


RUNNING = Sign("●", "running", "$primary")
DONE = Sign("✓", "done", "$success")
LOOK = Sign("!", "look here", "$warning")
BAD = Sign("✗", "failed", "$error")
LATER = Sign("○", "not yet", "$foreground-muted")
UNNEEDED = Sign("–", "not needed", "$foreground-muted")

JOB: dict[JobState, Sign] = {
    JobState.SCHEDULED: Sign("○", "scheduled", LATER.style),
    JobState.QUEUED: Sign("○", "queued", LATER.style),
    JobState.RUNNING: RUNNING,
    JobState.PAUSED: Sign("‖", "paused", LOOK.style),
    JobState.WAITING: Sign("!", "waits for you", LOOK.style),
    JobState.CANCELLING: Sign("●", "cancelling", LOOK.style),
    JobState.SUCCEEDED: Sign("✓", "finished", DONE.style),
    JobState.FAILED: BAD,
    JobState.CANCELLED: Sign("–", "cancelled", UNNEEDED.style),
    JobState.NEEDS_ATTENTION: Sign("!", "look here", LOOK.style),
}

STEP: dict[StepState, Sign] = {
    StepState.RUNNING: RUNNING,
    StepState.DONE: DONE,
    StepState.FAILED: BAD,
    StepState.UNDOING: Sign("●", "is taken back", LOOK.style),
    StepState.UNDONE: Sign("–", "taken back", UNNEEDED.style),
}

FINDING: dict[Severity, Sign] = {
    Severity.ERROR: Sign("✗", "error", BAD.style),
    Severity.WARNING: Sign("!", "warning", LOOK.style),
    Severity.INFO: Sign("i", "note", "$foreground-muted"),
}
