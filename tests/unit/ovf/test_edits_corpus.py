"""Edits on descriptors that others wrote: what they do not name stays, in canonical form, to the letter."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from lxml import etree

from kensho_tui.errors import KenshoError
from kensho_tui.machine import Appliance, Machine
from kensho_tui.ovf import edits, xml
from kensho_tui.ovf.editing import Change, Editing
from kensho_tui.ovf.tree import resource_type
from tests.unit.ovf.corpus import CORPUS, needs_corpus

pytestmark = needs_corpus
_MARK = "kensho-test"


@dataclass(frozen=True)
class Case:
    """An edit of any package, and which elements it may change, make or remove."""

    build: Callable[[Appliance, Machine], Change]
    touches: Callable[[etree._Element], bool]
    least: int  # files that it has to be possible in


def _named(element: etree._Element, name: str, value: str) -> bool:
    return any(etree.QName(key).localname == name and str(text) == value
               for key, text in element.attrib.items())  # fmt: skip


def _item_called(element: etree._Element, name: str) -> bool:
    return xml.local(element) == "Item" and any(
        xml.local(each) == "ElementName" and xml.text(each) == name
        for each in xml.children(element)
    )


def _of_an_adapter(name: str) -> Callable[[etree._Element], bool]:
    """Whether it is that field of an adapter."""

    def touches(element: etree._Element) -> bool:
        parent = element.getparent()
        return xml.local(element) == name and parent is not None and resource_type(parent) == 10

    return touches


def _bare(element: etree._Element) -> bool:
    """A section that says nothing but what it is for."""
    return xml.local(element) in {"NetworkSection", "ProductSection", "DeploymentOptionSection"} and all(
        xml.local(each) == "Info" for each in xml.children(element)
    )  # fmt: skip


CASES = {
    "processors": Case(
        lambda _, m: edits.set_processors(m.id, m.processors.count + 1),
        lambda e: xml.local(e) == "VirtualQuantity" or _item_called(e, "Processors"),
        130,
    ),
    "name": Case(
        lambda _, m: edits.set_name(m.id, _MARK),
        lambda e: (xml.local(e) == "Name" and xml.text(e) in {_MARK}) or xml.local(e) == "Name",
        130,
    ),
    "adapter": Case(
        lambda _, m: edits.add_adapter(m.id, "", name=_MARK),
        lambda e: _item_called(e, _MARK),
        130,
    ),
    "mac": Case(
        lambda _, m: edits.set_adapter_mac(m.id, m.adapters[0].id, "02:00:00:00:00:01"),
        _of_an_adapter("Address"),
        60,
    ),
    "network": Case(
        lambda *_: edits.add_network(_MARK),
        lambda e: xml.local(e) == "Network" and _named(e, "name", _MARK),
        130,
    ),
    "setting": Case(
        lambda _, m: edits.set_setting(m.id, "ExtraConfig", _MARK, "1"),
        lambda e: xml.local(e) == "ExtraConfig" and _named(e, "key", _MARK),
        130,
    ),
    "question": Case(
        lambda _, m: edits.add_property(m.id, _MARK, default="1"),
        lambda e: xml.local(e) == "Property" and _named(e, "key", _MARK),
        100,
    ),
    "licence": Case(
        lambda _, m: edits.add_licence(m.id, _MARK),
        lambda e: xml.kind(e) == "EulaSection" and _MARK in xml.text(e),
        100,
    ),
    "option": Case(
        lambda *_: edits.add_configuration(_MARK, "", "", False),
        lambda e: xml.local(e) == "Configuration" and _named(e, "id", _MARK),
        130,
    ),
    "system": Case(
        lambda _, m: edits.set_annotation(m.id, _MARK),
        lambda e: xml.kind(e) == "AnnotationSection",
        100,
    ),
}


def outside(data: bytes, touches: Callable[[etree._Element], bool]) -> bytes:
    """The document without what may change, and without the white space between elements."""
    root = etree.fromstring(data)
    for each in list(root.iter(etree.Element)):
        parent = each.getparent()
        if parent is not None and touches(each):
            parent.remove(each)
    for each in list(root.iter(etree.Element)):
        parent = each.getparent()
        if parent is not None and _bare(each):
            parent.remove(each)
    for each in root.iter():
        each.text = None if not (each.text or "").strip() else each.text
        each.tail = None if not (each.tail or "").strip() else each.tail
    return etree.tostring(root, method="c14n", with_comments=True)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_nothing_but_what_is_edited_changes(case: Case) -> None:
    done = 0
    for path in sorted(CORPUS.rglob("*.ovf"))[::3]:  # enough of every project
        data = path.read_bytes()
        try:
            editing = Editing(data, path.name)
            appliance, _ = editing.envelope.appliance()
            before = editing.envelope.save()
            editing.apply(case.build(appliance, appliance.machines[0]))
        except (KenshoError, IndexError):
            continue  # refused in words, or there is nothing of the kind in it
        try:
            expected = outside(before, case.touches)
        except (etree.XMLSyntaxError, ValueError):
            continue  # repaired when it was read; here it is read as it stands
        assert outside(editing.data, case.touches) == expected, path
        editing.undo()
        assert editing.data == data, path
        done += 1
    assert done > case.least
