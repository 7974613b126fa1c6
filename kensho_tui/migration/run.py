"""One job, from its plan to its end: every step journaled, its undo before its effect.

A step that an earlier attempt has done is not done again; what was begun is found by its key
(``kensho:<job>:<step>``) and gone on with. Whatever fails, all that was made is taken back in
reverse, and what could not be is listed. The source is never changed, but for the capture.
"""

import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Literal, cast

from kensho_tui.cancel import CancelledError
from kensho_tui.connections import ConnectionBook
from kensho_tui.errors import KenshoError
from kensho_tui.migration.context import (
    CLEANUP,
    CLEANUP_TITLE,
    COMMIT,
    FencedError,
    JobContext,
    Json,
    StepRecord,
    StepState,
)
from kensho_tui.migration.leftovers import DEPLOY, KEPT
from kensho_tui.migration.plan import Plan
from kensho_tui.migration.sessions import Sessions
from kensho_tui.migration.steps import Move
from kensho_tui.migration.undo import take_back


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended.

    Attributes:
        error: the first error; None for a success or a cancellation.
        leftovers: what could not be removed, and of a success what was left on purpose: kind, id,
            name, where, reason, action.
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
    sessions = Sessions(ConnectionBook(), context.secrets, context.cancel)
    try:
        if context.past(CLEANUP) is not None:
            return _back_out(context, sessions, None)
        move = Move(context, plan, sessions)
        try:
            context.cancel.check()
            result, leftovers = move.run()
        except FencedError:
            move.let_go()
            raise
        except KenshoError as error:
            if (late := _completed(context, plan)) is not None:
                return late
            move.abandon()
            return _back_out(context, sessions, error)
        except Exception as error:  # noqa: BLE001 - a defect of ours must not leave half a machine behind
            context.note(_place(error), level="error")
            move.abandon()
            return _back_out(context, sessions, _defect(error))
    finally:
        sessions.close()
    return _made(result, leftovers)


def _made(result: Json, leftovers: Sequence[dict[str, str]]) -> Outcome:
    """How a job ended whose machines are in service; what was left on purpose is no trouble."""
    trouble = [each for each in leftovers if not each.get(KEPT)]
    state: Literal["needs_attention", "succeeded"] = "needs_attention" if trouble else "succeeded"
    return Outcome(state, None, tuple(leftovers), result)


class _Apart:
    """The context of a job that it is too late to cancel."""

    def __init__(self, context: JobContext) -> None:
        self._context = context
        self.cancel = context.cancel.apart()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the context has
        return getattr(self._context, name)


def _completed(context: JobContext, plan: Plan) -> Outcome | None:
    """Go on to the end where a commit had been decided before anything went wrong.

    None where none had been, or where nobody can tell: then all is taken back, and what is found
    in service all the same is a leftover.
    """
    apart = cast("JobContext", _Apart(context))
    with Sessions(ConnectionBook(), context.secrets, apart.cancel) as sessions:
        move = Move(apart, plan, sessions)
        try:
            if not move.stands():
                return None
            context.note(
                "it is too late to take it back: what was built is in service already",
                level="warning",
                step=COMMIT,
            )
            return _made(*move.run())
        except FencedError:
            move.let_go()
            raise
        except KenshoError as error:
            context.note(f"completing it: {error}", level="warning", step=COMMIT)
            return None


def _back_out(context: JobContext, sessions: Sessions, error: KenshoError | None) -> Outcome:
    """Take back what was made, and say how it ended.

    The error stands in the journal before anything is taken back, so that a runner that dies here
    is followed by one that cleans up and does not begin anew.

    Args:
        error: what went wrong; None to go on with what an earlier attempt had to clean up.
    """
    first = context.past(CLEANUP)
    before: Json = first.resume if first is not None else None
    if before is None:
        before = _record(context, error)
    made = context.past(COMMIT)
    if made is not None and made.state is StepState.DONE:
        context.settled(DEPLOY)
    if first is None and not context.undos():
        return _outcome(before, context.leftovers(), error, made)
    if first is None or first.state is not StepState.DONE:
        context.begin(CLEANUP, CLEANUP_TITLE)
        context.resume_point(CLEANUP, before)
        take_back(context, sessions)
        context.done(CLEANUP)
    return _outcome(before, context.leftovers(), error, made)


def _record(context: JobContext, error: KenshoError | None) -> Json:
    if context.cancel.cancelled or isinstance(error, CancelledError):
        return {"cancelled": True}
    if error is None:
        return {"what": "the job failed", "remedy": "See its log"}
    return {"what": error.what, "subject": error.subject, "remedy": error.remedy}


def _outcome(
    record: Json,
    leftovers: Sequence[dict[str, str]],
    error: KenshoError | None,
    made: StepRecord | None,
) -> Outcome:
    if made is not None and made.state is StepState.DONE:
        # The machines are in service, whatever was to be done after that.
        return _made(made.result, leftovers)
    cancelled = bool(record.get("cancelled"))
    if cancelled:
        error = None
    elif error is None:
        error = KenshoError(
            record["what"], subject=record.get("subject", ""), remedy=record.get("remedy", "")
        )
    if leftovers:
        return Outcome("needs_attention", error, tuple(leftovers))
    return Outcome("cancelled" if cancelled else "failed", error)


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
