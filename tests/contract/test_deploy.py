"""Deploying: the same key is the same thing, nothing half-made stays, and offers are kept."""

import threading
from collections.abc import Callable

import pytest

from backends.base import (
    BackendError,
    Deployment,
    Environment,
    Kind,
    Offer,
    Ref,
    Transport,
    UnsupportedError,
)
from kensho_tui.cancel import Cancel, CancelledError
from kensho_tui.disks.copy import transfer
from kensho_tui.disks.image import Access, Format
from kensho_tui.errors import KenshoError
from kensho_tui.machine import DiskId, MachineId
from tests.contract.bench import CAPACITY, DISKS, Bench, MemoryDisk, pattern

KEY = "kensho:job-1:deploy"
SOURCE = Offer(Format.RAW, Access.SEEK)


def write(
    bench: Bench,
    deployment: Deployment,
    disk: DiskId,
    offer: Offer | None = None,
    content: bytes | None = None,
    cancel: Cancel | None = None,
) -> None:
    """Write a disk through the one place where bytes move."""
    transfer(
        MemoryDisk(pattern(disk) if content is None else content),
        SOURCE,
        targets=[offer] if offer else deployment.offers(disk),
        open_writer=lambda chosen, length, allocation: deployment.open(
            disk, chosen, length, allocation
        ),
        capacity=CAPACITY,
        cancel=cancel,
    )


def deploy(bench: Bench) -> Deployment:
    """The bench's appliance under `KEY`, by a session of its own."""
    return bench.session().deploy(*bench.appliance(), KEY)


def test_the_same_key_twice_is_one_deployment(bench: Bench) -> None:
    first = deploy(bench)
    standing = bench.standing()
    second = deploy(bench)
    assert second.token == first.token
    assert bench.standing() == standing


def test_what_is_deployed_can_be_aborted_twice(bench: Bench) -> None:
    appliance, placement = bench.appliance()
    before = bench.standing()
    deployment = bench.session().deploy(appliance, placement, KEY)
    assert bench.standing() != before
    assert deployment.abort() == []
    assert bench.standing() == before
    assert deployment.abort() == []


def _nothing(bench: Bench, deployment: Deployment) -> None:
    """Killed right after deploy."""


def _opened(bench: Bench, deployment: Deployment) -> None:
    _begin(deployment, b"")


def _half_written(bench: Bench, deployment: Deployment) -> None:
    _begin(deployment, pattern(DISKS[0])[: 1 << 20])


def _begin(deployment: Deployment, data: bytes) -> None:
    """Open a disk and leave it open, as a process that is killed does; the socket dies with it."""
    offer = deployment.offers(DISKS[0])[-1]
    writer = deployment.open(DISKS[0], offer, CAPACITY)
    if offer.access is Access.FORWARD:
        writer.write(data)
    elif data:
        writer.pwrite(0, data)
    writer.close()


def _written(bench: Bench, deployment: Deployment) -> None:
    write(bench, deployment, DISKS[0])


def _delivered(bench: Bench, deployment: Deployment) -> None:
    deployment.deliver(Environment({MachineId("web"): b"<Environment/>"}))


@pytest.mark.parametrize("stage", [_nothing, _opened, _half_written, _written, _delivered])
def test_whatever_a_killed_job_made_is_swept_by_another_session(
    bench: Bench, stage: Callable[[Bench, Deployment], None]
) -> None:
    appliance, placement = bench.appliance()
    before = bench.standing()
    stage(bench, bench.session().deploy(appliance, placement, KEY))
    other = bench.session()
    assert other.sweep(KEY) == []
    assert bench.standing() == before
    assert other.sweep(KEY) == []


def test_killed_between_any_two_calls_nothing_is_left_after_a_sweep(bench: Bench) -> None:
    appliance, placement = bench.appliance()
    before = bench.standing()
    for calls in range(500):
        session = bench.mortal(calls)
        if session is None:
            pytest.skip(f"{bench.name}: its calls cannot be cut off one by one")
        try:
            deployment = session.deploy(appliance, placement, KEY)
            deployment.deliver(Environment({MachineId("web"): b"<Environment/>"}))
        except BackendError:
            assert bench.session().sweep(KEY) == []
            assert bench.standing() == before, f"after call {calls}"
        else:
            assert calls, "nothing was cut off"
            return
    pytest.fail("a deployment of more than 500 calls")


