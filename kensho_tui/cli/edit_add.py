"""Commands that put parts into a package, or take them out: devices, networks, options, products, questions."""

import tempfile
from pathlib import Path
from typing import Any

import click

from kensho_tui.cli.edit_write import (
    file_argument,
    href_of,
    machine_option,
    name_option,
    option_option,
    write,
    writing,
)
from kensho_tui.cli.out import guarded
from kensho_tui.cli.package_parts import source_argument
from kensho_tui.errors import KenshoError
from kensho_tui.ovf import edits, iso
from kensho_tui.ovf.edits.drives import KINDS

_MOST_CONFIG = 8 << 20


# ----------------------------------------------------------------------------------------- devices
@click.command("add-adapter")
@source_argument
@machine_option
@option_option
@click.option("--network", default="", metavar="NAME", help="That it is on; else none.")
@click.option("--type", "subtype", default="", help="Such as VmxNet3; else that of the last one.")
@click.option("--mac", default="", help="Else the target chooses one.")
@click.option("--name", default="", help="Else it is numbered.")
@writing
@guarded
def add_adapter(
    path: Path | str,
    machine: str | None,
    configuration: str | None,
    network: str,
    subtype: str,
    mac: str,
    name: str,
    **how: Any,  # noqa: ANN401 - click's options
) -> None:
    """Give a machine a network adapter more."""
    change = edits.add_adapter(
        machine, network, subtype=subtype, mac=mac, name=name, configuration=configuration
    )
    write(path, [change], **how)


@click.command("add-controller")
@source_argument
@click.argument("kind", type=click.Choice(list(KINDS)))
@machine_option
@option_option
@click.option("--type", "subtype", default="", help="Such as VirtualSCSI; else the usual one.")
@writing
@guarded
def add_controller(
    path: Path | str,
    kind: str,
    machine: str | None,
    configuration: str | None,
    subtype: str,
    **how: Any,  # noqa: ANN401 - click's options
) -> None:
    """Give a machine a controller more."""
    change = edits.add_controller(machine, kind, subtype=subtype, configuration=configuration)
    write(path, [change], **how)


@click.command("add-drive")
@source_argument
@click.argument("medium", type=click.Choice(["cdrom", "floppy"]))
@machine_option
@option_option
@click.option("--file", "href", default="", help="File of the package in it; else it is empty.")
@writing
@guarded
def add_drive(
    path: Path | str,
    medium: str,
    machine: str | None,
    configuration: str | None,
    href: str,
    **how: Any,  # noqa: ANN401 - click's options
) -> None:
    """Give a machine a CD or floppy drive."""
    write(path, [edits.add_drive(machine, medium, href, configuration)], **how)


@click.command("add-serial")
@source_argument
@machine_option
@option_option
@click.option("--address", default="", metavar="URI", help="Where it leads: telnet://:9101.")
@writing
@guarded
def add_serial(
    path: Path | str,
    machine: str | None,
    configuration: str | None,
    address: str,
    **how: Any,  # noqa: ANN401 - click's options
) -> None:
    """Give a machine a serial port."""
    write(path, [edits.add_serial(machine, address, configuration)], **how)


@click.command("attach-disk")
@source_argument
@click.argument("disk")
@machine_option
@option_option
@click.option("--controller", default="", metavar="DEVICE", help="Else one that has room.")
@writing
@guarded
def attach_disk(
    path: Path | str,
    disk: str,
    machine: str | None,
    configuration: str | None,
    controller: str,
    **how: Any,  # noqa: ANN401 - click's options
) -> None:
    """Give a machine a disk that the package has already."""
    write(path, [edits.attach_disk(machine, disk, controller, configuration)], **how)


@click.command("remove-device")
@source_argument
@click.argument("device")
@machine_option
@option_option
@writing
@guarded
def remove_device(
    path: Path | str,
    device: str,
    machine: str | None,
    configuration: str | None,
    **how: Any,  # noqa: ANN401 - click's options
) -> None:
    """Take an adapter, controller, drive or port away, by its InstanceID or name. A disk itself stays."""
    write(path, [edits.remove_device(machine, device, configuration)], **how)


@click.command("remove-machine")
@source_argument
@click.argument("machine")
@writing
@guarded
def remove_machine(path: Path | str, machine: str, **how: Any) -> None:  # noqa: ANN401 - click's options
    """Take a machine out, with the disks that are only its own. In a folder their files stay."""
    write(path, [edits.remove_machine(machine)], **how)


@click.command("inject-config")
@source_argument
@file_argument
@machine_option
@option_option
@name_option
@click.option(
    "--cd-name", default="config.iso", show_default=True, help="Name of the CD in the package."
)
@writing
@guarded
def inject_config(
    path: Path | str,
    file: Path,
    machine: str | None,
    configuration: str | None,
    name: str | None,
    cd_name: str,
    **how: Any,  # noqa: ANN401 - click's options
) -> None:
    """Put a configuration file on a CD, and the CD into a new drive of the machine."""
    data = _small(file)
    on_cd = name or file.name
    if why := iso.unfit(on_cd):
        raise KenshoError(why, subject=on_cd, remedy="Give it another name on the CD (--as)")
    cd = href_of(file, cd_name)
    with tempfile.TemporaryDirectory(prefix="kensho-") as room:
        made = Path(room) / "config.iso"
        made.write_bytes(iso.image({on_cd: data}, "config"))
        changes = [
            edits.add_file(cd, made.stat().st_size),
            edits.add_drive(machine, "cdrom", cd, configuration),
        ]
        write(path, changes, added={cd: made}, **how)


