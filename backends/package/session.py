"""A package as a session of the contract."""

import os
import shutil
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from backends.base import (
    ApplianceItem,
    Capabilities,
    Consistency,
    Cursor,
    Described,
    Finding,
    Inventory,
    InventoryPage,
    Key,
    Kind,
    Leftover,
    MachineItem,
    NotFoundError,
    Placement,
    PlatformInfo,
    Power,
    Ref,
    Severity,
    StorageItem,
    TransferError,
    UnsupportedError,
)
from backends.package.capture import PackageCapture
from backends.package.deployment import PackageDeployment, committed, remove
from backends.package.errors import speaking
from backends.package.layout import Layout, is_package, unfinished
from backends.package.made import files_made
from backends.package.settings import PackageSettings
from kensho_tui import __version__
from kensho_tui.cancel import Cancel
from kensho_tui.errors import KenshoError
from kensho_tui.machine import Appliance, Disk, Firmware, Machine
from kensho_tui.ovf import environment_files
from kensho_tui.ovf.package import Package, open_package

if TYPE_CHECKING:
    from kensho_tui.ovf.remote import Remote


class PackageSession:
    """One package by its path. It is opened when something of it is asked for, and each time anew."""

    def __init__(
        self,
        address: str,
        settings: PackageSettings,
        cancel: Cancel,
        remote: "Remote | None" = None,
    ) -> None:
        """Args:
        address: path of an .ova, an .ovf or a folder; it need not be there yet. Or on a web server.
        remote: how it is asked for there.
        """
        self._address = address
        self._remote = remote
        self._settings = settings
        self._cancel = cancel
        self._lock = threading.Lock()
        self._captures: dict[Key, PackageCapture] = {}
        self._deployments: dict[Key, PackageDeployment] = {}
        self._closed = False
        self._held: Package | None = None

    @property
    def capabilities(self) -> Capabilities:
        """Any machine goes into a package."""
        return Capabilities(
            PlatformInfo("OVF package", __version__, "Kensho"),
            imports=self._remote is None,
            firmware=frozenset(Firmware),
        )

    # ------------------------------------------------------------------------------------ reading
    def inventory(self, kinds: frozenset[Kind], after: Cursor | None = None) -> InventoryPage:
        """The package as one appliance and its machines; for one that is yet to be written, where."""
        self._must_be_open()
        found: list[Inventory] = []
        if self._remote is not None:
            # The address of a connection may be that of the folder that packages are in.
            named = self._address.lower().endswith((".ova", ".ovf"))
            wanted = named and kinds & {Kind.APPLIANCE, Kind.MACHINE}
            return InventoryPage(tuple(self._items(kinds)) if wanted else ())
        if Kind.STORAGE in kinds and not Path(self._address).is_file():
            found += self._storage()
        if kinds & {Kind.APPLIANCE, Kind.MACHINE} and Path(self._address).exists():
            found += self._items(kinds)
        return InventoryPage(tuple(found))

    def _items(self, kinds: frozenset[Kind]) -> list[Inventory]:
        if self._remote is None and _is_empty_folder(Path(self._address)):
            return []  # a folder that a package is to be written into
        with speaking(self._cancel):
            package = self._open()
            appliance, _ = package.appliance(locale=self._settings.locale)
        whole = Ref(Kind.APPLIANCE, package.location, appliance.name)
        items: list[Inventory] = []
        if Kind.APPLIANCE in kinds:
            machines = tuple(Ref(Kind.MACHINE, m.id, m.name) for m in appliance.machines)
            items.append(ApplianceItem(whole, machines))
        if Kind.MACHINE in kinds:
            items += [
                MachineItem(
                    Ref(Kind.MACHINE, machine.id, machine.name),
                    processors=machine.processors.count,
                    memory=machine.memory.size,
                    disk_bytes=sum(d.capacity or 0 for d in appliance.disks_of(machine)),
                    os=machine.os.description or machine.os.vendor_id,
                    appliance=whole,
                )
                for machine in appliance.machines
            ]
        return items

    def _storage(self) -> list[Inventory]:
        folder = _existing(Path(self._address))
        try:
            usage = shutil.disk_usage(folder)
        except OSError:
            return []
        return [StorageItem(Ref(Kind.STORAGE, str(folder), str(folder)), usage.total, usage.free)]

    def describe(self, refs: Sequence[Ref], *, configuration: str | None = None) -> Described:
        """The package, or some of its machines, resolved for one deployment option."""
        self._must_be_open()
        with speaking(self._cancel):
            package = self._open()
            self._know(package, configuration)
            appliance, findings = package.appliance(configuration, locale=self._settings.locale)
            disks = {id: _looked_at(package, each) for id, each in appliance.disks.items()}
            appliance, noticed = self._with_files(package, replace(appliance, disks=disks))
        findings = (*findings, *noticed)
        if self._settings.lenient:
            findings = tuple(map(_relaxed, findings))
        return Described(_only(appliance, refs, package.name), findings, package.identity)

    def _with_files(
        self, package: Package, appliance: Appliance
    ) -> tuple[Appliance, tuple[Finding, ...]]:
        """The appliance with the bytes of its small files, and what is wrong with those for guests."""
        integrity = "require" if self._settings.signed_by else self._settings.integrity
        files, data, found = environment_files.read(package, appliance.environment_files, integrity)
        blobs = {**package.blobs(), **data}
        return replace(appliance, blobs=blobs, environment_files=files), found

    def _open(self) -> Package:
        path: Path | Remote = self._remote or Path(self._address)
        if isinstance(path, Path) and not path.exists():
            raise NotFoundError("there is no such file", subject=str(path), remedy="Check the path")
        signers = [Path(each) for each in self._settings.signed_by.splitlines()]
        package = open_package(
            path, integrity=self._settings.integrity, signed_by=signers, cancel=self._cancel
        )
        # What had to be unpacked for it stays for the next one who asks.
        self._held = package
        return package

    @staticmethod
    def _know(package: Package, configuration: str | None) -> None:
        known = [each.id for each in package.envelope.configurations]
        if configuration and configuration not in known:
            raise NotFoundError(
                f"there is no deployment option '{configuration}'",
                subject=package.name,
                remedy=f"Known are: {', '.join(known)}" if known else "It has none",
            )

    def capture(
        self, refs: Sequence[Ref], how: Consistency, key: Key, *, configuration: str | None = None
    ) -> PackageCapture:
        """The package as it is now. The same key gives the same capture."""
        self._must_be_open()
        with self._lock:
            if key in self._captures:
                return self._captures[key]
        with speaking(self._cancel):
            package = self._open()
            self._know(package, configuration)
            appliance, _ = package.appliance(configuration, locale=self._settings.locale)
            appliance, _ = self._with_files(package, appliance)
        capture = PackageCapture(
            package,
            _only(appliance, refs, package.name),
            self._cancel,
            integrity=self._settings.integrity,
        )
        with self._lock:
            return self._captures.setdefault(key, capture)

    def power(self, ref: Ref, to: Power, timeout_s: float, *, force: bool = False) -> Power:
        """Machines of a package do not run. Raises: UnsupportedError, unless they shall be off."""
        self._must_be_open()
        if to is Power.OFF:
            return Power.OFF
        raise UnsupportedError("a machine in a package cannot be started", subject=ref.name)

    # ------------------------------------------------------------------------------------ writing
    def check(self, appliance: Appliance, placement: Placement) -> list[Finding]:
        """Whether the path can be written."""
        self._must_be_open()
        if self._remote is not None:
            return [
                Finding(
                    "package-read-only",
                    Severity.ERROR,
                    "It is on a web server, where nothing is written.",
                    subject=self._remote.url,
                    remedy="Give a path.",
                )
            ]
        layout = Layout.of(self._address, appliance.name, self._settings.format)
        folder = layout.final.parent
        found = []
        if os.path.lexists(layout.final):
            found.append(
                Finding(
                    "package-exists",
                    Severity.ERROR,
                    "There is a file or folder of that name already.",
                    subject=str(layout.final),
                    remedy="Choose another name, or move it away.",
                )
            )
        elif os.path.lexists(layout.partial):
            found.append(
                Finding(
                    "package-unfinished",
                    Severity.ERROR,
                    "Another job is writing this package, or left it unfinished.",
                    subject=str(layout.partial),
                    remedy="Wait for that job, or remove the file if there is none.",
                )
            )
        if not folder.is_dir():
            found.append(
                Finding(
                    "folder-missing",
                    Severity.ERROR,
                    "The folder is not there.",
                    subject=str(folder),
                    remedy="Make it, or choose another one.",
                )
            )
        elif not os.access(folder, os.W_OK | os.X_OK):
            found.append(
                Finding(
                    "folder-read-only",
                    Severity.ERROR,
                    "The folder cannot be written to.",
                    subject=str(folder),
                    remedy="Check its permissions, or choose another one.",
                )
            )
        found += [
            Finding(
                "capacity-unknown",
                Severity.ERROR,
                "The disk's capacity is not known, and a package has to say it.",
                subject=disk.name or disk.id,
            )
            for disk in appliance.disks.values()
            if disk.capacity is None and not disk.blank and not disk.id.startswith("file:")
        ]
        if appliance.environment_files and self._settings.ovf_version == "1.1":
            found.append(
                Finding(
                    "environment-files-unlisted",
                    Severity.WARNING,
                    "Files that guests are handed beside their settings stay in the package, but OVF 1.1"
                    " has no section that says so: whoever installs it hands them to no guest.",
                    subject=appliance.name,
                    remedy="Write OVF 2.0 (--ovf-version 2.0), where those who install it read that.",
                )
            )
        if self._settings.profile:
            from backends.package.profile import told

            found += told(appliance, self._settings)
        found += [
            Finding(
                "shared-disk-unlisted",
                Severity.WARNING,
                "That the disk is shared has no word in OVF 1.1: Kensho reads it from an attribute of its own,"
                " others take it as an ordinary disk.",
                subject=disk.name or disk.id,
                remedy="Write OVF 2.0 (--ovf-version 2.0), where those who install it read that.",
            )
            for disk in appliance.disks.values()
            if disk.shared and self._settings.ovf_version == "1.1"
        ]
        beyond = [*appliance.scale_outs, *appliance.placement_groups]
        if beyond and self._settings.ovf_version == "1.1":
            found.append(
                Finding(
                    "groups-unlisted",
                    Severity.WARNING,
                    "How many instances there are to be, and which machines belong together or apart, has"
                    " no word in OVF 1.1 and is left out.",
                    subject=appliance.name,
                    remedy="Write OVF 2.0 (--ovf-version 2.0), where those who install it read that.",
                )
            )
        found += files_made(appliance, self._settings, archive=layout.archive)
        return found

    def deploy(self, appliance: Appliance, placement: Placement, key: Key) -> PackageDeployment:
        """Begin to write the package. The same key goes on with what it had begun."""
        self._must_be_open()
        if self._remote is not None:
            raise UnsupportedError(
                "nothing is written to a web server", subject=self._address, remedy="Give a path"
            )
        with self._lock:
            known = self._deployments.get(key)
            if known is not None and not known.aborted:
                return known
            layout = Layout.of(self._address, appliance.name, self._settings.format)
            made = PackageDeployment(layout, appliance, self._settings, key, self._cancel)
            self._deployments[key] = made
            return made

    def stands(self, key: Key) -> bool:
        """Whether the package that the key was to write is there under its name."""
        self._must_be_open()
        if self._remote is not None:
            return False
        return any(
            committed(layout, key) for layout in Layout.all_at(self._address, self._settings.format)
        )

    def sweep(self, key: Key) -> list[Leftover]:
        """Remove what was begun under the key and not committed."""
        self._must_be_open()
        with self._lock:
            known = self._deployments.pop(key, None)
            self._captures.pop(key, None)
        left = known.abort() if known is not None else []
        if self._remote is not None:
            return left
        path = Path(self._address)
        for folder in dict.fromkeys((path.parent, path)):
            for partial, record in unfinished(folder, key):
                left += remove(partial, record)
        return left

    def withdraw(self, key: Key) -> list[Leftover]:
        """Nothing: a package hands no guest its settings."""
        self._must_be_open()
        return []

    def close(self) -> None:
        """Be done. Twice is once; what was begun stays for its key."""
        with self._lock:
            self._closed = True
            self._captures.clear()
            self._held = None
            deployments, self._deployments = list(self._deployments.values()), {}
        for deployment in deployments:
            deployment.detach()

    def _must_be_open(self) -> None:
        self._cancel.check()
        if self._closed:
            raise TransferError("the session is closed", subject=self._address)


