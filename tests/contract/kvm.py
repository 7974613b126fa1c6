"""The KVM back end on the bench: against a real libvirtd, looked at by virsh, qemu-img and the files."""

import atexit
import os
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from backends.base import ConnectError, Deployment, Kind, Placement, Ref, Session
from backends.kvm import PLATFORM
from kensho_tui.cancel import Cancel
from kensho_tui.connections import Connection
from kensho_tui.disks.copy import transfer
from kensho_tui.disks.image import Access, Format, Offer
from kensho_tui.machine import (
    Adapter,
    Appliance,
    Attachment,
    Bus,
    Controller,
    Disk,
    DiskId,
    Firmware,
    Machine,
    MachineId,
    Medium,
    Memory,
    Network,
    NetworkId,
    Start,
)
from kensho_tui.migration.answering import take
from kensho_tui.migration.answers import parse
from kensho_tui.migration.draft import Draft
from kensho_tui.migration.sessions import Sessions
from tests.contract.bench import CAPACITY, DISKS, Bench, Captured, MemoryDisk, pattern
from tests.contract.xenserver import Password
from tests.peers.libvirtd import Libvirtd, libvirtd, missing

SOURCE = "kensho:source:deploy"
# Daemons that nobody uses now, wiped: one takes seconds to start.
_idle: list[Libvirtd] = []
_all = ExitStack()
atexit.register(_all.close)


