"""QCOW2, versions 2 and 3, read: what KVM, OpenStack and Proxmox give.

Specification: QEMU's "docs/interop/qcow2.txt". Clusters lie in any order, and the table that says where
may stand behind them, so that such a file is read with seeks only. What it says of other files (a backing
file, a data file) is never followed: whoever knows the backing file gives it.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial

from kensho_tui.disks.buffers import Buffers
from kensho_tui.disks.codec import inflate, unpack_zstd
from kensho_tui.disks.forward import fetch, fill
from kensho_tui.disks.image import (
    DAMAGED,
    PIECE,
    ExtentMap,
    ImageError,
    InputStream,
    Part,
    Piece,
    Source,
    gather,
)
from kensho_tui.disks.layers import Layer, allocated_over, over
from kensho_tui.disks.qcow2_structs import Header, refuse_backing
from kensho_tui.disks.qcow2_tables import Run, Tables

# Compressed clusters this far apart are read in one go: qemu-img leaves less between two of a window.
_GAP = 1 << 16


def backing_format(stream: InputStream) -> str:
    """What the QCOW2 says of its backing file's format, by QEMU's name; "" where it says nothing.

    It counts more than what the other file looks like: a guest writes what it likes into a raw disk.

    Raises: ImageError: it is damaged.
    """
    return Header.read(partial(fetch, stream), _length(stream)).backing_format


class Qcow2Source:
    """A QCOW2 that can be read at any place, with its backing file where it has one.

    Args:
        stream: its bytes.
        parent: what the disk is the difference to, where it is one. Nothing in the file tells whether it
            is the right one: only a path is named.

    Raises: ImageError: it is damaged, encrypted, or needs what is not known; or the parent is not given,
        or not needed.
    """

    seekable = True

    def __init__(self, stream: InputStream, parent: Source | None = None) -> None:
        self._stream = stream
        self._buffers = Buffers()
        self._length = _length(stream)
        self._header = Header.read(self._fetch, self._length)
        if self._header.backing is not None and parent is None:
            raise refuse_backing(self._header.backing)
        if self._header.backing is None and parent is not None:
            raise ImageError(
                "the QCOW2 has no backing file, and one is given", remedy="Name the parents it has"
            )
        self._parent = parent
        self._header.check_snapshots(self._fetch, self._length)
        self._tables = Tables(self._header, self._fetch, self._length)

    @property
    def capacity(self) -> int:
        """Guest-visible bytes."""
        return self._header.capacity

    @cached_property
    def allocated(self) -> ExtentMap | None:
        """Where there are clusters that are not said to be zeros, and where the parent may have data."""
        runs = (run for window in self._tables.windows() for run in window if run.place)
        own = gather((run.offset, run.length) for run in runs)
        return allocated_over(own, self._parent, self.capacity)

    def pieces(self) -> Iterator[Piece]:
        """Windows with clusters."""
        if self._parent is None:
            for window in self._tables.windows():
                yield Piece(*self._bounds(window), *self._loading(window))
        else:
            layers = (self._layer(window) for window in self._tables.windows())
            yield from over(layers, self._parent.pieces(), self.capacity)

    @staticmethod
    def _bounds(window: list[Run]) -> tuple[int, int]:
        return window[0].offset, window[-1].offset + window[-1].length

    def _loading(
        self, window: list[Run]
    ) -> tuple[Callable[[], Sequence[Part]], Callable[[], None]]:
        taken: list[memoryview] = []
        return partial(self._load, window, taken), partial(self._buffers.give_all, taken)

    def _layer(self, window: list[Run]) -> Layer:
        """The window's clusters, and that they hide the parent's, zeros too."""
        data = [run for run in window if run.place]
        load, release = self._loading(data)
        hidden = [(run.offset, run.length) for run in window]
        return Layer(*self._bounds(window), lambda: (load(), hidden), release, not data)

    def _fetch(self, offset: int, length: int, part: str) -> bytearray:
        return fetch(self._stream, offset, length, part)

    def _load(self, window: list[Run], taken: list[memoryview]) -> list[Part]:
        parts: list[Part] = []
        for runs in _neighbours(window):
            parts += self._inflated(runs) if runs[0].stored else self._plain(runs, taken)
        return parts

    def _plain(self, runs: Sequence[Run], taken: list[memoryview]) -> Iterator[Part]:
        """Clusters that stand in the file one behind the other, in one reading."""
        view = self._buffers.take(sum(run.length for run in runs))
        taken.append(view)
        fill(self._stream, runs[0].place, view, "a cluster")
        at = 0
        for run in runs:
            yield run.offset, view[at : at + run.length]
            at += run.length

    def _inflated(self, runs: Sequence[Run]) -> Iterator[Part]:
        """Compressed clusters that stand close to each other, in one reading."""
        start = runs[0].place
        view = self._buffers.take(max(run.place + run.stored for run in runs) - start)
        fill(self._stream, start, view, "a compressed cluster")
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


def _length(stream: InputStream) -> int:
    if stream.length is None:
        raise ImageError("the length of the QCOW2 is not known", remedy="Save it as a file first")
    return stream.length


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
