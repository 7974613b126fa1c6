"""Units of sizes and rates as descriptors spell them (DSP0004 annex C.1 and what occurs besides)."""

import re

_WORDS = {
    "byte": 1, "bytes": 1, "b": 1, "hertz": 1, "hz": 1, "": 1,
    "kilobytes": 1 << 10, "kilobyte": 1 << 10, "kb": 1 << 10, "kib": 1 << 10,
    "megabytes": 1 << 20, "megabyte": 1 << 20, "mb": 1 << 20, "mib": 1 << 20,
    "gigabytes": 1 << 30, "gigabyte": 1 << 30, "gb": 1 << 30, "gib": 1 << 30,
    "terabytes": 1 << 40, "terabyte": 1 << 40, "tb": 1 << 40, "tib": 1 << 40,
    "kilohertz": 10**3, "khz": 10**3, "megahertz": 10**6, "mhz": 10**6,
    "gigahertz": 10**9, "ghz": 10**9,
}  # fmt: skip
_FACTOR = re.compile(r"([0-9]{1,10})(?:\^([0-9]{1,2}))?")
_FREQUENCY = re.compile(r"h(ert)?z", re.IGNORECASE)
_LARGEST = 1 << 80


def multiplier(units: str) -> int | None:
    """Bytes (or hertz) of one unit: ``byte * 2^20``, ``byte*1024*1024``, ``MegaBytes``, ``hertz * 10^6``.

    None for what is no unit of size or frequency (``Disk``, ``Processor Cores``).
    """
    word, *factors = re.sub(r"\s+", "", units).split("*")
    total = _WORDS.get(word.lower())
    for factor in factors:
        match = _FACTOR.fullmatch(factor)
        if match is None or total is None:
            return None
        total *= int(match[1]) ** int(match[2] or 1)
        if not 0 < total <= _LARGEST:
            return None
    return total


def is_frequency(units: str) -> bool:
    """Whether the unit counts hertz."""
    return _FREQUENCY.search(units) is not None
