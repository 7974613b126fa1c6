"""What there is to say beforehand of the files that a package is written as."""

from collections.abc import Iterator

from backends.base import Finding, Severity
from backends.package.settings import PackageSettings
from kensho_tui.machine import Appliance, Disk
from kensho_tui.ovf.archive_write import OCTAL_LIMIT

_CLAUSE = "DSP0243 2.1.1 §7.1"


def files_made(
    appliance: Appliance, settings: PackageSettings, *, archive: bool
) -> Iterator[Finding]:
    """Compressed files, chunks, and what goes beyond ustar: who may not read them."""
    disks = [each for each in appliance.disks.values() if not each.blank]
    if settings.compression != "none" and disks:
        yield from _compressed(settings)
    for disk in disks:
        size = disk.populated or disk.capacity or 0
        if settings.chunk_bytes and size > settings.chunk_bytes:
            yield _chunks(disk)
        elif archive and size >= OCTAL_LIMIT:
            yield _chunks(disk) if settings.strict else _beyond(disk)


def _compressed(settings: PackageSettings) -> Iterator[Finding]:
    if settings.disk_format == "qcow2":
        yield Finding(
            "compression-unreadable",
            Severity.ERROR,
            "A QCOW2 whose file is compressed is read by nobody without unpacking it first.",
            remedy="Leave the files as they are, or choose another format of disks.",
            clause=_CLAUSE,
        )
    inside = settings.disk_format == "vmdk"
    yield Finding(
        "disk-compressed",
        Severity.INFO,
        "The disks' files are compressed (ovf:compression), and are read forward only, by whom they are"
        " read" + (". VMDKs are compressed inside already." if inside else "."),
        clause=_CLAUSE,
    )


def _chunks(disk: Disk) -> Finding:
    return Finding(
        "disk-in-chunks",
        Severity.INFO,
        "It is cut into chunks where its file grows too large (ovf:chunkSize), and few products join"
        " them: ovftool does, and so does Kensho.",
        subject=disk.name or disk.id,
        clause=_CLAUSE,
    )


def _beyond(disk: Disk) -> Finding:
    return Finding(
        "size-beyond-ustar",
        Severity.INFO,
        "It may take more than 8 GiB of the archive: its length is then told in GNU tar's way,"
        " because ustar has none for it.",
        subject=disk.name or disk.id,
        remedy="Write a folder (.ovf) or plain ustar (--strict) where the package is for tools that do"
        " not read that.",
        clause="DSP0243 2.1.1 §5",
    )
