"""What a supervisor promises of itself: there is one, it takes nothing that is not its own for granted."""

import json
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kensho_tui.engine.client import Client, RunnerAbsentError, start_runner
from kensho_tui.engine.events import JobState
from kensho_tui.engine.journal import Journal
from kensho_tui.engine.places import FileLock, Places, boot_id, is_held
from tests.desk import until
from tests.unit.engine.given import PLAN

from .bench import ROOT, RUN, Bench, bench

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def test_of_several_runners_started_at_once_one_remains(tmp_path: Path) -> None:
    state = tmp_path / "state"
    Places(state).make()
    command = [sys.executable, "-m", "kensho_tui.engine.supervisor", "--state", str(state)]
    many = [subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.DEVNULL) for _ in range(4)]
    try:
        alive = until(
            "all but one have gone",
            lambda: left if len(left := [p for p in many if p.poll() is None]) == 1 else None,
        )
        with Client.open(state) as client:
            assert client.status().pid == alive[0].pid
            client.stop()
        assert alive[0].wait(60) == 0
    finally:
        for each in many:
            each.kill()
            each.wait()


def test_starting_from_several_places_at_once_gives_all_of_them_the_same_runner(
    tmp_path: Path,
) -> None:
    state, pids = tmp_path / "state", list[int | None]()

    def start() -> None:
        with Client.open(state) as client:
            pids.append(client.status().pid)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    with Client.open(state, start=False) as client:
        client.stop()
    assert len(pids) == 4
    assert len(set(pids)) == 1


def test_locks_from_before_a_reboot_hold_nobody_up_and_name_nobody(engine: Bench) -> None:
    """The process ids in them are those of others by now: this test's own."""
    engine.client.stop()
    places = Places(engine.state)
    with Journal(places.journal) as journal:
        job = journal.submit(engine.plan(["hold"]).model_dump(mode="json"))
        journal.claim(job, "before the reboot")
    stale = json.dumps({"pid": os.getpid(), "boot": "00000000-0000-0000-0000-000000000000"})
    for path in (places.runner_lock, places.job_lock(job)):
        path.write_text(stale)
        assert not is_held(path)
    engine.start()
    engine.wait_note(job, "holding", epoch=2)
    content = json.loads(places.job_lock(job).read_text())
    assert content == {"pid": engine.worker_pid(job), "boot": boot_id()}
    assert json.loads(places.runner_lock.read_text())["pid"] == engine.client.status().pid
    engine.client.stop(workers=True)  # and this process is still there to say so
    assert not is_held(places.job_lock(job))


def test_what_a_killed_runner_left_in_the_place_of_its_socket_is_no_hindrance(
    tmp_path: Path,
) -> None:
    state = tmp_path / "state"
    places = Places(state)
    places.make()
    (state / "runner.sock").write_text("no socket at all")
    with Client.open(state) as client:
        assert client.status().running
        client.stop()
    assert not places.socket().exists()


def test_a_runner_whose_directory_is_replaced_leaves_the_new_one_to_the_next(
    tmp_path: Path,
) -> None:
    with bench(tmp_path) as engine:
        job = engine.submit(["step", "a"], ["hold"])
        engine.wait_note(job, "holding")
        before = engine.client.status().pid
        worker = engine.worker_pid(job)
        engine.state.rename(tmp_path / "old")
        with Client.open(engine.state) as client:
            assert client.jobs() == []
            assert client.status().pid != before
            old = [Path(f"/proc/{pid}") for pid in (before, worker)]
            until("the old ones have gone", lambda: not any(each.exists() for each in old))
            assert client.status().running, "they took nothing of the new one's with them"
        # The job is where it was, as after a crash, and goes on where its directory is put back.
        with Journal(Places(tmp_path / "old").journal) as journal:
            assert journal.verify() == []
            assert journal.rows("SELECT id, state FROM job") == [(job, JobState.RUNNING)]
        assert engine.done() == ["a"]


def test_a_clock_that_goes_back_changes_no_order_and_stops_no_job(tmp_path: Path) -> None:
    moments = iter(datetime(2026, 3, 1, tzinfo=UTC) - timedelta(days=n) for n in range(100))
    places = Places(tmp_path / "state")
    places.make()
    with bench(tmp_path) as engine:
        engine.client.stop()
        with Journal(places.journal, now=lambda: next(moments)) as journal:
            first, second = journal.submit(PLAN), journal.submit(PLAN)
            lease = journal.claim(first, "w:1")
            newer = journal.claim(first, "w:2")
            assert newer.epoch == lease.epoch + 1
            assert [each.n for each in journal.events(first)] == [1, 2, 3]
            journal.set_state(first, JobState.CANCELLED, lease=newer)
            journal.set_state(second, JobState.CANCELLED)
            assert journal.verify() == []
            job = journal.submit(engine.plan(["step", "a"]).model_dump(mode="json"))
        engine.start()
        assert engine.wait_end(job).summary.state is JobState.SUCCEEDED


def test_a_runner_that_cannot_be_started_is_told_with_its_reason(tmp_path: Path) -> None:
    state = tmp_path / "state"
    places = Places(state)
    places.make()
    with FileLock(places.runner_lock) as lock:
        assert lock.take()
        start_runner(state, run=RUN, environment=ENVIRONMENT)  # someone has it; no error here
    places.journal.write_bytes(b"no journal" * 1000)
    with pytest.raises(RunnerAbsentError, match=r"cannot be used|no journal of Kensho's"):
        start_runner(state, run=RUN, environment=ENVIRONMENT)
