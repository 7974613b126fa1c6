"""One job, from its plan to its end: every step journaled, its undo before its effect.

A step that an earlier attempt has done is not done again; what was begun is found by its key
(``kensho:<job>:<step>``) and gone on with. Whatever fails, all that was made is taken back in
reverse, and what could not be is listed. The source is never changed, but for the capture.
"""

import traceback
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Literal

from kensho_tui.cancel import CancelledError
from kensho_tui.connections import ConnectionBook
from kensho_tui.errors import KenshoError
from kensho_tui.migration.context import FencedError, JobContext, Json, StepState
from kensho_tui.migration.plan import Plan
from kensho_tui.migration.sessions import Sessions
from kensho_tui.migration.steps import STEPS, Move
from kensho_tui.migration.undo import take_back


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended.

    Attributes:
        error: the first error; None for a success or a cancellation.
        leftovers: what could not be removed: kind, id, name, where, reason, action.
        result: what came into being, as JSON without secrets; None unless it succeeded.
    """

    state: Literal["succeeded", "failed", "cancelled", "needs_attention"]
    error: KenshoError | None = None
    leftovers: tuple[dict[str, str], ...] = ()
    result: Json = field(default=None)


def run_job(context: JobContext, plan: Plan) -> Outcome:
    """Run the job, or go on with it; returns when it has ended for good.

    Raises: FencedError: another owner holds the job. Nothing was taken back.
    """
    broken = _failed_before(context)
    if broken is not None and not context.cancel.cancelled:
        context.note(
            "the job had failed when its runner ended: going on with cleaning up", level="warning"
        )
        return _back_out(context, broken)
    sessions = Sessions(ConnectionBook(), context.secrets, context.cancel)
    try:
        move = Move(context, plan, sessions)
        try:
            context.cancel.check()
            result, leftovers = move.run()
        except FencedError:
            move.let_go()
            raise
        except KenshoError as error:
            move.abandon()
            return _back_out(context, error)
        except Exception as error:  # noqa: BLE001 - a defect of ours must not leave half a machine behind
            context.note(_place(error), level="error")
            move.abandon()
            return _back_out(context, _defect(error))
    finally:
        sessions.close()
    if leftovers:
        return Outcome("needs_attention", None, tuple(leftovers), result)
    return Outcome("succeeded", None, (), result)


def _back_out(context: JobContext, error: KenshoError) -> Outcome:
    cancelled = context.cancel.cancelled or isinstance(error, CancelledError)
    leftovers = tuple(take_back(context))
    shown = None if cancelled else error
    if leftovers:
        return Outcome("needs_attention", shown, leftovers)
    return Outcome("cancelled" if cancelled else "failed", shown)


def _failed_before(context: JobContext) -> KenshoError | None:
    """The error to end with, where an earlier attempt died while it was taking things back."""
    for step in (*STEPS, *{undo.step for undo in context.undos()}):
        record = context.past(step)
        if record is not None and record.state not in (StepState.RUNNING, StepState.DONE):
            return KenshoError(
                "the job failed, and its runner ended while it was cleaning up",
                subject=step,
                remedy="See the job's log for the failure itself",
            )
    return None


def _defect(error: Exception) -> KenshoError:
    return KenshoError(
        f"a defect of Kensho's own ({type(error).__name__})",
        remedy="Please report it, with the job's log",
    )


def _place(error: Exception) -> str:
    """Where a defect showed, without its text, which might quote a secret."""
    frames: list[Any] = traceback.extract_tb(error.__traceback__)
    last = frames[-1] if frames else None
    place = f" at {PurePath(last.filename).name}:{last.lineno} in {last.name}" if last else ""
    return f"{type(error).__name__}{place}"
