"""Proposals for where networks and disks go, each with the reason, and the space that is left."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from backends.base import Capabilities, Kind, NetworkItem, Ref, StorageItem, Transport
from kensho_tui.machine import Appliance, Disk, DiskId, MachineId, NetworkId
from kensho_tui.migration.target import TargetView
from kensho_tui.migration.units import disk_label

# Answers that are not known when space is counted: passwords.
_UNKNOWN_ANSWERS = 64 << 10
BY_YOU = "chosen by you"
_VLAN = re.compile(r"\bvlan[\s_-]*(?:id)?[\s_:=-]*(\d{1,4})\b", re.IGNORECASE)

AdapterKey = tuple[MachineId, str]


@dataclass(frozen=True, slots=True)
class Choice:
    """What one adapter or disk gets, and why.

    Attributes:
        ref: the network or storage; None with ``decided`` means unplugged on purpose.
        decided: False: nobody could decide, the operator must.
        yours: the operator chose it, it is no proposal.
    """

    ref: Ref | None
    why: str
    decided: bool = True
    yours: bool = False


@dataclass(frozen=True, slots=True)
class AdapterRow:
    """One adapter and its network on the target. ``label`` is "web01 eth0"."""

    machine: MachineId
    adapter: str
    machine_name: str
    label: str
    network: NetworkId | None
    choice: Choice


@dataclass(frozen=True, slots=True)
class NetworkRow:
    """One network of the appliance with all its adapters.

    ``choice`` is that of the first adapter; ``mixed`` says that others have another one.
    ``network`` is None for adapters that are on no network.
    """

    network: NetworkId | None
    description: str
    adapters: tuple[AdapterRow, ...]
    choice: Choice
    mixed: bool


@dataclass(frozen=True, slots=True)
class DiskRow:
    """One disk and its storage on the target.

    ``need`` is what it takes when it is full, as the target rounds it; ``least`` what is known to be
    in it; bytes.

    ``problem`` says why it cannot stay there, "" if it can. ``label`` is "db01 data".
    """

    disk: DiskId
    label: str
    machines: tuple[MachineId, ...]
    capacity: int | None
    need: int
    least: int
    blank: bool
    choice: Choice
    problem: str = ""


@dataclass(frozen=True, slots=True)
class StorageUse:
    """One storage before and after: bytes.

    Attributes:
        need: what the disks take when they are full; ``least`` what is known to be in them.
        thin: whether a disk takes only what is written to it; then ``least`` decides.
    """

    ref: Ref
    capacity: int
    free: int
    need: int
    disks: tuple[DiskId, ...]
    least: int = 0
    thin: bool = False

    @property
    def after(self) -> int:
        """Bytes that are free once all disks are full; negative where they cannot all be."""
        return self.free - self.need

    @property
    def fits(self) -> bool:
        """Whether everything has room."""
        return (self.least if self.thin else self.need) <= self.free


def vlan_of(text: str) -> int | None:
    """The VLAN a network's name or description tells of: 10 for ``Back (VLAN 10)``."""
    found = _VLAN.search(text)
    return int(found[1]) if found and int(found[1]) < 4096 else None


def propose_network(name: str, description: str, candidates: tuple[NetworkItem, ...]) -> Choice:
    """The network most like the one of that name."""
    wanted = name.strip().casefold()
    for item in candidates:
        if wanted and item.ref.name.strip().casefold() == wanted:
            return Choice(item.ref, "same name")
    vlan = vlan_of(name) or vlan_of(description)
    if vlan is not None:
        for item in candidates:
            if item.vlan == vlan:
                return Choice(item.ref, f"same VLAN {vlan}")
    for item in candidates:
        if wanted and item.bridge and item.bridge.casefold() == wanted:
            return Choice(item.ref, f"same bridge {item.bridge}")
    if len(candidates) == 1:
        return Choice(candidates[0].ref, "the only one")
    management = [item for item in candidates if item.management]
    if management:
        return Choice(management[0].ref, "management network")
    return Choice(None, "no like name" if candidates else "the target has none", decided=False)


