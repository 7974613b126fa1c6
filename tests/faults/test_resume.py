"""Kill what runs a job in the middle of a disk: the disk goes on, and little of it is sent twice."""

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kensho_tui.engine.events import JobState
from kensho_tui.lab import XenLab
from kensho_tui.migration.plan import Metadata, Plan, SourcePlan, Spec, TargetPlan
from tests.desk import Desk, desk_at, until
from tests.faults.arrivals import Arrivals, acknowledged, arriving, notes, points
from tests.faults.bench import Bench, bench
from tests.faults.runs import Holding
from tests.faults.test_engine_move import disks
from tests.faults.test_kills import ended, kill, pid_in
from tests.peers.wrap import equal
from tests.small import MIB, package

SIZE = 96 * MIB
HELD = 24 * MIB  # of which so much is data
SEGMENT = 2 * MIB
SLOW = 8 * MIB
COPIED = 60 * MIB  # a package is synced once in it


@pytest.fixture
def arrivals() -> Iterator[Arrivals]:
    """Seen at the lab, from the test's own process."""
    with arriving() as seen:
        yield seen


@pytest.fixture
def desk(tmp_path: Path, lab: XenLab) -> Iterator[Desk]:
    """One whose disks are sent in small segments."""
    with desk_at(tmp_path, lab, segment_bytes=str(SEGMENT), segment_s="0") as opened:
        yield opened


def begun(desk: Desk, lab: XenLab, path: Path | str) -> str:
    """An import of a sparse disk, of which the lab has a third for good."""
    lab.control.set(bytes_per_second=SLOW)
    said = desk.data("import", str(path), "--to", "lab-xen", "--storage", "local-sr")
    until("a third of the disk", lambda: acknowledged(lab) >= SIZE // 3)
    return str(said["job"])


def arrived(lab: XenLab, origin: Path) -> None:
    """Assert that just this disk hangs on one new machine, and nothing else of ours is there."""
    (disk,) = [d for d in lab.disks() if "victim" in d.machine or "victim" in d.name]
    equal(origin, disk.file, left_format="raw", right_format="raw", size=SIZE)


def test_after_kill_9_of_the_worker_a_disk_goes_on_on_the_server(
    desk: Desk, lab: XenLab, tmp_path: Path, arrivals: Arrivals
) -> None:
    path, (origin,) = package(tmp_path, "victim", [SIZE], one_in=4)
    job = begun(desk, lab, path)
    kill(pid_in(tmp_path / "state" / "jobs" / f"{job}.lock"))
    lab.control.set(bytes_per_second=None)
    view = ended(desk, job)
    assert view["summary"]["state"] == "succeeded", view
    assert view["summary"]["attempt"] == 2
    arrived(lab, origin)
    said = notes(tmp_path / "state", job)
    assert "goes on at" in said
    assert "starts again" not in said
    assert arrivals.twice() <= 2 * SEGMENT, "the segment that was under way, no more"
    assert arrivals.total <= HELD + 2 * SEGMENT
    kept = points(tmp_path / "state", job)
    assert {each["epoch"] for each in kept} == {1, 2}
    assert max(len(json.dumps(each)) for each in kept) < 600


def test_a_wrapped_package_is_unpacked_again_by_the_next_worker_and_its_disk_goes_on(
    desk: Desk, lab: XenLab, tmp_path: Path, arrivals: Arrivals
) -> None:
    spools = tmp_path / "spools"
    spools.mkdir()
    desk.environment["KENSHO_SPOOL_DIR"] = str(spools)
    plain, (origin,) = package(tmp_path, "victim", [SIZE], one_in=4)
    path = plain.with_name("victim.ova.gz")
    path.write_bytes(gzip.compress(plain.read_bytes(), 1))
    plain.unlink()
    job = begun(desk, lab, path)
    worker = pid_in(tmp_path / "state" / "jobs" / f"{job}.lock")
    if Path("/proc/self/fd").is_dir():
        held = [os.readlink(each) for each in Path(f"/proc/{worker}/fd").iterdir()]
        assert any(each.startswith(str(spools)) and "(deleted)" in each for each in held), held
    kill(worker)
    lab.control.set(bytes_per_second=None)
    view = ended(desk, job)
    assert view["summary"]["state"] == "succeeded", view
    arrived(lab, origin)
    said = notes(tmp_path / "state", job)
    assert "goes on at" in said
    assert arrivals.twice() <= 2 * SEGMENT
    assert list(spools.iterdir()) == []


def test_a_worker_that_is_stopped_leaves_its_disk_to_be_gone_on_with(
    desk: Desk, lab: XenLab, tmp_path: Path, arrivals: Arrivals
) -> None:
    path, (origin,) = package(tmp_path, "victim", [SIZE], one_in=4)
    job = begun(desk, lab, path)
    desk.run("runner", "stop", "--workers")
    lab.control.set(bytes_per_second=None)
    view = ended(desk, job)
    assert view["summary"]["state"] == "succeeded", view
    arrived(lab, origin)
    assert "goes on at" in notes(tmp_path / "state", job)
    assert arrivals.twice() <= 2 * SEGMENT


def test_a_source_that_was_changed_while_nobody_ran_is_noticed_and_nothing_is_left(
    desk: Desk, lab: XenLab, tmp_path: Path
) -> None:
    path, _ = package(tmp_path, "victim", [SIZE], one_in=4)
    job = begun(desk, lab, path)
    kill(pid_in(tmp_path / "state" / "runner.lock"))
    kill(pid_in(tmp_path / "state" / "jobs" / f"{job}.lock"))
    lab.control.set(bytes_per_second=None)
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"changed")
    view = ended(desk, job)
    assert view["summary"]["state"] == "failed", view
    assert "changed while it was being moved" in view["summary"]["error"]["what"]
    assert not [d for d in lab.disks() if "victim" in d.machine or "victim" in d.name]


