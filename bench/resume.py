"""Kill -9 in the middle of a disk: how much is sent twice, and how long until it is as far again.

A worker is killed as soon as its target has a good part of the disk for good; the runner starts another
one. *Sent twice* is what arrived at the target a second time, *lost* the seconds from the kill until the
target has more than it ever had. Loopback and small disks: the figures show what resuming costs, not
what a network does.
"""

import logging
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kensho_tui.lab import XenLab
from kensho_tui.migration.plan import Metadata, Plan, SourcePlan, Spec, TargetPlan
from tests.desk import desk_at, until
from tests.faults.arrivals import Arrivals, acknowledged, arriving, points
from tests.faults.bench import bench
from tests.faults.test_kills import ended, pid_in
from tests.small import MIB, package

SIZE = 192 * MIB
SEGMENTS = (2, 16, 64)  # MiB
_PUT = "PUT /import_raw_vdi"
RATE = 64 * MIB  # bytes a second: a gigabit's half, so that a kill lands in the middle


def main() -> None:
    """Print the table."""
    # The lab warns of every image that ends early, which each kill here sees to.
    logging.getLogger("kensho.lab").addHandler(logging.NullHandler())
    print(f"{'target':34}{'disk':>9}{'sent twice':>13}{'of it':>8}{'lost':>9}")
    with tempfile.TemporaryDirectory() as home:
        path, _ = package(Path(home), "disk", [SIZE])
        for mib in SEGMENTS:
            with _folder(home) as folder:
                _row(f"XenServer, segments of {mib} MiB", *_server(folder, path, mib * MIB))
        for ending in ("ova", "ovf"):
            with _folder(home) as folder:
                _row(f"package, .{ending}", *_package(folder, path, ending))


def _row(name: str, twice: int, lost: float) -> None:
    share = f"{twice / SIZE:.1%}"
    print(f"{name:34}{SIZE / MIB:5.0f} MiB{twice / MIB:9.1f} MiB{share:>8}{lost:7.1f} s")


@contextmanager
def _folder(home: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=home) as folder:
        yield Path(folder)


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def _server(folder: Path, path: Path, segment: int) -> tuple[int, float]:
    settings = {"segment_bytes": str(segment), "segment_s": "0"}
    with (
        XenLab(folder / "lab") as lab,
        arriving() as arrivals,
        desk_at(folder, lab, **settings) as desk,
    ):
        lab.control.set(bytes_per_second=RATE)
        said = desk.data("import", str(path), "--to", "lab-xen", "--storage", "local-sr")
        job = str(said["job"])
        until("a third of the disk", lambda: acknowledged(lab) >= SIZE // 3)
        # In the middle of a segment, as a kill would be.
        half = segment // 2
        until("half a segment", lambda: _furthest(arrivals) > acknowledged(lab) + half)
        _kill(pid_in(folder / "state" / "jobs" / f"{job}.lock"))
        began, sent = time.monotonic(), lab.control.calls.count(_PUT)
        # What was in the network's buffers still arrives; then comes the next worker.
        until("the next worker", lambda: lab.control.calls.count(_PUT) > sent)
        most = _furthest(arrivals)
        until("more than there ever was", lambda: _furthest(arrivals) > most)
        lost = time.monotonic() - began
        assert ended(desk, job)["summary"]["state"] == "succeeded"
        return arrivals.twice(), lost


def _furthest(arrivals: Arrivals) -> int:
    return max((offset + length for _, offset, length in arrivals.found), default=0)


def _package(folder: Path, path: Path, ending: str) -> tuple[int, float]:
    with bench(folder, "kensho_tui.migration.run:run_job") as engine:
        target = folder / "target" / ("copy.ova" if ending == "ova" else "copy")
        target.parent.mkdir()
        form = "ova" if ending == "ova" else "ovf"
        spec = Spec(
            source=SourcePlan(package=str(path)),
            target=TargetPlan(package=str(target), format=form),  # type: ignore[arg-type]
        )
        job = engine.client.submit(Plan(metadata=Metadata(name="copy"), spec=spec))
        engine.client.limit(job, RATE)
        partial = target.with_name(f"{target.name}.partial")

        def size() -> int:
            found = [partial, *partial.glob("*.partial"), *partial.glob("*.vmdk"), target]
            return max((p.stat().st_size for p in found if p.is_file()), default=0)

        until("a resume point", lambda: points(engine.state, job))
        until(
            "bytes after it", lambda: size() > points(engine.state, job)[-1]["point"]["end"] + MIB
        )
        kept = points(engine.state, job)[-1]["point"]["end"]
        pid = engine.worker_pid(job)
        os.kill(pid, signal.SIGSTOP)  # so that it comes no further than is looked at
        most = size()
        _kill(pid)
        began = time.monotonic()
        until("more than there ever was", lambda: target.exists() or size() > most)
        lost = time.monotonic() - began
        engine.wait_end(job)
        again = [p["point"]["end"] for p in points(engine.state, job) if p["epoch"] == 1]
        assert again[-1] >= kept
        return max(0, most - again[-1]), lost


if __name__ == "__main__":
    main()
