"""``kensho job retry``, ``cleanup``, ``log`` and batches against a real runner."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

from kensho_tui.cli.out import Exit
from kensho_tui.cli.root import root
from kensho_tui.engine.events import JobState
from kensho_tui.migration.plan import Plan, SecretValue

from .bench import ROOT, Bench

CANARY = "canary-Vx3-parsley"
FULL = ["fail", "disk", "the storage is full"]


@pytest.fixture
def kensho(engine: Bench, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """The command, on the bench's state directory."""
    monkeypatch.setenv("KENSHO_STATE_DIR", str(engine.state))
    return lambda line: CliRunner().invoke(root, line.split())


def submit(engine: Bench, batch: str, *script: list[Any]) -> str:
    plan = engine.plan(*script)
    metadata = plan.metadata.model_copy(update={"batch": batch})
    return engine.client.submit(plan.model_copy(update={"metadata": metadata}))


def test_cleaning_up_says_by_its_exit_whether_all_is_gone(
    engine: Bench, kensho: Callable[..., Result]
) -> None:
    engine.stuck("a").touch()
    job = engine.submit(["step", "a"], FULL)
    assert kensho(f"job watch {job}").exit_code == Exit.ATTENTION
    again = kensho(f"job cleanup {job} --wait")
    assert again.exit_code == Exit.ATTENTION
    assert "Left over: a: it is in use." in again.stdout
    engine.stuck("a").unlink()
    gone = kensho(f"job cleanup {job} --wait")
    assert gone.exit_code == Exit.OK
    assert "Make a: taken back" in gone.stdout
    # The whole story, and not only up to its first end.
    watched = kensho(f"job watch {job}")
    assert watched.exit_code == Exit.FAILED
    assert watched.stdout.count("job needs attention") == 2
    refused = kensho(f"job cleanup {job}")
    assert refused.exit_code == Exit.INPUT
    assert "nothing to clean up" in refused.stderr


def test_of_a_batch_all_that_was_left_over_is_taken_back(
    engine: Bench, kensho: Callable[..., Result]
) -> None:
    for step in ("a", "b"):
        engine.stuck(step).touch()
    jobs = [submit(engine, "wave-1", ["step", each], FULL) for each in ("a", "b")]
    other = submit(engine, "wave-1", FULL)
    for job in (*jobs, other):
        engine.wait_end(job)
    engine.stuck("a").unlink()
    again = kensho("job cleanup --batch wave-1 --wait")
    assert again.exit_code == Exit.ATTENTION, again.output
    states = [engine.client.job(job).summary.state for job in (*jobs, other)]
    assert states == [JobState.FAILED, JobState.NEEDS_ATTENTION, JobState.FAILED]
    engine.stuck("b").unlink()
    told = kensho("job cleanup --batch wave-1 --json")
    assert json.loads(told.stdout) == {"batch": "wave-1", "jobs": jobs[1:]}
    engine.wait_end(jobs[1], after=engine.client.job(jobs[1]).last)
    gone = kensho("job cleanup --batch wave-1 --wait")
    assert gone.exit_code == Exit.OK
    assert "Nothing is left over." in gone.stderr
    assert kensho("job cleanup --batch wave-2").exit_code == Exit.INPUT
    assert kensho("job cleanup").exit_code == Exit.USAGE
    assert kensho(f"job cleanup {other} --batch wave-1").exit_code == Exit.USAGE


def test_of_a_batch_what_failed_is_done_again_and_each_once(
    engine: Bench, kensho: Callable[..., Result]
) -> None:
    mark = engine.directory / "mended"
    good = submit(engine, "wave-1", ["step", "a"])
    bad = submit(engine, "wave-1", ["fail_unless", str(mark)])
    left = submit(engine, "wave-1", ["step", "b"], ["defect"])
    other = submit(engine, "wave-2", FULL)
    for job in (good, bad, left, other):
        engine.wait_end(job)
    mark.touch()
    first = kensho("job retry --batch wave-1 --json")
    assert first.exit_code == Exit.OK, first.output
    (pair,) = json.loads(first.stdout)
    assert pair["retry_of"] == bad
    assert f"kensho job cleanup {left}" in first.stderr
    assert engine.wait_end(pair["job"]).summary.state is JobState.SUCCEEDED
    second = kensho("job retry --batch wave-1")
    assert second.exit_code == Exit.OK
    assert "Nothing has to be done again." in second.stderr
    listed = json.loads(kensho("job list --batch wave-1 --json").stdout)
    assert {each["id"] for each in listed} == {good, bad, left, pair["job"]}
    assert kensho("job list --batch wave-3").exit_code == Exit.INPUT
    unknown = kensho("job retry --batch wave-3")
    assert unknown.exit_code == Exit.INPUT
    assert "There are: wave-1, wave-2" in unknown.stderr


