"""``kensho job retry``, ``cleanup`` and ``eject``: what can be done after a job's end."""

from typing import TYPE_CHECKING

import click

from kensho_tui.cli.jobs import (
    batch_option,
    complete_job,
    job_argument,
    open_client,
    optional_job_argument,
    quiet_option,
)
from kensho_tui.cli.out import Exit, emit, guarded, json_option, narrate
from kensho_tui.cli.passwords import password_fd_option
from kensho_tui.person import person

if TYPE_CHECKING:
    from kensho_tui.engine.client import Client


@click.command()
@click.argument("job_ids", metavar="JOB…", nargs=-1, shell_complete=complete_job)
@batch_option("Every job of this batch that failed or was cancelled and was not done again since.")
@click.option("--wait", is_flag=True, help="Until they have ended; exit codes as with 'watch'.")
@password_fd_option
@click.option(
    "--answers",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    help="A YAML file with answers, such as the first time; only its passwords are taken.",
)
@click.option(
    "--property",
    "property_",
    multiple=True,
    metavar="KEY=PLACE",
    help="A password of the plan: KEY=env:VARIABLE or KEY=file:PATH.",
)
@quiet_option
@json_option
@click.pass_context
@guarded
def retry(
    ctx: click.Context,
    job_ids: tuple[str, ...],
    batch: str | None,
    wait: bool,
    password_fd: tuple[str, ...],
    answers: str | None,
    property_: tuple[str, ...],
    quiet: bool,
    as_json: bool,
) -> None:
    """Do jobs again that failed or were cancelled: each by a new job of the same plan.

    A job that left something over is cleaned up first ('kensho job cleanup'). Passwords that the
    plan knows the place of (env:, file:) are looked up there again; what was entered by hand is
    asked for again, unless --answers or --property give it.
    """
    from kensho_tui.cli.many import follow_jobs
    from kensho_tui.cli.runner import warn

    if bool(job_ids) == (batch is not None):
        raise click.UsageError("name jobs, or a batch with --batch")
    with open_client() as client:
        wanted = list(job_ids) if batch is None else _of_batch(client, batch)
        known = _given(client, wanted, password_fd)
        known |= _properties(client, wanted, answers, property_)
        pairs = {each: client.retry(each, by=person(), secrets=known) for each in wanted}
        warn(client.status())
        if wait and pairs:
            ctx.exit(int(follow_jobs(client, [*pairs.values()], as_json=as_json, quiet=quiet)))
    if not pairs:
        narrate("Nothing has to be done again.")
    emit(
        [{"job": new, "retry_of": old} for old, new in pairs.items()],
        "\n".join(pairs.values()),
        as_json=as_json,
    )


def _given(client: "Client", jobs: list[str], descriptors: tuple[str, ...]) -> dict[str, str]:
    """Passwords that descriptors give for the connections of the jobs, by the names of secrets."""
    from kensho_tui.cli.passwords import secrets_for

    if not descriptors:
        return {}
    plans = [client.job(each).plan["spec"] for each in jobs]
    ends = [spec[end].get("connection") for spec in plans for end in ("source", "target")]
    return secrets_for(descriptors, [*dict.fromkeys(filter(None, ends))]).known()


def _properties(
    client: "Client", jobs: list[str], file: str | None, options: tuple[str, ...]
) -> dict[str, str]:
    """Passwords that plans of the jobs ask for, by the names of secrets; the options win.

    Raises: AnswersError: an option is no password of these plans, or a place does not give it.
    """
    from kensho_tui.cli.wishes import from_options, read_answers
    from kensho_tui.migration.answers import nearest_known

    if file is None and not options:
        return {}
    specs = [client.job(each).plan["spec"] for each in jobs]
    names: dict[str, str] = {
        address: str(value["secret"])
        for spec in specs
        for address, value in (spec.get("properties") or {}).items()
        if isinstance(value, dict)
    }
    given = from_options(properties=options, passwords=set(names))
    for key, _ in given.properties.values():
        nearest_known(key, names, "password of the plan")
    found: dict[str, str] = {}
    for each in ([read_answers(file)] if file is not None else []) + [given]:
        for address, (_, value) in each.properties.items():
            # The rest of the file is in the plan already, which is done again as it was.
            if address in names:
                found[names[address]] = value.text(secret=True)
    return found


def _of_batch(client: "Client", batch: str) -> list[str]:
    from kensho_tui.engine.batches import jobs_of, to_clean_up, to_do_again

    jobs = jobs_of(client.jobs(), batch)
    for each in to_clean_up(jobs):
        narrate(f"{each} left something over: kensho job cleanup {each}")
    return to_do_again(jobs)


@click.command()
@optional_job_argument
@batch_option("Every job of this batch that left something over.")
@click.option("--wait", is_flag=True, help="Until it has ended; exit codes as with 'watch'.")
@password_fd_option
@quiet_option
@json_option
@click.pass_context
@guarded
def cleanup(
    ctx: click.Context,
    job_id: str | None,
    batch: str | None,
    wait: bool,
    password_fd: tuple[str, ...],
    quiet: bool,
    as_json: bool,
) -> None:
    """Take back once more what a job left over ('needs attention'), or the jobs of a batch.

    The job ends as it first had, failed or cancelled, when all of it is gone; else it needs attention
    with the list that is true then. With --wait: 0 when all is gone, 6 when not.
    """
    from kensho_tui.cli.follow import follow
    from kensho_tui.cli.many import follow_jobs
    from kensho_tui.engine.batches import jobs_of, to_clean_up

    if (job_id is None) == (batch is None):
        raise click.UsageError("name a job, or a batch with --batch")
    with open_client() as client:
        wanted = [job_id] if job_id else to_clean_up(jobs_of(client.jobs(), batch or ""))
        after = client.job(job_id).last if job_id else 0
        known = _given(client, wanted, password_fd)
        for each in wanted:
            client.cleanup(each, by=person(), secrets=known)
            narrate(f"What {each} left over is being removed.")
        if wait and wanted:
            if job_id:
                code = follow(client, job_id, as_json=as_json, ask=True, after=after, quiet=quiet)
            else:
                code = follow_jobs(client, wanted, as_json=as_json, quiet=quiet)
            # That they had failed is known; what was asked for now is done.
            gone = code in {Exit.OK, Exit.FAILED, Exit.CANCELLED}
            ctx.exit(int(Exit.OK if gone else code))
    if not wanted:
        narrate("Nothing is left over.")
    emit({"job": job_id} if job_id else {"batch": batch, "jobs": wanted}, "", as_json=as_json)


@click.command()
@job_argument
@password_fd_option
@json_option
@click.pass_context
@guarded
def eject(ctx: click.Context, job_id: str, password_fd: tuple[str, ...], as_json: bool) -> None:
    """Eject and delete the CDs that hand a job's guests their settings, a password among them.

    Once the guests have read them: while the job waits for that, or long after it has ended. Follows
    the job to its end.
    """
    from kensho_tui.cli.follow import follow
    from kensho_tui.engine import ejecting

    with open_client() as client:
        view = client.job(job_id)
        ejecting.eject(
            view,
            lambda question, value: client.answer(job_id, question, value, by=person()),
            lambda: client.cleanup(
                job_id, by=person(), secrets=_given(client, [job_id], password_fd)
            ),
        )
        ctx.exit(int(follow(client, job_id, as_json=as_json, ask=True, after=view.last)))
