"""The journal: numbers, fencing, the chain, projections, and what it refuses to be opened on."""

import multiprocessing
import sqlite3
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kensho_tui.engine import schema
from kensho_tui.engine.checking import Checked
from kensho_tui.engine.events import EventKind, JobState
from kensho_tui.engine.journal import (
    Journal,
    JournalError,
    Lease,
    file_system_of,
    slug,
)
from kensho_tui.engine.views import open_undos
from kensho_tui.migration.context import CLEANUP, FencedError, StepRecord, StepState, Undo
from tests.desk import until

from .given import PLAN, context, journal


def raw(path: Path) -> sqlite3.Connection:
    """The file as another program opens it."""
    return sqlite3.connect(path, isolation_level=None)


def forge(path: Path, *statements: str) -> None:
    """Change the truth as someone does who knows of the guards: they stand again afterwards."""
    forger = raw(path)
    try:
        for each in schema.GUARDS:
            forger.execute(f"DROP TRIGGER {each.name}")
        for statement in statements:
            forger.execute(statement)
        schema.guard(forger)
    finally:
        forger.close()


def test_events_of_a_job_are_numbered_from_one_without_gaps(tmp_path: Path) -> None:
    with journal(tmp_path) as one:
        first, second = one.submit(PLAN), one.submit(PLAN)
        lease = one.claim(second, "w:1")
        one.append(lease, EventKind.NOTE, data={"message": "m", "level": "info", "machine": ""})
        assert [each.n for each in one.events(first)] == [1]
        assert [each.n for each in one.events(second)] == [1, 2, 3]
        assert [each.n for each in one.events(second, after=1)] == [2, 3]
        assert one.heads() == {first: 1, second: 3}


def test_a_job_id_is_made_of_the_name_and_is_easy_to_type(tmp_path: Path) -> None:
    with journal(tmp_path) as one:
        job = one.submit({**PLAN, "metadata": {"name": "Köln: Shop/../2"}})
    assert job.startswith("koln-shop-2-")
    assert slug("商店") == "job"
    assert len(slug("x" * 100)) == 24


def test_a_write_under_an_earlier_lease_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    with journal(tmp_path) as one:
        job = one.submit(PLAN)
        old = one.claim(job, "w:1")
        new = one.claim(job, "w:2")
        assert (old.epoch, new.epoch) == (1, 2)
        before = one.events(job)
        with pytest.raises(FencedError):
            one.append(old, EventKind.STEP_DONE, "a", {"result": None})
        with pytest.raises(FencedError):
            one.set_state(job, JobState.SUCCEEDED, lease=old)
        with pytest.raises(FencedError):
            one.ask(old, {"id": "q"})
        assert one.events(job) == before
        one.append(new, EventKind.SETTLED, "a")


def test_a_job_that_ended_can_not_be_claimed_nor_end_again(tmp_path: Path) -> None:
    with journal(tmp_path) as one:
        job = one.submit(PLAN)
        assert one.set_state(job, JobState.CANCELLED)
        assert not one.set_state(job, JobState.FAILED)
        with pytest.raises(JournalError):
            one.claim(job, "w:1")
        with pytest.raises(JournalError):
            one.claim("no-such-job", "w:1")


@pytest.mark.parametrize("statement", ["UPDATE event SET data = '{}'", "DELETE FROM event"])
def test_the_database_itself_refuses_to_change_an_event(tmp_path: Path, statement: str) -> None:
    with journal(tmp_path) as one:
        job = one.submit(PLAN)
        other = raw(one.path)
        try:
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                other.execute(statement)
        finally:
            other.close()
        assert len(one.events(job)) == 1


