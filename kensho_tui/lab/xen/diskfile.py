"""The disks themselves: one sparse raw file a VDI, in whatever format it was sent.

What is never written reads as zero, as a repository whose new disks are zeroed guarantees
(``Sm_fs_ops.must_write_zeroes_into_new_vdi``).
"""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from kensho_tui.paths import private_dir

BLOCK = 2 * 1024 * 1024  # allocation is counted in the blocks of a VHD
_PIECE = 1024 * 1024


class DiskFiles:
    """The directory of the disks, each named by its VDI's UUID."""

    def __init__(self, root: Path) -> None:
        """Args: root: made where absent."""
        self.root = private_dir(root)

    def path(self, uuid: str) -> Path:
        """The raw file of a disk."""
        return self.root / f"{uuid}.raw"

    def create(self, uuid: str, size: int) -> None:
        """A new disk of zeros."""
        with self.path(uuid).open("xb") as file:
            file.truncate(size)

    def resize(self, uuid: str, size: int) -> None:
        """Grow a disk."""
        with self.path(uuid).open("r+b") as file:
            file.truncate(size)

    def copy(self, source: str, target: str) -> None:
        """A copy, holes kept."""
        path = self.path(source)
        self.create(target, path.stat().st_size)
        with path.open("rb") as src, self.path(target).open("r+b") as dst:
            for offset, length in extents(src.fileno()):
                for at in range(offset, offset + length, _PIECE):
                    data = os.pread(src.fileno(), min(_PIECE, offset + length - at), at)
                    if data.strip(b"\0"):
                        os.pwrite(dst.fileno(), data, at)

    def delete(self, uuid: str) -> None:
        """Remove a disk."""
        self.path(uuid).unlink(missing_ok=True)

    def blocks(self, uuid: str) -> set[int]:
        """The numbers of the blocks that hold data."""
        with self.path(uuid).open("rb") as file:
            return allocated_blocks(file.fileno())


def extents(handle: int) -> Iterator[tuple[int, int]]:
    """The ranges of a file that are no holes, as (offset, length)."""
    at, size = 0, os.fstat(handle).st_size
    while at < size:
        try:
            start = os.lseek(handle, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise
        at = os.lseek(handle, start, os.SEEK_HOLE)
        yield start, at - start


def allocated_blocks(handle: int) -> set[int]:
    """The numbers of the blocks of a file that hold anything but zeros."""
    found = set()
    for offset, length in extents(handle):
        for block in range(offset // BLOCK, -(-(offset + length) // BLOCK)):
            if block not in found and os.pread(handle, BLOCK, block * BLOCK).strip(b"\0"):
                found.add(block)
    return found


class OpenDisk:
    """A disk being written. Zeros are left out; every new block is asked for first."""

    def __init__(self, path: Path, size: int, take: Callable[[int], None]) -> None:
        """Args: take: called with the bytes of a new block before it is written; raises when full."""
        self._file = path.open("r+b")
        self.size = size
        self._take = take
        self._blocks = allocated_blocks(self._file.fileno())

    def pwrite(self, offset: int, data: bytes) -> None:
        """Write at the offset.

        Raises: OSError: beyond the end of the disk, as a block device answers.
        """
        if offset + len(data) > self.size:
            raise OSError(errno.ENOSPC, "write beyond the end of the device")
        at = 0
        while at < len(data):
            piece = data[at : at + BLOCK - (offset + at) % BLOCK]
            block = (offset + at) // BLOCK
            new = block not in self._blocks
            # Data over older data is always written; zeros into a hole never.
            if not new or piece.strip(b"\0"):
                if new:
                    self._take(BLOCK)
                    self._blocks.add(block)
                os.pwrite(self._file.fileno(), piece, offset + at)
            at += len(piece)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
