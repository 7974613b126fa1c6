"""The wizard taken by keyboard as it proposes, for tests that are about what comes after."""

from pathlib import Path

from textual.app import App
from textual.pilot import Pilot

from kensho_tui.migration.draft import Page
from screens.wizard.screen import Wizard
from tests.ui.waiting import keys, until, until_seen


async def decide(app: App[int], pilot: Pilot[int], package: Path) -> None:
    """Take the package through the wizard by keyboard, with what is proposed; start the job."""
    await until_seen(pilot, "New migration")
    await keys(pilot, "n")
    await until_seen(pilot, "Nothing is open yet.")
    await keys(pilot, f"'{package}", "enter")
    wizard = app.screen
    assert isinstance(wizard, Wizard)
    await until(pilot, lambda: wizard.here is Page.PACKAGE and not wizard.busy)
    while wizard.here is not Page.REVIEW:
        here = wizard.here
        if here is Page.LICENCES:
            await keys(pilot, *["a"] * len(wizard.draft.licences()))
        elif here is Page.TARGET:
            await until_seen(pilot, "lab-xen")
            await keys(pilot, "enter")
        await until(pilot, lambda: wizard.draft.page(wizard.here).complete and not wizard.busy)
        await keys(pilot, "ctrl+n")
        await until(pilot, lambda here=here: wizard.here is not here)  # type: ignore[misc]
    await until_seen(pilot, "s starts the job")
    await keys(pilot, "s")
