"""The call table: one for XML-RPC and JSON-RPC. A call is declared once, with its types.

Follows ``ocaml/idl/ocaml_backend/gen_server.ml``, the generator of xapi's dispatcher: parameters are
counted and unmarshalled before the call runs, ``Async.`` before any name gives a task instead of
the value, constructors take one record.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kensho_tui.lab.xen.fault import Fault
from kensho_tui.lab.xen.schema import NULL, TABLES, Type, Value, Wire, parse_type

if TYPE_CHECKING:
    from kensho_tui.lab.xen.database import Database
    from kensho_tui.lab.xen.toolstack import Toolstack


@dataclass(frozen=True)
class Context:
    """Who calls, and how. ``task`` is the task the call runs as, the null reference for none."""

    toolstack: "Toolstack"
    session: str
    wire: Wire
    task: str = NULL
    address: str = "127.0.0.1"

    @property
    def database(self) -> "Database":
        """The objects."""
        return self.toolstack.database


@dataclass(frozen=True)
class Call:
    """One call: its wire name, the types of its parameters after the session, and what runs it.

    Attributes:
        optional: how many of the last parameters may be left out.
        result: the type of the value; None for void.
        constructor: the class whose record the only parameter is.
        blocking: runs without the database's lock, because it waits.
    """

    name: str
    params: tuple[Type, ...]
    run: Callable[..., Any]
    result: Type | None = None
    optional: int = 0
    constructor: str = ""
    session: bool = True
    blocking: bool = False

    def decode(self, params: list[object], wire: Wire) -> list[Value]:
        """The parameters (without the session), counted and checked.

        Raises: Fault: ``MESSAGE_PARAMETER_COUNT_MISMATCH``, ``FIELD_TYPE_ERROR``.
        """
        if not len(self.params) - self.optional <= len(params) <= len(self.params):
            expected = str(len(self.params) - self.optional)
            raise Fault("MESSAGE_PARAMETER_COUNT_MISMATCH", self.name, expected, str(len(params)))
        if self.constructor:
            record = params[0]
            if not isinstance(record, Mapping):
                raise Fault("INTERNAL_ERROR", 'Failure("bad __structure")')
            return [TABLES[self.constructor].construct(record, wire)]
        return [
            each.decode(value, wire, f"{self.name}/{i}")
            for i, (each, value) in enumerate(zip(self.params, params, strict=False))
        ]

    def encode(self, value: Value, wire: Wire) -> object:
        """The value as it goes out; void is an empty string."""
        return "" if self.result is None else self.result.encode(value, wire)


CALLS: dict[str, Call] = {}


def call(
    name: str,
    *params: str,
    result: str = "",
    optional: int = 0,
    session: bool = True,
    blocking: bool = False,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare a call; the function takes a `Context` and the decoded parameters."""

    def declare(run: Callable[..., Any]) -> Callable[..., Any]:
        CALLS[name] = Call(
            name,
            tuple(parse_type(each) for each in params),
            run,
            parse_type(result) if result else None,
            optional,
            session=session,
            blocking=blocking,
        )
        return run

    return declare


def constructor(cls: str) -> Callable[[Callable[..., str]], Callable[..., str]]:
    """Declare ``CLASS.create``; the function takes a `Context` and the record's checked values."""

    def declare(run: Callable[..., str]) -> Callable[..., str]:
        name = f"{cls}.create"
        CALLS[name] = Call(
            name, (parse_type("any"),), run, parse_type(f"ref {cls}"), constructor=cls
        )
        return run

    return declare
