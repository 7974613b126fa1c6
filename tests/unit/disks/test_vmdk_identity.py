"""What a VMDK's descriptor says of the disk's controller, geometry and identity."""

import re

import pytest

from kensho_tui.disks.copy import transfer
from kensho_tui.disks.image import ExtentMap, Offer
from tests.unit.disks.streams import RAW_EXTENTS, VMDK_FORWARD, VMDK_SPARSE, Kept, SparseDisk

GIB = 1 << 30


def fields(target: Offer, capacity: int, adapter: str) -> dict[str, str]:
    """The descriptor's fields of a VMDK that was written for the controller."""
    kept: list[Kept] = []

    def open_writer(offer: Offer, length: int | None, allocation: ExtentMap | None) -> Kept:
        kept.append(Kept(offer, length))
        return kept[0]

    transfer(
        SparseDisk(capacity),
        RAW_EXTENTS,
        targets=[target],
        open_writer=open_writer,
        adapter=adapter,
    )
    text = kept[0].bytes[512 : 512 + 20 * 512].split(b"\0", 1)[0].decode()
    return dict(re.findall(r'^([\w.]+) ?= ?"?([^"\n]*)"?$', text, re.M))


@pytest.mark.parametrize("target", [VMDK_FORWARD, VMDK_SPARSE], ids=["stream", "sparse"])
@pytest.mark.parametrize(
    ("adapter", "capacity", "geometry"),
    [
        ("lsilogic", GIB // 2, (512, 64, 32)),
        ("lsilogic", GIB, (512, 128, 32)),
        ("buslogic", 4 * GIB, (522, 255, 63)),
        ("ide", 4 * GIB, (8322, 16, 63)),
        ("ide", 100 * GIB, (16383, 16, 63)),
    ],
)
def test_the_geometry_goes_with_the_controller(
    target: Offer, adapter: str, capacity: int, geometry: tuple[int, int, int]
) -> None:
    found = fields(target, capacity, adapter)
    assert found["ddb.adapterType"] == adapter
    names = ("cylinders", "heads", "sectors")
    assert tuple(int(found[f"ddb.geometry.{name}"]) for name in names) == geometry


def test_no_two_disks_have_one_identity_and_the_long_one_ends_with_the_short_one() -> None:
    one, other = (fields(VMDK_FORWARD, GIB, "lsilogic") for _ in range(2))
    assert one["CID"] != other["CID"]
    assert one["ddb.longContentID"] != other["ddb.longContentID"]
    assert re.fullmatch(r"[0-9a-f]{32}", one["ddb.longContentID"])
    assert one["ddb.longContentID"].endswith(one["CID"])
