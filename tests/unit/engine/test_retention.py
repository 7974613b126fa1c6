"""Which ended jobs the runner archives, and when it leaves one."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kensho_tui.engine.archive import check
from kensho_tui.engine.events import JobState
from kensho_tui.engine.journal import Journal
from kensho_tui.engine.places import FileLock, Places
from kensho_tui.engine.retention import Archivist, Retention, retain
from kensho_tui.engine.slots import Settings

from .given import PLAN

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    made = Places(tmp_path / "state")
    made.make()
    return made


@pytest.fixture
def jobs(places: Places) -> Iterator[dict[str, str]]:
    """A job that ended 100 days ago, one of 50 days, one of 100 that left something over, one at work."""
    found: dict[str, str] = {}
    for name, days, state in (
        ("old", 100, JobState.SUCCEEDED),
        ("newer", 50, JobState.FAILED),
        ("left", 100, JobState.NEEDS_ATTENTION),
        ("at work", 100, None),
    ):
        moment = NOW - timedelta(days=days)
        with Journal(places.journal, now=lambda moment=moment: moment) as journal:  # type: ignore[misc]
            job = found[name] = journal.submit(PLAN)
            lease = journal.claim(job, "w:1")
            if state is not None:
                journal.set_state(job, state, lease=lease, leftovers=[], result=None)
    yield found


def there(places: Places) -> set[str]:
    with Journal(places.journal) as journal:
        assert journal.verify() == []
        return {job for (job,) in journal.rows("SELECT id FROM job")}


def test_what_is_older_and_not_of_the_newest_goes_into_files_and_the_log_says_so(
    places: Places, jobs: dict[str, str], tmp_path: Path
) -> None:
    said: list[str] = []
    folder = tmp_path / "archive" / "kensho"
    retain(places, Retention(timedelta(days=90), 2, folder), said.append, now=NOW)
    assert (there(places), said) == (set(jobs.values()), [])
    assert not folder.exists()
    retain(places, Retention(timedelta(days=90), 0, folder), said.append, now=NOW)
    assert there(places) == set(jobs.values()) - {jobs["old"]}
    (file,) = folder.iterdir()
    assert check(file).findings == []
    assert said == [f"{jobs['old']} is archived: 3 events in {file}"]
    retain(places, Retention(None, 1, folder), said.append, now=NOW)
    assert there(places) == set(jobs.values()) - {jobs["old"]}, "the newest that has ended"


def test_a_job_whose_lock_is_held_stays_for_the_next_time(
    places: Places, jobs: dict[str, str], tmp_path: Path
) -> None:
    said: list[str] = []
    retention = Retention(timedelta(0), 0, tmp_path / "archive")
    with FileLock(places.job_lock(jobs["old"])) as lock:
        assert lock.take()
        retain(places, retention, said.append, now=NOW)
    assert there(places) == {jobs["old"], jobs["left"], jobs["at work"]}
    assert [each.split()[0] for each in said] == [jobs["newer"]]
    retain(places, retention, said.append, now=NOW)
    assert there(places) == {jobs["left"], jobs["at work"]}


def test_one_job_that_cannot_be_archived_keeps_no_other_and_is_told(
    places: Places, jobs: dict[str, str], tmp_path: Path
) -> None:
    said: list[str] = []
    folder = tmp_path / "archive"
    folder.mkdir()
    (folder / f"{jobs['old']}.kensho-job.gz").write_bytes(b"something else")
    retain(places, Retention(timedelta(0), 0, folder), said.append, now=NOW)
    assert jobs["old"] in there(places)
    assert jobs["newer"] not in there(places)
    assert said[0].startswith(f"{jobs['old']} is not archived: ")


def test_settings_that_change_are_heeded_at_once_and_those_that_stand_once_an_hour(
    places: Places, jobs: dict[str, str], tmp_path: Path
) -> None:
    said: list[str] = []
    archived = threading.Event()
    settings = Settings()

    def log(text: str) -> None:
        said.append(text)
        archived.set()

    archivist = Archivist(places, lambda: settings, log)
    archivist.tend()
    archivist.stop()
    assert said == []

    archivist = Archivist(places, lambda: settings, log)
    archivist.tend()
    settings = Settings(retention=Retention(None, 1, tmp_path / "archive"))
    archivist.tend()
    assert archived.wait(60)
    assert jobs["old"] in said[0]
    archivist.stop()  # waits for what is under way
    with Journal(places.journal) as journal:
        again = journal.submit(PLAN)
        journal.set_state(again, JobState.CANCELLED, leftovers=[], result=None)
    archivist.tend()
    archivist.stop()
    assert {jobs["newer"], again} <= there(places), "not yet looked at again"


def test_a_folder_that_cannot_be_made_is_told_and_takes_nothing_out(
    places: Places, jobs: dict[str, str], tmp_path: Path
) -> None:
    said: list[str] = []
    (tmp_path / "file").touch()
    settings = Settings(retention=Retention(None, 1, tmp_path / "file" / "archive"))
    archivist = Archivist(places, lambda: settings, said.append)
    archivist.tend()
    archivist._thread.join()  # type: ignore[union-attr]
    assert len(said) == 1
    assert "nothing can be archived there" in said[0]
    assert there(places) == set(jobs.values())
