"""What is plugged into machines: VBD, VIF and VTPM calls.

Follows ``ocaml/xapi/xapi_vbd.ml``, ``xapi_vif_helpers.ml`` and ``xapi_vtpm.ml``.
"""

import hashlib
import re
import uuid

from kensho_tui.lab.xen.calls import Context, call, constructor
from kensho_tui.lab.xen.database import present
from kensho_tui.lab.xen.fault import Fault
from kensho_tui.lab.xen.schema import NULL, Value

DISK_DEVICES = 255  # xapi_vm_helpers.ml: allowed_VBD_devices_HVM is 0 to 254
VIF_DEVICES = 7
_MAC = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}")
_DEVICE_NAME = re.compile(r"(?:xvd|hd|sd)([a-z])")


def device_number(text: str) -> int:
    """The number of a disk's place, from ``3`` or ``xvdd``. Raises: Fault: ``INVALID_DEVICE``."""
    if text.isdigit():
        return int(text)
    named = _DEVICE_NAME.fullmatch(text)
    if not named:
        raise Fault("INVALID_DEVICE", text)
    return ord(named[1]) - ord("a")


def free_vbd_devices(ctx: Context, vm: str) -> list[str]:
    """The places for disks that are free."""
    used = {
        device_number(ctx.database.get("VBD", vbd, "userdevice"))
        for vbd in ctx.database.get("VM", vm, "VBDs")
    }
    return [str(i) for i in range(DISK_DEVICES) if i not in used]


@call("VM.get_allowed_VBD_devices", "ref VM", result="set string")
def allowed_vbd_devices(ctx: Context, vm: str) -> list[str]:
    """The places for disks that are free."""
    return free_vbd_devices(ctx, vm)


@call("VM.get_allowed_VIF_devices", "ref VM", result="set string")
def allowed_vif_devices(ctx: Context, vm: str) -> list[str]:
    """The places for network adapters that are free."""
    vifs = ctx.database.get("VM", vm, "VIFs")
    used = {ctx.database.get("VIF", vif, "device") for vif in vifs}
    return [str(i) for i in range(VIF_DEVICES) if str(i) not in used]


@constructor("VBD")
def create_vbd(ctx: Context, values: dict[str, Value]) -> str:
    """Give a machine a drive."""
    vm, vdi = values["VM"], values["VDI"]
    ctx.database.row("VM", vm)
    if not values["empty"]:
        ctx.database.row("VDI", vdi)
    if values["type"] == "CD" and values["mode"] != "RO":
        raise Fault("VBD_CDS_MUST_BE_READONLY")
    if values["type"] != "CD" and values["empty"]:
        raise Fault("VBD_NOT_REMOVABLE_MEDIA", "in constructor")
    if values["mode"] == "RW" and ctx.database.get("VDI", vdi, "read_only"):
        raise Fault("VDI_READONLY", vdi)
    free = free_vbd_devices(ctx, vm)
    if values["userdevice"] == "autodetect":
        if not free:
            raise Fault("INVALID_DEVICE", "autodetect")
        values["userdevice"] = free[0]
    if not 0 <= device_number(values["userdevice"]) < DISK_DEVICES:
        raise Fault("INVALID_DEVICE", values["userdevice"])
    if str(device_number(values["userdevice"])) not in free:
        raise Fault("DEVICE_ALREADY_EXISTS", values["userdevice"])
    return ctx.database.create("VBD", values | {"device": "", "currently_attached": False})


@call("VBD.destroy", "ref VBD")
def destroy_vbd(ctx: Context, vbd: str) -> None:
    """Take the drive away; the disk stays."""
    if ctx.database.get("VBD", vbd, "currently_attached"):
        raise Fault("OPERATION_NOT_ALLOWED", f"VBD '{vbd}' still attached to a running VM")
    ctx.database.destroy("VBD", vbd)


@call("VBD.insert", "ref VBD", "ref VDI")
def insert(ctx: Context, vbd: str, vdi: str) -> None:
    """Put a disk into an empty CD drive."""
    record = ctx.database.record("VBD", vbd)
    if record["type"] != "CD":
        raise Fault("VBD_NOT_REMOVABLE_MEDIA", vbd)
    if not record["empty"]:
        raise Fault("VBD_NOT_EMPTY", vbd)
    ctx.database.row("VDI", vdi)
    ctx.database.set("VBD", vbd, VDI=vdi, empty=False)


