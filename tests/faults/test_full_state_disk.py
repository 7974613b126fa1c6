"""A state disk that fills up: nothing is moved without a journal, and all of it is told."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kensho_tui.engine.ballast import BALLAST_SIZE
from kensho_tui.engine.events import JobState
from kensho_tui.engine.journal import Journal
from kensho_tui.engine.places import Places
from kensho_tui.errors import KenshoError
from kensho_tui.migration.plan import Metadata, Plan, SourcePlan, Spec, TargetPlan
from tests.desk import until
from tests.small import MIB, package

from .bench import ROOT, Bench, bench
from .room import holds, job_sentence, room, sentence
from .runs import fill

pytestmark = pytest.mark.skipif(
    shutil.which("qemu-img") is None, reason="qemu-img is missing: apt-get install qemu-utils"
)
DISK_SIZE = 48 * MIB


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own, which can be filled."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_SIZE}", "kensho-test", str(place)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("a small file system is wanted, and 'mount' is missing")
    if done.returncode:
        pytest.skip(
            f"a small file system is wanted, and only root may mount ({done.stderr.strip()})"
        )
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def here_list(engine: Bench) -> str:
    """What ``kensho job list`` says beside the list."""
    done = subprocess.run(
        [sys.executable, "-m", "kensho_tui", "job", "list"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "KENSHO_STATE_DIR": str(engine.state)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stderr


def holds_together(state: Path) -> None:
    """Assert that no event is missing or half written."""
    with Journal(Places(state).journal) as journal:
        assert journal.verify() == []


@pytest.mark.peer
def test_an_import_whose_state_disk_fills_up_is_taken_back_and_says_so(
    tmp_path: Path, disk: Path
) -> None:
    big, _ = package(tmp_path, "big", [4 * MIB])
    with room(tmp_path / "home") as here:
        here.desk.environment["KENSHO_STATE_DIR"] = str(disk / "state")
        here.remember()
        here.lab.control.set(bytes_per_second=2 * MIB)
        job = here.begins(big)
        here.moving()
        assert (disk / "state" / "ballast").stat().st_blocks * 512 >= BALLAST_SIZE
        fill(disk / "filler")
        here.lab.control.reset()
        done = here.run("job", "watch", job)
        assert done.returncode == 5, done.stdout + done.stderr
        holds(job_sentence(done), str(disk / "state"), "the state disk is full", "Make room there")
        here.untouched()
        assert here.run("journal", "verify").returncode == 0

        refused = here.imports(here.good)
        assert refused.returncode == 3
        holds(sentence(refused), "the state disk is full", "Make room there")
        assert here.desk.data("runner", "status")["full"]
        assert len(here.desk.jobs()) == 1

        (disk / "filler").unlink()
        here.goes_on()
        assert not here.desk.data("runner", "status")["full"]


@pytest.mark.peer
@pytest.mark.parametrize(
    "moment",
    ["beginning:deploy", "begun:deploy", "begun:disk:disk0", "done:deploy", "done:commit"],
)
def test_a_disk_that_fills_up_at_a_step_leaves_the_target_clean_or_complete(
    tmp_path: Path, disk: Path, moment: str
) -> None:
    source, _ = package(tmp_path, "good", [MIB])
    target = tmp_path / "target" / "moved.ova"
    target.parent.mkdir()

    def plan(moment: str) -> Plan:
        return Plan(
            metadata=Metadata(name="shop", labels={"die": moment, "mark": str(disk / "filler")}),
            spec=Spec(
                source=SourcePlan(package=str(source)), target=TargetPlan(package=str(target))
            ),
        )

    with bench(disk, "tests.faults.runs:run_filling") as engine:
        view = engine.wait_end(engine.client.submit(plan(moment)))
        assert (disk / "filler").exists(), "it came to that step"
        made = [each.name for each in target.parent.iterdir()]
        if view.summary.state is JobState.SUCCEEDED:
            assert made == ["moved.ova"]
        else:
            assert view.summary.state is JobState.FAILED
            assert view.summary.error is not None
            assert view.summary.error["what"] == "the state disk is full"
            assert made == []
        assert not view.leftovers
        holds_together(engine.state)
        with pytest.raises(KenshoError, match="the state disk is full"):
            engine.client.submit(plan(""))
        (disk / "filler").unlink()
        for each in target.parent.iterdir():
            each.unlink()
        view = engine.wait_end(engine.client.submit(plan("")))
        assert view.summary.state is JobState.SUCCEEDED, view.summary.error
        holds_together(engine.state)


def test_without_any_room_left_the_worker_ends_and_another_goes_on_when_there_is(
    disk: Path,
) -> None:
    with bench(disk) as engine:
        gate = engine.gate("gate")
        job = engine.submit(["step", "a"], ["gate", gate], ["step", "b"])
        engine.wait_note(job, gate)
        fill(disk / "filler")
        Places(engine.state).ballast.unlink()
        fill(disk / "filler")
        pid = engine.worker_pid(job)
        engine.open_gate(gate)
        until("the worker has ended", lambda: not Path(f"/proc/{pid}").exists())
        assert engine.done() == ["a"], "nothing is done that cannot be written down"
        assert engine.client.job(job).summary.state is JobState.RUNNING
        seen = engine.client.status()
        assert seen.full
        assert seen.free < seen.needed == 2 * BALLAST_SIZE
        listed = here_list(engine)
        assert "The state disk is full: 0 B are free and 34 MB have to be" in listed
        holds_together(engine.state)
        (disk / "filler").unlink()
        engine.open_gate(gate)
        view = engine.wait_end(job)
        assert view.summary.state is JobState.SUCCEEDED
        assert view.summary.attempt == 2
        assert engine.done() == ["a", "b"]
        holds_together(engine.state)
