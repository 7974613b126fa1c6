"""``kensho demo``: the wizard on a XenServer stand-in with a sample appliance, all of it private.

Journal, connection book, lab and sample live in one directory that goes when the demo ends; the
operator's own are not touched.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from kensho_tui.cli.lab import LabError, add_connection, start_lab, stop_lab
from kensho_tui.cli.out import guarded, narrate
from kensho_tui.errors import KenshoError
from kensho_tui.paths import private_dir

MARKER = "kensho-demo"
PLACES = {"KENSHO_STATE_DIR": "state", "KENSHO_CONFIG_DIR": "config"}


class DemoError(KenshoError):
    """The demo cannot be set up."""


def _claim(state: Path | None) -> Path:
    """The demo's directory: a new one, or the one named if it is new, empty or a demo's already."""
    if state is None:
        made = Path(tempfile.mkdtemp(prefix="kensho-demo-"))
    else:
        made = state
        if made.exists() and any(made.iterdir()) and not (made / MARKER).exists():
            raise DemoError(
                "the directory holds something else",
                subject=str(made),
                remedy="Name a new or an empty one: the demo removes it when it ends",
            )
        private_dir(made)
    (made / MARKER).touch()
    return made


@contextmanager
def _private_places(state: Path) -> Iterator[None]:
    """Let this process and all it starts keep state and configuration in the demo's directory."""
    before = {name: os.environ.get(name) for name in PLACES}
    os.environ.update({name: str(private_dir(state / sub)) for name, sub in PLACES.items()})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _sample(state: Path) -> Path:
    output = state / "shop.ova"
    if not output.exists():
        command = [sys.executable, "-P", "-m", "kensho_tui.lab", "sample", "--output", str(output)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            said = done.stderr.strip().splitlines()
            reason = said[-1] if said else "it said nothing"
            raise LabError(f"the sample cannot be made ({reason})", subject=str(output))
    return output


def _stop_runner() -> None:
    from kensho_tui.engine.client import Client, RunnerAbsentError

    try:
        with Client.open(start=False) as client:
            client.stop(workers=True)
    except RunnerAbsentError:
        # No job was started, so nothing runs.
        return


@contextmanager
def demo_world(state: Path | None = None, *, keep: bool = False) -> Iterator[Path]:
    """A lab that runs, its connection in a book of its own, and the path of the sample package.

    Leaving stops runner and lab and removes the directory.

    Args:
        state: the directory; None for a new temporary one.
        keep: leave the directory as it is.

    Raises: DemoError: the directory holds something else. LabError: the lab does not start.
    """
    with ExitStack() as stack:
        place = _claim(state)
        if not keep:
            stack.callback(shutil.rmtree, place)
        stack.enter_context(_private_places(place))
        lab = place / "lab"
        address = start_lab(lab)
        stack.callback(stop_lab, lab)
        # Before the lab: what still runs would only fail against a lab that is gone.
        stack.callback(_stop_runner)
        add_connection(lab, address)
        yield _sample(place)


@click.command()
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False, resolve_path=True),
    help="Its directory; default a temporary one.",
)
@click.option("--keep", is_flag=True, help="Leave the directory when the demo ends.")
@click.pass_context
@guarded
def demo(ctx: click.Context, state: Path | None, keep: bool) -> None:
    """Open the wizard on a XenServer stand-in with a sample appliance.

    Everything it makes is in one directory, which it removes when it ends. Your own connections and
    jobs are not touched.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise DemoError("the demo needs a terminal", remedy="Run it without pipes")
    with demo_world(state, keep=keep) as package:
        from kensho_tui.app import run

        code = run(package=package)
        if keep:
            place = package.parent
            narrate(f"Kept in {place}. Again: kensho demo --state {place}")
    ctx.exit(code)
