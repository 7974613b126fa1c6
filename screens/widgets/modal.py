"""What all small windows over a screen have in common."""

from typing import ClassVar, TypeVar

from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

T = TypeVar("T")


class Window(ModalScreen[T]):
    """A window over the screen; escape closes it without an answer."""

    DEFAULT_CSS = """
    Window {
        align: center middle;
        background: $background 60%;
        & > .window {
            width: 76;
            max-width: 100%;
            height: auto;
            max-height: 95%;
            border: solid $primary;
            border-title-style: bold;
            border-title-color: $foreground;
            background: $surface;
            padding: 0 1;
        }
        & .keys { color: $foreground-muted; margin-top: 1; }
        & .wrong { color: $text-error; display: none; &.-said { display: block; } }
        & .text { height: auto; max-height: 16; }
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close_window", "Close", id="window.close"),
    ]

    def action_close_window(self) -> None:
        """Close without an answer."""
        self.dismiss(None)
