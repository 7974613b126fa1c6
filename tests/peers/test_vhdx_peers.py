"""VHDX beside qemu-img and libvhdi, readers and writers that are not ours.

QEMU refuses parents and misreads sectors of 4096 bytes: there libvhdi is the second opinion.
"""

import re
import shutil
import struct
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import pytest

from kensho_tui.disks.compare import first_difference
from kensho_tui.disks.files import FileInput
from kensho_tui.disks.formats import open_source
from kensho_tui.disks.image import Access, Format, Image, ImageError, Offer
from tests.peers.test_disks_qemu import (
    RAW,
    SIZES,
    VHDX,
    VHDX_FIXED,
    VHDX_PLANNED,
    VMDK,
    VMDK_FORWARD,
    convert,
    disk,
    qemu,
    same,
)
from tests.unit.disks import craft_vhdx as craft
from tests.unit.disks.streams import Extents, Memory, content, vhdx, vhdx_fixed, visible

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(
        shutil.which("qemu-img") is None or shutil.which("qemu-io") is None,
        reason="qemu-img or qemu-io is missing: apt-get install qemu-utils",
    ),
]

KIB, MIB = 1 << 10, 1 << 20
FORWARD = Offer(Format.VHDX, Access.FORWARD)
LOG_GUID = slice(48, 64)  # of a header


def made(tmp_path: Path, size: int, options: str) -> tuple[Path, Path]:
    """A raw disk, and a VHDX of it by qemu-img."""
    raw, theirs = disk(tmp_path / "a.raw", size), tmp_path / "theirs.vhdx"
    qemu("convert", "-f", "raw", "-O", "vhdx", "-o", options, raw, theirs)
    return raw, theirs


# ---------------------------------------------------------------------------------- of qemu, closed
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("offer", [VHDX, FORWARD], ids=["seek", "forward"])
def test_a_vhdx_of_qemu_is_read(tmp_path: Path, size: int, offer: Offer) -> None:
    raw, theirs = made(tmp_path, size, "subformat=dynamic")
    assert same(raw, RAW, theirs, offer)
    assert convert(theirs, offer, tmp_path / "ours.vmdk", VMDK_FORWARD).capacity == size
    assert same(raw, RAW, tmp_path / "ours.vmdk", VMDK)


@pytest.mark.parametrize(
    "options", ["subformat=fixed", "block_size=1M", "block_size=256M,log_size=3M"]
)
def test_every_kind_of_vhdx_of_qemu_is_read(tmp_path: Path, options: str) -> None:
    raw, theirs = made(tmp_path, 127 * MIB + 512 * 3, options)
    assert same(raw, RAW, theirs, VHDX)
    convert(theirs, VHDX, tmp_path / "ours.vhdx", VHDX_PLANNED)
    assert "identical" in qemu("compare", "-f", "raw", "-F", "vhdx", raw, tmp_path / "ours.vhdx")


def test_holes_of_a_vhdx_of_qemu_are_no_data(tmp_path: Path) -> None:
    """Its blocks are large, and sparse inside: what nobody wrote is neither read nor sent."""
    _, theirs = made(tmp_path, 128 * MIB, "block_size=32M")
    with FileInput(theirs) as stream:
        allocated = open_source(stream, VHDX).allocated
        assert allocated is not None
        assert 7 * MIB < allocated.total < 10 * MIB


def test_no_cut_through_a_vhdx_of_qemu_goes_unnoticed(tmp_path: Path) -> None:
    _, theirs = made(tmp_path, 40 * MIB, "block_size=1M")
    whole = theirs.read_bytes()
    cut = tmp_path / "cut.vhdx"
    for length in [*range(0, len(whole) - MIB, 500_009), len(whole) - MIB]:
        cut.write_bytes(whole[:length])
        for offer in (VHDX, FORWARD):
            with pytest.raises(ImageError):
                convert(cut, offer, tmp_path / "out.raw", RAW)


@pytest.mark.parametrize("to", [VHDX_PLANNED, VHDX, VHDX_FIXED], ids=["planned", "seek", "fixed"])
def test_qemu_goes_on_writing_where_we_ended(tmp_path: Path, to: Offer) -> None:
    """New blocks, blocks that are there, and the log's first use."""
    raw, ours = disk(tmp_path / "a.raw", 128 * MIB), tmp_path / "ours.vhdx"
    convert(raw, RAW, ours, to)
    for image, name in ((raw, "raw"), (ours, "vhdx")):
        commands = ["write -P 7 512 1k", "write -P 8 70M 3M", "write -z 48M 64k", "flush"]
        words = [word for command in commands for word in ("-c", command)]
        subprocess.run(["qemu-io", "-f", name, *words, str(image)], check=True, capture_output=True)
    assert "No errors were found" in qemu("check", "-f", "vhdx", ours)
    assert "identical" in qemu("compare", "-f", "raw", "-F", "vhdx", raw, ours)
    assert same(raw, RAW, ours, VHDX)


