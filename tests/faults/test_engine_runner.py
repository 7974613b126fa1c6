"""What clients ask of a runner, over its real socket: replay, cancel, answer, secrets, errors."""

import os
import signal
import socket
import threading
from collections import Counter
from pathlib import Path

import pytest

from kensho_tui.engine import wire
from kensho_tui.engine.client import Client, RunnerAbsentError, UnknownJobError, start_runner
from kensho_tui.engine.events import Event, EventKind, JobState, Update
from kensho_tui.engine.journal import Journal
from kensho_tui.engine.places import Places, StateDirError
from kensho_tui.engine.wire import ProtocolError
from kensho_tui.errors import KenshoError

from .bench import Bench

CANARY = "canary-Xk7-battery-staple"


def test_a_client_that_comes_later_is_told_everything_in_order(engine: Bench) -> None:
    gate = engine.gate("gate")
    job = engine.submit(["step", "a"], ["gate", gate], ["step", "b"])
    engine.wait_note(job, gate)
    early: list[Event] = []

    def read() -> None:
        with Client.open(engine.state, start=False) as client:
            for update in client.watch(job):
                if isinstance(update, Event):
                    early.append(update)
                    if update.data.get("state") == "succeeded":
                        return

    reader = threading.Thread(target=read)
    reader.start()
    engine.open_gate(gate)
    view = engine.wait_end(job)
    reader.join(60)
    late: list[Event] = []
    with Client.open(engine.state, start=False) as client:
        for update in client.watch(job):
            assert isinstance(update, Event)
            late.append(update)
            if update.n == view.last:
                break
        tail = next(iter(client.watch(job, {job: view.last - 1})))
    assert [each.n for each in late] == list(range(1, view.last + 1))
    assert early == late
    assert tail == late[-1]


def test_a_watch_of_all_jobs_sees_each_of_them_and_ends_when_the_client_is_closed(
    engine: Bench,
) -> None:
    seen: Counter[str] = Counter()
    both = threading.Event()
    client = Client.open(engine.state, start=False)

    def read() -> None:
        for update in client.watch():
            if isinstance(update, Event) and update.data.get("state") == "succeeded":
                seen[update.job] += 1
                if len(seen) == 2:
                    both.set()

    reader = threading.Thread(target=read)
    reader.start()
    jobs = {engine.submit(["step", "a"]), engine.submit(["step", "b"])}
    assert both.wait(60)
    client.close()
    reader.join(60)
    assert not reader.is_alive()
    assert seen == dict.fromkeys(jobs, 1)


def test_a_watch_outlives_the_supervisor_it_began_with(engine: Bench) -> None:
    gate = engine.gate("gate")
    job = engine.submit(["gate", gate], ["step", "a"])
    numbers: list[int] = []
    at_gate, ended = threading.Event(), threading.Event()

    def read() -> None:
        with Client.open(engine.state, start=False) as client:
            for update in client.watch(job):
                if isinstance(update, Event):
                    numbers.append(update.n)
                    if update.kind is EventKind.NOTE:
                        at_gate.set()
                    if update.data.get("state") == "succeeded":
                        ended.set()
                        return

    reader = threading.Thread(target=read)
    reader.start()
    assert at_gate.wait(60)
    engine.client.stop()
    engine.start()
    engine.open_gate(gate)
    assert ended.wait(60)
    reader.join(60)
    assert numbers == list(range(1, engine.client.job(job).last + 1))


def test_clients_that_come_at_different_times_each_see_every_event_once_and_in_order(
    engine: Bench,
) -> None:
    """Five of them, across a restart of the supervisor; two begin after an event they know."""
    gates = [engine.gate(f"gate{n}") for n in range(4)]
    script = [each for n, gate in enumerate(gates) for each in (["step", f"s{n}"], ["gate", gate])]
    job, other = engine.submit(*script), engine.submit(["step", "x"])
    seen: list[list[Event]] = [[] for _ in range(5)]
    at_gate = [[threading.Event() for _ in gates] for _ in range(5)]
    there = [threading.Event() for _ in range(5)]

    def read(number: int, after: int) -> None:
        with Client.open(engine.state, start=False) as client:
            there[number].set()
            alarm = threading.Timer(60, client.close)
            alarm.start()
            # Some watch all jobs, as a list of them does.
            for update in client.watch(job if number % 2 else None, {job: after}):
                if not isinstance(update, Event) or update.job != job:
                    continue
                seen[number].append(update)
                for gate, reached in zip(gates, at_gate[number], strict=True):
                    if gate in update.data.get("message", ""):
                        reached.set()
                if update.data.get("state") == "succeeded":
                    break
            alarm.cancel()

    begins = [0] * 5
    readers: list[threading.Thread] = []

    def join(number: int, *, after: int = 0) -> None:
        begins[number] = after
        readers.append(threading.Thread(target=read, args=(number, after)))
        readers[-1].start()
        # Who comes to a runner that is not there has nothing to watch.
        assert there[number].wait(60)

    join(0)
    assert at_gate[0][0].wait(60)
    join(1)
    engine.open_gate(gates[0])
    assert at_gate[1][1].wait(60)
    join(2, after=len(seen[1]))
    supervisor = engine.client.status().pid
    assert supervisor
    os.kill(supervisor, signal.SIGKILL)
    engine.open_gate(gates[1])  # the worker goes on with nobody above it
    engine.start()
    assert at_gate[2][2].wait(60)
    join(3, after=3)
    engine.open_gate(gates[2])
    assert at_gate[3][3].wait(60)
    join(4)
    engine.open_gate(gates[3])
    for reader in readers:
        reader.join(60)
    last = engine.client.job(job).last
    assert [[each.n for each in one] for one in seen] == [
        list(range(after + 1, last + 1)) for after in begins
    ]
    assert all(one == seen[0][after:] for one, after in zip(seen, begins, strict=True))
    engine.wait_end(other)


