"""Which features of a package a consumer refuses, loses or does otherwise, as findings."""

import re
from collections.abc import Iterable
from functools import partial

from lxml import etree

from kensho_tui.findings import Finding
from kensho_tui.ovf import xml
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.package import Package
from kensho_tui.ovf.rules.features import Feature, features, of_descriptor
from kensho_tui.ovf.rules.targets import FACTS, NAMES, Fact
from kensho_tui.ovf.rules.walk import Mend, Noted
from kensho_tui.ovf.tree import put


def lint(package: Package, targets: Iterable[str]) -> list[Noted]:
    """What the targets make of the package; said once for each fact and object.

    Args:
        targets: of `NAMES`.
    """
    return _noted_of(features(package), targets)


def lint_descriptor(envelope: Envelope, targets: Iterable[str]) -> list[Noted]:
    """What the targets make of the descriptor alone."""
    return _noted_of(of_descriptor(envelope), targets)


def _noted_of(seen: Iterable[Feature], targets: Iterable[str]) -> list[Noted]:
    wanted = list(dict.fromkeys(targets))
    facts = [each for each in FACTS if each.target in wanted]
    found: dict[tuple[str, str, str], Noted] = {}
    every = list(seen) if facts else []
    for fact in facts:
        for feature in every:
            if not _holds(fact, feature):
                continue
            noted = _noted(fact, feature)
            key = (noted.finding.id, noted.finding.message, noted.finding.subject)
            before = found.get(key)
            if before is not None and before.mend is not None and noted.mend is not None:
                # Said once, and mended in every place.
                noted = Noted(before.finding, partial(_both, before.mend, noted.mend))
            found[key] = noted if before is None or noted.mend is not None else before
    return list(found.values())


def _holds(fact: Fact, feature: Feature) -> bool:
    return (
        fact.feature == feature.key
        and re.fullmatch(fact.pattern, feature.value, re.IGNORECASE) is not None
        and feature.number > fact.above
    )


def _noted(fact: Fact, feature: Feature) -> Noted:
    said = fact.said.format(value=feature.value, subject=feature.subject)
    element = feature.element
    mend: Mend | None = None
    if fact.mend and element is not None and _settable(fact, element):
        mend = partial(_set, fact.mend, element)
    finding = Finding(
        f"{fact.target}-{feature.key}",
        fact.verdict.value,
        f"{NAMES[fact.target]} {said}.",
        feature.subject,
        "" if fact.mend and mend is None else fact.remedy,
        line=None if element is None else xml.line(element),
    )
    return Noted(finding, mend)


def _settable(fact: Fact, element: etree._Element) -> bool:
    return fact.mend.startswith("@") or xml.local(element) in {
        "VirtualSystemType",
        "ResourceSubType",
    }


def _set(value: str, element: etree._Element) -> str:
    if value.startswith("@"):
        name, _, text = value[1:].partition("=")
        put(element, name, text)
        return f'{xml.local(element)} has {name}="{text}".'
    before = xml.text(element).strip()
    element.text = value
    return f"{xml.local(element)} '{before}' is '{value}'."


def _both(one: Mend, other: Mend) -> str:
    first, second = one(), other()
    return first if first == second else f"{first} {second}"
