"""How a few steady pictures look: states, windows, the properties page."""

from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from kensho_tui.app import KenshoApp
from kensho_tui.engine.events import JobState
from kensho_tui.migration.draft import Page
from tests.ui.fakes import FakeRunner, summary, view
from tests.ui.pages import at
from tests.ui.waiting import keys, until_seen

SnapCompare = Callable[..., bool]
SIZE = (80, 24)


@pytest.fixture
def jobs(runner: FakeRunner) -> FakeRunner:
    """Jobs whose rows tell no time of day."""
    error = {"what": "the disk is full", "subject": "local-sr", "remedy": "Make room, then retry"}
    for job in (
        summary("run", name="finance [bold]1[/bold]"),
        summary("wait", JobState.WAITING, name="crm", questions=1),
        summary("bad", JobState.FAILED, name="legacy-system-of-2009", error=error),
        summary("off", JobState.CANCELLED, name="test"),
    ):
        runner.views[job.id] = view(job)
    return runner


@pytest.mark.parametrize("theme", ["kensho", "kensho-light", "ansi-dark"])
def test_home(snap_compare: SnapCompare, app: KenshoApp, jobs: FakeRunner, theme: str) -> None:
    async def before(pilot: Pilot[Any]) -> None:
        pilot.app.theme = theme
        await until_seen(pilot, "legacy")
        await until_seen(pilot, "lab-xen ✓")
        await keys(pilot, "down", "down")
        await until_seen(pilot, "Make room")

    assert snap_compare(app, terminal_size=SIZE, run_before=before)


def test_a_question_before_cancelling(
    snap_compare: SnapCompare, app: KenshoApp, jobs: FakeRunner
) -> None:
    async def before(pilot: Pilot[Any]) -> None:
        await until_seen(pilot, "legacy")
        await keys(pilot, "enter")
        await until_seen(pilot, "db01 disk 1")
        await keys(pilot, "x")
        await until_seen(pilot, "will be removed")

    assert snap_compare(app, terminal_size=SIZE, run_before=before)


def test_properties_with_an_answer_that_is_not_valid(
    snap_compare: SnapCompare, app: KenshoApp
) -> None:
    async def before(pilot: Pilot[Any]) -> None:
        await at(pilot, Page.PROPERTIES)
        await keys(pilot, "tab", "backspace", "backspace", "tab", "space")
        await until_seen(pilot, "✗ must be an IP address")
        await until_seen(pilot, "[X] yes")

    assert snap_compare(app, terminal_size=SIZE, run_before=before)


def test_mapping(snap_compare: SnapCompare, app: KenshoApp) -> None:
    async def before(pilot: Pilot[Any]) -> None:
        await at(pilot, Page.MAPPING)
        await until_seen(pilot, "same VLAN 20")

    assert snap_compare(app, terminal_size=SIZE, run_before=before)
