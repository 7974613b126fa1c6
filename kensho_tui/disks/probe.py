"""What kind of disk image a file is, by its bytes and never by its name.

For files of unknown format only. Where a descriptor, a platform or the operator names the format, that
name counts: a guest can write another format's magic into its own raw disk.
"""

from kensho_tui.disks.image import Format, InputStream
from kensho_tui.disks.vmdk_structs import (
    COWD,
    DESCRIPTOR_MAGIC,
    MAGIC,
    flags_of,
    is_streamed,
    not_streamed,
)

_AT_START = (
    (MAGIC, Format.VMDK_STREAM),
    (b"conectix", Format.VHD),
    (b"vhdxfile", Format.VHDX),
    (b"QFI\xfb", Format.QCOW2),
)


def probe(stream: InputStream) -> Format:
    """The format of the image. What has no known magic is `Format.RAW`.

    Args:
        stream: can be read at any place.

    Raises: ImageError: it is a VMDK of a kind that points at other files, or another refused kind.
    """
    start = bytearray(512)
    start = start[: stream.pread(0, start)]
    if start.startswith(MAGIC) and not is_streamed(flags_of(start)):
        return Format.VMDK_SPARSE
    for magic, found in _AT_START:
        if start.startswith(magic):
            return found
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((DESCRIPTOR_MAGIC, COWD)):
        raise not_streamed(bytes(start.lstrip(b"\xef\xbb\xbf \t\r\n")), "header")
    if stream.length is not None and stream.length >= 512:
        end = bytearray(8)
        if stream.pread(stream.length - 512, end) == 8 and end == b"conectix":
            return Format.VHD  # fixed: only a footer tells
    return Format.RAW
