"""Which source reads an offer, and which sink writes one."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from kensho_tui.disks.append import Appender
from kensho_tui.disks.bounds import expect_disk
from kensho_tui.disks.codec import Compression
from kensho_tui.disks.image import (
    MAX_CAPACITY,
    PLAIN,
    SCATTERED,
    Access,
    Encoded,
    ExtentMap,
    Format,
    Image,
    ImageError,
    InputStream,
    Kept,
    Layout,
    Need,
    Offer,
    OutputStream,
    Part,
    Piece,
    Sink,
    Source,
)
from kensho_tui.disks.raw import RawForwardSource, RawSink, RawSource
from kensho_tui.disks.vhd import VhdForwardSource, VhdSource
from kensho_tui.disks.vhd_structs import MAX_CAPACITY as MAX_VHD
from kensho_tui.disks.vhd_write import FixedVhdSink, VhdSink, plan_fixed
from kensho_tui.disks.vhd_write import plan as plan_vhd
from kensho_tui.disks.vmdk import VmdkSource
from kensho_tui.disks.vmdk_forward import VmdkForwardSource
from kensho_tui.disks.vmdk_sparse import MAX_CAPACITY as MAX_SPARSE_VMDK
from kensho_tui.disks.vmdk_sparse import SparseExtent, SparseVmdkSink
from kensho_tui.disks.vmdk_write import GRAIN, VmdkSink

# What reads and writes VHDX and QCOW2 is loaded where it is used: it is half of what a short command
# would have to load.

# Formats that are read together with a parent.
_CHAINED = frozenset({Format.VHD, Format.VHDX, Format.QCOW2})

# Formats whose tables stand first, where they are written forward.
_PLANNED = frozenset({Format.VHD, Format.VHDX, Format.QCOW2})

# How large their disks can be, in bytes.
_ENDS = {
    Format.VHD: (MAX_VHD, "a VHD ends at 2040 GiB"),
    Format.VHD_FIXED: (MAX_VHD, "a VHD ends at 2040 GiB"),
    Format.VHDX: (MAX_CAPACITY, "a VHDX ends at 64 TiB"),
    Format.VHDX_FIXED: (MAX_CAPACITY, "a VHDX ends at 64 TiB"),
    Format.VMDK_SPARSE: (MAX_SPARSE_VMDK, "a sparse VMDK ends at 2 TiB"),
}


def file_ways(format_: Format, *, compressed: bool = False) -> list[Offer]:
    """How a file of the format is written to a local disk, best first.

    Args:
        compressed: as of `Offer`.
    """
    if format_ in PLAIN:
        return [Offer(format_, Access.EXTENTS)]
    if format_ is Format.VMDK_SPARSE:
        return [Offer(format_, Access.SEEK)]
    if format_ is Format.QCOW2:  # a planned one would hold zeros that its source had stored
        ways = (Access.SEEK, Access.FORWARD)
        return [Offer(format_, access, compressed=compressed) for access in ways]
    return [Offer(format_, Access.FORWARD), Offer(format_, Access.SEEK)]


def open_source(
    stream: InputStream,
    offer: Offer,
    capacity: int | None = None,
    *,
    parents: Sequence[Image] = (),
) -> Source:
    """Begin to read a disk image, of no more bytes than are accepted (`kensho_tui.disks.bounds`).

    Args:
        stream: its bytes.
        offer: format and access. The format is believed, never guessed.
        capacity: declared bytes, for a raw stream that does not know its length.
        parents: what the disk is only the difference to: its parent, the parent's parent, … What an
            image says of where its parent is, is never followed.

    Raises: ImageError: it is damaged, hostile, of a kind that is not supported, or belongs to other
        parents. BoundsError: it is too large.
    """
    source = _opened(stream, offer, capacity, parents)
    expect_disk(source.capacity)
    return source


def _opened(
    stream: InputStream, offer: Offer, capacity: int | None, parents: Sequence[Image]
) -> Source:
    forward = offer.access is Access.FORWARD
    if forward and offer.format in SCATTERED:
        raise ImageError(
            f"a disk of the format {offer.format} cannot be read from its first byte to its last:"
            " its tables may stand anywhere",
            remedy="Save the disk as a file first; one in a compressed package has to be unpacked",
        )
    parent = None
    if parents:
        if offer.format not in _CHAINED or forward:
            raise ImageError(
                f"a {offer.format} disk is not read together with parents",
                remedy="Export the disk with its parents merged",
            )
        above = parents[0].offer
        if offer.format is Format.QCOW2:
            from kensho_tui.disks.qcow2 import backing_format

            above = _backing(above, backing_format(stream))
        parent = open_source(parents[0].stream, above, parents=parents[1:])
    match offer.format:
        case Format.VMDK_STREAM:
            return VmdkForwardSource(stream) if forward else VmdkSource(stream)
        case Format.VMDK_SPARSE:
            return RawSource(SparseExtent(stream))
        case Format.VHD | Format.VHD_FIXED:
            return VhdForwardSource(stream) if forward else VhdSource(stream, parent)
        case Format.VHDX | Format.VHDX_FIXED if forward:
            from kensho_tui.disks.vhdx_forward import VhdxForwardSource

            return VhdxForwardSource(stream)
        case Format.VHDX | Format.VHDX_FIXED:
            from kensho_tui.disks.vhdx import VhdxSource

            return VhdxSource(stream, parent)
        case Format.RAW:
            return RawForwardSource(stream, capacity) if forward else RawSource(stream)
        case Format.QCOW2:
            from kensho_tui.disks.qcow2 import Qcow2Source

            return Qcow2Source(stream, parent)


def _backing(found: Offer, said: str) -> Offer:
    """How the backing file of a QCOW2 is read: what the QCOW2 says that it is, counts.

    Raises: ImageError: it cannot be that.
    """
    if said == "raw":
        return replace(found, format=Format.RAW)
    if said == "qcow2" and found.format is not Format.QCOW2:
        raise ImageError(
            f"the QCOW2's backing file is a QCOW2 too, and what is given is {found.format}",
            remedy="Name the parents in their order, the nearest first",
        )
    return found


def open_image(image: Image) -> Source:
    """As `open_source`, for an image with the parents it has."""
    return open_source(image.stream, image.offer, parents=image.parents)


def obstacle(target: Offer, *, mapped: bool, capacity: int | None) -> str:
    """Why a disk cannot be written that way; "" where it can.

    Args:
        target: the way.
        mapped: whether it is known, before reading, where there may be data.
        capacity: bytes; None where it is not known yet.
    """
    unknown = "where the data is, is not known before reading"
    if Need.ALLOCATION in target.needs and not mapped:
        return unknown
    if target.format is Format.VMDK_STREAM and Need.LENGTH in target.needs:
        return "the length of a compressed disk is not known before writing"
    if target.format is Format.VMDK_SPARSE and (
        target.access is not Access.SEEK or Need.LENGTH in target.needs
    ):
        return "its tables are written last"
    if large := too_large(target, capacity):
        return large
    if target.format is Format.QCOW2 and target.compressed and _planned(target):
        return "a compressed QCOW2 is written by offset, and how long it is shows only then"
    if target.format in _PLANNED and _planned(target) and not mapped:
        return unknown
    return ""


def too_large(target: Offer, capacity: int | None) -> str:
    """That the target's format takes no disk of so many bytes, in words; "" where it does."""
    end, words = _ENDS.get(target.format, (MAX_CAPACITY, ""))
    return words if capacity is not None and capacity > end else ""


