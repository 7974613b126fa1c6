"""The one line that says why one cannot go on, or what will happen next."""

from textual.content import Content

from kensho_tui.text import one_line
from screens.states import Sign
from screens.widgets.quiet import Quiet


class ReasonLine(Quiet):
    """One sentence at the foot of a screen, three lines at most."""

    DEFAULT_CSS = """
    ReasonLine {
        height: auto;
        min-height: 1;
        max-height: 3;
        padding: 0 1;
        background: $surface;
        color: $foreground;
    }
    """

    def __init__(self, text: str = "") -> None:
        super().__init__(text)
        self.text = text

    def say(self, text: str, sign: Sign | None = None) -> None:
        """Show the sentence, with the glyph of the sign before it."""
        text = one_line(text)
        self.text = f"{sign.glyph} {text}" if sign else text
        if sign:
            self.update(Content.assemble((f"{sign.glyph} ", f"bold {sign.style}"), text))
        else:
            self.update(Content(text))
