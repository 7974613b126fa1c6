"""Times and windows by the machine's own clock: jobs wait for theirs, and then go on by themselves."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.small import MIB, package

from .room import Room, room

# Windows open on the minute. What is left until then has to be enough to start the jobs, or they have
# nothing to wait for: on a machine that is slower than that it is done again with more.
LEADS_S = (15, 45)
pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Room]:
    with room(tmp_path) as one:
        yield one


def begun(here: Room, opens: datetime) -> dict[str, str]:
    """Imports of a small disk that have to wait for that moment, by what they wait with."""
    window = f"{opens:%H:%M}-{opens + timedelta(minutes=30):%H:%M} UTC"
    found = {}
    for option, value in (
        ("--start-at", f"{opens:%Y-%m-%dT%H:%M:%SZ}"),
        ("--window", window),
        ("--cutover-window", window),
    ):
        name = f"{option.strip('-')}-{opens:%H%M}"
        path, _ = package(here.home, name, [MIB])
        found[option] = here.begins(path, option, value)
    return found


def story(log: list[dict[str, Any]]) -> list[str]:
    """The states that the job went through, with their reasons, and between them what it did."""
    told: list[str] = []
    for each in log:
        if each["kind"] == "state":
            data = each["data"]
            told.append(" ".join(filter(None, (data["state"], data.get("reason")))))
        elif each["kind"] == "step_begun":
            step = "commits" if each["step"] == "commit" else "works"
            told += [step] if told[-1:] != [step] else []
    return told


EXPECTED = {
    "--start-at": ["scheduled start", "queued", "works", "commits", "succeeded"],
    "--window": ["scheduled window", "queued", "works", "commits", "succeeded"],
    "--cutover-window": ["works", "paused cutover", "running", "commits", "succeeded"],
}


def test_jobs_wait_for_their_time_and_then_go_on_by_themselves(here: Room) -> None:
    for lead in LEADS_S:
        soon = datetime.now(UTC) + timedelta(seconds=lead)
        opens = soon.replace(second=0, microsecond=0) + timedelta(minutes=1)
        jobs = begun(here, opens)
        for job in jobs.values():
            here.desk.run("job", "watch", job)
        logs = {option: here.desk.data("job", "show", job)["log"] for option, job in jobs.items()}
        # Whatever was waited for, nothing of it was done before.
        for option, log in logs.items():
            held = "commit" if option == "--cutover-window" else ""
            steps = [e for e in log if e["kind"] == "step_begun" and held in e["step"]]
            assert all(datetime.fromisoformat(each["at"]) >= opens for each in steps), option
        told = {option: story(log) for option, log in logs.items()}
        if told == EXPECTED:
            return
    raise AssertionError(told)
