"""Deflate, inflate and zstd for disk images: always bounded, by the fastest library that is there.

libdeflate inflates fastest, ISA-L deflates fastest; both release the interpreter's lock. zlib is the
last resort where neither has a build for the machine. All take zlib streams (RFC 1950), as VMDK has them,
and with ``raw`` deflate streams without a frame (RFC 1951), as QCOW2 has them.
"""

import sys
import zlib
from collections.abc import Callable
from enum import StrEnum
from functools import cache, partial
from typing import TypeAlias

from kensho_tui.disks.image import Buffer, ImageError

Bytes: TypeAlias = bytes | bytearray

_WIDEST = 15  # bits of a window, the most that deflate knows; negative: without a frame
# QEMU inflates with a window of 4 KiB: matches from farther away it would refuse.
_QCOW2_WINDOW = -12
# What decoding a frame may take beside its answer: 2^23 bytes. QEMU's frames are made for their cluster,
# which has 2^21 at most; zstd's own highest levels go up to this for such data.
_ZSTD_WINDOW = 23


def inflate_by_libdeflate(data: Buffer, limit: int, raw: bool = False) -> Bytes:
    """As `inflate`. Raises: ImportError: the library is not there."""
    import deflate

    unpack = deflate.deflate_decompress if raw else deflate.zlib_decompress
    try:
        plain: bytearray = unpack(data, limit)
    except deflate.DeflateError as error:
        raise _refused(limit) from error
    return plain


def inflate_by_isal(data: Buffer, limit: int, raw: bool = False) -> Bytes:
    """As `inflate`. Raises: ImportError: the library is not there."""
    from isal import isal_zlib

    one = isal_zlib.decompressobj(-_WIDEST if raw else _WIDEST)
    try:
        # One byte more than allowed is asked for, so that too much is noticed and not cut off.
        plain = bytes(one.decompress(data, limit + 1))
    except isal_zlib.error as error:  # type: ignore[misc]
        raise _refused(limit) from error
    if len(plain) > limit or not one.eof:
        raise _refused(limit)
    return plain


def inflate_by_zlib(data: Buffer, limit: int, raw: bool = False) -> Bytes:
    """As `inflate`, by the standard library."""
    one = zlib.decompressobj(-_WIDEST if raw else _WIDEST)
    try:
        plain = one.decompress(data, limit + 1)
    except zlib.error as error:
        raise _refused(limit) from error
    if len(plain) > limit or not one.eof:
        raise _refused(limit)
    return plain


def _refused(limit: int) -> ImageError:
    return ImageError(
        f"compressed data is damaged, or inflates to more than {limit} bytes",
        remedy="Get the file again; if it stays so, whoever made it has to make it again",
    )


@cache
def inflater() -> Callable[[Buffer, int, bool], Bytes]:
    """The fastest of the three that is there."""
    for each in (inflate_by_libdeflate, inflate_by_isal):
        try:
            each(zlib.compress(b""), 1)
        except ImportError:
            continue
        return each
    return inflate_by_zlib


def inflate(data: Buffer, limit: int, *, raw: bool = False) -> Bytes:
    """The deflate stream at the start of ``data``, inflated.

    Args:
        limit: bytes of the answer, at most. No more memory is used for it.
        raw: whether it comes without zlib's frame.

    Raises: ImageError: it is damaged, cut off, or gives more than ``limit`` bytes.
    """
    return inflater()(data, limit, raw)


def unpack_zstd(data: Buffer, limit: int) -> Bytes:
    """The zstd frames (RFC 8878) at the start of ``data`` that give ``limit`` bytes together, or all.

    Raises: ImageError: they are damaged, cut off, or give more than ``limit`` bytes.
    """
    # Not above: few disks are packed so, and every command would load it.
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd

    options = {int(zstd.DecompressionParameter.window_log_max): _ZSTD_WINDOW}
    plain = b""
    while len(plain) < limit and data:
        one = zstd.ZstdDecompressor(options=options)
        try:
            plain += one.decompress(data, limit + 1 - len(plain))
        except zstd.ZstdError as error:
            raise _refused(limit) from error
        if len(plain) > limit or not one.eof:
            raise _refused(limit)
        data = one.unused_data
    return plain


class Compression(StrEnum):
    """How much work deflating is worth."""

    FAST = "fast"  # about a tenth larger than zlib's level 6, and twelve times as fast
    SMALL = "small"  # a little smaller than zlib's level 6, and three times as fast


@cache
def deflater(compression: Compression = Compression.FAST) -> Callable[[Buffer], Bytes]:
    """What makes zlib streams (RFC 1950): ISA-L's level 2 or libdeflate's level 6; else zlib's own."""
    try:
        if compression is Compression.SMALL:
            import deflate

            return partial(deflate.zlib_compress, compresslevel=6)
        from isal import isal_zlib
    except ImportError:
        return partial(zlib.compress, level=6 if compression is Compression.SMALL else 1)
    return partial(isal_zlib.compress, level=2)


@cache
def qcow2_deflater(compression: Compression = Compression.FAST) -> Callable[[Buffer], Bytes]:
    """What makes raw deflate streams (RFC 1951) with the window that QEMU inflates by; not libdeflate."""
    if compression is Compression.SMALL:
        return partial(zlib.compress, level=6, wbits=_QCOW2_WINDOW)
    try:
        from isal import isal_zlib
    except ImportError:
        return partial(zlib.compress, level=1, wbits=_QCOW2_WINDOW)
    return partial(isal_zlib.compress, level=2, wbits=_QCOW2_WINDOW)
