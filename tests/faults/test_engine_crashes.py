"""Workers and supervisors that are killed: jobs go on, once, and someone says so."""

import fcntl
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from kensho_tui.engine.client import Client, RunnerAbsentError
from kensho_tui.engine.crew import MOST_CRASHES
from kensho_tui.engine.events import Event, EventKind, JobState
from kensho_tui.engine.journal import Journal
from kensho_tui.engine.places import Places, is_held
from kensho_tui.engine.worker import EXIT_FENCED, EXIT_HELD
from tests.desk import until

from .bench import DEADLINE_S, ROOT, RUN, Bench, bench


def is_kind(kind: EventKind, epoch: int = 0) -> object:
    return lambda update: (
        isinstance(update, Event) and update.kind is kind and update.epoch >= epoch
    )


def test_after_kill_9_of_a_worker_another_goes_on_with_what_was_done(engine: Bench) -> None:
    mark = str(engine.directory / "killed")
    job = engine.submit(["step", "a"], ["step", "b"], ["kill_once", mark], ["step", "c"])
    view = engine.wait_end(job)
    assert view.summary.state is JobState.SUCCEEDED
    assert view.summary.attempt == 2
    assert engine.done() == ["a", "b", "c"], "nothing was done twice"
    first, second = view.result["a"]["by"], view.result["c"]["by"]
    assert first != second
    with Journal(Places(engine.state).journal) as journal:
        assert journal.verify() == []


def test_a_worker_that_always_dies_is_given_up_and_what_it_made_is_listed(engine: Bench) -> None:
    job = engine.submit(["step", "a"], ["kill"])
    view = engine.wait_end(job)
    assert view.summary.state is JobState.NEEDS_ATTENTION
    assert view.summary.error is not None
    assert "died" in view.summary.error["what"]
    assert f"{job}.log" in view.summary.error["remedy"]
    assert [each["name"] for each in view.leftovers] == ["Make a"]
    # The first attempt got further (it made a), so its death is the first of the row.
    assert view.summary.attempt in {MOST_CRASHES, MOST_CRASHES + 1}
    assert engine.done() == ["a"]


def test_after_kill_9_of_the_supervisor_the_job_goes_on_and_the_next_one_shows_it(
    engine: Bench,
) -> None:
    gate, later = engine.gate("gate"), engine.gate("later")
    job = engine.submit(["step", "a"], ["gate", gate], ["step", "b"], ["gate", later])
    engine.wait_note(job, gate)
    worker, supervisor = engine.worker_pid(job), engine.client.status().pid
    assert supervisor
    os.kill(supervisor, signal.SIGKILL)
    engine.open_gate(gate)
    engine.open_gate(later)  # comes back when the worker has come there, with nobody above it
    assert engine.done() == ["a", "b"]
    engine.start()
    view = engine.wait_end(job)
    assert view.summary.state is JobState.SUCCEEDED
    assert view.summary.attempt == 1
    assert view.result["b"]["by"] == worker
    assert engine.client.status().pid != supervisor


def test_a_worker_finds_the_new_supervisor_and_can_be_cancelled_through_it(engine: Bench) -> None:
    job = engine.submit(["step", "a"], ["hold"])
    engine.wait_note(job, "holding")
    supervisor = engine.client.status().pid
    assert supervisor
    os.kill(supervisor, signal.SIGKILL)
    engine.start()
    engine.client.cancel(job)
    view = engine.wait_end(job)
    assert view.summary.state is JobState.CANCELLED
    assert engine.done() == ["a", "undo-a"]


def test_after_both_were_killed_the_next_supervisor_starts_a_new_worker(engine: Bench) -> None:
    gate = engine.gate("gate")
    job = engine.submit(["step", "a"], ["gate", gate], ["step", "b"])
    engine.wait_note(job, gate)
    supervisor = engine.client.status().pid
    assert supervisor
    os.kill(supervisor, signal.SIGKILL)
    os.kill(engine.worker_pid(job), signal.SIGKILL)
    engine.start()
    engine.wait_note(job, gate, epoch=2)
    engine.open_gate(gate)
    view = engine.wait_end(job)
    assert view.summary.state is JobState.SUCCEEDED
    assert engine.done() == ["a", "b"]


