"""One file on a web server: how long it is, by what it is known again, and its bytes from any place on.

RFC 9110: ranges (14), validators (8.8), preconditions (13).
"""

import re
import threading
import uuid
from collections import OrderedDict

from kensho_tui.web.address import file_name, shown
from kensho_tui.web.client import Answer, Web, expect
from kensho_tui.web.errors import ChangedError, UnreachableError, WebError

HEAD = 64 << 10  # bytes that the first question asks for: mostly the whole descriptor
_WINDOW = 8 << 10  # smaller pieces than this are asked for in pieces of this, and kept
_WINDOWS = 128
_TRIES = 5  # in a row without a byte, before a stream is given up
_PIECE = 1 << 18
_RANGE = re.compile(r"bytes\s+(\d+)-(\d+)/(\d+|\*)", re.IGNORECASE)
_EMPTY = re.compile(r"bytes\s+\*/(\d+)", re.IGNORECASE)


class WebFile:
    """A file as it was when it was first looked at: what is read later is of the same one, or an error.

    Attributes:
        url: its address.
        name: its name.
        subject: how people are told of it.
        size: its bytes; None where the server does not tell.
        ranges: whether the server gives parts of it.
        stamped: whether the server says by what it is known again (ETag, Last-Modified).
    """

    def __init__(self, web: Web, url: str, *, first: int = HEAD) -> None:
        """Look at it, asking for its first bytes. Raises: what `Web.get` and `expect` raise."""
        self.web = web
        self.url = url
        self.name = file_name(url)
        self.subject = shown(url)
        self._lock = threading.Lock()
        self._windows: OrderedDict[int, bytes] = OrderedDict()
        self._nonce = uuid.uuid4().hex
        answer = web.get(url, {"Range": f"bytes=0-{first - 1}"}, self.subject)
        expect(answer, self.subject, also=(416,))
        # The address it has after redirections is good for a while, and not for hours.
        self._at = answer.url
        self._tag = answer.header("ETag")
        self._modified = answer.header("Last-Modified")
        self.size: int | None
        self.ranges = answer.status == 206
        if answer.status == 416:
            found = _EMPTY.fullmatch(answer.header("Content-Range"))
            answer.close()
            if found is None or int(found[1]):
                raise WebError("the server gives none of it (HTTP 416)", subject=self.subject)
            self.size, self._head = 0, b""
            return
        try:
            self._encoded(answer)
            if self.ranges:
                start, end, total = self._told(answer)
                if start or (total is not None and end >= total):
                    raise self._other_bytes(answer)
                self.size = total
                self._head = _exactly(answer, end + 1)
                if len(self._head) != end + 1:
                    raise UnreachableError("the server ended it too early", subject=self.subject)
                # A server that does not say how long it is cannot be asked for its end.
                self.ranges = total is not None
            else:
                told = answer.header("Content-Length")
                self.size = int(told) if told.isascii() and told.isdigit() else None
                self._head = _exactly(answer, first if self.size is None else min(first, self.size))
        finally:
            answer.close()
        if self.size == len(self._head):
            self.ranges = True  # there is no more of it to ask for

    # ------------------------------------------------------------------------------ identity
    @property
    def stamped(self) -> bool:
        return bool(self._tag or self._modified)

    @property
    def stamp(self) -> str:
        """What the server says the file is; not its name alone tells one from another."""
        return f"{self._tag or self._modified}:{self.size}"

    @property
    def identity(self) -> str:
        """Changes when the file does. One that the server gives no mark of is known again by nobody."""
        return f"{self.url} {self.stamp}{'' if self.stamped else self._nonce}"

    def look_again(self) -> str:
        """Its `stamp` now. Raises: what looking at it raises."""
        return WebFile(self.web, self.url, first=1).stamp

    def _conditions(self) -> dict[str, str]:
        """So that the server refuses to give parts of another file (RFC 9110 13.1)."""
        if self._tag and not self._tag.startswith("W/"):
            return {"If-Match": self._tag, "If-Range": self._tag}
        return {"If-Unmodified-Since": self._modified} if self._modified else {}

    def _expect_same(self, answer: Answer) -> None:
        tag, modified = answer.header("ETag"), answer.header("Last-Modified")
        if (self._tag and tag != self._tag) or (not self._tag and modified != self._modified):
            raise self.changed()

    def changed(self) -> ChangedError:
        """The error of a file that is not what it was."""
        return ChangedError(
            "the file was changed on the server while it was read",
            subject=self.subject,
            remedy="Leave the file alone while it is read, then start again",
        )

    def _encoded(self, answer: Answer) -> None:
        if answer.header("Content-Encoding").lower() not in {"", "identity"}:
            raise WebError(
                f"the server sends it as '{answer.header('Content-Encoding')}', which was not asked for",
                subject=self.subject,
                remedy="Have the server send the file as it is",
            )

    def _told(self, answer: Answer) -> tuple[int, int, int | None]:
        found = _RANGE.fullmatch(answer.header("Content-Range"))
        if found is None or int(found[2]) < int(found[1]):
            raise self._other_bytes(answer)
        return int(found[1]), int(found[2]), None if found[3] == "*" else int(found[3])

    def _other_bytes(self, answer: Answer) -> WebError:
        return WebError(
            "the server sends other bytes than were asked for"
            f" (Content-Range '{answer.header('Content-Range')[:60]}')",
            subject=self.subject,
            remedy="Fetch the file by other means, and give its path",
        )

    # --------------------------------------------------------------------------------- bytes
    def begin(self, web: Web, start: int, end: int | None) -> Answer:
        """The answer whose body is the bytes from ``start`` up to ``end`` (None: all there is).

        Raises: ChangedError: it is another file by now. UnreachableError: it gives no parts, and ``start``
            is not its beginning. Others: as of `Web.get`, `expect`.
        """
        if not self.ranges and start:
            raise UnreachableError(
                "the connection was lost, and the server gives no parts of files: it would have to"
                " begin anew",
                subject=self.subject,
                remedy="Try again",
            )
        asked = dict(self._conditions())
        if self.ranges and end is not None:
            asked["Range"] = f"bytes={start}-{end - 1}"
        else:
            asked.pop("If-Range", None)
        answer = web.get(self._at, asked, self.subject)
        if answer.status in (401, 403, 404, 410) and self._at != self.url:
            answer.close()
            answer = web.get(self.url, asked, self.subject)
            self._at = answer.url
        if answer.status in (412, 416):
            answer.close()
            raise self.changed()
        expect(answer, self.subject)
        try:
            self._encoded(answer)
            self._expect_same(answer)
            if "Range" not in asked:
                return answer
            if answer.status != 206:
                raise self.changed()
            first, last, total = self._told(answer)
            if total is not None and total != self.size:
                raise self.changed()
            if (first, last + 1) != (start, end):
                raise self._other_bytes(answer)
        except BaseException:
            answer.close()
            raise
        return answer

    def held(self, offset: int, view: memoryview) -> bool:
        """Fill it from the first bytes of the file, which are here; whether it lies in them."""
        end = offset + len(view)
        if end > len(self._head):
            return False
        view[:] = self._head[offset:end]
        return True

    def small(self, offset: int, view: memoryview) -> bool:
        """Fill it where it is small, asking for a little more than that; whether it is."""
        end = offset + len(view)
        if not self.ranges or len(view) > _WINDOW:
            return False
        at = offset
        while at < end:
            number, inside = divmod(at, _WINDOW)
            part = self._window(number)[inside : inside + end - at]
            view[at - offset : at - offset + len(part)] = part
            at += len(part)
        return True

    def _window(self, number: int) -> bytes:
        with self._lock:
            if number in self._windows:
                self._windows.move_to_end(number)
                return self._windows[number]
        start = number * _WINDOW
        buffer = bytearray(min(_WINDOW, (self.size or 0) - start))
        with Body(self, self.web, start, start + len(buffer)) as body:
            body.fill(memoryview(buffer))
        with self._lock:
            self._windows[number] = bytes(buffer)
            while len(self._windows) > _WINDOWS:
                self._windows.popitem(last=False)
        return bytes(buffer)