def _small(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            data = stream.read(_MOST_CONFIG + 1)
    except OSError as error:
        raise KenshoError(
            f"the file cannot be read: {error.strerror}", subject=str(file)
        ) from error
    if len(data) > _MOST_CONFIG:
        raise KenshoError(
            f"a configuration file has at most {_MOST_CONFIG >> 20} MiB", subject=str(file)
        )
    return data


# ---------------------------------------------------------------------------- networks and options
@click.command("add-network")
@source_argument
@click.argument("name")
@click.option("--description", default="", help="What it is for.")
@writing
@guarded
def add_network(path: Path | str, name: str, description: str, **how: Any) -> None:  # noqa: ANN401 - click's options
    """Declare a network more."""
    write(path, [edits.add_network(name, description)], **how)


@click.command("remove-network")
@source_argument
@click.argument("name")
@writing
@guarded
def remove_network(path: Path | str, name: str, **how: Any) -> None:  # noqa: ANN401 - click's options
    """Take a network away that no adapter is on."""
    write(path, [edits.remove_network(name)], **how)


@click.command("add-option")
@source_argument
@click.argument("id_", metavar="ID")
@click.option("--label", default="", help="What people read; else its id.")
@click.option("--description", default="")
@click.option("--default", is_flag=True, help="It is taken where none is chosen.")
@writing
@guarded
def add_option(
    path: Path | str,
    id_: str,
    label: str,
    description: str,
    default: bool,
    **how: Any,  # noqa: ANN401 - click's options
) -> None:
    """Add a deployment option. Its hardware is set by 'edit --configuration ID'."""
    write(path, [edits.add_configuration(id_, label, description, default)], **how)


@click.command("remove-option")
@source_argument
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@writing
@guarded
def remove_option(path: Path | str, ids: tuple[str, ...], **how: Any) -> None:  # noqa: ANN401 - click's options
    """Take deployment options away, with the hardware and defaults that are their own."""
    write(path, [edits.remove_configuration(each) for each in ids], **how)


# ------------------------------------------------------------------ products, questions, languages
@click.command("add-product")
@source_argument
@click.argument("name")
@machine_option
@click.option("--class", "class_", default="", help="Stands before the keys of its questions.")
@click.option("--instance", default="", help="Stands behind them.")
@writing
@guarded
def add_product(
    path: Path | str,
    name: str,
    machine: str | None,
    class_: str,
    instance: str,
    **how: Any,  # noqa: ANN401 - click's options
) -> None:
    """Add a product. What else it says is set by 'edit --product NAME'."""
    write(path, [edits.add_product(machine, name, class_, instance)], **how)


@click.command("remove-product")
@source_argument
@click.argument("product")
@machine_option
@writing
@guarded
def remove_product(path: Path | str, product: str, machine: str | None, **how: Any) -> None:  # noqa: ANN401 - click's options
    """Take a product away (its number, class or name), with its questions."""
    write(path, [edits.remove_product(machine, product)], **how)


@click.command("add-property")
@source_argument
@click.argument("key")
@machine_option
@click.option("--product", default="", metavar="ID", help="Number, class or name; else the first.")
@click.option("--type", "type_", default="string", show_default=True)
@click.option("--label", default="")
@click.option("--description", default="")
@click.option("--default", default=None, help="Else it has to be answered.")
@click.option("--qualifiers", default="", help='Such as MinValue(1) or ValueMap{"a","b"}.')
@click.option("--category", default="")
@click.option("--password", is_flag=True, help="It is a password, and has no default.")
@click.option("--fixed", is_flag=True, help="It may not be answered: it is as its default says.")
@writing
@guarded
def add_property(
    path: Path | str,
    key: str,
    machine: str | None,
    product: str,
    type_: str,
    label: str,
    description: str,
    default: str | None,
    qualifiers: str,
    category: str,
    password: bool,
    fixed: bool,
    **how: Any,  # noqa: ANN401 - click's options
) -> None:
    """Add a question that the package asks."""
    change = edits.add_property(
        machine,
        key,
        type_,
        label=label,
        description=description,
        default=default,
        qualifiers=qualifiers,
        configurable=not fixed,
        password=password,
        category=category,
        product=product,
    )
    write(path, [change], **how)


@click.command("remove-property")
@source_argument
@click.argument("key")
@machine_option
@writing
@guarded
def remove_property(path: Path | str, key: str, machine: str | None, **how: Any) -> None:  # noqa: ANN401 - click's options
    """Take a question away."""
    write(path, [edits.remove_property(machine, key)], **how)


@click.command("remove-licence")
@source_argument
@click.argument("number", type=click.IntRange(1))
@machine_option
@writing
@guarded
def remove_licence(path: Path | str, number: int, machine: str | None, **how: Any) -> None:  # noqa: ANN401 - click's options
    """Take a licence away, by its number in the order of the package."""
    write(path, [edits.remove_licence(machine, number)], **how)


@click.command("remove-language")
@source_argument
@click.argument("language")
@writing
@guarded
def remove_language(path: Path | str, language: str, **how: Any) -> None:  # noqa: ANN401 - click's options
    """Take the texts in a language away."""
    write(path, [edits.remove_language(language)], **how)


COMMANDS = (
    add_adapter, add_controller, add_drive, add_serial, attach_disk, remove_device, remove_machine,
    inject_config, add_network, remove_network, add_option, remove_option, add_product, remove_product,
    add_property, remove_property, remove_licence, remove_language,
)  # fmt: skip
