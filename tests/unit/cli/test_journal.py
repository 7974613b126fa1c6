"""``kensho journal``: what it finds, what it mends, and when it refuses."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kensho_tui.cli.journal import journal
from kensho_tui.cli.out import Exit
from kensho_tui.engine.events import EventKind, JobState
from kensho_tui.engine.journal import Journal
from kensho_tui.engine.places import FileLock, Places
from tests.unit.engine.given import PLAN
from tests.unit.engine.test_journal import forge


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Places]:
    """A state directory of one's own."""
    monkeypatch.setenv("KENSHO_STATE_DIR", str(tmp_path / "state"))
    made = Places(tmp_path / "state")
    made.make()
    yield made


def run(*arguments: object) -> Result:
    """The command with those arguments."""
    return CliRunner().invoke(journal, [str(each) for each in arguments])


def job_of(places: Places, notes: int = 3) -> str:
    """A job that has begun."""
    with Journal(places.journal) as opened:
        job = opened.submit(PLAN)
        lease = opened.claim(job, "w:1")
        for number in range(notes):
            data = {"message": f"note {number}", "level": "info", "machine": ""}
            opened.append(lease, EventKind.NOTE, data=data)
    return job


def test_a_journal_that_holds_is_said_to(places: Places) -> None:
    job_of(places)
    done = run("verify")
    assert (done.exit_code, done.stdout) == (Exit.OK, "1 job, 5 events: everything holds\n")


@pytest.mark.parametrize("command", ["verify", "rebuild"])
def test_no_journal_is_bad_input_and_none_is_made(places: Places, command: str) -> None:
    done = run(command)
    assert done.exit_code == Exit.INPUT
    assert "there is no journal here" in done.stderr
    assert not places.journal.exists()


def test_a_changed_event_is_named_with_its_job_and_number(places: Places) -> None:
    job = job_of(places)
    forge(places.journal, "UPDATE event SET data = '{}' WHERE n = 4")
    done = run("verify")
    assert done.exit_code == Exit.FINDINGS
    assert f"error    {job}: event 4 was changed after it was written." in done.stdout
    data = json.loads(run("verify", "--json").stdout)
    assert (data["errors"], data["findings"][0]["id"]) == (1, "journal-chain-broken")
    refused = run("rebuild")
    assert refused.exit_code == Exit.INPUT
    assert "the events themselves do not hold" in refused.stderr


def test_rebuild_mends_what_is_shown_and_says_what_was_wrong(places: Places) -> None:
    job = job_of(places)
    with Journal(places.journal) as opened:
        opened.rows("UPDATE job SET state = 'succeeded'")
    assert run("verify").exit_code == Exit.FINDINGS
    done = run("rebuild")
    assert done.exit_code == Exit.OK
    assert done.stdout == f"{job}: the table 'job' is not what the events say; mended.\n"
    assert run("verify").exit_code == Exit.OK
    assert json.loads(run("rebuild", "--json").stdout)["mended"] == []


def test_rebuild_refuses_while_a_runner_or_a_worker_writes(places: Places) -> None:
    job = job_of(places)
    for path, said in ((places.runner_lock, "runner"), (places.job_lock(job), job)):
        with FileLock(path) as lock:
            assert lock.take()
            done = run("rebuild")
            assert done.exit_code == Exit.INPUT
            assert said in done.stderr
            assert "kensho runner stop --workers" in done.stderr
            assert run("verify").exit_code == Exit.OK, "that one can always be asked"
    assert run("rebuild").exit_code == Exit.OK


def test_jobs_are_archived_checked_and_shown(places: Places, tmp_path: Path) -> None:
    job, running = job_of(places), job_of(places)
    with Journal(places.journal) as opened:
        opened.set_state(job, JobState.CANCELLED, leftovers=[], result=None)
    out = tmp_path / "deep" / "out"
    assert run("archive", "--output", out).exit_code == Exit.USAGE
    assert run("archive", running, "--output", out).exit_code == Exit.INPUT
    assert run("archive", "--older-than", "30d", "--output", out).stdout == "None.\n"
    assert run("archive", "--older-than", "0d", "--output", out, "--dry-run").stdout == f"{job}\n"
    done = json.loads(run("archive", "--older-than", "0d", "--output", out, "--json").stdout)
    (file,) = [each["file"] for each in done["archived"]]
    assert out.stat().st_mode & 0o777 == 0o700

    assert run("verify").stdout == "1 job, 5 events: everything holds\n"
    assert run("verify", file).stdout == "1 job, 6 events: everything holds\n"
    shown = run("show", file).stdout
    assert shown.startswith(f"{job}  Shop\n")
    assert "State     cancelled" in shown
    assert json.loads(run("show", file, "--json").stdout)["summary"]["id"] == job
    assert run("show", file, "--log").exit_code == Exit.OK

    Path(file).write_bytes(Path(file).read_bytes()[:-9])
    assert run("verify", file).exit_code == Exit.FINDINGS
    assert run("show", file).exit_code == Exit.INPUT


@pytest.mark.parametrize("age", ["90", "d", "-1d", "1.5d", "999999d", "3m"])
def test_an_age_is_a_number_with_its_unit(places: Places, age: str) -> None:
    done = run("archive", "--older-than", age, "--output", "out")
    assert done.exit_code == Exit.USAGE
    assert "36h, 90d or 12w" in done.stderr
