"""What an operator does not accept of a stranger's disk is refused, and the refusal names the setting."""

import gzip
import json
import struct
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kensho_tui.cli.disk import disk
from kensho_tui.cli.out import Exit
from kensho_tui.cli.package import package
from kensho_tui.disks import bounds
from kensho_tui.disks.bounds import Bounds, BoundsError
from kensho_tui.disks.formats import open_source
from kensho_tui.disks.image import MAX_CAPACITY, ImageError
from kensho_tui.ovf.inflate import GzipInput
from tests.unit.disks.streams import (
    QCOW2_COMPRESSED,
    RAW_EXTENTS,
    RAW_FORWARD,
    VHDX_SEEK,
    VMDK_SEEK,
    Memory,
    SparseDisk,
    convert,
    qcow2_compressed,
    vhdx,
    vmdk,
)

MIB = 1 << 20


def run(*words: object) -> Result:
    return CliRunner().invoke(disk, [str(word) for word in words])


@pytest.mark.parametrize("command", ["info", "check", "convert", "compare"])
def test_every_command_refuses_a_disk_that_is_larger_than_its_option_says(
    tmp_path: Path, command: str
) -> None:
    image, target = tmp_path / "a.vmdk", tmp_path / "out.raw"
    image.write_bytes(vmdk(9 * MIB, [(0, b"data")]))
    more: dict[str, list[object]] = {"convert": [target, "-O", "raw"], "compare": [image]}
    words = more.get(command, [])
    done = run(command, image, *words, "--max-disk", "8 MiB")
    assert done.exit_code in (Exit.INPUT, Exit.FINDINGS)
    assert "the disk has 9,437,184 bytes, and 8,388,608 are accepted at most" in done.output
    if command != "check":
        assert "accept more (--max-disk)" in done.output
    assert not target.exists()
    assert run(command, image, *words, "--max-disk", "9 MiB").exit_code == Exit.OK
    assert bounds.current() == Bounds(), "an option holds for its command only"


def test_a_size_without_its_unit_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    done = run("info", tmp_path / "a", "--max-disk", "8")
    assert (done.exit_code, "write it with its unit" in done.output) == (Exit.USAGE, True)


def test_an_image_that_inflates_farther_than_is_accepted_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.qcow2"
    path.write_bytes(qcow2_compressed(128 * MIB, [(0, b"a" * (100 * MIB))]))
    most = (100 * MIB) // path.stat().st_size
    assert run("info", path).exit_code == Exit.OK
    for words in (("check", path), ("convert", path, tmp_path / "out", "-O", "raw")):
        refused = run(*words, "--max-ratio", most - 1, "--json")
        assert refused.exit_code != Exit.OK
        assert "accepted at most" in json.dumps(json.loads(refused.stdout)), refused.output
        assert not (tmp_path / "out").exists()
    assert run("check", path, "--max-ratio", most + 1).exit_code == Exit.OK


def test_a_compressed_member_ends_where_it_inflates_too_far() -> None:
    packed = gzip.compress(bytes(80 * MIB))
    with bounds.within(Bounds(ratio=100)), pytest.raises(BoundsError, match="inflate to"):
        stream = GzipInput(Memory(packed), "a.vmdk.gz")
        taken, buffer = 0, bytearray(MIB)
        while count := stream.readinto(buffer):
            taken += count
            assert taken <= 64 * MIB
    stream = GzipInput(Memory(packed), "a.vmdk.gz")
    assert sum(iter(lambda: stream.readinto(buffer), 0)) == 80 * MIB


def test_nothing_of_a_disk_that_is_too_large_is_written() -> None:
    with bounds.within(Bounds(disk=4 * MIB)), pytest.raises(BoundsError):
        convert(
            SparseDisk(4 * MIB + 512), RAW_EXTENTS, VMDK_SEEK, change=lambda _: pytest.fail("open")
        )


def test_no_format_and_no_raw_disk_goes_past_the_largest() -> None:
    with pytest.raises(BoundsError):
        convert(SparseDisk(MAX_CAPACITY + 512), RAW_FORWARD, RAW_EXTENTS)
    qcow2, image = bytearray(qcow2_compressed(MIB, [])), bytearray(vhdx(MIB, []))
    qcow2[24:32] = struct.pack(">Q", MAX_CAPACITY + 512)
    at = image.index(struct.pack("<Q", MIB), 2 * MIB + 65536)  # in the metadata
    image[at : at + 8] = struct.pack("<Q", MAX_CAPACITY + 512)
    for packed, offer in ((qcow2, QCOW2_COMPRESSED), (image, VHDX_SEEK)):
        with pytest.raises(ImageError, match="more than 64 TiB"):
            open_source(Memory(packed), offer)


def test_the_commands_of_packages_take_the_options_too(tmp_path: Path) -> None:
    done = CliRunner().invoke(package, ["show", str(tmp_path), "--max-ratio", "0"])
    assert (done.exit_code, "0 is not in the range" in done.output) == (Exit.USAGE, True)
