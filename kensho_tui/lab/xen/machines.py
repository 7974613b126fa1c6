"""Machines: create, clone, provision, snapshot, destroy, and the setters with rules of their own.

Follows ``ocaml/xapi/xapi_vm.ml``, ``xapi_vm_clone.ml`` and ``xapi_vm_snapshot.ml``. Note what the
original does *not* do: ``VM.create`` checks almost nothing (that waits for ``VM.start``) and drops
``blocked_operations``; ``VM.destroy`` leaves the disks.
"""

import uuid

from kensho_tui.lab.xen.calls import Context, call, constructor
from kensho_tui.lab.xen.database import now, present
from kensho_tui.lab.xen.fault import Fault
from kensho_tui.lab.xen.schema import NULL, TABLES, Value
from kensho_tui.lab.xen.storage import duplicate


def need_state(ctx: Context, vm: str, *states: str) -> dict[str, Value]:
    """The machine's record. Raises: Fault: ``VM_BAD_POWER_STATE``, ``VM_IS_TEMPLATE``."""
    record = ctx.database.record("VM", vm)
    if record["is_a_template"] and states != ("Halted",):
        raise Fault("VM_IS_TEMPLATE", vm)
    if record["power_state"] not in states:
        raise Fault("VM_BAD_POWER_STATE", vm, states[0].lower(), record["power_state"].lower())
    return record


def _metrics(ctx: Context) -> str:
    return ctx.database.create("VM_metrics", {"last_updated": now()})


@constructor("VM")
def create(ctx: Context, values: dict[str, Value]) -> str:
    """A machine from a whole record."""
    if values.get("power_state", "Halted") != "Halted":
        raise Fault("NOT_IMPLEMENTED", "VM.create of a machine that is not halted")
    values.pop("blocked_operations", None)
    values["other_config"].setdefault("mac_seed", str(uuid.uuid4()))
    if values.get("domain_type", "unspecified") == "unspecified":
        values["domain_type"] = "hvm" if values["HVM_boot_policy"] else "pv"
    if present(values.get("appliance", NULL)):
        ctx.database.row("VM_appliance", values["appliance"])
    return ctx.database.create("VM", values | {"domid": -1, "metrics": _metrics(ctx)})


def _duplicate(ctx: Context, vm: str, label: str, *, snapshot: bool) -> str:
    """A copy of machine, drives, disks and adapters, made as one under the database's lock."""
    record = ctx.database.record("VM", vm)
    copied = {
        f.name: record[f.name] for f in TABLES["VM"] if f.constructor and f.name != "appliance"
    }
    copied |= {
        "name_label": label,
        "power_state": "Halted",
        "suspend_VDI": NULL,
        "domid": -1,
        "metrics": _metrics(ctx),
        "bios_strings": record["bios_strings"],
    }
    if snapshot:
        copied |= {
            "is_a_snapshot": True,
            "is_a_template": True,
            "snapshot_of": vm,
            "snapshot_time": now(),
            "snapshot_info": {"power-state-at-snapshot": record["power_state"]},
        }
    else:
        copied["other_config"] = {**record["other_config"], "mac_seed": str(uuid.uuid4())}
    new = ctx.database.create("VM", copied)
    for vbd in record["VBDs"]:
        drive = ctx.database.record("VBD", vbd)
        values = {f.name: drive[f.name] for f in TABLES["VBD"] if f.constructor}
        if drive["type"] == "Disk" and present(drive["VDI"]):
            values["VDI"] = duplicate(ctx, drive["VDI"], snapshot=snapshot)
        ctx.database.create("VBD", values | {"VM": new, "currently_attached": False, "device": ""})
    for vif in record["VIFs"]:
        adapter = ctx.database.record("VIF", vif)
        values = {f.name: adapter[f.name] for f in TABLES["VIF"] if f.constructor}
        ctx.database.create("VIF", values | {"VM": new, "currently_attached": False})
    return new


@call("VM.clone", "ref VM", "string", result="ref VM")
def clone(ctx: Context, vm: str, label: str) -> str:
    """A copy of a halted machine or a template; of a template it is a template still."""
    need_state(ctx, vm, "Halted")
    return _duplicate(ctx, vm, label, snapshot=False)


@call("VM.copy", "ref VM", "string", "ref SR", result="ref VM")
def copy(ctx: Context, vm: str, label: str, sr: str) -> str:
    """As clone: all repositories copy whole disks here."""
    need_state(ctx, vm, "Halted")
    return _duplicate(ctx, vm, label, snapshot=False)


@call("VM.snapshot", "ref VM", "string", "set ref VDI", optional=1, result="ref VM")
def snapshot(ctx: Context, vm: str, label: str, ignored: list[str] | None = None) -> str:
    """All disks of the machine at one moment, whatever it is doing."""
    if ctx.database.get("VM", vm, "is_a_snapshot"):
        raise Fault("VM_IS_SNAPSHOT", vm, "snapshot")
    return _duplicate(ctx, vm, label, snapshot=True)


