"""The edits that profiles are made of: each changes a descriptor's tree, and notes what is lost by it."""

import re
from collections.abc import Callable, Iterator, Mapping

from lxml import etree

from kensho_tui.findings import Finding, Severity
from kensho_tui.machine import Firmware
from kensho_tui.ovf import hardware, items, vendor, xml
from kensho_tui.ovf import names as n
from kensho_tui.ovf.edits.drives import disk_place, made_controller, place
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.rules.features import controller_bus
from kensho_tui.ovf.tree import (
    drop,
    field,
    hardware_items,
    named,
    put,
    put_field,
    removed,
    resource_type,
)
from kensho_tui.ovf.units import multiplier

MIB = 1 << 20
_IDE_DRIVES = 4  # two controllers with two each
_HARDWARE = ("VirtualHardwareSection", "ResourceAllocationSection")
_STANDARD = frozenset({*n.ENVELOPES, n.RASD, n.VSSD, n.SASD, n.EPASD, n.BOOT_CONFIG, n.BOOT_SOURCE})
_SPARED = _STANDARD | {"", n.XENC, n.XENC11, n.XSI}
_NAMES = {
    n.VMW: "VMware's", n.XENOVF: "XenCenter's", n.VBOX: "VirtualBox's", n.KENSHO: "Kensho's",
}  # fmt: skip
_PROPERTY = re.compile(r"\$\{([^}]+)\}")