@pytest.mark.parametrize(
    ("statement", "id"),
    [
        (
            'UPDATE event SET data = \'{"message":"nothing happened"}\' WHERE n = 3',
            "journal-chain-broken",
        ),
        ("UPDATE event SET at = '2020-01-01T00:00:00.000Z' WHERE n = 3", "journal-chain-broken"),
        ("UPDATE event SET step = 'other' WHERE n = 3", "journal-chain-broken"),
        ("UPDATE event SET epoch = 9 WHERE n = 3", "journal-chain-broken"),
        ("UPDATE event SET kind = 'no kind' WHERE n = 3", "journal-chain-broken"),
        ("UPDATE event SET data = 'no JSON' WHERE n = 3", "journal-chain-broken"),
        ("DELETE FROM event WHERE n = 3", "journal-gap"),
        ("UPDATE event SET n = 30 WHERE n = 3", "journal-gap"),
    ],
)
def test_a_changed_or_missing_event_breaks_the_chain(
    tmp_path: Path, statement: str, id: str
) -> None:
    with journal(tmp_path) as one:
        job = one.submit(PLAN)
        lease = one.claim(job, "w:1")
        for text in ("one", "two", "three"):
            one.append(
                lease, EventKind.NOTE, data={"message": text, "level": "info", "machine": ""}
            )
        assert one.verify() == []
        forge(one.path, statement)
        (finding,) = one.verify()
        assert (finding.id, finding.subject) == (id, job)
        assert "event 3 " in finding.message
        with pytest.raises(JournalError, match="do not hold"):
            one.rebuild()
        assert one.verify() == [finding], "nothing was made of them"


def test_events_cut_off_at_the_end_are_missed_by_the_projections(tmp_path: Path) -> None:
    with journal(tmp_path) as one:
        job = one.submit(PLAN)
        one.set_state(job, JobState.FAILED, error={"what": "w", "subject": "", "remedy": ""})
        forge(one.path, "DELETE FROM event WHERE n = 2")
        (finding,) = one.verify()
        assert (finding.id, finding.subject) == ("journal-cut-off", job)


def test_a_changed_projection_is_found_and_rebuilt(tmp_path: Path) -> None:
    with journal(tmp_path) as one:
        job = one.submit(PLAN)
        other = raw(one.path)
        try:
            other.execute("UPDATE job SET state = 'succeeded'")
        finally:
            other.close()
        wrong = one.verify()
        assert [(each.id, each.subject) for each in wrong] == [("journal-projection-differs", job)]
        assert one.rebuild() == wrong
        assert one.verify() == []
        assert one.rows("SELECT state FROM job WHERE id = ?", (job,)) == [("queued",)]


def test_guards_leases_and_projections_of_no_job_are_missed_and_put_right(tmp_path: Path) -> None:
    with journal(tmp_path) as one:
        job = one.submit(PLAN)
        for owner in ("w:1", "w:2"):
            one.claim(job, owner)
        forger = raw(one.path)
        try:
            forger.execute("DROP TRIGGER event_is_never_deleted")
            forger.execute("UPDATE lease SET epoch = 1")
            forger.execute("INSERT INTO undo VALUES ('ghost','a',1,'remove','{}','open')")
        finally:
            forger.close()
        assert {(each.id, each.subject) for each in one.verify()} == {
            ("journal-unguarded", str(one.path)),
            ("journal-lease-differs", job),
            ("journal-projection-differs", "ghost"),
        }
        one.rebuild()
        assert one.verify() == []
        assert one.rows("SELECT epoch, owner FROM lease") == [(2, "w:2")]


def test_an_event_under_an_earlier_lease_is_found(tmp_path: Path) -> None:
    with journal(tmp_path) as one:
        job = one.submit(PLAN)
        one.claim(job, "w:1")
        one.claim(job, "w:2")
        one.rows("UPDATE lease SET epoch = 1")
        one.append(Lease(job, 1, 1), EventKind.SETTLED, "a")
        assert [(each.id, each.subject) for each in one.verify()] == [
            ("journal-epoch-back", job),
            ("journal-lease-differs", job),
        ]


