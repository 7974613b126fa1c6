"""``kensho job`` and ``kensho runner`` against a real runner: what they print and how they exit."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

from kensho_tui.cli.out import Exit
from kensho_tui.cli.root import root
from kensho_tui.engine.events import EventKind, JobState
from kensho_tui.errors import KenshoError

from .bench import ROOT, Bench

CANARY = "canary-Qz9-staple"


@pytest.fixture
def kensho(engine: Bench, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """The command, on the bench's state directory; a second value is its standard input."""
    monkeypatch.setenv("KENSHO_STATE_DIR", str(engine.state))

    def run(line: str, given: str | None = None) -> Result:
        return CliRunner().invoke(root, line.split(), input=given)

    return run


def records(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ([["step", "a"]], Exit.OK),
        ([["step", "a"], ["fail", "disk", "the storage is full"]], Exit.FAILED),
        ([["step", "a"], ["defect"]], Exit.ATTENTION),
        ([["ask", "cutover", "yes", "no"]], Exit.WAITING),
    ],
)
def test_watching_ends_with_the_exit_code_of_what_became_of_the_job(
    engine: Bench, kensho: Callable[..., Result], script: list[list[Any]], code: Exit
) -> None:
    job = engine.submit(*script)
    live = kensho(f"job watch {job} --json")
    assert live.exit_code == code
    numbers = [each["event"]["n"] for each in records(live) if "event" in each]
    assert numbers == list(range(1, len(numbers) + 1))
    plain = kensho(f"job watch {job}")
    assert plain.exit_code == code
    assert f"{job} submitted" in plain.stdout


def test_a_failure_is_printed_with_what_where_and_what_to_do(
    engine: Bench, kensho: Callable[..., Result]
) -> None:
    job = engine.submit(["fail", "disk", "the storage is \x1b[31mfull"])
    watched = kensho(f"job watch {job}")
    assert "job failed: disk: the storage is full. Try something else." in watched.stdout
    shown = kensho(f"job show {job}")
    assert "Error     disk: the storage is full. Try something else." in shown.stdout
    assert "\x1b" not in watched.stdout + shown.stdout
    data = json.loads(kensho(f"job show {job} --json").stdout)
    assert data["summary"]["error"]["subject"] == "disk"


