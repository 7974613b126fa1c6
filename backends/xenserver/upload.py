"""Writing one disk: ``PUT /import_raw_vdi`` as a VHD, as raw bytes, or as raw extents.

The verdict is the task's alone: ``200 OK`` is sent before the first byte is read. Extents travel in
frames of a 12-byte little-endian header (u64 offset, u32 length) and the data, ended by an empty
frame at 0 (xapi: ocaml/vhd-tool/src/chunked.ml).
"""

import struct
from collections.abc import Callable

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
)
from backends.xenserver import tasks
from backends.xenserver.api import Api
from backends.xenserver.transfer import Channel, Turn
from kensho_tui.cancel import Cancel

_FRAME = struct.Struct("<QI")
_FRAME_BYTES = 2 << 20  # the server reads frames in pieces of this size


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
    ) -> None:
        """Open the transfer.

        Args:
            vdi: XenAPI reference of a disk that nothing was written to.
            length: bytes that will come; None for extents.
            capacity: of the VDI, in bytes.
            label: name of the task.
            written: called once the server has said that all is well.
            explain_io: called on an I/O error the server cannot explain; raises a better reason.
        """
        self._api = api
        self._offer = offer
        self._length = length
        self._capacity = capacity
        self._subject = subject
        self._written = written
        self._explain_io = explain_io
        self._position = 0
        self._cancel = Cancel()
        self._channel = Channel(api, self._cancel)
        self._task = tasks.create(api, label, subject)
        self._judged = False  # the server has said success, maybe before it was sent everything
        self._turn = Turn(self._cancel, self._channel.close)
        self._done = False
        query = {"vdi": vdi, "format": str(offer.format), "task_id": self._task}
        if offer.access is Access.EXTENTS:
            query["chunked"] = "true"
        try:
            self._channel.open("PUT", "/import_raw_vdi", query, length, subject)
        except BaseException:
            self._turn.close()
            raise

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
        for start in range(0, len(view), _FRAME_BYTES):
            piece = view[start : start + _FRAME_BYTES]
            self._send(_FRAME.pack(offset + start, len(piece)) + piece)
        self._position += len(view)

    def durable(self) -> tuple[ExtentMap, Json]:
        """Nothing: an import is whole or not at all."""
        return ExtentMap(), None

    def finish(self) -> None:
        """Wait for the server's verdict.

        Raises: TransferError: the server could not use the bytes, or there were too few of them;
            NoSpaceError; ConnectError; CancelledError.
        """
        if self._done:
            return
        if self._offer.access is Access.EXTENTS:
            self._send(_FRAME.pack(0, 0))
        elif self._length is not None and self._position != self._length:
            raise TransferError(
                f"only {self._position} of {self._length} bytes came", subject=self._subject
            )
        with self._turn:
            if not self._judged:
                self._judge(tasks.wait(self._api, self._task, self._cancel))
            self._written()
            self._done = True
        self.close()
        tasks.discard(self._api, self._task)

    def close(self) -> None:
        """Give up or be done. Without `finish` the disk counts as not written."""
        self._turn.close()

    # ---------------------------------------------------------------------------------- internals
    def _send(self, data: Buffer) -> None:
        if self._judged:
            return  # what follows the last block of a VHD is not read by every server
        with self._turn:
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


def formats(*, zeroed: bool, capacity: int, vhd_limit: int) -> tuple[Offer, ...]:
    """Ways to write a disk of that capacity, best first.

    A storage that does not wipe new disks takes nothing that leaves holes
    (`backends.xenserver.lookup.zeroed`).
    """
    raw = Offer(Format.RAW, Access.FORWARD, frozenset({Need.LENGTH}))
    if not zeroed:
        return (raw,)
    vhd = Offer(Format.VHD, Access.FORWARD, frozenset({Need.LENGTH, Need.ALLOCATION}))
    extents = Offer(Format.RAW, Access.EXTENTS)
    return (vhd, extents, raw) if capacity <= vhd_limit else (extents, raw)
