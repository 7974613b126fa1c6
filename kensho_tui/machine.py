"""Appliances and machines, neutral of every platform and of XML.

Every platform describes what it holds in these words and builds from these words. Sizes are bytes,
times are seconds, MAC addresses are lower case with colons. All values are immutable; a changed
machine is a new one (`dataclasses.replace`). What only one platform understands travels in
``extras`` under a namespaced key (``xenserver:HVM_boot_params``) and survives a round trip.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType

DiskId = NewType("DiskId", str)
MachineId = NewType("MachineId", str)
NetworkId = NewType("NetworkId", str)


class Firmware(StrEnum):
    """What starts the machine."""

    BIOS = "bios"
    UEFI = "uefi"


class Bus(StrEnum):
    """How a controller talks to its units."""

    IDE = "ide"
    SCSI = "scsi"
    SATA = "sata"
    NVME = "nvme"
    VIRTIO = "virtio"
    XEN = "xen"
    FLOPPY = "floppy"
    USB = "usb"


class Medium(StrEnum):
    """What an attachment is to the guest."""

    DISK = "disk"
    CDROM = "cdrom"
    FLOPPY = "floppy"


class Boot(StrEnum):
    """One entry of a boot order."""

    DISK = "disk"
    CDROM = "cdrom"
    NETWORK = "network"
    FLOPPY = "floppy"


class Clock(StrEnum):
    """What the machine's real-time clock counts."""

    UTC = "utc"
    LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Controller:
    """A disk controller; ``model`` is the source's own word for it (``lsilogic``, ``VirtualSCSI``)."""

    id: str
    bus: Bus
    number: int = 0
    model: str = ""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A drive of a machine: a disk, or a CD or floppy drive that may be empty.

    Attributes:
        disk: the disk in it; None for an empty drive.
        controller: id of the machine's controller it hangs on; None where the platform has none.
        unit: position on the controller, from 0; None for "the next free one".
        boot_index: 0 boots first; None does not boot.
    """

    id: str
    medium: Medium = Medium.DISK
    disk: DiskId | None = None
    controller: str | None = None
    unit: int | None = None
    boot_index: int | None = None
    read_only: bool = False
    name: str = ""


@dataclass(frozen=True, slots=True)
class Adapter:
    """A network adapter. ``mac`` None lets the target choose one (see `canonical_mac`)."""

    id: str
    network: NetworkId | None = None
    mac: str | None = None
    model: str = ""
    connected: bool = True
    name: str = ""


@dataclass(frozen=True, slots=True)
class Processors:
    """Virtual processors; ``count`` is what the guest sees. Reservation and limit in MHz.

    ``minimum`` and ``maximum`` are the counts that the source says the guest can do with; None: not told.
    """

    count: int = 1
    cores_per_socket: int = 1
    reservation_mhz: int | None = None
    limit_mhz: int | None = None
    minimum: int | None = None
    maximum: int | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """Main memory in bytes; ``minimum`` and ``maximum`` as of `Processors`."""

    size: int
    reservation: int | None = None
    minimum: int | None = None
    maximum: int | None = None


@dataclass(frozen=True, slots=True)
class GuestOs:
    """The operating system in the machine, as far as the source tells.

    Attributes:
        cim_id: value of CIM_OperatingSystem.OsType; None where not told.
        vendor_id: the source platform's own word (``ubuntu64Guest``).
    """

    description: str = ""
    cim_id: int | None = None
    vendor_id: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Start:
    """Place in the start order (DSP0243 2.1.1 §9.7): groups of equal ``order`` start together.

    ``start_delay_s`` is waited after this machine before the next group starts.
    """

    order: int = 0
    start_delay_s: int = 0
    stop_delay_s: int = 0
    start: bool = True
    wait_for_guest: bool = False


@dataclass(frozen=True, slots=True)
class Install:
    """That a machine has to be started once to install its software, and is then off again.

    ``stop_delay_s``: seconds within which it is off again; 0: as long as it takes.
    """

    stop_delay_s: int = 0


@dataclass(frozen=True, slots=True)
class Machine:
    """One virtual machine.

    Attributes:
        id: unique in its appliance and stable across describe calls (OVF: ``VirtualSystem/@ovf:id``).
        uuid: SMBIOS UUID, lower case with hyphens; None lets the target choose.
        hardware: virtual hardware families the source names, first is preferred (``vmx-13``).
        boot_order: devices in the order they are tried; empty means disk, then CD-ROM.
        install: where its first start installs it; None: it is ready.
        placement: id of the `PlacementGroup` that it is in; "" for none.
    """

    id: MachineId
    name: str
    memory: Memory
    processors: Processors = Processors()
    description: str = ""
    uuid: str | None = None
    firmware: Firmware = Firmware.BIOS
    secure_boot: bool = False
    tpm: bool = False
    clock: Clock = Clock.UTC
    controllers: tuple[Controller, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    adapters: tuple[Adapter, ...] = ()
    boot_order: tuple[Boot, ...] = ()
    os: GuestOs = GuestOs()
    start: Start = Start()
    hardware: tuple[str, ...] = ()
    install: Install | None = None
    placement: str = ""
    extras: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Disk:
    """One virtual disk.

    Attributes:
        capacity: what the guest sees, in bytes; None where only the image itself tells.
        image: name of the file that holds it (OVF: ``File/@ovf:href``); "" for a blank disk.
        image_size: bytes of that file; None where unknown.
        format: what the source calls its format (a URI in OVF, ``vhd`` on XenServer).
        populated: bytes of guest data, where the source tells.
        sector: bytes of a sector as the guest sees it; its partition table counts by them.
    """

    id: DiskId
    capacity: int | None
    name: str = ""
    image: str = ""
    image_size: int | None = None
    format: str = ""
    populated: int | None = None
    sector: int = 512
    parent: DiskId | None = None
    shared: bool = False
    capacity_property: str | None = None
    extras: Mapping[str, str] = field(default_factory=dict)

    @property
    def blank(self) -> bool:
        """Whether the disk starts empty, with no bytes to move."""
        return not self.image


@dataclass(frozen=True, slots=True)
class Network:
    """A network of the appliance, by the name the source gives it."""

    id: NetworkId
    description: str = ""


@dataclass(frozen=True, slots=True)
class Product:
    """What the appliance or one of its machines calls itself."""

    owner: str = ""
    class_: str = ""
    instance: str = ""
    name: str = ""
    vendor: str = ""
    version: str = ""
    full_version: str = ""
    product_url: str = ""
    vendor_url: str = ""


@dataclass(frozen=True, slots=True)
class Licence:
    """A licence text (OVF: EulaSection) of the appliance (owner "") or of one machine."""

    text: str
    owner: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 of the text in UTF-8, hexadecimal: what an acceptance names."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Property:
    """A question the appliance asks (DSP0243 2.1.1 §9.5.1), resolved for one configuration.

    Attributes:
        key: the full key the guest sees, ``[class.]key[.instance]``. Unique per owner.
        owner: machine id, or "" for the whole appliance.
        type: one of the CIM types of the clause: uint8 … sint64, real32, real64, boolean, string.
        qualifiers: as written: ``MinLen(1),MaxLen(253)``, ``ValueMap{"a","b"}``.
        default: default for the resolved configuration; None where the operator must answer.
        configurable: whether the operator may answer (``ovf:userConfigurable``).
        category: heading it stands under, "" for none. Order of the tuple is display order.
        vendor_type: a finer type of the vendor's (``ip``, ``password``, ``string(1..8)``), or "".
    """

    key: str
    owner: str = ""
    type: str = "string"
    qualifiers: str = ""
    default: str | None = None
    configurable: bool = False
    password: bool = False
    label: str = ""
    description: str = ""
    category: str = ""
    product: str = ""
    vendor_type: str = ""

    @property
    def address(self) -> str:
        """Unique in the appliance: ``key`` of the appliance's own, ``machine/key`` of a machine's."""
        return f"{self.owner}/{self.key}" if self.owner else self.key


@dataclass(frozen=True, slots=True)
class EnvironmentFile:
    """A file of the package that a guest is handed beside its environment document.

    Attributes:
        owner: machine id, or "" for every machine.
        path: where the guest finds it, such as ``conf/host.conf``.
        name: of the file; its bytes are in `Appliance.blobs`.
    """

    owner: str
    path: str
    name: str


@dataclass(frozen=True, slots=True)
class PlacementGroup:
    """Machines that belong on one host (policy ``affinity``) or apart (``availability``)."""

    id: str
    policy: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class ScaleOut:
    """That there are to be several instances of a machine or of a collection of machines.

    Attributes:
        of: id of what there are instances of.
        default: how many, where nobody says; ``maximum`` None: as many as wanted.
    """

    of: str
    default: int
    minimum: int = 1
    maximum: int | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class SharedResources:
    """What the machines of a collection have together; ``owner`` is its id. Memory in bytes, else MHz."""

    owner: str
    processor_reservation_mhz: int | None = None
    processor_limit_mhz: int | None = None
    memory_reservation: int | None = None
    memory_limit: int | None = None


@dataclass(frozen=True, slots=True)
class Configuration:
    """A deployment option (DSP0243 2.1.1 §9.8) that one may choose."""

    id: str
    label: str = ""
    description: str = ""
    default: bool = False


@dataclass(frozen=True, slots=True)
class Appliance:
    """One or more machines that belong together, resolved for one configuration.

    Attributes:
        configuration: id of the one that was resolved; "" where the appliance has none.
        collection: whether the source groups its machines (OVF collection, vApp, VM_appliance).
        transports: how a guest wants its OVF environment: ``iso``, ``com.vmware.guestInfo``.
        languages: where there are texts in several, those, the descriptor's own first.
        language: the one of them that was taken.
        blobs: files that belong to it and are neither disk nor descriptor (NVRAM, and those of
            ``environment_files``), name to bytes.
        environment_files: what guests are handed beside their environment document.
        encrypted: files of the source that are encrypted, and by what algorithm ("" where not told).
    """

    name: str
    machines: tuple[Machine, ...]
    disks: Mapping[DiskId, Disk] = field(default_factory=dict)
    networks: tuple[Network, ...] = ()
    description: str = ""
    collection: bool = False
    products: tuple[Product, ...] = ()
    licences: tuple[Licence, ...] = ()
    properties: tuple[Property, ...] = ()
    configurations: tuple[Configuration, ...] = ()
    configuration: str = ""
    transports: tuple[str, ...] = ()
    blobs: Mapping[str, bytes] = field(default_factory=dict)
    environment_files: tuple[EnvironmentFile, ...] = ()
    placement_groups: tuple[PlacementGroup, ...] = ()
    scale_outs: tuple[ScaleOut, ...] = ()
    shared_resources: tuple[SharedResources, ...] = ()
    encrypted: Mapping[str, str] = field(default_factory=dict)
    extras: Mapping[str, str] = field(default_factory=dict)
    languages: tuple[str, ...] = ()
    language: str = ""

    def machine(self, machine: str) -> Machine:
        """The machine of that id. Raises KeyError."""
        for each in self.machines:
            if each.id == machine:
                return each
        raise KeyError(machine)

    def disks_of(self, machine: Machine) -> tuple[Disk, ...]:
        """The disks attached to the machine, in the order of its attachments."""
        return tuple(self.disks[a.disk] for a in machine.attachments if a.disk is not None)


def canonical_mac(text: str) -> str | None:
    """``00:16:3e:aa:bb:01`` from any common spelling; None for what is no MAC address."""
    digits = re.sub(r"[-:.\s]", "", text).lower()
    if not re.fullmatch(r"[0-9a-f]{12}", digits):
        return None
    return ":".join(digits[i : i + 2] for i in range(0, 12, 2))
