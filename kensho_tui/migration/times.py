"""Moments and windows of time: when a job may begin, work, and finish.

A window is said in the clock of a place (``mon-fri 22:00-04:00 Europe/Berlin``) and reckoned in UTC.
One that ends before it begins runs over midnight and belongs to the day it begins on; one that ends
when it begins lasts a day. A time that a day skips is taken as much later as the clock is moved, so
that a window in the skipped hour alone does not open; of a time that a day has twice, a window begins
at the first and ends at the second.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kensho_tui.errors import KenshoError
from kensho_tui.migration.units import parse_rate
from kensho_tui.text import one_line

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
# Longer than any window stays shut: a day of the week whose only opening the clock's change skips.
_HORIZON_DAYS = 16
_CLOCK = re.compile(r"([01]?\d|2[0-4]):([0-5]\d)")


class TimeError(KenshoError, ValueError):
    """What was written is no moment or no window of time."""


@dataclass(frozen=True, slots=True)
class Window:
    """A time of day on some days of the week.

    Attributes:
        days: 0 is Monday; those on which it begins.
        start, end: in the clock of the zone.
    """

    zone: str
    days: frozenset[int]
    start: time
    end: time

    def is_open(self, now: datetime) -> bool:
        """Whether it is open at that moment."""
        return any(opens <= now < closes for opens, closes in self._spans(now))

    def opens(self, now: datetime) -> datetime:
        """The moment itself where it is open then, else the next one at which it opens; in UTC."""
        return min(
            max(now, opens) for opens, closes in self._spans(now) if closes > now
        ).astimezone(UTC)

    def _spans(self, now: datetime) -> Iterator[tuple[datetime, datetime]]:
        zone = ZoneInfo(self.zone)
        # The day before yesterday: a window of a whole day, and a zone that changed its date.
        first = now.astimezone(zone).date() - timedelta(days=2)
        for number in range(_HORIZON_DAYS):
            day = first + timedelta(days=number)
            if day.weekday() not in self.days:
                continue
            last = day if self.end > self.start else day + timedelta(days=1)
            opens = _in_utc(day, self.start, zone, fold=0)
            closes = _in_utc(last, self.end, zone, fold=1)
            if opens < closes:
                yield opens, closes

    def __str__(self) -> str:
        days = sorted(self.days)
        if len(days) == 7:
            said = "daily"
        elif len(days) > 2 and days[-1] - days[0] == len(days) - 1:
            said = f"{DAYS[days[0]]}-{DAYS[days[-1]]}"
        else:
            said = ",".join(DAYS[each] for each in days)
        return f"{said} {self.start:%H:%M}-{self.end:%H:%M} {self.zone}"


def _in_utc(day: date, clock: time, zone: ZoneInfo, fold: int) -> datetime:
    return datetime.combine(day, clock, zone).replace(fold=fold).astimezone(UTC)


def local_zone() -> str:
    """Name of this machine's time zone; UTC where it does not tell."""
    named = os.environ.get("TZ", "").removeprefix(":")
    link = os.path.realpath("/etc/localtime")
    for name in (named, link.partition("zoneinfo/")[2], _first_line("/etc/timezone")):
        try:
            if name:
                return ZoneInfo(name).key
        except (ZoneInfoNotFoundError, ValueError, OSError):
            continue
    return "UTC"


def _first_line(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError):
        return ""


def zone_of(name: str) -> str:
    """The name of a time zone. Raises `TimeError` where there is none of that name."""
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise TimeError(
            f"there is no time zone '{one_line(name, limit=40)}'",
            remedy="Write one such as Europe/Berlin or UTC",
        ) from error


def minutes_east(zone: str, moment: datetime) -> int:
    """How many minutes the zone's clock is before UTC at that moment; west of Greenwich negative.

    Raises: TimeError: there is no zone of that name.
    """
    offset = moment.astimezone(ZoneInfo(zone_of(zone))).utcoffset()
    assert offset is not None  # a ZoneInfo always has one
    return round(offset.total_seconds() / 60)


def window_of(said: Mapping[str, Any]) -> Window:
    """A window from ``{zone, days, from, to}``, as a plan says it. Raises `TimeError`."""
    days = said.get("days") or DAYS
    return Window(
        zone_of(str(said.get("zone") or "UTC")),
        frozenset(_day(each) for each in days),
        _clock(str(said["from"])),
        _clock(str(said["to"])),
    )


