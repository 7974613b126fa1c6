"""Capturing: one moment, read as often as wanted, every byte of it, and damage is seen."""

import threading
from contextlib import suppress

import pytest

from backends.base import (
    BackendError,
    Consistency,
    Kind,
    NotFoundError,
    Reader,
    Ref,
    UnsupportedError,
)
from kensho_tui.cancel import CancelledError
from kensho_tui.disks.copy import transfer
from kensho_tui.disks.image import Access, Buffer, ExtentMap, Format, Offer
from kensho_tui.machine import DiskId
from tests.contract.bench import Bench

KEY = "kensho:job-2:capture"
TARGET = Offer(Format.RAW, Access.EXTENTS)


class Sink:
    """A sparse disk in memory."""

    def __init__(self, capacity: int) -> None:
        self.content = bytearray(capacity)
        self.finished = False

    def write(self, data: Buffer, /) -> None:
        """Not forward."""
        raise AssertionError("extents were asked for")

    def pwrite(self, offset: int, data: Buffer, /) -> None:
        """Write at the offset."""
        self.content[offset : offset + len(data)] = data

    def finish(self) -> None:
        """All is written."""
        self.finished = True

    def close(self) -> None:
        """Nothing to free."""


def read(reader: Reader, offer: Offer, capacity: int) -> bytes:
    """The guest's bytes of what a reader gives, through the one place where bytes move."""
    sink = Sink(capacity)

    def open_writer(chosen: Offer, length: int | None, allocation: ExtentMap | None) -> Sink:
        return sink

    transfer(
        reader,
        offer,
        targets=[TARGET],
        open_writer=open_writer,
        capacity=capacity,
        verify=reader.verify,
    )
    assert sink.finished
    return bytes(sink.content)


def test_every_way_to_read_gives_every_byte(bench: Bench) -> None:
    source = bench.captured()
    before = bench.standing()
    capture = bench.session().capture(source.refs, Consistency.OFF, KEY)
    assert set(source.contents) <= set(capture.appliance.disks)
    for disk, content in source.contents.items():
        offers = capture.offers(disk)
        assert offers
        for offer in offers:
            assert read(capture.open(disk, offer), offer, len(content)) == content, offer
    assert capture.release() == []
    assert capture.release() == []
    assert bench.standing() == before


def test_the_same_key_twice_is_one_capture(bench: Bench) -> None:
    source = bench.captured()
    session = bench.session()
    first = session.capture(source.refs, Consistency.OFF, KEY)
    standing = bench.standing()
    second = bench.session().capture(source.refs, Consistency.OFF, KEY)
    assert second.token == first.token
    assert second.appliance == first.appliance
    assert bench.standing() == standing


def test_what_is_captured_is_what_is_described(bench: Bench) -> None:
    source = bench.captured()
    session = bench.session()
    described = session.describe(source.refs)
    assert described.identity == session.describe(source.refs).identity
    capture = session.capture(source.refs, Consistency.OFF, KEY)
    assert capture.appliance.machines == described.appliance.machines
    assert set(capture.appliance.disks) == set(described.appliance.disks)


def test_a_capture_that_was_killed_is_swept(bench: Bench) -> None:
    source = bench.captured()
    before = bench.standing()
    bench.session().capture(source.refs, Consistency.OFF, KEY)
    assert bench.session().sweep(KEY) == []
    assert bench.standing() == before


def test_a_capture_killed_between_any_two_calls_is_swept(bench: Bench) -> None:
    source = bench.captured()
    how = Consistency.OFF
    if bench.session().capabilities.captures_running:
        how = Consistency.SNAPSHOT  # which makes something
    before = bench.standing()
    for calls in range(500):
        session = bench.mortal(calls)
        if session is None:
            pytest.skip(f"{bench.name}: its calls cannot be cut off one by one")
        try:
            session.capture(source.refs, how, KEY)
        except BackendError:
            assert bench.session().sweep(KEY) == []
            assert bench.standing() == before, f"after call {calls}"
        else:
            break
    else:
        pytest.fail("a capture of more than 500 calls")
    assert bench.session().sweep(KEY) == []
    assert bench.standing() == before


