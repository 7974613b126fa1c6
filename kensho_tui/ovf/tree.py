"""Editing an OVF tree in place: in the document's own namespaces, in its order, in its lines' way."""

from collections.abc import Collection, Iterator

from lxml import etree

from kensho_tui.ovf import names as n
from kensho_tui.ovf import xml
from kensho_tui.ovf.errors import DescriptorError
from kensho_tui.ovf.items import KINDS

_OLD = "http://www.vmware.com/schema/ovf/1/envelope"  # OVF 0.9: sections are told apart by xsi:type
_NAMES = {
    n.PROCESSOR: "Processors",
    n.MEMORY: "Memory",
    n.DISK: "Hard disk",
    n.SCSI: "SCSI controller",
}
_INNER = frozenset({"VirtualHardwareSection", "VirtualSystem", "VirtualSystemCollection"})


def hardware_items(section: etree._Element) -> Iterator[etree._Element]:
    """All Items of a hardware section, of every kind."""
    return xml.children(section, *KINDS)


def field(item: etree._Element, name: str) -> str:
    """A CIM property of an Item, without white space around it; "" where it is absent."""
    return next(
        (xml.text(each).strip() for each in xml.children(item) if xml.local(each) == name), ""
    )


def resource_type(item: etree._Element) -> int | None:
    """The Item's ResourceType; None where it is no number."""
    return xml.number(field(item, "ResourceType"))


def bound(item: etree._Element) -> str:
    """What end of a range the Item is (§8.4); "" for none."""
    return (xml.attr(item, "bound") or "").strip().lower()


def options(item: etree._Element) -> list[str]:
    """The deployment options the element is for; none: for all."""
    return (xml.attr(item, "configuration") or "").split()


def put_field(item: etree._Element, name: str, value: str, space: str = n.RASD) -> None:
    """Set a CIM property; a new one goes where the alphabet wants it, as the schema does."""
    present = xml.child(item, name)
    if present is not None:
        present.text = value
        return
    fields = [each for each in xml.children(item) if "CIM_" in xml.namespace(each)]
    made = etree.Element(f"{{{xml.namespace(fields[0]) if fields else space}}}{name}")
    made.text = value
    _put_behind(item, made, [e for e in fields if xml.local(e).lower() < name.lower()])


def new_item(section: etree._Element, type_: int) -> etree._Element:
    """A new Item behind the last one, with name, id and type."""
    taken = {
        field(each, "InstanceID") or field(each, "InstanceId") for each in hardware_items(section)
    }
    item = etree.Element(named(section, "Item"))
    # The schema has Items before the other kinds that OVF 2 knows.
    last = list(xml.children(section, "Item"))
    if last:
        item.tail = last[-1].tail
        last[-1].addnext(item)
    else:
        behind(section, item, ("Info", "System"))
    id_ = next(str(i) for i in range(1, 1 << 16) if str(i) not in taken)
    etree.SubElement(item, f"{{{n.RASD}}}ElementName").text = n.RESOURCE_NAMES.get(type_, "") or {
        n.PROCESSOR: "Processors", n.MEMORY: "Memory", n.DISK: "Hard disk", n.SCSI: "SCSI controller",
    }.get(type_, "Device")  # fmt: skip
    etree.SubElement(item, f"{{{n.RASD}}}InstanceID").text = id_
    etree.SubElement(item, f"{{{n.RASD}}}ResourceType").text = str(type_)
    return item


def named(near: etree._Element, name: str) -> str:
    """The name in the document's own envelope namespace."""
    root = near.getroottree().getroot()
    space = xml.namespace(root) or xml.namespace(near)
    return f"{{{space}}}{name}" if space else name


def put(element: etree._Element, name: str, value: str) -> None:
    """Set an attribute of the standard in the spelling it has, else in the document's namespace."""
    for space in (*n.ENVELOPES, ""):
        written = f"{{{space}}}{name}" if space else name
        if element.get(written) is not None:
            element.set(written, value)
            return
    element.set(named(element, name), value)


def drop(element: etree._Element, name: str) -> None:
    """Take an attribute of the standard away, in whatever spelling it has."""
    for space in (*n.ENVELOPES, ""):
        element.attrib.pop(f"{{{space}}}{name}" if space else name, None)


