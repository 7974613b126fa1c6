"""What a job that was killed in the middle of a disk sent and noted, seen from outside."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from kensho_tui.engine.events import EventKind
from kensho_tui.engine.journal import Journal
from kensho_tui.engine.places import Places
from kensho_tui.lab import XenLab
from kensho_tui.lab.xen.diskfile import OpenDisk


@dataclass
class Arrivals:
    """What arrives on the disks of a lab, in order."""

    found: list[tuple[str, int, int]]

    @property
    def total(self) -> int:
        """All bytes."""
        return sum(length for _, _, length in self.found)

    def twice(self) -> int:
        """Bytes that arrived at a place where some had arrived before."""
        seen: set[tuple[str, int]] = set()
        count = 0
        for file, offset, length in self.found:
            for at in range(offset, offset + length, 4096):
                count += 4096 if (file, at) in seen else 0
                seen.add((file, at))
        return count


@contextmanager
def arriving() -> Iterator[Arrivals]:
    """While inside, what arrives on any lab of this process is noted."""
    seen = Arrivals([])
    pwrite = OpenDisk.pwrite

    def noted(disk: OpenDisk, offset: int, data: bytes) -> None:
        pwrite(disk, offset, data)
        seen.found.append((str(disk._file.name), offset, len(data)))

    with patch.object(OpenDisk, "pwrite", noted):
        yield seen


def acknowledged(lab: XenLab) -> int:
    """The end of what the lab's only half-written disk has for good, by its own mark."""
    database = lab.toolstack.database
    with database.lock:
        configs = [database.get("VDI", ref, "other_config") for ref in database.refs("VDI")]
    return max((int(each.get("kensho:acknowledged", 0)) for each in configs), default=0)


def points(state: Path, job: str) -> list[dict[str, Any]]:
    """The resume points of the job's disks, oldest first, each with the epoch it was left in."""
    with Journal(Places(state).journal) as journal:
        events = journal.events(job)
    return [
        {"epoch": each.epoch, **each.data["token"]}
        for each in events
        if each.kind is EventKind.RESUME_POINT and each.data["token"]
    ]


def notes(state: Path, job: str) -> str:
    """The job's log."""
    with Journal(Places(state).journal) as journal:
        events = journal.events(job)
    return "\n".join(each.data["message"] for each in events if each.kind is EventKind.NOTE)
