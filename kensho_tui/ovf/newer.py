"""What OVF 2 has and OVF 1.1 has not: said as 1.1 can, or left out, and noted each time.

Findings are warnings: other readers of OVF 1.1 do not learn of it.
"""

from collections.abc import Callable

from lxml import etree

from kensho_tui.findings import Finding, Severity
from kensho_tui.ovf import additions, xml
from kensho_tui.ovf import names as n
from kensho_tui.ovf.errors import DescriptorError
from kensho_tui.ovf.tree import inserted, removed

Note = Callable[[Finding], None]
_CLAUSE = "DSP0243 2.1.1 {}"
_LOST = {
    "EnvironmentFilesSection": (
        "environment-files-unsaid",
        "No guest is handed the files {what}: they stay in the package, and nothing says whose they are",
    ),
    "ScaleOutSection": ("scale-out-unsaid", "How many instances of '{id}' there are to be is left out"),
    "PlacementGroupSection": ("placement-unsaid", "The placement group '{id}' ({policy}) is left out"),
    "PlacementSection": ("placement-unsaid", "That it belongs to the placement group '{group}' is left out"),
}  # fmt: skip


def tell(
    note: Note, id_: str, subject: str, element: etree._Element, message: str, clause: str = ""
) -> None:
    """Note what is lost."""
    clause = _CLAUSE.format(clause) if clause else ""
    note(Finding(id_, Severity.WARNING, message, subject, clause=clause, line=xml.line(element)))


def refuse_encryption(root: etree._Element) -> None:
    """OVF 1.1 cannot say how its files are decrypted. Raises: DescriptorError."""
    for section in root.iter("{*}EncryptionSection"):
        files = [each.file for each in additions.encrypted(section) if each.file]
        raise DescriptorError(
            "files of the package are encrypted, and OVF 1.1 has no word for how they are decrypted",
            subject=", ".join(files),
            remedy="Ask its author for a package that is not encrypted",
        )


def left_out(root: etree._Element, note: Note) -> None:
    """Take out of a document, which is in OVF 1's namespace already, what OVF 1.1 has not."""
    own = xml.namespace(root)
    for element in list(root.iter(f"{{{own}}}*")):
        name, owner = xml.local(element), element.getparent()
        if owner is None:
            continue
        if name in _LOST:
            _lost(element, _subject(owner), note)
        elif name == "SharedDiskSection":
            _shared(root, element, note)
        elif name == "BootDeviceSection":
            _boot(owner, element, note)
        elif name in {"NetworkPortProfile", "NetworkPortProfileURI"}:
            network = xml.attr(owner, "name") or ""
            tell(note, "port-profile-unsaid", network, element,
                 "OVF 1.1 has no port profiles of networks; it is left out.", "NetworkSection")  # fmt: skip
            removed(element)
        elif name == "Msg" and xml.attr(element, "fileRef"):
            tell(note, "message-file-unsaid", xml.attr(element, "msgid") or "", element,
                 "OVF 1.1 has no texts in plain files of their own: other readers take the empty one.",
                 "Internationalization")  # fmt: skip


def shared_disks(root: etree._Element) -> None:
    """Disks with our mark of being shared become SharedDisks, in a document in OVF 2's namespace."""
    own = xml.namespace(root)
    mark = f"{{{n.KENSHO}}}shared"
    marked = [each for each in root.iter(f"{{{own}}}Disk") if each.get(mark) == "true"]
    if not marked:
        return
    section = xml.child(root, "SharedDiskSection")
    if section is None:
        section = inserted(root, "SharedDiskSection", after=("References", "DiskSection"))
        inserted(section, "Info", after=()).text = "Shared virtual disks"
    for disk in marked:
        holder = disk.getparent()
        del disk.attrib[mark]
        disk.tag = f"{{{own}}}SharedDisk"
        section.append(disk)
        left = () if holder is None else xml.children(holder)
        if holder is not None and all(xml.kind(each) == "Info" for each in left):
            removed(holder)


def says_more(root: etree._Element) -> bool:
    """Whether something in it is carried to OVF 1.1 by attributes of our own."""
    kinds = ("{*}SharedDisk", "{*}BootDeviceSection", "{*}Access")
    return next(root.iter(*kinds), None) is not None


def _subject(owner: etree._Element) -> str:
    return xml.text(xml.child(owner, "Name")).strip() or xml.attr(owner, "id") or ""


def _lost(section: etree._Element, subject: str, note: Note) -> None:
    id_, message = _LOST[xml.local(section)]
    files = ", ".join(xml.attr(each, "path") or "" for each in xml.children(section, "File"))
    said = message.format(
        what=files, **{name: xml.attr(section, name) or "" for name in ("id", "policy", "group")}
    )
    tell(note, id_, subject, section, f"{said}: OVF 1.1 has no {xml.local(section)}.",
         xml.local(section))  # fmt: skip
    removed(section)


def _shared(root: etree._Element, section: etree._Element, note: Note) -> None:
    """Shared disks among the others, with our own mark."""
    disks = xml.child(root, "DiskSection")
    if disks is None:
        disks = inserted(root, "DiskSection", after=("References",))
        inserted(disks, "Info", after=()).text = "Virtual disks"
    for disk in list(xml.children(section, "SharedDisk")):
        read_only = disk.attrib.pop(f"{{{xml.namespace(disk)}}}readOnly", "false")
        disk.tag = f"{{{xml.namespace(disk)}}}Disk"
        disk.set(f"{{{n.KENSHO}}}shared", "true")
        disks.append(disk)
        only = "" if not xml.boolean(str(read_only), default=False) else " (and only read)"
        tell(note, "shared-disk-unsaid", xml.attr(disk, "diskId") or "", disk,
             f"That the disk is shared{only} has no word in OVF 1.1: Kensho reads that it is from an"
             " attribute of its own, others take it as an ordinary disk.", "SharedDiskSection")  # fmt: skip
    removed(section)


def _boot(system: etree._Element, section: etree._Element, note: Note) -> None:
    """The boot order as our own attribute of the hardware."""
    order = " ".join(additions.boot_order(section))
    for hardware in xml.children(system, "VirtualHardwareSection"):
        if hardware.get(f"{{{n.KENSHO}}}bootOrder") is None and order:
            hardware.set(f"{{{n.KENSHO}}}bootOrder", order)
    kept = f"Kensho reads it ({order}) from an attribute of its own, others boot as they do."
    tell(note, "boot-order-unsaid", _subject(system), section,
         "The boot order has no word in OVF 1.1" + (f": {kept}" if order else " and is left out."),
         "BootDeviceSection")  # fmt: skip
    removed(section)