def _planned(target: Offer) -> bool:
    """Whether the whole layout has to be settled before the first byte."""
    return target.access is Access.FORWARD or Need.LENGTH in target.needs


def plan(target: Offer, capacity: int, allocation: ExtentMap | None) -> Layout:
    """What the image will be, before its first byte.

    Args:
        target: an offer without `obstacle`.
        capacity: guest-visible bytes of the target.
        allocation: where data may come, where that is known.

    Raises: ImageError: the format does not take a disk of that capacity.
    """
    if target.format is Format.VHD and allocation is not None:
        return plan_vhd(capacity, allocation)
    if target.format is Format.VHDX and allocation is not None:
        from kensho_tui.disks.vhdx_write import plan as plan_vhdx

        return plan_vhdx(capacity, allocation)
    if target.format is Format.VHDX_FIXED:
        from kensho_tui.disks.vhdx_write import plan_fixed as plan_fixed_vhdx

        return plan_fixed_vhdx(capacity, allocation)
    if target.format is Format.VHD_FIXED:
        return plan_fixed(capacity, allocation)
    if target.format is Format.QCOW2 and allocation is not None and _planned(target):
        from kensho_tui.disks.qcow2_write import plan as plan_qcow2

        return plan_qcow2(capacity, allocation)
    length = capacity if target.format is Format.RAW else None
    return Layout(capacity, length, allocation)


