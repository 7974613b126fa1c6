"""Going on in the middle of a disk: the same image comes out, and nothing is sent twice."""

import json
import random
from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import product

import pytest

from kensho_tui.disks.copy import Transferred, transfer
from kensho_tui.disks.image import (
    PIECE,
    Access,
    Buffer,
    ExtentMap,
    Format,
    Offer,
    StaleError,
    WritableBuffer,
)
from kensho_tui.disks.progress import Progress
from kensho_tui.disks.resume import Point, Resuming
from kensho_tui.errors import KenshoError
from tests.unit.disks.streams import (
    QCOW2_FORWARD,
    QCOW2_PLANNED,
    QCOW2_SEEK,
    RAW_EXTENTS,
    RAW_FORWARD,
    VHD_FORWARD,
    VHD_SEEK,
    VHDX_FIXED,
    VHDX_FORWARD,
    VHDX_SEEK,
    VMDK_FORWARD,
    VMDK_SEEK,
    Memory,
    SparseDisk,
    qcow2,
    seen,
    vhd,
    vhdx,
    vmdk,
)

MIB = 1 << 20
CAPACITY = 35 * MIB + 512  # two grain tables of a VMDK, and an end that fits no window
NOISE = random.Random("resume").randbytes(MIB)
# Windows that are full, hold one grain, share a table or lie in another one, and the last sector.
EXTENTS = [
    (0, NOISE),
    (3 * MIB + 4096, NOISE[:70000]),
    (8 * MIB, NOISE * 3),
    (20 * MIB, b"lonely"),
    (31 * MIB, NOISE * 2),
    (34 * MIB - 100, NOISE[:300]),
    (CAPACITY - 512, NOISE[:512]),
]
SOURCES: dict[str, tuple[Offer, Callable[[], SparseDisk]]] = {
    "vmdk": (VMDK_SEEK, lambda: Memory(vmdk(CAPACITY, EXTENTS))),
    "vhd": (VHD_SEEK, lambda: Memory(vhd(CAPACITY, EXTENTS))),
    "vhdx": (VHDX_SEEK, lambda: Memory(vhdx(CAPACITY, EXTENTS))),
    "qcow2": (QCOW2_SEEK, lambda: Memory(qcow2(CAPACITY, EXTENTS))),
    "raw": (RAW_EXTENTS, lambda: SparseDisk(CAPACITY, EXTENTS)),
}
TARGETS = {
    "vmdk": VMDK_FORWARD,
    "vhd": VHD_FORWARD,
    "vhdx": VHDX_FORWARD,
    "qcow2": QCOW2_FORWARD,
    "raw": RAW_FORWARD,
    "sparse": RAW_EXTENTS,
    "vmdk by offset": VMDK_SEEK,
    "vhd by offset": VHD_SEEK,
    "vhdx by offset": VHDX_SEEK,
    "vhdx fixed": VHDX_FIXED,
    "qcow2 by offset": QCOW2_PLANNED,
}


class KilledError(KenshoError):
    """Stands for the end of the process."""


class BlindError(KenshoError):
    """The target gives nothing back."""


class Store:
    """What lies on a target: outlives its writers, and forgets what nobody acknowledged."""

    def __init__(self, offer: Offer) -> None:
        self.offer = offer
        self.content = bytearray()
        self.sent = 0
        self.end = 0
        self.length = 0  # of a sparse one
        self.finished = False
        self.blind = False

    def reopen(self, end: int) -> None:
        """Another process opens it: behind what was acknowledged there is rubbish."""
        if self.offer.access is Access.FORWARD:
            self.content = self.content[:end]
            self.end = end

    def write(self, data: Buffer, /) -> None:
        assert self.offer.access is Access.FORWARD
        self.content += data
        self.end += len(data)
        self.sent += len(data)

    def pwrite(self, offset: int, data: Buffer, /) -> None:
        assert self.offer.access is not Access.FORWARD
        self.content = self.content.ljust(offset + len(data), b"\0")
        self.content[offset : offset + len(data)] = data
        self.end = max(self.end, offset + len(data))
        self.sent += len(data)

    def durable(self) -> tuple[ExtentMap, object]:
        return ExtentMap([(0, self.end)]), {"end": self.end}

    def pread(self, offset: int, buffer: WritableBuffer, /) -> int:
        if self.blind:
            raise BlindError("blind")
        found = self.content[offset : offset + len(buffer)]
        buffer[: len(found)] = found
        return len(found)

    def finish(self) -> None:
        self.content = self.content.ljust(self.length, b"\0")
        self.finished = True

    def close(self) -> None:
        """Nothing to free."""


