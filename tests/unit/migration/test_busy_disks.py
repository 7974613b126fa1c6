"""Disks that somebody else is reading: the job waits for them, and says why where it cannot."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from backends.base import Consistency, Kind
from kensho_tui.cancel import Cancel
from kensho_tui.lab import XenLab
from kensho_tui.migration.draft import Draft
from kensho_tui.migration.plan import Plan
from kensho_tui.migration.run import run_job
from kensho_tui.migration.target import find_machines
from kensho_tui.ovf.package import open_package
from tests.unit.migration.conftest import World
from tests.unit.migration.memory import MemoryClock, MemoryContext

MACHINES = frozenset({Kind.MACHINE})


def export_plan(world: World, path: Path) -> Plan:
    draft = Draft()
    with world.sessions() as sessions:
        refs = find_machines(sessions.get("old"), MACHINES, ["legacy-app"], "old")
        draft.load_machines(sessions, "old", refs, Consistency.OFF)
        draft.load_target_package(sessions, str(path), "ova")
        draft.check(sessions)
    return draft.plan()


def disks_of(lab: XenLab) -> list[str]:
    """References of the machine's disks."""
    database = lab.toolstack.database
    with database.lock:
        return [
            database.by_uuid("VDI", disk.uuid)
            for disk in lab.disks()
            if disk.machine == "legacy-app"
        ]


class FreeClock(MemoryClock):
    """Who sleeps by it wakes once no transfer of the lab is under way."""

    def __init__(self, lab: XenLab, changed: threading.Condition) -> None:
        super().__init__()
        self._busy = lab.toolstack.usage._busy
        self._changed = changed

    def sleep(self, seconds: float, cancel: Cancel) -> None:
        super().sleep(seconds, cancel)
        with self._changed:
            assert self._changed.wait_for(lambda: not self._busy, timeout=60)


def test_several_exports_of_one_machine_at_once_all_succeed(world: World, tmp_path: Path) -> None:
    usage = world.old.toolstack.usage
    changed = threading.Condition()
    release = usage.release

    def released(vdi: str, linger_s: float) -> None:
        release(vdi, linger_s)
        with changed:
            changed.notify_all()

    usage.release = released  # type: ignore[method-assign]
    plans = [export_plan(world, tmp_path / f"legacy{n}.ova") for n in range(5)]
    contexts = [MemoryContext(world.secrets) for _ in plans]
    # Somebody has the disks already, so that every one of the jobs meets a disk that is in use.
    held = disks_of(world.old)
    for vdi in held:
        usage.claim(vdi, "attach")
    waiting = threading.Semaphore(0)
    for context in contexts:
        context.clock = FreeClock(world.old, changed)
        context.on = lambda kind, step: waiting.release() if kind == "note" else None
    with ThreadPoolExecutor(len(plans)) as pool:
        futures = [pool.submit(run_job, *each) for each in zip(contexts, plans, strict=True)]
        for _ in plans:
            assert waiting.acquire(timeout=60)
        for vdi in held:
            usage.release(vdi, 0)
        outcomes = [future.result() for future in futures]
    assert [str(each.error or "") for each in outcomes] == [""] * len(plans)
    for context in contexts:
        assert "the disk is in use; waiting until it is free" in context.notes()
    for n in range(len(plans)):
        names = open_package(tmp_path / f"legacy{n}.ova").places
        assert len([name for name in names if name.endswith(".vmdk")]) == 2


def test_a_disk_that_stays_in_use_ends_the_job_with_that_reason(
    world: World, tmp_path: Path
) -> None:
    for vdi in disks_of(world.old):
        world.old.toolstack.usage.claim(vdi, "attach")
    context = MemoryContext(world.secrets)
    outcome = run_job(context, export_plan(world, tmp_path / "legacy.ova"))
    assert outcome.state == "failed"
    assert "the disk is in use" in str(outcome.error)
    assert context.notes().count("in use") <= 2
    # Long enough for another export, and not for ever.
    assert 600 <= sum(context.clock.slept) <= 1800
    assert list(tmp_path.glob("legacy.ova*")) == []