def test_jobs_are_listed_for_people_and_as_data(
    engine: Bench, kensho: Callable[..., Result]
) -> None:
    done, held = engine.submit(["step", "a"]), engine.submit(["hold"])
    engine.wait_end(done)
    engine.wait_note(held, "holding")
    lines = kensho("job list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["JOB", held, done]
    assert "succeeded" in lines[2]
    data = json.loads(kensho("job list --json --unended").stdout)
    assert [(each["id"], each["state"]) for each in data] == [(held, "running")]


def test_cancelling_and_waiting_ends_as_cancelled(
    engine: Bench, kensho: Callable[..., Result]
) -> None:
    job = engine.submit(["step", "a"], ["hold"])
    engine.wait_note(job, "holding")
    result = kensho(f"job cancel {job} --wait")
    assert result.exit_code == Exit.CANCELLED
    assert "Make a: taken back" in result.stdout
    assert engine.done() == ["a", "undo-a"]


def test_a_question_is_answered_from_the_command_line(
    engine: Bench, kensho: Callable[..., Result]
) -> None:
    job = engine.submit(["ask", "cutover", "yes", "no"])
    waiting = kensho(f"job watch {job}")
    assert f"kensho job answer {job} cutover" in waiting.stderr
    refused = kensho(f"job answer {job} cutover maybe")
    assert refused.exit_code == Exit.INPUT
    assert "one of: yes, no" in refused.stderr
    assert kensho(f"job answer {job} cutover yes").exit_code == Exit.OK
    view = engine.wait_end(job)
    assert view.result == {"cutover": "yes"}


def test_a_question_with_a_deadline_is_told_and_the_watching_goes_on(
    engine: Bench, kensho: Callable[..., Result]
) -> None:
    job = engine.submit(["ask_for", 1, "cutover", "no", "yes", "no"])
    watched = kensho(f"job watch {job}")
    assert watched.exit_code == Exit.OK, watched.output
    assert f"  kensho job answer {job} cutover yes\n" in watched.stderr
    assert "Without an answer until" in watched.stderr
    assert "answered by default: no" in watched.stdout
    assert engine.client.job(job).result == {"cutover": "no"}


def test_the_commands_that_answer_can_be_pasted(
    engine: Bench, kensho: Callable[..., Result]
) -> None:
    job = engine.submit(["ask", "it is odd", "so be it", "no"])
    waiting = kensho(f"job watch {job}")
    assert waiting.exit_code == Exit.WAITING
    (line,) = [each for each in waiting.stderr.splitlines() if "so be it" in each]
    done = CliRunner().invoke(root, shlex.split(line)[1:])
    assert done.exit_code == Exit.OK, done.output
    assert engine.wait_end(job).result == {"it is odd": "so be it"}


def test_what_was_set_is_said_and_a_bad_file_of_settings_too(
    engine: Bench, kensho: Callable[..., Result]
) -> None:
    job = engine.submit(["ask", "cutover", "yes"])
    engine.wait_state(job, JobState.WAITING)
    limited = kensho(f"job limit {job} 50M")
    assert f"{job}: 50 MiB/s, as it was told; waiting." in limited.stderr
    assert f"{job}: priority 7; waiting." in kensho(f"job priority {job} 7").stderr
    assert "Limit     50 MiB/s, as it was told" in kensho(f"job show {job}").stdout
    refused = kensho(f"job limit {job} abc")
    assert refused.exit_code == Exit.USAGE
    assert "'abc' is no limit. Write bytes a second with a unit" in refused.stderr
    assert f"{job}: no limit; waiting." in kensho(f"job limit {job} none").stderr
    file = engine.directory / "config" / "runner.toml"
    file.parent.mkdir(exist_ok=True)
    file.write_text("[caps]\n'target:xen' = 0\n")
    for line in ("job list", "runner status"):
        said = kensho(line).output
        assert f"{file}:2: 'caps.target:xen': Input should be greater than or equal to 1" in said
    engine.client.cancel(job)
    engine.wait_end(job)
    again = kensho(f"job retry {job}")
    assert again.exit_code == Exit.OK
    assert "Warning: A setting of the runner is not right" in again.stderr


def test_a_secret_is_taken_from_standard_input_and_never_from_the_command_line(
    engine: Bench, kensho: Callable[..., Result]
) -> None:
    job = engine.submit(["secret", "property:p"])
    engine.wait_state(job, JobState.WAITING)
    refused = kensho(f"job answer {job} secret:property:p {CANARY}")
    assert refused.exit_code == Exit.INPUT
    assert "not taken from the command line" in refused.stderr
    assert CANARY not in refused.output
    given = kensho(f"job answer {job} secret:property:p", f"{CANARY}\n")
    assert given.exit_code == Exit.OK
    assert CANARY not in given.output
    view = engine.wait_end(job)
    assert view.result == {"property:p": len(CANARY)}
    (answer,) = [each for each in view.log if each.kind is EventKind.ANSWER]
    assert answer.data["value"] is None


def test_an_answer_that_breaks_the_propertys_rules_is_refused_and_the_question_stays_open(
    engine: Bench, kensho: Callable[..., Result]
) -> None:
    job = engine.submit(["rule", "property:p", "MinLen(8),MaxLen(20)"], ["secret", "property:p"])
    engine.wait_state(job, JobState.WAITING)
    refused = kensho(f"job answer {job} secret:property:p", "sh0rt\n")
    assert refused.exit_code == Exit.INPUT
    assert "must have 8 to 20 characters" in refused.stderr
    assert "sh0rt" not in refused.output
    assert [each.id for each in engine.client.job(job).questions] == ["secret:property:p"]
    assert kensho(f"job answer {job} secret:property:p", f"{CANARY}\n").exit_code == Exit.OK
    assert engine.wait_end(job).result == {"property:p": len(CANARY)}


@pytest.mark.parametrize("given", ["", "\n"])
def test_nothing_is_no_answer(engine: Bench, kensho: Callable[..., Result], given: str) -> None:
    job = engine.submit(["secret", "property:p"])
    engine.wait_state(job, JobState.WAITING)
    refused = kensho(f"job answer {job} secret:property:p", given)
    assert refused.exit_code == Exit.INPUT
    assert "no answer was given" in refused.stderr
    assert [each.id for each in engine.client.job(job).questions] == ["secret:property:p"]
    with pytest.raises(KenshoError, match="empty secret"):
        engine.client.answer(job, "secret:property:p", "")


def test_an_unknown_job_is_answered_with_the_nearest_one_as_data_too(
    engine: Bench, kensho: Callable[..., Result]
) -> None:
    job = engine.submit(["step", "a"])
    result = kensho(f"job show {job}x --json")
    assert result.exit_code == Exit.INPUT
    assert job in json.loads(result.stdout)["error"]["remedy"]


def test_the_runner_is_shown_and_stopped_while_a_job_goes_on(
    engine: Bench, kensho: Callable[..., Result]
) -> None:
    gate = engine.gate("gate")
    job = engine.submit(["gate", gate])
    engine.wait_note(job, gate)
    status = json.loads(kensho("runner status --json").stdout)
    assert (status["running"], status["workers"]) == (True, 1)
    assert kensho("runner stop").exit_code == Exit.OK
    assert "does not run" in kensho("runner status").stdout
    assert kensho("runner stop").exit_code == Exit.OK
    engine.start()
    engine.open_gate(gate)
    assert engine.wait_end(job).summary.state is JobState.SUCCEEDED


def test_leaving_a_watch_by_ctrl_c_does_not_touch_the_job(engine: Bench) -> None:
    gate = engine.gate("gate")
    job = engine.submit(["gate", gate])
    command = [sys.executable, "-m", "kensho_tui", "job", "watch", job, "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "KENSHO_STATE_DIR": str(engine.state)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as watching:
        assert watching.stdout
        for line in watching.stdout:
            if b'"note"' in line:
                break
        watching.send_signal(2)
        assert watching.stderr
        said = watching.stderr.read().decode()
        assert watching.wait(60) == Exit.INTERRUPTED
    assert f"The job goes on; 'kensho job watch {job}' follows it." in said
    engine.open_gate(gate)
    assert engine.wait_end(job).summary.state is JobState.SUCCEEDED
