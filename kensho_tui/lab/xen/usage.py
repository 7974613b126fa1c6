"""How full the repositories are, and which disks are in use.

Thick repositories (``lvm``) take a disk's whole size when it is made, thin ones (``ext``, ``nfs``)
a block when it is first written.
"""

import time

from kensho_tui.lab.xen.database import Database
from kensho_tui.lab.xen.diskfile import BLOCK, DiskFiles
from kensho_tui.lab.xen.fault import Fault
from kensho_tui.lab.xen.operations import vdi_attached

THICK = frozenset({"lvm", "lvmoiscsi", "lvmohba"})


class Usage:
    """Space and locks of the disks."""

    def __init__(self, database: Database, disks: DiskFiles) -> None:
        self._database = database
        self._disks = disks
        self._busy: dict[str, str] = {}
        self._until: dict[str, float] = {}

    def free(self, sr: str) -> int:
        """Bytes left in a repository."""
        with self._database.lock:
            size = int(self._database.get("SR", sr, "physical_size"))
            return size - int(self._database.get("SR", sr, "physical_utilisation"))

    def thick(self, sr: str) -> bool:
        """Whether disks take their whole size at once."""
        return self._database.get("SR", sr, "type") in THICK

    def take(self, vdi: str, size: int) -> None:
        """Give a disk more bytes of a thin repository. Raises: OSError: it is full."""
        with self._database.lock:
            sr = self._database.get("VDI", vdi, "SR")
            if self.thick(sr):
                return
            if size > self.free(sr):
                raise OSError(28, "No space left on device")
            used = int(self._database.get("VDI", vdi, "physical_utilisation"))
            self._database.set("VDI", vdi, physical_utilisation=used + size)
            self.count(sr)

    def measure(self, vdi: str) -> None:
        """Set a disk's utilisation from its file."""
        with self._database.lock:
            uuid = self._database.get("VDI", vdi, "uuid")
            sr = self._database.get("VDI", vdi, "SR")
            size = int(self._database.get("VDI", vdi, "virtual_size"))
            used = size if self.thick(sr) else len(self._disks.blocks(uuid)) * BLOCK
            self._database.set("VDI", vdi, physical_utilisation=used)
            self.count(sr)

    def count(self, sr: str) -> None:
        """Add up a repository from its disks."""
        with self._database.lock:
            vdis = self._database.get("SR", sr, "VDIs")
            physical = sum(int(self._database.get("VDI", v, "physical_utilisation")) for v in vdis)
            virtual = sum(int(self._database.get("VDI", v, "virtual_size")) for v in vdis)
            self._database.set("SR", sr, physical_utilisation=physical, virtual_allocation=virtual)

    def claim(self, vdi: str, operation: str) -> None:
        """Take a disk for a transfer. Raises: Fault: ``VDI_IN_USE``."""
        with self._database.lock:
            self.check(vdi, operation)
            self._busy[vdi] = operation

    def release(self, vdi: str, linger_s: float) -> None:
        """Give it back; it stays in use for ``linger_s`` seconds more."""
        with self._database.lock:
            self._busy.pop(vdi, None)
            if linger_s > 0:
                self._until[vdi] = time.monotonic() + linger_s

    def check(self, vdi: str, operation: str) -> None:
        """Raises: Fault: ``VDI_IN_USE`` while a transfer or a running machine has the disk."""
        with self._database.lock:
            lingering = self._until.get(vdi, 0.0) > time.monotonic()
            if vdi in self._busy or lingering or vdi_attached(self._database, vdi):
                raise Fault("VDI_IN_USE", vdi, operation)
