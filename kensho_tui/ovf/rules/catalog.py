"""Every finding about a package by its id: weight, clause, what the rule says, and what to do.

Clauses are those of DSP0243 2.1.1; sections that OVF 2 added are named by their names.
The second table has the findings that reading a package makes by itself.
"""

from dataclasses import dataclass

from kensho_tui.findings import Severity

E, W, I = Severity.ERROR, Severity.WARNING, Severity.INFO  # noqa: E741
FIX = "'kensho package check --fix' mends it."


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. ``title`` says what is right; ``remedy`` what to do where it is not ("" for nothing)."""

    id: str
    severity: Severity
    clause: str
    title: str
    remedy: str = ""


_RULES = (
    # ------------------------------------------------------------------------- files, §7.1
    ("references-missing", W, "§7.1", "A descriptor has a References element."),
    ("file-id-missing", E, "§7.1", "Every file has an id.", "Give it an ovf:id."),
    ("file-id-twice", E, "§7.1", "Ids of files are unique.", "Give each its own ovf:id."),
    ("file-href-missing", E, "§7.1", "Every file says where it is.", "Give it an ovf:href."),
    ("file-href-twice", W, "§7.1", "A file is listed once.", "List it once."),
    ("file-size-missing", I, "§7.1", "A file's size in bytes stands in ovf:size.", FIX),
    ("file-size-unreadable", W, "§7.1", "ovf:size is a number of bytes.", FIX),
    ("file-compression-unknown", E, "§7.1", "ovf:compression is gzip or identity.",
     "Compress the file by gzip, or not at all."),
    ("file-chunk-size-unreadable", W, "§7.1", "ovf:chunkSize is a number of bytes."),
    ("file-ref-undeclared", W, "§7.1", "A fileRef names a file of the References."),
    ("file-unused", I, "§7.1", "Something in the descriptor refers to every file.",
     "'kensho package remove-file' takes it out."),
    # ------------------------------------------------------------------------- envelope, §7
    ("version-missing", I, "§7", "A descriptor of OVF 0.9 says its version."),
    ("version-unknown", W, "§7", "ovf:version is a version of the standard."),
    ("version-mixed", W, "§7.3", "A descriptor keeps to one version of the standard.",
     "Write it in one version."),
    ("namespace-old", I, "§7", "The namespace is that of a published version of the standard."),
    ("content-several", E, "§7.2", "An envelope has one VirtualSystem or VirtualSystemCollection.",
     "Put the systems into one VirtualSystemCollection."),
    ("collection-empty", W, "§7.2", "A collection holds at least one system."),
    ("content-id-missing", W, "§7.2", "Every system and collection has an ovf:id.",
     "Give it an ovf:id."),
    ("content-id-twice", W, "§7.2", "Ids of systems and collections are unique.",
     "Give each its own ovf:id."),
    ("section-misplaced", W, "§9", "A section stands where the standard has it."),
    ("section-twice", W, "§9", "A section that stands once stands once.", "Put them together."),
    ("info-missing", I, "§7.3", "Every section and every system has an Info.", FIX),
    ("section-unknown", I, "§7.3", "Sections are the standard's or a known vendor's."),
    ("element-required", W, "§7.3", "What is marked as required is understood.",
     "Ask its author, or mark it ovf:required=\"false\"."),
    ("message-missing", I, "§10", "A bundle has the message that an ovf:msgid names."),
    # ------------------------------------------------------------------------- disks, §9.1
    ("disk-id-missing", E, "§9.1", "Every disk has an id.", "Give it an ovf:diskId."),
    ("disk-id-twice", E, "§9.1", "Ids of disks are unique.", "Give each its own ovf:diskId."),
    ("disk-file-twice", W, "§9.1", "A file holds one disk.", "Give each disk a file of its own."),
    ("disk-scattered-compressed", E, "§9.1", "A compressed file's disk can be read forward.",
     "Take the compression off (gunzip the file), or make the package with another format of disks."),
    ("disk-unused", W, "§9.1", "Some machine has every disk.",
     "'kensho package remove-disk' takes it out."),
    ("disk-format-missing", W, "§9.1", "A disk with a file says its format as a URI.",
     "Give it an ovf:format."),
    ("disk-format-unknown", I, "§9.1", "A disk's format is a URI that is known."),
    ("capacity-units-odd", I, "§9.1", "capacityAllocationUnits are of the form 'byte * 2^20'.", FIX),
    ("populated-size-large", W, "§9.1", "A disk holds no more than its capacity."),
    ("disk-parent-undeclared", E, "§9.1", "A parentRef names another disk.",
     "Get the complete package."),
    ("disk-parent-order", I, "§9.1", "A parent stands before its difference."),
    # ------------------------------------------------------------------------- networks, §9.2
    ("network-name-missing", W, "§9.2", "Every network has a name.", "Give it an ovf:name."),
    ("network-twice", W, "§9.2", "Names of networks are unique.", "Declare each once."),
    ("network-unused", I, "§9.2", "Some adapter is on every network."),
    # ------------------------------------------------------------------------- hardware, §8
    ("system-missing", I, "§8.1", "The hardware has a System, which says for whom it is."),
    ("family-list-odd", I, "§8.1", "Several VirtualSystemTypes are separated by blanks.", FIX),
    ("instance-missing", W, "§8.3", "Every Item has an InstanceID.", "Give it an InstanceID."),
    ("instance-spelling", I, "§8.3", "It is spelled InstanceID.", FIX),
    ("element-name-missing", I, "§8.3", "Every Item has an ElementName.", FIX),
    ("resource-type-unknown", W, "§8.3", "ResourceType is one of CIM's."),
    ("item-field-unknown", W, "§8.3", "An Item holds properties of CIM's."),
    ("quantity-unreadable", W, "§8.3", "Quantities are whole numbers."),
    ("reservation-large", W, "§8.3", "No more is reserved than there is."),
    ("units-missing", W, "§8.3", "Memory says its AllocationUnits.", FIX),
    ("units-odd", I, "§8.3", "AllocationUnits are of the form 'byte * 2^20'.", FIX),
    ("units-unknown", W, "§8.3", "AllocationUnits of memory are units of size."),
    ("host-resource-form", I, "§8.3", "A HostResource is 'ovf:/disk/ID' or 'ovf:/file/ID'.", FIX),
    ("host-resource-empty", I, "§8.3", "A HostResource names something."),
    ("drive-unattached", I, "§8.3", "A disk has a controller as its Parent."),
    ("parent-no-controller", W, "§8.3", "A drive's Parent is a controller."),
    ("controller-unused", I, "§8.3", "Something hangs on every controller."),
    ("address-clash", W, "§8.3", "Two devices of a controller differ in AddressOnParent.",
     "Give each its own AddressOnParent."),
    ("controller-address-clash", W, "§8.3", "Two controllers of a kind differ in Address.",
     "Give each its own Address."),
    ("adapter-network-missing", I, "§8.3", "An adapter says by Connection on which network it is."),
    ("mac-unreadable", W, "§8.3", "An adapter's Address is a MAC address."),
    ("mac-twice", W, "§8.3", "No two adapters have the same MAC address.", "Remove both."),
    ("bound-unknown", W, "§8.4", "ovf:bound is min, max or normal."),
    ("bound-twice", W, "§8.4", "A range has each of its bounds once."),
    ("bound-without-normal", W, "§8.4", "A range has a value that is normal."),
    ("transport-unknown", I, "§11", "Transports are iso, or a vendor's."),
    ("transport-missing", I, "§11", "A system that asks questions says how its guest gets the answers.",
     "'kensho package edit --set transport=iso' gives it one."),
    # ------------------------------------------------------------------------- texts, options
    ("property-key-missing", E, "§9.5.1", "Every property has a key.", "Give it an ovf:key."),
    ("property-key-odd", I, "§9.5.1", "A property's key has no '.' and no ':'."),
    ("property-type-missing", W, "§9.5.1", "Every property has a type.", FIX),
    ("property-type-odd", I, "§9.5.1", "A property's type is one of the standard's.",
     "Give it a type of the standard, and what is finer as qualifiers."),
    ("property-type-spelling", I, "§9.5.1", "Types are written in lower case.", FIX),
    ("property-type-unknown", W, "§9.5.1", "A property's type is known."),
    ("property-default-invalid", W, "§9.5.1", "A default fits its own type and qualifiers.",
     "'kensho package edit --set property:KEY=VALUE' writes another."),
    ("property-default-missing", I, "§9.5.1", "What cannot be answered has a value."),
    ("product-twice", W, "§9.5", "Products of a system differ in class or instance."),
    ("licence-missing", W, "§9.6", "A EulaSection has a License."),
    ("annotation-missing", I, "§9.4", "An AnnotationSection has an Annotation."),
    ("os-id-missing", I, "§9.9", "An OperatingSystemSection has an id."),
    ("startup-undeclared", W, "§9.7", "A StartupSection names systems that are there."),
    ("startup-twice", W, "§9.7", "A StartupSection names each system once."),
    ("configuration-id-missing", E, "§9.8", "Every deployment option has an id.",
     "Give it an ovf:id."),
    ("configuration-twice", E, "§9.8", "Ids of deployment options are unique.",
     "Give each its own ovf:id."),
    ("configuration-default-missing", I, "§9.8", "One of the deployment options is the default."),
    ("configuration-default-twice", W, "§9.8", "Only one deployment option is the default."),
    ("configuration-undeclared", W, "§9.8", "What is for a deployment option is for one that is there."),
)  # fmt: skip

# Made where a package or its descriptor is read: they say severity and remedy themselves.
_READING = (
    ("descriptor-damaged", "§5.1", "The descriptor matches its digest."),
    ("descriptor-not-first", "§5", "The descriptor is the first member of an archive."),
    ("descriptors-several", "§5", "An archive holds one descriptor."),
    ("archive-unmarked-end", "§5", "An archive ends with the mark of its end."),
    ("size-beyond-ustar", "§5", "An archive is in the format ustar."),
    ("package-spooled", "", "A package that is compressed as a whole is unpacked to be read."),
    ("source-unprotected", "", "A package on a web server comes by TLS."),
    ("source-unstamped", "", "A web server says by what a file is known again."),
    ("source-without-ranges", "", "A web server gives parts of files."),
    ("capacity-differs", "", "A disk's image has the capacity that the descriptor says."),
    ("disk-damaged", "", "A disk is a whole image of the format that is declared."),
    ("member-damaged", "§5.1", "Every file matches its digest."),
    ("member-link", "§7.1", "A file of a package is no symbolic link."),
    ("member-missing", "§7.1", "Every file that is referred to is there."),
    ("href-outside", "§7.1", "A package refers to its own files only."),
    ("size-differs", "§7.1", "A file is as long as ovf:size says."),
    ("manifest-missing", "§5.1", "A package has a manifest."),
    ("manifest-unreadable", "§5.1", "A manifest has lines of the form 'SHA256(name)= digest'."),
    ("manifest-incomplete", "§5.1", "A manifest lists every file."),
    ("manifest-lists-missing", "§5.1", "A manifest lists files that are there."),
    ("manifest-weak", "§5.1", "A manifest rests on a digest that cannot be forged."),
    ("signature-required", "§5.1", "A package is signed by those who were named."),
    ("signature-right", "§5.1", "A signature is that of the manifest."),
    ("signature-unproven", "§5.1", "Somebody who is trusted answers for the signer."),
    ("signature-revoked", "§5.1", "No list says that the signer's certificate was revoked."),
    ("signature-unreadable", "§5.1", "A certificate file holds a signature and a certificate."),
    ("signature-wrong", "§5.1", "A signature is that of the manifest."),
    ("encoding-repaired", "§6", "A descriptor is in the encoding that it declares."),
    ("prefix-undeclared", "§6", "Prefixes of namespaces are declared."),
    ("namespace-uri", "§6", "Names of namespaces are URIs."),
    ("namespace-unknown", "§7", "A descriptor's namespace is one of the standard's."),
    ("no-machine", "§7.2", "A descriptor describes a machine."),
    ("no-hardware", "§8.1", "A system has a VirtualHardwareSection."),
    ("hardware-chosen", "§8.1", "Of several VirtualHardwareSections one is taken."),
    ("machine-twice", "§7.2", "Ids of systems are unique."),
    ("collection-nested", "§7.2", "A collection inside a collection is taken as part of the outer one."),
    ("section-required", "§7.3", "A section that is marked as required is understood."),
    ("section-ignored", "§7.3", "A section is not taken over."),
    ("strings-external", "§10", "Texts may be in a file of their own."),
    ("strings-unread", "§10", "A file of texts was read."),
    ("strings-unreadable", "§10", "A file of texts can be read."),
    ("strings-damaged", "§5.1", "A file of texts matches its digest."),
    ("environment-file-left", "EnvironmentFilesSection",
     "A file for the guest is in the package and has a path inside the CD."),
    ("capacity-unbound", "§9.1", "A capacity that is a property has an answer."),
    ("capacity-unreadable", "§9.1", "A disk's capacity is a size."),
    ("disk-parent", "§9.1", "A disk is whole, and not the difference to another."),
    ("disk-unresolved", "§8.3", "A drive names a disk of the package."),
    ("medium-unresolved", "§8.3", "A drive names a file of the package."),
    ("file-unreferenced", "§9.1", "A disk's file is in the References."),
    ("network-undeclared", "§9.2", "A network that is used is declared."),
    ("controller-missing", "§8.3", "A drive's Parent is there."),
    ("device-left-out", "§8.3", "A device is taken over."),
    ("instance-twice", "§8.3", "InstanceIDs are unique in a VirtualHardwareSection."),
    ("memory-missing", "§8.3", "A machine has memory."),
    ("memory-unreadable", "§8.3", "Memory is a size."),
    ("processors-missing", "§8.3", "A machine has processors."),
    ("resource-type-missing", "§8.3", "Every Item says its ResourceType."),
    ("property-twice", "§9.5.1", "Keys of properties are unique."),
    ("qualifier-unknown", "§9.5.1", "Qualifiers are those of the standard."),
    ("scale-out", "ScaleOutSection", "As many instances are made as the package asks for."),
    ("placement-group", "PlacementGroupSection", "Machines run together or apart as the package asks."),
    ("resources-together", "§9.3", "A collection gets the resources that the package asks for."),
    ("install-boot", "§9.10", "A machine is ready without a first start that installs it."),
    ("storage-group", "", "Disks are stored by the policy that the package names."),
    ("ip-assignment", "", "Machines get addresses in the way that the package names."),
    ("disk-encrypted", "EncryptionSection", "No disk is encrypted."),
    ("file-encrypted", "EncryptionSection", "No file is encrypted."),
    ("bundle-kept", "§10", "A file of texts is in the namespace of its descriptor."),
    ("access-unsaid", "§8.3", "OVF 1.1 has a word for drives that are only read."),
    ("field-unsaid", "§8.3", "OVF 1.1 has all properties of an Item."),
    ("environment-files-unsaid", "EnvironmentFilesSection", "OVF 1.1 names files for a guest."),
    ("scale-out-unsaid", "ScaleOutSection", "OVF 1.1 says how many instances there are."),
    ("placement-unsaid", "PlacementGroupSection", "OVF 1.1 says what belongs together or apart."),
    ("port-profile-unsaid", "§9.2", "OVF 1.1 has port profiles of networks."),
    ("message-file-unsaid", "§10", "OVF 1.1 has texts in plain files of their own."),
    ("shared-disk-unsaid", "SharedDiskSection", "OVF 1.1 has shared disks."),
    ("boot-order-unsaid", "BootDeviceSection", "OVF 1.1 has a boot order."),
)  # fmt: skip


def _clause(written: str) -> str:
    return f"DSP0243 2.1.1 {written}" if written else ""


RULES = {
    id_: Rule(id_, severity, _clause(clause), title, remedy[0] if remedy else "")
    for id_, severity, clause, title, *remedy in _RULES
} | {id_: Rule(id_, W, _clause(clause), title) for id_, clause, title in _READING}

__all__ = ["FIX", "RULES", "Rule"]
