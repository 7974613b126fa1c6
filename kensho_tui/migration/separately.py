"""A job for each machine: what each of them moves, where to, and what keeps it from being done."""

from collections.abc import Sequence
from pathlib import Path

from backends.base import Ref
from backends.package.layout import safe_name
from kensho_tui.findings import Finding, Severity
from kensho_tui.migration import apply
from kensho_tui.migration.draft import Draft
from kensho_tui.migration.plan import Plan
from kensho_tui.migration.sessions import Sessions, Writing
from kensho_tui.migration.split import Part, groups, split


def together(draft: Draft) -> list[tuple[Ref, ...]]:
    """The draft's machines by the jobs that would move them; none where the source is a package."""
    source, described = draft.source, draft.described
    if source is None or described is None or source.connection is None:
        return []
    refs = [each.ref() for each in source.machines]
    return groups(refs, described.appliance, draft.machines)


def beside(package: str) -> tuple[str, str]:
    """Folder and ending of the packages that stand for one: in it where it is a folder that exists,
    else where it would be. Both "" for no package.
    """
    if not package:
        return "", ""
    path = Path(package)
    if path.is_dir():
        return package, ".ovf"
    return str(path.parent), ".ova" if path.suffix.lower() == ".ova" else ".ovf"


def parts(draft: Draft, sessions: Sessions, folder: str = "", ending: str = "") -> tuple[Part, ...]:
    """What the draft's source falls into, each part asked for by itself.

    Args:
        folder: for the packages, called as their machines with this ending; "" for no packages.

    Raises: KenshoError: what the source raises.
    """
    if draft.source is None:
        return ()
    session = sessions.get(draft.source.connection or "")
    found: list[Part] = []
    taken: set[str] = set()
    for group in together(draft):
        alone = session.describe(group)
        path = ""
        if folder:
            name = wanted = safe_name(alone.appliance.name)
            while name.casefold() in taken:
                name = f"{wanted}-{len(taken) + 1}"
            taken.add(name.casefold())
            path = str(Path(folder) / f"{name}{ending}")
        found.append(Part(group, alone, path))
    return tuple(found)


def plans(draft: Draft, parts: Sequence[Part], batch: str) -> list[Plan]:
    """The draft's plan, made into one for each part; all are submitted as that batch.

    Raises: DraftError: something is missing.
    """
    plan = draft.plan()
    assert draft.described is not None
    return split(plan, draft.described.appliance, parts, batch)


def refusals(plans: Sequence[Plan], parts: Sequence[Part], sessions: Sessions) -> list[Finding]:
    """What keeps a package of these plans from being written; the rest was checked as a whole."""
    described = {part.package: part.described for part in parts}
    found: list[Finding] = []
    for plan in plans:
        path = plan.spec.target.package
        if path is None:
            continue
        appliance = apply.chosen(described[path].appliance, plan.spec)
        session = sessions.package(path, **Writing.of(plan.spec.target).settings())
        found += session.check(appliance, apply.placement(appliance, plan.spec))
    return [each for each in found if each.severity is Severity.ERROR]
