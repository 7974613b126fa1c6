"""The runner's settings as they are now: the file may change while it runs."""

from collections.abc import Callable
from pathlib import Path

from kensho_tui.engine.slots import Settings
from kensho_tui.errors import KenshoError
from kensho_tui.paths import config_dir


class SettingsFile:
    """``runner.toml`` of the operator's configuration, read anew when it has changed."""

    def __init__(
        self, path: Path | None = None, log: Callable[[str], None] = lambda _: None
    ) -> None:
        """Args:
        path: the file; None for the operator's own in `kensho_tui.paths.config_dir`.
        log: told when a changed file is not right; what held before holds on.
        """
        self._path = path or config_dir() / "runner.toml"
        self._log = log
        self.wrong: KenshoError | None = None  # of the file as it is; what held before holds on
        self._seen: tuple[int, int, int] | None = None
        self._settings = Settings()

    def load(self) -> Settings:
        """The settings; the usual ones where there is no file. Raises KenshoError: it is not right."""
        try:
            found = self._path.stat()
        except OSError:
            seen = None
        else:
            seen = (found.st_mtime_ns, found.st_size, found.st_ino)
        if seen == self._seen:
            return self._settings
        self._seen = seen
        self.wrong = None
        if seen is None:
            self._settings = Settings()
        else:
            # Here, because most runners have no such file and need no pydantic.
            from kensho_tui.engine.runner_file import read

            try:
                self._settings = read(self._path)
            except KenshoError as error:
                self.wrong = error
                raise
        return self._settings

    def now(self) -> Settings:
        """As `load`, but a file that is not right is told once and changes nothing."""
        try:
            return self.load()
        except KenshoError as error:
            self._log(str(error))
            return self._settings
