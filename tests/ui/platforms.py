"""A platform that holds what a test gives it: stands where a back end's session would."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from backends.base import (
    Capabilities,
    Capture,
    Consistency,
    Cursor,
    Deployment,
    Described,
    Finding,
    HostItem,
    Inventory,
    InventoryPage,
    Key,
    Kind,
    Leftover,
    MachineItem,
    NetworkItem,
    Placement,
    PlatformInfo,
    PoolItem,
    Power,
    Ref,
    Session,
    StorageItem,
)
from kensho_tui.cancel import Cancel
from kensho_tui.connections import ConnectionBook
from kensho_tui.engine.secrets import Secrets
from kensho_tui.findings import Severity
from kensho_tui.machine import (
    Adapter,
    Appliance,
    Attachment,
    Configuration,
    Disk,
    DiskId,
    Licence,
    Machine,
    MachineId,
    Memory,
    Network,
    NetworkId,
    Processors,
    Product,
    Property,
)
from kensho_tui.migration.sessions import Sessions

GB = 1000**3
GIB = 1 << 30


def appliance(configuration: str = "small") -> Appliance:
    """Two machines, three disks, two networks, two licences, two configurations, six questions."""
    big = configuration == "large"

    def machine(id: str, name: str, disks: Sequence[str], networks: Sequence[str]) -> Machine:
        return Machine(
            MachineId(id),
            name,
            Memory((4 if big else 1) * GIB),
            Processors(4 if big else 1),
            attachments=tuple(Attachment(f"a{d}", disk=DiskId(d)) for d in disks),
            adapters=tuple(
                Adapter(f"n{n}", NetworkId(n), name=f"eth{i}") for i, n in enumerate(networks)
            ),
        )

    return Appliance(
        "Shop [bold]",
        (
            machine("vm1", "web01", ["d1"], ["Front"]),
            machine("vm2", "db01", ["d2", "d3"], ["Front", "Back"]),
        ),
        {
            DiskId(id): Disk(DiskId(id), gb * GB, name, f"{id}.vmdk", gb * GB // 4)
            for id, gb, name in (("d1", 20, "system"), ("d2", 20, "system"), ("d3", 80, "data"))
        },
        (Network(NetworkId("Front")), Network(NetworkId("Back"), "VLAN 20")),
        description="A shop.",
        products=(Product(name="Shop", vendor="Example", version="4.2"),),
        licences=(Licence("You may use it. [red]\n" * 40), Licence("And this.", "vm2")),
        configurations=(
            Configuration("small", "Small", "For trying it.", True),
            Configuration("large", "Large", "For work."),
        ),
        configuration=configuration,
        properties=(
            Property("host", type="string", qualifiers="MinLen(1),MaxLen(20)", configurable=True,
                     label="Host name", description="The name the shop answers to.", category="Network"),
            Property("ip", vendor_type="ip", configurable=True, label="IP address", category="Network",
                     default="192.0.2.10"),
            Property("dhcp", type="boolean", default="false", configurable=True, label="DHCP",
                     category="Network"),
            Property("port", type="uint16", default="443", configurable=True, label="Port"),
            Property("mode", qualifiers='ValueMap{"demo","production"}', default="demo",
                     configurable=True, label="Mode", category="Administration"),
            Property("admin", password=True, configurable=True, label="Admin password",
                     qualifiers="MinLen(4)", category="Administration"),
        ),
    )  # fmt: skip


POOL = Ref(Kind.POOL, "pool-1", "lab-pool")
HOST = Ref(Kind.HOST, "host-1", "xen1")
SMALL_HOST = Ref(Kind.HOST, "host-2", "xen2")
STORE = Ref(Kind.STORAGE, "sr-1", "local-sr")
TINY = Ref(Kind.STORAGE, "sr-2", "tiny-sr")
ETH0 = Ref(Kind.NETWORK, "net-1", "Pool-wide eth0")
BACK = Ref(Kind.NETWORK, "net-2", "storage-net")

TARGET: tuple[Inventory, ...] = (
    PoolItem(POOL, "8.4", STORE),
    HostItem(HOST, POOL, 8, 64 * GIB, 40 * GIB),
    HostItem(SMALL_HOST, POOL, 2, GIB // 2, GIB // 4),
    StorageItem(STORE, 500 * GB, 412 * GB, hosts=(HOST, SMALL_HOST)),
    StorageItem(TINY, 10 * GB, 5 * GB, hosts=(HOST, SMALL_HOST)),
    NetworkItem(ETH0),
    NetworkItem(BACK, vlan=20),
    MachineItem(Ref(Kind.MACHINE, "m1", "old-off"), Power.OFF, 2, 2 * GIB, 10 * GB, "Debian 12"),
    MachineItem(Ref(Kind.MACHINE, "m2", "old-on"), Power.ON, 2, 2 * GIB, 10 * GB, "Debian 12"),
)


@dataclass
class FakeSession:
    """One login. ``gate`` holds `describe` up until it is set."""

    items: tuple[Inventory, ...] = TARGET
    findings: tuple[Finding, ...] = ()
    checked: tuple[Finding, ...] = ()
    gate: threading.Event | None = None
    capabilities: Capabilities = field(
        default_factory=lambda: Capabilities(PlatformInfo("Fake", "1"), powers=True)
    )

    def inventory(self, kinds: frozenset[Kind], after: Cursor | None = None) -> InventoryPage:
        return InventoryPage(tuple(each for each in self.items if each.ref.kind in kinds))

    def describe(self, refs: Sequence[Ref], *, configuration: str | None = None) -> Described:
        if self.gate is not None:
            self.gate.wait(10)
        found = appliance(configuration or "small")
        if refs:
            known = [each.ref for each in self.items if isinstance(each, MachineItem)]
            chosen = tuple(found.machines[known.index(each)] for each in refs)
            found = replace(found, name=chosen[0].name, machines=chosen)
        return Described(found, self.findings, "identity")

    def check(self, appliance: Appliance, placement: Placement) -> list[Finding]:
        return list(self.checked)

    def power(self, ref: Ref, to: Power, timeout_s: float, *, force: bool = False) -> Power:
        raise NotImplementedError

    def capture(
        self, refs: Sequence[Ref], how: Consistency, key: Key, *, configuration: str | None = None
    ) -> Capture:
        raise NotImplementedError

    def deploy(self, appliance: Appliance, placement: Placement, key: Key) -> Deployment:
        raise NotImplementedError

    def stands(self, key: Key) -> bool:
        raise NotImplementedError

    def sweep(self, key: Key) -> list[Leftover]:
        raise NotImplementedError

    def withdraw(self, key: Key) -> list[Leftover]:
        raise NotImplementedError

    def close(self) -> None:
        return None


class FakeSessions(Sessions):
    """Every name and every path leads to the same session; ``errors`` are raised first, in turn.

    None among them is a call that succeeds.
    """

    def __init__(self, book: ConnectionBook, session: FakeSession) -> None:
        super().__init__(book, Secrets(), Cancel())
        self.session = session
        self.errors: list[Exception | None] = []

    def _next(self) -> Session:
        if self.errors and (error := self.errors.pop(0)) is not None:
            raise error
        return self.session

    def get(self, name: str) -> Session:
        return self._next()

    def package(self, path: str, **settings: str) -> Session:
        return self._next()


WARNING = Finding("late", Severity.WARNING, "the clock is local time", "web01", "Look at it")
