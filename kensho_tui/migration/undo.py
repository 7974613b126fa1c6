"""Taking back what a job made: actions as data, so that any process can do them after a crash."""

from collections.abc import Iterable

from backends.base import Leftover, Session
from kensho_tui.cancel import Cancel
from kensho_tui.errors import KenshoError
from kensho_tui.migration.context import FencedError, JobContext, Json, Undo
from kensho_tui.migration.leftovers import WITHDRAW, environment_left
from kensho_tui.migration.retry import Policy, Retries
from kensho_tui.migration.sessions import Sessions

SWEEP = "sweep"  # remove what carries the key and is not committed
RELEASE = "release"  # let go of the capture that carries the key
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
    with sessions.apart() as apart:
        for undo in context.undos():
            if steps is not None and undo.step not in steps:
                continue
            context.undone(undo, _do(context, apart, undo))


def _do(context: JobContext, sessions: Sessions, undo: Undo) -> list[dict[str, str]]:
    where = undo.data.get("connection") or undo.data.get("package", "")
    retries = Retries(_PATIENCE)
    while True:
        try:
            session = session_of(sessions, undo.data)
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
        "name": "what the job built",
        "where": where,
        "reason": "it is complete and in service, and was so before the job ended otherwise",
        "action": f"Keep it, or remove by hand what carries {key} on {where}",
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
