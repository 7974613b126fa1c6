"""What can be done with a job as it stands, and the window for its questions."""

from kensho_tui.engine import ejecting
from kensho_tui.engine.events import JobState, JobView
from kensho_tui.migration.context import Question, QuestionKind
from screens import figures
from screens.widgets.ask import Ask
from screens.widgets.choose import Choice, Choose

# What ends a job, and what may be done then.
AGAIN = {
    JobState.FAILED: "r does it once more.",
    JobState.CANCELLED: "r does it once more.",
    JobState.NEEDS_ATTENTION: "r tries to remove what is left over.",
}
STEERING = frozenset({"answer", "hold", "go_on", "limit", "cancel", "retry", "clean_up", "eject"})


def doable(view: JobView) -> frozenset[str]:
    """Which of the actions that steer a job do something now."""
    state = view.summary.state
    if state is JobState.NEEDS_ATTENTION:
        return frozenset({"clean_up"})
    if state.ended:
        found = {"retry"} if state in AGAIN else set()
        return frozenset(found | ({"eject"} if ejecting.left_over(view) else set()))
    found = {"cancel", "limit"}
    if view.questions:
        found.add("answer")
    if ejecting.asked(view) is not None:
        found.add("eject")
    if state is JobState.PAUSED:
        found.add("go_on")
    elif state is not JobState.CANCELLING:
        found.add("hold")
    return frozenset(found)


def window(question: Question) -> Ask | Choose:
    """The window that asks this question."""
    if question.choices:
        at = figures.clock(question.expires.isoformat()) if question.expires else ""
        usual = f"by itself at {at}" if at else "default"
        choices = [
            Choice(each, each, usual if each == question.default else "")
            for each in question.choices
        ]
        return Choose("The job asks", choices, question.default, text=question.text)
    return Ask(
        "The job asks",
        question.text,
        secret=question.kind is QuestionKind.SECRET,
        value="" if question.kind is QuestionKind.SECRET else question.default or "",
    )