class Edits:
    """Edits of one descriptor, in its tree."""

    def __init__(
        self, envelope: Envelope, configuration: str | None, note: Callable[[Finding], None]
    ) -> None:
        """Args: configuration: deployment option to resolve; None: the default one."""
        self.root = envelope.root
        self._note = note
        self._options = [each.id for each in envelope.configurations]
        usual = next((each.id for each in envelope.configurations if each.default), "")
        self._option = usual if configuration is None else configuration
        resolved, _ = envelope.appliance(configuration)
        self._sizes = {str(disk.id): disk.capacity for disk in resolved.disks.values()}

    def tell(
        self, id_: str, message: str, subject: str = "", element: etree._Element | None = None,
        severity: Severity = Severity.WARNING,
    ) -> None:  # fmt: skip
        """Note what is lost, or (info) said otherwise."""
        line = None if element is None else xml.line(element)
        self._note(Finding(id_, severity, message, subject, line=line))

    def systems(self) -> Iterator[tuple[etree._Element, str]]:
        """The machines, and how the operator knows them."""
        for system in list(self.root.iter("{*}VirtualSystem")):
            name = xml.text(xml.child(system, "Name")).strip() or xml.attr(system, "id") or ""
            yield system, name

    def sections(self) -> Iterator[tuple[etree._Element, str]]:
        """The hardware of all machines."""
        for system, name in self.systems():
            for section in list(xml.children(system, "VirtualHardwareSection")):
                yield section, name

    # -------------------------------------------------------------------------------- one of several
    def one_hardware(self, target: str) -> None:
        """Of several hardware descriptions of a machine that for the target."""
        for system, name in self.systems():
            sections = list(xml.children(system, "VirtualHardwareSection"))
            chosen = hardware.choose(sections, target)
            for section in sections:
                if section is not chosen:
                    families = " ".join(hardware.families_of(section)) or "none told"
                    self.tell("hardware-left", f"The hardware for {families} is left out: all of them would be"
                              " taken together.", name, section)  # fmt: skip
                    removed(section)

    def resolve(self) -> None:
        """One deployment option, and of ranges the normal value."""
        for section in list(self.root.iter(*(f"{{*}}{name}" for name in _HARDWARE))):
            kept = {each.element for each in items.resolve(section, self._option)}
            for item in list(hardware_items(section)):
                if item not in kept:
                    removed(item)
                    continue
                drop(item, "configuration")
                drop(item, "bound")
        for element in list(self.root.iter("{*}Property")):
            wanted = (xml.attr(element, "configuration") or "").split()
            if wanted and self._option not in wanted:
                removed(element)
                continue
            drop(element, "configuration")
            for value in list(xml.children(element, "Value")):
                if self._option in (xml.attr(value, "configuration") or "").split():
                    put(element, "value", xml.attr(value, "value") or "")
                removed(value)
        for section in list(xml.children(self.root, "DeploymentOptionSection")):
            rest = [f"'{each}'" for each in self._options if each != self._option]
            others = ", ".join(rest) + (" is" if len(rest) == 1 else " are")
            removed(section)
            if rest:
                self.tell("options-resolved", f"The package is for the deployment option '{self._option}';"
                          f" {others} left out (--configuration takes another).",
                          element=section)  # fmt: skip

    def capacities(self) -> None:
        """Capacities in bytes; those that are a property get its default."""
        for section in xml.children(self.root, "DiskSection", "SharedDiskSection"):
            for disk in xml.children(section, "Disk", "SharedDisk"):
                id_, written = xml.attr(disk, "diskId") or "", xml.attr(disk, "capacity") or ""
                size = self._sizes.get(id_)
                if size is None:
                    if _PROPERTY.fullmatch(written):
                        self.tell("capacity-open", f"Its capacity is the property '{written[2:-1]}', which has"
                                  " no default: give it one (kensho package edit --set property:…).",
                                  id_, disk)  # fmt: skip
                    continue
                if _PROPERTY.fullmatch(written):
                    self.tell("capacity-fixed", f"Its capacity is {size} bytes, and does not follow the answer"
                              f" to '{written[2:-1]}' any more.", id_, disk)  # fmt: skip
                elif (xml.attr(disk, "capacityAllocationUnits") or "byte") == "byte":
                    continue
                put(disk, "capacity", str(size))
                put(disk, "capacityAllocationUnits", "byte")

    def memory(self) -> None:
        """Memory in MiB, which everybody reads."""
        for section, name in self.sections():
            for item in hardware_items(section):
                written = field(item, "AllocationUnits") or field(item, "VirtualQuantityUnits")
                unit = multiplier(written) if written else None
                if resource_type(item) != n.MEMORY or unit in {None, MIB}:
                    continue
                for word in ("VirtualQuantity", "Reservation", "Limit"):
                    amount = xml.number(field(item, word))
                    if amount is None or unit is None:
                        continue
                    whole, rest = divmod(amount * unit, MIB)
                    if rest and word == "VirtualQuantity":
                        self.tell("memory-rounded", f"Its memory is {whole + 1} MiB, a little more than before:"
                                  " many read whole MiB alone.", name, item, Severity.INFO)  # fmt: skip
                    put_field(item, word, str(whole + bool(rest)))
                put_field(item, "AllocationUnits", "byte * 2^20")

    # -------------------------------------------------------------------------------- hardware
    def family(self, family: str, known: str) -> None:
        """A hardware family of theirs, where none is named."""
        for section, name in self.sections():
            named_ones = hardware.families_of(section)
            mine = [each for each in named_ones if re.fullmatch(known, each, re.IGNORECASE)]
            if list(named_ones) == mine and mine:
                continue
            system = xml.child(section, "System")
            if system is None:
                system = etree.Element(named(section, "System"))
                info = xml.child(section, "Info")
                section.insert(0 if info is None else 1, system)
                for word, value in (
                    ("ElementName", "Virtual Hardware Family"),
                    ("InstanceID", "0"),
                ):
                    etree.SubElement(system, f"{{{n.VSSD}}}{word}").text = value
            put_field(system, "VirtualSystemType", " ".join(mine) or family, n.VSSD)
            if named_ones:
                self.tell("family-written", f"Its hardware family is {' '.join(mine) or family}, which was"
                          f" {' '.join(named_ones)}.", name, section, Severity.INFO)  # fmt: skip

    def plain_controllers(self, models: Mapping[str, str]) -> None:
        """Controllers of Xen's, KVM's or no known kind become SCSI ones; others get the model that they know.

        Args: models: by bus, the one ResourceSubType that its controllers may have.
        """
        for section, name in self.sections():
            for item in hardware_items(section):
                read = items.read(item)
                bus = controller_bus(read)
                if bus in models and read.subtype.lower() != models[bus].lower():
                    put_field(item, "ResourceSubType", models[bus])
                elif bus in {"xen", "virtio", "other", "floppy"}:
                    before = read.subtype or "of a kind that is not told"
                    put_field(item, "ResourceType", str(n.SCSI))
                    put_field(item, "ResourceSubType", "lsilogic")
                    self.tell("controller-written", f"The controller '{read.label}' ({before}) is an lsilogic"
                              " one: the guest needs its driver.", name, item)  # fmt: skip

    def attach(self) -> None:
        """A controller for every disk and CD drive that has none.

        Where there is no controller at all, up to four drives are IDE's, disks first: a guest of Xen's was
        started by such ones, and knows them.
        """
        for section, name in self.sections():
            known = {
                field(each, "InstanceID")
                for each in hardware_items(section)
                if resource_type(each) in {n.IDE, n.SCSI, n.OTHER_STORAGE}
            }
            loose = [
                each
                for each in hardware_items(section)
                if resource_type(each) in {n.DISK, n.CDROM} and field(each, "Parent") not in known
            ]
            loose.sort(key=lambda each: resource_type(each) == n.CDROM)
            ide = not known and len(loose) <= _IDE_DRIVES
            for item in loose:
                parent, unit = self._place(section, ide=ide or resource_type(item) == n.CDROM)
                put_field(item, "Parent", parent)
                put_field(item, "AddressOnParent", str(unit))
                self.tell("drive-attached", f"The drive '{items.read(item).label}' hung on no controller; it"
                          f" hangs on '{parent}' now, at {unit}.", name, item, Severity.INFO)  # fmt: skip

    @staticmethod
    def _place(section: etree._Element, *, ide: bool) -> tuple[str, int]:
        if not ide:
            return disk_place(section)
        found = place(section, [n.IDE])
        if found is None:
            made_controller(section, n.IDE, "", "IDE")
            found = place(section, [n.IDE])
        return found or disk_place(section)

    # -------------------------------------------------------------------------------- vendors
    def xen_firmware(self) -> None:
        """What starts the machine in XenCenter's words: those of others go, and may say otherwise."""
        for system, _ in self.systems():
            for section in xml.children(system, "VirtualHardwareSection"):
                found = vendor.settings(system, section)
                uefi = found.firmware is Firmware.UEFI
                kept = {name.partition(":")[2]: value for name, value in found.extras.items()}
                params, platform = kept.get("HVM_boot_params", ""), kept.get("platform", "")
                if uefi or "firmware=" in params:
                    usual = params or "order=dc"
                    _xen_setting(section, "HVM_boot_params",
                                 _with_word(usual, "firmware", "uefi" if uefi else "bios"))  # fmt: skip
                if uefi and not kept.get("HVM_boot_policy"):
                    _xen_setting(section, "HVM_boot_policy", "BIOS order")
                if found.secure_boot or "secureboot=" in platform:
                    secure = "true" if found.secure_boot else "false"
                    _xen_setting(section, "platform", _with_word(platform, "secureboot", secure))

    def vendors(self, kept: frozenset[str]) -> None:
        """Vendors' sections and elements go, but those in the namespaces that stay, which are optional then."""
        gone: dict[tuple[str, str], etree._Element] = {}
        started = {name: self._firmware(system) for system, name in self.systems()}
        for element in list(self.root.iter(etree.Element)):
            space, parent = xml.namespace(element), element.getparent()
            if xml.local(element) == "VirtualSystemOtherConfigurationData":
                space = n.XENOVF  # XenCenter writes it into the standard's
            if parent is None or xml.namespace(parent) not in _STANDARD or space in _SPARED:
                continue
            name = xml.local(element)
            stumbled = name in {"StorageGroupSection", "StorageSection"}
            if space in kept and not stumbled:
                if xml.flag(element, "required", default=True):
                    put(element, "required", "false")
                continue
            gone.setdefault((space, name), element)
            removed(element)
        for (space, name), element in gone.items():
            owner = _NAMES.get(space, f"'{space}':")
            many = "settings are" if name in {"Config", "ExtraConfig", "Extra"} else "is"
            self.tell("vendor-left", f"{owner} {name} {many} left out.", element=element)

        for system, name in self.systems():
            if started[name] is Firmware.UEFI and self._firmware(system) is not Firmware.UEFI:
                self.tell("firmware-unsaid", "That the machine starts by UEFI was a vendor's word and is left"
                          " out: say so where it is imported, or it may not start.", name, system)  # fmt: skip

    @staticmethod
    def _firmware(system: etree._Element) -> Firmware:
        section = hardware.choose(list(xml.children(system, "VirtualHardwareSection")))
        return vendor.settings(system, section).firmware

    def start_order(self) -> None:
        """A start order that does not stand in a collection, which is where the standard has it."""
        for section in list(xml.children(self.root, "StartupSection")):
            self.tell("start-order-left", "The start order stands in the envelope, where others refuse or"
                      " ignore it; it is left out.", element=section)  # fmt: skip
            removed(section)


def _with_word(text: str, key: str, value: str) -> str:
    """XenCenter's ``key=value;key=value`` with that word; the others stay as they are."""
    parts = [each for each in text.split(";") if each and each.partition("=")[0].strip() != key]
    return ";".join([*parts, f"{key}={value}"])


def _xen_setting(section: etree._Element, key: str, value: str) -> None:
    """One VirtualSystemOtherConfigurationData, in place of those of that name."""
    for each in list(xml.children(section, "VirtualSystemOtherConfigurationData")):
        if key in {each.get("Name"), each.get(f"{{{n.XENOVF}}}Name")}:
            if xml.text(xml.child(each, "Value")) == value:
                return
            removed(each)
    name = f"{{{n.XENOVF}}}VirtualSystemOtherConfigurationData"
    made = etree.SubElement(section, name, nsmap={"xenovf": n.XENOVF})
    made.set("Name", key)
    put(made, "required", "false")
    etree.SubElement(made, f"{{{n.XENOVF}}}Info").text = "XenServer specific information"
    etree.SubElement(made, f"{{{n.XENOVF}}}Value").text = value
