"""Mapping: network of each adapter, storage of each disk, name and size of each machine."""

from dataclasses import replace
from typing import ClassVar

from textual import events, getters, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Static

from backends.base import Ref
from kensho_tui.migration.draft import Page
from kensho_tui.migration.mapping import AdapterRow, DiskRow
from kensho_tui.migration.units import memory, size
from kensho_tui.text import one_line
from screens.states import BAD, DONE, LOOK
from screens.widgets.choose import Choice, Choose
from screens.widgets.rows import Cell, Column, Row, Rows
from screens.wizard.machine_changes import ask_machine_change
from screens.wizard.page import WizardPage


def _columns(first: str, *rest: tuple[str, int, bool]) -> tuple[Column, ...]:
    head = Column(first, 13, middle=True)
    return (
        head,
        *(Column(text, width, right, width > 8 and not right) for text, width, right in rest),
    )


NETWORK = _columns("ADAPTER", ("IS ON", 9, False), ("GOES ON", 16, False), ("WHY", 0, False))
STORAGE = _columns("DISK", ("SIZE", 8, True), ("GOES ON", 19, False), ("WHY", 0, False))
SPACE = _columns("STORAGE", ("", 8, True), ("FREE NOW → AFTER", 0, False))
MACHINE = _columns("MACHINE", ("CPU", 8, True), ("MEMORY", 9, True), ("LIVES ON", 0, False))
UNPLUGGED = "-"
PROPOSED = "?"


