"""A job that lost its passwords asks for them, and a wrong answer costs nothing but another asking."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kensho_tui.connections import ConnectionBook, SecretKind, SecretRef
from kensho_tui.lab import XenLab
from tests.desk import COMMAND, to_lab, until
from tests.faults.room import Room, room
from tests.faults.test_kills import SIZE, SLOW, ended, kill, pid_in
from tests.small import package

VARIABLE = "LAB_PASSWORD"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Room]:
    with room(tmp_path / "room") as one:
        one.connect(secret=SecretRef(SecretKind.ENV, VARIABLE))
        yield one


def orphaned(here: Room, tmp_path: Path) -> str:
    """A job under way whose runner and worker died, so that nobody knows its password any more."""
    path, _ = package(tmp_path, "victim", [SIZE])
    here.lab.control.set(bytes_per_second=SLOW)
    here.desk.environment[VARIABLE] = here.lab.password_file.read_text().strip()
    job = here.begins(path)
    here.moving()
    kill(pid_in(here.home / "state" / "runner.lock"))
    kill(pid_in(here.home / "state" / "jobs" / f"{job}.lock"))
    here.lab.control.set(bytes_per_second=None)
    del here.desk.environment[VARIABLE]
    return job


def question(here: Room, job: str, number: int) -> dict[str, Any]:
    """The question that the job waits for, when it has asked that often."""

    def look() -> dict[str, Any] | None:
        for each in here.desk.data("job", "show", job)["questions"]:
            if each["id"].endswith(f":{number}" if number > 1 else ":lab-xen"):
                return dict(each)
        return None

    return until("the question", look)


def answer(here: Room, job: str, question: str, value: str) -> None:
    """Answer as a person does, on standard input."""
    subprocess.run(
        [*COMMAND, "job", "answer", job, question],
        env=here.desk.environment, input=f"{value}\n", text=True, check=True, capture_output=True,
    )  # fmt: skip


def test_a_wrong_password_given_to_a_waiting_job_is_asked_for_again(
    here: Room, tmp_path: Path
) -> None:
    job = orphaned(here, tmp_path)
    answer(here, job, question(here, job, 1)["id"], "wr0ng")
    second = question(here, job, 2)
    assert "the last one was refused" in second["text"]
    answer(here, job, second["id"], here.lab.password_file.read_text().strip())
    assert ended(here.desk, job)["summary"]["state"] == "succeeded"


def test_a_wrong_password_while_all_is_taken_back_is_asked_for_again(
    here: Room, tmp_path: Path
) -> None:
    before = {d.uuid for d in here.lab.disks()}
    job = orphaned(here, tmp_path)
    question(here, job, 1)
    here.run("job", "cancel", job)
    for number in (1, 2):
        answer(here, job, question(here, job, number)["id"], "wr0ng")
    last = question(here, job, 3)
    answer(here, job, last["id"], here.lab.password_file.read_text().strip())
    view = ended(here.desk, job)
    assert (view["summary"]["state"], view["leftovers"]) == ("cancelled", [])
    assert {d.uuid for d in here.lab.disks()} == before


def test_a_job_sends_its_password_to_no_other_server_that_its_connection_has_come_to_mean(
    here: Room, tmp_path: Path
) -> None:
    before = {d.uuid for d in here.lab.disks()}
    path, _ = package(tmp_path, "victim", [SIZE])
    here.lab.control.set(bytes_per_second=SLOW)
    here.desk.environment[VARIABLE] = here.lab.password_file.read_text().strip()
    job = here.begins(path)
    here.moving()
    book = ConnectionBook(here.home / "config" / "connections.toml")
    with XenLab(tmp_path / "other") as other:
        book.put(to_lab(other, "lab-xen", secret=SecretRef(SecretKind.PROMPT)))
        # The runner lives, and hands what it holds to the worker that goes on.
        kill(pid_in(here.home / "state" / "jobs" / f"{job}.lock"))
        asked = question(here, job, 1)["text"]
        assert f"root at {other.url}" in asked
        assert f"address was {here.lab.url}, is {other.url}" in asked
        # Back where it was, what is held is used again, to take back what was made there.
        here.connect(secret=SecretRef(SecretKind.ENV, VARIABLE))
        here.run("job", "cancel", job)
        view = ended(here.desk, job)
        assert (view["summary"]["state"], view["leftovers"]) == ("cancelled", [])
        assert not [each for each in other.control.calls if "login" in each]
    assert [each for each in here.lab.control.calls if "login" in each], "calls tell of logins"
    assert {d.uuid for d in here.lab.disks()} == before
