"""Whether the reference counts of a QCOW2 are what its tables name: reading needs none, writing does.

Specification: QEMU's "docs/interop/qcow2.txt", "Host cluster management", "Snapshots", "Bitmaps".
"""

import struct
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from kensho_tui.cancel import Cancel
from kensho_tui.disks.forward import fetch
from kensho_tui.disks.image import DAMAGED, SECTOR, ImageError, InputStream
from kensho_tui.disks.numbers import numbers
from kensho_tui.disks.qcow2_structs import COMPRESSED, COPIED, ENTRY, PLACE, Fetch, Header

_WINDOW = 1 << 23  # clusters that are counted at once: three bytes of memory each
_STRIDE = 1 << 12  # entries that are looked at, and compared, at once
_MOST = 255  # counts are told apart up to here
_REPAIR = "Nothing of it is read wrongly; before anything writes to it: qemu-img check -r all"

# What a cluster is used for. Tables may be shared by snapshots, and so may data.
_META, _TABLE, _DATA = 1, 2, 4
_OVER = 8  # used for things that cannot share it

# Of the disk and all its snapshots: at 64 KiB a cluster, two pebibytes.
_MOST_TABLES = 1 << 22

_BITMAP = struct.Struct(">QIIBBHI")
_MOST_BITMAPS = 65535

Report = Callable[[ImageError], None]


