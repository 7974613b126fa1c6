"""A machine that was brought to KVM starts from its disk: its firmware drives the controller it hangs on.

The disk's first sector reads the second one by the BIOS and sends its text to the serial port, again
and again. So it says that the right bytes are in the right places, and can be read before any system runs.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backends.base import Power
from kensho_tui.cancel import Cancel
from kensho_tui.disks.copy import transfer
from kensho_tui.disks.image import Access, Format, Offer
from kensho_tui.machine import Bus, Controller, DiskId, Firmware
from tests.contract.bench import CAPACITY, MemoryDisk
from tests.contract.kvm import KvmBench
from tests.peers.libvirtd import missing

pytestmark = [pytest.mark.peer, pytest.mark.skipif(bool(missing()), reason=missing() or "-")]
TEXT = b"read from the disk that was moved\r\n"
DISK = DiskId("disk0")
_PROGRAM = bytes.fromhex(
    "31c0 8ed8 8ec0 8ed0 bc007c"  # all segments 0, a stack below the program
    "b80102 bb007e b90200 b600 cd13 72fe"  # one sector, the second one, to 7e00; stop where that fails
    "be007e"  # from its first byte on:
    "bafd03 ec a820 74fb"  # wait until the serial port takes a byte
    "ac 84c0 74f0 baf803 ee ebed"  # send the next one; behind the last one begin again
)


def disk() -> bytes:
    """The whole disk."""
    first = _PROGRAM.ljust(510, b"\0") + b"\x55\xaa"
    return (first + TEXT).ljust(CAPACITY, b"\0")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[KvmBench]:
    """A libvirtd, with nothing on it."""
    with KvmBench(tmp_path) as made:
        yield made


@pytest.mark.parametrize("format_", ["qcow2", "raw"])
@pytest.mark.parametrize(
    ("bus", "model"),
    [
        (Bus.IDE, ""),
        (Bus.SATA, "ahci"),
        (Bus.SCSI, "lsilogic"),
        (Bus.SCSI, "lsilogicsas"),
        (Bus.SCSI, "VirtualSCSI"),
        (Bus.SCSI, "virtio-scsi"),
        (Bus.VIRTIO, ""),
    ],
)
def test_a_machine_starts_from_its_disk_on_each_controller(
    bench: KvmBench, bus: Bus, model: str, format_: str
) -> None:
    appliance, placement = bench.appliance()
    machine = replace(
        appliance.machines[0],
        firmware=Firmware.BIOS,
        controllers=(Controller("scsi0", bus, 0, model),),
    )
    appliance = replace(appliance, machines=(machine,), disks={DISK: appliance.disks[DISK]})
    placement = replace(placement, storage={DISK: placement.storage[DISK]})
    session = bench.session(disk_format=format_)
    deployment = session.deploy(appliance, placement, "kensho:job-1:deploy")
    transfer(
        MemoryDisk(disk()),
        Offer(Format.RAW, Access.SEEK),
        targets=deployment.offers(DISK),
        open_writer=lambda chosen, length, map_: deployment.open(DISK, chosen, length, map_),
        capacity=CAPACITY,
    )
    (result,) = deployment.commit(start=True).machines
    assert result.started
    assert TEXT in _console(session, result.ref.id)
    assert session.power(result.ref, Power.OFF, 0, force=True) is Power.OFF


def _console(session: Any, uuid: str) -> bytes:
    """What the serial port says; waits for the text, which the test's own deadline ends."""

    def listen(conn: Any) -> bytes:
        stream = conn.newStream(0)
        conn.lookupByUUIDString(uuid).openConsole(None, stream, 0)
        said = b""
        while TEXT not in said:
            said += stream.recv(4096)
        stream.abort()
        return said

    said: bytes = session._link.call(listen, long=True, until=Cancel())
    return said
