"""The way to a page of the wizard: key by key, or at once with a draft that is answered so far."""

from collections.abc import Sequence

from textual.pilot import Pilot

from backends.base import (
    Ref,
)
from kensho_tui.app import KenshoApp
from kensho_tui.migration.draft import Draft, Page
from kensho_tui.migration.plan import SourcePlan
from screens.wizard.screen import Wizard
from tests.ui.platforms import ETH0
from tests.ui.waiting import keys, until, until_seen


def wizard(app: KenshoApp) -> Wizard:
    """The wizard, whatever window is over it."""
    return next(each for each in app.screen_stack if isinstance(each, Wizard))


async def opened(pilot: Pilot[int]) -> Wizard:
    """The wizard with the package open, on the package page."""
    await begun(pilot)
    await keys(pilot, "'/srv/shop.ova", "enter")
    app = pilot.app
    assert isinstance(app, KenshoApp)
    await until(pilot, lambda: wizard(app).here is Page.PACKAGE)
    await until_seen(pilot, "Size      2 machines, 3 disks")
    return wizard(app)


async def by_hand(pilot: Pilot[int], page: Page) -> Wizard:
    """The wizard on that page, everything before it answered, key by key."""
    here = await opened(pilot)
    steps: dict[Page, tuple[str, ...]] = {
        Page.PACKAGE: (),
        Page.LICENCES: ("a", "a"),
        Page.CONFIGURATION: (),
        Page.TARGET: ("enter",),
        Page.MAPPING: ("enter", "enter", "m"),
        Page.PROPERTIES: ("'shop", *["tab"] * 5, "'pass", "tab", "'pass"),
    }
    for step, pressed in steps.items():
        if here.here is page:
            break
        await until(pilot, lambda: not here.busy)
        await keys(pilot, *pressed)
        await until(pilot, lambda: not here.busy)
        if step is Page.TARGET:
            await until(pilot, lambda: here.draft.target_view is not None)
        await keys(pilot, "ctrl+n")
        await until(pilot, lambda step=step: here.here is not step)  # type: ignore[misc]
    await until(pilot, lambda: here.here is page and not here.busy)
    return here


async def at(pilot: Pilot[int], page: Page, machines: Sequence[Ref] = ()) -> Wizard:
    """The wizard on that page, with a draft in which everything before it is answered.

    Args: machines: of the platform, instead of a package's.
    """
    app = pilot.app
    assert isinstance(app, KenshoApp)
    draft, sessions = Draft(), app.desk.sessions()
    if machines:
        draft.load_machines(sessions, "lab-xen", machines)
    else:
        draft.load_package(sessions, "/srv/shop.ova")
    order = list(Page)
    if order.index(page) > order.index(Page.LICENCES):
        for licence in draft.licences():
            draft.accept_licence(licence.digest, "tester")
    if order.index(page) > order.index(Page.TARGET):
        draft.load_target(sessions, "lab-xen")
    if order.index(page) > order.index(Page.MAPPING):
        for adapter in draft.adapters():
            draft.choose_network(adapter.machine, adapter.adapter, ETH0)
    if order.index(page) > order.index(Page.PROPERTIES):
        draft.set_property("host", "shop")
        draft.set_property("admin", "pass")
    here = Wizard(app.desk, draft=draft)
    here.seen.update(order[: order.index(page)])
    await until_seen(pilot, "lab-xen ✓")
    await app.push_screen(here)
    await here.go(page)
    await until(pilot, lambda: here.focused is not None and not here.busy)
    return here


async def begun(pilot: Pilot[int]) -> None:
    """The wizard, just opened."""
    await until_seen(pilot, "No jobs yet.")
    await keys(pilot, "n")
    await until_seen(pilot, "Nothing is open yet.")


async def at_machines(pilot: Pilot[int]) -> None:
    """The wizard with the platform's machines to choose from."""
    await begun(pilot)
    await keys(pilot, "tab", "enter")
    await until_seen(pilot, "old-on")


async def taken(pilot: Pilot[int]) -> SourcePlan:
    """What was chosen of the machines, once it is read."""
    app = pilot.app
    assert isinstance(app, KenshoApp)
    await until(pilot, lambda: wizard(app).here is Page.PACKAGE)
    source = wizard(app).draft.source
    assert source is not None
    return source
