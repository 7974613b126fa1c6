"""Findings as SARIF 2.1.0 (OASIS), which editors and build servers show beside the line."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any
from urllib.parse import quote

from kensho_tui.findings import Finding, Severity
from kensho_tui.ovf.package import Package
from kensho_tui.ovf.rules import RULES

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
# What the addresses of files are relative to: the folder, or the inside of the archive.
_BASE = "PACKAGE"


def sarif(opened: Package, findings: Sequence[Finding]) -> dict[str, Any]:
    """One run with a rule for every id that occurs and a result for every finding."""
    ids = list(dict.fromkeys(each.id for each in findings))
    first = {each.id: each for each in reversed(findings)}
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "Kensho",
                        "semanticVersion": version("kensho-tui"),
                        "rules": [_rule(first[id_]) for id_ in ids],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "originalUriBaseIds": {
                    _BASE: {"description": {"text": f"The package {opened.name}."}}
                },
                "results": [_result(opened, each, ids.index(each.id)) for each in findings],
            }
        ],
    }


def _rule(example: Finding) -> dict[str, Any]:
    known = RULES.get(example.id)
    title = known.title if known else example.message
    clause = example.clause or (known.clause if known else "")
    text = " ".join(part for part in (title, example.remedy, clause and f"({clause})") if part)
    return {
        "id": example.id,
        "shortDescription": {"text": title},
        "help": {"text": text},
        "defaultConfiguration": {"level": _LEVELS[example.severity]},
    }


def _result(opened: Package, each: Finding, index: int) -> dict[str, Any]:
    # Of a file of the package where it is one; all else is said of the descriptor.
    name = opened.descriptor_name
    if each.line is None and each.subject in opened.places:
        name = each.subject
    place: dict[str, Any] = {"artifactLocation": {"uri": quote(name), "uriBaseId": _BASE}}
    if each.line is not None:
        place["region"] = {"startLine": each.line}
    where = f"{each.subject}: " if each.subject else ""
    remedy = f" {each.remedy}" if each.remedy else ""
    return {
        "ruleId": each.id,
        "ruleIndex": index,
        "level": _LEVELS[each.severity],
        "message": {"text": f"{where}{each.message}{remedy}"},
        "locations": [{"physicalLocation": place}],
    }
