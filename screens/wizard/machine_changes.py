"""What can be changed of one machine: asked in a window, one thing at a time."""

from collections.abc import Callable

from kensho_tui.errors import KenshoError
from kensho_tui.migration.units import memory, parse_size
from screens.widgets.ask import Ask
from screens.widgets.choose import Choice, Choose
from screens.wizard.page import WizardPage


class SizeError(KenshoError):
    """A text that is no size."""


def parse_memory(text: str) -> int:
    """Bytes of ``4 GiB`` or ``512M``, in whole MiB: no platform takes a part of one.

    Raises: SizeError: it is none.
    """
    found = parse_size(text)
    if found is None:
        raise SizeError("that is no size of memory", remedy="Write it like 512 MiB or 4 GiB")
    return found >> 20 << 20


def ask_machine_change(page: WizardPage, machine: str) -> None:
    """Ask what to change of the machine, then change it in the draft."""
    draft = page.draft
    described = draft.described
    if described is None:
        return
    original = described.appliance.machine(machine)
    included = draft.included(machine)
    current = next(
        (each for each in (draft.appliance or described.appliance).machines if each.id == machine),
        original,
    )
    if not included:
        page.attempt(lambda: draft.include(machine, True))
        return
    choices = [
        Choice("name", "Name", current.name),
        Choice("cpu", "Processors", str(current.processors.count)),
        Choice("memory", "Memory", memory(current.memory.size)),
    ]
    if draft.homes():
        homes = {str(id): ref for id, ref in draft.machine_homes().items()}
        home = homes.get(machine)
        choices.append(Choice("home", "Host", home.name if home else "like the appliance"))
    choices.append(Choice("out", "Leave it out", "the machine is not moved"))

    def picked(what: str | None) -> None:
        if what == "name":
            _ask(page, "Name on the target", current.name, lambda t: draft.rename(machine, t))
        elif what == "cpu":
            count = str(current.processors.count)
            _ask(page, "Processors", count, lambda t: draft.set_processors(machine, _whole(t)))
        elif what == "memory":
            now = memory(current.memory.size)
            _ask(page, "Memory", now, lambda t: draft.set_memory(machine, parse_memory(t)))
        elif what == "home":
            _ask_home(page, machine)
        elif what == "out":
            page.attempt(lambda: draft.include(machine, False))

    page.app.push_screen(Choose(f"Change {current.name}", choices), picked)


def _whole(text: str) -> int:
    if not text.strip().isdigit() or len(text.strip()) > 6:
        raise SizeError("that is no number of processors", remedy="Write it like 4")
    return int(text)


def _ask(page: WizardPage, title: str, value: str, change: Callable[[str], None]) -> None:
    def given(text: str | None) -> None:
        if text is not None:
            page.attempt(lambda: change(text))

    page.app.push_screen(Ask(title, f"{title}:", value=value), given)


def _ask_home(page: WizardPage, machine: str) -> None:
    rows = {f"{row.ref.kind}:{row.ref.id}": row for row in page.draft.homes()}
    choices = [
        Choice(key, row.ref.name or row.ref.id, row.ref.kind.value, row.reason)
        for key, row in rows.items()
    ]
    choices.append(Choice("", "(like the appliance)", ""))

    def picked(key: str | None) -> None:
        if key is not None:
            ref = rows[key].ref if key else None
            page.attempt(lambda: page.draft.choose_home(ref, machine))

    page.app.push_screen(Choose("Pool or host", choices), picked)
