"""What vendors say of a machine beyond the standard: settings, firmware, boot order.

VMware's ``vmw:Config`` and ``vmw:ExtraConfig`` are pairs of key and value in a hardware section; XenCenter's
``HVM_boot_params`` is one text of words.
"""

import re
from collections.abc import Sequence

from lxml import etree

from kensho_tui.machine import Boot, Firmware
from kensho_tui.ovf import names as n
from kensho_tui.ovf import xml
from kensho_tui.ovf.editing import Change
from kensho_tui.ovf.edits.machines import hardware_of
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.errors import DescriptorError
from kensho_tui.ovf.tree import put, removed

CONFIG, EXTRA = "Config", "ExtraConfig"
_LETTERS = {Boot.DISK: "c", Boot.CDROM: "d", Boot.NETWORK: "n", Boot.FLOPPY: "a"}


def entries(section: etree._Element, kind: str = "") -> list[tuple[etree._Element, str, str, str]]:
    """VMware's settings of a hardware section: element, kind, key and value."""
    return [
        (each, xml.local(each), _own(each, "key"), _own(each, "value"))
        for each in xml.children(section)
        if xml.namespace(each) == n.VMW
        and xml.local(each) in ((kind,) if kind else (CONFIG, EXTRA))
    ]


def _own(element: etree._Element, name: str) -> str:
    return element.get(f"{{{n.VMW}}}{name}", element.get(name, ""))


def set_setting(machine: str | None, kind: str, key: str, value: str) -> Change:
    """A setting of VMware's: ``Config`` or ``ExtraConfig``; made where it is not there.

    Raises: DescriptorError: no such kind, or no key.
    """
    if kind not in {CONFIG, EXTRA}:
        raise DescriptorError(f"there is no kind of setting '{kind}'")
    if not key.strip() or any(each.isspace() for each in key):
        raise DescriptorError("the key of a setting is one word", subject=key)

    def change(envelope: Envelope) -> None:
        for section in hardware_of(envelope, machine):
            found = [each for each, _, there, _ in entries(section, kind) if there == key]
            if not found:
                found = [_made(section, kind, key)]
            for each in found:
                plain = each.get(f"{{{n.VMW}}}value") is None and each.get("value") is not None
                each.set("value" if plain else f"{{{n.VMW}}}value", xml.printable(value))

    return change


def _made(section: etree._Element, kind: str, key: str) -> etree._Element:
    made: etree._Element = etree.SubElement(section, f"{{{n.VMW}}}{kind}", nsmap={"vmw": n.VMW})
    before = made.getprevious()
    if before is not None:
        made.tail, before.tail = before.tail, section.text
    put(made, "required", "false")
    made.set(f"{{{n.VMW}}}key", xml.printable(key))
    return made


def remove_setting(machine: str | None, kind: str, key: str) -> Change:
    """Take a setting of VMware's away. Raises (when applied): DescriptorError: there is none."""

    def change(envelope: Envelope) -> None:
        found = [
            each
            for section in hardware_of(envelope, machine)
            for each, _, there, _ in entries(section, kind)
            if there == key
        ]
        if not found:
            raise DescriptorError(f"there is no setting '{key}'", subject=envelope.subject)
        for each in found:
            removed(each)

    return change


# ------------------------------------------------------------------------------- XenCenter's words
def _xen(section: etree._Element, name: str) -> list[etree._Element]:
    """The values of XenCenter's settings of that name."""
    return [
        value
        for each in xml.children(section)
        if xml.local(each) == "VirtualSystemOtherConfigurationData"
        and each.get("Name", each.get(f"{{{n.XENOVF}}}Name", "")) == name
        for value in xml.children(each, "Value")
    ]


def _put_word(element: etree._Element, key: str, value: str) -> None:
    """Set one word of ``key=value;key=value;``; the others stay as they are."""
    text = xml.text(element)
    found = re.search(rf"(^|;)(\s*{re.escape(key)}\s*=)[^;]*", text)
    if found:
        element.text = f"{text[: found.end(2)]}{value}{text[found.end() :]}"
    else:
        element.text = (
            f"{text}{';' if text.strip() and not text.rstrip().endswith(';') else ''}{key}={value}"
        )


def set_firmware(machine: str | None, firmware: str) -> Change:
    """What starts the machine, ``bios`` or ``uefi``: where XenCenter has it, else where VMware has it."""
    if firmware.lower() not in set(Firmware):
        raise DescriptorError("a firmware is bios or uefi", subject=firmware)
    uefi = firmware.lower() == Firmware.UEFI

    def change(envelope: Envelope) -> None:
        for section in hardware_of(envelope, machine):
            words = _xen(section, "HVM_boot_params")
            for each in words:
                _put_word(each, "firmware", "uefi" if uefi else "bios")
            there = any(key == "firmware" for _, _, key, _ in entries(section, CONFIG))
            if there or not words:
                set_one(section, "firmware", "efi" if uefi else "bios")

    return change


def set_secure_boot(machine: str | None, secure: bool) -> Change:
    """Whether the firmware (UEFI) starts only what is signed: where VMware has it."""

    def change(envelope: Envelope) -> None:
        for section in hardware_of(envelope, machine):
            for each in _xen(section, "platform"):
                _put_word(each, "secureboot", "true" if secure else "false")
            set_one(section, "bootOptions.efiSecureBootEnabled", "true" if secure else "false")

    return change


def set_one(section: etree._Element, key: str, value: str) -> None:
    """Set a ``vmw:Config`` in one hardware section."""
    found = [each for each, _, there, _ in entries(section, CONFIG) if there == key]
    for each in found or [_made(section, CONFIG, key)]:
        each.set(f"{{{n.VMW}}}value", value)


def has_boot_order(envelope: Envelope, machine: str | None) -> bool:
    """Whether the package has a place for a boot order of the machine."""
    return any(
        section.get(f"{{{n.KENSHO}}}bootOrder") is not None or _xen(section, "HVM_boot_params")
        for section in hardware_of(envelope, machine)
    )


def set_boot_order(machine: str | None, order: Sequence[str]) -> Change:
    """What is tried in which order: ``disk``, ``cdrom``, ``network``, ``floppy``.

    It is written where the package has one already: in XenCenter's boot parameters, or in our own attribute.

    Raises: DescriptorError: another word, or one twice; when applied: the package has no place for it.
    """
    words = [each.strip().lower() for each in order if each.strip()]
    if not words or len(set(words)) < len(words) or any(each not in set(Boot) for each in words):
        raise DescriptorError(
            f"'{' '.join(order)}' is no boot order",
            remedy="Name each once: disk, cdrom, network, floppy",
        )
    letters = "".join(_LETTERS[Boot(each)] for each in words)

    def change(envelope: Envelope) -> None:
        put_ = False
        for section in hardware_of(envelope, machine):
            ours = f"{{{n.KENSHO}}}bootOrder"
            if section.get(ours) is not None:
                section.set(ours, " ".join(words))
                put_ = True
            for each in _xen(section, "HVM_boot_params"):
                _put_word(each, "order", letters)
                put_ = True
        if not put_:
            raise DescriptorError(
                "the package has no place for a boot order: OVF has none, and no vendor's is there",
                subject=envelope.subject,
                remedy="For VMware, set config:… or extra:bios.bootOrder",
            )

    return change
