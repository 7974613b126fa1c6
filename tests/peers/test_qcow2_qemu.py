"""QCOW2 beside qemu-img and libqcow, readers and writers that are not ours."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from kensho_tui.disks.compare import capacity_of, first_difference
from kensho_tui.disks.copy import transfer
from kensho_tui.disks.files import FileInput, FileOutput
from kensho_tui.disks.image import Access, Buffer, ExtentMap, Format, Image, ImageError, Need, Offer
from tests.peers.test_disks_qemu import RAW, SIZES, VMDK, VMDK_FORWARD, convert, disk, qemu, same
from tests.unit.disks.streams import SparseDisk

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(
        shutil.which("qemu-img") is None or shutil.which("qemu-io") is None,
        reason="qemu-img or qemu-io is missing: apt-get install qemu-utils",
    ),
]

MIB = 1 << 20
TIB = 1 << 40
QCOW2 = Offer(Format.QCOW2, Access.SEEK)
PLANNED = frozenset({Need.LENGTH, Need.ALLOCATION})
WAYS = {
    "forward": Offer(Format.QCOW2, Access.FORWARD, PLANNED),
    "planned": Offer(Format.QCOW2, Access.SEEK, PLANNED),
    "seek": QCOW2,
    "compressed": Offer(Format.QCOW2, Access.SEEK, compressed=True),
}
EACH_WAY = pytest.mark.parametrize("way", WAYS)


def io(image: Path, *commands: str) -> None:
    """What a guest does, by qemu-io."""
    words = [word for command in commands for word in ("-c", command)]
    done = subprocess.run(
        ["qemu-io", "-f", "qcow2", *words, str(image)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr + done.stdout


def is_clean(image: Path) -> bool:
    """Whether every reference count is right, and no cluster leaks."""
    return "No errors were found" in qemu("check", "-f", "qcow2", image)


def identical(raw: Path, image: Path) -> bool:
    return "identical" in qemu("compare", "-f", "raw", "-F", "qcow2", raw, image)


@EACH_WAY
@pytest.mark.parametrize("size", SIZES)
def test_what_we_write_qemu_reads_as_the_same_disk(tmp_path: Path, size: int, way: str) -> None:
    raw, ours = disk(tmp_path / "a.raw", size), tmp_path / "ours.qcow2"
    convert(raw, RAW, ours, WAYS[way])
    assert identical(raw, ours)
    assert is_clean(ours)
    told = json.loads(qemu("info", "--output=json", "-f", "qcow2", ours))
    assert told["virtual-size"] == size
    assert told["format-specific"]["data"]["compat"] == "1.1"
    assert same(raw, RAW, ours, QCOW2)


@EACH_WAY
def test_a_guest_can_go_on_writing_into_what_we_wrote(tmp_path: Path, way: str) -> None:
    raw, ours = disk(tmp_path / "a.raw", 128 * MIB), tmp_path / "ours.qcow2"
    convert(raw, RAW, ours, WAYS[way])
    writes = ["write -P 7 1000 5000", "write -P 8 60M 3M", "write -P 9 127M 1M", "discard 48M 1M"]
    qemu("snapshot", "-c", "before", ours)
    io(ours, *writes)
    assert is_clean(ours)
    qemu("snapshot", "-a", "before", ours)
    assert identical(raw, ours)
    assert is_clean(ours)


@EACH_WAY
@pytest.mark.parametrize("size", [0, 512, 64 * TIB])
def test_an_empty_disk_of_any_size(tmp_path: Path, size: int, way: str) -> None:
    ours = tmp_path / "ours.qcow2"
    transfer(
        SparseDisk(size, [(size - 512, b"end")] if size else []),
        RAW,
        targets=[WAYS[way]],
        open_writer=lambda *_: FileOutput(ours),
    )
    assert is_clean(ours)
    assert json.loads(qemu("info", "--output=json", "-f", "qcow2", ours))["virtual-size"] == size
    assert ours.stat().st_size < 4 * MIB


class Sparse(FileOutput):
    """Writes of each 64 KiB only what is not zero at the start, so that large files stay small."""

    def write(self, data: Buffer, /) -> None:
        self.at = getattr(self, "at", 0)
        self.pwrite(self.at, data)
        self.at += len(data)

    def pwrite(self, offset: int, data: Buffer, /) -> None:
        view = memoryview(data)
        for at in range(0, len(view), 65536):
            chunk = bytes(view[at : at + 65536]).rstrip(b"\0")
            if chunk:
                super().pwrite(offset + at, chunk)


class Marks(SparseDisk):
    """Every cluster begins with its number."""

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity)
        self.allocated = ExtentMap([(0, capacity)])

    def pread(self, offset: int, buffer: bytearray | memoryview, /) -> int:
        view = memoryview(buffer)
        view[:] = bytes(len(view))
        for at in range(0, len(view), 65536):
            view[at : at + 8] = (offset + at + 1).to_bytes(8, "big")
        return len(view)


@pytest.mark.parametrize("way", ["forward", "seek"])
def test_reference_counts_of_a_file_beyond_2_gib_are_right(tmp_path: Path, way: str) -> None:
    """One block of counts ends there, and there are several L2 tables."""
    size, ours = (2 << 30) + 300 * MIB, tmp_path / "ours.qcow2"
    transfer(Marks(size), RAW, targets=[WAYS[way]], open_writer=lambda *_: Sparse(ours, size=size))
    assert is_clean(ours)
    io(ours, f"read -P 0 {size - 65536 + 8} 65528", "write -P 3 1G 64M")
    assert is_clean(ours)


OPTIONS = [
    ["-o", "compat=0.10"],
    ["-o", "compat=1.1,lazy_refcounts=on,refcount_bits=1"],
    ["-o", "cluster_size=512"],
    ["-o", "cluster_size=4k"],
    ["-o", "cluster_size=2M"],
    ["-o", "extended_l2=on"],
    ["-o", "extended_l2=on,cluster_size=16k"],
    ["-o", "preallocation=metadata"],
    ["-o", "preallocation=falloc"],
    ["-c"],
    ["-c", "-o", "compat=0.10,cluster_size=4k"],
    ["-c", "-o", "cluster_size=2M"],
    ["-c", "-o", "compression_type=zstd"],
    ["-c", "-o", "compression_type=zstd,cluster_size=512"],
    ["-c", "-o", "compression_type=zstd,cluster_size=2M,extended_l2=on"],
]


@pytest.mark.parametrize("options", OPTIONS, ids=" ".join)
@pytest.mark.parametrize("size", [3 * MIB + 512, 128 * MIB])
def test_a_qcow2_of_qemu_is_read(tmp_path: Path, size: int, options: list[str]) -> None:
    raw, theirs = disk(tmp_path / "a.raw", size), tmp_path / "theirs.qcow2"
    qemu("convert", "-f", "raw", "-O", "qcow2", *options, raw, theirs)
    assert same(raw, RAW, theirs, QCOW2)
    for way in ("forward", "compressed"):
        convert(theirs, QCOW2, tmp_path / way, WAYS[way])
        assert identical(raw, tmp_path / way)
    done = convert(theirs, QCOW2, tmp_path / "ours.vmdk", VMDK_FORWARD)
    assert done.capacity == size
    assert same(raw, RAW, tmp_path / "ours.vmdk", VMDK)


@pytest.mark.parametrize(
    "options", ["compat=0.10", "compat=1.1", "extended_l2=on", "cluster_size=4k"]
)
def test_what_a_guest_did_to_an_image_is_read(tmp_path: Path, options: str) -> None:
    image, raw = tmp_path / "a.qcow2", tmp_path / "a.raw"
    qemu("create", "-f", "qcow2", "-o", options, image, "64M")
    io(image, "write -P 1 0 8M", "write -P 2 63M 1M", "write -P 3 20M 5000", "write -c -P 4 30M 1M")
    qemu("snapshot", "-c", "one", image)
    io(image, "write -z 1M 1M", "write -z -u 3M 65536", "write -z 40M 3M", "write -P 5 500 5000")
    io(image, "discard 5M 1M", "write -P 6 21M 10000", "write -P 7 30M 700", "write -z 7M 2000")
    qemu("snapshot", "-c", "two", image)
    io(image, "write -P 8 50M 200000")
    qemu("convert", "-f", "qcow2", "-O", "raw", image, raw)
    assert same(raw, RAW, image, QCOW2)
    qemu("snapshot", "-a", "one", image)
    qemu("convert", "-f", "qcow2", "-O", "raw", image, raw)
    assert same(raw, RAW, image, QCOW2)


def test_no_cut_through_the_clusters_of_qemu_goes_unnoticed(tmp_path: Path) -> None:
    raw, theirs = disk(tmp_path / "a.raw", 40 * MIB), tmp_path / "theirs.qcow2"
    for options in ([], ["-c"]):
        qemu("convert", "-f", "raw", "-O", "qcow2", *options, raw, theirs)
        whole = theirs.read_bytes()
        cut = tmp_path / "cut.qcow2"
        end = len(whole) - 65536  # in the last cluster there may be nothing of the guest's
        for length in [*range(0, end, 250_007), end]:
            cut.write_bytes(whole[:length])
            with pytest.raises(ImageError):
                convert(cut, QCOW2, tmp_path / "out.raw", RAW)
            assert not (tmp_path / "out.raw").exists()


def test_what_names_other_files_or_is_encrypted_is_refused(tmp_path: Path) -> None:
    base, image = disk(tmp_path / "base.raw", 3 * MIB), tmp_path / "a.qcow2"
    secret = ["--object", "secret,id=s,data=x"]
    luks = "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10"
    cases: list[tuple[list[object], str]] = [
        (["-b", base, "-F", "raw", image], f"the difference to another file, '{str(base)[:40]}"),
        (["-o", f"data_file={tmp_path}/data", image, "3M"], "data is in another file, '/"),
        ([*secret, "-o", luks, image, "3M"], "encrypted"),
    ]
    for words, sentence in cases:
        qemu("create", "-f", "qcow2", *words)
        with pytest.raises(ImageError, match=sentence):
            convert(image, QCOW2, tmp_path / "out.raw", RAW)


@pytest.mark.parametrize("bottom", ["raw", "qcow2", "vmdk"])
@pytest.mark.parametrize("options", ["compat=0.10", "compat=1.1", "extended_l2=on"])
def test_a_chain_is_seen_as_qemu_sees_it(tmp_path: Path, bottom: str, options: str) -> None:
    raw, base, wanted = disk(tmp_path / "a.raw", 128 * MIB), tmp_path / "base", tmp_path / "w.raw"
    stream = ["-o", "subformat=streamOptimized"] if bottom == "vmdk" else []
    qemu("convert", "-f", "raw", "-O", bottom, *stream, raw, base)
    middle, top = tmp_path / "middle.qcow2", tmp_path / "top.qcow2"
    qemu("create", "-f", "qcow2", "-o", options, "-b", base, "-F", bottom, middle)
    io(middle, "write -P 1 500 700", "write -P 2 32M 3M", "write -z 48M 65536", "write -P 3 90M 1M")
    qemu("create", "-f", "qcow2", "-o", options, "-b", middle, "-F", "qcow2", top, "160M")
    io(
        top,
        "write -P 4 33M 5000",
        "write -z 0 512",
        "write -c -P 5 49M 65536",
        "write -P 6 150M 1M",
    )
    io(top, "write -z -u 2M 1M", "discard 90M 65536")
    qemu("convert", "-f", "qcow2", "-O", "raw", top, wanted)
    with FileInput(top) as a, FileInput(middle) as b, FileInput(base) as c, FileInput(wanted) as d:
        form = {"raw": RAW, "qcow2": QCOW2, "vmdk": VMDK}[bottom]
        chain = Image(a, QCOW2, (Image(b, QCOW2), Image(c, form)))
        assert first_difference(chain, Image(d, RAW)) is None
        assert capacity_of(chain) == 160 * MIB


def by_libqcow(image: Path) -> bytes:
    """The disk, as libqcow reads it."""
    pyqcow = pytest.importorskip("pyqcow", reason="libqcow is missing: pip install libqcow-python")
    file = pyqcow.file()
    file.open(str(image))
    try:
        size = file.get_media_size()
        return b"".join(
            file.read_buffer_at_offset(min(MIB, size - at), at) for at in range(0, size, MIB)
        )
    finally:
        file.close()


@pytest.mark.parametrize("size", [65536, 3 * MIB + 512, 127 * MIB + 512 * 3])
@EACH_WAY
def test_libqcow_reads_what_we_write(tmp_path: Path, size: int, way: str) -> None:
    raw, ours = disk(tmp_path / "a.raw", size), tmp_path / "ours.qcow2"
    convert(raw, RAW, ours, WAYS[way])
    assert by_libqcow(ours) == raw.read_bytes()


# Of version 3 libqcow takes compressed clusters at odd places for zeros.
@pytest.mark.parametrize("options", [[], ["-o", "cluster_size=4k"], ["-c", "-o", "compat=0.10"]])
def test_libqcow_and_we_read_the_same_of_qemu(tmp_path: Path, options: list[str]) -> None:
    raw, theirs = disk(tmp_path / "a.raw", 100 * MIB + 512), tmp_path / "theirs.qcow2"
    qemu("convert", "-f", "raw", "-O", "qcow2", *options, raw, theirs)
    convert(theirs, QCOW2, tmp_path / "ours.raw", RAW)
    assert by_libqcow(theirs) == (tmp_path / "ours.raw").read_bytes()
