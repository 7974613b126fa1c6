"""What can be changed in a descriptor: each a function that works on the XML tree (DSP0243 2.1.1).

What an edit does not touch stays: attributes, vendors' children, comments, order. New elements take the
document's own namespaces, so that OVF 1.x and 2.x stay what they are.
"""

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy

from lxml import etree

from kensho_tui.machine import Property
from kensho_tui.ovf import names as n
from kensho_tui.ovf import xml
from kensho_tui.ovf.editing import Change
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.errors import DescriptorError
from kensho_tui.ovf.properties import normal, problem
from kensho_tui.ovf.tree import (
    appended,
    behind,
    bound,
    child_made,
    drop,
    field,
    free,
    hardware_items,
    inserted,
    named,
    new_item,
    new_section,
    options,
    put,
    put_field,
    put_text,
    removed,
    resource_type,
)
from kensho_tui.ovf.units import multiplier

MIB = 1 << 20
_MOST_MEMORY = 1 << 50
_MOST_PROCESSORS = 4096
_PRODUCT_FIELDS = (
    "Product", "Vendor", "Version", "FullVersion", "ProductUrl", "VendorUrl", "AppUrl",
)  # fmt: skip
_PRODUCT = {
    "product": "Product", "vendor": "Vendor", "version": "Version", "full-version": "FullVersion",
    "product-url": "ProductUrl", "vendor-url": "VendorUrl", "app-url": "AppUrl",
}  # fmt: skip
# A SCSI bus has sixteen places, one of which is the controller's own.
_PLACES = {n.SCSI: [*range(7), *range(8, 16)], n.IDE: [0, 1], n.OTHER_STORAGE: list(range(30))}
# What may have a text in each language.
_TRANSLATED = frozenset({
    "Label", "Description", "Category", "Product", "Vendor", "Annotation", "License", "Name", "Info",
})  # fmt: skip


# ------------------------------------------------------------------------------------- the machines
def systems(envelope: Envelope) -> list[etree._Element]:
    """All VirtualSystems, in order."""
    found: list[etree._Element] = []

    def walk(element: etree._Element | None) -> None:
        if element is None:
            return
        if xml.kind(element) == "VirtualSystem":
            found.append(element)
        for child in xml.children(element, "VirtualSystem", "VirtualSystemCollection"):
            walk(child)

    walk(envelope.content)
    return found


def system(envelope: Envelope, machine: str | None) -> etree._Element:
    """The VirtualSystem of that id or name; the only one where none is named.

    Raises: DescriptorError: there is none, or several and none is named.
    """
    known = systems(envelope)
    if machine is None:
        if len(known) == 1:
            return known[0]
        raise DescriptorError(
            f"the package has {len(known)} machines",
            subject=envelope.subject,
            remedy=f"Say which: {', '.join(_id(each) for each in known)}" if known else "",
        )
    strings = envelope.strings()
    for each in known:
        if machine in {_id(each), strings.message(xml.child(each, "Name"))}:
            return each
    raise DescriptorError(
        f"there is no machine '{machine}'",
        subject=envelope.subject,
        remedy=f"There are: {', '.join(_id(each) for each in known)}",
    )


def _id(element: etree._Element) -> str:
    return xml.attr(element, "id") or ""


def set_name(machine: str | None, name: str) -> Change:
    """Another name of the machine."""

    def change(envelope: Envelope) -> None:
        put_text(child_made(system(envelope, machine), "Name", after=("Info",)), name)

    return change


def set_annotation(machine: str | None, text: str) -> Change:
    """The description; of the machine, or of a collection where no machine is named."""

    def change(envelope: Envelope) -> None:
        owner = _owner(envelope, machine)
        section = xml.child(owner, "AnnotationSection")
        if section is None:
            section = new_section(owner, "AnnotationSection", "A description of what this is")
        put_text(child_made(section, "Annotation", after=("Info",)), text)

    return change


def _owner(envelope: Envelope, machine: str | None) -> etree._Element:
    """The machine that is named; else the content: the collection, or the only machine."""
    if machine is not None or envelope.content is None:
        return system(envelope, machine)
    return envelope.content


# -------------------------------------------------------------------------------------- hardware
def set_processors(machine: str | None, count: int, configuration: str | None = None) -> Change:
    """How many processors the machine has, for one deployment option or for all.

    Raises (when applied): DescriptorError: a number no machine has, or no such option.
    """
    if not 0 < count <= _MOST_PROCESSORS:
        raise DescriptorError(f"a machine has 1 to {_MOST_PROCESSORS} processors, not {count}")

    def change(envelope: Envelope) -> None:
        for item in _edited_items(envelope, machine, n.PROCESSOR, configuration):
            put_field(item, "VirtualQuantity", str(count))

    return change


