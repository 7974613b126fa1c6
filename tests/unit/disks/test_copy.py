"""Moving a disk: which way is chosen, in what order it ends, and how it fails."""

import hashlib
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from kensho_tui.cancel import Cancel, CancelledError
from kensho_tui.disks.copy import Progress, Transferred, choose, transfer
from kensho_tui.disks.digest import DigestTap
from kensho_tui.disks.files import FileError, FileInput, FileOutput
from kensho_tui.disks.image import Access, ExtentMap, Format, ImageError, Need, Offer
from tests.unit.disks.streams import (
    QCOW2_FORWARD,
    RAW_EXTENTS,
    RAW_FORWARD,
    RAW_SEEK,
    VHD_FORWARD,
    VHD_SEEK,
    VHDX_FORWARD,
    VHDX_SEEK,
    VMDK_FORWARD,
    VMDK_SEEK,
    Gate,
    Kept,
    Memory,
    SparseDisk,
    Trickle,
    convert,
    seen,
    vhd,
    vhdx,
    visible,
    vmdk,
)

MIB = 1 << 20
NOISE = hashlib.shake_128(b"noise").digest(8 * MIB)


class Opened:
    """Opens `Kept` targets and remembers how it was asked."""

    def __init__(self, **how: int) -> None:
        self.how = how
        self.asked: list[tuple[Offer, int | None, ExtentMap | None]] = []
        self.kept: list[Kept] = []

    def __call__(self, offer: Offer, length: int | None, allocation: ExtentMap | None) -> Kept:
        self.asked.append((offer, length, allocation))
        self.kept.append(Kept(offer, length, **self.how))
        return self.kept[-1]


# ------------------------------------------------------------------------------------------ choosing
PREFERENCE = [VHD_FORWARD, RAW_EXTENTS, RAW_FORWARD]


def test_a_vhd_is_preferred_where_the_map_is_known_and_sparse_raw_where_it_is_not() -> None:
    assert choose(VMDK_SEEK, PREFERENCE, mapped=True) == VHD_FORWARD
    assert choose(VMDK_FORWARD, PREFERENCE, mapped=False) == RAW_EXTENTS


def test_a_disk_beyond_the_end_of_vhd_goes_another_way() -> None:
    assert choose(VMDK_SEEK, PREFERENCE, mapped=True, capacity=3 << 40) == RAW_EXTENTS


def test_a_vhd_file_needs_no_map_where_it_is_written_with_seeks() -> None:
    assert choose(VMDK_FORWARD, [VHD_FORWARD, VHD_SEEK], mapped=False) == VHD_SEEK


def test_why_no_way_fits_is_said_for_each() -> None:
    targets = [
        VHD_FORWARD,
        Offer(Format.VMDK_STREAM, Access.FORWARD, frozenset({Need.LENGTH})),
        QCOW2_FORWARD,
        Offer(Format.QCOW2, Access.FORWARD, compressed=True),
    ]
    with pytest.raises(ImageError) as caught:
        choose(VMDK_FORWARD, targets, mapped=False)
    assert "vhd forward: where the data is, is not known before reading" in caught.value.what
    assert "vmdk forward: the length of a compressed disk is not known" in caught.value.what
    assert "qcow2 forward: where the data is, is not known before reading" in caught.value.what
    assert "qcow2 forward: a compressed QCOW2 is written by offset" in caught.value.what
    with pytest.raises(ImageError, match="it offers none"):
        choose(VMDK_FORWARD, [], mapped=True)


# ------------------------------------------------------------------------- what the target is told
def test_the_target_learns_length_and_allocation_before_the_first_byte() -> None:
    opened = Opened()
    image = Memory(vmdk(9 * MIB, [(5 * MIB, b"data")]))
    done = transfer(image, VMDK_SEEK, targets=PREFERENCE, open_writer=opened)
    assert opened.asked == [(VHD_FORWARD, opened.kept[0].at, ExtentMap([(4 * MIB, 2 * MIB)]))]
    assert done.target == VHD_FORWARD
    assert done.written == opened.kept[0].at
    assert opened.kept[0].log == ["finish"]
    assert image.closed


def test_a_raw_target_learns_the_capacity_as_length() -> None:
    opened = Opened()
    transfer(Memory(vmdk(3 * MIB, [])), VMDK_SEEK, targets=[RAW_FORWARD], open_writer=opened)
    assert opened.asked == [(RAW_FORWARD, 3 * MIB, ExtentMap())]
    assert opened.kept[0].at == 3 * MIB


