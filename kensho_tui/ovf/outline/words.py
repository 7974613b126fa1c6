"""What is different between two descriptors, in sentences: what came, what went, and what changed from what."""

from collections.abc import Iterator

from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.outline.nodes import Field, Node
from kensho_tui.ovf.outline.outline import Outline
from kensho_tui.ovf.resolved import resolved
from kensho_tui.text import one_line

_MOST_OPTIONS = 16
_LONG = 40


def words(
    before: Envelope, after: Envelope, old: Outline | None = None, new: Outline | None = None
) -> list[str]:
    """One sentence for each change, in the order of the new document; none where nothing is different.

    Args: old, new: their outlines for all deployment options, where somebody has them already.
    """
    old, new = old or Outline(before), new or Outline(after)
    pairs = _renamed(old, new)
    told = [*_gone(old, new, pairs), *_come(old, new, pairs), *_changed(old, new, pairs, "")]
    known = {each.id for each in before.configurations}
    for option in [each.id for each in after.configurations if each.id in known][:_MOST_OPTIONS]:
        if _of_options(before, option) != _of_options(after, option):
            more = _changed(Outline(before, option), Outline(after, option), pairs, option)
            told += [each for each in more if each.replace(f" in '{option}'", "") not in told]
    if not told and before.canonical() != after.canonical():
        told.append("Something changed that this list has no words for: see the difference.")
    return list(dict.fromkeys(told))


def _of_options(envelope: Envelope, option: str) -> object:
    """All that deployment options may have for themselves, as it is in this one."""
    appliance, _ = resolved(envelope, option)
    machines = [
        (m.id, m.processors, m.memory, m.controllers, m.attachments, m.adapters)
        for m in appliance.machines
    ]
    return machines, [(each.address, each.default) for each in appliance.properties]


def _renamed(old: Outline, new: Outline) -> dict[str, str]:
    """Nodes that have another id now, where it is clear which: new ids to old ones."""
    found = {}
    for id_, node in new.nodes.items():
        if id_ not in old.nodes:
            continue
        went = [each for each in old.nodes[id_].children if each.id not in new.nodes]
        came = [each for each in node.children if each.id not in old.nodes]
        if len(went) == len(came) == 1 and went[0].noun == came[0].noun:
            same = len(old.nodes[id_].children) == len(node.children)
            if same:
                found[came[0].id] = went[0].id
    return found


def _name(outline: Outline, node: Node) -> str:
    """``web01: network adapter 'Network adapter 1'``; a machine by its name alone."""
    above = outline.above(node.id)
    owner = next((each for each in above if each.noun == "machine"), None)
    own = (
        f"{node.noun} '{one_line(node.label, limit=_LONG)}'" if node.noun else one_line(node.label)
    )
    if node.noun == "package":
        return "The package"
    return f"{one_line(owner.label, limit=_LONG)}: {own}" if owner else own[:1].upper() + own[1:]


def _detail(node: Node) -> str:
    return f" ({one_line(node.detail, limit=_LONG)})" if node.detail else ""


def _gone(old: Outline, new: Outline, pairs: dict[str, str]) -> Iterator[str]:
    for id_, node in old.nodes.items():
        parent = old.above(id_)
        if not node.noun or id_ in new.nodes or id_ in pairs.values():
            continue
        if any(each.noun and each.noun != "category" and each.id not in new.nodes
               and each.id not in pairs.values() for each in parent):  # fmt: skip
            continue  # it went with what it was in
        if node.noun != "category":
            yield f"{_name(old, node)} is removed{_detail(node)}."


def _come(old: Outline, new: Outline, pairs: dict[str, str]) -> Iterator[str]:
    for id_, node in new.nodes.items():
        if not node.noun or id_ in old.nodes or id_ in pairs or node.noun == "category":
            continue
        yield f"{_name(new, node)} is added{_detail(node)}."


def _changed(old: Outline, new: Outline, pairs: dict[str, str], option: str) -> Iterator[str]:
    where = f" in '{option}'" if option else ""
    for id_, node in new.nodes.items():
        before = old.nodes.get(pairs.get(id_, id_))
        if before is None:
            continue
        fields = {each.id: each for each in before.fields}
        for field in node.fields:
            was = fields.get(field.id)
            if option and not field.options:
                continue
            if was is None:
                if node.noun == "language":
                    yield f"{_name(new, node)}: '{field.label}' is added: {_short(field)}."
            elif was.value != field.value and not (
                field.fixed and was.fixed and node.noun != "disk drive"
            ):
                owner = (
                    one_line(before.label, limit=_LONG)
                    if before.noun == "machine"
                    else _name(new, before)
                )
                yield f"{owner}: {field.label}{where} {_from_to(was, field)}."


def _from_to(was: Field, now: Field) -> str:
    if not was.value:
        return f"is {_short(now)}"
    if not now.value:
        return f"is empty, was {_short(was)}"
    return f"{_short(was)} → {_short(now)}"


def _short(field: Field) -> str:
    text = dict(field.choices).get(field.value, field.value)
    text = one_line(text, limit=_LONG)
    return f"'{text}'" if not text or (" " in text and not text[0].isdigit()) else text
