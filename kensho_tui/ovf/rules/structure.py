"""Rules of the envelope as a whole: versions, content, where sections stand (DSP0243 2.1.1 §7, §9)."""

from collections import Counter

from lxml import etree

from kensho_tui.findings import Severity
from kensho_tui.ovf import xml
from kensho_tui.ovf.names import (
    ENVELOPE_1,
    ENVELOPE_2,
    ENVELOPES,
    HARMLESS_SECTIONS,
    KNOWN_SECTIONS,
)
from kensho_tui.ovf.required import understood
from kensho_tui.ovf.rules.walk import ENTITIES, Holder, Walk
from kensho_tui.ovf.tree import inserted

_OLD = "http://www.vmware.com/schema/ovf/1/envelope"
_VERSIONS = frozenset({
    "0.9", "0.9e", "1", "1.0", "1.0.0", "1.1", "1.1.0", "1.1.1", "2", "2.0", "2.0.0", "2.0.1", "2.1",
    "2.1.0", "2.1.1",
})  # fmt: skip
_ENVELOPE = frozenset({"Envelope"})
_SYSTEM = frozenset({"VirtualSystem"})
_COLLECTION = frozenset({"VirtualSystemCollection"})
_EITHER = _SYSTEM | _COLLECTION
_PLACES = {
    "References": _ENVELOPE, "DiskSection": _ENVELOPE, "SharedDiskSection": _ENVELOPE,
    "NetworkSection": _ENVELOPE, "DeploymentOptionSection": _ENVELOPE, "Strings": _ENVELOPE,
    "PlacementGroupSection": _ENVELOPE, "EncryptionSection": _ENVELOPE,
    "VirtualHardwareSection": _SYSTEM, "OperatingSystemSection": _SYSTEM,
    "InstallSection": _SYSTEM, "BootDeviceSection": _SYSTEM, "EnvironmentFilesSection": _SYSTEM,
    "ResourceAllocationSection": _COLLECTION, "StartupSection": _COLLECTION,
    "ScaleOutSection": _COLLECTION,
    "AnnotationSection": _EITHER, "ProductSection": _EITHER, "EulaSection": _EITHER,
}  # fmt: skip
# What is read where it does not belong too: others write it there.
_READ_IN_ENVELOPE = frozenset({"StartupSection", "ProductSection", "EulaSection"})
_ONCE = frozenset({
    "References", "DiskSection", "SharedDiskSection", "NetworkSection", "DeploymentOptionSection",
    "OperatingSystemSection", "InstallSection", "StartupSection", "AnnotationSection",
})  # fmt: skip
_TEXTLESS = frozenset({"References", "Strings", "Info", "Name"})
_INFOS = {
    "DiskSection": "Virtual disks", "NetworkSection": "Networks",
    "VirtualHardwareSection": "Virtual hardware", "OperatingSystemSection": "Operating system",
    "ProductSection": "Product", "EulaSection": "Licence", "AnnotationSection": "Annotation",
    "DeploymentOptionSection": "Deployment options", "StartupSection": "Start order",
    "ResourceAllocationSection": "Resources", "VirtualSystem": "A virtual machine",
    "VirtualSystemCollection": "Virtual machines",
}  # fmt: skip


def rules(walk: Walk) -> None:
    """All of them."""
    _versions(walk)
    _content(walk)
    for holder in walk.holders:
        _sections(walk, holder)
    _messages(walk)


def _versions(walk: Walk) -> None:
    space, version = xml.namespace(walk.root), xml.attr(walk.root, "version")
    if space in ENVELOPES and space not in {ENVELOPE_1, ENVELOPE_2}:
        taken = "OVF 0.9" if space == _OLD else "OVF 1.x"
        walk.note("namespace-old", walk.root, f"The namespace is '{space}'; it is read as {taken}.")
    if version is None and space == _OLD:
        walk.note("version-missing", walk.root,
                  "The descriptor does not say its version; it is read as OVF 0.9.")  # fmt: skip
    elif version is not None and version.strip() not in _VERSIONS:
        walk.note("version-unknown", walk.root,
                  f"There is no version '{version}'; the namespace decides how it is read.")  # fmt: skip
    kinds: dict[str, list[etree._Element]] = {}
    for element in walk.other_version:
        kinds.setdefault(xml.local(element), []).append(element)
    for name, elements in kinds.items():
        many = f"{len(elements)} elements '{name}' are" if len(elements) > 1 else f"'{name}' is"
        walk.note("version-mixed", elements[0],
                  f"{many} of another version of OVF than the descriptor; read all the same.")  # fmt: skip


