"""Deployment options (DSP0243 2.1.1 §9.8)."""

import re

from lxml import etree

from kensho_tui.ovf import xml
from kensho_tui.ovf.editing import Change
from kensho_tui.ovf.edits.variants import check_option
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.errors import DescriptorError
from kensho_tui.ovf.tree import appended, child_made, drop, inserted, put, put_text, removed

_ID = re.compile(r"[A-Za-z0-9_.-]{1,100}")


def _check_id(envelope: Envelope, id_: str) -> None:
    if not _ID.fullmatch(id_):
        raise DescriptorError(
            f"'{id_}' is no id of a deployment option",
            remedy="It has letters, digits, '.', '_' and '-'",
        )
    if any(each.id == id_ for each in envelope.configurations):
        raise DescriptorError(f"there is a deployment option '{id_}'", subject=envelope.subject)


def add_configuration(id_: str, label: str, description: str, default: bool) -> Change:
    """A deployment option (§9.8); hardware of its own comes by `set_processors` and `set_memory`."""

    def change(envelope: Envelope) -> None:
        _check_id(envelope, id_)
        if default:
            _no_default(envelope)
        section = next(envelope.sections("DeploymentOptionSection"), None)
        if section is None:
            section = inserted(
                envelope.root,
                "DeploymentOptionSection",
                after=("References", "DiskSection", "SharedDiskSection", "NetworkSection"),
            )
            appended(section, "Info").text = "The deployment options"
        option = appended(section, "Configuration")
        put(option, "id", id_)
        if default:
            put(option, "default", "true")
        put_text(appended(option, "Label"), label or id_)
        put_text(appended(option, "Description"), description)
        envelope.touched()

    return change


def _options(envelope: Envelope) -> list[etree._Element]:
    return [
        each
        for section in envelope.sections("DeploymentOptionSection")
        for each in xml.children(section, "Configuration")
    ]


def _option(envelope: Envelope, id_: str) -> etree._Element:
    check_option(envelope, id_)
    return next(each for each in _options(envelope) if xml.attr(each, "id") == id_)


def _no_default(envelope: Envelope) -> None:
    for each in _options(envelope):
        drop(each, "default")


def set_configuration(id_: str, part: str, text: str) -> Change:
    """The ``label`` or the ``description`` of a deployment option."""
    names = {"label": "Label", "description": "Description"}
    if part not in names:
        raise DescriptorError(f"a deployment option has no '{part}'")

    def change(envelope: Envelope) -> None:
        after = () if part == "label" else ("Label",)
        put_text(child_made(_option(envelope, id_), names[part], after=after), text)
        envelope.touched()

    return change


def set_default_configuration(id_: str) -> Change:
    """The deployment option that is taken where none is chosen."""

    def change(envelope: Envelope) -> None:
        option = _option(envelope, id_)
        if next(each.default for each in envelope.configurations if each.id == id_):
            return
        _no_default(envelope)
        put(option, "default", "true")
        envelope.touched()

    return change


def rename_configuration(old: str, new: str) -> Change:
    """Another id of a deployment option, wherever it is named."""

    def change(envelope: Envelope) -> None:
        option = _option(envelope, old)
        _check_id(envelope, new)
        put(option, "id", new)
        for each, named in _bound(envelope):
            if old in named:
                put(each, "configuration", " ".join(new if o == old else o for o in named))
        envelope.touched()

    return change


def _bound(envelope: Envelope) -> list[tuple[etree._Element, list[str]]]:
    """Every element that is for deployment options only, with those."""
    found = []
    for each in envelope.root.iter(etree.Element):
        if xml.kind(each) != "Configuration" and (named := xml.attr(each, "configuration")):
            found.append((each, named.split()))
    return found


def remove_configuration(id_: str) -> Change:
    """Take a deployment option away, with the hardware and the defaults that are its own.

    Where it is the last one, the package stays as it is with it: what is its own holds from then on.
    """

    def change(envelope: Envelope) -> None:
        option = _option(envelope, id_)
        section = option.getparent()
        last = len(_options(envelope)) == 1
        bound = [(each, named) for each, named in _bound(envelope) if id_ in named]
        for each, named in bound:
            rest = [o for o in named if o != id_]
            if rest:
                put(each, "configuration", " ".join(rest))
            elif last:
                _settle(each)
            else:
                removed(each)
        removed(option)
        if last and section is not None:
            removed(section)
        envelope.touched()

    return change


def _settle(element: etree._Element) -> None:
    """What was for the last option only takes the place of what it replaced there."""
    parent = element.getparent()
    if parent is None:
        return
    if xml.kind(element) == "Value":
        put(parent, "value", xml.attr(element, "value") or "")
        removed(element)
        return
    for each in list(xml.children(parent, xml.kind(element))):
        same = _instance(each) and _instance(each) == _instance(element)
        if each is not element and same and not xml.attr(each, "configuration"):
            removed(each)
    drop(element, "configuration")


def _instance(item: etree._Element) -> str:
    names = ("InstanceID", "InstanceId")
    return next((xml.text(e).strip() for e in xml.children(item) if xml.local(e) in names), "")
