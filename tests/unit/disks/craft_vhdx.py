"""VHDX files built by hand, byte by byte after the specification, so that each part can be made wrong."""

import struct
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from crc32c import crc32c

KIB, MIB = 1 << 10, 1 << 20
NIL = UUID(int=0)
BAT = UUID("2DC27766-F623-4200-9D64-115E9BFD4A08")
METADATA = UUID("8B7CA206-4790-4B9A-B8FE-575F050F886E")
PARAMETERS = UUID("CAA16737-FA36-4D43-B3B6-33F0AA44E76B")
SIZE = UUID("2FA54224-CD1B-4876-B211-5DBED83BF4B8")
IDENTITY = UUID("BECA12AB-B2E6-4523-93EF-C309E000C746")
LOGICAL = UUID("8141BF1D-A96F-4709-BA47-F233A8FAAB5F")
PHYSICAL = UUID("CDA348C7-445D-4471-9CC9-E9885251C556")
LOCATOR = UUID("A8D35F2D-B30B-454D-ABF7-D3D84834AB0C")
VHDX_PARENT = UUID("B04AEFB7-D19E-4A81-B789-25B8E9445913")
STRANGE = UUID("11111111-2222-3333-4444-555555555555")
WRITTEN = UUID("00000000-0000-0000-0000-0000000000aa")  # DataWriteGuid, unless another is asked for
LOG_GUID = UUID("00000000-0000-0000-0000-0000000000bb")

LOG_AT, METADATA_AT, TABLE_AT, BLOCKS_AT = MIB, 2 * MIB, 3 * MIB, 4 * MIB
ABSENT, UNDEFINED, ZERO, UNMAPPED, PRESENT, PARTIAL = 0, 1, 2, 3, 6, 7

Item = tuple[UUID, bytes, int]
Entry = tuple[UUID, int, int, int]


def summed(data: bytes, length: int) -> bytes:
    """Padded to the length, the checksum in its second four bytes."""
    whole = bytearray(data.ljust(length, b"\0"))
    whole[4:8] = bytes(4)
    struct.pack_into("<I", whole, 4, crc32c(whole))
    return bytes(whole)


def header(
    sequence: int,
    *,
    written: UUID = WRITTEN,
    log: UUID = NIL,
    log_version: int = 0,
    version: int = 1,
    log_at: int = LOG_AT,
    log_length: int = MIB,
) -> bytes:
    """A header, 4 KiB."""
    return summed(
        struct.pack(
            "<4sIQ16s16s16sHHIQ", b"head", 0, sequence, STRANGE.bytes_le, written.bytes_le,
            log.bytes_le, log_version, version, log_length, log_at,
        ),
        4 * KIB,
    )  # fmt: skip


def regions(entries: Sequence[Entry], count: int | None = None) -> bytes:
    """A region table, 64 KiB: GUID, offset, length and whether it is required."""
    data = struct.pack("<4sIII", b"regi", 0, len(entries) if count is None else count, 0)
    for guid, offset, length, required in entries:
        data += struct.pack("<16sQII", guid.bytes_le, offset, length, required)
    return summed(data, 64 * KIB)


REGIONS: list[Entry] = [(BAT, TABLE_AT, MIB, 1), (METADATA, METADATA_AT, MIB, 1)]


def items(
    capacity: int,
    *,
    block: int = MIB,
    sector: int = 512,
    physical: int = 4096,
    flags: int = 0,
    locator: bytes | None = None,
) -> list[Item]:
    """The metadata items every file has: GUID, content, flags."""
    found = [
        (PARAMETERS, struct.pack("<II", block, flags), 4),
        (SIZE, struct.pack("<Q", capacity), 6),
        (IDENTITY, STRANGE.bytes_le, 6),
        (LOGICAL, struct.pack("<I", sector), 6),
        (PHYSICAL, struct.pack("<I", physical), 6),
    ]
    return found if locator is None else [*found, (LOCATOR, locator, 4)]


def metadata(found: Sequence[Item], count: int | None = None) -> bytes:
    """The metadata region, 1 MiB."""
    table = struct.pack("<8sHH20s", b"metadata", 0, len(found) if count is None else count, b"")
    body = b""
    for guid, data, flags in found:
        at = 64 * KIB + len(body) if data else 0
        table += struct.pack("<16sIIII", guid.bytes_le, at, len(data), flags, 0)
        body += data
    return (table.ljust(64 * KIB, b"\0") + body).ljust(MIB, b"\0")


