"""What an operator tells jobs that are under way, whatever they do: the journal says it, all obey."""

import os
import signal
from typing import Any

import pytest

from kensho_tui.engine.client import Client, RunnerAbsentError, UnknownJobError
from kensho_tui.engine.events import Event, EventKind, JobState, Reason
from kensho_tui.engine.journal import Journal
from kensho_tui.engine.places import Places, is_held
from kensho_tui.engine.telling import troubles
from kensho_tui.errors import KenshoError
from kensho_tui.migration.plan import BandwidthPlan, Plan, TargetPlan
from tests.desk import until

from .bench import Bench


def states(engine: Bench, job: str) -> list[str]:
    """What the job's states were, in order."""
    with Journal(Places(engine.state).journal) as journal:
        assert journal.verify() == []
        events = journal.events(job)
    return [each.data["state"] for each in events if each.kind is EventKind.STATE]


def gone(engine: Bench, job: str) -> None:
    """Wait until no worker has the job."""
    until("the end of the worker", lambda: not is_held(Places(engine.state).job_lock(job)))


def test_a_paused_job_holds_at_the_next_edge_and_goes_on_when_resumed(engine: Bench) -> None:
    gate = engine.gate("gate")
    job = engine.submit(["step", "a"], ["gate", gate], ["edge"], ["step", "b"])
    engine.wait_note(job, gate)
    engine.client.pause(job, by="anna")
    engine.client.pause(job, by="bert")  # it is paused already
    row = engine.client.job(job).summary
    assert (row.state, row.reason, row.waits) == (
        JobState.PAUSED,
        Reason.OPERATOR,
        "paused by anna",
    )
    engine.open_gate(gate)
    # Another job goes all its way meanwhile; this one stands where it is.
    assert engine.wait_end(engine.submit(["step", "z"])).summary.state is JobState.SUCCEEDED
    assert engine.done() == ["a", "z"]
    engine.client.resume(job, by="anna")
    view = engine.wait_end(job)
    assert view.summary.state is JobState.SUCCEEDED
    assert view.summary.attempt == 1, "the worker was never killed"
    assert engine.done() == ["a", "z", "b"]
    assert states(engine, job) == ["paused", "running", "succeeded"]
    with pytest.raises(KenshoError, match="ended already"):
        engine.client.pause(job)
    with pytest.raises(KenshoError, match="ended already"):
        engine.client.resume(job)


def test_a_paused_job_can_be_cancelled(engine: Bench) -> None:
    gate = engine.gate("gate")
    job = engine.submit(["step", "a"], ["gate", gate], ["edge"], ["step", "b"])
    engine.wait_note(job, gate)
    engine.client.pause(job)
    engine.open_gate(gate)
    engine.client.cancel(job)
    assert engine.wait_end(job).summary.state is JobState.CANCELLED
    assert engine.done() == ["a", "undo-a"]


def test_a_job_that_is_being_cancelled_cannot_be_paused(engine: Bench) -> None:
    gate = engine.gate("gate")
    job = engine.submit(["gate", gate])
    engine.wait_note(job, gate)
    engine.client.cancel(job)
    with pytest.raises(KenshoError, match="being cancelled"):
        engine.client.pause(job)
    engine.open_gate(gate)
    engine.wait_end(job)


def test_a_question_of_a_paused_job_can_be_answered_and_it_stays_paused(engine: Bench) -> None:
    job = engine.submit(["ask", "which", "yes", "no"], ["edge"], ["step", "a"])
    engine.wait_state(job, JobState.WAITING)
    engine.client.pause(job)
    engine.client.resume(job)
    assert engine.client.job(job).summary.state is JobState.WAITING
    engine.client.pause(job)
    engine.client.answer(job, "which", "yes")
    assert engine.client.job(job).summary.state is JobState.PAUSED
    engine.client.resume(job)
    assert engine.wait_end(job).summary.state is JobState.SUCCEEDED


