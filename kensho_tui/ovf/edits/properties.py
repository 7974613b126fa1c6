"""The questions an appliance asks (DSP0243 2.1.1 §9.5.1).

A question is named by its full key (class, key, instance), or by the key alone where one question has it.
"""

import re
from dataclasses import replace

from lxml import etree

from kensho_tui.machine import Property
from kensho_tui.ovf import xml
from kensho_tui.ovf.editing import Change
from kensho_tui.ovf.edits.machines import id_of, system, systems
from kensho_tui.ovf.edits.products import product_section
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.errors import DescriptorError
from kensho_tui.ovf.properties import TYPES, base_type, normal, problem, rule
from kensho_tui.ovf.tree import behind, child_made, drop, inserted, named, put, put_text, removed

_KEY = re.compile(r"[A-Za-z0-9_.-]{1,200}")
_FIELDS = (
    "Info", "Product", "Vendor", "Version", "FullVersion", "ProductUrl", "VendorUrl", "AppUrl", "Icon",
)  # fmt: skip
_VENDOR_TYPES = (
    "ip",
    "password",
    "int",
    "uint",
    "real",
    "bool",
    "expression",
    "text",
    "char16",
    "dn",
    "datetime",
)
_YES = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
# What of a question can be set by `set_property_part`.
PARTS = (
    "key", "type", "label", "description", "qualifiers", "configurable", "password", "category",
)  # fmt: skip


def set_property(
    machine: str | None, key: str, value: str, configuration: str | None = None
) -> Change:
    """Another default of a question, checked by its type and qualifiers (§9.5.1).

    Args:
        key: the full one (class, key, instance), or the key alone where one question has it.

    Raises (when applied): DescriptorError: no such question, several, a value it does not accept, or a
        password, which is no thing to write into a package.
    """

    def change(envelope: Envelope) -> None:
        element, asked = _asked(envelope, machine, key)
        if asked.password:
            raise DescriptorError(
                "this is a password, and everybody can read a package",
                subject=asked.key,
                remedy="Leave it to whoever deploys the package",
            )
        if why := problem(asked, value):
            raise DescriptorError(f"the value {why}", subject=asked.key)
        written = normal(asked, value)
        if configuration is None:
            put(element, "value", written)
            return
        if configuration not in {each.id for each in envelope.configurations}:
            raise DescriptorError(f"there is no deployment option '{configuration}'", subject=key)
        for each in xml.children(element, "Value"):
            if (xml.attr(each, "configuration") or "").split() == [configuration]:
                put(each, "value", written)
                return
        made = inserted(element, "Value", after=("Label", "Description", "Value"))
        put(made, "value", written)
        put(made, "configuration", configuration)

    return change


def _asked(envelope: Envelope, machine: str | None, key: str) -> tuple[etree._Element, Property]:
    appliance, _ = envelope.appliance()
    owner = None if machine is None else id_of(system(envelope, machine))
    known = [p for p in appliance.properties if owner is None or p.owner == owner]
    fitting = [each for each in known if key in {each.key, each.address}]
    fitting = fitting or [each for each in known if f".{key}." in f".{each.key}."]
    if len(fitting) != 1:
        what = f"{len(fitting)} questions are" if fitting else "no question is"
        listed = ", ".join(each.address for each in (fitting or known)[:12])
        raise DescriptorError(
            f"{what} called '{key}'",
            subject=envelope.subject,
            remedy=f"There are: {listed}" if listed else "It asks nothing",
        )
    asked = fitting[0]
    holders = [each for each in systems(envelope) if id_of(each) == asked.owner]
    if not asked.owner:
        holders = [envelope.root, *([envelope.content] if envelope.content is not None else [])]
    for holder in holders:
        for section in xml.children(holder, "ProductSection"):
            parts = [xml.attr(section, "class") or "", "", xml.attr(section, "instance") or ""]
            for element in xml.children(section, "Property"):
                parts[1] = xml.attr(element, "key") or ""
                if ".".join(each for each in parts if each) == asked.key:
                    return element, asked
    raise DescriptorError(f"the question '{key}' cannot be edited here", subject=envelope.subject)


