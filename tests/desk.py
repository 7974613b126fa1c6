"""An operator's desk for tests: private directories, the real commands, the real runner and lab."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from kensho_tui.connections import Connection, ConnectionBook, SecretKind, SecretRef
from kensho_tui.lab import XenLab

T = TypeVar("T")

COMMAND = [sys.executable, "-m", "kensho_tui"]
DEADLINE_S = 120.0


@dataclass
class Desk:
    """Commands run as an operator runs them; every process finds its state below ``home``."""

    home: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("KENSHO_")},
            "HOME": str(self.home),
            "KENSHO_STATE_DIR": str(self.home / "state"),
            "KENSHO_CONFIG_DIR": str(self.home / "config"),
            "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
            **self.environment,
        }

    @property
    def lab(self) -> Path:
        """State directory of the lab."""
        return self.home / "lab"

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """The command, run to its end; asserts exit 0 with what was said, unless told otherwise."""
        done = subprocess.run(
            [*COMMAND, *arguments],
            env=self.environment, text=True, capture_output=True, check=False,
            stdin=subprocess.DEVNULL, timeout=DEADLINE_S,
        )  # fmt: skip
        if check:
            assert done.returncode == 0, (
                f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return done

    def data(self, *arguments: str) -> Any:
        """The JSON a command gives."""
        return json.loads(self.run(*arguments, "--json").stdout)

    def jobs(self) -> list[dict[str, Any]]:
        """All jobs, as the commands show them."""
        return list(self.data("job", "list"))

    def disks(self) -> list[dict[str, Any]]:
        """Every disk on the lab: machine, device, file, format, capacity."""
        return list(self.data("lab", "disks", "--state", str(self.lab)))


def until(what: str, probe: Callable[[], T | None], *, deadline_s: float = DEADLINE_S) -> T:
    """The first true value of the probe; fails, naming what was waited for, when the time is over."""
    end = time.monotonic() + deadline_s
    while True:
        value = probe()
        if value:
            return value
        assert time.monotonic() < end, f"waited {deadline_s:.0f} s for {what}"
        time.sleep(0.05)  # between two looks from outside, where no event can reach us


def to_lab(lab: XenLab, name: str = "lab-xen", **changes: Any) -> Connection:
    """A connection to the lab, whose password is read from its file."""
    facts: dict[str, Any] = {
        "address": lab.url,
        "username": lab.username,
        "secret": SecretRef(SecretKind.FILE, str(lab.password_file)),
        "pin": lab.pin,
        **changes,
    }
    return Connection(name, "xenserver", **facts)


@contextmanager
def desk_at(home: Path, lab: XenLab, **settings: str) -> Iterator[Desk]:
    """A desk that knows a lab of this process as ``lab-xen``; its runner is stopped at the end.

    Args: settings: of the connection.
    """
    desk = Desk(home)
    ConnectionBook(home / "config" / "connections.toml").put(to_lab(lab, settings=settings))
    try:
        yield desk
    finally:
        desk.run("runner", "stop", "--workers", check=False)


@contextmanager
def desk_with_lab(home: Path) -> Iterator[Desk]:
    """A desk with a lab that runs and is known as ``lab-xen``; both are stopped at the end."""
    desk = Desk(home)
    try:
        desk.run("lab", "start", "--state", str(desk.lab))
        yield desk
    finally:
        desk.run("runner", "stop", check=False)
        desk.run("lab", "stop", "--state", str(desk.lab), check=False)
