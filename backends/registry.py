"""Which platforms there are: entry points of the group ``kensho_tui.backends``."""

from importlib.metadata import EntryPoint, entry_points

from backends.base import Platform, UnsupportedError


class UnknownPlatformError(UnsupportedError):
    """There is no platform of that name: nothing was asked of any."""


GROUP = "kensho_tui.backends"


def names() -> list[str]:
    """Names of all platforms that are installed, sorted; nothing is imported."""
    return sorted(point.name for point in _points())


def _points() -> list[EntryPoint]:
    return list(entry_points(group=GROUP))


def platform(name: str) -> Platform:
    """The platform of that name.

    Raises: UnknownPlatformError: there is none. UnsupportedError: it cannot be loaded; says what
        is missing.
    """
    for point in _points():
        if point.name == name:
            try:
                loaded: Platform = point.load()
            except ImportError as error:
                raise UnsupportedError(
                    f"this platform cannot be used here: {error}",
                    subject=name,
                    remedy="Install the library it names",
                ) from error
            return loaded
    raise UnknownPlatformError(
        "no such platform", subject=name, remedy=f"Known are: {', '.join(names())}"
    )
