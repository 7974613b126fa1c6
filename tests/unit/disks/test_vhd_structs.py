"""The structures of a VHD stay what they were when they were made."""

import pytest

from kensho_tui.disks.vhd_structs import DYNAMIC, Footer
from tests.unit.disks.streams import VHD_SEEK, Memory, seen, vhd


def test_a_footer_is_the_same_bytes_however_late_it_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter(range(1_700_000_000, 1_700_000_100, 7))
    monkeypatch.setattr("kensho_tui.disks.vhd_structs.time.time", lambda: float(next(clock)))
    footer = Footer(1 << 20, DYNAMIC, 512, bytes(range(16)))
    assert footer.pack() == footer.pack()
    assert Footer(1 << 20, DYNAMIC, 512, bytes(range(16))).pack() != footer.pack()


def test_a_disk_that_takes_longer_than_a_second_has_the_same_footer_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter(range(1_700_000_000, 1_800_000_000, 7))
    monkeypatch.setattr("kensho_tui.disks.vhd_structs.time.time", lambda: float(next(clock)))
    data = vhd(5 << 20, [(0, b"first"), (4 << 20, b"last")])
    assert data[:512] == data[-512:]
    assert seen(Memory(data), VHD_SEEK) == (5 << 20, [(0, b"first"), (4 << 20, b"last")])


def test_a_footer_reads_back_as_it_was() -> None:
    footer = Footer(1 << 20, DYNAMIC, 512, bytes(range(16)))
    assert Footer.parse(footer.pack(), "at the end") == footer
