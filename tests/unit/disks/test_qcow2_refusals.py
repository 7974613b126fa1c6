"""Damaged and hostile QCOW2s: each is refused with a sentence, and no other file is ever opened."""

import random
import struct
from contextlib import suppress

import pytest

from kensho_tui.disks.formats import open_source
from kensho_tui.disks.image import Access, Format, ImageError, Offer
from tests.unit.disks.craft import bomb
from tests.unit.disks.craft_qcow2 import (
    COMPRESSED,
    COPIED,
    Packed,
    Sub,
    deflated,
    extension,
    features,
    image,
    snapshot,
    zstandard,
)
from tests.unit.disks.streams import QCOW2_SEEK, Memory, Trickle, seen

MIB = 1 << 20
TIB = 1 << 40
CLUSTER = 1 << 16
DATA = [(0, b"a" * CLUSTER), (1, b"b" * CLUSTER)]
L2 = 2 * CLUSTER  # where `image` puts the first L2 table of a small disk
FIRST = 3 * CLUSTER  # and the first cluster


def refused(data: bytes | bytearray, sentence: str) -> ImageError:
    with pytest.raises(ImageError, match=sentence) as caught:
        seen(Memory(data), QCOW2_SEEK)
    assert caught.value.remedy
    return caught.value


def test_no_cut_goes_unnoticed() -> None:
    whole = image(MIB, [*DATA, (5, deflated(b"c" * CLUSTER))])
    for length in [0, 3, 71, 72, 103, 104, 111, 4096, CLUSTER, L2 - 1, L2 + 9, FIRST, FIRST + 1]:
        with pytest.raises(ImageError):
            seen(Memory(whole[:length]), QCOW2_SEEK)
    for length in (len(whole) - 3, FIRST + CLUSTER, FIRST + 2 * CLUSTER - 1):
        with pytest.raises(ImageError):
            seen(Memory(whole[:length]), QCOW2_SEEK)


def test_it_is_read_with_seeks_only() -> None:
    with pytest.raises(ImageError, match="cannot be read from its first byte to its last"):
        open_source(Trickle(image(MIB, DATA)), Offer(Format.QCOW2, Access.FORWARD))
    with pytest.raises(ImageError, match="length of the QCOW2 is not known"):
        open_source(Memory(image(MIB, DATA), told=False), QCOW2_SEEK)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"magic": b"QFI\xfa"}, "does not start like a QCOW2"),
        ({"version": 1}, "has version 1, and only 2 and 3 are known"),
        ({"version": 4}, "has version 4"),
        ({"crypt": 1}, "encrypted"),
        ({"crypt": 2}, "encrypted"),
        ({"incompatible": 2}, "marked as corrupt"),
        ({"incompatible": 8}, "contradicts itself"),
        ({"compression": 1}, "contradicts itself"),
        ({"incompatible": 8, "compression": 2}, r"not known here \(type 2\)"),
        ({"order": 7}, "contradicts itself"),
        ({"length": 96}, "header claims 96 bytes"),
        ({"length": 108}, "header claims 108 bytes"),
        ({"extensions": struct.pack(">II", 1, 1 << 31)}, "extensions have no end"),
        ({"refcounts": (CLUSTER, 129)}, "refcount table has 129 clusters"),
        ({"refcounts": (CLUSTER, 128)}, "refcount table lies outside the file"),
        ({"refcounts": (CLUSTER + 512, 1)}, "refcount table lies outside the file"),
        ({"l1": (CLUSTER, 0)}, "L1 table has 0 entries, its disk needs 1"),
        ({"l1": (CLUSTER, 1 << 23)}, "L1 table has 8388608 entries, more than"),
        ({"l1": (CLUSTER, 1 << 20)}, "L1 table lies outside the file"),
        ({"l1": (CLUSTER + 8, 1)}, "L1 table lies outside the file"),
        ({"l1": (0, 1)}, "L1 table lies outside the file or over its header"),
        ({"l1": (1 << 63, 1)}, "L1 table lies outside the file"),
    ],
)
def test_a_wrong_header_is_refused(fields: dict[str, object], sentence: str) -> None:
    refused(image(MIB, DATA, **fields), sentence)  # type: ignore[arg-type]


@pytest.mark.parametrize("bits", [0, 8, 22, 63, 1 << 31])
def test_a_cluster_size_that_is_none_is_refused(bits: int) -> None:
    data = image(MIB, DATA)
    struct.pack_into(">I", data, 20, bits)
    refused(data, rf"clusters of 2\^{bits} bytes")


def test_a_disk_beyond_all_reason_is_refused() -> None:
    data = image(MIB, DATA)
    struct.pack_into(">Q", data, 24, (1 << 63) + 512)
    refused(data, "claims a disk of 9223372036854776320 bytes")
    # 64 TiB would be reasonable, but not by clusters of 512 bytes: QEMU has an end there too.
    data = image(MIB, bits=9)
    struct.pack_into(">Q", data, 24, 64 * TIB)
    error = refused(
        data, "2147483648 entries, more than 4194304, because its clusters of 512 bytes"
    )
    assert "cluster_size=64k" in error.remedy