def parse_window(text: str) -> Window:
    """A window from ``[DAYS] FROM-TO [ZONE]``; every day and this machine's zone where not said.

    DAYS are ``sat``, ``mon-fri`` or ``mon,wed,fri-sun``. Raises `TimeError`.
    """
    words = text.split()
    days, zone = "daily", ""
    if words and not words[0][0].isdigit():
        days = words.pop(0)
    if len(words) == 2:
        zone = words.pop()
    start, dash, end = words[0].partition("-") if len(words) == 1 else ("", "", "")
    if not dash:
        raise TimeError(
            f"'{one_line(text, limit=60)}' is no window of time",
            remedy="Write it such as 'mon-fri 22:00-04:00 Europe/Berlin'",
        )
    return Window(zone_of(zone) if zone else local_zone(), _days(days), _clock(start), _clock(end))


@dataclass(frozen=True, slots=True)
class Limits:
    """How fast bytes may move, by the hour; bytes a second, None for no limit.

    Attributes:
        always: where none of the windows is open.
        times: the first that is open says it.
    """

    always: int | None = None
    times: tuple[tuple[Window, int | None], ...] = ()

    def at(self, now: datetime) -> int | None:
        """Bytes a second at that moment; None: no limit."""
        return next((limit for window, limit in self.times if window.is_open(now)), self.always)


def parse_limits(texts: Iterable[str]) -> Limits:
    """Limits from ``SIZE|none [WINDOW]`` each: ``50M``, ``20 MiB mon-fri 07:00-18:00``.

    The last one without a window holds outside of all windows. Raises: KenshoError.
    """
    always, times = None, []
    for text in texts:
        words = text.split()
        # A size may be written with a blank: "20 MiB mon-fri 07:00-18:00".
        length = 2 if len(words) > 1 and words[1][:1].isalpha() and words[0][-1:].isdigit() else 1
        limit, window = parse_rate(" ".join(words[:length])), " ".join(words[length:])
        if window:
            times.append((parse_window(window), limit))
        else:
            always = limit
    return Limits(always, tuple(times))


def _days(text: str) -> frozenset[int]:
    if text.lower() == "daily":
        return frozenset(range(7))
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        begin = _day(first)
        length = (_day(last) - begin) % 7 if dash else 0
        found |= {(begin + number) % 7 for number in range(length + 1)}
    return frozenset(found)


def _day(name: object) -> int:
    short = str(name).lower()[:3]
    if short not in DAYS:
        raise TimeError(
            f"'{one_line(str(name), limit=20)}' is no day of the week",
            remedy=f"Write one of: {', '.join(DAYS)}",
        )
    return DAYS.index(short)


def _clock(text: str) -> time:
    found = _CLOCK.fullmatch(text.strip())
    if not found or (found[1] == "24" and found[2] != "00"):
        raise TimeError(
            f"'{one_line(text, limit=20)}' is no time of day", remedy="Write it such as 22:00"
        )
    return time(int(found[1]) % 24, int(found[2]))


def parse_moment(text: str, zone: str = "") -> datetime:
    """A moment from ``2026-12-01T22:00Z`` or ``2026-12-01 22:00 Europe/Berlin``, in UTC.

    Args:
        zone: where none is written; "" refuses that.

    Raises: TimeError: it is none.
    """
    written, _, named = text.strip().rpartition(" ")
    if not re.match(r"[A-Za-z]", named):
        written, named = text.strip(), ""
    try:
        moment = datetime.fromisoformat(written)
    except ValueError as error:
        raise TimeError(
            f"'{one_line(text, limit=60)}' is no moment",
            remedy="Write it such as '2026-12-01 22:00 Europe/Berlin' or 2026-12-01T21:00Z",
        ) from error
    if moment.tzinfo is None:
        if not (named or zone):
            raise TimeError(
                f"'{one_line(text, limit=60)}' names no time zone",
                remedy="Write one behind it, such as Europe/Berlin or UTC",
            )
        moment = moment.replace(tzinfo=ZoneInfo(zone_of(named or zone)))
    elif named:
        raise TimeError(f"'{one_line(text, limit=60)}' names two time zones")
    return moment.astimezone(UTC)
