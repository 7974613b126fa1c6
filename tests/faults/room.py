"""One runner and one lab for many mishaps: what a mishap says, and that it leaves nothing behind."""

import hashlib
import io
import re
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from kensho_tui.connections import ConnectionBook
from kensho_tui.lab import XenLab
from tests.desk import Desk, to_lab, until
from tests.small import MIB, package

KINDS = ("VM", "VDI", "VM_appliance", "VBD", "VIF")
Members = dict[str, bytes]
# What a defect of ours would look like on a terminal.
_DEFECT = re.compile(r"Traceback|defect of Kensho|Error\(|Exception")


@dataclass
class Room:
    """A desk, a lab that it knows as ``lab-xen``, and a package that is all right."""

    home: Path
    desk: Desk
    lab: XenLab
    good: Path
    before: dict[str, Any] = field(default_factory=dict)

    # ------------------------------------------------------------------------------- the target
    def state(self) -> dict[str, Any]:
        """Every record of machines, disks and what joins them, and what the disks' files hold."""
        database = self.lab.toolstack.database
        with database.lock:
            found: dict[str, Any] = {
                f"{kind} {ref}": database.record(kind, ref)
                for kind in KINDS
                for ref in database.refs(kind)
            }
            for ref in database.refs("SR"):
                found[f"SR {ref}"] = database.get("SR", ref, "physical_utilisation")
        found["disks"] = [(d.uuid, d.file.stat().st_blocks) for d in self.lab.disks()]
        return found

    def remember(self) -> None:
        """What is on the lab now is what `untouched` expects."""
        self.before = self.state()

    def untouched(self) -> None:
        """Assert that the lab is to the last field as it was."""
        now = self.state()
        new = {key: now[key] for key in now.keys() - self.before.keys()}
        gone = self.before.keys() - now.keys()
        assert not new and not gone, f"half-made: {new}; lost: {gone}"
        changed = {k: (self.before[k], v) for k, v in now.items() if self.before[k] != v}
        assert not changed

    # --------------------------------------------------------------------------------- commands
    def connect(self, name: str = "lab-xen", **changes: Any) -> None:
        """Put a connection to the lab into the book."""
        book = ConnectionBook(self.home / "config" / "connections.toml")
        book.put(to_lab(self.lab, name, **changes))

    def run(self, *arguments: str) -> CompletedProcess[str]:
        """The command, whatever it ends with; no word of it may be a defect's."""
        done = self.desk.run(*arguments, check=False)
        assert not _DEFECT.search(done.stdout + done.stderr), done.stdout + done.stderr
        return done

    def imports(self, path: Path, *options: str) -> CompletedProcess[str]:
        """The import of a package to its end."""
        return self.run(
            "import", str(path), "--to", "lab-xen", "--storage", "local-sr", "--wait", *options
        )

    def begins(self, path: Path, *options: str) -> str:
        """An import under way; the job's id."""
        said = self.desk.data(
            "import", str(path), "--to", "lab-xen", "--storage", "local-sr", *options
        )
        return str(said["job"])

    def moving(self) -> None:
        """Wait until bytes of a disk are on their way."""
        until("a disk on its way", lambda: "PUT /import_raw_vdi" in self.lab.control.calls)

    def goes_on(self) -> None:
        """Assert that the same runner imports a good package to the end; then forget it."""
        self.lab.control.reset()
        before = {d.uuid for d in self.lab.disks()}
        done = self.imports(self.good)
        assert done.returncode == 0, done.stdout + done.stderr
        (new,) = [d for d in self.lab.disks() if d.uuid not in before]
        assert new.machine.startswith("good")


@contextmanager
def room(home: Path) -> Iterator[Room]:
    """A lab, a desk that knows it, and one good package."""
    home.mkdir(parents=True, exist_ok=True)
    good, _ = package(home, "good", [MIB])
    with XenLab(home / "lab") as lab:
        made = Room(home, Desk(home), lab, good)
        made.connect()
        try:
            yield made
        finally:
            made.desk.run("runner", "stop", "--workers", check=False)


# ------------------------------------------------------------------------------------- sentences
def sentence(done: CompletedProcess[str]) -> str:
    """The one line in which a refused command says why."""
    lines = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1, done.stderr or done.stdout
    return fair(lines[0].removeprefix("Error: "))


def findings(done: CompletedProcess[str]) -> list[str]:
    """The lines in which a check says what is an error."""
    lines = [line[2:] for line in done.stdout.splitlines() if line.startswith("✗ ")]
    return [fair(line) for line in lines]


def job_sentence(done: CompletedProcess[str]) -> str:
    """The line in which a job says how it ended."""
    lines = [line[10:] for line in done.stdout.splitlines() if line[10:].startswith("job ")]
    assert lines, done.stdout + done.stderr
    return fair(lines[-1])


def fair(text: str) -> str:
    """Assert that a sentence is one: ends with a full stop, says nothing twice, one remedy."""
    sys.stdout.write(f"{text}\n")  # to be read, with -rP
    assert text.endswith("."), text
    assert not re.search(r"\.\.(?:\s|$)|\.;|: :|  ", text), text
    assert text == "".join(c for c in text if c.isprintable()), text
    parts = [part.strip(" .") for part in re.split(r"[:.] ", text)]
    assert len(parts) == len(set(parts)), f"said twice: {text}"
    return text


def holds(text: str, *words: str) -> None:
    """Assert that these words are in the sentence."""
    missing = [word for word in words if word not in text]
    assert not missing, f"not said: {missing} in: {text}"


# -------------------------------------------------------------------------------------- packages
def members(path: Path) -> Members:
    """What an OVA holds, in its order, by Python's own tarfile."""
    with tarfile.open(path) as tar:
        found = {}
        for each in tar:
            opened = tar.extractfile(each)
            assert opened
            found[each.name] = opened.read()
        return found


def written(path: Path, held: Members) -> Path:
    """An OVA of these members."""
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        for name, data in held.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def fresh_manifest(held: Members) -> None:
    """Make the manifest that of the members as they are now."""
    (name,) = [each for each in held if each.endswith(".mf")]
    held[name] = "".join(
        f"SHA256({each})= {hashlib.sha256(data).hexdigest()}\n"
        for each, data in held.items()
        if each != name
    ).encode()


def spoiled(good: Path, path: Path, change: Callable[[Members], None], *, fresh: bool) -> Path:
    """A copy of a good OVA with something changed; ``fresh``: the manifest knows of the change."""
    held = members(good)
    change(held)
    if fresh:
        fresh_manifest(held)
    return written(path, held)


def digest(path: Path) -> str:
    """SHA-256 of a file, or of all files of a folder with their names."""
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    whole = hashlib.sha256()
    for file in files:
        whole.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return whole.hexdigest()
