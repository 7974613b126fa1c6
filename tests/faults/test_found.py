"""What the crash matrix has found: each case that once broke, under the sentence of what was wrong."""

from collections.abc import Callable

import pytest

from kensho_tui.engine.events import JobState

from .chaos import Place, Way
from .matrix.case import Case, Fault, Moment, Verb
from .matrix.play import Played

pytestmark = [pytest.mark.peer, pytest.mark.timeout(300)]
Matrix = Callable[[Case], Played]


def test_a_journal_that_cannot_be_written_is_no_failure_of_the_job(matrix: Matrix) -> None:
    """The package was complete, only that was not journaled: and the job said that it had failed."""
    place = Place(Way.DOWN, 5418880)
    moment = Moment(place=place, at_source=True)
    played = matrix(Case(10, Verb.EXPORT, Fault.STATE_NO_SPACE, moment))
    assert played.broken == []
    assert played.view is not None
    assert played.view.summary.state is JobState.SUCCEEDED


def test_a_worker_that_wakes_up_after_the_job_s_end_makes_no_snapshot(matrix: Matrix) -> None:
    """It had slept before the call that makes one, and made it when it woke up: nobody knew of it."""
    moment = Moment(place=Place(Way.DOWN, 21, turns=True), at_source=True)
    played = matrix(Case(91, Verb.EXPORT, Fault.SECOND_OWNER, moment, snapshot=True))
    assert played.broken == []


@pytest.mark.parametrize("turn", [45, 60])
def test_a_worker_that_wakes_up_in_a_deployment_takes_nothing_back(
    matrix: Matrix, turn: int
) -> None:
    """Its connection was gone, so it removed what it had made: what the second one had finished."""
    moment = Moment(place=Place(Way.DOWN, turn, turns=True))
    played = matrix(Case(91, Verb.IMPORT, Fault.SECOND_OWNER, moment))
    assert played.broken == []
    assert played.view is not None
    assert played.view.summary.state is JobState.SUCCEEDED


def test_a_worker_that_wakes_up_in_a_disk_writes_nothing_into_the_finished_package(
    matrix: Matrix,
) -> None:
    """It still had the file open, which had its final name by then."""
    moment = Moment(place=Place(Way.DOWN, 2 << 20), at_source=True)
    played = matrix(Case(91, Verb.EXPORT, Fault.SECOND_OWNER, moment))
    assert played.broken == []
    assert played.view is not None
    assert played.view.summary.state is JobState.SUCCEEDED


@pytest.mark.parametrize("verb", Verb)
def test_a_job_that_is_cancelled_after_its_commit_says_what_stands(
    matrix: Matrix, verb: Verb
) -> None:
    """The commit was not journaled yet: it said it was cancelled, and the machines were in service."""
    moment = Moment("done", "commit")
    played = matrix(Case(92, verb, Fault.KILL_WORKER, moment, cancel=moment))
    assert played.broken == []
    assert played.view is not None
    assert played.view.summary.state is JobState.SUCCEEDED
