"""The journal's tables and guards as PostgreSQL takes them, made of the very same source.

For a fleet, whose workers share one journal. Nothing but the proof uses it yet: the tests run these
statements, and the engine's own, on a real PostgreSQL. What differs is here and nowhere else.
"""

import re

from kensho_tui.engine import schema
from kensho_tui.engine.journal import FENCE
from kensho_tui.engine.schema import Guard


def definition() -> list[str]:
    """All statements that make the tables and guards in an empty database, in order."""
    statements = [_table(each) for each in schema.TABLES]
    for guard in schema.GUARDS:
        statements += _guard(guard)
    # Row triggers do not see it.
    for table in ("event", "archived"):
        name = f"{table}_is_never_emptied"
        statements += [
            _function(name, "the journal is append-only", ""),
            f"CREATE TRIGGER {name} BEFORE TRUNCATE ON {table} EXECUTE FUNCTION {name}()",
        ]
    return statements


def statement(sql: str) -> str:
    """A statement of the engine's for psycopg.

    SQLite lets one writer in at a time; here it is the job's lease that writers wait for.
    """
    text = sql.replace("%", "%%").replace("?", "%s")
    return f"{text} FOR UPDATE" if sql == FENCE else text


def _table(text: str) -> str:
    """SQLite's INTEGER has 64 bits, and its STRICT is what every table here is."""
    return re.sub(r"\bINTEGER\b", "BIGINT", text).replace(") STRICT", ")")


def _guard(guard: Guard) -> list[str]:
    return [
        _function(guard.name, guard.message, guard.unless),
        f"CREATE TRIGGER {guard.name} BEFORE {guard.change} ON {guard.table}"
        f" FOR EACH ROW EXECUTE FUNCTION {guard.name}()",
    ]


def _function(name: str, message: str, unless: str) -> str:
    refuse = f"RAISE EXCEPTION '{message}';"
    if unless:
        refuse = f"IF NOT ({unless}) THEN {refuse} END IF;"
    # NEW is NULL where a row is deleted, and a row trigger that gives back NULL keeps it.
    return (
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {refuse}"
        " IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; RETURN NEW; END $$"
    )
