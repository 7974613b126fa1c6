"""The only place where a disk's bytes move, and the only one that pairs readers with writers.

Three kinds of threads work on one disk: one reads what comes in order and cuts it into windows, a few
inflate, look for zeros and deflate, and the calling one writes. A bounded, ordered queue between them
holds the memory down whatever the disk's size is.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Protocol, TypeVar

from kensho_tui.cancel import Cancel, CancelledError
from kensho_tui.disks.bounds import expect_ratio
from kensho_tui.disks.buffers import keep_memory
from kensho_tui.disks.codec import Compression
from kensho_tui.disks.digest import RunningDigests
from kensho_tui.disks.files import system_errors
from kensho_tui.disks.formats import (
    Passing,
    obstacle,
    open_sink,
    open_source,
    passing,
    plan,
    too_large,
)
from kensho_tui.disks.image import (
    PLAIN,
    ROUNDING,
    SECTOR,
    Access,
    Buffer,
    Encoded,
    ExtentMap,
    Format,
    Image,
    ImageError,
    InputStream,
    Offer,
    OutputStream,
    Part,
    Piece,
    Sink,
    WritableBuffer,
    pwrite_all,
    write_all,
)
from kensho_tui.disks.pace import INTERVAL_S, Pace
from kensho_tui.disks.progress import Meter, Progress, processors
from kensho_tui.disks.resume import Resuming, Trail

__all__ = ["Progress", "Target", "Transferred", "choose", "transfer"]

_MOST_THREADS = 6
_IN_FLIGHT = 8  # windows of 2 MiB between reading and writing, at most


@dataclass(frozen=True, slots=True)
class Transferred:
    """What a transfer did; bytes as in `Progress`, ``digests`` of the target's stream when asked.

    ``capacity`` is the guest-visible size of what was written.
    """

    source: Offer
    target: Offer
    capacity: int
    read: int
    written: int
    empty: int
    digests: Mapping[str, str] = field(default_factory=dict)


class Target(Protocol):
    """What ``open_writer`` gives: an `OutputStream` with `finish` (a back end's `Writer` is one)."""

    def write(self, data: Buffer, /) -> None: ...
    def pwrite(self, offset: int, data: Buffer, /) -> None: ...
    def finish(self) -> None: ...
    def close(self) -> None: ...


W = TypeVar("W", bound=Target)


def choose(
    source: Offer, targets: Sequence[Offer], *, mapped: bool, capacity: int | None = None
) -> Offer:
    """The first of the targets' offers that the source can satisfy.

    Args:
        source: how the disk is read.
        targets: ways to write it, best first.
        mapped: whether it is known, before reading, where the disk may hold data.
        capacity: of the disk in bytes, where known: some formats end at 2040 GiB.

    Raises: ImageError: none of them; it says why for each.
    """
    reasons = []
    for target in targets:
        reason = obstacle(target, mapped=mapped, capacity=capacity)
        if not reason:
            return target
        reasons.append(f"{target.format} {target.access.value}: {reason}")
    ends = {too_large(target, capacity) for target in targets}
    if capacity is not None and ends and "" not in ends:
        raise ImageError(
            f"{' and '.join(sorted(ends))}, and the disk has {capacity:,} bytes",
            remedy="Choose another format, or another target",
        )
    raise ImageError(
        f"the target takes the disk in no way that {source.format} {source.access.value} can give"
        f" ({'; '.join(reasons) or 'it offers none'})",
        remedy="Save the disk as a file first, or choose another target",
    )


def transfer(
    reader: InputStream,
    offer: Offer,
    *,
    targets: Sequence[Offer],
    open_writer: Callable[[Offer, int | None, ExtentMap | None], W],
    capacity: int | None = None,
    increment: int = 512,
    threads: int | None = None,
    progress: Callable[[Progress], None] | None = None,
    cancel: Cancel | None = None,
    limit: int | None = None,
    pace: Pace | None = None,
    verify: Callable[[], None] | None = None,
    digests: Sequence[str] = (),
    parents: Sequence[Image] = (),
    compression: Compression | None = None,
    inspect: bool = False,
    resuming: Resuming[W] | None = None,
    name: str = "",
    adapter: str = "lsilogic",
    subject: str = "",
) -> Transferred:
    """Copy one disk. All streams are closed when it returns or raises.

    Args:
        reader: the bytes of the disk, in the format of ``offer``.
        offer: how the reader is read.
        targets: ways to write, best first; the first one that fits is used.
        open_writer: opens the target: ``(offer, exact length or None, allocation or None)``; both are
            given whenever they are known, whether the offer needs them or not.
        capacity: what the descriptor declares, in bytes. The target gets it, rounded up; a source that
            is larger by no more than a platform's rounding (2 MiB) must hold zeros there.
        increment: the target rounds capacities up to a multiple of it, bytes.
        threads: for inflating and deflating; None: as many as there are processors, up to six.
        progress: told at most twice a second, and once at the end; in the calling thread.
        cancel: ends the transfer within half a second.
        limit: bytes a second at most, of the source's or the target's stream, whichever is more.
        pace: such a limit that other transfers share, and the gate that pauses them; instead of ``limit``.
        verify: called when all bytes are written and before the writer's ``finish``; raises if the
            source turns out not to be what was promised.
        digests: digests of the target to compute (`digest.ALGORITHMS`); FORWARD and plain targets.
        parents: what the disk is only the difference to, the nearest first (`formats.open_source`).
        compression: for formats that deflate; None: what is deflated already passes as it is, where both
            formats store it alike, and else the fast one.
        inspect: inflate what passes as it is, to find damage in it: for sources that no digest covers.
        resuming: how points to go on from are kept, and the one to go on from; ``offer`` and ``targets``
            are then those of that point, and ``offer`` is not FORWARD. What is counted and given back
            includes what was done before.
        name: of the target's file, for formats that hold it.
        adapter: as of `open_sink`.
        subject: how the operator knows the disk, for errors that do not say it themselves.

    Raises:
        ImageError: the source is damaged, larger or smaller than declared, or no target fits.
        BoundsError: it is larger, or inflates to more, than is accepted.
        StaleError: it cannot go on from that point; nothing was written.
        CancelledError: it was cancelled.
        KenshoError: whatever reader, writer or ``verify`` raised first. The writer is then closed
            without ``finish``.
        ValueError: digests of a target that is not written in order, or of one that is gone on with.
    """
    keep_memory()
    cancel = cancel or Cancel()
    with ExitStack() as streams, _said_of(subject, cancel):
        counted = [_CountedInput(each) for each in (reader, *(each.stream for each in parents))]
        for each in counted:
            streams.callback(each.close)
            streams.enter_context(cancel.closing(each.close))
        cancel.check()
        below = [Image(s, each.offer) for s, each in zip(counted[1:], parents, strict=True)]
        source = open_source(counted[0], offer, capacity, parents=below)
        size = _target_capacity(source.capacity, capacity, increment)
        allocated = source.allocated
        if allocated is not None and not parents and reader.length is not None:
            expect_ratio(reader.length, allocated.total)
        target = choose(offer, targets, mapped=allocated is not None, capacity=size)
        if target.format is not Format.RAW:
            size = -(-size // SECTOR) * SECTOR
        if digests and target.access is not Access.FORWARD and target.format not in PLAIN:
            raise ValueError("digests of the target are computed where it is written in order")
        start = resuming.start if resuming is not None else None
        if start is not None and (digests or offer.access is Access.FORWARD):
            raise ValueError("neither digests nor a source that is read forward can go on")
        if allocated is not None:
            allocated = ExtentMap(allocated.within(0, size))
        layout = plan(target, size, allocated)
        meter = Meter(
            progress,
            total=size,
            expected=None if allocated is None else allocated.total,
            length=None if parents else reader.length,
            pace=pace or Pace(limit),
            cancel=cancel,
        )
        for each in counted:
            each.meter = meter
        with system_errors("write", subject):
            writer = open_writer(target, layout.length, layout.allocation)
        streams.callback(writer.close)
        streams.enter_context(cancel.closing(writer.close))
        hashes = RunningDigests(digests) if digests else None
        if hashes is not None:
            streams.callback(hashes.close)
        output = _MeteredOutput(writer, meter, hashes)
        kept = resuming.kept(writer) if resuming is not None else None
        how = compression or Compression.FAST
        sink = open_sink(
            output, target, layout, name=name, kept=kept, compression=how, adapter=adapter
        )
        way = (None if compression else passing(source, sink, size, inspect=inspect)) or Passing(
            source.pieces, lambda parts: sink.encode(_within(parts, size))
        )
        trail = None if resuming is None else Trail(resuming, writer, target, way.encode)
        if start is not None:
            output.end = start.end
            meter.carry_on(
                min(size, start.position),
                seen=start.seen,
                data=start.data,
                read=start.read,
                written=start.written,
            )
        _move(way, sink, size, threads, meter, cancel, reader.close, output, trail)
        sink.finish()
        meter.position = size
        found: Mapping[str, str] = {}
        if hashes is not None:
            if target.access is not Access.FORWARD:
                hashes.zeros(layout.length or size)
            found = hashes.complete()
        if verify is not None:
            verify()
        cancel.check()
        writer.finish()
        meter.last()
        return Transferred(offer, target, size, meter.read, meter.written, meter.empty, found)


@contextmanager
def _said_of(subject: str, cancel: Cancel) -> Iterator[None]:
    """One kind of error for the caller: cancellation first, then what went wrong, with its subject."""
    try:
        with system_errors("read or write", subject):
            yield
    except CancelledError:
        raise
    except Exception as error:
        if cancel.cancelled:
            # What a closed stream says is only the echo of the cancellation.
            raise CancelledError from None
        if isinstance(error, ImageError) and not error.subject:
            error.subject = subject
        raise


def _target_capacity(found: int, declared: int | None, increment: int) -> int:
    if declared is not None and found < declared:
        raise ImageError(
            f"the disk is shorter than declared: {found} bytes, not {declared}",
            remedy="The file and its descriptor do not belong together, or one of them is damaged",
        )
    if declared is not None and found - declared > ROUNDING:
        raise ImageError(
            f"the disk is larger than declared: {found} bytes, not {declared}",
            remedy="The file and its descriptor do not belong together, or one of them is damaged",
        )
    wanted = found if declared is None else declared
    return -(-wanted // increment) * increment


class _CountedInput:
    """The reader, with what is read counted as soon as somebody counts."""

    def __init__(self, base: InputStream) -> None:
        self._base = base
        self._before = 0
        self._meter: Meter | None = None

    @property
    def meter(self) -> Meter | None:
        return self._meter

    @meter.setter
    def meter(self, meter: Meter) -> None:
        meter.count_read(self._before)
        self._meter = meter

    @property
    def length(self) -> int | None:
        return self._base.length

    @property
    def allocated(self) -> ExtentMap | None:
        return self._base.allocated

    def _count(self, count: int) -> int:
        if self._meter is None:
            self._before += count
        else:
            self._meter.count_read(count)
        return count

    def readinto(self, buffer: WritableBuffer, /) -> int:
        return self._count(self._base.readinto(buffer))

    def pread(self, offset: int, buffer: WritableBuffer, /) -> int:
        return self._count(self._base.pread(offset, buffer))

    def close(self) -> None:
        self._base.close()


class _MeteredOutput:
    """The writer, with what is written counted, hashed, told and held back."""

    def __init__(self, base: OutputStream, meter: Meter, hashes: RunningDigests | None) -> None:
        self._base = base
        self._meter = meter
        self._hashes = hashes
        self.end = 0  # behind the last byte that was written

    def write(self, data: Buffer, /) -> None:
        self.writev((data,))

    def pwrite(self, offset: int, data: Buffer, /) -> None:
        self.pwritev(offset, (data,))

    def writev(self, parts: Sequence[Buffer], /) -> None:
        if self._hashes is not None:
            for data in parts:
                self._hashes.update(data)
        write_all(self._base, parts)
        count = sum(map(len, parts))
        self.end += count
        self._count(count)

    def pwritev(self, offset: int, parts: Sequence[Buffer], /) -> None:
        if self._hashes is not None:
            self._hashes.zeros(offset)
            for data in parts:
                self._hashes.update(data)
        pwrite_all(self._base, offset, parts)
        count = sum(map(len, parts))
        self.end = max(self.end, offset + count)
        self._count(count)

    def close(self) -> None:
        self._base.close()

    def _count(self, count: int) -> None:
        self._meter.written += count
        self._meter.hold()
        self._meter.tick()


_Job = tuple[Piece, "Future[Encoded]"]


def _move(
    way: Passing,
    sink: Sink,
    size: int,
    threads: int | None,
    meter: Meter,
    cancel: Cancel,
    stop_reading: Callable[[], None],
    output: _MeteredOutput,
    trail: Trail[W] | None,
) -> None:
    """Read, convert and write all windows; the order of writing is the order of reading."""
    count = threads or min(_MOST_THREADS, processors())
    slots = threading.Semaphore(max(count + 2, min(3 * count, _IN_FLIGHT)))
    jobs: SimpleQueue[_Job | Exception | None] = SimpleQueue()
    ended = threading.Event()

    def convert(piece: Piece) -> Encoded:
        encoded = way.encode(piece.load())
        if not encoded.borrowed:
            piece.release()
        return encoded

    def read() -> None:
        try:
            for piece in way.pieces():
                if trail is not None and trail.behind(piece):
                    continue
                slots.acquire()
                if ended.is_set():
                    return
                jobs.put((piece, pool.submit(convert, piece)))
            jobs.put(None)
        except Exception as error:  # noqa: BLE001 - raised again where the windows are awaited
            jobs.put(error)

    pool = ThreadPoolExecutor(count, thread_name_prefix="kensho-disk")
    reading = threading.Thread(target=read, name="kensho-read", daemon=True)
    reading.start()
    try:
        while (job := _next(jobs, meter, cancel)) is not None:
            piece, future = job
            encoded = _result(future, meter)
            slots.release()
            cancel.check()
            meter.pass_gate()
            if trail is not None:
                trail.go_on()
            sink.put(encoded)
            if encoded.borrowed:
                piece.release()
            meter.data += encoded.guest
            meter.seen += piece.end - piece.offset
            meter.position = min(size, max(sink.position, piece.end))
            meter.tick()
            if trail is not None:
                trail.passed(piece, encoded, output.end, meter)
    except BaseException:
        ended.set()
        slots.release()
        # A reader that waits for bytes ends with an error of its own, which nobody needs.
        with suppress(Exception):
            stop_reading()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    reading.join()
    pool.shutdown()
    if trail is not None:
        trail.go_on()


def _next(
    jobs: "SimpleQueue[_Job | Exception | None]", meter: Meter, cancel: Cancel
) -> _Job | None:
    """The next window in order; None after the last. Progress is told while none comes."""
    while True:
        cancel.check()
        try:
            job = jobs.get(timeout=INTERVAL_S)
        except Empty:
            meter.tick()
            continue
        if isinstance(job, Exception):
            raise job
        return job


def _result(future: "Future[Encoded]", meter: Meter) -> Encoded:
    """The converted window; progress is told while it is not there."""
    while True:
        try:
            return future.result(INTERVAL_S)
        except TimeoutError:
            if future.done():
                raise
            meter.tick()


def _within(parts: Sequence[Part], size: int) -> Sequence[Part]:
    """The parts up to the target's end; what lies behind it may only be zeros."""
    if not parts or parts[-1][0] + len(parts[-1][1]) <= size:
        return parts
    kept: list[Part] = []
    for offset, data in parts:
        inside = max(0, min(len(data), size - offset))
        if bytes(memoryview(data)[inside:]).strip(b"\0"):
            raise ImageError(
                f"the disk holds data behind its declared end ({size} bytes)",
                remedy="The file and its descriptor do not belong together",
            )
        if inside:
            kept.append((offset, memoryview(data)[:inside]))
    return kept
