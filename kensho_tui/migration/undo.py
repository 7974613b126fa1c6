"""Taking back what a job made: actions as data, so that any process can do them after a crash."""

from collections.abc import Iterable

from backends.base import Kind, Leftover, Power, Ref, Session
from kensho_tui.cancel import Cancel
from kensho_tui.errors import KenshoError
from kensho_tui.migration.context import FencedError, JobContext, Json, Undo
from kensho_tui.migration.leftovers import START, SWEEP, WITHDRAW, environment_left
from kensho_tui.migration.retry import Policy, Retries
from kensho_tui.migration.sessions import Sessions

_START_S = 300.0
_BUILT = "what the job built"
_REPLACED = "its copy is in service"
# What is left over can be taken back later too: a job need not wait for it as long as for its bytes.
_PATIENCE = Policy(connect=5, busy_s=30.0)


def undo_of(step: str, action: str, end: dict[str, Json], key: str) -> Undo:
    """The undo of a step.

    Args:
        end: where it was done: ``{"connection": name}`` or ``{"package": path, "settings": {…}}``.
        key: what carries it.
    """
    return Undo(step, action, {**end, "key": key})


def session_of(sessions: Sessions, end: dict[str, Json]) -> Session:
    """The session of an end, as `undo_of` takes it."""
    if "connection" in end:
        return sessions.get(end["connection"])
    return sessions.package(end["package"], **end.get("settings", {}))


def take_back(context: JobContext, sessions: Sessions, only: Iterable[str] | None = None) -> None:
    """Do the undos that are still open, latest first; what cannot be removed is journaled as left.

    Never raises for what a platform does: an undo that cannot be done is a leftover with the reason.
    Works with logins of its own that nothing cancels.

    Args:
        sessions: of the job, whose certificates are trusted here too.
        only: steps whose undos are done; None: all.

    Raises: FencedError: another owner holds the job; nothing more is touched.
    """
    steps = None if only is None else set(only)
    replaced = False
    with sessions.apart() as apart:
        for undo in context.undos():
            if steps is not None and undo.step not in steps:
                continue
            if undo.action == START and replaced:
                # Two of a kind on one network would be worse than one that is off.
                left = [
                    _not_started(each, _where(undo), _REPLACED) for each in undo.data["machines"]
                ]
            else:
                left = _do(context, apart, undo)
            replaced = replaced or any(each["name"] == _BUILT for each in left)
            context.undone(undo, left)


def _where(undo: Undo) -> str:
    return str(undo.data.get("connection") or undo.data.get("package", ""))


def _do(context: JobContext, sessions: Sessions, undo: Undo) -> list[dict[str, str]]:
    where = _where(undo)
    retries = Retries(_PATIENCE)
    while True:
        try:
            session = session_of(sessions, undo.data)
            if undo.action == START:
                _start(session, undo.data["machines"])
                return []
            act = session.withdraw if undo.action == WITHDRAW else session.sweep
            found = act(undo.data["key"])
            stands = undo.action == SWEEP and session.stands(undo.data["key"])
        except FencedError:
            raise
        except KenshoError as error:
            if (pause := retries.pause_s(error)) is not None:
                context.note(
                    f"cleaning up on {where}: {error.what}; trying again",
                    level="warning",
                    step=undo.step,
                )
                context.clock.sleep(pause, Cancel())
                continue
            if undo.action == WITHDRAW:
                return [environment_left(context.job, undo.data, error.what)]
            if undo.action == START:
                return [_not_started(each, where, error.what) for each in undo.data["machines"]]
            return [
                {
                    "kind": "key",
                    "id": undo.data["key"],
                    "name": "what the job made",
                    "where": where,
                    "reason": error.what,
                    "action": f"Remove by hand what carries {undo.data['key']} on {where}",
                }
            ]
        left = [leftover(each, where) for each in found]
        if undo.action == WITHDRAW:
            # Trying again is what removes it.
            again = environment_left(context.job, undo.data, "")
            left = [{**each, "kind": again["kind"], "action": again["action"]} for each in left]
        return left + ([_in_service(undo.data["key"], where)] if stands else [])


def _in_service(key: str, where: str) -> dict[str, str]:
    """What a commit had put into service before the job came to its end, as a leftover."""
    return {
        "kind": "key",
        "id": key,
        "name": _BUILT,
        "where": where,
        "reason": "it is complete and in service, and was so before the job ended otherwise",
        "action": f"Keep it, or remove by hand what carries {key} on {where}",
    }


def start_of(step: str, end: dict[str, Json], machines: Iterable[Ref]) -> Undo:
    """The undo of shutting these machines down."""
    data = [{"id": each.id, "name": each.name} for each in machines]
    return Undo(step, START, {**end, "machines": data})


def _start(session: Session, machines: list[dict[str, str]]) -> None:
    for each in machines:
        session.power(Ref(Kind.MACHINE, each["id"], each["name"]), Power.ON, _START_S)


def _not_started(machine: dict[str, str], where: str, why: str) -> dict[str, str]:
    return {
        "kind": "machine",
        "id": machine["id"],
        "name": machine["name"],
        "where": where,
        "reason": f"was shut down, and may not run again yet ({why})",
        "action": f"Look on {where} whether '{machine['name']}' runs, and start it",
    }


def leftover(each: Leftover, where: str) -> dict[str, str]:
    """A leftover as the journal keeps it."""
    return {
        "kind": str(each.ref.kind),
        "id": each.ref.id,
        "name": each.ref.name,
        "where": where,
        "reason": each.reason,
        "action": each.action,
    }
