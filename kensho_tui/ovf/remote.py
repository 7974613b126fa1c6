"""Packages on a web server: read in place as those on a disk are; what is not asked for is not fetched.

An address leads to an ``.ova`` or an ``.ovf``; what that refers to is looked for beside it on the same server,
and never anywhere else.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from kensho_tui.cancel import Cancel
from kensho_tui.disks.image import InputStream
from kensho_tui.findings import Finding, Severity
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.errors import PackageError
from kensho_tui.ovf.members import Place, PlaceInput, SpooledPlace, unsafe
from kensho_tui.ovf.spool import Packed, Spool, spooled
from kensho_tui.web.address import beside, file_name, origin, parse, shown
from kensho_tui.web.client import NOBODY, Access, Web
from kensho_tui.web.errors import AbsentError
from kensho_tui.web.file import WebFile
from kensho_tui.web.stream import WebInput

_MOST_FILES = 1024  # each is a question to the server

Told = Callable[[str], None]


class _Held:
    """A file on a server; where that gives no parts of files, all of it once somebody has needed that."""

    def __init__(self, file: WebFile, cancel: Cancel | None, told: Told) -> None:
        self.file = file
        self._cancel = cancel
        self._told = told
        self.spool: Spool | None = None

    def whole(self, place: "WebPlace") -> SpooledPlace:
        """All of it, fetched. Raises: as of `spool.spooled`."""
        if self.spool is None:
            packed = Packed("", lambda: self.forward(self.file.name), self.file.size or 0)
            self.spool = spooled(
                place, self.file.name, [packed], cancel=self._cancel, told=self._told, doing="Fetching"
            )  # fmt: skip
        return SpooledPlace(place, self.spool, 0, self.spool.size)

    def forward(self, subject: str) -> InputStream:
        """All of it as it comes."""
        return WebInput(self.file, 0, self.file.size, subject=subject)


@dataclass(frozen=True, slots=True)
class WebPlace:
    """A range of a file on a web server; ``length`` None: all of one whose length is not told."""

    held: _Held = field(repr=False)
    offset: int
    length: int | None

    @property
    def size(self) -> int:
        """Bytes; where the server does not tell how many, it is fetched to know."""
        return self.held.whole(self).size if self.length is None else self.length

    @property
    def location(self) -> str:
        """The address, without a query."""
        return self.held.file.subject

    @property
    def seekable(self) -> bool:
        """Whether the server gives parts of files."""
        return self.held.file.ranges

    def open(self, subject: str, *, forward: bool = False) -> PlaceInput:
        """As `Place.open`; what cannot be had in parts is fetched first. Raises: as `spool.spooled` too."""
        file = self.held.file
        if file.ranges or (forward and not self.offset and self.length == file.size):
            return WebInput(file, self.offset, self.length, subject=subject)
        whole = self.held.whole(self)
        return whole.part(self.offset, self.size).open(subject)

    def part(self, offset: int, size: int) -> "WebPlace":
        """As `Place.part`."""
        return WebPlace(self.held, self.offset + offset, size)

    def stamp(self, *, fresh: bool = True) -> str:
        """What the server says by which the file is known again."""
        file = self.held.file
        return f"{file.name}\0{file.look_again() if fresh else file.stamp}"


@dataclass(frozen=True, slots=True)
class Remote:
    """A package on a web server.

    Attributes:
        url: its address, as `kensho_tui.web.address.parse` gives it.
        access: how the server is spoken to.
    """

    url: str
    access: Access = NOBODY

    @classmethod
    def at(cls, text: str, access: Access = NOBODY) -> "Remote":
        """Of the address. Raises: AddressError: it is none."""
        return cls(parse(text), access)

    def greet(self, cancel: Cancel | None = None) -> None:
        """See whether the server is there, is trusted, and knows who asks; not what it has.

        Raises: UnreachableError, UntrustedError, LoginError.
        """
        web = Web(self.access, cancel)
        try:
            web.get(self.url, {"Range": "bytes=0-0"}, shown(self.url)).close()
        finally:
            web.close()

    def look(self, cancel: Cancel | None, told: Told) -> "Found":
        """What is there. Raises: WebError: nothing, or it cannot be had."""
        web = Web(self.access, cancel)
        return Found(web, self.url, cancel, told)


class Found:
    """What an address leads to."""

    def __init__(self, web: Web, url: str, cancel: Cancel | None, told: Told) -> None:
        self._web = web
        self._url = url
        self._cancel = cancel
        self._told = told
        self._helds: list[_Held] = []
        self.name = file_name(url)
        self.place = self._at(url)

    def start(self, count: int) -> bytes:
        """Its first bytes."""
        buffer = bytearray(count)
        with self.place.open(self.name, forward=True) as stream:
            return bytes(buffer[: stream.readinto(buffer)])

    def _at(self, url: str) -> WebPlace:
        file = WebFile(self._web, url)
        self._helds.append(_Held(file, self._cancel, self._told))
        return WebPlace(self._helds[-1], 0, file.size)

    def _there(self, name: str) -> WebPlace | None:
        """The file of that name beside it, where there is one."""
        try:
            return self._at(beside(self._url, name))
        except AbsentError:
            return None

    def beside(self, envelope: Envelope) -> Mapping[str, Place]:
        """What the descriptor refers to, and manifest and certificate file, of those that are there.

        Raises: PackageError: too many. WebError.
        """
        found: dict[str, Place] = {}
        stem = self.name.rpartition(".")[0] or self.name
        wanted: dict[str, None] = dict.fromkeys((f"{stem}.mf", f"{stem}.cert"))
        for file in envelope.files:
            name = file.href.removeprefix("./")
            if unsafe(name) or unsafe(unquote(name)):
                continue  # a finding says so
            if file.chunk_size:
                self._chunks(found, name, file.size, file.chunk_size)
            else:
                wanted[unquote(name)] = None
        if len(wanted) + len(found) > _MOST_FILES:
            raise PackageError(
                f"the descriptor refers to more than {_MOST_FILES} files, each of which would be asked for",
                subject=self.name,
                remedy="Fetch the package by other means, and give its path",
            )
        for name in wanted:
            if name not in found and name != self.name:
                place = self._there(name)
                if place is not None:
                    found[name] = place
        return found

    def _chunks(self, found: dict[str, Place], name: str, size: int | None, chunk: int) -> None:
        """The chunks of a file (DSP0243 2.1.1 §7.1), as many as there are."""
        count = 0
        most = _MOST_FILES if size is None else -(-size // chunk)
        while count < most and len(found) <= _MOST_FILES:
            each = f"{unquote(name)}.{count:09d}"
            place = self._there(each)
            if place is None:
                break
            found[each] = place
            count += 1
        if not count and (place := self._there(unquote(name))):
            found[unquote(name)] = place

    def findings(self) -> list[Finding]:
        """What there is to say of how the bytes come."""
        said = []
        if origin(self._url)[0] == "http":
            said.append(Finding("source-unprotected", Severity.WARNING,
                "It comes without TLS: whoever is on the way can change it, and its manifest with it.",
                self.name, "Use https://, or ask for the signer (--signed-by)."))  # fmt: skip
        if any(not each.file.stamped for each in self._helds):
            said.append(Finding("source-unstamped", Severity.WARNING,
                "The server gives no mark (ETag, Last-Modified) by which it could be seen that the file"
                " was changed meanwhile: that is found out by the manifest alone, and an interrupted disk"
                " begins anew.", self.name))  # fmt: skip
        if any(not each.file.ranges for each in self._helds):
            said.append(Finding("source-without-ranges", Severity.INFO,
                "The server gives no parts of files: what cannot be read forward is fetched to a temporary"
                " file first, by each program that reads it; nothing stays there.", self.name,
                "Another folder can be named in KENSHO_SPOOL_DIR."))  # fmt: skip
        return said
