"""The seventeen Xen keys that XenCenter keeps in an OVF, between server fields and text.

They travel in `Machine.extras` as ``xenserver:NAME``, spelled as XenCenter spells them
(``HVM_boot_params`` as ``order=dc;firmware=uefi``), and come back into the fields they came from.
"""

from collections.abc import Callable, Mapping
from typing import Any

from backends.xenserver.api import Record
from backends.xenserver.marks import EXTRA, marks

NAMESPACE = "xenserver:"


def map_text(value: Mapping[str, str]) -> str:
    """``{"order": "dc"}`` as ``order=dc;``: every entry ends with ``;``, as XenCenter writes it."""
    return "".join(f"{name}={content};" for name, content in value.items())


def text_map(text: str) -> dict[str, str]:
    """The entries of ``order=dc;firmware=uefi``; what has no ``=`` is left out."""
    pairs = (each.partition("=") for each in text.split(";"))
    return {name.strip(): content.strip() for name, mark, content in pairs if mark and name.strip()}


def _flag(text: str) -> bool:
    return text.strip().lower() in {"true", "1", "yes"}


def _number(text: str) -> str:
    return str(int(text)) if text.strip().lstrip("-").isdigit() else "0"


def _factor(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 1.0


# Key: (field of the VM record, field to text, text to field).
_FIELDS: dict[str, tuple[str, Callable[[Any], str], Callable[[str], Any]]] = {
    "HVM_boot_params": ("HVM_boot_params", map_text, text_map),
    "HVM_boot_policy": ("HVM_boot_policy", str, str),
    "HVM_shadow_multiplier": ("HVM_shadow_multiplier", lambda x: f"{float(x):g}", _factor),
    "platform": ("platform", map_text, text_map),
    "NVRAM": ("NVRAM", map_text, text_map),
    "PV_args": ("PV_args", str, str),
    "PV_bootloader": ("PV_bootloader", str, str),
    "PV_bootloader_args": ("PV_bootloader_args", str, str),
    "PV_kernel": ("PV_kernel", str, str),
    "PV_legacy_args": ("PV_legacy_args", str, str),
    "PV_ramdisk": ("PV_ramdisk", str, str),
    "hardware_platform_version": ("hardware_platform_version", str, _number),
    "recommendations": ("recommendations", str, str),
    "reference_label": ("reference_label", str, str),
    "VM_has_vendor_device": (
        "has_vendor_device",
        lambda x: "true" if x else "false",
        _flag,
    ),
}
# Devices of the source's hardware: kept on the machine as text, never made anew.
KEPT = ("vgpu", "pvssite")
KEYS = (*_FIELDS, *KEPT)


def extras(record: Record) -> dict[str, str]:
    """The Xen keys of a machine's record; those that say nothing are left out."""
    found: dict[str, str] = {}
    for key, (field, to_text, _) in _FIELDS.items():
        value = record.get(field)
        if value is None or value == "" or value == {}:
            continue
        found[NAMESPACE + key] = to_text(value)
    for key in KEPT:
        if text := marks(record).get(EXTRA + key):
            found[NAMESPACE + key] = text
    return found


def fields(given: Mapping[str, str]) -> Record:
    """Fields of a VM record for the Xen keys among the extras."""
    return {
        field: to_field(given[NAMESPACE + key])
        for key, (field, _, to_field) in _FIELDS.items()
        if NAMESPACE + key in given
    }


def kept(given: Mapping[str, str]) -> dict[str, str]:
    """Entries of ``other_config`` for the Xen keys that have no field."""
    return {EXTRA + key: given[NAMESPACE + key] for key in KEPT if given.get(NAMESPACE + key)}
