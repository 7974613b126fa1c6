"""What a draft stands on: source, target and choices, and what follows from them."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from operator import is_not
from typing import Generic, TypeVar, cast

from backends.base import Described, MachineItem, Ref
from kensho_tui.errors import KenshoError
from kensho_tui.findings import Finding
from kensho_tui.machine import (
    Appliance,
    Licence,
    MachineId,
    Property,
)
from kensho_tui.migration import apply, mapping
from kensho_tui.migration.choices import (
    Choices,
    forget_source,
    still_valid,
)
from kensho_tui.migration.mapping import AdapterRow, Choice, DiskRow, NetworkRow, StorageUse
from kensho_tui.migration.plan import (
    LONGEST_EJECT_AFTER,
    Integrity,
    Mac,
    MachinePlan,
    RefModel,
    RunPlan,
    SecretValue,
    SourcePlan,
    Spec,
    TargetPlan,
)
from kensho_tui.migration.sessions import Reading, Writing
from kensho_tui.migration.target import HomeRow, TargetView
from kensho_tui.migration.times import zone_of
from kensho_tui.ovf.properties import needed, problem
from kensho_tui.text import one_line, plain

_HISTORY = 100
T = TypeVar("T")


class DraftError(KenshoError):
    """A choice that cannot be made; the remedy says what is allowed."""


class _Latest(Generic[T]):
    """What was found last, kept as long as what it was found of is the same."""

    def __init__(self) -> None:
        self._kept: tuple[tuple[object, ...], T] | None = None

    def of(self, things: tuple[object, ...], find: Callable[[], T]) -> T:
        """What ``find`` gives, or gave for these very things."""
        kept = self._kept
        if kept is None or any(map(is_not, things, kept[0])):
            kept = self._kept = things, find()
        return kept[1]


class Ground:
    """Source, target and choices, and everything that is read from them. Thread-safe.

    Attributes: see `kensho_tui.migration.draft.Draft`.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.source: SourcePlan | None = None
        self.described: Described | None = None
        self.machines: tuple[MachineItem, ...] = ()
        self.target_view: TargetView | None = None
        self.dropped: tuple[str, ...] = ()
        self.findings: tuple[Finding, ...] | None = None
        self._writing = Writing()
        self._reading = Reading()
        self._choices = Choices()
        self._history: list[Choices] = []
        # What was found last, and of what: every page asks for it again with every key.
        self._applied: _Latest[Appliance] = _Latest()
        self._asked: _Latest[Mapping[str, Property]] = _Latest()
        self._objections: _Latest[tuple[tuple[Property, str], ...]] = _Latest()

    @property
    def name(self) -> str:
        """What the move and the appliance are called."""
        if self._choices.name:
            return self._choices.name
        return one_line(self.described.appliance.name, limit=80) if self.described else ""

    @name.setter
    def name(self, name: str) -> None:
        self._change(replace(self._choices, name=fit_name(name)))

    @property
    def start(self) -> bool:
        """Whether the machines are started at the end."""
        return self._choices.start

    @start.setter
    def start(self, start: bool) -> None:
        self._change(replace(self._choices, start=start))

    @property
    def eject_after(self) -> int:
        """Minutes that started guests have to read settings with a password among them; 0: none.

        Setting it raises DraftError where it is too long.
        """
        return self._choices.eject_after

    @eject_after.setter
    def eject_after(self, minutes: int) -> None:
        if minutes > LONGEST_EJECT_AFTER:
            raise DraftError(
                f"{minutes} minutes are too long to leave a password lying about",
                remedy=f"At most {LONGEST_EJECT_AFTER}",
            )
        self._change(replace(self._choices, eject_after=minutes))

    @property
    def mac(self) -> Mac:
        """Whether adapters keep the MAC addresses they have, or the target gives new ones."""
        return self._choices.mac

    @mac.setter
    def mac(self, mac: str) -> None:
        if mac not in ("keep", "generate"):
            raise DraftError(
                f"'{one_line(mac, limit=40)}' is nothing that can be done with MAC addresses",
                remedy="Write keep or generate",
            )
        self._change(replace(self._choices, mac=cast("Mac", mac)))

    @property
    def timezone(self) -> str:
        """Name of the time zone that guests are told, such as ``Europe/Berlin``; "" for none.

        Setting it raises TimeError where there is none of that name.
        """
        return self._choices.timezone

    @timezone.setter
    def timezone(self, zone: str) -> None:
        self._change(replace(self._choices, timezone=zone and zone_of(zone)))

    @property
    def separately(self) -> bool:
        """Whether each machine is to be a job of its own; see `kensho_tui.migration.separately`."""
        return self._choices.separately

    @separately.setter
    def separately(self, separately: bool) -> None:
        self._change(replace(self._choices, separately=separately))

    @property
    def run(self) -> RunPlan:
        """When the job runs, how fast and how urgently."""
        return self._choices.run

    @run.setter
    def run(self, run: RunPlan) -> None:
        self._change(replace(self._choices, run=run))

    @property
    def integrity(self) -> Integrity:
        """What becomes of a member that does not match the manifest."""
        return self._reading.integrity

    @property
    def configuration(self) -> str:
        """Id of the deployment option that is resolved; "" where there are none."""
        return self.described.appliance.configuration if self.described else ""

    @property
    def appliance(self) -> Appliance | None:
        """The appliance with all choices applied; None without a source."""
        with self._lock:
            if self.described is None or self.source is None:
                return None
            described = self.described.appliance
            return self._applied.of(
                (self.described, self.source, self._choices),
                lambda: apply.chosen(described, self._spec_of_machines()),
            )

    def licences(self) -> tuple[Licence, ...]:
        """Licences of what is included; texts that are equal stand once."""
        appliance = self.appliance
        if appliance is None:
            return ()
        return tuple({each.digest: each for each in appliance.licences}.values())

    def accepted(self, digest: str) -> bool:
        """Whether the licence of that digest is accepted."""
        return digest in self._choices.licences

    def included(self, machine: str) -> bool:
        """Whether the machine comes along."""
        return machine not in self._choices.excluded

    def properties(self, hidden: bool = False) -> tuple[Property, ...]:
        """What the appliance asks, in display order; ``hidden`` adds what it keeps to itself.

        What it keeps to itself and was answered all the same is there always.
        """
        appliance = self.appliance
        if appliance is None:
            return ()
        return tuple(
            each
            for each in appliance.properties
            if hidden or each.configurable or self.property_answered(each.address)
        )

    def objections(self) -> tuple[tuple[Property, str], ...]:
        """What is asked and has no valid answer, with the reason, in display order."""

        def found() -> tuple[tuple[Property, str], ...]:
            reasons = ((each, self.property_problem(each.address)) for each in self.properties())
            return tuple((each, reason) for each, reason in reasons if reason)

        with self._lock:
            return self._objections.of((self.described, self._choices), found)

    def property_value(self, address: str) -> str | None:
        """The answer, else the default; None where there is neither. Passwords included."""
        found = self._property(address)
        choices = self._choices
        answer = (
            choices.passwords.get(address) if found.password else choices.properties.get(address)
        )
        return found.default if answer is None else answer

    def property_answered(self, address: str) -> bool:
        """Whether the operator gave an answer of their own."""
        return address in self._choices.properties or address in self._choices.passwords

    def reference_of(self, address: str) -> SecretValue | None:
        """Where the password of that address was said to stand; None where it was entered."""
        return self._choices.references.get(address)

    def property_problem(self, address: str, value: str | None = None) -> str | None:
        """Why the answer (or ``value``, while it is typed) is not valid; None: it is."""
        found = self._property(address)
        if value is None:
            value = self.property_value(address)
        if value is None:
            return "an answer is needed" if needed(found) else None
        return problem(found, value)

    def homes(self, machine: str | None = None) -> tuple[HomeRow, ...]:
        """Pools and hosts of the target, each with the reason where the appliance does not fit.

        Args:
            machine: look at this machine alone; None: at all that have no home of their own.
        """
        with self._lock:
            if self.target_view is None:
                return ()
            return self.target_view.homes(self._living_at_home(machine) if self.described else None)

    def home(self) -> Choice:
        """The pool or host the appliance goes to, chosen or proposed."""
        with self._lock:
            if self._choices.home is not None:
                return Choice(self._choices.home, mapping.BY_YOU, yours=True)
            if self.target_view is None or self.described is None:
                return Choice(None, "there is no target yet", decided=False)
            return mapping.home_choice(self.target_view, self._living_at_home())

    def machine_homes(self) -> Mapping[MachineId, Ref]:
        """Homes of machines that differ from `home`."""
        return self._choices.homes

    def adapters(self) -> tuple[AdapterRow, ...]:
        """Every adapter with its network on the target."""
        with self._lock:
            if self.target_view is None or self.described is None:
                return ()
            return mapping.adapter_rows(
                self._appliance(), self.target_view, self._homes(), self._choices.networks
            )

    def networks(self) -> tuple[NetworkRow, ...]:
        """The appliance's networks with their adapters and what they become."""
        with self._lock:
            return (
                mapping.network_rows(self._appliance(), self.adapters()) if self.described else ()
            )

    def disks(self) -> tuple[DiskRow, ...]:
        """Every disk with its storage on the target."""
        with self._lock:
            if self.target_view is None or self.described is None:
                return ()
            return mapping.disk_rows(
                self._appliance(),
                self.target_view,
                self._homes(),
                self._choices.storage,
                self._choices.default_storage,
                self._choices.properties,
            )

    def storage_use(self) -> tuple[StorageUse, ...]:
        """Space per storage before and after."""
        with self._lock:
            return mapping.storage_use(self.target_view, self.disks()) if self.target_view else ()

    # ------------------------------------------------------------------ inside
    def _source(self) -> SourcePlan:
        if self.source is None:
            raise DraftError("there is no source yet", remedy="Open a package or choose machines")
        return self.source

    def _described(self) -> Described:
        self._source()
        assert self.described is not None
        return self.described

    def _view(self) -> TargetView:
        if self.target_view is None:
            raise DraftError("there is no target yet", remedy="Choose where it goes")
        return self.target_view

    def _appliance(self) -> Appliance:
        self._described()
        appliance = self.appliance
        assert appliance is not None
        return appliance

    def _living_at_home(self, machine: str | None = None) -> Appliance:
        """The appliance with the machines that have no home of their own, or with one machine."""
        appliance, homes = self._appliance(), self._choices.homes
        return replace(
            appliance,
            machines=tuple(
                each
                for each in appliance.machines
                if (each.id not in homes if machine is None else each.id == machine)
            ),
        )

    def _machine(self, machine: str) -> MachineId:
        known = [each.id for each in self._described().appliance.machines]
        if machine not in known:
            raise DraftError(
                "no such machine", subject=machine, remedy=f"Machines here: {', '.join(known)}"
            )
        return MachineId(machine)

    def _property(self, address: str) -> Property:
        described = self._described()
        asked = self._asked.of(
            (described,),
            lambda: {each.address: each for each in reversed(described.appliance.properties)},
        )
        if address not in asked:
            raise DraftError("the appliance does not ask that", subject=address)
        return asked[address]

    def _check_storage(self, ref: Ref, machine: MachineId) -> None:
        there = self._view().storages_for(self._homes().get(machine))
        if all(item.ref != ref for item in there):
            known = {item.ref: item.reason for item in self._view().storages}
            raise DraftError(
                known.get(ref) or "the storage takes no disks there",
                subject=ref.name or ref.id,
                remedy=f"Possible are: {', '.join(item.ref.name for item in there)}",
            )

    def _homes(self) -> dict[MachineId, Ref | None]:
        home = self.home().ref
        machines = self._described().appliance.machines
        return {each.id: self._choices.homes.get(each.id, home) for each in machines}

    def _spec_of_machines(self, choices: Choices | None = None) -> Spec:
        """A spec with what changes the machines themselves: enough for `apply.chosen`."""
        choices = choices or self._choices
        return Spec(
            source=self._source(),
            target=TargetPlan(),
            name=choices.name or None,
            mac=choices.mac,
            machines=self._machine_plans(choices),
            properties=dict(choices.properties),
        )

    def _machine_plans(self, choices: Choices | None = None) -> dict[str, MachinePlan]:
        choices = choices or self._choices
        touched = {*choices.excluded, *choices.names, *choices.processors, *choices.memory}
        return {
            str(id): MachinePlan(
                include=id not in choices.excluded,
                name=choices.names.get(id),
                processors=choices.processors.get(id),
                memory=choices.memory.get(id),
            )
            for id in sorted(touched)
        }

    def _with_places(self, machines: dict[str, MachinePlan]) -> dict[str, MachinePlan]:
        adapters: dict[str, dict[str, RefModel | None]] = {}
        for row in self.adapters():
            if row.choice.decided:
                ref = row.choice.ref
                adapters.setdefault(row.machine, {})[row.adapter] = (
                    RefModel.of(ref) if ref else None
                )
        homes = {str(id): RefModel.of(ref) for id, ref in self._choices.homes.items()}
        return {
            id: machines.get(id, MachinePlan()).model_copy(
                update={"adapters": adapters.get(id, {}), "home": homes.get(id)}
            )
            for id in dict.fromkeys([*machines, *adapters, *homes])
        }

    def _set_source(
        self, source: SourcePlan, described: Described, machines: tuple[MachineItem, ...]
    ) -> None:
        with self._lock:
            old = self.source
            same = old is not None and (old.package, old.connection, old.machines) == (
                source.package,
                source.connection,
                source.machines,
            )
            self.source, self.described, self.machines = source, described, machines
            choices = self._choices if same else forget_source(self._choices)
            # The source was described in its default configuration.
            self._change(replace(choices, configuration=None), prune=True)
            self._history.clear()

    def _set_target(self, seen: TargetView) -> TargetView:
        with self._lock:
            self.target_view = seen
            self._change(self._choices, prune=True)
            self._history.clear()
        return seen

    def _change(self, choices: Choices, *, prune: bool = False) -> None:
        with self._lock:
            dropped: tuple[str, ...] = ()
            if prune and self.described is not None:
                source = self.described.appliance
                sized = apply.chosen(source, self._spec_of_machines(choices))
                choices, dropped = still_valid(choices, source, sized, self.target_view)
            if choices != self._choices:
                self._history = [*self._history[-_HISTORY:], self._choices]
            self._choices = choices
            self.dropped = dropped
            self.findings = None


def fit_name(name: str) -> str:
    """The name without white space around it. Raises: DraftError: that is no name."""
    fit = name.strip()
    if not fit or fit != one_line(plain(fit)) or len(fit) > 255:
        raise DraftError(
            "that is no name",
            subject=one_line(name, limit=40),
            remedy="A name is one line of 1 to 255 visible characters",
        )
    return fit
