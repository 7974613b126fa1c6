"""Going on in the middle of a disk: a token is kept by whoever gave it, and a wrong one harms nothing."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from backends.base import Deployment, Offer, ResumeError, UnsupportedError, Writer
from kensho_tui.disks.copy import Transferred, transfer
from kensho_tui.disks.image import Access, ExtentMap, Format
from kensho_tui.disks.resume import Point, Resuming
from kensho_tui.errors import KenshoError
from kensho_tui.machine import DiskId
from tests.contract.bench import CAPACITY, DISKS, Bench, MemoryDisk, pattern

KEY = "kensho:job-5:deploy"
SOURCE = Offer(Format.RAW, Access.SEEK)


class KilledError(KenshoError):
    """Stands for the end of the process."""


def deploy(bench: Bench, key: str = KEY) -> Deployment:
    """The bench's appliance, as a new process finds or makes it."""
    return bench.careful().deploy(*bench.appliance(), key)


def write(
    deployment: Deployment,
    disk: DiskId,
    offer: Offer | None = None,
    *,
    start: Point | None = None,
    keep: Callable[[Point], None] = lambda point: None,
    content: bytes | None = None,
) -> tuple[Transferred, list[bool]]:
    """Write the disk, or go on with it; whether what was kept could be compared."""
    begun: list[bool] = []
    token = start.token if start else None

    def open_writer(chosen: Offer, length: int | None, allocation: ExtentMap | None) -> Writer:
        return deployment.open(disk, chosen, length, allocation, token)

    done = transfer(
        MemoryDisk(pattern(disk) if content is None else content),
        SOURCE,
        targets=[offer] if offer else deployment.offers(disk),
        open_writer=open_writer,
        capacity=CAPACITY,
        resuming=Resuming(
            keep,
            lambda writer: writer.durable(),
            lambda writer, offset, buffer: writer.pread(offset, buffer),
            UnsupportedError,
            start,
            begun.append,
        ),
    )
    return done, begun


def killed(
    deployment: Deployment, disk: DiskId, offer: Offer, after: int = 1, **how: Any
) -> Point | None:
    """Write until so many points were kept, and no further; the last of them, None: none is."""
    points: list[Point] = []

    def keep(point: Point) -> None:
        points.append(point)
        if len(points) == after:
            raise KilledError("killed")

    try:
        write(deployment, disk, offer, keep=keep, **how)
    except KilledError:
        return points[-1]
    assert not points, "an offer that can be gone on with gives a point for each window"
    return None


def resumable(bench: Bench) -> list[Offer]:
    """The offers whose writers give a token."""
    deployment = deploy(bench, "kensho:job-6:deploy")
    offers = deployment.offers(DISKS[0])
    found = [each for each in offers if killed(deployment, DISKS[0], each) is not None]
    deployment.abort()
    return found


def complete(bench: Bench, deployment: Deployment, disk: DiskId) -> None:
    """Write the other disk, commit, and assert that both hold what they should."""
    for each in DISKS:
        if each != disk:
            write(deployment, each)
    deployment.commit(start=False)
    for each in DISKS:
        assert bench.content(deployment, each)[:CAPACITY] == pattern(each)


@pytest.mark.parametrize("after", [1, 2])
def test_every_offer_that_gives_a_token_keeps_it(bench: Bench, after: int) -> None:
    offers = resumable(bench)
    assert offers, "each of these platforms has a way to go on"
    for n, offer in enumerate(offers):
        key = f"kensho:job-{n}:deploy"
        point = killed(deploy(bench, key), DISKS[0], offer, after)
        assert point is not None
        deployment = deploy(bench, key)
        done, begun = write(deployment, DISKS[0], offer, start=point)
        assert begun
        assert done.written > point.written or after == 2
        complete(bench, deployment, DISKS[0])


def test_it_goes_on_in_the_same_session_as_well(bench: Bench) -> None:
    (offer, *_) = resumable(bench)
    deployment = deploy(bench)
    point = killed(deployment, DISKS[0], offer)
    write(deployment, DISKS[0], offer, start=point)
    complete(bench, deployment, DISKS[0])


def test_what_was_begun_is_not_taken_for_a_whole_disk(bench: Bench) -> None:
    (offer, *_) = resumable(bench)
    killed(deploy(bench), DISKS[0], offer, after=2)
    deployment = deploy(bench)
    write(deployment, DISKS[1])
    with pytest.raises(KenshoError):
        deployment.commit(start=False)


def test_what_was_begun_goes_with_its_deployment(bench: Bench) -> None:
    (offer, *_) = resumable(bench)
    session = bench.careful()
    appliance, placement = bench.appliance()
    before = bench.standing()
    killed(session.deploy(appliance, placement, KEY), DISKS[0], offer)
    assert bench.session().sweep(KEY) == []
    assert bench.standing() == before


def _reached(deployment: Deployment, offer: Offer, point: Point) -> Any:
    return {**point.token, **{k: v + (1 << 20) for k, v in point.token.items() if type(v) is int}}


def _made_up(deployment: Deployment, offer: Offer, point: Point) -> Any:
    return {"made": "up"}


def _of_another_disk(deployment: Deployment, offer: Offer, point: Point) -> Any:
    other = killed(deployment, DISKS[1], offer)
    assert other is not None
    return other.token


def _of_what_was_begun_anew(deployment: Deployment, offer: Offer, point: Point) -> Any:
    killed(deployment, DISKS[0], offer, content=pattern(DISKS[0])[::-1])
    return point.token


def _of_a_disk_that_is_whole(deployment: Deployment, offer: Offer, point: Point) -> Any:
    write(deployment, DISKS[0], offer)
    return point.token


@pytest.mark.parametrize(
    "token",
    [_reached, _made_up, _of_another_disk, _of_what_was_begun_anew, _of_a_disk_that_is_whole],
)
def test_a_token_that_is_wrong_or_stale_is_refused_and_the_disk_can_be_begun_anew(
    bench: Bench, token: Callable[[Deployment, Offer, Point], Any]
) -> None:
    for n, offer in enumerate(resumable(bench)):
        deployment = deploy(bench, f"kensho:job-{n}:deploy")
        point = killed(deployment, DISKS[0], offer)
        assert point is not None
        wrong = replace(point, token=token(deployment, offer, point))
        with pytest.raises(ResumeError):
            write(deployment, DISKS[0], offer, start=wrong)
        write(deployment, DISKS[0], offer)
        complete(bench, deployment, DISKS[0])
