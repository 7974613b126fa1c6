"""``kensho job``: the jobs of this operator, from any terminal."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from kensho_tui.cli import again, log, report
from kensho_tui.cli.jobs import (
    batch_option,
    job_argument,
    open_client,
    optional_job_argument,
    quiet_option,
)
from kensho_tui.cli.out import emit, guarded, json_option, narrate
from kensho_tui.errors import KenshoError
from kensho_tui.person import person
from kensho_tui.text import one_line

if TYPE_CHECKING:
    from kensho_tui.engine.client import Client
    from kensho_tui.engine.events import JobSummary, JobView


@click.group()
def job() -> None:
    """List, show, watch, steer, cancel and answer jobs. They run outside any terminal."""


job.add_command(again.retry)
job.add_command(again.cleanup)
job.add_command(again.eject)
job.add_command(log.log)
job.add_command(report.report)


@job.command("list")
@click.option("--all/--unended", "everything", default=True, help="Those that have ended too.")
@batch_option("Only those of this batch.")
@json_option
@guarded
def list_(everything: bool, batch: str | None, as_json: bool) -> None:
    """List the jobs, newest first."""
    from kensho_tui.cli.runner import warn
    from kensho_tui.engine.batches import jobs_of

    with open_client() as client:
        jobs = client.jobs() if batch is None else jobs_of(client.jobs(), batch)
        jobs = [each for each in jobs if everything or not each.state.ended]
        seen = client.status()
    emit(jobs, _table(jobs) if jobs else "No jobs.", as_json=as_json)
    warn(seen)


def _table(jobs: "list[JobSummary]") -> str:
    head = ("JOB", "STATE", "MACHINES", "DONE", "FROM → TO", "STEP")
    rows = [head]
    for each in jobs:
        done = f"{each.position / each.total:.0%}" if each.total and not each.state.ended else ""
        rows.append(
            (
                each.id,
                each.state.replace("_", " "),
                f"{each.machines_done} of {each.machines}",
                done,
                one_line(f"{each.source} → {each.target}", limit=48),
                one_line(each.step, limit=40),
            )
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


@job.command()
@job_argument
@json_option
@guarded
def show(job_id: str, as_json: bool) -> None:
    """Show one job: its state, steps, questions, error and what is left over."""
    with open_client() as client:
        view = client.job(job_id)
    emit(view, page(view), as_json=as_json)


# In the words of the log.
_STEP = {"undoing": "taking back", "undone": "taken back"}


def page(view: "JobView") -> str:
    """A job for people."""
    from kensho_tui.cli.follow import how_to_answer
    from kensho_tui.engine.events import leftover_text
    from kensho_tui.engine.limits import in_words
    from kensho_tui.engine.telling import error_text

    row = view.summary
    lines = [
        f"{row.id}  {one_line(row.name)}",
        f"  State     {row.state.replace('_', ' ')}, attempt {row.attempt}",
        f"  From      {one_line(row.source)}",
        f"  To        {one_line(row.target)}",
        f"  Machines  {row.machines_done} of {row.machines}",
        f"  Created   {row.created}",
        f"  Updated   {row.updated}",
    ]
    if row.waits:
        lines.insert(2, f"  Why       {one_line(row.waits)}")
    if row.batch:
        lines.append(f"  Batch     {one_line(row.batch)}")
    if row.retry_of:
        lines.append(f"  Again for {row.retry_of}")
    if row.limit is not None:
        lines.append(f"  Limit     {in_words(row.limit, row.limit_by)}")
    if row.priority:
        lines.append(f"  Priority  {row.priority}")
    if row.error:
        lines.append(f"  Error     {one_line(error_text(row.error))}")
    if view.steps:
        lines.append("Steps")
    for step in view.steps:
        share = ""
        if step.sample and step.state == "running":
            share = f"  {step.sample.position / max(step.sample.total, 1):.0%}"
        word = f": {step.word}" if step.word else ""
        lines.append(
            f"  {_STEP.get(step.state, step.state):<10}  {one_line(step.title)}{share}{word}"
        )
    if view.leftovers:
        lines.append("Left over")
    lines += [f"  {leftover_text(each)}" for each in view.leftovers]
    lines += [how_to_answer(row.id, each) for each in view.questions]
    return "\n".join(lines)


@job.command()
@optional_job_argument
@batch_option("All jobs of this batch, as one: a line of progress for the whole.")
@click.option("--after", default=0, metavar="N", help="Only events after this number.")
@click.option("--ask", is_flag=True, help="Put the job's questions to you, here.")
@quiet_option
@json_option
@click.pass_context
@guarded
def watch(
    ctx: click.Context,
    job_id: str | None,
    batch: str | None,
    after: int,
    ask: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Print what the job does until it ends: what happened so far, then live.

    Leaving with ctrl+c does not touch the job. Ends with 0, or 5 (failed), 6 (needs attention),
    7 (cancelled), 10 (waits for an answer that only a person can give); for a batch with the worst
    of them. A question that its default answers at a deadline is told, and the watching goes on.
    """
    from kensho_tui.cli.follow import follow
    from kensho_tui.cli.many import follow_batch

    if (job_id is None) == (batch is None):
        raise click.UsageError("name a job, or a batch with --batch")
    if batch is not None and (after or ask):
        raise click.UsageError("--after and --ask go with one job")
    with open_client() as client:
        if batch is not None:
            code = follow_batch(client, batch, as_json=as_json, quiet=quiet)
        else:
            code = follow(client, str(job_id), as_json=as_json, ask=ask, after=after, quiet=quiet)
    ctx.exit(int(code))


