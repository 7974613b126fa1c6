"""``kensho disk check``: what is wrong with an image, and where."""

import contextlib
import hashlib
import json
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kensho_tui.cancel import Cancel
from kensho_tui.cli.out import Exit
from kensho_tui.disks.check import MOST, check
from kensho_tui.disks.image import Access, Format, Image, ImageError, Offer
from kensho_tui.disks.qcow2_counts import check_counts
from tests.unit.disks.streams import (
    VMDK_SEEK,
    Memory,
    qcow2,
    vhd,
    vhd_fixed,
    vhdx,
    vmdk,
    vmdk_sparse,
)
from tests.unit.disks.test_disk_command import run

MIB = 1 << 20
NOISE = hashlib.shake_128(b"check").digest(65536)
CONTENT = [(n * 2 * MIB, NOISE) for n in range(30)]
MAKERS = {
    "vmdk": vmdk,
    "vmdk-sparse": vmdk_sparse,
    "vhd": vhd,
    "vhd-fixed": vhd_fixed,
    "vhdx": vhdx,
    "qcow2": qcow2,
}


def grains(image: bytearray) -> list[int]:
    """Where the grains' markers are."""
    found, at = [], 65536
    while at < len(image):
        value, size = struct.unpack_from("<QI", image, at)
        if size:
            found.append(at)
        at += -(-(12 + size) // 512) * 512 if size else 512 + value * 512
    return found


@pytest.mark.parametrize("form", MAKERS)
def test_a_good_image_has_no_problem_and_its_data_is_counted(form: str) -> None:
    image = Image(Memory(MAKERS[form](64 * MIB, CONTENT)), Offer(Format(form), Access.SEEK))
    found = check(image)
    assert (found.problems, found.more, found.capacity) == ([], 0, 64 * MIB)
    assert found.data is not None and found.data >= 30 * 65536
    assert check(image, tables_only=True).data is None


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6 << 16), st.integers(0, 255)), min_size=1, max_size=4))
def test_whatever_a_qcow2s_tables_say_its_counts_are_compared_or_refused(
    changes: list[tuple[int, int]],
) -> None:
    image = bytearray(qcow2(4 * MIB, [(0, NOISE), (2 * MIB, NOISE[:9])]))
    for at, value in changes:
        # Most of the file is data: changes hit the header and the first bytes of its tables as often.
        image[at % 65536 % 128 + at // 65536 * 65536 if value % 2 else at] = value
    found: list[ImageError] = []
    with contextlib.suppress(ImageError):
        assert check_counts(Memory(image), found.append, Cancel()) >= 0
    assert all(each.what and each.remedy for each in found)


def test_each_damaged_grain_is_told_and_the_others_are_still_read() -> None:
    image = bytearray(vmdk(64 * MIB, CONTENT))
    for at in (grains(image)[3], grains(image)[20]):
        image[at + 40] ^= 0xFF
    found = check(Image(Memory(image), VMDK_SEEK))
    assert [problem.what.split(":")[0] for problem in found.problems] == [
        "VMDK grain 96",
        "VMDK grain 640",
    ]
    assert found.data == 28 * 65536


def test_many_problems_are_counted_and_not_all_told() -> None:
    image = bytearray(vmdk(64 * MIB, CONTENT))
    for at in grains(image):
        image[at + 40] ^= 0xFF
    found = check(Image(Memory(image), VMDK_SEEK))
    assert (len(found.problems), found.more) == (MOST, 30 - MOST)


def test_damage_to_tables_ends_it_after_what_was_right() -> None:
    image = bytearray(vmdk(64 * MIB, CONTENT))
    at = grains(image)[10]
    struct.pack_into("<Q", image, at, 5)  # the marker says another place than the table
    struct.pack_into("<I", image, len(image) - 512 * 3 - 512 + 4, 1 << 31)
    found = check(Image(Memory(image[: len(image) - 100_000]), VMDK_SEEK))
    assert len(found.problems) == 1
    assert found.capacity is None


def test_the_command_tells_people_and_programs(tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    image = bytearray(vmdk(64 * MIB, CONTENT))
    good.write_bytes(image)
    image[grains(image)[3] + 40] ^= 0xFF
    bad.write_bytes(image)
    done = run("check", good)
    assert done.exit_code == Exit.OK
    assert "no problem found" in done.stdout
    done = run("check", bad, "--json")
    assert done.exit_code == Exit.FINDINGS
    told = json.loads(done.stdout)
    assert [each["what"].split(":")[0] for each in told["problems"]] == ["VMDK grain 96"]
    assert "Problem     VMDK grain 96" in run("check", bad).stdout
    assert run("check", bad, "--tables").exit_code == Exit.OK