def put_text(element: etree._Element, text: str) -> None:
    """The text, in place of what was there; it holds in every language."""
    for child in list(element):
        element.remove(child)
    drop(element, "msgid")
    element.text = xml.printable(text)


def child_made(parent: etree._Element, name: str, *, after: tuple[str, ...]) -> etree._Element:
    """The child of that kind; made behind those of the kinds ``after`` where there is none."""
    found = xml.child(parent, name)
    return inserted(parent, name, after=after) if found is None else found


def inserted(
    parent: etree._Element, name: str, *, after: tuple[str, ...], space: str | None = None
) -> etree._Element:
    """A new child behind the last one of the kinds ``after``, else the first.

    Args: space: its namespace; None: the document's own.
    """
    full = named(parent, name) if space is None else f"{{{space}}}{name}" if space else name
    made = etree.Element(full)
    behind(parent, made, after)
    return made


def behind(parent: etree._Element, made: etree._Element, after: tuple[str, ...]) -> None:
    """Put it behind the last child of those kinds, else first; in the lines' way."""
    _put_behind(parent, made, [each for each in xml.children(parent) if xml.kind(each) in after])


def _put_behind(parent: etree._Element, made: etree._Element, before: list[etree._Element]) -> None:
    if before:
        made.tail = before[-1].tail
        before[-1].addnext(made)
    else:
        made.tail = parent.text
        parent.insert(0, made)


def appended(parent: etree._Element, name: str) -> etree._Element:
    """A new last child."""
    made = etree.Element(named(parent, name))
    last = list(xml.children(parent))
    if last:
        made.tail, last[-1].tail = last[-1].tail, parent.text
        last[-1].addnext(made)
    else:
        parent.append(made)
    return made


def new_section(owner: etree._Element, name: str, info: str) -> etree._Element:
    """A new section of a machine or collection: before its hardware and its machines."""
    if xml.namespace(owner.getroottree().getroot()) == _OLD:
        raise DescriptorError(
            f"this is OVF 0.9, whose sections are written another way: no {name} is added to it",
            remedy="Edit what it has, or import and export the machines: that writes OVF 1.1",
        )
    made = etree.Element(named(owner, name))
    inner = [each for each in xml.children(owner) if xml.kind(each) in _INNER]
    if inner:
        made.tail = owner.text
        inner[0].addprevious(made)
    else:
        behind(owner, made, tuple({xml.kind(each) for each in xml.children(owner)}))
    etree.SubElement(made, named(owner, "Info")).text = info
    return made


def removed(element: etree._Element) -> None:
    """Take the element out; the white space before it goes with it."""
    parent = element.getparent()
    if parent is None:
        return
    before = element.getprevious()
    if before is not None:
        before.tail = element.tail
    elif element.tail and not element.tail.strip():
        parent.text = parent.text if element.getnext() is not None else element.tail
    element.tail = None
    parent.remove(element)


def tidy(root: etree._Element, known: Collection[etree._Element]) -> None:
    """Put the children of new elements on lines of their own, where the document does so.

    Args: known: the elements that were there before; they stay as they are.
    """
    for element in root.iter(etree.Element):
        children = list(element)
        if element in known or not children or (element.text or "").strip():
            continue
        if element.text or any(each.tail for each in children):
            continue  # it has lines already
        before, parent = element.getprevious(), element.getparent()
        lead = before.tail if before is not None else None if parent is None else parent.text
        if lead is None or "\n" not in lead or lead.strip():
            continue
        indent = lead.rpartition("\n")[2]
        outer = "" if parent is None else _indent(parent)
        step = indent.removeprefix(outer) if indent.startswith(outer) and indent != outer else "  "
        element.text = f"\n{indent}{step}"
        for each in children:
            each.tail = element.text
        children[-1].tail = f"\n{indent}"


def _indent(element: etree._Element) -> str:
    """The white space before the element on its line."""
    before, parent = element.getprevious(), element.getparent()
    lead = before.tail if before is not None else None if parent is None else parent.text
    return (lead or "").rpartition("\n")[2] if not (lead or "").strip() else ""


def free(word: str, taken: set[str]) -> str:
    """``disk1``, or the first such name that is not taken."""
    return next(f"{word}{i}" for i in range(1, 1 << 20) if f"{word}{i}" not in taken)
