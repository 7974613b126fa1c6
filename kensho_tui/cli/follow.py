"""Following a job to its end on plain lines, for people, or as JSON lines, for programs."""

import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from kensho_tui.cli.out import Exit, emit_line, narrate
from kensho_tui.engine.events import leftover_text
from kensho_tui.errors import KenshoError
from kensho_tui.text import one_line, plain

if TYPE_CHECKING:
    from kensho_tui.engine.client import Client
    from kensho_tui.engine.events import Event, JobState
    from kensho_tui.migration.context import Question, Sample

# Progress on plain lines: a line per disk for each twentieth, or when nothing was said so long.
_SHARE_BETWEEN_LINES = 0.05
_SECONDS_BETWEEN_LINES = 10.0


def follow(client: "Client", job: str, *, as_json: bool, ask: bool = False, after: int = 0) -> Exit:
    """Print the job's events from number ``after`` + 1 on until it ends or only a person can help.

    Args:
        as_json: one JSON object a line: ``{"event": …}`` or ``{"job": …, "sample": …}``.
        ask: put the job's questions to the person at the terminal, where there is one; without
            that, a question without a default ends this with `Exit.WAITING`.

    Returns what the command ends with. Raises KenshoError: there is no such job, or the runner is gone.
    """
    try:
        return _follow(client, job, as_json=as_json, ask=ask, after=after)
    except (KeyboardInterrupt, click.Abort):
        narrate(f"The job goes on; 'kensho job watch {job}' follows it.")
        return Exit.INTERRUPTED


def _follow(client: "Client", job: str, *, as_json: bool, ask: bool, after: int) -> Exit:
    from kensho_tui.engine.events import Event, EventKind, JobState

    # What began before ``after`` is not told again, but its titles are spoken of.
    titles = {each.step: each.title for each in client.job(job).steps} if after else {}
    lines = _Lines(as_json, titles)
    ask = ask and sys.stdin.isatty()
    for update in client.watch(job, {job: after}):
        if not isinstance(update, Event):
            lines.sample(*update)
            continue
        lines.event(update)
        if update.kind is EventKind.STATE and JobState(update.data["state"]).ended:
            return exit_of(JobState(update.data["state"]))
        if update.kind is EventKind.QUESTION:
            # In a replay most have been answered since: what is open is what counts.
            view = client.job(job)
            for question in view.questions:
                if question.id != update.data["id"]:
                    continue
                if ask:
                    client.answer(job, question.id, ask_person(question), by=person())
                    continue
                narrate(how_to_answer(job, question))
                if question.default is None or question.expires is None:
                    return Exit.WAITING
    return Exit.INTERNAL


def exit_of(state: "JobState") -> Exit:
    """Which exit code the end of a job means."""
    return {
        "succeeded": Exit.OK,
        "failed": Exit.FAILED,
        "cancelled": Exit.CANCELLED,
        "needs_attention": Exit.ATTENTION,
        "waiting": Exit.WAITING,
    }.get(state, Exit.OK)


def how_to_answer(job: str, question: "Question") -> str:
    """The question, and the command that answers it."""
    choices = f" ({' / '.join(question.choices)})" if question.choices else ""
    lines = [
        one_line(f"The job waits: {question.text}{choices}"),
        f"Answer with: kensho job answer {job} {one_line(question.id)}",
    ]
    if question.default is not None and question.expires is not None:
        until = question.expires.astimezone().strftime("%H:%M")
        lines.append(one_line(f"Without an answer until {until} it is: {question.default}"))
    return "\n".join(lines)


def ask_person(question: "Question") -> str:
    """The answer, from the terminal or the first line of standard input; a secret is not echoed.

    Raises: KenshoError: there is no such line, or it is empty.
    """
    from kensho_tui.migration.context import QuestionKind

    secret = question.kind is QuestionKind.SECRET
    if not sys.stdin.isatty():
        given = sys.stdin.readline().rstrip("\r\n")
        if not given:
            raise KenshoError(
                "no answer was given: standard input is empty",
                subject=question.id,
                remedy="Give the answer as its first line",
            )
        return given
    answer: str = click.prompt(
        one_line(question.text),
        type=click.Choice(question.choices) if question.choices else str,
        default=question.default,
        hide_input=secret,
        err=True,
    )
    return answer


