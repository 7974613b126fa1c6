"""The contract of every platform: export, import and migration are the same verbs with other ends.

A platform module is cheap to import: it loads no vendor SDK until `Platform.connect`. Whatever goes
wrong inside a back end leaves it as one of the exceptions of this page (or as `CancelledError`), with
the three parts an operator needs.

Threads belong to the caller: a session, and every reader and writer it gives, may be used from
several threads at once unless its docstring says "one thread". Cancelling closes sockets: a blocked
call then raises `CancelledError`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Flag, StrEnum, auto
from typing import Any, Protocol, TypeAlias, runtime_checkable

from pydantic import BaseModel

from kensho_tui.cancel import Cancel
from kensho_tui.connections import Connection, SecretSource
from kensho_tui.disks.image import (
    Access,
    Buffer,
    ExtentMap,
    Format,
    Need,
    Offer,
    WritableBuffer,
)
from kensho_tui.errors import KenshoError
from kensho_tui.findings import Finding, Severity
from kensho_tui.machine import Appliance, DiskId, Firmware, MachineId

__all__ = [
    "Access",
    "AccessDeniedError",
    "ApplianceItem",
    "AuthenticationError",
    "BackendError",
    "Buffer",
    "Capabilities",
    "Capture",
    "ChangeId",
    "ConnectError",
    "Consistency",
    "Content",
    "Cursor",
    "DamagedError",
    "DeployedMachine",
    "Deployment",
    "Described",
    "Environment",
    "ExtentMap",
    "Finding",
    "Format",
    "HostItem",
    "Inventory",
    "InventoryPage",
    "Json",
    "Key",
    "Kind",
    "Leftover",
    "MachineItem",
    "NameTakenError",
    "Need",
    "NetworkItem",
    "NoSpaceError",
    "NotFoundError",
    "Offer",
    "Placement",
    "Platform",
    "PlatformInfo",
    "PoolItem",
    "Power",
    "Reader",
    "Ref",
    "RefusedError",
    "Result",
    "ResumeError",
    "Session",
    "Severity",
    "StorageItem",
    "TransferError",
    "Transport",
    "TrustError",
    "UnsupportedError",
    "WritableBuffer",
    "Writer",
]  # fmt: skip

# What JSON can hold; tokens of this type go into the journal and come back in another process.
Json: TypeAlias = Any

ChangeId: TypeAlias = str
Cursor: TypeAlias = str
# "kensho:<job>:<step>": lives in what was made, where it is found without a scan.
Key: TypeAlias = str


# ---------------------------------------------------------------------------------------- errors
class BackendError(KenshoError):
    """Root of what a back end raises."""


class ConnectError(BackendError):
    """The platform cannot be reached, or went away. Retryable unless said otherwise."""


class AuthenticationError(BackendError):
    """User name or password refused."""


class TrustError(BackendError):
    """The server's certificate is not the one that is trusted.

    Attributes:
        presented: SHA-256 of the certificate the server showed (DER), 64 hex digits.
        expected: the pin it should have matched; "" where none was set and the system's trust
            store refused it.
        issuer, not_before, not_after: of the presented certificate, for the operator; "" where
            unreadable.
    """

    def __init__(
        self,
        what: str,
        *,
        presented: str,
        expected: str = "",
        issuer: str = "",
        not_before: str = "",
        not_after: str = "",
        subject: str = "",
        remedy: str = "",
    ) -> None:
        super().__init__(what, subject=subject, remedy=remedy)
        self.presented = presented
        self.expected = expected
        self.issuer = issuer
        self.not_before = not_before
        self.not_after = not_after


class AccessDeniedError(BackendError):
    """The account may not do this."""


class NotFoundError(BackendError):
    """A machine, network, storage or file is not (or no longer) there."""


class NameTakenError(BackendError):
    """Something of that name is already there."""


class NoSpaceError(BackendError):
    """The storage is full, or too small for what is asked."""


class RefusedError(BackendError):
    """The platform refuses, in a way that trying again does not change."""


class UnsupportedError(BackendError):
    """The platform cannot do this at all."""


class ResumeError(UnsupportedError):
    """A disk cannot go on from that token: it is none of this target's, or what it speaks of is gone.

    Nothing was changed; opened without the token, the disk is begun anew.
    """


class TransferError(BackendError):
    """Bytes did not arrive, or the server says it could not use them."""


class DamagedError(BackendError):
    """What was read is not what was promised: digest, length or structure."""


# ------------------------------------------------------------------------------------- inventory
class Kind(StrEnum):
    """What a reference points at."""

    POOL = "pool"  # pool, cluster, datacenter: what hosts belong to
    HOST = "host"
    STORAGE = "storage"  # SR, datastore, volume path, storage pool
    NETWORK = "network"
    MACHINE = "machine"
    TEMPLATE = "template"
    APPLIANCE = "appliance"  # VM_appliance, vApp, package


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """A lasting reference: ``id`` is the platform's own (a UUID where it has one), ``name`` is for people.

    Two references are the same object when kind and id agree; the name may have changed.
    """

    kind: Kind
    id: str
    name: str = field(default="", compare=False)


class Power(StrEnum):
    """Power state of a machine."""

    OFF = "off"
    ON = "on"
    SUSPENDED = "suspended"
    PAUSED = "paused"


class Content(Flag):
    """What a storage can hold."""

    DISKS = auto()
    ISO = auto()


@dataclass(frozen=True, slots=True)
class PoolItem:
    """A pool or cluster. ``default_storage`` is where it puts disks when not told."""

    ref: Ref
    version: str = ""
    default_storage: Ref | None = None
    master: Ref | None = None


@dataclass(frozen=True, slots=True)
class HostItem:
    """A host. Memory in bytes. ``reason`` says why it takes no machines now, "" if it does."""

    ref: Ref
    pool: Ref | None = None
    processors: int = 0
    memory_total: int = 0
    memory_free: int = 0
    version: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StorageItem:
    """A place for disks. Sizes in bytes. ``hosts`` that reach it; ``reason`` why it takes no disks.

    ``thin``: a disk takes only what is written to it, so that all disks together may be larger.
    """

    ref: Ref
    capacity: int
    free: int
    content: Content = Content.DISKS
    type: str = ""
    shared: bool = False
    hosts: tuple[Ref, ...] = ()
    reason: str = ""
    thin: bool = False


@dataclass(frozen=True, slots=True)
class NetworkItem:
    """A network machines can be put on. ``management`` marks the platform's own fallback."""

    ref: Ref
    description: str = ""
    bridge: str = ""
    vlan: int | None = None
    management: bool = False
    hosts: tuple[Ref, ...] = ()