def test_a_sweep_killed_between_any_two_calls_is_finished_by_the_next(bench: Bench) -> None:
    appliance, placement = bench.appliance()
    before = bench.standing()
    key = "kensho:job-1:deploy"
    for calls in range(500):
        session = bench.mortal(calls)
        if session is None:
            pytest.skip(f"{bench.name}: its calls cannot be cut off one by one")
        bench.session().deploy(appliance, placement, key)
        whole = False
        with suppress(BackendError):  # cut off, as by a crash
            whole = session.sweep(key) == []
        assert bench.session().sweep(key) == []
        assert bench.standing() == before, f"after call {calls}"
        if whole:
            return
    pytest.fail("a sweep of more than 500 calls")


def test_damage_on_the_way_is_seen(bench: Bench) -> None:
    source = bench.captured()
    capture = bench.session().capture(source.refs, Consistency.OFF, KEY)
    disk = next(iter(source.contents))
    damaged = bench.damaged(source)
    if damaged is None:
        pytest.skip(f"{bench.name}: what it reads cannot be damaged here")
    with damaged:
        for offer in capture.offers(disk):
            reader = capture.open(disk, offer)
            try:
                with pytest.raises(BackendError):
                    _read_all(reader, offer)
                    reader.verify()
            finally:
                reader.close()


def _read_all(reader: Reader, offer: Offer) -> None:
    buffer = bytearray(65536)
    if offer.access is Access.FORWARD:
        while reader.readinto(buffer):
            continue
        return
    offset = 0
    while count := reader.pread(offset, buffer):
        offset += count


def test_a_reader_that_is_closed_meanwhile_ends_with_cancelled(bench: Bench) -> None:
    stalled = bench.stalled()
    if stalled is None:
        pytest.skip(f"{bench.name}: reading never waits for anybody")
    source = bench.captured()
    capture = bench.session().capture(source.refs, Consistency.OFF, KEY)
    disk = next(iter(source.contents))
    ended: list[BaseException] = []
    started = threading.Event()
    with stalled:
        reader = capture.open(disk, capture.offers(disk)[0])

        def run() -> None:
            buffer = bytearray(65536)
            try:
                while reader.readinto(buffer):
                    started.set()
                reader.verify()
            except BaseException as error:  # noqa: BLE001  # the test wants to see which
                ended.append(error)
            finally:
                started.set()

        thread = threading.Thread(target=run)
        thread.start()
        started.wait()
        reader.close()
        thread.join(60)
        assert not thread.is_alive()
    assert [type(each) for each in ended] == [CancelledError]
    reader.close()


def test_changes_since_an_unknown_mark_are_refused(bench: Bench) -> None:
    source = bench.captured()
    capture = bench.session().capture(source.refs, Consistency.OFF, KEY)
    disk = next(iter(source.contents))
    if capture.changes:
        pytest.skip(f"{bench.name}: tracks changes")
    with pytest.raises(UnsupportedError):
        capture.open(disk, capture.offers(disk)[0], since="yesterday")


def test_a_disk_that_was_not_captured_is_refused(bench: Bench) -> None:
    source = bench.captured()
    capture = bench.session().capture(source.refs, Consistency.OFF, KEY)
    with pytest.raises(BackendError):
        capture.offers(DiskId("nowhere"))


def test_a_machine_that_is_not_there_is_told(bench: Bench) -> None:
    session = bench.session()
    gone = Ref(Kind.MACHINE, "00000000-0000-0000-0000-000000000000", "gone01")
    with pytest.raises(NotFoundError):
        session.describe([gone])
    with pytest.raises(NotFoundError):
        session.capture([gone], Consistency.OFF, KEY)
