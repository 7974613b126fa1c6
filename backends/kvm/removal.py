"""Removing what a key made: after an error, a cancellation or a crash. Never what is in service."""

from dataclasses import replace
from functools import partial
from typing import Any

import libvirt

from backends.base import BackendError, Key, Kind, Leftover, NotFoundError, Ref
from backends.kvm import marks
from backends.kvm.link import Link

# All that belongs to a domain and would keep it from going.
_WHOLE = (
    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
)
_BUSY_S = 1.0
_BUSY_LOOKS = 30
_NAMES = 100


def sweep(link: Link, key: Key) -> list[Leftover]:
    """Remove all that carries the key and is not committed: `Session.sweep`.

    Where a crash interrupted a commit that had been decided, the commit is completed instead.
    """
    with link.cleaning():
        made = marks.find(link, key)
        if made.committed:
            complete(link, made)
            return []
        left: list[Leftover] = []
        for found in made.machines.values():
            left += undefine(link, found)
        if left:
            return left  # its disks may be in use
        for pool, name in made.volumes:
            left += delete(link, pool, name)
        return left


def undefine(link: Link, found: marks.Domain) -> list[Leftover]:
    """Remove a domain with its NVRAM; what could not be removed."""

    def do(conn: Any) -> None:
        dom = conn.lookupByUUIDString(found.uuid)
        if dom.isActive():
            dom.destroy()
        dom.undefineFlags(_WHOLE)

    try:
        link.call(do, found.name, long=True)
    except NotFoundError:
        return []
    except BackendError as error:
        action = f"virsh -c '{link.uri}' undefine --nvram --managed-save {found.uuid}"
        return [machine_left(found, error.what, action)]
    return []


def machine_left(found: marks.Domain, reason: str, action: str) -> Leftover:
    """One machine that stays as it is, and what is to be done by hand."""
    return Leftover(Ref(Kind.MACHINE, found.uuid, found.name), reason, action)


def delete(link: Link, pool: str, name: str) -> list[Leftover]:
    """Remove a volume; while something is still written to it, that is waited for."""
    for look in range(_BUSY_LOOKS):
        try:
            link.call(
                lambda conn: (
                    conn.storagePoolLookupByUUIDString(pool).storageVolLookupByName(name).delete(0)
                ),
                name,
                long=True,
            )
        except NotFoundError:
            return []
        except BackendError as error:
            if "in use" in error.what and look + 1 < _BUSY_LOOKS:
                link.wait(_BUSY_S)
                continue
            action = f"virsh -c '{link.uri}' vol-delete --pool {pool} '{name}'"
            return [Leftover(Ref(Kind.STORAGE, f"{pool}/{name}", name), error.what, action)]
        return []
    return []


def complete(link: Link, made: marks.Made) -> list[tuple[str, str]]:
    """Put everything of a deployment into service. Repeatable.

    Returns: of machines that could not be called as they should be: that name, and theirs.
    """
    for found in made.machines.values():
        # The first of these marks is the decision: from here on nothing is undone.
        if found.mark is not None and not found.mark.committed:
            marks.put(link, found.uuid, replace(found.mark, committed=True), found.name)
    renamed = []
    for found in made.machines.values():
        if found.mark is None or f".{marks.tag(made.key)}." not in found.name or found.active:
            continue
        name = _rename(link, found, found.mark.name)
        if name != found.mark.name:
            renamed.append((found.mark.name, name))
    return renamed


def _rename(link: Link, found: marks.Domain, wanted: str) -> str:
    """Call the machine as wanted, or nearly so where another one is called that."""
    return link.call(partial(_called, uuid=found.uuid, wanted=wanted), found.name)


def _called(conn: Any, uuid: str, wanted: str) -> str:
    dom = conn.lookupByUUIDString(uuid)
    for number in range(1, _NAMES):
        name = wanted if number == 1 else f"{wanted}-{number}"
        if dom.name() == name:
            return name
        if name in {each.name() for each in conn.listAllDomains()}:
            continue
        try:
            dom.rename(name)
        except libvirt.libvirtError as error:
            # Between the look and the call another one may have taken it.
            if "already exists" not in str(error.get_error_message()):
                raise
        else:
            return name
    return str(dom.name())