def test_a_fixed_vhdx_of_ours_is_as_long_as_its_disk_and_stays_so(tmp_path: Path) -> None:
    """The holes of the file are holes still; a guest that writes into one makes nothing longer."""
    raw, ours = disk(tmp_path / "a.raw", 127 * MIB + 512 * 3), tmp_path / "ours.vhdx"
    convert(raw, RAW, ours, VHDX_FIXED)
    assert ours.stat().st_size == 4 * MIB + 128 * MIB
    assert ours.stat().st_blocks * 512 < 20 * MIB
    subprocess.run(
        ["qemu-io", "-f", "vhdx", "-c", "write -P 8 70M 3M", str(ours)],
        check=True, capture_output=True,
    )  # fmt: skip
    assert ours.stat().st_size == 4 * MIB + 128 * MIB


# ------------------------------------------------------------------------------ of qemu, not closed
def is_dirty(image: Path) -> bool:
    """Whether any header names a log to replay."""
    data = image.read_bytes()
    headers = [data[at : at + 80] for at in (64 * KIB, 128 * KIB)]
    return any(header[LOG_GUID].strip(b"\0") for header in headers)


def agrees_after_replay(image: Path, scratch: Path) -> bool | None:
    """Whether we see what QEMU sees once it replayed the log of a copy; None: we refuse the file.

    A header that names a log which holds no entry of it is a closed file to QEMU; by 2.3.3 it must be
    refused. QEMU leaves one when it dies between the header's writing and the first entry's.
    """
    before = image.read_bytes()
    scratch.write_bytes(before)
    replay = subprocess.run(
        ["qemu-img", "check", "-q", "-f", "vhdx", "-r", "all", str(scratch)], capture_output=True
    )
    if replay.returncode:
        with pytest.raises(ImageError), FileInput(image) as stream:
            open_source(stream, VHDX)
        return None
    raw = scratch.with_suffix(".raw")
    qemu("convert", "-f", "vhdx", "-O", "raw", scratch, raw)
    with FileInput(image) as ours, FileInput(raw) as theirs:
        try:
            found = first_difference(Image(ours, VHDX), Image(theirs, RAW))
        except ImageError as error:
            assert "its log holds nothing that is whole" in error.what
            return None
    assert image.read_bytes() == before
    return found is None


@pytest.mark.parametrize("options", ["block_size=1M", "block_size=8M,log_size=2M"])
def test_a_file_whose_writer_was_killed_is_read_as_qemu_reads_it(
    tmp_path: Path, options: str
) -> None:
    """The table's own writes fail, so that only the log has them; then the process dies."""
    _, theirs = made(tmp_path, 64 * MIB, options)
    (table,) = (
        offset
        for guid, offset in struct.iter_unpack(
            "<16sQ8x", theirs.read_bytes()[192 * KIB + 16 : 192 * KIB + 80]
        )
        if UUID(bytes_le=guid) == craft.BAT
    )
    fault = "file.inject-error.0"
    described = (
        f"driver=vhdx,file.driver=blkdebug,file.image.driver=file,file.image.filename={theirs},"
        f"{fault}.event=none,{fault}.iotype=write,{fault}.sector={table // 512},{fault}.once=off"
    )
    commands = ["write -P 1 5M 64k", "write -P 2 20M 1M", "write -P 3 41M 512", "abort"]
    words = [word for command in commands for word in ("-c", command)]
    died = subprocess.run(["qemu-io", "--image-opts", described, *words], capture_output=True)
    assert died.returncode < 0, died.stdout
    assert is_dirty(theirs)
    assert agrees_after_replay(theirs, tmp_path / "scratch.vhdx")
    with FileInput(theirs) as stream:
        parts = dict(visible(content(open_source(stream, VHDX))))
    assert parts[5 * MIB] == b"\x01" * (64 * KIB)


_WRITE = re.compile(r'pwrite64\(\d+, "((?:\\x[0-9a-f]{2})*)", \d+, (\d+)')
_CUT = re.compile(r"ftruncate\(\d+, (\d+)")


