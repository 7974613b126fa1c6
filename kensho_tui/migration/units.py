"""Numbers in the words of people."""

import re
from datetime import timedelta

from kensho_tui.errors import KenshoError
from kensho_tui.text import one_line


def size(count: int) -> str:
    """Bytes as one short word: ``40 GB`` (decimal, as disks are sold), ``1.2 GB``, ``512 B``."""
    return _scaled(count, 1000, ("B", "kB", "MB", "GB", "TB", "PB"))


def memory(count: int) -> str:
    """Bytes of memory as one short word, in powers of 1024: ``8 GiB``, ``1.5 GiB``."""
    return _scaled(count, 1024, ("B", "KiB", "MiB", "GiB", "TiB", "PiB"))


def count(number: int, noun: str) -> str:
    """``1 disk``, ``3 disks``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _scaled(number: int, base: int, units: tuple[str, ...]) -> str:
    sign = "−" if number < 0 else ""
    value = float(abs(number))
    unit = 0
    while value >= base and unit < len(units) - 1:
        value /= base
        unit += 1
    text = f"{value:.1f}" if value < 10 and unit else f"{value:.0f}"
    # Rounding may reach the next unit: 999 950 bytes are 1 MB, not 1000 kB.
    if float(text) >= base and unit < len(units) - 1:
        text, unit = "1", unit + 1
    return f"{sign}{text.removesuffix('.0')} {units[unit]}"


_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGTP]?)(i?)(B?)\s*", re.IGNORECASE)
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5}


def parse_size(text: str) -> int | None:
    """Bytes from ``8 GiB``, ``1.5GB`` or ``4096 B``; None for anything else.

    A unit must be written: a bare number could mean bytes as well as megabytes. ``8G`` is taken as
    memory is sold, in powers of 1024.
    """
    found = _SIZE.fullmatch(text)
    if not found or not (found[2] or found[4]):
        return None
    decimal = bool(found[2]) and not found[3] and bool(found[4])
    return int(float(found[1]) * (1000 if decimal else 1024) ** _POWERS[found[2].upper()])


def rate(limit: int | None) -> str:
    """A limit of bytes a second as one short word: ``50 MiB/s``, ``no limit``."""
    return "no limit" if limit is None else f"{memory(limit)}/s"


def parse_rate(text: str) -> int | None:
    """Bytes a second from ``50M``, ``1.5 GiB/s``; None for ``none``.

    Raises: KenshoError: it is neither.
    """
    if text.strip().lower() == "none":
        return None
    found = parse_size(text.strip().removesuffix("/s"))
    if not found:
        raise KenshoError(
            f"'{one_line(text, limit=40)}' is no limit",
            remedy="Write bytes a second with a unit, such as 50M or 1.5 GiB, or 'none'",
        )
    return found


_AGE = re.compile(r"(\d{1,5})([hdw])")
_AGES = {"h": "hours", "d": "days", "w": "weeks"}


def parse_age(text: str) -> timedelta:
    """A span of time from ``36h``, ``90d`` or ``12w``. Raises: KenshoError: it is none."""
    found = _AGE.fullmatch(text.strip())
    if not found:
        raise KenshoError(
            f"'{one_line(text, limit=40)}' is no age", remedy="Write it such as 36h, 90d or 12w"
        )
    return timedelta(**{_AGES[found[2]]: int(found[1])})


def disk_label(machine: str, disk: str, number: int) -> str:
    """What a disk is called for people: ``db01 data``, or ``db01 disk 1`` where it has no name."""
    if disk.casefold().startswith(machine.casefold()):
        return disk
    return f"{machine} {disk or f'disk {number}'}"


def sentence(text: str) -> str:
    """The clause as a sentence: a capital first, a full stop last; "" stays ""."""
    return text and text[0].upper() + text[1:].rstrip(".") + "."


def clause(text: str) -> str:
    """The sentence as a clause: no full stop, a small first letter unless it starts a name."""
    text = text.rstrip(".")
    lower = len(text) > 1 and (text[1].islower() or text[:2] == "A ")
    return text[0].lower() + text[1:] if lower else text