def test_a_commit_killed_between_any_two_calls_is_undone_or_completed(bench: Bench) -> None:
    """Up to its decision nothing has happened, from then on it is whole: a sweep leaves no third."""
    # In strides to where something happens, which is far; from there call by call.
    calls, stride, decided = 0, 5, 0
    for attempt in range(500):
        key = _prepared(bench, attempt)
        while (cut_off := _commit_cut_off(bench, key, calls)) and not bench.session().stands(key):
            calls += stride
        if stride > 1:
            calls, stride = max(0, calls - stride + 1), 1
            continue
        if not cut_off:
            break
        decided += 1
        calls += 1
        assert bench.session().sweep(key) == []
        deployment = bench.session().deploy(*bench.appliance(), key)
        assert len(deployment.commit(start=False).machines) == 2
        for disk in DISKS:
            assert bench.content(deployment, disk)[:CAPACITY] == pattern(disk)
    assert decided, "nothing was cut off after the decision"
    standing = bench.standing()
    undecided = _prepared(bench, 500)
    assert bench.session().sweep(undecided) == []
    assert not bench.session().stands(undecided)
    assert bench.standing() == standing


def _commit_cut_off(bench: Bench, key: str, calls: int) -> bool:
    """Commit what is prepared, and be cut off after so many calls; false where it came to its end."""
    session = bench.mortal(calls)
    if session is None:
        pytest.skip(f"{bench.name}: its calls cannot be cut off one by one")
    try:
        session.deploy(*bench.appliance(), key).commit(start=False)
    except BackendError:
        return True
    return False


def _prepared(bench: Bench, attempt: int) -> str:
    """The key of a deployment that has everything but its commit."""
    key = f"kensho:job-{attempt}:deploy"
    deployment = bench.session().deploy(*bench.appliance(), key)
    for disk in DISKS:
        write(bench, deployment, disk)
    return key


def test_a_deployment_that_was_cut_off_goes_on_under_the_same_key(bench: Bench) -> None:
    appliance, placement = bench.appliance()
    for calls in (5, 8):
        session = bench.mortal(calls)
        if session is None:
            pytest.skip(f"{bench.name}: its calls cannot be cut off one by one")
        with pytest.raises(BackendError):
            session.deploy(appliance, placement, KEY)
    deployment = deploy(bench)
    for disk in DISKS:
        write(bench, deployment, disk)
    assert len(deployment.commit(start=False).machines) == 2


def test_every_offer_is_kept(bench: Bench) -> None:
    offers = deploy(bench).offers(DISKS[0])
    assert offers
    for n, offer in enumerate(offers):
        deployment = bench.session().deploy(*bench.appliance(), f"kensho:job-{n}:deploy")
        for disk in DISKS:
            write(bench, deployment, disk, offer if disk == DISKS[0] else None)
        deployment.commit(start=False)
        for disk in DISKS:
            assert bench.content(deployment, disk)[:CAPACITY] == pattern(disk), offer


def test_a_writer_closed_without_finish_is_undone(bench: Bench) -> None:
    deployment = deploy(bench)
    _half_written(bench, deployment)
    with pytest.raises(BackendError):
        deployment.commit(start=False)
    mirrored = pattern(DISKS[0])[::-1]
    write(bench, deployment, DISKS[0], content=mirrored)
    write(bench, deployment, DISKS[1])
    deployment.commit(start=False)
    assert bench.content(deployment, DISKS[0])[:CAPACITY] == mirrored


def test_a_writer_that_is_closed_meanwhile_ends_with_cancelled(bench: Bench) -> None:
    stalled = bench.stalled()
    if stalled is None:
        pytest.skip(f"{bench.name}: writing never waits for anybody")
    deployment = deploy(bench)
    offer = deployment.offers(DISKS[0])[-1]
    ended: list[BaseException] = []
    started = threading.Event()
    with stalled:
        writer = deployment.open(DISKS[0], offer, CAPACITY)

        def run() -> None:
            try:
                started.set()
                if offer.access is Access.FORWARD:
                    writer.write(pattern(DISKS[0]))
                else:
                    writer.pwrite(0, pattern(DISKS[0]))
                writer.finish()
            except BaseException as error:  # noqa: BLE001  # the test wants to see which
                ended.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        started.wait()
        writer.close()
        thread.join(60)
        assert not thread.is_alive()
    assert [type(each) for each in ended] == [CancelledError]
    writer.close()


