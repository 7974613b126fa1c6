"""The operator's answers as one immutable value, and which of them survive when the ground moves."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from backends.base import Ref
from kensho_tui.machine import Appliance, DiskId, Machine, MachineId
from kensho_tui.migration.mapping import AdapterKey
from kensho_tui.migration.plan import EJECT_AFTER, LicenceAnswer, Mac, RunPlan, SecretValue
from kensho_tui.migration.target import TargetView

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Choices:
    """What the operator chose; what is absent is proposed or kept as the source says.

    Attributes:
        networks: per adapter; None leaves it unplugged.
        storage: per disk; ``default_storage`` for all others.
        properties: answers by address; ``passwords`` likewise, never in a plan, a log or a repr.
        references: where those of the passwords stand that were not entered, by address.
        memory: bytes.
        eject_after: minutes.
        mac: whether the adapters keep their addresses.
        timezone: name of the one that guests are told; "" for none.
        separately: a job for each machine, as far as they do not belong together.
        run: when, how fast and how urgently.
    """

    name: str = ""
    configuration: str | None = None
    licences: Mapping[str, LicenceAnswer] = field(default_factory=dict)
    excluded: frozenset[MachineId] = frozenset()
    names: Mapping[MachineId, str] = field(default_factory=dict)
    processors: Mapping[MachineId, int] = field(default_factory=dict)
    memory: Mapping[MachineId, int] = field(default_factory=dict)
    home: Ref | None = None
    homes: Mapping[MachineId, Ref] = field(default_factory=dict)
    networks: Mapping[AdapterKey, Ref | None] = field(default_factory=dict)
    storage: Mapping[DiskId, Ref] = field(default_factory=dict)
    default_storage: Ref | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
    passwords: Mapping[str, str] = field(default_factory=dict, repr=False)
    references: Mapping[str, SecretValue] = field(default_factory=dict)
    start: bool = False
    eject_after: int = EJECT_AFTER
    mac: Mac = "keep"
    timezone: str = ""
    separately: bool = False
    run: RunPlan = field(default_factory=RunPlan)


def with_entry(mapping: Mapping[K, V], key: K, value: V) -> dict[K, V]:
    """The mapping with one entry set."""
    return {**mapping, key: value}


def without(mapping: Mapping[K, V], key: K) -> dict[K, V]:
    """The mapping without one entry."""
    return {k: v for k, v in mapping.items() if k != key}


def forget_source(choices: Choices) -> Choices:
    """What still means anything when another appliance is opened: where it goes, not what it is."""
    return Choices(
        home=choices.home,
        default_storage=choices.default_storage,
        start=choices.start,
        eject_after=choices.eject_after,
        mac=choices.mac,
        timezone=choices.timezone,
        run=choices.run,
    )


def still_valid(
    choices: Choices, appliance: Appliance, sized: Appliance, view: TargetView | None
) -> tuple[Choices, tuple[str, ...]]:
    """The choices that hold for this appliance on this target, and what was dropped, in words.

    Args:
        appliance: as described, before choices are applied; ``sized`` with them applied.
        view: the target; None leaves what depends on it alone.
    """
    dropped: list[str] = []

    machines = {each.id: each for each in appliance.machines}
    addresses = {each.address for each in appliance.properties}
    digests = {each.digest for each in appliance.licences}

    def machine_is_there(machine: MachineId, _: object) -> str:
        return "" if machine in machines else f"what was chosen for machine {machine}: it is gone"

    def property_is_there(address: str, _: object) -> str:
        return "" if address in addresses else f"the answer to {address}: it is not asked here"

    choices = replace(
        choices,
        licences=_kept(
            choices.licences,
            dropped,
            lambda digest, _: "" if digest in digests else "a licence that is not in this package",
        ),
        excluded=choices.excluded & frozenset(machines),
        names=_kept(choices.names, dropped, machine_is_there),
        processors=_kept(choices.processors, dropped, machine_is_there),
        memory=_kept(choices.memory, dropped, machine_is_there),
        properties=_kept(choices.properties, dropped, property_is_there),
        passwords=_kept(choices.passwords, dropped, property_is_there),
    )
    if view is not None:
        choices = _on_target(choices, appliance, sized, view, dropped)
    return choices, tuple(dict.fromkeys(dropped))


def _on_target(
    choices: Choices,
    appliance: Appliance,
    sized: Appliance,
    view: TargetView,
    dropped: list[str],
) -> Choices:
    at_home = tuple(each for each in sized.machines if each.id not in choices.homes)

    def home_fits(ref: Ref, machines: tuple[Machine, ...] = at_home) -> str:
        rows = view.homes(replace(sized, machines=machines))
        row = next((each for each in rows if each.ref == ref), None)
        if row is None:
            return f"home {ref.name or ref.id}: it is not on this target"
        return f"home {ref.name or ref.id}: {row.reason}" if row.reason else ""

    home = choices.home
    if home is not None and (reason := home_fits(home)):
        dropped.append(reason)
        home = None

    def machine_home_fits(machine: MachineId, ref: Ref) -> str:
        return home_fits(ref, tuple(each for each in sized.machines if each.id == machine))

    machine_homes = _kept(choices.homes, dropped, machine_home_fits)
    adapters = {
        (machine.id, adapter.id): f"{machine.name} {adapter.name or adapter.id}"
        for machine in appliance.machines
        for adapter in machine.adapters
    }
    owner = {
        attachment.disk: machine.id
        for machine in appliance.machines
        for attachment in machine.attachments
        if attachment.disk is not None
    }

    def network_holds(key: AdapterKey, ref: Ref | None) -> str:
        if key not in adapters:
            return f"the network of an adapter that is gone ({key[1]})"
        if ref is None:
            return ""
        there = view.networks_for(machine_homes.get(key[0], home))
        if any(item.ref == ref for item in there):
            return ""
        return f"network {ref.name or ref.id} for {adapters[key]}: not reachable there"

    def storage_holds(disk: DiskId, ref: Ref) -> str:
        if disk not in owner:
            return f"the storage of a disk that is gone ({disk})"
        there = view.storages_for(machine_homes.get(owner[disk], home))
        if any(item.ref == ref for item in there):
            return ""
        return f"storage {ref.name or ref.id} for {disk}: not reachable there"

    default = choices.default_storage
    if default is not None and all(item.ref != default for item in view.storages_for(home)):
        dropped.append(f"storage {default.name or default.id}: not reachable there")
        default = None
    return replace(
        choices,
        home=home,
        homes=machine_homes,
        networks=_kept(choices.networks, dropped, network_holds),
        storage=_kept(choices.storage, dropped, storage_holds),
        default_storage=default,
    )


def _kept(
    mapping: Mapping[K, V], dropped: list[str], objection: Callable[[K, V], str]
) -> dict[K, V]:
    """The entries without an objection; the objections go to ``dropped``."""
    left: dict[K, V] = {}
    for key, value in mapping.items():
        reason = objection(key, value)
        if reason:
            dropped.append(reason)
        else:
            left[key] = value
    return left
