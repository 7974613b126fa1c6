"""Kill what runs an import, at its busiest: the job ends well or is cleaned up, and nothing is orphaned."""

import fcntl
import json
import os
import pty
import signal
import struct
import sys
import termios
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from kensho_tui.lab import XenLab
from tests.desk import Desk, until
from tests.peers.wrap import equal
from tests.small import MIB, package

SIZE = 12 * MIB
# Slow enough that a kill lands in the middle of a disk, fast enough that a repeated one ends soon.
SLOW = 3 * MIB


def started(desk: Desk, tmp_path: Path) -> tuple[str, list[Path]]:
    """An import of two disks that is under way; the job's id and the disks it moves."""
    path, origins = package(tmp_path, "victim", [SIZE, SIZE])
    said = desk.data("import", str(path), "--to", "lab-xen", "--storage", "local-sr")
    return str(said["job"]), origins


def moving(desk: Desk, lab: XenLab, job: str) -> None:
    """Wait until bytes of a disk are on their way."""
    until("a disk on its way", lambda: "PUT /import_raw_vdi" in lab.control.calls)
    assert desk.data("job", "show", job)["summary"]["state"] == "running"


def pid_in(path: Path) -> int:
    """The process that holds the lock file."""
    return int(json.loads(path.read_text())["pid"])


def kill(pid: int) -> None:
    """SIGKILL, and wait until the process is gone."""
    os.kill(pid, signal.SIGKILL)

    def gone() -> bool:
        with suppress(FileNotFoundError):
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        return True

    until(f"the end of process {pid}", gone)


def ended(desk: Desk, job: str) -> dict[str, Any]:
    """The job, when it has ended."""

    def look() -> dict[str, Any] | None:
        view: dict[str, Any] = desk.data("job", "show", job)
        over = {"succeeded", "failed", "cancelled", "needs_attention"}
        return view if view["summary"]["state"] in over else None

    return until("the end of the job", look)


def arrived(lab: XenLab, origins: list[Path]) -> None:
    """Assert that just these disks hang on one new machine, and nothing else of ours is there."""
    ours = [d for d in lab.disks() if d.machine.startswith("victim")]
    assert sorted(d.device for d in ours) == ["0", "1"]
    for disk in ours:
        origin = origins[int(disk.device)]
        equal(origin, disk.file, left_format="raw", right_format="raw", size=SIZE)
    assert not [d for d in lab.disks() if not d.machine and "victim" in d.name]


def test_killing_the_worker_in_the_middle_of_a_disk_goes_on_with_another(
    desk: Desk, lab: XenLab, tmp_path: Path
) -> None:
    lab.control.set(bytes_per_second=SLOW)
    job, origins = started(desk, tmp_path)
    moving(desk, lab, job)
    kill(pid_in(tmp_path / "state" / "jobs" / f"{job}.lock"))
    lab.control.set(bytes_per_second=None)
    view = ended(desk, job)
    assert view["summary"]["state"] == "succeeded"
    assert view["summary"]["attempt"] == 2
    arrived(lab, origins)


def test_killing_the_supervisor_leaves_the_job_running_and_the_next_command_sees_it(
    desk: Desk, lab: XenLab, tmp_path: Path
) -> None:
    lab.control.set(bytes_per_second=SLOW)
    job, origins = started(desk, tmp_path)
    moving(desk, lab, job)
    kill(pid_in(tmp_path / "state" / "runner.lock"))
    lab.control.set(bytes_per_second=None)
    view = ended(desk, job)
    assert view["summary"]["state"] == "succeeded"
    assert view["summary"]["attempt"] == 1
    arrived(lab, origins)


def test_killing_the_terminal_interface_does_not_touch_the_job_it_started(
    desk: Desk, lab: XenLab, tmp_path: Path
) -> None:
    lab.control.set(bytes_per_second=SLOW)
    path, origins = package(tmp_path, "victim", [SIZE, SIZE])
    process, terminal = pty.fork()
    if process == 0:
        command = [sys.executable, "-m", "tests.faults.watcher", str(path)]
        os.execve(command[0], command, desk.environment | {"TERM": "xterm-256color"})
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    drain = threading.Thread(target=read_all, args=(terminal,))
    drain.start()
    (job,) = until("the job", lambda: [each["id"] for each in desk.jobs()])
    moving(desk, lab, job)
    kill(process)
    os.waitpid(process, 0)
    drain.join()
    os.close(terminal)
    lab.control.set(bytes_per_second=None)
    view = ended(desk, job)
    assert view["summary"]["state"] == "succeeded"
    assert view["summary"]["attempt"] == 1
    arrived(lab, origins)


def read_all(terminal: int) -> None:
    """Take what a program paints until it is gone, so that it never waits for its terminal."""
    with suppress(OSError):
        while os.read(terminal, 65536):
            pass


def test_killing_both_goes_on_when_the_operator_comes_back(
    desk: Desk, lab: XenLab, tmp_path: Path
) -> None:
    lab.control.set(bytes_per_second=SLOW)
    job, origins = started(desk, tmp_path)
    moving(desk, lab, job)
    kill(pid_in(tmp_path / "state" / "runner.lock"))
    kill(pid_in(tmp_path / "state" / "jobs" / f"{job}.lock"))
    lab.control.set(bytes_per_second=None)
    view = ended(desk, job)
    assert view["summary"]["state"] == "succeeded"
    arrived(lab, origins)


def test_cancelling_in_the_middle_of_a_disk_leaves_nothing(
    desk: Desk, lab: XenLab, tmp_path: Path
) -> None:
    before = {d.uuid for d in lab.disks()}
    lab.control.set(bytes_per_second=SLOW)
    job, _ = started(desk, tmp_path)
    moving(desk, lab, job)
    desk.run("job", "cancel", job)
    assert ended(desk, job)["summary"]["state"] == "cancelled"
    assert {d.uuid for d in lab.disks()} == before
