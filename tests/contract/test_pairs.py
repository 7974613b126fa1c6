"""Whole moves between every pair of platforms, by the job that moves them: every byte arrives.

A platform takes part by its bench alone (`tests.contract.conftest.BENCHES`).
"""

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from backends.base import Consistency, Deployment, Offer, Reader
from kensho_tui.connections import ConnectionBook
from kensho_tui.disks.copy import choose, transfer
from kensho_tui.disks.image import Access, Format, ImageError
from kensho_tui.machine import DiskId
from kensho_tui.migration.draft import Draft
from kensho_tui.migration.run import run_job
from kensho_tui.migration.sessions import Sessions
from tests.contract.bench import CAPACITY, DISKS, Bench, Captured, MemoryDisk, pattern
from tests.unit.migration.memory import MemoryContext

Pair = tuple[Bench, Bench]


@pytest.fixture(autouse=True)
def book(pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Both in the operator's connection book; their passwords."""
    monkeypatch.setenv("KENSHO_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("KENSHO_STATE_DIR", str(tmp_path / "state"))
    passwords = {}
    for bench in pair:
        if known := bench.known():
            ConnectionBook().put(known[0])
            passwords[f"connection:{known[0].name}"] = known[1]
    return passwords


def move(pair: Pair, passwords: dict[str, str]) -> tuple[Captured, MemoryContext, Any]:
    """The move with what is proposed; what was captured, the context and the outcome."""
    source, target = pair
    draft = Draft()
    context = MemoryContext(passwords)
    with Sessions(ConnectionBook(), context.secrets) as sessions:
        captured = source.as_source(draft, sessions)
        target.as_target(draft, sessions)
        plan = draft.plan()
    return captured, context, run_job(context, plan)


def test_a_move_brings_every_byte(pair: Pair, book: dict[str, str]) -> None:
    source, target = pair
    before = source.standing()
    captured, context, outcome = move(pair, book)
    assert outcome.state == "succeeded", (outcome, context.notes())
    arrived = target.arrived(outcome.result)
    assert set(arrived) >= set(captured.contents)
    for disk, content in captured.contents.items():
        # Up to the declared capacity: a platform may round its disks up.
        assert arrived[disk][: len(content)] == content, disk
        assert not arrived[disk][len(content) :].strip(b"\0")
    assert source.standing() == before, "the source keeps its own, and nothing else"


def test_a_move_that_is_cancelled_at_its_last_step_leaves_nothing(
    pair: Pair, book: dict[str, str]
) -> None:
    source, target = pair
    before = source.standing(), target.standing()
    draft = Draft()
    context = MemoryContext(book)
    context.on = lambda kind, step: (
        context.cancel.cancel() if (kind, step) == ("begin", "commit") else None
    )
    with Sessions(ConnectionBook(), context.secrets) as sessions:
        source.as_source(draft, sessions)
        target.as_target(draft, sessions)
        plan = draft.plan()
    outcome = run_job(context, plan)
    assert outcome.state == "cancelled"
    assert outcome.leftovers == ()
    assert (source.standing(), target.standing()) == before


def test_every_way_to_read_goes_with_every_way_to_write_that_it_says_it_goes_with(
    pair: Pair,
) -> None:
    """All readers × all writers of the two platforms: what `choose` pairs moves every byte."""
    source, target = pair
    captured = source.captured()
    capture = source.session().capture(captured.refs, Consistency.OFF, "kensho:job-3:capture")
    disk, content = next(
        (disk, content) for disk, content in captured.contents.items() if content.strip(b"\0")
    )
    appliance, placement = target.appliance()
    sized = replace(appliance.disks[DISKS[0]], capacity=len(content))
    appliance = replace(appliance, disks={**appliance.disks, DISKS[0]: sized})
    seen = target.session().deploy(appliance, placement, "kensho:job-0:deploy")
    ways = [*product(capture.offers(disk), seen.offers(DISKS[0]))]
    assert seen.abort() == []
    kept = set()
    for number, (reading, writing) in enumerate(ways, 1):
        mapped = reading.access is not Access.FORWARD
        try:
            choose(reading, [writing], mapped=mapped, capacity=len(content))
        except ImageError:
            continue  # it says beforehand that these two do not go together
        kept.add(reading)
        deployment = target.session().deploy(appliance, placement, f"kensho:job-{number}:deploy")
        reader = capture.open(disk, reading)
        _transfer(deployment, DISKS[0], reader, reading, writing, len(content))
        other = MemoryDisk(pattern(DISKS[1]))
        _transfer(deployment, DISKS[1], other, Offer(Format.RAW, Access.SEEK), None, CAPACITY)
        deployment.commit(start=False)
        assert target.content(deployment, DISKS[0])[: len(content)] == content, (reading, writing)
        assert target.content(deployment, DISKS[1])[:CAPACITY] == pattern(DISKS[1])
    assert kept == {*capture.offers(disk)}, "each way to read goes with some way to write"
    assert capture.release() == []


def _transfer(
    deployment: Deployment,
    disk: DiskId,
    source: Reader | MemoryDisk,
    reading: Offer,
    writing: Offer | None,
    capacity: int,
) -> None:
    transfer(
        source,
        reading,
        targets=[writing] if writing else deployment.offers(disk),
        open_writer=lambda chosen, length, allocation: deployment.open(
            disk, chosen, length, allocation
        ),
        capacity=capacity,
    )