@job.command()
@job_argument
@click.option("--wait", is_flag=True, help="Until it has ended; exit codes as with 'watch'.")
@quiet_option
@json_option
@click.pass_context
@guarded
def cancel(ctx: click.Context, job_id: str, wait: bool, quiet: bool, as_json: bool) -> None:
    """Cancel a job; what it has made on the target is removed.

    Once its machines are in service they stay. A job that waits then for its guests to read a CD
    with a password ejects and deletes that at once, and ends as succeeded.
    """
    from kensho_tui.cli.follow import follow
    from kensho_tui.engine.ejecting import cancelled

    with open_client() as client:
        after = client.job(job_id).last
        stays = client.cancel(job_id, by=person())
        narrate(cancelled(job_id, stays))
        if wait:
            ctx.exit(int(follow(client, job_id, as_json=as_json, after=after, quiet=quiet)))
        state = client.job(job_id).summary.state
        emit({"job": job_id, "state": state, "stays": stays}, "", as_json=as_json)


@job.command()
@job_argument
@json_option
@guarded
def pause(job_id: str, as_json: bool) -> None:
    """Pause a job: it holds still between two chunks of a disk, until it is resumed.

    What is half moved stays as it is, and its streams stay open. A long pause may cost a connection;
    the disk is then tried again.
    """

    with open_client() as client:
        client.pause(job_id, by=person())
        _steered(client, job_id, as_json)


@job.command()
@job_argument
@json_option
@guarded
def resume(job_id: str, as_json: bool) -> None:
    """Have a paused job go on."""

    with open_client() as client:
        client.resume(job_id, by=person())
        _steered(client, job_id, as_json)


@job.command()
@job_argument
@click.argument("size", metavar="SIZE|none")
@json_option
@guarded
def limit(job_id: str, size: str, as_json: bool) -> None:
    """Limit a job to so many bytes a second (50M, 1.5 GiB), all its disks together, at once.

    'none' takes every limit away, that of its plan too.
    """
    from kensho_tui.engine.limits import in_words
    from kensho_tui.migration.units import parse_rate

    try:
        wanted = parse_rate(size)
    except KenshoError as error:
        raise click.UsageError(f"{error.what}. {error.remedy}.") from error
    with open_client() as client:
        client.limit(job_id, wanted, by=person())
        _steered(client, job_id, as_json, lambda row: in_words(row.limit, row.limit_by))


@job.command()
@job_argument
@click.argument("number", metavar="N", type=click.IntRange(-100, 100))
@json_option
@guarded
def priority(job_id: str, number: int, as_json: bool) -> None:
    """Of the jobs that wait, the one of the highest priority begins first (-100 to 100, usually 0)."""

    with open_client() as client:
        client.prioritize(job_id, number, by=person())
        _steered(client, job_id, as_json, lambda row: f"priority {row.priority}")


def _steered(
    client: "Client",
    job_id: str,
    as_json: bool,
    what: "Callable[[JobSummary], str]" = lambda _: "",
) -> None:
    """Say what the job is after it was told something, first ``what`` of it that was set."""
    row = client.job(job_id).summary
    emit(
        {
            "job": job_id,
            "state": row.state,
            "waits": row.waits,
            "limit": row.limit,
            "limit_by": row.limit_by,
            "priority": row.priority,
        },
        "",
        as_json=as_json,
    )
    said = [each for each in (what(row), row.waits or row.state) if each]
    narrate(f"{job_id}: {'; '.join(said)}.")


@job.command()
@job_argument
@click.argument("question_id", metavar="QUESTION")
@click.argument("value", required=False)
@json_option
@guarded
def answer(job_id: str, question_id: str, value: str | None, as_json: bool) -> None:
    """Answer a question of a job; 'kensho job show' lists them.

    Without VALUE it is asked for here, or read from standard input. A secret is never given as VALUE:
    every user of this machine could read it in the list of processes.
    """
    from kensho_tui.cli.follow import ask_person
    from kensho_tui.migration.context import QuestionKind

    with open_client() as client:
        asked = [each for each in client.job(job_id).questions if each.id == question_id]
        if not asked:
            raise KenshoError(
                "the question is not open",
                subject=f"{job_id}: {question_id}",
                remedy=f"See 'kensho job show {job_id}'",
            )
        if value is not None and asked[0].kind is QuestionKind.SECRET:
            raise KenshoError(
                "a secret is not taken from the command line",
                subject=question_id,
                remedy="Leave it out and enter it when asked, or give it on standard input",
            )
        given = ask_person(asked[0]) if value is None else value
        client.answer(job_id, question_id, given, by=person())
    emit({"job": job_id, "question": question_id}, "", as_json=as_json)
    narrate("Answered.")
