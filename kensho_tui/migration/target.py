"""What is to be had on the target: its pools, hosts, storages and networks, read once."""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from backends.base import (
    Capabilities,
    Content,
    HostItem,
    Inventory,
    Kind,
    MachineItem,
    NameTakenError,
    NetworkItem,
    NotFoundError,
    PoolItem,
    Ref,
    Session,
    StorageItem,
)
from kensho_tui.machine import Appliance
from kensho_tui.migration.units import memory

KINDS = frozenset({Kind.POOL, Kind.HOST, Kind.STORAGE, Kind.NETWORK, Kind.MACHINE})


@dataclass(frozen=True, slots=True)
class HomeRow:
    """A pool or host the appliance could live on; ``reason`` says why it cannot, "" if it can."""

    ref: Ref
    pool: Ref | None = None
    reason: str = ""
    memory_free: int = 0
    version: str = ""


@dataclass(frozen=True, slots=True)
class TargetView:
    """The target as one snapshot in time.

    Attributes:
        connection: its name; "" where the target is a package.
        package: path of the package to be written; "" otherwise.
        names: names of the machines that are already there.
    """

    connection: str
    capabilities: Capabilities
    package: str = ""
    pools: tuple[PoolItem, ...] = ()
    hosts: tuple[HostItem, ...] = ()
    storages: tuple[StorageItem, ...] = ()
    networks: tuple[NetworkItem, ...] = ()
    names: frozenset[str] = frozenset()

    def reachable(self, hosts: tuple[Ref, ...], home: Ref | None) -> bool:
        """Whether something on these hosts (none: everywhere) can be used by machines at home."""
        if home is None or not hosts:
            return True
        if home.kind is Kind.HOST:
            return home in hosts
        of_pool = {each.ref for each in self.hosts if each.pool == home}
        return not of_pool or bool(of_pool.intersection(hosts))

    def storages_for(self, home: Ref | None) -> tuple[StorageItem, ...]:
        """Storages that take disks of machines at home."""
        return tuple(
            each
            for each in self.storages
            if Content.DISKS in each.content
            and not each.reason
            and self.reachable(each.hosts, home)
        )

    def networks_for(self, home: Ref | None) -> tuple[NetworkItem, ...]:
        """Networks that machines at home can be put on."""
        return tuple(each for each in self.networks if self.reachable(each.hosts, home))

    def homes(self, appliance: Appliance | None = None) -> tuple[HomeRow, ...]:
        """Pools, each followed by its hosts, then hosts alone; with the reason why one is unfit."""
        rows: list[HomeRow] = []
        for pool in self.pools:
            hosts = [self._host(each, appliance) for each in self.hosts if each.pool == pool.ref]
            # A pool fits as soon as one of its hosts does.
            fits = not hosts or any(not each.reason for each in hosts)
            rows.append(
                HomeRow(
                    pool.ref,
                    reason="" if fits else f"no host of it fits: {hosts[0].reason}",
                    memory_free=max((each.memory_free for each in hosts), default=0),
                    version=pool.version,
                )
            )
            rows.extend(hosts)
        known = {pool.ref for pool in self.pools}
        rows.extend(
            self._host(each, appliance)
            for each in self.hosts
            if each.pool is None or each.pool not in known
        )
        return tuple(rows)

    @staticmethod
    def _host(host: HostItem, appliance: Appliance | None) -> HomeRow:
        reason = host.reason
        if not reason and appliance is not None:
            reason = next(_unfit(host, appliance), "")
        return HomeRow(host.ref, host.pool, reason, host.memory_free, host.version)


def _unfit(host: HostItem, appliance: Appliance) -> Iterator[str]:
    for machine in appliance.machines:
        if 0 < host.memory_total < machine.memory.size:
            yield (
                f"{machine.name} needs {memory(machine.memory.size)} of memory, "
                f"the host has {memory(host.memory_total)}"
            )


def items(session: Session, kinds: frozenset[Kind]) -> Iterator[Inventory]:
    """All items of these kinds, over all pages."""
    after = None
    while True:
        page = session.inventory(kinds, after)
        yield from page.items
        after = page.next
        if after is None:
            return


def find_machines(
    session: Session, kinds: frozenset[Kind], names: Sequence[str], subject: str
) -> list[Ref]:
    """References to what is called so (by name or id) on the platform.

    Args:
        kinds: of MACHINE, TEMPLATE, APPLIANCE.
        subject: what the platform is called, for messages.

    Raises: NotFoundError: there is none of that name (the nearest is said). NameTakenError: there
        are several.
    """
    there = [each.ref for each in items(session, kinds)]
    found: list[Ref] = []
    for name in names:
        same = [ref for ref in there if ref.id == name] or [r for r in there if r.name == name]
        if not same:
            near = difflib.get_close_matches(name, [ref.name for ref in there], 1, 0.5)
            raise NotFoundError(
                "there is no machine of that name",
                subject=f"{subject}: {name}",
                remedy=f"The nearest name is '{near[0]}'" if near else "Check the name",
            )
        if len(same) > 1:
            ids = ", ".join(f"{ref.id} ({ref.kind})" for ref in same)
            raise NameTakenError(
                "there are several of that name",
                subject=f"{subject}: {name}",
                remedy=f"Name one by its id: {ids}",
            )
        found += [ref for ref in same if ref not in found]
    return found


def view(session: Session, *, connection: str = "", package: str = "") -> TargetView:
    """Read what is there. Raises what `Session.inventory` raises."""
    # What stands where a package is to be written is no concern but that it stands there.
    found = list(items(session, frozenset({Kind.STORAGE}) if package else KINDS))
    return TargetView(
        connection=connection,
        package=package,
        capabilities=session.capabilities,
        pools=tuple(each for each in found if isinstance(each, PoolItem)),
        hosts=tuple(each for each in found if isinstance(each, HostItem)),
        storages=tuple(each for each in found if isinstance(each, StorageItem)),
        networks=tuple(each for each in found if isinstance(each, NetworkItem)),
        names=frozenset(
            each.ref.name
            for each in found
            if isinstance(each, MachineItem) and each.ref.kind is Kind.MACHINE
        ),
    )
