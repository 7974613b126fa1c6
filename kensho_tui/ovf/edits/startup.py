"""When which machine starts and stops (DSP0243 2.1.1 §9.7)."""

from lxml import etree

from kensho_tui.ovf import xml
from kensho_tui.ovf.editing import Change
from kensho_tui.ovf.edits.machines import id_of, system
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.errors import DescriptorError
from kensho_tui.ovf.tree import appended, new_section, put

_MOST = 1_000_000
_YES = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
_NUMBERS = {"order": "order", "start-delay": "startDelay", "stop-delay": "stopDelay"}
PARTS = (*_NUMBERS, "start", "wait-for-guest")


def set_start(machine: str | None, part: str, value: str) -> Change:
    """When the machine starts, beside the others of its collection.

    Args: part: ``order`` (those of one number start together), ``start-delay`` and ``stop-delay`` in seconds,
        ``start`` (yes or no: whether it is started at all), ``wait-for-guest`` (yes or no).

    Raises: DescriptorError: no such part or value; when applied: the machine is alone in its package.
    """
    if part not in PARTS:
        raise DescriptorError(f"a start has no '{part}'", remedy=f"Known are: {', '.join(PARTS)}")
    word = value.strip().lower()
    if part in _NUMBERS:
        if not (word.isascii() and word.isdigit() and int(word) <= _MOST):
            raise DescriptorError(f"that is a whole number from 0 to {_MOST}, not '{value}'")
        name, written = _NUMBERS[part], str(int(word))
    else:
        flag = _YES.get(word)
        if flag is None:
            raise DescriptorError(f"'{part}' is yes or no")
        name = "startAction" if part == "start" else "waitingForGuest"
        written = ("powerOn" if flag else "none") if part == "start" else str(flag).lower()

    def change(envelope: Envelope) -> None:
        found = system(envelope, machine)
        put(_item(envelope, found), name, written)

    return change


def _item(envelope: Envelope, machine: etree._Element) -> etree._Element:
    """The Item of the machine in a StartupSection; made in that of its collection."""
    id_ = id_of(machine)
    for section in envelope.root.iter(etree.Element):
        if xml.kind(section) == "StartupSection":
            for item in xml.children(section, "Item"):
                if xml.attr(item, "id") == id_:
                    return item
    collection = machine.getparent()
    if collection is None or xml.kind(collection) != "VirtualSystemCollection":
        raise DescriptorError(
            "the machine is alone in its package: there is no order to start in", subject=id_
        )
    found = next(xml.children(collection, "StartupSection"), None)
    if found is None:
        found = new_section(collection, "StartupSection", "When the machines start")
    item = appended(found, "Item")
    put(item, "id", id_)
    put(item, "order", "0")
    return item
