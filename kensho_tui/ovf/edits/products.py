"""What an appliance calls itself, and its licences (DSP0243 2.1.1 §9.5, §9.6).

A product is named by its number (``2``), its class and instance (``org.shop``, ``org.shop.1``), or its
name; none named is the first.
"""

from lxml import etree

from kensho_tui.ovf import xml
from kensho_tui.ovf.editing import Change
from kensho_tui.ovf.edits.machines import owner_of
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.errors import DescriptorError
from kensho_tui.ovf.tree import child_made, drop, new_section, put, put_text, removed

_PRODUCT_FIELDS = (
    "Product", "Vendor", "Version", "FullVersion", "ProductUrl", "VendorUrl", "AppUrl",
)  # fmt: skip
PRODUCT = {
    "product": "Product", "vendor": "Vendor", "version": "Version", "full-version": "FullVersion",
    "product-url": "ProductUrl", "vendor-url": "VendorUrl", "app-url": "AppUrl",
}  # fmt: skip
_ATTRIBUTES = ("class", "instance")


def _owners(envelope: Envelope, machine: str | None) -> list[etree._Element]:
    """What may hold sections of the machine, or of the whole."""
    if machine is not None:
        return [owner_of(envelope, machine)]
    return [each for each in (envelope.content, envelope.root) if each is not None]


def product_sections(envelope: Envelope, machine: str | None) -> list[etree._Element]:
    """The ProductSections of the machine; where none is named, of the content and then of the envelope."""
    owners = _owners(envelope, machine)
    return [each for owner in owners for each in xml.children(owner, "ProductSection")]


def class_of(section: etree._Element) -> str:
    """Class and instance of a ProductSection in one word: what stands around the keys of its properties."""
    parts = (xml.attr(section, "class"), xml.attr(section, "instance"))
    return ".".join(each for each in parts if each)


def product_section(envelope: Envelope, machine: str | None, product: str) -> etree._Element:
    """The ProductSection of that number, class or name; made where none is named and there is none.

    Raises: DescriptorError: there is none of that name, or several.
    """
    sections = product_sections(envelope, machine)
    if not product:
        if sections:
            return sections[0]
        owner = owner_of(envelope, machine)
        return new_section(owner, "ProductSection", "Information about the product")
    if product.isascii() and product.isdigit() and 0 < int(product) <= len(sections):
        return sections[int(product) - 1]
    strings = envelope.strings()
    fitting = [each for each in sections if class_of(each) == product] or [
        each for each in sections if strings.message(xml.child(each, "Product")) == product
    ]
    if len(fitting) == 1:
        return fitting[0]
    listed = ", ".join(
        f"{number} ({class_of(each) or strings.message(xml.child(each, 'Product')) or 'no name'})"
        for number, each in enumerate(sections, 1)
    )
    raise DescriptorError(
        f"{len(fitting) or 'no'} products are called '{product}'",
        subject=envelope.subject,
        remedy=f"There are: {listed}" if listed else "There are none",
    )


def set_product(machine: str | None, word: str, text: str, product: str = "") -> Change:
    """A field of a ProductSection: a key of ``product``, ``vendor``, ``version`` …

    ``class`` and ``instance`` are part of the keys that guests see of its questions.

    Raises: DescriptorError: no such field; when applied: no such product.
    """
    if word in _ATTRIBUTES:
        return _set_attribute(machine, word, text, product)
    if word not in PRODUCT:
        known = ", ".join([*PRODUCT, *_ATTRIBUTES])
        raise DescriptorError(f"a product has no '{word}'", remedy=f"Known are: {known}")
    name = PRODUCT[word]

    def change(envelope: Envelope) -> None:
        section = product_section(envelope, machine, product)
        before = ("Info", *_PRODUCT_FIELDS[: _PRODUCT_FIELDS.index(name)])
        put_text(child_made(section, name, after=before), text)

    return change


def _set_attribute(machine: str | None, word: str, text: str, product: str) -> Change:
    text = text.strip()
    if any(each.isspace() for each in text):
        raise DescriptorError(f"the {word} of a product has no blanks")

    def change(envelope: Envelope) -> None:
        section = product_section(envelope, machine, product)
        if text:
            put(section, word, xml.printable(text))
        else:
            drop(section, word)
        _once(envelope, machine, section)

    return change


def _once(envelope: Envelope, machine: str | None, section: etree._Element) -> None:
    """Class and instance together tell the products of one owner apart (§9.5)."""
    same = [
        each
        for each in product_sections(envelope, machine)
        if each is not section
        and each.getparent() is section.getparent()
        and class_of(each) == class_of(section)
    ]
    if same:
        raise DescriptorError(
            f"there is a product with the class '{class_of(section)}' already"
            if class_of(section) else "there is a product without a class already",
            subject=envelope.subject,
            remedy="Give each its own class or instance: that tells their questions apart",
        )  # fmt: skip


def add_product(machine: str | None, name: str, class_: str = "", instance: str = "") -> Change:
    """One product more, behind the others.

    Raises (when applied): DescriptorError: class and instance are those of another one.
    """

    def change(envelope: Envelope) -> None:
        owner = owner_of(envelope, machine)
        section = new_section(owner, "ProductSection", "Information about the product")
        for word, value in (("class", class_.strip()), ("instance", instance.strip())):
            if value:
                put(section, word, xml.printable(value))
        put_text(child_made(section, "Product", after=("Info",)), name)
        _once(envelope, machine, section)

    return change


def remove_product(machine: str | None, product: str) -> Change:
    """Take a product away, with all its questions."""

    def change(envelope: Envelope) -> None:
        if not product:
            raise DescriptorError("say which product is to go", subject=envelope.subject)
        removed(product_section(envelope, machine, product))

    return change


# ---------------------------------------------------------------------------------------- licences
def licences(envelope: Envelope, machine: str | None) -> list[etree._Element]:
    """The licences of the machine; where none is named, of the content and then of the envelope."""
    owners = _owners(envelope, machine)
    return [
        licence
        for owner in owners
        for section in xml.children(owner, "EulaSection")
        for licence in xml.children(section, "License")
    ]


def _licence(envelope: Envelope, machine: str | None, number: int) -> etree._Element:
    found = licences(envelope, machine)
    if not 0 < number <= len(found):
        have = (
            f"There are {len(found)}"
            if len(found) > 1
            else "There is one"
            if found
            else "There is none"
        )
        raise DescriptorError(
            f"there is no licence {number}", subject=envelope.subject, remedy=have
        )
    return found[number - 1]


def add_licence(machine: str | None, text: str) -> Change:
    """One licence more (§9.6)."""
    if not text.strip():
        raise DescriptorError("the licence has no text")

    def change(envelope: Envelope) -> None:
        section = new_section(owner_of(envelope, machine), "EulaSection", "A licence agreement")
        put_text(child_made(section, "License", after=("Info",)), text)

    return change


def set_licence(machine: str | None, number: int, text: str) -> Change:
    """Another text of a licence. Who accepted the old one has not accepted this one.

    Args: number: from 1, in the order of the descriptor.
    """
    if not text.strip():
        raise DescriptorError("the licence has no text", remedy="Remove it instead")

    def change(envelope: Envelope) -> None:
        put_text(_licence(envelope, machine, number), text)

    return change


def remove_licence(machine: str | None, number: int) -> Change:
    """Take a licence away, and its section where it was the only one there."""

    def change(envelope: Envelope) -> None:
        found = _licence(envelope, machine, number)
        section = found.getparent()
        alone = section is not None and len(list(xml.children(section, "License"))) == 1
        removed(section if alone and section is not None else found)

    return change
