"""How the stand-in misbehaves, and what it was asked: switchable while it runs."""

import threading
from collections import Counter

from pydantic import BaseModel, ConfigDict, Field


class Modes(BaseModel):
    """The modes. All off by default; changed by `kensho_tui.lab.xen.control`.

    Attributes:
        slave: every login answers ``HOST_IS_SLAVE`` with ``slave_of``.
        slave_of: the address a slave names as its master.
        redirect: disk transfers answer 302 to the pool's second host, which takes them.
        expire_after: sessions die after so many calls.
        bytes_per_second: how fast a disk takes or gives bytes.
        refuse_disk: name, UUID or reference of a disk whose import fails at once; ``*`` for all.
        cut_after: the connection is cut after so many bytes of a transfer.
        full_after: storage is full after so many bytes of an import.
        full_code: what the task then says: ``VDI_IO_ERROR`` as XAPI does, or ``SR_FULL``.
        vdi_in_use_s: for so many seconds after its last transfer a disk is in use.
        die_after: the server dies after so many bytes of a transfer: no answer, no task.
        error_in_body: exports break after so many bytes with an HTTP error inside the body.
        delay_scale: real seconds for each second of a start or shutdown delay.
    """

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    slave: bool = False
    slave_of: str = "127.0.0.1"
    redirect: bool = False
    expire_after: int | None = Field(None, ge=0)
    bytes_per_second: int | None = Field(None, gt=0)
    refuse_disk: str = ""
    cut_after: int | None = Field(None, ge=0)
    full_after: int | None = Field(None, ge=0)
    full_code: str = "VDI_IO_ERROR"
    vdi_in_use_s: float = Field(0.0, ge=0)
    die_after: int | None = Field(None, ge=0)
    error_in_body: int | None = Field(None, ge=0)
    delay_scale: float = Field(0.02, ge=0)


class CallLog:
    """What was called: ``VM.create``, ``PUT /import_raw_vdi``. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: list[str] = []

    def add(self, call: str) -> None:
        """Remember one call."""
        with self._lock:
            self._calls.append(call)

    def list(self) -> list[str]:
        """All calls since the last `clear`, oldest first."""
        with self._lock:
            return [*self._calls]

    def count(self, call: str) -> int:
        """How often that was called."""
        return Counter(self.list())[call]

    def clear(self) -> None:
        """Forget them."""
        with self._lock:
            self._calls.clear()
