"""Writing one disk: ``PUT /import_raw_vdi`` as a VHD, as raw bytes, or as raw extents.

The verdict is the task's alone: ``200 OK`` is sent before the first byte is read. Extents travel in
frames of a 12-byte little-endian header (u64 offset, u32 length) and the data, ended by an empty
frame at 0 (xapi: ocaml/vhd-tool/src/chunked.ml).

A task says nothing before its end. So that a large disk need not begin again after a crash, its extents
are sent in segments, each an import of its own into the same disk: the server seeks and writes, and
does not wipe. What the task of a segment calls a success is acknowledged.
"""

import struct
import time
from collections.abc import Callable
from dataclasses import dataclass

from backends.base import (
    Access,
    Buffer,
    ConnectError,
    ExtentMap,
    Format,
    Json,
    Need,
    Offer,
    TransferError,
    UnsupportedError,
    WritableBuffer,
)
from backends.xenserver import tasks
from backends.xenserver.api import Api
from backends.xenserver.transfer import Channel, Turn
from kensho_tui.cancel import Cancel

_FRAME = struct.Struct("<QI")
_FRAME_BYTES = 2 << 20  # the server reads frames in pieces of this size


@dataclass(frozen=True, slots=True)
class Segments:
    """How a disk is sent in segments.

    Attributes:
        size, seconds: a segment ends when it has come to so many bytes and taken so long.
        uuid: of the VDI, for the token.
        acknowledged: the end of the bytes that earlier segments brought there.
        note: called with the new end after each segment, before it is told to anybody.
    """

    size: int
    seconds: float
    uuid: str
    acknowledged: int
    note: Callable[[int], None]


