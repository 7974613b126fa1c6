"""Differencing VHDs beside libvhdi, a reader that is not ours."""

from pathlib import Path

import pytest

from kensho_tui.disks.vhd import VhdSource
from tests.unit.disks.streams import Memory, vhd
from tests.unit.disks.test_vhd_parents import CAPACITY, PARENT, difference, over, shown

pyvhdi = pytest.importorskip("pyvhdi", reason="libvhdi is missing: pip install libvhdi-python")
pytestmark = pytest.mark.peer


def test_a_chain_shows_both_readers_the_same(tmp_path: Path) -> None:
    # Runs that end with a byte of the bitmap: within one, libvhdi takes all that follows a set bit.
    runs = [(5, 16), (4096 + 8, 4096 + 24), (3 * 4096, 3 * 4096 + 8), (17003, 17008)]
    sectors = {n: b"sector %d" % n for low, high in runs for n in range(low, high)}
    sectors |= {6: b""}
    base = vhd(CAPACITY, PARENT)
    images = {"base.vhd": base, "child.vhd": difference(base, sectors)}
    for name, data in images.items():
        (tmp_path / name).write_bytes(data)
    below, above = pyvhdi.file(), pyvhdi.file()
    below.open(str(tmp_path / "base.vhd"))
    above.open(str(tmp_path / "child.vhd"))
    above.set_parent(below)
    theirs = above.read_buffer_at_offset(CAPACITY, 0)
    above.close()
    below.close()
    ours = VhdSource(Memory(images["child.vhd"]), VhdSource(Memory(base)))
    disk = bytearray(CAPACITY)
    for offset, data in shown(ours):
        disk[offset : offset + len(data)] = data
    assert theirs == bytes(disk)
    assert shown(ours) == over(PARENT, sectors)