def test_a_journal_is_looked_at_while_another_writes(tmp_path: Path) -> None:
    with journal(tmp_path) as one, Journal(one.path) as other:
        job = one.submit(PLAN)
        lease = one.claim(job, "w:1")
        looked = threading.Event()

        def write() -> None:
            while not looked.is_set():
                other.append(lease, EventKind.SETTLED, "a")

        writer = threading.Thread(target=write)
        writer.start()
        try:
            first = one.check()
            grown = until("more events", lambda: _more(one.check(), first))
        finally:
            looked.set()
            writer.join()
        assert first.findings == grown.findings == []


def _more(seen: Checked, before: Checked) -> Checked | None:
    assert seen.findings == []
    return seen if seen.events > before.events else None


_STEPS = st.sampled_from(["a", "b", "c"])
_ERROR = {"what": "w", "subject": "s", "remedy": "r"}
_UNDO = st.none() | st.fixed_dictionaries({"action": st.just("remove"), "data": st.integers(0, 9)})
_EVENTS = st.one_of(
    st.tuples(
        st.just(EventKind.STEP_BEGUN),
        _STEPS,
        st.fixed_dictionaries(
            {
                "title": st.text(max_size=5),
                "machine": st.just("m"),
                "disk": st.just(""),
                "undo": _UNDO,
            }
        ),
    ),
    st.tuples(
        st.just(EventKind.STEP_DONE), _STEPS, st.fixed_dictionaries({"result": st.integers()})
    ),
    st.tuples(st.just(EventKind.STEP_FAILED), _STEPS, st.just({"error": _ERROR})),
    st.tuples(st.just(EventKind.RESUME_POINT), _STEPS, st.fixed_dictionaries({"token": st.text()})),
    st.tuples(
        st.just(EventKind.UNDONE),
        _STEPS,
        st.fixed_dictionaries(
            {"action": st.just("remove"), "leftovers": st.lists(st.just({"name": "n"}))}
        ),
    ),
    st.tuples(st.just(EventKind.SETTLED), _STEPS, st.just({})),
    st.tuples(st.just(EventKind.REOPENED), st.just(""), st.just({"by": "me"})),
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(story=st.lists(_EVENTS, max_size=12), ask=st.booleans(), end=st.booleans())
def test_projections_made_anew_equal_those_made_on_the_way(
    tmp_path_factory: pytest.TempPathFactory,
    story: list[tuple[EventKind, str, dict[str, object]]],
    ask: bool,
    end: bool,
) -> None:
    with journal(tmp_path_factory.mktemp("journal")) as one:
        job = one.submit(PLAN)
        lease = one.claim(job, "w:1")
        for kind, step, data in story:
            one.append(lease, kind, step, data)
        if ask:
            one.ask(lease, {"id": "q", "text": "?"})
            one.answer(job, "q", "yes", by="me")
        if end:
            one.set_state(job, JobState.FAILED, lease=lease, error=_ERROR)
        assert one.verify() == []
        tables = {t: one.rows(f"SELECT * FROM {t}") for t in schema.PROJECTION_TABLES}
        one.rebuild()
        again = {t: one.rows(f"SELECT * FROM {t}") for t in schema.PROJECTION_TABLES}
        assert {t: sorted(map(repr, rows)) for t, rows in again.items()} == {
            t: sorted(map(repr, rows)) for t, rows in tables.items()
        }


def test_beginning_again_keeps_the_first_undo_until_it_is_done(tmp_path: Path) -> None:
    def begun(undo: int) -> dict[str, object]:
        data = {"action": "remove", "data": undo}
        return {"title": "t", "machine": "", "disk": "", "undo": data}

    with journal(tmp_path) as one:
        job = one.submit(PLAN)
        lease = one.claim(job, "w:1")
        open_undo = "SELECT data, state FROM undo"
        one.append(lease, EventKind.STEP_BEGUN, "a", begun(1))
        one.append(lease, EventKind.STEP_BEGUN, "a", begun(2))
        assert one.rows(open_undo) == [("1", "open")]
        one.append(lease, EventKind.UNDONE, "a", {"action": "remove", "leftovers": []})
        one.append(lease, EventKind.STEP_BEGUN, "a", begun(3))
        assert one.rows(open_undo) == [("3", "open")]


def test_reopening_opens_the_undos_that_left_something_and_no_others(tmp_path: Path) -> None:
    with journal(tmp_path) as one:
        job = one.submit(PLAN)
        first = context(one, job)
        for name in ("a", "b", "c", "d"):
            first.begin(name, f"Make {name}", undo=Undo(name, "remove", name))
        first.begin(CLEANUP, "Take back")
        first.resume_point(CLEANUP, _ERROR)
        first.undone(Undo("a", "remove", "a"), [{"name": "half of a"}])
        first.undone(Undo("b", "remove", "b"), [])
        first.settled("c")
        first.done(CLEANUP)
        with pytest.raises(JournalError, match="nothing to clean up"):
            one.reopen(job, by="me")
        first.end(JobState.NEEDS_ATTENTION, _ERROR, first.leftovers(), None)
        one.reopen(job, by="me")
        second = context(one, job)
        assert [each.step for each in second.undos()] == ["d", "a"]
        assert second.leftovers() == []
        assert second.past(CLEANUP) == StepRecord(CLEANUP, StepState.RUNNING, None, _ERROR)
        second.undone(Undo("a", "remove", "a"), [{"name": "a quarter of a"}])
        third = context(one, job)  # the second one died here
        assert [each.step for each in third.undos()] == ["d"]
        assert third.leftovers() == [{"name": "a quarter of a"}]
        assert one.verify() == []


def test_a_question_makes_the_job_wait_until_the_last_one_is_answered(tmp_path: Path) -> None:
    with journal(tmp_path) as one:
        job = one.submit(PLAN)
        lease = one.claim(job, "w:1")

        def state() -> str:
            return str(one.rows("SELECT state FROM job")[0][0])

        assert one.ask(lease, {"id": "q1"})
        assert one.ask(lease, {"id": "q2"})
        assert not one.ask(lease, {"id": "q1"}), "it is open already"
        assert state() == "waiting"
        assert one.answer(job, "q1", "a", by="me")
        assert state() == "waiting"
        assert one.answer(job, "q2", "b", by="me")
        assert state() == "running"
        assert not one.answer(job, "q2", "c", by="too late")
        assert one.answer_to(job, "q2") == ("answered", "b", {"id": "q2"})


def _append_many(path: Path, job: str, epoch: int, times: int) -> None:
    from kensho_tui.engine.journal import Lease

    with Journal(path) as one:
        for _ in range(times):
            one.append(Lease(job, epoch, epoch), EventKind.SETTLED, "a")


def test_writers_in_several_threads_and_processes_share_one_row_of_numbers(tmp_path: Path) -> None:
    with journal(tmp_path) as one:
        job = one.submit(PLAN)
        lease = one.claim(job, "w:1")
        arguments = (one.path, job, lease.epoch, 40)
        spawn = multiprocessing.get_context("spawn")
        others = [spawn.Process(target=_append_many, args=arguments) for _ in range(2)]
        threads = [threading.Thread(target=_append_many, args=arguments) for _ in range(2)]
        for process in others:
            process.start()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for process in others:
            process.join()
        assert [each.exitcode for each in others] == [0, 0]
        assert [each.n for each in one.events(job)] == list(range(1, 2 + 4 * 40 + 1))
        assert one.verify() == []
        for process in others:
            process.close()


def test_the_files_are_private(tmp_path: Path) -> None:
    with journal(tmp_path) as one:
        one.submit(PLAN)
        files = sorted(one.path.parent.iterdir())
        assert [each.name for each in files] == ["journal.db", "journal.db-shm", "journal.db-wal"]
        assert {each.stat().st_mode & 0o777 for each in files} == {0o600}
        assert one.path.parent.stat().st_mode & 0o777 == 0o700


def test_a_newer_journal_a_foreign_database_and_a_damaged_file_are_refused(tmp_path: Path) -> None:
    with journal(tmp_path) as one:
        path = one.path
    newer = raw(path)
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(JournalError, match="newer Kensho"):
        Journal(path)

    foreign = raw(tmp_path / "foreign.db")
    foreign.execute("CREATE TABLE music (title TEXT)")
    foreign.close()
    with pytest.raises(JournalError, match="no journal of Kensho's"):
        Journal(tmp_path / "foreign.db")

    (tmp_path / "damaged.db").write_bytes(b"no database at all" * 1000)
    with pytest.raises(JournalError, match="cannot be used"):
        Journal(tmp_path / "damaged.db")


def test_projections_of_an_earlier_format_are_made_anew_from_the_events(tmp_path: Path) -> None:
    plan = {**PLAN, "metadata": {"name": "shop", "batch": "wave-1"}}
    with journal(tmp_path) as one:
        path, job = one.path, one.submit(plan)
    earlier = raw(path)
    for column in ("batch", "retry_of", "priority", "rate_limit"):
        earlier.execute(f"ALTER TABLE job DROP COLUMN {column}")
    earlier.execute("DROP TABLE archived")
    earlier.execute("PRAGMA user_version = 1")
    earlier.close()
    with Journal(path) as one:
        assert one.rows("SELECT id, batch, priority, rate_limit FROM job") == [
            (job, "wave-1", 0, None)
        ]
        assert one.verify() == []


def test_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = f"/dev/sda1 / ext4 rw 0 0\nnas:/home {tmp_path} nfs4 rw 0 0\n"
    assert file_system_of(tmp_path / "state", mounts) == "nfs4"
    assert file_system_of(Path("/etc"), mounts) == "ext4"
    monkeypatch.setattr("kensho_tui.engine.journal.file_system_of", lambda path: "nfs4")
    with pytest.raises(JournalError, match="network file system"):
        Journal(tmp_path / "state" / "journal.db")


def test_a_full_disk_is_said_and_leaves_the_journal_whole(tmp_path: Path) -> None:
    with journal(tmp_path) as one:
        job = one.submit(PLAN)
        lease = one.claim(job, "w:1")
        ((pages,),) = one.rows("PRAGMA page_count")
        one.rows(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(JournalError, match="full"):
            one.append(lease, EventKind.STEP_DONE, "a", {"result": "x" * 100_000})
        one.rows("PRAGMA max_page_count = 100000")
        one.append(lease, EventKind.SETTLED, "a")
        assert one.verify() == []


def test_an_open_cd_of_a_job_that_was_given_up_names_the_command_that_removes_it(
    tmp_path: Path,
) -> None:
    with journal(tmp_path) as one:
        job = one.submit(PLAN)
        lease = one.claim(job, "w:1")
        undo = {"action": "withdraw", "data": {"connection": "xen1", "key": "k"}}
        body = {"title": "Hand over", "machine": "", "disk": "", "undo": undo}
        one.append(lease, EventKind.STEP_BEGUN, "environment", body)
        (left,) = open_undos(one, job)
    assert (left["kind"], left["where"]) == ("environment", "xen1")
    assert f"kensho job eject {job}" in left["action"]


@pytest.mark.parametrize("left", [[], [{"kind": "environment", "kept": "true"}]])
def test_of_a_success_only_what_was_left_on_purpose_can_be_cleaned_up(
    tmp_path: Path, left: list[dict[str, str]]
) -> None:
    with journal(tmp_path) as one:
        job = one.submit(PLAN)
        lease = one.claim(job, "w:1")
        one.set_state(job, JobState.SUCCEEDED, lease=lease, leftovers=left, result={})
        if left:
            one.reopen(job, by="anna")
            assert one.claim(job, "w:2").epoch == 2
        else:
            with pytest.raises(JournalError, match="nothing to clean up"):
                one.reopen(job, by="anna")
        assert one.verify() == []
