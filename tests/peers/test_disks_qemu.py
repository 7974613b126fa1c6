"""Disks beside qemu-img, a reader and writer that is not ours: each understands the other's files."""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from kensho_tui.disks.compare import first_difference
from kensho_tui.disks.copy import Transferred, transfer
from kensho_tui.disks.digest import DigestTap
from kensho_tui.disks.files import FileInput, FileOutput
from kensho_tui.disks.formats import open_source
from kensho_tui.disks.image import Access, ExtentMap, Format, Image, ImageError, Need, Offer
from kensho_tui.disks.vmdk_extents import ExtentsInput

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(
        shutil.which("qemu-img") is None, reason="qemu-img is missing: apt-get install qemu-utils"
    ),
]

MIB = 1 << 20
NOISE = hashlib.shake_128(b"noise").digest(3 * MIB)
# Data at the start, over a grain table's border, of an odd size, deflatable, and in the last sector.
CONTENT = [
    (0, b"\xeb\x63\x90" + NOISE[:509]),
    (1 * MIB + 3, NOISE),
    (32 * MIB - 700, NOISE[:1401]),
    (48 * MIB, b"deflates well " * 300_000),
    (100 * MIB, bytes(MIB)),
]
SIZES = [512, 65536, 3 * MIB + 512, 128 * MIB, 127 * MIB + 512 * 3, 8 << 30]

VMDK = Offer(Format.VMDK_STREAM, Access.SEEK)
VMDK_FORWARD = Offer(Format.VMDK_STREAM, Access.FORWARD)
VHD = Offer(Format.VHD, Access.SEEK)
VHD_PLANNED = Offer(Format.VHD, Access.FORWARD, frozenset({Need.LENGTH, Need.ALLOCATION}))
VHDX = Offer(Format.VHDX, Access.SEEK)
VHDX_PLANNED = Offer(Format.VHDX, Access.FORWARD, VHD_PLANNED.needs)
VHDX_FIXED = Offer(Format.VHDX_FIXED, Access.EXTENTS)
RAW = Offer(Format.RAW, Access.EXTENTS)
SPARSE = Offer(Format.VMDK_SPARSE, Access.SEEK)
FIXED = Offer(Format.VHD_FIXED, Access.EXTENTS)
QEMU = {
    Format.VMDK_STREAM: "vmdk",
    Format.VMDK_SPARSE: "vmdk",
    Format.VHD: "vpc",
    Format.VHD_FIXED: "vpc",
    Format.VHDX: "vhdx",
    Format.VHDX_FIXED: "vhdx",
    Format.RAW: "raw",
}
WRITTEN = {
    "vmdk": VMDK_FORWARD,
    "vmdk-sparse": SPARSE,
    "vhd": VHD_PLANNED,
    "vhd-seek": VHD,
    "vhd-fixed": FIXED,
    "vhdx": VHDX_PLANNED,
    "vhdx-seek": VHDX,
    "vhdx-fixed": VHDX_FIXED,
}


