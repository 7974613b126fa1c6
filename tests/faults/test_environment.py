"""A password handed to guests: asked about, kept for a while, and taken away by a command afterwards."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.desk import until
from tests.faults.room import Room, holds, room
from tests.faults.test_kills import kill, pid_in
from tests.unit.migration.packages import shop

VARIABLE = "SHOP_ADMIN"
CANARY = "guest-canary-7f31"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    with room(tmp_path_factory.mktemp("room")) as opened:
        opened.desk.environment[VARIABLE] = CANARY
        yield opened


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shop(tmp_path_factory.mktemp("shop"))


def cds(here: Room) -> int:
    """How many disks of the lab hold the password."""
    disks = [each for each in here.lab.disks() if each.file.exists()]
    return sum(CANARY.encode() in each.file.read_bytes() for each in disks)


def begun(here: Room, package: Path, *options: str) -> str:
    """The import under way; the job's id."""
    return here.begins(
        package, "--accept-eula", "all", "--home", "lab-pool",
        "--network", "Front=Pool-wide eth0", "--network", "VLAN 10=Pool-wide eth0",
        "--property", "shop.hostname=shop", "--property", f"shop.admin=env:{VARIABLE}", *options,
    )  # fmt: skip


def view(here: Room, job: str) -> dict[str, Any]:
    found: dict[str, Any] = here.desk.data("job", "show", job)
    return found


def asked(here: Room, job: str) -> dict[str, Any]:
    (question,) = until("the question", lambda: view(here, job)["questions"])
    return dict(question)


def test_a_job_waits_for_the_guests_and_eject_answers_it(here: Room, package: Path) -> None:
    job = begun(here, package, "--start", "--eject-after", "60")
    question = asked(here, job)
    assert question["kind"] == "environment"
    assert cds(here) == 2
    holds(
        here.run("job", "show", job).stdout,
        f"kensho job answer {job} withdraw eject",
        "Without an answer until",
    )
    assert here.run("job", "eject", job).returncode == 0
    assert here.run("job", "watch", job).returncode == 0
    assert cds(here) == 0
    assert view(here, job)["leftovers"] == []


def test_who_cancels_it_then_is_told_that_the_machines_stay(here: Room, package: Path) -> None:
    holds(here.run("job", "cancel", "--help").stdout, "in service they stay")
    job = begun(here, package, "--start", "--eject-after", "60")
    asked(here, job)
    done = here.run("job", "cancel", job, "--wait")
    assert done.returncode == 0, done.stderr
    holds(done.stderr, "in service and stay", "ejected and deleted, now", "ends as succeeded")
    assert "is being cancelled" not in done.stderr
    holds(done.stdout, ", who cancelled the job: eject", "in service and stay", "job succeeded")
    assert cds(here) == 0
    shown = view(here, job)
    assert (shown["summary"]["state"], shown["leftovers"]) == ("succeeded", [])
    (report,) = json.loads(here.run("job", "report", job, "--format", "json").stdout)
    (question,) = report["questions"]
    assert question["answer"] == "eject"
    assert question["by"].endswith(", who cancelled the job")
    assert any("cancelled by" in each and "stay" in each for each in report["warnings"])


def test_what_is_kept_is_listed_and_ejected_after_the_end(here: Room, package: Path) -> None:
    job = begun(here, package, "--start")
    here.run("job", "answer", job, asked(here, job)["id"], "keep")
    watched = here.run("job", "watch", job)
    assert watched.returncode == 0
    holds(watched.stdout, "job succeeded", "Left over: the CDs", f"'kensho job eject {job}'")
    assert cds(here) == 2
    ejected = here.run("job", "eject", job)
    assert ejected.returncode == 0, ejected.stderr
    assert cds(here) == 0
    shown = view(here, job)
    assert (shown["summary"]["state"], shown["leftovers"]) == ("succeeded", [])
    again = here.run("job", "eject", job)
    assert again.returncode == 3
    holds(again.stderr, "none of its CDs holds a password any more")


def test_a_worker_killed_while_the_guests_are_waited_for_forgets_nothing(
    here: Room, package: Path
) -> None:
    job = begun(here, package, "--start")
    question = asked(here, job)
    kill(pid_in(here.home / "state" / "jobs" / f"{job}.lock"))
    until("the next worker", lambda: view(here, job)["summary"]["attempt"] > 1)
    assert asked(here, job) == question
    here.run("job", "answer", job, question["id"], "eject")
    assert here.run("job", "watch", job).returncode == 0
    assert cds(here) == 0


def test_a_job_that_is_at_work_is_not_ejected_under_its_hands(here: Room, package: Path) -> None:
    here.lab.control.set(bytes_per_second=1 << 20)
    try:
        job = begun(here, package)
        done = here.run("job", "eject", job)
        assert done.returncode == 3
        holds(done.stderr, "still at work", "Wait for its end")
    finally:
        here.lab.control.reset()
    assert here.run("job", "watch", job).returncode == 0
    assert here.run("job", "eject", job).returncode == 0
