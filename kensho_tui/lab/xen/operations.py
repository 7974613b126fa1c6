"""What may be done with an object now: the ``allowed_operations`` of its record.

Follows ``ocaml/xapi/xapi_vm_lifecycle.ml``, ``xapi_vdi.ml`` and ``xapi_vbd_helpers.ml``, for the
operations that the lab knows. The list is advice: the call itself decides.
"""

from collections.abc import Callable

from kensho_tui.lab.xen.database import Database, present
from kensho_tui.lab.xen.schema import Value

_VM = {
    "Halted": ["start", "start_on", "clone", "copy", "snapshot", "export", "destroy",
               "make_into_template", "changing_VCPUs", "changing_NVRAM"],
    "Running": ["clean_shutdown", "clean_reboot", "hard_shutdown", "hard_reboot", "suspend",
                "pause", "snapshot", "changing_VCPUs_live"],
    "Paused": ["unpause", "hard_shutdown", "hard_reboot", "snapshot"],
    "Suspended": ["resume", "resume_on", "hard_shutdown", "snapshot", "export", "copy"],
}  # fmt: skip


def _vm(database: Database, ref: str, values: dict[str, Value]) -> list[str]:
    if values["current_operations"] or values["is_control_domain"]:
        return []
    if values["is_a_snapshot"]:
        return ["destroy", "export", "clone", "copy", "revert"]
    if values["is_a_template"]:
        return ["clone", "copy", "export", "provision", "destroy"]
    blocked = values["blocked_operations"]
    return [each for each in _VM[values["power_state"]] if each not in blocked]


def _vdi(database: Database, ref: str, values: dict[str, Value]) -> list[str]:
    if values["current_operations"] or vdi_attached(database, ref):
        return ["snapshot"] if not values["current_operations"] else []
    if database.get("SR", values["SR"], "content_type") == "iso":
        return ["copy"]
    return ["destroy", "snapshot", "clone", "copy", "resize", "update", "forget"]


def _vbd(database: Database, ref: str, values: dict[str, Value]) -> list[str]:
    if values["type"] == "CD":
        return ["insert"] if values["empty"] else ["eject"]
    running = database.get("VM", values["VM"], "power_state") == "Running"
    if not running:
        return ["attach"]
    return ["unplug"] if values["currently_attached"] else ["attach", "plug"]


def _vif(database: Database, ref: str, values: dict[str, Value]) -> list[str]:
    running = database.get("VM", values["VM"], "power_state") == "Running"
    if not running:
        return ["attach"]
    return ["unplug"] if values["currently_attached"] else ["attach", "plug"]


def _task(database: Database, ref: str, values: dict[str, Value]) -> list[str]:
    return ["cancel", "destroy"] if values["status"] == "pending" else ["destroy"]


def _appliance(database: Database, ref: str, values: dict[str, Value]) -> list[str]:
    if values["current_operations"]:
        return []
    states = {
        database.get("VM", vm, "power_state") for vm in database.get("VM_appliance", ref, "VMs")
    }
    allowed = ["start"] if states & {"Halted", "Suspended"} else []
    if states & {"Running", "Paused"}:
        allowed += ["clean_shutdown", "hard_shutdown", "shutdown"]
    return allowed


def _sr(database: Database, ref: str, values: dict[str, Value]) -> list[str]:
    if values["content_type"] == "iso":
        return ["scan", "forget", "unplug"]
    return [
        "scan",
        "vdi_create",
        "vdi_destroy",
        "vdi_snapshot",
        "vdi_clone",
        "vdi_resize",
        "forget",
    ]


_ALLOWED: dict[str, Callable[[Database, str, dict[str, Value]], list[str]]] = {
    "VM": _vm,
    "VDI": _vdi,
    "VBD": _vbd,
    "VIF": _vif,
    "task": _task,
    "VM_appliance": _appliance,
    "SR": _sr,
}


def vdi_attached(database: Database, vdi: str) -> bool:
    """Whether a running machine has the disk open."""
    return bool(database.find("VBD", VDI=vdi, currently_attached=True)) if present(vdi) else False


def record(database: Database, cls: str, ref: str) -> dict[str, Value]:
    """The whole record of an object, with what may be done with it now."""
    with database.lock:
        values = database.record(cls, ref)
        if cls in _ALLOWED:
            values["allowed_operations"] = _ALLOWED[cls](database, ref, values)
        return values
