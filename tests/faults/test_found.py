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
