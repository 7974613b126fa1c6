"""VMDKs that are not streamed: sparse ones in a file, and those of several files."""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from kensho_tui.disks.files import FileError
from kensho_tui.disks.formats import open_source
from kensho_tui.disks.image import Access, Format, ImageError, InputStream, Offer
from kensho_tui.disks.probe import probe
from kensho_tui.disks.vmdk_extents import ExtentsInput
from kensho_tui.disks.vmdk_sparse import SparseExtent
from tests.unit.disks.streams import (
    RAW_EXTENTS,
    VMDK_SPARSE,
    Memory,
    SparseDisk,
    convert,
    seen,
    visible,
    vmdk_sparse,
)

MIB = 1 << 20
CONTENT = [(0, b"boot"), (5 * MIB + 7, b"middle" * 30_000), (39 * MIB, b"far")]
CAPACITY = 40 * MIB


@pytest.fixture
def image() -> bytearray:
    return bytearray(vmdk_sparse(CAPACITY, CONTENT))


def table_at(image: bytes | bytearray, number: int = 0) -> int:
    """Offset of a grain table."""
    directory = struct.unpack_from("<Q", image, 56)[0] * 512
    return int(struct.unpack_from("<I", image, directory + 4 * number)[0]) * 512


def test_a_sparse_one_is_known_by_its_flags_and_read_in_any_order(image: bytearray) -> None:
    assert probe(Memory(image)) is Format.VMDK_SPARSE
    at = table_at(image)
    # Two grains change places: others allocate as a guest writes.
    one, other = (
        struct.unpack_from("<I", image, at)[0],
        struct.unpack_from("<I", image, at + 4 * 80)[0],
    )
    first, second = (bytes(image[s * 512 : s * 512 + 65536]) for s in (one, other))
    image[one * 512 : one * 512 + 65536], image[other * 512 : other * 512 + 65536] = second, first
    struct.pack_into("<I", image, at, other)
    struct.pack_into("<I", image, at + 4 * 80, one)
    assert seen(Memory(image), VMDK_SPARSE) == (CAPACITY, visible(CONTENT))


def test_both_sets_of_tables_are_the_same(image: bytearray) -> None:
    redundant, primary = struct.unpack_from("<QQ", image, 48)
    for number in range(2):
        one, other = (
            struct.unpack_from("<I", image, place * 512 + 4 * number)[0] * 512
            for place in (redundant, primary)
        )
        assert one != other
        assert image[one : one + 2048] == image[other : other + 2048]


def test_grains_marked_as_zeros_are_zeros(image: bytearray) -> None:
    struct.pack_into("<I", image, table_at(image), 1)
    assert seen(Memory(image), VMDK_SPARSE) == (CAPACITY, visible(CONTENT[1:]))


def entry(number: int, sector: int) -> Callable[[bytearray], None]:
    return lambda image: struct.pack_into("<I", image, table_at(image) + 4 * number, sector)


def over_another(image: bytearray) -> None:
    taken = struct.unpack_from("<I", image, table_at(image))[0]
    struct.pack_into("<I", image, table_at(image) + 4 * 3, taken)


def half_over_another(image: bytearray) -> None:
    taken = struct.unpack_from("<I", image, table_at(image))[0]
    struct.pack_into("<I", image, table_at(image) + 4 * 3, taken + 64)


def directory(value: int) -> Callable[[bytearray], None]:
    return lambda image: struct.pack_into("<Q", image, 56, value)


def kind(image: bytearray) -> None:
    at = image.index(b"monolithicSparse")
    image[at : at + 16] = b'monolithicFlat"\n'


def parent(image: bytearray) -> None:
    at = image.index(b"parentCID=ffffffff")
    image[at : at + 18] = b"parentCID=12345678"


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (entry(3, 1 << 30), "grain 3 lies outside the file"),
        (entry(3, 2), "grain 3 lies outside the file"),
        (over_another, "lies over another one"),
        (half_over_another, "lies over another one"),
        (directory(0), "grain directory lies outside"),
        (directory(1 << 40), "grain directory lies outside"),
        (kind, "says monolithicFlat, not monolithicSparse"),
        (parent, "difference to a parent"),
        (lambda image: struct.pack_into("<Q", image, 12, 1 << 40), "more than 64 TiB"),
        (lambda image: image.__delitem__(slice(512, None)), "descriptor"),
        (lambda image: struct.pack_into("<H", image, 77, 1), "unknown compression"),
    ],
    ids=[
        "behind",
        "before",
        "over",
        "half over",
        "no gd",
        "gd",
        "kind",
        "parent",
        "size",
        "cut",
        "algo",
    ],
)
def test_a_damaged_or_hostile_sparse_one_is_refused(
    image: bytearray, spoil: Callable[[bytearray], None], what: str
) -> None:
    spoil(image)
    with pytest.raises(ImageError, match=what):
        seen(Memory(image), VMDK_SPARSE)


def test_a_sparse_one_is_neither_read_nor_written_forward(image: bytearray) -> None:
    with pytest.raises(ImageError, match="from its first byte to its last"):
        open_source(Memory(image), Offer(Format.VMDK_SPARSE, Access.FORWARD))
    with pytest.raises(ImageError, match="its tables are written last"):
        convert(SparseDisk(MIB), RAW_EXTENTS, Offer(Format.VMDK_SPARSE, Access.FORWARD))
    with pytest.raises(ImageError, match="ends at 2 TiB"):
        convert(SparseDisk(3 << 40), RAW_EXTENTS, VMDK_SPARSE)


