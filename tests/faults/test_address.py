"""A package on a web server, and what happens while it is imported: killed workers, cut lines, another file."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from kensho_tui.lab import XenLab
from tests.desk import Desk, desk_at
from tests.faults.arrivals import Arrivals, arriving, notes
from tests.faults.test_kills import ended, kill, pid_in
from tests.faults.test_resume import HELD, SEGMENT, SIZE, arrived, begun
from tests.small import MIB, package
from tests.web import Site, serving


@pytest.fixture
def arrivals() -> Iterator[Arrivals]:
    """Seen at the lab, from the test's own process."""
    with arriving() as seen:
        yield seen


@pytest.fixture
def desk(tmp_path: Path, lab: XenLab, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """One whose disks are sent in small segments, and which no proxy stands before."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with desk_at(tmp_path, lab, segment_bytes=str(SEGMENT), segment_s="0") as opened:
        yield opened


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """With a package of one sparse disk."""
    path, _ = package(tmp_path, "victim", [SIZE], one_in=4)
    with serving(Site({"/d/victim.ova": path})) as made:
        yield made


def origin(folder: Path) -> Path:
    (raw,) = folder.glob("*.raw")
    return raw


def test_after_kill_9_of_the_worker_a_disk_goes_on_in_its_middle(
    desk: Desk, lab: XenLab, site: Site, tmp_path: Path, arrivals: Arrivals
) -> None:
    job = begun(desk, lab, site.at("/d/victim.ova"))
    # From now on each answer is cut off after a while, too.
    site.cut["/d/victim.ova"] = [3 * MIB, 0, 100_000] * 5
    kill(pid_in(tmp_path / "state" / "jobs" / f"{job}.lock"))
    lab.control.set(bytes_per_second=None)
    view = ended(desk, job)
    assert view["summary"]["state"] == "succeeded", view
    assert view["summary"]["attempt"] == 2
    arrived(lab, origin(tmp_path))
    assert "goes on at" in notes(tmp_path / "state", job)
    assert arrivals.twice() <= 2 * SEGMENT
    # Read for the disk, and once more of what was there already, for the manifest.
    assert site.sent < 3 * HELD + 4 * MIB


def test_a_job_reaches_a_server_through_the_proxy_of_whoever_started_the_runner(
    desk: Desk, lab: XenLab, site: Site, tmp_path: Path
) -> None:
    """No such name is known here: only the proxy gives the file."""
    desk.environment["http_proxy"] = site.url
    job = begun(desk, lab, "http://depot.invalid/d/victim.ova")
    lab.control.set(bytes_per_second=None)
    view = ended(desk, job)
    assert view["summary"]["state"] == "succeeded", view
    arrived(lab, origin(tmp_path))


def test_another_file_under_the_address_is_an_error_and_leaves_nothing(
    desk: Desk, lab: XenLab, site: Site, tmp_path: Path
) -> None:
    job = begun(desk, lab, site.at("/d/victim.ova"))
    path = site.files["/d/victim.ova"]
    assert isinstance(path, Path)
    other = path.with_suffix(".new")
    shutil.copy(path, other)
    with other.open("r+b") as file:
        file.seek(-5 * MIB, os.SEEK_END)
        file.write(b"another")
    other.replace(path)
    kill(pid_in(tmp_path / "state" / "jobs" / f"{job}.lock"))
    lab.control.set(bytes_per_second=None)
    view = ended(desk, job)
    assert view["summary"]["state"] == "failed", view
    assert "changed while it was being moved" in str(view)
    assert not [each for each in lab.disks() if "victim" in each.machine or "victim" in each.name]
