"""Products with their questions, and licences, as an editor shows them."""

from functools import partial

from lxml import etree

from kensho_tui.machine import Property
from kensho_tui.ovf import edits, xml
from kensho_tui.ovf.editing import Change
from kensho_tui.ovf.edits.products import class_of, product_sections
from kensho_tui.ovf.edits.products import licences as licence_elements
from kensho_tui.ovf.outline.actions import licence_actions, product_action, question_action
from kensho_tui.ovf.outline.context import Context
from kensho_tui.ovf.outline.nodes import Field, Kind, Node, flag, lines_of
from kensho_tui.ovf.properties import TYPES, choices
from kensho_tui.text import one_line

_FIELDS = (
    ("product", "Product", "Name", "What it is called."),
    ("vendor", "Vendor", "Vendor", "Who makes it."),
    ("version", "Version", "Version", "Its version, short: 4.2."),
    ("full-version", "FullVersion", "Full version", "Its version with build and patches."),
    ("product-url", "ProductUrl", "Product's page", "Where people read about it."),
    ("vendor-url", "VendorUrl", "Vendor's page", "Where people read about its maker."),
    (
        "app-url",
        "AppUrl",
        "Opens at",
        "Where it is used when it runs; may name questions: https://${host}/.",
    ),
)


def _prefix(machine: str | None) -> str:
    return f"machine:{machine}/" if machine else ""


def product_nodes(context: Context, machine: str | None, owner: etree._Element) -> list[Node]:
    """The products whose sections stand in the owner. Args: machine: None: those of the package."""
    found = [
        (number, section)
        for number, section in enumerate(product_sections(context.envelope, machine), 1)
        if section.getparent() is owner
    ]
    return [_product(context, machine, number, section) for number, section in found]


def _set(machine: str | None, product: str, word: str, answer: str) -> Change:
    return edits.set_product(machine, word, answer, product)


def _product(context: Context, machine: str | None, number: int, section: etree._Element) -> Node:
    key = str(number)
    fields = []
    for word, name, label, about in _FIELDS:
        element = xml.child(section, name)
        fields.append(
            Field(word, label, context.text(element), about=context.translated(element, about),
                  change=partial(_set, machine, key, word))
        )  # fmt: skip
    for word, label in (("class", "Class"), ("instance", "Instance")):
        where = "before" if word == "class" else "behind"
        about = f"Stands {where} the keys of its questions: guests find them by it."
        fields.append(
            Field(word, label, xml.attr(section, word) or "", about=about,
                  change=partial(_set, machine, key, word))
        )  # fmt: skip
    name = context.text(xml.child(section, "Product"))
    asked = list(xml.children(section, "Property"))
    return Node(
        id=f"{_prefix(machine)}product:{number}",
        label=f"Product: {name or class_of(section) or 'no name'}",
        noun="product",
        detail=f"{len(asked)} question{'' if len(asked) == 1 else 's'}" if asked else "",
        about="What it calls itself, and what it asks whoever deploys it.",
        fields=tuple(fields),
        actions=(question_action(machine, key), product_action(machine)),
        remove=edits.remove_product(machine, key),
        children=tuple(_questions(context, machine, number, section)),
        lines=lines_of(section),
    )


def _questions(
    context: Context, machine: str | None, number: int, section: etree._Element
) -> list[Node]:
    """The questions, each category a node of its own."""
    category, group = "", list[Node]()
    nodes: list[Node] = []
    headings: dict[str, etree._Element | None] = {"": None}
    groups: dict[str, list[Node]] = {}
    for element in xml.children(section, "Category", "Property"):
        if xml.kind(element) == "Category":
            category = context.text(element)
            headings.setdefault(category, element)
            continue
        group = groups.setdefault(category, [])
        found = _question(context, machine, number, section, element, category)
        if found is not None and found.id not in {each.id for each in group}:
            group.append(found)
    for name, inside in groups.items():
        if not name:
            nodes += inside
            continue
        nodes.append(
            Node(
                id=f"{_prefix(machine)}product:{number}/category:{name}",
                label=name,
                noun="category",
                detail=str(len(inside)),
                about="A heading that questions stand under. It comes and goes with them.",
                actions=(question_action(machine, str(number), name),),
                children=tuple(inside),
                lines=lines_of(headings[name]),
            )
        )
    return nodes


def _read(
    context: Context, machine: str | None, section: etree._Element, element: etree._Element
) -> Property | None:
    parts = [
        xml.attr(section, "class") or "",
        xml.attr(element, "key") or "",
        xml.attr(section, "instance") or "",
    ]
    key = ".".join(each for each in parts if each)
    owner = machine or ""
    known = [each for each in context.appliance.properties if each.key == key]
    return next((each for each in known if each.owner == owner), known[0] if known else None)


