"""The journal is looked after while a runner works on it."""

from pathlib import Path

import pytest

from kensho_tui.engine.archive import archive, check
from kensho_tui.engine.client import UnknownJobError
from kensho_tui.engine.events import JobState
from kensho_tui.engine.journal import Journal, JournalError
from kensho_tui.engine.keeping import quiet
from kensho_tui.engine.places import Places
from tests.desk import until

from .bench import Bench


def _archived(journal: Journal, places: Places, job: str, directory: Path) -> str | None:
    """The file; None while the job's worker closes up."""
    try:
        return archive(journal, places, job, directory).file
    except JournalError as error:
        assert error.retryable
        return None


def test_a_job_is_archived_while_another_one_runs_and_both_are_told_of(
    engine: Bench, tmp_path: Path
) -> None:
    gate, places = engine.gate("gate"), Places(engine.state)
    running = engine.submit(["sample", 37], ["gate", gate], ["step", "b"])
    engine.wait_note(running, gate)
    ended = engine.submit(["sample", 37], ["step", "a"], secrets={"property:p": "secret"})
    engine.wait_end(ended)
    with Journal(places.journal) as journal:
        assert journal.verify() == []
        file = until("the worker has closed", lambda: _archived(journal, places, ended, tmp_path))
        assert journal.verify() == []
        assert check(Path(file)).findings == []
        with pytest.raises(UnknownJobError, match="is archived") as caught:
            engine.client.job(ended)
        assert f"kensho journal show {file}" in caught.value.remedy
        assert [each.id for each in engine.client.jobs()] == [running]
        with pytest.raises(JournalError, match="the runner is writing"), quiet(places):
            pytest.fail("it has the journal for itself")
        engine.open_gate(gate)
        # A watcher that comes now is told of all that is left, and of nothing else.
        assert engine.wait_end(running).summary.state is JobState.SUCCEEDED
        assert engine.client.status().running
        assert journal.verify() == []


def test_a_worker_without_a_runner_keeps_the_journal_from_being_rebuilt(engine: Bench) -> None:
    gate, places = engine.gate("gate"), Places(engine.state)
    job = engine.submit(["gate", gate])
    engine.wait_note(job, gate)
    engine.client.stop()
    with pytest.raises(JournalError, match="still under way"), quiet(places):
        pytest.fail("it has the journal for itself")
    engine.start()
    engine.open_gate(gate)
    engine.wait_end(job)
