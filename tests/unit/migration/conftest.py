"""Two stand-ins of XenServer and the connections to them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kensho_tui.connections import Connection, ConnectionBook
from kensho_tui.lab import XenLab
from kensho_tui.migration.sessions import Sessions
from tests.unit.migration.memory import MemorySecrets


class World:
    """Labs ``old`` and ``new`` with the secrets to reach them."""

    def __init__(self, old: XenLab, new: XenLab) -> None:
        self.old = old
        self.new = new
        self.secrets = {
            "connection:old": old.password,
            "connection:new": new.password,
        }

    def sessions(self) -> Sessions:
        return Sessions(ConnectionBook(), MemorySecrets(self.secrets))

    def state(self, lab: XenLab) -> dict[str, list[str]]:
        """Names of what is on the lab, snapshots and hidden things included."""
        database = lab.toolstack.database
        with database.lock:
            return {
                kind: sorted(database.get(kind, ref, "name_label") for ref in database.refs(kind))
                for kind in ("VM", "VDI", "VM_appliance")
            }


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("KENSHO_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("KENSHO_STATE_DIR", str(tmp_path / "state"))
    book = ConnectionBook()
    with XenLab(tmp_path / "old") as old, XenLab(tmp_path / "new") as new:
        for name, lab in (("old", old), ("new", new)):
            book.put(Connection(name, "xenserver", lab.url, lab.username, pin=lab.pin))
        yield World(old, new)
