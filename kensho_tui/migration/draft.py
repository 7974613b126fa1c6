"""The draft: a plan in the making, shared by the wizard and the commands.

Calls that take `Sessions` do I/O and belong in a thread; all others only compute. Thread-safe.
Whatever an earlier choice changes, later answers that still hold are kept, and `Draft.dropped` says
which were not.
"""

import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from backends.base import Consistency, Described, Kind, MachineItem, Ref
from kensho_tui.errors import KenshoError
from kensho_tui.findings import Finding
from kensho_tui.machine import (
    Appliance,
    DiskId,
    Licence,
    MachineId,
    Property,
)
from kensho_tui.migration import apply, mapping
from kensho_tui.migration.choices import (
    Choices,
    forget_source,
    still_valid,
    with_entry,
    without,
)
from kensho_tui.migration.mapping import AdapterRow, Choice, DiskRow, NetworkRow, StorageUse
from kensho_tui.migration.pages import Page, PageState, problems, state
from kensho_tui.migration.plan import (
    Integrity,
    LicenceAnswer,
    MachinePlan,
    Metadata,
    PackageFormat,
    Plan,
    RefModel,
    SecretValue,
    SourcePlan,
    Spec,
    TargetPlan,
)
from kensho_tui.migration.sessions import Sessions, read_settings, write_settings
from kensho_tui.migration.target import HomeRow, TargetView, items, view
from kensho_tui.ovf.properties import problem
from kensho_tui.text import one_line, plain

__all__ = ["Draft", "DraftError", "Page", "PageState"]

MIN_MEMORY = 4 << 20
MAX_PROCESSORS = 1024
_HISTORY = 100


class DraftError(KenshoError):
    """A choice that cannot be made; the remedy says what is allowed."""


