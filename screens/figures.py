"""Progress in few characters: bars, shares, rates and spans of time, all of known width."""

from datetime import datetime
from pathlib import PurePath

from kensho_tui.migration.units import size

FULL = "█"
EMPTY = "░"


def place(text: str) -> str:
    """What a source or target is called: a package by its file's name, without the folders."""
    return PurePath(text).name or text if "/" in text else text


def bar(share: float, width: int) -> str:
    """A bar of exactly ``width`` characters for a share from 0 to 1."""
    filled = min(width, max(0, int(share * width)))
    return FULL * filled + EMPTY * (width - filled)


def share(position: int, total: int) -> float:
    """``position`` of ``total`` from 0 to 1; nothing to do counts as all done."""
    return min(1.0, position / total) if total > 0 else 1.0


def percent(position: int, total: int) -> str:
    """``46 %``; rounded down, so that 100 % means all of it."""
    return f"{int(share(position, total) * 100)} %"


def rate(bytes_per_s: float) -> str:
    """``212 MB/s``; nothing where nothing moves."""
    return f"{size(int(bytes_per_s))}/s" if bytes_per_s >= 1 else ""


def span(seconds: float | None) -> str:
    """``45 s``, ``11 min``, ``2 h 10 min``, ``3 d 4 h``; nothing where it is not known."""
    if seconds is None or seconds < 0:
        return ""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def moment(text: str) -> datetime | None:
    """An ISO 8601 time of the journal as a local time; None for what is none."""
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError:
        return None


def clock(text: str) -> str:
    """``10:52:07`` local time of an ISO 8601 time; empty where there is none."""
    at = moment(text)
    return f"{at:%H:%M:%S}" if at else ""


def day(text: str, today: datetime) -> str:
    """``09:12`` for a time of today, ``23 Nov 09:12`` for another day, local time."""
    at = moment(text)
    if at is None:
        return ""
    return f"{at:%H:%M}" if at.date() == today.astimezone().date() else f"{at:%d %b %H:%M}"


def elapsed(began: str, ended: str, now: datetime) -> str:
    """``00:18:42`` between two ISO 8601 times; up to ``now`` where there is no end yet."""
    start = moment(began)
    if start is None:
        return ""
    stop = moment(ended) or now
    whole = max(0, int((stop - start).total_seconds()))
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"
