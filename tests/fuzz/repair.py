"""Checksums made right again in damaged images, so that what they guard is reached by a fuzzer."""

import struct
from collections.abc import Callable

from kensho_tui.disks.image import Format
from kensho_tui.disks.vhd_structs import checksum as vhd_sum
from kensho_tui.disks.vhdx_structs import (
    HEADER_BYTES,
    HEADERS_AT,
    TABLE_BYTES,
    TABLES_AT,
    checksum,
)

_MOST_ENTRIES = 64


def repair(format_: Format, data: bytearray) -> None:
    """Recompute what sums the format has, in place."""
    if format_ in _REPAIRS:
        _REPAIRS[format_](data)


def _vhd(data: bytearray) -> None:
    if len(data) < 2048:
        return
    if data[:8] == b"conectix":
        struct.pack_into(">I", data, 64, vhd_sum(data[:512], 64))
        data[-512:] = data[:512]
        at = struct.unpack_from(">Q", data, 16)[0]
        if at + 1024 <= len(data):
            struct.pack_into(">I", data, at + 36, vhd_sum(data[at : at + 1024], 36))
        return
    end = len(data) - 512
    struct.pack_into(">I", data, end + 64, vhd_sum(data[end:], 64))


def _vhdx(data: bytearray) -> None:
    sections = [(at, HEADER_BYTES) for at in HEADERS_AT] + [(at, TABLE_BYTES) for at in TABLES_AT]
    for at, size in sections:
        _crc(data, at, size)
    if len(data) < HEADERS_AT[0] + 80:
        return
    length, log = struct.unpack_from("<IQ", data, HEADERS_AT[0] + 68)
    for at in range(log, min(log + length, len(data), log + _MOST_ENTRIES * 4096), 4096):
        if data[at : at + 4] == b"loge":
            size = struct.unpack_from("<I", data, at + 8)[0]
            if size <= length:
                _crc(data, at, size)


def _crc(data: bytearray, at: int, size: int) -> None:
    if at + size <= len(data):
        data[at + 4 : at + 8] = bytes(4)
        struct.pack_into("<I", data, at + 4, checksum(data[at : at + size]))


_REPAIRS: dict[Format, Callable[[bytearray], None]] = {
    Format.VHD: _vhd,
    Format.VHD_FIXED: _vhd,
    Format.VHDX: _vhdx,
}
