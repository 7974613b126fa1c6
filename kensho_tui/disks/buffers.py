"""Buffers of a window's size that are used again.

Fresh ones for every window, taken in one thread and freed in another, leave the C library's heaps full
of holes: memory then grows with the number of threads, not with what is in use.
"""

import ctypes
import sys
from collections import deque
from functools import cache

from kensho_tui.disks.image import PIECE

_SIZE = PIECE + (1 << 16)  # a window, with a VHD's sector bitmap or with the markers of 32 grains
_KEPT = 32


@cache
def keep_memory() -> None:
    """Have glibc keep what is freed instead of giving it back and asking for it again with every window.

    One heap for all threads: they allocate under the interpreter's lock anyway, and heaps of their own
    would each keep what they had at most. Of no effect with another C library. `mallopt(3)`:
    M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD, M_ARENA_MAX.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    for parameter, value in ((-1, 16 << 20), (-2, 2 << 20), (-3, 32 << 20), (-8, 1)):
        mallopt(parameter, value)


class Buffers:
    """A store of buffers. Thread-safe; what is never given back is simply freed."""

    def __init__(self) -> None:
        self._free: deque[bytearray] = deque(maxlen=_KEPT)

    def take(self, length: int) -> memoryview:
        """A buffer of so many bytes; what is in it is undefined."""
        if length > _SIZE:
            return memoryview(bytearray(length))
        try:
            buffer = self._free.pop()
        except IndexError:
            buffer = bytearray(_SIZE)
        return memoryview(buffer)[:length]

    def give_all(self, views: list[memoryview]) -> None:
        """As `give` for each; the list is empty then."""
        while views:
            self.give(views.pop())

    def give(self, view: memoryview) -> None:
        """The buffer behind the view may be used again: nobody looks at it any more."""
        if isinstance(view.obj, bytearray) and len(view.obj) == _SIZE:
            self._free.append(view.obj)
