"""The calls every class has: ``get_record``, ``get_all``, ``get_by_uuid``, getters and setters.

Follows the generated messages of ``ocaml/idl/datamodel_utils.ml``. A call that is written by hand
(a setter with rules of its own) takes the place of the generated one.
"""

from functools import cache
from typing import Any

from kensho_tui.lab.xen.calls import CALLS, Call, Context
from kensho_tui.lab.xen.fault import Fault
from kensho_tui.lab.xen.operations import record
from kensho_tui.lab.xen.schema import TABLES, Field, Table, Value, parse_type
from kensho_tui.lab.xen.schema.types import Shape

STRING = parse_type("string")


@cache
def generate() -> None:
    """Add to the call table what nobody wrote by hand."""
    for table in TABLES.values():
        for each in (*_objects(table), *_fields(table)):
            CALLS.setdefault(each.name, each)


def _objects(table: Table) -> list[Call]:
    cls, self_type = table.name, parse_type(f"ref {table.name}")
    any_type = parse_type("any")

    def encoded(ctx: Context, ref: str) -> dict[str, object]:
        return table.encode(record(ctx.database, cls, ref), ctx.wire)

    calls = [
        Call(f"{cls}.get_record", (self_type,), encoded, any_type),
        Call(
            f"{cls}.get_by_uuid",
            (STRING,),
            lambda ctx, text: ctx.database.by_uuid(cls, text),
            self_type,
        ),
    ]
    if cls != "session":
        calls.append(
            Call(f"{cls}.get_all", (), lambda ctx: ctx.database.refs(cls), parse_type("any"))
        )
        calls.append(
            Call(
                f"{cls}.get_all_records",
                (),
                lambda ctx: {ref: encoded(ctx, ref) for ref in ctx.database.refs(cls)},
                any_type,
            )
        )
    if "name_label" in table.fields:
        calls.append(
            Call(
                f"{cls}.get_by_name_label",
                (STRING,),
                lambda ctx, label: ctx.database.find(cls, name_label=label),
                any_type,
            )
        )
    return calls


def _fields(table: Table) -> list[Call]:
    return [each for field in table for each in _field(table.name, field)]


def _field(cls: str, field: Field) -> list[Call]:
    self_type = parse_type(f"ref {cls}")
    name = field.name

    def get(ctx: Context, ref: str) -> Value:
        if name == "allowed_operations":
            return record(ctx.database, cls, ref)[name]
        return ctx.database.get(cls, ref, name)

    def put(ctx: Context, ref: str, value: Value) -> None:
        ctx.database.set(cls, ref, **{name: value})

    def add_key(ctx: Context, ref: str, key: str, value: Value) -> None:
        current = ctx.database.get(cls, ref, name)
        if key in current:
            raise Fault("MAP_DUPLICATE_KEY", cls, name, ref, key)
        put(ctx, ref, {**current, key: value})

    def remove_key(ctx: Context, ref: str, key: str) -> None:
        put(ctx, ref, {k: v for k, v in ctx.database.get(cls, ref, name).items() if k != key})

    def add_item(ctx: Context, ref: str, value: Value) -> None:
        current = ctx.database.get(cls, ref, name)
        put(ctx, ref, current if value in current else [*current, value])

    def remove_item(ctx: Context, ref: str, value: Value) -> None:
        put(ctx, ref, [each for each in ctx.database.get(cls, ref, name) if each != value])

    calls = [Call(f"{cls}.get_{name}", (self_type,), get, field.type)]
    if not field.settable:
        return calls
    calls.append(Call(f"{cls}.set_{name}", (self_type, field.type), put))
    item: Any = field.type.item
    if field.type.shape is Shape.MAP:
        calls.append(Call(f"{cls}.add_to_{name}", (self_type, STRING, item), add_key))
        calls.append(Call(f"{cls}.remove_from_{name}", (self_type, STRING), remove_key))
    elif field.type.shape is Shape.SET:
        calls.append(Call(f"{cls}.add_{name}", (self_type, item), add_item))
        calls.append(Call(f"{cls}.remove_{name}", (self_type, item), remove_item))
    return calls
