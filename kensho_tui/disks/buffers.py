"""Buffers of a window's size that are used again.

Fresh ones for every window, taken in one thread and freed in another, leave the C library's heaps full
of holes: memory then grows with the number of threads, not with what is in use.
"""

from collections import deque

from kensho_tui.disks.image import PIECE

_SIZE = PIECE + (1 << 16)  # a window, with a VHD's sector bitmap or with the markers of 32 grains
_KEPT = 32


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

    def give(self, view: memoryview) -> None:
        """The buffer behind the view may be used again: nobody looks at it any more."""
        if isinstance(view.obj, bytearray) and len(view.obj) == _SIZE:
            self._free.append(view.obj)
