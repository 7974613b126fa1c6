"""The lab's own VHD: what it writes it reads, and it reads nothing else."""

import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kensho_tui.lab.xen import vhd

SECTOR = 512


class Stream:
    """Exact reads of bytes."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) < size:
            raise vhd.VhdError("the image ends before it should")
        return data


@given(
    size=st.integers(1, 9000).map(lambda n: n * SECTOR),
    blocks=st.sets(st.integers(0, 2)),
)
@settings(max_examples=25, deadline=None)
def test_what_is_composed_is_expanded_again(size: int, blocks: set[int]) -> None:
    last = (size - 1) // vhd.BLOCK
    used = sorted(block for block in blocks if block <= last)

    def read(offset: int, length: int) -> bytes:
        end = max(0, min(length, size - offset))
        return (bytes([1 + offset // vhd.BLOCK]) * end).ljust(length, b"\0")

    written: dict[int, bytes] = {}
    stream = Stream(b"".join(vhd.compose(size, used, read)))
    assert vhd.expand(stream, written.__setitem__) == size
    assert sorted(offset // vhd.BLOCK for offset in written) == used
    for offset, data in written.items():
        assert data == bytes([1 + offset // vhd.BLOCK]) * len(data)
        assert offset + len(data) <= size


def test_a_bitmap_marks_runs_of_sectors() -> None:
    bitmap = bytes([0b01100001, 0b10000000]) + bytes(510)
    assert list(vhd.marked(bitmap, vhd.BLOCK)) == [(SECTOR, 2 * SECTOR), (7 * SECTOR, 2 * SECTOR)]
    assert list(vhd.marked(b"\xff" * 512, vhd.BLOCK)) == [(0, vhd.BLOCK)]
    assert list(vhd.marked(bytes(512), vhd.BLOCK)) == []


def test_a_table_that_is_too_short_for_the_disk_is_refused() -> None:
    image = bytearray(b"".join(vhd.compose(8 * vhd.BLOCK, [], lambda _at, n: bytes(n))))
    header = image[512 : 512 + 1024]
    header[28:32] = struct.pack(">I", 7)
    header[36:40] = struct.pack(">I", vhd.checksum(bytes(header), 36))
    image[512 : 512 + 1024] = header
    with pytest.raises(vhd.VhdError, match="fewer entries"):
        vhd.expand(Stream(bytes(image)), lambda _at, _data: None)