def person() -> str:
    """Who answers, for the journal: the user's name on this machine."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no name for this user id
        return ""


def error_text(error: object) -> str:
    """What, where and what to do, in one line."""
    if not isinstance(error, Mapping):
        return ""
    from kensho_tui.engine.wire import error_from

    return str(error_from(dict(error)))


def _by(data: Mapping[str, object]) -> str:
    return f" by {data['by']}" if data.get("by") else ""


class _Lines:
    """Prints updates; progress no more often than a person can read it."""

    def __init__(self, as_json: bool, titles: dict[str, str]) -> None:
        self._as_json = as_json
        self._titles = titles
        self._said: dict[str, tuple[float, float]] = {}
        self._over: set[str] = set()

    def event(self, event: "Event") -> None:
        """One event on one line."""
        if self._as_json:
            from kensho_tui.engine.wire import event_to

            emit_line({"event": event_to(event)})
            return
        text = self._sentence(event)
        if text:
            click.echo(f"{event.at[11:19]}  {one_line(text)}")

    def _sentence(self, event: "Event") -> str:
        from kensho_tui.engine.events import why_in_words
        from kensho_tui.migration.units import rate

        data = event.data
        if event.kind == "step_begun":
            self._titles[event.step] = str(data["title"])
            self._over.discard(event.step)
        elif event.kind in {"step_done", "step_failed"}:
            self._over.add(event.step)
        title = self._titles.get(event.step, event.step)
        match event.kind:
            case "submitted":
                return f"{event.job} submitted"
            case "claimed":
                again = data["attempt"] > 1
                return f"taken up again (attempt {data['attempt']})" if again else ""
            case "state":
                error = error_text(data.get("error"))
                word = str(data["state"]).replace("_", " ")
                if data.get("reason"):
                    waits = why_in_words(data["reason"], data.get("by", ""), data.get("until", ""))
                    return f"job {waits if waits.startswith(word) else f'{word}: {waits}'}"
                if data.get("by"):
                    return f"job resumed{_by(data)}: {word}"
                # What ended the job is often why it could not be tidied: said once.
                why = (data.get("error") or {}).get("what")
                left = "".join(
                    f" Left over: {leftover_text({k: v for k, v in each.items() if k != 'reason' or v != why})}"
                    for each in data.get("leftovers", ())
                )
                end = f": {error}" if error else ("." if left else "")
                return f"job {word}{end}{left}"
            case "limited":
                return f"limited: {rate(data['limit'])}{_by(data)}"
            case "prioritized":
                return f"priority {data['priority']}{_by(data)}"
            case "step_begun":
                return title
            case "step_done":
                return f"{title}: done"
            case "step_failed":
                return f"{title}: failed: {error_text(data['error'])}"
            case "note":
                where = f"{data['machine']}: " if data.get("machine") else ""
                level = "" if data["level"] == "info" else f"{data['level']}: "
                return f"{level}{where}{data['message']}"
            case "question":
                return f"asks: {data['text']}"
            case "answer":
                value = "(hidden)" if data["value"] is None else data["value"]
                return f"answered{_by(data)}: {value}"
            case "undone":
                if data["leftovers"]:
                    return f"{title}: left over"
                # Letting go of the source ends every job, the good ones too.
                return f"{title}: " + ("let go" if data["action"] == "release" else "taken back")
            case _:
                return ""

    def sample(self, job: str, sample: "Sample") -> None:
        """Progress of a disk."""
        if self._as_json:
            from kensho_tui.engine.wire import sample_to

            emit_line({"job": job, "sample": sample_to(sample)})
            return
        if sample.step not in self._titles or sample.step in self._over:
            return  # not yet begun, or it was said already that it is done
        share, now = sample.position / max(sample.total, 1), time.monotonic()
        before = self._said.get(sample.step)
        if before and (
            share - before[0] < _SHARE_BETWEEN_LINES and now - before[1] < _SECONDS_BETWEEN_LINES
        ):
            return
        self._said[sample.step] = (share, now)
        from humanize import naturalsize

        title = self._titles[sample.step]
        done = naturalsize(sample.position, binary=True)
        whole = naturalsize(sample.total, binary=True)
        rate = f", {naturalsize(sample.rate, binary=True)}/s" if sample.rate else ""
        left = f", {sample.eta_s:.0f} s left" if sample.eta_s is not None else ""
        click.echo(plain(f"          {title}: {share:.0%} ({done} of {whole}{rate}{left})"))
