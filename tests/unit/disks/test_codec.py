"""Inflating is bounded and exact, by whichever library does it."""

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
)
from kensho_tui.disks.image import Buffer, ImageError
from tests.unit.disks.craft import bomb

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
