"""Inflating is bounded and exact, by whichever library does it."""

import hashlib
import tracemalloc
import zlib
from collections.abc import Callable

import pytest

from kensho_tui.disks.codec import (
    deflater,
    inflate_by_isal,
    inflate_by_libdeflate,
    inflate_by_zlib,
    inflater,
    qcow2_deflater,
    unpack_zstd,
)
from kensho_tui.disks.image import Buffer, ImageError
from tests.unit.disks.craft import bomb
from tests.unit.disks.craft_qcow2 import deflated, zstandard

BOMB = bomb(64 << 20)
EACH = pytest.mark.parametrize("inflate", [inflate_by_libdeflate, inflate_by_isal, inflate_by_zlib])
Inflate = Callable[[Buffer, int], bytes | bytearray]


@EACH
@pytest.mark.parametrize("length", [0, 1, 511, 65535, 65536])
def test_up_to_the_limit_is_given_back(inflate: Inflate, length: int) -> None:
    plain = bytes(i % 251 for i in range(length))
    stream = zlib.compress(plain)
    assert inflate(stream, 65536) == plain
    assert inflate(memoryview(stream + b"padding"), 65536) == plain


@EACH
def test_one_byte_more_is_refused(inflate: Inflate) -> None:
    with pytest.raises(ImageError, match="more than 65536 bytes"):
        inflate(zlib.compress(bytes(65537)), 65536)


@EACH
def test_a_bomb_takes_no_more_memory_than_the_limit(inflate: Inflate) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ImageError):
            inflate(BOMB, 65536)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


@EACH
@pytest.mark.parametrize("cut", [0, 1, 2, 10, -1, -4, -5])
def test_a_cut_stream_is_refused(inflate: Inflate, cut: int) -> None:
    stream = zlib.compress(bytes(range(256)) * 100)
    with pytest.raises(ImageError):
        inflate(stream[:cut], 65536)


@EACH
def test_a_wrong_checksum_is_refused(inflate: Inflate) -> None:
    stream = bytearray(zlib.compress(b"data" * 100))
    stream[-1] ^= 1
    with pytest.raises(ImageError):
        inflate(stream, 65536)


def test_the_fastest_that_is_there_is_taken() -> None:
    assert inflater() is inflate_by_libdeflate


def test_what_is_deflated_is_understood_by_zlib() -> None:
    for plain in (b"", b"x", bytes(65536), bytes(range(256)) * 256):
        assert zlib.decompress(deflater()(plain)) == plain


@pytest.mark.parametrize("each", [inflate_by_libdeflate, inflate_by_isal, inflate_by_zlib])
def test_streams_without_a_frame_are_bounded_as_well(
    each: Callable[[Buffer, int, bool], bytes | bytearray],
) -> None:
    plain = bytes(i % 251 for i in range(65536))
    stream = deflated(plain).data
    assert each(memoryview(stream + b"padding"), 65536, True) == plain
    for data in (stream[:-1], deflated(plain + b"x").data, BOMB[2:], b"", b"\xff" * 99):
        with pytest.raises(ImageError, match="more than 65536 bytes"):
            each(data, 65536, True)


def test_what_is_deflated_for_qcow2_needs_a_window_of_4_kib_only() -> None:
    # What repeats itself after 5000 bytes tempts an encoder to look farther back than that.
    noise = hashlib.shake_128(b"far").digest(5000)
    for plain in (b"x", bytes(65536), noise * 13, (noise[:3000] * 22)[:65536]):
        assert zlib.decompressobj(-12).decompress(qcow2_deflater()(plain)) == plain


@pytest.mark.parametrize("length", [1, 65535, 65536])
def test_zstd_gives_up_to_the_limit(length: int) -> None:
    plain = bytes(i % 251 for i in range(length))
    assert unpack_zstd(memoryview(zstandard(plain).data), 65536) == plain
    padded = zstandard(plain).data + bytes(500)
    if length == 65536:
        assert unpack_zstd(padded, 65536) == plain
    else:
        with pytest.raises(ImageError):
            unpack_zstd(padded, 65536)


def test_several_zstd_frames_may_make_a_cluster() -> None:
    frames = zstandard(b"a" * 40000).data + zstandard(b"b" * 25536).data
    assert unpack_zstd(frames + b"padding", 65536) == b"a" * 40000 + b"b" * 25536
    with pytest.raises(ImageError, match="more than 65536"):
        unpack_zstd(frames[:-30] + zstandard(b"b" * 25537).data, 65536)


def test_a_zstd_bomb_takes_no_more_memory_than_the_limit_and_a_small_window() -> None:
    data = zstandard(bytes(64 << 20)).data
    tracemalloc.start()
    try:
        with pytest.raises(ImageError):
            unpack_zstd(data, 65536)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    with pytest.raises(ImageError, match="damaged"):
        unpack_zstd(zstandard(b"x" * 100, 27).data, 65536)
