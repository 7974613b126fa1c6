"""Writing one thing behind the other, whether a stream is written forward or by offset."""

from collections.abc import Sequence

from kensho_tui.disks.image import Buffer, OutputStream, pwrite_all, write_all


class Appender:
    """Appends to an `OutputStream`.

    Args:
        output: where to.
        forward: whether it is written forward; else by offset.
        offset: of the first byte, where it is written by offset.
    """

    def __init__(self, output: OutputStream, *, forward: bool, offset: int = 0) -> None:
        self._output = output
        self._forward = forward
        self.offset = offset  # of the next byte

    def write(self, data: Buffer, /) -> None:
        """Append the bytes."""
        self.writev((data,))

    def writev(self, parts: Sequence[Buffer], /) -> None:
        """Append the buffers, one behind the other."""
        if self._forward:
            write_all(self._output, parts)
        else:
            pwrite_all(self._output, self.offset, parts)
        self.offset += sum(map(len, parts))
