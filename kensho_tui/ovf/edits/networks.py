"""Networks of a package (DSP0243 2.1.1 §9.2)."""

from kensho_tui.ovf import xml
from kensho_tui.ovf.editing import Change
from kensho_tui.ovf.edits.machines import systems
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.errors import DescriptorError
from kensho_tui.ovf.tree import hardware_items, put


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