def clear_property(machine: str | None, key: str, configuration: str | None = None) -> Change:
    """Take the default of a question away: whoever deploys the package has to answer it.

    Args: configuration: the deployment option whose own default goes; None: all of them, and the usual one.
    """

    def change(envelope: Envelope) -> None:
        element, _ = _asked(envelope, machine, key)
        for each in list(xml.children(element, "Value")):
            named_ = (xml.attr(each, "configuration") or "").split()
            if configuration is None or named_ == [configuration]:
                removed(each)
            elif configuration in named_:
                put(each, "configuration", " ".join(o for o in named_ if o != configuration))
        if configuration is None:
            drop(element, "value")

    return change


def add_property(
    machine: str | None,
    key: str,
    type_: str = "string",
    *,
    label: str = "",
    description: str = "",
    default: str | None = None,
    qualifiers: str = "",
    configurable: bool = True,
    password: bool = False,
    category: str = "",
    product: str = "",
) -> Change:
    """A question more, the last one of its category.

    Args:
        key: without class and instance, which are those of its product.
        default: None where whoever deploys the package has to answer.
        product: the one it belongs to; "" is the first, which is made where there is none.

    Raises: DescriptorError: no key, no type, a password with a default; when applied: the key is taken,
        or the default is none that the question accepts.
    """
    _check_key(key)
    _check_type(type_)
    if password and default:
        raise DescriptorError(
            "a password has no default: everybody can read a package", subject=key,
            remedy="Leave it to whoever deploys the package",
        )  # fmt: skip

    def change(envelope: Envelope) -> None:
        section = product_section(envelope, machine, product)
        if any(xml.attr(each, "key") == key for each in xml.children(section, "Property")):
            raise DescriptorError("there is a question of that key already", subject=key)
        element = etree.Element(named(envelope.root, "Property"))
        _put_in(section, element, category)
        put(element, "key", key)
        put(element, "type", type_)
        put(element, "userConfigurable", "true" if configurable else "false")
        if password:
            put(element, "password", "true")
        if qualifiers.strip():
            put(element, "qualifiers", qualifiers.strip())
        if default is not None:
            put(element, "value", xml.printable(default))
        if label:
            put_text(child_made(element, "Label", after=()), label)
        if description:
            put_text(child_made(element, "Description", after=("Label",)), description)
        _check_default(element)

    return change


def remove_property(machine: str | None, key: str) -> Change:
    """Take a question away, and its category where nothing else stands under it.

    Raises (when applied): DescriptorError: a disk's capacity is its answer.
    """

    def change(envelope: Envelope) -> None:
        element, asked = _asked(envelope, machine, key)
        appliance, _ = envelope.appliance()
        bound = [
            each.id for each in appliance.disks.values() if each.capacity_property == asked.address
        ]
        if bound:
            raise DescriptorError(
                f"the capacity of the disk '{bound[0]}' is its answer", subject=asked.key,
                remedy="Give the disk a capacity of its own first",
            )  # fmt: skip
        _take_out(element)

    return change


def set_property_part(machine: str | None, key: str, part: str, value: str) -> Change:
    """What a question is: its key, type, label, description, qualifiers, category; whether it may be
    answered (``configurable``) and is a password: yes or no.

    Raises: DescriptorError: no such part, or no such value of it; when applied: a default that is there is
        not accepted any more.
    """
    if part not in PARTS:
        raise DescriptorError(
            f"a question has no '{part}'", remedy=f"Known are: {', '.join(PARTS)}"
        )
    flag = _YES.get(value.strip().lower())
    if part in {"configurable", "password"} and flag is None:
        raise DescriptorError(f"'{part}' is yes or no")
    if part == "key":
        _check_key(value)
    if part == "type":
        _check_type(value)

    def change(envelope: Envelope) -> None:
        element, _ = _asked(envelope, machine, key)
        match part:
            case "label":
                put_text(child_made(element, "Label", after=()), value)
            case "description":
                put_text(child_made(element, "Description", after=("Label",)), value)
            case "configurable":
                put(element, "userConfigurable", "true" if flag else "false")
            case "password":
                _set_password(element, secret=bool(flag))
            case "category":
                _move_to_category(element, value.strip())
            case "qualifiers" if not value.strip():
                drop(element, "qualifiers")
            case "key":
                _rename(element, value)
            case _:
                put(element, part, xml.printable(value.strip()))
        if part in {"type", "qualifiers"}:
            _check_default(element)

    return change


