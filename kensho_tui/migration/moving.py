"""The bytes of all disks of one job: some at a time, each a step of its own."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from backends.base import (
    Capture,
    Covered,
    DamagedError,
    Deployment,
    Digested,
    Reader,
    ResumeError,
    UnsupportedError,
    Writer,
)
from kensho_tui.cancel import Cancel, CancelledError
from kensho_tui.disks.copy import Progress, Transferred, choose, transfer
from kensho_tui.disks.image import Access, ExtentMap, ImageError, Offer, StaleError
from kensho_tui.disks.resume import Point, Resuming
from kensho_tui.errors import KenshoError
from kensho_tui.machine import Appliance, Bus, DiskId
from kensho_tui.migration import resuming
from kensho_tui.migration.context import (
    STOPPED,
    FencedError,
    JobContext,
    Json,
    Sample,
    StepState,
)
from kensho_tui.migration.leftovers import DISK
from kensho_tui.migration.rates import Rate
from kensho_tui.migration.resuming import Mark
from kensho_tui.migration.retry import Policy, Retries, Trouble, trouble


@dataclass(frozen=True, slots=True)
class DiskTask:
    """One disk that has to be moved.

    Attributes:
        image: name of the source's file or disk, for messages.
        capacity: in bytes; None where only the image tells.
        damage_warns: bytes that are not what the source promised are a warning, not an error.
    """

    disk: DiskId
    machine: str
    image: str
    title: str
    capacity: int | None
    increment: int
    damage_warns: bool = False

    @property
    def step(self) -> str:
        """Id of its step."""
        return f"{DISK}{self.disk}"


class _Together:
    """What the disks of one job share: the first failure, which stops all of them."""

    def __init__(self) -> None:
        self.stop = Cancel()
        self.first: BaseException | None = None
        self._whose = ""
        self._lock = threading.Lock()

    def fail(self, error: BaseException, task: DiskTask) -> None:
        """Keep the first error; what the others say once they are stopped is only an echo."""
        with self._lock:
            if self.first is None and not self.stop.cancelled:
                self.first, self._whose = error, task.title
        self.stop.cancel()

    def why(self, error: KenshoError) -> KenshoError:
        """The error as it is journaled: a disk that was only stopped says because of which other."""
        if isinstance(error, CancelledError) and self._whose:
            return KenshoError(f"{STOPPED} {self._whose} failed")
        return error


def move_all(
    context: JobContext,
    capture: Capture,
    deployment: Deployment,
    tasks: Sequence[DiskTask],
    *,
    at_once: int,
    policy: Policy,
) -> None:
    """Move the disks, at most so many at once; the first failure stops all others and is raised.

    Raises: KenshoError: what a disk failed with. CancelledError.
    """
    if not tasks:
        return
    together = _Together()
    for task in tasks:
        # Told before any of them begins, so that what is left of the whole job is known from the start.
        if task.capacity:
            context.sample(
                Sample(task.step, task.machine, str(task.disk), position=0, total=task.capacity)
            )

    def work(task: DiskTask) -> None:
        try:
            _step(context, capture, deployment, task, together, policy)
        except BaseException as error:
            together.fail(error, task)
            raise

    with (
        context.cancel.closing(together.stop.cancel),
        ThreadPoolExecutor(
            min(max(1, deployment.parallel), at_once, len(tasks)), "kensho-disk"
        ) as pool,
    ):
        futures = [pool.submit(work, task) for task in tasks]
    if together.first is not None:
        raise together.first
    context.cancel.check()
    for future in futures:
        future.result()


def _step(
    context: JobContext,
    capture: Capture,
    deployment: Deployment,
    task: DiskTask,
    together: _Together,
    policy: Policy,
) -> None:
    context.pace.pass_gate(together.stop)
    together.stop.check()
    past = context.past(task.step)
    context.begin(task.step, task.title, machine=task.machine, disk=str(task.disk))
    again = past is not None and past.state is StepState.RUNNING
    try:
        moved = _with_retries(context, capture, deployment, task, together.stop, policy, again)
    except FencedError:
        raise
    except KenshoError as error:
        if isinstance(error, ImageError) and task.image not in error.subject:
            # A format knows no file names.
            error.subject = ": ".join(each for each in (task.image, error.subject) if each)
        # Stopped because the job is somebody else's now: nothing has failed.
        if not isinstance(together.first, FencedError):
            context.failed(task.step, together.why(error))
        raise
    context.done(task.step, moved)


def _result(moved: Transferred, source: object, target: object) -> Json:
    """What is known of the disk that was moved; digests of the streams, where an end tells them."""
    return {
        "digests": {
            end: stream.digest
            for end, stream in (("source", source), ("target", target))
            if isinstance(stream, Digested) and stream.digest
        },
        "capacity": moved.capacity,
        "read": moved.read,
        "written": moved.written,
        "empty": moved.empty,
        "from": moved.source.format.value,
        "to": moved.target.format.value,
    }


def _with_retries(
    context: JobContext,
    capture: Capture,
    deployment: Deployment,
    task: DiskTask,
    stop: Cancel,
    policy: Policy,
    again: bool,
) -> Json:
    retries, said = Retries(policy), ""
    reached = resuming.position(context, task.step)
    while True:
        try:
            return _move(context, capture, deployment, task, stop, again)
        except (CancelledError, FencedError):
            raise
        except KenshoError as error:
            if stop.cancelled:
                # A stream that was closed under a thread says so in words of its own.
                raise CancelledError from error
            if (now := resuming.position(context, task.step)) > reached:
                # It has come further since: what is tried again is not what failed before.
                retries, reached = Retries(policy), now
            if (pause := retries.pause_s(error)) is None:
                raise
            busy = trouble(error) is Trouble.BUSY
            if error.what != said or not busy:
                going_on = "waiting until it is free" if busy else "trying again"
                context.note(
                    f"{task.title}: {error.what}; {going_on}",
                    level="warning",
                    machine=task.machine,
                    step=task.step,
                )
            said = error.what if busy else ""
            context.clock.sleep(pause, stop)
            again = True


def _move(
    context: JobContext,
    capture: Capture,
    deployment: Deployment,
    task: DiskTask,
    stop: Cancel,
    again: bool,
) -> Json:
    """Move the disk from where it stopped, else from its beginning; the log says which and why."""
    context.pace.pass_gate(stop)  # a pause may have cost the connection; it is not tried in vain
    if not again:
        return _send(context, capture, deployment, task, stop, None)
    mark = None
    try:
        mark = resuming.journaled(context, task.step)
        if mark is None:
            raise resuming.AnewError(_nothing_kept(capture, deployment, task))
        return _send(context, capture, deployment, task, stop, mark)
    except (resuming.AnewError, ResumeError, StaleError) as why:
        if mark is not None:
            # Of no use to a later attempt either.
            context.resume_point(task.step, None)
        _say(context, task, f"starts again from its beginning: {why.what}")
    return _send(context, capture, deployment, task, stop, None)


def _nothing_kept(capture: Capture, deployment: Deployment, task: DiskTask) -> str:
    offer = best_offer(capture.offers(task.disk), deployment.offers(task.disk), task.capacity)
    if offer.access is Access.FORWARD:
        return "its source is read from the beginning only"
    return "the target had acknowledged no part of it yet"


def adapter_of(appliance: Appliance, disk: DiskId) -> str:
    """The controller a disk hangs on, in the words of a VMDK's descriptor."""
    for machine in appliance.machines:
        controllers = {each.id: each for each in machine.controllers}
        for attachment in machine.attachments:
            if attachment.disk == disk and attachment.controller in controllers:
                found = controllers[attachment.controller]
                if found.bus is Bus.IDE:
                    return "ide"
                return "buslogic" if "buslogic" in found.model.lower() else "lsilogic"
    return "lsilogic"


