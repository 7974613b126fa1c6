"""The files that one disk becomes: whatever is written, however it comes, and wherever it is cut."""

import gzip
import hashlib
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from backends.base import Buffer, WritableBuffer
from backends.package.parts import Making, Parts


@dataclass
class File:
    """A file in memory, under the name that it is finished under."""

    folder: dict[str, bytes]
    data: bytearray = field(default_factory=bytearray)

    def write(self, data: Buffer, /) -> None:
        self.data += data

    def pread(self, offset: int, buffer: WritableBuffer, /) -> int:
        raise AssertionError("nothing is gone on with")

    def cut(self) -> None:
        """Nothing follows."""

    def sync(self) -> None:
        """It is memory."""

    def finish(self, name: str) -> int:
        assert name not in self.folder
        self.folder[name] = bytes(self.data)
        return len(self.folder)

    def close(self) -> None:
        """It is memory."""


@given(
    st.lists(st.binary(max_size=200), max_size=20),
    st.integers(0, 150),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["sha1", "sha256", "sha512"]),
)
def test_the_files_joined_are_what_was_written(
    pieces: list[bytes], limit: int, compressed: bool, reproducible: bool, algorithm: str
) -> None:
    folder: dict[str, bytes] = {}
    making = Making(algorithm, limit, compressed, reproducible)
    parts = Parts("d.vmdk", File(folder), lambda name: File(folder), making)
    for piece in pieces:
        parts.write(piece)
    parts.finish()
    joined = b"".join(folder[name] for name in sorted(folder))
    assert (gzip.decompress(joined) if compressed else joined) == b"".join(pieces)
    assert [each.name for each in parts.parts] == sorted(folder)
    for each in parts.parts:
        data = folder[each.name]
        assert (each.size, each.digest) == (len(data), hashlib.new(algorithm, data).hexdigest())
    sizes = [each.size for each in parts.parts]
    if limit and len(joined) > limit:
        assert sorted(folder) == [f"d.vmdk.{n:09d}" for n in range(len(sizes))]
        assert set(sizes[:-1]) == {limit}
        assert 0 < sizes[-1] <= limit
    else:
        assert list(folder) == ["d.vmdk"]
    assert parts.end == len(folder)
