"""Rules of products, properties, licences, start order and deployment options (DSP0243 2.1.1 §9.4–§9.9)."""

import re
from functools import partial

from lxml import etree

from kensho_tui.machine import Property
from kensho_tui.ovf import xml
from kensho_tui.ovf.names import VMW
from kensho_tui.ovf.properties import TYPES, base_type, problem
from kensho_tui.ovf.rules.walk import ENTITIES, Holder, Walk
from kensho_tui.ovf.tree import put

_KNOWN_TYPES = re.compile(
    r"(u?int|real|bool|password|ip|expression|text|char16|dn|datetime|string|boolean)\b",
    re.IGNORECASE,
)
_TRANSPORTS = frozenset({"iso", "com.vmware.guestInfo"})


def rules(walk: Walk) -> None:
    """All of them."""
    _options(walk)
    for holder in walk.holders:
        products: set[tuple[str, str]] = set()
        asks = False
        for section in xml.children(holder.element):
            match xml.kind(section):
                case "ProductSection":
                    _product(walk, holder, section, products)
                    asks |= any(
                        xml.flag(each, "userConfigurable", default=False)
                        for each in xml.children(section, "Property")
                    )
                case "EulaSection" if not _filled(section, "License"):
                    walk.note(
                        "licence-missing",
                        section,
                        "The EulaSection holds no licence.",
                        holder.subject,
                    )
                case "AnnotationSection" if not _filled(section, "Annotation"):
                    walk.note(
                        "annotation-missing",
                        section,
                        "The AnnotationSection is empty.",
                        holder.subject,
                    )
                case "OperatingSystemSection" if xml.number(xml.attr(section, "id")) is None:
                    walk.note("os-id-missing", section,
                              "The OperatingSystemSection has no id; the system is taken as not told.",
                              holder.subject)  # fmt: skip
                case "StartupSection":
                    _startup(walk, holder, section)
        if holder.where == "VirtualSystem":
            _transport(walk, holder, asks=asks)


def _filled(section: etree._Element, name: str) -> bool:
    return any(xml.text(each).strip() or xml.attr(each, "msgid") or xml.attr(each, "fileRef")
               for each in xml.children(section, name))  # fmt: skip


def _options(walk: Walk) -> None:
    known: set[str] = set()
    defaults: list[etree._Element] = []
    options = [each for section in walk.envelope.sections("DeploymentOptionSection")
               for each in xml.children(section, "Configuration")]  # fmt: skip
    for option in options:
        id_ = xml.attr(option, "id") or ""
        if not id_:
            walk.note("configuration-id-missing", option, "The deployment option has no id.")
        elif id_ in known:
            walk.note(
                "configuration-twice", option, f"There is a deployment option '{id_}' already."
            )
        known.add(id_)
        if xml.flag(option, "default", default=False):
            defaults.append(option)
    first = xml.attr(options[0], "id") if options else ""
    if options and not defaults:
        walk.note("configuration-default-missing", options[0],
                  f"No deployment option is the default; the first, '{first}', is taken.")  # fmt: skip
    for option in defaults[1:]:
        walk.note("configuration-default-twice", option,
                  f"'{xml.attr(option, 'id')}' is a second default; the first holds.")  # fmt: skip
    told: set[str] = set()
    for element, names in walk.bound:
        for name in names:
            if name not in known | told:
                told.add(name)
                walk.note("configuration-undeclared", element,
                          f"There is no deployment option '{name}'; what is for it is left out.")  # fmt: skip


def _product(
    walk: Walk, holder: Holder, section: etree._Element, products: set[tuple[str, str]]
) -> None:
    class_, instance = xml.attr(section, "class") or "", xml.attr(section, "instance") or ""
    if (class_, instance) in products:
        walk.note(
            "product-twice",
            section,
            "A second product has the same class and instance"
            f" ('{class_}', '{instance}'); their properties are read as one's.",
            holder.subject,
        )
    products.add((class_, instance))
    keys: dict[str, list[set[str]]] = {}
    for element in xml.children(section, "Property"):
        key = xml.attr(element, "key") or ""
        wanted = set((xml.attr(element, "configuration") or "").split())
        if not key:
            walk.note("property-key-missing", element, "The property has no key.", holder.subject)
        elif re.search("[.:]", key):
            walk.note(
                "property-key-odd",
                element,
                f"The key '{key}' has a '.' or ':'; it is read as it stands.",
                holder.subject,
            )
        before = keys.setdefault(key, [])
        if key and any(not wanted or not named or wanted & named for named in before):
            full = ".".join(part for part in (class_, key, instance) if part)
            walk.note(
                "property-twice",
                element,
                f"The property '{full}' is asked twice; the first one holds.",
                holder.subject,
            )
        before.append(wanted)
        _type(walk, holder, element, key)
        _defaults(walk, holder, element, key)


