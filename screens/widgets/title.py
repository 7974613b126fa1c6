"""The first line of every screen: where one is at the left, how it stands at the right."""

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from kensho_tui.text import one_line, plain, shorten_middle


class TitleLine(Widget):
    """One line; the left text is shortened in the middle where both do not fit."""

    DEFAULT_CSS = """
    TitleLine {
        height: 1;
        padding: 0 1;
        background: $panel;
        color: $foreground;
        text-style: bold;
    }
    """

    left: reactive[str] = reactive("")
    right: reactive[str] = reactive("")

    def __init__(self, left: str, right: str = "") -> None:
        super().__init__()
        self.set_reactive(TitleLine.left, left)
        self.set_reactive(TitleLine.right, right)

    def render(self) -> Content:
        """Left and right, with as many blanks between as the width leaves."""
        width = max(1, self.content_size.width)
        right = plain(self.right, limit=max(0, width - 12))
        left = shorten_middle(one_line(self.left), max(1, width - len(right) - 2))
        return Content(left + " " * max(1, width - len(left) - len(right)) + right)