def adapter_rows(
    appliance: Appliance,
    view: TargetView,
    homes: Mapping[MachineId, Ref | None],
    chosen: Mapping[AdapterKey, Ref | None],
) -> tuple[AdapterRow, ...]:
    """Every adapter with what was chosen for it, else with what is proposed.

    Args:
        homes: home of each machine, None where the platform chooses.
        chosen: the operator's choices; None: unplugged.
    """
    described = {each.id: each.description for each in appliance.networks}
    rows = []
    for machine in appliance.machines:
        candidates = view.networks_for(homes.get(machine.id))
        for number, adapter in enumerate(machine.adapters):
            key = (machine.id, adapter.id)
            if key in chosen:
                choice = Choice(chosen[key], BY_YOU, yours=True)
            elif view.package:
                choice = Choice(None, "keeps its name in the package")
            elif adapter.network is None:
                choice = Choice(None, "on no network in the source")
            else:
                name = str(adapter.network)
                choice = propose_network(name, described.get(adapter.network, ""), candidates)
            label = f"{machine.name} {adapter.name or f'adapter {number}'}"
            rows.append(
                AdapterRow(machine.id, adapter.id, machine.name, label, adapter.network, choice)
            )
    return tuple(rows)


def network_rows(appliance: Appliance, rows: tuple[AdapterRow, ...]) -> tuple[NetworkRow, ...]:
    """The adapters grouped by the appliance's networks, in the appliance's order."""
    grouped: dict[NetworkId | None, list[AdapterRow]] = {each.id: [] for each in appliance.networks}
    for row in rows:
        grouped.setdefault(row.network, []).append(row)
    described = {each.id: each.description for each in appliance.networks}
    return tuple(
        NetworkRow(
            network,
            described.get(network, "") if network is not None else "",
            tuple(adapters),
            adapters[0].choice,
            any(each.choice.ref != adapters[0].choice.ref for each in adapters),
        )
        for network, adapters in grouped.items()
        if adapters
    )