def test_a_backing_file_is_named_and_never_opened() -> None:
    name = b"/etc/\x1b[31mshadow\xe2\x80\xae"
    data = image(MIB, DATA, backing=(512, len(name)))
    data[512 : 512 + len(name)] = name
    error = refused(data, "only the difference to another file, '/etc/shadow'. Such")
    assert "never followed" in error.remedy
    refused(image(MIB, DATA, backing=(512, 1 << 31)), "the difference to another file. Such")
    refused(image(MIB, DATA, backing=(1 << 63, 7)), "the difference to another file. Such")
    refused(image(MIB, DATA, version=2, backing=(512, 0)), "the difference to another file. Such")


def test_a_data_file_is_named_and_never_opened() -> None:
    named = extension(0x44415441, b"nbd://evil\x1b]0;x\x07/disk" + b"x" * 500)
    error = refused(
        image(MIB, DATA, incompatible=4, extensions=named), "data is in another file, 'nbd://evil/"
    )
    assert len(str(error)) < 300
    assert "never followed" in error.remedy
    refused(image(MIB, DATA, incompatible=4), "data is in another file. Such")


def test_unknown_features_are_said_by_the_names_the_file_gives_them() -> None:
    names = features(
        (0, 40, b"quantum \x1b[5mclusters\n"), (1, 41, b"another kind"), (0, 63, b"\xff" * 46)
    )
    bits = 1 << 40 | 1 << 41 | 1 << 63
    refused(
        image(MIB, DATA, incompatible=bits, extensions=names),
        "not known here: 'quantum clusters' \\(bit 40\\), bit 41, '\ufffd+' \\(bit 63\\). Convert",
    )
    refused(image(MIB, DATA, incompatible=1 << 5), "not known here: bit 5. Convert")


def test_subclusters_of_less_than_a_sector_are_refused() -> None:
    refused(image(MIB, bits=13, extended=True), "contradicts itself")


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        (1 << 40, "L2 table 0 lies outside the file"),
        (FIRST + 2 * CLUSTER, "L2 table 0 lies outside the file"),
        (L2 + 512, "L1 entry 0 is no place of an L2 table"),
        (L2 | 2, "L1 entry 0 is no place of an L2 table"),
        (L2 | 1 << 60, "L1 entry 0 is no place of an L2 table"),
        (CLUSTER, "L2 table 0 lies over its header or tables"),
        (1 << 8, "L1 entry 0 is no place of an L2 table"),
    ],
)
def test_an_l2_table_where_none_can_be_is_refused(entry: int, sentence: str) -> None:
    refused(image(MIB, DATA, tables={0: entry}), sentence)


@pytest.mark.parametrize("numbers", [(0, 1), (0, 2), (1, 3)])
def test_an_l2_table_that_is_named_twice_is_refused(numbers: tuple[int, int]) -> None:
    data = image(4 << 29, [(n * 8192, b"data") for n in range(4)])
    one, other = (CLUSTER + number * 8 for number in numbers)
    data[other : other + 8] = data[one : one + 8]
    refused(data, f"L2 table at byte {(2 + numbers[0]) * CLUSTER} is named twice")


def test_l2_tables_may_lie_in_any_order() -> None:
    stored = [(n * 8192, b"data") for n in range(3)]
    places = {n: (4 - n) * CLUSTER | COPIED for n in range(3)}
    found = image(3 << 29, stored, tables=places)
    assert seen(Memory(found), QCOW2_SEEK)[1] == [(n << 29, b"data") for n in range(3)]


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        (1 << 40 | COPIED, "cluster 1 lies outside the file"),
        (FIRST + 2 * CLUSTER, "cluster 1 lies outside the file"),
        (FIRST + 512, "cluster 1 is nowhere that it could be"),
        (FIRST | 2, "cluster 1 is nowhere that it could be"),
        (FIRST | 1 << 61, "cluster 1 is nowhere that it could be"),
        (CLUSTER, "cluster 1 lies over its header or tables"),
        (COMPRESSED | 1 << 40, "cluster 1 lies outside the file"),
        (COMPRESSED | 5, "cluster 1 lies over its header or tables"),
        (COMPRESSED | CLUSTER - 1 | 1 << 54, "cluster 1 lies over its header or tables"),
    ],
)
def test_a_cluster_where_none_can_be_is_refused(entry: int, sentence: str) -> None:
    refused(image(MIB, DATA, entries={1: entry}), sentence)


def test_places_beyond_the_format_are_refused_for_small_clusters_too() -> None:
    refused(image(MIB, [(0, b"x")], bits=9, entries={1: COMPRESSED | 1 << 60}), "outside the file")