def test_two_threads_write_two_disks_over_one_session(bench: Bench) -> None:
    deployment = deploy(bench)
    if deployment.parallel < 2:
        pytest.skip(f"{bench.name}: writes one disk at a time")
    errors: list[BaseException] = []

    def run(disk: DiskId) -> None:
        try:
            write(bench, deployment, disk)
        except BaseException as error:  # noqa: BLE001  # seen below, in the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=run, args=(disk,)) for disk in DISKS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    deployment.commit(start=False)
    for disk in DISKS:
        assert bench.content(deployment, disk)[:CAPACITY] == pattern(disk)


def test_two_threads_build_two_deployments_over_one_session(bench: Bench) -> None:
    session = bench.session()
    appliance, placement = bench.appliance()
    made: dict[str, Deployment] = {}
    errors: list[BaseException] = []

    def run(key: str) -> None:
        try:
            made[key] = session.deploy(appliance, placement, key)
            for disk in DISKS:
                write(bench, made[key], disk)
            made[key].commit(start=False)
        except BaseException as error:  # noqa: BLE001  # seen below, in the test's own thread
            errors.append(error)

    keys = ("kensho:job-7:deploy", "kensho:job-8:deploy")
    threads = [threading.Thread(target=run, args=(key,)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    for deployment in made.values():
        for disk in DISKS:
            assert bench.content(deployment, disk)[:CAPACITY] == pattern(disk)


def test_cancelling_closes_what_is_read_and_nothing_more_is(bench: Bench) -> None:
    """In events, not in seconds: the read under way is the last one."""
    cancel = Cancel()
    before = bench.standing()
    deployment = bench.session(cancel).deploy(*bench.appliance(), KEY)
    closed: list[bool] = []
    seen = threading.Event()

    def reading(offset: int) -> None:
        cancel.cancel()
        closed.append(disk.closed)
        seen.set()

    disk = MemoryDisk(pattern(DISKS[0]), reading)
    with pytest.raises(CancelledError):
        transfer(
            disk,
            SOURCE,
            targets=deployment.offers(DISKS[0]),
            open_writer=lambda chosen, length, allocation: deployment.open(
                DISKS[0], chosen, length, allocation
            ),
            capacity=CAPACITY,
            cancel=cancel,
        )
    assert seen.wait(60)
    assert closed == [True]
    with pytest.raises(CancelledError):
        deployment.commit(start=False)
    assert bench.session().sweep(KEY) == []
    assert bench.standing() == before


def test_a_commit_twice_is_one_and_a_sweep_leaves_it_alone(bench: Bench) -> None:
    session = bench.session()
    deployment = session.deploy(*bench.appliance(), KEY)
    for disk in DISKS:
        write(bench, deployment, disk)
    result = deployment.commit(start=session.capabilities.powers)
    assert [machine.machine for machine in result.machines] == ["web", "db"]
    assert all(machine.started is session.capabilities.powers for machine in result.machines)
    standing = bench.standing()
    assert deployment.commit(start=False) == result
    assert session.sweep(KEY) == []
    assert deployment.abort() == []
    assert bench.standing() == standing
    again = deploy(bench)
    assert again.token == deployment.token
    assert bench.standing() == standing


def test_what_is_in_service_is_known_by_its_key(bench: Bench) -> None:
    other = bench.session()
    assert not other.stands(KEY)
    deployment = deploy(bench)
    for disk in DISKS:
        write(bench, deployment, disk)
    assert not other.stands(KEY)
    deployment.commit(start=False)
    standing = bench.standing()
    assert bench.session().stands(KEY)
    assert not bench.session().stands("kensho:job-2:deploy")
    assert bench.session().sweep(KEY) == []
    assert bench.session().stands(KEY)
    assert bench.standing() == standing


def test_who_has_lost_the_job_touches_nothing_more_not_even_to_clean_up(bench: Bench) -> None:
    """A guard that raises: as of a worker that slept while another one got its job."""
    lost = threading.Event()

    def guard() -> None:
        if lost.is_set():
            raise LostError("another worker has the job")

    session = bench.session(Cancel(guard))
    deployment = session.deploy(*bench.appliance(), KEY)
    for disk in DISKS:
        write(bench, deployment, disk)
    standing = bench.standing()
    lost.set()
    other = f"{KEY}-2"
    calls: list[Callable[[], object]] = [
        lambda: session.deploy(*bench.appliance(), other),
        lambda: deployment.open(DISKS[0], deployment.offers(DISKS[0])[-1], CAPACITY),
        lambda: deployment.commit(start=False),
        deployment.abort,
        lambda: session.sweep(KEY),
    ]
    for call in calls:
        with pytest.raises(LostError):
            call()
        assert bench.standing() == standing
    deploy(bench).commit(start=False)


class LostError(KenshoError):
    """As `kensho_tui.migration.context.FencedError`, which no back end knows."""


def test_the_environment_is_delivered_where_the_platform_says_so(bench: Bench) -> None:
    session = bench.session()
    deployment = session.deploy(*bench.appliance(), KEY)
    way = deployment.deliver(Environment({MachineId("web"): b"<Environment/>"}, sensitive=True))
    assert (way is not Transport.NONE) == session.capabilities.environment


@pytest.mark.parametrize("start", [False, True], ids=["off", "running"])
def test_an_environment_that_was_delivered_is_withdrawn_by_another_session(
    bench: Bench, start: bool
) -> None:
    session = bench.session()
    deployment = session.deploy(*bench.appliance(), KEY)
    for disk in DISKS:
        write(bench, deployment, disk)
    before = bench.environments()
    deployment.deliver(Environment({MachineId("web"): b"<Environment/>"}, sensitive=True))
    deployment.commit(start=start and session.capabilities.powers)
    assert (bench.environments() != before) == session.capabilities.environment
    other = bench.session()
    assert other.withdraw(KEY) == []
    assert bench.environments() == before
    standing = bench.standing()
    assert other.withdraw(KEY) == []
    assert other.withdraw("kensho:another:deploy") == []
    assert session.sweep(KEY) == []
    assert bench.standing() == standing


def test_killed_between_any_two_calls_an_environment_is_withdrawn_by_the_next(
    bench: Bench,
) -> None:
    before = bench.environments()
    documents = {MachineId(name): b"<Environment/>" for name in ("web", "db")}
    deployment = deploy(bench)
    for calls in range(100):
        session = bench.mortal(calls)
        if session is None:
            pytest.skip(f"{bench.name}: its calls cannot be cut off one by one")
        deployment.deliver(Environment(documents, sensitive=True))
        try:
            left = session.withdraw(KEY)
        except BackendError:
            left = None
        assert bench.session().withdraw(KEY) == []
        assert bench.environments() == before, f"after call {calls}"
        if left == []:
            assert calls or not session.capabilities.environment, "nothing was cut off"
            return
    pytest.fail("a withdrawal of more than 100 calls")


def test_a_disk_that_is_not_in_the_appliance_is_refused(bench: Bench) -> None:
    deployment = deploy(bench)
    with pytest.raises(BackendError):
        deployment.offers(DiskId("nowhere"))


def test_an_unknown_resume_token_is_refused_and_harms_nothing(bench: Bench) -> None:
    deployment = deploy(bench)
    offer = deployment.offers(DISKS[0])[-1]
    with pytest.raises(UnsupportedError):
        deployment.open(DISKS[0], offer, CAPACITY, resume={"made": "up"})
    write(bench, deployment, DISKS[0])


def test_too_few_bytes_are_not_taken_for_a_whole_disk(bench: Bench) -> None:
    deployment = deploy(bench)
    offer = next(
        (o for o in deployment.offers(DISKS[0]) if o.access is Access.FORWARD and o.needs), None
    )
    if offer is None:
        pytest.skip(f"{bench.name}: is told no length")
    writer = deployment.open(DISKS[0], offer, CAPACITY)
    try:
        with pytest.raises(BackendError):
            writer.write(bytes(CAPACITY - 512))
            writer.finish()
    finally:
        writer.close()


def test_checking_changes_nothing_and_sees_a_storage_that_is_gone(bench: Bench) -> None:
    from dataclasses import replace

    session = bench.session()
    appliance, placement = bench.appliance()
    before = bench.standing()
    assert [f for f in session.check(appliance, placement) if f.severity == "error"] == []
    if not placement.storage:
        pytest.skip(f"{bench.name}: disks are not placed")
    gone = Ref(Kind.STORAGE, "00000000-0000-0000-0000-000000000000", "gone")
    moved = replace(placement, storage={**placement.storage, DISKS[0]: gone})
    findings = session.check(appliance, moved)
    assert any(finding.severity == "error" for finding in findings)
    assert bench.standing() == before
