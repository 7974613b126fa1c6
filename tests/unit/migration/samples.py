"""An appliance and a target as plain values, for tests that need no platform."""

from dataclasses import replace

from backends.base import (
    Capabilities,
    Content,
    Described,
    HostItem,
    Kind,
    NetworkItem,
    PlatformInfo,
    PoolItem,
    Ref,
    StorageItem,
)
from kensho_tui.machine import (
    Adapter,
    Appliance,
    Attachment,
    Configuration,
    Disk,
    DiskId,
    Firmware,
    Licence,
    Machine,
    MachineId,
    Memory,
    Network,
    NetworkId,
    Processors,
    Property,
)
from kensho_tui.migration.draft import Draft
from kensho_tui.migration.plan import SourcePlan
from kensho_tui.migration.target import TargetView

GIB = 1 << 30
GB = 10**9
WEB, DB = MachineId("web01"), MachineId("db01")
LICENCE = Licence("You may look at it.\n")

POOL = Ref(Kind.POOL, "p-1", "lab")
HOST = Ref(Kind.HOST, "h-1", "xen1")
SMALL_HOST = Ref(Kind.HOST, "h-2", "xen2")
LOCAL = Ref(Kind.STORAGE, "sr-1", "local-sr")
BIG = Ref(Kind.STORAGE, "sr-2", "big-sr")
ISO = Ref(Kind.STORAGE, "sr-3", "iso-sr")
FRONT = Ref(Kind.NETWORK, "n-1", "Front")
ETH1 = Ref(Kind.NETWORK, "n-2", "Pool-wide eth1")
MANAGEMENT = Ref(Kind.NETWORK, "n-3", "Pool-wide eth0")


def appliance() -> Appliance:
    """Two machines, three disks, three networks, a licence and questions."""
    disks = {
        DiskId(each.id): each
        for each in (
            Disk(DiskId("d1"), 20 * GB, "system", image="d1.vmdk", image_size=GB),
            Disk(DiskId("d2"), 30 * GB, "system", image="d2.vmdk", image_size=GB),
            Disk(DiskId("d3"), 40 * GB, "data"),
        )
    }
    web = Machine(
        WEB,
        "web01",
        Memory(4 * GIB),
        Processors(4, cores_per_socket=2),
        attachments=(Attachment("a1", disk=DiskId("d1")),),
        adapters=(
            Adapter("e0", NetworkId("front")),
            Adapter("e1", NetworkId("Back (VLAN 10)")),
        ),
    )
    db = Machine(
        DB,
        "db01",
        Memory(8 * GIB),
        attachments=(Attachment("a1", disk=DiskId("d2")), Attachment("a2", disk=DiskId("d3"))),
        adapters=(
            Adapter("e0", NetworkId("Back (VLAN 10)")),
            Adapter("e1", NetworkId("VM Network")),
        ),
    )
    return Appliance(
        "shop",
        (web, db),
        disks,
        networks=tuple(
            Network(NetworkId(each)) for each in ("front", "Back (VLAN 10)", "VM Network")
        ),
        licences=(LICENCE,),
        properties=(
            Property("hostname", qualifiers="MinLen(1)", configurable=True, label="Host name"),
            Property("port", type="uint16", default="80", configurable=True),
            Property("admin", configurable=True, password=True, qualifiers="MinLen(4)"),
            Property("build", default="42"),
        ),
        configurations=(Configuration("small", default=True), Configuration("medium")),
        configuration="small",
    )


def target() -> TargetView:
    """A pool of two hosts, one of them too small, with networks and storages."""
    return TargetView(
        connection="xen-new",
        capabilities=Capabilities(
            PlatformInfo("XenServer"),
            environment=True,
            powers=True,
            firmware=frozenset({Firmware.BIOS, Firmware.UEFI}),
            disk_increment=1 << 20,
        ),
        pools=(PoolItem(POOL, default_storage=LOCAL, master=HOST),),
        hosts=(
            HostItem(HOST, POOL, 8, 64 * GIB, 32 * GIB),
            HostItem(SMALL_HOST, POOL, 2, 6 * GIB, 5 * GIB),
        ),
        storages=(
            StorageItem(LOCAL, 100 * GB, 55 * GB, hosts=(HOST,)),
            StorageItem(BIG, 900 * GB, 800 * GB, shared=True),
            StorageItem(ISO, 10 * GB, 10 * GB, content=Content.ISO),
        ),
        networks=(
            NetworkItem(FRONT),
            NetworkItem(ETH1, bridge="xapi1", vlan=10, hosts=(HOST,)),
            NetworkItem(MANAGEMENT, bridge="xenbr0", management=True),
        ),
        names=frozenset({"old"}),
    )


class LoadedDraft(Draft):
    """A draft whose source and target are values instead of sessions."""

    def source_is(self, appliance: Appliance, path: str = "/shop.ova", identity: str = "1") -> None:
        """As after `load_package`."""
        self._set_source(
            SourcePlan(package=path, identity=identity), Described(appliance, identity=identity), ()
        )

    def target_is(self, view: TargetView) -> None:
        """As after `load_target`."""
        self._set_target(view)


def draft(source: Appliance | None = None, view: TargetView | None = None) -> LoadedDraft:
    """A draft with source and target loaded and nothing chosen."""
    made = LoadedDraft()
    made.source_is(source or appliance())
    made.target_is(view or target())
    return made


def complete() -> LoadedDraft:
    """A draft with everything answered."""
    made = draft()
    made.accept_licence(LICENCE.digest, "anna")
    made.set_property("hostname", "shop.example.org")
    made.set_property("admin", "s3cret-canary")
    return made


def without_questions() -> Appliance:
    """The appliance without licences, questions and options."""
    return replace(appliance(), licences=(), properties=(), configurations=(), configuration="")