def space(disk: Disk, capabilities: Capabilities) -> int:
    """Bytes the disk takes on the target when it is full; what is unknown counts as its image."""
    size = disk.capacity if disk.capacity is not None else disk.image_size or 0
    step = max(1, capabilities.disk_increment)
    return -(-size // step) * step


def settings_space(
    appliance: Appliance,
    view: TargetView,
    placed: Iterable[DiskId],
    answers: Mapping[str, object],
) -> dict[DiskId, int]:
    """Bytes that the CDs with the guests' settings take at most, by the disk beside which they lie.

    Args:
        placed: the disks that are made, in the order of the placement: a CD lies beside the first of
            its machine's.
        answers: of the plan, by address; those that are no text are not known yet.
    """
    disks = [each for each in placed if each in appliance.disks]
    can = view.capabilities
    if view.package or not can.environment or can.transport is not Transport.ISO:
        return {}
    if not (appliance.properties or appliance.environment_files) or not disks:
        return {}
    from kensho_tui.ovf.environment import document, iso_bound
    from kensho_tui.ovf.environment_files import beside

    known = {key: value for key, value in answers.items() if isinstance(value, str)}
    step = max(1, can.disk_increment)
    found: dict[DiskId, int] = {}
    for machine in appliance.machines:
        own = {each.disk for each in machine.attachments}
        place = next((each for each in disks if each in own), disks[0])
        size = iso_bound(
            len(document(appliance, machine.id, known)) + _UNKNOWN_ANSWERS,
            beside(appliance, machine.id),
        )
        found[place] = found.get(place, 0) + -(-size // step) * step
    return found


def disk_rows(
    appliance: Appliance,
    view: TargetView,
    homes: Mapping[MachineId, Ref | None],
    chosen: Mapping[DiskId, Ref],
    default: Ref | None = None,
    answers: Mapping[str, object] = MappingProxyType({}),
) -> tuple[DiskRow, ...]:
    """Every disk with the storage that was chosen for it, else with the one that is proposed.

    Args:
        chosen: the operator's choices per disk; ``default`` the operator's choice for all others.
        answers: to the appliance's questions, by address; they lie on a CD beside a disk.
    """
    users: dict[DiskId, list[MachineId]] = {}
    labels: dict[DiskId, str] = {}
    for machine in appliance.machines:
        number = 0
        for attachment in machine.attachments:
            if attachment.disk is None or attachment.disk not in appliance.disks:
                continue
            disk = appliance.disks[attachment.disk]
            users.setdefault(disk.id, []).append(machine.id)
            labels.setdefault(disk.id, disk_label(machine.name, disk.name, number))
            number += 1
    cds = settings_space(appliance, view, users, answers)
    needs = {
        each: space(appliance.disks[each], view.capabilities) + cds.get(each, 0) for each in users
    }
    free = {item.ref: item.free for item in view.storages}
    picked: dict[DiskId, Choice] = {}
    # What is fixed takes its room first, so that proposals fill what is left.
    for disk_id in users:
        fixed = chosen.get(disk_id, default)
        if fixed is not None:
            picked[disk_id] = Choice(fixed, BY_YOU, yours=True)
            free[fixed] = free.get(fixed, 0) - needs[disk_id]
    for disk_id, machines in users.items():
        if disk_id in picked:
            continue
        if view.package and not view.storages:
            picked[disk_id] = Choice(None, "in the package")
            continue
        need = needs[disk_id]
        choice = _propose_storage(need, _common(view, machines, homes), free, _defaults(view))
        if choice.ref is not None:
            free[choice.ref] -= need
        picked[disk_id] = choice
    rows = []
    for disk_id, machines in users.items():
        disk, choice = appliance.disks[disk_id], picked[disk_id]
        problem = "" if choice.decided else f"no storage: {choice.why}"
        rows.append(
            DiskRow(
                disk_id,
                labels[disk_id],
                tuple(machines),
                disk.capacity,
                needs[disk_id],
                (disk.populated or 0) + cds.get(disk_id, 0),
                disk.blank,
                choice,
                problem,
            )
        )
    if view.package:
        return tuple(rows)  # what compressed disks take is not known beforehand
    small = {use.ref for use in storage_use(view, tuple(rows)) if not use.fits}
    return tuple(
        replace(row, problem=f"{row.choice.ref.name or row.choice.ref.id} is too small")
        if row.choice.ref in small and row.choice.ref is not None
        else row
        for row in rows
    )


def _common(
    view: TargetView, machines: list[MachineId], homes: Mapping[MachineId, Ref | None]
) -> tuple[StorageItem, ...]:
    """Storages that every one of the machines reaches."""
    first, *others = (view.storages_for(homes.get(each)) for each in machines)
    return tuple(item for item in first if all(item in other for other in others))


def _defaults(view: TargetView) -> frozenset[Ref]:
    return frozenset(pool.default_storage for pool in view.pools if pool.default_storage)


def _propose_storage(
    need: int,
    candidates: tuple[StorageItem, ...],
    free: Mapping[Ref, int],
    defaults: frozenset[Ref],
) -> Choice:
    if not candidates:
        return Choice(None, "the target has none that takes disks", decided=False)
    if len(candidates) == 1:
        return Choice(candidates[0].ref, "the only one")
    for item in candidates:
        if item.ref in defaults and free[item.ref] >= need:
            return Choice(item.ref, "default of the pool")
    most = max(candidates, key=lambda item: free[item.ref])
    return Choice(most.ref, "most free space")


def storage_use(view: TargetView, rows: tuple[DiskRow, ...]) -> tuple[StorageUse, ...]:
    """Every storage that gets a disk, with its space before and after."""
    taken: dict[Ref, list[DiskRow]] = {}
    for row in rows:
        if row.choice.ref is not None:
            taken.setdefault(row.choice.ref, []).append(row)
    items = {item.ref: item for item in view.storages}
    return tuple(
        StorageUse(
            items[ref].ref,
            items[ref].capacity,
            items[ref].free,
            sum(row.need for row in disks),
            tuple(row.disk for row in disks),
            sum(row.least for row in disks),
            items[ref].thin,
        )
        for ref, disks in taken.items()
        if ref in items
    )


def home_choice(view: TargetView, appliance: Appliance) -> Choice:
    """The pool or host that is proposed: the only fit pool, else the only fit host alone."""
    homes = view.homes(appliance)
    if not homes:
        return Choice(None, "the platform decides")
    fit = [each for each in homes if not each.reason]
    pools = [each for each in fit if each.ref.kind is Kind.POOL]
    alone = [each for each in fit if each.ref.kind is Kind.HOST and each.pool is None]
    for group in (pools + alone, fit):
        if len(group) == 1:
            return Choice(group[0].ref, "the only one")
    if not fit:
        return Choice(None, f"nothing fits: {homes[0].reason}", decided=False)
    return Choice(None, "there are several", decided=False)
