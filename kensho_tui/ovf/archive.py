"""The members of an ``.ova``: a strict reader of tar archives, written for what an OVA may hold.

DSP0243 2.1.1 §5 asks for ustar. Regular files with flat names are members; PAX and GNU headers
are read for path and size only. Links, devices and sparse files are refused: nothing here is ever
written to disk, and no name can point anywhere.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from kensho_tui.ovf.errors import PackageError
from kensho_tui.ovf.members import Place, PlaceInput

BLOCK = 512
MAX_MEMBERS = 4096
MAX_HEADER_DATA = 1 << 20  # a PAX or GNU long-name record
_REFUSED = {
    b"1": "a hard link", b"2": "a symbolic link", b"3": "a device", b"4": "a device",
    b"6": "a named pipe", b"S": "a sparse file", b"M": "a part of a file", b"D": "a folder dump",
    b"V": "a volume label",
}  # fmt: skip
_BASE_256 = 0x80  # the first byte of a number that is not octal
_GET_AGAIN = "Get the package again"


@dataclass(frozen=True, slots=True)
class Member:
    """A regular file of the archive: its bytes lie at ``offset``, ``size`` of them.

    ``beyond``: its size is told in a way that ustar does not know.
    """

    name: str
    offset: int
    size: int
    beyond: bool = False


@dataclass(slots=True)
class _Pending:
    """What extended headers say of the next member."""

    path: str | None = None
    size: int | None = None
    refused: str = ""
    seen: set[str] = field(default_factory=set)


def members(place: Place, name: str) -> tuple[Member, ...]:
    """All members of the archive, in its order; their bytes are not read.

    Args:
        place: where the archive lies; members' offsets are those of it.
        name: how the operator knows it.

    Raises: PackageError: no tar, truncated, or with something in it that no OVA has.
    """
    with place.open(name) as file:
        return tuple(_Walk(file, name).members())


def looks_like_tar(header: bytes) -> bool:
    """Whether the first 512 bytes are a tar header."""
    return len(header) == BLOCK and _checksum_right(header)


class _Walk:
    """One pass over the headers of an archive."""

    def __init__(self, file: PlaceInput, subject: str) -> None:
        self.file = file
        self.subject = subject
        self.end = file.length
        self.found: dict[str, Member] = {}

    def fail(self, what: str, remedy: str = _GET_AGAIN, member: str = "") -> PackageError:
        subject = f"{self.subject}: {member}" if member else self.subject
        return PackageError(what, subject=subject, remedy=remedy)

    def members(self) -> Iterator[Member]:
        at, zeros, pending = 0, 0, _Pending()
        while zeros < 2:
            if at == self.end and (zeros or (self.found and pending == _Pending())):
                break  # one block of zeros at the very end, or none: sloppy, but no member is cut
            header = self.read(at, BLOCK)
            if len(header) < BLOCK:
                raise self.ended_early(at)
            at += BLOCK
            if header == bytes(BLOCK):
                if at == BLOCK:
                    raise self.ended_early(0)
                zeros += 1
                continue
            zeros = 0
            if not _checksum_right(header):
                if at == BLOCK:
                    raise self.fail(
                        "this is no OVA: it is not a tar archive", "Choose an .ova or .ovf file"
                    )
                raise self.fail(f"the archive is damaged at byte {at - BLOCK}")
            size = _number(header[124:136])
            if size is None:
                raise self.fail("a member's size cannot be read", member=_name(header))
            kind = header[156:157]
            if kind in b"xgLK" and kind:
                if size > MAX_HEADER_DATA:
                    raise self.fail("an extended header is too large")
                self.extend(pending, kind, self.exactly(at, size, "an extended header"))
                at += _padded(size)
                continue
            member = self.member(header, kind, at, size, pending)
            pending = _Pending()
            if member is None:
                at += _padded(size if kind in b"\x000" else 0)
                continue
            at += _padded(member.size)
            if _hidden(member.name):
                continue
            yield member

    def ended_early(self, at: int) -> PackageError:
        if not self.end:
            return self.fail("this is no OVA: the file is empty", "Choose an .ova or .ovf file")
        if at == 0 and self.end < BLOCK:
            return self.fail(
                f"this is no OVA: it has only {self.end} bytes",
                "Get the package again, or choose another file",
            )
        if at == 0:
            return self.fail(
                "this is no OVA: it is not a tar archive", "Choose an .ova or .ovf file"
            )
        return self.fail("the file ends before the archive does")

    def exactly(self, at: int, size: int, what: str) -> bytes:
        data = self.read(at, size)
        if len(data) < size:
            raise self.fail(f"the file ends in the middle of {what}")
        return data

    def read(self, at: int, size: int) -> bytes:
        data = bytearray(size)
        return bytes(data[: self.file.pread(at, data)])

    def extend(self, pending: _Pending, kind: bytes, data: bytes) -> None:
        if kind == b"L":
            pending.path = _text(data.rstrip(b"\0"))
        elif kind == b"K":
            pending.refused = "a link"
        elif kind == b"x":
            for key, value in self.pax(data):
                if key == "path":
                    pending.path = value
                elif key == "size":
                    if not (value.isascii() and value.isdigit() and len(value) <= 19):
                        raise self.fail("an extended header has a size that is no number")
                    pending.size = int(value)
                elif key.startswith("GNU.sparse"):
                    pending.refused = "a sparse file"

    def pax(self, data: bytes) -> Iterator[tuple[str, str]]:
        """The records of a PAX header: ``"<length> <key>=<value>\\n"``."""
        at = 0
        while at < len(data) and data[at] != 0:
            blank = data.find(b" ", at, at + 20)
            digits = data[at:blank] if blank > at else b""
            if not digits.isdigit():
                raise self.fail("an extended header cannot be read")
            end = at + int(digits)
            key, equals, value = data[blank + 1 : end - 1].partition(b"=")
            if end > len(data) or end <= blank + 1 or data[end - 1 : end] != b"\n" or not equals:
                raise self.fail("an extended header cannot be read")
            yield _text(key), _text(value)
            at = end

    def member(
        self, header: bytes, kind: bytes, at: int, size: int, pending: _Pending
    ) -> Member | None:
        """The member of this header; None for a folder."""
        name = pending.path if pending.path is not None else _name(header)
        name = name.removeprefix("./")
        refused = pending.refused or _REFUSED.get(kind, "")
        if refused:
            raise self.fail(
                f"the archive holds {refused}, which no OVA has", "Do not trust this package", name
            )
        if kind == b"5" or (kind in b"\x000" and name.endswith("/")):
            return None
        if kind not in (b"0", b"\0", b"7"):
            raise self.fail(f"the archive holds a member of unknown type {kind!r}", member=name)
        beyond = pending.size is not None or header[124] == _BASE_256
        size = size if pending.size is None else pending.size
        if _hidden(name):
            # macOS puts "._x" and "PaxHeader/x" beside members; nobody asks for them.
            self.must_hold(name, at, size)
            return Member(name, at, size)
        self.check_name(name)
        self.must_hold(name, at, size)
        if name in self.found:
            raise self.fail("the archive holds two members of this name", member=name)
        if len(self.found) >= MAX_MEMBERS:
            raise self.fail(f"the archive has more than {MAX_MEMBERS} members")
        self.found[name] = Member(name, at, size, beyond)
        return self.found[name]

    def must_hold(self, name: str, at: int, size: int) -> None:
        if at + size > self.end:
            raise self.fail(
                f"the file ends in the middle of member {name}: "
                f"{max(0, self.end - at)} of {size} bytes"
            )

    def check_name(self, name: str) -> None:
        if "/" in name or "\\" in name or name in {"", ".", ".."} or "\0" in name:
            raise self.fail(
                "the archive holds a member whose name is a path, which no OVA has",
                "Do not trust this package",
                name,
            )


def _hidden(name: str) -> bool:
    if "\\" in name or name.startswith("/") or ".." in name.split("/"):
        return False
    base = name.rpartition("/")[2]
    return base.startswith(".") or name.startswith(("PaxHeader", "__MACOSX/"))


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _name(header: bytes) -> str:
    """The name of a ustar header: prefix and name; GNU's header has no prefix."""
    name = _text(header[:100].partition(b"\0")[0])
    if header[257:263] == b"ustar\0":
        prefix = _text(header[345:500].partition(b"\0")[0])
        return f"{prefix}/{name}" if prefix else name
    return name


def _number(field_: bytes) -> int | None:
    """A number of a header: octal, or GNU's base-256 for what does not fit; None for neither."""
    if field_[0] == _BASE_256:
        value = int.from_bytes(field_[1:], "big")
        return value if value < 1 << 62 else None
    digits = field_.strip(b" \0")
    if not digits:
        return 0
    return int(digits, 8) if all(48 <= byte <= 55 for byte in digits) else None


def _checksum_right(header: bytes) -> bool:
    told = _number(header[148:156])
    if told is None or header == bytes(BLOCK):
        return False
    total = sum(header) - sum(header[148:156]) + 8 * 32
    # Very old writers summed signed bytes.
    signed = total - 256 * sum(
        1 for i, byte in enumerate(header) if byte > 127 and not 148 <= i < 156
    )
    return told in (total, signed)
