"""The steps of a job, in order. Each can be begun again after a crash and then does no harm."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

from backends.base import (
    BackendError,
    Capture,
    Consistency,
    Deployment,
    Described,
    Kind,
    MachineItem,
    Placement,
    Power,
    Ref,
    Result,
    Session,
    Transport,
    TrustError,
)
from kensho_tui.cancel import Cancel
from kensho_tui.errors import KenshoError
from kensho_tui.findings import Finding, Severity
from kensho_tui.machine import Appliance, DiskId
from kensho_tui.migration import (
    apply,
    environment,
    licensing,
    moving,
    preflight,
    properties,
    withdrawal,
)
from kensho_tui.migration.context import (
    COMMIT,
    FencedError,
    JobContext,
    Json,
    Question,
    QuestionKind,
    StepState,
    Undo,
)
from kensho_tui.migration.leftovers import (
    BY_SNAPSHOT,
    DEPLOY,
    ENVIRONMENT,
    RELEASE,
    SWEEP,
    WITHDRAW,
)
from kensho_tui.migration.plan import Plan
from kensho_tui.migration.retry import Retries
from kensho_tui.migration.sessions import Reading, Sessions, Writing
from kensho_tui.migration.target import items, view
from kensho_tui.migration.undo import (
    leftover,
    session_of,
    start_of,
    take_back,
    undo_of,
)
from kensho_tui.migration.units import clause, disk_label
from kensho_tui.migration.words import finding_line, source_name, target_name

SOURCE, CHECK, SHUT_DOWN, CAPTURE = "source", "check", "shut-down", "capture"
# Nothing has been written when these are asked, so that giving up costs nothing.
_ANSWER_WITHIN = timedelta(hours=1)


class Move:
    """One run of one job: holds what is live between the steps."""

    def __init__(self, context: JobContext, plan: Plan, sessions: Sessions) -> None:
        self.context = context
        self.plan = plan
        self.spec = plan.spec
        self.sessions = sessions
        self._capture: Capture | None = None
        self._deployment: Deployment | None = None
        self._built: tuple[Appliance, Placement]

    def run(self) -> tuple[Json, list[dict[str, str]]]:
        """All steps; what came into being, and what of the capture could not be removed."""
        if not self._done(COMMIT):
            source = self._connect(self._source_end())
            described = self._read(source)
            for name, asked in properties.secrets(described.appliance, self.spec):
                self.context.expect(name, asked)
            target = self._connect(self._target_end())
            if not self._done(CHECK):
                self._check(source, described, target)
            self._shut_down(source, described)
            capture = self._capture = self._take(source)
            # What is built is what was captured: the moment counts, not what was described before.
            appliance = apply.chosen(capture.appliance, self.spec)
            deployment = self._deployment = self._deploy(target, appliance)
            self._move(capture, deployment, appliance, target)
            self._deliver(deployment, appliance, target)
            self._commit(deployment)
        result = self._result_of(COMMIT)
        self.context.settled(DEPLOY)
        # First, because what follows may wait for the guests, and the source for nobody.
        self._release()
        self._start_again()
        withdrawal.withdraw(self.context, self.sessions, self.spec, result)
        return result, self.context.leftovers()

    # ------------------------------------------------------------------ giving up
    def abandon(self) -> None:
        """Stop what is live before it is taken back by its key; its errors do not matter then."""
        if self._deployment is not None and not self._done(COMMIT):
            try:
                self._deployment.abort()
            except KenshoError as error:
                self.context.note(f"giving up: {error}", level="warning", step=DEPLOY)
        if self._capture is not None:
            try:
                self._capture.release()
            except KenshoError as error:
                self.context.note(f"giving up: {error}", level="warning", step=CAPTURE)

    def stands(self) -> bool:
        """Whether the commit was decided, though the journal does not know: nothing undoes it then."""
        past = self.context.past(COMMIT)
        if past is None or past.state is StepState.DONE:
            return False
        return session_of(self.sessions, self._target_end()).stands(self._key(DEPLOY))

    def let_go(self) -> None:
        """Forget what is live without touching it: it belongs to somebody else now."""
        self._capture = self._deployment = None

    # ------------------------------------------------------------------ ends
    def _source_end(self) -> dict[str, Json]:
        source = self.spec.source
        if source.package is not None:
            return {
                "package": source.package,
                "settings": Reading.of(self.spec).settings(),
            }
        return {"connection": source.connection}

    def _target_end(self) -> dict[str, Json]:
        target = self.spec.target
        if target.package is not None:
            return {"package": target.package, "settings": Writing.of(target).settings()}
        return {"connection": target.connection}

    def _connect(self, end: dict[str, Json]) -> Session:
        try:
            return session_of(self.sessions, end)
        except TrustError as error:
            # Without a pin there is nothing that has changed: whom to trust is decided beforehand.
            if not error.expected or "connection" not in end:
                raise
            self._ask_pin(str(end["connection"]), error)
            return session_of(self.sessions, end)

    def _ask_pin(self, name: str, error: TrustError) -> None:
        details = [f"issued by {error.issuer}" if error.issuer else ""]
        details.append(f"valid until {error.not_after}" if error.not_after else "")
        about = ", ".join(each for each in details if each)
        answer = self.context.ask(
            Question(
                id=f"pin:{name}:{error.presented[:16]}",
                kind=QuestionKind.CHANGED_PIN,
                text=f"{name} shows another certificate than before: SHA-256 {error.presented}"
                + (f" ({about})" if about else "")
                + ". Trust it for this job?",
                choices=("trust", "stop"),
                default="stop",
                expires=self.context.clock.now() + _ANSWER_WITHIN,
            )
        )
        if answer != "trust":
            raise error
        self.sessions.trust(name, error.presented)

    def _refs(self) -> list[Ref]:
        """What is captured: the machines that are included, or the whole appliance or package."""
        left = {id for id, plan in self.spec.machines.items() if not plan.include}
        return [
            each.ref()
            for each in self.spec.source.machines
            if each.kind is not Kind.MACHINE or each.id not in left
        ]

    # ------------------------------------------------------------------ steps
    def _read(self, source: Session) -> Described:
        refs = [each.ref() for each in self.spec.source.machines]
        before = self._result_of(SOURCE)
        with self._step(SOURCE, f"Read {source_name(self.spec)}") as done:
            described = source.describe(refs, configuration=self.spec.configuration)
            expected = before["identity"] if before else self.spec.source.identity
            if expected and described.identity != expected and not self._held():
                self._ask_changed(described.identity, again=before is not None)
            machines = machines_json(described.appliance)
            done({"identity": described.identity, "machines": machines})
        return described

    def _held(self) -> bool:
        """Whether a snapshot keeps the moment, whatever the running machine does meanwhile."""
        return self.spec.source.consistency == "snapshot" and self._done(CAPTURE)

    def _ask_changed(self, identity: str, *, again: bool) -> None:
        name = source_name(self.spec)
        changed = KenshoError(
            "it is not what it was when the plan was made",
            subject=name,
            remedy="Look at it again and make a new plan",
        )
        if again:
            # Some disks were moved already: old and new bytes must not stand side by side.
            raise KenshoError(
                "it has changed while it was being moved", subject=name, remedy="Start again"
            )
        answer = self.context.ask(
            Question(
                id=f"source:{identity[:32]}",
                kind=QuestionKind.SOURCE_CHANGED,
                text=f"{name} has changed since the plan was made. Go on with what is there now?",
                choices=("continue", "stop"),
                default="stop",
                expires=self.context.clock.now() + _ANSWER_WITHIN,
            )
        )
        if answer != "continue":
            raise changed

    def _check(self, source: Session, described: Described, target: Session) -> None:
        context, spec = self.context, self.spec
        with self._step(CHECK, f"Check {target_name(spec)}") as done:
            seen = view(
                target, connection=spec.target.connection or "", package=spec.target.package or ""
            )
            found = preflight.check(
                described,
                apply.chosen(described.appliance, spec),
                spec,
                seen,
                target,
                self._machines(source, described),
                context.secrets.secret,
                "job",
            )
            for each in found:
                if each.severity is not Severity.INFO:
                    level = "error" if each.severity is Severity.ERROR else "warning"
                    context.note(finding_line(each), level=level, step=CHECK)
            refuse(found)
            # Who accepted which licence stands in the journal where it was made sure of.
            done(
                {
                    "findings": [asdict(each) for each in found],
                    "licences": licensing.accepted(spec),
                }
            )

    def _machines(self, source: Session, described: Described) -> list[MachineItem]:
        if self.spec.source.package is not None:
            return []
        wanted = {each.id for each in self._refs()}
        wanted |= {str(each.id) for each in described.appliance.machines}
        return [
            item
            for item in items(source, frozenset({Kind.MACHINE}))
            if isinstance(item, MachineItem) and item.ref.id in wanted
        ]

    def _shut_down(self, source: Session, described: Described) -> None:
        """Shut down what runs, where the plan consents; taken back, they are started again."""
        how = self.spec.source.shut_down
        if how is None or self._done(SHUT_DOWN):
            return
        machines = self._machines(source, described)
        running = [each.ref for each in machines if each.power is Power.ON]
        if not running and self.context.past(SHUT_DOWN) is None:
            return
        where = source_name(self.spec)
        names = ", ".join(each.name for each in running) or "the machines"
        undo = start_of(SHUT_DOWN, self._source_end(), running)
        with self._step(SHUT_DOWN, f"Shut down {names} on {where}", undo=undo) as done:
            for ref in running:
                source.power(ref, Power.OFF, how.timeout_s, force=how.force)
            done({"machines": [each.id for each in running]})

    def _start_again(self) -> None:
        """What was shut down stays so where its copy takes over, and runs on where that is a file."""
        if self.context.past(SHUT_DOWN) is None:
            return
        if self.spec.target.package is not None:
            take_back(self.context, self.sessions, {SHUT_DOWN})
        else:
            self.context.settled(SHUT_DOWN)

    def _key(self, step: str) -> str:
        return f"kensho:{self.context.job}:{step}"

    def _take(self, source: Session) -> Capture:
        key = self._key(CAPTURE)
        how = Consistency(self.spec.source.consistency)
        undo = None
        title = f"Open {source_name(self.spec)}"
        if self.spec.source.package is None:
            undo = undo_of(CAPTURE, RELEASE, self._source_end(), key)
            title = f"Hold the machines on {source_name(self.spec)} still"
            if how is Consistency.SNAPSHOT:
                title = f"{title} {BY_SNAPSHOT}"
        with self._step(CAPTURE, title, undo=undo) as done:
            capture = source.capture(self._refs(), how, key, configuration=self.spec.configuration)
            done({"token": capture.token})
        return capture

    def _deploy(self, target: Session, appliance: Appliance) -> Deployment:
        key = self._key(DEPLOY)
        undo = undo_of(DEPLOY, SWEEP, self._target_end(), key)
        title = f"Build {appliance.name} on {target_name(self.spec)}"
        with self._step(DEPLOY, title, undo=undo) as done:
            placement = apply.placement(appliance, self.spec)
            self._built = appliance, placement
            deployment = target.deploy(appliance, placement, key)
            done({"token": deployment.token})
        return deployment

    def _move(
        self, capture: Capture, deployment: Deployment, appliance: Appliance, target: Session
    ) -> None:
        todo = [
            task
            for task in tasks(appliance, self.spec.storage, target.capabilities.disk_increment)
            if not self._done(task.step)
        ]
        if self.spec.source.package is not None and self.spec.integrity == "warn":
            todo = [replace(task, damage_warns=True) for task in todo]
        run = self.spec.run
        moving.move_all(
            self.context,
            capture,
            deployment,
            todo,
            at_once=run.disks_at_once,
            policy=run.retry.policy(),
        )

    def _deliver(self, deployment: Deployment, appliance: Appliance, target: Session) -> None:
        able = target.capabilities.environment and self.spec.target.package is None
        if not able or self._done(ENVIRONMENT):
            return
        if not (appliance.properties or appliance.environment_files):
            return
        from kensho_tui.ovf.environment import sensitive as holds_password

        sensitive = holds_password(appliance)
        # Before it is there: whatever ends this process, the CD with the password is known.
        undo = undo_of(ENVIRONMENT, WITHDRAW, self._target_end(), self._key(DEPLOY))
        title = "Hand the guests their settings"
        with self._step(ENVIRONMENT, title, undo=undo if sensitive else None) as done:
            values = properties.values(appliance, self.spec, self.context.secrets.secret)
            platform, now = target.capabilities.platform, self.context.clock.now()
            made = environment.made(appliance, self.spec, values, platform, now)
            transport = deployment.deliver(made)
            if transport is Transport.NONE:
                self.context.note(
                    "the target had no way to hand the guests their settings: "
                    "set them inside the guests",
                    level="warning",
                    step=ENVIRONMENT,
                )
                self.context.settled(ENVIRONMENT)
            done({"transport": str(transport)})

    def _commit(self, deployment: Deployment) -> None:
        if self.spec.run.cutover is not None:
            self.context.until_open(self.spec.run.cutover.window())
        start = self.spec.start and self.spec.target.package is None
        title = f"Finish on {target_name(self.spec)}" + (" and start" if start else "")
        with self._step(COMMIT, title) as done:
            # The last moment at which giving up costs nothing.
            self.context.cancel.check()
            try:
                result = deployment.commit(start)
            except KenshoError as error:
                result = self._commit_again(error, start)
            done(result_json(result))
        for each in result.findings:
            level = "info" if each.severity is Severity.INFO else "warning"
            self.context.note(finding_line(each), level=level, step=COMMIT)

    def _commit_again(self, error: KenshoError, start: bool) -> Result:
        """Complete a commit that was cut off: part of it may stand already, which nothing undoes.

        With logins of its own, because a cancellation has closed the others.

        Raises: KenshoError: ``error``, where trying again makes no sense; or what came of it.
        """
        cancelled = self.context.cancel.cancelled
        if not cancelled and not error.retryable:
            raise error
        if cancelled:
            self.context.note(
                "it is too late to cancel: the machines are being put into service",
                level="warning",
                step=COMMIT,
            )
        retries = Retries(self.spec.run.retry.policy())
        while True:
            try:
                with self.sessions.apart() as sessions:
                    target = session_of(sessions, self._target_end())
                    appliance, placement = self._built
                    deployment = target.deploy(appliance, placement, self._key(DEPLOY))
                    return deployment.commit(start and not cancelled)
            except KenshoError as again:
                if (pause := retries.pause_s(again)) is None:
                    raise
                self.context.note(f"{again.what}; trying again", level="warning", step=COMMIT)
            self.context.clock.sleep(pause, Cancel())

    def _release(self) -> None:
        """Let go of the capture: through what is live, else by its key."""
        capture = self._capture
        open_undos = [each for each in self.context.undos() if each.step == CAPTURE]
        if not open_undos:
            return
        if capture is None:
            take_back(self.context, self.sessions, {CAPTURE})
            return
        try:
            found = capture.release()
        except KenshoError as error:
            self.context.note(f"releasing: {error}; trying by key", level="warning", step=CAPTURE)
            take_back(self.context, self.sessions, {CAPTURE})
            return
        where = source_name(self.spec)
        left = [leftover(each, where) for each in found]
        for undo in open_undos:
            self.context.undone(undo, left)

    # ------------------------------------------------------------------ journal
    def _done(self, step: str) -> bool:
        past = self.context.past(step)
        return past is not None and past.state is StepState.DONE

    def _result_of(self, step: str) -> Any:  # noqa: ANN401 - what a step journaled
        past = self.context.past(step)
        return past.result if past is not None and past.state is StepState.DONE else None

    @contextmanager
    def _step(self, step: str, title: str, *, undo: Undo | None = None) -> Iterator["_Done"]:
        """Begin the step, journal its end. Raises what the block raises."""
        self.context.pace.pass_gate(self.context.cancel)
        self.context.cancel.check()
        self.context.begin(step, title, undo=undo)
        done = _Done()
        try:
            yield done
        except FencedError:
            raise
        except KenshoError as error:
            self.context.failed(step, error)
            raise
        self.context.done(step, done.result)


class _Done:
    """Takes the result of a step."""

    def __init__(self) -> None:
        self.result: Json = None

    def __call__(self, result: Json) -> None:
        self.result = result


def refuse(found: list[Finding]) -> None:
    """Raise for the errors among the findings, all in one.

    Raises: BackendError: there are some.
    """
    errors = [each for each in found if each.severity is Severity.ERROR]
    if not errors:
        return
    first = errors[0]
    more = f" (and {len(errors) - 1} more, see the log)" if len(errors) > 1 else ""
    raise BackendError(
        f"{clause(first.message)}{more}",
        subject=first.subject,
        remedy=first.remedy.rstrip(".") or "Make a new plan",
    )


def tasks(
    appliance: Appliance, storage: dict[str, Any], increment: int
) -> Iterator[moving.DiskTask]:
    """The disks that have bytes to move, in the order of the machines."""
    seen: set[DiskId] = set()
    for machine in appliance.machines:
        for number, disk in enumerate(appliance.disks_of(machine)):
            if disk.id in seen or disk.blank:
                continue
            seen.add(disk.id)
            place = storage.get(disk.id)
            where = f" to {place.name or place.id}" if place is not None else ""
            title = f"{disk_label(machine.name, disk.name, number)}{where}"
            yield moving.DiskTask(
                disk.id, machine.name, disk.image, title, disk.capacity, increment
            )


def machines_json(appliance: Appliance) -> Json:
    """What the source holds, by the ids that plan and steps call it by; sizes in bytes."""
    return [
        {
            "id": each.id,
            "name": each.name,
            "uuid": each.uuid or "",
            "processors": each.processors.count,
            "memory": each.memory.size,
            "disks": [
                {
                    "id": disk.id,
                    "name": disk.name,
                    "image": disk.image,
                    "capacity": disk.capacity,
                    "blank": disk.blank,
                }
                for disk in appliance.disks_of(each)
            ],
        }
        for each in appliance.machines
    ]


def result_json(result: Result) -> Json:
    """A result as the journal keeps it."""
    return {
        "location": result.location,
        "appliance": _ref(result.appliance),
        "machines": [
            {
                "machine": str(each.machine),
                "ref": _ref(each.ref),
                "started": each.started,
                "disks": {str(disk): _ref(ref) for disk, ref in each.disks.items()},
            }
            for each in result.machines
        ],
        "findings": [finding_line(each) for each in result.findings],
    }


def _ref(ref: Ref | None) -> Json:
    return None if ref is None else {"kind": str(ref.kind), "id": ref.id, "name": ref.name}
