"""``kensho job report``: what became of a job, or of all jobs of a batch, as a file."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kensho_tui.cli.jobs import batch_option, events_of, open_client, optional_job_argument
from kensho_tui.cli.out import guarded, narrate
from kensho_tui.text import one_line

if TYPE_CHECKING:
    from kensho_tui.engine.client import Client
    from kensho_tui.engine.report import Report


@click.command()
@optional_job_argument
@batch_option("Of all jobs of this batch, in one report.")
@click.option(
    "--archived",
    multiple=True,
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Of an archived job; several make one report.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["md", "json", "csv", "html"]),
    help="By the ending of --output when not told; md without one.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file instead of the terminal.",
)
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@guarded
def report(
    job_id: str | None,
    batch: str | None,
    archived: tuple[Path, ...],
    format_: str | None,
    output: Path | None,
    force: bool,
) -> None:
    """Report what became of a job: what moved, where to, digests, times, who accepted what, and what is left.

    JSON and CSV hold one entry a job and one row a disk. No secret is in a report.
    """
    from kensho_tui.engine.reporting import FORMATS, as_text, write

    if [job_id is not None, batch is not None, bool(archived)].count(True) != 1:
        raise click.UsageError("name a job, or a batch with --batch, or files with --archived")
    ending = output.suffix.lower().removeprefix(".") if output else ""
    chosen = format_ or {"htm": "html"}.get(ending, ending if ending in FORMATS else "md")
    # At a terminal it is read and copied from; a file or a pipe gets Markdown that is Markdown.
    form = as_text if output is None and format_ is None and _terminal() else FORMATS[chosen]
    text = form(_archived(archived) if archived else _in_journal(job_id, batch))
    if output is None:
        click.echo(text, nl=False)
        return
    write(output.absolute(), text, force=force)
    narrate(one_line(f"Written to {output}."))


def _terminal() -> bool:
    return sys.stdout.isatty()


def _in_journal(job: str | None, batch: str | None) -> "list[Report]":
    from kensho_tui.engine.report import report as made

    with open_client() as client:
        jobs = [str(job)] if batch is None else _of_batch(client, batch)
        return [made(events_of(client, each)) for each in jobs]


def _archived(files: tuple[Path, ...]) -> "list[Report]":
    from kensho_tui.engine.archive import ArchivedJob
    from kensho_tui.engine.report import report as made

    reports = []
    for file in files:
        with ArchivedJob(file) as read:
            reports.append(made(read.events(read.job)))
    return reports


def _of_batch(client: "Client", batch: str) -> list[str]:
    """Ids of the batch's jobs, oldest first; those that were done again too: it happened."""
    from kensho_tui.engine.batches import jobs_of

    return [each.id for each in reversed(jobs_of(client.jobs(), batch))]
