"""Whole jobs in files: complete, checkable by themselves, and out of the journal only when safe."""

import gzip
import json
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kensho_tui.engine import archive as archives
from kensho_tui.engine import views
from kensho_tui.engine.archive import ArchivedJob, ArchiveError, archive, check, ripe
from kensho_tui.engine.events import EventKind, JobState
from kensho_tui.engine.journal import Journal, JournalError
from kensho_tui.engine.places import FileLock, Places

from .given import PLAN
from .test_journal import forge, raw

ERROR = {"what": "w", "subject": "", "remedy": ""}


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """A state directory."""
    made = Places(tmp_path / "state")
    made.make()
    return made


@pytest.fixture
def one(places: Places) -> Iterator[Journal]:
    """Its journal."""
    with Journal(places.journal) as opened:
        yield opened


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where the files go."""
    made = tmp_path / "out"
    made.mkdir()
    return made


def ended(one: Journal, places: Places, state: JobState = JobState.FAILED) -> str:
    """A job that has done something and ended."""
    job = one.submit(PLAN)
    lease = one.claim(job, "w:1")
    begun = {"title": "Make a", "machine": "m", "disk": "", "undo": {"action": "x", "data": 1.5}}
    one.append(lease, EventKind.STEP_BEGUN, "a", begun)
    one.append(lease, EventKind.STEP_DONE, "a", {"result": {"größe": 1 << 60, "name": "\udcff"}})
    one.set_state(job, state, lease=lease, error=ERROR, leftovers=[], result=None)
    places.job_log(job).write_bytes(b"first line\nno text: \xff\n")
    places.job_lock(job).touch()
    return job


def lines(file: Path) -> list[dict[str, Any]]:
    """What a file holds, by Python's own gzip and JSON."""
    return [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]


def test_an_archived_job_can_be_read_as_before_and_is_gone_from_the_journal(
    one: Journal, places: Places, out: Path
) -> None:
    job, other = ended(one, places), ended(one, places)
    before = views.view(one, job, {})
    done = archive(one, places, job, out)
    file = Path(done.file)
    assert [each.name for each in out.iterdir()] == [f"{job}.kensho-job.gz"]
    assert file.stat().st_mode & 0o777 == 0o600
    assert (done.events, done.size) == (5, file.stat().st_size)
    assert check(file).findings == []
    with ArchivedJob(file) as read:
        assert views.view(read, job, {}) == before
        assert read.events(job, 3, 1) == [before.log[3]]
        assert read.log == ["first line", "no text: \udcff"]
    assert one.heads() == {other: 5}
    assert one.verify() == []
    for table in ("event", "lease", "step", "undo"):
        assert one.rows(f"SELECT DISTINCT job FROM {table}") == [(other,)]
    assert not places.job_log(job).exists()
    assert not places.job_lock(job).exists()
    assert places.job_log(other).exists()
    assert archives.known(one, file) is None


def rewritten(change: Callable[[list[dict[str, Any]]], object]) -> Callable[[Path], object]:
    """The file with something else in its lines."""

    def write(file: Path) -> None:
        held = lines(file)
        change(held)
        text = "".join(f"{json.dumps(each)}\n" for each in held)
        file.write_bytes(gzip.compress(text.encode()))

    return write


@pytest.mark.parametrize(
    ("spoil", "id"),
    [
        (rewritten(lambda held: held[3]["data"].update(title="Make b")), "journal-chain-broken"),
        (rewritten(lambda held: held[3].update(at="2020-01-01")), "journal-chain-broken"),
        (rewritten(lambda held: held.pop(3)), "journal-gap"),
        (rewritten(lambda held: held.pop(5)), "archive-cut-off"),
        (rewritten(lambda held: held.pop()), "archive-cut-off"),
        (rewritten(lambda held: held[0].update(job="other")), "archive-foreign"),
        (rewritten(lambda held: held.insert(2, {"x": 1})), "archive-damaged"),
        (lambda file: file.write_bytes(file.read_bytes()[:-20]), "archive-damaged"),
    ],
)
def test_a_file_that_was_changed_is_found_out_by_itself(
    one: Journal, places: Places, out: Path, spoil: Callable[[Path], object], id: str
) -> None:
    file = Path(archive(one, places, ended(one, places), out).file)
    spoil(file)
    assert [each.id for each in check(file).findings] == [id]
    with pytest.raises(ArchiveError):
        ArchivedJob(file)


def test_what_is_no_archived_job_is_refused(tmp_path: Path) -> None:
    for name, content in (
        ("text", b"text"),
        ("other", gzip.compress(b'{"a":1}\n')),
        ("list", gzip.compress(b"[1]\n")),
        ("empty", b""),
        ("newer", gzip.compress(b'{"kensho":"job","job":"x","format":2}\n')),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ArchiveError):
            check(tmp_path / name)
    with pytest.raises(ArchiveError, match="cannot be read"):
        check(tmp_path / "absent")


