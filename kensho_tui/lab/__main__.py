"""``python -m kensho_tui.lab``: the stand-in as a program of its own."""

import json
import logging
import os
import signal
import sqlite3
from pathlib import Path
from types import FrameType

import click

from kensho_tui.errors import KenshoError
from kensho_tui.lab.xen import XenLab


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """A XenServer stand-in on loopback."""


@main.command()
@click.option("--state", type=click.Path(path_type=Path), required=True, help="Its directory.")
@click.option("--port", type=int, default=0, help="0: the one used before, else any free one.")
@click.option("--verbose", is_flag=True, help="Log every request.")
def serve(state: Path, port: int, verbose: bool) -> None:
    """Serve until a signal or the control says stop. Prints one line of JSON when ready."""
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
    )
    lab = XenLab(state, port=port)

    def end(_number: int, _frame: FrameType | None) -> None:
        lab.stopped.set()

    # The mode "die_after" ends this process as a crash would.
    lab.on_death = lambda: os._exit(70)
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    try:
        lab.start()
    except (OSError, sqlite3.Error) as error:
        raise click.ClickException(f"{state}: {error}") from None
    try:
        click.echo(json.dumps(lab.address()))
        lab.stopped.wait()
    finally:
        lab.stop()


@main.command()
@click.option("--output", type=click.Path(path_type=Path), required=True, help="The .ova to make.")
def sample(output: Path) -> None:
    """Make the sample appliance: two machines, three disks."""
    from kensho_tui.lab.sample import make_sample

    try:
        click.echo(str(make_sample(output)))
    except KenshoError as error:
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    main()
