"""Deflate and inflate for disk images: always bounded, by the fastest library that is there.

libdeflate inflates fastest, ISA-L deflates fastest; both release the interpreter's lock. zlib is the
last resort where neither has a build for the machine.
"""

import zlib
from collections.abc import Callable
from functools import cache
from typing import TypeAlias

from kensho_tui.disks.image import Buffer, ImageError

Bytes: TypeAlias = bytes | bytearray


def inflate_by_libdeflate(data: Buffer, limit: int) -> Bytes:
    """As `inflate`. Raises: ImportError: the library is not there."""
    import deflate

    try:
        plain: bytearray = deflate.zlib_decompress(data, limit)
    except deflate.DeflateError as error:
        raise _refused(limit) from error
    return plain


def inflate_by_isal(data: Buffer, limit: int) -> Bytes:
    """As `inflate`. Raises: ImportError: the library is not there."""
    from isal import isal_zlib

    one = isal_zlib.decompressobj()
    try:
        # One byte more than allowed is asked for, so that too much is noticed and not cut off.
        plain = bytes(one.decompress(data, limit + 1))
    except isal_zlib.error as error:  # type: ignore[misc]
        raise _refused(limit) from error
    if len(plain) > limit or not one.eof:
        raise _refused(limit)
    return plain


def inflate_by_zlib(data: Buffer, limit: int) -> Bytes:
    """As `inflate`, by the standard library."""
    one = zlib.decompressobj()
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
def inflater() -> Callable[[Buffer, int], Bytes]:
    """The fastest of the three that is there."""
    for each in (inflate_by_libdeflate, inflate_by_isal):
        try:
            each(zlib.compress(b""), 1)
        except ImportError:
            continue
        return each
    return inflate_by_zlib


def inflate(data: Buffer, limit: int) -> Bytes:
    """The zlib stream (RFC 1950) at the start of ``data``, inflated.

    Raises: ImageError: it is damaged, cut off, or gives more than ``limit`` bytes. No more memory than
        ``limit`` is used for the answer.
    """
    return inflater()(data, limit)


@cache
def deflater() -> Callable[[Buffer], bytes]:
    """The fast encoder: ISA-L level 2, about a tenth larger than zlib's level 6 and twelve times as fast."""
    try:
        from isal import isal_zlib
    except ImportError:
        return lambda data: zlib.compress(data, 1)
    return lambda data: bytes(isal_zlib.compress(data, 2))
