"""Writing a disk: the bytes go into its volume by one stream after the other."""

import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import libvirt

from backends.base import (
    Buffer,
    ConnectError,
    ExtentMap,
    Format,
    Json,
    Offer,
    TransferError,
    UnsupportedError,
    WritableBuffer,
)
from backends.kvm.link import Link
from kensho_tui.cancel import Cancel, CancelledError

_PACKET = 1 << 18  # bytes; the protocol takes little more at once (VIR_NET_MESSAGE_PAYLOAD_MAX)
_SPARSE = 1  # VIR_STORAGE_VOL_UPLOAD_SPARSE_STREAM


class Upload:
    """A `Writer` to one volume. One thread writes; `close` from any.

    Bytes that ascend are one stream; whatever does not, ends it and begins another one. A stream that
    is finished has been acknowledged by the server.
    """

    def __init__(
        self,
        link: Link,
        pool: str,
        name: str,
        offer: Offer,
        capacity: int,
        *,
        subject: str,
        written: Callable[[], None],
        segment: int,
        acknowledged: int = 0,
        note: Callable[[int], None] = lambda end: None,
    ) -> None:
        """Args:
        capacity: of the disk in bytes; a raw volume has as many.
        written: called once all was acknowledged.
        segment: bytes after which a raw disk's stream is ended, so that they are acknowledged.
        acknowledged: bytes of a raw disk that stay as they are.
        note: called with the end of what was acknowledged.
        """
        self._link = link
        self._pool = pool
        self._name = name
        self._offer = offer
        self._capacity = capacity
        self._subject = subject
        self._written = written
        self._segment = segment
        self._acknowledged = acknowledged
        self._note = note
        self._closed = Cancel()
        self._stream: Any = None
        self._on: Any = None  # the connection that the stream is of
        self._position = acknowledged
        self._sent = 0
        self._done = False

    @property
    def _raw(self) -> bool:
        return self._offer.format is Format.RAW

    def write(self, data: Buffer, /) -> None:
        """Not forward."""
        raise UnsupportedError("a disk is written by offset here", subject=self._subject)

    def pwrite(self, offset: int, data: Buffer, /) -> None:
        """Write all bytes at the offset. Raises: NoSpaceError, TransferError, ConnectError, …"""
        if self._done:
            raise TransferError("the disk has been written already", subject=self._subject)
        view = memoryview(data).cast("B")
        if offset < 0 or (self._raw and offset + len(view) > self._capacity):
            raise TransferError(
                f"bytes at {offset} lie beyond the end of the disk", subject=self._subject
            )
        # A gap in a raw disk is sent as a hole, which is little; images have their gaps filled later.
        if self._stream is not None and (
            offset < self._position or (not self._raw and offset != self._position)
        ):
            self._end()
        self._call(lambda conn: self._send(conn, offset, view))
        self._position = offset + len(view)
        self._sent += len(view)

    def durable(self) -> tuple[ExtentMap, Json]:
        """What the server has acknowledged of a raw disk; of an image: nothing, its tables come last."""
        if not self._raw:
            return ExtentMap(), None
        if self._stream is not None and self._sent >= self._segment:
            self._end()
            self._note(self._position)
            self._acknowledged = self._position
        token = {"volume": self._name, "pool": self._pool, "end": self._acknowledged}
        return ExtentMap([(0, self._acknowledged)]), token if self._acknowledged else None

    def pread(self, offset: int, buffer: WritableBuffer, /) -> int:
        """Read back what was acknowledged."""
        return read(self._link, self._pool, self._name, offset, buffer, self._closed, self._subject)

    def finish(self) -> None:
        """The last stream's end is the server's verdict on it."""
        if self._done:
            return
        if self._stream is not None:
            self._end()
        self._check()
        self._written()
        self._done = True

    def close(self) -> None:
        """Give up or be done; from any thread. Without `finish` the disk counts as not written."""
        self._closed.cancel()
        self._give_up()

    def _check(self) -> None:
        if self._closed.cancelled:
            raise CancelledError

    def _call(self, what: Callable[[Any], None]) -> None:
        self._check()
        try:
            self._link.call(what, self._subject, long=True, until=self._closed)
        except BaseException:
            if self._closed.cancelled:
                raise CancelledError from None
            self._give_up()
            raise

    def _give_up(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            # The server may not answer: nobody waits for it.
            threading.Thread(target=_abort, args=(stream,), daemon=True).start()

    def _send(self, conn: Any, offset: int, view: memoryview) -> None:
        self._same(conn)
        if self._stream is None:
            stream = conn.newStream(0)
            found = conn.storagePoolLookupByUUIDString(self._pool)
            volume = found.storageVolLookupByName(self._name)
            volume.upload(stream, offset, 0, _SPARSE if self._raw else 0)
            self._stream, self._on = stream, conn
            self._position, self._sent = offset, 0
        elif offset > self._position:
            self._stream.sendHole(offset - self._position, 0)
        send(self._stream, view)

    def _end(self) -> None:
        stream = self._stream
        if stream is None:
            return
        self._call(partial(self._finish, stream=stream))
        self._stream = None

    def _finish(self, conn: Any, stream: Any) -> None:
        self._same(conn)
        stream.finish()

    def _same(self, conn: Any) -> None:
        """A stream does not outlive its connection, though another one has been opened meanwhile."""
        if self._stream is not None and self._on is not conn:
            raise ConnectError(
                "the connection broke while the disk was written",
                subject=self._subject,
                retryable=True,
            )


def send(stream: Any, view: memoryview) -> None:
    """All bytes of the view."""
    sent = 0
    while sent < len(view):
        count = stream.send(bytes(view[sent : sent + _PACKET]))
        if count < 0:  # pragma: no cover  # streams that do not wait are not used
            raise TransferError("the stream takes no bytes")
        sent += count


def read(
    link: Link,
    pool: str,
    name: str,
    offset: int,
    buffer: WritableBuffer,
    until: Cancel,
    subject: str,
) -> int:
    """Bytes of a volume from the offset on; how many, fewer at its end."""

    def fetch(conn: Any) -> bytes:
        volume = conn.storagePoolLookupByUUIDString(pool).storageVolLookupByName(name)
        stream = conn.newStream(0)
        volume.download(stream, offset, len(buffer), 0)
        parts, have = [], 0
        while have < len(buffer):
            data = stream.recv(min(_PACKET, len(buffer) - have))
            if not data:
                break
            parts.append(data)
            have += len(data)
        stream.finish()
        return b"".join(parts)

    data = link.call(fetch, subject, long=True, until=until)
    buffer[: len(data)] = data
    return len(data)


def _abort(stream: Any) -> None:
    with suppress(libvirt.libvirtError):
        stream.abort()
