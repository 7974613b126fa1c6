"""What consumers of OVF packages refuse, lose or do otherwise: a table of facts, one a line.

A fact is about a feature of a package (see `features`) whose value matches a pattern. A consumer is a product's
own import, not Kensho's: vCenter and ovftool, XenCenter, Hyper-V's tools, virt-v2v, VirtualBox.
"""

from dataclasses import dataclass
from enum import Enum

from kensho_tui.findings import Severity

TIB = 1 << 40


class Verdict(Enum):
    """What becomes of it, and how much that weighs."""

    REFUSES = Severity.ERROR
    LOSES = Severity.WARNING
    NOTES = Severity.INFO


REFUSES, LOSES, NOTES = Verdict.REFUSES, Verdict.LOSES, Verdict.NOTES
NAMES = {
    "vsphere": "vSphere", "xenserver": "XenCenter", "hyperv": "Hyper-V", "kvm": "virt-v2v",
    "virtualbox": "VirtualBox",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact.

    Attributes:
        target: of `NAMES`.
        feature: see `features`.
        pattern: regular expression that the feature's value matches as a whole, in any case of letters.
        verdict: see `Verdict`.
        said: one clause; ``{value}`` is the feature's value.
        remedy: the switch, command or step that changes it; "" where there is none.
        mend: what ``--fix`` writes into the element: a text, or ``@attribute=value``; "" for nothing.
        above: the feature's number is larger than this.
    """

    target: str
    feature: str
    pattern: str
    verdict: Verdict
    said: str
    remedy: str = ""
    mend: str = ""
    above: int = -1


_DIGEST = "'kensho package manifest --algorithm {}' makes another."
_CONVERT = "'kensho export --disk-format {0}' writes such, 'kensho disk convert -O {0}' makes such."
_FIX = "'kensho package check --for {} --fix' writes {}."
_PROFILE = "'kensho package convert --profile {}' writes it otherwise."
_IMPORT = "'kensho import' does."
_UNPACK = "Unpack it first."
_ANY = r".*"
_V2 = "knows OVF 1 only"
_ITEMS = "does not know {value}, which is of OVF 2"

FACTS = (
    # ------------------------------------------------------- vSphere: vCenter, ESXi, ovftool
    Fact("vsphere", "package", "wrapped", REFUSES, "reads no package that is compressed as a whole", _UNPACK),
    Fact("vsphere", "namespace", "2", REFUSES, _V2),
    Fact("vsphere", "namespace", "0.9", LOSES, "reads OVF 0.9 by ovftool with --lax only"),
    Fact("vsphere", "item-kind", _ANY, REFUSES, _ITEMS),
    Fact("vsphere", "family", r"(?!.*\bvmx-\d).+", REFUSES, "does not support the hardware family {value}",
         _FIX.format("vsphere", "vmx-13"), "vmx-13"),
    Fact("vsphere", "family", "", NOTES, "is not told the hardware family, which some versions want",
         "'kensho package edit --set hardware=vmx-13' tells it."),
    Fact("vsphere", "controller", r"scsi:(?!.*\b(lsilogic(sas)?|buslogic|virtualscsi)\b).+", REFUSES,
         "does not know the controller {value}", _FIX.format("vsphere", "lsilogic"), "lsilogic"),
    Fact("vsphere", "controller", r"sata:(?!.*\bvmware\.sata\.ahci\b).*", REFUSES,
         "knows SATA controllers as vmware.sata.ahci, not as {value}",
         _FIX.format("vsphere", "vmware.sata.ahci"), "vmware.sata.ahci"),
    Fact("vsphere", "controller", r"nvme:(?!.*\bvmware\.nvme\.controller\b).*", REFUSES,
         "knows NVMe controllers as vmware.nvme.controller, not as {value}",
         _FIX.format("vsphere", "vmware.nvme.controller"), "vmware.nvme.controller"),
    Fact("vsphere", "controller", r"(virtio|xen|other):(?!vmware\.).+", REFUSES,
         "does not know the controller {value}"),
    Fact("vsphere", "adapter", r"(?!.*\b(e1000e?|pcnet32|vmxnet\d?|sriov\w*|flexible)\b).+", REFUSES,
         "does not know the adapter {value}", _FIX.format("vsphere", "E1000"), "E1000"),
    Fact("vsphere", "disk-format", r"(?!vmdk$|iso$).+", REFUSES, "takes VMDK disks, not {value}",
         _CONVERT.format("vmdk")),
    Fact("vsphere", "disk-size", _ANY, REFUSES, "has no disks larger than 62 TiB", above=62 * TIB),
    Fact("vsphere", "digest-spelling", _ANY, REFUSES, "does not read '{value}', which has a blank",
         _DIGEST.format("sha256")),
    Fact("vsphere", "digest", r"sha(256|512)", NOTES, "knows {value} from 6.5 on, and SHA-1 alone before",
         _DIGEST.format("sha1")),
    Fact("vsphere", "xen-data", "required", REFUSES, "does not know Xen's {subject}",
         _FIX.format("vsphere", "ovf:required=\"false\""), "@required=false"),
    Fact("vsphere", "startup", "envelope", LOSES,
         "refuses or ignores a StartupSection that stands in the envelope"),
    Fact("vsphere", "section", "StorageGroupSection", LOSES,
         "stumbles over a StorageGroupSection where the storage profile is not there"),
    Fact("vsphere", "properties", _ANY, NOTES, "asks questions by vCenter; an ESXi host alone refuses them"),
    Fact("vsphere", "transport", r"(?!iso$|com\.vmware\.guestinfo$).+", LOSES,
         "brings answers by iso and com.vmware.guestInfo, not by {value}",
         "'kensho package edit --set transport=iso' writes another."),
    Fact("vsphere", "tpm", _ANY, NOTES, "needs a key provider for the TPM"),
    Fact("vsphere", "chunks", _ANY, NOTES, "joins chunks by ovftool; govc does not"),
    # ------------------------------------------------------------------ XenServer: XenCenter
    Fact("xenserver", "package", "wrapped", LOSES, "reads of packed packages .ova.gz only", _UNPACK),
    Fact("xenserver", "namespace", "2", REFUSES, _V2, _IMPORT),
    Fact("xenserver", "item-kind", _ANY, REFUSES, _ITEMS, _IMPORT),
    Fact("xenserver", "family", r"(?!.*(\b(xen|hvm)-3\.0|\b301\b|vmx-0[4-7]|dmtf:xen|virtualbox-2\.2)).+",
         NOTES, "warns of the hardware family {value}, and imports it"),
    Fact("xenserver", "options", _ANY, LOSES, "adds up the processors and memory of all deployment options",
         "'kensho import --configuration' takes one."),
    Fact("xenserver", "hardware", "several", NOTES, "prefers the hardware for Xen, then for Hyper-V"),
    Fact("xenserver", "properties", _ANY, LOSES, "asks no questions and brings no answers to the guest",
         "'kensho import' asks them."),
    Fact("xenserver", "nested", _ANY, LOSES, "does not read machines of a collection in a collection", _IMPORT),
    Fact("xenserver", "chunks", _ANY, REFUSES, "does not join chunks", _IMPORT),
    Fact("xenserver", "disk-format", r"(vhdx|qcow2|raw)", REFUSES, "takes VHD and VMDK disks, not {value}",
         _CONVERT.format("vhd")),
    Fact("xenserver", "disk-size", _ANY, REFUSES, "takes no disks larger than 2 TiB", above=2 * TIB),
    Fact("xenserver", "disk-parent", _ANY, REFUSES, "takes no disk that is a difference"),
    Fact("xenserver", "capacity", "property", REFUSES, "reads no capacity that is a property", _IMPORT),
    Fact("xenserver", "firmware", "uefi", LOSES,
         "does not read the firmware from there, and starts the machine by BIOS", _IMPORT),
    Fact("xenserver", "strings", "file", NOTES, "does not read texts in files of their own"),
    # ------------------------------------------------------------------------------- Hyper-V
    Fact("hyperv", "package", _ANY, REFUSES, "imports no OVF packages",
         "Convert its disks (kensho disk convert -O vhdx) and make the machine around them."),
    Fact("hyperv", "disk-format", r"(?!vhdx?$|iso$).+", REFUSES, "attaches VHD and VHDX disks, not {value}",
         _CONVERT.format("vhdx")),
    Fact("hyperv", "disk-size", _ANY, NOTES, "has disks larger than 2040 GiB as VHDX only",
         _CONVERT.format("vhdx"), above=2040 << 30),
    Fact("hyperv", "disk-size", _ANY, REFUSES, "has no disks larger than 64 TiB", above=64 * TIB),
    Fact("hyperv", "firmware", r"uefi.*", NOTES, "starts it as a machine of generation 2"),
    Fact("hyperv", "secure-boot", _ANY, NOTES,
         "starts Linux securely with the template of the Microsoft UEFI Certificate Authority"),
    Fact("hyperv", "properties", _ANY, LOSES, "asks no questions and brings no answers to the guest"),
    Fact("hyperv", "startup", _ANY, LOSES, "knows start delays of machines, and no order"),
    # ------------------------------------------------------------------ KVM: virt-v2v -i ova
    Fact("kvm", "namespace", "2", REFUSES, _V2),
    Fact("kvm", "item-kind", _ANY, REFUSES, _ITEMS),
    Fact("kvm", "content", "collection", REFUSES, "takes one machine, and no collection"),
    Fact("kvm", "memory-units", r"(?!byte \* 2\^20$).+", LOSES,
         "takes memory in '{value}' as MiB, which is another amount"),
    Fact("kvm", "options", _ANY, LOSES, "takes the Items of all deployment options"),
    Fact("kvm", "properties", _ANY, LOSES, "asks no questions and brings no answers to the guest"),
    Fact("kvm", "networks", _ANY, NOTES, "maps networks by its own options (--network, --bridge, --mac)"),
    Fact("kvm", "chunks", _ANY, REFUSES, "takes chunks for snapshots"),
    Fact("kvm", "disk-parent", _ANY, REFUSES, "takes no disk that is a difference"),
    Fact("kvm", "digest", "sha512", NOTES, "compares SHA-1 and SHA-256 digests only",
         _DIGEST.format("sha256")),
    # ---------------------------------------------------------------------------- VirtualBox
    Fact("virtualbox", "package", "wrapped", REFUSES, "reads no package that is compressed as a whole",
         _UNPACK),
    Fact("virtualbox", "networks", _ANY, NOTES, "takes no names of networks, only their kind"),
    Fact("virtualbox", "options", _ANY, LOSES, "takes the Items of all deployment options"),
    Fact("virtualbox", "startup", _ANY, LOSES, "takes no start order"),
    Fact("virtualbox", "properties", _ANY, LOSES, "asks no questions and brings no answers to the guest"),
    Fact("virtualbox", "capacity", "units", LOSES, "takes a capacity for bytes, whatever its units"),
    Fact("virtualbox", "capacity", "property", REFUSES, "reads no capacity that is a property"),
    Fact("virtualbox", "hardware", "several", LOSES, "takes all hardware descriptions together"),
    Fact("virtualbox", "nested", _ANY, NOTES, "takes all machines as if they were in one collection"),
    Fact("virtualbox", "resource", r"(?!(14|15|17|23|35) )\d+ required", REFUSES,
         "does not know resources of the type {value}", _FIX.format("virtualbox", "ovf:required=\"false\""),
         "@required=false"),
    Fact("virtualbox", "controller", r"(?!(ide|scsi):)\w+:(?!(ahci|vmware\.sata\.ahci|virtio-?scsi|nvme|"
         r"vmware\.nvme\.controller)$).*", REFUSES, "does not know the controller {value}",
         _PROFILE.format("virtualbox")),
    Fact("virtualbox", "drive", "unattached", REFUSES, "wants every disk and CD drive on a controller",
         _PROFILE.format("virtualbox")),
    Fact("virtualbox", "memory-written", r"(?!(megabytes|mb|gigabytes|gb|byte \* 2\^[23]0)$).*", REFUSES,
         "does not read memory in '{value}'", _PROFILE.format("virtualbox")),
    Fact("virtualbox", "disk-format", r"(vhdx|qcow2|raw)", REFUSES, "takes VMDK and VHD disks, not {value}",
         _CONVERT.format("vmdk")),
    Fact("virtualbox", "chunks", _ANY, REFUSES, "does not join chunks"),
    Fact("virtualbox", "disk-parent", _ANY, REFUSES, "takes no disk that is a difference"),
)  # fmt: skip
