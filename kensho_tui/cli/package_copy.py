"""``kensho package copy``: the same package in another place or another container, or fetched from a server."""

from pathlib import Path

import click

from kensho_tui.cli import package_parts
from kensho_tui.cli.images import Bar, bounds_options, ended_by_signals
from kensho_tui.cli.out import emit, guarded, json_option
from kensho_tui.cli.package_parts import OUTPUT, source_argument
from kensho_tui.cli.writing import source_date
from kensho_tui.ovf.output import destination
from kensho_tui.ovf.package import Package
from kensho_tui.ovf.rewrite import Wanted, rewrite
from kensho_tui.text import one_line


@click.command("copy")
@source_argument
@click.option(
    "--output",
    type=OUTPUT,
    required=True,
    metavar="TARGET",
    help="NAME.ova for one archive; else the name of a folder. It must not be there yet.",
)
@json_option
@bounds_options
@guarded
def copy(path: Path | str, output: Path, as_json: bool) -> None:
    """Copy a package, as one archive or as a folder with its files, whichever it was; or fetch it.

    Descriptor, manifest, signature and files stay as they are to the byte. Every file that the manifest
    lists is compared with it on the way.
    """
    destination(output)  # before anything is unpacked or fetched
    opened = package_parts.opened(path, integrity="warn")
    made = copied(opened, output, complete=True)
    emit(
        {"package": str(made), "manifest": opened.papers.name or None},
        f"{one_line(str(made))}: written",
        as_json=as_json,
    )


def copied(opened: Package, output: Path, *, complete: bool = False) -> Path:
    """A copy of the package there; see `rewrite`.

    Args: complete: whether all that the descriptor refers to has to be there.
    """
    wanted = Wanted(copied=True, complete=complete, mtime=source_date())
    with ended_by_signals() as cancel, Bar() as bar:
        return rewrite(opened, wanted, output, cancel, progress=bar.share)