# --------------------------------------------------------------------------- package to package
def copied(engine: Bench, tmp_path: Path, name: str) -> tuple[str, Path, Path]:
    """A copy of a package that stands still past a resume point: the job, source and target."""
    path, _ = package(tmp_path, "victim", [COPIED])
    target = tmp_path / "target" / name
    target.parent.mkdir()
    plan = Plan(
        metadata=Metadata(name="copy"),
        spec=Spec(
            source=SourcePlan(package=str(path)),
            target=TargetPlan(package=str(target), format="ova" if name.endswith("a") else "ovf"),
        ),
    )
    job = engine.client.submit(plan)
    engine.wait_note(job, Holding.STANDS)
    return job, path, target


def same_disks(source: Path, target: Path, tmp_path: Path) -> None:
    """Assert that both packages hold the same disks."""
    (left,) = disks(source, tmp_path / "before")
    if target.is_dir():
        (right,) = target.glob("*.vmdk")
    else:
        (right,) = disks(target, tmp_path / "after")
    equal(left, right, left_format="vmdk", right_format="vmdk", size=COPIED)


@pytest.mark.parametrize("name", ["copy.ova", "copy"])
def test_after_kill_9_of_the_worker_a_disk_goes_on_in_its_package(
    tmp_path: Path, name: str
) -> None:
    with bench(tmp_path, "tests.faults.runs:run_holding") as engine:
        job, source, target = copied(engine, tmp_path, name)
        kill(engine.worker_pid(job))
        view = engine.wait_end(job)
        assert view.summary.state is JobState.SUCCEEDED, (view.summary.error, engine.log(job))
        assert view.summary.attempt == 2
        said = notes(engine.state, job)
        assert "goes on at" in said
        assert "read back and is the same" in said
        assert "starts again" not in said
    assert [each.name for each in target.parent.iterdir()] == [name], "nothing half-made"
    same_disks(source, target, tmp_path)


@pytest.mark.parametrize("name", ["copy.ova", "copy"])
def test_a_target_that_was_touched_while_nobody_ran_is_noticed(tmp_path: Path, name: str) -> None:
    with bench(tmp_path, "tests.faults.runs:run_holding") as engine:
        job, source, target = copied(engine, tmp_path, name)
        kill(pid_in(engine.state / "runner.lock"))
        kill(engine.worker_pid(job))
        partial = target.with_name(f"{name}.partial")
        if partial.is_dir():
            (partial,) = partial.glob("*.partial")
        with partial.open("r+b") as file:
            file.seek(20 * MIB)
            byte = file.read(1)[0]
            file.seek(20 * MIB)
            file.write(bytes([byte ^ 1]))
        engine.start()
        view = engine.wait_end(job)
        assert view.summary.state is JobState.SUCCEEDED, (view.summary.error, engine.log(job))
        assert "what is there of the disk is not what was written" in notes(engine.state, job)
    same_disks(source, target, tmp_path)
