"""A descriptor in another version of the standard, with a report of what could not be carried."""

from dataclasses import dataclass, field

from lxml import etree

from kensho_tui.findings import Finding, Severity
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.errors import DescriptorError
from kensho_tui.ovf.rules.report import Fixed, fix
from kensho_tui.ovf.versions import Version, to_version, version_of


@dataclass(frozen=True, slots=True)
class Converted:
    """What became of a descriptor.

    Attributes:
        data: its bytes; the original ones where nothing had to change.
        findings: what could not be carried (warnings), and what is said in another way (info).
        fixed: what was mended on the way, without a decision.
    """

    data: bytes
    findings: tuple[Finding, ...] = ()
    fixed: tuple[Fixed, ...] = field(default=())

    @property
    def lost(self) -> tuple[Finding, ...]:
        """What readers of the new descriptor do not learn any more."""
        return tuple(each for each in self.findings if each.severity is not Severity.INFO)


def convert(
    data: bytes, version: Version, subject: str = "", *, recover: bool = False
) -> Converted:
    """The descriptor in that version; what is odd and has one meaning is mended on the way.

    Args: recover: as of `xml.read`.

    Raises: DescriptorError: it cannot be read or edited, or cannot be said in that version at all.
    """
    envelope = editable(data, subject, recover=recover)
    data = envelope.sound
    fixed = tuple(fix(envelope))
    findings: list[Finding] = []
    for name in envelope.bundle_files:
        file = envelope.file(name)
        findings.append(
            Finding(
                "bundle-kept",
                Severity.INFO,
                "The file holds texts in the namespace of the version that it was written for, and"
                " stays as it is.",
                file.href if file else name,
            )
        )
    before = version_of(envelope.root)
    root = to_version(envelope.root.getroottree(), version, findings.append)
    return finished(data, root, findings, fixed, f"{subject} (OVF {before})" if subject else "")


def editable(data: bytes, subject: str, *, recover: bool = False) -> Envelope:
    """The descriptor, to be changed. Raises: DescriptorError."""
    envelope = Envelope.parse(data, subject, recover=recover)
    if not envelope.editable:
        raise DescriptorError(
            "the descriptor has a namespace whose name is no URI, and cannot be converted",
            subject=subject,
            remedy="Mend the name by hand first",
        )
    return envelope


def finished(
    data: bytes,
    root: etree._Element,
    findings: list[Finding],
    fixed: tuple[Fixed, ...],
    subject: str = "",
    *,
    original: bytes | None = None,
) -> Converted:
    """The new descriptor, read again for every deployment option; the old one where both say the same.

    Raises: DescriptorError: what was made cannot be read.
    """
    made = etree.tostring(root.getroottree(), xml_declaration=True, encoding="UTF-8")
    again = Envelope.parse(made, subject)
    for configuration in (None, *(each.id for each in again.configurations)):
        again.appliance(configuration)
    before = data if original is None else original
    same = again.canonical() == Envelope.parse(before, subject, recover=True).canonical()
    return Converted(before if same else made, tuple(findings), fixed)