def worker(engine: Bench, job: str) -> "subprocess.Popen[bytes]":
    """A worker that no supervisor started."""
    command = [sys.executable, "-m", "kensho_tui.engine.worker", "--state", str(engine.state)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [*command, "--job", job, "--run", RUN],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def test_a_second_worker_is_kept_out_by_the_lock(engine: Bench) -> None:
    gate = engine.gate("gate")
    job = engine.submit(["gate", gate], ["step", "a"])
    engine.wait_note(job, gate)
    with worker(engine, job) as second:
        assert second.wait(60) == EXIT_HELD
    engine.open_gate(gate)
    assert engine.wait_end(job).summary.attempt == 1


def test_of_two_workers_on_one_job_the_older_is_fenced(engine: Bench) -> None:
    """The lock's file is removed, which lets a second worker in; the journal tells them apart."""
    engine.client.stop()
    gate = engine.gate("gate")
    with Journal(Places(engine.state).journal) as journal:
        job = journal.submit(
            engine.plan(["step", "a"], ["gate", gate], ["step", "b"]).model_dump(mode="json")
        )
        with worker(engine, job) as older:
            # A runner that finds the job without a worker would send one of its own, which would
            # then wait for the lock that is removed below.
            until("the first claim", lambda: [e for e in journal.events(job) if e.epoch == 1])
            engine.start()
            engine.wait_note(job, gate, epoch=1)
            # Likewise: no runner may look at the lock while it is nobody's.
            engine.client.stop()
            Places(engine.state).job_lock(job).unlink()
            with worker(engine, job) as newer:
                until("the second claim", lambda: [e for e in journal.events(job) if e.epoch == 2])
                engine.start()
                assert older.wait(60) == EXIT_FENCED
                engine.wait_note(job, gate, epoch=2)
                engine.open_gate(gate)
                view = engine.wait_end(job)
                assert newer.wait(60) == 0
        assert view.summary.state is JobState.SUCCEEDED
        assert engine.done() == ["a", "b"]
        last_of_old = max(each.n for each in journal.events(job) if each.epoch == 1)
        first_of_new = min(each.n for each in journal.events(job) if each.epoch == 2)
        assert last_of_old < first_of_new


def test_stopping_the_workers_leaves_jobs_that_go_on_with_the_next_start(engine: Bench) -> None:
    job = engine.submit(["step", "a"], ["samples_until_stopped"])
    engine.wait_note(job, "sampling")
    engine.client.stop(workers=True)
    assert not is_held(Places(engine.state).job_lock(job))
    with pytest.raises(RunnerAbsentError):
        Client.open(engine.state, start=False)
    with Journal(Places(engine.state).journal) as journal:
        assert journal.rows("SELECT state, crashes FROM job") == [("queued", 0)]
    engine.start()
    engine.wait_note(job, "sampling", epoch=2)
    engine.client.cancel(job)
    assert engine.wait_end(job).summary.state is JobState.CANCELLED
    assert engine.done() == ["a", "undo-a"]


def test_a_job_that_does_not_listen_is_cut_off_and_goes_on_with_the_next_start(
    engine: Bench,
) -> None:
    gate = engine.gate("gate")
    job = engine.submit(["step", "a"], ["gate", gate])
    engine.wait_note(job, gate)
    engine.client.stop(workers=True)
    with Journal(Places(engine.state).journal) as journal:
        assert journal.rows("SELECT state, crashes FROM job") == [("queued", 0)]
    engine.start()
    engine.wait_note(job, gate, epoch=2)
    engine.open_gate(gate)
    assert engine.wait_end(job).summary.state is JobState.SUCCEEDED
    assert engine.done() == ["a"]


def test_stopping_the_supervisor_alone_leaves_the_jobs_running(engine: Bench) -> None:
    gate = engine.gate("gate")
    job = engine.submit(["gate", gate], ["step", "a"])
    engine.wait_note(job, gate)
    pid = engine.worker_pid(job)
    engine.client.stop()
    assert is_held(Places(engine.state).job_lock(job))
    engine.start()
    engine.open_gate(gate)
    assert engine.wait_end(job).result["a"]["by"] == pid


def test_a_terminal_that_goes_away_takes_nothing_with_it(tmp_path: Path, engine: Bench) -> None:
    """The client runs in a session of its own, as under a terminal, and that session is hung up."""
    gate = engine.gate("gate")
    (tmp_path / "plan.json").write_text(
        engine.plan(["gate", gate], ["step", "a"]).model_dump_json()
    )
    engine.client.stop()
    code = (
        "import sys, os, signal\n"
        "from pathlib import Path\n"
        "from kensho_tui.engine.client import Client, start_runner\n"
        "from kensho_tui.migration.plan import Plan\n"
        "state, plan = Path(sys.argv[1]), Path(sys.argv[2]).read_text()\n"
        f"start_runner(state, run={RUN!r})\n"
        "print(Client.open(state, start=False).submit(Plan.model_validate_json(plan)), flush=True)\n"
        "os.killpg(0, signal.SIGHUP)\n"
    )
    died = subprocess.run(
        [sys.executable, "-c", code, str(engine.state), str(tmp_path / "plan.json")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        start_new_session=True,
        check=False,
        timeout=60,
    )
    assert died.returncode == -signal.SIGHUP
    job = died.stdout.decode().strip()
    engine.wait_note(job, gate)
    engine.open_gate(gate)
    assert engine.wait_end(job).summary.state is JobState.SUCCEEDED


def _threads(pid: int) -> list[Path]:
    return [*Path(f"/proc/{pid}/task").iterdir()]


def _stopped(thread: Path) -> bool:
    return (thread / "stat").read_text().rpartition(") ")[2].startswith("T")


def test_a_job_whose_worker_dies_while_it_is_cancelled_is_still_taken_back(engine: Bench) -> None:
    job = engine.submit(["step", "a"], ["hold"])
    engine.wait_note(job, "holding")
    pid = engine.worker_pid(job)
    os.kill(pid, signal.SIGSTOP)  # it will not hear of it
    until("all its threads stand still", lambda: all(map(_stopped, _threads(pid))))
    engine.client.cancel(job)
    os.kill(pid, signal.SIGKILL)
    view = engine.wait_end(job)
    assert view.summary.state is JobState.CANCELLED
    assert view.summary.attempt == 2
    assert engine.done() == ["a", "undo-a"]


def test_a_runner_whose_directory_is_taken_away_ends_with_its_workers(tmp_path: Path) -> None:
    with bench(tmp_path) as engine:
        job = engine.submit(["hold"])
        engine.wait_note(job, "holding")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(DEADLINE_S)
            line.connect(os.fspath(Places(engine.state).socket()))
            with Places(engine.state).job_lock(job).open() as lock:
                shutil.rmtree(engine.state)
                assert line.recv(1) == b"", "the supervisor has ended"
                fcntl.flock(lock, fcntl.LOCK_EX)  # comes back when the worker has


def test_a_worker_that_cannot_write_the_journal_is_no_death_however_often(engine: Bench) -> None:
    """The journal's log may not grow: worker after worker ends, and the job waits for room."""
    gate = engine.gate("gate")
    job = engine.submit(["step", "a"], ["gate", gate], ["step", "b"])
    engine.wait_note(job, gate)
    for _ in range(MOST_CRASHES + 1):
        pid = engine.worker_pid(job)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, 0))
        engine.open_gate(gate)
        with Journal(Places(engine.state).journal) as journal:
            (epoch,) = journal.rows("SELECT epoch FROM lease WHERE job = ?", (job,))[0]
        engine.wait_note(job, gate, epoch=epoch + 1)
    engine.open_gate(gate)
    view = engine.wait_end(job)
    assert view.summary.state is JobState.SUCCEEDED
    assert view.summary.attempt == MOST_CRASHES + 2
    assert engine.done() == ["a", "b"]
