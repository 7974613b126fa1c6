"""Descriptors that use a namespace prefix and do not declare it: what it can only mean is declared."""

import re

from lxml import etree

from kensho_tui.findings import Finding, Severity
from kensho_tui.ovf import names as n

# What the field means by a prefix; for any other one a namespace of its own is made up.
_MEANT = {
    "ovf": n.ENVELOPE_1, "ovf2": n.ENVELOPE_2, "ovfstr": n.STRINGS, "rasd": n.RASD, "vssd": n.VSSD,
    "sasd": n.SASD, "epasd": n.EPASD, "vmw": n.VMW, "vmwovf": n.VMW, "vbox": n.VBOX,
    "xenovf": n.XENOVF, "xsi": n.XSI,
}  # fmt: skip
_MADE_UP = "urn:undeclared:{}"
_SAID = re.compile(r"Namespace prefix ([^\s]+) (?:on|for) ")
_ROOT = re.compile(r"<[A-Za-z_][^\s/>]*")
_DEFAULT = re.compile(r"""\sxmlns\s*=\s*["']([^"']+)["']""")


def missing(log: etree._ListErrorLog) -> list[str]:
    """The prefixes that are not declared; none where anything else is wrong as well."""
    prefixes: dict[str, None] = {}
    for entry in log:
        said = _SAID.search(entry.message)
        if entry.type == etree.ErrorTypes.NS_ERR_UNDEFINED_NAMESPACE and said is not None:
            prefixes[said[1]] = None
        elif entry.type != etree.ErrorTypes.WAR_NS_URI:
            return []
    return list(prefixes)


def declared(text: str, start: int, prefixes: list[str]) -> tuple[str, list[Finding]]:
    """The document with those prefixes declared at its root, and a finding for each.

    Args: start: where its root element begins.
    """
    root = _ROOT.match(text, start)
    if root is None:
        return text, []
    end = text.find(">", root.end())
    default = _DEFAULT.search(text, root.end(), end)
    own = default[1] if default and default[1] in n.ENVELOPES else n.ENVELOPE_1
    added, findings = "", []
    for prefix in prefixes:
        space = own if prefix == "ovf" else _MEANT.get(prefix, _MADE_UP.format(prefix))
        added += f' xmlns:{prefix}="{space}"'
        findings.append(
            Finding(
                "prefix-undeclared",
                Severity.WARNING,
                f"The namespace prefix '{prefix}' is not declared; it is taken for '{space}'.",
                line=1 + text.count("\n", 0, start),
                remedy="'kensho package check --recover --fix' declares it.",
            )
        )
    return text[: root.end()] + added + text[root.end() :], findings
