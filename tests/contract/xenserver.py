"""The XenServer back end on the bench: against the stand-in, looked at through its own database."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from backends.base import ConnectError, Deployment, Kind, Placement, Ref, Session
from backends.xenserver import PLATFORM
from backends.xenserver.session import XenSession
from kensho_tui.cancel import Cancel
from kensho_tui.connections import Connection
from kensho_tui.lab.xen import XenLab
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
from kensho_tui.migration.answering import take
from kensho_tui.migration.answers import parse
from kensho_tui.migration.draft import Draft
from kensho_tui.migration.sessions import Sessions
from tests.contract.bench import CAPACITY, Bench, Captured


class Password:
    """Secrets of one connection."""

    def __init__(self, password: str) -> None:
        self._password = password

    def password(self, connection: Connection) -> str:
        """The one password."""
        return self._password

    def secret(self, name: str) -> str:
        """There are none."""
        raise KeyError(name)


class XenBench(Bench):
    """A lab pool of two hosts."""

    name = "xenserver"

    def __init__(self, state: Path) -> None:
        self.lab = XenLab(state)
        self._sessions: list[Session] = []

    def __enter__(self) -> "XenBench":
        self.lab.start()
        return self

    def __exit__(self, *_: object) -> None:
        for session in self._sessions:
            session.close()
        self.lab.stop()

    def session(self, cancel: Cancel | None = None, **settings: Any) -> XenSession:
        """A new login."""
        connection = self.connection(settings=settings)
        session = PLATFORM.connect(connection, self.secrets(), cancel or Cancel())
        self._sessions.append(session)
        return session

    def careful(self) -> XenSession:
        """Segments as small as can be."""
        return self.session(segment_bytes=512, segment_s=0)

    def connection(self, **changes: Any) -> Connection:
        """The lab as a connection, pinned."""
        facts: dict[str, Any] = {
            "name": self.alias,
            "platform": "xenserver",
            "address": self.lab.url,
            "username": self.lab.username,
            "pin": self.lab.pin,
        }
        return Connection(**(facts | changes))

    def secrets(self) -> Password:
        """The lab's password."""
        return Password(self.lab.password)

    def ref(self, kind: Kind, name: str) -> Ref:
        """The lab's object of that name."""
        session = self.session()
        return next(
            item.ref for item in session.inventory(frozenset({kind})).items if item.ref.name == name
        )

    def appliance(self) -> tuple[Appliance, Placement]:
        """A web server and a database, as a package would describe them."""
        network, storage = (
            self.ref(Kind.NETWORK, "Pool-wide eth0"),
            self.ref(Kind.STORAGE, "local-sr"),
        )
        scsi = Controller("scsi0", Bus.SCSI, 0, "lsilogic")
        web = Machine(
            MachineId("web"),
            "web01",
            Memory(256 << 20),
            controllers=(scsi,),
            attachments=(
                Attachment("d0", disk=DiskId("disk0"), controller="scsi0", unit=0, boot_index=0),
                Attachment("cd", Medium.CDROM),
            ),
            adapters=(Adapter("n0", NetworkId("lan"), "00:16:3e:00:00:01"),),
            start=Start(order=1),
        )
        base = Machine(
            MachineId("db"),
            "db01",
            Memory(512 << 20),
            controllers=(scsi,),
            attachments=(
                Attachment("d0", disk=DiskId("disk1"), controller="scsi0", unit=0, boot_index=0),
                Attachment("d1", disk=DiskId("disk2"), controller="scsi0", unit=1),
            ),
            adapters=(Adapter("n0", NetworkId("lan")),),
            start=Start(order=0),
        )
        disks = {
            DiskId(f"disk{n}"): Disk(
                DiskId(f"disk{n}"), CAPACITY, image=f"disk{n}.vmdk" if n < 2 else ""
            )
            for n in range(3)
        }
        appliance = Appliance(
            "shop",
            (web, base),
            disks,
            (Network(NetworkId("lan")),),
            description="A shop\nand its database",
            collection=True,
        )
        placement = Placement(
            storage=dict.fromkeys(disks, storage),
            networks={(web.id, "n0"): network, (base.id, "n0"): network},
        )
        return appliance, placement

    def standing(self) -> object:
        """Every object of the lab's database that a client can make, and every disk file."""
        database = self.lab.toolstack.database
        with database.lock:
            objects = {
                (kind, database.record(kind, ref)["uuid"])
                for kind in ("VM", "VDI", "VBD", "VIF", "VM_appliance")
                for ref in database.refs(kind)
            }
        files = {path.name for path in (self.lab.state / "disks").iterdir()}
        return objects, files

    def environments(self) -> object:
        """The CDs with settings, and the drives they lie in."""
        database = self.lab.toolstack.database
        with database.lock:
            return {
                (vdi, tuple(database.get("VDI", vdi, "VBDs")))
                for vdi in database.refs("VDI")
                if "kensho:environment" in database.get("VDI", vdi, "other_config")
            }

    def content(self, deployment: Deployment, disk: DiskId) -> bytes:
        """The bytes of the disk's file."""
        return self._file(deployment.token["disks"][disk])

    def _file(self, uuid: str) -> bytes:
        found = next(each for each in self.lab.disks() if each.uuid == uuid)
        content = found.file.read_bytes() if found.file.exists() else b""
        return content.ljust(found.capacity, b"\0")

    def captured(self) -> Captured:
        """The lab's machine that is off."""
        ref = self.ref(Kind.MACHINE, "legacy-app")
        contents = {
            DiskId(each.uuid): self._file(each.uuid)
            for each in self.lab.disks()
            if each.machine == "legacy-app"
        }
        return Captured([ref], contents)

    def known(self) -> tuple[Connection, str]:
        """The lab and its password."""
        return self.connection(), self.lab.password

    def as_source(self, draft: Draft, sessions: Sessions) -> Captured:
        """The machine that is off."""
        found = self.captured()
        draft.load_machines(sessions, self.alias, found.refs)
        return found

    def as_target(self, draft: Draft, sessions: Sessions) -> None:
        """On the local storage, every network on the first one."""
        draft.load_target(sessions, self.alias)
        assert draft.described is not None
        names = [str(each.id) for each in draft.described.appliance.networks]
        networks = ", ".join(f"{name!r}: Pool-wide eth0" for name in names)
        text = f"storage: {{default: local-sr}}\nnetworks: {{{networks}}}\n"
        take(draft, parse(text, "answers"), sessions)

    def arrived(self, result: dict[str, Any]) -> dict[DiskId, bytes]:
        """From the disks' files."""
        return {
            DiskId(disk): self._file(ref["id"])
            for machine in result["machines"]
            for disk, ref in machine["disks"].items()
        }

    @contextmanager
    def modes(self, **modes: Any) -> Iterator[None]:
        """The lab's modes while inside; as they were afterwards."""
        now = self.lab.toolstack.modes
        before = {name: getattr(now, name) for name in modes}
        for name, value in modes.items():
            setattr(now, name, value)
        try:
            yield
        finally:
            for name, value in before.items():
                setattr(now, name, value)

    def damaged(self, captured: Captured) -> AbstractContextManager[None]:
        """The export breaks in its middle."""
        return self.modes(error_in_body=100_000)

    def stalled(self) -> AbstractContextManager[None]:
        """A few bytes a second."""
        return self.modes(bytes_per_second=1 << 18)

    def mortal(self, calls: int) -> XenSession:
        """A session whose calls fail after so many; `fuse` is that of the last one."""
        session = self.session()
        self.fuse = Fuse(session, calls)
        return session


class Fuse:
    """Lets ``left`` more calls of a session through, and then none."""

    def __init__(self, session: XenSession, left: int) -> None:
        self.left = left
        self._once = session._api._once
        session._api._once = self._call  # type: ignore[method-assign,assignment]

    def _call(self, *arguments: Any) -> Any:
        if self.left <= 0:
            raise ConnectError("killed")
        self.left -= 1
        return self._once(*arguments)
