"""Waiting for what a test expects, and reading what the operator would see."""

from collections.abc import Callable
from time import monotonic

from textual.app import App
from textual.pilot import Pilot

LONGEST_S = 30.0


async def until(
    pilot: Pilot[int], condition: Callable[[], object], longest_s: float = LONGEST_S
) -> None:
    """Let the application run until the condition holds. Fails with the screen's text where it never does."""
    end = monotonic() + longest_s
    while not condition():
        if monotonic() > end:
            raise AssertionError(f"never came true; the screen shows:\n{seen(pilot.app)}")
        await pilot.pause(0.01)


def seen(app: App[int]) -> str:
    """The screen's text, line by line, as the operator sees it."""
    width, height = app.size
    screen = app.screen
    strips = screen._compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in strips[:height]) if width else ""


async def until_seen(pilot: Pilot[int], text: str, longest_s: float = LONGEST_S) -> None:
    """Let the application run until the text stands somewhere on the screen."""
    await until(pilot, lambda: text in seen(pilot.app), longest_s)


async def keys(pilot: Pilot[int], *pressed: str) -> None:
    """Press keys; a word of several characters that is no key is typed."""
    for each in pressed:
        if len(each) > 1 and each.startswith("'"):
            await pilot.press(*(NAMES.get(c, c) for c in each[1:]))
        else:
            await pilot.press(each)


NAMES = {
    ".": "full_stop",
    "-": "minus",
    "_": "underscore",
    "/": "slash",
    " ": "space",
    ":": "colon",
    "@": "at",
}