@call("VBD.eject", "ref VBD")
def eject(ctx: Context, vbd: str) -> None:
    """Take the disk out of a CD drive."""
    record = ctx.database.record("VBD", vbd)
    if record["type"] != "CD":
        raise Fault("VBD_NOT_REMOVABLE_MEDIA", vbd)
    if record["empty"]:
        raise Fault("VBD_IS_EMPTY", vbd)
    ctx.database.set("VBD", vbd, VDI=NULL, empty=True)


@call("VBD.plug", "ref VBD")
def plug_vbd(ctx: Context, vbd: str) -> None:
    """Attach a drive to a running machine."""
    record = ctx.database.record("VBD", vbd)
    _needs_running(ctx, record["VM"])
    if record["currently_attached"]:
        raise Fault("DEVICE_ALREADY_ATTACHED", record["userdevice"])
    if present(record["VDI"]) and record["mode"] == "RW":
        ctx.toolstack.usage.check(record["VDI"], "attach")
    ctx.database.set("VBD", vbd, currently_attached=True, device=f"xvd{_letter(record)}")


@call("VBD.unplug", "ref VBD")
def unplug_vbd(ctx: Context, vbd: str) -> None:
    """Detach a drive from a running machine."""
    record = ctx.database.record("VBD", vbd)
    _needs_running(ctx, record["VM"])
    if not record["currently_attached"]:
        raise Fault("DEVICE_ALREADY_DETACHED", record["userdevice"])
    ctx.database.set("VBD", vbd, currently_attached=False)


def _letter(vbd: dict[str, Value]) -> str:
    return chr(ord("a") + device_number(vbd["userdevice"]) % 26)


def _needs_running(ctx: Context, vm: str) -> None:
    state = ctx.database.get("VM", vm, "power_state")
    if state != "Running":
        raise Fault("VM_BAD_POWER_STATE", vm, "running", state.lower())


def generated_mac(seed: str, device: str) -> str:
    """A locally administered unicast address that follows from the machine's seed and the place."""
    digest = bytearray(hashlib.sha256(f"{seed}:{device}".encode()).digest()[:6])
    digest[0] = (digest[0] | 0x02) & 0xFE
    return digest.hex(":")


@constructor("VIF")
def create_vif(ctx: Context, values: dict[str, Value]) -> str:
    """Give a machine a network adapter."""
    vm, device = values["VM"], values["device"]
    ctx.database.row("VM", vm)
    ctx.database.row("network", values["network"])
    if not device.isdigit():
        raise Fault("INVALID_DEVICE", device)
    automatic = False
    seed = ctx.database.get("VM", vm, "other_config").get("mac_seed", "")
    if not values["MAC"] and seed:
        values["MAC"], automatic = generated_mac(seed, device), True
    # Without a seed an empty address is refused, as xapi does.
    if not _MAC.fullmatch(values["MAC"]):
        raise Fault("MAC_INVALID", values["MAC"])
    if any(
        ctx.database.get("VIF", vif, "device") == device
        for vif in ctx.database.get("VM", vm, "VIFs")
    ):
        raise Fault("DEVICE_ALREADY_EXISTS", device)
    made = values | {"MAC_autogenerated": automatic, "currently_attached": False}
    return ctx.database.create("VIF", made)


@call("VIF.destroy", "ref VIF")
def destroy_vif(ctx: Context, vif: str) -> None:
    """Take the adapter away."""
    if ctx.database.get("VIF", vif, "currently_attached"):
        raise Fault("OPERATION_NOT_ALLOWED", f"VIF '{vif}' still attached to a running VM")
    ctx.database.destroy("VIF", vif)


@call("VTPM.create", "ref VM", "bool", result="ref VTPM")
def create_vtpm(ctx: Context, vm: str, is_unique: bool) -> str:
    """Give a halted UEFI machine a virtual TPM; one at most."""
    state = ctx.database.get("VM", vm, "power_state")
    if state != "Halted":
        raise Fault("VM_BAD_POWER_STATE", vm, "halted", state.lower())
    if ctx.database.get("VM", vm, "VTPMs"):
        raise Fault("VTPM_MAX_AMOUNT_REACHED", "1")
    return ctx.database.create(
        "VTPM", {"VM": vm, "backend": NULL, "is_unique": is_unique, "uuid": str(uuid.uuid4())}
    )


@call("VTPM.destroy", "ref VTPM")
def destroy_vtpm(ctx: Context, vtpm: str) -> None:
    """Take it away, secrets and all."""
    ctx.database.destroy("VTPM", vtpm)
