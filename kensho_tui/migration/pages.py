"""The wizard's pages as data: is one needed, is it complete, and if not, why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from kensho_tui.findings import Finding, Severity
from kensho_tui.migration.units import clause, count, size

if TYPE_CHECKING:
    from kensho_tui.migration.draft import Draft


class Page(StrEnum):
    """The pages, in the operator's order. The monitor that follows is a screen of its own."""

    SOURCE = "source"
    PACKAGE = "package"
    LICENCES = "licences"
    CONFIGURATION = "configuration"
    TARGET = "target"
    MAPPING = "mapping"
    PROPERTIES = "properties"
    REVIEW = "review"


@dataclass(frozen=True, slots=True)
class PageState:
    """State of one page.

    Attributes:
        needed: False: the page does not apply; ``reason`` says why.
        complete: whether Next is open.
        reason: why Next is closed there, or why the page is not needed; "" otherwise.
        attention: how many things on it want a look.
    """

    page: Page
    needed: bool = True
    complete: bool = False
    reason: str = ""
    attention: int = 0


def state(draft: Draft, page: Page) -> PageState:
    """The page's state in this draft."""
    unneeded = _unneeded(draft, page)
    if unneeded:
        return PageState(page, needed=False, complete=True, reason=unneeded)
    open_points = list(problems(draft, page))
    return PageState(
        page,
        complete=not open_points,
        reason="; ".join(open_points[:2]) + (" …" if len(open_points) > 2 else ""),
        attention=_open_licences(draft, page) or len(open_points) or _warnings(draft, page),
    )


def _unneeded(draft: Draft, page: Page) -> str:
    described = draft.described
    if described is None:
        return ""
    match page:
        case Page.LICENCES if not draft.licences():
            return "this appliance has no licences"
        case Page.LICENCES if draft.source and draft.source.package is None:
            return "these machines are in use already"
        case Page.LICENCES if draft.target_view and draft.target_view.package:
            return "the licences stay in the package that is written"
        case Page.CONFIGURATION if len(described.appliance.configurations) < 2:
            return "this appliance has one configuration"
        case Page.PROPERTIES if not draft.properties():
            return "this appliance asks nothing"
        case Page.LICENCES if draft.target_view and draft.target_view.package:
            return "the licences stay in the package that is written"
        case Page.PROPERTIES if draft.target_view and draft.target_view.package:
            return "the questions stay in the package that is written"
        case _:
            return ""


def _warnings(draft: Draft, page: Page) -> int:
    if page is Page.PACKAGE and draft.described is not None:
        findings = draft.described.findings
    elif page is Page.REVIEW and draft.findings is not None:
        findings = draft.findings
    else:
        return 0
    return sum(each.severity is Severity.WARNING for each in findings)


def _open_licences(draft: Draft, page: Page) -> int:
    """Licences that are still to be accepted; on other pages none."""
    if page is not Page.LICENCES:
        return 0
    return sum(not draft.accepted(each.digest) for each in draft.licences())


def problems(draft: Draft, page: Page) -> Iterator[str]:
    """What closes Next on the page, one clause each. A page that is not needed has none."""
    if page is Page.SOURCE:
        if draft.described is None:
            yield "open a package or choose machines"
    elif draft.described is None:
        yield "there is no source yet"
    elif _unneeded(draft, page):
        return
    elif page is Page.PACKAGE:
        yield from _package(draft)
    elif page is Page.LICENCES:
        left = _open_licences(draft, page)
        if left:
            yield f"{count(left, 'licence')} to read and accept"
    elif page is Page.TARGET:
        yield from _target(draft)
    elif page is Page.MAPPING:
        yield from _mapping(draft)
    elif page is Page.PROPERTIES:
        for each, reason in draft.objections():
            yield f"{each.label or each.key}: {reason}"
    elif page is Page.REVIEW:
        yield from _review(draft)


def _package(draft: Draft) -> Iterator[str]:
    assert draft.described is not None
    for finding in draft.described.findings:
        if finding.severity is Severity.ERROR:
            yield _said(finding)
    if draft.appliance is None or not draft.appliance.machines:
        yield "no machine is chosen"


def _said(finding: Finding) -> str:
    text = clause(finding.message)
    return f"{finding.subject}: {text}" if finding.subject else text


def _target(draft: Draft) -> Iterator[str]:
    view = draft.target_view
    if view is None:
        yield "choose where it goes"
        return
    if not view.capabilities.imports:
        yield f"{view.connection or view.package} takes no machines"
        return
    home = draft.home()
    if not home.decided:
        yield f"choose a pool or host ({home.why})"
    for row in draft.homes():
        if row.reason and row.ref == home.ref:
            yield f"{row.ref.name or row.ref.id}: {row.reason}"


def _mapping(draft: Draft) -> Iterator[str]:
    if draft.target_view is None:
        yield "there is no target yet"
        return
    for network in draft.networks():
        if any(not each.choice.decided for each in network.adapters):
            yield f'choose a network for "{network.network}"'
    for disk in draft.disks():
        if not disk.choice.decided:
            yield f'choose a storage for "{disk.label}" ({disk.choice.why})'
    # What a package's disks take once they are compressed is not known beforehand.
    for use in () if draft.target_view.package else draft.storage_use():
        if not use.fits:
            yield f"{use.ref.name or use.ref.id} is too small: {size(-use.after)} are missing"


def _review(draft: Draft) -> Iterator[str]:
    for page in Page:
        if page is Page.REVIEW:
            break
        yield from problems(draft, page)
    for finding in draft.findings or ():
        if finding.severity is Severity.ERROR:
            yield _said(finding)
