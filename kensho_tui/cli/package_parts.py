"""What the commands about packages share: their arguments, and reading members to compare them."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from kensho_tui.cli.out import narrate
from kensho_tui.errors import KenshoError
from kensho_tui.ovf.manifest import ALGORITHMS
from kensho_tui.ovf.package import Package
from kensho_tui.text import one_line

path_argument = click.argument("path", type=click.Path(exists=True, path_type=Path))
output_option = click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Write a new package there; else this one is replaced once the new one is whole.",
)
DIGESTS = click.Choice(list(ALGORITHMS))


def compared(opened: Package, names: Iterable[str]) -> Iterator[tuple[str, KenshoError | None]]:
    """Each of these members with what is wrong with it by the manifest; None: it is intact.

    Reads all of it, and says on standard error what it reads.
    """
    for name in names:
        narrate(f"Reading {one_line(name)} …")
        try:
            opened.verify(name)
        except KenshoError as error:
            yield name, error
        else:
            yield name, None
