"""VMDKs of several files, read: flat ones, and those split into extents of 2 GiB.

Specification: "Virtual Disk Format 5.0" (VMware, 2011), "The Layout Basics" and "Extent Descriptions". A
descriptor that names other files is a way to have any file of the system read as a disk. So nothing finds
such a disk by itself: whoever says that the folder is his own gets it read, and only files beside the
descriptor, by their plain names.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from kensho_tui.disks.files import FileError, FileInput, RangeInput, kind, system_errors
from kensho_tui.disks.image import (
    DAMAGED,
    MAX_CAPACITY,
    SECTOR,
    ImageError,
    InputStream,
)
from kensho_tui.disks.joined import JoinedInput
from kensho_tui.disks.vmdk_sparse import SparseExtent
from kensho_tui.disks.vmdk_structs import DESCRIPTOR_MAGIC, refuse_parent
from kensho_tui.text import one_line

_LONGEST = 1 << 20  # bytes of a descriptor
_MOST_EXTENTS = 1 << 15  # 64 TiB in files of 2 GiB
_EXTENT = re.compile(
    r"(?P<access>RW|RDONLY|NOACCESS)\s+(?P<sectors>\d{1,12})\s+(?P<kind>\w+)"
    r'(?:\s+"(?P<name>[^"]*)")?(?:\s+(?P<offset>\d{1,12}))?'
)
_KINDS = frozenset(
    {"monolithicflat", "twogbmaxextentflat", "twogbmaxextentsparse", "vmfs", "vmfspreallocated",
     "vmfseagerzeroedthick", "vmfsthin"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Extent:
    """One line of the descriptor; bytes. ``name`` is None where the extent is zeros."""

    length: int
    sparse: bool
    name: str | None
    offset: int


def extents_of(text: str) -> list[Extent]:
    """The extents a descriptor names, in the disk's order.

    Raises: ImageError: it is of another kind, names files elsewhere, or more than a disk can have.
    """
    fields: dict[str, str] = {}
    found: list[Extent] = []
    for line in (each.strip() for each in text.splitlines()):
        if match := _EXTENT.fullmatch(line):
            found.append(_extent(match))
        elif "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            fields.setdefault(key.strip().lower(), value.strip().strip('"'))
    told = fields.get("createtype", "")
    if told.lower() not in _KINDS:
        raise ImageError(
            f"the VMDK's descriptor says {one_line(told, limit=40) or 'no createType'}, which is not"
            " read from several files",
            remedy="Convert the disk to streamOptimized",
        )
    refuse_parent(fields)
    if not found or len(found) > _MOST_EXTENTS:
        raise ImageError(f"the VMDK's descriptor names {len(found)} extents", remedy=DAMAGED)
    if (claimed := sum(each.length for each in found)) > MAX_CAPACITY:
        raise ImageError(f"the VMDK claims {claimed} bytes, more than 64 TiB", remedy=DAMAGED)
    return found


def _extent(match: "re.Match[str]") -> Extent:
    type_, name = match["kind"].upper(), match["name"]
    length, offset = int(match["sectors"]) * SECTOR, int(match["offset"] or 0) * SECTOR
    if match["access"] == "NOACCESS" or type_ not in ("FLAT", "VMFS", "SPARSE", "ZERO"):
        raise ImageError(
            f"the VMDK has an extent that is not read: {one_line(match[0], limit=80)}",
            remedy="Convert the disk to streamOptimized",
        )
    if type_ == "ZERO":
        return Extent(length, False, None, 0)
    if not name or name in (".", "..") or set(name) & set("/\\\0:"):
        raise ImageError(
            f"the VMDK names a file elsewhere ({one_line(name or '', limit=80)}); only files beside"
            " the descriptor are read",
            remedy="Put all files of the disk into one folder, and name them by their names alone",
        )
    return Extent(length, type_ == "SPARSE", name, offset)


class ExtentsInput(JoinedInput):
    """A VMDK of several files as the `InputStream` of the raw disk it holds.

    Args:
        path: of the descriptor. Its extents are files in the same folder, and no links.

    Raises:
        ImageError: the descriptor is none, or is refused (`extents_of`).
        FileError: a file cannot be read, or is shorter than the descriptor says.
    """

    def __init__(self, path: Path) -> None:
        with FileInput(path) as file:
            data = bytearray(min(file.length, _LONGEST + 1))
            file.pread(0, data)
        start = bytes(data).lstrip(b"\xef\xbb\xbf \t\r\n")
        if not start.startswith(DESCRIPTOR_MAGIC) or len(data) > _LONGEST:
            raise ImageError(
                "this is no VMDK descriptor",
                subject=str(path),
                remedy="Name the small file that lists the extents",
            )
        self._files: list[RangeInput] = []
        try:
            extents = extents_of(start.decode("utf-8", "replace"))
            parts = [(each.length, self._open(path.parent, each)) for each in extents]
        except BaseException:
            for opened in self._files:
                opened.close()
            raise
        super().__init__(parts)

    def _open(self, folder: Path, extent: Extent) -> InputStream | None:
        if extent.name is None:
            return None
        path = folder / extent.name
        with system_errors("read", str(path)):
            if found := kind(os.lstat(path).st_mode):
                raise FileError(f"this is {found}, not a file", subject=str(path))
        if not extent.sparse:
            self._files.append(flat := RangeInput(path, extent.offset, extent.length))
            return flat
        self._files.append(file := RangeInput(path))
        sparse = SparseExtent(file, embedded=False)
        if sparse.length != extent.length:
            raise ImageError(
                f"the extent has {sparse.length} bytes, and the descriptor says {extent.length}",
                subject=str(path),
                remedy=DAMAGED,
            )
        return sparse

    @property
    def identity(self) -> str:
        """Changes when one of the files is replaced or written to."""
        return " ".join(file.identity for file in self._files)

    def verify(self) -> None:
        """Raise `FileError` if one of the files was written to since it was opened."""
        for file in self._files:
            file.verify()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
