"""One walk over the descriptor's tree, and the place where the rules put what they found."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lxml import etree

from kensho_tui.findings import Finding, Severity
from kensho_tui.ovf import xml
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.names import ENVELOPE_2, ENVELOPES
from kensho_tui.ovf.rules.catalog import FIX, RULES

# Changes the tree; says in a sentence what it changed.
Mend = Callable[[], str]
_NAMED = re.compile(r"(?:ovf:)?/{1,2}file/([^\s;,\"']+)", re.IGNORECASE)
ENTITIES = ("VirtualSystem", "VirtualSystemCollection")


@dataclass(frozen=True, slots=True)
class Noted:
    """A finding, and where there is one the edit that mends it."""

    finding: Finding
    mend: Mend | None = None


@dataclass(frozen=True, slots=True)
class Holder:
    """What holds sections: ``where`` is "Envelope", "VirtualSystem" or "VirtualSystemCollection"."""

    element: etree._Element
    where: str
    subject: str


class Walk:
    """The tree, gone through once.

    Attributes:
        holders: the envelope and every system and collection, in order.
        sizes: bytes of the package's files by href, as far as they are known.
        disk_ids: of the disks, and ``file_ids`` of the files.
        named: elements that name a file by ``fileRef``, and the id they name.
        mentioned: ids of files that are named in any other way.
        messages: elements with an ``ovf:msgid``, and that id.
        bound: elements that are for deployment options only, and those.
        other_version: elements of another version of the standard than the envelope.
        notes: what was found.
    """

    def __init__(self, envelope: Envelope, sizes: Mapping[str, int]) -> None:
        """Args: sizes: bytes of the package's files by href; empty where there is no package."""
        self.envelope = envelope
        self.root = envelope.root
        self.sizes = sizes
        self.disk_ids = {each.id for each in envelope.disks}
        self.file_ids = {each.id for each in envelope.files}
        self.holders = [Holder(self.root, "Envelope", "")]
        self.named: list[tuple[etree._Element, str]] = []
        self.mentioned: set[str] = set()
        self.messages: list[tuple[etree._Element, str]] = []
        self.bound: list[tuple[etree._Element, tuple[str, ...]]] = []
        self.other_version: list[etree._Element] = []
        self.notes: list[Noted] = []
        self._enter(self.root)
        own = xml.namespace(self.root)
        for element in self.root.iter(etree.Element):
            space = xml.namespace(element)
            mixed = space in ENVELOPES and space != own
            newer = own != ENVELOPE_2 and xml.local(element) in {"StorageItem", "EthernetPortItem"}
            if mixed or newer:
                self.other_version.append(element)
            self._attributes(element)

    def _enter(self, element: etree._Element) -> None:
        for child in xml.children(element, *ENTITIES):
            subject = xml.text(xml.child(child, "Name")).strip() or xml.attr(child, "id") or ""
            self.holders.append(Holder(child, xml.kind(child), subject))
            self._enter(child)

    def _attributes(self, element: etree._Element) -> None:
        for key, value in element.attrib.items():
            match etree.QName(key).localname:
                case "fileRef" | "fileref":
                    self.named.append((element, str(value)))
                case "msgid" if xml.kind(element) != "Msg":
                    self.messages.append((element, str(value)))
                case "configuration":
                    self.bound.append((element, tuple(str(value).split())))
                case _ if "file/" in value:
                    self.mentioned.update(_NAMED.findall(str(value)))
        if element.text and "file/" in element.text:
            self.mentioned.update(_NAMED.findall(element.text))

    @property
    def systems(self) -> list[Holder]:
        """The machines, in order."""
        return [each for each in self.holders if each.where == "VirtualSystem"]

    def note(
        self,
        id_: str,
        element: etree._Element | None,
        message: str,
        subject: str = "",
        *,
        severity: Severity | None = None,
        mend: Mend | None = None,
        remedy: str | None = None,
    ) -> None:
        """Note one finding: weight, clause and remedy are the catalog's unless given."""
        rule = RULES[id_]
        if remedy is None:
            # What cannot be mended here (nobody knows the size of a file that is not there).
            remedy = "" if rule.remedy == FIX and mend is None else rule.remedy
        finding = Finding(
            id_,
            severity or rule.severity,
            message,
            subject,
            remedy,
            rule.clause,
            None if element is None else xml.line(element),
        )
        self.notes.append(Noted(finding, mend))
