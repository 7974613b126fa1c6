"""The ``kensho`` command: which sub-commands there are, each loaded only when it is called.

Loading late keeps ``kensho --help`` quick over SSH.
"""

import importlib
import sys

import click

from kensho_tui import __version__

# Name: (module, attribute, one line for the list). Keep in the order of the operator's way.
COMMANDS: dict[str, tuple[str, str, str]] = {
    "demo": ("demo", "demo", "Open the wizard on a XenServer stand-in with a sample appliance."),
    "import": ("transfer", "import_", "Import an OVF package onto a platform."),
    "export": ("transfer", "export", "Export machines of a platform to an OVF package."),
    "migrate": ("transfer", "migrate", "Move machines from one platform to another."),
    "job": ("job", "job", "List, show, watch, cancel and answer jobs."),
    "runner": ("runner", "runner", "State of the process that runs the jobs."),
    "journal": ("journal", "journal", "Check the journal of all jobs, and make it anew."),
    "connection": ("connection", "connection", "Platforms that can be reached."),
    "secret": ("secret", "secret", "Passwords in an encrypted store, for connections to name."),
    "package": ("package", "package", "Show, check, edit and sign OVF packages."),
    "disk": ("disk", "disk", "Inspect, convert and compare disk images."),
    "lab": ("lab", "lab", "A XenServer stand-in on this machine, to try things on."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called, not when they are listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of the operator's way."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command itself, imported now; None where there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command = getattr(importlib.import_module(f"kensho_tui.cli.{module}"), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}.{attribute} is no command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands from the table above, with nothing imported."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][2]) for name in COMMANDS])


@click.command(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="kensho")
@click.option(
    "--low-bandwidth",
    is_flag=True,
    envvar="KENSHO_LOW_BANDWIDTH",
    help="For slow lines: the terminal's own colours, no mouse, seldom a drawing.",
)
@click.pass_context
def root(ctx: click.Context, low_bandwidth: bool) -> None:
    """Move virtual machines between platforms through OVF.

    Without a command, opens the terminal interface. Standard output is data, standard error is
    narration; most commands take --json. Exit codes: see 'docs/cli.md'.
    """
    if ctx.invoked_subcommand in (None, "import", "export", "migrate"):
        from kensho_tui.disks.bounds import hold
        from kensho_tui.engine.settings import SettingsFile

        # What a job will not accept is not worth being decided about. A file that is not right is told
        # by the runner.
        hold(SettingsFile().now().bounds)
    if ctx.invoked_subcommand is None:
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise click.UsageError("the terminal interface needs a terminal; name a command")
        from kensho_tui.app import run

        ctx.exit(run(low_bandwidth=low_bandwidth))
