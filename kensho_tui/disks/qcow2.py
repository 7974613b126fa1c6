"""QCOW2, versions 2 and 3, read: what KVM, OpenStack and Proxmox give.

Specification: QEMU's "docs/interop/qcow2.txt". Clusters lie in any order, and the table that says where
may stand behind them, so that such a file is read with seeks only. What it says of other files (a backing
file, a data file) is never followed.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property, partial

from kensho_tui.disks.buffers import Buffers
from kensho_tui.disks.codec import inflate, unpack_zstd
from kensho_tui.disks.forward import truncated
from kensho_tui.disks.image import (
    DAMAGED,
    PIECE,
    ExtentMap,
    ImageError,
    InputStream,
    Part,
    Piece,
    gather,
)
from kensho_tui.disks.qcow2_structs import Header
from kensho_tui.disks.qcow2_tables import Run, Tables

# Compressed clusters this far apart are read in one go: qemu-img leaves less between two of a window.
_GAP = 1 << 16


class Qcow2Source:
    """A QCOW2 that can be read at any place.

    Raises: ImageError: it is damaged, encrypted, or needs another file or what is not known.
    """

    seekable = True

    def __init__(self, stream: InputStream) -> None:
        if stream.length is None:
            raise ImageError(
                "the length of the QCOW2 is not known", remedy="Save it as a file first"
            )
        self._stream = stream
        self._buffers = Buffers()
        self._length = stream.length
        self._header = Header.read(self._fetch, self._length)
        self._header.check_snapshots(self._fetch, self._length)
        self._tables = Tables(self._header, self._fetch, self._length)

    @property
    def capacity(self) -> int:
        """Guest-visible bytes."""
        return self._header.capacity

    @cached_property
    def allocated(self) -> ExtentMap:
        """Where there are clusters that are not said to be zeros."""
        runs = (run for window in self._tables.windows() for run in window)
        return gather((run.offset, run.length) for run in runs)

    def pieces(self) -> Iterator[Piece]:
        """Windows with clusters."""
        for window in self._tables.windows():
            end = window[-1].offset + window[-1].length
            taken: list[memoryview] = []
            load = partial(self._load, window, taken)
            yield Piece(window[0].offset, end, load, partial(self._buffers.give_all, taken))

    def _fetch(self, offset: int, length: int, part: str) -> bytearray:
        buffer = bytearray(length)
        self._read(offset, memoryview(buffer), part)
        return buffer

    def _read(self, offset: int, buffer: memoryview, part: str) -> None:
        count = self._stream.pread(offset, buffer)
        if count < len(buffer):
            raise truncated(offset + count, part)

    def _load(self, window: list[Run], taken: list[memoryview]) -> list[Part]:
        parts: list[Part] = []
        for runs in _neighbours(window):
            parts += self._inflated(runs) if runs[0].stored else self._plain(runs, taken)
        return parts

    def _plain(self, runs: Sequence[Run], taken: list[memoryview]) -> Iterator[Part]:
        """Clusters that stand in the file one behind the other, in one reading."""
        view = self._buffers.take(sum(run.length for run in runs))
        taken.append(view)
        self._read(runs[0].place, view, "a cluster")
        at = 0
        for run in runs:
            yield run.offset, view[at : at + run.length]
            at += run.length

    def _inflated(self, runs: Sequence[Run]) -> Iterator[Part]:
        """Compressed clusters that stand close to each other, in one reading."""
        start = runs[0].place
        view = self._buffers.take(max(run.place + run.stored for run in runs) - start)
        self._read(start, view, "a compressed cluster")
        for run in runs:
            at = run.place - start
            yield run.offset, self._unpacked(run, view[at : at + run.stored])
        self._buffers.give(view)

    def _unpacked(self, run: Run, data: memoryview) -> bytes | bytearray | memoryview:
        """The guest's bytes of one compressed cluster. The disk's last one may be cut there."""
        cluster = self._header.cluster
        name = f"QCOW2 cluster {run.offset // cluster}"
        unpack = unpack_zstd if self._header.zstd else partial(inflate, raw=True)
        try:
            plain = unpack(data, cluster)
        except ImageError as error:
            raise ImageError(f"{name}: {error.what}", remedy=error.remedy) from error
        if len(plain) < cluster:
            raise ImageError(
                f"{name} inflates to {len(plain)} bytes, not {cluster}", remedy=DAMAGED
            )
        return plain if run.length == cluster else memoryview(plain)[: run.length]


def _neighbours(window: Sequence[Run]) -> Iterator[list[Run]]:
    """The window's runs, put together where they can be read in one go."""
    held: list[Run] = []
    for run in window:
        if held and not _follows(held[0], held[-1], run):
            yield held
            held = []
        held.append(run)
    if held:
        yield held


def _follows(first: Run, last: Run, run: Run) -> bool:
    if not run.stored or not last.stored:
        return not run.stored and not last.stored and run.place == last.place + last.length
    return (
        last.place <= run.place <= last.place + last.stored + _GAP
        and run.place + run.stored - first.place <= PIECE
    )