class Draft:
    """A move that is being decided.

    Attributes:
        source: where the appliance comes from; None until one is loaded.
        described: what the source said, as it is, for the configuration that is chosen.
        machines: summaries of the machines where the source is a connection.
        target_view: what there is on the target; None until one is loaded.
        dropped: answers that the latest change made invalid, in words; empty mostly.
        findings: of the latest `check`; None: not checked since the last change.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.source: SourcePlan | None = None
        self.described: Described | None = None
        self.machines: tuple[MachineItem, ...] = ()
        self.target_view: TargetView | None = None
        self.dropped: tuple[str, ...] = ()
        self.findings: tuple[Finding, ...] | None = None
        self._format: PackageFormat = "ova"
        self._integrity: Integrity = "require"
        self._choices = Choices()
        self._history: list[Choices] = []

    # ------------------------------------------------------------------ calls that do I/O
    def load_package(
        self, sessions: Sessions, path: str, integrity: Integrity = "require"
    ) -> Described:
        """Open the package at the path as the source.

        Args:
            integrity: what a file that does not match the manifest is: an error (``require``), a
                warning (``warn``), or not looked at (``off``).

        Raises: KenshoError: it cannot be opened.
        """
        described = sessions.package(path, **read_settings(integrity)).describe([])
        with self._lock:
            self._integrity = integrity
            self._set_source(SourcePlan(package=path, identity=described.identity), described, ())
        return described

    def load_machines(
        self,
        sessions: Sessions,
        connection: str,
        refs: Sequence[Ref],
        consistency: Consistency = Consistency.OFF,
    ) -> Described:
        """Take these machines (or one appliance) of the connection as the source.

        Args:
            consistency: OFF needs machines that are shut down; SNAPSHOT takes running ones.
        """
        if not refs:
            raise DraftError("no machine is chosen", subject=connection)
        session = sessions.get(connection)
        described = session.describe(refs)
        known = {
            each.ref: each
            for each in items(session, frozenset({Kind.MACHINE, Kind.TEMPLATE}))
            if isinstance(each, MachineItem)
        }
        ids = {str(each.id) for each in described.appliance.machines}
        source = SourcePlan(
            connection=connection,
            machines=tuple(RefModel.of(each) for each in refs),
            identity=described.identity,
            consistency="snapshot" if consistency is Consistency.SNAPSHOT else "off",
        )
        summaries = tuple(item for ref, item in known.items() if ref in refs or ref.id in ids)
        self._set_source(source, described, summaries)
        return described

    def choose_configuration(self, sessions: Sessions, configuration: str) -> Described:
        """Take this deployment option; answers that it still asks for are kept."""
        source = self._source()
        if source.package is not None:
            session, refs = sessions.package(source.package, **read_settings(self._integrity)), []
        else:
            session = sessions.get(source.connection or "")
            refs = [each.ref() for each in source.machines]
        described = session.describe(refs, configuration=configuration)
        with self._lock:
            self.described = described
            self.source = source.model_copy(update={"identity": described.identity})
            self._change(replace(self._choices, configuration=configuration), prune=True)
        return described

    def load_target(self, sessions: Sessions, connection: str) -> TargetView:
        """Read what the connection has, as the target."""
        return self._set_target(view(sessions.get(connection), connection=connection))

    def load_target_package(
        self, sessions: Sessions, path: str, format: PackageFormat = "ova"
    ) -> TargetView:
        """Write a package at the path: an archive (``ova``) or a folder (``ovf``).

        A folder that exists gets the package put into it.
        """
        if format == "ovf" and not path.endswith((os.sep, ".ovf")) and not Path(path).is_dir():
            # So that it means the same once the folder is there: a job may be gone on with then.
            path += ".ovf"
        session = sessions.package(path, **write_settings(format))
        with self._lock:
            self._format = format
        return self._set_target(view(session, package=path))

    def check(self, sessions: Sessions) -> list[Finding]:
        """Preflight: everything that would go wrong, as far as can be known. Raises for no finding.

        Raises: KenshoError: source or target cannot be reached at all.
        """
        from kensho_tui.migration.preflight import check

        with self._lock:
            spec, before = self.spec(), self._choices
            described, machines, seen = self._described(), self.machines, self._view()
            appliance = apply.chosen(described.appliance, spec)
        if seen.package:
            session = sessions.package(seen.package, **write_settings(self._format))
        else:
            session = sessions.get(seen.connection)
        found = check(
            described, appliance, spec, seen, session, machines, self.secrets().__getitem__
        )
        with self._lock:
            # A choice made meanwhile makes what was found out of date.
            if self._choices is before:
                self.findings = tuple(found)
        return found

    # ------------------------------------------------------------------ what there is
    @property
    def name(self) -> str:
        """What the move and the appliance are called."""
        if self._choices.name:
            return self._choices.name
        return one_line(self.described.appliance.name, limit=80) if self.described else ""

    @name.setter
    def name(self, name: str) -> None:
        self._change(replace(self._choices, name=_fit_name(name)))

    @property
    def start(self) -> bool:
        """Whether the machines are started at the end."""
        return self._choices.start

    @start.setter
    def start(self, start: bool) -> None:
        self._change(replace(self._choices, start=start))

    @property
    def integrity(self) -> Integrity:
        """What becomes of a member that does not match the manifest."""
        return self._integrity

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
            return apply.chosen(self.described.appliance, self._spec_of_machines())

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
        """What the appliance asks, in display order; ``hidden`` adds what it keeps to itself."""
        appliance = self.appliance
        if appliance is None:
            return ()
        return tuple(each for each in appliance.properties if hidden or each.configurable)

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

    def property_problem(self, address: str, value: str | None = None) -> str | None:
        """Why the answer (or ``value``, while it is typed) is not valid; None: it is."""
        found = self._property(address)
        if value is None:
            value = self.property_value(address)
        if value is None:
            return "an answer is needed" if found.configurable else None
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
            )

    def storage_use(self) -> tuple[StorageUse, ...]:
        """Space per storage before and after."""
        with self._lock:
            return mapping.storage_use(self.target_view, self.disks()) if self.target_view else ()

    # ------------------------------------------------------------------ choices
    def accept_licence(self, digest: str, by: str) -> None:
        """Accept the licence of that digest, in the name of ``by``, now.

        Raises: DraftError: there is no such licence.
        """
        digests = [each.digest for each in self.licences()]
        if digest not in digests:
            raise DraftError(
                "there is no licence of that digest",
                subject=digest,
                remedy=f"Licences here: {', '.join(digests) or 'none'}",
            )
        now = datetime.now(UTC).isoformat(timespec="seconds")
        answer = LicenceAnswer(digest=digest, accepted_by=by, accepted_at=now)
        self._change(
            replace(self._choices, licences=with_entry(self._choices.licences, digest, answer))
        )

    def withdraw_licence(self, digest: str) -> None:
        """Take an acceptance back."""
        self._change(replace(self._choices, licences=without(self._choices.licences, digest)))

    def choose_home(self, ref: Ref | None, machine: str | None = None) -> None:
        """Send the appliance (or one machine of it) to this pool or host; None: as proposed.

        Raises: DraftError: it does not fit there; says why and what does.
        """
        if ref is not None:
            rows = {row.ref: row for row in self.homes(machine)}
            row = rows.get(ref)
            if row is None or row.reason:
                fit = [each.ref.name for each in rows.values() if not each.reason]
                raise DraftError(
                    row.reason if row else "it is not on this target",
                    subject=ref.name or ref.id,
                    remedy=f"Possible are: {', '.join(fit)}" if fit else "",
                )
        choices = self._choices
        if machine is None:
            choices = replace(choices, home=ref)
        else:
            key = self._machine(machine)
            homes = (
                without(choices.homes, key) if ref is None else with_entry(choices.homes, key, ref)
            )
            choices = replace(choices, homes=homes)
        self._change(choices, prune=True)

    def choose_network(self, machine: str, adapter: str, ref: Ref | None) -> None:
        """Put the adapter on this network; None leaves it unplugged.

        Raises: DraftError: the network cannot be reached there; says which can.
        """
        key = self._machine(machine)
        if adapter not in {row.adapter for row in self.adapters() if row.machine == key}:
            raise DraftError("no such adapter", subject=f"{machine} {adapter}")
        if ref is not None:
            there = self._view().networks_for(self._homes().get(key))
            if all(item.ref != ref for item in there):
                names = ", ".join(item.ref.name for item in there)
                raise DraftError(
                    "the network is not reachable there",
                    subject=ref.name or ref.id,
                    remedy=f"Possible are: {names}",
                )
        networks = with_entry(self._choices.networks, (key, adapter), ref)
        self._change(replace(self._choices, networks=networks))

    def propose_network(self, machine: str, adapter: str) -> None:
        """Forget what was chosen for the adapter, so that the proposal stands again."""
        networks = without(self._choices.networks, (MachineId(machine), adapter))
        self._change(replace(self._choices, networks=networks))

    def apply_to_all_like(self, machine: str, adapter: str) -> int:
        """Give all adapters on the same network of the appliance what this one has; how many changed."""
        rows = self.adapters()
        this = next((r for r in rows if (r.machine, r.adapter) == (machine, adapter)), None)
        if this is None:
            raise DraftError("no such adapter", subject=f"{machine} {adapter}")
        if not this.choice.decided:
            raise DraftError("choose a network for it first", subject=this.label)
        networks = dict(self._choices.networks)
        changed = 0
        for row in rows:
            if row.network == this.network and row.choice.ref != this.choice.ref:
                networks[row.machine, row.adapter] = this.choice.ref
                changed += 1
        networks[this.machine, this.adapter] = this.choice.ref
        self._change(replace(self._choices, networks=networks), prune=True)
        return changed

    def choose_storage(self, disk: str | None, ref: Ref | None) -> None:
        """Put the disk (None: every disk) on this storage; ``ref`` None: as proposed.

        Raises: DraftError: the storage takes no disks or cannot be reached; says which can.
        """
        rows = [row for row in self.disks() if disk is None or row.disk == disk]
        if not rows and disk is not None:
            raise DraftError("no such disk", subject=disk)
        if ref is not None:
            for row in rows:
                for machine in row.machines:
                    self._check_storage(ref, machine)
        choices = self._choices
        if disk is None:
            choices = replace(choices, storage={}, default_storage=ref)
        else:
            key = DiskId(disk)
            storage = choices.storage
            storage = without(storage, key) if ref is None else with_entry(storage, key, ref)
            choices = replace(choices, storage=storage)
        self._change(choices)

    def rename(self, machine: str, name: str) -> None:
        """Call the machine this on the target. Raises: DraftError: that is no name."""
        key = self._machine(machine)
        self._change(
            replace(self._choices, names=with_entry(self._choices.names, key, _fit_name(name)))
        )

    def set_processors(self, machine: str, count: int) -> None:
        """Give the machine that many processors. Raises: DraftError: not 1 to 1024."""
        key = self._machine(machine)
        if not 1 <= count <= MAX_PROCESSORS:
            raise DraftError(
                f"{count} processors are not possible",
                subject=machine,
                remedy=f"Allowed are 1 to {MAX_PROCESSORS}",
            )
        processors = with_entry(self._choices.processors, key, count)
        self._change(replace(self._choices, processors=processors))

    def set_memory(self, machine: str, size: int) -> None:
        """Give the machine that much memory, in bytes. Raises: DraftError: below 4 MiB."""
        key = self._machine(machine)
        if size < MIN_MEMORY:
            raise DraftError(
                "that is too little memory", subject=machine, remedy="Allowed are 4 MiB and more"
            )
        self._change(
            replace(self._choices, memory=with_entry(self._choices.memory, key, size)), prune=True
        )

    def include(self, machine: str, wanted: bool) -> None:
        """Take the machine along, or leave it behind."""
        key = self._machine(machine)
        excluded = self._choices.excluded - {key} if wanted else self._choices.excluded | {key}
        self._change(replace(self._choices, excluded=excluded), prune=True)

    def set_property(self, address: str, value: str | None) -> None:
        """Answer a property; None goes back to the default. Values that are not valid are kept,
        so that they can be mended, and `property_problem` says what is wrong.

        Raises: DraftError: the appliance does not ask that, or does not let it be answered.
        """
        found = self._property(address)
        if not found.configurable:
            raise DraftError("the appliance does not let this be changed", subject=address)
        choices = self._choices
        if found.password:
            held = choices.passwords
            held = without(held, address) if value is None else with_entry(held, address, value)
            choices = replace(choices, passwords=held)
        else:
            held = choices.properties
            held = without(held, address) if value is None else with_entry(held, address, value)
            choices = replace(choices, properties=held)
        self._change(choices)

    def undo(self) -> bool:
        """Take the latest choice back; False when there is none since the source was loaded."""
        with self._lock:
            if not self._history:
                return False
            self._choices = self._history.pop()
            self.findings = None
            self.dropped = ()
            return True

    # ------------------------------------------------------------------ answers as a file
    def export_answers(self) -> str:
        """What was chosen, as YAML that `import_answers` and ``--answers`` take; no secrets."""
        from kensho_tui.migration.answers import export

        return export(self)

    def import_answers(
        self, text: str, name: str = "answers", sessions: Sessions | None = None
    ) -> tuple[str, ...]:
        """Take the answers of a file; notes on what could not be used yet.

        Args:
            name: of the file, for messages.
            sessions: where given, the file's configuration is resolved too (then this does I/O).

        Raises: AnswersError: the file is not right, or names what is not there; line and column.
        """
        from kensho_tui.migration.answers import parse, take

        return take(self, parse(text, name), sessions)

    # ------------------------------------------------------------------ pages
    def page(self, page: Page) -> PageState:
        """State of one page."""
        with self._lock:
            return state(self, page)

    def pages(self) -> list[PageState]:
        """State of all pages, in the operator's order."""
        return [self.page(each) for each in Page]

    def blocking(self) -> list[str]:
        """Everything that keeps the move from being started, in the order of the pages."""
        with self._lock:
            return list(dict.fromkeys(problems(self, Page.REVIEW)))

    # ------------------------------------------------------------------ the result
    def plan(self) -> Plan:
        """The plan. Raises: DraftError: something is missing; says all of it."""
        with self._lock:
            blocking = self.blocking()
            if blocking:
                raise DraftError("the plan is not complete: " + "; ".join(blocking))
            return Plan(metadata=Metadata(name=self.name), spec=self.spec())

    def spec(self) -> Spec:
        """The choices as far as they go; `plan` is the complete one.

        Raises: DraftError: there is no source or no target yet.
        """
        with self._lock:
            source, seen = self._source(), self._view()
            home = None if seen.package else self.home().ref
            target = TargetPlan(
                connection=seen.connection or None,
                home=RefModel.of(home) if home else None,
                package=seen.package or None,
                format=self._format,
            )
            machines = self._machine_plans()
            if not seen.package:
                machines = self._with_places(machines)
            storage = {
                str(row.disk): RefModel.of(row.choice.ref)
                for row in self.disks()
                if row.choice.ref is not None and not seen.package
            }
            base = self._spec_of_machines()
            answers: dict[str, str | SecretValue] = dict(self._choices.properties)
            answers |= {a: SecretValue(secret=f"property:{a}") for a in self._choices.passwords}
            asked = {each.address for each in self.properties()}
            return base.model_copy(
                update={
                    "source": source,
                    "target": target,
                    "configuration": self._choices.configuration or self.configuration or None,
                    "licences": tuple(
                        answer
                        for digest, answer in self._choices.licences.items()
                        if any(each.digest == digest for each in self.licences())
                    ),
                    "machines": machines,
                    "storage": storage,
                    "properties": {k: v for k, v in answers.items() if k in asked},
                    "integrity": self._integrity,
                    "start": self._choices.start,
                }
            )

    def secrets(self) -> Mapping[str, str]:
        """Password answers by the names the plan calls them: ``{"property:<address>": value}``."""
        return {f"property:{a}": value for a, value in self._choices.passwords.items()}

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
        for each in self._described().appliance.properties:
            if each.address == address:
                return each
        raise DraftError("the appliance does not ask that", subject=address)

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


def _fit_name(name: str) -> str:
    fit = name.strip()
    if not fit or fit != one_line(plain(fit)) or len(fit) > 255:
        raise DraftError(
            "that is no name",
            subject=one_line(name, limit=40),
            remedy="A name is one line of 1 to 255 visible characters",
        )
    return fit
