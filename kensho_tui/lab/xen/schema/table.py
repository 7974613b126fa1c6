"""A class of the data model as a table: its fields, who may write them, which a constructor needs.

Follows ``ocaml/idl/datamodel_types.ml``: a field is *RW*, *StaticRO* (given at construction) or
*DynamicRO* (the server's own). A constructor takes a record of all RW and StaticRO fields, and a
missing one is filled only where the data model has a default for it.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kensho_tui.lab.xen.fault import field_not_found
from kensho_tui.lab.xen.schema.types import Type, Value, Wire, parse_type


@dataclass(frozen=True)
class Field:
    """One field. ``settable``: a ``set_`` message exists, by the data model or by hand."""

    name: str
    type: Type
    constructor: bool
    settable: bool
    default: Value = None
    has_default: bool = False

    @property
    def required(self) -> bool:
        """Whether a constructor's record must hold it."""
        return self.constructor and not self.has_default


@dataclass(frozen=True)
class Table:
    """One class. ``events``: whether its objects appear in ``event.from``."""

    name: str
    fields: Mapping[str, Field]
    events: bool = True

    def __iter__(self) -> Iterator[Field]:
        return iter(self.fields.values())

    def construct(self, record: Mapping[str, object], wire: Wire) -> dict[str, Value]:
        """The values of a new object from a constructor's record.

        What is no constructor field is ignored, as XAPI ignores it.

        Raises: Fault: a required field is missing, or a value is of the wrong type.
        """
        values: dict[str, Value] = {}
        for field in self:
            if not field.constructor:
                continue
            if field.name in record:
                values[field.name] = field.type.decode(record[field.name], wire, field.name)
            elif field.required:
                raise field_not_found(field.name)
        return values

    def complete(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """The values with every other field at its default.

        Raises: KeyError: a field that the class does not have.
        """
        unknown = values.keys() - self.fields.keys()
        if unknown:
            raise KeyError(f"{self.name} has no {', '.join(sorted(unknown))}")
        return {
            field.name: values.get(
                field.name,
                json.loads(json.dumps(field.default)) if field.has_default else field.type.zero(),
            )
            for field in self
        }

    def encode(self, values: Mapping[str, Value], wire: Wire) -> dict[str, object]:
        """A record as it goes out."""
        return {f.name: f.type.encode(values[f.name], wire) for f in self}


def table(name: str, text: str, *, events: bool = True) -> Table:
    """A table from lines ``field : type : flag [: default as JSON]``.

    Flags: ``rw``; ``ro`` StaticRO; ``ro+`` StaticRO with a set message; ``dyn`` DynamicRO;
    ``dyn+`` DynamicRO with a set message.
    """
    fields = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        parts = [part.strip() for part in line.split(" : ", 3)]
        flag = parts[2]
        if flag not in {"rw", "ro", "ro+", "dyn", "dyn+"}:
            raise ValueError(f"{name}: no flag in '{line}'")
        fields[parts[0]] = Field(
            name=parts[0],
            type=parse_type(parts[1]),
            constructor=flag.startswith("r"),
            settable=flag in {"rw", "ro+", "dyn+"},
            default=json.loads(parts[3]) if len(parts) > 3 else None,
            has_default=len(parts) > 3,
        )
    return Table(name, fields, events)