def test_zeros_are_refused_where_the_version_does_not_know_them() -> None:
    data = image(MIB, DATA, version=2, entries={3: 1})
    refused(data, "cluster 3 is of zeros, which version 2 does not know")


def test_more_clusters_than_the_file_can_hold_are_refused() -> None:
    """One cluster named by all: a small file would else become a disk of any size."""
    data = image(MIB, DATA, entries=dict.fromkeys(range(2, 16), FIRST | COPIED))
    refused(data, "more clusters than the file can hold")


@pytest.mark.parametrize("bitmap", [1 << 32 | 1, 0xFFFFFFFF_FFFFFFFF])
def test_parts_that_are_there_and_zero_are_refused(bitmap: int) -> None:
    refused(image(MIB, [(0, Sub(b"x", bitmap))], extended=True), "cluster 0 contradicts itself")


def test_parts_of_a_cluster_that_is_nowhere_are_refused() -> None:
    data = image(MIB, [(0, Sub(b"x", 1))], extended=True, entries={0: 0})
    refused(data, "cluster 0 contradicts itself")


RAW_BOMB = Packed(bomb(64 << 20)[2:], 255)


@pytest.mark.parametrize(
    ("packed", "zstd", "sentence"),
    [
        (RAW_BOMB, False, "cluster 0: compressed data is damaged, or inflates to more than 65536"),
        (deflated(bytes(CLUSTER + 1)), False, "inflates to more than 65536"),
        (deflated(bytes(CLUSTER - 1)), False, "cluster 0 inflates to 65535 bytes, not 65536"),
        (Packed(b"\xff" * 700), False, "compressed data is damaged"),
        (Packed(deflated(random.Random(1).randbytes(CLUSTER)).data, 9), False, "is damaged"),
        (zstandard(bytes(64 << 20)), True, "inflates to more than 65536"),
        (zstandard(bytes(CLUSTER + 1)), True, "inflates to more than 65536"),
        (zstandard(bytes(100)), True, "compressed data is damaged"),
        (Packed(zstandard(random.Random(1).randbytes(CLUSTER)).data, 9), True, "is damaged"),
        (
            zstandard(bytes(CLUSTER), 27),
            True,
            "compressed data is damaged",
        ),
    ],
)
def test_a_compressed_cluster_that_is_none_is_refused(
    packed: Packed, zstd: bool, sentence: str
) -> None:
    fields = {"incompatible": 8, "compression": 1} if zstd else {}
    behind = bytes(2 * CLUSTER)
    refused(image(MIB, [(0, packed)], behind=behind, **fields), sentence)  # type: ignore[arg-type]


def test_a_compressed_cluster_that_runs_out_of_the_file_is_refused() -> None:
    data = image(MIB, [(0, deflated(random.Random(1).randbytes(CLUSTER)))])
    refused(data[:-1], "compressed data is damaged")
    assert seen(Memory(data), QCOW2_SEEK)[1]


@pytest.mark.parametrize(
    ("at", "count", "table", "sentence"),
    [
        (FIRST, (1 << 16) + 1, b"", "claims 65537 snapshots"),
        (FIRST + 8, 1, b"", "snapshot table is at byte"),
        (0, 1, b"", "snapshot table is at byte 0"),
        (1 << 50, 1, b"", "snapshot 0 of the QCOW2's table lies outside the file"),
        (FIRST, 1, snapshot(1 << 50, 1), "snapshot 0 of the QCOW2's table lies outside"),
        (FIRST, 1, snapshot(CLUSTER, 1 << 23), "snapshot 0 of the QCOW2's table lies outside"),
        (FIRST, 1, snapshot(CLUSTER + 8, 1), "snapshot 0 of the QCOW2's table lies outside"),
        (FIRST, 1, snapshot(CLUSTER, 1, extra=1 << 30), "snapshot table has no end"),
        (FIRST, 2, snapshot(CLUSTER, 1, extra=1 << 21), "snapshot 0 of the QCOW2's table lies out"),
        (FIRST, 9, snapshot(CLUSTER, 1), "snapshot 1 of the QCOW2's table lies outside"),
    ],
)
def test_snapshots_that_lead_out_of_the_file_are_refused(
    at: int, count: int, table: bytes, sentence: str
) -> None:
    data = image(MIB, [(0, b"")], entries={0: 0}, snapshots=(at, count))
    refused(data[:FIRST] + table, sentence)


def test_random_damage_never_shows_another_error() -> None:
    whole = image(MIB, [*DATA, (7, deflated(b"c" * CLUSTER))], snapshots=(FIRST + CLUSTER, 1))
    for at in [*range(112), *range(CLUSTER, CLUSTER + 8), *range(L2, L2 + 64)]:
        for value in (0x00, 0x01, 0x7F, 0x80, 0xFF):
            before, whole[at] = whole[at], value
            with suppress(ImageError):
                assert seen(Memory(whole), QCOW2_SEEK)[0] <= 64 * TIB
            whole[at] = before