def qemu(*words: object) -> str:
    """One call of qemu-img; its standard output."""
    done = subprocess.run(
        ["qemu-img", *(str(word) for word in words)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def disk(path: Path, size: int) -> Path:
    """A sparse raw disk with the content that fits, and a mark in its last bytes."""
    with path.open("wb") as file:
        file.truncate(size)
        for offset, data in CONTENT:
            if offset + len(data) <= size:
                file.seek(offset)
                file.write(data)
        file.seek(size - 3)
        file.write(b"end")
    return path


def convert(source: Path, offer: Offer, target: Path, to: Offer) -> Transferred:
    """One transfer between files, whose length is checked where it was promised."""
    promised: list[int | None] = []

    def open_writer(offer: Offer, length: int | None, _: ExtentMap | None) -> FileOutput:
        promised.append(length)
        return FileOutput(target, size=length if offer.access is Access.EXTENTS else None)

    done = transfer(FileInput(source), offer, targets=[to], open_writer=open_writer, threads=2)
    if promised[0] is not None:
        assert target.stat().st_size == promised[0]
    return done


def same(one: Path, one_offer: Offer, other: Path, other_offer: Offer) -> bool:
    with FileInput(one) as a, FileInput(other) as b:
        return first_difference(Image(a, one_offer), Image(b, other_offer)) is None


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("to", WRITTEN.values(), ids=WRITTEN)
def test_what_we_write_qemu_reads_as_the_same_disk(tmp_path: Path, size: int, to: Offer) -> None:
    raw, ours = disk(tmp_path / "a.raw", size), tmp_path / "ours"
    convert(raw, RAW, ours, to)
    name = QEMU[to.format]
    assert "identical" in qemu("compare", "-f", "raw", "-F", name, raw, ours)
    assert json.loads(qemu("info", "--output=json", "-f", name, ours))["virtual-size"] == size
    if name in ("vmdk", "vhdx"):
        assert "No errors were found" in qemu("check", "-f", name, ours)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "kind", ["monolithicSparse", "monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat"]
)
def test_the_other_kinds_of_vmdk_of_qemu_are_read(tmp_path: Path, size: int, kind: str) -> None:
    raw, theirs = disk(tmp_path / "a.raw", size), tmp_path / "theirs.vmdk"
    qemu("convert", "-f", "raw", "-O", "vmdk", "-o", f"subformat={kind}", raw, theirs)
    stream = FileInput(theirs) if kind == "monolithicSparse" else ExtentsInput(theirs)
    offer = SPARSE if kind == "monolithicSparse" else RAW
    with stream, FileInput(raw) as origin:
        assert open_source(stream, offer).capacity == size
        assert first_difference(Image(stream, offer), Image(origin, RAW)) is None


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("offer", [VMDK, VMDK_FORWARD], ids=["seek", "forward"])
def test_a_stream_optimized_vmdk_of_qemu_becomes_raw_and_vhd(
    tmp_path: Path, size: int, offer: Offer
) -> None:
    raw, theirs = disk(tmp_path / "a.raw", size), tmp_path / "theirs.vmdk"
    qemu("convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized", raw, theirs)
    done = convert(theirs, offer, tmp_path / "ours.raw", RAW)
    assert done.capacity == size
    assert "identical" in qemu("compare", "-f", "raw", "-F", "raw", raw, tmp_path / "ours.raw")
    convert(theirs, offer, tmp_path / "ours.vhd", VHD_PLANNED)
    assert "identical" in qemu("compare", "-f", "raw", "-F", "vpc", raw, tmp_path / "ours.vhd")


def test_the_map_of_a_vmdk_of_qemu_is_known_forward_too(tmp_path: Path) -> None:
    raw, theirs = disk(tmp_path / "a.raw", 128 * MIB), tmp_path / "theirs.vmdk"
    qemu("convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized", raw, theirs)
    with FileInput(theirs) as one, FileInput(theirs) as other:
        forward, seek = open_source(one, VMDK_FORWARD), open_source(other, VMDK)
        assert forward.allocated == seek.allocated
        assert seek.allocated is not None
        assert 3 * MIB < seek.allocated.total < 9 * MIB


@pytest.mark.parametrize(
    "options", ["force_size=on", "force_size=off", "subformat=fixed,force_size=on"]
)
@pytest.mark.parametrize("size", [3 * MIB + 512, 127 * MIB + 512 * 3])
def test_a_vhd_of_qemu_is_read(tmp_path: Path, size: int, options: str) -> None:
    raw, theirs = disk(tmp_path / "a.raw", size), tmp_path / "theirs.vhd"
    qemu("convert", "-f", "raw", "-O", "vpc", "-o", options, raw, theirs)
    assert same(raw, RAW, theirs, VHD)
    with FileInput(theirs) as stream:
        capacity = open_source(stream, VHD).capacity
    # Without force_size qemu rounds the disk up to a geometry.
    assert (capacity == size) == ("force_size=on" in options)
    done = convert(theirs, VHD, tmp_path / "ours.vmdk", VMDK_FORWARD)
    assert done.capacity == capacity
    assert same(raw, RAW, tmp_path / "ours.vmdk", VMDK)


def test_a_dynamic_vhd_of_qemu_is_read_forward(tmp_path: Path) -> None:
    raw, theirs = disk(tmp_path / "a.raw", 128 * MIB), tmp_path / "theirs.vhd"
    qemu("convert", "-f", "raw", "-O", "vpc", "-o", "force_size=on", raw, theirs)
    forward = Offer(Format.VHD, Access.FORWARD)
    convert(theirs, forward, tmp_path / "ours.vhd", VHD_PLANNED)
    assert "identical" in qemu("compare", "-f", "raw", "-F", "vpc", raw, tmp_path / "ours.vhd")


def test_a_vmdk_becomes_a_vhd_while_its_digest_is_taken(tmp_path: Path) -> None:
    raw, theirs = disk(tmp_path / "a.raw", 128 * MIB), tmp_path / "theirs.vmdk"
    qemu("convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized", raw, theirs)
    tap = DigestTap(FileInput(theirs), ["sha256"])
    found: list[str] = []

    def verify() -> None:
        tap.complete()
        found.append(tap.hexdigest("sha256"))

    transfer(
        tap,
        VMDK,
        targets=[VHD_PLANNED],
        open_writer=lambda *_: FileOutput(tmp_path / "ours.vhd"),
        verify=verify,
    )
    assert found == [hashlib.sha256(theirs.read_bytes()).hexdigest()]
    assert "identical" in qemu("compare", "-f", "raw", "-F", "vpc", raw, tmp_path / "ours.vhd")


@pytest.mark.parametrize("offer", [VMDK, VMDK_FORWARD], ids=["seek", "forward"])
def test_no_cut_through_the_grains_of_a_vmdk_of_qemu_goes_unnoticed(
    tmp_path: Path, offer: Offer
) -> None:
    raw, theirs = disk(tmp_path / "a.raw", 40 * MIB), tmp_path / "theirs.vmdk"
    qemu("convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized", raw, theirs)
    whole = theirs.read_bytes()
    content = len(whole.rstrip(b"\0"))  # behind it there is only padding
    cut = tmp_path / "cut.vmdk"
    for length in [*range(0, content, 250_007), content - 1, content // 512 * 512]:
        cut.write_bytes(whole[:length])
        with pytest.raises(ImageError):
            convert(cut, offer, tmp_path / "out.raw", RAW)
        assert not (tmp_path / "out.raw").exists()
        assert not (tmp_path / "out.raw.partial").exists()


@pytest.mark.parametrize("kind", ["monolithicSparse", "monolithicFlat", "twoGbMaxExtentSparse"])
def test_other_vmdks_of_qemu_are_refused_with_a_sentence(tmp_path: Path, kind: str) -> None:
    raw, theirs = disk(tmp_path / "a.raw", 3 * MIB), tmp_path / "theirs.vmdk"
    qemu("convert", "-f", "raw", "-O", "vmdk", "-o", f"subformat={kind}", raw, theirs)
    with pytest.raises(ImageError, match=r"not streamOptimized|points at other files") as caught:
        convert(theirs, VMDK, tmp_path / "out.raw", RAW)
    assert "streamOptimized" in caught.value.remedy