def is_sample(update: Update) -> bool:
    return isinstance(update, tuple) and update[1].position == 37


def test_samples_reach_watchers_and_views_and_no_disk(engine: Bench) -> None:
    gate = engine.gate("gate")
    job = engine.submit(["sample", 37], ["gate", gate])

    engine.wait(job, is_sample)
    summary = engine.client.job(job).summary
    assert (summary.position, summary.total) == (37, 100)
    engine.open_gate(gate)
    engine.wait_end(job)
    with Journal(Places(engine.state).journal) as journal:
        assert journal.rows("SELECT 1 FROM event WHERE data LIKE '%37%' AND kind = 'sample'") == []


def test_cancelling_takes_back_what_was_made(engine: Bench) -> None:
    job = engine.submit(["step", "a"], ["step", "b"], ["hold"])
    engine.wait_note(job, "holding")
    engine.client.cancel(job)
    view = engine.wait_end(job)
    assert view.summary.state is JobState.CANCELLED
    assert engine.done() == ["a", "b", "undo-b", "undo-a"]
    with pytest.raises(KenshoError, match="ended already"):
        engine.client.cancel(job)


def test_only_so_many_jobs_run_at_once_and_a_waiting_one_can_be_cancelled(engine: Bench) -> None:
    gates = [engine.gate(f"gate{i}") for i in range(4)]
    running = [engine.submit(["gate", gate]) for gate in gates]
    for job, gate in zip(running, gates, strict=True):
        engine.wait_note(job, gate)
    fifth, sixth = engine.submit(["step", "five"]), engine.submit(["step", "six"])
    assert engine.client.job(fifth).summary.state is JobState.QUEUED
    engine.client.cancel(fifth)
    assert engine.wait_end(fifth).summary.state is JobState.CANCELLED
    for gate in gates:
        engine.open_gate(gate)
    assert engine.wait_end(sixth).summary.state is JobState.SUCCEEDED
    assert engine.done() == ["six"]
    assert [each.id for each in engine.client.jobs()][:2] == [sixth, fifth]


def test_a_question_waits_for_one_of_its_answers(engine: Bench) -> None:
    job = engine.submit(["ask", "cutover", "yes", "no"], ["step", "a"])
    view = engine.wait_state(job, JobState.WAITING)
    (question,) = view.questions
    assert (question.id, question.choices) == ("cutover", ("yes", "no"))
    assert view.summary.questions == 1
    with pytest.raises(KenshoError, match="none of the answers"):
        engine.client.answer(job, "cutover", "maybe")
    with pytest.raises(KenshoError, match="not open"):
        engine.client.answer(job, "other", "yes")
    engine.client.answer(job, "cutover", "yes", by="me")
    view = engine.wait_end(job)
    assert view.result["cutover"] == "yes"
    assert view.questions == ()
    (answer,) = [each for each in view.log if each.kind is EventKind.ANSWER]
    assert answer.data == {"question": "cutover", "value": "yes", "by": "me"}


def test_a_secret_works_and_is_nowhere_on_disk_nor_in_any_process(
    engine: Bench, tmp_path: Path
) -> None:
    gate = engine.gate("gate")
    given, typed = f"{CANARY}-given", f"{CANARY}-typed"
    job = engine.submit(
        ["secret", "property:db.password"],
        ["secret", "property:other"],
        ["gate", gate],
        secrets={"property:db.password": given},
    )
    view = engine.wait_state(job, JobState.WAITING)
    assert [each.id for each in view.questions] == ["secret:property:other"]
    engine.client.answer(job, "secret:property:other", typed, by="me")
    engine.wait_note(job, gate)
    supervisor = engine.client.status().pid
    for pid in (engine.worker_pid(job), supervisor):
        for what in ("cmdline", "environ"):
            path = Path(f"/proc/{pid}/{what}")
            assert not path.exists() or CANARY.encode() not in path.read_bytes()
    files = [each for each in engine.state.rglob("*") if each.is_file()]
    assert {"journal.db", "journal.db-wal", f"{job}.log"} <= {each.name for each in files}
    assert [each for each in files if CANARY.encode() in each.read_bytes()] == []
    engine.open_gate(gate)
    view = engine.wait_end(job)
    assert view.result["property:db.password"] == len(given)
    assert view.result["property:other"] == len(typed)
    assert [each for each in files if CANARY.encode() in each.read_bytes()] == []


