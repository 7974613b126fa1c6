"""What many runs of the matrix share: two servers behind the chaos proxy, a package, a machine."""

import hashlib
import json
import os
import signal
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch
from xmlrpc.client import ServerProxy

from backends.base import Consistency, Kind
from kensho_tui.cli.lab import LabAddress, ask, read_address, start_lab, stop_lab
from kensho_tui.connections import Connection, ConnectionBook, SecretKind, SecretRef
from kensho_tui.engine.places import is_held
from kensho_tui.engine.secrets import Secrets
from kensho_tui.migration.answering import take
from kensho_tui.migration.answers import parse
from kensho_tui.migration.draft import Draft
from kensho_tui.migration.plan import Plan
from kensho_tui.migration.run import run_job
from kensho_tui.migration.sessions import Sessions
from kensho_tui.migration.target import find_machines
from tests.desk import until
from tests.faults.chaos import Chaos
from tests.faults.matrix.case import MIB, Verb
from tests.small import package
from tests.unit.migration.memory import MemoryContext

SIZES = [3 * MIB, 2 * MIB]
TIMEOUT_S = 6.0
SOURCE, TARGET = "lab-a", "lab-b"
KINDS = ("VM", "VDI", "VBD", "VIF", "VM_appliance")
# What a server changes by itself, or because somebody looked.
_RESTLESS = frozenset({"allowed_operations", "current_operations"})

Record = dict[str, Any]


@dataclass
class World:
    """All that stands on a server: records by class and UUID, digests of disks by UUID."""

    records: dict[str, dict[str, Record]]
    disks: dict[str, str]

    def uuids(self, kind: str) -> set[str]:
        """Of all objects of that class."""
        return set(self.records[kind])


@dataclass
class Lab:
    """A stand-in in a process of its own, and the proxy in front of it."""

    name: str
    state: Path
    chaos: Chaos = field(init=False)
    address: LabAddress = field(init=False)

    def start(self) -> None:
        """Start it; where it was killed, on the same state."""
        self.address = start_lab(self.state)

    def kill(self) -> None:
        """Kill -9, and wait until it is gone."""
        os.kill(self.address.pid, signal.SIGKILL)
        until(f"the end of {self.name}", lambda: not is_held(self.state / "lock"))

    def alive(self) -> bool:
        """Whether it answers."""
        return read_address(self.state) is not None and ask(self.state, {}) is not None

    def tell(self, **order: Any) -> Record:
        """Something for the lab's own switchboard."""
        answer = ask(self.state, order)
        assert answer is not None, f"{self.name} does not answer"
        return answer

    def file(self, uuid: str) -> Path:
        """The bytes of a disk."""
        return self.state / "disks" / f"{uuid}.raw"

    def look(self) -> World:
        """What stands on it now, past the proxy."""
        password = (self.state / "password").read_text().strip()
        with ServerProxy(f"http://127.0.0.1:{self.address.port}") as server:
            handle = _ask(server.session.login_with_password("root", password, "2.21", "matrix"))
            records = {}
            for kind in (*KINDS, "task"):
                found = _ask(getattr(server, kind).get_all_records(handle))
                records[kind] = {
                    str(each["uuid"]): {k: v for k, v in each.items() if k not in _RESTLESS}
                    for each in found.values()
                }
            _ask(server.session.logout(handle))
        disks = {d["uuid"]: _digest(Path(d["file"])) for d in self.tell(disks=True)["disks"]}
        return World(records, disks)


def _ask(answer: Any) -> Any:
    assert answer["Status"] == "Success", answer
    return answer.get("Value")


def _digest(path: Path) -> str:
    """SHA-256 of a disk's bytes without the zeros at its end."""
    content = path.read_bytes() if path.exists() else b""
    return hashlib.sha256(content.rstrip(b"\0")).hexdigest()


