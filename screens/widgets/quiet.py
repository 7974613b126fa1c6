"""A text that is drawn again only when it changes: over SSH every redraw is bytes."""

from textual.content import Content
from textual.visual import VisualType
from textual.widgets import Static


class Quiet(Static):
    """A static text without markup that ignores an update with what it shows already."""

    def __init__(
        self, text: str = "", *, id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(text, id=id, classes=classes, markup=False)
        self._shown: VisualType = Content(text)

    def update(self, content: VisualType = "", *, layout: bool = True) -> None:
        """Show this text."""
        fresh = Content(content) if isinstance(content, str) else content
        before = self._shown
        if isinstance(fresh, Content) and isinstance(before, Content) and fresh.is_same(before):
            return
        self._shown = fresh
        # What is as large as before moves nothing else: only it is painted.
        flexible = self.styles.is_auto_height or self.styles.is_auto_width
        super().update(fresh, layout=layout and flexible)
