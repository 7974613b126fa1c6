"""The descriptor as a typed view over its XML tree: what we do not know is kept, not copied."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from lxml import etree

from kensho_tui.findings import Finding, Severity
from kensho_tui.machine import Appliance, Configuration, Network, NetworkId
from kensho_tui.ovf import xml
from kensho_tui.ovf.errors import DescriptorError
from kensho_tui.ovf.names import ENVELOPES, KENSHO, XENC, XENOVF, XML
from kensho_tui.ovf.strings import Strings
from kensho_tui.ovf.tree import put
from kensho_tui.ovf.units import multiplier


@dataclass(frozen=True, slots=True)
class FileReference:
    """A file the package is made of (DSP0243 2.1.1 §7.1). ``size`` in bytes, None where not told.

    ``mark``: another id of it, by which XML Encryption names it; "" for none.
    """

    id: str
    href: str
    size: int | None = None
    compression: str = ""
    chunk_size: int | None = None
    mark: str = ""
    line: int | None = None


@dataclass(frozen=True, slots=True)
class DiskEntry:
    """A disk of the DiskSection (DSP0243 2.1.1 §9.1), as written.

    Attributes:
        capacity: the attribute as written: a number, or ``${property}``.
        unit: bytes that one of ``capacity`` stands for; None for a unit nobody knows.
        file: id of the `FileReference`; None for a blank disk.
    """

    id: str
    capacity: str = ""
    unit: int | None = 1
    file: str | None = None
    format: str = ""
    populated: int | None = None
    parent: str | None = None
    bootable: bool | None = None
    shared: bool = False
    read_only: bool = False
    line: int | None = None
    element: etree._Element | None = None


class Envelope:
    """An OVF descriptor. Reads through to the tree; an untouched one saves as its original bytes."""

    def __init__(self, document: xml.Document, data: bytes, subject: str) -> None:
        """See `parse`."""
        self.root = document.root
        self.findings = document.findings
        self.subject = subject
        self._data = data
        self._encoding = document.encoding
        self._edited = False
        self._bundles: dict[str, etree._Element] = {}
        self._texts: dict[str, str] = {}

    @classmethod
    def parse(cls, data: bytes, subject: str = "", *, recover: bool = False) -> "Envelope":
        """The descriptor in the bytes.

        Args:
            data: the file as it is.
            subject: how the operator knows it ("shop.ovf"), for errors.
            recover: as of `xml.read`.

        Raises: DescriptorError: hostile, not well-formed, or no OVF descriptor at all.
        """
        document = xml.read(data, subject, recover=recover)
        name, space = xml.local(document.root), xml.namespace(document.root)
        if name != "Envelope":
            raise DescriptorError(
                f"this is no OVF descriptor: its root element is '{name}', not 'Envelope'",
                subject=subject,
            )
        if space not in ENVELOPES:
            found = Finding(
                "namespace-unknown",
                Severity.WARNING,
                f"The descriptor's version is unknown: its namespace is '{space}'.",
                clause="DSP0243 2.1.1 §7",
                line=xml.line(document.root),
            )
            document = xml.Document(document.root, (*document.findings, found), document.encoding)
        return cls(document, data, subject)

    # ------------------------------------------------------------------------------- references
    @cached_property
    def files(self) -> tuple[FileReference, ...]:
        """All files of the References element, in order."""
        found = []
        for references in xml.children(self.root, "References"):
            for file in xml.children(references, "File"):
                found.append(
                    FileReference(
                        id=xml.attr(file, "id") or "",
                        href=xml.attr(file, "href") or "",
                        size=xml.number(xml.attr(file, "size")),
                        compression=(xml.attr(file, "compression") or "").strip().lower(),
                        chunk_size=xml.number(xml.attr(file, "chunkSize")),
                        mark=file.get(f"{{{XENC}}}Id") or file.get("Id") or "",
                        line=xml.line(file),
                    )
                )
        return tuple(found)

    def file(self, file_id: str) -> FileReference | None:
        """The file of that id; None where there is none."""
        return next((each for each in self.files if each.id == file_id), None)

    @cached_property
    def disks(self) -> tuple[DiskEntry, ...]:
        """All disks of every DiskSection, in order."""
        return tuple(
            _disk(element)
            for section in self.sections("DiskSection", "SharedDiskSection")
            for element in xml.children(section, "Disk", "SharedDisk")
        )

    @cached_property
    def networks(self) -> tuple[Network, ...]:
        """All networks of every NetworkSection, in order, each name once."""
        found: dict[str, Network] = {}
        for section in self.sections("NetworkSection"):
            for element in xml.children(section, "Network"):
                name = xml.attr(element, "name") or ""
                description = self.strings().message(xml.child(element, "Description"))
                found.setdefault(name, Network(NetworkId(name), description))
        return tuple(found.values())

    @cached_property
    def configurations(self) -> tuple[Configuration, ...]:
        """The deployment options (DSP0243 2.1.1 §9.8), labels in the descriptor's own language."""
        return self.configurations_in("")

    def configurations_in(self, locale: str) -> tuple[Configuration, ...]:
        """The deployment options; exactly one of them is the default."""
        strings = self.strings(locale)
        found = []
        for section in self.sections("DeploymentOptionSection"):
            for element in xml.children(section, "Configuration"):
                found.append(
                    Configuration(
                        id=xml.attr(element, "id") or "",
                        label=strings.message(xml.child(element, "Label")),
                        description=strings.message(xml.child(element, "Description")),
                        default=xml.flag(element, "default", default=False),
                    )
                )
        chosen = next((i for i, each in enumerate(found) if each.default), 0)
        return tuple(
            Configuration(each.id, each.label, each.description, i == chosen)
            for i, each in enumerate(found)
        )

    # ---------------------------------------------------------------------------------- content
    def sections(self, *names: str) -> Iterator[etree._Element]:
        """Sections of those kinds that stand directly in the envelope."""
        return xml.children(self.root, *names)

    @property
    def content(self) -> etree._Element | None:
        """The VirtualSystem or VirtualSystemCollection; None where there is none."""
        return next(xml.children(self.root, "VirtualSystem", "VirtualSystemCollection"), None)

    @property
    def title(self) -> str:
        """A name of the whole that is not a machine's: what XenCenter gives the envelope."""
        return self.root.get(f"{{{XENOVF}}}Name", "")

    @property
    def written_by(self) -> str:
        """The mark that `kensho_tui.ovf.write.build` was given; "" in others' descriptors."""
        return self.root.get(f"{{{KENSHO}}}key", "")

    def strings(self, locale: str = "") -> Strings:
        """The texts of the descriptor in a language; "" is its own."""
        return Strings(self.root, locale, self._bundles, self._texts)

    @property
    def bundle_files(self) -> tuple[str, ...]:
        """Ids of the files that hold texts of the descriptor (DSP0243 2.1.1 §10)."""
        found = (xml.attr(each, "fileRef") for each in self.sections("Strings"))
        return tuple(dict.fromkeys(each for each in found if each))

    def take_bundle(self, file: str, data: bytes, subject: str) -> None:
        """Take the texts in a file of their own.

        Args:
            file: its id, of `bundle_files`.
            data: its bytes.
            subject: how the operator knows it.

        Raises: DescriptorError: hostile, not well-formed, or no message bundle.
        """
        bundle = xml.read(data, subject).root
        if xml.kind(bundle) != "Strings":
            raise DescriptorError(
                f"this is no message bundle: its root element is '{xml.local(bundle)}', not 'Strings'",
                subject=subject,
            )
        self._bundles[file] = bundle

    @property
    def message_files(self) -> tuple[str, ...]:
        """Ids of the plain files that hold one message each (OVF 2), of all bundles that are known."""
        bundles = [*self.sections("Strings"), *self._bundles.values()]
        named = (xml.attr(msg, "fileRef") for each in bundles for msg in xml.children(each, "Msg"))
        return tuple(dict.fromkeys(each for each in named if each))

    def take_message(self, file: str, data: bytes, subject: str) -> None:
        """Take the text of a message that is a file.

        Args:
            file: its id, of `message_files`.
            data: its bytes, in UTF-8.
            subject: how the operator knows it.

        Raises: DescriptorError: it is no text in UTF-8.
        """
        try:
            self._texts[file] = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise DescriptorError("this is no text in UTF-8", subject=subject) from error

    @property
    def language(self) -> str:
        """The language the texts are written in."""
        return self.root.get(f"{{{XML}}}lang", "en-US")

    def appliance(
        self, configuration: str | None = None, *, locale: str = "", target: str = ""
    ) -> tuple[Appliance, tuple[Finding, ...]]:
        """The machines and all that belongs to them, resolved for one configuration.

        Args:
            configuration: id of a deployment option; None takes the default one.
            locale: language of labels (``de-DE``); "" takes the descriptor's own.
            target: for which of several hardware descriptions are taken, as of `hardware.choose`.

        Raises: DescriptorError: there is no such configuration.
        """
        from kensho_tui.ovf.appliance import resolve

        return resolve(self, configuration, locale, target)

    # ----------------------------------------------------------------------------------- editing
    def set_file(self, file_id: str, *, href: str | None = None, size: int | None = None) -> None:
        """Change where a file is found and how long it is; all else stays as it was written.

        Raises: DescriptorError: no file of that id.
        """
        for references in xml.children(self.root, "References"):
            for file in xml.children(references, "File"):
                if xml.attr(file, "id") == file_id:
                    if href is not None:
                        put(file, "href", href)
                    if size is not None:
                        put(file, "size", str(size))
                    self.touched()
                    return
        raise DescriptorError("there is no such file in the references", subject=file_id)

    @property
    def editable(self) -> bool:
        """Whether new elements can be made in it: not where a namespace's name is no URI."""
        return all(each.id != "namespace-uri" for each in self.findings)

    def touched(self) -> None:
        """The tree was edited: `save` writes it anew, and what was read of it is read again."""
        self._edited = True
        for name in ("files", "disks", "networks", "configurations"):
            self.__dict__.pop(name, None)

    def save(self) -> bytes:
        """The document: its original bytes as long as nothing was edited, else UTF-8."""
        if not self._edited:
            return self._data
        return etree.tostring(self.root.getroottree(), xml_declaration=True, encoding="UTF-8")

    @property
    def sound(self) -> bytes:
        """The document as every parser reads it: its original bytes, unless it had to be recovered."""
        if all(each.id != "prefix-undeclared" for each in self.findings):
            return self._data
        return etree.tostring(self.root.getroottree(), xml_declaration=True, encoding="UTF-8")

    def canonical(self) -> bytes:
        """The document in canonical form (Canonical XML 1.0), comments included, for comparing."""
        tree = self.root.getroottree()
        try:
            return etree.tostring(tree, method="c14n", with_comments=True)
        except etree.C14NError:
            # The name of a namespace is a relative URI, for which no canonical form is defined.
            return etree.tostring(tree)

    def text(self) -> str:
        """The document as text, for showing it."""
        return etree.tostring(self.root.getroottree(), encoding="unicode")


def _disk(element: etree._Element) -> DiskEntry:
    bootable = element.get(f"{{{XENOVF}}}isBootable") or xml.attr(element, "boot")
    return DiskEntry(
        id=xml.attr(element, "diskId") or "",
        capacity=(xml.attr(element, "capacity") or "").strip(),
        unit=multiplier(xml.attr(element, "capacityAllocationUnits") or "byte"),
        file=xml.attr(element, "fileRef") or None,
        format=xml.attr(element, "format") or "",
        populated=xml.number(xml.attr(element, "populatedSize")),
        parent=xml.attr(element, "parentRef") or None,
        bootable=None if bootable is None else xml.boolean(bootable, default=False),
        shared=xml.kind(element) == "SharedDisk",
        read_only=xml.flag(element, "readOnly", default=False),
        line=xml.line(element),
        element=element,
    )
