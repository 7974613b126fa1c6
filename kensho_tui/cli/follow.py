"""Following a job to its end on plain lines, for people, or as JSON lines, for programs."""

import shlex
import sys
import time
from typing import TYPE_CHECKING

import click

from kensho_tui.cli.out import Exit, emit_line, narrate
from kensho_tui.errors import KenshoError
from kensho_tui.person import person
from kensho_tui.text import one_line, plain

if TYPE_CHECKING:
    from kensho_tui.engine.client import Client
    from kensho_tui.engine.events import Event, JobState
    from kensho_tui.migration.context import Question, Sample

# Progress on plain lines: a line per disk for each twentieth, or when nothing was said so long.
_SHARE_BETWEEN_LINES = 0.05
_SECONDS_BETWEEN_LINES = 10.0


def follow(
    client: "Client",
    job: str,
    *,
    as_json: bool,
    ask: bool = False,
    after: int = 0,
    quiet: bool = False,
) -> Exit:
    """Print the job's events from number ``after`` + 1 on until it ends or only a person can help.

    Args:
        as_json: one JSON object a line: ``{"event": …}`` or ``{"job": …, "sample": …}``.
        ask: put the job's questions to the person at the terminal, where there is one; without
            that, a question that waits for ever ends this with `Exit.WAITING`, and one that its
            default answers at a deadline is told and waited for.
        quiet: do not call the person at the terminal when it has ended.

    Returns what the command ends with. Raises KenshoError: there is no such job, or the runner is gone.
    """
    try:
        code = _follow(client, job, as_json=as_json, ask=ask, after=after)
    except (KeyboardInterrupt, click.Abort):
        narrate(f"The job goes on; 'kensho job watch {job}' follows it.")
        return Exit.INTERRUPTED
    ring(f"{job}: {ENDED.get(code, 'ended')}", quiet=quiet)
    return code


ENDED = {
    Exit.OK: "finished",
    Exit.FAILED: "failed",
    Exit.ATTENTION: "needs attention",
    Exit.CANCELLED: "cancelled",
    Exit.WAITING: "waits for you",
}


def ring(text: str, *, quiet: bool) -> None:
    """Call the person at the terminal, where standard error is one."""
    from kensho_tui.bell import call

    if not quiet and sys.stderr.isatty():
        sys.stderr.write(call(text))
        sys.stderr.flush()


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
            if client.job(job).last > update.n:
                continue  # it was opened again, to clean up
            return exit_of(JobState(update.data["state"]))
        if update.kind is EventKind.QUESTION:
            # In a replay most have been answered since: what is open is what counts.
            view = client.job(job)
            for question in view.questions:
                if question.id != update.data["id"]:
                    continue
                if ask:
                    _put_to_person(client, job, question)
                    continue
                narrate(how_to_answer(job, question))
                if not question.answers_itself:
                    return Exit.WAITING
    return Exit.INTERNAL


def _put_to_person(client: "Client", job: str, question: "Question") -> None:
    """Ask at the terminal. Who thinks until after the deadline is told, and nothing breaks.

    An answer that breaks the rules of what is asked for is refused with the reason, and asked for anew.
    """
    while True:
        given = ask_person(question)
        try:
            client.answer(job, question.id, given, by=person())
        except KenshoError as error:
            if any(each.id == question.id for each in client.job(job).questions):
                if question.asked is None:
                    raise
                narrate(str(error))
                continue
            narrate("It was answered meanwhile.")
        return


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
    """The question, and the commands that answer it, each to be pasted as it stands."""
    from kensho_tui.migration.context import QuestionKind

    command = f"kensho job answer {job} {shlex.quote(one_line(question.id))}"
    lines = [one_line(f"The job waits: {question.text}")]
    if question.choices:
        lines.append("Answer with one of:" if len(question.choices) > 1 else "Answer with:")
        lines += [f"  {command} {shlex.quote(one_line(each))}" for each in question.choices]
    else:
        how = ", which reads it" if question.kind is QuestionKind.SECRET else ", which asks for it"
        lines += [f"Answer with this command{how} from the terminal or standard input:"]
        lines += [f"  {command}"]
    if question.answers_itself and question.expires is not None:
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


class _Lines:
    """Prints updates; progress no more often than a person can read it."""

    def __init__(self, as_json: bool, titles: dict[str, str]) -> None:
        self._as_json = as_json
        self._titles = titles
        self._said: dict[str, tuple[float, float]] = {}
        self._over: set[str] = set()

    def event(self, event: "Event") -> None:
        """One event on one line."""
        from kensho_tui.engine.telling import sentence

        if event.kind == "step_begun":
            self._over.discard(event.step)
        elif event.kind in {"step_done", "step_failed"}:
            self._over.add(event.step)
        if self._as_json:
            from kensho_tui.engine.wire import event_to

            emit_line({"event": event_to(event)})
            return
        text = sentence(event, self._titles)
        level = str(event.data.get("level", "info")) if event.kind == "note" else "info"
        if text:
            said = text if level == "info" else f"{level}: {text}"
            click.echo(f"{event.at[11:19]}  {one_line(said)}")

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
