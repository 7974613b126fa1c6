"""How what Kensho makes is found again.

A domain says in its metadata whose it is, what stands of its disks, and whether it is in service; its
UUID follows from the key. A volume says it in its name, because it has nothing else to say it in.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import libvirt

from backends.base import Key
from backends.kvm.link import Link
from backends.kvm.xml import E, Element, parse, written
from kensho_tui.machine import DiskId, MachineId, Start
from kensho_tui.text import one_line

NAMESPACE = "urn:kensho:deployment:1"
_NAMES = uuid5(NAMESPACE_URL, NAMESPACE)
_TAG = f"{{{NAMESPACE}}}deployment"
DRIVE = "ua-kensho-environment"  # alias of a drive that was made for an OVF environment
WRITING, WRITTEN = "writing", "written"


@dataclass(frozen=True, slots=True)
class DiskMark:
    """A disk as its machine's metadata knows it; ``state``: "", `WRITING` or `WRITTEN`."""

    id: DiskId
    pool: str
    volume: str
    state: str = ""
    acknowledged: int = 0
    name: str = ""  # what the appliance calls it


@dataclass(frozen=True, slots=True)
class Mark:
    """What a domain's metadata says."""

    key: Key
    machine: MachineId
    name: str
    committed: bool = False
    disks: tuple[DiskMark, ...] = ()
    about: str = ""  # `backends.keepsake`
    start: Start = field(default_factory=Start)

    def element(self) -> Element:
        """As XML without a prefix: libvirt gives it one."""
        root = E.deployment(
            key=self.key,
            machine=self.machine,
            name=self.name,
            state="committed" if self.committed else "building",
            order=str(self.start.order),
            delay=str(self.start.start_delay_s),
            stop=str(self.start.stop_delay_s),
        )
        if self.about:
            root.append(E.about(self.about))
        for each in self.disks:
            root.append(
                E.disk(
                    id=each.id,
                    pool=each.pool,
                    volume=each.volume,
                    state=each.state,
                    acknowledged=str(each.acknowledged),
                    name=each.name,
                )
            )
        return root

    def with_disk(self, disk: DiskMark) -> "Mark":
        """With that disk in the place of the one of its id."""
        others = tuple(each for each in self.disks if each.id != disk.id)
        return replace(self, disks=(*others, disk))


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain as it is defined (not as it runs)."""

    uuid: str
    name: str
    xml: Element
    mark: Mark | None
    active: bool


@dataclass(slots=True)
class Made:
    """All that carries one key."""

    key: Key
    machines: dict[MachineId, Domain] = field(default_factory=dict)
    # (pool's UUID, name) of volumes
    volumes: list[tuple[str, str]] = field(default_factory=list)

    @property
    def committed(self) -> bool:
        """Whether the deployment stands: the mark on one machine decides for all."""
        return any(each.mark and each.mark.committed for each in self.machines.values())

    def disks(self) -> dict[DiskId, DiskMark]:
        """All disks that the machines know of."""
        marks = (each.mark for each in self.machines.values())
        return {disk.id: disk for mark in marks if mark for disk in mark.disks}


def tag(key: Key) -> str:
    """What the name of each volume of the key has in it."""
    return f"k{uuid5(_NAMES, key).hex[:20]}"


def identity(key: Key, machine: MachineId) -> UUID:
    """The UUID of a machine of the key."""
    return uuid5(_NAMES, f"{key}/{machine}")


def volume_name(key: Key, machine: str, number: int, suffix: str) -> str:
    """Such as ``web01-0.k5f….qcow2``."""
    return f"{slug(machine)}-{number}.{tag(key)}.{suffix}"


def environment_name(key: Key, machine: str, number: int) -> str:
    """Of the CD with the OVF environment of a machine."""
    return f"{slug(machine)}-environment-{number}.{tag(key)}.iso"


def is_environment(volume: str) -> bool:
    """Whether a volume of that name is such a CD."""
    return re.search(r"-environment-\d+\.k[0-9a-f]{20}\.iso$", volume) is not None


def slug(name: str) -> str:
    """The name as a domain and a file can have it."""
    return re.sub(r"[/\s]+", "-", one_line(name, limit=60)).strip("-.") or "machine"


def read(root: Element) -> Mark | None:
    """The mark in a domain's XML; None: it is none of ours."""
    found = root.find(f"metadata/{_TAG}")
    if found is None or not found.get("key"):
        return None
    disks, about = [], ""
    # libvirt gives the namespace to the outermost element alone, or to all.
    for each in found.iterchildren():
        if not isinstance(each.tag, str):
            continue
        if each.tag.endswith("about"):
            about = each.text or ""
        if not each.tag.endswith("disk"):
            continue
        disks.append(
            DiskMark(
                DiskId(each.get("id", "")),
                each.get("pool", ""),
                each.get("volume", ""),
                each.get("state", ""),
                _number(each, "acknowledged"),
                each.get("name", ""),
            )
        )
    return Mark(
        found.get("key", ""),
        MachineId(found.get("machine", "")),
        found.get("name", ""),
        found.get("state") == "committed",
        tuple(disks),
        about,
        Start(_number(found, "order"), _number(found, "delay"), _number(found, "stop")),
    )


def _number(element: Element, attribute: str) -> int:
    text = element.get(attribute, "")
    return int(text) if text.isdecimal() else 0


def put(link: Link, uuid: str, mark: Mark, subject: str) -> None:
    """Write a domain's mark: the whole of it, at once."""
    text = written(mark.element())
    link.call(
        lambda conn: conn.lookupByUUIDString(uuid).setMetadata(
            libvirt.VIR_DOMAIN_METADATA_ELEMENT,
            text,
            "kensho",
            NAMESPACE,
            libvirt.VIR_DOMAIN_AFFECT_CONFIG,
        ),
        subject,
    )


def domain(dom: Any) -> Domain:
    """A ``virDomain`` as it is defined."""
    flags = libvirt.VIR_DOMAIN_XML_INACTIVE if dom.isPersistent() else 0
    root = parse(dom.XMLDesc(flags), dom.name())
    return Domain(dom.UUIDString(), dom.name(), root, read(root), bool(dom.isActive()))


def domains(link: Link, wanted: Callable[[Domain], bool] = lambda _: True) -> list[Domain]:
    """All domains; one that goes away meanwhile is left out."""

    def look(conn: Any) -> list[Domain]:
        found = []
        for dom in conn.listAllDomains():
            try:
                found.append(domain(dom))
            except libvirt.libvirtError as error:
                if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
                    raise
        return [each for each in found if wanted(each)]

    return link.call(look, long=True)


def find(link: Link, key: Key) -> Made:
    """What carries the key, as the server has it now."""
    made = Made(key)
    for each in domains(link, lambda found: found.mark is not None and found.mark.key == key):
        # Someone's copy of a machine has its metadata too, and another UUID.
        if each.mark and each.uuid == str(identity(key, each.mark.machine)):
            made.machines[each.mark.machine] = each
    mine = f".{tag(key)}."

    def look(conn: Any) -> list[tuple[str, str]]:
        found = []
        for pool in conn.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE):
            with suppress(libvirt.libvirtError):
                pool.refresh()  # not while something is being written there
            names = pool.listVolumes()
            found += [(pool.UUIDString(), name) for name in names if mine in name]
        return found

    made.volumes = link.call(look, long=True)
    return made
