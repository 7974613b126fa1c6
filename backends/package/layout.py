"""Where a package that is written lies: its names, and the record that lets another process go on.

Until commit everything is under a name that ends in ``.partial``; a record (JSON) beside it holds the
key, so that a sweep finds what belongs to it by reading one folder. The record is there before
anything else is, and goes after everything else has gone.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backends.base import Key
from backends.package.parts import Part
from kensho_tui.disks.files import sync_folder, system_errors
from kensho_tui.machine import Appliance, Disk, DiskId
from kensho_tui.ovf.appliance import FILE_DISK

PARTIAL = ".partial"
RECORD = ".json"
_MADE_BY = "user.kensho.made-by"  # an extended attribute
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_NAME_BYTES = 60  # what an archive's 100 leave for "-disk12.vmdk" and doubt


def safe_name(text: str) -> str:
    """A file name of letters, digits, ``.``, ``_`` and ``-`` from any text."""
    name = _UNSAFE.sub("-", text).strip("-.")[:_NAME_BYTES].strip("-.")
    return name or "appliance"


def is_package(folder: Path) -> bool:
    """Whether there is a descriptor in the folder."""
    try:
        return any(each.suffix.lower() == ".ovf" for each in folder.iterdir())
    except OSError:
        return False


def key_mark(key: Key) -> str:
    """What stands in a committed package for the key."""
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def mark(path: Path, key: Key) -> None:
    """Say beside the bytes of a file or folder that the key made it, as far as the file system can."""
    with suppress(OSError, AttributeError):  # not every system and file system has them
        os.setxattr(path, _MADE_BY, key_mark(key).encode())


def is_marked(path: Path, key: Key) -> bool:
    """Whether `mark` said so of it."""
    try:
        return os.getxattr(path, _MADE_BY) == key_mark(key).encode()
    except (OSError, AttributeError):
        return False


@dataclass(frozen=True, slots=True)
class Layout:
    """The names of one package that is written.

    Attributes:
        final: the archive, or the folder.
        stem: name of descriptor and manifest without their endings.
        archive: whether it is one file.
    """

    final: Path
    stem: str
    archive: bool

    @classmethod
    def of(cls, address: str, appliance_name: str, format_: str) -> "Layout":
        """From the path the operator gave: a folder that exists gets the package put into it.

        A folder that is a package already is not such a folder: it is what was meant.
        """
        path = Path(address)
        archive = format_ == "ova"
        if address.endswith(os.sep) or (path.is_dir() and not is_package(path)):
            path = path / safe_name(appliance_name)
        named = path.suffix.lower() in {".ova", ".ovf"}
        stem = path.stem if named else path.name
        final = path.with_name(f"{stem}.ova" if archive else stem)
        return cls(final, stem, archive)

    @classmethod
    def all_at(cls, address: str, format_: str) -> "Iterator[Layout]":
        """Every place where `of` could have put a package, whatever its name; those that are there."""
        path, archive = Path(address), format_ == "ova"
        if path.is_dir() and not is_package(path):
            for each in sorted(path.iterdir()):
                if archive == each.is_file() and (not archive or each.suffix.lower() == ".ova"):
                    yield cls(each, each.stem if archive else each.name, archive)
        else:
            yield cls.of(address.rstrip(os.sep), path.name, format_)

    @property
    def partial(self) -> Path:
        """Where it is until commit."""
        return self.final.with_name(self.final.name + PARTIAL)

    @property
    def record(self) -> Path:
        """The record of what has been done."""
        return self.partial.with_name(self.partial.name + RECORD)

    @property
    def descriptor(self) -> str:
        """Name of the descriptor."""
        return f"{self.stem}.ovf"

    @property
    def manifest(self) -> str:
        """Name of the manifest."""
        return f"{self.stem}.mf"


def disk_names(layout: Layout, appliance: Appliance, ending: str) -> dict[DiskId, str]:
    """A file name for each disk that has an image; the ending follows when its format is known."""
    base = safe_name(layout.stem)
    images = [disk for disk in appliance.disks.values() if not disk.blank]
    return {
        disk.id: f"{base}-disk{number}{_ending(disk, ending)}"
        for number, disk in enumerate(images, 1)
    }


def _ending(disk: Disk, ending: str) -> str:
    return ".iso" if disk.id.startswith(FILE_DISK) else ending


@dataclass(frozen=True, slots=True)
class Done:
    """A disk that has been written.

    Attributes:
        name: of its file, as the descriptor refers to it.
        format: its URI.
        parts: the files that it is; several where it was cut.
        end: where the archive had come to.
        compressed: whether it was compressed as a file.
    """

    name: str
    format: str
    parts: tuple[Part, ...]
    end: int = 0
    compressed: bool = False

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(each.size for each in self.parts)

    @property
    def chunk_size(self) -> int:
        """Bytes of each file but the last, where it was cut; else 0."""
        return self.parts[0].size if len(self.parts) > 1 else 0

    def data(self) -> dict[str, object]:
        """For the record."""
        return {
            "name": self.name, "format": self.format, "end": self.end,
            "compressed": self.compressed,
            "parts": [[each.name, each.size, each.digest] for each in self.parts],
        }  # fmt: skip

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "Done":
        """From the record. Raises: KeyError, TypeError, ValueError: it is none."""
        parts = tuple(Part(str(name), int(size), str(found)) for name, size, found in data["parts"])
        end, compressed = int(data["end"]), bool(data["compressed"])
        return cls(str(data["name"]), str(data["format"]), parts, end, compressed)


@dataclass(slots=True)
class Record:
    """What has been done for a key."""

    key: Key
    disks: dict[str, Done] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Replace the record on disk in one step. Raises: FileError."""
        data = {
            "key": self.key,
            "disks": {disk: done.data() for disk, done in self.disks.items()},
        }
        beside = path.with_name(f"{path.name}.{key_mark(self.key)}~")
        with system_errors("write", str(path)):
            with beside.open("w", encoding="utf-8") as file:
                json.dump(data, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
            sync_folder(path.parent)

    @classmethod
    def load(cls, path: Path) -> "Record | None":
        """The record; None where there is none, or no readable one."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            disks: Mapping[str, Mapping[str, Any]] = data["disks"]
            return cls(str(data["key"]), {disk: Done.of(done) for disk, done in disks.items()})
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None


def unfinished(folder: Path, key: Key) -> Iterator[tuple[Path, Path]]:
    """What the key has begun in the folder: each partial package, and its record.

    A record that was being replaced when its process died carries the key in its name.
    """
    try:
        paths = sorted(folder.iterdir())
    except OSError:
        return
    replacing = f"{PARTIAL}{RECORD}.{key_mark(key)}~"
    for path in paths:
        if path.name.endswith(replacing):
            yield path, path
        elif path.name.endswith(PARTIAL + RECORD):
            record = Record.load(path)
            if record is not None and record.key == key:
                yield path.with_name(path.name.removesuffix(RECORD)), path