def _check_key(key: str) -> None:
    if not _KEY.fullmatch(key):
        raise DescriptorError(
            f"'{key}' is no key of a question", remedy="It has letters, digits, '.', '_' and '-'"
        )


def _check_type(type_: str) -> None:
    word = re.split(r"[(\[:]", type_.strip(), maxsplit=1)[0].strip().lower()
    if word not in {*TYPES, *_VENDOR_TYPES}:
        raise DescriptorError(
            f"there is no type '{type_}'", remedy=f"Known are: {', '.join(TYPES)}"
        )


def _set_password(element: etree._Element, *, secret: bool) -> None:
    if secret:
        put(element, "password", "true")
        # Everybody can read a package.
        drop(element, "value")
        for each in list(xml.children(element, "Value")):
            removed(each)
        return
    drop(element, "password")
    if base_type(xml.attr(element, "type") or "")[2]:
        put(element, "type", "string")


def _rename(element: etree._Element, key: str) -> None:
    section = element.getparent()
    for each in () if section is None else xml.children(section, "Property"):
        if each is not element and xml.attr(each, "key") == key:
            raise DescriptorError("there is a question of that key already", subject=key)
    put(element, "key", key)


def _check_default(element: etree._Element) -> None:
    """Every default of the question is one that it accepts."""
    cim, vendor, password = base_type(xml.attr(element, "type") or "")
    asked = Property(
        key=xml.attr(element, "key") or "",
        type=cim,
        vendor_type=vendor,
        password=password,
        qualifiers=xml.attr(element, "qualifiers") or "",
    )
    unknown = rule(asked).unknown
    if unknown:
        raise DescriptorError(
            f"the qualifier '{unknown[0]}' is not understood", subject=asked.key,
            remedy="Known are: MinLen(n), MaxLen(n), MinValue(n), MaxValue(n), ValueMap{\"a\",\"b\"}",
        )  # fmt: skip
    written = [
        xml.attr(element, "value"),
        *(xml.attr(v, "value") for v in xml.children(element, "Value")),
    ]
    for value in written:
        if not value:  # none, or the author's own way to say that there is none
            continue
        if why := problem(replace(asked, default=value), value):
            raise DescriptorError(
                "the question would not accept its own default"
                if password else f"its default '{value}' {why}",
                subject=asked.key, remedy="Change the default first",
            )  # fmt: skip


# -------------------------------------------------------------------------------------- categories
def _put_in(section: etree._Element, element: etree._Element, category: str) -> None:
    """Put the question behind the last one of the category, which is made where there is none."""
    ordered = list(xml.children(section, "Category", "Property"))
    group: list[etree._Element] = []
    found = not category
    current = ""
    for each in ordered:
        if xml.kind(each) == "Category":
            current = xml.text(each).strip()
        if current == category:
            found = True
            group.append(each)
    if group:
        element.tail = group[-1].tail
        group[-1].addnext(element)
    elif found:
        behind(section, element, _FIELDS)
    else:
        heading = etree.Element(named(section, "Category"))
        heading.text = xml.printable(category)
        behind(section, heading, (*_FIELDS, "Category", "Property"))
        element.tail = heading.tail
        heading.addnext(element)


def _take_out(element: etree._Element) -> None:
    """Take a question out, and its category where it was alone under it."""
    before = element.getprevious()
    while before is not None and not isinstance(before.tag, str):
        before = before.getprevious()
    after = next(element.itersiblings(etree.Element), None)
    removed(element)
    alone = after is None or xml.kind(after) != "Property"
    if alone and before is not None and xml.kind(before) == "Category":
        removed(before)


def _move_to_category(element: etree._Element, category: str) -> None:
    section = element.getparent()
    if section is None:
        return
    current = ""
    for each in xml.children(section, "Category", "Property"):
        if xml.kind(each) == "Category":
            current = xml.text(each).strip()
        if each is element:
            break
    if current == category:
        return
    _take_out(element)
    _put_in(section, element, category)
