"""What stands before the blocks of a VHDX, read and checked: headers, log, regions, metadata, table.

Specification: [MS-VHDX] 2.1 to 2.6.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from kensho_tui.disks.image import InputStream
from kensho_tui.disks.vhdx_log import Replayed
from kensho_tui.disks.vhdx_metadata import Metadata
from kensho_tui.disks.vhdx_metadata import read as read_metadata
from kensho_tui.disks.vhdx_structs import (
    BAT,
    HEADER_BYTES,
    HEADERS_AT,
    METADATA,
    NIL,
    SIGNATURE,
    TABLE_BYTES,
    TABLES_AT,
    Fetch,
    Header,
    Region,
    check_places,
    current,
    damaged,
    log_region,
    parse_regions,
    regions,
)
from kensho_tui.disks.vhdx_table import Table


@dataclass(frozen=True, slots=True)
class Front:
    """What is known before the first block.

    Attributes:
        reserved: where the tables and the log are.
    """

    metadata: Metadata
    table: Table
    reserved: Sequence[Region]


def read_header(fetch: Fetch, length: int | None) -> Header:
    """The header that counts; its log lies inside the file.

    Raises: ImageError: the file is no VHDX, or no header is valid.
    """
    start = bytearray(len(SIGNATURE))
    fetch(0, start, "the file identifier")
    if start != SIGNATURE:
        raise damaged("the VHDX has no file identifier")
    found = []
    for at in HEADERS_AT:
        data = bytearray(HEADER_BYTES)
        fetch(at, data, "a header")
        found.append(Header.parse(data))
    header = current(found)
    if header.log != NIL or header.log_length:
        check_places([log_region(header)], length)
    return header


def replayed(stream: InputStream, fetch: Fetch, header: Header) -> InputStream:
    """The file as its log wants it to be; the stream itself where there is nothing to replay."""
    return stream if header.log == NIL else Replayed(stream, fetch, header)


def read_front(fetch: Fetch, header: Header, length: int | None) -> Front:
    """Regions, metadata and the place of the block table. Raises: ImageError."""
    tables = []
    for at in TABLES_AT:
        data = bytearray(TABLE_BYTES)
        fetch(at, data, "a region table")
        tables.append(parse_regions(data))
    reserved = regions(tables, log_region(header), length)
    known = {each.guid: each for each in reserved}
    metadata = read_metadata(fetch, known[METADATA])
    return Front(metadata, Table(fetch, known[BAT], metadata), reserved)
