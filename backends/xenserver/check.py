"""What a pool would say to a deployment, without changing anything: where, whether it fits, what is lost."""

from collections import defaultdict
from collections.abc import Iterable

from backends import findings, keepsake
from backends.base import (
    Finding,
    HostItem,
    Kind,
    NetworkItem,
    Placement,
    Ref,
    Severity,
    StorageItem,
)
from backends.xenserver.build import grouped, wanted_disks
from backends.xenserver.deployment import VHD_LIMIT
from backends.xenserver.features import Features
from backends.xenserver.fit import fit, gib
from backends.xenserver.inventory import Listing
from kensho_tui.machine import (
    Appliance,
    Disk,
    DiskId,
    Machine,
    canonical_mac,
)


class _Check:
    """One check: looks up what it needs once and gathers findings."""

    def __init__(
        self, listing: Listing, features: Features, appliance: Appliance, placement: Placement
    ) -> None:
        self._listing = listing
        self._features = features
        self._appliance = appliance
        self._placement = placement
        items = listing.items(frozenset({Kind.HOST, Kind.STORAGE, Kind.NETWORK}))
        self._hosts = [item for item in items if isinstance(item, HostItem)]
        self._storage = {item.ref: item for item in items if isinstance(item, StorageItem)}
        self._networks = {item.ref: item for item in items if isinstance(item, NetworkItem)}
        self._wanted = wanted_disks(appliance, placement)
        self.findings: list[Finding] = []

    def _say(
        self, ident: str, severity: Severity, message: str, subject: str, remedy: str = ""
    ) -> None:
        self.findings.append(Finding(ident, severity, message, subject, remedy))

    def run(self) -> None:
        for machine in self._appliance.machines:
            hosts = self._home(machine)
            self._reach(machine, hosts)
            self.findings += fit(machine, hosts, self._features)
        self._disks()
        self._space()
        self._names()
        self._addresses()

    # -------------------------------------------------------------------------------------- where
    def _home(self, machine: Machine) -> list[HostItem]:
        """Hosts the machine may run on."""
        home = self._placement.homes.get(machine.id, self._placement.home)
        if home is None or home.kind is Kind.POOL:
            able = [host for host in self._hosts if not host.reason]
            if not able:
                self._say(
                    "no-host",
                    Severity.ERROR,
                    "No host of the pool takes machines now.",
                    machine.name,
                )
            return able
        for host in self._hosts:
            if host.ref == home:
                if host.reason:
                    self._say(
                        "host-unavailable",
                        Severity.ERROR,
                        f"Host '{host.ref.name}' takes no machines: {host.reason}.",
                        machine.name,
                        "Choose another host, or let the pool choose.",
                    )
                return [host]
        self._say(
            "home-gone",
            Severity.ERROR,
            f"'{home.name or home.id}' is not on the server.",
            machine.name,
            "Choose a host or the pool.",
        )
        return []

    def _reach(self, machine: Machine, hosts: list[HostItem]) -> None:
        able = {host.ref for host in hosts}
        common = set(able)
        for adapter in machine.adapters:
            where = (machine.id, adapter.id)
            if where not in self._placement.networks:
                self.findings.append(findings.network_unmapped(machine, adapter))
                continue
            ref = self._placement.networks[where]
            if ref is None:
                continue
            network = self._networks.get(ref)
            if network is None:
                self._gone("network-gone", "network", ref, machine.name)
            elif able:
                common &= self._within("network", network.ref, network.hosts, able, machine.name)
        for ref in {self._placement.storage[disk] for disk in self._disks_of(machine)}:
            storage = self._storage.get(ref)
            if storage is not None and not storage.reason and able:
                common &= self._within("storage", storage.ref, storage.hosts, able, machine.name)
        if able and not common:
            self._say(
                "no-host",
                Severity.ERROR,
                "No host reaches all chosen networks and storages.",
                machine.name,
                "Choose shared storage, or storage and networks of one host.",
            )

    def _within(
        self, kind: str, ref: Ref, hosts: Iterable[Ref], able: set[Ref], subject: str
    ) -> set[Ref]:
        reached = able & set(hosts)
        if not reached:
            self._say(
                f"{kind}-unreachable",
                Severity.ERROR,
                f"The {kind} '{ref.name}' is not reached from where the machine goes.",
                subject,
                f"Choose another {kind} or another host.",
            )
        return reached

    def _gone(self, ident: str, kind: str, ref: Ref, subject: str) -> None:
        self._say(
            ident,
            Severity.ERROR,
            f"The {kind} '{ref.name or ref.id}' is not on the server.",
            subject,
            f"Choose another {kind}.",
        )

    def _disks_of(self, machine: Machine) -> list[DiskId]:
        drives = (each.disk for each in machine.attachments)
        return [disk for disk in drives if disk is not None and disk in self._wanted]

    # --------------------------------------------------------------------------------------- disks
    def _disks(self) -> None:
        for ident, disk in self._wanted.items():
            name = disk.name or ident
            ref = self._placement.storage[ident]
            storage = self._storage.get(ref)
            if storage is None:
                self._gone("storage-gone", "storage", ref, name)
            elif storage.reason:
                self._say(
                    "storage-unusable",
                    Severity.ERROR,
                    f"The storage '{ref.name or storage.ref.name}' takes no disks: {storage.reason}.",
                    name,
                    "Choose another storage.",
                )
            if disk.capacity is None:
                self.findings.append(findings.disk_size_unknown(name))
            elif disk.capacity > VHD_LIMIT:
                self._say(
                    "disk-too-large",
                    Severity.ERROR,
                    f"The disk has {gib(disk.capacity)}; this server's disks end at"
                    f" {gib(VHD_LIMIT)}.",
                    name,
                    "Shrink or split it.",
                )

    def _space(self) -> None:
        held: dict[Ref, list[Disk]] = defaultdict(list)
        for ident, disk in self._wanted.items():
            held[self._placement.storage[ident]].append(disk)
        for ref, disks in held.items():
            storage = self._storage.get(ref)
            if storage is None:
                continue
            whole = sum(disk.capacity or 0 for disk in disks)
            least = sum(_least(disk) for disk in disks)
            subject = ref.name or storage.ref.name
            if least > storage.free or (whole > storage.free and not storage.thin):
                needed = whole if not storage.thin else least
                self._say(
                    "storage-full",
                    Severity.ERROR,
                    f"The disks need {gib(needed)}, and {gib(storage.free)} are free.",
                    subject,
                    "Choose another storage, or make room on this one.",
                )
            elif whole > storage.free:
                self._say(
                    "storage-may-fill",
                    Severity.WARNING,
                    f"The disks can grow to {gib(whole)}, and {gib(storage.free)} are free.",
                    subject,
                )

    def _names(self) -> None:
        machines = {
            str(each.get("name_label", ""))
            for each in self._listing.all("VM").values()
            if not each.get("is_a_template") and not each.get("is_a_snapshot")
        }
        for machine in self._appliance.machines:
            if machine.name in machines:
                self._say(
                    "name-taken",
                    Severity.WARNING,
                    "There is a machine of this name already; the server allows two.",
                    machine.name,
                    "Give the machine another name.",
                )
        groups = self._listing.all("VM_appliance").values()
        name = self._appliance.name
        if grouped(self._appliance) and name in {str(each.get("name_label")) for each in groups}:
            self._say(
                "name-taken",
                Severity.WARNING,
                "There is an appliance of this name already; the server allows two.",
                name,
                "Give the appliance another name.",
            )

    def _addresses(self) -> None:
        present = {canonical_mac(str(e.get("MAC", ""))) for e in self._listing.all("VIF").values()}
        for machine in self._appliance.machines:
            for adapter in machine.adapters:
                if adapter.mac is not None and adapter.mac in present:
                    self._say(
                        "mac-in-use",
                        Severity.WARNING,
                        f"The MAC address {adapter.mac} is on this server already.",
                        machine.name,
                        "Do not run both machines on one network, or have the server give new ones"
                        " (--mac generate).",
                    )


def _least(disk: Disk) -> int:
    """Bytes the disk takes at least: what is known to be in it."""
    return disk.populated or 0


def check(
    listing: Listing, features: Features, appliance: Appliance, placement: Placement
) -> list[Finding]:
    """All findings, in the order of the machines."""
    found = _Check(listing, features, appliance, placement)
    found.run()
    for machine in appliance.machines:
        found.findings += keepsake.dropped(keepsake.of(appliance, machine), machine)
    return found.findings
