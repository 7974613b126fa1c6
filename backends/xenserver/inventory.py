"""What is on the server, in summary: one call per class, whatever the number of objects."""

from collections import defaultdict
from collections.abc import Callable

from backends.base import (
    ApplianceItem,
    Content,
    HostItem,
    Inventory,
    Kind,
    MachineItem,
    NetworkItem,
    PoolItem,
    Power,
    Ref,
    StorageItem,
)
from backends.xenserver.api import NULL, Api, Record
from backends.xenserver.lookup import number, reference, references, space_free

POWER = {
    "Halted": Power.OFF,
    "Running": Power.ON,
    "Suspended": Power.SUSPENDED,
    "Paused": Power.PAUSED,
}

# Repositories that take a disk's whole size when it is made; on others only what is written counts.
_THICK = frozenset({"lvm", "lvmoiscsi", "lvmohba", "equal", "cslg"})


class Listing:
    """One look at the server: classes are fetched once, when they are first needed."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._fetched: dict[str, dict[str, Record]] = {}

    def all(self, kind: str) -> dict[str, Record]:
        """All records of a class."""
        if kind not in self._fetched:
            self._fetched[kind] = self._api.records(kind)
        return self._fetched[kind]

    def items(self, kinds: frozenset[Kind]) -> tuple[Inventory, ...]:
        """Items of the kinds asked for, each kind sorted by name."""
        makers: dict[Kind, Callable[[], list[Inventory]]] = {
            Kind.POOL: self._pools,
            Kind.HOST: self._hosts,
            Kind.STORAGE: self._storage,
            Kind.NETWORK: self._networks,
            Kind.MACHINE: lambda: self._machines(template=False),
            Kind.TEMPLATE: lambda: self._machines(template=True),
            Kind.APPLIANCE: self._appliances,
        }
        found: list[Inventory] = []
        for kind, make in makers.items():
            if kind in kinds:
                found += sorted(make(), key=lambda item: (item.ref.name.casefold(), item.ref.id))
        return tuple(found)

    def _ref(self, kind: Kind, of: str, ref: object) -> Ref | None:
        record = self.all(of).get(str(ref)) if ref and ref != NULL else None
        return reference(kind, record) if record is not None else None

    def _pools(self) -> list[Inventory]:
        found: list[Inventory] = []
        for record in self.all("pool").values():
            master = self.all("host").get(str(record.get("master")), {})
            # A pool of one host has no name of its own until someone gives it one.
            name = str(record.get("name_label") or master.get("name_label", ""))
            found.append(
                PoolItem(
                    Ref(Kind.POOL, str(record["uuid"]), name),
                    version=_version(master),
                    default_storage=self._ref(Kind.STORAGE, "SR", record.get("default_SR")),
                    master=self._ref(Kind.HOST, "host", record.get("master")),
                )
            )
        return found

    def _hosts(self) -> list[Inventory]:
        pool = next((reference(Kind.POOL, each) for each in self.all("pool").values()), None)
        found: list[Inventory] = []
        for record in self.all("host").values():
            metrics = self.all("host_metrics").get(str(record.get("metrics")), {})
            reason = ""
            if not metrics.get("live", True):
                reason = "the host is offline"
            elif not record.get("enabled", True):
                reason = "the host is in maintenance mode"
            found.append(
                HostItem(
                    reference(Kind.HOST, record),
                    pool=pool,
                    processors=processors(record),
                    memory_total=number(metrics.get("memory_total")),
                    memory_free=number(metrics.get("memory_free")),
                    version=_version(record),
                    reason=reason,
                )
            )
        return found

    def _storage(self) -> list[Inventory]:
        found: list[Inventory] = []
        for ref, record in self.all("SR").items():
            plugged = attached_hosts(self.all("PBD"), ref)
            hosts = (self._ref(Kind.HOST, "host", host) for host in plugged)
            found.append(
                StorageItem(
                    reference(Kind.STORAGE, record),
                    capacity=number(record.get("physical_size")),
                    free=space_free(record),
                    content=Content.ISO if record.get("content_type") == "iso" else Content.DISKS,
                    type=str(record.get("type", "")),
                    thin=record.get("type") not in _THICK,
                    shared=bool(record.get("shared")),
                    hosts=tuple(sorted(host for host in hosts if host is not None)),
                    reason=storage_reason(record, attached=bool(plugged)),
                )
            )
        return found

    def _networks(self) -> list[Inventory]:
        ports: dict[str, list[Record]] = defaultdict(list)
        for pif in self.all("PIF").values():
            ports[str(pif.get("network"))].append(pif)
        everywhere = [reference(Kind.HOST, each) for each in self.all("host").values()]
        found: list[Inventory] = []
        for ref, record in self.all("network").items():
            if _internal(record):
                continue
            pifs = ports[ref]
            vlans = {number(pif.get("VLAN")) for pif in pifs} - {-1}
            hosts = (self._ref(Kind.HOST, "host", pif.get("host")) for pif in pifs)
            reached = {host for host in hosts if host is not None}
            found.append(
                NetworkItem(
                    reference(Kind.NETWORK, record),
                    description=str(record.get("name_description", "")),
                    bridge=str(record.get("bridge", "")),
                    vlan=next(iter(vlans), None),
                    management=any(pif.get("management") for pif in pifs),
                    # A network without a port lives inside each host: it is everywhere.
                    hosts=tuple(sorted(reached if pifs else everywhere)),
                )
            )
        return found

    def _machines(self, *, template: bool) -> list[Inventory]:
        kind = Kind.TEMPLATE if template else Kind.MACHINE
        found: list[Inventory] = []
        for record in self.all("VM").values():
            if bool(record.get("is_a_template")) is not template or _not_a_machine(record):
                continue
            power = POWER.get(str(record.get("power_state")), Power.OFF)
            metrics = self.all("VM_guest_metrics").get(str(record.get("guest_metrics")), {})
            names = metrics.get("os_version")
            found.append(
                MachineItem(
                    reference(kind, record),
                    power=power,
                    processors=number(record.get("VCPUs_max")),
                    memory=number(record.get("memory_static_max")),
                    disk_bytes=self._disk_bytes(record),
                    os=str(names.get("name", "")).split("|")[0] if isinstance(names, dict) else "",
                    host=self._ref(Kind.HOST, "host", record.get("resident_on")),
                    appliance=self._ref(Kind.APPLIANCE, "VM_appliance", record.get("appliance")),
                    reason=_export_reason(record, power),
                )
            )
        return found

    def _disk_bytes(self, record: Record) -> int:
        drives = (self.all("VBD").get(ref, {}) for ref in references(record.get("VBDs")))
        disks = (self.all("VDI").get(str(each.get("VDI"))) for each in drives if _is_disk(each))
        return sum(number(each.get("virtual_size")) for each in disks if each is not None)

    def _appliances(self) -> list[Inventory]:
        found: list[Inventory] = []
        for record in self.all("VM_appliance").values():
            members = (self._ref(Kind.MACHINE, "VM", vm) for vm in references(record.get("VMs")))
            machines = tuple(sorted(each for each in members if each is not None))
            found.append(ApplianceItem(reference(Kind.APPLIANCE, record), machines))
        return found


def attached_hosts(pbds: dict[str, Record], sr: str) -> list[str]:
    """References of the hosts that the storage is plugged into."""
    return [
        str(pbd.get("host"))
        for pbd in pbds.values()
        if pbd.get("SR") == sr and pbd.get("currently_attached")
    ]


def storage_reason(record: Record, *, attached: bool) -> str:
    """Why the storage takes no disks now, "" if it does."""
    if not attached:
        return "it is detached from every host"
    if record.get("content_type") == "iso" or record.get("type") in {"iso", "udev"}:
        return "it holds ISO images or devices, no disks"
    allowed = record.get("allowed_operations")
    if isinstance(allowed, list) and "vdi_create" not in allowed:
        return "it is read-only: no disks can be made on it"
    return ""


def processors(host: Record) -> int:
    """Physical processors of a host record."""
    info = host.get("cpu_info")
    if isinstance(info, dict) and "cpu_count" in info:
        return number(info["cpu_count"])
    return len(references(host.get("host_CPUs")))


def _version(host: Record) -> str:
    software = host.get("software_version")
    if not isinstance(software, dict):
        return ""
    return " ".join(
        str(software[key]) for key in ("product_brand", "product_version") if software.get(key)
    )


def _internal(network: Record) -> bool:
    marks = network.get("other_config")
    marks = marks if isinstance(marks, dict) else {}
    return (
        marks.get("is_host_internal_management_network") == "true"
        or marks.get("is_guest_installer_network") == "true"
        or marks.get("HideFromXenCenter") == "true"
    )


def _is_disk(vbd: Record) -> bool:
    return vbd.get("type") == "Disk"


def _not_a_machine(record: Record) -> bool:
    marks = record.get("other_config")
    hidden = isinstance(marks, dict) and marks.get("HideFromXenCenter") == "true"
    return bool(record.get("is_control_domain") or record.get("is_a_snapshot") or hidden)


def _export_reason(record: Record, power: Power) -> str:
    if record.get("current_operations"):
        return "the server is busy with it"
    if power in {Power.ON, Power.PAUSED}:
        return "it is running: shut it down, or capture it by a snapshot"
    return ""
