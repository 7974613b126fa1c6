"""The package back end on the bench: archives in a folder, looked at through the file system."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from backends.base import (
    Capabilities,
    Capture,
    ConnectError,
    Consistency,
    Cursor,
    Deployment,
    Described,
    Finding,
    InventoryPage,
    Key,
    Kind,
    Leftover,
    Placement,
    Power,
    Ref,
    Result,
    Session,
)
from backends.package import PLATFORM
from backends.package.layout import safe_name
from kensho_tui.cancel import Cancel
from kensho_tui.connections import Connection
from kensho_tui.disks.copy import transfer
from kensho_tui.disks.image import Access, Buffer, ExtentMap, Format, Offer
from kensho_tui.machine import (
    Adapter,
    Appliance,
    Attachment,
    Bus,
    Controller,
    Disk,
    DiskId,
    Machine,
    MachineId,
    Medium,
    Memory,
    Network,
    NetworkId,
    Start,
)
from kensho_tui.migration.draft import Draft
from kensho_tui.migration.sessions import Sessions
from kensho_tui.ovf.package import FilePlace, open_package
from tests.contract.bench import CAPACITY, DISKS, Bench, Captured, MemoryDisk, pattern


class NoSecrets:
    """A package needs none."""

    def password(self, connection: Connection) -> str:
        """There is none."""
        raise AssertionError("a package has no password")

    def secret(self, name: str) -> str:
        """There is none."""
        raise AssertionError("a package has no secrets")


class Sparse:
    """A disk in memory that extents are written to."""

    def __init__(self, capacity: int) -> None:
        self.content = bytearray(capacity)

    def write(self, data: Buffer, /) -> None:
        """Not forward."""
        raise AssertionError("extents were asked for")

    def pwrite(self, offset: int, data: Buffer, /) -> None:
        """Write at the offset."""
        self.content[offset : offset + len(data)] = data

    def finish(self) -> None:
        """All is written."""

    def close(self) -> None:
        """Nothing to free."""


def connect(address: Path, cancel: Cancel | None = None, **settings: Any) -> Session:
    """A session on the package at that path."""
    connection = Connection("package", "package", str(address), settings=settings)
    return PLATFORM.connect(connection, NoSecrets(), cancel or Cancel())


class KeyedSession:
    """A job writes its package to a path of its own: each key has one, and the source has one."""

    def __init__(
        self, source: Path, out: Path, cancel: Cancel | None = None, **settings: Any
    ) -> None:
        self._source = connect(source, cancel)
        self._out = out
        self._cancel = cancel
        self._settings = settings
        self._by_key: dict[str, Session] = {}

    def _of(self, key: Key) -> Session:
        path = self._out / f"{safe_name(key)}.ova"
        return self._by_key.setdefault(key, connect(path, self._cancel, **self._settings))

    @property
    def capabilities(self) -> Capabilities:
        return self._source.capabilities

    def inventory(self, kinds: frozenset[Kind], after: Cursor | None = None) -> InventoryPage:
        return self._source.inventory(kinds, after)

    def describe(self, refs: Sequence[Ref], *, configuration: str | None = None) -> Described:
        return self._source.describe(refs, configuration=configuration)

    def power(self, ref: Ref, to: Power, timeout_s: float, *, force: bool = False) -> Power:
        return self._source.power(ref, to, timeout_s, force=force)

    def capture(
        self, refs: Sequence[Ref], how: Consistency, key: Key, *, configuration: str | None = None
    ) -> Capture:
        return self._source.capture(refs, how, key, configuration=configuration)

    def check(self, appliance: Appliance, placement: Placement) -> list[Finding]:
        return self._of("kensho:check").check(appliance, placement)

    def deploy(self, appliance: Appliance, placement: Placement, key: Key) -> Deployment:
        return self._of(key).deploy(appliance, placement, key)

    def stands(self, key: Key) -> bool:
        return self._of(key).stands(key)

    def sweep(self, key: Key) -> list[Leftover]:
        return [*self._source.sweep(key), *self._of(key).sweep(key)]

    def withdraw(self, key: Key) -> list[Leftover]:
        return [*self._source.withdraw(key), *self._of(key).withdraw(key)]

    def close(self) -> None:
        for session in (self._source, *self._by_key.values()):
            session.close()


class MortalSession(KeyedSession):
    """A session whose process dies after so many calls of the file system."""

    CALLS = (
        (os.path, "lexists"), (Path, "is_dir"), (Path, "is_file"), (Path, "read_text"),
        (os, "open"), (os, "ftruncate"), (os, "fsync"), (os, "pwrite"), (Path, "open"),
        (Path, "mkdir"), (Path, "replace"), (Path, "unlink"), (Path, "rename"),
    )  # fmt: skip

    def __init__(self, source: Path, out: Path, calls: int) -> None:
        super().__init__(source, out)
        self._left = calls

    def deploy(self, appliance: Appliance, placement: Placement, key: Key) -> Deployment:
        """Dies in the middle, or does not; so does the commit of what it gives."""
        with self._dying():
            made: Any = super().deploy(appliance, placement, key)
        commit = made.commit

        def dying_commit(start: bool) -> Result:
            with self._dying():
                result: Result = commit(start)
                return result

        made.commit = dying_commit
        deployment: Deployment = made
        return deployment

    def sweep(self, key: Key) -> list[Leftover]:
        """Dies in the middle, or does not."""
        with self._dying():
            return super().sweep(key)

    @contextmanager
    def _dying(self) -> Iterator[None]:
        with ExitStack() as stack:
            for owner, name in self.CALLS:
                stack.enter_context(patch.object(owner, name, self._counted(getattr(owner, name))))
            yield

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            if self._left <= 0:
                raise ConnectError("killed")
            self._left -= 1
            return call(*arguments, **named)

        return counted


def shop() -> Appliance:
    """Two machines with three disks; the last disk is blank."""
    scsi = Controller("3", Bus.SCSI, 0, "lsilogic")
    web = Machine(
        MachineId("web"),
        "web01",
        Memory(256 << 20),
        controllers=(scsi,),
        attachments=(
            Attachment("4", disk=DiskId("disk0"), controller="3", unit=0, boot_index=0),
            Attachment("5", Medium.CDROM, read_only=True),
        ),
        adapters=(Adapter("6", NetworkId("lan"), "00:16:3e:00:00:01"),),
        start=Start(order=1),
    )
    base = Machine(
        MachineId("db"),
        "db01",
        Memory(512 << 20),
        controllers=(scsi,),
        attachments=(
            Attachment("4", disk=DiskId("disk1"), controller="3", unit=0, boot_index=0),
            Attachment("5", disk=DiskId("disk2"), controller="3", unit=1),
        ),
        adapters=(Adapter("6", NetworkId("lan")),),
    )
    disks = {
        DiskId(f"disk{n}"): Disk(
            DiskId(f"disk{n}"), CAPACITY, f"disk{n}", image=f"disk{n}.vmdk" if n < 2 else ""
        )
        for n in range(3)
    }
    return Appliance(
        "shop",
        (web, base),
        disks,
        (Network(NetworkId("lan")),),
        description="A shop\nand its database",
        collection=True,
    )


def fill(deployment: Deployment, disk: DiskId) -> None:
    """Write the disk's pattern."""
    transfer(
        MemoryDisk(pattern(disk)),
        Offer(Format.RAW, Access.SEEK),
        targets=deployment.offers(disk),
        open_writer=lambda chosen, length, allocation: deployment.open(
            disk, chosen, length, allocation
        ),
        capacity=CAPACITY,
    )


