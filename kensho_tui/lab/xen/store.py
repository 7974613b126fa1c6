"""Where the lab's objects outlive its process: one SQLite file, one row an object.

Sessions and tasks are not kept: a host that restarts has forgotten them too.
"""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from kensho_tui.lab.xen.schema import Value

TRANSIENT = frozenset({"session", "task"})


class Store:
    """The objects on disk. Used under the database's lock only."""

    def __init__(self, path: Path) -> None:
        """Args: path: the SQLite file; made where absent."""
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=OFF")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS object"
            " (ref TEXT PRIMARY KEY, class TEXT NOT NULL, record TEXT NOT NULL)"
        )

    def save(self, cls: str, ref: str, values: dict[str, Value]) -> None:
        """Write one object."""
        if cls not in TRANSIENT:
            self._connection.execute(
                "INSERT OR REPLACE INTO object VALUES (?, ?, ?)", (ref, cls, json.dumps(values))
            )

    def delete(self, ref: str) -> None:
        """Forget one object."""
        self._connection.execute("DELETE FROM object WHERE ref = ?", (ref,))

    def load(self) -> Iterator[tuple[str, str, dict[str, Value]]]:
        """All objects, as (class, reference, values), in the order they were made."""
        rows = self._connection.execute("SELECT class, ref, record FROM object ORDER BY rowid")
        for cls, ref, record in rows.fetchall():
            yield cls, ref, json.loads(record)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