def locator(
    pairs: Mapping[str, str] | None = None, *, kind: UUID = VHDX_PARENT, linkage: UUID = WRITTEN
) -> bytes:
    """A parent locator."""
    words = pairs if pairs is not None else {
        "parent_linkage": f"{{{linkage}}}",
        "relative_path": "..\\base\\parent.vhdx",
        "absolute_win32_path": "\\\\?\\c:\\base\\parent.vhdx",
    }  # fmt: skip
    texts = b""
    table = struct.pack("<16sHH", kind.bytes_le, 0, len(words))
    start = len(table) + 12 * len(words)
    for key, value in words.items():
        k, v = key.encode("utf-16-le"), value.encode("utf-16-le")
        at = start + len(texts)
        table += struct.pack("<IIHH", at, at + len(k), len(k), len(v))
        texts += k + v
    return table + texts


def index(number: int, block: int = MIB, sector: int = 512) -> int:
    """Where in the table a block's entry stands."""
    return number + number // ((1 << 23) * sector // block)


def front(
    table: bytes,
    found: Sequence[Item],
    *,
    headers: Sequence[bytes] | None = None,
    tables: Sequence[bytes] | None = None,
    log: bytes = b"",
) -> bytearray:
    """All that stands before the blocks: the tables are of 1 MiB each."""
    data = bytearray(BLOCKS_AT)
    data[:22] = b"vhdxfile" + "by hand".encode("utf-16-le")
    first = headers or [header(1), header(2)]
    for at, part in (
        (64 * KIB, first[0]),
        (128 * KIB, first[1]),
        (192 * KIB, (tables or [regions(REGIONS)] * 2)[0]),
        (256 * KIB, (tables or [regions(REGIONS)] * 2)[1]),
        (LOG_AT, log),
        (METADATA_AT, metadata(found)),
        (TABLE_AT, table),
    ):
        data[at : at + len(part)] = part
    return data


def image(
    capacity: int,
    blocks: Mapping[int, tuple[int, bytes | None]],
    *,
    block: int = MIB,
    sector: int = 512,
    bitmaps: Mapping[int, bytes] | None = None,
    found: Sequence[Item] | None = None,
    headers: Sequence[bytes] | None = None,
    tables: Sequence[bytes] | None = None,
    log: bytes = b"",
) -> bytearray:
    """A VHDX whose blocks stand in the order they are given.

    Args:
        capacity: bytes of the disk.
        blocks: by number: state, and content where there is any.
        bitmaps: by chunk: the sector bitmaps of a differencing disk.
        found: its metadata, where that is not the plain one.
        headers, tables: both copies, where they are not the right ones.
        log: its bytes.
    """
    table = bytearray(MIB)
    body = bytearray()
    for number, (state, content) in blocks.items():
        entry = state
        if content is not None:
            entry |= BLOCKS_AT + len(body)
            body += content.ljust(block, b"\0")
        struct.pack_into("<Q", table, 8 * index(number, block, sector), entry)
    for chunk, bits in (bitmaps or {}).items():
        ratio = (1 << 23) * sector // block
        place = 8 * ((chunk + 1) * (ratio + 1) - 1)
        struct.pack_into("<Q", table, place, PRESENT | (BLOCKS_AT + len(body)))
        body += bits.ljust(MIB, b"\0")
    plain = items(capacity, block=block, sector=sector)
    start = front(bytes(table), found or plain, headers=headers, tables=tables, log=log)
    return start + body


# ------------------------------------------------------------------------------------------- the log
Write = tuple[int, bytes | int]


def entry(
    sequence: int,
    writes: Iterable[Write] = (),
    *,
    tail: int = 0,
    guid: UUID = LOG_GUID,
    flushed: int = 0,
    last: int = 0,
    slack: int = 0,
) -> bytes:
    """A log entry: each write is a file offset, and 4 KiB of bytes or a number of zeros.

    ``slack``: bytes more than it needs.
    """
    descriptors, data = b"", b""
    count = 0
    for place, what in writes:
        count += 1
        if isinstance(what, int):
            descriptors += struct.pack("<4sIQQQ", b"zero", 0, what, place, sequence)
            continue
        assert len(what) == 4 * KIB
        descriptors += struct.pack("<4s4s8sQQ", b"desc", what[-4:], what[:8], place, sequence)
        high, low = sequence >> 32, sequence & 0xFFFFFFFF
        data += struct.pack("<4sI", b"data", high) + what[8:-4] + struct.pack("<I", low)
    front = 64 + len(descriptors)
    front += -front % (4 * KIB)
    length = front + len(data) + slack
    head = struct.pack(
        "<4sIIIQII16sQQ", b"loge", 0, length, tail, sequence, count, 0, guid.bytes_le, flushed, last
    )
    return summed((head + descriptors).ljust(front, b"\0") + data, length)


def ring(*placed: tuple[int, bytes], length: int = MIB) -> bytes:
    """A log with entries at their offsets; what goes over its end goes on at its start."""
    data = bytearray(length)
    for at, part in placed:
        first = part[: length - at]
        data[at : at + len(first)] = first
        data[: len(part) - len(first)] = part[len(first) :]
    return bytes(data)