def test_a_job_that_has_not_begun_can_be_paused_and_cancelled(engine: Bench) -> None:
    gates = [engine.gate(f"gate{n}") for n in range(4)]
    for gate in gates:
        engine.wait_note(engine.submit(["gate", gate]), gate)
    first, second = engine.submit(["step", "one"]), engine.submit(["step", "two"])
    third = engine.submit(["step", "three"])
    for job in (first, third):
        engine.client.pause(job)
    engine.client.cancel(third)
    assert engine.client.job(third).summary.state is JobState.CANCELLED
    for gate in gates:
        engine.open_gate(gate)
    assert engine.wait_end(second).summary.state is JobState.SUCCEEDED
    assert engine.done() == ["two"]
    engine.client.resume(first)
    assert engine.wait_end(first).summary.state is JobState.SUCCEEDED
    assert states(engine, first) == ["paused", "queued", "succeeded"]


@pytest.mark.parametrize("who", ["worker", "supervisor", "both"])
def test_a_paused_job_stays_paused_whatever_is_killed(engine: Bench, who: str) -> None:
    gate = engine.gate("gate")
    job = engine.submit(["step", "a"], ["gate", gate], ["edge"], ["step", "b"])
    engine.wait_note(job, gate)
    engine.client.pause(job, by="anna")
    supervisor, worker = engine.client.status().pid, engine.worker_pid(job)
    assert supervisor
    if who != "worker":
        os.kill(supervisor, signal.SIGKILL)
    if who != "supervisor":
        os.kill(worker, signal.SIGKILL)
        gone(engine, job)
    else:
        engine.open_gate(gate)
    engine.start()
    # The next supervisor has tended its crew by the time a later job has ended.
    assert engine.wait_end(engine.submit(["step", "z"])).summary.state is JobState.SUCCEEDED
    row = engine.client.job(job).summary
    assert (row.state, row.attempt, row.waits) == (JobState.PAUSED, 1, "paused by anna")
    assert engine.done() == ["a", "z"]
    with Client.open(engine.state, start=False) as another:
        another.resume(job)
    if who != "supervisor":
        engine.wait_note(job, gate, epoch=2)
        engine.open_gate(gate)
    view = engine.wait_end(job)
    assert view.summary.state is JobState.SUCCEEDED
    assert view.summary.attempt == (1 if who == "supervisor" else 2)
    assert engine.done() == ["a", "z", "b"]


def test_an_orderly_stop_leaves_a_paused_job_paused(engine: Bench) -> None:
    gate = engine.gate("gate")
    job = engine.submit(["gate", gate], ["edge"], ["step", "a"])
    engine.wait_note(job, gate)
    engine.client.pause(job)
    engine.open_gate(gate)
    engine.client.stop(workers=True)
    engine.start()
    assert engine.wait_end(engine.submit(["step", "z"])).summary.state is JobState.SUCCEEDED
    assert engine.client.job(job).summary.state is JobState.PAUSED
    engine.client.resume(job)
    engine.wait_note(job, gate, epoch=2)
    engine.open_gate(gate)
    assert engine.wait_end(job).summary.state is JobState.SUCCEEDED


def test_a_limit_holds_a_running_job_back_until_it_is_changed(engine: Bench) -> None:
    job = engine.submit(["edge"], ["ask", "go", "on"], ["move", 1024], ["step", "a"])
    engine.wait_state(job, JobState.WAITING)
    engine.client.limit(job, 1, by="anna")  # a gibibyte a year or so
    row = engine.client.job(job).summary
    assert (row.limit, row.limit_by) == (1, "operator")
    engine.client.answer(job, "go", "on")
    engine.wait_note(job, "moving")
    assert engine.wait_end(engine.submit(["step", "z"])).summary.state is JobState.SUCCEEDED
    assert engine.done() == ["z"]
    engine.client.limit(job, None, by="anna")
    view = engine.wait_end(job)
    assert view.summary.state is JobState.SUCCEEDED
    assert view.summary.limit is None
    said = [each.data for each in view.log if each.kind is EventKind.LIMITED]
    assert said == [{"limit": 1, "by": "anna"}, {"limit": None, "by": "anna"}]
    with pytest.raises(KenshoError, match="ended already"):
        engine.client.limit(job, 5)


