"""The journal as people read it: one sentence for each event that is worth one."""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from kensho_tui.engine.events import (
    Event,
    EventKind,
    JobState,
    RunnerStatus,
    leftover_text,
    why_in_words,
)
from kensho_tui.engine.wire import error_from
from kensho_tui.migration.context import was_stopped
from kensho_tui.migration.leftovers import BY_SNAPSHOT, RELEASE, START, WITHDRAW
from kensho_tui.migration.units import rate, size
from kensho_tui.text import one_line


class Level(IntEnum):
    """How much a line weighs."""

    INFO = 0
    WARNING = 1
    ERROR = 2


_GLYPHS = {Level.INFO: " ", Level.WARNING: "!", Level.ERROR: "✗"}
_STATES = {JobState.FAILED: Level.ERROR, JobState.NEEDS_ATTENTION: Level.WARNING}


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a job's log: ``12:03:59 ✓ Check lab: done``, at the local time.

    Attributes:
        n: number of the event; at: ISO 8601 in UTC.
        glyph: one character that says what ``level`` says, and more.
    """

    n: int
    at: str
    step: str
    level: Level
    text: str
    glyph: str

    @property
    def day(self) -> str:
        """``2026-03-01``, at the local time."""
        return f"{self._local:%Y-%m-%d}"

    @property
    def _local(self) -> datetime:
        return datetime.fromisoformat(self.at).astimezone()

    def __str__(self) -> str:
        return f"{self._local:%H:%M:%S} {self.glyph} {self.text}"


def log_line(event: Event, titles: MutableMapping[str, str]) -> LogLine | None:
    """The event as a line; None where it is nothing for people.

    ``titles`` remembers what the steps are called, from one call to the next.
    """
    text = sentence(event, titles)
    if not text:
        return None
    level = level_of(event)
    good = event.kind is EventKind.STEP_DONE or event.data.get("state") == JobState.SUCCEEDED
    glyph = "✓" if good else _GLYPHS[level]
    return LogLine(event.n, event.at, event.step, level, one_line(text), glyph)


def level_of(event: Event) -> Level:
    """How much the event weighs."""
    data = event.data
    match event.kind:
        case EventKind.STEP_FAILED:
            return Level.WARNING if stopped(data) else Level.ERROR
        case EventKind.STATE:
            return _STATES.get(JobState(data["state"]), Level.INFO)
        case EventKind.NOTE:
            named = {"warning": Level.WARNING, "error": Level.ERROR}
            return named.get(str(data.get("level")), Level.INFO)
        case EventKind.QUESTION:
            return Level.WARNING
        case EventKind.CLAIMED:
            return Level.WARNING if int(data.get("attempt", 1)) > 1 else Level.INFO
        case EventKind.UNDONE:
            return Level.WARNING if data.get("leftovers") else Level.INFO
        case _:
            return Level.INFO


def sentence(event: Event, titles: MutableMapping[str, str]) -> str:
    """What happened, as text from outside that is not yet made fit for a terminal; "" for nothing."""
    data = event.data
    if event.kind is EventKind.STEP_BEGUN:
        titles[event.step] = one_line(str(data.get("title", event.step)))
    title = titles.get(event.step, event.step)
    match event.kind:
        case EventKind.SUBMITTED:
            return f"{event.job} submitted{_by(data)}"
        case EventKind.CLAIMED:
            attempt = int(data.get("attempt", 1))
            why = f": {data['why']}" if data.get("why") else ""
            return f"taken up again (attempt {attempt}){why}" if attempt > 1 else ""
        case EventKind.STATE:
            return _state(data)
        case EventKind.STEP_BEGUN:
            return title
        case EventKind.STEP_DONE:
            return f"{title}: done"
        case EventKind.STEP_FAILED:
            failed = "" if stopped(data) else "failed: "
            return f"{title}: {failed}{error_text(data.get('error'))}"
        case EventKind.NOTE:
            where = f"{data['machine']}: " if data.get("machine") else ""
            return f"{where}{data.get('message', '')}"
        case EventKind.QUESTION:
            return f"asks: {data.get('text', '')}"
        case EventKind.ANSWER:
            value = "(hidden)" if data.get("value") is None else data["value"]
            return f"answered{_by(data)}: {value}"
        case EventKind.UNDONE:
            if data.get("leftovers"):
                return f"{title}: left over"
            return f"{title}: {undone_word(str(data.get('action')), title)}"
        case EventKind.LIMITED:
            return f"limited: {rate(data['limit'])}{_by(data)}"
        case EventKind.PRIORITIZED:
            return f"priority {data['priority']}{_by(data)}"
        case EventKind.REOPENED:
            return f"what is left over is taken back once more{_by(data)}"
        case _:
            return ""


def stopped(data: Mapping[str, object]) -> bool:
    """Whether the step of that error did not fail itself."""
    error = data.get("error")
    return isinstance(error, Mapping) and was_stopped(str(error.get("what", "")))


# Undos that belong to a good end too: of what was only needed on the way.
TAKEN_BACK = "taken back"
_ENDED_WELL = {RELEASE: "let go", START: "started again", WITHDRAW: "ejected and deleted"}


def undone_word(action: str, title: str) -> str:
    """What became of a step that was undone, by its undo's action: ``taken back``, ``let go`` …"""
    if action == RELEASE and title.endswith(BY_SNAPSHOT):
        return "snapshot removed again"
    return _ENDED_WELL.get(action, TAKEN_BACK)


def troubles(seen: RunnerStatus) -> list[str]:
    """What of the runner's own holds jobs up or is not as was meant, a sentence or more each."""
    found = []
    if seen.full:
        found.append(
            f"The state disk is full: {size(seen.free)} are free and {size(seen.needed)} have to be "
            f"({seen.state_dir}). No job is begun or gone on with until there is room."
        )
    if seen.settings_error:
        holds = "what held before holds on" if seen.running else "the runner does not start with it"
        found.append(
            f"A setting of the runner is not right, and {holds}: {error_text(seen.settings_error)}"
        )
    return [one_line(each) for each in found]


def _by(data: Mapping[str, object]) -> str:
    return f" by {data['by']}" if data.get("by") else ""


def _state(data: Mapping[str, object]) -> str:
    word = str(data["state"]).replace("_", " ")
    if data.get("reason"):
        by, until = str(data.get("by", "")), str(data.get("until", ""))
        waits = why_in_words(str(data["reason"]), by, until)
        return f"job {waits if waits.startswith(word) else f'{word}: {waits}'}"
    if data.get("by"):
        return f"job resumed{_by(data)}: {word}"
    failure = data.get("error")
    error = error_text(failure)
    # What ended the job is often why it could not be tidied: said once.
    why = failure.get("what") if isinstance(failure, Mapping) else None
    leftovers = data.get("leftovers")
    left = "".join(
        f" Left over: {leftover_text({k: v for k, v in each.items() if k != 'reason' or v != why})}"
        for each in (leftovers if isinstance(leftovers, list) else ())
    )
    end = f": {error}" if error else ("." if left else "")
    return f"job {word}{end}{left}"


def error_text(error: object) -> str:
    """What, where and what to do, in one line; "" for none."""
    return str(error_from(dict(error))) if isinstance(error, Mapping) else ""
