"""Handing a machine its OVF environment as a CD, and taking it back."""

from functools import partial
from typing import Any

import libvirt

from backends.base import BackendError, Key, Leftover, NotFoundError, RefusedError
from backends.kvm import build, marks, removal
from backends.kvm.domain import Volume, drive_xml
from backends.kvm.hardware import Drive, next_target
from backends.kvm.link import Link
from backends.kvm.upload import send
from backends.kvm.xml import E, Element, every, parse, said, written
from kensho_tui.machine import Attachment, Machine, Medium


def deliver(
    link: Link, key: Key, built: build.Built, machine: Machine, number: int, iso: bytes
) -> None:
    """Put the CD into a drive of its own, in the place of an earlier one.

    Raises: RefusedError: there is no storage for it. NoSpaceError, …
    """
    found = build.reload(link, built.machines[machine.id])
    if found.mark is None:
        raise RefusedError("the machine has lost its mark", subject=machine.name)
    pools = [disk.pool for disk in found.mark.disks] + [d.pool for d in built.disks().values()]
    if not pools:
        raise RefusedError(
            "there is no storage for the CD with the OVF environment",
            subject=machine.name,
            remedy="Give the machine a disk",
        )
    name = marks.environment_name(key, machine.name, number)
    _take_out(link, found)
    for left in removal.delete(link, pools[0], name):
        raise RefusedError(left.reason, subject=name, remedy=left.action)
    volume = Volume(_upload(link, pools[0], name, iso), "raw")
    drive = _drive(found)
    text = written(drive_xml(drive, volume, marks.DRIVE))
    link.call(
        lambda conn: conn.lookupByUUIDString(found.uuid).attachDeviceFlags(
            text, libvirt.VIR_DOMAIN_AFFECT_CONFIG
        ),
        machine.name,
        long=True,
    )


def _upload(link: Link, pool: str, name: str, iso: bytes) -> str:
    text = written(
        E.volume(
            E.name(name),
            E.capacity(str(len(iso)), unit="bytes"),
            E.target(E.format(type="raw"), E.permissions(E.mode("0600"))),
        )
    )
    link.call(
        lambda conn: conn.storagePoolLookupByUUIDString(pool).createXML(text, 0), name, long=True
    )

    def fill(conn: Any) -> str:
        volume = conn.storagePoolLookupByUUIDString(pool).storageVolLookupByName(name)
        stream = conn.newStream(0)
        volume.upload(stream, 0, len(iso), 0)
        send(stream, memoryview(iso))
        stream.finish()
        return str(volume.path())

    return link.call(fill, name, long=True)


def _drive(found: marks.Domain) -> Drive:
    drives = every(found.xml, "devices/disk")
    taken = [said(each, "target", "dev") for each in drives]
    ide = sum(said(each, "target", "bus") == "ide" for each in drives)
    modern = "q35" in said(found.xml, "os/type", "machine")
    bus = "sata" if modern or ide >= 4 else "ide"
    return Drive(Attachment("environment", Medium.CDROM), bus, next_target(bus, taken))


def drives(root: Element) -> list[Element]:
    """The drives of a domain that were made for an OVF environment."""
    return [
        each for each in every(root, "devices/disk") if said(each, "alias", "name") == marks.DRIVE
    ]


def _take_out(link: Link, found: marks.Domain) -> None:
    """Take the drive away: at once where the machine is off, else its CD now and it at the next start."""
    for drive in drives(found.xml):
        if found.active:
            empty = parse(written(drive))
            for source in every(empty, "source"):
                empty.remove(source)
            link.call(partial(_eject, uuid=found.uuid, text=written(empty)), found.name, long=True)
        link.call(partial(_detach, uuid=found.uuid, text=written(drive)), found.name, long=True)


def _eject(conn: Any, uuid: str, text: str) -> None:
    flags = libvirt.VIR_DOMAIN_AFFECT_LIVE | libvirt.VIR_DOMAIN_DEVICE_MODIFY_FORCE
    conn.lookupByUUIDString(uuid).updateDeviceFlags(text, flags)


def _detach(conn: Any, uuid: str, text: str) -> None:
    conn.lookupByUUIDString(uuid).detachDeviceFlags(text, libvirt.VIR_DOMAIN_AFFECT_CONFIG)


def withdraw(link: Link, key: Key) -> list[Leftover]:
    """Take out and delete the CDs that carry the key, committed or not: `Session.withdraw`."""
    left: list[Leftover] = []
    with link.cleaning():
        made = marks.find(link, key)
        for found in made.machines.values():
            try:
                _take_out(link, found)
            except NotFoundError:
                continue
            except BackendError as error:
                action = f"virsh -c '{link.uri}' edit {found.uuid}"
                left.append(removal.machine_left(found, error.what, action))
        if left:
            return left
        for pool, name in made.volumes:
            if marks.is_environment(name):
                left += removal.delete(link, pool, name)
    return left
