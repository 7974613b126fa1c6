"""The operator's choices, each checked where it is made."""

from dataclasses import replace
from datetime import UTC, datetime

from backends.base import Ref
from kensho_tui.hidden import hide
from kensho_tui.machine import (
    DiskId,
    MachineId,
)
from kensho_tui.migration.choices import (
    with_entry,
    without,
)
from kensho_tui.migration.ground import DraftError, Ground, fit_name
from kensho_tui.migration.plan import (
    LicenceAnswer,
    SecretValue,
)

MIN_MEMORY = 4 << 20
MAX_PROCESSORS = 1024


class Deciding(Ground):
    """The choices of a draft: pure, quick, and refused with what is allowed."""

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
            replace(self._choices, names=with_entry(self._choices.names, key, fit_name(name)))
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

    def set_property(
        self, address: str, value: str | None, *, env: str = "", file: str = ""
    ) -> None:
        """Answer a property; None goes back to the default. Values that are not valid are kept,
        so that they can be mended, and `property_problem` says what is wrong.

        Args:
            env, file: where a password was found, so that it can be looked up there again.

        What the appliance keeps to itself (``ovf:userConfigurable="false"``) can be answered too;
        preflight says that it was.

        Raises: DraftError: the appliance does not ask that.
        """
        found = self._property(address)
        choices = self._choices
        if found.password:
            hide(value or "")
            held = choices.passwords
            held = without(held, address) if value is None else with_entry(held, address, value)
            places = choices.references
            if value != choices.passwords.get(address):
                places = without(places, address)
            if value is not None and (env or file):
                place = SecretValue(secret=f"property:{address}", env=env, file=file)
                places = with_entry(places, address, place)
            choices = replace(choices, passwords=held, references=places)
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
