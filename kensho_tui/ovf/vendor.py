"""What VMware, XenCenter and VirtualBox say of a machine beyond the standard: firmware, boot order, extras."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lxml import etree

from kensho_tui.machine import Attachment, Boot, Clock, Firmware, GuestOs, Medium
from kensho_tui.ovf import xml
from kensho_tui.ovf.names import KENSHO, VBOX, VMW, XENOVF
from kensho_tui.ovf.strings import Strings

# vmw:Config keys that have a place of their own in `Machine`.
CONSUMED = frozenset({"firmware", "bootOptions.efiSecureBootEnabled"})

_XEN_BOOT = {"c": Boot.DISK, "d": Boot.CDROM, "n": Boot.NETWORK, "a": Boot.FLOPPY}


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one machine that are no Items."""

    firmware: Firmware
    secure_boot: bool
    tpm: bool
    clock: Clock
    boot_order: tuple[Boot, ...]
    uuid: str | None
    extras: Mapping[str, str]


def settings(system: etree._Element, section: etree._Element | None) -> Settings:
    """What the VirtualSystem and its VirtualHardwareSection say."""
    extras: dict[str, str] = {}
    config: dict[str, str] = {}
    for element in () if section is None else xml.children(section):
        space, name = xml.namespace(element), xml.local(element)
        if space == VMW and name in {"Config", "ExtraConfig"}:
            key = element.get(f"{{{VMW}}}key", element.get("key", ""))
            value = element.get(f"{{{VMW}}}value", element.get("value", ""))
            if name == "Config":
                config[key] = value
            if name == "ExtraConfig" or key not in CONSUMED:
                prefix = "vmware:config" if name == "Config" else "vmware:extraConfig"
                extras[f"{prefix}.{key}"] = value
        elif name == "VirtualSystemOtherConfigurationData":
            key = element.get("Name", element.get(f"{{{XENOVF}}}Name", ""))
            extras[f"xenserver:{key}"] = xml.text(xml.child(element, "Value"))
        elif space == KENSHO and name == "Extra":
            extras[element.get("name", "")] = xml.text(element)
    xen = _words(extras.get("xenserver:HVM_boot_params", ""))
    platform = _words(extras.get("xenserver:platform", ""))
    vbox = _virtualbox(system)

    def ours(name: str) -> str | None:
        return None if section is None else section.get(f"{{{KENSHO}}}{name}")

    firmware = (config.get("firmware") or xen.get("firmware") or vbox.get("firmware", "")).lower()
    secure = config.get("bootOptions.efiSecureBootEnabled") or platform.get("secureboot")
    order = ours("bootOrder")
    clock = ours("clock")
    return Settings(
        firmware=Firmware.UEFI if firmware in {"efi", "uefi", "efi64"} else Firmware.BIOS,
        secure_boot=xml.boolean(secure, default=False),
        tpm=xml.boolean(ours("tpm") or platform.get("vtpm"), default=False),
        clock=Clock(clock) if clock in set(Clock) else _clock(vbox.get("clock", "")),
        boot_order=_boots(order) if order is not None else _xen_boots(xen.get("order", "")),
        uuid=ours("uuid") or vbox.get("uuid"),
        extras=extras,
    )


def _words(text: str) -> dict[str, str]:
    """XenCenter's ``key=value;key=value;``."""
    pairs = (part.partition("=") for part in text.split(";") if "=" in part)
    return {key.strip(): value.strip() for key, _, value in pairs}


def _clock(text: str) -> Clock:
    return Clock.LOCAL if text.lower() == "local" else Clock.UTC


def _boots(order: str) -> tuple[Boot, ...]:
    return tuple(Boot(word) for word in order.split() if word in set(Boot))


def _xen_boots(order: str) -> tuple[Boot, ...]:
    return tuple(dict.fromkeys(_XEN_BOOT[c] for c in order.lower() if c in _XEN_BOOT))


def _virtualbox(system: etree._Element) -> dict[str, str]:
    found: dict[str, str] = {}
    for machine in xml.children(system, "Machine"):
        if xml.namespace(machine) != VBOX:
            continue
        for element in machine.iter("{*}Firmware"):
            found["firmware"] = element.get("type", "")
        for element in machine.iter("{*}RTC"):
            found["clock"] = element.get("localOrUTC", "")
        uuid = machine.get("uuid", "").strip("{}").lower()
        if uuid:
            found["uuid"] = uuid
    return found


def boot_indices(
    attachments: Sequence[Attachment], bootable: Mapping[str, bool | None], *, explicit: bool
) -> tuple[Attachment, ...]:
    """The attachments with what boots first.

    Args:
        attachments: in the order of the descriptor.
        bootable: by disk id, what its DiskSection entry says; None where it says nothing.
        explicit: the Items already say it all.
    """
    if explicit:
        return tuple(attachments)
    disks = [a for a in attachments if a.medium is Medium.DISK and a.disk is not None]
    marked = [a.id for a in disks if bootable.get(str(a.disk))]
    order = marked or [a.id for a in disks[:1]]
    return tuple(
        replace(a, boot_index=order.index(a.id) if a.id in order else None) for a in attachments
    )


def guest_os(section: etree._Element | None, strings: Strings) -> GuestOs:
    """The OperatingSystemSection (DSP0243 2.1.1 §9.9); 0 is "unknown" and reads as not told."""
    if section is None:
        return GuestOs()
    number = xml.number(xml.attr(section, "id"))
    vendor = section.get(f"{{{KENSHO}}}osType", "") or section.get(f"{{{VMW}}}osType", "")
    return GuestOs(
        description=strings.message(xml.child(section, "Description")),
        cim_id=number if number and number < 65536 else None,
        vendor_id=vendor,
        version=xml.attr(section, "version") or "",
    )
