"""What runs in a machine (DSP0243 2.1.1 §9.9)."""

from kensho_tui.ovf import names as n
from kensho_tui.ovf import xml
from kensho_tui.ovf.editing import Change
from kensho_tui.ovf.edits.machines import system
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.errors import DescriptorError
from kensho_tui.ovf.tree import child_made, drop, new_section, put, put_text

_SYSTEM = ("os", "os-id", "os-version", "os-type")


def set_system(machine: str | None, part: str, value: str) -> Change:
    """What runs in the machine (§9.9).

    Args: part: ``os`` (in words), ``os-id`` (a number of CIM_OperatingSystem.OsType), ``os-version``, or
        ``os-type`` (VMware's word: ``ubuntu64Guest``; "" for none).

    Raises: DescriptorError: no such part, or no number.
    """
    if part not in _SYSTEM:
        raise DescriptorError(
            f"a system has no '{part}'", remedy=f"Known are: {', '.join(_SYSTEM)}"
        )
    word = value.strip()
    if part == "os-id" and not (word.isascii() and word.isdigit() and int(word) < 65536):
        raise DescriptorError(f"the number of a system is 0 to 65535, not '{value}'")

    def change(envelope: Envelope) -> None:
        found = system(envelope, machine)
        section = xml.child(found, "OperatingSystemSection")
        if section is None:
            section = new_section(found, "OperatingSystemSection", "The operating system")
            put(section, "id", "1")  # "Other"
        match part:
            case "os":
                put_text(child_made(section, "Description", after=("Info",)), value)
            case "os-id":
                put(section, "id", str(int(word)))
            case "os-version" if word:
                put(section, "version", xml.printable(word))
            case "os-version":
                drop(section, "version")
            case _:
                # Our own writer's word goes before VMware's, where there is one.
                section.attrib.pop(f"{{{n.KENSHO}}}osType", None)
                section.attrib.pop(f"{{{n.VMW}}}osType", None)
                if word:
                    section.set(f"{{{n.VMW}}}osType", xml.printable(word))

    return change
