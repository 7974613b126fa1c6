"""What guests were handed is taken back once they have read it, where a password is among it."""

from datetime import timedelta

from kensho_tui.cancel import CancelledError
from kensho_tui.migration.context import JobContext, Json, Question, QuestionKind, Undo
from kensho_tui.migration.leftovers import (
    CANCELLED_LATE,
    EJECT,
    KEEP,
    KEPT,
    WITHDRAW,
    environment_left,
)
from kensho_tui.migration.plan import Spec
from kensho_tui.migration.sessions import Sessions
from kensho_tui.migration.undo import take_back

STEP = "withdraw"


def withdraw(context: JobContext, sessions: Sessions, spec: Spec, result: Json) -> None:
    """Eject and delete the CDs that hold a password, when the guests have had their time to read.

    What could not be taken back, what was to be kept, and what no guest could read yet is left over.

    Args:
        sessions: of the job, whose certificates are trusted here too.
        result: of the commit: which machines stand, and which were started.
    """
    undo = next((each for each in context.undos() if each.action == WITHDRAW), None)
    if undo is None:
        return
    started = [each["ref"]["name"] for each in result["machines"] if each["started"]]
    if not started:
        _keep(context, undo, "no machine was started that could have read them")
    elif _read(context, spec, started):
        context.begin(STEP, "Eject and delete the CDs with the guests' settings")
        take_back(context, sessions, {undo.step})
        context.done(STEP)
    else:
        _keep(context, undo, "they were to be kept")


def _keep(context: JobContext, undo: Undo, reason: str) -> None:
    left = environment_left(context.job, undo.data, reason)
    context.undone(undo, [{**left, KEPT: "true"}])


def _read(context: JobContext, spec: Spec, started: list[str]) -> bool:
    """Whether the CDs go now: somebody says so, or the time that the plan gives has passed."""
    if spec.eject_after == 0:
        return True
    names = ", ".join(started)
    question = Question(
        id=STEP,
        kind=QuestionKind.ENVIRONMENT,
        text=f"Have the guests read their settings ({names})? A password lies in the CD that hands "
        "them over, until it is ejected and deleted",
        choices=(EJECT, KEEP),
        default=EJECT,
        expires=context.clock.now() + timedelta(minutes=spec.eject_after),
    )
    try:
        return context.ask(question) == EJECT
    except CancelledError:
        # The machines stand already: what is cancelled is the waiting.
        context.note(f"cancelled: {CANCELLED_LATE}", level="warning", step=STEP)
        return True
