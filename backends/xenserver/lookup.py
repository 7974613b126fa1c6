"""From lasting references to XenAPI's own, which live only as long as the server remembers them."""

from backends.base import Kind, NotFoundError, Ref
from backends.xenserver.api import NULL, Api, Record
from kensho_tui.machine import Appliance, DiskId

CLASSES: dict[Kind, str] = {
    Kind.POOL: "pool",
    Kind.HOST: "host",
    Kind.STORAGE: "SR",
    Kind.NETWORK: "network",
    Kind.MACHINE: "VM",
    Kind.TEMPLATE: "VM",
    Kind.APPLIANCE: "VM_appliance",
}


def opaque(api: Api, ref: Ref) -> str:
    """XenAPI's reference of what a `Ref` names. Raises: NotFoundError: it is gone."""
    try:
        return str(api.call(f"{CLASSES[ref.kind]}.get_by_uuid", ref.id))
    except NotFoundError as error:
        raise NotFoundError(
            f"the {ref.kind} is not on the server (any more)",
            subject=ref.name or ref.id,
            remedy="Look again and choose another",
        ) from error


def reference(kind: Kind, record: Record) -> Ref:
    """The lasting reference of a record."""
    return Ref(kind, str(record.get("uuid", "")), str(record.get("name_label", "")))


def number(value: object) -> int:
    """A XenAPI integer, which comes as text; 0 for what is none."""
    try:
        return int(str(value))
    except ValueError:
        return 0


def references(value: object) -> list[str]:
    """A XenAPI set of references, without null ones."""
    return [str(each) for each in value if each != NULL] if isinstance(value, list) else []


def space_free(record: Record) -> int:
    """Bytes of a storage repository that are not used; what is merely promised is not counted."""
    return max(0, number(record.get("physical_size")) - number(record.get("physical_utilisation")))


def zeroed(record: Record) -> bool:
    """Whether new disks of the storage read as zero: what is sparse may be sent to these alone.

    Old LVM repositories and thick arrays do not wipe (xapi: Sm_fs_ops.must_write_zeroes_into_new_vdi).
    """
    kind = str(record.get("type", "")).lower()
    config = record.get("sm_config")
    config = config if isinstance(config, dict) else {}
    if kind in {"lvm", "lvmoiscsi", "lvmohba"}:
        return config.get("use_vhd") == "true"
    if kind == "equal":
        return str(config.get("allocation", "")).lower() != "thick"
    return kind != "cslg"


def spoken(appliance: Appliance, disk: DiskId, name: str) -> str:
    """The disk's name with its machine's before it, unless that is part of it already."""
    name = name or str(disk)
    owners = (m.name for m in appliance.machines if any(a.disk == disk for a in m.attachments))
    owner = next(owners, "")
    return name if owner in name else f"{owner} {name}"
