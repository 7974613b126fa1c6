"""Reading one disk: ``GET /export_raw_vdi`` as a VHD, or as every raw byte of it.

The stream has no announced length. Its errors come as a stream that ends early, or as an HTTP error
written into the middle of it; the task alone says whether it was whole.
"""

from backends.base import (
    ConnectError,
    DamagedError,
    ExtentMap,
    Format,
    Offer,
    TransferError,
    UnsupportedError,
    WritableBuffer,
)
from backends.xenserver import tasks
from backends.xenserver.api import Api
from backends.xenserver.failures import explain
from backends.xenserver.transfer import Channel, Turn
from kensho_tui.cancel import Cancel
from kensho_tui.errors import KenshoError

_VHD_COOKIE = b"conectix"  # begins the footer, which stands first and last in a dynamic VHD
_VHD_FOOTER = 512
_HTTP = b"HTTP/1."
_DRAIN = 1 << 20


class Download:
    """A `Reader` of one VDI. One thread reads; `close` from any."""

    def __init__(
        self,
        api: Api,
        vdi: str,
        offer: Offer,
        capacity: int,
        *,
        identity: str,
        label: str,
        subject: str,
    ) -> None:
        """Open the transfer. Args: vdi: XenAPI reference; capacity: of the VDI in bytes."""
        self._api = api
        self._format = offer.format
        self._length = capacity if offer.format is Format.RAW else None
        self._identity = identity
        self._subject = subject
        self._cancel = Cancel()
        self._channel = Channel(api, self._cancel)
        self._turn = Turn(self._cancel, self._channel.close)
        self._ended = False
        self._read = 0
        self._tail = b""
        self._task = tasks.create(api, label, subject)
        query = {"vdi": vdi, "format": str(offer.format), "task_id": self._task}
        try:
            self._channel.open("GET", "/export_raw_vdi", query, None, subject)
        except BaseException:
            self._turn.close()
            raise

    @property
    def length(self) -> int | None:
        """Bytes of the stream; None for a VHD, whose size the server finds as it goes."""
        return self._length

    @property
    def identity(self) -> str:
        """Changes when the disk's bytes change."""
        return self._identity

    @property
    def allocated(self) -> ExtentMap | None:
        """None: the server does not tell."""
        return None

    def readinto(self, buffer: WritableBuffer, /) -> int:
        """Read forward. Raises: TransferError, ConnectError, CancelledError."""
        with self._turn:
            if self._ended:
                return 0
            view = memoryview(buffer)
            try:
                count = self._channel.receive(view)
            except ConnectError as error:
                raise self._failure(error) from error
            if not count:
                self._ended = True
                if not self._whole():
                    raise self._failure(_early(self._subject))
                return 0
            self._notice(view[:count])
            return count

    def pread(self, offset: int, buffer: WritableBuffer, /) -> int:
        """Not here: the server sends a stream. Raises: UnsupportedError."""
        raise UnsupportedError("a disk of this server is read forward only", subject=self._subject)

    def verify(self) -> None:
        """Read what is left, then hear the task.

        Raises: TransferError: the server says it went wrong. DamagedError: the stream is not whole.
        """
        rest = bytearray(_DRAIN)
        while self.readinto(rest):
            continue
        with self._turn:
            tasks.verdict(tasks.wait(self._api, self._task, self._cancel), self._subject)
            tasks.discard(self._api, self._task)
        if self._length is not None and self._read != self._length:
            raise DamagedError(
                f"the server sent {self._read} bytes of a disk of {self._length}",
                subject=self._subject,
                remedy="Try again",
            )
        if self._format is Format.VHD and not self._tail.startswith(_VHD_COOKIE):
            raise DamagedError(
                "the server's image has no footer at its end",
                subject=self._subject,
                remedy="Try again",
            )

    def close(self) -> None:
        """Give up or be done; from any thread."""
        self._turn.close()

    # ---------------------------------------------------------------------------------- internals
    def _notice(self, data: memoryview) -> None:
        """Count the bytes, keep the last ones, and see an error that came in place of an image."""
        if not self._read and self._format is Format.VHD and bytes(data[:7]) == _HTTP[: len(data)]:
            raise self._failure(
                TransferError(
                    "the server sent an error in place of the disk",
                    subject=self._subject,
                    remedy="Look at the server's log",
                )
            )
        self._read += len(data)
        if len(data) >= _VHD_FOOTER:
            self._tail = bytes(data[-_VHD_FOOTER:])
        else:
            self._tail = (self._tail + bytes(data))[-_VHD_FOOTER:]

    def _whole(self) -> bool:
        """Whether the stream ends where an image of its format does."""
        if self._length is not None:
            return self._read >= self._length
        return self._tail.startswith(_VHD_COOKIE)

    def _failure(self, seen: KenshoError) -> KenshoError:
        """What the task says of a transfer that went wrong; what was seen where it says nothing."""
        record = tasks.settled(self._api, self._task, self._cancel)
        if record is None or record.get("status") == "success":
            return seen
        return explain(record.get("error_info") or ["TASK_CANCELLED"], self._subject)


def _early(subject: str) -> TransferError:
    return TransferError(
        "the server ended the disk before its end",
        subject=subject,
        remedy="Look at the server's log and at the network, then try again",
    )
