"""``kensho runner``: the process that runs the jobs, outside any terminal."""

import click

from kensho_tui.cli.out import emit, guarded, json_option, narrate


@click.group()
def runner() -> None:
    """State of the process that runs the jobs. It starts by itself when it is needed."""


@runner.command()
@json_option
@guarded
def status(as_json: bool) -> None:
    """Show whether it runs, since when, and how many jobs are under way."""
    from kensho_tui.engine.client import Client, RunnerAbsentError
    from kensho_tui.engine.events import RunnerStatus
    from kensho_tui.paths import state_dir

    try:
        with Client.open(start=False) as client:
            seen = client.status()
    except RunnerAbsentError:
        seen = RunnerStatus(running=False, state_dir=str(state_dir().absolute()))
    lines = [f"The runner {'runs' if seen.running else 'does not run'}."]
    if seen.running:
        lines += [
            f"  Process   {seen.pid}, since {seen.since}",
            f"  Version   {seen.version}",
            f"  Workers   {seen.workers}",
        ]
    if seen.full:
        lines.append(
            "  The state disk is full: no job is begun or gone on with until there is room."
        )
    emit(seen, "\n".join([*lines, f"  State in  {seen.state_dir}"]), as_json=as_json)


@runner.command()
@click.option("--workers", is_flag=True, help="Stop the jobs too; they go on with the next start.")
@json_option
@guarded
def stop(workers: bool, as_json: bool) -> None:
    """Stop it. Jobs under way go on by themselves, unless --workers is given."""
    from kensho_tui.engine.client import Client, RunnerAbsentError

    try:
        with Client.open(start=False) as client:
            client.stop(workers=workers)
    except RunnerAbsentError:
        narrate("The runner does not run.")
        emit({"stopped": False}, "", as_json=as_json)
        return
    narrate("Stopped." if workers else "Stopped. Jobs under way go on.")
    emit({"stopped": True}, "", as_json=as_json)
