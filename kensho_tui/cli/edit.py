"""``kensho package edit`` and its like: a package is changed, and written anew when it is whole."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from kensho_tui.cli.out import emit, guarded, json_option, narrate
from kensho_tui.cli.package_parts import DIGESTS, output_option, path_argument
from kensho_tui.errors import KenshoError
from kensho_tui.migration.units import parse_size
from kensho_tui.ovf import edits
from kensho_tui.ovf.editing import Change, Editing
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.members import unsafe
from kensho_tui.ovf.package import open_package
from kensho_tui.ovf.rewrite import Wanted, rewrite
from kensho_tui.text import one_line

_machine = click.option(
    "--machine", metavar="ID", help="Id or name; needed where there are several."
)
_named = click.option("--as", "name", metavar="NAME", help="Its name in the package; else its own.")
_file = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
_PRODUCT = ("product", "vendor", "version", "full-version", "product-url", "vendor-url", "app-url")


def _writing(command: Callable[..., Any]) -> Callable[..., Any]:
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
            json_option,
        )
    ):
        command = option(command)
    return command


@click.command()
@path_argument
@_machine
@click.option(
    "--configuration",
    metavar="ID",
    help="Deployment option that the change is for (cpus, memory, property).",
)
@click.option(
    "--set",
    "settings",
    metavar="KEY=VALUE",
    multiple=True,
    required=True,
    help="cpus, memory (4GiB), name, annotation, hardware (vmx-21), transport (iso), product, vendor, version,"
    " full-version, product-url, vendor-url, app-url, property:KEY, capacity:DISK.",
)
@_writing
@guarded
def edit(
    path: Path,
    machine: str | None,
    configuration: str | None,
    settings: tuple[str, ...],
    **how: Any,  # noqa: ANN401 - click's options
) -> None:
    """Change what a package says: of a machine, its product, its questions, its disks.

    What is not named stays as it was written. A new manifest is made, and a signature taken off.
    """
    _write(path, [_setting(each, machine, configuration) for each in settings], **how)


def _setting(text: str, machine: str | None, configuration: str | None) -> Change:
    key, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"--set takes KEY=VALUE, not '{text}'")
    word, _, what = key.strip().partition(":")
    match word:
        case "cpus" if value.isascii() and value.isdigit() and len(value) < 6:
            return edits.set_processors(machine, int(value), configuration)
        case "memory":
            return edits.set_memory(machine, _size(key, value), configuration)
        case "name":
            return edits.set_name(machine, value)
        case "annotation":
            return edits.set_annotation(machine, value)
        case "hardware":
            return edits.set_families(machine, value)
        case "transport":
            return edits.set_transport(machine, value)
        case "property" if what:
            return edits.set_property(machine, what, value, configuration)
        case "capacity" if what:
            return edits.set_capacity(what, _size(key, value))
        case _ if word in _PRODUCT and not what:
            return edits.set_product(machine, word, value)
    raise click.UsageError(f"--set does not understand '{text}'; see 'kensho package edit --help'")


def _size(key: str, value: str) -> int:
    found = parse_size(value)
    if found is None:
        raise click.UsageError(f"{key} is a size such as 4GiB, not '{value}'")
    return found


@click.command("rename-network")
@path_argument
@click.argument("old")
@click.argument("new")
@_writing
@guarded
def rename_network(path: Path, old: str, new: str, **how: Any) -> None:  # noqa: ANN401 - click's options
    """Give a network another name, where it is declared and wherever it is used."""
    _write(path, [edits.rename_network(old, new)], **how)


@click.command("add-file")
@path_argument
@_file
@_named
@_writing
@guarded
def add_file(path: Path, file: Path, name: str | None, **how: Any) -> None:  # noqa: ANN401 - click's options
    """Put a file into the package."""
    href = _href(file, name)
    _write(path, [edits.add_file(href, file.stat().st_size)], added={href: file}, **how)


@click.command("remove-file")
@path_argument
@click.argument("name")
@_writing
@guarded
def remove_file(path: Path, name: str, **how: Any) -> None:  # noqa: ANN401 - click's options
    """Take a file out of the package. In a folder the file itself stays where it is."""
    _write(path, [edits.remove_file(name)], **how)


@click.command("add-disk")
@path_argument
@_file
@_machine
@_named
@_writing
@guarded
def add_disk(path: Path, file: Path, machine: str | None, name: str | None, **how: Any) -> None:  # noqa: ANN401 - click's options
    """Put a disk image into the package and attach it to a machine, on a controller that has room.

    It goes in as it is: VMDK (streamOptimized), VHD, VHDX or QCOW2, recognised by its bytes. What else there
    is, 'kensho disk convert' makes one of them.
    """
    href = _href(file, name)
    capacity, uri = _image(file)
    change = edits.add_disk(machine, href, file.stat().st_size, capacity, uri)
    _write(path, [change], added={href: file}, **how)


@click.command("remove-disk")
@path_argument
@click.argument("disk")
@_writing
@guarded
def remove_disk(path: Path, disk: str, **how: Any) -> None:  # noqa: ANN401 - click's options
    """Take a disk out of the package, with its drives. In a folder its file stays where it is."""
    _write(path, [edits.remove_disk(disk)], **how)


@click.command("add-licence")
@path_argument
@_file
@_machine
@_writing
@guarded
def add_licence(path: Path, file: Path, machine: str | None, **how: Any) -> None:  # noqa: ANN401 - click's options
    """Add the text of a file (UTF-8) as a licence that has to be accepted."""
    try:
        text = file.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise KenshoError("the licence is no text in UTF-8", subject=str(file)) from error
    _write(path, [edits.add_licence(machine, text)], **how)


COMMANDS = (edit, rename_network, add_file, remove_file, add_disk, remove_disk, add_licence)


def _href(file: Path, name: str | None) -> str:
    href = file.name if name is None else name
    if why := unsafe(href):
        raise KenshoError(f"a file of a package has a plain name; this is {why}", subject=href)
    if href.lower().endswith((".ovf", ".mf", ".cert")):
        raise KenshoError("this is a name of the package's own papers", subject=href)
    return href


def _hrefs(envelope: Envelope) -> set[str]:
    return {each.href for each in envelope.files}


def _image(file: Path) -> tuple[int, str]:
    """Capacity of a disk image in bytes, and the URI of its format."""
    from kensho_tui.cli.images import opened_image
    from kensho_tui.ovf.names import DISK_URIS

    with opened_image(file, None) as opened:
        if opened.format not in DISK_URIS:
            raise KenshoError(
                f"a disk of the format {opened.format} does not go into a package",
                subject=str(file),
                remedy=f"Convert it first: kensho disk convert {file} {file.stem}.vmdk",
            )
        return opened.capacity(), DISK_URIS[opened.format]


def _write(
    path: Path,
    changes: Sequence[Change],
    *,
    output: Path | None,
    algorithm: str,
    dry_run: bool,
    as_json: bool,
    added: Mapping[str, Path] | None = None,
) -> None:
    opened = open_package(path, integrity="warn")
    editing = Editing(opened.descriptor, opened.name)
    for change in changes:
        editing.apply(change)
    difference = list(editing.diff())
    removed = _hrefs(opened.envelope) - _hrefs(editing.envelope)
    writes = editing.changed and not dry_run
    if not writes:
        made = path
        narrate(
            "Nothing was written." if dry_run else "That is how it is already: nothing was written."
        )
    else:
        wanted = Wanted(
            descriptor=editing.data, algorithm=algorithm, added=added or {}, removed=removed
        )
        made = rewrite(opened, wanted, output)
        if opened.papers.certificate_name:
            narrate(
                "The signature was taken off: sign the package again with 'kensho package sign'."
            )
    emit(
        {
            "package": str(made),
            "changed": writes,
            "difference": difference,
        },
        "\n".join(map(one_line, difference)) if not writes else f"{one_line(str(made))}: written",
        as_json=as_json,
    )
