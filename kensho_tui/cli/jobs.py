"""What the ``kensho job`` commands share: the client, the names of jobs for the shell, options."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from kensho_tui.errors import KenshoError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from kensho_tui.engine.client import Client
    from kensho_tui.engine.events import Event

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def open_client() -> "Client":
    """The operator's runner, started where none runs."""
    from kensho_tui.engine.client import Client

    return Client.open()


def events_of(client: "Client", job: str, *, follow: bool = False) -> "Iterator[Event]":
    """The job's events so far, or until it has ended."""
    from kensho_tui.engine.events import Event

    seen = client.job(job)
    for update in client.watch(job):
        if not isinstance(update, Event):
            continue
        yield update
        if follow and update.n >= seen.last:
            seen = client.job(job)
        if update.n >= seen.last and (not follow or seen.summary.state.ended):
            return


def complete_job(ctx: click.Context, param: click.Parameter, text: str) -> "list[CompletionItem]":
    """Ids of jobs, for the shell; nothing where no runner runs."""
    from click.shell_completion import CompletionItem

    from kensho_tui.engine.client import Client

    try:
        with Client.open(start=False) as client:
            return [
                CompletionItem(each.id, help=f"{each.name}, {each.state}")
                for each in client.jobs()
                if each.id.startswith(text)
            ]
    except KenshoError:
        return []


def complete_batch(ctx: click.Context, param: click.Parameter, text: str) -> list[str]:
    """Names of batches, for the shell; nothing where no runner runs."""
    from kensho_tui.engine.client import Client

    try:
        with Client.open(start=False) as client:
            names = {each.batch for each in client.jobs() if each.batch}
    except KenshoError:
        return []
    return sorted(each for each in names if each.startswith(text))


job_argument = click.argument("job_id", metavar="JOB", shell_complete=complete_job)
optional_job_argument = click.argument(
    "job_id", metavar="[JOB]", required=False, shell_complete=complete_job
)
quiet_option = click.option("--quiet", is_flag=True, help="Ring no bell at the end.")


def batch_option(text: str) -> Decorator:
    """``--batch NAME`` with this help."""
    return click.option("--batch", metavar="NAME", shell_complete=complete_batch, help=text)