class Upload:
    """A `Writer` to one VDI. One thread writes; `close` from any."""

    def __init__(
        self,
        api: Api,
        vdi: str,
        offer: Offer,
        length: int | None,
        capacity: int,
        *,
        label: str,
        subject: str,
        written: Callable[[], None],
        explain_io: Callable[[], None],
        segments: Segments | None = None,
    ) -> None:
        """Open the transfer.

        Args:
            vdi: XenAPI reference of a disk that nothing was written to, or what ``segments`` says.
            length: bytes that will come; None for extents.
            capacity: of the VDI, in bytes.
            label: name of the task.
            written: called once the server has said that all is well.
            explain_io: called on an I/O error the server cannot explain; raises a better reason.
            segments: of extents; None: all is one import.
        """
        self._api = api
        self._vdi = vdi
        self._label = label
        self._offer = offer
        self._length = length
        self._capacity = capacity
        self._subject = subject
        self._written = written
        self._explain_io = explain_io
        self._position = 0
        self._segments = segments if offer.access is Access.EXTENTS else None
        # Behind the last extent, and behind the last one that has arrived for good.
        self._end = self._acknowledged = segments.acknowledged if segments else 0
        self._cancel = Cancel()
        self._channel: Channel | None = None
        self._turn = Turn(self._cancel, self._drop)
        self._done = False
        self._open()

    def _open(self) -> None:
        """Begin an import; of extents it may be one of several."""
        self._began, self._sent = time.monotonic(), 0
        self._judged = False  # the server has said success, maybe before it was sent everything
        self._channel = Channel(self._api, self._cancel)
        self._task = tasks.create(self._api, self._label, self._subject)
        query = {"vdi": self._vdi, "format": str(self._offer.format), "task_id": self._task}
        if self._offer.access is Access.EXTENTS:
            query["chunked"] = "true"
        try:
            self._channel.open("PUT", "/import_raw_vdi", query, self._length, self._subject)
        except BaseException:
            self._turn.close()
            raise

    def _drop(self) -> None:
        if self._channel is not None:
            self._channel.close()

    def write(self, data: Buffer, /) -> None:
        """Append all bytes. Raises: NoSpaceError, TransferError, ConnectError, CancelledError."""
        if self._offer.access is not Access.FORWARD:
            raise UnsupportedError("extents are not written forward", subject=self._subject)
        size = memoryview(data).nbytes
        if self._length is not None and self._position + size > self._length:
            raise TransferError(
                f"more bytes came than the {self._length} that were announced",
                subject=self._subject,
            )
        self._send(data)
        self._position += size

    def pwrite(self, offset: int, data: Buffer, /) -> None:
        """Write all bytes at the offset. Raises as `write` does."""
        if self._offer.access is not Access.EXTENTS:
            raise UnsupportedError("this image is written forward only", subject=self._subject)
        view = memoryview(data).cast("B")
        if offset < 0 or offset + len(view) > self._capacity:
            raise TransferError(
                f"bytes at {offset} lie beyond the end of the disk", subject=self._subject
            )
        if self._channel is None:
            with self._turn:
                self._open()
        for start in range(0, len(view), _FRAME_BYTES):
            piece = view[start : start + _FRAME_BYTES]
            self._send(_FRAME.pack(offset + start, len(piece)) + piece)
        self._position += len(view)
        self._sent += len(view)
        self._end = max(self._end, offset + len(view))

    def durable(self) -> tuple[ExtentMap, Json]:
        """What the tasks of the segments have called a success. One import is whole or not at all.

        Ends the segment where it is due, which waits for the server's verdict. Raises as `finish`.
        """
        segments = self._segments
        if segments is None:
            return ExtentMap(), None
        long = time.monotonic() - self._began >= segments.seconds
        if self._channel is not None and self._sent >= segments.size and long:
            self._end_import()
            segments.note(self._end)
            self._acknowledged = self._end
        token = {"vdi": segments.uuid, "end": self._acknowledged}
        return ExtentMap([(0, self._acknowledged)]), token if self._acknowledged else None

    def pread(self, offset: int, buffer: WritableBuffer, /) -> int:
        """Not here: the server gives a disk back from its first byte on only."""
        raise UnsupportedError("a disk of this server cannot be read back", subject=self._subject)

    def finish(self) -> None:
        """Wait for the server's verdict.

        Raises: TransferError: the server could not use the bytes, or there were too few of them;
            NoSpaceError; ConnectError; CancelledError.
        """
        if self._done:
            return
        if self._length is not None and self._position != self._length:
            raise TransferError(
                f"only {self._position} of {self._length} bytes came", subject=self._subject
            )
        if self._channel is not None:
            self._end_import()
        with self._turn:
            self._written()
            self._done = True
        self.close()

    def close(self) -> None:
        """Give up or be done. Without `finish` the disk counts as not written."""
        self._turn.close()

    # ---------------------------------------------------------------------------------- internals
    def _end_import(self) -> None:
        """All of it was sent: wait for the verdict, then let go of the connection."""
        if self._offer.access is Access.EXTENTS:
            self._send(_FRAME.pack(0, 0))
        with self._turn:
            if not self._judged:
                self._judge(tasks.wait(self._api, self._task, self._cancel))
            self._drop()
            self._channel = None
        tasks.discard(self._api, self._task)

    def _send(self, data: Buffer) -> None:
        if self._judged:
            return  # what follows the last block of a VHD is not read by every server
        with self._turn:
            if self._channel is None:
                raise TransferError("the disk has been written already", subject=self._subject)
            try:
                self._channel.send(data)
            except ConnectError as error:
                self._broken(error)

    def _broken(self, error: ConnectError) -> None:
        """The server hung up: the task knows why. It may also have had all it needs."""
        record = tasks.settled(self._api, self._task, self._cancel)
        if record is None:
            raise error
        self._judge(record)

    def _judge(self, record: dict[str, object]) -> None:
        info = record.get("error_info")
        # A full repository is told as an I/O error like any other.
        if isinstance(info, list) and info[:1] in (["VDI_IO_ERROR"], ["INTERNAL_ERROR"]):
            self._explain_io()
        tasks.verdict(record, self._subject)
        self._judged = True


def formats(*, zeroed: bool, capacity: int, vhd_limit: int, segment: int) -> tuple[Offer, ...]:
    """Ways to write a disk of that capacity, best first.

    A storage that does not wipe new disks takes nothing that leaves holes
    (`backends.xenserver.lookup.zeroed`).

    Of a VHD the server says only at its end whether it was right, so that a broken one begins again; a
    disk of more than one segment goes as extents, of which no segment is sent twice, and which leave out
    empty bytes more finely. A VHD is one import, which is all that a small disk needs.
    """
    raw = Offer(Format.RAW, Access.FORWARD, frozenset({Need.LENGTH}))
    if not zeroed:
        return (raw,)
    vhd = Offer(Format.VHD, Access.FORWARD, frozenset({Need.LENGTH, Need.ALLOCATION}))
    extents = Offer(Format.RAW, Access.EXTENTS)
    if capacity > vhd_limit:
        return extents, raw
    return (extents, vhd, raw) if capacity > segment else (vhd, extents, raw)