def test_jobs_named_one_by_one_are_done_again_and_waited_for(
    engine: Bench, kensho: Callable[..., Result]
) -> None:
    jobs = [engine.submit(FULL), engine.submit(FULL)]
    for job in jobs:
        engine.wait_end(job)
    again = kensho(f"job retry {jobs[0]} {jobs[1]} --wait --json")
    assert again.exit_code == Exit.FAILED
    records = [json.loads(line) for line in again.stdout.splitlines()]
    last = {each["job"]: each["state"] for each in records if "job" in each}
    assert [*last.values()] == ["failed", "failed"]
    assert kensho("job retry").exit_code == Exit.USAGE


def asking(engine: Bench, **place: str) -> Plan:
    """A plan whose job needs the password ``property:p``, and fails once it has it."""
    plan = engine.plan(["secret", "property:p"], FULL)
    properties = {"p": SecretValue(secret="property:p", **place)}
    spec = plan.spec.model_copy(update={"properties": properties})
    return plan.model_copy(update={"spec": spec})


def test_what_the_plan_knows_the_place_of_is_looked_up_there_again(
    engine: Bench, kensho: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = engine.directory / "password"
    file.touch(mode=0o600)
    file.write_text(f"{CANARY}\n")
    monkeypatch.setenv("KENSHO_TEST_AGAIN", CANARY)
    jobs = [
        engine.client.submit(asking(engine, file=str(file))),
        engine.client.submit(asking(engine, env="KENSHO_TEST_AGAIN")),
    ]
    for job in jobs:
        engine.wait_end(job)
        again = kensho(f"job retry {job} --wait")
        assert again.exit_code == Exit.FAILED, again.output  # and not waiting: nobody was asked
    file.unlink()
    asked = kensho(f"job retry {jobs[0]} --wait")
    assert asked.exit_code == Exit.WAITING
    written = b"".join(each.read_bytes() for each in engine.state.rglob("*") if each.is_file())
    assert CANARY.encode() not in written


def test_what_was_entered_by_hand_can_be_given_to_who_does_it_again(
    engine: Bench, kensho: Callable[..., Result]
) -> None:
    file = engine.directory / "password"
    file.touch(mode=0o600)
    file.write_text(f"{CANARY}\n")
    answers = engine.directory / "answers.yaml"
    answers.write_text(f"storage: big-sr\nproperties: {{host: a, p: {{file: {file}}}}}\n")
    job = engine.client.submit(asking(engine), {"property:p": CANARY})
    engine.wait_end(job)
    for option in (f"--answers {answers}", f"--property p=file:{file}"):
        again = kensho(f"job retry {job} --wait {option}")
        assert again.exit_code == Exit.FAILED, again.output
    file.chmod(0o644)
    exposed = kensho(f"job retry {job} --property p=file:{file}")
    assert exposed.exit_code == Exit.INPUT
    assert f"chmod 600 {file}" in exposed.stderr
    spoken = kensho(f"job retry {job} --property p={CANARY}")
    assert spoken.exit_code == Exit.INPUT
    assert "must not stand on the command line" in spoken.stderr
    other = kensho(f"job retry {job} --property q=file:{file}")
    assert other.exit_code == Exit.INPUT
    assert "'q' is no password of the plan" in other.stderr
    assert "Known are: p" in other.stderr


def test_watching_a_batch_tells_of_the_whole_and_ends_as_the_worst(
    engine: Bench, kensho: Callable[..., Result]
) -> None:
    gate = engine.gate("gate")
    held = submit(engine, "wave-1", ["gate", gate])
    done = submit(engine, "wave-1", ["step", "a"])
    bad = submit(engine, "wave-1", FULL)
    engine.wait_note(held, gate)
    engine.wait_end(done)
    engine.wait_end(bad)
    command = [sys.executable, "-m", "kensho_tui", "job", "watch", "--batch", "wave-1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "KENSHO_STATE_DIR": str(engine.state)}
    with subprocess.Popen(
        command, env={**environment, "PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, text=True
    ) as watching:
        assert watching.stdout
        lines = []
        for line in watching.stdout:
            lines.append(line)
            if gate and line.startswith("wave-1: 66 % of 3 jobs: "):
                engine.open_gate(gate)
                gate = ""
        assert watching.wait(60) == Exit.FAILED
    assert any(line.startswith("wave-1: 100 % of 3 jobs: ") for line in lines)
    assert f"{bad} failed: disk: the storage is full. Try something else.\n" in lines


def test_a_batch_in_which_all_that_goes_on_waits_for_a_person_says_so(
    engine: Bench, kensho: Callable[..., Result]
) -> None:
    asks = submit(engine, "wave-1", ["ask", "cutover", "yes", "no"])
    engine.wait_state(asks, JobState.WAITING)
    watched = kensho("job watch --batch wave-1")
    assert watched.exit_code == Exit.WAITING
    assert f"kensho job show {asks}" in watched.stdout
    assert kensho("job watch --batch wave-1 --ask").exit_code == Exit.USAGE
    assert kensho(f"job watch {asks} --batch wave-1").exit_code == Exit.USAGE


def test_the_log_is_a_line_for_each_event_and_can_be_thinned_out(
    engine: Bench, kensho: Callable[..., Result]
) -> None:
    job = engine.submit(["step", "a"], ["fail", "disk", "the storage is \x1b[31mfull"])
    followed = kensho(f"job log {job} --follow")
    assert followed.exit_code == Exit.OK
    assert "Make a: done" in followed.stdout
    assert kensho(f"job log {job}").stdout == followed.stdout
    assert "\x1b" not in followed.stdout
    grave = kensho(f"job log {job} --level error --json")
    records = [json.loads(line) for line in grave.stdout.splitlines()]
    assert [each["level"] for each in records] == ["error", "error"]
    assert records[0]["text"].startswith("Try disk: failed: disk: the storage is full")


def test_the_workers_own_log_holds_what_the_journal_does_not(
    engine: Bench, kensho: Callable[..., Result]
) -> None:
    job = engine.submit(["defect"])
    engine.wait_end(job)
    assert "internal detail" not in kensho(f"job log {job}").stdout
    assert "internal detail" in kensho(f"job log {job} --worker").stdout
    assert kensho(f"job log {job}x --worker").exit_code == Exit.INPUT
    assert kensho(f"job log {job} --worker --follow").exit_code == Exit.USAGE


@pytest.mark.parametrize(
    ("options", "environment", "rung"),
    [
        ([], {}, True),
        (["--quiet"], {}, False),
        ([], {"KENSHO_NO_BELL": "1"}, False),
    ],
)
def test_the_end_rings_at_a_terminal(
    engine: Bench, options: list[str], environment: dict[str, str], rung: bool
) -> None:
    job = engine.submit(["step", "a"])
    engine.wait_end(job)
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb") as terminal:
        done = subprocess.run(
            [sys.executable, "-m", "kensho_tui", "job", "watch", job, *options],
            env={
                **{k: v for k, v in os.environ.items() if k not in {"TMUX", "STY"}},
                "PYTHONPATH": str(ROOT),
                "KENSHO_STATE_DIR": str(engine.state),
                "TERM": "xterm",
                **environment,
            },
            stdout=subprocess.PIPE, stderr=theirs, timeout=60, check=False,
        )  # fmt: skip
        os.write(theirs, b".")  # so that a read comes back
        said = os.read(terminal.fileno(), 4096).decode()
        os.close(theirs)
    assert done.returncode == Exit.OK
    assert b"\x07" not in done.stdout
    assert (f"\a\x1b]9;Kensho: {job}: finished\a" in said) is rung
    assert ("\a" in said) is rung