def check_counts(stream: InputStream, report: Report, cancel: Cancel) -> int:
    """Compare all counts with all that the tables name, those of snapshots too.

    Args:
        stream: a QCOW2 whose tables were found to be right.
        report: told each thing that is wrong: counts that are too low, clusters that are used for two
            things, marks in tables that contradict the counts.
        cancel: ends it.

    Returns: bytes that are counted more often than they are named: lost, and in nobody's way.

    Raises: ImageError: a table that is needed for it cannot be read. CancelledError.
    """
    length = stream.length or 0
    read = partial(fetch, stream)
    header = Header.read(read, length)
    leaked = 0
    for low in range(0, max(1, -(-length // header.cluster)), _WINDOW):
        window = _Window(header, read, length, low, cancel, report if not low else _nobody)
        leaked += window.compare(report)
    return leaked * header.cluster


def _nobody(_: ImageError) -> None:
    """It was told in the first window."""


class _Window:
    """Some clusters of the file: how often they are named, for what, and what their counts say."""

    def __init__(
        self,
        header: Header,
        read: Fetch,
        length: int,
        low: int,
        cancel: Cancel,
        outside: Report,
    ) -> None:
        self._header = header
        self._read = read
        self._cancel = cancel
        self._cluster = header.cluster
        self._clusters = -(-length // self._cluster)
        self._low = low
        size = min(_WINDOW, self._clusters - low)
        self._named = bytearray(size)
        self._kinds = bytearray(size)
        self._outside = outside
        self._wrong: list[str] = []
        self._walked = 0
        self._counts = self._stored(size)

    # ------------------------------------------------------------------------------ what is counted
    def _blocks(self) -> "array[int]":
        header = self._header
        size = header.refcount_clusters * self._cluster
        return numbers(self._read(header.refcount_offset, size, "the refcount table"), "Q", "big")

    def _stored(self, size: int) -> bytearray:
        """The counts of the window's clusters, no more than `_MOST`."""
        per = self._cluster * 8 >> self._header.order
        counts = bytearray()
        table = self._blocks() if self._header.refcount_clusters else array("Q")
        for number in range(self._low // per, -(-(self._low + size) // per)):
            place = table[number] & PLACE if number < len(table) else 0
            if place % self._cluster or place + self._cluster > self._clusters * self._cluster:
                self._told(f"block {number} of reference counts lies where none can (byte {place})")
                place = 0
            found = bytes(per)
            if place:
                block = self._read(place, self._cluster, f"refcount block {number}")
                found = _counts(bytes(block), self._header.order)
            counts += found
        start = self._low % per
        return counts[start : start + size]

    def _told(self, what: str, remedy: str = _REPAIR) -> None:
        self._outside(ImageError(f"the QCOW2's {what}", remedy=remedy))

    # -------------------------------------------------------------------------------- what is named
    def _walk(self) -> None:
        header = self._header
        self._name(0, self._cluster, _META)
        self._name(header.refcount_offset, header.refcount_clusters * self._cluster, _META)
        if header.refcount_clusters:
            for place in self._blocks():
                self._name(place & PLACE, self._cluster if place & PLACE else 0, _META)
        self._name(header.l1_offset, header.l1_entries * ENTRY, _META)
        self._tables(header.l1_offset, header.l1_entries, active=True)
        snapshots, end = header.snapshot_tables(self._read, self._clusters * self._cluster)
        self._name(header.snapshots_offset, end - header.snapshots_offset, _META)
        for offset, entries in snapshots:
            self._name(offset, entries * ENTRY, _META)
            self._tables(offset, entries, active=False)
        self._bitmaps()

    def _name(self, place: int, size: int, kind: int) -> None:
        """Something uses those bytes of the file."""
        if not size:
            return
        first, last = place // self._cluster, (place + size - 1) // self._cluster
        if last >= self._clusters:
            self._told(f"tables name byte {place + size - 1}, behind the end of the file")
        low, high = max(0, first - self._low), min(last + 1 - self._low, len(self._named))
        if low >= high:
            return
        if high - low > 1 and self._named.count(0, low, high) == high - low:
            self._named[low:high] = b"\1" * (high - low)
            self._kinds[low:high] = bytes((kind,)) * (high - low)
            return
        for index in range(low, high):
            if self._named[index] < _MOST:
                self._named[index] += 1
            both = kind | self._kinds[index]
            if self._kinds[index] and both & ~_DATA and both != _TABLE:
                both |= _OVER
            self._kinds[index] = both

    def _tables(self, offset: int, count: int, *, active: bool) -> None:
        """An L1 table, the L2 tables that it names, and what those name."""
        words = self._header.entry // ENTRY
        per = self._header.entries * words
        for first in range(0, count, _STRIDE):
            size = min(_STRIDE, count - first)
            found = self._read(offset + first * ENTRY, size * ENTRY, "an L1 table")
            for number, entry in enumerate(numbers(found, "Q", "big"), first):
                place = entry & PLACE
                if not place:
                    continue
                self._cancel.check()
                self._walked += 1
                if self._walked > _MOST_TABLES:
                    raise ImageError(
                        "the QCOW2's L1 tables name more L2 tables than are counted", remedy=DAMAGED
                    )
                self._name(place, self._cluster, _TABLE)
                if active:
                    self._marked(f"L1 entry {number}", entry, place, 1)
                if place % self._cluster or place + self._cluster > self._clusters * self._cluster:
                    self._told(f"L1 entry {number} is no place of an L2 table ({entry:#x})")
                    continue
                table = numbers(self._read(place, per * ENTRY, "an L2 table"), "Q", "big")
                for start in range(0, per, _STRIDE):
                    entries = table[start : start + _STRIDE : words]
                    self._entries(entries, number * per // words + start // words, active)

    def _entries(self, entries: "array[int]", first: int, active: bool) -> None:
        """Entries of an L2 table, of the guest's clusters from ``first`` on."""
        count, start = len(entries), entries[0]
        if entries.count(start) == count and not start & (PLACE | COMPRESSED):
            return
        end = start + count * self._cluster
        plain = not start & (COMPRESSED | 1) and start & PLACE
        if plain and entries == array("Q", range(start, end, self._cluster)):
            self._name(start & PLACE, count * self._cluster, _DATA)
            if active:
                self._marked(f"cluster {first}", start, start & PLACE, count)
            return
        for number, entry in enumerate(entries, first):
            if entry & COMPRESSED:
                self._packed(number, entry, active)
            elif place := entry & PLACE:
                self._name(place, self._cluster, _DATA)
                if active:
                    self._marked(f"cluster {number}", entry, place, 1)

    def _packed(self, number: int, entry: int, active: bool) -> None:
        bits = self._header.cluster_bits
        shift = 62 - (bits - 8)
        place = entry & (1 << shift) - 1
        sectors = (entry >> shift & (1 << bits - 8) - 1) + 1
        # Sectors are counted from the one it begins in; the last may end behind the file.
        end = min(place // SECTOR * SECTOR + sectors * SECTOR, self._clusters * self._cluster)
        self._name(place, max(1, end - place), _DATA)
        if active and entry & COPIED:
            self._told(f"cluster {number} is compressed, and marked as one to be written over")

    def _marked(self, what: str, entry: int, place: int, count: int) -> None:
        """The mark says that nobody else uses it: that the count is one."""
        low = max(0, place // self._cluster - self._low)
        high = min(place // self._cluster - self._low + count, len(self._counts))
        if low >= high:
            return
        ones = self._counts.count(1, low, high)
        if ones != (high - low if entry & COPIED else 0):
            said = "only its own" if entry & COPIED else "used by others too"
            self._wrong.append(
                f"{what}, or one that follows it, is marked as {said}, against its reference count"
            )

    def _bitmaps(self) -> None:
        """Bitmaps of what a guest has changed, where the file has some that are kept up."""
        area = self._header.bitmaps
        if area is None:
            return
        offset, size, count = area
        if count > _MOST_BITMAPS or offset + size > self._clusters * self._cluster:
            self._told("directory of bitmaps lies outside the file")
            return
        self._name(offset, size, _META)
        at = offset
        for _ in range(count):
            if at + _BITMAP.size > offset + size:
                self._told("directory of bitmaps ends too early")
                return
            place, entries, _, _, _, name, extra = _BITMAP.unpack(
                self._read(at, _BITMAP.size, "the directory of bitmaps")
            )
            at += -(-(_BITMAP.size + extra + name) // 8) * 8
            self._name(place, entries * ENTRY, _META)
            if place + entries * ENTRY > self._clusters * self._cluster:
                continue
            for first in range(0, entries, _STRIDE):
                some = min(_STRIDE, entries - first) * ENTRY
                for entry in numbers(
                    self._read(place + first * ENTRY, some, "a bitmap"), "Q", "big"
                ):
                    self._name(entry & PLACE, self._cluster if entry & PLACE else 0, _META)

    # --------------------------------------------------------------------------------- the verdict
    def compare(self, report: Report) -> int:
        """Tell what is wrong of the window's clusters, and give how many are counted too often."""
        self._walk()
        leaked = 0
        for start in range(0, len(self._named), _STRIDE):
            end = start + _STRIDE
            named, counts = self._named[start:end], self._counts[start:end]
            if any(kind & _OVER for kind in set(self._kinds[start:end])) or named != counts:
                leaked += self._differing(start, named, counts, report)
        for each in self._wrong:
            report(ImageError(f"the QCOW2's {each}", remedy=_REPAIR))
        return leaked

    def _differing(self, start: int, named: bytearray, counts: bytearray, report: Report) -> int:
        leaked = 0
        found = (
            _Found(uses, count, bool(self._kinds[start + index] & _OVER))
            for index, (uses, count) in enumerate(zip(named, counts, strict=True))
        )
        at = self._low + start
        for each, group in groupby(found):
            many = sum(1 for _ in group)
            place = f"byte {at * self._cluster}" + (f", {many} clusters" if many > 1 else "")
            if each.over:
                report(
                    ImageError(
                        f"the QCOW2's cluster {at} is used for two things at once ({place})",
                        remedy="What is written to one of them damages the other: copy the disk to a"
                        " new file, and look whether its content is right",
                    )
                )
            elif each.count < each.uses:
                counted = f"counted {each.count} times" if each.count else "not counted at all"
                report(
                    ImageError(
                        f"the QCOW2's cluster {at} is named {each.uses} times and {counted} ({place})",
                        remedy=_REPAIR,
                    )
                )
            if each.count > each.uses:
                leaked += many
            at += many
        return leaked


@dataclass(frozen=True, slots=True)
class _Found:
    uses: int
    count: int
    over: bool


def _counts(block: bytes, order: int) -> bytes:
    """The counts of one block, a byte each and no more than `_MOST`."""
    if order >= 3:
        width = 1 << order - 3
        low = block[width - 1 :: width]
        if width == 1 or not any(block[n::width].strip(b"\0") for n in range(width - 1)):
            return low
        return bytes(
            min(_MOST, int.from_bytes(block[at : at + width], "big"))
            for at in range(0, len(block), width)
        )
    bits, mask = 1 << order, (1 << (1 << order)) - 1
    spread = [bytes(byte >> at & mask for at in range(0, 8, bits)) for byte in range(256)]
    return b"".join(map(spread.__getitem__, block))
