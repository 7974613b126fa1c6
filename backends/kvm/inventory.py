"""What is on the host, in summary."""

from collections.abc import Callable
from typing import Any

import libvirt

from backends.base import (
    Content,
    HostItem,
    Inventory,
    Kind,
    MachineItem,
    NetworkItem,
    Power,
    Ref,
    StorageItem,
)
from backends.kvm.features import Features
from backends.kvm.link import Link
from backends.kvm.marks import Domain, domain
from backends.kvm.xml import parse, said

# Pools whose volumes are files of a folder.
FOLDERS = frozenset({"dir", "fs", "netfs"})
UNITS = {"b": 1, "bytes": 1, "KB": 1000, "k": 1 << 10, "KiB": 1 << 10, "MB": 10**6, "M": 1 << 20,
         "MiB": 1 << 20, "GB": 10**9, "G": 1 << 30, "GiB": 1 << 30, "TiB": 1 << 40}  # fmt: skip
_STATES = {
    libvirt.VIR_DOMAIN_RUNNING: Power.ON,
    libvirt.VIR_DOMAIN_BLOCKED: Power.ON,
    libvirt.VIR_DOMAIN_SHUTDOWN: Power.ON,
    libvirt.VIR_DOMAIN_PAUSED: Power.PAUSED,
    libvirt.VIR_DOMAIN_PMSUSPENDED: Power.SUSPENDED,
}
# VIR_STORAGE_POOL_RUNNING
_RUNNING = 2


def power(dom: Any) -> Power:
    """The machine's power state now; one whose memory is saved is suspended."""
    state = _STATES.get(dom.state()[0], Power.OFF)
    return Power.SUSPENDED if state is Power.OFF and dom.hasManagedSaveImage() else state


def size(element: Any, path: str) -> int:
    """Bytes of an element that has a unit; KiB where it says none, as libvirt has it."""
    text = said(element, path)
    unit = UNITS.get(said(element, path, "unit") or "KiB", 1 << 10)
    return int(text) * unit if text.isdecimal() else 0


class Listing:
    """One look at a host."""

    def __init__(self, link: Link, features: Features) -> None:
        self._link = link
        self._features = features

    def items(self, kinds: frozenset[Kind]) -> tuple[Inventory, ...]:
        """Items of the kinds asked for, each kind sorted by name."""
        makers: dict[Kind, Callable[[Any], list[Inventory]]] = {
            Kind.HOST: self._hosts,
            Kind.STORAGE: self._storage,
            Kind.NETWORK: self._networks,
            Kind.MACHINE: self._machines,
        }
        found: list[Inventory] = []
        for kind, make in makers.items():
            if kind in kinds:
                items = self._link.call(make, long=True)
                found += sorted(items, key=lambda item: (item.ref.name.casefold(), item.ref.id))
        return tuple(found)

    def _hosts(self, conn: Any) -> list[Inventory]:
        told = parse(conn.getCapabilities())
        info = conn.getInfo()
        memory = info[1] << 20
        features = self._features
        return [
            HostItem(
                Ref(Kind.HOST, said(told, "host/uuid"), conn.getHostname()),
                processors=info[2],
                memory_total=memory,
                memory_free=min(memory, conn.getFreeMemory()),
                version=f"QEMU {features.version}",
                reason="" if features.accelerator else features.why,
            )
        ]

    def _storage(self, conn: Any) -> list[Inventory]:
        found: list[Inventory] = []
        for pool in conn.listAllStoragePools():
            active = pool.isActive()
            told = parse(pool.XMLDesc())
            kind = told.get("type", "")
            state, capacity, _, free = pool.info() if active else (0, 0, 0, 0)
            reason = ""
            if not active or state != _RUNNING:
                reason = "the pool is not started"
            elif kind not in FOLDERS:
                reason = (
                    f"disks are made in pools that are folders, and this is one of kind '{kind}'"
                )
            found.append(
                StorageItem(
                    Ref(Kind.STORAGE, pool.UUIDString(), pool.name()),
                    capacity,
                    free,
                    content=Content.DISKS | Content.ISO,
                    type=kind,
                    shared=kind == "netfs",
                    reason=reason,
                    thin=kind in FOLDERS,
                )
            )
        return found

    def _networks(self, conn: Any) -> list[Inventory]:
        found: list[Inventory] = []
        for network in conn.listAllNetworks():
            told = parse(network.XMLDesc())
            mode = said(told, "forward", "mode") or (
                "nat" if told.find("forward") is not None else "isolated"
            )
            if not network.isActive():
                mode += ", not started"
            vlan = said(told, "vlan/tag", "id")
            found.append(
                NetworkItem(
                    Ref(Kind.NETWORK, network.UUIDString(), network.name()),
                    description=mode,
                    bridge=said(told, "bridge", "name"),
                    vlan=int(vlan) if vlan.isdecimal() else None,
                    management=network.name() == "default",
                )
            )
        taken = {item.bridge for item in found if isinstance(item, NetworkItem)}
        return found + [
            NetworkItem(Ref(Kind.NETWORK, f"bridge:{name}", name), "a bridge of the host", name)
            for name in _bridges(conn)
            if name not in taken
        ]

    def _machines(self, conn: Any) -> list[Inventory]:
        found: list[Inventory] = []
        for dom in conn.listAllDomains():
            try:
                found.append(_machine(domain(dom), power(dom)))
            except libvirt.libvirtError as error:
                if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
                    raise
        return [item for item in found if item.ref.name]


def _bridges(conn: Any) -> list[str]:
    try:
        interfaces = conn.listAllInterfaces(libvirt.VIR_CONNECT_LIST_INTERFACES_ACTIVE)
        return [i.name() for i in interfaces if parse(i.XMLDesc()).get("type") == "bridge"]
    except libvirt.libvirtError:
        return []  # hosts without that driver do not tell


def _machine(found: Domain, state: Power) -> MachineItem:
    building = found.mark is not None and not found.mark.committed
    reason = "it is being built" if building else ""
    if state in {Power.ON, Power.PAUSED}:
        reason = "it is running: shut it down first"
    memory = size(found.xml, "memory")
    count = said(found.xml, "vcpu")
    return MachineItem(
        Ref(Kind.MACHINE, found.uuid, found.name),
        state,
        int(count) if count.isdecimal() else 1,
        memory,
        os=said(found.xml, "title"),
        reason=reason,
    )