@dataclass(frozen=True, slots=True)
class MachineItem:
    """A machine (or template), in summary. ``reason`` says why it cannot be exported now."""

    ref: Ref
    power: Power = Power.OFF
    processors: int = 0
    memory: int = 0
    disk_bytes: int = 0
    os: str = ""
    host: Ref | None = None
    appliance: Ref | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ApplianceItem:
    """A group of machines that the platform itself knows (VM_appliance, vApp, package)."""

    ref: Ref
    machines: tuple[Ref, ...] = ()


Inventory: TypeAlias = PoolItem | HostItem | StorageItem | NetworkItem | MachineItem | ApplianceItem


@dataclass(frozen=True, slots=True)
class InventoryPage:
    """Some items, and where the next page begins (None: that was the last)."""

    items: tuple[Inventory, ...]
    next: Cursor | None = None


@dataclass(frozen=True, slots=True)
class PlatformInfo:
    """What the platform calls itself: goes into the guest's PlatformSection (DSP8027)."""

    kind: str
    version: str = ""
    vendor: str = ""


class Transport(StrEnum):
    """How a guest gets its environment."""

    NONE = "none"
    ISO = "iso"
    GUEST_INFO = "com.vmware.guestInfo"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What this session can do, as found out at login. Never guessed from version numbers."""

    platform: PlatformInfo
    exports: bool = True
    imports: bool = True
    captures_running: bool = False
    powers: bool = False  # machines can be started and stopped
    environment: bool = False  # a guest can be handed its OVF environment
    transport: Transport = Transport.ISO  # how, where it can
    firmware: frozenset[Firmware] = frozenset({Firmware.BIOS})
    max_disk: int | None = None  # bytes
    disk_increment: int = 512  # capacities are rounded up to a multiple, bytes
    max_attachments: int | None = None  # drives a machine can have
    keeps_uuid: bool = False  # a machine can get the SMBIOS UUID that it had
    sectors: frozenset[int] = frozenset({512})  # bytes of the sectors that its disks can have


@dataclass(frozen=True, slots=True)
class Described:
    """What is there, without a disk byte moved; ``identity`` changes when the source changes."""

    appliance: Appliance
    findings: tuple[Finding, ...] = ()
    identity: str = ""


# ------------------------------------------------------------------------------------ deployment
class Consistency(StrEnum):
    """How the moment of a capture is chosen."""

    OFF = "off"  # the machine must be off (or suspended); refused otherwise
    SNAPSHOT = "snapshot"  # one snapshot of all disks of a running machine


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an appliance goes. Names, processors and memory are changed in the appliance itself.

    Attributes:
        home: pool or host the machines are for; None lets the platform choose.
        homes: per machine, where it differs from ``home``.
        storage: place of each disk; every disk that is not skipped has one.
        networks: network of each adapter by ``(machine id, adapter id)``; None leaves it unplugged.
    """

    home: Ref | None = None
    homes: Mapping[MachineId, Ref] = field(default_factory=dict)
    storage: Mapping[DiskId, Ref] = field(default_factory=dict)
    networks: Mapping[tuple[MachineId, str], Ref | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Environment:
    """OVF environment documents (DSP8027, XML in UTF-8), one per machine that gets one."""

    documents: Mapping[MachineId, bytes]
    sensitive: bool = False  # a document holds a password
    # What lies beside the document, by path; of machines that have such.
    files: Mapping[MachineId, Mapping[str, bytes]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Leftover:
    """Something that could not be removed, and the one action that removes it by hand."""

    ref: Ref
    reason: str
    action: str


@dataclass(frozen=True, slots=True)
class DeployedMachine:
    """A machine as it stands on the target after commit."""

    machine: MachineId
    ref: Ref
    started: bool
    disks: Mapping[DiskId, Ref] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """What a deployment became. ``location`` is a path where the target is a package."""

    machines: tuple[DeployedMachine, ...]
    appliance: Ref | None = None
    location: str = ""
    findings: tuple[Finding, ...] = ()


class Reader(Protocol):
    """The bytes of one disk, in the format of the offer it was opened with (an `InputStream`)."""

    @property
    def length(self) -> int | None:
        """Bytes of the stream; None where the other end does not tell."""
        ...

    @property
    def identity(self) -> str:
        """Changes when the source's bytes change (snapshot id, size and time): for resuming."""
        ...

    @property
    def allocated(self) -> ExtentMap | None:
        """Where a RAW source may hold data; None where it cannot tell, or for image formats."""
        ...

    def readinto(self, buffer: WritableBuffer, /) -> int:
        """Read forward; bytes read, 0 at the end. One thread. Raises: TransferError, ConnectError."""
        ...

    def pread(self, offset: int, buffer: WritableBuffer, /) -> int:
        """Read at the offset; bytes read. SEEK and EXTENTS only. Raises: UnsupportedError, as above."""
        ...

    def verify(self) -> None:
        """After the last byte: was all of it right? Task, lease, digest, length. May read the rest.

        Raises: DamagedError: it does not match what was promised. TransferError: the server says so.
        """
        ...

    def close(self) -> None:
        """Give up or be done; from any thread, twice is once. This IS cancellation."""
        ...


@runtime_checkable
class Digested(Protocol):
    """A reader or writer that knows the digest of its whole stream, for the record of what was moved."""

    @property
    def digest(self) -> str:
        """``sha256 9f86…``, once a reader was verified or a writer finished; "" where it is not known."""
        ...


@runtime_checkable
class Covered(Protocol):
    """A reader that knows whether `verify` will compare all its bytes with a digest of the source."""

    @property
    def covered(self) -> bool: ...


class Writer(Protocol):
    """Where one disk goes, in the format of the offer it was opened with (an `OutputStream`)."""

    def write(self, data: Buffer, /) -> None:
        """Append all bytes. FORWARD only; one thread. Raises: NoSpaceError, TransferError, …"""
        ...

    def pwrite(self, offset: int, data: Buffer, /) -> None:
        """Write all bytes at the offset. SEEK and EXTENTS only; one thread."""
        ...

    def durable(self) -> tuple[ExtentMap, Json]:
        """What the target has acknowledged so far, and a small token that resumes after it.

        May be called after every write: it brings what was written to the target for good where
        enough has come together for that to be worth its price, and else gives what it gave
        before. The map is of the stream's bytes (FORWARD), else of the disk's; all before its end
        has been acknowledged or was never written. What the token speaks of outlives `close` and
        the process. A target that cannot resume gives an empty map and None.

        Raises: as `write`.
        """
        ...

    def pread(self, offset: int, buffer: WritableBuffer, /) -> int:
        """Read back what was acknowledged before this writer; short only at its end.

        Raises: UnsupportedError: the target gives nothing back, or it was opened without ``resume``.
        """
        ...

    def finish(self) -> None:
        """All bytes are written: wait for the server's own verdict and raise if it is not success."""
        ...

    def close(self) -> None:
        """Give up or be done; from any thread, twice is once.

        Without `finish` before it the disk counts as not written; what a token of `durable` speaks
        of stays until the disk is opened again or the deployment ends.
        """
        ...


class Capture(Protocol):
    """ONE moment of some machines: owns snapshots, leases and heartbeats until `release`."""

    @property
    def token(self) -> Json:
        """For the journal: enough that ``Session.sweep`` of the same key finds what is held."""
        ...

    @property
    def appliance(self) -> Appliance:
        """The machines as of that moment."""
        ...

    @property
    def changes(self) -> Mapping[DiskId, ChangeId]:
        """Change-tracking marks of the moment; empty where the platform tracks no changes."""
        ...

    def offers(self, disk: DiskId) -> Sequence[Offer]:
        """Ways to read the disk, best first; each of them works."""
        ...

    def open(self, disk: DiskId, offer: Offer, since: ChangeId | None = None) -> Reader:
        """Read the disk. ``since`` reads what changed after that mark only.

        Raises: UnsupportedError: ``since`` where changes are not tracked.
        """
        ...

    def release(self) -> list[Leftover]:
        """Remove what the capture made (snapshots, leases); what could not be is told. Twice is once."""
        ...


class Deployment(Protocol):
    """An appliance that is being built, hidden or unnamed until `commit`."""

    @property
    def token(self) -> Json:
        """For the journal."""
        ...

    @property
    def parallel(self) -> int:
        """How many disks may be written at once (an OVA being written: 1)."""
        ...

    def offers(self, disk: DiskId) -> Sequence[Offer]:
        """Ways to write the disk, best first; each of them works."""
        ...

    def open(
        self,
        disk: DiskId,
        offer: Offer,
        length: int | None = None,
        allocation: ExtentMap | None = None,
        resume: Json | None = None,
    ) -> Writer:
        """Write the disk; what an earlier, unfinished writer of it left is replaced.

        Args:
            length: bytes of the whole image, where the offer needs it.
            allocation: where data will be (guest-visible bytes), where the offer needs it.
            resume: a token of `Writer.durable` of the same disk and offer: what was acknowledged
                then stays, and what is written follows it.

        Raises: NoSpaceError: it is known beforehand not to fit. ResumeError: it cannot go on from
            ``resume``; nothing was changed.
        """
        ...

    def deliver(self, environment: Environment) -> Transport:
        """Hand the guests their OVF environment by the best way there is; NONE: there is none."""
        ...

    def commit(self, start: bool) -> Result:
        """Rename or unhide, then start in start order where asked. Twice is once."""
        ...

    def abort(self) -> list[Leftover]:
        """Remove all that was made; what could not be is told. Twice is once."""
        ...


class Session(Protocol):
    """A login. Logs in again by itself when the server has forgotten it; callable from any thread."""

    @property
    def capabilities(self) -> Capabilities: ...

    def inventory(self, kinds: frozenset[Kind], after: Cursor | None = None) -> InventoryPage:
        """Summaries of what is there, paged."""
        ...

    def describe(self, refs: Sequence[Ref], *, configuration: str | None = None) -> Described:
        """The machines (or one appliance) in full, as one appliance; no disk byte is moved.

        Args:
            refs: machines, or one appliance; empty means "all there is" (a package).
            configuration: deployment option to resolve; None takes the default one.

        Raises: NotFoundError: one of them is gone, or there is no such configuration.
        """
        ...

    def power(self, ref: Ref, to: Power, timeout_s: float, *, force: bool = False) -> Power:
        """Bring the machine to OFF or ON; guest shutdown first, hard only with ``force``."""
        ...

    def capture(
        self, refs: Sequence[Ref], how: Consistency, key: Key, *, configuration: str | None = None
    ) -> Capture:
        """ONE moment for all disks of all these machines. The same key gives the same capture.

        Raises: RefusedError: a machine is not in a state that allows it; nothing was changed.
        """
        ...

    def check(self, appliance: Appliance, placement: Placement) -> list[Finding]:
        """The server's own verdict on a deployment; changes nothing."""
        ...

    def deploy(self, appliance: Appliance, placement: Placement, key: Key) -> Deployment:
        """Build the machines without their disks' bytes. The same key gives the same deployment.

        Every object made carries the key. On an error what was made by this call is removed again.
        """
        ...

    def stands(self, key: Key) -> bool:
        """Whether what the key deployed is in service: its commit was decided, and nothing undoes it.

        Changes nothing; needs no live object.
        """
        ...

    def sweep(self, key: Key) -> list[Leftover]:
        """Remove all that carries the key and is not committed; needs no live object. Idempotent."""
        ...

    def withdraw(self, key: Key) -> list[Leftover]:
        """Take back what `Deployment.deliver` handed the guests under the key, committed or not.

        Needs no live object. Idempotent; what could not be taken back is told.
        """
        ...

    def close(self) -> None:
        """Log out. From any thread, twice is once; calls under way end with an error."""
        ...


class Platform(Protocol):
    """What an entry point of ``kensho_tui.backends`` names. Importing it loads no vendor SDK."""

    @property
    def name(self) -> str:
        """As in the entry point and in `Connection.platform`."""
        ...

    @property
    def title(self) -> str:
        """For people: ``XenServer / XCP-ng``."""
        ...

    @property
    def settings(self) -> type[BaseModel]:
        """Model of `Connection.settings`: drives the form, the CLI options and the JSON Schema."""
        ...

    def connect(self, connection: Connection, secrets: SecretSource, cancel: Cancel) -> Session:
        """Log in.

        Raises: ConnectError, AuthenticationError, TrustError, UnsupportedError (the vendor's
            library is missing: says in one line how to get it).
        """
        ...
