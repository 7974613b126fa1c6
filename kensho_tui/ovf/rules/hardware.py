"""Rules of virtual hardware: Items, their parents, quantities and ranges (DSP0243 2.1.1 §8)."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from lxml import etree

from kensho_tui.machine import canonical_mac
from kensho_tui.ovf import hardware, items, xml
from kensho_tui.ovf import names as n
from kensho_tui.ovf.items import FIELDS, KINDS, Item
from kensho_tui.ovf.rules.storage import HOST_RESOURCE, proper, spelling
from kensho_tui.ovf.rules.walk import Holder, Walk
from kensho_tui.ovf.tree import put_field
from kensho_tui.ovf.units import multiplier

_CONTROLLERS = frozenset({n.IDE, n.SCSI, n.OTHER_STORAGE})
_ON_CONTROLLERS = frozenset({n.CDROM, n.DVD, n.DISK})
_DRIVES = _ON_CONTROLLERS | {n.FLOPPY, n.STORAGE_EXTENT, n.LOGICAL_DISK, n.STORAGE_VOLUME}
_LAST_TYPE, _VENDOR_TYPES = 35, 0x8000
_MIB = 1 << 20


def rules(walk: Walk) -> None:
    """All of them."""
    macs: dict[str, str] = {}
    for system in walk.systems:
        for section in xml.children(system.element, "VirtualHardwareSection"):
            _Section(walk, system, section).rules(macs)


@dataclass(slots=True)
class _Section:
    """One VirtualHardwareSection."""

    walk: Walk
    system: Holder
    element: etree._Element

    def note(self, id_: str, item: Item | etree._Element, message: str) -> None:
        element = item.element if isinstance(item, Item) else item
        self.walk.note(id_, element, message, self.system.subject)

    def rules(self, macs: dict[str, str]) -> None:
        found = [items.read(each) for each in xml.children(self.element, *KINDS)]
        self.family()
        self.names(found)
        self.instances(found)
        self.ranges(found)
        for item in found:
            self.fields(item)
            self.quantities(item)
            if item.type in _DRIVES:
                self.resource(item)
            if item.type == n.ETHERNET:
                self.adapter(item, macs)
        self.parents(found)
        self.clashes()

    # ----------------------------------------------------------------------------------- family
    def family(self) -> None:
        system = xml.child(self.element, "System")
        if system is None:
            self.note("system-missing", self.element,
                      "The hardware does not say for which virtualization it is; for any, then.")  # fmt: skip
            return
        typed = xml.child(system, "VirtualSystemType")
        if typed is None:
            return
        families = hardware.families_of(self.element)
        if " ".join(families) == xml.text(typed).strip():
            return

        def mend() -> str:
            typed.text = " ".join(families)
            return f"VirtualSystemType is '{typed.text}'."

        self.walk.note("family-list-odd", typed, f"VirtualSystemType is '{xml.text(typed).strip()}', taken as"
                       f" {len(families)} of them.", self.system.subject, mend=mend)  # fmt: skip

    # ------------------------------------------------------------------------- ids, names, types
    def names(self, found: list[Item]) -> None:
        """Misspelt InstanceIDs and missing ElementNames: one finding for all of them."""
        system = xml.child(self.element, "System")
        holders = [each.element for each in found] + ([] if system is None else [system])
        odd = [field for each in holders for field in xml.children(each, "InstanceId")]

        def rename() -> str:
            for field in odd:
                space = xml.namespace(field)
                field.tag = f"{{{space}}}InstanceID" if space else "InstanceID"
            return f"{len(odd)} of InstanceId are InstanceID."

        if odd:
            self.walk.note("instance-spelling", odd[0], f"InstanceID is spelled InstanceId {len(odd)} times,"
                           " and read as meant.", self.system.subject, mend=rename)  # fmt: skip
        nameless = [each for each in found if not each.get("ElementName")]

        def name() -> str:
            for item in nameless:
                put_field(item.element, "ElementName", item.label)
            return f"{len(nameless)} Items have an ElementName."

        if nameless:
            self.walk.note("element-name-missing", nameless[0].element, f"{len(nameless)} Items have no"
                           " ElementName; Caption, Description or what they are is taken for it.",
                           self.system.subject, mend=name)  # fmt: skip

    def instances(self, found: list[Item]) -> None:
        seen: dict[str, list[Item]] = {}
        for item in found:
            if not item.instance:
                self.note("instance-missing", item, f"'{item.label}' has no InstanceID.")
                continue
            if any(_both(item, other) for other in seen.get(item.instance, ())):
                self.note("instance-twice", item, f"The InstanceID '{item.instance}' occurs twice.")
            seen.setdefault(item.instance, []).append(item)

    def fields(self, item: Item) -> None:
        if item.type is None:
            self.note("resource-type-missing", item,
                      f"'{item.label}' does not say what kind of resource it is and is left out.")  # fmt: skip
        elif not 1 <= item.type <= _LAST_TYPE and item.type < _VENDOR_TYPES:
            self.note("resource-type-unknown", item,
                      f"'{item.label}' is of the type {item.type}, which CIM does not have.")  # fmt: skip
        own = {n.RASD, xml.namespace(item.element)}
        own |= {
            space
            for space in map(xml.namespace, item.element)
            if "CIM_" in space or "cim-schema" in space
        }
        for field in xml.children(item.element):
            if xml.namespace(field) in own and xml.local(field) not in FIELDS:
                self.note("item-field-unknown", field,
                          f"CIM has no '{xml.local(field)}'; it is left out.")  # fmt: skip

    # ------------------------------------------------------------------------------- quantities
    def quantities(self, item: Item) -> None:
        for name in ("VirtualQuantity", "Reservation", "Limit"):
            written = item.get(name)
            if written and item.number(name) is None and not written.startswith("${"):
                self.note("quantity-unreadable", item,
                          f"{name} of '{item.label}' is '{written}', which is no number.")  # fmt: skip
        if item.type != n.MEMORY:
            return
        quantity, reserved = item.number("VirtualQuantity"), item.number("Reservation")
        if quantity is not None and reserved is not None and reserved > quantity and not item.bound:
            self.note(
                "reservation-large", item, f"'{item.label}' reserves {reserved} of {quantity}."
            )
        self.units(item)

    def units(self, item: Item) -> None:
        written = item.get("AllocationUnits")
        taken = written or item.get("VirtualQuantityUnits")
        unit = memory_unit(item)
        if unit is None:
            self.note("units-unknown", item, f"Memory in '{taken}' cannot be read.")
            return
        spelled = spelling(unit)
        if written and proper(written):
            return

        def mend() -> str:
            put_field(item.element, "AllocationUnits", spelled)
            return f"AllocationUnits of '{item.label}' are '{spelled}'."

        words = f"is in '{taken}'" if taken else "does not say its units"
        self.walk.note("units-odd" if written else "units-missing", item.element,
                       f"'{item.label}' {words}, taken as '{spelled}'.", self.system.subject,
                       mend=mend)  # fmt: skip

    def ranges(self, found: list[Item]) -> None:
        groups: dict[tuple[str, int | None, tuple[str, ...]], list[Item]] = {}
        for item in found:
            if item.bound and item.bound not in {"min", "max", "normal"}:
                self.note(
                    "bound-unknown",
                    item,
                    f"'{item.label}' is bound as '{item.bound}'; it is left out where there is another.",
                )
            # Of quantities there is one of each kind; of devices an id tells which belong together.
            single = item.type in {n.PROCESSOR, n.MEMORY}
            key = ("" if single else item.instance, item.type, item.configurations)
            groups.setdefault(key, []).append(item)
        for group in groups.values():
            if not any(item.bound for item in group):
                continue
            seen: set[str] = set()
            for item in group:
                if item.bound in seen:
                    self.note("bound-twice", item,
                              f"'{item.label}' is a second {item.bound}; the first holds.")  # fmt: skip
                elif item.bound:
                    seen.add(item.bound)
            if not any(item.bound in {"", "normal"} for item in group) or not _valued(group):
                self.note("bound-without-normal", group[-1],
                          f"'{group[-1].label}' has no value that is normal.")  # fmt: skip

    # ---------------------------------------------------------------------------------- devices
    def resource(self, item: Item) -> None:
        for field in xml.children(item.element, "HostResource"):
            written = xml.text(field).strip()
            if not written:
                self.note("host-resource-empty", field, f"HostResource of '{item.label}' is empty.")
                continue
            proper_form = self.resource_form(written)
            if proper_form in {None, written}:
                continue
            mend = partial(_retext, field, str(proper_form), f"HostResource of '{item.label}'")
            self.walk.note("host-resource-form", field, f"HostResource of '{item.label}' is '{written}', taken"
                           f" as '{proper_form}'.", self.system.subject, mend=mend)  # fmt: skip

    def resource_form(self, written: str) -> str | None:
        """As the standard writes it; None where it names nothing of this package."""
        match = HOST_RESOURCE.fullmatch(written)
        if match:
            return f"ovf:/{match[1].lower()}/{match[2]}"
        if written in self.walk.disk_ids:
            return f"ovf:/disk/{written}"
        return f"ovf:/file/{written}" if written in self.walk.file_ids else None

    def adapter(self, item: Item, macs: dict[str, str]) -> None:
        if not item.get("Connection"):
            self.note("adapter-network-missing", item, f"'{item.label}' is on no network.")
        written = item.get("Address")
        mac = canonical_mac(written) if written else None
        if written and mac is None:
            self.note("mac-unreadable", item,
                      f"'{written}' of '{item.label}' is no MAC address; the target chooses one.")  # fmt: skip
        owner = f"{self.system.subject}/{item.instance}"
        if mac is not None and macs.setdefault(mac, owner) != owner:
            self.note(
                "mac-twice", item, f"The address {mac} of '{item.label}' is another adapter's too."
            )

    def parents(self, found: list[Item]) -> None:
        by_id = {each.instance: each for each in found if each.instance}
        controllers = {id_ for id_, each in by_id.items() if each.type in _CONTROLLERS}
        taken = {each.get("Parent") for each in found}
        for item in found:
            parent = item.get("Parent")
            if item.type == n.DISK and not parent:
                self.note("drive-unattached", item,
                          f"'{item.label}' hangs on no controller; the target chooses one.")  # fmt: skip
            elif item.type in _ON_CONTROLLERS and parent and parent not in by_id:
                self.note(
                    "controller-missing",
                    item,
                    f"The drive '{item.label}' hangs on controller '{parent}', which is not there.",
                )
            elif item.type in _ON_CONTROLLERS and parent and parent not in controllers:
                self.note(
                    "parent-no-controller",
                    item,
                    f"'{item.label}' hangs on '{by_id[parent].label}', which is no controller.",
                )
        idle = [by_id[id_] for id_ in by_id if id_ in controllers - taken]
        if idle:
            labels = ", ".join(each.label for each in idle)
            self.note("controller-unused", idle[0], f"Nothing hangs on: {labels}.")

    def clashes(self) -> None:
        told: set[etree._Element] = set()
        for option in [each.id for each in self.walk.envelope.configurations] or [""]:
            resolved = items.resolve(self.element, option)
            self.clash(resolved, told, _ON_CONTROLLERS, "address-clash", "AddressOnParent")
            self.clash(resolved, told, _CONTROLLERS, "controller-address-clash", "Address")

    def clash(
        self,
        found: Iterable[Item],
        told: set[etree._Element],
        kinds: frozenset[int],
        id_: str,
        field: str,
    ) -> None:
        taken: dict[tuple[object, str], Item] = {}
        for item in found:
            where = item.get("Parent") if field == "AddressOnParent" else (item.type, item.subtype)
            address = item.get(field)
            if item.type not in kinds or not where or not address:
                continue
            other = taken.setdefault((where, address), item)
            if other is not item and item.element not in told:
                told.add(item.element)
                self.note(
                    id_, item, f"'{item.label}' has {field} {address}, as '{other.label}' has."
                )


def memory_unit(item: Item) -> int | None:
    """Bytes of one of the Item's quantity, as it is read; None for a unit nobody knows."""
    taken = item.get("AllocationUnits") or item.get("VirtualQuantityUnits")
    if taken:
        return multiplier(taken)
    return 1 if (item.number("VirtualQuantity") or 0) >= 4 * _MIB else _MIB


def _both(one: Item, other: Item) -> bool:
    """Whether both Items may be there at once under the same id: not two bounds, nor two options."""
    if one.bound != other.bound:
        return False
    if bool(one.configurations) != bool(other.configurations):
        return one.type != other.type  # one stands in for the other
    return not one.configurations or bool(set(one.configurations) & set(other.configurations))


def _valued(group: list[Item]) -> bool:
    return any(item.get("VirtualQuantity") or item.get("Reservation") for item in group) or all(
        item.type not in {n.PROCESSOR, n.MEMORY} for item in group
    )


def _retext(field: etree._Element, text: str, what: str) -> str:
    field.text = text
    return f"{what} is '{text}'."


__all__ = ["FIELDS", "memory_unit", "rules"]
