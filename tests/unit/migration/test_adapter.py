"""The controller that a VMDK's descriptor names is the one the disk hangs on."""

import pytest

from kensho_tui.machine import (
    Appliance,
    Attachment,
    Bus,
    Controller,
    Disk,
    DiskId,
    Machine,
    MachineId,
    Memory,
)
from kensho_tui.migration.moving import adapter_of


@pytest.mark.parametrize(
    ("bus", "model", "adapter"),
    [
        (Bus.IDE, "", "ide"),
        (Bus.SCSI, "BusLogic", "buslogic"),
        (Bus.SCSI, "VirtualSCSI", "lsilogic"),
        (Bus.SATA, "vmware.sata.ahci", "lsilogic"),
        (Bus.XEN, "", "lsilogic"),
    ],
)
def test_the_controller_is_that_of_the_machine(bus: Bus, model: str, adapter: str) -> None:
    disk = DiskId("d")
    machine = Machine(
        MachineId("m"),
        "m",
        Memory(1 << 30),
        controllers=(Controller("c", bus, model=model),),
        attachments=(Attachment("a", disk=disk, controller="c"),),
    )
    appliance = Appliance("a", (machine,), disks={disk: Disk(disk, 1 << 30)})
    assert adapter_of(appliance, disk) == adapter
    assert adapter_of(appliance, DiskId("other")) == "lsilogic"
