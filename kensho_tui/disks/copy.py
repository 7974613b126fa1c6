"""The only place where a disk's bytes move, and the only one that pairs readers with writers.

Three kinds of threads work on one disk: one reads what comes in order and cuts it into windows, a few
inflate, look for zeros and deflate, and the calling one writes. A bounded, ordered queue between them
holds the memory down whatever the disk's size is.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from kensho_tui.cancel import Cancel
from kensho_tui.disks.image import Buffer, ExtentMap, InputStream, Offer

ROUNDING = 2 << 20  # bytes a platform may have rounded a disk up by


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a transfer is; bytes and seconds.

    Attributes:
        position, total: of the guest-visible disk.
        read, written: bytes of the source's and of the target's stream.
        empty: guest bytes that were not written because they are zero.
        rate: guest bytes a second that had data, lately.
        eta_s: seconds that are left; None where it cannot be told yet.
    """

    position: int
    total: int
    read: int
    written: int
    empty: int
    rate: float
    eta_s: float | None


@dataclass(frozen=True, slots=True)
class Transferred:
    """What a transfer did; bytes as in `Progress`, ``digests`` of the target's stream when asked."""

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
    raise NotImplementedError


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
    verify: Callable[[], None] | None = None,
    digests: Sequence[str] = (),
) -> Transferred:
    """Copy one disk. Both streams are closed when it returns or raises.

    Args:
        reader: the bytes of the disk, in the format of ``offer``.
        offer: how the reader is read.
        targets: ways to write, best first; the first one that fits is used.
        open_writer: opens the target: ``(offer, exact length or None, allocation or None)``.
        capacity: what the descriptor declares, in bytes.
        increment: the target rounds capacities up to a multiple of it, bytes.
        threads: for inflating and deflating; None: as many as there are processors.
        progress: told at most twice a second, and once at the end; in the calling thread.
        cancel: ends the transfer within half a second.
        limit: bytes a second at most, of the source's or the target's stream, whichever is more.
        verify: called when all bytes are written and before the writer's ``finish``; raises if the
            source turns out not to be what was promised.
        digests: digests of the target's stream to compute (`digest.ALGORITHMS`); FORWARD targets.

    Raises:
        ImageError: the source is damaged, larger or smaller than declared, or no target fits.
        CancelledError: it was cancelled.
        KenshoError: whatever reader, writer or ``verify`` raised first. The writer is then closed
            without ``finish``.
    """
    raise NotImplementedError
