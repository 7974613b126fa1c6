"""The draft: a plan in the making, shared by the wizard and the commands.

Calls that take `Sessions` do I/O and belong in a thread; all others only compute. Thread-safe.
Whatever an earlier choice changes, later answers that still hold are kept, and `Draft.dropped` says
which were not.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from backends.base import Consistency, Described, Kind, MachineItem, Ref
from kensho_tui.findings import Finding
from kensho_tui.migration import apply
from kensho_tui.migration.choices import Choices
from kensho_tui.migration.deciding import Deciding
from kensho_tui.migration.ground import DraftError
from kensho_tui.migration.pages import Page, PageState, problems, state
from kensho_tui.migration.plan import (
    DiskFormat,
    Metadata,
    OvfVersion,
    PackageFormat,
    Plan,
    RefModel,
    SecretValue,
    ShutDown,
    SourcePlan,
    Spec,
    TargetPlan,
)
from kensho_tui.migration.sessions import Reading, Sessions, Writing
from kensho_tui.migration.target import TargetView, items, view

__all__ = ["Draft", "DraftError", "Page", "PageState"]


_READING = Reading()


class Draft(Deciding):
    """A move that is being decided.

    Attributes:
        source: where the appliance comes from; None until one is loaded.
        described: what the source said, as it is, for the configuration that is chosen.
        machines: summaries of the machines where the source is a connection.
        target_view: what there is on the target; None until one is loaded.
        dropped: answers that the latest change made invalid, in words; empty mostly.
        findings: of the latest `check`; None: not checked since the last change.
    """

    # ------------------------------------------------------------------ calls that do I/O
    def load_package(self, sessions: Sessions, path: str, reading: Reading = _READING) -> Described:
        """Open the package at the path as the source.

        Args: reading: how.

        Raises: KenshoError: it cannot be opened.
        """
        described = sessions.package(path, **reading.settings()).describe([])
        with self._lock:
            self._reading = reading
            self._set_source(SourcePlan(package=path, identity=described.identity), described, ())
        return described

    def load_machines(
        self,
        sessions: Sessions,
        connection: str,
        refs: Sequence[Ref],
        consistency: Consistency = Consistency.OFF,
        shut_down: ShutDown | None = None,
    ) -> Described:
        """Take these machines (or one appliance) of the connection as the source.

        Args:
            consistency: OFF needs machines that are shut down; SNAPSHOT takes running ones.
            shut_down: consent that the job shuts down those that run; not with SNAPSHOT.
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
            shut_down=shut_down,
        )
        summaries = tuple(item for ref, item in known.items() if ref in refs or ref.id in ids)
        self._set_source(source, described, summaries)
        return described

    def choose_configuration(self, sessions: Sessions, configuration: str) -> Described:
        """Take this deployment option; answers that it still asks for are kept."""
        described = self.describe(sessions, configuration)
        self._described_anew(described, replace(self._choices, configuration=configuration))
        return described

    def choose_language(self, sessions: Sessions, language: str) -> Described:
        """Take the package's texts in this language; a licence in another one is to be read anew."""
        reading = replace(self._reading, locale=language)
        described = self.describe(sessions, self.configuration or None, reading)
        self._reading = reading
        self._described_anew(described, self._choices)
        return described

    def describe(
        self, sessions: Sessions, configuration: str | None = None, reading: Reading | None = None
    ) -> Described:
        """What the source says for a deployment option, read now; nothing is changed."""
        source = self._source()
        if source.package is not None:
            settings = (reading or self._reading).settings()
            session = sessions.package(source.package, **settings)
            return session.describe([], configuration=configuration)
        refs = [each.ref() for each in source.machines]
        return sessions.get(source.connection or "").describe(refs, configuration=configuration)

    def _described_anew(self, described: Described, choices: Choices) -> None:
        with self._lock:
            self.described = described
            self.source = self._source().model_copy(update={"identity": described.identity})
            self._change(choices, prune=True)

    def load_target(self, sessions: Sessions, connection: str) -> TargetView:
        """Read what the connection has, as the target."""
        return self._set_target(view(sessions.get(connection), connection=connection))

    def load_target_package(
        self,
        sessions: Sessions,
        path: str,
        format: PackageFormat = "ova",
        disk_format: DiskFormat = "vmdk",
        *,
        ovf_version: OvfVersion = "1.1",
        writing: Writing | None = None,
    ) -> TargetView:
        """Write a package at the path: an archive (``ova``) or a folder (``ovf``).

        A folder that exists gets the package put into it.

        Args: writing: how, in all its settings; then those before do not count.

        Raises: PackageError: the name is that of no package we write.
        """
        from kensho_tui.ovf.output import check_format

        writing = writing or Writing(format, disk_format, ovf_version)
        format = writing.format
        check_format(Path(path), None)
        if format == "ovf" and not path.endswith((os.sep, ".ovf")) and not Path(path).is_dir():
            # So that it means the same once the folder is there: a job may be gone on with then.
            path += ".ovf"
        session = sessions.package(path, **writing.settings())
        with self._lock:
            self._writing = writing
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
            session = sessions.package(seen.package, **self._writing.settings())
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

    def hands_over_password(self) -> bool:
        """Whether the target will hand guests a password; one that writes a package hands over none."""
        from kensho_tui.ovf.environment import sensitive

        with self._lock:
            seen, appliance = self.target_view, self.appliance
            if seen is None or appliance is None or seen.package:
                return False
            return seen.capabilities.environment and sensitive(appliance)

    # ------------------------------------------------------------------ answers as a file
    def export_answers(self) -> str:
        """What was chosen, as YAML that `import_answers` and ``--answers`` take; no secrets."""
        from kensho_tui.migration.answering import export

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
        from kensho_tui.migration.answering import take
        from kensho_tui.migration.answers import parse

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
                **self._writing.planned(),
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
            places = self._choices.references
            answers |= {
                address: places.get(address, SecretValue(secret=f"property:{address}"))
                for address in self._choices.passwords
            }
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
                    "integrity": self._reading.integrity,
                    "signed_by": self._reading.signed_by,
                    "locale": self._reading.locale,
                    "lenient": self._reading.lenient,
                    "start": self._choices.start,
                    "eject_after": self._choices.eject_after,
                    "mac": self._choices.mac,
                    "timezone": self._choices.timezone,
                    "run": self._choices.run,
                }
            )

    def secrets(self) -> Mapping[str, str]:
        """Password answers by the names the plan calls them: ``{"property:<address>": value}``."""
        return {f"property:{a}": value for a, value in self._choices.passwords.items()}
