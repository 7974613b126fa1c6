"""Answers of a file given to a draft, and a draft's answers written as such a file."""

from collections.abc import Callable, Iterable
from io import StringIO
from typing import TYPE_CHECKING

from ruamel.yaml import YAML

from backends.base import Ref
from kensho_tui.errors import KenshoError
from kensho_tui.migration.answers import Answer, Answers, AnswersError, nearest_known
from kensho_tui.migration.plan import EJECT_AFTER
from kensho_tui.migration.units import parse_size
from kensho_tui.person import person

if TYPE_CHECKING:
    from kensho_tui.migration.draft import Draft
    from kensho_tui.migration.sessions import Sessions


def take(draft: "Draft", answers: Answers, sessions: "Sessions | None" = None) -> tuple[str, ...]:
    """Give the answers to the draft; notes on those that cannot be used yet.

    Raises: AnswersError: a name is not there (the nearest one is said), or a value is not allowed.
    """
    notes: list[str] = []
    if answers.configuration is not None:
        notes += _configuration(draft, answers.configuration, sessions)
    _at(answers.name, lambda text: setattr(draft, "name", text))
    if answers.start is not None:
        draft.start = _truth(answers.start)
    if answers.eject_after is not None:
        minutes = _number(answers.eject_after)
        _at(answers.eject_after, lambda _: setattr(draft, "eject_after", minutes))
    _at(answers.mac, lambda text: setattr(draft, "mac", text))
    _at(answers.timezone, lambda text: setattr(draft, "timezone", text))
    for digest in answers.licences:
        _at(digest, lambda text: draft.accept_licence(text.lower(), person()))
    notes += _take_machines(draft, answers)
    placed = answers.home or answers.networks or answers.storage
    if placed and draft.target_view is None:
        notes.append("networks, storage and home are taken once there is a target")
    elif placed:
        _take_places(draft, answers)
    _rename(draft, answers)
    asked = {each.address: each for each in draft.properties(hidden=True)}
    for key, value in answers.properties.values():
        address = nearest_known(key, asked, "property")
        if asked[address].password and not (value.env or value.file):
            notes.append(f"the password {address} stands in the file: {{env: …}} keeps it out")
        # Where it stands is kept, so that who does the plan again need not be told once more.
        place = {"env": value.env, "file": value.whole_file}
        _at(
            value,
            lambda text, a=address, p=place: draft.set_property(a, text, **p),  # type: ignore[misc]
            secret=asked[address].password,
        )
    return tuple(notes)


def _configuration(draft: "Draft", answer: Answer, sessions: "Sessions | None") -> list[str]:
    known = draft.described.appliance.configurations if draft.described else ()
    wanted = nearest_known(answer, [each.id for each in known], "configuration")
    if wanted == draft.configuration:
        return []
    if sessions is None:
        return [f"configuration '{wanted}' is not chosen: {draft.configuration} is"]
    draft.choose_configuration(sessions, wanted)
    return []


def _take_machines(draft: "Draft", answers: Answers) -> list[str]:
    notes: list[str] = []
    machines = draft.described.appliance.machines if draft.described else ()
    ids = {str(each.id): str(each.id) for each in machines}
    by_name = {each.name: str(each.id) for each in machines} | ids
    for key, choices in answers.machines.values():
        machine = by_name[nearest_known(key, by_name, "machine")]
        for what, answer in choices.items():
            match what:
                case "name":
                    pass  # last of all, so that everything else is found by the name it has now
                case "include":
                    draft.include(machine, _truth(answer))
                case "processors":
                    number = _number(answer)
                    _at(answer, lambda _, m=machine, n=number: draft.set_processors(m, n))  # type: ignore[misc]
                case "memory":
                    size = parse_size(answer.value or "")
                    if size is None:
                        raise AnswersError(
                            f"'{answer.value}' is no size",
                            subject=answer.where,
                            remedy="Write a number and a unit: 8 GiB, 512 MiB",
                        )
                    _at(answer, lambda _, m=machine, n=size: draft.set_memory(m, n))  # type: ignore[misc]
                case "home" if draft.target_view is None:
                    notes.append(f"home of {machine} is taken once there is a target")
                case "home":
                    _choose_home(draft, answer, machine)
    return notes


def _rename(draft: "Draft", answers: Answers) -> None:
    machines = draft.described.appliance.machines if draft.described else ()
    by_name = {each.name: str(each.id) for each in machines} | {
        str(m.id): str(m.id) for m in machines
    }
    for key, choices in answers.machines.values():
        machine = by_name[key.value or ""]
        _at(choices.get("name"), lambda text, m=machine: draft.rename(m, text))  # type: ignore[misc]


def _choose_home(draft: "Draft", answer: Answer, machine: str | None = None) -> None:
    ref = _find(answer, [row.ref for row in draft.homes()], "pool or host of the target")
    _at(answer, lambda _: draft.choose_home(ref, machine))