def test_a_secret_survives_the_worker_and_the_supervisor_it_was_given_to(engine: Bench) -> None:
    gate = engine.gate("gate")
    mark = str(engine.directory / "killed")
    job = engine.submit(
        ["secret", "property:p"],
        ["sample", 37],
        ["gate", gate],
        ["kill_once", mark],
        ["secret", "property:p"],
        secrets={"property:p": CANARY},
    )
    engine.wait_note(job, gate)
    engine.client.stop()
    engine.start()
    # A worker's greeting brings its secrets, and after it come the samples again.
    engine.wait(job, is_sample)
    engine.open_gate(gate)
    engine.wait_note(job, gate, epoch=2)
    engine.open_gate(gate)
    view = engine.wait_end(job)
    assert view.result == {"property:p": len(CANARY)}
    assert not [each for each in view.log if each.kind is EventKind.QUESTION]


def test_a_failure_is_told_in_three_parts_and_a_defect_in_one_sentence(engine: Bench) -> None:
    failing = engine.submit(["step", "a"], ["fail", "disk", "the storage is full"])
    view = engine.wait_end(failing)
    assert view.summary.state is JobState.FAILED
    assert view.summary.error == {
        "what": "the storage is full",
        "subject": "disk",
        "remedy": "Try something else",
    }
    assert engine.done() == ["a", "undo-a"]

    defect = engine.submit(["defect"])
    view = engine.wait_end(defect)
    assert view.summary.state is JobState.FAILED
    assert view.summary.error is not None
    assert "internal detail" not in str(view.summary.error)
    assert "internal detail" in engine.log(defect)

    half_made = engine.submit(["step", "b"], ["defect"])
    view = engine.wait_end(half_made)
    assert view.summary.state is JobState.NEEDS_ATTENTION
    assert [each["name"] for each in view.leftovers] == ["Make b"]


def test_the_socket_and_every_file_are_private(engine: Bench) -> None:
    job = engine.submit(["step", "a"])
    engine.wait_end(job)
    assert engine.state.stat().st_mode & 0o777 == 0o700
    for path in engine.state.rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path
    assert Places(engine.state).socket().is_socket()


def test_an_unknown_job_is_answered_with_the_nearest_one(engine: Bench) -> None:
    job = engine.submit(["step", "a"])
    for ask in (engine.client.job, engine.client.cancel, lambda j: next(engine.client.watch(j))):
        with pytest.raises(UnknownJobError) as caught:
            ask(job[:-1])
        assert f"'{job}'" in caught.value.remedy


def test_starting_a_runner_twice_leaves_the_first(engine: Bench) -> None:
    pid = engine.client.status().pid
    starts = [threading.Thread(target=start_runner, args=(engine.state,)) for _ in range(3)]
    for each in starts:
        each.start()
    for each in starts:
        each.join()
    with Client.open(engine.state, start=False) as client:
        assert client.status().pid == pid


def test_a_client_starts_the_runner_where_there_is_none(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with pytest.raises(RunnerAbsentError):
        Client.open(state, start=False)
    assert not state.exists()
    with Client.open(state) as client:
        assert client.status().running
        assert client.jobs() == []
        client.stop()
    assert not Places(state).socket().exists()


def test_a_runner_on_a_long_path_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = tmp_path / ("long" * 30)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "")
    with Client.open(state) as client:
        assert client.status().state_dir == str(state)
        place = Places(state).socket()
        assert place.parent != state
        client.stop()
    assert not place.exists()
    place.parent.rmdir()


def test_a_directory_that_cannot_hold_the_state_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateDirError, match="state directory cannot be made"):
        Client.open(tmp_path / "file" / "state")


def test_a_runner_of_another_protocol_can_be_seen_and_stopped_but_not_used(
    engine: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "PROTOCOL", wire.PROTOCOL + 1)
    with Client.open(engine.state, start=False) as newer:
        with pytest.raises(ProtocolError, match="another protocol"):
            newer.jobs()
        assert newer.status().running
        newer.stop()


def test_rubbish_on_the_socket_ends_that_connection_only(engine: Bench) -> None:
    for rubbish in (b"GET / HTTP/1.1\r\n\r\n", b"[1]\n", b'{"do":"answer"}\n', b"\xff\xfe\n"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as raw:
            raw.connect(os.fspath(Places(engine.state).socket()))
            raw.settimeout(30)
            raw.sendall(rubbish)
            raw.shutdown(socket.SHUT_WR)
            while raw.recv(4096):
                pass
    assert engine.client.status().running
