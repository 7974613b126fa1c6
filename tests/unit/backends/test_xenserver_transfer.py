"""Disks on their way to and from a XenServer that misbehaves in every way it can."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from backends.base import (
    BackendError,
    ConnectError,
    Consistency,
    Deployment,
    ExtentMap,
    Format,
    Kind,
    NoSpaceError,
    Offer,
    RefusedError,
    TransferError,
    TrustError,
    Writer,
)
from backends.xenserver.session import XenSession
from backends.xenserver.upload import formats
from kensho_tui.cancel import Cancel, CancelledError
from kensho_tui.disks.image import Access
from kensho_tui.machine import DiskId
from tests.contract.bench import CAPACITY, DISKS, pattern
from tests.contract.xenserver import XenBench

KEY = "kensho:job-3:deploy"


def raw(deployment: Deployment) -> Offer:
    """The plainest way to write."""
    return next(
        o
        for o in deployment.offers(DISKS[0])
        if o.format is Format.RAW and o.access is Access.FORWARD
    )


def send(deployment: Deployment, disk: DiskId = DISKS[0]) -> None:
    """Write a whole disk, raw."""
    writer = deployment.open(disk, raw(deployment), CAPACITY)
    try:
        content = pattern(disk)
        for start in range(0, CAPACITY, 1 << 18):
            writer.write(content[start : start + (1 << 18)])
        writer.finish()
    finally:
        writer.close()


def receive(session: XenSession, xen: XenBench) -> tuple[bytes, bytes]:
    """What was read raw of the first disk, and what it should be."""
    source = xen.captured()
    capture = session.capture(source.refs, Consistency.OFF, "kensho:job-3:capture")
    disk, content = next(iter(source.contents.items()))
    reader = capture.open(disk, capture.offers(disk)[1])
    try:
        buffer, got = bytearray(1 << 18), bytearray()
        while count := reader.readinto(buffer):
            got += buffer[:count]
        reader.verify()
    finally:
        reader.close()
    return bytes(got), content


@pytest.fixture
def deployment(xen: XenBench) -> Deployment:
    """The bench's appliance, built."""
    return xen.session().deploy(*xen.appliance(), KEY)


def test_a_host_that_sends_us_to_another_is_followed(xen: XenBench, deployment: Deployment) -> None:
    session = xen.session()
    with xen.modes(redirect=True):
        send(deployment)
        got, content = receive(session, xen)
    assert xen.content(deployment, DISKS[0])[:CAPACITY] == pattern(DISKS[0])
    assert got == content
    calls = xen.lab.control.calls
    assert calls.count("PUT /import_raw_vdi") >= 2
    assert calls.count("GET /export_raw_vdi") >= 2


def test_no_disk_goes_to_a_host_whose_certificate_nobody_vouches_for(
    xen: XenBench, deployment: Deployment
) -> None:
    other = xen.lab.second_certificate()
    xen.lab.control.clear_calls()
    with xen.modes(redirect=True), pytest.raises(TrustError) as caught:
        send(deployment)
    assert (caught.value.presented, caught.value.expected) == (other, xen.lab.pin)
    assert other in str(caught.value)
    assert xen.lab.pin in str(caught.value)
    # The first host was asked and sent us on; the second one was never told a word.
    assert xen.lab.control.calls.count("PUT /import_raw_vdi") == 1