def _type(walk: Walk, holder: Holder, element: etree._Element, key: str) -> None:
    written = (xml.attr(element, "type") or "").strip()
    word = written or "string"
    if written in TYPES:
        return
    cim = base_type(word)[0]
    mend = partial(_retype, element, key, word.lower())
    if not written:
        walk.note("property-type-missing", element, f"The property '{key}' has no type; it is taken as a"
                  " string.", holder.subject, mend=mend)  # fmt: skip
    elif word.lower() in TYPES:
        walk.note("property-type-spelling", element,
                  f"The type of '{key}' is spelled '{written}'; it is taken as {word.lower()}.",
                  holder.subject, mend=mend)  # fmt: skip
    elif _KNOWN_TYPES.match(word):
        walk.note("property-type-odd", element,
                  f"The type '{written}' of '{key}' is a vendor's; it is taken as a {cim} that is checked"
                  " further.", holder.subject)  # fmt: skip
    else:
        walk.note("property-type-unknown", element,
                  f"The type '{written}' of '{key}' is not known; it is taken as a string.",
                  holder.subject)  # fmt: skip


def _retype(element: etree._Element, key: str, word: str) -> str:
    put(element, "type", word)
    return f"The type of '{key}' is {word}."


def _defaults(walk: Walk, holder: Holder, element: etree._Element, key: str) -> None:
    """Defaults of all deployment options; what they are is never told, for they may be passwords."""
    cim, vendor, password = base_type(xml.attr(element, "type") or "")
    configurable = xml.flag(element, "userConfigurable", default=False)
    written = xml.attr(element, "value")
    values = [(element, written, "")] + [
        (each, xml.attr(each, "value"), xml.attr(each, "configuration") or "")
        for each in xml.children(element, "Value")
    ]
    if all(value is None for _, value, _ in values) and not configurable:
        walk.note("property-default-missing", element,
                  f"'{key}' has no value and cannot be answered; the guest gets an empty text.",
                  holder.subject)  # fmt: skip
    address = element.get(f"{{{VMW}}}qualifiers", "").strip().lower().startswith("ip")
    for place, value, option in values:
        if not value:
            continue  # the author left it open
        asked = Property(
            key=key,
            type=cim,
            qualifiers=xml.attr(element, "qualifiers") or "",
            default=value,
            configurable=configurable,
            password=password,
            vendor_type=vendor or ("ip" if address else ""),
        )
        why = problem(asked, value)
        if why is not None and not value.startswith("${"):
            where = f" for '{option}'" if option else ""
            walk.note("property-default-invalid", place, f"The default of '{key}'{where} {why}.",
                      holder.subject)  # fmt: skip


def _startup(walk: Walk, holder: Holder, section: etree._Element) -> None:
    ids = {xml.attr(each, "id") for each in xml.children(holder.element, *ENTITIES)}
    if holder.where == "VirtualSystem":
        ids.add(xml.attr(holder.element, "id"))
    seen: set[str] = set()
    for item in xml.children(section, "Item"):
        id_ = xml.attr(item, "id") or ""
        if id_ in seen:
            walk.note(
                "startup-twice", item, f"'{id_}' is started twice; the last holds.", holder.subject
            )
        elif id_ not in ids:
            walk.note("startup-undeclared", item,
                      f"The start order names '{id_}', which is no system here; it is left out.",
                      holder.subject)  # fmt: skip
        seen.add(id_)


def _transport(walk: Walk, holder: Holder, *, asks: bool) -> None:
    for section in xml.children(holder.element, "VirtualHardwareSection"):
        written = re.split(r"[\s,]+", (xml.attr(section, "transport") or "").strip())
        names = [each for each in written if each]
        for name in names:
            if name not in _TRANSPORTS:
                walk.note("transport-unknown", section, f"The transport '{name}' is a vendor's.",
                          holder.subject)  # fmt: skip
        if asks and not names:
            walk.note("transport-missing", section, "The system asks questions, and does not say how its"
                      " guest gets the answers; the target's way is taken.", holder.subject)  # fmt: skip