def _send(
    context: JobContext,
    capture: Capture,
    deployment: Deployment,
    task: DiskTask,
    stop: Cancel,
    mark: Mark | None,
) -> Json:
    sources, targets = capture.offers(task.disk), deployment.offers(task.disk)
    if mark is None:
        offer = best_offer(sources, targets, task.capacity)
    else:
        offer, target = mark.offers(sources, targets)
        targets = (target,)
    reader = capture.open(task.disk, offer)
    if mark is not None and mark.identity != reader.identity:
        reader.close()
        raise resuming.AnewError("the source is not what it was")

    opened: list[Writer] = []

    def open_writer(chosen: Offer, length: int | None, allocation: ExtentMap | None) -> Writer:
        nonlocal target
        target = chosen
        token = None if mark is None else mark.point.token
        opened.append(deployment.open(task.disk, chosen, length, allocation, token))
        return opened[-1]

    def keep(point: Point) -> None:
        context.resume_point(task.step, Mark(reader.identity, offer, target, point).to_json())

    def begun(compared: bool) -> None:
        if mark is not None:
            _say(context, task, mark.told(task.capacity, compared))

    moved = transfer(
        reader,
        offer,
        targets=targets,
        open_writer=open_writer,
        capacity=task.capacity,
        increment=task.increment,
        adapter=adapter_of(capture.appliance, task.disk),
        progress=_reporting(context, task),
        cancel=stop,
        pace=context.pace,
        verify=lambda: _verify(context, reader, task),
        # Damage that no digest would show is looked for where it would pass unseen.
        inspect=not (isinstance(reader, Covered) and reader.covered),
        # A source that is read from its beginning only has no use for points on the way.
        resuming=None
        if offer.access is Access.FORWARD
        else Resuming(
            keep=keep,
            durable=lambda writer: writer.durable(),
            pread=lambda writer, offset, buffer: writer.pread(offset, buffer),
            blind=UnsupportedError,
            start=None if mark is None else mark.point,
            begun=begun,
        ),
    )
    return _result(moved, reader, opened[-1])


