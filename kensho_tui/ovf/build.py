"""Small words for writing descriptors: qualified names, elements, texts that XML can hold."""

from lxml import etree

from kensho_tui.ovf.names import (
    ENVELOPE_1,
    KENSHO,
    RASD,
    VMW,
    VSSD,
    XENOVF,
)
from kensho_tui.ovf.xml import printable

NAMESPACES = {
    "ovf": ENVELOPE_1,
    "rasd": RASD,
    "vssd": VSSD,
    "vmw": VMW,
    "xenovf": XENOVF,
    "kensho": KENSHO,
}


def q(name: str) -> str:
    """``ovf:id`` to lxml's ``{namespace}id``."""
    prefix, _, bare = name.partition(":")
    return f"{{{NAMESPACES[prefix]}}}{bare}"


def element(
    parent: etree._Element, name: str, text: str | None = None, **attributes: str
) -> etree._Element:
    """A new last child. Attributes are of the standard: ``id="x"`` is written ``ovf:id="x"``."""
    made = etree.SubElement(parent, q(name))
    if text is not None:
        made.text = printable(text)
    for key, value in attributes.items():
        put(made, f"ovf:{key}", value)
    return made


def put(made: etree._Element, name: str, value: str) -> None:
    """Set an attribute, such as ``kensho:name``."""
    made.set(q(name), printable(value))


def section(parent: etree._Element, name: str, info: str, **attributes: str) -> etree._Element:
    """A new section with its Info, which says to people what it is about."""
    made = element(parent, name, **attributes)
    element(made, "ovf:Info", info)
    return made


def extra(parent: etree._Element, name: str, value: str) -> None:
    """What only one platform understands; other readers may pass over it, which they have to be told (§7.3)."""
    made = element(parent, "kensho:Extra", value, required="false")
    made.set("name", printable(name))


def truth(value: bool) -> str:
    """``true`` or ``false``."""
    return "true" if value else "false"
