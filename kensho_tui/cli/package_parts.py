"""What the commands about packages share: their arguments, and reading members to compare them."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kensho_tui.cli.out import narrate
from kensho_tui.errors import KenshoError
from kensho_tui.ovf.manifest import ALGORITHMS
from kensho_tui.ovf.package import Integrity, Package, open_package
from kensho_tui.text import one_line
from kensho_tui.web.address import is_url

if TYPE_CHECKING:
    from kensho_tui.ovf.remote import Remote


class _Where(click.Path):
    """A path, or an address on a web server."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401 - as the base class has it
        return value if is_url(str(value)) else super().convert(value, param, ctx)


class _Output(click.Path):
    """Where a package goes: what ends in a slash is a folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401 - as the base class has it
        text = str(value)
        if is_url(text):
            self.fail(f"packages are written on this machine alone, not to '{text}'", param, ctx)
        if text.endswith("/") and text.rstrip("/").lower().endswith((".ova", ".ovf")):
            self.fail(f"'{text}' is a folder by its slash, and none by its ending", param, ctx)
        return super().convert(value, param, ctx)


OUTPUT = _Output(path_type=Path)

source_argument = click.argument(
    "path", metavar="PATH|URL", type=_Where(exists=True, path_type=Path)
)
output_option = click.option(
    "--output",
    type=OUTPUT,
    help="Write a new package there, an .ova or a folder; else this one is replaced once the new one is whole.",
)


recover_option = click.option(
    "--recover",
    is_flag=True,
    help="Take namespace prefixes that are not declared for what they can only mean, and say so.",
)


def opened(
    where: Path | str,
    *,
    integrity: Integrity = "require",
    signed_by: Sequence[Path] = (),
    recover: bool = False,
) -> Package:
    """The package at the path or address; what is unpacked or fetched first is said on standard error.

    Raises: KenshoError: see `open_package`.
    """
    place = where if isinstance(where, Path) else _remote(where)
    return open_package(
        place, integrity=integrity, signed_by=signed_by, told=narrate, recover=recover
    )


def _remote(url: str) -> "Remote":
    """As the connection says that it lies below, where there is one."""
    from kensho_tui.cli.passwords import secrets_for
    from kensho_tui.connections import ConnectionBook
    from kensho_tui.ovf.remote import Remote
    from kensho_tui.web.known import access_of, covering

    found = covering(ConnectionBook(), url)
    if found is None:
        return Remote.at(url)
    return Remote.at(url, access_of(found, lambda: secrets_for((), [found.name]).password(found)))


DIGESTS = click.Choice(list(ALGORITHMS))


def compared(package: Package, names: Iterable[str]) -> Iterator[tuple[str, KenshoError | None]]:
    """Each of these members with what is wrong with it by the manifest; None: it is intact.

    Reads all of it, and says on standard error what it reads.
    """
    for name in names:
        narrate(f"Reading {one_line(name)} …")
        try:
            package.verify(name)
        except KenshoError as error:
            yield name, error
        else:
            yield name, None
