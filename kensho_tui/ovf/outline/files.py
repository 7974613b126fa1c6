"""Files of this computer that come into a package: what has to be known of each before."""

from contextlib import suppress
from pathlib import Path

from kensho_tui.disks.files import FileInput
from kensho_tui.disks.formats import open_source
from kensho_tui.disks.image import Access, Offer
from kensho_tui.disks.probe import probe
from kensho_tui.ovf import edits
from kensho_tui.ovf.errors import PackageError
from kensho_tui.ovf.names import DISK_URIS
from kensho_tui.ovf.outline.nodes import Made

_MOST_TEXT = 4 << 20


def _path(text: str) -> Path:
    """The file. Raises: PackageError: there is none."""
    path = Path(text)
    with suppress(RuntimeError):  # "~nobody": it can only be a file's name
        path = path.expanduser()
    if not path.is_file():
        raise PackageError("there is no such file", subject=text, remedy="Check the path")
    return path


def file_made(text: str, name: str) -> Made:
    """A file of the package. Args: name: it gets there; "" takes its own."""
    path = _path(text)
    href = name.strip() or path.name
    edits.check_href(href)
    return Made((edits.add_file(href, path.stat().st_size),), {href: path})


def disk_made(text: str, name: str, machine: str | None) -> Made:
    """A disk image of the package, in a drive of the machine.

    Raises: PackageError: no image that goes into a package as it is. FileError.
    """
    path = _path(text)
    href = name.strip() or path.name
    edits.check_href(href)
    with FileInput(path) as stream:
        format_ = probe(stream)
        if format_ not in DISK_URIS:
            raise PackageError(
                f"a disk of the format {format_} does not go into a package",
                subject=text,
                remedy=f"Convert it first: kensho disk convert {path.name} new.vmdk -O vmdk",
            )
        capacity = open_source(stream, Offer(format_, Access.SEEK)).capacity
    change = edits.add_disk(machine, href, path.stat().st_size, capacity, DISK_URIS[format_])
    return Made((change,), {href: path})


def licence_made(text: str, machine: str | None) -> Made:
    """The text of a file as a licence. Raises: PackageError: it is no text in UTF-8."""
    return Made((edits.add_licence(machine, text_of(text)),))


def text_of(text: str) -> str:
    """What is in a file. Raises: PackageError: it is no text in UTF-8, or too long."""
    path = _path(text)
    if path.stat().st_size > _MOST_TEXT:
        raise PackageError(f"the text is longer than {_MOST_TEXT >> 20} MiB", subject=text)
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PackageError("this is no text in UTF-8", subject=text) from error
    except OSError as error:
        raise PackageError(f"the file cannot be read: {error.strerror}", subject=text) from error
