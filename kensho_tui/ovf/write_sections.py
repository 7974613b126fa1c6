"""Product, licence, annotation and operating-system sections of one owner, written."""

import re
from collections.abc import Sequence

from lxml import etree

from kensho_tui.machine import Appliance, GuestOs, Product, Property
from kensho_tui.ovf.build import element, put, section, truth
from kensho_tui.ovf.properties import base_type

_FIELDS = (
    ("Product", "name"), ("Vendor", "vendor"), ("Version", "version"),
    ("FullVersion", "full_version"), ("ProductUrl", "product_url"), ("VendorUrl", "vendor_url"),
)  # fmt: skip
_VMWARE_OS = re.compile(r"\w+Guest(64)?")
_IP_QUALIFIER = re.compile(r"ip(?::(.*))?", re.IGNORECASE | re.DOTALL)


def annotation(parent: etree._Element, text: str) -> None:
    """An AnnotationSection, where there is something to say (DSP0243 2.1.1 §9.4)."""
    if text:
        made = section(parent, "ovf:AnnotationSection", "A description")
        element(made, "ovf:Annotation", text)


def licences(parent: etree._Element, appliance: Appliance, owner: str) -> None:
    """An EulaSection for each licence of the owner (DSP0243 2.1.1 §9.6)."""
    for licence in appliance.licences:
        if licence.owner == owner:
            made = section(parent, "ovf:EulaSection", "A licence agreement")
            element(made, "ovf:License", licence.text)


def products(parent: etree._Element, appliance: Appliance, *owners: str) -> None:
    """A ProductSection for each product of the owners, with its properties (§9.5).

    Questions of no product stand with the one that has neither class nor instance, where there is
    one: of two such sections in one system some tools refuse the package.
    """
    found = [
        product for owner in owners for product in appliance.products if product.owner == owner
    ]
    grouped: list[tuple[Product, list[Property]]] = [(product, []) for product in found]
    loose: list[Property] = next(
        (group for product, group in grouped if not (product.class_ or product.instance)), []
    )
    apart = all(group is not loose for _, group in grouped)
    last: list[Property] | None = None
    mine = [asked for owner in owners for asked in appliance.properties if asked.owner == owner]
    for asked in mine:
        fitting = [group for product, group in grouped if _fits(product, asked)]
        last = next((group for group in fitting if group is last), None) or next(
            iter(fitting), loose
        )
        last.append(asked)
    first = bool(mine) and bool(loose) and mine[0] is loose[0]
    if loose and apart:
        grouped.insert(0 if first else len(grouped), (Product(owner=owners[0]), loose))
    for product, group in grouped:
        _product(parent, product, group)


def _fits(product: Product, asked: Property) -> bool:
    if product.name != asked.product:
        return False
    head = f"{product.class_}." if product.class_ else ""
    tail = f".{product.instance}" if product.instance else ""
    bare = len(asked.key) - len(head) - len(tail)
    return bare > 0 and asked.key.startswith(head) and asked.key.endswith(tail)


def _product(parent: etree._Element, product: Product, group: Sequence[Property]) -> None:
    made = section(parent, "ovf:ProductSection", "The installed software")
    if product.class_:
        put(made, "ovf:class", product.class_)
    if product.instance:
        put(made, "ovf:instance", product.instance)
    for name, field in _FIELDS:
        value = getattr(product, field)
        if value:
            element(made, f"ovf:{name}", value)
    category = ""
    for asked in group:
        if asked.category != category:
            element(made, "ovf:Category", asked.category)
            category = asked.category
        _property(made, product, asked)


def _property(parent: etree._Element, product: Product, asked: Property) -> None:
    key = asked.key
    if product.class_:
        key = key.removeprefix(f"{product.class_}.")
    if product.instance:
        key = key.removesuffix(f".{product.instance}")
    made = element(parent, "ovf:Property", key=key, type=asked.type)
    if asked.qualifiers:
        put(made, "ovf:qualifiers", asked.qualifiers)
    put(made, "ovf:userConfigurable", truth(asked.configurable))
    if asked.default is not None:
        put(made, "ovf:value", asked.default)
    if asked.password:
        put(made, "ovf:password", "true")
    if asked.vendor_type:
        put(made, "kensho:type", asked.vendor_type)
        match = _IP_QUALIFIER.fullmatch(asked.vendor_type)
        if match and base_type(asked.vendor_type)[0] == asked.type:
            put(made, "vmw:qualifiers", f'Ip("{match[1]}")' if match[1] else "Ip")
    if asked.label:
        element(made, "ovf:Label", asked.label)
    if asked.description:
        element(made, "ovf:Description", asked.description)


def operating_system(parent: etree._Element, os: GuestOs) -> None:
    """An OperatingSystemSection, where something is known (DSP0243 2.1.1 §9.9)."""
    if os == GuestOs():
        return
    made = section(
        parent,
        "ovf:OperatingSystemSection",
        "The operating system in the machine",
        id=str(os.cim_id or 0),
    )
    if os.version:
        put(made, "ovf:version", os.version)
    if os.vendor_id:
        known = _VMWARE_OS.fullmatch(os.vendor_id) is not None
        put(made, "vmw:osType" if known else "kensho:osType", os.vendor_id)
    if os.description:
        element(made, "ovf:Description", os.description)
