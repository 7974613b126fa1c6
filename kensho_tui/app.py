"""The Textual application: theme, key map and screen registry. Nothing else."""

from textual.app import App


class KenshoApp(App[int]):
    """Kensho in the terminal."""

    TITLE = "Kensho"


def run() -> int:
    """Open the terminal interface; the exit code of the program."""
    return KenshoApp().run() or 0