def test_the_plans_limit_is_said_until_the_operator_says_another(engine: Bench) -> None:
    plan = engine.plan(["ask", "go", "on"])
    run = plan.spec.run.model_copy(update={"bandwidth": BandwidthPlan(limit=5)})
    spec = plan.spec.model_copy(update={"run": run})
    job = engine.client.submit(plan.model_copy(update={"spec": spec}))
    engine.wait_state(job, JobState.WAITING)
    row = engine.client.job(job).summary
    assert (row.limit, row.limit_by) == (5, "plan")
    (listed,) = engine.client.jobs()
    assert (listed.limit, listed.limit_by) == (5, "plan")
    settings(engine, 'bandwidth = "2 B"\n')
    until("its share", lambda: engine.client.job(job).summary.limit_by == "runner")
    settings(engine, "")
    engine.client.limit(job, None, by="anna")
    until("no limit", lambda: engine.client.job(job).summary.limit is None)


def test_a_file_of_settings_that_is_not_right_is_said_where_one_looks(engine: Bench) -> None:
    job = engine.submit(["ask", "go", "on"])
    engine.wait_state(job, JobState.WAITING)
    settings(engine, "jobs_at_once = 4\njobs_at_onec = 5\n")
    wrong = engine.client.status().settings_error
    assert wrong is not None
    assert wrong["subject"].endswith("runner.toml:2")
    assert "no setting 'jobs_at_onec' (there are jobs_at_once, " in wrong["what"]
    assert "Mend the file" in wrong["remedy"]
    (said,) = troubles(engine.client.status())
    assert "what held before holds on" in said
    settings(engine, "jobs_at_once = 5\n")
    assert engine.client.status().settings_error is None


def test_a_jobs_process_accepts_of_disks_what_the_settings_say(engine: Bench) -> None:
    settings(engine, '[disks]\nmax_disk = "3 GiB"\nmax_ratio = 7\n')
    engine.wait_note(engine.submit(["bounds"]), f"accepts {3 << 30} bytes, 7 times")
    settings(engine, '[disks]\nmax_disk = "3"\n')
    job = engine.submit(["bounds"])
    engine.wait_note(job, f"accepts {3 << 30} bytes, 7 times")  # what held before holds on


def test_of_jobs_that_wait_the_highest_priority_begins_first(engine: Bench) -> None:
    gates = [engine.gate(f"gate{n}") for n in range(4)]
    holders = [engine.submit(["gate", gate]) for gate in gates]
    for job, gate in zip(holders, gates, strict=True):
        engine.wait_note(job, gate)
    inner = engine.gate("inner")
    waiting = {
        name: engine.submit(["step", name], ["gate", inner]) for name in ("one", "two", "three")
    }
    engine.client.prioritize(waiting["three"], 5, by="anna")
    engine.client.prioritize(waiting["one"], -1)
    with pytest.raises(KenshoError, match="-100 to 100"):
        engine.client.prioritize(waiting["one"], 101)
    assert engine.client.job(waiting["three"]).summary.priority == 5
    engine.open_gate(gates[0])
    for name in ("three", "two", "one"):
        # Only one place is free at a time: who is in it now was the first of those who waited.
        engine.wait_note(waiting[name], inner)
        begun = [each for each in waiting if engine.client.job(waiting[each]).steps]
        assert engine.done()[-1] == name
        assert begun == [each for each in waiting if each in engine.done()]
        engine.open_gate(inner)
        engine.wait_end(waiting[name])
    for gate in gates[1:]:
        engine.open_gate(gate)
    event = next(each for each in engine.client.job(waiting["three"]).log if is_priority(each))
    assert event.data == {"priority": 5, "by": "anna"}


