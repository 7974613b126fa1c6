"""Images to begin with, and the parts of them that a fuzzer changes."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kensho_tui.disks.image import Format
from tests.unit.disks import craft, craft_qcow2, craft_vhdx
from tests.unit.disks.streams import vhd, vhd_fixed, vhdx, vmdk, vmdk_sparse

KIB, MIB = 1 << 10, 1 << 20
CONTENT = [(0, b"start"), (70_000, b"x" * 700), (3 * MIB, b"end")]


@dataclass(frozen=True)
class Shape:
    """Parts of an image that hold structures: ``(offset, bytes)``. All else stays zero, and out of the way.

    ``length`` of the image in bytes. Without windows all of an image is changed.
    """

    length: int = 0
    windows: Sequence[tuple[int, int]] = ()

    def pack(self, image: bytes) -> bytes:
        """The parts, one behind the other."""
        if not self.windows:
            return image
        return b"".join(image[at : at + size].ljust(size, b"\0") for at, size in self.windows)

    def unpack(self, data: bytes) -> bytearray:
        """The image of these parts."""
        if not self.windows:
            return bytearray(data)
        image, done = bytearray(self.length), 0
        for at, size in self.windows:
            part = data[done : done + size]
            image[at : at + len(part)] = part
            done += size
        return image


def _vhd_shape() -> Shape:
    length = len(vhd(4 * MIB, CONTENT))
    front = 2 * KIB
    return Shape(
        length, [(0, front), (front, 600), (front + 512 + 2 * MIB, 600), (length - 512, 512)]
    )


def _vhdx_shape() -> Shape:
    length = len(vhdx(4 * MIB, CONTENT))
    headers = [(0, 64), (64 * KIB, 96), (128 * KIB, 96), (192 * KIB, 96), (256 * KIB, 96)]
    sections = [(n * MIB, 4 * KIB) for n in range(1, length // MIB)]
    items = [(n * MIB + 64 * KIB, 128) for n in range(1, length // MIB)]
    return Shape(length, sorted(headers + sections + items))


_SHAPES: dict[Format, Callable[[], Shape]] = {Format.VHD: _vhd_shape, Format.VHDX: _vhdx_shape}


def shape(format_: Format) -> Shape:
    """What of the format's images is changed."""
    return _SHAPES.get(format_, Shape)()


def _qcow2() -> dict[str, bytes]:
    packed = craft_qcow2.deflated(b"packed" * 600)
    clusters: list[tuple[int, bytes | craft_qcow2.Packed | craft_qcow2.Sub]] = [
        (0, b"first"), (3, packed), (5, b"x" * 4096), (6, craft_qcow2.zstandard(b"z" * 4096)),
    ]  # fmt: skip
    sub = craft_qcow2.Sub(b"sub" * 5000, 0xFF)
    return {
        "v3": bytes(craft_qcow2.image(64 * KIB, clusters[:3], bits=12)),
        "v2": bytes(craft_qcow2.image(64 * KIB, clusters[:3], bits=12, version=2)),
        "zstd": bytes(
            craft_qcow2.image(
                64 * KIB, [clusters[0], clusters[3]], bits=12, compression=1, incompatible=8
            )
        ),
        "extended": bytes(craft_qcow2.image(64 * KIB, [(0, sub)], bits=14, extended=True)),
        "zeros": bytes(craft_qcow2.image(64 * KIB, clusters[:1], bits=12, entries={2: 1})),
    }


def _logged() -> bytes:
    """A VHDX that was not closed: two entries, of which the second one clears some of the table."""
    log = craft_vhdx.ring(
        (0, craft_vhdx.entry(1, [(craft_vhdx.TABLE_AT + 8 * KIB, 4 * KIB)])),
        (4 * KIB, craft_vhdx.entry(2, [(craft_vhdx.TABLE_AT + 4 * KIB, 4 * KIB)])),
    )
    headers = [craft_vhdx.header(2, log=craft_vhdx.LOG_GUID)] * 2
    blocks = dict.fromkeys(range(4), (craft_vhdx.PRESENT, b"block"))
    return bytes(craft_vhdx.image(4 * MIB, blocks, log=log, headers=headers))


def seeds(format_: Format) -> dict[str, bytes]:
    """Images of the format, packed, by name."""
    grain = zlib.compress(b"grain" * 13108)
    made: dict[Format, Callable[[], dict[str, bytes]]] = {
        Format.VMDK_STREAM: lambda: {
            "ours": vmdk(4 * MIB, CONTENT),
            "first": craft.tables_first(4096, [(0, grain), (256, grain)]),
        },
        Format.VMDK_SPARSE: lambda: {"ours": vmdk_sparse(4 * MIB, CONTENT[:1])},
        Format.VHD: lambda: {"ours": vhd(4 * MIB, CONTENT)},
        Format.VHD_FIXED: lambda: {"ours": vhd_fixed(64 * KIB, CONTENT[:1])},
        Format.VHDX: lambda: {"ours": vhdx(4 * MIB, CONTENT), "logged": _logged()},
        Format.QCOW2: _qcow2,
        Format.RAW: lambda: {"ours": bytes(8192)},
    }
    packing = shape(format_)
    return {name: packing.pack(image) for name, image in made[format_]().items()}
