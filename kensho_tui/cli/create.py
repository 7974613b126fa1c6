"""``kensho package create``: a package from a template and disk images."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kensho_tui.cli.out import emit, guarded, json_option, narrate
from kensho_tui.cli.writing import writing_of, writing_options
from kensho_tui.errors import KenshoError
from kensho_tui.findings import Severity
from kensho_tui.machine import Appliance, DiskId
from kensho_tui.text import one_line

if TYPE_CHECKING:
    from kensho_tui.findings import Finding
    from kensho_tui.migration.plan import DiskFormat, OvfVersion, PackageFormat
    from kensho_tui.migration.sessions import Writing
    from kensho_tui.ovf.editing import Change


@click.command()
@click.argument("template", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--output", required=True, metavar="PATH", help="The package: an .ova, or a folder.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["ova", "ovf"]),
    help="One archive, or a folder; where nothing is said, a folder if the path ends in .ovf, else an archive.",
)
@click.option(
    "--disk-format",
    type=click.Choice(["vmdk", "vhd", "vhdx", "qcow2"]),
    default="vmdk",
    show_default=True,
    help="Of the disks in it; images of any format are converted on the way.",
)
@click.option(
    "--ovf-version",
    type=click.Choice(["1.1", "2.0"]),
    default="1.1",
    show_default=True,
    help="Version of OVF that is written; most products read 1.1 alone.",
)
@writing_options
@json_option
@guarded
def create(
    template: Path,
    output: str,
    format_: "PackageFormat | None",
    disk_format: "DiskFormat",
    ovf_version: "OvfVersion",
    as_json: bool,
    **options: Any,  # noqa: ANN401 - click's options
) -> None:
    """Make a package: machines, product, questions, licences, options and languages by a YAML file.

    docs/packages.md shows one. The package gets its name when it is whole; 'kensho package sign' signs it.
    """
    from backends.base import BackendError, Placement
    from kensho_tui.cli.images import Bar, ended_by_signals, opened_image
    from kensho_tui.connections import ConnectionBook
    from kensho_tui.disks.copy import transfer
    from kensho_tui.engine.secrets import Secrets
    from kensho_tui.migration.sessions import Sessions
    from kensho_tui.migration.template import appliance_of, beyond, load
    from kensho_tui.ovf.output import check_format

    check_format(Path(output), format_)
    format_ = format_ or ("ovf" if output.lower().endswith(".ovf") else "ova")
    writing = writing_of(options, format=format_, disk_format=disk_format, ovf_version=ovf_version)
    wanted = load(template)
    appliance, images = appliance_of(wanted, template.parent)
    appliance = _measured(appliance, images)
    changes = beyond(wanted)
    _expect(appliance, changes)
    key = f"kensho:create-{uuid.uuid4()}:package"
    with ended_by_signals() as cancel, Sessions(ConnectionBook(), Secrets(), cancel) as sessions:
        path = str(Path(output).absolute())
        settings = writing.settings()
        try:
            session = sessions.package(path, **settings)
            _agree(session.check(appliance, Placement()))
            deployment = session.deploy(appliance, Placement(), key)
        except BackendError as error:
            raise _of_files(error) from error
        try:
            for disk, image in images.items():
                narrate(f"Writing {one_line(str(image))} …")
                with opened_image(image, None) as opened, Bar() as bar:
                    transfer(
                        opened.stream,
                        opened.image.offer,
                        targets=deployment.offers(disk),
                        open_writer=lambda offer, length, allocation, disk=disk: deployment.open(  # type: ignore[misc]
                            disk, offer, length, allocation
                        ),
                        progress=bar.show,
                        cancel=cancel,
                        verify=opened.verify,
                        subject=str(image),
                    )
            deployment.commit(False)
        except BaseException as error:
            sessions.apart().package(path, **settings).sweep(key)
            if isinstance(error, BackendError):
                raise _of_files(error) from error
            raise
        made = Path(str(deployment.token["path"]))
    if changes:
        _say_more(made, changes, writing)
    emit({"package": str(made)}, f"{one_line(str(made))}: written", as_json=as_json)


def _of_files(error: KenshoError) -> KenshoError:
    """The same, of files here and not of a platform: that is another exit."""
    return KenshoError(error.what, subject=error.subject, remedy=error.remedy)


def _agree(findings: "Sequence[Finding]") -> None:
    """Say what there is to say of the package beforehand. Raises: KenshoError: the first error."""
    for each in findings:
        if each.severity is Severity.ERROR:
            raise KenshoError(
                each.message.rstrip("."), subject=each.subject, remedy=each.remedy.rstrip(".")
            )
        narrate(
            one_line(
                f"Note: {each.subject}: {each.message}" if each.subject else f"Note: {each.message}"
            )
        )


def _measured(appliance: Appliance, images: Mapping[DiskId, Path]) -> Appliance:
    """With the capacities that the images tell."""
    from kensho_tui.cli.images import opened_image
    from kensho_tui.disks.image import Format

    disks = dict(appliance.disks)
    for disk, image in images.items():
        with opened_image(image, None) as opened:
            capacity = opened.capacity()
            if opened.image.offer.format is Format.RAW:
                narrate(
                    f"Note: {one_line(str(image))} is of no known format: it goes in as a raw disk."
                )
        disks[disk] = replace(disks[disk], capacity=-(-capacity // 512) * 512)
    return replace(appliance, disks=disks)


def _say_more(made: Path, changes: "Sequence[Change]", writing: "Writing") -> None:
    """Deployment options and languages, which stand in the descriptor alone."""
    from kensho_tui.ovf.editing import Editing
    from kensho_tui.ovf.package import open_package
    from kensho_tui.ovf.rewrite import Wanted, rewrite

    opened = open_package(made)
    editing = Editing(opened.descriptor, opened.name)
    editing.apply(*changes)
    wanted = Wanted(descriptor=editing.data, algorithm=writing.digest, mtime=writing.epoch)
    rewrite(opened, wanted)


def _expect(appliance: Appliance, changes: "Sequence[Change]") -> None:
    """Raise what would go wrong with the descriptor before anything is written."""
    from kensho_tui.ovf.editing import Editing
    from kensho_tui.ovf.write import FileEntry, build

    files = {each.id: FileEntry(each.image, 0) for each in appliance.disks.values() if each.image}
    Editing(build(appliance, files)).apply(*changes)
