"""A switch that says its state in a word and a mark; Textual's own tells it by colour alone."""

from textual.widgets import Checkbox


class YesNo(Checkbox):
    """``[X] yes`` or ``[ ] no``."""

    DEFAULT_CSS = """
    YesNo {
        & > .toggle--button { color: $foreground !important; background: $panel !important; }
        &.-on > .toggle--button { color: $foreground !important; text-style: bold; }
    }
    """
    BUTTON_LEFT = "["
    BUTTON_RIGHT = "]"

    def __init__(self, value: bool, *, classes: str | None = None) -> None:
        super().__init__("yes" if value else "no", value, compact=True, classes=classes)
        self.BUTTON_INNER = "X" if value else " "

    def watch_value(self) -> None:
        """Say the new state."""
        self.BUTTON_INNER = "X" if self.value else " "
        self.label = "yes" if self.value else "no"
        super().watch_value()
