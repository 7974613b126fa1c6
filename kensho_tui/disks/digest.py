"""Digests of whole streams, computed beside the work that reads or writes them.

The digest a manifest promises covers every byte of a member in order, but a disk image is read by
several threads, footer first, and not everywhere. Hashing therefore has a thread of its own that
takes what others have read where it can, and reads for itself what nobody else reads.
"""

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence

from kensho_tui.disks.image import Buffer, ExtentMap, InputStream, WritableBuffer
from kensho_tui.errors import KenshoError

ALGORITHMS = ("sha1", "sha256", "sha512")
HELD = 6 << 20  # bytes that wait to be hashed, at most
AHEAD = 64 << 20  # what was read further ahead than this is read again when its turn comes
SMALL_GAP = 1 << 18  # a gap that nobody is reading is closed at once when it is not larger
CHUNK = 1 << 20
_ZEROS = bytes(CHUNK)


class _OrderedHash:
    """Hashes a stream in order while its bytes arrive in any order.

    Args:
        names: of hashlib.
        read: reads the stream at an offset into a buffer, to close gaps; None where bytes come in order.
        length: of the stream; None: up to where ``read`` gives nothing more.
    """

    def __init__(
        self,
        names: Sequence[str],
        read: Callable[[int, WritableBuffer], int] | None,
        length: int | None,
    ) -> None:
        self._hashes = {name: hashlib.new(name, usedforsecurity=False) for name in names}
        self._read = read
        self._length = length
        self._changed = threading.Condition()
        self._position = 0
        self._waiting: dict[int, bytes] = {}
        self._held = 0
        self._under_way: dict[object, tuple[int, int]] = {}
        self._asked_for_rest = False
        self._stopped = False
        self._complete = False
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None

    @property
    def position(self) -> int:
        """Bytes hashed (or about to be): all before it are."""
        return self._position

    def announce(self, offset: int, end: int) -> object:
        """Somebody is about to read the range: no need to read it for the hash. Ends with `feed`."""
        token = object()
        with self._changed:
            self._under_way[token] = (offset, end)
        return token

    def feed(self, offset: int, data: Buffer, token: object | None = None) -> None:
        """Bytes of the stream; they are copied. Waits while too many are held already.

        Raises: whatever hashing (closing a gap) failed with.
        """
        view = memoryview(data)
        with self._changed:
            self._under_way.pop(token, None)
            if not len(view):
                self._changed.notify_all()
        for at in range(0, len(view), CHUNK):
            self._take(offset + at, view[at : at + CHUNK])

    def _take(self, offset: int, view: memoryview) -> None:
        end = offset + len(view)
        with self._changed:
            while True:
                if self._error is not None:
                    raise self._error
                if self._stopped or end <= self._position or offset > self._position + AHEAD:
                    self._changed.notify_all()
                    return
                # The bytes that come next are always taken: the others wait for them.
                if offset <= self._position or self._held + len(view) <= HELD:
                    break
                self._changed.wait()
            known = self._waiting.get(offset)
            if known is None or len(known) < len(view):
                self._held += len(view) - len(known or b"")
                self._waiting[offset] = bytes(view)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="kensho-hash", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def complete(self) -> None:
        """Hash all that is left and wait for it. Raises: whatever that failed with."""
        with self._changed:
            self._asked_for_rest = True
            if self._thread is None and not self._stopped:
                self._thread = threading.Thread(target=self._run, name="kensho-hash", daemon=True)
                self._thread.start()
            self._changed.notify_all()
            while not self._complete and self._error is None and not self._stopped:
                self._changed.wait()
            if self._error is not None:
                raise self._error
            if not self._complete:
                raise KenshoError("the stream was closed before all of it was read")

    def stop(self) -> None:
        """Give up. Does not wait."""
        with self._changed:
            self._stopped = True
            self._waiting.clear()
            self._changed.notify_all()

    def hexdigest(self, name: str) -> str:
        """The digest. Raises: ValueError: not all bytes are hashed yet, or not by that name."""
        if not self._complete:
            raise ValueError("the digest is known after complete()")
        if name not in self._hashes:
            raise ValueError(f"no digest {name} was asked for")
        return self._hashes[name].hexdigest()

    def _next(self) -> tuple[bytes | None, int]:
        """What to hash now: bytes, or how many to read at the position. Under the lock; waits.

        ``(None, 0)`` means: nothing more.
        """
        while not self._stopped:
            lowest = min(self._waiting, default=None)
            if lowest is not None and lowest <= self._position:
                data = self._waiting.pop(lowest)
                self._held -= len(data)
                self._changed.notify_all()
                skip = self._position - lowest
                if skip < len(data):
                    return (data[skip:] if skip else data), 0
                continue
            ahead = CHUNK if lowest is None else lowest - self._position
            if self._length is not None:
                ahead = min(ahead, self._length - self._position)
                if ahead <= 0:
                    return None, 0
            if self._read is None:
                if self._asked_for_rest and lowest is None:
                    return None, 0
            elif self._asked_for_rest:
                return None, min(ahead, CHUNK)
            elif lowest is not None:
                coming = any(a <= self._position < b for a, b in self._under_way.values())
                full = self._held >= HELD // 2
                if (ahead <= SMALL_GAP and not coming) or full:
                    return None, min(ahead, CHUNK)
            self._changed.wait()
        return None, 0

    def _run(self) -> None:
        buffer = bytearray(CHUNK) if self._read is not None else bytearray()
        try:
            while True:
                with self._changed:
                    data, missing = self._next()
                if data is None:
                    if not missing or self._read is None:
                        break
                    count = self._read(self._position, memoryview(buffer)[:missing])
                    if not count:
                        break
                    self._update(memoryview(buffer)[:count])
                else:
                    self._update(data)
            with self._changed:
                self._complete = not self._stopped
                self._changed.notify_all()
        except BaseException as error:  # noqa: BLE001 - raised again where the digest is asked for
            with self._changed:
                self._error = error
                self._waiting.clear()
                self._changed.notify_all()

    def _update(self, data: Buffer) -> None:
        for each in self._hashes.values():
            each.update(data)
        with self._changed:
            self._position += len(data)
            self._changed.notify_all()