# ------------------------------------------------------------------------------ of several files
def descriptor(path: Path, *extents: str, kind: str = "monolithicFlat", more: str = "") -> Path:
    lines = ("# Disk DescriptorFile", "version=1", f'createType="{kind}"', more, *extents, "#DDB")
    path.write_text("\n".join(lines))
    return path


def shown(path: Path) -> tuple[int, list[tuple[int, bytes]]]:
    with ExtentsInput(path) as stream:
        found: InputStream = stream
        source = open_source(found, RAW_EXTENTS)
        parts = [part for piece in source.pieces() for part in piece.load()]
        return source.capacity, visible([(offset, bytes(data)) for offset, data in parts])


def test_extents_of_all_kinds_make_one_disk(tmp_path: Path) -> None:
    sparse = vmdk_sparse(3 * MIB, [(MIB, b"sparse")])
    (tmp_path / "one.vmdk").write_bytes(sparse)
    (tmp_path / "two.bin").write_bytes(b"before" + bytes(506) + b"flat" + bytes(MIB - 4))
    path = descriptor(
        tmp_path / "a.vmdk",
        f'RW {3 * MIB // 512} SPARSE "one.vmdk"',
        f"RW {MIB // 512} ZERO",
        f'RDONLY {MIB // 512} FLAT "two.bin" 1',
        kind="twoGbMaxExtentSparse",
    )
    assert shown(path) == (5 * MIB, [(MIB, b"sparse"), (4 * MIB, b"flat")])
    with ExtentsInput(path) as stream:
        before = stream.identity
        (tmp_path / "two.bin").write_bytes(b"changed" * MIB)
        with pytest.raises(FileError, match="changed"):
            stream.verify()
    with ExtentsInput(path) as stream:
        assert stream.identity != before


def test_a_part_of_an_extent_that_lies_over_two_windows_is_read(tmp_path: Path) -> None:
    sectors = 3 * MIB // 512 + 1  # as 2047 MiB would: no multiple of a window
    for name in ("a-1", "a-2"):
        (tmp_path / name).write_bytes(name.encode() * (sectors * 512 // 3 + 1))
    path = descriptor(
        tmp_path / "a.vmdk",
        *(f'RW {sectors} FLAT "{name}" 0' for name in ("a-1", "a-2")),
        kind="twoGbMaxExtentFlat",
    )
    capacity, parts = shown(path)
    assert capacity == 2 * sectors * 512
    size = sectors * 512
    assert parts == [(0, (b"a-1" * size)[:size] + (b"a-2" * size)[:size])]


@pytest.mark.parametrize(
    ("extent", "what"),
    [
        ('RW 8 FLAT "/etc/passwd" 0', "names a file elsewhere"),
        ('RW 8 FLAT "../a" 0', "names a file elsewhere"),
        ('RW 8 FLAT "sub/a" 0', "names a file elsewhere"),
        ('RW 8 FLAT "c:\\\\a" 0', "names a file elsewhere"),
        ('RW 8 FLAT ".." 0', "names a file elsewhere"),
        ('RW 8 FLAT "" 0', "names a file elsewhere"),
        ("RW 8 FLAT", "names a file elsewhere"),
        ('NOACCESS 8 FLAT "a" 0', "is not read"),
        ('RW 8 VMFSRDM "a"', "is not read"),
        ('RW 8 SESPARSE "a"', "is not read"),
        ("RW 999999999999 ZERO", "more than 64 TiB"),
        ("", "names 0 extents"),
    ],
)
def test_extents_that_lead_elsewhere_are_refused(tmp_path: Path, extent: str, what: str) -> None:
    (tmp_path / "a").write_bytes(bytes(4096))
    with pytest.raises(ImageError, match=what):
        ExtentsInput(descriptor(tmp_path / "a.vmdk", extent))


def test_a_link_beside_the_descriptor_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(4096))
    (tmp_path / "a").symlink_to(tmp_path / "secret")
    with pytest.raises(FileError, match="a symbolic link"):
        ExtentsInput(descriptor(tmp_path / "a.vmdk", 'RW 8 FLAT "a" 0'))


def test_extents_that_are_too_short_or_of_another_size_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(4096))
    with pytest.raises(FileError, match="ends at byte 4096"):
        ExtentsInput(descriptor(tmp_path / "a.vmdk", 'RW 9 FLAT "a" 0'))
    (tmp_path / "b").write_bytes(vmdk_sparse(MIB, []))
    with pytest.raises(ImageError, match="and the descriptor says"):
        ExtentsInput(
            descriptor(tmp_path / "a.vmdk", 'RW 8 SPARSE "b"', kind="twoGbMaxExtentSparse")
        )


@pytest.mark.parametrize("kind", ["streamOptimized", "custom", "fullDevice", ""])
def test_other_kinds_are_refused_by_name(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ImageError, match="is not read from several files"):
        ExtentsInput(descriptor(tmp_path / "a.vmdk", "RW 8 ZERO", kind=kind))


def test_a_parent_and_what_is_no_descriptor_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="difference to a parent"):
        ExtentsInput(
            descriptor(tmp_path / "a.vmdk", "RW 8 ZERO", more='parentFileNameHint="/etc/passwd"')
        )
    (tmp_path / "b").write_bytes(b"KDMV" + bytes(508))
    with pytest.raises(ImageError, match="no VMDK descriptor"):
        ExtentsInput(tmp_path / "b")


def test_an_extent_without_a_descriptor_is_no_disk_by_itself(image: bytearray) -> None:
    struct.pack_into("<QQ", image, 28, 0, 0)
    assert SparseExtent(Memory(image), embedded=False).length == CAPACITY
    with pytest.raises(ImageError, match="no descriptor inside"):
        SparseExtent(Memory(image))
