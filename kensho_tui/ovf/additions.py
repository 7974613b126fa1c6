"""What OVF 2 added to the standard, as typed views: boot devices, scale-out, placement, encryption.

DSP0243 2.1.1 has a section for each; VMware writes two of them (scale-out, placement) into OVF 1.1 as well.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree

from kensho_tui.machine import Boot, Install, PlacementGroup, ScaleOut, SharedResources
from kensho_tui.ovf import items, xml
from kensho_tui.ovf import names as n
from kensho_tui.ovf.names import XENC, XENC11
from kensho_tui.ovf.strings import Strings
from kensho_tui.ovf.units import multiplier

# Words of a boot source, as they are looked for: CIM's own ("CIM:CD/DVD:1") and what people write.
_SOURCES = (
    (Boot.NETWORK, ("network", "pxe", "ethernet", "lan")),
    (Boot.CDROM, ("cd", "dvd", "optical", "iso")),
    (Boot.FLOPPY, ("floppy", "diskette")),
    (Boot.DISK, ("disk", "hdd", "hard")),
)
_SAYING = (
    "StructuredBootString",
    "BIOSBootString",
    "BootString",
    "Caption",
    "ElementName",
    "Description",
)


@dataclass(frozen=True, slots=True)
class Encrypted:
    """One file of the package that is encrypted.

    Attributes:
        file: id of the file in the References; "" for what names none.
        algorithm: of the file or else of its key, the last part of its URI: ``aes256-cbc``.
    """

    file: str
    algorithm: str
    line: int | None = None


def boot_order(section: etree._Element) -> tuple[Boot, ...]:
    """The devices of a BootDeviceSection, in order; those that are not known are left out."""
    found: list[Boot] = []
    for source in section.iter("{*}CIM_BootSourceSetting"):
        for name in _SAYING:
            words = xml.text(xml.child(source, name)).lower()
            boot = next((each for each, known in _SOURCES if any(w in words for w in known)), None)
            if boot is not None:
                if boot not in found:
                    found.append(boot)
                break
    return tuple(found)


def encrypted(section: etree._Element) -> Iterator[Encrypted]:
    """The files that an EncryptionSection says are encrypted; where it names none, one without a file.

    The keys of an EncryptionSection (XML Encryption 1.1) list what they decrypt as DataReferences. So does
    XenCenter's SecuritySection, in elements and an attribute of its own.
    """
    found: dict[str, Encrypted] = {}
    for key in xml.children(section, "EncryptedKey", "DerivedKey", "Security"):
        algorithm = _algorithm(key)
        references = [
            *key.iter(f"{{{XENC}}}DataReference"),
            *key.iter(f"{{{XENC}}}CipherReference"),
        ]
        for reference in references or [key]:
            uri = reference.get("URI") or reference.get("ValueType") or ""
            name = uri.removeprefix("ovf:").lstrip("/").removeprefix("file/").lstrip("#")
            found.setdefault(name, Encrypted(name, algorithm, xml.line(reference)))
    yield from found.values() or [Encrypted("", "", xml.line(section))]


@dataclass(frozen=True, slots=True)
class OfMachine:
    """What sections of a VirtualSystem say of it beside its hardware.

    Attributes:
        first: InstanceID of the disk that boots first, where VMware's BootOrderSection says.
    """

    install: Install | None = None
    placement: str = ""
    boot_order: tuple[Boot, ...] = ()
    first: str | None = None


def of_machine(system: etree._Element) -> OfMachine:
    """See `OfMachine`; of two sections of a kind the first holds."""
    sections = {xml.kind(each): each for each in reversed(list(xml.children(system)))}
    installs, placed = sections.get("InstallSection"), sections.get("PlacementSection")
    devices, vmware = sections.get("BootDeviceSection"), sections.get("BootOrderSection")
    order: tuple[Boot, ...] = () if devices is None else boot_order(devices)
    first = None
    if vmware is not None and not order:
        kind = vmware.get(f"{{{n.VMW}}}type", "").lower()
        boot = next((each for each, known in _SOURCES if any(w in kind for w in known)), None)
        if boot is Boot.DISK:
            first = vmware.get(f"{{{n.VMW}}}instanceId")
        elif boot is not None:
            order = (boot, Boot.DISK)
    return OfMachine(
        install=None if installs is None else install(installs),
        placement="" if placed is None else xml.attr(placed, "group") or "",
        boot_order=order,
        first=first,
    )


def install(section: etree._Element) -> Install | None:
    """What an InstallSection asks for; None where its first start installs nothing."""
    if not xml.flag(section, "initialBoot", default=True):
        return None
    return Install(xml.number(xml.attr(section, "initialBootStopDelay")) or 0)


def placement_group(section: etree._Element, strings: Strings) -> PlacementGroup:
    """A PlacementGroupSection."""
    return PlacementGroup(
        id=xml.attr(section, "id") or "",
        policy=(xml.attr(section, "policy") or "").strip().lower(),
        description=strings.message(xml.child(section, "Description")),
    )


def scale_out(section: etree._Element, configuration: str, strings: Strings) -> ScaleOut | None:
    """A ScaleOutSection for a deployment option; None where it counts nothing for it."""
    counts = list(xml.children(section, "InstanceCount"))
    bound = [e for e in counts if configuration in (xml.attr(e, "configuration") or "").split()]
    chosen = next(iter(bound), None)
    if chosen is None:
        chosen = next((each for each in counts if xml.attr(each, "configuration") is None), None)
    if chosen is None:
        return None
    least = xml.number(xml.attr(chosen, "minimum"))
    usual = xml.number(xml.attr(chosen, "default"))
    least = 1 if least is None else least
    return ScaleOut(
        of=xml.attr(section, "id") or "",
        default=least if usual is None else usual,
        minimum=least,
        maximum=xml.number(xml.attr(chosen, "maximum")),
        description=strings.message(xml.child(section, "Description")),
    )


def shared_resources(
    section: etree._Element, owner: str, configuration: str
) -> SharedResources | None:
    """A ResourceAllocationSection: reservations and limits of processors and memory; None: of neither."""
    amounts: dict[str, int | None] = {}
    for item in items.resolve(section, configuration):
        unit = multiplier(item.get("AllocationUnits") or "byte") or 1
        name = {n.PROCESSOR: "processor", n.MEMORY: "memory"}.get(item.type or 0)
        for word in ("Reservation", "Limit"):
            amount = item.number(word)
            if name == "memory" and amount is not None:
                amounts[f"memory_{word.lower()}"] = amount * unit
            elif name == "processor" and amount is not None:
                amounts[f"processor_{word.lower()}_mhz"] = amount * unit // 10**6
    return SharedResources(owner, **amounts) if amounts else None


def _algorithm(key: etree._Element) -> str:
    names = (f"{{{XENC}}}EncryptionMethod", f"{{{XENC11}}}KeyDerivationMethod")
    for name in names:
        for method in key.iter(name):
            return str(method.get("Algorithm", "")).rpartition("#")[2]
    return ""
