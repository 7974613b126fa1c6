"""The pool as it is on the first day: two hosts, four repositories, four networks, two machines."""

import random
import uuid
from dataclasses import dataclass

from kensho_tui.lab.xen.database import Database, now
from kensho_tui.lab.xen.diskfile import BLOCK, DiskFiles
from kensho_tui.lab.xen.hosts import publish_memory
from kensho_tui.lab.xen.schema import NULL, Value
from kensho_tui.lab.xen.usage import Usage

MIB = 1024**2
GIB = 1024**3
TIB = 1024**4


@dataclass(frozen=True)
class World:
    """Where to put things while the first day's pool is made."""

    database: Database
    disks: DiskFiles
    usage: Usage
    hosts: tuple[str, str]


def build(database: Database, disks: DiskFiles, usage: Usage) -> None:
    """Make the pool, all of it or (on an error) nothing that a second start would take for whole."""
    with database.lock:
        hosts = (
            _host(database, "xen01", "127.0.0.1", memory=64 * GIB, cpus=16, sockets=2),
            _host(database, "xen02", "127.0.0.2", memory=32 * GIB, cpus=8, sockets=1),
        )
        world = World(database, disks, usage, hosts)
        local = _sr(world, "local-sr", "ext", 2 * TIB, hosts[:1])
        _sr(world, "shared-nfs", "nfs", TIB, hosts, shared=True)
        _sr(world, "tiny-sr", "lvm", 64 * MIB, hosts[:1])
        iso = _sr(world, "iso-library", "iso", 20 * GIB, hosts, shared=True, content="iso")
        eth0 = _network(world, "Pool-wide eth0", "xenbr0", device="eth0", management=True)
        _network(world, "storage-net", "xenbr1", device="eth1")
        _network(world, "VLAN 10", "xapi1", device="eth0", vlan=10)
        _network(world, "Host internal", "xapi0")
        for name in ("nfs", "ext", "lvm", "iso"):
            formats = ["raw"] if name == "iso" else ["raw", "vhd"]
            database.create("SM", {"type": name, "name_label": name, "vendor": "Kensho lab",
                                   "capabilities": ["VDI_CREATE", "VDI_DELETE", "VDI_SNAPSHOT"],
                                   "supported_image_formats": formats})  # fmt: skip
        _template(database)
        for host, name in zip(hosts, ("xen01", "xen02"), strict=True):
            _control_domain(database, host, name)
        _iso(world, iso, "guest-tools.iso")
        halted = _machine(world, "legacy-app", eth0, memory=GIB, cpus=1)
        _disk(world, halted, "legacy-app system", local, 24 * MIB, device="0")
        _disk(world, halted, "legacy-app data", local, 10 * MIB, device="1")
        running = _machine(world, "files01", eth0, memory=2 * GIB, cpus=2, on=hosts[0])
        _disk(world, running, "files01 system", local, 16 * MIB, device="0")
        for host in hosts:
            publish_memory(database, host)
        # Last, because its presence says that the world is whole.
        database.create(
            "pool",
            {"name_label": "lab-pool", "master": hosts[0], "default_SR": local,
             "suspend_image_SR": local, "crash_dump_SR": local},
        )  # fmt: skip


def _host(
    database: Database, name: str, address: str, *, memory: int, cpus: int, sockets: int
) -> str:
    metrics = database.create(
        "host_metrics",
        {"memory_total": memory, "live": True,
         "last_updated": now()},
    )  # fmt: skip
    return database.create(
        "host",
        {
            "name_label": name,
            "hostname": name,
            "address": address,
            "enabled": True,
            "metrics": metrics,
            "memory_overhead": 3 * GIB,
            "API_version_major": 2,
            "API_version_minor": 21,
            "API_version_vendor": "XenSource",
            "software_version": {
                "product_brand": "XenServer",
                "product_version": "8.4.0",
                "product_version_text": "8",
                "platform_name": "XCP",
                "platform_version": "3.4.0",
                "xapi": "26.21",
            },
            "capabilities": ["xen-3.0-x86_64", "hvm-3.0-x86_32", "hvm-3.0-x86_64"],
            "cpu_info": {
                "cpu_count": str(cpus),
                "socket_count": str(sockets),
                "vendor": "GenuineIntel",
                "modelname": "Intel(R) Xeon(R) of the lab",
            },
            "edition": "standard",
        },
    )


def _sr(
    world: World,
    name: str,
    kind: str,
    size: int,
    hosts: tuple[str, ...],
    *,
    shared: bool = False,
    content: str = "user",
) -> str:
    sr = world.database.create(
        "SR",
        {"name_label": name, "type": kind, "content_type": content, "shared": shared,
         "physical_size": size},
    )  # fmt: skip
    for host in hosts:
        config = {"location": f"/lab/{name}"}
        world.database.create(
            "PBD", {"host": host, "SR": sr, "device_config": config, "currently_attached": True}
        )
    return sr


def _network(
    world: World,
    name: str,
    bridge: str,
    *,
    device: str = "",
    vlan: int = -1,
    management: bool = False,
) -> str:
    network = world.database.create("network", {"name_label": name, "bridge": bridge, "MTU": 1500})
    if not device:
        return network
    for number, host in enumerate(world.hosts, start=1):
        world.database.create(
            "PIF",
            {
                "device": device,
                "network": network,
                "host": host,
                "MAC": f"0c:c4:7a:00:{int(device[-1]):02x}:{number:02x}",
                "MTU": 1500,
                "VLAN": vlan,
                "physical": vlan < 0,
                "management": management,
                "IP": f"127.0.0.{number}" if management else "",
                "ip_configuration_mode": "Static" if management else "None",
                "currently_attached": True,
            },
        )
    return network


