"""What a property accepts: its type, qualifiers and vendor type as one rule, in words for people.

DSP0243 2.1.1 §9.5.1 and table 6; the qualifiers are those of DSP0004, the vendor types vSphere's.
"""

import ipaddress
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from kensho_tui.machine import Appliance, Property

_INTEGERS = {
    f"{sign}int{bits}": (0, 2**bits - 1) if sign == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    for sign in ("u", "s")
    for bits in (8, 16, 32, 64)
}  # fmt: skip
TYPES = (*_INTEGERS, "real32", "real64", "boolean", "string")

# Vendor words and old spellings, and the CIM type each is a refinement of.
_VENDOR_BASE = {
    "int": "sint32", "uint": "uint32", "real": "real64", "bool": "boolean", "password": "string",
    "ip": "string", "expression": "string", "text": "string", "char16": "string",
    "dn": "string", "datetime": "string",
}  # fmt: skip

_QUALIFIER = re.compile(
    r"\s*,?\s*([A-Za-z]+)\s*"
    r"(?:\(\s*((?:\"(?:[^\"\\]|\\.)*\"|[^\")])*)\)|\{((?:\"(?:[^\"\\]|\\.)*\"|[^\"}])*)\})?"
)
_WORD = re.compile(r"\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^,\"]+))\s*(?:,|$)")
_VENDOR = re.compile(
    r"\s*([A-Za-z][A-Za-z0-9]*)\s*"
    r"(?:\(\s*(-?[0-9.eE+]*?)\s*\.\.\s*(-?[0-9.eE+]*?)\s*\)|\[(.*)\]|:(.*))?\s*",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Rule:
    """What a property accepts. ``low``/``high`` bound numbers, the lengths bound texts."""

    kind: str  # "integer", "real", "boolean", "string", "ip"
    low: float | None = None
    high: float | None = None
    min_length: int = 0
    max_length: int | None = None
    choices: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()  # qualifiers that are not understood


def base_type(written: str) -> tuple[str, str, bool]:
    """CIM type, vendor type ("" where it adds nothing) and whether it is a password.

    ``String`` gives ``("string", "", False)``, ``ip:Net`` gives ``("string", "ip:Net", False)``.
    """
    word = written.strip()
    if word.lower() in TYPES:
        return word.lower(), "", False
    if not word:
        return "string", "", False
    match = _VENDOR.fullmatch(word)
    name = match[1].lower() if match else ""
    cim = name if name in TYPES else _VENDOR_BASE.get(name, "string")
    return cim, word, name == "password"


def rule(property_: Property) -> Rule:
    """The property's type, qualifiers and vendor type together."""
    return _rule(property_.type, property_.vendor_type, property_.qualifiers)


@lru_cache(1024)  # thousands of questions share a few types, and are judged with every key
def _rule(cim: str, vendor: str, qualifiers: str) -> Rule:
    found = _type_rule(cim)
    if vendor:
        found = _vendor_rule(found, vendor)
    return _qualified(found, qualifiers)


def _type_rule(cim: str) -> Rule:
    if cim in _INTEGERS:
        low, high = _INTEGERS[cim]
        return Rule("integer", low, high)
    if cim in {"real32", "real64"}:
        return Rule("real")
    return Rule("boolean") if cim == "boolean" else Rule("string")


def _vendor_rule(found: Rule, vendor: str) -> Rule:
    match = _VENDOR.fullmatch(vendor)
    if match is None:
        return found
    name, low, high, listed = match[1].lower(), match[2], match[3], match[4]
    if name == "ip":
        return replace(found, kind="ip")
    if listed is not None:
        return replace(found, choices=words(listed))
    if low is None:
        return found
    try:
        bounds = (float(low) if low else None, float(high) if high else None)
    except ValueError:
        return found
    if found.kind == "string":
        return replace(
            found,
            min_length=int(bounds[0] or 0),
            max_length=None if bounds[1] is None else int(bounds[1]),
        )
    return replace(
        found,
        low=found.low if bounds[0] is None else bounds[0],
        high=found.high if bounds[1] is None else bounds[1],
    )


def words(listed: str) -> tuple[str, ...]:
    """The entries of ``"a","b"`` or ``a, b``; quotes and white space around them removed."""
    found = []
    for match in _WORD.finditer(listed):
        quoted = match[1]
        found.append(
            match[2].strip() if quoted is None else re.sub(r"\\(.)", r"\1", quoted, flags=re.S)
        )
    return tuple(found)


def _qualified(found: Rule, qualifiers: str) -> Rule:
    """Qualifiers, separated by commas or blanks: ``MinLen(1),MaxLen(253) ValueMap{"a","b"}``."""
    at = 0
    unknown: list[str] = []
    while at < len(qualifiers):
        match = _QUALIFIER.match(qualifiers, at)
        if match is None:
            rest = qualifiers[at:].strip(" ,\t\r\n")
            if rest:
                unknown.append(rest)
            break
        at = match.end()
        name = match[1].lower()
        argument = match[2] if match[2] is not None else match[3] or ""
        if name == "valuemap":
            found = replace(found, choices=words(argument))
            continue
        if name == "ip":
            found = replace(found, kind="ip")
            continue
        bound = _number(argument)
        if bound is None:
            unknown.append(match[0].strip(" ,\t\r\n"))
        elif name == "minlen":
            found = replace(found, min_length=max(0, int(bound)))
        elif name == "maxlen":
            found = replace(found, max_length=max(0, int(bound)))
        elif name == "minvalue":
            found = replace(found, low=bound)
        elif name == "maxvalue":
            found = replace(found, high=bound)
        else:
            unknown.append(match[0].strip(" ,\t\r\n"))
    return replace(found, unknown=tuple(unknown))


def _number(text: str) -> float | None:
    try:
        value = float(text) if "." in text else int(text)
    except ValueError:
        return None
    return value if -(2**64) <= value <= 2**64 else None


def choices(property_: Property) -> tuple[str, ...]:
    """The values that are allowed, where they can be listed (ValueMap, boolean); else ()."""
    found = rule(property_)
    return found.choices or (("true", "false") if found.kind == "boolean" else ())


def normal(property_: Property, value: str) -> str:
    """The value as the guest shall see it: numbers without white space, booleans in lower case."""
    found = rule(property_)
    if found.kind == "string":
        return value
    value = value.strip()
    if found.kind == "boolean":
        word = value.lower()
        return {"yes": "true", "1": "true", "no": "false", "0": "false"}.get(word, word)
    return value


def problem(property_: Property, value: str) -> str | None:
    """Why the value is not accepted, as a clause that says what is; None where it is.

    "must be a whole number from 0 to 255". The value itself is never part of the answer: it may be
    a password.
    """
    found = rule(property_)
    value = normal(property_, value)
    if value == "" and (found.kind == "ip" or (found.kind != "string" and property_.default == "")):
        return None  # the author left it empty, or an address that DHCP will give
    if found.choices:
        same = {_comparable(found, each) for each in found.choices}
        if _comparable(found, value) not in same and not (value == property_.default == ""):
            return f"must be one of: {', '.join(found.choices)}"
        return None
    if found.kind in {"integer", "real"}:
        return _number_problem(found, value)
    if found.kind == "boolean":
        return None if value in {"true", "false"} else "must be true or false"
    if found.kind == "ip":
        return _address_problem(value)
    return _length_problem(found, value)


def needed(property_: Property) -> bool:
    """Whether the operator must answer: there is no default, and empty would not do.

    A text or an address that may be empty may also be left alone, as authors expect who write a
    question for some and not for all (a seed, a static address). An empty password is never meant.
    """
    if property_.default is not None or not property_.configurable:
        return False
    return property_.password or problem(property_, "") is not None


def _comparable(found: Rule, value: str) -> str:
    if found.kind == "integer" and re.fullmatch(r"[+-]?[0-9]{1,20}", value.strip()):
        return str(int(value))
    return value.lower() if found.kind == "boolean" else value


def _number_problem(found: Rule, value: str) -> str | None:
    noun = "a whole number" if found.kind == "integer" else "a number"
    low, high = found.low, found.high
    if low is not None and high is not None:
        allowed = f"must be {noun} from {_shown(low)} to {_shown(high)}"
    elif low is not None:
        allowed = f"must be {noun}, at least {_shown(low)}"
    elif high is not None:
        allowed = f"must be {noun}, at most {_shown(high)}"
    else:
        allowed = f"must be {noun}"
    pattern = r"[+-]?[0-9]{1,20}"
    if found.kind == "real":
        pattern = r"[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,3})?"
    if not re.fullmatch(pattern, value, re.ASCII):
        return allowed
    given = int(value) if found.kind == "integer" else float(value)
    if (
        math.isinf(given)
        or (low is not None and given < low)
        or (high is not None and given > high)
    ):
        return allowed
    return None


def _shown(bound: float) -> str:
    return str(int(bound)) if bound == int(bound) else str(bound)


def _address_problem(value: str) -> str | None:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return "must be an IP address, such as 192.0.2.10 or 2001:db8::10"
    return None


def _length_problem(found: Rule, value: str) -> str | None:
    low, high = found.min_length, found.max_length
    if len(value) >= low and (high is None or len(value) <= high):
        return None
    if low == 1 and not value:
        return "must not be empty"
    if high is None:
        return f"must have at least {low} characters"
    if low == 0:
        return f"must have at most {high} characters"
    return f"must have {low} characters" if low == high else f"must have {low} to {high} characters"


def with_answers(appliance: Appliance, values: Mapping[str, str]) -> Appliance:
    """The appliance with what follows from the answers: capacities that are bound to a property.

    Args:
        appliance: as resolved from a descriptor.
        values: answers by `Property.address`; where one is missing the default holds.
    """
    known = {each.address: each for each in appliance.properties}
    disks = dict(appliance.disks)
    for disk in appliance.disks.values():
        asked = known.get(disk.capacity_property or "")
        unit = disk.extras.get("ovf:capacityUnit", "1")
        if asked is None:
            continue
        value = values.get(asked.address, asked.default or "").strip()
        if re.fullmatch(r"[0-9]{1,18}", value, re.ASCII):
            disks[disk.id] = replace(disk, capacity=int(value) * int(unit))
    return replace(appliance, disks=disks)
