"""Whatever bytes a reader is given, it answers with a disk or with an `ImageError`."""

import random
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kensho_tui.disks.image import Access, Format, ImageError, Offer
from tests.unit.disks import craft, craft_qcow2, craft_vhdx
from tests.unit.disks.streams import (
    Memory,
    qcow2,
    qcow2_compressed,
    seen,
    vhd,
    vhdx,
    vmdk,
    vmdk_sparse,
)

CONTENT = [(0, b"start"), (70_000, b"x" * 70_000), (3 << 20, b"end")]
IMAGES = {
    "vmdk": vmdk(4 << 20, CONTENT),
    "tables first": craft.tables_first(4096, [(0, craft.grain(b"a")), (256, craft.grain(b"b"))]),
    "vhd": vhd(4 << 20, CONTENT),
    "vhdx": vhdx(4 << 20, CONTENT),
    "vhdx logged": bytes(
        craft_vhdx.image(
            4 << 20,
            {0: (craft_vhdx.PRESENT, b"block")},
            headers=[craft_vhdx.header(2, log=craft_vhdx.LOG_GUID)] * 2,
            log=craft_vhdx.ring(
                (
                    0,
                    craft_vhdx.entry(
                        7, [(3 << 20, b"\x06\0\x40\0" + bytes(4092)), (5 << 20, 4096)]
                    ),
                )
            ),
        )
    ),
    "vmdk-sparse": vmdk_sparse(4 << 20, CONTENT),
    "qcow2": qcow2(4 << 20, CONTENT),
    "qcow2 compressed": qcow2_compressed(4 << 20, CONTENT),
    "qcow2 zstd": bytes(
        craft_qcow2.image(
            4 << 20,
            [(0, craft_qcow2.zstandard(b"a" * 16384)), (70, b"b")],
            bits=14,
            incompatible=8,
            compression=1,
        )
    ),
    "qcow2 parts": bytes(
        craft_qcow2.image(
            4 << 20, [(0, craft_qcow2.Sub(b"a" * 16384, 0x0F0F0F0F))], bits=14, extended=True
        )
    ),
}
FORMATS = {"vmdk": Format.VMDK_STREAM, "tables": Format.VMDK_STREAM}
CASES = [
    (name, Offer(FORMATS.get(word) or Format(word), access))
    for name, word in ((name, name.split()[0]) for name in IMAGES)
    for access in (Access.SEEK, Access.FORWARD)
]


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(CASES),
    st.integers(0, 1 << 32),
    st.integers(1, 12),
    st.none() | st.floats(0, 1),
)
def test_damage_in_several_places_and_cuts(
    case: tuple[str, Offer], seed: int, changes: int, cut: float | None
) -> None:
    name, offer = case
    data = bytearray(IMAGES[name])
    order = random.Random(seed)
    for _ in range(changes):
        # Mostly where structures are: the start and the end.
        near = order.choice([2048, 70_000, 4 << 20, len(data)])
        at = order.choice(
            [order.randrange(min(near, len(data))), len(data) - 1 - order.randrange(2048)]
        )
        data[at] = order.choice([0, 1, 0x7F, 0x80, 0xFF, order.randrange(256)])
    if cut is not None:
        del data[int(cut * len(data)) :]
    with suppress(ImageError):
        seen(Memory(data), offer)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(CASES), st.binary(max_size=4096), st.integers(0, 600))
def test_any_bytes_behind_a_right_start(case: tuple[str, Offer], data: bytes, start: int) -> None:
    name, offer = case
    with pytest.raises(ImageError):
        seen(Memory(IMAGES[name][:start] + data), offer)