class DigestTap:
    """An `InputStream` that knows the digests of all its bytes once `complete` was called.

    Bytes are hashed as somebody reads them, in the stream's order; what nobody reads is read here.

    Args:
        base: the stream; the tap owns it (`close` closes it).
        names: digests to compute, of `ALGORITHMS`.
        forward: whether the base can be read forward only.

    Raises: ValueError: an algorithm that is not one of `ALGORITHMS`.
    """

    def __init__(self, base: InputStream, names: Sequence[str], *, forward: bool = False) -> None:
        unknown = set(names) - set(ALGORITHMS)
        if unknown:
            raise ValueError(f"no digest algorithm: {', '.join(sorted(unknown))}")
        self._base = base
        self._forward = forward
        self._hash = _OrderedHash(names, None if forward else base.pread, base.length)
        self._names = tuple(names)
        self._at = 0

    @property
    def length(self) -> int | None:
        """Of the base."""
        return self._base.length

    @property
    def allocated(self) -> ExtentMap | None:
        """Of the base."""
        return self._base.allocated

    @property
    def hashed(self) -> int:
        """Bytes hashed so far; the stream's length after `complete`."""
        return self._hash.position

    def readinto(self, buffer: WritableBuffer, /) -> int:
        """Read forward; bytes read, 0 at the end. One thread."""
        if not self._forward:
            count = self.pread(self._at, buffer)
        else:
            count = self._base.readinto(buffer)
            if count:
                self._hash.feed(self._at, memoryview(buffer)[:count])
        self._at += count
        return count

    def pread(self, offset: int, buffer: WritableBuffer, /) -> int:
        """Read at the offset; bytes read, short only at the end. Thread-safe."""
        view = memoryview(buffer)
        token = self._hash.announce(offset, offset + len(view))
        count = 0
        try:
            count = self._base.pread(offset, view)
        finally:
            self._hash.feed(offset, view[:count], token)
        return count

    def complete(self) -> None:
        """Read and hash what is left, up to the end. Raises: what reading raises."""
        if self._forward:
            rest = bytearray(CHUNK)
            while self.readinto(rest):
                pass
        self._hash.complete()

    def hexdigest(self, name: str) -> str:
        """The digest in lower-case hex, after `complete`. Raises: ValueError: before it."""
        return self._hash.hexdigest(name)

    def digests(self) -> Mapping[str, str]:
        """All digests by name, after `complete`. Raises: ValueError: before it."""
        return {name: self._hash.hexdigest(name) for name in self._names}

    def close(self) -> None:
        """Give up or be done; from any thread, twice is once."""
        self._hash.stop()
        self._base.close()


class RunningDigests:
    """Digests of bytes that are written in order, hashed in a thread of its own.

    Args:
        names: digests to compute, of `ALGORITHMS`.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._hash = _OrderedHash(names, None, None)
        self._at = 0

    def update(self, data: Buffer) -> None:
        """The next bytes; they are copied."""
        self._hash.feed(self._at, data)
        self._at += memoryview(data).nbytes

    def zeros(self, end: int) -> None:
        """Zeros up to the offset ``end``: what a sparse file shows where nothing is written."""
        while self._at < end:
            self.update(memoryview(_ZEROS)[: end - self._at])

    def complete(self) -> Mapping[str, str]:
        """All digests by name, after the last byte."""
        self._hash.complete()
        return {name: self._hash.hexdigest(name) for name in self._names}

    def close(self) -> None:
        """Give up."""
        self._hash.stop()