class Body:
    """Bytes of a file from one place to another, by one answer, or several where a connection breaks."""

    def __init__(self, file: WebFile, web: Web, start: int, end: int | None) -> None:
        self._file = file
        self._web = web
        self.at = start
        self._end = end
        self._answer: Answer | None = None

    def read(self, count: int) -> bytes:
        """Some bytes, at most so many; b"" at the end.

        Raises: UnreachableError: broken, however often it was tried. ChangedError, CancelledError.
        """
        left = count if self._end is None else min(count, self._end - self.at)
        failed = 0
        while left:
            try:
                if self._answer is None:
                    self._answer = self._file.begin(self._web, self.at, self._end)
                data = self._answer.read(left)
                if data:
                    self.at += len(data)
                    if self.at == self._end:
                        self._answer.done()
                        self._answer = None
                    return data
                if self._end is None:
                    return b""
                raise UnreachableError(
                    "the server ended the file too early", subject=self._file.subject
                )
            except UnreachableError:
                self.close()
                failed += 1
                if failed == _TRIES or not self._file.ranges:
                    raise
            self._web.pause(failed)
        return b""

    def fill(self, view: memoryview) -> int:
        """Fill it; fewer bytes only at the end."""
        done = 0
        while done < len(view) and (data := self.read(min(_PIECE, len(view) - done))):
            view[done : done + len(data)] = data
            done += len(data)
        return done

    def close(self) -> None:
        if self._answer is not None:
            self._answer.close()
            self._answer = None

    def __enter__(self) -> "Body":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _exactly(answer: Answer, count: int) -> bytes:
    """So many bytes of the body; fewer where it ends before."""
    found = bytearray()
    while len(found) < count and (data := answer.read(count - len(found))):
        found += data
    return bytes(found)
