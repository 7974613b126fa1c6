"""The CDs that hand a job's guests a password: whether they are still there, and how they go."""

from collections.abc import Callable

from kensho_tui.engine.events import JobView
from kensho_tui.errors import KenshoError
from kensho_tui.migration.context import COMMIT, Question, QuestionKind, StepState
from kensho_tui.migration.leftovers import EJECT, ENVIRONMENT


def asked(view: JobView) -> Question | None:
    """The job's question whether its guests have read them, while it is open."""
    return next((q for q in view.questions if q.kind is QuestionKind.ENVIRONMENT), None)


def left_over(view: JobView) -> bool:
    """Whether the job has ended and left them in the guests' drives."""
    return view.summary.state.ended and any(e.get("kind") == ENVIRONMENT for e in view.leftovers)


def in_service(view: JobView) -> bool:
    """Whether the job's machines are in service, so that cancelling does not take them back."""
    return any(each.step == COMMIT and each.state is StepState.DONE for each in view.steps)


def cancelled(job: str, stays: bool) -> str:
    """What became of the wish to cancel the job, by what the runner said: whether machines stay."""
    if not stays:
        return f"{job} is being cancelled."
    return (
        f"{job}: its machines are in service and stay. Only CDs with a password for the guests are"
        " ejected and deleted, now; the job ends as succeeded."
    )


def eject(
    view: JobView, answer: Callable[[str, str], object], clean_up: Callable[[], object]
) -> None:
    """Have them ejected and deleted, while the job waits for that or after its end.

    Args:
        answer: gives a question (its id) that value.
        clean_up: has the job take back what it left over.

    Raises: KenshoError: the job is still at work, or nothing of them is left.
    """
    question = asked(view)
    if question is not None:
        answer(question.id, EJECT)
    elif not view.summary.state.ended:
        raise KenshoError(
            "the job is still at work", subject=view.summary.id, remedy="Wait for its end"
        )
    elif left_over(view):
        clean_up()
    else:
        raise KenshoError("none of its CDs holds a password any more", subject=view.summary.id)
