"""The types of the XenAPI data model, and their form on the two wires.

Follows ``doc/content/xen-api/wire-protocol.md``: an ``int`` has 64 bits and travels as a string of
digits in XML-RPC and as a number in JSON-RPC; references and enumerations are strings; a set is an
array, a map a struct. In the lab's memory a date is its ISO 8601 text (``20260101T00:00:00Z``).
"""

import re
import xmlrpc.client
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any

from kensho_tui.lab.xen.fault import Fault

NULL = "OpaqueRef:NULL"
EPOCH = "19700101T00:00:00Z"

# What JSON can hold; the value of a field in the lab's memory.
Value = Any


class Wire(Enum):
    """How a call came in, and so how its answer goes out."""

    XML = "XML-RPC"
    JSON = "JSON-RPC"


class Shape(Enum):
    """The kinds of types there are."""

    STRING = "string"
    INT = "int"
    FLOAT = "float"
    BOOL = "bool"
    DATETIME = "datetime"
    REF = "ref"
    ENUM = "enum"
    SET = "set"
    MAP = "map"
    ANY = "any"


@dataclass(frozen=True)
class Type:
    """One type: ``name`` is the class of a reference, ``item`` what a set or a map holds."""

    shape: Shape
    name: str = ""
    values: tuple[str, ...] = ()
    item: "Type | None" = None

    def zero(self) -> Value:
        """The value of a field nobody set."""
        match self.shape:
            case Shape.INT:
                return 0
            case Shape.FLOAT:
                return 0.0
            case Shape.BOOL:
                return False
            case Shape.SET:
                return []
            case Shape.MAP:
                return {}
            case Shape.REF:
                return NULL
            case Shape.DATETIME:
                return EPOCH
            case Shape.ENUM:
                return self.values[0]
            case _:
                return ""

    def decode(self, value: object, wire: Wire, what: str) -> Value:
        """The value as it came in, checked. ``what`` names the parameter or field in the fault.

        Raises: Fault: ``FIELD_TYPE_ERROR``, or ``INTERNAL_ERROR`` for an unknown enumeration value.
        """
        wrong = Fault("FIELD_TYPE_ERROR", what)
        match self.shape:
            case Shape.ANY:
                return value
            case Shape.INT:
                return _int(value, wire, wrong)
            case Shape.FLOAT:
                if isinstance(value, bool) or not isinstance(value, (int, float)):
                    raise wrong
                return float(value)
            case Shape.BOOL:
                if not isinstance(value, bool):
                    raise wrong
                return value
            case Shape.DATETIME:
                if isinstance(value, xmlrpc.client.DateTime):
                    return str(value)
                if isinstance(value, str):
                    return value
                raise wrong
            case Shape.ENUM:
                if not isinstance(value, str):
                    raise wrong
                if value not in self.values:
                    raise Fault("INTERNAL_ERROR", f'Failure("Unmarshalling error: {what} {value}")')
                return value
            case Shape.SET:
                if not isinstance(value, (list, tuple)) or self.item is None:
                    raise wrong
                return [self.item.decode(each, wire, what) for each in value]
            case Shape.MAP:
                if not isinstance(value, dict) or self.item is None:
                    raise wrong
                return {str(k): self.item.decode(v, wire, what) for k, v in value.items()}
            case _:
                if not isinstance(value, str):
                    raise wrong
                # Clients write the null reference in several ways; the database keeps one.
                return NULL if self.shape is Shape.REF and value in {"", NULL} else value

    def encode(self, value: Value, wire: Wire) -> object:
        """The value as it goes out."""
        match self.shape:
            case Shape.INT:
                return str(value) if wire is Wire.XML else value
            case Shape.DATETIME:
                return xmlrpc.client.DateTime(value) if wire is Wire.XML else value
            case Shape.SET if self.item is not None:
                return [self.item.encode(each, wire) for each in value]
            case Shape.MAP if self.item is not None:
                return {k: self.item.encode(v, wire) for k, v in value.items()}
            case _:
                return value


def _int(value: object, wire: Wire, wrong: Fault) -> int:
    if isinstance(value, str) and re.fullmatch(r"[+-]?\d+", value):
        return int(value)
    if wire is Wire.JSON and isinstance(value, int) and not isinstance(value, bool):
        return value
    raise wrong


@cache
def parse_type(text: str) -> Type:
    """A type from its words: ``int``, ``ref VM``, ``set ref VIF``, ``map string``, ``enum a,b``.

    A map's keys are strings on the wire whatever their type, so only the value's type is written.
    """
    head, _, rest = text.strip().partition(" ")
    shape = Shape(head)
    match shape:
        case Shape.REF:
            return Type(shape, name=rest.strip())
        case Shape.ENUM:
            return Type(shape, values=tuple(rest.replace(" ", "").split(",")))
        case Shape.SET | Shape.MAP:
            return Type(shape, item=parse_type(rest))
        case _:
            return Type(shape)