def test_the_session_is_in_no_address(
    xen: XenBench, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kensho_tui.lab.xen.transfer import Request

    targets: list[str] = []
    parse = Request.parse

    def seen(method: str, target: str, headers: dict[str, str]) -> Request:
        targets.append(target)
        return parse(method, target, headers)

    monkeypatch.setattr(Request, "parse", seen)
    with xen.modes(redirect=True):
        send(deployment)
    assert any("task_id=" in target for target in targets)
    assert not any("session_id" in target for target in targets)


@pytest.mark.parametrize(
    ("modes", "error"),
    [
        ({"refuse_disk": "*"}, TransferError),
        ({"cut_after": 1 << 20}, BackendError),
        ({"full_after": 1 << 20, "full_code": "SR_FULL"}, NoSpaceError),
        ({"full_after": 1 << 20}, BackendError),
    ],
)
def test_what_goes_wrong_on_the_server_is_told_and_can_be_undone(
    xen: XenBench, modes: dict[str, Any], error: type[BackendError]
) -> None:
    appliance, placement = xen.appliance()
    before = xen.standing()
    deployment = xen.session().deploy(appliance, placement, KEY)
    with xen.modes(**modes), pytest.raises(error) as caught:
        send(deployment)
    assert caught.value.subject
    assert deployment.abort() == []
    assert xen.standing() == before


def _shrink(xen: XenBench) -> None:
    """Leave a megabyte free on the disks' storage."""
    database = xen.lab.toolstack.database
    with database.lock:
        (sr,) = database.find("SR", name_label="local-sr")
        used = int(database.get("SR", sr, "physical_utilisation"))
        database.set("SR", sr, physical_size=used + (1 << 20))


def test_a_storage_that_fills_up_is_named_though_the_server_only_says_io_error(
    xen: XenBench, deployment: Deployment
) -> None:
    _shrink(xen)
    writer = deployment.open(DISKS[0], raw(deployment), CAPACITY)
    with pytest.raises(NoSpaceError, match="local-sr"):
        writer.write(b"x" * CAPACITY)
        writer.finish()
    writer.close()
    assert deployment.abort() == []


def test_data_that_cannot_fit_is_refused_before_a_byte_is_sent(
    xen: XenBench, deployment: Deployment
) -> None:
    _shrink(xen)
    vhd = deployment.offers(DISKS[0])[0]
    with pytest.raises(NoSpaceError, match="1048576 free"):
        deployment.open(DISKS[0], vhd, 3 << 20, ExtentMap([(0, 2 << 20)]))
    assert xen.lab.control.calls.count("PUT /import_raw_vdi") == 0


def test_after_a_failure_the_disk_is_written_anew(xen: XenBench, deployment: Deployment) -> None:
    with xen.modes(cut_after=1 << 20), pytest.raises(BackendError):
        send(deployment)
    send(deployment)
    send(deployment, DISKS[1])
    deployment.commit(start=False)
    assert xen.content(deployment, DISKS[0])[:CAPACITY] == pattern(DISKS[0])


def test_a_server_that_dies_under_a_disk_is_told_and_swept_when_it_is_back(xen: XenBench) -> None:
    appliance, placement = xen.appliance()
    before = xen.standing()
    deployment = xen.session().deploy(appliance, placement, KEY)
    with xen.modes(die_after=1 << 20), pytest.raises(ConnectError):
        send(deployment)
    xen.lab.stop()
    xen.lab.start()
    xen.lab.toolstack.modes.die_after = None
    assert xen.session().sweep(KEY) == []
    assert xen.standing() == before


def test_a_disk_in_use_is_waited_for(xen: XenBench) -> None:
    appliance, placement = xen.appliance()
    before = xen.standing()
    deployment = xen.session().deploy(appliance, placement, KEY)
    with xen.modes(vdi_in_use_s=1.0):
        send(deployment)
        assert deployment.abort() == []
    assert xen.standing() == before


def test_a_disk_that_stays_in_use_is_left_over_with_what_to_do(
    xen: XenBench, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backends.xenserver.removal._GIVE_UP_S", 0.2)
    with xen.modes(vdi_in_use_s=600.0):
        send(deployment)
        left = deployment.abort()
    assert [leftover.ref.kind for leftover in left] == [Kind.STORAGE]
    assert "in use" in left[0].reason
    assert left[0].action == f"xe vdi-destroy uuid={left[0].ref.id}"


def test_an_export_that_breaks_is_never_taken_for_whole(xen: XenBench) -> None:
    session = xen.session()
    for modes in ({"error_in_body": 200_000}, {"cut_after": 200_000}, {"error_in_body": 0}):
        with xen.modes(**modes), pytest.raises(BackendError):
            receive(session, xen)
    got, content = receive(session, xen)
    assert got == content


def test_an_error_in_place_of_an_image_is_seen_at_its_first_byte(xen: XenBench) -> None:
    source = xen.captured()
    capture = xen.session().capture(source.refs, Consistency.OFF, "kensho:j:c")
    disk = next(iter(source.contents))
    with xen.modes(error_in_body=0):
        reader = capture.open(disk, capture.offers(disk)[0])
        with pytest.raises(BackendError):
            while reader.readinto(bytearray(512)):
                continue
            reader.verify()
        reader.close()


def _write(writer: Writer) -> None:
    for _ in range(CAPACITY >> 16):
        writer.write(bytes(1 << 16))
    writer.finish()


def _wait(writer: Writer) -> None:
    writer.write(bytes(CAPACITY))
    writer.finish()


@pytest.mark.parametrize("doing", [_write, _wait])
def test_a_cancelled_job_ends_its_transfer_and_can_still_clean_up(
    xen: XenBench, doing: Callable[[Writer], None]
) -> None:
    appliance, placement = xen.appliance()
    before = xen.standing()
    cancel = Cancel()
    session = xen.session(cancel)
    deployment = session.deploy(appliance, placement, KEY)
    ended: list[BaseException] = []
    begun = threading.Event()
    with xen.modes(bytes_per_second=1 << 18):
        writer = deployment.open(DISKS[0], raw(deployment), CAPACITY)

        def run() -> None:
            begun.set()
            try:
                doing(writer)
            except BaseException as error:  # noqa: BLE001  # the test wants to see which
                ended.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        begun.wait()
        cancel.cancel()
        thread.join(60)
        assert not thread.is_alive()
        assert [type(each) for each in ended] == [CancelledError]
        with pytest.raises(CancelledError):
            session.inventory(frozenset(Kind))
    writer.close()
    assert deployment.abort() == []
    assert xen.standing() == before


def test_more_bytes_than_announced_are_not_sent(deployment: Deployment) -> None:
    writer = deployment.open(DISKS[0], raw(deployment), CAPACITY)
    writer.write(bytes(CAPACITY))
    with pytest.raises(TransferError, match="more bytes"):
        writer.write(b"\0")
    writer.close()


def test_an_extent_beyond_the_end_is_not_sent(deployment: Deployment) -> None:
    offer = next(o for o in deployment.offers(DISKS[0]) if o.access is Access.EXTENTS)
    writer = deployment.open(DISKS[0], offer)
    with pytest.raises(TransferError, match="beyond the end"):
        writer.pwrite(CAPACITY - 1, b"ab")
    writer.close()


def test_an_image_larger_than_its_disk_is_refused_before_it_is_sent(deployment: Deployment) -> None:
    with pytest.raises(NoSpaceError):
        deployment.open(DISKS[0], raw(deployment), CAPACITY * 2)
    with pytest.raises(RefusedError, match="length"):
        deployment.open(DISKS[0], raw(deployment))


def test_storage_that_does_not_wipe_takes_whole_disks_only() -> None:
    def ways(capacity: int, *, zeroed: bool) -> list[tuple[Format, Access]]:
        found = formats(zeroed=zeroed, capacity=capacity, vhd_limit=10, segment=5)
        return [(each.format, each.access) for each in found]

    vhd, extents = (Format.VHD, Access.FORWARD), (Format.RAW, Access.EXTENTS)
    raw = (Format.RAW, Access.FORWARD)
    assert ways(1, zeroed=False) == [raw]
    assert ways(5, zeroed=True) == [vhd, extents, raw]
    assert ways(6, zeroed=True) == [extents, vhd, raw], "a large disk goes in segments"
    assert ways(11, zeroed=True) == [extents, raw]


def test_no_task_of_a_finished_transfer_stays(xen: XenBench, deployment: Deployment) -> None:
    send(deployment)
    receive(xen.session(), xen)
    database = xen.lab.toolstack.database
    with database.lock:
        labels = [database.get("task", ref, "name_label") for ref in database.refs("task")]
    assert not [label for label in labels if label.startswith("Kensho")]