def run(
    source: str,
    store: Store,
    start: Point | None = None,
    *,
    die_after: int | None = None,
    stream: SparseDisk | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> tuple[list[Point], Transferred | None, list[bool]]:
    """One attempt; the points it kept, and what it gave unless it died after some of them."""
    offer, make = SOURCES[source]
    points: list[Point] = []
    begun: list[bool] = []

    def keep(point: Point) -> None:
        # As the journal does.
        points.append(Point(**json.loads(json.dumps(asdict(point)))))
        if len(points) == die_after:
            raise KilledError("killed")

    def open_writer(chosen: Offer, length: int | None, allocation: ExtentMap | None) -> Store:
        if start is not None:
            store.reopen(start.end)
        if chosen.access is Access.EXTENTS:
            store.length = length or 0
        return store

    try:
        done = transfer(
            stream or make(),
            offer,
            targets=[store.offer],
            open_writer=open_writer,
            threads=2,
            progress=progress,
            resuming=Resuming(
                keep=keep,
                durable=Store.durable,
                pread=Store.pread,
                blind=BlindError,
                start=start,
                begun=begun.append,
            ),
        )
    except KilledError:
        return points, None, begun
    return points, done, begun


def content(store: Store) -> tuple[int, list[tuple[int, bytes]]]:
    """What a guest sees."""
    data = bytes(store.content)
    if store.offer.format is Format.RAW:
        return len(data), [(0, data)]
    return seen(Memory(data), Offer(store.offer.format, Access.SEEK))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("source", SOURCES)
def test_killed_at_any_point_it_goes_on_and_sends_nothing_twice(source: str, target: str) -> None:
    whole = Store(TARGETS[target])
    points, done, _ = run(source, whole)
    assert done is not None
    assert len(points) >= 7
    for count in (1, 4, len(points)):
        store = Store(TARGETS[target])
        kept, none, _ = run(source, store, die_after=count)
        assert none is None
        assert len(json.dumps(asdict(kept[-1]))) < 200
        more, again, begun = run(source, store, kept[-1])
        assert again is not None
        assert begun == [True], "what was written last is compared"
        assert store.finished
        assert store.sent == whole.sent, "nothing is sent twice"
        assert content(store) == content(whole)
        assert (again.written, again.capacity, again.empty) == (
            done.written,
            done.capacity,
            done.empty,
        )
        assert [each.end for each in (*kept, *more)] == [each.end for each in points]


def test_it_goes_on_twice() -> None:
    whole, store = Store(VMDK_FORWARD), Store(VMDK_FORWARD)
    run("vmdk", whole)
    kept, _, _ = run("vmdk", store, die_after=2)
    more, _, _ = run("vmdk", store, kept[-1], die_after=2)
    _, done, _ = run("vmdk", store, more[-1])
    assert done is not None
    assert store.sent == whole.sent
    assert content(store) == content(whole)


def test_progress_counts_what_was_there() -> None:
    store = Store(RAW_EXTENTS)
    kept, _, _ = run("vmdk", store, die_after=4)
    told: list[Progress] = []
    run("vmdk", store, kept[-1], progress=told.append)
    assert told[0].position >= kept[-1].position
    assert told[-1].position == CAPACITY
    assert told[-1].written == store.sent


@pytest.mark.parametrize("target", TARGETS)
def test_a_last_chunk_that_differs_is_noticed_before_anything_is_written(target: str) -> None:
    store = Store(TARGETS[target])
    kept, _, _ = run("vmdk", store, die_after=4)
    sent, at = store.sent, kept[-1].end - 200
    store.content[at] ^= 1
    with pytest.raises(StaleError):
        run("vmdk", store, kept[-1])
    assert store.sent == sent
    assert not store.finished


def test_a_source_that_differs_where_it_was_read_last_is_noticed() -> None:
    store = Store(RAW_EXTENTS)
    kept, _, _ = run("raw", store, die_after=3)
    changed = [(offset, data[::-1]) for offset, data in EXTENTS]
    with pytest.raises(StaleError):
        run("raw", store, kept[-1], stream=SparseDisk(CAPACITY, changed))
    assert store.sent == kept[-1].written


def test_a_target_that_cannot_be_read_back_goes_on_and_says_so() -> None:
    store, whole = Store(RAW_EXTENTS), Store(RAW_EXTENTS)
    run("raw", whole)
    kept, _, _ = run("raw", store, die_after=3)
    store.blind = True
    _, done, begun = run("raw", store, kept[-1])
    assert done is not None
    assert begun == [False]
    assert content(store) == content(whole)


@pytest.mark.parametrize(
    "target, how",
    [
        *product(["vmdk", "vhd", "vhdx", "qcow2"], ["header", "middle", "short", "long", "empty"]),
        # It has every byte from the beginning: how long it is says nothing.
        *product(["vhdx fixed"], ["header", "middle", "empty"]),
    ],
)
def test_what_is_kept_must_be_the_beginning_of_such_an_image(target: str, how: str) -> None:
    store = Store(TARGETS[target])
    kept, _, _ = run("vmdk", store, die_after=5)
    point = kept[-1]
    match how:
        case "header":
            store.content[64 * 1024 + 20 if "vhdx" in target else 20] ^= 1
        case "middle" if target == "vmdk":
            store.content[128 * 512] ^= 1  # which grain the first one is
        case "middle" if target == "qcow2":
            store.content[3 * 65536 + 2] ^= 0xFF  # the L1 table
        case "middle":
            store.content[3 * MIB + 2 if "vhdx" in target else 1536 + 2] ^= 0xFF  # the block table
        case "short":
            point = replace(point, end=point.end - 512)
        case "long":
            store.content += bytes(1024)
            point = replace(point, end=point.end + 1024)
        case _:
            store.content.clear()
    with pytest.raises(StaleError):
        run("vmdk", store, point)
    assert not store.finished


def test_a_point_is_kept_only_when_all_that_was_written_is_acknowledged() -> None:
    class Slow(Store):
        """Acknowledges every third window."""

        calls = 0
        said = 0

        def durable(self) -> tuple[ExtentMap, object]:
            self.calls += 1
            if not self.calls % 3:
                self.said = self.end
            return ExtentMap([(0, self.said)]), {"end": self.said} if self.said else None

    store = Slow(RAW_EXTENTS)
    offer, make = SOURCES["raw"]
    points: list[Point] = []
    transfer(
        make(),
        offer,
        targets=[RAW_EXTENTS],
        open_writer=lambda *_: store,
        resuming=Resuming(points.append, lambda w: w.durable(), Store.pread, BlindError),
    )
    assert len(points) == store.calls // 3
    assert all(point.position % PIECE == 0 for point in points)
    assert [point.end for point in points] == [point.token["end"] for point in points]


def test_a_source_that_is_read_forward_cannot_go_on() -> None:
    point = Point(PIECE, None, 0, 0, 0, 0, 0, {})
    with pytest.raises(ValueError, match="forward"):
        transfer(
            Memory(vmdk(CAPACITY, EXTENTS)),
            VMDK_FORWARD,
            targets=[RAW_EXTENTS],
            open_writer=lambda *_: Store(RAW_EXTENTS),
            resuming=Resuming(lambda _: None, Store.durable, Store.pread, BlindError, start=point),
        )


def test_a_qcow2_that_was_not_planned_cannot_go_on() -> None:
    store = Store(QCOW2_SEEK)
    kept, _, _ = run("vmdk", store, die_after=3)
    with pytest.raises(StaleError, match="planned as a whole"):
        run("vmdk", store, kept[-1])
    assert not store.finished


@pytest.mark.parametrize("target", ["qcow2", "qcow2 by offset"])
def test_clusters_that_are_planned_and_empty_do_not_hinder(target: str) -> None:
    """A map may name more than there is: what is compared is the window as it was written."""
    extents = [(n * 2 * MIB + 65536, NOISE[:100]) for n in range(6)]
    stream = SparseDisk(CAPACITY, extents)
    stream.allocated = ExtentMap([(0, 12 * MIB)])

    store = Store(TARGETS[target])
    kept, _, _ = run("raw", store, stream=stream, die_after=3)
    _, done, begun = run("raw", store, kept[-1], stream=stream)
    assert done is not None
    assert begun == [True]
    assert content(store) == (CAPACITY, extents)