def settings(engine: Bench, text: str) -> None:
    """What holds for all jobs of the runner, from its next look on."""
    (engine.directory / "config").mkdir(exist_ok=True)
    draft = engine.directory / "config" / "draft"
    draft.write_text(text)
    draft.replace(draft.with_name("runner.toml"))


def waits(engine: Bench, job: str, reason: str) -> None:
    until(reason, lambda: engine.client.job(job).summary.waits == reason)


def to(engine: Bench, target: str, *script: list[Any]) -> Plan:
    """A plan whose job loads that target."""
    plan = engine.plan(*script)
    spec = plan.spec.model_copy(update={"target": TargetPlan(connection=target)})
    return plan.model_copy(update={"spec": spec})


def test_jobs_wait_for_places_that_the_settings_give_and_say_so(engine: Bench) -> None:
    settings(engine, '[caps]\n"target:*" = 1\n')
    gates = [engine.gate(f"gate{n}") for n in range(2)]
    first = engine.client.submit(to(engine, "xen-a", ["gate", gates[0]]))
    engine.wait_note(first, gates[0])
    second = engine.client.submit(to(engine, "xen-a", ["gate", gates[1]]))
    waits(engine, second, "waits for a slot of target xen-a (1 of 1)")
    other = engine.client.submit(to(engine, "xen-b", ["step", "b"]))
    assert engine.wait_end(other).summary.state is JobState.SUCCEEDED
    settings(engine, "jobs_at_once = 1\n")
    waits(engine, second, "waits for a slot (1 of 1 jobs are under way)")
    engine.open_gate(gates[0])
    engine.wait_note(second, gates[1])
    assert engine.client.job(second).summary.waits == ""
    engine.open_gate(gates[1])
    engine.wait_end(second)


def test_the_limit_of_all_jobs_is_divided_among_those_that_run(engine: Bench) -> None:
    settings(engine, 'bandwidth = ["none", "2 B daily 00:00-24:00 UTC"]\n')
    jobs = [engine.submit(["ask", "go", "on"], ["edge"], ["limit"]) for _ in range(2)]
    for job in jobs:
        engine.wait_state(job, JobState.WAITING)
        engine.client.limit(job, None)
    for job in jobs:
        engine.client.answer(job, "go", "on")
        engine.wait_note(job, "limit 1")
    settings(engine, "")
    for job in jobs:
        assert engine.wait_end(job).summary.state is JobState.SUCCEEDED


def test_jobs_that_do_not_stay_are_archived_while_others_run(engine: Bench) -> None:
    gate = engine.gate("gate")
    running = engine.submit(["gate", gate])
    first = engine.submit(["step", "a"])
    engine.wait_end(first)
    last = engine.submit(["step", "b"])
    engine.wait_end(last)
    archive = engine.directory / "archive"
    settings(engine, f'[retention]\nkeep = 1\nfolder = "{archive}"\n')
    until("the archive", lambda: {each.id for each in engine.client.jobs()} == {running, last})
    with pytest.raises(UnknownJobError, match="the job is archived"):
        engine.client.job(first)
    assert [each.name for each in archive.iterdir()] == [f"{first}.kensho-job.gz"]
    assert f"{first} is archived: " in (engine.state / "runner.log").read_text()
    engine.open_gate(gate)
    assert engine.wait_end(running).summary.state is JobState.SUCCEEDED


def test_settings_that_are_not_right_are_told_to_who_starts_the_runner(engine: Bench) -> None:
    engine.client.stop()
    settings(engine, "jobs_at_once = 2\njobs = 3\n")
    with pytest.raises(RunnerAbsentError, match=r"runner\.toml:2: there is no setting 'jobs'"):
        engine.start()
    settings(engine, "jobs_at_once = 2\n")
    engine.start()
    assert engine.wait_end(engine.submit(["step", "a"])).summary.state is JobState.SUCCEEDED


def is_priority(event: Event) -> bool:
    return event.kind is EventKind.PRIORITIZED
