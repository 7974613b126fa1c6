"""``--separately``: what each job moves, and where to."""

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kensho_tui.findings import Finding
    from kensho_tui.migration.draft import Draft
    from kensho_tui.migration.plan import Plan
    from kensho_tui.migration.sessions import Sessions
    from kensho_tui.migration.split import Part


def batch_name(plan: str) -> str:
    """A name for the jobs of one plan that no others have: ``web01-web02-7f3a``."""
    from kensho_tui.engine.journal import slug

    return f"{slug(plan)}-{secrets.token_hex(2)}"


def parts(
    draft: "Draft", sessions: "Sessions", folder: str = "", ending: str = ""
) -> "tuple[Part, ...]":
    """What the draft's source falls into, each part asked for by itself.

    Args:
        folder: for the packages, called as their machines with this ending; "" for no packages.

    Raises: KenshoError: what the source raises.
    """
    from backends.package.layout import safe_name
    from kensho_tui.migration.split import Part, groups

    source, described = draft.source, draft.described
    if source is None or described is None:
        return ()
    session = sessions.get(source.connection or "")
    refs = [each.ref() for each in source.machines]
    found: list[Part] = []
    taken: set[str] = set()
    for group in groups(refs, described.appliance, draft.machines):
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


def refusals(
    plans: "Sequence[Plan]", parts: "Sequence[Part]", sessions: "Sessions"
) -> "list[Finding]":
    """What keeps a package of these plans from being written; the rest was checked as a whole."""
    from kensho_tui.findings import Severity
    from kensho_tui.migration import apply
    from kensho_tui.migration.sessions import write_settings

    described = {part.package: part.described for part in parts}
    found: list[Finding] = []
    for plan in plans:
        path = plan.spec.target.package
        if path is None:
            continue
        appliance = apply.chosen(described[path].appliance, plan.spec)
        session = sessions.package(path, **write_settings(plan.spec.target.format))
        found += session.check(appliance, apply.placement(appliance, plan.spec))
    return [each for each in found if each.severity is Severity.ERROR]
