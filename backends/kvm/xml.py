"""libvirt's own language is XML: read with nothing hostile let in, written by elements and never by text."""

from lxml import etree
from lxml.builder import ElementMaker

from backends.base import DamagedError

E = ElementMaker()
MOST = 16 << 20  # bytes

Element = etree._Element


def parse(text: str, subject: str = "") -> Element:
    """What libvirt gave. Raises DamagedError: it is no XML."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        if len(text) > MOST:
            raise DamagedError("libvirt's answer is too long", subject=subject)
        return etree.fromstring(text.encode("utf-8", "replace"), parser)
    except etree.XMLSyntaxError as error:
        raise DamagedError(f"libvirt's answer is no XML ({error})", subject=subject) from error


def written(element: Element) -> str:
    """As libvirt takes it."""
    return etree.tostring(element, encoding="unicode")


def said(element: Element | None, path: str, attribute: str = "") -> str:
    """Text, or an attribute, of the first element there; "" where there is none."""
    found = None if element is None else element.find(path)
    if found is None:
        return ""
    return found.get(attribute, "") if attribute else (found.text or "").strip()


def every(element: Element, path: str) -> list[Element]:
    """All elements there."""
    return list(element.iterfind(path))
