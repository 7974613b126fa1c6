"""VMDKs of ours beside libvmdk, a reader that is neither ours nor QEMU's."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.disks.streams import Extents, vmdk, vmdk_sparse

pyvmdk = pytest.importorskip("pyvmdk", reason="libvmdk is missing: pip install libvmdk-python")
pytestmark = pytest.mark.peer

MIB = 1 << 20
CONTENT = [(0, b"boot"), (5 * MIB + 7, b"middle" * 30_000), (39 * MIB, b"far"), (70 * MIB, b"end")]


@pytest.mark.parametrize("capacity", [72 * MIB, 70 * MIB + 512, 128 * MIB])
@pytest.mark.parametrize("make", [vmdk, vmdk_sparse])
def test_it_reads_what_we_write(
    tmp_path: Path, make: Callable[[int, Extents], bytes], capacity: int
) -> None:
    path = tmp_path / "disk.vmdk"
    path.write_bytes(make(capacity, CONTENT))
    handle = pyvmdk.handle()
    handle.open(str(path))
    handle.open_extent_data_files()
    try:
        assert handle.get_media_size() == capacity
        theirs = handle.read_buffer_at_offset(capacity, 0)
    finally:
        handle.close()
    disk = bytearray(capacity)
    for offset, data in CONTENT:
        disk[offset : offset + len(data)] = data
    assert theirs == bytes(disk)
