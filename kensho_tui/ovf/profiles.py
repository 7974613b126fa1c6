"""A package rewritten for those who are to import it: what their imports refuse or break on is said otherwise.

The files stay as they are; what a descriptor cannot help (the format of a disk) is left, and `lint` says it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from kensho_tui.findings import Finding
from kensho_tui.ovf import names as n
from kensho_tui.ovf.convert import Converted, convert, editable, finished
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.profile_edits import Edits
from kensho_tui.ovf.rules.lint import lint_descriptor
from kensho_tui.ovf.rules.report import Fixed
from kensho_tui.ovf.versions import Version


@dataclass(frozen=True, slots=True)
class Profile:
    """What a kind of consumers wants.

    Attributes:
        title: for people.
        target: whose refusals are looked at (of `rules.NAMES`); "" for nobody's.
        disks: formats of disks that it takes, the best first; of `kensho export --disk-format`.
        family: hardware family that is written where none of theirs is named; "" leaves it.
        known: what a family of theirs looks like.
        vendors: namespaces of vendors whose elements stay.
        flat: whether deployment options, ranges and properties in sizes are resolved, and one hardware
            description is taken of several: where they are added up, or not read.
        attached: whether a drive without a controller gets one.
        models: where controllers that only some platforms have become SCSI ones, what it calls the others,
            by bus; None: they stay.
        xen: whether firmware is said in XenCenter's words too.
    """

    title: str
    target: str = ""
    disks: tuple[str, ...] = ("vmdk",)
    family: str = ""
    known: str = ""
    vendors: frozenset[str] = frozenset()
    flat: bool = False
    attached: bool = False
    models: Mapping[str, str] | None = None
    xen: bool = False


PROFILES: Mapping[str, Profile] = {
    "standard": Profile("every reader of OVF 1.1"),
    "vmware": Profile(
        "vSphere and VMware's desktop products", "vsphere", ("vmdk",), "vmx-13", r"vmx-\d+",
        frozenset({n.VMW}), attached=True,
        models={"sata": "vmware.sata.ahci", "nvme": "vmware.nvme.controller"},
    ),
    "xenserver": Profile(
        "XenCenter", "xenserver", ("vhd", "vmdk"), "hvm-3.0-x86_64", r"(xen|hvm)-3\.0.*",
        frozenset({n.XENOVF}), flat=True, xen=True,
    ),
    "hyperv": Profile(
        "Hyper-V", "hyperv", ("vhdx", "vhd"), vendors=frozenset({n.VMW}), flat=True,
    ),
    "virtualbox": Profile(
        "VirtualBox", "virtualbox", ("vmdk", "vhd"), "virtualbox-2.2", r"(virtualbox|vmx)-.*",
        frozenset({n.VBOX, n.VMW}), flat=True, attached=True, models={"sata": "AHCI", "nvme": "NVMe"},
    ),
}  # fmt: skip


def profiled(
    data: bytes,
    profile: Profile,
    subject: str = "",
    *,
    version: Version = "1.1",
    configuration: str | None = None,
    recover: bool = False,
) -> Converted:
    """The descriptor for those consumers.

    Args:
        version: of the standard that is written.
        configuration: deployment option that is resolved, where they are; None: the default one.
        recover: as of `xml.read`.

    Raises: DescriptorError: see `convert`; or there is no such deployment option.
    """
    first = convert(data, version, subject, recover=recover)
    envelope = editable(first.data, subject)
    findings: list[Finding] = list(first.findings)
    edits = Edits(envelope, configuration, findings.append)
    if profile.flat:
        edits.one_hardware(profile.target)
        edits.resolve()
        edits.capacities()
    edits.memory()
    if profile.xen:
        edits.xen_firmware()
    if profile.family:
        edits.family(profile.family, profile.known)
    if profile.models is not None:
        edits.plain_controllers(profile.models)
    if profile.attached:
        edits.attach()
    edits.vendors(profile.vendors)
    if not profile.xen:
        edits.start_order()
    fixed = [*first.fixed, *_mended(envelope, profile)]
    envelope.touched()
    return finished(first.data, envelope.root, findings, tuple(fixed), subject, original=data)


def _mended(envelope: Envelope, profile: Profile) -> list[Fixed]:
    """What the target refuses and one edit makes right."""
    envelope.touched()
    noted = lint_descriptor(envelope, [profile.target] if profile.target else [])
    return [
        Fixed(each.finding.id, each.mend(), each.finding.line)
        for each in noted
        if each.mend is not None
    ]
