"""What a file is, by its bytes."""

import pytest

from kensho_tui.disks.image import Format, ImageError
from kensho_tui.disks.probe import probe
from kensho_tui.disks.vhd_structs import Footer
from tests.unit.disks.streams import Memory, vhd, vhdx, vmdk


@pytest.mark.parametrize(
    "data, wanted",
    [
        (vmdk(1 << 20, []), Format.VMDK_STREAM),
        (vhd(1 << 20, []), Format.VHD),
        (bytes(1024) + Footer(1024, 2, 2**64 - 1, bytes(16)).pack(), Format.VHD),
        (vhdx(1 << 20, []), Format.VHDX),
        (b"QFI\xfb\x00\x00\x00\x03", Format.QCOW2),
        (b"\xeb\x63\x90" + bytes(1000), Format.RAW),
        (b"KD", Format.RAW),
        (b"", Format.RAW),
    ],
    ids=["vmdk", "vhd", "fixed vhd", "vhdx", "qcow2", "boot sector", "short", "empty"],
)
def test_the_format_is_told_by_magic(data: bytes, wanted: Format) -> None:
    assert probe(Memory(data)) is wanted


@pytest.mark.parametrize(
    "text",
    [
        b"# Disk DescriptorFile\nversion=1\n",
        b"\n\xef\xbb\xbf# Disk DescriptorFile\n",
        b"COWD" * 200,
    ],
)
def test_what_points_at_other_files_is_refused_and_not_taken_for_raw(text: bytes) -> None:
    with pytest.raises(ImageError, match=r"never followed|ESX sparse extent"):
        probe(Memory(text))