class KvmBench(Bench):
    """A libvirtd of its own, with a pool and a network."""

    name = "kvm"

    def __init__(self, state: Path) -> None:
        if why := missing():
            pytest.skip(why)
        self.daemon = _idle.pop() if _idle else _all.enter_context(libvirtd())
        self._sessions: list[Session] = []
        self._captured: Captured | None = None

    def __enter__(self) -> "KvmBench":
        return self

    def __exit__(self, *_: object) -> None:
        for session in self._sessions:
            session.close()
        for name in self.daemon.virsh("list", "--name").split():
            self.daemon.virsh("destroy", name)
        for name in self.daemon.virsh("list", "--all", "--name").split():
            self.daemon.virsh("undefine", "--nvram", name)
        for file in (self.daemon.folder / "pool").iterdir():
            file.unlink()
        self.daemon.virsh("pool-refresh", "pool")
        _idle.append(self.daemon)

    def session(self, cancel: Cancel | None = None, **settings: Any) -> Session:
        """A new connection."""
        connection = self.connection(settings={k: str(v) for k, v in settings.items()})
        session = PLATFORM.connect(connection, Password(""), cancel or Cancel())
        self._sessions.append(session)
        return session

    def careful(self) -> Session:
        """Raw disks in segments as small as can be: images are not gone on with here."""
        return self.session(disk_format="raw", segment_bytes=512)

    def connection(self, **changes: Any) -> Connection:
        """The daemon as a connection."""
        return Connection(
            **({"name": self.alias, "platform": "kvm", "address": self.daemon.uri} | changes)
        )

    def ref(self, kind: Kind, name: str) -> Ref:
        """The daemon's object of that name."""
        items = self.session().inventory(frozenset({kind})).items
        return next(item.ref for item in items if item.ref.name == name)

    def appliance(self) -> tuple[Appliance, Placement]:
        """A web server by UEFI and a database by BIOS."""
        network, storage = self.ref(Kind.NETWORK, "lan"), self.ref(Kind.STORAGE, "pool")
        scsi = Controller("scsi0", Bus.SCSI, 0, "lsilogic")
        web = Machine(
            MachineId("web"),
            "web01",
            Memory(128 << 20),
            firmware=Firmware.UEFI,
            controllers=(scsi,),
            attachments=(
                Attachment("d0", disk=DiskId("disk0"), controller="scsi0", unit=0, boot_index=0),
                Attachment("cd", Medium.CDROM),
            ),
            adapters=(Adapter("n0", NetworkId("lan"), "52:54:00:00:00:01"),),
            start=Start(order=1),
        )
        base = Machine(
            MachineId("db"),
            "db01",
            Memory(64 << 20),
            controllers=(scsi,),
            attachments=(
                Attachment("d0", disk=DiskId("disk1"), controller="scsi0", unit=0, boot_index=0),
                Attachment("d1", disk=DiskId("disk2"), controller="scsi0", unit=1),
            ),
            adapters=(Adapter("n0", NetworkId("lan")),),
        )
        disks = {
            DiskId(f"disk{n}"): Disk(
                DiskId(f"disk{n}"), CAPACITY, image=f"disk{n}.vmdk" if n < 2 else ""
            )
            for n in range(3)
        }
        appliance = Appliance(
            "shop", (web, base), disks, (Network(NetworkId("lan")),), "A shop", collection=True
        )
        return appliance, Placement(
            storage=dict.fromkeys(disks, storage),
            networks={(web.id, "n0"): network, (base.id, "n0"): network},
        )

    def standing(self) -> object:
        """Every domain, by name and UUID, and every file of the pool and of NVRAM; but for what is captured."""
        marks: Any = import_module("backends.kvm.marks")  # which needs libvirt's library
        own = {str(marks.identity(SOURCE, MachineId(name))) for name in ("web", "db")}
        lines = self.daemon.virsh("list", "--all", "--uuid", "--name").splitlines()
        domains = {line for line in lines if line and line.split()[0] not in own}
        names = {path.name for path in (self.daemon.folder / "pool").iterdir()}
        files = {name for name in names if f".{marks.tag(SOURCE)}." not in name}
        return domains, files, self.daemon.nvram()

    def environments(self) -> object:
        """The CDs' files, and what lies in drives."""
        files = {p.name for p in (self.daemon.folder / "pool").iterdir() if p.suffix == ".iso"}
        names = self.daemon.virsh("list", "--all", "--name").split()
        drives = [self.daemon.virsh("domblklist", "--inactive", name) for name in names]
        live = [self.daemon.virsh("domblklist", name) for name in names]
        return files, [
            line for text in drives + live for line in text.splitlines() if ".iso" in line
        ]

    def content(self, deployment: Deployment, disk: DiskId) -> bytes:
        """As QEMU reads it."""
        return self._file(deployment.token["disks"][disk].partition("/")[2])

    def _file(self, name: str) -> bytes:
        path = self.daemon.folder / "pool" / name
        raw = self.daemon.folder / "raw"
        kind = path.suffix.removeprefix(".")
        subprocess.run(
            ["qemu-img", "convert", "-U", "-f", kind, "-O", "raw", path, raw], check=True
        )
        return raw.read_bytes()

    def captured(self) -> Captured:
        """A machine that is off, made by a deployment."""
        if self._captured is None:
            session = self.session()
            deployment = session.deploy(*self.appliance(), SOURCE)
            for disk in DISKS:
                _fill(deployment, disk)
            machines = {each.machine: each for each in deployment.commit(start=False).machines}
            contents = {disk: pattern(disk) for disk in DISKS}
            contents[DiskId("disk2")] = bytes(CAPACITY)
            self._captured = Captured([machines[MachineId(m)].ref for m in ("web", "db")], contents)
        return self._captured

    def known(self) -> tuple[Connection, str]:
        """The daemon; it asks for no password."""
        return self.connection(), ""

    def as_source(self, draft: Draft, sessions: Sessions) -> Captured:
        """The machines that are off."""
        found = self.captured()
        draft.load_machines(sessions, self.alias, found.refs)
        return found

    def as_target(self, draft: Draft, sessions: Sessions) -> None:
        """In the pool, every network on the one that there is."""
        draft.load_target(sessions, self.alias)
        assert draft.described is not None
        names = [str(each.id) for each in draft.described.appliance.networks]
        networks = ", ".join(f"{name!r}: lan" for name in names)
        text = f"storage: {{default: pool}}\nnetworks: {{{networks}}}\n"
        take(draft, parse(text, "answers"), sessions)

    def arrived(self, result: dict[str, Any]) -> dict[DiskId, bytes]:
        """From the disks' files."""
        return {
            DiskId(disk): self._file(ref["name"])
            for machine in result["machines"]
            for disk, ref in machine["disks"].items()
        }

    @contextmanager
    def _stalling(self) -> Iterator[None]:
        """The daemon stands still from the first bytes to it on, or the second ones from it."""
        sending: Any = import_module("backends.kvm.upload")
        reading: Any = import_module("backends.kvm.capture")
        real_send, real_read = sending.send, reading.read
        read_before: list[bool] = []
        with ExitStack() as standing:

            def stop() -> None:
                standing.enter_context(self.daemon.still())

            def send(stream: Any, view: memoryview) -> None:
                stop()
                real_send(stream, view)

            def read(*arguments: Any) -> int:
                if read_before:
                    stop()
                read_before.append(True)
                return int(real_read(*arguments))

            sending.send, reading.read = send, read
            try:
                yield
            finally:
                sending.send, reading.read = real_send, real_read

    @contextmanager
    def _shortened(self, name: str) -> Iterator[None]:
        file = self.daemon.folder / "pool" / name
        whole = file.read_bytes()
        os.truncate(file, len(whole) // 2)
        try:
            yield
        finally:
            file.write_bytes(whole)

    def damaged(self, captured: Captured) -> AbstractContextManager[None]:
        """The file is cut off behind libvirt's back."""
        reading = self.session().describe(captured.refs).appliance
        return self._shortened(reading.disks[next(iter(captured.contents))].image)

    def stalled(self) -> AbstractContextManager[None]:
        """The daemon stands still."""
        return self._stalling()

    def mortal(self, calls: int) -> Session:
        """A session whose calls fail after so many."""
        session = self.session()
        link: Any = session._link  # type: ignore[attr-defined]
        once, left = link._once, [calls]

        def call(*arguments: Any) -> Any:
            if left[0] <= 0:
                raise ConnectError("killed")
            left[0] -= 1
            return once(*arguments)

        link._once = call
        return session


def _fill(deployment: Deployment, disk: DiskId) -> None:
    transfer(
        MemoryDisk(pattern(disk)),
        Offer(Format.RAW, Access.SEEK),
        targets=deployment.offers(disk),
        open_writer=lambda chosen, length, allocation: deployment.open(
            disk, chosen, length, allocation
        ),
        capacity=CAPACITY,
    )
