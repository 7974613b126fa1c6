"""What the commands that change a package have in common: their options, and writing it anew."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from kensho_tui.cli import package_parts
from kensho_tui.cli.images import bounds_options
from kensho_tui.cli.out import emit, json_option, narrate
from kensho_tui.cli.package_copy import copied
from kensho_tui.cli.package_parts import DIGESTS, output_option, recover_option
from kensho_tui.cli.writing import source_date
from kensho_tui.ovf.editing import Change, Editing
from kensho_tui.ovf.edits import check_href
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.outline import words
from kensho_tui.ovf.rewrite import Wanted, rewrite
from kensho_tui.text import one_line, plain

machine_option = click.option(
    "--machine", metavar="ID", help="Id or name; needed where there are several."
)
option_option = click.option(
    "--configuration", metavar="ID", help="Deployment option that it is for; else for all."
)
name_option = click.option(
    "--as", "name", metavar="NAME", help="Its name in the package; else its own."
)
file_argument = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))


def writing(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of every command that changes a package."""
    for option in reversed(
        (
            output_option,
            click.option(
                "--algorithm",
                type=DIGESTS,
                default="sha256",
                show_default=True,
                help="Of the new manifest.",
            ),
            click.option(
                "--dry-run", is_flag=True, help="Show what would change, and change nothing."
            ),
            recover_option,
            json_option,
            bounds_options,
        )
    ):
        command = option(command)
    return command


def href_of(file: Path, name: str | None) -> str:
    """The name that a file gets in the package. Raises: DescriptorError: it can have none of the kind."""
    href = file.name if name is None else name
    check_href(href)
    return href


def _hrefs(envelope: Envelope) -> set[str]:
    return {each.href for each in envelope.files}


def write(
    path: Path | str,
    changes: Sequence[Change],
    *,
    output: Path | None,
    algorithm: str,
    dry_run: bool,
    as_json: bool,
    recover: bool,
    added: Mapping[str, Path] | None = None,
    renamed: Mapping[str, str] | None = None,
) -> None:
    """Make the changes and write the package anew; or say what they would change.

    With ``output`` there is a package afterwards, also where nothing had to change.
    """
    opened = package_parts.opened(path, integrity="warn", recover=recover)
    editing = Editing(opened.envelope.sound, opened.name)
    for change in changes:
        editing.apply(change)
    difference = list(editing.diff())
    changed = words(opened.envelope, editing.envelope)
    renamed = renamed or {}
    removed = _hrefs(opened.envelope) - _hrefs(editing.envelope) - set(renamed)
    writes = editing.changed and not dry_run
    lines = [*map(one_line, changed), *([""] if changed else []), *map(plain, difference)]
    made: Path | str = path if isinstance(path, Path) else opened.location
    copies = output is not None and not editing.changed and not dry_run
    if output is not None and copies:
        made = copied(opened, output)
        lines = [one_line(f"{made}: a copy; that is how it was already")]
    elif not writes:
        narrate(
            "Nothing was written." if dry_run else "That is how it is already: nothing was written."
        )
    else:
        wanted = Wanted(
            descriptor=editing.data,
            algorithm=algorithm,
            added=added or {},
            removed=removed,
            renamed=renamed,
            mtime=source_date(),
        )
        made = rewrite(opened, wanted, output)
        lines = [*map(one_line, changed), one_line(f"{made}: written")]
        if opened.papers.certificate_name:
            narrate(
                "The signature was taken off: sign the package again with 'kensho package sign'."
            )
    emit(
        {
            "package": str(made),
            "changed": writes,
            "written": writes or copies,
            "changes": changed,
            "difference": difference,
        },
        "\n".join(lines),
        as_json=as_json,
    )