def _relaxed(finding: Finding) -> Finding:
    """What the author requires and Kensho does not understand is no error then."""
    if finding.id not in {"section-required", "element-required"}:
        return finding
    return replace(
        finding, severity=Severity.WARNING, remedy="Taken all the same, as was asked for."
    )


def _looked_at(package: Package, disk: Disk) -> Disk:
    """The disk with what only its image tells of it: how large its sectors are."""
    if disk.blank:
        return disk
    from kensho_tui.disks.vhdx import sector_size

    with suppress(KenshoError):  # what is wrong with the image is said where it is read
        stream = package.stream(disk.image, digests=False)
        try:
            return disk if stream.forward else replace(disk, sector=sector_size(stream))
        finally:
            stream.close()
    return disk


def _is_empty_folder(path: Path) -> bool:
    """Whether it is a folder that a package can be written into: there is none in it."""
    return path.is_dir() and not is_package(path)


def _existing(path: Path) -> Path:
    """The nearest folder of the path that is there."""
    path = path.absolute()
    while not path.is_dir() and path != path.parent:
        path = path.parent
    return path


def _only(appliance: Appliance, refs: Sequence[Ref], package: str) -> Appliance:
    """The appliance with the machines that are meant, and what belongs to them."""
    wanted = [ref for ref in refs if ref.kind is not Kind.APPLIANCE]
    if not wanted:
        return appliance
    known = {str(machine.id): machine for machine in appliance.machines}
    for ref in wanted:
        if ref.id not in known:
            raise NotFoundError(
                "there is no such machine in the package",
                subject=f"{package}: {ref.name or ref.id}",
                remedy=f"Known are: {', '.join(m.name for m in appliance.machines)}",
            )
    kept = {ref.id for ref in wanted}
    machines = tuple(m for m in appliance.machines if m.id in kept)
    return _reduced(appliance, machines, {"", *kept})


def _reduced(appliance: Appliance, machines: tuple[Machine, ...], owners: set[str]) -> Appliance:
    disks = {a.disk for m in machines for a in m.attachments if a.disk is not None}
    networks = {a.network for m in machines for a in m.adapters}
    return replace(
        appliance,
        machines=machines,
        disks={id_: disk for id_, disk in appliance.disks.items() if id_ in disks},
        networks=tuple(each for each in appliance.networks if each.id in networks),
        products=tuple(each for each in appliance.products if each.owner in owners),
        licences=tuple(each for each in appliance.licences if each.owner in owners),
        properties=tuple(each for each in appliance.properties if each.owner in owners),
        environment_files=tuple(e for e in appliance.environment_files if e.owner in owners),
    )
