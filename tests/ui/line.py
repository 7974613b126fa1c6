"""A program at the end of a line of a certain speed: a real terminal, read no faster than that."""

import fcntl
import os
import pty
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType

_PIECES_PER_S = 20


class Line:
    """The terminal's side of the line: what has come, how much, and the keys that go the other way."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        bytes_per_s: int | None = None,
        columns: int = 80,
        rows: int = 24,
    ) -> None:
        """Start the program. ``bytes_per_s``: of the line towards the terminal; None: any."""
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=dict(environment),
            start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        self._rate = bytes_per_s
        self._came = bytearray()
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def count(self) -> int:
        """Bytes that have come."""
        return len(self._came)

    def _read(self) -> None:
        most = self._rate // _PIECES_PER_S if self._rate else 65536
        with suppress(OSError):  # the program has ended
            while piece := os.read(self._master, most):
                with self._changed:
                    self._came += piece
                    self._changed.notify_all()
                if self._rate:
                    time.sleep(len(piece) / self._rate)

    def keys(self, pressed: bytes) -> None:
        """Send keys."""
        os.write(self._master, pressed)

    def until(
        self, what: str, holds: Callable[[bytes], bool], *, after: int = 0, longest_s: float = 60
    ) -> int:
        """Wait until that holds of what came behind the first ``after`` bytes; how many came by then."""
        end = time.monotonic() + longest_s
        with self._changed:
            while not holds(bytes(self._came[after:])):
                if not self._changed.wait(max(0.0, end - time.monotonic())):
                    raise AssertionError(
                        f"it never came: {what}; last: {bytes(self._came[-300:])!r}"
                    )
            return len(self._came)

    def __enter__(self) -> "Line":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join(5)
        os.close(self._master)
