"""Makes the pictures in ``screenshots/`` from the running application against the lab.

Run by ``./dev screenshots``. One SVG per screen and size; the names are the same every time, and so
is what they show, as far as clocks, ports and rates allow.
"""

import asyncio
import os
import re
import sys
import tempfile
from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import Input

from kensho_tui.app import KenshoApp
from kensho_tui.cli.demo import demo_world
from kensho_tui.cli.lab import ask
from kensho_tui.migration.draft import Page
from screens.home import Home
from screens.monitor import Monitor
from screens.package.editor import PackageEditor
from screens.wizard.screen import Wizard
from tests.ui.waiting import keys, seen, until, until_seen

SIZES = ((80, 24), (120, 40))
TARGET = Path(__file__).parents[1] / "screenshots"


class Camera:
    """Takes pictures of one application at one size."""

    def __init__(self, pilot: Pilot[int], folder: Path) -> None:
        self.pilot = pilot
        self.app = pilot.app
        self.folder = folder
        self.taken: list[Path] = []

    async def take(self, name: str) -> None:
        """One picture, called ``<name>-<width>x<height>.svg``."""
        await self.pilot.pause()
        width, height = self.app.size
        path = self.folder / f"{name}-{width}x{height}.svg"
        path.write_text(steady(self.app.export_screenshot(title="kensho")), encoding="utf-8")
        self.taken.append(path)


def steady(svg: str) -> str:
    """The picture without what differs from run to run though nothing changed: generated ids, port, clock."""
    for number, name in enumerate(dict.fromkeys(re.findall(r"terminal-(\d+)-", svg))):
        svg = svg.replace(f"terminal-{name}", f"terminal-{number}")
    svg = re.sub(r"127\.0\.0\.1:\d+", lambda found: _same_length(found[0], "127.0.0.1:8443"), svg)
    svg = re.sub(r"/tmp/tmp\w{8}/", "/srv/ova/library/", svg)  # of the same length
    svg = re.sub(r"\b(?!00:)\d\d:\d\d:\d\d\b", "10:41:07", svg)
    svg = re.sub(r"(finished&#160;|Begun&#160;+)\d\d:\d\d\b(?!:)", r"\g<1>10:41", svg)
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def _same_length(old: str, new: str) -> str:
    return new.ljust(len(old), "0")[: len(old)]


async def wizard_pages(camera: Camera, wizard: Wizard) -> None:
    """Every page of the wizard, answered as an operator would."""
    pilot = camera.pilot

    async def ready(page: Page) -> None:
        await until(pilot, lambda: wizard.here is page and not wizard.busy)

    await ready(Page.PACKAGE)
    await until_seen(pilot, "Product   Shop")
    await camera.take("wizard-2-package")
    await keys(pilot, "ctrl+n")
    await ready(Page.LICENCES)
    await keys(pilot, "a")
    await camera.take("wizard-3-licences")
    await keys(pilot, "a", "ctrl+n")
    await ready(Page.CONFIGURATION)
    await keys(pilot, "down")
    await until_seen(pilot, "It changes")
    await camera.take("wizard-4-configuration")
    await keys(pilot, "enter")
    await ready(Page.CONFIGURATION)
    await keys(pilot, "ctrl+n")
    await ready(Page.TARGET)
    await keys(pilot, "enter")
    await until_seen(pilot, "(the only one)")
    await camera.take("wizard-5-target")
    await keys(pilot, "ctrl+n")
    await ready(Page.MAPPING)
    await keys(pilot, "enter")
    await until_seen(pilot, "Network for web01")
    await camera.take("wizard-6-network")
    await keys(pilot, "'storage", "enter")
    await until_seen(pilot, "▸ storage-net")
    await camera.take("wizard-6-mapping")
    await keys(pilot, "ctrl+n")
    await ready(Page.PROPERTIES)
    await keys(pilot, "tab", "ctrl+u", "'10.0.0.300")
    await until_seen(pilot, "✗ must be an IP address")
    await camera.take("wizard-7-properties")
    await keys(pilot, "ctrl+u", "'10.0.0.30", "ctrl+n", "'correct horse", "tab", "'correct horse")
    await keys(pilot, "ctrl+n")
    await ready(Page.REVIEW)
    await keys(pilot, "p")
    await until(pilot, lambda: wizard.draft.start)
    await ready(Page.REVIEW)
    await camera.take("wizard-8-review")


