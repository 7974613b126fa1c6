"""Disks that are paused or slowed in their middle: nothing more arrives, and then they go on."""

import os
import signal
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kensho_tui.engine.client import Client
from kensho_tui.engine.places import Places, is_held
from kensho_tui.migration.context import Sample
from kensho_tui.migration.times import DAYS
from tests.desk import DEADLINE_S, until
from tests.peers.wrap import equal
from tests.small import MIB, package

from .room import Room, room

SIZE = 24 * MIB
# Slow enough that the disk is in its middle for as long as a command takes.
SLOW = 3 * MIB


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Room]:
    with room(tmp_path) as one:
        yield one


def content(here: Room) -> bytes:
    """What the lab has of the disk by now."""
    (disk,) = [each for each in here.lab.disks() if "victim" in f"{each.name}{each.machine}"]
    return disk.file.read_bytes()


def samples(here: Room, job: str) -> Iterator[Sample]:
    """Samples of the job, as its watchers see them; ends with a failure when none comes any more."""
    with Client.open(here.home / "state", start=False) as client:
        alarm = threading.Timer(DEADLINE_S, client.close)
        alarm.start()
        try:
            for update in client.watch(job):
                if isinstance(update, tuple):
                    yield update[1]
        finally:
            alarm.cancel()
    raise AssertionError("no sample came any more")


def stands_still(here: Room, job: str) -> Sample:
    """Wait until the job tells twice that it stands where it stood, at no rate."""
    last = None
    for sample in samples(here, job):
        if sample.rate == 0.0 and sample.written and sample == last:
            return sample
        last = sample
    raise AssertionError("unreachable")


def nothing_arrives(here: Room) -> bytes:
    """Assert that of the disk nothing arrives while another one arrives from end to end."""
    here.lab.control.reset()  # nothing is slow any more: what was still on its way gets there
    here.goes_on()
    before = content(here)
    here.goes_on()
    assert content(here) == before
    return before


def begun(here: Room, *options: str) -> tuple[str, Path]:
    """An import of one disk that is in the middle of it."""
    path, (origin,) = package(here.home, "victim", [SIZE])
    here.lab.control.set(bytes_per_second=SLOW)
    job = here.begins(path, *options)
    here.moving()
    next(each for each in samples(here, job) if each.written)
    return job, origin


def arrives(here: Room, job: str, origin: Path) -> None:
    """Assert that the job ends well, with the disk as it was."""
    done = here.desk.run("job", "watch", job)
    assert "succeeded" in done.stdout
    (disk,) = [each for each in here.lab.disks() if each.machine.startswith("victim")]
    equal(origin, disk.file, left_format="raw", right_format="raw", size=SIZE)


def test_a_disk_paused_in_its_middle_stands_still_and_goes_on_from_there(here: Room) -> None:
    job, origin = begun(here)
    here.desk.run("job", "pause", job)
    sample = stands_still(here, job)
    assert sample.eta_s is None
    assert 0 < sample.position < SIZE
    part = nothing_arrives(here)
    assert part != origin.read_bytes()
    here.desk.run("job", "resume", job)
    arrives(here, job, origin)
    view = here.desk.data("job", "show", job)
    assert view["summary"]["attempt"] == 1
    begins = [each for each in view["log"] if each["kind"] == "step_begun"]
    assert len([each for each in begins if each["step"].startswith("disk:")]) == 1
    assert not [each for each in view["log"] if "again" in each["data"].get("message", "")]


@pytest.mark.parametrize("who", ["worker", "supervisor"])
def test_a_disk_paused_in_its_middle_arrives_though_its_runner_is_killed(
    here: Room, who: str
) -> None:
    job, origin = begun(here)
    here.desk.run("job", "pause", job)
    stands_still(here, job)
    here.lab.control.reset()
    places = Places(here.home / "state")
    lock = places.job_lock(job) if who == "worker" else places.runner_lock
    os.kill(int(lock.read_text().split('"pid": ')[1].split(",")[0]), signal.SIGKILL)
    until("the end of what was killed", lambda: not is_held(lock))
    here.goes_on()  # by a runner that has looked at the paused job too
    assert here.desk.data("job", "show", job)["summary"]["state"] == "paused"
    here.desk.run("job", "resume", job)
    arrives(here, job, origin)
    attempt = here.desk.data("job", "show", job)["summary"]["attempt"]
    assert attempt == (2 if who == "worker" else 1)


def test_a_paused_disk_is_taken_back_when_its_job_is_cancelled(here: Room) -> None:
    here.remember()
    job, _ = begun(here)
    here.desk.run("job", "pause", job)
    stands_still(here, job)
    here.lab.control.reset()
    done = here.run("job", "cancel", job, "--wait")
    assert done.returncode == 7, done.stdout + done.stderr
    here.untouched()


def test_a_limit_that_is_changed_counts_in_the_middle_of_a_disk(here: Room) -> None:
    job, origin = begun(here, "--bandwidth", "2M")
    here.desk.run("job", "limit", job, "1 B")
    # A mebibyte would take it twelve days: what has moved is not due before this test is over.
    part = nothing_arrives(here)
    assert part != origin.read_bytes()
    assert here.desk.data("job", "show", job)["summary"]["limit"] == 1
    here.desk.run("job", "limit", job, "none")
    arrives(here, job, origin)


def test_the_last_step_waits_for_its_window_with_all_bytes_there_and_can_be_cancelled(
    here: Room,
) -> None:
    here.remember()
    path, (origin,) = package(here.home, "victim", [MIB])
    later = DAYS[(datetime.now(UTC).weekday() + 3) % 7]
    job = here.begins(path, "--cutover-window", f"{later} 10:00-11:00 UTC")

    def waits() -> bool:
        row = here.desk.data("job", "show", job)["summary"]
        return (row["state"], row["reason"]) == ("paused", "cutover")

    until("the wait for the window", waits)
    shown = here.desk.run("job", "show", job).stdout
    assert "all is there; waits until the window for the last step opens at 20" in shown
    assert content(here)[:MIB] == origin.read_bytes()
    refused = here.run("job", "resume", job)
    assert refused.returncode == 3
    assert "goes on by itself" in refused.stderr
    assert here.run("job", "cancel", job, "--wait").returncode == 7
    here.untouched()