def open_sink(
    output: OutputStream,
    target: Offer,
    layout: Layout,
    *,
    name: str = "",
    kept: Kept | None = None,
    compression: Compression = Compression.FAST,
    adapter: str = "lsilogic",
) -> Sink:
    """Begin to write a disk image, or go on with one.

    Args:
        output: where to, by ``target.access``.
        target: format and access.
        layout: of `plan`.
        name: of the file, for formats that hold it.
        kept: what is there of it already, by a sink of the same offer and layout.
        compression: for formats that deflate.
        adapter: the controller the disk hangs on, for VMDKs: ``ide``, ``buslogic`` or ``lsilogic``.

    Raises:
        StaleError: what is kept is not what such a sink has written.
    """
    forward = target.access is Access.FORWARD
    match target.format:
        case Format.VMDK_STREAM:
            return VmdkSink(
                Appender(output, forward=forward, offset=kept.end if kept else 0),
                layout,
                name=name or "disk.vmdk",
                kept=kept,
                compression=compression,
                adapter=adapter,
                identity=target.identity,
            )
        case Format.VHD:
            return VhdSink(output, layout, forward=forward, kept=kept, identity=target.identity)
        case Format.VHDX:
            from kensho_tui.disks.vhdx_write import VhdxSink

            return VhdxSink(output, layout, forward=forward, kept=kept, identity=target.identity)
        case Format.VHDX_FIXED:
            from kensho_tui.disks.vhdx_write import FixedVhdxSink

            return FixedVhdxSink(output, layout, target.access, kept=kept)
        case Format.VMDK_SPARSE:
            return SparseVmdkSink(output, layout, name=name or "disk.vmdk", adapter=adapter)
        case Format.VHD_FIXED:
            return FixedVhdSink(output, layout, target.access, kept=kept)
        case Format.RAW:
            return RawSink(output, layout, target.access, kept=kept)
        case Format.QCOW2 if _planned(target):
            from kensho_tui.disks.qcow2_write import Qcow2PlannedSink

            return Qcow2PlannedSink(output, layout, forward=forward, kept=kept)
        case Format.QCOW2:
            from kensho_tui.disks.qcow2_append import Qcow2GrowingSink

            how = compression if target.compressed else None
            return Qcow2GrowingSink(output, layout, compression=how, kept=kept)


def passing(
    source: Source, sink: Sink, capacity: int, *, inspect: bool = False
) -> "Passing | None":
    """How the windows go from source to sink as they are stored, where both store them alike.

    Tables and markers are checked on the way as ever; what is compressed is not inflated.

    Args:
        capacity: of the target in bytes.
        inspect: inflate it all the same, to find damage in it.
    """
    if (
        isinstance(source, VmdkSource | VmdkForwardSource)
        and isinstance(sink, VmdkSink)
        and source.grain == GRAIN
        and source.capacity == capacity
    ):
        if inspect:
            return Passing(source.deflated, lambda parts: sink.pass_on(source.inspected(parts)))
        return Passing(source.deflated, sink.pass_on)
    return None


@dataclass(frozen=True, slots=True)
class Passing:
    """A source's windows as they are stored, and the sink's way to take them."""

    pieces: Callable[[], Iterator[Piece]]
    encode: Callable[[Sequence[Part]], Encoded]
