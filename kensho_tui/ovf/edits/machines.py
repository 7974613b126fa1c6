"""The machines of a descriptor, and what they are called (DSP0243 2.1.1 §7.2, §9.4)."""

from lxml import etree

from kensho_tui.ovf import xml
from kensho_tui.ovf.editing import Change
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.errors import DescriptorError
from kensho_tui.ovf.tree import child_made, new_section, put_text
from kensho_tui.text import one_line, plain


def systems(envelope: Envelope) -> list[etree._Element]:
    """All VirtualSystems, in order."""
    found: list[etree._Element] = []

    def walk(element: etree._Element | None) -> None:
        if element is None:
            return
        if xml.kind(element) == "VirtualSystem":
            found.append(element)
        for child in xml.children(element, "VirtualSystem", "VirtualSystemCollection"):
            walk(child)

    walk(envelope.content)
    return found


def system(envelope: Envelope, machine: str | None) -> etree._Element:
    """The VirtualSystem of that id or name; the only one where none is named.

    Raises: DescriptorError: there is none, or several and none is named.
    """
    known = idents(envelope)
    if machine is None:
        if len(known) == 1:
            return next(iter(known.values()))
        raise DescriptorError(
            f"the package has {len(known)} machines",
            subject=envelope.subject,
            remedy=f"Say which: {', '.join(known)}" if known else "",
        )
    if machine in known:
        return known[machine]
    strings = envelope.strings()
    for each in known.values():
        if strings.message(xml.child(each, "Name")) == machine:
            return each
    raise DescriptorError(
        f"there is no machine '{machine}'",
        subject=envelope.subject,
        remedy=f"There are: {', '.join(known)}",
    )


def idents(envelope: Envelope) -> dict[str, etree._Element]:
    """The machines by their ids, made unique as they are where the package is read."""
    found: dict[str, etree._Element] = {}
    for number, each in enumerate(systems(envelope), 1):
        wanted = id_of(each) or f"machine-{number}"
        unique, count = wanted, 2
        while unique in found:
            unique, count = f"{wanted}#{count}", count + 1
        found[unique] = each
    return found


def id_of(element: etree._Element) -> str:
    """The machine's id as written; "" where it has none."""
    return xml.attr(element, "id") or ""


def _expect_name(name: str) -> None:
    if not name.strip() or name != plain(name) or "\n" in name or "\t" in name:
        raise DescriptorError(
            "a name is one line of letters that can be seen", subject=one_line(name, limit=40)
        )


def set_name(machine: str | None, name: str) -> Change:
    """Another name of the machine. Raises: DescriptorError: it is none."""
    _expect_name(name)

    def change(envelope: Envelope) -> None:
        put_text(child_made(system(envelope, machine), "Name", after=("Info",)), name)

    return change


def set_title(name: str) -> Change:
    """What the whole is called: the collection, else the only machine. Raises: as `set_name`."""
    _expect_name(name)

    def change(envelope: Envelope) -> None:
        put_text(child_made(owner_of(envelope, None), "Name", after=("Info",)), name)

    return change


def set_annotation(machine: str | None, text: str) -> Change:
    """The description; of the machine, or of a collection where no machine is named."""

    def change(envelope: Envelope) -> None:
        owner = owner_of(envelope, machine)
        section = xml.child(owner, "AnnotationSection")
        if section is None:
            section = new_section(owner, "AnnotationSection", "A description of what this is")
        put_text(child_made(section, "Annotation", after=("Info",)), text)

    return change


def owner_of(envelope: Envelope, machine: str | None) -> etree._Element:
    """The machine that is named; else the content: the collection, or the only machine."""
    if machine is not None or envelope.content is None:
        return system(envelope, machine)
    return envelope.content


def hardware_of(envelope: Envelope, machine: str | None) -> list[etree._Element]:
    """Its hardware sections, of which there may be several. Raises: DescriptorError: there is none."""
    found = list(xml.children(system(envelope, machine), "VirtualHardwareSection"))
    if not found:
        raise DescriptorError("the machine has no virtual hardware", subject=envelope.subject)
    return found