@call("VM.provision", "ref VM")
def provision(ctx: Context, vm: str) -> None:
    """Make a template's copy a machine. Disks that ``other_config['disks']`` asks for are not made."""
    record = need_state(ctx, vm, "Halted")
    if "<disk" in record["other_config"].get("disks", ""):
        raise Fault("NOT_IMPLEMENTED", "VM.provision with disks; remove other_config:disks first")
    ctx.database.set("VM", vm, is_a_template=False)


@call("VM.destroy", "ref VM")
def destroy(ctx: Context, vm: str) -> None:
    """Remove a halted machine with its drives and adapters; the disks stay."""
    record = ctx.database.record("VM", vm)
    if record["power_state"] != "Halted":
        raise Fault("VM_BAD_POWER_STATE", vm, "halted", record["power_state"].lower())
    if record["is_default_template"]:
        raise Fault("VM_CANNOT_DELETE_DEFAULT_TEMPLATE", vm)
    for cls, field in (("VBD", "VBDs"), ("VIF", "VIFs"), ("VTPM", "VTPMs")):
        for ref in record[field]:
            ctx.database.destroy(cls, ref)
    ctx.database.destroy("VM", vm)
    for cls, field in (("VM_metrics", "metrics"), ("VM_guest_metrics", "guest_metrics")):
        if ctx.database.exists(cls, record[field]):
            ctx.database.destroy(cls, record[field])


# ---------------------------------------------------------------- setters with rules of their own
def check_memory(record: dict[str, Value]) -> None:
    """Raises: Fault: ``MEMORY_CONSTRAINT_VIOLATION_ORDER``."""
    limits = [record[f"memory_{each}"] for each in ("static_min", "dynamic_min", "dynamic_max")]
    limits.append(record["memory_static_max"])
    if sorted(limits) != limits:
        raise Fault("MEMORY_CONSTRAINT_VIOLATION_ORDER")


def check_vcpus(maximum: int, at_startup: int) -> None:
    """Raises: Fault: ``INVALID_VALUE``, ``VALUE_NOT_SUPPORTED``."""
    if maximum < 1:
        raise Fault("INVALID_VALUE", "VCPUs_max", str(maximum))
    if at_startup < 1:
        raise Fault("INVALID_VALUE", "VCPUs-at-startup", str(at_startup))
    if at_startup > maximum:
        reason = "value greater than VCPUs-max"
        raise Fault("VALUE_NOT_SUPPORTED", "VCPUs-at-startup", str(at_startup), reason)


@call("VM.set_memory_limits", "ref VM", "int", "int", "int", "int")
def set_memory_limits(
    ctx: Context, vm: str, static_min: int, static_max: int, dynamic_min: int, dynamic_max: int
) -> None:
    """All four limits at once, in bytes."""
    limits = {
        "memory_static_min": static_min,
        "memory_static_max": static_max,
        "memory_dynamic_min": dynamic_min,
        "memory_dynamic_max": dynamic_max,
    }
    need_state(ctx, vm, "Halted")
    check_memory(limits)
    ctx.database.set("VM", vm, **limits)


@call("VM.set_memory", "ref VM", "int")
def set_memory(ctx: Context, vm: str, value: int) -> None:
    """The same size for dynamic limits and static maximum."""
    static_min = ctx.database.get("VM", vm, "memory_static_min")
    set_memory_limits(ctx, vm, min(static_min, value), value, value, value)


@call("VM.set_VCPUs_max", "ref VM", "int")
def set_vcpus_max(ctx: Context, vm: str, value: int) -> None:
    """How many processors it can have; not below what it starts with."""
    need_state(ctx, vm, "Halted")
    check_vcpus(value, ctx.database.get("VM", vm, "VCPUs_at_startup"))
    ctx.database.set("VM", vm, VCPUs_max=value)


@call("VM.set_VCPUs_at_startup", "ref VM", "int")
def set_vcpus_at_startup(ctx: Context, vm: str, value: int) -> None:
    """How many processors it starts with; not above the maximum."""
    need_state(ctx, vm, "Halted")
    check_vcpus(ctx.database.get("VM", vm, "VCPUs_max"), value)
    ctx.database.set("VM", vm, VCPUs_at_startup=value)


@call("VM.set_bios_strings", "ref VM", "map string")
def set_bios_strings(ctx: Context, vm: str, value: dict[str, str]) -> None:
    """Once only, and only for a halted machine."""
    record = need_state(ctx, vm, "Halted")
    if record["bios_strings"]:
        raise Fault("VM_BIOS_STRINGS_ALREADY_SET")
    ctx.database.set("VM", vm, bios_strings=value)


@call("VM.set_appliance", "ref VM", "ref VM_appliance")
def set_appliance(ctx: Context, vm: str, appliance: str) -> None:
    """Put the machine into an appliance, or (null) take it out."""
    record = ctx.database.record("VM", vm)
    if record["is_a_template"] or record["is_control_domain"] or record["is_a_snapshot"]:
        reason = "Control domains, templates and snapshots cannot be assigned to appliances."
        raise Fault("OPERATION_NOT_ALLOWED", reason)
    if present(appliance):
        ctx.database.row("VM_appliance", appliance)
    ctx.database.set("VM", vm, appliance=appliance)
