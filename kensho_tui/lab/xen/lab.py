"""The whole stand-in: state directory in, a XenServer pool on loopback out."""

import errno
import fcntl
import json
import os
import secrets
import ssl
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from kensho_tui.lab.xen import certificate
from kensho_tui.lab.xen.control import Control
from kensho_tui.lab.xen.database import present
from kensho_tui.lab.xen.http import HostServer
from kensho_tui.lab.xen.toolstack import Toolstack
from kensho_tui.paths import private_dir

MASTER = "127.0.0.1"
SECOND = "127.0.0.2"
_TRIES = 20


@dataclass(frozen=True)
class LabDisk:
    """One disk on the lab. ``machine`` and ``device`` are "" where nothing has it; sizes in bytes."""

    machine: str
    device: str
    name: str
    storage: str
    uuid: str
    file: Path
    format: str
    capacity: int
    allocated: int

    def as_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self) | {"file": str(self.file)}


class XenLab:
    """A XenServer pool on loopback; a context manager.

    Attributes:
        username, password: of the one account.
        control: modes and call log.
        port: of both hosts; 0 until started.
    """

    username = "root"

    def __init__(self, state: Path, *, port: int = 0) -> None:
        """Args:
        state: where the world is kept (0700); a lab started there again goes on with it.
        port: 0 for the port used there before, else any free one.
        """
        self.state = private_dir(state)
        self._wanted_port = port
        self.port = 0
        self.password = self._secret("password")
        self._pem = self.state / "host.pem"
        if not self._pem.exists():
            certificate.make(self._pem)
        self.tls = certificate.context(self._pem)
        # Of the pool's second host, where that shows another one.
        self.second_tls: ssl.SSLContext | None = None
        self.stopped = threading.Event()
        self.control = Control(self, self._secret("token"), self.stopped.set)
        self._servers: list[HostServer] = []
        self._threads: list[threading.Thread] = []
        self.toolstack: Toolstack
        self._lock_handle = -1
        self.on_death: Callable[[], None] = self._vanish

    def _secret(self, name: str) -> str:
        path = self.state / name
        if not path.exists():
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(secrets.token_urlsafe(18) + "\n")
        return path.read_text(encoding="ascii").strip()

    @property
    def password_file(self) -> Path:
        """The file (0600) whose first line is the password."""
        return self.state / "password"

    @property
    def url(self) -> str:
        """The master, over HTTPS."""
        return f"https://{MASTER}:{self.port}"

    @property
    def plain_url(self) -> str:
        """The master, over HTTP."""
        return f"http://{MASTER}:{self.port}"

    @property
    def second_url(self) -> str:
        """The pool's second host, over HTTPS; it takes disks and refuses logins."""
        return f"https://{SECOND if len(self._servers) > 1 else MASTER}:{self.port}"

    @property
    def pin(self) -> str:
        """SHA-256 of the certificate, 64 hex digits."""
        return certificate.pin(self._pem)

    def new_certificate(self) -> str:
        """Make another certificate and show it from now on; its pin."""
        certificate.make(self._pem)
        self.tls = certificate.context(self._pem)
        return self.pin

    def second_certificate(self) -> str:
        """Have the second host show a certificate of its own, which the pool names nowhere; its pin."""
        pem = self.state / "second.pem"
        certificate.make(pem)
        self.second_tls = certificate.context(pem)
        return certificate.pin(pem)

    def start(self) -> None:
        """Open the world and listen.

        Raises: OSError: no port is free, or a lab runs there already.
        """
        self.stopped.clear()
        self._lock()
        try:
            self.toolstack = Toolstack(self.state, username=self.username, password=self.password)
            try:
                self._listen()
            except BaseException:
                self.toolstack.close()
                raise
        except BaseException:
            self._unlock()
            raise
        for server in self._servers:
            thread = threading.Thread(target=server.accept_all, name=f"lab-{server.address[0]}")
            thread.start()
            self._threads.append(thread)
        self._write_address()

    def _lock(self) -> None:
        # Held as long as the lab lives: one lab a state, and its end is seen by who waits for it.
        handle = os.open(self.state / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            raise OSError(errno.EBUSY, "a lab runs there already") from None
        self._lock_handle = handle

    def _unlock(self) -> None:
        os.close(self._lock_handle)

    def _listen(self) -> None:
        wanted = self._wanted_port or self._last_port()
        for _ in range(_TRIES):
            try:
                first = HostServer(self, (MASTER, wanted), slave=False)
            except OSError as error:
                if error.errno != errno.EADDRINUSE or self._wanted_port:
                    raise
                wanted = 0
                continue
            self.port = first.server_port
            try:
                second = HostServer(self, (SECOND, self.port), slave=True)
            except OSError as error:
                if error.errno == errno.EADDRNOTAVAIL:
                    # macOS has no second loopback address: the lab then has one door only.
                    self._servers = [first]
                    return
                first.server_close()
                wanted = 0
                continue
            self._servers = [first, second]
            return
        raise OSError(errno.EADDRINUSE, "no port is free on both loopback addresses")

    def _last_port(self) -> int:
        try:
            return int(json.loads((self.state / "address.json").read_text())["port"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    def _write_address(self) -> None:
        fresh = self.state / "address.new"
        fresh.write_text(json.dumps(self.address(), indent=2) + "\n", encoding="utf-8")
        fresh.replace(self.state / "address.json")

    def address(self) -> dict[str, Any]:
        """Where the lab is and how it is trusted; no secret."""
        return {
            "url": self.url,
            "plain_url": self.plain_url,
            "port": self.port,
            "pin": self.pin,
            "username": self.username,
            "password_file": str(self.password_file),
            "pid": os.getpid(),
        }

    def die(self) -> None:
        """Be gone as if killed: every connection drops, nothing is answered or tidied any more.

        Called from a connection's own thread, so it waits for nobody; `stop` does that later. What
        happens is `on_death`: in a process of its own the lab really dies.
        """
        self.on_death()

    def _vanish(self) -> None:
        self.toolstack.stopping.set()
        for server in self._servers:
            server.end()

    def stop(self) -> None:
        """End all connections and threads, and close the world. Twice is no error."""
        if not self._servers:
            return
        self.toolstack.stopping.set()
        for server in self._servers:
            server.end()
        self.toolstack.wake()
        for thread in self._threads:
            thread.join()
        for server in self._servers:
            server.server_close()
        self._servers.clear()
        self._threads.clear()
        self.toolstack.close()
        self._unlock()

    def __enter__(self) -> "XenLab":
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def disks(self) -> list[LabDisk]:
        """Every disk, those of machines first, in the order of machine and place."""
        database, found = self.toolstack.database, []
        with database.lock:
            for vdi in database.refs("VDI"):
                record = database.record("VDI", vdi)
                drives: list[dict[str, Any]] = [database.record("VBD", v) for v in record["VBDs"]]
                for drive in drives or [{}]:
                    vm = drive["VM"] if drive else ""
                    found.append(
                        LabDisk(
                            machine=database.get("VM", vm, "name_label") if present(vm) else "",
                            device=drive["userdevice"] if drive else "",
                            name=record["name_label"],
                            storage=database.get("SR", record["SR"], "name_label"),
                            uuid=record["uuid"],
                            file=self.toolstack.disks.path(record["uuid"]),
                            format="raw",
                            capacity=record["virtual_size"],
                            allocated=record["physical_utilisation"],
                        )
                    )
        return sorted(found, key=lambda d: (not d.machine, d.machine, d.device, d.name))