@pytest.mark.skipif(
    shutil.which("strace") is None, reason="strace is missing: apt-get install strace"
)
def test_a_file_whose_writer_was_killed_at_any_write_is_read_as_qemu_reads_it(
    tmp_path: Path,
) -> None:
    """What `kill -9` leaves is the writes that were made: each number of them is tried."""
    theirs, log, state = tmp_path / "theirs.vhdx", tmp_path / "calls", tmp_path / "state.vhdx"
    qemu("create", "-f", "vhdx", "-o", "block_size=1M", theirs, 32 * MIB)
    data = bytearray(theirs.read_bytes())
    commands = ["write -P 1 0 4k", "write -P 2 10M 8k", "write -P 3 9M 4k", "write -P 4 0 4k"]
    words = [word for command in commands for word in ("-c", command)]
    traced = ["strace", "-f", "-qq", "-xx", "-s", "100000", "-e", "trace=pwrite64,ftruncate"]
    done = subprocess.run(
        [*traced, "-o", str(log), "qemu-io", "-f", "vhdx", *words, str(theirs)], capture_output=True
    )
    if b"ptrace" in done.stderr:
        pytest.skip("strace may not trace here: allow ptrace (kernel.yama.ptrace_scope)")
    assert done.returncode == 0, done.stderr
    dirty = refused = 0
    calls = log.read_text().splitlines()
    for call in calls:
        if cut := _CUT.search(call):
            data = data[: int(cut[1])].ljust(int(cut[1]), b"\0")
        elif write := _WRITE.search(call):
            content = bytes.fromhex(write[1].replace("\\x", ""))
            data[int(write[2]) : int(write[2]) + len(content)] = content
        else:
            assert "pwrite64" not in call, call[:200]
            continue
        state.write_bytes(data)
        found = agrees_after_replay(state, tmp_path / "scratch.vhdx")
        assert found is not False, call[:200]
        refused += found is None
        dirty += is_dirty(state) and found is not None
    assert bytes(data) == theirs.read_bytes(), "every change was seen"
    assert dirty >= 6, "files with a log to replay are among them"
    assert refused <= 3 * 3, "two headers and half an entry, each time a block is new"


# ----------------------------------------------------------------------------------------- libvhdi
def by_libvhdi(*images: Path) -> bytes:
    """All of a disk, as libvhdi reads it; its parents follow."""
    pyvhdi = pytest.importorskip("pyvhdi", reason="pyvhdi is missing: pip install libvhdi-python")
    files = []
    for path in images:
        files.append(pyvhdi.file())
        files[-1].open(str(path))
    for one, parent in pairwise(files):
        one.set_parent(parent)
    data: bytes = files[0].read_buffer_at_offset(files[0].get_media_size(), 0)
    for each in files:
        each.close()
    return data


def by_us(*images: Path) -> bytes:
    """The same, as we read it."""
    streams = [Image(Memory(path.read_bytes()), VHDX) for path in images]
    source = open_source(streams[0].stream, VHDX, parents=streams[1:])
    whole = bytearray(source.capacity)
    for offset, data in content(source):
        whole[offset : offset + len(data)] = data
    return bytes(whole)


@pytest.mark.parametrize("make", [vhdx, vhdx_fixed])
def test_libvhdi_reads_what_we_write(tmp_path: Path, make: Callable[[int, Extents], bytes]) -> None:
    extents = [(0, b"first"), (3 * MIB - 3, b"over two blocks"), (9 * MIB - 4, b"last")]
    path = tmp_path / "ours.vhdx"
    path.write_bytes(make(9 * MIB, extents))
    assert visible([(0, by_libvhdi(path))]) == visible(extents)


@pytest.mark.parametrize("block", [MIB, 2 * MIB])
def test_libvhdi_sees_the_same_in_sectors_of_4096_bytes(tmp_path: Path, block: int) -> None:
    """Blocks on both sides of the sector bitmap's entry, whose place depends on the sector's size."""
    path = tmp_path / "4k.vhdx"
    blocks: dict[int, tuple[int, bytes | None]] = {
        0: (craft.PRESENT, b"a" * block),
        2: (craft.PRESENT, b"c" * block),
    }
    path.write_bytes(craft.image(5 * MIB, blocks, block=block, sector=4096))
    assert by_libvhdi(path) == by_us(path)


@pytest.mark.parametrize("sector", [512, 4096])
def test_libvhdi_sees_the_same_chain(tmp_path: Path, sector: int) -> None:
    """Blocks that are the child's, the parent's, and of both, sector by sector.

    Not blocks of zeros: there libvhdi shows the parent's, though they "MUST return zeros" (2.5.1.1).
    """
    base, top = tmp_path / "base.vhdx", tmp_path / "top.vhdx"
    letters: dict[int, tuple[int, bytes | None]] = {
        n: (craft.PRESENT, bytes([97 + n]) * MIB) for n in range(5)
    }
    base.write_bytes(craft.image(5 * MIB, letters, sector=sector))
    bits = bytearray(MIB)
    for number in (0, 1, 5, 8 * 3 + 7, 255):
        at = MIB // sector + number  # of the second block
        bits[at // 8] |= 1 << at % 8
    mine: dict[int, tuple[int, bytes | None]] = {
        0: (craft.PRESENT, b"X" * MIB),
        1: (craft.PARTIAL, b"Y" * MIB),
    }
    found = craft.items(5 * MIB, sector=sector, flags=2, locator=craft.locator())
    headers = [craft.header(n, written=craft.STRANGE) for n in (1, 2)]
    top.write_bytes(
        craft.image(
            5 * MIB, mine, sector=sector, bitmaps={0: bytes(bits)}, found=found, headers=headers
        )
    )
    assert by_libvhdi(top, base) == by_us(top, base)
