"""``kensho runner``: the process that runs the jobs, outside any terminal."""

from typing import TYPE_CHECKING

import click

from kensho_tui.cli.out import emit, guarded, json_option, narrate
from kensho_tui.errors import KenshoError
from kensho_tui.text import one_line

if TYPE_CHECKING:
    from kensho_tui.engine.events import RunnerStatus


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
    from kensho_tui.engine.telling import troubles
    from kensho_tui.paths import state_dir

    try:
        with Client.open(start=False) as client:
            seen = client.status()
    except RunnerAbsentError:
        seen = RunnerStatus(
            running=False,
            state_dir=str(state_dir().absolute()),
            settings_error=_wrong_settings(),
        )
    lines = [f"The runner {'runs' if seen.running else 'does not run'}."]
    if seen.running:
        lines += [
            f"  Process   {seen.pid}, since {seen.since}",
            f"  Version   {seen.version}",
            f"  Workers   {seen.workers}",
        ]
    lines += [f"  {each}" for each in troubles(seen)]
    emit(seen, "\n".join([*lines, f"  State in  {one_line(str(seen.state_dir))}"]), as_json=as_json)
    warn_of_logout(seen)


def _wrong_settings() -> dict[str, str] | None:
    """What is wrong in ``runner.toml``, which keeps a runner from starting."""
    from kensho_tui.engine.settings import SettingsFile
    from kensho_tui.engine.wire import error_to

    try:
        SettingsFile().load()
    except KenshoError as error:
        return error_to(error)
    return None


def warn(seen: "RunnerStatus") -> None:
    """Say on standard error what may keep a job from running as was meant."""
    from kensho_tui.engine.telling import troubles

    for each in troubles(seen):
        narrate(f"Warning: {each}")
    warn_of_logout(seen)


def warn_of_logout(seen: "RunnerStatus") -> None:
    """Say on standard error where the runner, and with it the jobs, would end at logout."""
    import getpass

    from kensho_tui.engine.logind import ends_at_logout

    if seen.pid and (why := ends_at_logout(seen.pid, getpass.getuser())):
        narrate(f"Warning: {why}.")


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


@runner.command()
@click.option("--dry-run", is_flag=True, help="Show the unit and the commands, and do nothing.")
@json_option
@guarded
def install(dry_run: bool, as_json: bool) -> None:
    """Have systemd run it, as a service of this user: with the machine, and again when it dies.

    Jobs under way go on. Where a logout ends all processes of a user, this keeps the runner; it
    wants 'loginctl enable-linger', once.
    """
    import getpass
    import shlex

    from kensho_tui.engine.client import Client, RunnerAbsentError
    from kensho_tui.engine.logind import lingers
    from kensho_tui.engine.service import Service
    from kensho_tui.paths import state_dir

    service = Service(state_dir().absolute())
    data = {"unit": str(service.path), "text": service.text(), "commands": service.commands()}
    if dry_run:
        commands = [f"  {shlex.join(each)}" for each in service.commands()]
        text = [f"{service.path}:", "", service.text(), "Then:", *commands]
        emit(data, "\n".join(text), as_json=as_json)
        return
    try:
        with Client.open(start=False) as client:
            client.stop()
    except RunnerAbsentError:
        pass
    service.install()
    emit(data, "", as_json=as_json)
    narrate(f"Installed as {service.name}. Jobs under way go on.")
    if not lingers(getpass.getuser()):
        narrate(
            "Warning: what systemd runs for a user ends with the last logout. "
            "Run 'loginctl enable-linger'."
        )


@runner.command()
@json_option
@guarded
def uninstall(as_json: bool) -> None:
    """Take the service away again. Jobs under way go on; the next command starts a runner."""
    from kensho_tui.engine.service import Service
    from kensho_tui.paths import state_dir

    service = Service(state_dir().absolute())
    service.uninstall()
    emit({"unit": str(service.path)}, "", as_json=as_json)
    narrate("Taken away. Jobs under way go on.")
