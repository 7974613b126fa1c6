"""The data model of XenAPI as tables: which classes and fields there are, and their types.

The tables are the source of the getters, setters and constructors of the call table.
"""

from kensho_tui.lab.xen.schema import machine, network, pool, session, storage
from kensho_tui.lab.xen.schema.table import Field, Table
from kensho_tui.lab.xen.schema.types import EPOCH, NULL, Type, Value, Wire, parse_type

TABLES: dict[str, Table] = {
    each.name: each
    for each in (
        session.SESSION,
        session.TASK,
        pool.POOL,
        pool.HOST,
        pool.HOST_METRICS,
        network.NETWORK,
        network.PIF,
        storage.SM,
        storage.SR,
        storage.PBD,
        storage.VDI,
        machine.VM_APPLIANCE,
        machine.VM,
        machine.VM_METRICS,
        machine.VM_GUEST_METRICS,
        machine.VBD,
        machine.VIF,
        machine.VTPM,
    )
}

# A set of references that the database keeps as the other end of a reference of another class:
# (class, field) is all objects of the second class whose field points here.
REVERSE: dict[tuple[str, str], tuple[str, str]] = {
    ("VM", "VBDs"): ("VBD", "VM"),
    ("VM", "VIFs"): ("VIF", "VM"),
    ("VM", "VTPMs"): ("VTPM", "VM"),
    ("VM", "snapshots"): ("VM", "snapshot_of"),
    ("VM", "children"): ("VM", "parent"),
    ("VM_appliance", "VMs"): ("VM", "appliance"),
    ("VDI", "VBDs"): ("VBD", "VDI"),
    ("VDI", "snapshots"): ("VDI", "snapshot_of"),
    ("SR", "VDIs"): ("VDI", "SR"),
    ("SR", "PBDs"): ("PBD", "SR"),
    ("host", "PBDs"): ("PBD", "host"),
    ("host", "PIFs"): ("PIF", "host"),
    ("host", "resident_VMs"): ("VM", "resident_on"),
    ("network", "VIFs"): ("VIF", "network"),
    ("network", "PIFs"): ("PIF", "network"),
    ("task", "subtasks"): ("task", "subtask_of"),
}

__all__ = [
    "EPOCH",
    "NULL",
    "REVERSE",
    "TABLES",
    "Field",
    "Table",
    "Type",
    "Value",
    "Wire",
    "parse_type",
]
