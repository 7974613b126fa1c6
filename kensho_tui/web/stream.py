"""A range of a file on a web server as an `InputStream`.

Who reads on gets what one answer brings, a little ahead of him kept; who reads here and there asks for each
piece. Several threads that read one disk together, a little out of order, are one who reads on.
"""

import threading
from collections import deque
from types import TracebackType
from typing import Self

from kensho_tui.disks.image import ExtentMap, WritableBuffer
from kensho_tui.web.errors import WebError
from kensho_tui.web.file import Body, WebFile

_PIECE = 1 << 18
KEPT = 8 << 20  # bytes behind the reader that are kept of a stream, for threads that come late
AHEAD = 4 << 20  # what lies so near before the stream's end is read through to
_LARGE = 32 << 10  # smaller pieces are not the reading of a disk's data


class _Flow:
    """One answer that goes on, with its last bytes kept."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self.low = body.at
        self._kept: deque[bytes] = deque()

    @property
    def high(self) -> int:
        return self._body.at

    def serves(self, start: int) -> bool:
        """Whether bytes from there on come of it soon."""
        return self.low <= start <= self.high + AHEAD

    def read(self, start: int, view: memoryview) -> int:
        """Fill it; fewer bytes only at the end."""
        done = 0
        while done < len(view):
            at = start + done
            if at < self.high:
                done += self._copy(at, view[done:])
                continue
            piece = self._body.read(_PIECE)
            if not piece:
                break
            self._kept.append(piece)
            while self.high - self.low > KEPT:
                self.low += len(self._kept.popleft())
        return done

    def _copy(self, at: int, view: memoryview) -> int:
        place, done = self.low, 0
        for piece in self._kept:
            if place + len(piece) > at + done:
                inside = piece[at + done - place :][: len(view) - done]
                view[done : done + len(inside)] = inside
                done += len(inside)
                if done == len(view):
                    break
            place += len(piece)
        return done

    def close(self) -> None:
        self._body.close()


class WebInput:
    """Bytes of a file, by ranges. Thread-safe but for `readinto`; closing it ends what waits.

    Args:
        file: of which.
        offset: first byte of the range in the file.
        length: bytes of the range; None: of a file whose length nobody tells, which is read forward only.
    """

    allocated: ExtentMap | None = None

    def __init__(self, file: WebFile, offset: int, length: int | None, *, subject: str) -> None:
        self._file = file
        self._web = file.web.apart()
        self._offset = offset
        self._length = length
        self._subject = subject
        self._position = 0
        self._lock = threading.Lock()
        self._flow: _Flow | None = None
        self._last = -1  # where the latest large piece ended
        self._closed = False

    @property
    def length(self) -> int:
        """Bytes of the range; 0 where they are not known."""
        return self._length or 0

    @property
    def identity(self) -> str:
        """Changes when the file on the server does."""
        return f"{self._file.identity}:{self._offset}+{self._length}"

    def readinto(self, buffer: WritableBuffer, /) -> int:
        """Read forward; bytes read, 0 at the end. One thread. Raises: WebError."""
        view = memoryview(buffer)
        if self._length is not None:
            view = view[: max(0, self._length - self._position)]
        if not len(view):
            return 0
        at = self._offset + self._position
        if self._flow is None and self._file.held(at, view):
            count = len(view)
        else:
            with self._lock:
                count = self._flowing(at).read(at, view)
        self._position += count
        return self._whole(count, len(view))

    def pread(self, offset: int, buffer: WritableBuffer, /) -> int:
        """Read at the offset of the range; short only at its end. Raises: WebError."""
        view = memoryview(buffer)[: max(0, self.length - offset)]
        if not len(view):
            return 0
        self._must_be_open()
        at = self._offset + offset
        if self._file.held(at, view):
            return len(view)
        with self._lock:
            flow = self._flow
            if flow is not None and flow.serves(at):
                return self._whole(flow.read(at, view), len(view))
            goes_on = len(view) >= _LARGE and self._last >= 0 and abs(at - self._last) <= AHEAD
            if len(view) >= _LARGE:
                self._last = at + len(view)
            if goes_on and (flow is None or at > flow.high or at < flow.low - KEPT):
                return self._whole(self._flowing(at).read(at, view), len(view))
        if self._file.small(at, view):
            return len(view)
        with Body(self._file, self._web, at, at + len(view)) as body:
            return self._whole(body.fill(view), len(view))

    def _flowing(self, at: int) -> _Flow:
        """The stream that brings the bytes from there on."""
        self._must_be_open()
        flow = self._flow
        if flow is None or not flow.serves(at):
            if flow is not None:
                flow.close()
            end = None if self._length is None else self._offset + self._length
            flow = self._flow = _Flow(Body(self._file, self._web, at, end))
        return flow

    def _whole(self, count: int, wanted: int) -> int:
        if count < wanted and self._length is not None:
            raise WebError("the server ended the file too early", subject=self._subject)
        return count

    def _must_be_open(self) -> None:
        if self._closed:
            raise WebError("the file is closed", subject=self._subject)

    def verify(self) -> None:
        """Raise `ChangedError` if the file is not the one that was opened."""
        self._must_be_open()
        if self._file.look_again() != self._file.stamp:
            raise self._file.changed()

    def close(self) -> None:
        """Give up or be done; from any thread, twice is once."""
        self._closed = True
        self._web.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