def _say(context: JobContext, task: DiskTask, what: str) -> None:
    context.note(f"{task.title}: {what}", machine=task.machine, step=task.step)


def _verify(context: JobContext, reader: Reader, task: DiskTask) -> None:
    try:
        reader.verify()
    except DamagedError as error:
        if not task.damage_warns:
            raise
        context.note(str(error), level="warning", machine=task.machine, step=task.step)


def best_offer(sources: Sequence[Offer], targets: Sequence[Offer], capacity: int | None) -> Offer:
    """The first way to read the disk that some way to write it goes with, as far as is known now.

    Raises: ImageError: the source offers none.
    """
    if not sources:
        raise ImageError("the source offers no way to read the disk")
    for source in sources:
        try:
            # What can be read anywhere can be asked where its data is.
            choose(source, targets, mapped=source.access is not Access.FORWARD, capacity=capacity)
        except ImageError:
            continue
        return source
    return sources[0]  # the transfer, which has seen the disk, says why it cannot be


def _reporting(context: JobContext, task: DiskTask) -> Callable[[Progress], None]:
    lately = Rate()

    def report(at: Progress) -> None:
        rate, eta_s = at.rate, at.eta_s
        if context.pace.held:
            lately.reset()
        elif (
            even := lately.at(
                context.clock.monotonic(), max(at.read, at.written), context.pace.limit
            )
        ) is not None:
            # What is left takes as much longer as the rate is lower.
            eta_s = eta_s * rate / even if eta_s and even else eta_s
            rate = even
        context.sample(
            Sample(
                step=task.step,
                machine=task.machine,
                disk=str(task.disk),
                position=at.position,
                total=at.total,
                read=at.read,
                written=at.written,
                empty=at.empty,
                rate=rate,
                eta_s=eta_s,
            )
        )

    return report
