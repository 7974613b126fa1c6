"""Standard output that cannot be written is no defect of ours: told apart from every other system error."""

import errno
import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class OutputError(Exception):
    """Standard output cannot be written.

    No `OSError`: click would end the command by itself where nobody reads any more.

    Attributes:
        errno: the system's number of the reason; `errno.EPIPE` where nobody reads any more.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"standard output cannot be written: {os.strerror(number)}")
        self.errno = number


class _Told(io.FileIO):
    """A descriptor that says by its own error that it was this one that could not be written."""

    def write(self, data: "ReadableBuffer", /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            # What waits in buffers is tried again at the end of the process, and has to go somewhere.
            _into_nothing(self.fileno())
            raise OutputError(error.errno or errno.EIO) from error


def prepare() -> None:
    """Have the process's standard output raise `OutputError`, and make up for closed descriptors.

    A number below three that is free would go to the next file that is opened, and what is printed into it.

    Raises: OutputError: standard output is closed.
    """
    if sys.stdin is None:
        sys.stdin = _nothing("r")
    closed = sys.stdout is None
    if closed:
        sys.stdout = _nothing("w")
    if sys.stderr is None:
        sys.stderr = _nothing("w")
    if closed:
        raise OutputError(errno.EBADF)
    out = sys.stdout
    # Who has put something else in its place knows what it does; a terminal stays what it is.
    if out is not sys.__stdout__ or not isinstance(out, io.TextIOWrapper) or out.isatty():
        return
    raw = _Told(out.fileno(), "wb", closefd=False)
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(raw), out.encoding, out.errors, line_buffering=out.line_buffering
    )


def _nothing(mode: str) -> TextIO:
    number = os.open(os.devnull, os.O_RDONLY if mode == "r" else os.O_WRONLY)
    return io.TextIOWrapper(io.FileIO(number, mode), encoding="utf-8")


def _into_nothing(number: int) -> None:
    nothing = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.dup2(nothing, number)
    finally:
        os.close(nothing)
