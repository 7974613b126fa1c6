"""Disks and repositories: VDI and SR calls.

Follows ``ocaml/xapi/xapi_vdi.ml`` and, for sizes and space, XenServer's storage manager: a VHD has
at least 2 MiB and at most 2040 GiB, and is rounded up to 2 MiB; a
thick repository without room answers ``SR_BACKEND_FAILURE_44``.
"""

import uuid

from kensho_tui.lab.xen.calls import Context, call, constructor
from kensho_tui.lab.xen.database import now
from kensho_tui.lab.xen.diskfile import BLOCK
from kensho_tui.lab.xen.fault import Fault
from kensho_tui.lab.xen.schema import NULL, Value

LARGEST = 2040 * 1024**3


def rounded(size: int) -> int:
    """The size a repository makes of a wish, in bytes.

    Raises: Fault: ``SR_BACKEND_FAILURE_79`` (VDI size).
    """
    if not 0 < size <= LARGEST:
        reason = f"VDI size must be between 1 MB and {LARGEST // 1024**2} MB"
        raise Fault("SR_BACKEND_FAILURE_79", "", f"VDI Invalid size [opterr={reason}]", "")
    return max(BLOCK, -(-size // BLOCK) * BLOCK)


def _plugged(ctx: Context, sr: str) -> None:
    attached = ctx.database.find("PBD", SR=sr, currently_attached=True)
    if not attached:
        raise Fault("SR_NO_PBDS", sr)


def _room(ctx: Context, sr: str, size: int) -> None:
    if ctx.database.get("SR", sr, "content_type") == "iso":
        raise Fault("SR_OPERATION_NOT_SUPPORTED", sr)
    if ctx.toolstack.usage.thick(sr) and size > ctx.toolstack.usage.free(sr):
        raise Fault("SR_BACKEND_FAILURE_44", "", "There is insufficient space", "")


@constructor("VDI")
def create(ctx: Context, values: dict[str, Value]) -> str:
    """A new disk of zeros, its size rounded up."""
    if values["type"] == "cbt_metadata":
        raise Fault("VDI_INCOMPATIBLE_TYPE", "", "cbt_metadata")
    sr = values["SR"]
    ctx.database.row("SR", sr)
    _plugged(ctx, sr)
    size = rounded(values["virtual_size"])
    _room(ctx, sr, size)
    identity = str(uuid.uuid4())
    # The file first: an object without its disk would outlive a lab that is killed here.
    ctx.toolstack.disks.create(identity, size)
    made = values | {"virtual_size": size, "uuid": identity, "location": identity, "managed": True}
    vdi = ctx.database.create("VDI", made)
    ctx.toolstack.usage.measure(vdi)
    return vdi


@call("VDI.destroy", "ref VDI")
def destroy(ctx: Context, vdi: str) -> None:
    """Remove a disk and what attached it to machines; refused while in use."""
    record = ctx.database.record("VDI", vdi)
    if ctx.database.get("SR", record["SR"], "content_type") == "iso":
        raise Fault("SR_OPERATION_NOT_SUPPORTED", record["SR"])
    ctx.toolstack.usage.check(vdi, "destroy")
    for vbd in record["VBDs"]:
        ctx.database.destroy("VBD", vbd)
    ctx.database.destroy("VDI", vdi)
    ctx.toolstack.disks.delete(record["uuid"])
    ctx.toolstack.usage.count(record["SR"])


def duplicate(ctx: Context, vdi: str, *, snapshot: bool, sr: str = "", label: str = "") -> str:
    """A second disk with the same content; its reference."""
    record = ctx.database.record("VDI", vdi)
    target = sr or record["SR"]
    _plugged(ctx, target)
    _room(ctx, target, record["virtual_size"])
    identity = str(uuid.uuid4())
    ctx.toolstack.disks.copy(record["uuid"], identity)
    copied = ("name_label", "name_description", "virtual_size", "type", "sharable", "read_only",
              "other_config", "sm_config", "tags", "xenstore_data")  # fmt: skip
    values = {name: record[name] for name in copied}
    values |= {"SR": target, "uuid": identity, "location": identity, "managed": True}
    if label:
        values["name_label"] = label
    if snapshot:
        values |= {"is_a_snapshot": True, "snapshot_of": vdi, "snapshot_time": now()}
    new = ctx.database.create("VDI", values)
    ctx.toolstack.usage.measure(new)
    return new


@call("VDI.snapshot", "ref VDI", "map string", optional=1, result="ref VDI")
def snapshot(ctx: Context, vdi: str, driver: dict[str, str] | None = None) -> str:
    """The disk as it is now."""
    return duplicate(ctx, vdi, snapshot=True)


@call("VDI.clone", "ref VDI", "map string", optional=1, result="ref VDI")
def clone(ctx: Context, vdi: str, driver: dict[str, str] | None = None) -> str:
    """An independent disk in the same repository."""
    ctx.toolstack.usage.check(vdi, "clone")
    return duplicate(ctx, vdi, snapshot=False)


@call("VDI.copy", "ref VDI", "ref SR", "ref VDI", "ref VDI", optional=2, result="ref VDI")
def copy(ctx: Context, vdi: str, sr: str, base: str = NULL, into: str = NULL) -> str:
    """An independent disk in another repository. Delta copies are not known here."""
    if base != NULL or into != NULL:
        raise Fault("NOT_IMPLEMENTED", "VDI.copy with base_vdi or into_vdi")
    ctx.toolstack.usage.check(vdi, "copy")
    return duplicate(ctx, vdi, snapshot=False, sr=sr)


@call("VDI.resize", "ref VDI", "int")
def resize(ctx: Context, vdi: str, size: int) -> None:
    """Grow a disk; shrinking is refused."""
    ctx.toolstack.usage.check(vdi, "resize")
    record = ctx.database.record("VDI", vdi)
    new = rounded(size)
    if new < record["virtual_size"]:
        reason = f"VDI Invalid size [opterr=Shrinking is not allowed from {record['virtual_size']}]"
        raise Fault("SR_BACKEND_FAILURE_79", "", reason, "")
    _room(ctx, record["SR"], new - record["virtual_size"])
    ctx.toolstack.disks.resize(record["uuid"], new)
    ctx.database.set("VDI", vdi, virtual_size=new)
    ctx.toolstack.usage.measure(vdi)


@call("SR.scan", "ref SR")
def scan(ctx: Context, sr: str) -> None:
    """Look at the repository again."""
    _plugged(ctx, sr)
    ctx.toolstack.usage.count(sr)


@call("PBD.unplug", "ref PBD")
def unplug(ctx: Context, pbd: str) -> None:
    """Detach a repository from a host."""
    ctx.database.set("PBD", pbd, currently_attached=False)


@call("PBD.plug", "ref PBD")
def plug(ctx: Context, pbd: str) -> None:
    """Attach it again."""
    ctx.database.set("PBD", pbd, currently_attached=True)
