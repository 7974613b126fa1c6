"""Sizes as an editor shows and takes them: exactly, in the largest binary unit that says them."""

import re

from kensho_tui.ovf.errors import DescriptorError

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_WRITTEN = re.compile(r"\s*([0-9]{1,15})\s*(?:([KMGTP])I?B?|B)?\s*", re.IGNORECASE)


def shown(size: int | None) -> str:
    """``4 GiB``; "" for what is not known. `parsed` gives the same number of bytes."""
    if size is None:
        return ""
    power = 0
    while size and size % 1024 == 0 and power < len(_UNITS) - 1:
        size, power = size // 1024, power + 1
    return f"{size} {_UNITS[power]}"


def parsed(text: str) -> int:
    """Bytes of ``4 GiB``, ``512M`` or ``1048576``. Raises: DescriptorError: it is no size."""
    found = _WRITTEN.fullmatch(text)
    if found is None:
        raise DescriptorError(
            f"'{text.strip()}' is no size", remedy="Write it like 512 MiB or 4 GiB"
        )
    power = "BKMGTP".index(found[2].upper()) if found[2] else 0
    return int(found[1]) << (10 * power)
