"""A tap's digest is the stream's, whatever order it is read in and by how many."""

import hashlib
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kensho_tui.disks.digest import HELD, DigestTap, RunningDigests
from kensho_tui.errors import KenshoError
from tests.unit.disks.streams import Memory, SparseDisk, Trickle

MIB = 1 << 20
DATA = hashlib.shake_128(b"data").digest(24 * MIB + 12345)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_reading_in_order_gives_every_digest() -> None:
    tap = DigestTap(Trickle(DATA, 100_000), ["sha1", "sha256", "sha512"], forward=True)
    buffer = bytearray(333_333)
    while tap.readinto(buffer):
        pass
    tap.complete()
    assert tap.digests() == {
        n: hashlib.new(n, DATA).hexdigest() for n in ("sha1", "sha256", "sha512")
    }
    assert tap.hashed == len(DATA)
    tap.close()


def test_what_nobody_read_is_read_at_the_end() -> None:
    for forward in (True, False):
        tap = DigestTap(Memory(DATA), ["sha256"], forward=forward)
        tap.readinto(bytearray(1000))
        tap.complete()
        assert tap.hexdigest("sha256") == sha256(DATA)
        tap.close()


def test_an_empty_stream_has_a_digest() -> None:
    for forward in (True, False):
        tap = DigestTap(Memory(b""), ["sha256"], forward=forward)
        tap.complete()
        assert tap.hexdigest("sha256") == sha256(b"")
        tap.close()


def test_a_footer_that_is_read_first_counts_when_its_turn_comes() -> None:
    tap = DigestTap(Memory(DATA), ["sha256"])
    tap.pread(len(DATA) - 1024, bytearray(1024))
    for offset in range(0, len(DATA), MIB):
        tap.pread(offset, bytearray(MIB))
    tap.complete()
    assert tap.hexdigest("sha256") == sha256(DATA)
    tap.close()


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3 * MIB), st.integers(0, MIB)), max_size=30),
    st.integers(0, 3 * MIB),
)
def test_any_reads_in_any_order_give_the_streams_digest(
    reads: list[tuple[int, int]], length: int
) -> None:
    tap = DigestTap(Memory(DATA[:length]), ["sha256"])
    for offset, count in reads:
        buffer = bytearray(count)
        got = tap.pread(offset, buffer)
        assert buffer[:got] == DATA[:length][offset : offset + count]
    tap.complete()
    assert tap.hexdigest("sha256") == sha256(DATA[:length])
    tap.close()


@pytest.mark.parametrize("seed", range(3))
def test_many_threads_with_gaps_between_their_reads(seed: int) -> None:
    pieces = [(offset, 700_000) for offset in range(0, len(DATA), 702_560)]
    order = random.Random(seed)
    for i in range(0, len(pieces), 6):  # nearly in order, as workers are
        some = pieces[i : i + 6]
        order.shuffle(some)
        pieces[i : i + 6] = some
    tap = DigestTap(Memory(DATA), ["sha256"])
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda each: tap.pread(each[0], bytearray(each[1])), pieces))
    tap.complete()
    assert tap.hexdigest("sha256") == sha256(DATA)
    tap.close()


def test_no_more_than_a_bound_is_held_however_far_readers_run_ahead() -> None:
    """Reads that leave the start out: what is held stays bounded, and the start is read by the tap."""
    started = DigestTap(Memory(DATA), ["sha256"])
    for offset in range(2 * MIB, len(DATA), MIB):
        started.pread(offset, bytearray(MIB))
        assert started._hash._held <= HELD
    started.complete()
    assert started.hexdigest("sha256") == sha256(DATA)
    started.close()


def test_most_bytes_are_read_once() -> None:
    class Counting(Memory):
        count = 0

        def pread(self, offset: int, buffer: bytearray | memoryview, /) -> int:
            self.count += len(buffer)
            return super().pread(offset, buffer)

    base = Counting(DATA)
    tap = DigestTap(base, ["sha256"])
    for offset in range(0, len(DATA), MIB):
        tap.pread(offset, bytearray(MIB))
    tap.complete()
    assert base.count <= len(DATA) + MIB
    tap.close()


def test_a_hole_of_a_hundred_megabytes_between_two_reads_is_hashed_too() -> None:
    size = 100 * MIB
    disk = SparseDisk(size, [(0, b"start"), (size - 3, b"end")])
    tap = DigestTap(disk, ["sha1"])
    tap.pread(0, bytearray(4096))
    tap.pread(size - 4096, bytearray(4096))
    tap.complete()
    assert tap.hexdigest("sha1") == hashlib.sha1(b"start" + bytes(size - 8) + b"end").hexdigest()
    tap.close()


def test_an_error_while_the_rest_is_read_is_raised_where_the_digest_is_asked_for() -> None:
    class Broken(Memory):
        def pread(self, offset: int, buffer: bytearray | memoryview, /) -> int:
            if offset >= 2 * MIB:
                raise KenshoError("the connection is gone")
            return super().pread(offset, buffer)

    tap = DigestTap(Broken(DATA), ["sha256"])
    tap.pread(0, bytearray(MIB))
    with pytest.raises(KenshoError, match="the connection is gone"):
        tap.complete()
    with pytest.raises(ValueError, match=r"known after complete\(\)"):
        tap.hexdigest("sha256")
    tap.close()


def test_closing_ends_somebody_who_waits_for_the_digest() -> None:
    reached, let_go = threading.Event(), threading.Event()

    class Slow(Memory):
        def pread(self, offset: int, buffer: bytearray | memoryview, /) -> int:
            reached.set()
            let_go.wait()
            return super().pread(offset, buffer)

    tap = DigestTap(Slow(DATA), ["sha256"])
    raised: list[KenshoError] = []

    def wait() -> None:
        try:
            tap.complete()
        except KenshoError as error:
            raised.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    assert reached.wait(60)
    tap.close()
    waiter.join(60)
    let_go.set()
    assert raised


def test_an_unknown_algorithm_is_refused() -> None:
    with pytest.raises(ValueError, match="no digest algorithm: md5"):
        DigestTap(Memory(b""), ["sha1", "md5"])


def test_running_digests_of_what_is_written() -> None:
    running = RunningDigests(["sha256", "sha512"])
    for offset in range(0, len(DATA), 1_234_567):
        running.update(DATA[offset : offset + 1_234_567])
    assert running.complete() == {
        "sha256": sha256(DATA),
        "sha512": hashlib.sha512(DATA).hexdigest(),
    }
