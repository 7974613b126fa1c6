"""What a descriptor says of its machines together: how many, where, with what; and what of it is encrypted.

No target of Kensho's is told of it yet, so each is a finding, which says what becomes of it.
"""

from collections.abc import Mapping, Sequence

from lxml import etree

from kensho_tui.findings import Finding, Severity
from kensho_tui.machine import Disk, DiskId, Machine, PlacementGroup, ScaleOut, SharedResources
from kensho_tui.ovf import additions, xml
from kensho_tui.ovf.envelope import FileReference
from kensho_tui.ovf.names import VMW
from kensho_tui.ovf.strings import Strings

_POLICIES = {
    "affinity": "belong on one host",
    "availability": "belong on different hosts",
}


class Whole:
    """Sections about machines together, read as a walk through the descriptor meets them."""

    def __init__(self, configuration: str, strings: Strings) -> None:
        """Args: configuration: the deployment option that holds; "" for none."""
        self._configuration = configuration
        self._strings = strings
        self._encrypted: list[additions.Encrypted] = []
        self._lines: dict[str, int | None] = {}
        self.placement_groups: list[PlacementGroup] = []
        self.scale_outs: list[ScaleOut] = []
        self.shared_resources: list[SharedResources] = []
        self.extras: dict[str, str] = {}
        self.findings: list[Finding] = []

    def read(self, element: etree._Element) -> None:
        """Take what the sections of an envelope, system or collection say."""
        for section in xml.children(element):
            kind = xml.kind(section)
            match kind:
                case "PlacementGroupSection":
                    self.placement_groups.append(additions.placement_group(section, self._strings))
                case "ScaleOutSection":
                    found = additions.scale_out(section, self._configuration, self._strings)
                    self.scale_outs += [] if found is None else [found]
                case "ResourceAllocationSection":
                    owner = xml.attr(element, "id") or ""
                    got = additions.shared_resources(section, owner, self._configuration)
                    self.shared_resources += [] if got is None else [got]
                case "EncryptionSection" | "SecuritySection":
                    self._encrypted += additions.encrypted(section)
                case "StorageGroupSection":
                    name = section.get(f"{{{VMW}}}name", "")
                    self.extras[f"vmware:storageGroup.{section.get(f'{{{VMW}}}id', '')}"] = name
                case "IpAssignmentSection":
                    words = [
                        section.get(f"{{{VMW}}}{each}", "") for each in ("protocols", "schemes")
                    ]
                    self.extras["vmware:ipAssignment"] = " ".join(filter(None, words))
            self._lines.setdefault(kind, xml.line(section))

    def note(
        self, id_: str, severity: Severity, message: str, subject: str, kind: str, remedy: str = ""
    ) -> None:
        """Note a finding about a section of that kind."""
        standard = kind not in {"StorageGroupSection", "IpAssignmentSection"}
        clause = f"DSP0243 2.1.1 {kind}" if standard else ""
        line = self._lines.get(kind)
        self.findings.append(Finding(id_, severity, message, subject, remedy, clause, line))

    # -------------------------------------------------------------------------------- afterwards
    def tell(self, machines: Sequence[Machine]) -> None:
        """Findings, once all machines are known."""
        names = {str(each.id): each.name for each in machines}
        for each in self.scale_outs:
            self._scaled(each, names.get(each.of, each.of))
        for group in self.placement_groups:
            members = [each.name for each in machines if each.placement == group.id]
            if members:
                wish = _POLICIES.get(group.policy, f"are placed by the policy '{group.policy}'")
                self.note("placement-group", Severity.WARNING,
                          f"{', '.join(members)} {wish}; the target is not told.", group.id,
                          "PlacementGroupSection", "Place them so by hand.")  # fmt: skip
        for shared in self.shared_resources:
            self.note("resources-together", Severity.INFO,
                      f"Its machines have {_amounts(shared)} together; no target is told.",
                      shared.owner, "ResourceAllocationSection")  # fmt: skip
        for machine in machines:
            if machine.install is not None:
                within = machine.install.stop_delay_s
                self.note("install-boot", Severity.INFO,
                          "Its first start installs its software, after which it is off again"
                          + (f" within {within} s" if within else "") + ": start it once and let it end.",
                          machine.name, "InstallSection")  # fmt: skip
        for name, value in self.extras.items():
            if name.startswith("vmware:storageGroup."):
                self.note("storage-group", Severity.INFO,
                          "Disks are grouped by a storage policy of VMware's; storage is chosen here"
                          " instead.", value or name.rpartition(".")[2], "StorageGroupSection")  # fmt: skip
            elif value:
                self.note("ip-assignment", Severity.INFO,
                          f"vSphere can give its machines addresses ({value}); here its questions are asked, or"
                          " the guests see to it.", "", "IpAssignmentSection")  # fmt: skip

    def _scaled(self, each: ScaleOut, name: str) -> None:
        most = "or more" if each.maximum is None else f"to {each.maximum}"
        short = each.minimum > 1
        self.note("scale-out", Severity.WARNING if short else Severity.INFO,
                  f"{each.minimum} {most} instances are meant, {each.default} as a rule; one is made.",
                  name, "ScaleOutSection",
                  "Import it again under another name for each further one.")  # fmt: skip

    def encrypted(
        self, files: Sequence[FileReference], disks: Mapping[DiskId, Disk]
    ) -> dict[str, str]:
        """Files that are encrypted, with the algorithm; a disk among them cannot be read."""
        hrefs = {name: each.href for each in files for name in (each.href, each.mark, each.id)}
        found: dict[str, str] = {}
        for each in self._encrypted:
            href = hrefs.get(each.file, each.file)
            by = f" ({each.algorithm})" if each.algorithm else ""
            images = {disk.image for disk in disks.values()}
            found[href] = each.algorithm
            hard = href in images or not href
            self.note(
                "disk-encrypted" if hard else "file-encrypted",
                Severity.ERROR if hard else Severity.WARNING,
                f"{'The disk' if href in images else 'The file' if href else 'Something of the package'}"
                f" is encrypted{by}, and Kensho does not decrypt it.",
                href,
                "EncryptionSection",
                "Get a package that is not encrypted, or decrypt it by what it was made with.",
            )
        return found


def _amounts(shared: SharedResources) -> str:
    found = []
    for value, unit, word in (
        (shared.processor_reservation_mhz, "MHz", "reserved"),
        (shared.processor_limit_mhz, "MHz", "at most"),
        (shared.memory_reservation, "bytes of memory", "reserved"),
        (shared.memory_limit, "bytes of memory", "at most"),
    ):
        if value is not None:
            found.append(f"{value} {unit} ({word})")
    return ", ".join(found)
