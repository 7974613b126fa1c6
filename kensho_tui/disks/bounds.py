"""How large a disk may be, and how far data may inflate: an operator's own limits on what strangers give.

They hold for a whole process, which works for one operator: commands set them from their options, a job's
process from ``runner.toml``.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from kensho_tui.disks.image import MAX_CAPACITY, ImageError

# Deflate makes no more than 1032 bytes of one. Who exceeds it (xz, zstd) has packed nothing but zeros.
_RATIO = 1100
_SMALL = 64 << 20  # bytes that may always come of anything


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is accepted.

    Attributes:
        disk: bytes of the largest disk; no format goes past `MAX_CAPACITY` here.
        ratio: bytes that may be made of one byte, on the whole.
    """

    disk: int = MAX_CAPACITY
    ratio: int = _RATIO


class BoundsError(ImageError):
    """A disk, or what is packed, is larger than the operator accepts."""


_now = Bounds()
_by_option = False


def current() -> Bounds:
    """The bounds of this process."""
    return _now


def hold(bounds: Bounds) -> None:
    """From now on these bounds, which ``runner.toml`` says."""
    global _now, _by_option
    _now, _by_option = bounds, False


@contextmanager
def within(bounds: Bounds) -> Iterator[None]:
    """These bounds, which options of a command say, until it is left."""
    global _now, _by_option
    before = _now, _by_option
    _now, _by_option = bounds, True
    try:
        yield
    finally:
        _now, _by_option = before


def expect_disk(capacity: int) -> None:
    """Raises: BoundsError: a disk of so many bytes is larger than is accepted."""
    if capacity > _now.disk:
        raise BoundsError(
            f"the disk has {capacity:,} bytes, and {_now.disk:,} are accepted at most",
            remedy=remedy("max_disk"),
        )


def expect_ratio(packed: int, unpacked: int) -> None:
    """Raises: BoundsError: so many bytes are more than is accepted of what they were packed to."""
    if unpacked > _SMALL and unpacked > packed * _now.ratio:
        raise BoundsError(
            f"{packed:,} bytes inflate to {unpacked:,} and more, and {_now.ratio} times as many are"
            " accepted at most",
            remedy=remedy("max_ratio"),
        )


def remedy(setting: str) -> str:
    """Where the bound is set."""
    option = "--" + setting.replace("_", "-")
    where = option if _by_option else f"{setting} under [disks] in runner.toml"
    return f"If you trust where it is from, accept more ({where})"
