"""Building the machines of an appliance, hidden and without their disks' bytes.

Everything is found or made: what an earlier attempt of the same key left is used, not doubled.
"""

from dataclasses import dataclass, field

from backends import keepsake
from backends.base import Key, Kind, Leftover, Placement, Ref, RefusedError
from backends.xenserver import marks, records, removal
from backends.xenserver.api import NULL, Api, Record
from backends.xenserver.lookup import opaque, references
from kensho_tui.machine import Appliance, Disk, DiskId, Machine, MachineId
from kensho_tui.text import one_line, plain


@dataclass(slots=True)
class Built:
    """What stands on the server, by the appliance's ids."""

    vms: dict[MachineId, marks.Object] = field(default_factory=dict)
    vdis: dict[DiskId, marks.Object] = field(default_factory=dict)
    group: marks.Object | None = None
    committed: bool = False


class Builder:
    """Builds one appliance under one key."""

    def __init__(self, api: Api, appliance: Appliance, placement: Placement, key: Key) -> None:
        self._api = api
        self._appliance = appliance
        self._placement = placement
        self._key = key
        self._undo: list[tuple[str, marks.Object]] = []
        self._opaque: dict[Ref, str] = {}

    def build(self) -> Built:
        """Make what is missing. On an error what this call made is removed again.

        Raises: RefusedError: the plan lacks something, or the server refuses. NotFoundError, …
        """
        made = marks.find(self._api, self._key)
        built = Built(dict(made.machines), dict(made.disks), made.appliance, made.committed)
        if built.committed:
            return built
        try:
            self._make(built)
        except BaseException as error:
            for left in self._take_back():
                error.add_note(f"Left over: {left.ref.name}: {left.action}")
            raise
        return built

    def _make(self, built: Built) -> None:
        if built.group is None and grouped(self._appliance):
            built.group = self._create(
                "VM_appliance",
                {
                    "name_label": one_line(self._appliance.name),
                    # There is no other_config here; the description holds the key until commit.
                    "name_description": marks.described(
                        self._key, plain(self._appliance.description)
                    ),
                },
            )
        for machine in self._appliance.machines:
            if machine.id not in built.vms:
                built.vms[machine.id] = self._machine(machine, built.group)
        for disk in wanted_disks(self._appliance, self._placement).values():
            if disk.id not in built.vdis:
                built.vdis[disk.id] = self._disk(disk)
        for machine in self._appliance.machines:
            self._devices(machine, built)

    def _take_back(self) -> list[Leftover]:
        left: list[Leftover] = []
        with self._api.cleaning():
            # Machines first: their drives and adapters go with them and let go of the disks.
            for kind, found in sorted(self._undo, key=lambda made: made[0] != "VM"):
                left += removal.remove(self._api, kind, found)
        return left

    def _create(self, kind: str, record: Record) -> marks.Object:
        name = str(record.get("name_label", ""))
        ref = str(self._api.long(f"{kind}.create", record, subject=name))
        # Remembered before the next call can fail; without a uuid it can still be destroyed.
        self._undo.append((kind, marks.Object(ref, record)))
        found = marks.Object(ref, self._api.record(kind, ref, name))
        self._undo[-1] = (kind, found)
        return found

    def _machine(self, machine: Machine, group: marks.Object | None) -> marks.Object:
        home = self._placement.homes.get(machine.id, self._placement.home)
        affinity = self._find(home) if home is not None and home.kind is Kind.HOST else NULL
        said = keepsake.entry(keepsake.of(self._appliance, machine))
        record = records.vm_record(
            machine,
            self._key,
            affinity=affinity,
            appliance=group.ref if group else NULL,
            kept={keepsake.ENTRY: said} if said else {},
        )
        found = self._create("VM", record)
        if machine.tpm:
            self._api.long("VTPM.create", found.ref, False, subject=machine.name)
        return found

    def _disk(self, disk: Disk) -> marks.Object:
        sr = self._find(self._placement.storage[disk.id])
        return self._create("VDI", disk_record(self._appliance, disk, sr, self._key))

    def _devices(self, machine: Machine, built: Built) -> None:
        vm = built.vms[machine.id]
        record = self._api.record("VM", vm.ref, machine.name)
        adapters = {
            str(self._api.record("VIF", ref)["device"]) for ref in references(record.get("VIFs"))
        }
        for device, adapter in enumerate(machine.adapters):
            where = (machine.id, adapter.id)
            if where not in self._placement.networks:
                raise RefusedError(
                    f"no network is chosen for adapter {adapter.name or adapter.id}",
                    subject=machine.name,
                    remedy="Choose one, or leave the adapter out",
                )
            network = self._placement.networks[where]
            if network is None or str(device) in adapters:
                continue
            handle = self._find(network)
            mtu = str(self._api.call("network.get_MTU", handle))
            vif = records.vif_record(vm.ref, device, handle, mtu, adapter.mac)
            self._api.long("VIF.create", vif, subject=machine.name)
        present = drives_present(self._api, record)
        for drive in records.drives(machine, wanted_disks(self._appliance, self._placement)):
            if drive.position in present:
                continue
            vdi = built.vdis[drive.disk].ref if drive.disk is not None else NULL
            vbd = records.vbd_record(
                vm.ref, vdi, drive.position, cd=drive.cd, bootable=drive.bootable
            )
            self._api.long("VBD.create", vbd, subject=machine.name)

    def _find(self, ref: Ref) -> str:
        if ref not in self._opaque:
            self._opaque[ref] = opaque(self._api, ref)
        return self._opaque[ref]


def grouped(appliance: Appliance) -> bool:
    """Whether the machines become a VM_appliance: they are a group, or more than one."""
    return appliance.collection or len(appliance.machines) > 1


def wanted_disks(appliance: Appliance, placement: Placement) -> dict[DiskId, Disk]:
    """The disks that get a place; the others are skipped."""
    return {
        ident: appliance.disks[ident] for ident in placement.storage if ident in appliance.disks
    }


def disk_record(appliance: Appliance, disk: Disk, sr: str, key: Key) -> Record:
    """The record of a disk of the appliance. Raises: RefusedError: its capacity is not known."""
    if disk.capacity is None:
        raise RefusedError(
            "nobody says how large the disk is",
            subject=disk.name or disk.id,
            remedy="Give its capacity in the descriptor",
        )
    owners = [m for m in appliance.machines if any(a.disk == disk.id for a in m.attachments)]
    order = [a.disk for a in owners[0].attachments if a.disk is not None] if owners else []
    name = disk.name or (f"{owners[0].name} {order.index(disk.id)}" if owners else disk.id)
    return records.vdi_record(
        name,
        sr,
        disk.capacity,
        records.disk_marks(key, disk.id),
        sharable=disk.shared or len(owners) > 1,
    )


def drives_present(api: Api, record: Record) -> dict[int, tuple[str, Record]]:
    """The drives a machine has: reference and record by position."""
    found = {}
    for ref in references(record.get("VBDs")):
        vbd = api.record("VBD", ref)
        found[int(str(vbd["userdevice"]))] = (ref, vbd)
    return found