@pytest.mark.parametrize("target", [VHD_FORWARD, VHDX_FORWARD, RAW_EXTENTS, RAW_FORWARD])
def test_the_capacity_is_rounded_up_to_the_targets_increment(target: Offer) -> None:
    image = Memory(vmdk(3 * MIB, [(0, b"x")]))
    written, done = convert(image, VMDK_SEEK, target, increment=2 * MIB)
    assert done.capacity == 4 * MIB
    if target.format is not Format.RAW:
        way = Offer(target.format, Access.SEEK)
        assert seen(Memory(written.bytes), way) == (4 * MIB, [(0, b"x")])
    if target == RAW_FORWARD:
        assert written.at == 4 * MIB


# ------------------------------------------------------------------------------- declared capacity
def test_a_disk_shorter_than_declared_is_refused_before_the_target_is_opened() -> None:
    opened = Opened()
    with pytest.raises(ImageError, match="shorter than declared: 1048576 bytes, not 2097152"):
        transfer(
            Memory(vmdk(MIB, [])),
            VMDK_SEEK,
            targets=PREFERENCE,
            open_writer=opened,
            capacity=2 * MIB,
        )
    assert not opened.kept


def test_a_disk_larger_than_rounding_explains_is_refused() -> None:
    with pytest.raises(ImageError, match="larger than declared: 4194304 bytes, not 1048576"):
        convert(Memory(vmdk(4 * MIB, [])), VMDK_SEEK, RAW_EXTENTS, capacity=MIB)


@pytest.mark.parametrize(
    "target", [VHD_FORWARD, VHDX_FORWARD, RAW_EXTENTS, RAW_FORWARD, VMDK_FORWARD]
)
def test_a_disk_that_a_platform_rounded_up_gets_its_declared_size(target: Offer) -> None:
    image = Memory(vhd(4 * MIB, [(MIB, b"data")]))
    written, done = convert(image, VHD_SEEK, target, capacity=3 * MIB)
    assert done.capacity == 3 * MIB
    if target.format is not Format.RAW:
        assert seen(Memory(written.bytes), Offer(target.format, Access.SEEK)) == (
            3 * MIB,
            [(MIB, b"data")],
        )


@pytest.mark.parametrize("target", [RAW_EXTENTS, VHD_SEEK])
def test_data_behind_the_declared_end_is_refused(target: Offer) -> None:
    image = Memory(vhd(4 * MIB, [(3 * MIB + 7, b"data")]))
    with pytest.raises(ImageError, match="holds data behind its declared end"):
        convert(image, VHD_SEEK, target, capacity=3 * MIB)


def test_a_raw_stream_of_unknown_length_is_as_long_as_declared() -> None:
    written, _ = convert(Trickle(NOISE[: 3 * MIB]), RAW_FORWARD, VMDK_FORWARD, capacity=3 * MIB)
    assert seen(Memory(written.bytes), VMDK_SEEK)[0] == 3 * MIB
    with pytest.raises(ImageError, match="size of the raw disk is not known"):
        convert(Trickle(b"data"), RAW_FORWARD, VMDK_FORWARD)
    with pytest.raises(ImageError, match="ends at byte 1000, inside the disk"):
        convert(Trickle(NOISE[:1000]), RAW_FORWARD, VMDK_FORWARD, capacity=MIB)
    with pytest.raises(ImageError, match="more behind the end of the image"):
        convert(Trickle(NOISE[:2000]), RAW_FORWARD, VMDK_FORWARD, capacity=1024)


# ------------------------------------------------------------------------------------ how it ends
def test_verify_comes_after_the_last_byte_and_before_the_writers_finish() -> None:
    opened = Opened()
    tap = DigestTap(Memory(vmdk(4 * MIB, [(MIB, NOISE[:MIB])])), ["sha256"])

    def verify() -> None:
        tap.complete()
        opened.kept[0].log.append(f"verify {opened.kept[0].at == opened.kept[0].promised}")

    transfer(tap, VMDK_SEEK, targets=PREFERENCE, open_writer=opened, verify=verify)
    assert opened.kept[0].log == ["verify True", "finish"]


