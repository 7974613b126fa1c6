"""Names of the standards and of vendors: namespaces, resource types, formats."""

from kensho_tui.disks.image import Format
from kensho_tui.machine import Bus

ENVELOPE_1 = "http://schemas.dmtf.org/ovf/envelope/1"
ENVELOPE_2 = "http://schemas.dmtf.org/ovf/envelope/2"
# OVF 0.9, oVirt's trailing slash and other spellings that occur in the wild.
ENVELOPE_0 = "http://www.vmware.com/schema/ovf/1/envelope"
ENVELOPE_OTHER = (
    ENVELOPE_0,
    "http://schemas.dmtf.org/ovf/envelope/1/",
    "http://schemas.dmtf.org/ovf/envelope",
    "http://schemas.dmtf.org/ovf/1/envelope",
    "/ovf/envelope",
)
ENVELOPES = (ENVELOPE_1, ENVELOPE_2, *ENVELOPE_OTHER)
STRINGS = "http://schemas.dmtf.org/ovf/strings/1"  # of bundles, in drafts of 1.0
RASD = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
SASD = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_StorageAllocationSettingData"
EPASD = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_EthernetPortAllocationSettingData"
BOOT_CONFIG = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_BootConfigSetting"
BOOT_SOURCE = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_BootSourceSetting"
XENC = "http://www.w3.org/2001/04/xmlenc#"
XENC11 = "http://www.w3.org/2009/xmlenc11#"
VSSD = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData"
ENVIRONMENT = "http://schemas.dmtf.org/ovf/environment/1"
VMW = "http://www.vmware.com/schema/ovf"
XENOVF = "http://schemas.citrix.com/ovf/envelope/1"
VBOX = "http://www.virtualbox.org/ovf/machine"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
XML = "http://www.w3.org/XML/1998/namespace"
# Our own: what the standard has no place for and a round trip must keep.
KENSHO = "urn:kensho:ovf:1"

FORMAT_VMDK = "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"
FORMAT_VHD = "http://www.microsoft.com/technet/virtualserver/downloads/vhdspec.mspx"
# DSP0243 names none of these: the first is what oVirt writes, the second what others who write OVF do.
FORMAT_QCOW2 = "http://www.gnome.org/~markmc/qcow-image-format.html"
FORMAT_VHDX = "http://technet.microsoft.com/en-us/library/hh831446.aspx#monolithic_sparse"
# How a package names the formats that its disks may have.
DISK_URIS = {
    Format.VMDK_STREAM: FORMAT_VMDK,
    Format.VHD: FORMAT_VHD,
    Format.VHD_FIXED: FORMAT_VHD,
    Format.VHDX: FORMAT_VHDX,
    Format.QCOW2: FORMAT_QCOW2,
}

# CIM_ResourceAllocationSettingData.ResourceType
OTHER = 1
PROCESSOR = 3
MEMORY = 4
IDE = 5
SCSI = 6
ETHERNET = 10
FLOPPY = 14
CDROM = 15
DVD = 16
DISK = 17
STORAGE_EXTENT = 19  # XenCenter's disks
OTHER_STORAGE = 20
SERIAL = 21  # but disks where Hyper-V wrote the descriptor
USB = 23
LOGICAL_DISK = 31
STORAGE_VOLUME = 32

RESOURCE_NAMES = {
    1: "other device", 2: "computer system", 7: "Fibre Channel adapter", 8: "iSCSI adapter",
    9: "InfiniBand adapter", 11: "network adapter", 12: "I/O slot", 13: "I/O device",
    18: "tape drive", 21: "serial port", 22: "parallel port", 23: "USB controller",
    24: "graphics controller", 25: "FireWire port", 30: "Ethernet connection", 35: "sound device",
}  # fmt: skip

# How a controller that is neither IDE nor SCSI says what it is: a part of its ResourceSubType.
SUBTYPE_BUS = (
    ("nvme", Bus.NVME), ("virtio", Bus.VIRTIO), ("sata", Bus.SATA), ("ahci", Bus.SATA),
    ("floppy", Bus.FLOPPY), ("xen", Bus.XEN), ("usb", Bus.USB), ("scsi", Bus.SCSI),
    ("ide", Bus.IDE),
)  # fmt: skip

# Sections that are read as what they are, and that no target is told of yet: findings say so.
TOLD_SECTIONS = frozenset({
    "InstallSection", "ResourceAllocationSection", "IpAssignmentSection", "StorageGroupSection",
    "BootOrderSection", "BootDeviceSection", "PlacementGroupSection", "PlacementSection",
    "ScaleOutSection", "EncryptionSection", "SecuritySection",
})  # fmt: skip
# Sections of the standard, of any version, that are read or may be left without harm.
KNOWN_SECTIONS = TOLD_SECTIONS | frozenset({
    "References", "DiskSection", "SharedDiskSection", "NetworkSection", "DeploymentOptionSection",
    "VirtualSystem", "VirtualSystemCollection", "Strings", "Info", "Name", "AnnotationSection",
    "ProductSection", "EulaSection", "VirtualHardwareSection",
    "StartupSection", "OperatingSystemSection", "EnvironmentFilesSection",
})  # fmt: skip
# Sections that are understood well enough to know that the machine runs without them.
HARMLESS_SECTIONS = frozenset({
    "StorageSection", "CustomizationSection", "NetworkConfigSection", "NetworkConnectionSection",
    "LeaseSettingsSection", "GuestCustomizationSection", "SnapshotSection", "DateTimeSection",
    "RuntimeInfoSection", "vServiceDependencySection", "CpuCompatibilitySection",
})  # fmt: skip