def _take_places(draft: "Draft", answers: Answers) -> None:
    seen = draft.target_view
    assert seen is not None
    if answers.home is not None:
        _choose_home(draft, answers.home)
    there = [item.ref for item in seen.networks]
    adapters = draft.adapters()
    sources: dict[str, list[tuple[str, str]]] = {}
    for row in adapters:
        sources.setdefault(str(row.network), []).append((row.machine, row.adapter))
    single = {
        f"{machine}/{row.adapter}": [(row.machine, row.adapter)]
        for row in adapters
        for machine in (str(row.machine), row.machine_name)
    }
    # What names one adapter goes last, so that it wins over its whole network.
    for key, value in sorted(answers.networks.values(), key=lambda pair: pair[0].value in single):
        name = nearest_known(
            key, [*sources, *single], "network or machine/adapter of the appliance"
        )
        target = None if value.value is None else _find(value, there, "network there")
        for machine, adapter in (single | sources)[name]:
            _at(key, lambda _, m=machine, a=adapter, t=target: draft.choose_network(m, a, t))  # type: ignore[misc]
    storages = [item.ref for item in seen.storages]
    rows = draft.disks()
    disks: dict[str, str | None] = {"default": None}
    disks |= {row.label: str(row.disk) for row in rows} | {str(r.disk): str(r.disk) for r in rows}
    for key, value in sorted(answers.storage.values(), key=lambda p: p[0].value != "default"):
        disk = disks[nearest_known(key, disks, "disk")]
        ref = _find(value, storages, "storage there")
        _at(value, lambda _, d=disk, r=ref: draft.choose_storage(d, r))  # type: ignore[misc]


def _find(answer: Answer, refs: Iterable[Ref], what: str) -> Ref:
    """The reference of that name or id; a name wins over an id, the first of two equal names."""
    refs = list(refs)
    found = {ref.id: ref for ref in refs} | {ref.name: ref for ref in reversed(refs) if ref.name}
    return found[nearest_known(answer, found, what, [ref.name or ref.id for ref in refs])]


def _at(answer: Answer | None, do: Callable[[str], object], *, secret: bool = False) -> None:
    """Do it with the answer's text; whatever is refused is said with the answer's place."""
    if answer is None:
        return
    text = answer.text(secret=secret)
    try:
        do(text)
    except AnswersError:
        raise
    except KenshoError as error:
        about = f"{error.subject}: " if error.subject else ""
        raise AnswersError(
            f"{about}{error.what}", subject=answer.where, remedy=error.remedy
        ) from error


def _truth(answer: Answer) -> bool:
    match (answer.value or "").lower():
        case "true" | "yes" | "on":
            return True
        case "false" | "no" | "off":
            return False
    raise AnswersError(f"'{answer.value}' is neither true nor false", subject=answer.where)


def _number(answer: Answer) -> int:
    if not (answer.value or "").isascii() or not (answer.value or "").isdigit():
        raise AnswersError(f"'{answer.value}' is no whole number", subject=answer.where)
    return int(answer.value or "")


def export(draft: "Draft") -> str:
    """The draft's answers as such a file. Passwords become ``{env: …}``, to be filled in."""
    document: dict[str, object] = {}
    if draft.configuration:
        document["configuration"] = draft.configuration
    if draft.name:
        document["name"] = draft.name
    home = draft.home()
    if home.ref is not None:
        document["home"] = home.ref.name or home.ref.id
    document["start"] = draft.start
    if draft.eject_after != EJECT_AFTER:
        document["eject_after"] = draft.eject_after
    if draft.mac != "keep":
        document["mac"] = draft.mac
    if draft.timezone:
        document["timezone"] = draft.timezone
    networks: dict[str, str | None] = {}
    for group in draft.networks():
        for row in group.adapters:
            if not row.choice.decided or (draft.target_view and draft.target_view.package):
                continue
            ref = row.choice.ref
            key = f"{row.machine}/{row.adapter}" if group.mixed else str(group.network)
            networks[key] = None if ref is None else ref.name or ref.id
    storage = {
        str(row.disk): row.choice.ref.name or row.choice.ref.id
        for row in draft.disks()
        if row.choice.ref is not None
    }
    document |= {
        key: value for key, value in (("networks", networks), ("storage", storage)) if value
    }
    machines = _export_machines(draft)
    if machines:
        document["machines"] = machines
    answers: dict[str, object] = {}
    for asked in draft.properties():
        if not draft.property_answered(asked.address):
            continue
        if asked.password:
            variable = "".join(c if c.isalnum() else "_" for c in asked.key).upper()
            place = draft.reference_of(asked.address)
            answers[asked.address] = (
                {"file": place.file}
                if place and place.file
                else {"env": place.env if place else variable}
            )
        else:
            answers[asked.address] = draft.property_value(asked.address)
    if answers:
        document["properties"] = answers
    out = StringIO()
    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.dump(document, out)
    return out.getvalue()


def _export_machines(draft: "Draft") -> dict[str, dict[str, object]]:
    machines: dict[str, dict[str, object]] = {}
    if draft.described is None or draft.appliance is None:
        return machines
    after = {each.id: each for each in draft.appliance.machines}
    for before in draft.described.appliance.machines:
        changed: dict[str, object] = {}
        now = after.get(before.id)
        if now is None:
            changed["include"] = False
        else:
            if now.name != before.name:
                changed["name"] = now.name
            if now.processors.count != before.processors.count:
                changed["processors"] = now.processors.count
            if now.memory.size != before.memory.size:
                changed["memory"] = f"{now.memory.size} B"
        home = draft.machine_homes().get(before.id)
        if home is not None:
            changed["home"] = home.name or home.id
        if changed:
            machines[str(before.id)] = changed
    return machines
