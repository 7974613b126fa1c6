"""Tables of numbers as they stand in files, whatever the machine's own order of bytes is."""

import sys
from array import array
from typing import Literal

from kensho_tui.disks.image import Buffer

Order = Literal["little", "big"]


def numbers(data: Buffer, kind: str, order: Order) -> "array[int]":
    """The numbers of a file's bytes. ``kind``: as of `array.array`: ``H`` 16, ``I`` 32, ``Q`` 64 bits."""
    found: array[int] = array(kind)
    found.frombytes(data)
    if sys.byteorder != order:
        found.byteswap()
    return found


def stored(table: "array[int]", order: Order) -> bytes:
    """The numbers as a file has them."""
    if sys.byteorder != order:
        table = table[:]
        table.byteswap()
    return table.tobytes()