class MappingPage(WizardPage):
    """What becomes what."""

    PAGE = Page.MAPPING
    HELP_TEXT = """
Each adapter of the appliance gets a network of the target, each disk a storage. What is proposed says
why; enter chooses another. m gives all adapters of the same network (or all disks) what the one under
the cursor has. g has the target give all adapters new MAC addresses, or lets them keep what they have.
Enter on a machine changes its name, processors, memory, host, or leaves it out.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("m", "apply_to_all", "All like this", id="mapping.all"),
        Binding("g", "addresses", "MACs", id="mapping.addresses"),
    ]

    listing = getters.query_one("#mapping", Rows)

    def compose(self) -> ComposeResult:
        """One list with three parts, and about the row under the cursor."""
        yield Rows(NETWORK, id="mapping")
        yield Static("", markup=False, classes="about", id="why")

    def refresh_page(self) -> None:
        """Draw the list."""
        self._draw()

    def _draw(self) -> None:
        rows: list[Row] = []
        adapters, disks = self.draft.adapters(), self.draft.disks()
        if adapters:
            rows.append(_titles("networks", NETWORK))
            rows += [self._adapter(each) for each in adapters]
        if disks:
            rows.append(_titles("storage", STORAGE))
            rows += [self._disk(each) for each in disks]
        rows += self._space()
        rows.append(_titles("machines", MACHINE))
        rows += self._machines()
        # Of the whole terminal: the list has no size of its own before it is first laid out.
        room = self.app.size.width - 25
        self.listing.show([_wider(each, room) for each in rows])
        self._explain()

    @on(events.Resize)
    def _resized(self) -> None:
        self._draw()

    def _adapter(self, each: AdapterRow) -> Row:
        choice = each.choice
        if choice.ref is not None:
            there = Cell(f"▸ {choice.ref.name or choice.ref.id}")
        elif choice.decided:
            there = Cell("– unplugged", "$foreground-muted")
        else:
            there = Cell("! (choose)", f"bold {LOOK.style}")
        return Row(
            f"adapter:{each.machine}:{each.adapter}",
            (each.label, str(each.network or "none"), there, choice.why),
            columns=NETWORK,
        )

    def _disk(self, each: DiskRow) -> Row:
        ref = each.choice.ref
        there = Cell(f"▸ {ref.name or ref.id}" if ref else "! (choose)")
        why = Cell(f"! {each.problem}", LOOK.style) if each.problem else Cell(each.choice.why)
        capacity = size(each.capacity) if each.capacity is not None else "unknown"
        return Row(f"disk:{each.disk}", (each.label, capacity, there, why), columns=STORAGE)

    def _space(self) -> list[Row]:
        rows = []
        for use in self.draft.storage_use():
            text = f"{size(use.free)} → {size(use.after)}"
            cell = Cell(text) if use.fits else Cell(f"✗ {text}: too small", BAD.style)
            name = use.ref.name or use.ref.id
            rows.append(Row(f"space:{use.ref.id}", (name, "free", cell), True, SPACE))
        return rows

    def _machines(self) -> list[Row]:
        described = self.draft.described
        if described is None:
            return []
        chosen = {each.id: each for each in (self.draft.appliance or described.appliance).machines}
        rows = []
        for original in described.appliance.machines:
            machine = chosen.get(original.id)
            if machine is None:
                left = Cell("– left out", "$foreground-muted")
                rows.append(
                    Row(f"machine:{original.id}", (original.name, "", "", left), columns=MACHINE)
                )
                continue
            home = self.draft.machine_homes().get(original.id) or self.draft.home().ref
            was = f"  was {original.name}" if machine.name != original.name else ""
            rows.append(
                Row(
                    f"machine:{original.id}",
                    (
                        machine.name,
                        str(machine.processors.count),
                        memory(machine.memory.size),
                        f"{home.name if home else 'as the platform decides'}{was}",
                    ),
                    columns=MACHINE,
                )
            )
        return rows

    def go_to_problem(self) -> None:
        """To the first adapter without a network, or disk without a fit storage."""
        for adapter in self.draft.adapters():
            if not adapter.choice.decided:
                self.listing.go_to(f"adapter:{adapter.machine}:{adapter.adapter}")
                return
        for disk in self.draft.disks():
            if disk.problem:
                self.listing.go_to(f"disk:{disk.disk}")
                return

    # ------------------------------------------------------------------------------- choosing
    def _here(self) -> tuple[str, str]:
        kind, _, rest = (self.listing.current or "").partition(":")
        return kind, rest

    def _adapter_here(self) -> AdapterRow | None:
        kind, rest = self._here()
        for each in self.draft.adapters():
            if kind == "adapter" and rest == f"{each.machine}:{each.adapter}":
                return each
        return None

    def _disk_here(self) -> DiskRow | None:
        kind, rest = self._here()
        for each in self.draft.disks():
            if kind == "disk" and rest == each.disk:
                return each
        return None

    @on(Rows.OptionHighlighted)
    def _explain(self) -> None:
        adapter, disk = self._adapter_here(), self._disk_here()
        text = ""
        if adapter is not None:
            place = adapter.choice.ref
            there = place.name if place else "no network yet"
            text = f"{adapter.label}, on {adapter.network or 'no network'} → {there}: "
            text += f"{adapter.choice.why}. {self._address(adapter)}"
        elif disk is not None:
            ref = disk.choice.ref
            text = f"{disk.label} → {ref.name if ref else 'no storage yet'}: {disk.choice.why}. "
            text += f"It takes {size(disk.need)} there when full."
            if disk.problem:
                text += f" {disk.problem[:1].upper()}{disk.problem[1:]}."
        elif self._here()[0] == "machine":
            text = "⏎ changes name, processors, memory or host of this machine, or leaves it out."
        self.query_one("#why", Static).update(Content(one_line(text)))

    def _address(self, row: AdapterRow) -> str:
        """What becomes of the adapter's address."""
        if self.draft.mac == "generate":
            return "The target gives it a new MAC address (g keeps what it has)."
        machines = self.draft.described.appliance.machines if self.draft.described else ()
        has = {(m.id, a.id): a.mac for m in machines for a in m.adapters}
        mac = has.get((row.machine, row.adapter))
        if mac is None:
            return "It has no MAC address of its own: the target gives it one."
        return f"It keeps its MAC address {mac} (g has the target give new ones)."

    @on(Rows.OptionSelected, "#mapping")
    def _chosen(self) -> None:
        adapter, disk = self._adapter_here(), self._disk_here()
        if adapter is not None:
            self._choose_network(adapter)
        elif disk is not None:
            self._choose_storage(disk)
        elif self._here()[0] == "machine":
            ask_machine_change(self, self._here()[1])

    def _home_of(self, machine: str) -> Ref | None:
        homes = {str(id): ref for id, ref in self.draft.machine_homes().items()}
        return homes.get(machine) or self.draft.home().ref

    def _choose_network(self, row: AdapterRow) -> None:
        view = self.draft.target_view
        if view is None:
            return
        home = self._home_of(row.machine)
        there = {item.ref.id: item for item in view.networks_for(home)}
        choices = []
        for id, item in there.items():
            facts = [f"VLAN {item.vlan}" if item.vlan else "", item.bridge, item.description]
            choices.append(Choice(id, item.ref.name, "  ".join(each for each in facts if each)))
        choices.append(Choice(UNPLUGGED, "(unplugged)", "the adapter is there, on no network"))
        if row.choice.yours:
            choices.append(Choice(PROPOSED, "(as proposed)", "forget what was chosen"))

        def picked(id: str | None) -> None:
            if id == PROPOSED:
                self.attempt(lambda: self.draft.propose_network(row.machine, row.adapter))
            elif id is not None:
                ref = None if id == UNPLUGGED else there[id].ref
                self.attempt(lambda: self.draft.choose_network(row.machine, row.adapter, ref))

        current = row.choice.ref.id if row.choice.ref else None
        title = f"Network for {row.label} ({row.network})"
        self.app.push_screen(Choose(title, choices, current), picked)

    def _choose_storage(self, row: DiskRow) -> None:
        view = self.draft.target_view
        if view is None:
            return
        fit = {item.ref for item in view.storages_for(self._home_of(row.machines[0]))}
        use = {each.ref: each for each in self.draft.storage_use()}
        choices = []
        for item in view.storages:
            free = use[item.ref].after if item.ref in use else item.free
            here = row.choice.ref == item.ref
            after = free if here else free - row.need
            reason = item.reason
            if not reason and item.ref not in fit:
                reason = "takes no disks of machines there"
            if not reason and after < 0:
                reason = f"too small: {size(-after)} are missing"
            detail = f"{size(item.free)} free → {size(after)}"
            choices.append(Choice(item.ref.id, item.ref.name, detail, reason))
        if row.choice.yours:
            choices.append(Choice(PROPOSED, "(as proposed)", "forget what was chosen"))
        refs = {item.ref.id: item.ref for item in view.storages}

        def picked(id: str | None) -> None:
            if id is not None:
                ref = None if id == PROPOSED else refs[id]
                self.attempt(lambda: self.draft.choose_storage(row.disk, ref))

        current = row.choice.ref.id if row.choice.ref else None
        self.app.push_screen(Choose(f"Storage for {row.label}", choices, current), picked)

    def action_addresses(self) -> None:
        """Keep the MAC addresses, or have the target give new ones."""
        new = "keep" if self.draft.mac == "generate" else "generate"
        if self.attempt(lambda: setattr(self.draft, "mac", new)):
            kept = "keep the MAC addresses they have"
            given = "are given new MAC addresses by the target"
            self.wizard.say(f"All adapters {kept if new == 'keep' else given}.", DONE)

    def action_apply_to_all(self) -> None:
        """Give all that are like the row under the cursor what it has."""
        adapter, disk = self._adapter_here(), self._disk_here()
        if adapter is not None:
            done = self.attempt(
                lambda: self.draft.apply_to_all_like(adapter.machine, adapter.adapter)
            )
            if done:
                self.wizard.say(
                    f"All adapters on {adapter.network} have the same network now.", DONE
                )
        elif disk is not None and disk.choice.ref is not None:
            ref = disk.choice.ref
            if self.attempt(lambda: self.draft.choose_storage(None, ref)):
                self.wizard.say(f"All disks are on {ref.name} now.", DONE)
        else:
            self.app.bell()


def _titles(id: str, columns: tuple[Column, ...]) -> Row:
    return Row(f"title:{id}", tuple(each.heading for each in columns), True, columns)


def _wider(row: Row, room: int) -> Row:
    """The row with wider columns where there is room for them: names are seldom short."""
    if row.columns is None or room < 75:
        return row
    columns = tuple(replace(each, width=each.width * 5 // 3) for each in row.columns)
    return replace(row, columns=columns)