def test_a_failed_verify_leaves_the_writer_unfinished_and_both_closed() -> None:
    opened, image = Opened(), Memory(vmdk(MIB, [(0, b"x")]))

    def verify() -> None:
        raise ImageError("the digest is not the manifest's", subject="disk1.vmdk")

    with pytest.raises(ImageError, match="the digest is not the manifest's"):
        transfer(image, VMDK_SEEK, targets=PREFERENCE, open_writer=opened, verify=verify)
    assert not opened.kept[0].finished
    assert opened.kept[0].closed
    assert image.closed


def test_the_digest_of_the_target_is_known_at_the_end() -> None:
    opened = Opened()
    done = transfer(
        SparseDisk(9 * MIB, [(MIB, NOISE[: 3 * MIB])]),
        RAW_EXTENTS,
        targets=[VMDK_FORWARD],
        open_writer=opened,
        digests=["sha256", "sha1"],
    )
    data = opened.kept[0].bytes
    assert done.digests == {
        "sha256": hashlib.sha256(data).hexdigest(),
        "sha1": hashlib.sha1(data).hexdigest(),
    }
    with pytest.raises(ValueError, match="written in order"):
        transfer(Memory(b""), RAW_SEEK, targets=[VHD_SEEK], open_writer=opened, digests=["sha1"])


def test_the_digest_of_a_sparse_raw_target_counts_its_holes_as_zeros() -> None:
    parts = [(MIB, NOISE[: 3 * MIB]), (8 * MIB, b"end")]
    opened = Opened()
    done = transfer(
        SparseDisk(9 * MIB, parts),
        RAW_EXTENTS,
        targets=[RAW_EXTENTS],
        open_writer=opened,
        digests=["sha256"],
    )
    whole = bytearray(9 * MIB)
    for offset, data in parts:
        whole[offset : offset + len(data)] = data
    assert done.digests == {"sha256": hashlib.sha256(whole).hexdigest()}
    assert done.written < 4 * MIB


def test_a_source_file_that_is_written_to_meanwhile_ends_without_a_target(tmp_path: Path) -> None:
    path, target = tmp_path / "a.vmdk", tmp_path / "a.raw"
    path.write_bytes(vmdk(MIB, [(0, b"x")]))
    stream = FileInput(path)

    def open_writer(offer: Offer, length: int | None, allocation: ExtentMap | None) -> FileOutput:
        os.utime(path, ns=(1, 1))
        return FileOutput(target, size=length)

    with pytest.raises(FileError, match="changed while it was read"):
        transfer(
            stream,
            VMDK_SEEK,
            targets=[RAW_EXTENTS],
            open_writer=open_writer,
            verify=stream.verify,
        )
    assert list(tmp_path.iterdir()) == [path]


def test_what_was_read_written_and_found_empty_is_counted() -> None:
    image = vmdk(100 * MIB, [(50 * MIB, NOISE[:65536])])
    tap = DigestTap(Memory(image), ["sha256"])
    told: list[Progress] = []
    opened = Opened()
    done = transfer(tap, VMDK_SEEK, targets=[RAW_EXTENTS], open_writer=opened, progress=told.append)
    assert (done.capacity, done.written, done.empty) == (100 * MIB, 65536, 100 * MIB - 65536)
    assert 65536 < done.read <= len(image) + 4096
    assert told[-1] == Progress(
        100 * MIB, 100 * MIB, done.read, 65536, done.empty, told[-1].rate, 0.0
    )


# ------------------------------------------------------------------------------------- how it fails
@pytest.mark.parametrize(
    "source, offer, target",
    [
        (lambda: SparseDisk(8 * MIB, [(0, NOISE)]), RAW_EXTENTS, VMDK_FORWARD),
        (lambda: Memory(vmdk(8 * MIB, [(0, NOISE)])), VMDK_SEEK, VHD_FORWARD),
        (lambda: Trickle(vmdk(8 * MIB, [(0, NOISE)])), VMDK_FORWARD, RAW_EXTENTS),
        (lambda: Memory(vmdk(8 * MIB, [(0, NOISE)])), VMDK_SEEK, VHD_SEEK),
        (lambda: Memory(vmdk(8 * MIB, [(0, NOISE)])), VMDK_SEEK, VHDX_FORWARD),
        (lambda: Memory(vhdx(8 * MIB, [(0, NOISE)])), VHDX_SEEK, VHDX_SEEK),
    ],
)
@pytest.mark.parametrize("room", [0, 70_000, 5 * MIB])
def test_a_target_that_fills_up_ends_the_transfer_with_its_reason(
    source: Callable[[], SparseDisk], offer: Offer, target: Offer, room: int
) -> None:
    opened, stream = Opened(room=room), source()
    with pytest.raises(FileError, match="No space left on device") as caught:
        transfer(
            stream, offer, targets=[target], open_writer=opened, threads=2, subject="disk1.vmdk"
        )
    assert caught.value.subject == "disk1.vmdk"
    assert caught.value.remedy
    assert opened.kept[0].closed
    assert not opened.kept[0].finished
    assert stream.closed


