"""``kensho job log``: the journal of a job as people read it."""

from typing import TYPE_CHECKING

import click

from kensho_tui.cli.jobs import events_of, job_argument, open_client
from kensho_tui.cli.out import emit_line, guarded, json_option
from kensho_tui.errors import KenshoError
from kensho_tui.text import plain

if TYPE_CHECKING:
    from kensho_tui.engine.client import Client


@click.command()
@job_argument
@click.option("--follow", is_flag=True, help="Go on until the job has ended.")
@click.option(
    "--level",
    type=click.Choice(["info", "warning", "error"]),
    default="info",
    help="Only lines of this weight or more.",
)
@click.option(
    "--worker", is_flag=True, help="What the job's process itself wrote, defects included."
)
@json_option
@guarded
def log(job_id: str, follow: bool, level: str, worker: bool, as_json: bool) -> None:
    """Print the log of a job, a line for each event; with --json an object for each line."""
    from kensho_tui.engine.telling import Level, log_line

    if worker and (follow or as_json):
        raise click.UsageError("--worker is a file of text: it goes with no other option")
    with open_client() as client:
        if worker:
            click.echo(_worker_log(client, job_id), nl=False)
            return
        titles: dict[str, str] = {}
        for event in events_of(client, job_id, follow=follow):
            line = log_line(event, titles)
            if line is None or line.level < Level[level.upper()]:
                continue
            if as_json:
                record = {"n": line.n, "at": line.at, "level": line.level.name.lower()}
                emit_line({**record, "step": line.step, "text": line.text})
            else:
                click.echo(f"{line.day} {line}")


def _worker_log(client: "Client", job: str) -> str:
    from kensho_tui.engine.places import Places

    client.job(job)  # says so where there is none of that name
    path = Places(client.state).job_log(job)
    try:
        return plain(path.read_text(encoding="utf-8", errors="replace"))
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise KenshoError(
            f"the log cannot be read ({error.strerror})", subject=str(path)
        ) from error