def set_memory(machine: str | None, size: int, configuration: str | None = None) -> Change:
    """The machine's memory in bytes, as `set_processors`; the unit stays where it can say it."""
    if not MIB <= size <= _MOST_MEMORY:
        raise DescriptorError("a machine has 1 MiB to 1 PiB of memory")
    if size % MIB:
        raise DescriptorError("a machine's memory is told in whole MiB")

    def change(envelope: Envelope) -> None:
        for item in _edited_items(envelope, machine, n.MEMORY, configuration):
            unit = multiplier(field(item, "AllocationUnits")) or 0
            if unit < 2 or size % unit:
                unit = MIB
                put_field(item, "AllocationUnits", "byte * 2^20")
            put_field(item, "VirtualQuantity", str(size // unit))

    return change


def _hardware(envelope: Envelope, machine: str | None) -> list[etree._Element]:
    found = list(xml.children(system(envelope, machine), "VirtualHardwareSection"))
    if not found:
        raise DescriptorError("the machine has no virtual hardware", subject=envelope.subject)
    return found


def _edited_items(
    envelope: Envelope, machine: str | None, type_: int, configuration: str | None
) -> Iterator[etree._Element]:
    """The Item of that type to be edited in each hardware section; made where it is not there."""
    known = [each.id for each in envelope.configurations]
    if configuration is not None and configuration not in known:
        raise DescriptorError(
            f"there is no deployment option '{configuration}'",
            subject=envelope.subject,
            remedy=f"Known are: {', '.join(known)}" if known else "It has none",
        )
    for section in _hardware(envelope, machine):
        items = [each for each in hardware_items(section) if resource_type(each) == type_]
        items = [each for each in items if bound(each) in {"", "normal"}] or items
        plain = [each for each in items if not options(each)]
        if configuration is None:
            yield from items or [new_item(section, type_)]
            continue
        own = [each for each in items if configuration in options(each)]
        if own and options(own[0]) == [configuration]:
            yield own[0]
        elif own:
            # It is that of others too: those keep it.
            yield _copied(own[0], configuration)
            others = [each for each in options(own[0]) if each != configuration]
            put(own[0], "configuration", " ".join(others))
        else:
            yield _copied(plain[0] if plain else new_item(section, type_), configuration)


def _copied(item: etree._Element, configuration: str) -> etree._Element:
    """A copy behind the Item, for one deployment option: it replaces the plain one of the same id."""
    copy = deepcopy(item)
    item.addnext(copy)
    put(copy, "configuration", configuration)
    return copy


def set_families(machine: str | None, families: str) -> Change:
    """The virtual hardware family (``vmx-21``): what the machine's hardware is for (§8.1)."""
    words = re.split(r"[\s,]+", families.strip())
    if not all(re.fullmatch(r"[A-Za-z0-9_.:+-]{1,80}", each) for each in words):
        raise DescriptorError(f"'{families}' is no virtual hardware family")

    def change(envelope: Envelope) -> None:
        for section in _hardware(envelope, machine):
            described = xml.child(section, "System")
            if described is None:
                described = inserted(section, "System", after=("Info",))
                for name, value in (
                    ("ElementName", "Virtual Hardware Family"),
                    ("InstanceID", "0"),
                    ("VirtualSystemType", ""),
                ):
                    etree.SubElement(described, f"{{{n.VSSD}}}{name}").text = value
            put_field(described, "VirtualSystemType", " ".join(words), n.VSSD)

    return change


def set_transport(machine: str | None, transports: str) -> Change:
    """How the guest gets its OVF environment: ``iso``, ``com.vmware.guestInfo``, or "" (§9.5.2)."""

    def change(envelope: Envelope) -> None:
        for section in _hardware(envelope, machine):
            if transports.split():
                put(section, "transport", " ".join(transports.split()))
            else:
                drop(section, "transport")

    return change


# ------------------------------------------------------------------------------ products, questions
def set_product(machine: str | None, word: str, text: str) -> Change:
    """A field of the (first) ProductSection: a key of ``product``, ``vendor``, ``version`` …

    Raises: DescriptorError: no such field.
    """
    if word not in _PRODUCT:
        raise DescriptorError(
            f"a product has no '{word}'", remedy=f"Known are: {', '.join(_PRODUCT)}"
        )
    name = _PRODUCT[word]

    def change(envelope: Envelope) -> None:
        owner = _owner(envelope, machine)
        section = xml.child(owner, "ProductSection")
        if section is None:
            section = new_section(owner, "ProductSection", "Information about the product")
        before = ("Info", *_PRODUCT_FIELDS[: _PRODUCT_FIELDS.index(name)])
        put_text(child_made(section, name, after=before), text)

    return change


def set_property(
    machine: str | None, key: str, value: str, configuration: str | None = None
) -> Change:
    """Another default of a question, checked by its type and qualifiers (§9.5.1).

    Args:
        key: the full one (class, key, instance), or the key alone where one question has it.

    Raises (when applied): DescriptorError: no such question, several, a value it does not accept, or a
        password, which is no thing to write into a package.
    """

    def change(envelope: Envelope) -> None:
        element, asked = _asked(envelope, machine, key)
        if asked.password:
            raise DescriptorError(
                "this is a password, and everybody can read a package",
                subject=asked.key,
                remedy="Leave it to whoever deploys the package",
            )
        if why := problem(asked, value):
            raise DescriptorError(f"the value {why}", subject=asked.key)
        written = normal(asked, value)
        if configuration is None:
            put(element, "value", written)
            return
        if configuration not in {each.id for each in envelope.configurations}:
            raise DescriptorError(f"there is no deployment option '{configuration}'", subject=key)
        for each in xml.children(element, "Value"):
            if (xml.attr(each, "configuration") or "").split() == [configuration]:
                put(each, "value", written)
                return
        made = inserted(element, "Value", after=("Label", "Description", "Value"))
        put(made, "value", written)
        put(made, "configuration", configuration)

    return change


def _asked(envelope: Envelope, machine: str | None, key: str) -> tuple[etree._Element, Property]:
    appliance, _ = envelope.appliance()
    owner = None if machine is None else _id(system(envelope, machine))
    known = [p for p in appliance.properties if owner is None or p.owner == owner]
    fitting = [each for each in known if key in {each.key, each.address}]
    fitting = fitting or [each for each in known if f".{key}." in f".{each.key}."]
    if len(fitting) != 1:
        what = f"{len(fitting)} questions are" if fitting else "no question is"
        listed = ", ".join(each.address for each in (fitting or known)[:12])
        raise DescriptorError(
            f"{what} called '{key}'",
            subject=envelope.subject,
            remedy=f"There are: {listed}" if listed else "It asks nothing",
        )
    asked = fitting[0]
    holders = [each for each in systems(envelope) if _id(each) == asked.owner]
    if not asked.owner:
        holders = [envelope.root, *([envelope.content] if envelope.content is not None else [])]
    for holder in holders:
        for section in xml.children(holder, "ProductSection"):
            parts = [xml.attr(section, "class") or "", "", xml.attr(section, "instance") or ""]
            for element in xml.children(section, "Property"):
                parts[1] = xml.attr(element, "key") or ""
                if ".".join(each for each in parts if each) == asked.key:
                    return element, asked
    raise DescriptorError(f"the question '{key}' cannot be edited here", subject=envelope.subject)


def add_licence(machine: str | None, text: str) -> Change:
    """One licence more (§9.6)."""
    if not text.strip():
        raise DescriptorError("the licence has no text")

    def change(envelope: Envelope) -> None:
        section = new_section(_owner(envelope, machine), "EulaSection", "A licence agreement")
        put_text(child_made(section, "License", after=("Info",)), text)

    return change


# ------------------------------------------------------------------------------ options, languages
def add_configuration(id_: str, label: str, description: str, default: bool) -> Change:
    """A deployment option (§9.8); hardware of its own comes by `set_processors` and `set_memory`."""

    def change(envelope: Envelope) -> None:
        if any(each.id == id_ for each in envelope.configurations):
            raise DescriptorError(f"there is a deployment option '{id_}'", subject=envelope.subject)
        section = next(envelope.sections("DeploymentOptionSection"), None)
        if section is None:
            section = inserted(
                envelope.root,
                "DeploymentOptionSection",
                after=("References", "DiskSection", "SharedDiskSection", "NetworkSection"),
            )
            appended(section, "Info").text = "The deployment options"
        option = appended(section, "Configuration")
        put(option, "id", id_)
        if default:
            put(option, "default", "true")
        put_text(appended(option, "Label"), label or id_)
        put_text(appended(option, "Description"), description)
        envelope.touched()

    return change


def add_texts(language: str, texts: Mapping[str, str]) -> Change:
    """Translations of what the descriptor says, by the text that is translated (§10).

    Raises (when applied): DescriptorError: it says no such thing, or no such language exists.
    """
    if not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", language):
        raise DescriptorError(f"'{language}' is no language", remedy="Write it like de or de-DE")

    def change(envelope: Envelope) -> None:
        said: dict[str, list[etree._Element]] = {}
        for each in envelope.root.iter():
            if xml.local(each) in _TRANSLATED:
                said.setdefault(xml.text(each).strip(), []).append(each)
        bundle = etree.Element(named(envelope.root, "Strings"))
        bundle.set(f"{{{n.XML}}}lang", language)
        taken = {xml.attr(each, "msgid") or "" for each in envelope.root.iter() if xml.local(each)}
        for text, translation in texts.items():
            found = said.get(text.strip(), [])
            if not found:
                raise DescriptorError(f"nothing in the package says '{text}'", subject=language)
            known = next((id_ for each in found if (id_ := xml.attr(each, "msgid"))), None)
            key = known or free("text", taken)
            taken.add(key)
            for each in found:
                put(each, "msgid", xml.attr(each, "msgid") or key)
            message = appended(bundle, "Msg")
            put(message, "msgid", key)
            message.text = xml.printable(translation)
        envelope.root.append(bundle)

    return change


# --------------------------------------------------------------------------------------- networks
def rename_network(old: str, new: str) -> Change:
    """Another name of a network, where it is declared and wherever it is used.

    Raises (when applied): DescriptorError: there is none of the old name, or one of the new already.
    """

    def change(envelope: Envelope) -> None:
        declared = [
            each
            for section in envelope.sections("NetworkSection")
            for each in xml.children(section, "Network")
        ]
        known = {xml.attr(each, "name") or "": each for each in declared}
        used = [
            connection
            for each in systems(envelope)
            for section in xml.children(each, "VirtualHardwareSection")
            for item in hardware_items(section)
            for connection in xml.children(item)
            if xml.local(connection) == "Connection" and xml.text(connection).strip() == old
        ]
        if old not in known and not used:
            raise DescriptorError(
                f"there is no network '{old}'",
                subject=envelope.subject,
                remedy=f"There are: {', '.join(known)}" if known else "",
            )
        if new in known or not new.strip():
            raise DescriptorError(f"'{new}' is the name of a network already" if new.strip() else
                                  "a network has a name", subject=envelope.subject)  # fmt: skip
        if old in known:
            put(known[old], "name", new)
        for each in used:
            each.text = new

    return change


# --------------------------------------------------------------------------------- files and disks
def add_file(href: str, size: int) -> Change:
    """A file of the package (§7.1). Raises (when applied): DescriptorError: it is there already."""

    def change(envelope: Envelope) -> None:
        if any(each.href == href for each in envelope.files):
            raise DescriptorError("the package has a file of that name", subject=href)
        _new_file(envelope, href, size)

    return change


def _new_file(envelope: Envelope, href: str, size: int) -> str:
    references = xml.child(envelope.root, "References")
    if references is None:
        references = etree.Element(named(envelope.root, "References"))
        envelope.root.insert(0, references)
    file = appended(references, "File")
    id_ = free("file", {each.id for each in envelope.files})
    put(file, "href", href)
    put(file, "id", id_)
    put(file, "size", str(size))
    envelope.touched()
    return id_


def remove_file(href: str) -> Change:
    """Take a file out of the references; one that a disk lies in goes with `remove_disk`.

    Raises (when applied): DescriptorError: there is none, or something refers to it.
    """

    def change(envelope: Envelope) -> None:
        file = next((each for each in envelope.files if each.href == href), None)
        if file is None:
            raise DescriptorError("the package has no such file", subject=href)
        users = [xml.kind(each) for each in envelope.root.iter() if isinstance(each.tag, str)
                 and xml.attr(each, "fileRef") == file.id]  # fmt: skip
        users += [f"a drive ({text})" for text in _host_resources(envelope)
                  if re.fullmatch(rf"(?:ovf:)?/+file/{re.escape(file.id)}", text)]  # fmt: skip
        if users:
            raise DescriptorError(
                f"the file is used: {', '.join(users)}",
                subject=href,
                remedy="Remove the disk that lies in it, or what refers to it, first",
            )
        _remove_file(envelope, file.id)

    return change


def _host_resources(envelope: Envelope) -> Iterator[str]:
    for each in envelope.root.iter():
        if isinstance(each.tag, str) and xml.local(each) == "HostResource":
            yield xml.text(each).strip()


def _remove_file(envelope: Envelope, id_: str) -> None:
    for references in xml.children(envelope.root, "References"):
        for file in list(xml.children(references, "File")):
            if xml.attr(file, "id") == id_:
                removed(file)
    envelope.touched()


def set_capacity(disk: str, capacity: int) -> Change:
    """Another capacity of a disk in bytes (§9.1); what its file holds is not looked at here."""
    if not 0 < capacity < 1 << 62:
        raise DescriptorError("that is no capacity of a disk")

    def change(envelope: Envelope) -> None:
        element = _disk(envelope, disk)
        unit = multiplier(xml.attr(element, "capacityAllocationUnits") or "byte") or 1
        if capacity % unit:
            put(element, "capacityAllocationUnits", "byte")
            unit = 1
        put(element, "capacity", str(capacity // unit))

    return change


def _disk(envelope: Envelope, disk: str) -> etree._Element:
    elements = {each.id: each.element for each in envelope.disks}
    found = elements.get(disk)
    if found is None:
        raise DescriptorError(f"there is no disk '{disk}'", subject=envelope.subject,
                              remedy=f"There are: {', '.join(elements)}")  # fmt: skip
    return found


def add_disk(machine: str | None, href: str, size: int, capacity: int, format_: str) -> Change:
    """A disk in a file of the package, attached to the machine: on a SCSI controller that has room.

    Args:
        href: name of the file, which must be new.
        size, capacity: bytes of the file and of the disk.
        format_: URI of the format.
    """

    def change(envelope: Envelope) -> None:
        if any(each.href == href for each in envelope.files):
            raise DescriptorError("the package has a file of that name", subject=href)
        hardware = _hardware(envelope, machine)
        file = _new_file(envelope, href, size)
        section = next(envelope.sections("DiskSection"), None)
        if section is None:
            section = etree.Element(named(envelope.root, "DiskSection"))
            behind(envelope.root, section, ("References",))
            appended(section, "Info").text = "The disks of this package"
        element = appended(section, "Disk")
        id_ = free("disk", {each.id for each in envelope.disks})
        for name, value in (
            ("capacity", str(capacity)), ("diskId", id_), ("fileRef", file), ("format", format_),
        ):  # fmt: skip
            put(element, name, value)
        envelope.touched()
        for each in hardware:
            parent, place = _place(each)
            item = new_item(each, n.DISK)
            put_field(item, "AddressOnParent", str(place))
            put_field(item, "HostResource", f"ovf:/disk/{id_}")
            put_field(item, "Parent", parent)
            put_field(item, "ElementName", f"Hard disk ({href})")

    return change


def _place(section: etree._Element) -> tuple[str, int]:
    """A controller's InstanceID and a free address on it; a SCSI controller is made where none has room."""
    taken: dict[str, set[str]] = {}
    for item in hardware_items(section):
        taken.setdefault(field(item, "Parent"), set()).add(field(item, "AddressOnParent"))
    for type_ in (n.SCSI, n.OTHER_STORAGE, n.IDE):
        for item in hardware_items(section):
            if resource_type(item) != type_:
                continue
            id_ = field(item, "InstanceID") or field(item, "InstanceId")
            for place in _PLACES[type_]:
                if id_ and str(place) not in taken.get(id_, set()):
                    return id_, place
    made = new_item(section, n.SCSI)
    put_field(made, "ElementName", "SCSI controller")
    put_field(made, "ResourceSubType", "lsilogic")
    return field(made, "InstanceID"), 0


def remove_disk(disk: str) -> Change:
    """Take a disk out: its entry, the drives it is in, and its file where no other disk lies in it.

    Raises (when applied): DescriptorError: there is none, or another disk is only the difference to it.
    """

    def change(envelope: Envelope) -> None:
        element = _disk(envelope, disk)
        child = next((each.id for each in envelope.disks if each.parent == disk), None)
        if child is not None:
            raise DescriptorError(f"the disk '{child}' is only the difference to it", subject=disk)
        for machine in systems(envelope):
            for section in xml.children(machine, "VirtualHardwareSection"):
                for item in list(hardware_items(section)):
                    if re.fullmatch(
                        rf"(?:ovf:)?/+disk/{re.escape(disk)}", field(item, "HostResource")
                    ):
                        removed(item)
        file = xml.attr(element, "fileRef")
        removed(element)
        envelope.touched()
        if file and not any(each.file == file for each in envelope.disks):
            _remove_file(envelope, file)

    return change
