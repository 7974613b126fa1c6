"""Whom to trust: a wrong password, a changed certificate, nobody there; nothing is begun, or it is asked."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kensho_tui.connections import SecretKind, SecretRef
from kensho_tui.engine.client import Client
from kensho_tui.migration.plan import Plan
from tests.desk import until
from tests.small import MIB, package

from .room import Room, holds, job_sentence, room, sentence


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    with room(tmp_path_factory.mktemp("room")) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _as_before(here: Room) -> Iterator[None]:
    here.lab.control.reset()
    here.lab.control.clear_calls()
    here.connect()
    here.remember()
    yield
    here.lab.control.reset()


def refused(here: Room, name: str) -> str:
    """The sentence that a test of the connection and an import to it both end with."""
    tested = here.run("connection", "test", name)
    imported = here.run("import", str(here.good), "--to", name, "--wait")
    assert (tested.returncode, imported.returncode) == (4, 4)
    assert sentence(tested) == sentence(imported)
    here.untouched()
    return sentence(imported)


def address(here: Room) -> str:
    return here.lab.url.removeprefix("https://")


def test_a_wrong_password_is_told_without_showing_it(here: Room, tmp_path: Path) -> None:
    wrong = tmp_path / "password"
    wrong.write_text("not-the-password\n")
    wrong.chmod(0o600)
    here.connect("other", secret=SecretRef(SecretKind.FILE, str(wrong)))
    said = refused(here, "other")
    holds(said, address(here), "refuses this user name or password", "Check the user name")
    assert "not-the-password" not in said


def test_a_password_that_is_nowhere_is_told_with_where_it_was_looked_for(
    here: Room, tmp_path: Path
) -> None:
    here.connect("other", secret=SecretRef(SecretKind.FILE, str(tmp_path / "none")))
    done = here.run("connection", "test", "other")
    assert done.returncode == 3
    holds(sentence(done), "'other'", str(tmp_path / "none"), "cannot be read", "mode 0600")


def test_nobody_at_the_address_is_told_as_that(here: Room) -> None:
    here.connect("other", address="https://127.0.0.1:1")
    holds(refused(here, "other"), "127.0.0.1:1", "nothing listens", "Check the address")


def test_a_self_signed_certificate_without_a_pin_is_shown_and_not_trusted(here: Room) -> None:
    here.connect("other", pin="")
    said = refused(here, "other")
    holds(said, address(here), "not trusted", "self-signed", "Compare", f"--pin {here.lab.pin}")
    added = here.run(
        "connection", "add", "fresh", "--platform", "xenserver", "--address", here.lab.url,
        "--username", "root", "--secret", f"file:{here.lab.password_file}",
    )  # fmt: skip
    assert added.returncode == 4
    holds(sentence(added), "not trusted", f"--pin {here.lab.pin}")
    assert "fresh" not in here.run("connection", "list").stdout


def test_a_certificate_that_changed_is_not_trusted_and_both_are_shown(here: Room) -> None:
    old = here.lab.pin
    new = here.lab.control.new_certificate()
    said = refused(here, "lab-xen")
    holds(said, address(here), "another certificate", old, new, "Ask who runs", "connection trust")
    here.connect()
    here.goes_on()


# --------------------------------------------------------------- between the plan and the worker
def planned(here: Room) -> dict[str, Any]:
    """A plan of the good package, as the command makes it."""
    plan: dict[str, Any] = here.desk.data(
        "import", str(here.good), "--to", "lab-xen", "--storage", "local-sr", "--dry-run"
    )["plan"]
    return plan


def asked_after_a_change(here: Room) -> tuple[str, dict[str, Any]]:
    """A job whose worker met another certificate than the plan's, and the question it asks."""
    plan = planned(here)
    here.lab.control.new_certificate()
    with Client.open(here.home / "state") as client:
        job = client.submit(Plan.model_validate(plan), {})
    (question,) = until("the question", lambda: here.desk.data("job", "show", job)["questions"])
    return job, question


@pytest.fixture
def _runner(here: Room) -> None:
    """The runner runs with the desk's own environment."""
    here.desk.run("job", "list")


@pytest.mark.usefixtures("_runner")
def test_a_certificate_that_changed_after_the_plan_is_asked_about(here: Room) -> None:
    job, question = asked_after_a_change(here)
    shown = here.run("job", "show", job).stdout
    holds(shown, "The job waits: lab-xen shows another certificate", here.lab.pin)
    holds(shown, f"kensho job answer {job} {question['id']} trust", "it is: stop")
    nonsense = here.run("job", "answer", job, question["id"], "maybe")
    assert nonsense.returncode == 3
    holds(sentence(nonsense), "none of the answers", "trust, stop")
    assert here.run("job", "answer", job, question["id"], "stop").returncode == 0
    done = here.run("job", "watch", job)
    assert done.returncode == 5
    holds(job_sentence(done), "another certificate", here.lab.pin, "Ask who runs")
    here.untouched()


@pytest.mark.usefixtures("_runner")
def test_a_certificate_that_is_said_to_be_right_is_trusted_for_the_job_alone(here: Room) -> None:
    before = len(here.lab.disks())
    job, question = asked_after_a_change(here)
    assert here.run("job", "answer", job, question["id"], "trust").returncode == 0
    assert here.run("job", "watch", job).returncode == 0
    assert len(here.lab.disks()) == before + 1
    assert here.run("connection", "test", "lab-xen").returncode == 4


def test_a_certificate_that_changes_between_two_disks_ends_the_job(
    here: Room, tmp_path: Path
) -> None:
    path, _ = package(tmp_path, "three", [2 * MIB, 2 * MIB, 2 * MIB])
    here.lab.control.set(bytes_per_second=MIB // 2)
    job = here.begins(path)
    here.moving()
    here.lab.control.new_certificate()
    here.lab.control.reset()
    done = here.run("job", "watch", job)
    # What stands was removed over the connection that was trusted; nobody can look afterwards.
    assert done.returncode in {5, 6}
    holds(job_sentence(done), "another certificate", here.lab.pin)
    here.untouched()
    here.connect()
    here.goes_on()