def _question(
    context: Context,
    machine: str | None,
    number: int,
    section: etree._Element,
    element: etree._Element,
    category: str,
) -> Node | None:
    asked = _read(context, machine, section, element)
    if asked is None:
        return None  # of another deployment option only
    full, option = asked.key, context.configuration
    written = xml.attr(element, "type") or "string"
    types = tuple((each, each) for each in dict.fromkeys((*TYPES, written)))
    listed = choices(asked)
    has = asked.default is not None
    label, description = xml.child(element, "Label"), xml.child(element, "Description")

    def part(id_: str, name: str, value: str, about: str, kind: Kind = Kind.TEXT,
             known: tuple[tuple[str, str], ...] = ()) -> Field:  # fmt: skip
        return Field(id_, name, value, kind, known, about,
                     change=lambda v: edits.set_property_part(machine, full, id_, v))  # fmt: skip

    default = Field(
        "default", "Default", "" if asked.password else asked.default or "",
        Kind.CHOICE if listed else Kind.TEXT,
        tuple((each, each) for each in listed),
        "What holds where nobody answers. An empty answer takes it away: then it has to be answered."
        if not listed else "What holds where nobody answers.",
        "a password has no default: everybody can read a package" if asked.password else "",
        lambda v: edits.set_property(machine, full, v, option) if v or (has and asked.default == "")
        else edits.clear_property(machine, full, option),
        True,
        _differing(context, asked),
    )  # fmt: skip
    return Node(
        id=f"{_prefix(machine)}product:{number}/question:{xml.attr(element, 'key') or ''}",
        label=asked.label or asked.key,
        noun="question",
        detail="password" if asked.password else one_line(asked.default or "", limit=24),
        about=f"Asked when the package is deployed; the guest finds the answer as {full}.",
        fields=(
            default,
            part("label", "Label", asked.label, context.translated(label, "What people read.")),
            part("description", "Explanation", asked.description,
                 context.translated(description, "What people read about it."), Kind.LINES),
            part("key", "Key", xml.attr(element, "key") or "",
                 "What the guest finds it by; its software has to know it."),
            part("type", "Type", written, "What an answer is.", Kind.CHOICE, types),
            part("qualifiers", "Limits", asked.qualifiers,
                 'Such as MinLen(1),MaxLen(253), MinValue(1) or ValueMap{"a","b"}.'),
            part("category", "Category", category, "The heading it stands under; may be empty."),
            part("configurable", "May be answered", flag(asked.configurable),
                 "No: it is always as its default says.", Kind.FLAG),
            part("password", "Password", flag(asked.password),
                 "Yes: it is never shown, and its default is taken away.", Kind.FLAG),
        ),
        actions=(question_action(machine, str(number), category),),
        remove=edits.remove_property(machine, full),
        lines=lines_of(element),
    )  # fmt: skip


def _differing(context: Context, asked: Property) -> str:
    """The default as it is shown: also where none is, and where deployment options differ."""
    if asked.password:
        return "none" if asked.default is None else "(not shown)"
    usual = "none: it has to be answered" if asked.default is None else asked.default or "(empty)"
    if context.configuration is not None:
        return usual
    other = []
    for option, appliance in context.others.items():
        found = next((p for p in appliance.properties if p.address == asked.address), None)
        if found is not None and found.default != asked.default:
            other.append(f"{option}: {found.default or '(none)'}")
    return f"{usual} ({', '.join(other)})" if other else usual


def licence_nodes(context: Context, machine: str | None, owner: etree._Element) -> list[Node]:
    """The licences whose sections stand in the owner."""
    nodes = []
    for number, element in enumerate(licence_elements(context.envelope, machine), 1):
        section = element.getparent()
        if section is None or section.getparent() is not owner:
            continue
        nodes.append(_licence(context, machine, number, element))
    return nodes


def _licence(context: Context, machine: str | None, number: int, element: etree._Element) -> Node:
    text = context.verbatim(element)
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return Node(
        id=f"{_prefix(machine)}licence:{number}",
        label=f"Licence {number}",
        noun="licence",
        detail=one_line(first, limit=40),
        about="A text that has to be accepted before the package is deployed.",
        fields=(
            Field("text", "Text", text, Kind.LINES,
                  about=context.translated(element, "Who accepted the old text has not accepted a new one."),
                  change=lambda v: edits.set_licence(machine, number, v)),
        ),
        actions=licence_actions(machine),
        remove=edits.remove_licence(machine, number),
        lines=lines_of(element),
    )  # fmt: skip
