"""The OVF environment: what a guest is told at its first start (DSP8027 1.0, DSP0243 2.1.1 §11)."""

from collections.abc import Mapping
from typing import Protocol

from lxml import etree

from kensho_tui.machine import Appliance, Property
from kensho_tui.ovf.names import ENVIRONMENT
from kensho_tui.ovf.properties import normal
from kensho_tui.ovf.xml import printable

FILE_NAME = "ovf-env.xml"
VOLUME = "OVF ENV"
_ISO_BASE = 72 << 10
_ISO_FILE = 36 << 10
_NAMESPACES = {None: ENVIRONMENT, "oe": ENVIRONMENT}


class PlatformLike(Protocol):
    """What the platform calls itself (`backends.base.PlatformInfo`)."""

    @property
    def kind(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def vendor(self) -> str: ...


def document(
    appliance: Appliance,
    machine_id: str,
    values: Mapping[str, str],
    *,
    platform: PlatformLike | None = None,
    locale: str = "",
    timezone: int | None = None,
) -> bytes:
    """The environment document of one machine, XML in UTF-8.

    A property of a machine replaces one of the appliance with the same key; the other machines of
    the appliance stand beside it as entities.

    Args:
        machine_id: the machine it is for.
        values: answers by `Property.address`; where one is missing the default holds.
        platform: goes into the PlatformSection.
        locale: of the guest, such as ``de-DE``.
        timezone: minutes east of UTC.

    Raises: KeyError: no machine of that id.
    """
    appliance.machine(machine_id)
    root = etree.Element(_q("Environment"), nsmap=_NAMESPACES)
    root.set(_q("id"), printable(machine_id))
    section = etree.SubElement(root, _q("PlatformSection"))
    facts = (
        [("Kind", platform.kind), ("Version", platform.version), ("Vendor", platform.vendor)]
        if platform
        else []
    )
    facts.append(("Locale", locale))
    facts.append(("Timezone", "" if timezone is None else str(timezone)))
    for name, value in facts:
        if value:
            etree.SubElement(section, _q(name)).text = printable(value)
    _properties(root, _resolved(appliance, machine_id, values))
    for sibling in appliance.machines:
        if sibling.id != machine_id:
            entity = etree.SubElement(root, _q("Entity"))
            entity.set(_q("id"), printable(sibling.id))
            _properties(entity, _resolved(appliance, sibling.id, values))
    etree.indent(root)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8") + b"\n"


def sensitive(appliance: Appliance) -> bool:
    """Whether a document of this appliance holds a password."""
    return any(each.password for each in appliance.properties)


def _q(name: str) -> str:
    return f"{{{ENVIRONMENT}}}{name}"


def _resolved(appliance: Appliance, machine_id: str, values: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for owner in ("", machine_id):
        for asked in appliance.properties:
            if asked.owner == owner:
                found[asked.key] = _value(asked, values)
    return found


def _value(asked: Property, values: Mapping[str, str]) -> str:
    return normal(asked, values.get(asked.address, asked.default or ""))


def _properties(parent: etree._Element, found: Mapping[str, str]) -> None:
    section = etree.SubElement(parent, _q("PropertySection"))
    for key, value in found.items():
        element = etree.SubElement(section, _q("Property"))
        element.set(_q("key"), printable(key))
        element.set(_q("value"), printable(value))


def environment_iso(data: bytes, files: Mapping[str, bytes] | None = None) -> bytes:
    """An ISO 9660 image with the document as ``ovf-env.xml`` (Joliet and Rock Ridge).

    The same content gives the same bytes: all times in the image are one fixed moment.

    Args:
        files: what lies beside the document, by path (`kensho_tui.ovf.environment_files`).
    """
    from kensho_tui.ovf.iso import image

    return image({FILE_NAME: data, **(files or {})}, VOLUME)


def iso_bound(length: int, files: Mapping[str, bytes]) -> int:
    """Bytes that `environment_iso` makes at most of a document of that length and these files."""
    # System area, descriptors and path tables; then sectors, and for each file the records of its
    # folders, in the plain and the Joliet tree.
    whole = _ISO_BASE + length
    return whole + sum(len(each) + _ISO_FILE for each in files.values())
