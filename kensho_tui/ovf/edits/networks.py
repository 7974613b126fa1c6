"""Networks of a package (DSP0243 2.1.1 §9.2)."""

from lxml import etree

from kensho_tui.ovf import xml
from kensho_tui.ovf.editing import Change
from kensho_tui.ovf.edits.machines import systems
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.errors import DescriptorError
from kensho_tui.ovf.tree import (
    appended,
    behind,
    child_made,
    field,
    hardware_items,
    named,
    put,
    put_text,
    removed,
)


def rename_network(old: str, new: str) -> Change:
    """Another name of a network, where it is declared and wherever it is used.

    Raises (when applied): DescriptorError: there is none of the old name, or one of the new already.
    """

    def change(envelope: Envelope) -> None:
        declared = [
            each
            for section in envelope.sections("NetworkSection")
            for each in xml.children(section, "Network")
        ]
        known = {xml.attr(each, "name") or "": each for each in declared}
        used = [
            connection
            for each in systems(envelope)
            for section in xml.children(each, "VirtualHardwareSection")
            for item in hardware_items(section)
            for connection in xml.children(item)
            if xml.local(connection) == "Connection" and xml.text(connection).strip() == old
        ]
        if old not in known and not used:
            raise DescriptorError(
                f"there is no network '{old}'",
                subject=envelope.subject,
                remedy=f"There are: {', '.join(known)}" if known else "",
            )
        if new in known or not new.strip():
            raise DescriptorError(f"'{new}' is the name of a network already" if new.strip() else
                                  "a network has a name", subject=envelope.subject)  # fmt: skip
        if old in known:
            put(known[old], "name", new)
        for each in used:
            each.text = new

    return change


def _declared(envelope: Envelope) -> dict[str, etree._Element]:
    return {
        xml.attr(each, "name") or "": each
        for section in reversed(list(envelope.sections("NetworkSection")))
        for each in reversed(list(xml.children(section, "Network")))
    }


def _network(envelope: Envelope, name: str) -> etree._Element:
    known = _declared(envelope)
    if name not in known:
        raise DescriptorError(
            f"there is no network '{name}'",
            subject=envelope.subject,
            remedy=f"There are: {', '.join(reversed(known))}" if known else "There are none",
        )
    return known[name]


def add_network(name: str, description: str = "") -> Change:
    """A network more, that adapters can be put on."""

    def change(envelope: Envelope) -> None:
        if not name.strip():
            raise DescriptorError("a network has a name")
        if name in _declared(envelope):
            raise DescriptorError(
                f"'{name}' is the name of a network already", subject=envelope.subject
            )
        section = next(envelope.sections("NetworkSection"), None)
        if section is None:
            section = etree.Element(named(envelope.root, "NetworkSection"))
            behind(envelope.root, section, ("References", "DiskSection", "SharedDiskSection"))
            appended(section, "Info").text = "The networks"
        network = appended(section, "Network")
        put(network, "name", xml.printable(name))
        if description:
            put_text(appended(network, "Description"), description)
        envelope.touched()

    return change


def users(envelope: Envelope, name: str) -> list[str]:
    """Devices on the network, each as machine and name."""
    return [
        f"{xml.attr(each, 'id') or ''}: {field(item, 'ElementName')}"
        for each in systems(envelope)
        for section in xml.children(each, "VirtualHardwareSection")
        for item in hardware_items(section)
        if any(
            xml.local(child) == "Connection" and xml.text(child).strip() == name
            for child in xml.children(item)
        )
    ]


def remove_network(name: str) -> Change:
    """Take a network away that nothing is on.

    Raises (when applied): DescriptorError: there is none, or adapters are on it.
    """

    def change(envelope: Envelope) -> None:
        network = _network(envelope, name)
        on = list(dict.fromkeys(users(envelope, name)))
        if on:
            raise DescriptorError(
                f"adapters are on it: {', '.join(on[:6])}",
                subject=name,
                remedy="Put them on another network, or remove them, first",
            )
        section = network.getparent()
        removed(network)
        if section is not None and not list(xml.children(section, "Network")):
            removed(section)
        envelope.touched()

    return change


def set_network_description(name: str, text: str) -> Change:
    """What the network is for."""

    def change(envelope: Envelope) -> None:
        put_text(child_made(_network(envelope, name), "Description", after=()), text)
        envelope.touched()

    return change
