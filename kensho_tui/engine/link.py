"""A worker's line to the supervisor: samples go out, cancellation, answers and secrets come in.

The work never waits for it. When the supervisor is gone the worker goes on, and the link looks for
the next one.
"""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable

from kensho_tui.engine import wire
from kensho_tui.engine.events import Json
from kensho_tui.engine.places import Places
from kensho_tui.engine.wire import ProtocolError
from kensho_tui.migration.context import Sample

# Of samples, per step: at most two a second.
SAMPLE_INTERVAL_S = 0.5
LONGEST_PAUSE_S = 2.0


class Link:
    """The line of one worker. Thread-safe; nothing here blocks the caller."""

    def __init__(
        self,
        places: Places,
        hello: Callable[[], dict[str, Json]],
        receive: Callable[[dict[str, Json]], None],
    ) -> None:
        """Args:
        hello: what the worker says of itself on every new connection, beside its role.
        receive: called with each message, in the link's own thread; the first of a connection
            is the reply to hello.
        """
        self._places = places
        self._hello = hello
        self._receive = receive
        self._changed = threading.Condition()
        self._socket: socket.socket | None = None
        self._latest: dict[str, Sample] = {}
        self._pending: set[str] = set()
        self._nudged = False
        self._closed = threading.Event()
        self._tried = threading.Event()
        self._threads = [
            threading.Thread(target=target, name=f"link-{target.__name__}", daemon=True)
            for target in (self._read, self._send)
        ]

    def start(self, wait_s: float) -> None:
        """Look for the supervisor; wait until its greeting came or it was found to be absent."""
        for thread in self._threads:
            thread.start()
        self._tried.wait(wait_s)

    def nudge(self) -> None:
        """Tell the supervisor that the journal has grown."""
        with self._changed:
            self._nudged = True
            self._changed.notify_all()

    def sample(self, sample: Sample) -> None:
        """Send the sample, or a later one of the same step."""
        with self._changed:
            self._latest[sample.step] = sample
            if not self._pending:
                self._changed.notify_all()
            self._pending.add(sample.step)

    def close(self, wait_s: float = 2.0) -> None:
        """Send what is still to be sent and end both threads."""
        self._closed.set()
        with self._changed:
            self._changed.notify_all()
        self._threads[1].join(wait_s)
        with self._changed:
            if self._socket:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)
        self._threads[0].join(wait_s)

    # ------------------------------------------------------------------------------------- inward
    def _read(self) -> None:
        pause = 0.1
        while not self._closed.is_set():
            try:
                with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                    self._converse(connection)
                    pause = 0.1
            except (OSError, ProtocolError):
                # Absent or going: the work goes on without it, and the next one is looked for.
                pause = min(pause * 2, LONGEST_PAUSE_S)
            finally:
                with self._changed:
                    self._socket = None
                self._tried.set()
            self._closed.wait(pause)

    def _converse(self, connection: socket.socket) -> None:
        connection.connect(os.fspath(self._places.socket()))
        if wire.peer_uid(connection) != os.getuid():
            raise ProtocolError("the runner's socket belongs to another user")
        connection.sendall(
            wire.line(
                {
                    "id": 0,
                    "do": "hello",
                    "role": "worker",
                    "protocol": wire.PROTOCOL,
                    **self._hello(),
                }
            )
        )
        with connection.makefile("rb") as file:
            while (raw := file.readline(wire.LINE_LIMIT)).endswith(b"\n"):
                message = wire.parse(raw)
                if message.get("id") == 0:
                    message = message.get("ok", {})
                self._receive(message)
                with self._changed:
                    if self._socket is None:
                        # A new supervisor knows no samples; it is given the latest of each step.
                        self._socket = connection
                        self._pending |= self._latest.keys()
                        self._changed.notify_all()
                self._tried.set()

    # ------------------------------------------------------------------------------------ outward
    def _send(self) -> None:
        due = 0.0
        while True:
            with self._changed:
                while not self._closed.is_set() and not self._nudged:
                    if self._pending and self._socket:
                        wait = due - time.monotonic()
                        if wait <= 0:
                            break
                        self._changed.wait(wait)
                    else:
                        self._changed.wait()
                messages: list[dict[str, Json]] = []
                if self._nudged:
                    messages.append({"grown": True})
                    self._nudged = False
                if self._closed.is_set() or time.monotonic() >= due:
                    messages += [
                        {"sample": wire.sample_to(self._latest[step])}
                        for step in sorted(self._pending)
                    ]
                    self._pending.clear()
                    due = time.monotonic() + SAMPLE_INTERVAL_S
                connection = self._socket
            if connection and messages:
                # What cannot be sent need not be: events stand in the journal, samples pass.
                with contextlib.suppress(OSError):
                    connection.sendall(b"".join(map(wire.line, messages)))
            if self._closed.is_set():
                return