def test_a_target_that_cannot_be_opened_closes_the_source() -> None:
    stream = SparseDisk(MIB)

    def refuse(*_: object) -> Kept:
        raise ImageError("no")

    with pytest.raises(ImageError, match="no"):
        transfer(stream, RAW_EXTENTS, targets=[RAW_EXTENTS], open_writer=refuse)
    assert stream.closed


def test_damage_in_the_middle_says_which_disk_and_leaves_nothing_finished() -> None:
    data = bytearray(vmdk(8 * MIB, [(0, NOISE)]))
    data[5 * MIB] ^= 0xFF
    opened = Opened()
    with pytest.raises(ImageError) as caught:
        transfer(
            Memory(data),
            VMDK_SEEK,
            targets=[RAW_EXTENTS],
            open_writer=opened,
            subject="shop.ova: disk1.vmdk",
        )
    assert str(caught.value).startswith("shop.ova: disk1.vmdk: ")
    assert not opened.kept[0].finished


@pytest.mark.parametrize("target", [VHD_FORWARD, VHDX_FORWARD])
def test_data_where_the_map_said_there_was_none_is_a_source_that_changed(target: Offer) -> None:
    way = Offer(target.format, Access.SEEK)

    class Changed(SparseDisk):
        def pread(self, offset: int, buffer: bytearray | memoryview, /) -> int:
            self.allocated = None
            return super().pread(offset, buffer)

    disk = Changed(8 * MIB, [(0, b"x"), (5 * MIB, b"y")])
    disk.allocated = ExtentMap([(0, 512)])
    written, _ = convert(disk, RAW_EXTENTS, target)
    assert seen(Memory(written.bytes), way)[1] == [(0, b"x")]
    # The image's own tables say less at the second look than at the first one.
    image = bytearray(vmdk(8 * MIB, [(0, b"x"), (5 * MIB, b"y")]))

    class Lying(Memory):
        looked = 0

        def pread(self, offset: int, buffer: bytearray | memoryview, /) -> int:
            count = super().pread(offset, buffer)
            if len(buffer) == 2048:
                self.looked += 1
                if self.looked == 1:
                    buffer[4 * 80 : 4 * 81] = bytes(4)
            return count

    with pytest.raises(
        ImageError, match="data at byte 4194304, where the disk said there was none"
    ):
        convert(Lying(image), VMDK_SEEK, target)


@pytest.mark.parametrize("target", [VHD_FORWARD, VHDX_FORWARD])
def test_blocks_that_were_promised_and_turn_out_empty_are_written_as_zeros(target: Offer) -> None:
    way = Offer(target.format, Access.SEEK)
    disk = SparseDisk(16 * MIB, [(9 * MIB, b"x")])
    disk.allocated = ExtentMap([(0, 16 * MIB)])
    written, _ = convert(disk, RAW_EXTENTS, target)
    assert written.at == written.promised
    assert seen(Memory(written.bytes), way) == (16 * MIB, [(9 * MIB, b"x")])
    disk = SparseDisk(16 * MIB, [(9 * MIB, b"x")])
    tables = bytearray(vmdk(16 * MIB, [(9 * MIB, b"x"), (1, bytes(9))]))
    written, _ = convert(Memory(tables), VMDK_SEEK, target)
    assert written.at == written.promised