def write_package(path: Path, **settings: Any) -> Path:
    """The shop as a package at that path; gives what can be opened."""
    session = connect(path, **settings)
    deployment = session.deploy(shop(), Placement(), "kensho:made:deploy")
    for disk in DISKS:
        fill(deployment, disk)
    result = deployment.commit(start=False)
    session.close()
    return Path(result.location)


def read_disk(path: Path, disk: DiskId) -> bytes:
    """The guest's bytes of a disk of the package, up to its declared capacity."""
    session = connect(path)
    capture = session.capture([], Consistency.OFF, "kensho:seen:capture")
    offer = capture.offers(disk)[0]
    reader = capture.open(disk, offer)
    capacity = capture.appliance.disks[disk].capacity or 0
    sink = Sparse(capacity)

    def open_writer(chosen: Offer, length: int | None, allocation: ExtentMap | None) -> Sparse:
        return sink

    transfer(
        reader,
        offer,
        targets=[Offer(Format.RAW, Access.EXTENTS)],
        open_writer=open_writer,
        capacity=capacity,
        verify=reader.verify,
    )
    session.close()
    return bytes(sink.content)


class PackageBench(Bench):
    """A folder with a package to read, and a folder to write packages into."""

    name = "package"

    def __init__(self, state: Path) -> None:
        self._source = state / "source" / "shop.ova"
        self._out = state / "out"
        self._sessions: list[KeyedSession] = []

    def __enter__(self) -> "PackageBench":
        self._source.parent.mkdir(parents=True)
        self._out.mkdir()
        write_package(self._source)
        return self

    def __exit__(self, *_: object) -> None:
        for session in self._sessions:
            session.close()

    def careful(self) -> Session:
        """Each window is brought to the disk at once."""
        return self.session(resume_bytes=512)

    def session(self, cancel: Cancel | None = None, **settings: Any) -> Session:
        """A new one."""
        session = KeyedSession(self._source, self._out, cancel, **settings)
        self._sessions.append(session)
        return session

    def appliance(self) -> tuple[Appliance, Placement]:
        """The shop; disks of a package are not placed."""
        return shop(), Placement()

    def standing(self) -> object:
        """Every file of the folder."""
        return sorted(str(path) for path in self._out.rglob("*"))

    def content(self, deployment: Deployment, disk: DiskId) -> bytes:
        """From the archive that was written."""
        return read_disk(Path(deployment.token["path"]), disk)

    def captured(self) -> Captured:
        """The machines of the package."""
        return Captured([], {disk: pattern(disk) for disk in DISKS})

    def as_source(self, draft: Draft, sessions: Sessions) -> Captured:
        """The package by its path."""
        draft.load_package(sessions, str(self._source))
        return self.captured()

    def as_target(self, draft: Draft, sessions: Sessions) -> None:
        """A new archive."""
        draft.load_target_package(sessions, str(self._out / "moved.ova"), "ova")

    def arrived(self, result: dict[str, Any]) -> dict[DiskId, bytes]:
        """By the files' names, from the archive."""
        path = Path(result["location"])
        session = connect(path)
        disks = {each.image: each for each in session.describe([]).appliance.disks.values()}
        session.close()
        named = {
            DiskId(disk): disks[ref["id"]]
            for machine in result["machines"]
            for disk, ref in machine["disks"].items()
        }
        return {disk: read_disk(path, made.id) for disk, made in named.items()}

    def damaged(self, captured: Captured) -> AbstractContextManager[None]:
        """One byte of the image differs, and nothing in the file system tells."""
        return self._flipped(next(iter(captured.contents)))

    def mortal(self, calls: int) -> Session:
        """Dies after so many calls of the file system."""
        session = MortalSession(self._source, self._out, calls)
        self._sessions.append(session)
        return session

    @contextmanager
    def _flipped(self, disk: DiskId) -> Iterator[None]:
        package = open_package(self._source)
        image = package.appliance()[0].disks[disk].image
        place = package.places[image]
        assert isinstance(place, FilePlace)
        seen = self._source.stat()
        at = place.offset + 12 * 512 + 100  # inside the VMDK's overhead, which no reader needs

        def flip() -> None:
            with self._source.open("r+b") as file:
                file.seek(at)
                byte = file.read(1)[0]
                file.seek(at)
                file.write(bytes([byte ^ 0xFF]))
            os.utime(self._source, ns=(seen.st_atime_ns, seen.st_mtime_ns))

        flip()
        try:
            yield
        finally:
            flip()
