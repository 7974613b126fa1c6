"""QCOW2s that hold only the difference to another file, which is given and never looked for."""

import pytest

from kensho_tui.disks.formats import open_source
from kensho_tui.disks.image import Image, ImageError, Offer
from tests.unit.disks.craft_qcow2 import COPIED, Packed, Sub, deflated, extension, image
from tests.unit.disks.streams import (
    QCOW2_SEEK,
    RAW_EXTENTS,
    VHD_SEEK,
    VMDK_SEEK,
    Extents,
    Memory,
    SparseDisk,
    qcow2,
    vhd,
    visible,
    vmdk,
)

MIB = 1 << 20
CLUSTER = 1 << 16
CAPACITY = 5 * MIB
BELOW = [(n * CLUSTER, bytes([n + 1]) * CLUSTER) for n in (0, 1, 2, 3, 33, 70)]


def backed(
    clusters: list[tuple[int, bytes | Packed | Sub]],
    *,
    said: bytes = b"",
    capacity: int = CAPACITY,
    entries: dict[int, int] | None = None,
    extended: bool = False,
    version: int = 3,
) -> Memory:
    """A QCOW2 whose backing file is called "base"."""
    extensions = extension(0xE2792ACA, said) if said else b""
    found = image(
        capacity,
        clusters,
        backing=(1024, 4),
        extensions=extensions,
        entries=entries,
        extended=extended,
        version=version,
    )
    found[1024:1028] = b"base"
    return Memory(found)


def joined(child: Memory, *parents: Image) -> tuple[int, list[tuple[int, bytes]]]:
    """What is seen of the child with its parents; and that its map tells of all of it."""
    source = open_source(child, QCOW2_SEEK, parents=parents)
    parts = [part for piece in source.pieces() for part in piece.load()]
    told = source.allocated
    assert told is not None
    assert all(list(told.within(o, len(d))) == [(o, len(d))] for o, d in parts)
    return source.capacity, visible([(offset, bytes(data)) for offset, data in parts])


def content(**changes: bytes) -> Extents:
    """The parent's clusters, some of them others: ``c1=b"x"`` is cluster 1 full of x."""
    now = dict(BELOW) | {int(k[1:]) * CLUSTER: v * CLUSTER for k, v in changes.items()}
    return visible(sorted(now.items()))


PARENTS = {
    "qcow2": Image(Memory(qcow2(CAPACITY, BELOW)), QCOW2_SEEK),
    "vmdk": Image(Memory(vmdk(CAPACITY, BELOW)), VMDK_SEEK),
    "vhd": Image(Memory(vhd(CAPACITY, BELOW)), VHD_SEEK),
    "raw": Image(SparseDisk(CAPACITY, BELOW), RAW_EXTENTS),
}


@pytest.mark.parametrize("form", PARENTS)
def test_clusters_and_zeros_lie_over_a_parent_of_any_format(form: str) -> None:
    child = backed(
        [(1, b"x" * CLUSTER), (5, deflated(b"y" * CLUSTER)), (40, b"z" * CLUSTER)],
        entries={2: 1, 33: COPIED | 1 | 4 * CLUSTER},
    )
    wanted = content(c1=b"x", c2=b"\0", c5=b"y", c33=b"\0", c40=b"z")
    assert joined(child, PARENTS[form]) == (CAPACITY, wanted)


def test_parts_of_a_cluster_lie_over_the_parent() -> None:
    own = bytes([9]) * CLUSTER
    child = backed([(0, Sub(own, 0b1010 << 32 | 0b0101)), (3, Sub(own, 2 << 32))], extended=True)
    first = own[:2048] + bytes(2048) + own[:2048] + bytes(2048) + bytes([1]) * (CLUSTER - 8192)
    third = bytes([4]) * 2048 + bytes(2048) + bytes([4]) * (CLUSTER - 4096)
    wanted = visible(sorted((dict(BELOW) | {0: first, 3 * CLUSTER: third}).items()))
    assert joined(child, PARENTS["qcow2"]) == (CAPACITY, wanted)


def test_a_chain_of_three() -> None:
    middle = backed([(0, b"m" * CLUSTER), (1, b"m" * CLUSTER)], said=b"qcow2", version=2)
    child = backed([(1, b"c" * CLUSTER)], said=b"qcow2")
    found = joined(child, Image(middle, QCOW2_SEEK), PARENTS["qcow2"])
    assert found == (CAPACITY, content(c0=b"m", c1=b"c"))


@pytest.mark.parametrize("capacity", [CLUSTER, MIB + 512, 9 * MIB])
def test_the_parent_may_be_smaller_or_larger(capacity: int) -> None:
    child = backed([(0, b"c" * CLUSTER)], capacity=capacity)
    wanted = [(o, d[: max(0, capacity - o)]) for o, d in content(c0=b"c")]
    assert joined(child, PARENTS["qcow2"]) == (capacity, visible([w for w in wanted if w[1]]))


def test_a_raw_parent_is_raw_whatever_its_guest_wrote() -> None:
    """A guest can write a QCOW2's header into its own disk, one that names any file of the host."""
    evil = qcow2(MIB, [(0, b"data")])
    disk = SparseDisk(CAPACITY, [(0, evil)])
    child = backed([(9, b"c" * CLUSTER)], said=b"raw")
    for way in (QCOW2_SEEK, RAW_EXTENTS):  # as it looks like, and as somebody knows it
        assert joined(child, Image(disk, way)) == (
            CAPACITY,
            visible([(0, evil), (9 * CLUSTER, b"c" * CLUSTER)]),
        )


def test_where_the_parent_cannot_tell_nor_can_the_child() -> None:
    unknown = SparseDisk(CAPACITY, BELOW, mapped=False)
    source = open_source(
        backed([(1, b"x" * CLUSTER)]), QCOW2_SEEK, parents=[Image(unknown, RAW_EXTENTS)]
    )
    assert source.allocated is None
    parts = [(o, bytes(d)) for piece in source.pieces() for o, d in piece.load()]
    assert visible(parts) == content(c1=b"x")


def refused(child: Memory, *parents: Image, offer: Offer = QCOW2_SEEK) -> ImageError:
    with pytest.raises(ImageError) as caught:
        open_source(child, offer, parents=parents)
    assert caught.value.remedy
    return caught.value


def test_parents_that_are_not_wanted_or_wrong_are_refused() -> None:
    parent = PARENTS["qcow2"]
    assert "'base'" in refused(backed([])).what
    assert "has no backing file" in refused(Memory(image(MIB)), parent).what
    assert "has no backing file" in refused(backed([]), parent, parent).what
    said = refused(backed([], said=b"qcow2"), PARENTS["vmdk"])
    assert said.what == "the QCOW2's backing file is a QCOW2 too, and what is given is vmdk"
    assert "raw disk is not read together" in refused(backed([], said=b"raw"), parent, parent).what


def test_extensions_end_where_the_name_of_the_backing_file_begins() -> None:
    """Old files of version 2 have the name at once behind the header."""
    found = image(CAPACITY, version=2, backing=(72, 8))
    found[72:80] = b"\x12\x34\x56\x78\xff\xff\xff\xff"
    assert joined(Memory(found), PARENTS["qcow2"]) == (CAPACITY, content())