class Stage:
    """Two labs, a package, and the package's machine on the first of them; a context manager."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.config = home / "config"
        self.labs = {name: Lab(name, home / name) for name in (SOURCE, TARGET)}
        self.package: Path
        self.origins: list[Path]
        self._stack = ExitStack()
        self._plans: dict[tuple[Verb, bool], Plan] = {}

    def __enter__(self) -> "Stage":
        try:
            self._set()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _set(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        self.package, self.origins = package(self.home, "origin", SIZES, settings=True)
        book = ConnectionBook(self.config / "connections.toml")
        for name, lab in self.labs.items():
            lab.start()
            self._stack.callback(stop_lab, lab.state)
            lab.chaos = self._stack.enter_context(Chaos("127.0.0.1", lab.address.port))
            book.put(
                Connection(
                    name,
                    "xenserver",
                    f"https://127.0.0.1:{lab.chaos.port}",
                    username=lab.address.username,
                    secret=SecretRef(SecretKind.FILE, lab.address.password_file),
                    pin=lab.address.pin,
                    settings={"timeout_s": str(TIMEOUT_S)},
                )
            )
        self._place_source()

    def _place_source(self) -> None:
        """The package's machine on the first lab, by a move of our own."""
        plan = self._decide(Verb.IMPORT, snapshot=False, to=SOURCE)
        text = plan.model_dump_json().replace("@name@", "origin")
        passwords = {
            f"connection:{lab.name}": (lab.state / "password").read_text().strip()
            for lab in self.labs.values()
        }
        context: Any = MemoryContext(passwords)
        with patch.dict(os.environ, {"KENSHO_CONFIG_DIR": str(self.config)}):
            outcome = run_job(context, Plan.model_validate_json(text))
        assert outcome.state == "succeeded", outcome

    def calm(self) -> None:
        """Both servers up, nothing armed, no mode on."""
        for lab in self.labs.values():
            lab.chaos.arm(None)
            if not lab.alive():
                lab.start()
            lab.tell(reset=True)

    def plan(
        self,
        verb: Verb,
        name: str,
        out: Path,
        *,
        snapshot: bool,
        folder: bool,
        labels: dict[str, str],
    ) -> Plan:
        """The plan of a move, its machine and package called so."""
        known = self._plans.get((verb, snapshot))
        if known is None:
            known = self._plans[verb, snapshot] = self._decide(verb, snapshot=snapshot)
        text = known.model_dump_json().replace("@out@", str(out / f"{name}.ova"))
        data = json.loads(text.replace("@name@", name))
        data["metadata"]["labels"] = labels
        if folder:
            data["spec"]["target"] |= {"package": str(out / f"{name}.ovf"), "format": "ovf"}
        return Plan.model_validate(data)

    def _decide(self, verb: Verb, *, snapshot: bool, to: str = TARGET) -> Plan:
        draft = Draft()
        with Sessions(ConnectionBook(self.config / "connections.toml"), Secrets()) as sessions:
            if verb is Verb.IMPORT:
                draft.load_package(sessions, str(self.package))
            else:
                kinds = frozenset({Kind.MACHINE})
                refs = find_machines(sessions.get(SOURCE), kinds, ["origin"], SOURCE)
                how = Consistency.SNAPSHOT if snapshot else Consistency.OFF
                draft.load_machines(sessions, SOURCE, refs, how)
            if verb is Verb.EXPORT:
                draft.load_target_package(sessions, str(self.home / "@out@"), "ova")
            else:
                draft.load_target(sessions, to)
                answers = (
                    "storage: {default: local-sr}\nnetworks: {Front: Pool-wide eth0}\n"
                    if verb is Verb.IMPORT
                    else "storage: {default: local-sr}\n"
                )
                take(draft, parse(answers, "answers"), sessions)
            draft.name = "@name@"
            for machine in draft.described.appliance.machines if draft.described else ():
                draft.rename(str(machine.id), "@name@")
            plan = draft.plan()
        text = plan.model_dump_json().replace(str(self.home / "@out@"), "@out@")
        return Plan.model_validate_json(text)
