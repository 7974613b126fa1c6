"""What changed: ``event.from`` with its token and long poll, ``event.inject``.

Follows ``from_inner`` of ``ocaml/xapi/xapi_event.ml``: objects made since the token are ``add``,
changed ones ``mod``, gone ones ``del`` (without a snapshot); a call without news waits until there
are some or its time is over, and then answers an empty list. The token is opaque; here, as there,
it holds the generation. ``event.inject`` touches an object and gives a token from before.
"""

import math
import time

from kensho_tui.lab.xen.calls import Context, call
from kensho_tui.lab.xen.fault import Fault
from kensho_tui.lab.xen.operations import record
from kensho_tui.lab.xen.schema import TABLES

LONGEST_S = 24 * 3600.0


class Subscription:
    """Which classes and objects a client listens to: ``*``, ``vm`` or ``vm/OpaqueRef:…``."""

    def __init__(self, texts: list[str]) -> None:
        """Raises: Fault: ``EVENT_SUBSCRIPTION_PARSE_FAILURE``."""
        self.all = "*" in texts
        self._wanted = {tuple(text.lower().partition("/")[::2]) for text in texts if text != "*"}
        if any(not cls for cls, _ in self._wanted):
            raise Fault("EVENT_SUBSCRIPTION_PARSE_FAILURE", ",".join(texts))

    def matches(self, cls: str, ref: str) -> bool:
        """Whether events of this object are wanted."""
        name = cls.lower()
        return self.all or (name, "") in self._wanted or (name, ref.lower()) in self._wanted


def _token(generation: int) -> str:
    return f"{generation:020d},{0:020d}"


def _generation(token: str) -> int:
    if not token:
        return 0
    number, comma, messages = token.partition(",")
    if not (comma and number.isdigit() and messages.isdigit()):
        raise Fault("EVENT_FROM_TOKEN_PARSE_FAILURE", token)
    return int(number)


def _collect(ctx: Context, wanted: Subscription, since: int) -> list[dict[str, object]]:
    database = ctx.database
    adds: list[tuple[int, str, str, str]] = []
    mods: list[tuple[int, str, str, str]] = []
    for cls, table in TABLES.items():
        if not table.events:
            continue
        for ref, row in database.rows(cls):
            if not wanted.matches(cls, ref):
                continue
            if row.created > since:
                adds.append((row.created, cls, ref, "add"))
            elif row.modified > since:
                mods.append((row.modified, cls, ref, "mod"))
    dels = [
        (each.deleted, each.cls, each.ref, "del")
        for each in database.deletions
        if each.deleted > since >= each.created and wanted.matches(each.cls, each.ref)
        if TABLES[each.cls].events
    ]
    events: list[dict[str, object]] = []
    for generation, cls, ref, operation in (*sorted(adds), *sorted(mods), *sorted(dels)):
        event: dict[str, object] = {
            "id": str(generation),
            "timestamp": "0.0",
            "class": cls.lower(),
            "operation": operation,
            "ref": ref,
        }
        if operation != "del":
            event["snapshot"] = TABLES[cls].encode(record(database, cls, ref), ctx.wire)
        events.append(event)
    return events


@call("event.from", "set string", "string", "float", result="any", blocking=True)
def from_(ctx: Context, classes: list[str], token: str, timeout: float) -> dict[str, object]:
    """What happened since the token, waiting at most ``timeout`` seconds for something to happen."""
    wanted = Subscription(classes)
    since = _generation(token)
    span = min(timeout, LONGEST_S) if math.isfinite(timeout) else LONGEST_S
    deadline = time.monotonic() + max(0.0, span)
    database, stack = ctx.database, ctx.toolstack
    with database.lock:
        while True:
            if not database.exists("session", ctx.session):
                raise Fault("SESSION_INVALID", ctx.session)
            events = _collect(ctx, wanted, since)
            left = deadline - time.monotonic()
            if events or left <= 0 or stack.stopping.is_set():
                return {
                    "events": events,
                    "valid_ref_counts": database.valid_ref_counts(),
                    "token": _token(database.generation),
                }
            database.changed.wait(left)


@call("event.inject", "string", "string", result="string")
def inject(ctx: Context, cls: str, ref: str) -> str:
    """Touch an object; a token from before the touch."""
    name = next((each for each in TABLES if each.lower() == cls.lower()), "")
    if not name or not ctx.database.exists(name, ref):
        raise Fault("HANDLE_INVALID", cls, ref)
    before = ctx.database.generation
    ctx.database.touch(name, ref)
    return _token(before)


@call("event.get_current_id", result="int")
def current_id(ctx: Context) -> int:
    """The number of the last event."""
    return ctx.database.generation