# ------------------------------------------------------------------------------------- cancellation
def cancelled_while(
    stream: Gate, offer: Offer, targets: Sequence[Offer]
) -> tuple[Opened, BaseException | None]:
    """Start, wait until the source stands still, cancel, and give what the transfer raised."""
    cancel, opened = Cancel(), Opened()
    raised: list[BaseException] = []

    def run() -> None:
        try:
            transfer(stream, offer, targets=targets, open_writer=opened, threads=2, cancel=cancel)
        except BaseException as error:  # noqa: BLE001 - looked at by the test
            raised.append(error)

    worker = threading.Thread(target=run)
    worker.start()
    assert stream.waiting.wait(60)
    cancel.cancel()
    worker.join(60)
    assert not worker.is_alive()
    return opened, raised[0] if raised else None


@pytest.mark.parametrize("passes", [0, 100, 3 * MIB])
def test_cancelling_ends_a_source_that_stands_still(passes: int) -> None:
    for base, offer in (
        (SparseDisk(8 * MIB, [(0, NOISE)]), RAW_EXTENTS),
        (SparseDisk(8 * MIB, [(0, NOISE)]), RAW_FORWARD),
        (Memory(vmdk(8 * MIB, [(0, NOISE)])), VMDK_FORWARD),
    ):
        opened, raised = cancelled_while(Gate(base, passes), offer, [RAW_EXTENTS])
        assert isinstance(raised, CancelledError)
        assert all(kept.closed and not kept.finished for kept in opened.kept)


def test_cancelling_ends_a_target_that_stands_still() -> None:
    cancel = Cancel()
    standing, closed = threading.Event(), threading.Event()

    class Stuck(Kept):
        def write(self, data: object, /) -> None:
            standing.set()
            closed.wait()
            raise OSError("closed")

        def close(self) -> None:
            super().close()
            closed.set()

    made: list[Stuck] = []

    def open_stuck(offer: Offer, length: int | None, allocation: ExtentMap | None) -> Stuck:
        made.append(Stuck(offer))
        return made[0]

    raised: list[BaseException] = []

    def run() -> None:
        try:
            transfer(
                SparseDisk(8 * MIB, [(0, NOISE)]),
                RAW_EXTENTS,
                targets=[VMDK_FORWARD],
                open_writer=open_stuck,
                cancel=cancel,
            )
        except CancelledError as error:
            raised.append(error)

    worker = threading.Thread(target=run)
    worker.start()
    assert standing.wait(60)
    cancel.cancel()
    worker.join(60)
    assert raised
    assert not made[0].finished


def test_what_was_cancelled_before_it_began_moves_nothing() -> None:
    cancel, opened, stream = Cancel(), Opened(), SparseDisk(MIB)
    cancel.cancel()
    with pytest.raises(CancelledError):
        transfer(stream, RAW_EXTENTS, targets=[RAW_EXTENTS], open_writer=opened, cancel=cancel)
    assert stream.closed
    assert not opened.kept


def test_cancelling_in_the_progress_call_ends_it() -> None:
    cancel, opened = Cancel(), Opened()

    def stop(_: Progress) -> None:
        cancel.cancel()

    with pytest.raises(CancelledError):
        transfer(
            SparseDisk(64 * MIB, [(0, NOISE)], mapped=False),
            RAW_EXTENTS,
            targets=[RAW_FORWARD],
            open_writer=opened,
            progress=stop,
            cancel=cancel,
            limit=MIB,
        )
    assert not opened.kept[0].finished


def test_no_thread_outlives_a_transfer() -> None:
    def ours() -> set[str]:
        return {t.name for t in threading.enumerate() if t.name.startswith("kensho-")}

    convert(Memory(vmdk(8 * MIB, [(0, NOISE)])), VMDK_SEEK, RAW_EXTENTS)
    assert not ours()


def test_a_transfer_says_what_it_chose() -> None:
    _, done = convert(Memory(vhd(MIB, [])), VHD_SEEK, VMDK_FORWARD)
    assert (done.source, done.target) == (VHD_SEEK, VMDK_FORWARD)
    assert isinstance(done, Transferred)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_result_is_the_same_with_any_number_of_threads(threads: int) -> None:
    image = vmdk(40 * MIB, [(0, NOISE), (33 * MIB, NOISE[: 3 * MIB])])
    opened = Opened()
    transfer(Memory(image), VMDK_SEEK, targets=[RAW_EXTENTS], open_writer=opened, threads=threads)
    assert visible(opened.kept[0].extents) == visible([(0, NOISE), (33 * MIB, NOISE[: 3 * MIB])])
    assert opened.kept[0].extents == sorted(opened.kept[0].extents)
