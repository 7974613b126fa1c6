"""How commands that write packages are told to make their files."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from kensho_tui.cli.images import Size
from kensho_tui.cli.package_parts import DIGESTS

if TYPE_CHECKING:
    from kensho_tui.migration.sessions import Writing

_OPTIONS: tuple[Callable[[Callable[..., Any]], Callable[..., Any]], ...] = (
    click.option(
        "--compress",
        is_flag=True,
        help="Compress the disks' files (ovf:compression=gzip); VMDKs are compressed inside already.",
    ),
    click.option(
        "--chunk-size",
        type=Size(),
        metavar="SIZE",
        help="Cut files that grow larger (ovf:chunkSize), such as 2GiB; few products join them.",
    ),
    click.option(
        "--digest",
        type=DIGESTS,
        default="sha256",
        help="Of the manifest: sha256 (usual), sha512, or sha1 for products that know no other.",
    ),
    click.option(
        "--strict",
        is_flag=True,
        help="An archive in plain ustar: a file of 8 GiB or more is cut instead of told in GNU tar's way.",
    ),
    click.option(
        "--reproducible",
        is_flag=True,
        help="The same machines give the same bytes; files have the time of SOURCE_DATE_EPOCH, else none.",
    ),
)


def writing_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--compress``, ``--chunk-size``, ``--digest``, ``--strict``, ``--reproducible``."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def writing_of(options: dict[str, Any], **more: Any) -> "Writing":  # noqa: ANN401 - fields of Writing
    """What the options say; they are taken out of ``options``."""
    from kensho_tui.migration.sessions import Writing

    reproducible = bool(options.pop("reproducible"))
    return Writing(
        compression="gzip" if options.pop("compress") else "none",
        chunk_bytes=options.pop("chunk_size") or 0,
        digest=options.pop("digest"),
        strict=options.pop("strict"),
        reproducible=reproducible,
        epoch=source_date() if reproducible else 0,
        **more,
    )


def source_date() -> int:
    """SOURCE_DATE_EPOCH (reproducible-builds.org): seconds since 1970; 0 where it is not set."""
    text = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and int(text) < 1 << 33):
        raise click.UsageError("SOURCE_DATE_EPOCH is no number of seconds since 1970")
    return int(text)
