"""The whole way, key by key at 80×24: a sample OVA becomes two running machines on the lab."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.base import Kind, MachineItem, Power, StorageItem
from kensho_tui.app import KenshoApp
from kensho_tui.cancel import Cancel
from kensho_tui.cli.demo import demo_world
from kensho_tui.connections import ConnectionBook
from kensho_tui.engine.events import JobState
from kensho_tui.engine.secrets import Secrets
from kensho_tui.migration.draft import Page
from kensho_tui.migration.sessions import Sessions
from kensho_tui.migration.target import items
from screens.home import Home
from screens.monitor import Monitor
from screens.wizard.screen import Wizard
from tests.ui.waiting import keys, seen, until, until_seen

SIZE = (80, 24)
CONNECTION = "lab-xen"

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        shutil.which("mke2fs") is None, reason="no mke2fs: apt-get install e2fsprogs"
    ),
]


@pytest.fixture
def package(tmp_path: Path) -> Iterator[Path]:
    """The sample, with lab, book and runner of its own, all gone at the end."""
    with demo_world(tmp_path / "demo") as made:
        yield made


def on_the_lab() -> tuple[list[MachineItem], list[StorageItem]]:
    """Machines and storages of the lab, by a login of its own."""
    with Sessions(ConnectionBook(), Secrets(), Cancel()) as sessions:
        kinds = frozenset({Kind.MACHINE, Kind.STORAGE})
        found = list(items(sessions.get(CONNECTION), kinds))
    return (
        [each for each in found if isinstance(each, MachineItem) and each.ref.kind is Kind.MACHINE],
        [each for each in found if isinstance(each, StorageItem)],
    )


async def test_an_ova_becomes_two_running_machines_by_keyboard_alone(package: Path) -> None:
    before = {each.ref.name for each in on_the_lab()[0]}
    app = KenshoApp()
    async with app.run_test(size=SIZE) as pilot:
        await until_seen(pilot, "No jobs yet.")

        # Source: the path of the package.
        await keys(pilot, "n")
        await until_seen(pilot, "Nothing is open yet.")
        await keys(pilot, f"'{package}", "enter")
        wizard = app.screen
        assert isinstance(wizard, Wizard)
        await until(pilot, lambda: wizard.here is Page.PACKAGE)
        await until_seen(pilot, "Product   Shop 4.2")
        await keys(pilot, "ctrl+n")

        # Licences: both texts.
        await until_seen(pilot, "2 licences to read and accept")
        await keys(pilot, "a", "a")
        await until_seen(pilot, "Next: Configuration")
        await keys(pilot, "ctrl+n")

        # Configuration: the second one, and what it changes.
        await until(pilot, lambda: not wizard.busy)
        await keys(pilot, "down")
        await until_seen(pilot, "It changes: web01 1 → 2 CPU")
        await keys(pilot, "enter")
        await until(pilot, lambda: wizard.draft.configuration == "medium" and not wizard.busy)
        await keys(pilot, "ctrl+n")

        # Target: the lab, whose only pool is proposed.
        await until(pilot, lambda: wizard.here is Page.TARGET)
        await until_seen(pilot, CONNECTION)
        await keys(pilot, "enter")
        await until_seen(pilot, "(the only one). Next: Mapping")
        await keys(pilot, "ctrl+n")

        # Mapping: another network for the first adapter, another name for the first machine.
        await until_seen(pilot, "▸ local-sr")
        await keys(pilot, "enter")
        await until_seen(pilot, "Network for web01")
        await keys(pilot, "'storage", "enter")
        await until_seen(pilot, "▸ storage-net")
        await keys(pilot, "end", "up", "enter")
        await until_seen(pilot, "Change web01")
        await keys(pilot, "enter")
        await until_seen(pilot, "Name on the target")
        await keys(pilot, "ctrl+u", "'shop-web", "enter")
        await until_seen(pilot, "shop-web")
        await keys(pilot, "ctrl+n")

        # Properties: the password, twice; all else has a default.
        await until_seen(pilot, "Admin password: an answer is needed")
        await keys(pilot, "ctrl+n")
        await keys(pilot, "'correct horse", "tab", "'correct horse")
        assert "correct" not in seen(app)
        await keys(pilot, "ctrl+n")

        # Review: the last look, power on at the end, start.
        await until(pilot, lambda: wizard.here is Page.REVIEW and not wizard.busy)
        await until_seen(pilot, "s starts the job")
        await keys(pilot, "p")
        await until(pilot, lambda: wizard.draft.start and not wizard.busy)
        await keys(pilot, "s")

        # Monitor: to the end, once it is told that the guests have read their password.
        await until(pilot, lambda: isinstance(app.screen, Monitor))
        monitor = app.screen
        assert isinstance(monitor, Monitor)
        await until(pilot, lambda: bool(monitor.view and monitor.view.questions), longest_s=120)
        await keys(pilot, "a")
        await until_seen(pilot, "Have the guests read their settings")
        await keys(pilot, "enter")
        await until(
            pilot,
            lambda: monitor.view is not None and monitor.view.summary.state.ended,
            longest_s=120,
        )
        assert monitor.view is not None
        assert monitor.view.summary.state is JobState.SUCCEEDED, seen(app)
        await until_seen(pilot, "shop-web: started")
        assert "db01: started" in seen(app)
        assert "correct horse" not in repr(monitor.view)

        # Home shows it among what has ended.
        await keys(pilot, "escape")
        await until(pilot, lambda: isinstance(app.screen, Home))
        await until_seen(pilot, "1 finished")

    machines, _ = on_the_lab()
    made = {each.ref.name: each for each in machines if each.ref.name not in before}
    assert set(made) == {"shop-web", "db01"}
    assert {each.power for each in made.values()} == {Power.ON}
    assert (made["shop-web"].processors, made["db01"].processors) == (2, 4)
