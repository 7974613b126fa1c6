"""Building the machines of an appliance, under names of their own and without their disks' bytes.

Everything is found or made: what an earlier attempt of the same key left is used, not doubled.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from backends import keepsake
from backends.base import BackendError, Key, Kind, Placement, Ref, RefusedError, UnsupportedError
from backends.kvm import marks, removal
from backends.kvm.domain import Volume, domain_xml
from backends.kvm.features import Features
from backends.kvm.hardware import hardware
from backends.kvm.link import Link
from backends.kvm.xml import E, parse, said, written
from kensho_tui.machine import Appliance, Disk, DiskId, Machine, MachineId
from kensho_tui.text import one_line


@dataclass(slots=True)
class Built:
    """What stands on the host, by the appliance's ids."""

    machines: dict[MachineId, marks.Domain] = field(default_factory=dict)
    committed: bool = False

    def disks(self) -> dict[DiskId, marks.DiskMark]:
        """All disks that the machines know of."""
        found = (each.mark for each in self.machines.values())
        return {disk.id: disk for mark in found if mark for disk in mark.disks}


def wanted_disks(appliance: Appliance, placement: Placement) -> dict[DiskId, Disk]:
    """The disks that get a place; the others are skipped."""
    return {
        ident: appliance.disks[ident] for ident in placement.storage if ident in appliance.disks
    }


def owner(appliance: Appliance, disk: DiskId) -> Machine:
    """The machine whose metadata knows the disk: the first that has it, else the first."""
    for machine in appliance.machines:
        if any(each.disk == disk for each in machine.attachments):
            return machine
    return appliance.machines[0]


def build(
    link: Link, features: Features, appliance: Appliance, placement: Placement, key: Key
) -> Built:
    """Make what is missing. On an error all that carries the key and is not in service is removed.

    Raises: RefusedError: the plan lacks something, or the host refuses. NotFoundError, …
    """
    if not features.accelerator:
        raise UnsupportedError(features.why, subject=link.name)
    made = marks.find(link, key)
    built = Built(dict(made.machines), made.committed)
    if built.committed:
        return built
    standing = bool(made.machines or made.volumes)
    try:
        _make(link, features, appliance, placement, key, built, made)
    except BaseException as error:
        # What an earlier process made stays for the next attempt: its disks may be full.
        if not standing:
            try:
                left = removal.sweep(link, key)
            except BackendError:
                raise error from None
            for each in left:
                error.add_note(f"Left over: {each.ref.name}: {each.action}")
        raise
    return built


def _make(
    link: Link,
    features: Features,
    appliance: Appliance,
    placement: Placement,
    key: Key,
    built: Built,
    made: marks.Made,
) -> None:
    there = {name: pool for pool, name in made.volumes}
    wanted = wanted_disks(appliance, placement)
    known = built.disks()
    places: dict[DiskId, marks.DiskMark] = {}
    for number, (ident, disk) in enumerate(wanted.items()):
        if ident in known:
            places[ident] = known[ident]
            continue
        suffix = link.settings.disk_format
        name = marks.volume_name(key, owner(appliance, ident).name, number, suffix)
        pool = _id(placement.storage[ident], Kind.STORAGE)
        if there.get(name) != pool:
            make_volume(link, pool, name, disk, suffix)
        places[ident] = marks.DiskMark(ident, pool, name, name=one_line(disk.name, limit=200))
    paths = {ident: volume(link, mark) for ident, mark in places.items()}
    for number, machine in enumerate(appliance.machines):
        if machine.id in built.machines:
            continue
        mine = tuple(m for ident, m in places.items() if owner(appliance, ident) is machine)
        mark = marks.Mark(
            key,
            machine.id,
            marks.slug(machine.name),
            disks=mine,
            about=keepsake.entry(keepsake.of(appliance, machine)),
            start=machine.start,
        )
        root = domain_xml(
            machine,
            marks.identity(key, machine.id),
            mark,
            f"{marks.slug(machine.name)}.{marks.tag(key)}.{number}",
            hardware(machine, link.settings),
            features,
            paths,
            networks(link, machine, placement),
        )
        text = written(root)
        built.machines[machine.id] = link.call(
            partial(_defined, text=text), machine.name, long=True
        )


def _defined(conn: Any, text: str) -> marks.Domain:
    return marks.domain(conn.defineXML(text))


def _network(conn: Any, uuid: str) -> str:
    return str(conn.networkLookupByUUIDString(uuid).name())


def make_volume(link: Link, pool: str, name: str, disk: Disk, format_: str) -> None:
    """Make the volume of a disk.

    One that gets a QCOW2 is an empty file until then: what libvirt would make would shine through.

    Raises: RefusedError: its capacity is not known. NoSpaceError, …
    """
    if disk.capacity is None:
        raise RefusedError(
            "nobody says how large the disk is",
            subject=disk.name or disk.id,
            remedy="Give its capacity in the descriptor",
        )
    image = format_ != "raw" and not disk.blank
    capacity = 0 if image else -(-disk.capacity // 512) * 512
    text = written(
        E.volume(
            E.name(name),
            E.capacity(str(capacity), unit="bytes"),
            E.allocation("0", unit="bytes"),
            E.target(E.format(type="raw" if image else format_)),
        )
    )
    link.call(
        lambda conn: conn.storagePoolLookupByUUIDString(pool).createXML(text, 0),
        disk.name or disk.id,
        long=True,
    )


def volume(link: Link, mark: marks.DiskMark) -> Volume:
    """Where the volume is. Raises NotFoundError: it is gone."""

    def look(conn: Any) -> Volume:
        found = conn.storagePoolLookupByUUIDString(mark.pool).storageVolLookupByName(mark.volume)
        told = parse(found.XMLDesc(), mark.volume)
        # Not by what it looks like: a guest can write any header into its raw disk.
        return Volume(said(told, "target/path"), mark.volume.rpartition(".")[2])

    return link.call(look, mark.volume)


def networks(
    link: Link, machine: Machine, placement: Placement
) -> Mapping[str, tuple[str, str] | None]:
    """Of each adapter, the network or bridge it goes to. Raises: RefusedError: none is chosen."""
    found: dict[str, tuple[str, str] | None] = {}
    for adapter in machine.adapters:
        where = (machine.id, adapter.id)
        if where not in placement.networks:
            raise RefusedError(
                f"no network is chosen for adapter {adapter.name or adapter.id}",
                subject=machine.name,
                remedy="Choose one, or leave the adapter out",
            )
        ref = placement.networks[where]
        if ref is None:
            found[adapter.id] = None
        elif ref.id.startswith("bridge:"):
            found[adapter.id] = ("bridge", ref.id.removeprefix("bridge:"))
        else:
            ident = _id(ref, Kind.NETWORK)
            name = link.call(partial(_network, uuid=ident), ref.name)
            found[adapter.id] = ("network", name)
    return found


def _id(ref: Ref, kind: Kind) -> str:
    if ref.kind is not kind:
        raise RefusedError(f"this is no {kind}", subject=ref.name or ref.id)
    return ref.id


def reload(link: Link, found: marks.Domain) -> marks.Domain:
    """The domain as it is defined now."""
    return link.call(lambda conn: marks.domain(conn.lookupByUUIDString(found.uuid)), found.name)
