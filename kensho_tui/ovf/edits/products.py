"""What an appliance calls itself, and its licences (DSP0243 2.1.1 §9.5, §9.6)."""

from kensho_tui.ovf import xml
from kensho_tui.ovf.editing import Change
from kensho_tui.ovf.edits.machines import owner_of
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.errors import DescriptorError
from kensho_tui.ovf.tree import child_made, new_section, put_text

_PRODUCT_FIELDS = (
    "Product", "Vendor", "Version", "FullVersion", "ProductUrl", "VendorUrl", "AppUrl",
)  # fmt: skip
_PRODUCT = {
    "product": "Product", "vendor": "Vendor", "version": "Version", "full-version": "FullVersion",
    "product-url": "ProductUrl", "vendor-url": "VendorUrl", "app-url": "AppUrl",
}  # fmt: skip


def set_product(machine: str | None, word: str, text: str) -> Change:
    """A field of the (first) ProductSection: a key of ``product``, ``vendor``, ``version`` …

    Raises: DescriptorError: no such field.
    """
    if word not in _PRODUCT:
        raise DescriptorError(
            f"a product has no '{word}'", remedy=f"Known are: {', '.join(_PRODUCT)}"
        )
    name = _PRODUCT[word]

    def change(envelope: Envelope) -> None:
        owner = owner_of(envelope, machine)
        section = xml.child(owner, "ProductSection")
        if section is None:
            section = new_section(owner, "ProductSection", "Information about the product")
        before = ("Info", *_PRODUCT_FIELDS[: _PRODUCT_FIELDS.index(name)])
        put_text(child_made(section, name, after=before), text)

    return change


def add_licence(machine: str | None, text: str) -> Change:
    """One licence more (§9.6)."""
    if not text.strip():
        raise DescriptorError("the licence has no text")

    def change(envelope: Envelope) -> None:
        section = new_section(owner_of(envelope, machine), "EulaSection", "A licence agreement")
        put_text(child_made(section, "License", after=("Info",)), text)

    return change
