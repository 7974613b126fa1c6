"""What OVF 2 added to the standard, as typed views: boot devices, scale-out, placement, encryption.

DSP0243 2.1.1 has a section for each; VMware writes two of them (scale-out, placement) into OVF 1.1 as well.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree

from kensho_tui.machine import Boot
from kensho_tui.ovf import xml
from kensho_tui.ovf.names import XENC, XENC11

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

    The keys of an EncryptionSection (XML Encryption 1.1) list what they decrypt as DataReferences.
    """
    found: dict[str, Encrypted] = {}
    for key in xml.children(section, "EncryptedKey", "DerivedKey"):
        algorithm = _algorithm(key)
        references = [
            *key.iter(f"{{{XENC}}}DataReference"),
            *key.iter(f"{{{XENC}}}CipherReference"),
        ]
        for reference in references or [key]:
            uri = reference.get("URI", "")
            name = uri.removeprefix("ovf:").lstrip("/").removeprefix("file/").lstrip("#")
            found.setdefault(name, Encrypted(name, algorithm, xml.line(reference)))
    yield from found.values() or [Encrypted("", "", xml.line(section))]


def _algorithm(key: etree._Element) -> str:
    names = (f"{{{XENC}}}EncryptionMethod", f"{{{XENC11}}}KeyDerivationMethod")
    for name in names:
        for method in key.iter(name):
            return str(method.get("Algorithm", "")).rpartition("#")[2]
    return ""
