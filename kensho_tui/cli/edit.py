"""``kensho package edit`` and its like: a package is changed, and written anew when it is whole."""

import sys
from pathlib import Path
from typing import Any

import click

from kensho_tui.cli import edit_add
from kensho_tui.cli.edit_settings import On, listed, setting, text_of, unset
from kensho_tui.cli.edit_write import (
    file_argument,
    href_of,
    machine_option,
    name_option,
    write,
    writing,
)
from kensho_tui.cli.out import guarded
from kensho_tui.cli.package_parts import source_argument
from kensho_tui.errors import KenshoError
from kensho_tui.ovf import edits
from kensho_tui.web.address import shown


@click.command()
@source_argument
@machine_option
@click.option(
    "--configuration",
    metavar="ID",
    help="Deployment option that the change is for (hardware and defaults); else for all.",
)
@click.option(
    "--product", metavar="ID", default="", help="Number, class or name; else the first one."
)
@click.option("--set", "settings", metavar="KEY=VALUE", multiple=True, help=f"{listed()}.")
@click.option(
    "--unset",
    "unsettings",
    metavar="KEY",
    multiple=True,
    help="property:KEY, config:KEY, extra:KEY.",
)
@writing
@guarded
def edit(
    path: Path | str,
    machine: str | None,
    configuration: str | None,
    product: str,
    settings: tuple[str, ...],
    unsettings: tuple[str, ...],
    **how: Any,  # noqa: ANN401 - click's options
) -> None:
    """Change what a package says: of its machines and their devices, products, questions, disks.

    With neither --set nor --unset, opens the editor on the terminal.

    What is not named stays as it was written. A new manifest is made, and a signature taken off.
    """
    on = On(machine, configuration, product)
    changes = [setting(each, on) for each in settings] + [unset(each, on) for each in unsettings]
    if changes:
        write(path, changes, **how)
        return
    if how["output"] is not None or how["dry_run"] or how["as_json"]:
        raise click.UsageError("nothing is to be changed: name something with --set or --unset")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError(
            "the editor needs a terminal; name what is to change with --set or --unset"
        )
    if isinstance(path, str):
        raise KenshoError(
            "the editor opens packages on this machine alone",
            subject=shown(path),
            remedy="Fetch it first (kensho package copy), or name what is to change with --set and --output",
        )
    from kensho_tui.app import run

    context = click.get_current_context()
    low = bool(context.find_root().params.get("low_bandwidth"))
    context.exit(run(edit=path.absolute(), low_bandwidth=low))


@click.command("rename-network")
@source_argument
@click.argument("old")
@click.argument("new")
@writing
@guarded
def rename_network(path: Path | str, old: str, new: str, **how: Any) -> None:  # noqa: ANN401 - click's options
    """Give a network another name, where it is declared and wherever it is used."""
    write(path, [edits.rename_network(old, new)], **how)


@click.command("add-file")
@source_argument
@file_argument
@name_option
@writing
@guarded
def add_file(path: Path | str, file: Path, name: str | None, **how: Any) -> None:  # noqa: ANN401 - click's options
    """Put a file into the package."""
    href = href_of(file, name)
    write(path, [edits.add_file(href, file.stat().st_size)], added={href: file}, **how)


@click.command("remove-file")
@source_argument
@click.argument("name")
@writing
@guarded
def remove_file(path: Path | str, name: str, **how: Any) -> None:  # noqa: ANN401 - click's options
    """Take a file out of the package. In a folder the file itself stays where it is."""
    write(path, [edits.remove_file(name)], **how)


@click.command("rename-file")
@source_argument
@click.argument("old")
@click.argument("new")
@writing
@guarded
def rename_file(path: Path | str, old: str, new: str, **how: Any) -> None:  # noqa: ANN401 - click's options
    """Give a file of the package another name; what is in it stays."""
    write(path, [edits.rename_file(old, new)], renamed={old: new}, **how)


@click.command("add-disk")
@source_argument
@file_argument
@machine_option
@name_option
@click.option(
    "--place",
    metavar="DEVICE[:NUMBER]",
    default="",
    help="Controller, and place on it; else one that has room.",
)
@writing
@guarded
def add_disk(
    path: Path | str,
    file: Path,
    machine: str | None,
    name: str | None,
    place: str,
    **how: Any,  # noqa: ANN401 - click's options
) -> None:
    """Put a disk image into the package and attach it to a machine, on a controller that has room.

    It goes in as it is: VMDK (streamOptimized), VHD, VHDX or QCOW2, recognised by its bytes. What else there
    is, 'kensho disk convert' makes one of them.
    """
    href = href_of(file, name)
    capacity, uri = _image(file)
    changes = [edits.add_disk(machine, href, file.stat().st_size, capacity, uri)]
    if place:
        changes.append(setting(f"place:Hard disk ({href})={place}", On(machine)))
    write(path, changes, added={href: file}, **how)


@click.command("remove-disk")
@source_argument
@click.argument("disk")
@writing
@guarded
def remove_disk(path: Path | str, disk: str, **how: Any) -> None:  # noqa: ANN401 - click's options
    """Take a disk out of the package, with its drives. In a folder its file stays where it is."""
    write(path, [edits.remove_disk(disk)], **how)


@click.command("add-licence")
@source_argument
@file_argument
@machine_option
@writing
@guarded
def add_licence(path: Path | str, file: Path, machine: str | None, **how: Any) -> None:  # noqa: ANN401 - click's options
    """Add the text of a file (UTF-8) as a licence that has to be accepted."""
    write(path, [edits.add_licence(machine, text_of(str(file)))], **how)


COMMANDS = (
    edit, rename_network, add_file, remove_file, rename_file, add_disk, remove_disk, add_licence,
    *edit_add.COMMANDS,
)  # fmt: skip


def _image(file: Path) -> tuple[int, str]:
    """Capacity of a disk image in bytes, and the URI of its format."""
    from kensho_tui.cli.images import opened_image
    from kensho_tui.ovf.names import DISK_URIS

    with opened_image(file, None) as opened:
        if opened.format not in DISK_URIS:
            raise KenshoError(
                f"a disk of the format {opened.format} does not go into a package",
                subject=str(file),
                remedy=f"Convert it first: kensho disk convert {file} new.vmdk -O vmdk",
            )
        return opened.capacity(), DISK_URIS[opened.format]