async def editor_pages(camera: Camera, package: Path) -> None:
    """A package edited: a value of one deployment option, an adapter more, what is noticed, saving."""
    pilot, app = camera.pilot, camera.app
    home = next(each for each in app.screen_stack if isinstance(each, Home))
    home.edit_package(package)
    await until(pilot, lambda: isinstance(app.screen, PackageEditor))
    editor = app.screen
    assert isinstance(editor, PackageEditor)
    await until(pilot, lambda: editor.found is not None)
    await keys(pilot, "o", "'medium", "enter")
    await until_seen(pilot, "option: medium")
    await keys(pilot, "down", "enter")
    await until(pilot, lambda: editor.form.fields.has_focus)
    editor.form.fields.go_to("memory")
    await keys(pilot, "enter", "ctrl+u", "'4 GiB", "enter")
    await until_seen(pilot, "→ 4 GiB")
    await until_seen(pilot, "would refuse it")
    await until(pilot, lambda: "looking" not in seen(app))
    await camera.take("package-edit")
    await keys(pilot, "left", "a", "enter")
    await until_seen(pilot, "MAC address")
    await camera.take("package-add")
    await keys(pilot, "tab", "tab", "enter")
    await until_seen(pilot, "is added")
    await until(pilot, lambda: "looking" not in seen(app))
    await keys(pilot, "f")
    await until_seen(pilot, "Import by vSphere")
    await camera.take("package-findings")
    await keys(pilot, "escape", "s")
    await until_seen(pilot, "Save these changes")
    await camera.take("package-save")


async def session(folder: Path, package: Path, lab: Path, size: tuple[int, int]) -> list[Path]:
    """One operator's session, from an empty home to a finished job."""
    app = KenshoApp()
    async with app.run_test(size=size) as pilot:
        camera = Camera(pilot, folder)
        await until_seen(pilot, "lab-xen ✓")
        await keys(pilot, "c")
        await until_seen(pilot, "✓ lab-xen")
        await camera.take("connections")
        await keys(pilot, "a")
        await until_seen(pilot, "Connections ▸ Add")
        await camera.take("connection-add")
        await keys(pilot, "escape", "escape", "n")
        await until_seen(pilot, "lab-xen")
        await camera.take("wizard-1-source")
        wizard = app.screen
        assert isinstance(wizard, Wizard)
        await keys(pilot, f"'{package}", "enter")
        await wizard_pages(camera, wizard)
        # Slow enough that there is something to see.
        ask(lab, {"modes": {"bytes_per_second": 4_000_000}})
        await keys(pilot, "s")
        await until(pilot, lambda: isinstance(app.screen, Monitor))
        monitor = app.screen
        assert isinstance(monitor, Monitor)
        await until_seen(pilot, "B/s")
        await camera.take("monitor")
        await keys(pilot, "x")
        await until_seen(pilot, "will be removed")
        await camera.take("monitor-cancel")
        await keys(pilot, "n")
        ask(lab, {"modes": {"bytes_per_second": None}})
        await until(pilot, lambda: monitor.view and monitor.view.questions, 120)
        await keys(pilot, "a")
        await until_seen(pilot, "Have the guests read their settings")
        await camera.take("monitor-question")
        await keys(pilot, "enter")
        await until(pilot, lambda: monitor.view and monitor.view.summary.state.ended, 120)
        await until_seen(pilot, "db01: started")
        await camera.take("monitor-finished")
        await keys(pilot, "escape")
        await until_seen(pilot, "✓ Shop")
        await camera.take("home")
        await keys(pilot, "question_mark")
        await until_seen(pilot, "Keys")
        await camera.take("help")
        await keys(pilot, "escape")
        await editor_pages(camera, package)
    return camera.taken


def main() -> int:
    """All pictures at all sizes; each size on a lab of its own."""
    TARGET.mkdir(exist_ok=True)
    os.environ["TZ"] = "UTC"
    setattr(Input, "cursor_blink", False)  # noqa: B010  (a reactive of the class, for every field)
    taken: list[Path] = []
    for size in SIZES:
        # A short and steady path, because the pictures show it.
        with tempfile.TemporaryDirectory() as room:
            old = Path.cwd()
            os.chdir(room)
            try:
                with demo_world(Path(room) / "demo") as package:
                    short = Path(room) / "shop.ova"
                    short.symlink_to(package)
                    taken += asyncio.run(
                        session(TARGET, Path(short.name), Path(room) / "demo" / "lab", size)
                    )
            finally:
                os.chdir(old)
    for stale in set(TARGET.glob("*.svg")) - set(taken):
        stale.unlink()
    sys.stdout.write(f"{len(taken)} pictures in {TARGET}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
