"""Files of a package (DSP0243 2.1.1 §7.1)."""

import re
from collections.abc import Iterator

from lxml import etree

from kensho_tui.ovf import xml
from kensho_tui.ovf.editing import Change
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.errors import DescriptorError
from kensho_tui.ovf.members import unsafe
from kensho_tui.ovf.tree import appended, free, named, put, removed
from kensho_tui.text import plain


def check_href(href: str) -> None:
    """Raise `DescriptorError` if that can be no name of a file in a package."""
    if why := unsafe(href):
        raise DescriptorError(f"a file of a package has a plain name; this is {why}", subject=href)
    if href != plain(href):
        raise DescriptorError("the name has characters that cannot be seen", subject=href)
    if href.lower().endswith((".ovf", ".mf", ".cert")):
        raise DescriptorError("this is a name of the package's own papers", subject=href)


def add_file(href: str, size: int) -> Change:
    """A file of the package (§7.1). Raises (when applied): DescriptorError: it is there already."""

    def change(envelope: Envelope) -> None:
        if any(each.href == href for each in envelope.files):
            raise DescriptorError("the package has a file of that name", subject=href)
        new_file(envelope, href, size)

    return change


def new_file(envelope: Envelope, href: str, size: int) -> str:
    """Put a file into the references; its id."""
    references = xml.child(envelope.root, "References")
    if references is None:
        references = etree.Element(named(envelope.root, "References"))
        envelope.root.insert(0, references)
    file = appended(references, "File")
    id_ = free("file", {each.id for each in envelope.files})
    put(file, "href", href)
    put(file, "id", id_)
    put(file, "size", str(size))
    envelope.touched()
    return id_


def remove_file(href: str) -> Change:
    """Take a file out of the references; one that a disk lies in goes with `remove_disk`.

    Raises (when applied): DescriptorError: there is none, or something refers to it.
    """

    def change(envelope: Envelope) -> None:
        file = next((each for each in envelope.files if each.href == href), None)
        if file is None:
            raise DescriptorError("the package has no such file", subject=href)
        users = [xml.kind(each) for each in envelope.root.iter() if isinstance(each.tag, str)
                 and xml.attr(each, "fileRef") == file.id]  # fmt: skip
        users += [f"a drive ({text})" for text in _host_resources(envelope)
                  if re.fullmatch(rf"(?:ovf:)?/+file/{re.escape(file.id)}", text)]  # fmt: skip
        if users:
            raise DescriptorError(
                f"the file is used: {', '.join(users)}",
                subject=href,
                remedy="Remove the disk that lies in it, or what refers to it, first",
            )
        drop_file(envelope, file.id)

    return change


def _host_resources(envelope: Envelope) -> Iterator[str]:
    for each in envelope.root.iter():
        if isinstance(each.tag, str) and xml.local(each) == "HostResource":
            yield xml.text(each).strip()


def drop_file(envelope: Envelope, id_: str) -> None:
    """Take the file of that id out of the references."""
    for references in xml.children(envelope.root, "References"):
        for file in list(xml.children(references, "File")):
            if xml.attr(file, "id") == id_:
                removed(file)
    envelope.touched()


def rename_file(old: str, new: str) -> Change:
    """Another name of a file of the package.

    Raises (when applied): DescriptorError: there is none, the name is taken or can be none, or the file is
        cut into chunks.
    """
    check_href(new)

    def change(envelope: Envelope) -> None:
        file = next((each for each in envelope.files if each.href == old), None)
        if file is None:
            raise DescriptorError("the package has no such file", subject=old)
        if any(each.href.lower() == new.lower() and each is not file for each in envelope.files):
            raise DescriptorError("the package has a file of that name", subject=new)
        if file.chunk_size:
            raise DescriptorError("the file is cut into chunks, and keeps its name", subject=old)
        if len([each for each in envelope.files if each.href == old]) > 1:
            raise DescriptorError("the package refers to it twice", subject=old)
        envelope.set_file(file.id, href=new)

    return change