def _metrics(database: Database) -> str:
    return database.create("VM_metrics", {"last_updated": now()})


def _template(database: Database) -> None:
    # "Other install media": found by its reference label, because names are translated.
    database.create(
        "VM",
        {
            "name_label": "Other install media",
            "name_description": "Template which allows VM installation from install media",
            "reference_label": "other-install-media",
            "is_a_template": True,
            "is_default_template": True,
            "memory_static_min": 128 * MIB,
            "memory_dynamic_min": 256 * MIB,
            "memory_dynamic_max": 256 * MIB,
            "memory_static_max": 256 * MIB,
            "VCPUs_max": 1,
            "VCPUs_at_startup": 1,
            "actions_after_shutdown": "destroy",
            "actions_after_reboot": "restart",
            "actions_after_crash": "restart",
            "HVM_boot_policy": "BIOS order",
            "HVM_boot_params": {"order": "dc"},
            "platform": {"nx": "true", "acpi": "1", "apic": "true", "pae": "true",
                         "viridian": "true", "stdvga": "0"},
            "other_config": {"install-methods": "cdrom", "default_template": "true",
                             "mac_seed": str(uuid.uuid4())},
            "domain_type": "hvm",
            "domid": -1,
            "metrics": _metrics(database),
        },
    )  # fmt: skip


def _control_domain(database: Database, host: str, name: str) -> None:
    database.create(
        "VM",
        {"name_label": f"Control domain on host: {name}", "is_control_domain": True,
         "power_state": "Running", "resident_on": host, "domid": 0, "VCPUs_max": 4,
         "VCPUs_at_startup": 4, "memory_static_max": 2 * GIB, "memory_dynamic_max": 2 * GIB,
         "memory_dynamic_min": 2 * GIB, "memory_static_min": 2 * GIB, "domain_type": "pv",
         "metrics": _metrics(database)},
    )  # fmt: skip


def _machine(
    world: World, name: str, network: str, *, memory: int, cpus: int, on: str = NULL
) -> str:
    database = world.database
    values: dict[str, Value] = {
        "name_label": name,
        "memory_static_min": memory // 2,
        "memory_dynamic_min": memory,
        "memory_dynamic_max": memory,
        "memory_static_max": memory,
        "VCPUs_max": cpus,
        "VCPUs_at_startup": cpus,
        "actions_after_shutdown": "destroy",
        "actions_after_reboot": "restart",
        "actions_after_crash": "restart",
        "HVM_boot_policy": "BIOS order",
        "HVM_boot_params": {"order": "cd", "firmware": "bios"},
        "platform": {"nx": "true", "acpi": "1", "apic": "true", "pae": "true", "stdvga": "0"},
        "other_config": {"mac_seed": str(uuid.uuid4())},
        "domain_type": "hvm",
        "reference_label": "debian-12",
        "domid": -1,
        "metrics": _metrics(database),
    }
    if on != NULL:
        guest = database.create(
            "VM_guest_metrics",
            {"os_version": {"name": "Debian GNU/Linux 12.5", "distro": "debian", "major": "12",
                            "uname": "6.1.0-18-amd64"},
             "PV_drivers_detected": True, "PV_drivers_up_to_date": True, "live": True,
             "networks": {"0/ip": "192.0.2.17"}, "last_updated": now()},
        )  # fmt: skip
        values |= {"power_state": "Running", "resident_on": on, "domid": 1, "guest_metrics": guest}
    vm = database.create("VM", values)
    running = on != NULL
    octet = 0x10 + len(database.refs("VIF"))
    database.create(
        "VIF",
        {"device": "0", "network": network, "VM": vm, "MAC": f"02:16:3e:00:00:{octet:02x}",
         "MTU": 1500, "currently_attached": running},
    )  # fmt: skip
    database.create(
        "VBD",
        {"VM": vm, "VDI": NULL, "userdevice": "3", "bootable": False, "mode": "RO", "type": "CD",
         "empty": True},
    )  # fmt: skip
    return vm


def _disk(world: World, vm: str, name: str, sr: str, size: int, *, device: str) -> None:
    identity = str(uuid.uuid4())
    world.disks.create(identity, size)
    _content(world, identity, name, size)
    vdi = world.database.create(
        "VDI",
        {"name_label": name, "SR": sr, "virtual_size": size, "type": "user", "managed": True,
         "uuid": identity, "location": identity},
    )  # fmt: skip
    world.usage.measure(vdi)
    running = world.database.get("VM", vm, "power_state") == "Running"
    world.database.create(
        "VBD",
        {"VM": vm, "VDI": vdi, "userdevice": device, "bootable": device == "0", "mode": "RW",
         "type": "Disk", "empty": False, "currently_attached": running, "unpluggable": True,
         "device": f"xvd{chr(ord('a') + int(device))}", "other_config": {"owner": "true"}},
    )  # fmt: skip


def _content(world: World, identity: str, name: str, size: int) -> None:
    """Bytes that follow from the name: at the start, across a block's border, and at the end."""
    source = random.Random(name)  # noqa: S311 - content to compare, no secret
    with world.disks.path(identity).open("r+b") as file:
        for offset, length in ((0, 128 * 1024), (2 * BLOCK - 4096, 8192), (size - 512, 512)):
            file.seek(offset)
            file.write(source.randbytes(length))


def _iso(world: World, sr: str, name: str) -> None:
    identity = str(uuid.uuid4())
    size = 2 * BLOCK
    world.disks.create(identity, size)
    vdi = world.database.create(
        "VDI",
        {"name_label": name, "SR": sr, "virtual_size": size, "type": "user", "read_only": True,
         "managed": True, "uuid": identity, "location": name},
    )  # fmt: skip
    world.usage.measure(vdi)