def _content(walk: Walk) -> None:
    contents = list(xml.children(walk.root, *ENTITIES))
    for more in contents[1:]:
        walk.note("content-several", more, "The envelope has more than one content; the first is read.",
                  xml.attr(more, "id") or "")  # fmt: skip
    if not contents:
        walk.note("no-machine", walk.root, "The descriptor describes no machine.",
                  severity=Severity.ERROR)  # fmt: skip
    if xml.child(walk.root, "References") is None:
        walk.note("references-missing", walk.root,
                  "There is no References element; it is read as a package without files.")  # fmt: skip
    taken: set[str] = set()
    for holder in walk.holders[1:]:
        id_ = xml.attr(holder.element, "id") or ""
        if not id_:
            walk.note("content-id-missing", holder.element,
                      f"A {holder.where} has no id; it is given one for the time being.",
                      holder.subject)  # fmt: skip
        elif id_ in taken:
            walk.note("content-id-twice", holder.element, f"The id '{id_}' is taken already.", id_)
        taken.add(id_)
        empty = not list(xml.children(holder.element, *ENTITIES))
        if holder.where == "VirtualSystemCollection" and empty:
            walk.note(
                "collection-empty", holder.element, "The collection is empty.", holder.subject
            )


def _sections(walk: Walk, holder: Holder) -> None:
    seen: Counter[str] = Counter()
    if holder.where != "Envelope":
        _info(walk, holder, holder.element)
    for section in xml.children(holder.element):
        kind = xml.kind(section)
        known = kind in KNOWN_SECTIONS or kind in HARMLESS_SECTIONS
        seen[kind] += 1
        places = _PLACES.get(kind)
        if places is not None and holder.where not in places:
            _misplaced(walk, holder, section, kind)
        elif kind in _ONCE and seen[kind] > 1:
            walk.note("section-twice", section, f"There is more than one {kind}; all are read.",
                      holder.subject)  # fmt: skip
        if kind in ENTITIES or kind in _TEXTLESS:
            continue
        if known or kind.endswith("Section"):
            _info(walk, holder, section)
        if (
            not known
            and kind.endswith("Section")
            and not xml.flag(section, "required", default=True)
        ):
            walk.note("section-unknown", section,
                      f"The section '{kind}' is not known; it is kept, and not taken over.",
                      holder.subject)  # fmt: skip
        if known:
            _required(walk, holder, section)


def _misplaced(walk: Walk, holder: Holder, section: etree._Element, kind: str) -> None:
    where = " or ".join(sorted(_PLACES[kind]))
    read = holder.where == "Envelope" and kind in _READ_IN_ENVELOPE
    read = read or (kind == "AnnotationSection" and holder.where == "Envelope")
    walk.note(
        "section-misplaced",
        section,
        f"{kind} stands in the {holder.where} and belongs into the {where}; "
        + ("it is read all the same." if read else "it is not read."),
        holder.subject,
        severity=Severity.INFO if read else Severity.WARNING,
        remedy=f"Move it into the {where}.",
    )


def _info(walk: Walk, holder: Holder, section: etree._Element) -> None:
    if xml.child(section, "Info") is not None:
        return
    kind = xml.kind(section)
    own = xml.namespace(section)
    if own and own not in ENVELOPES:
        own = xml.namespace(walk.root)

    def mend() -> str:
        made = inserted(section, "Info", after=(), space=own)
        made.text = _INFOS.get(kind, kind.removesuffix("Section"))
        return f"The {kind} has an Info."

    walk.note("info-missing", section, f"The {kind} has no Info.", holder.subject, mend=mend)


def _required(walk: Walk, holder: Holder, parent: etree._Element) -> None:
    """Elements in a section that nobody knows and that are marked as required.

    What stands in one that is not required goes with it.
    """
    for element in xml.children(parent):
        name, known = xml.local(element), understood(element)
        required = xml.flag(element, "required", default=known)
        if required and not known:
            walk.note("element-required", element, f"'{name}' is marked as required and is not understood.",
                      holder.subject, severity=Severity.ERROR)  # fmt: skip
        elif known or xml.attr(element, "required") is None:
            _required(walk, holder, element)


def _messages(walk: Walk) -> None:
    bundles = list(xml.children(walk.root, "Strings"))
    if any(xml.attr(each, "fileRef") for each in bundles):
        return  # it may be in a file
    known = {xml.attr(msg, "msgid") for each in bundles for msg in xml.children(each, "Msg")}
    missing = [(element, id_) for element, id_ in walk.messages if id_ not in known]
    if missing:
        names = ", ".join(f"'{id_}'" for _, id_ in missing[:3]) + (" …" if len(missing) > 3 else "")
        walk.note("message-missing", missing[0][0],
                  f"No bundle has the message {names}; the text of the element holds.")  # fmt: skip
