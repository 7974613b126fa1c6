"""Many small jobs through one runner, with several clients watching: memory, journal, lag, loss.

A figure, not a test: 200 imports of one small disk onto the lab, 8 at a time, five clients that watch
all of it. Memory is read from the kernel while they run; the lag is the time from an event's stamp in
the journal until a client has it in hand. Lost is what the journal holds and a client never saw.
"""

import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import median, quantiles
from typing import Any, TypeAlias

from kensho_tui.engine.client import Client
from kensho_tui.engine.events import Event, EventKind, JobState
from kensho_tui.engine.journal import Journal, utc_now
from kensho_tui.engine.places import Places
from kensho_tui.migration.plan import Plan
from tests.desk import Desk, desk_with_lab
from tests.small import MIB, package

JOBS = 200
AT_ONCE = 8
CLIENTS = 5
LOOK_S = 1.0
DEADLINE_S = 900.0

Told: TypeAlias = "multiprocessing.Queue[Any]"


@dataclass
class Memory:
    """Bytes that a kind of process took at most: all of it (RSS), and its share (PSS)."""

    rss: int = 0
    pss: int = 0
    seen: list[int] = field(default_factory=list)

    def look(self, pid: int) -> None:
        """Take a process into account, where it still lives."""
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
        except OSError:
            return
        sizes = {line.split(":")[0]: line.split()[1] for line in text.splitlines()[1:]}
        if "Rss" in sizes:
            self.rss = max(self.rss, int(sizes["Rss"]) << 10)
            self.pss = max(self.pss, int(sizes["Pss"]) << 10)
            self.seen.append(int(sizes["Pss"]) << 10)


def watch(state: str, jobs: int, told: Told) -> None:
    """One client, in a process of its own: puts its lags in seconds and what it saw into ``told``."""
    lags: list[float] = []
    seen: dict[str, list[int]] = {}
    ended = 0
    with Client.open(Path(state), start=False) as client:
        began = utc_now()
        told.put("ready")
        for update in client.watch():
            if not isinstance(update, Event):
                continue
            written = datetime.fromisoformat(update.at)
            if written > began:  # not what is told again from before
                lags.append((utc_now() - written).total_seconds())
            seen.setdefault(update.job, []).append(update.n)
            if update.kind is EventKind.STATE and JobState(update.data["state"]).ended:
                ended += 1
                if ended == jobs:
                    break
    told.put((lags, seen))


@contextmanager
def watchers(state: Path, jobs: int) -> Iterator[Told]:
    """The clients, all of them watching; what they tell at the end."""
    spawn = multiprocessing.get_context("spawn")
    told = spawn.Queue()
    clients = [
        spawn.Process(target=watch, args=(str(state), jobs, told), daemon=True)
        for _ in range(CLIENTS)
    ]
    for each in clients:
        each.start()
    for _ in clients:
        told.get(timeout=60)
    try:
        yield told
    finally:
        for each in clients:
            each.terminate()
            each.join()


def workers_of(supervisor: int) -> list[int]:
    """Process ids of its workers."""
    found = []
    for task in Path(f"/proc/{supervisor}/task").iterdir():
        try:
            found += [int(each) for each in (task / "children").read_text().split()]
        except OSError:
            continue
    return found


def measure(desk: Desk, home: Path) -> None:
    """Run the jobs and print the table."""
    state = Path(desk.environment["KENSHO_STATE_DIR"])
    config = Path(desk.environment["KENSHO_CONFIG_DIR"])
    (config / "runner.toml").write_text(f"jobs_at_once = {AT_ONCE}\n", encoding="utf-8")
    small, _ = package(home, "small", [MIB])
    said = desk.run("import", str(small), "--to", "lab-xen", "--storage", "local-sr", "--wait")
    first = json.loads(desk.run("job", "list", "--json").stdout)[0]["id"]
    supervisor, worker = Memory(), Memory()
    with Client.open(state, start=False) as client:
        plan = Plan.model_validate(client.job(first).plan)
        pid = client.status().pid
        assert pid, said.stderr
        with watchers(state, JOBS + 1) as told:
            began = time.monotonic()
            for number in range(JOBS):
                client.submit(
                    plan.model_copy(
                        update={
                            "metadata": plan.metadata.model_copy(
                                update={"name": f"small {number + 1}"}
                            )
                        }
                    )
                )
            answered: list[float] = []
            left = JOBS
            while left:
                if time.monotonic() - began > DEADLINE_S:
                    raise SystemExit(f"{left} jobs had not ended within {DEADLINE_S:.0f} s")
                supervisor.look(pid)
                for each in workers_of(pid):
                    worker.look(each)
                asked = time.monotonic()
                states = [each.state for each in client.jobs()]
                answered.append(time.monotonic() - asked)
                left = sum(not each.ended for each in states)
                time.sleep(LOOK_S)
            took = time.monotonic() - began
            results = [told.get(timeout=60) for _ in range(CLIENTS)]
        succeeded = sum(each is JobState.SUCCEEDED for each in states)
    with Journal(Places(state).journal) as journal:
        heads = journal.heads()
        findings = journal.verify()
    lags = [lag for each, _ in results for lag in each]
    whole = {job: list(range(1, last + 1)) for job, last in heads.items()}
    lost = sum(
        len(set(numbers) - set(seen.get(job, ())))
        for _, seen in results
        for job, numbers in whole.items()
    )
    twice = sum(len(each) - len(set(each)) for _, seen in results for each in seen.values())
    size = sum(each.stat().st_size for each in state.glob("journal.db*"))
    events = sum(heads.values())
    rows = [
        ("jobs", f"{succeeded} of {JOBS + 1} succeeded, {AT_ONCE} at a time, in {took:.0f} s"),
        ("supervisor, at most", f"{_mb(supervisor.rss)} RSS, {_mb(supervisor.pss)} PSS"),
        ("a worker, at most", f"{_mb(worker.rss)} RSS, {_mb(worker.pss)} PSS"),
        ("a worker, median", f"{_mb(int(median(worker.seen)))} PSS"),
        ("journal", f"{_mb(size)}, {events} events, {size // (JOBS + 1) / 1000:.1f} kB a job"),
        ("event lag, live", f"median {median(lags) * 1000:.0f} ms, 95 % {_p95(lags)} ms"),
        ("list of all jobs", f"median {median(answered) * 1000:.0f} ms, 95 % {_p95(answered)} ms"),
        ("events lost / twice", f"{lost} / {twice}, over {CLIENTS} clients"),
        ("journal verify", f"{len(findings)} findings"),
    ]
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}")
    for name, text in rows:
        print(f"{name:22}{text}")


def _mb(size: int) -> str:
    return f"{size / 1e6:.0f} MB"


def _p95(values: list[float]) -> str:
    return f"{quantiles(values, n=20)[-1] * 1000:.0f}"


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory(prefix="kensho-fleet-") as private:
        home = Path(private)
        with desk_with_lab(home) as desk:
            measure(desk, home)
            desk.run("runner", "stop", "--workers")