def test_a_file_with_its_chain_made_anew_is_known_by_the_journal_it_came_from(
    one: Journal, places: Places, out: Path
) -> None:
    file = Path(archive(one, places, ended(one, places), out).file)
    held = lines(file)
    held[-2]["log"] = "nothing happened"  # no chain holds that
    text = "".join(f"{json.dumps(each)}\n" for each in held)
    file.write_bytes(gzip.compress(text.encode()))
    assert check(file).findings == []
    found = archives.known(one, file)
    assert found is not None
    assert found.id == "archive-exchanged"


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM event WHERE job = '{other}'",
        "DELETE FROM archived",
        "UPDATE archived SET digest = ''",
        "INSERT INTO event SELECT '{job}', 1, 0, kind, step, data, at, '', '' FROM event LIMIT 1",
        "INSERT INTO archived SELECT 9, '{other}', 5, 'no such hash', '', '', '', '', ''",
        "INSERT INTO archived SELECT 9, job, 4, hash, '', '', '', '', '' FROM event"
        " WHERE job = '{other}' AND n = 4",
    ],
)
def test_the_database_lets_go_of_nothing_but_a_whole_job_that_is_archived(
    one: Journal, places: Places, out: Path, statement: str
) -> None:
    job, other = ended(one, places), ended(one, places)
    archive(one, places, job, out)
    database = raw(places.journal)
    try:
        with pytest.raises(sqlite3.IntegrityError, match=r"append-only|archived"):
            database.execute(statement.format(job=job, other=other))
    finally:
        database.close()
    assert one.verify() == []


@pytest.mark.parametrize(
    "statement", ["DELETE FROM archived WHERE n = 1", "UPDATE archived SET digest = '' WHERE n = 1"]
)
def test_who_takes_an_entry_of_the_archived_jobs_away_is_found_out(
    one: Journal, places: Places, out: Path, statement: str
) -> None:
    for _ in range(2):
        archive(one, places, ended(one, places), out)
    forge(places.journal, statement)
    assert [each.id for each in one.verify()] == ["journal-archive-broken"]


def test_a_try_that_was_cut_off_after_the_file_is_gone_on_with(
    one: Journal, places: Places, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = ended(one, places)

    def cut_off(*_: object) -> None:
        raise JournalError("cut off")

    with monkeypatch.context() as patch, pytest.raises(JournalError, match="cut off"):
        patch.setattr(one, "forget", cut_off)
        archive(one, places, job, out)
    assert one.heads() == {job: 5}, "nothing is lost in between"
    assert places.job_log(job).exists()
    archive(one, places, job, out)
    assert one.heads() == {}
    assert [each.name for each in out.iterdir()] == [f"{job}.kensho-job.gz"]


def test_a_job_that_goes_on_meanwhile_stays(
    one: Journal, places: Places, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = ended(one, places, JobState.NEEDS_ATTENTION)
    forget = one.forget

    def late(*arguments: Any) -> None:
        one.reopen(job)
        forget(*arguments)

    monkeypatch.setattr(one, "forget", late)
    with pytest.raises(JournalError, match="gone on"):
        archive(one, places, job, out)
    assert one.heads() == {job: 6}
    assert one.verify() == []


def test_a_job_whose_worker_lives_and_a_file_of_another_job_are_left_alone(
    one: Journal, places: Places, out: Path
) -> None:
    first, second = ended(one, places), ended(one, places)
    with FileLock(places.job_lock(first)) as lock:
        assert lock.take()
        with pytest.raises(JournalError, match="closing up") as caught:
            archive(one, places, first, out)
    assert caught.value.retryable
    done = Path(archive(one, places, first, out).file)
    done.rename(out / f"{second}.kensho-job.gz")
    with pytest.raises(ArchiveError, match="another file of that name"):
        archive(one, places, second, out)
    assert one.heads() == {second: 5}


def test_which_jobs_are_archived(one: Journal, places: Places) -> None:
    old = [ended(one, places) for _ in range(3)]
    attention = ended(one, places, JobState.NEEDS_ATTENTION)
    running = one.submit(PLAN)
    now, day = datetime.now(UTC), timedelta(days=1)
    assert sorted(ripe(one, (), None, 0, now)) == sorted(old)
    assert ripe(one, (), day, 0, now) == []
    assert sorted(ripe(one, (), day, 0, now + 2 * day)) == sorted(old)
    assert len(ripe(one, (), None, 2, now)) == 1
    assert ripe(one, (), None, 3, now) == ripe(one, (), None, 5, now) == []
    assert ripe(one, (attention,), None, 0, now) == [attention]
    with pytest.raises(JournalError, match="has ended"):
        ripe(one, (running,), None, 0, now)


def test_the_id_of_an_archived_job_is_not_given_again(
    one: Journal, places: Places, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = ended(one, places)
    archive(one, places, job, out)
    drawn = iter([job.rpartition("-")[2], "fresh"])
    monkeypatch.setattr(secrets, "token_hex", lambda count: next(drawn))
    assert one.submit(PLAN) == "shop-fresh"
