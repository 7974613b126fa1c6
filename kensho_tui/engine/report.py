"""What became of a job, as one typed record made from its journal and from nothing else.

Text from outside is made fit for a page here, once: what prints a report only escapes it for its format.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from kensho_tui.engine.events import Event, EventKind, JobState, Json, leftover_text
from kensho_tui.engine.telling import Level, log_line
from kensho_tui.migration.leftovers import DEPLOY
from kensho_tui.text import one_line


@dataclass(frozen=True, slots=True)
class ReportMachine:
    """One machine. ``target`` and ``target_id`` are "" until it is in service; memory in bytes."""

    id: str
    name: str
    target: str = ""
    target_id: str = ""
    processors: int | None = None
    memory: int | None = None
    started: bool = False


@dataclass(frozen=True, slots=True)
class ReportDisk:
    """One disk; sizes in bytes, None where nothing was moved (a blank disk, or not come to it).

    Attributes:
        state: of its step: done, failed, running, undone; "blank" where there was nothing to move,
            "" where it was not come to.
        seconds: of the last attempt; attempts: how often it was begun.
        source_digest: of the source's file, found to be what its manifest promises; target_digest:
            of the file that was written. "" where there is none.
    """

    id: str
    machine: str
    name: str
    state: str = ""
    capacity: int | None = None
    read: int | None = None
    written: int | None = None
    empty: int | None = None
    source_format: str = ""
    target_format: str = ""
    source_digest: str = ""
    target_digest: str = ""
    storage: str = ""
    target: str = ""
    target_id: str = ""
    began: str = ""
    ended: str = ""
    seconds: float | None = None
    attempts: int = 0

    @property
    def rate(self) -> float | None:
        """Bytes of the capacity a second."""
        return self.capacity / self.seconds if self.capacity and self.seconds else None


@dataclass(frozen=True, slots=True)
class ReportFinding:
    """What preflight noticed. ``accepted``: the plan says so; ``by``: whoever submitted it."""

    id: str
    severity: str
    message: str
    subject: str = ""
    remedy: str = ""
    accepted: bool = False
    by: str = ""


@dataclass(frozen=True, slots=True)
class ReportLicence:
    """A licence, by the SHA-256 of its text, and who accepted it when."""

    digest: str
    by: str
    at: str


@dataclass(frozen=True, slots=True)
class ReportQuestion:
    """What the job asked. ``answer`` is "(hidden)" for a secret, "" where it was not answered."""

    text: str
    answer: str = ""
    by: str = ""
    at: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """One job. Times are ISO 8601 in UTC, "" where not reached; ``seconds`` from first to last event."""

    job: str
    name: str
    state: str
    source: str
    target: str
    location: str = ""
    batch: str = ""
    retry_of: str = ""
    plan_digest: str = ""
    consistency: str = ""
    integrity: str = ""
    submitted_by: str = ""
    created: str = ""
    ended: str = ""
    seconds: float = 0.0
    attempts: int = 1
    error: dict[str, str] | None = None
    machines: tuple[ReportMachine, ...] = ()
    disks: tuple[ReportDisk, ...] = ()
    findings: tuple[ReportFinding, ...] = ()
    licences: tuple[ReportLicence, ...] = ()
    questions: tuple[ReportQuestion, ...] = ()
    properties: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    leftovers: tuple[dict[str, str], ...] = ()

    def leftover_lines(self) -> list[str]:
        """What is left, why, and what removes it; a line each."""
        return [leftover_text(each) for each in self.leftovers]


def report(events: Iterable[Event]) -> Report:
    """The report of the job whose events these are, all of them and in order.

    Raises: ValueError: they do not begin with the submission.
    """
    reading = _Reading()
    for event in events:
        reading.take(event)
    return reading.report()


def _s(value: object) -> str:
    """Text from outside, fit for one line of a page."""
    return one_line("" if value is None else str(value))


def _seconds(began: str, ended: str) -> float | None:
    if not began or not ended:
        return None
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds()


@dataclass(slots=True)
class _Step:
    title: str = ""
    machine: str = ""
    disk: str = ""
    state: str = ""
    began: str = ""
    ended: str = ""
    attempts: int = 0
    result: Json = None
    left: bool = False


class _Reading:
    """The events taken in, one after the other."""

    def __init__(self) -> None:
        self._first: Event | None = None
        self._last: Event | None = None
        self._state = JobState.QUEUED
        self._attempts = 1
        self._error: dict[str, str] | None = None
        self._leftovers: list[dict[str, Json]] = []
        self._result: Json = None
        self._steps: dict[str, _Step] = {}
        self._questions: dict[str, ReportQuestion] = {}
        self._warnings: list[str] = []
        self._titles: dict[str, str] = {}

    def take(self, event: Event) -> None:
        if self._first is None:
            if event.kind is not EventKind.SUBMITTED:
                raise ValueError("the events do not begin with the submission")
            self._first = event
        self._last = event
        if event.step:
            self._step(event)
        self._of_job(event)
        line = log_line(event, self._titles)
        if line and event.kind is EventKind.NOTE and line.level >= Level.WARNING:
            self._warnings.append(line.text)

    def _step(self, event: Event) -> None:
        data = event.data
        step = self._steps.setdefault(event.step, _Step())
        match event.kind:
            case EventKind.STEP_BEGUN:
                step.title, step.machine = str(data["title"]), str(data["machine"])
                step.disk, step.began, step.ended = str(data["disk"]), event.at, ""
                step.state, step.attempts = "running", step.attempts + 1
            case EventKind.STEP_DONE:
                step.state, step.ended, step.result = "done", event.at, data.get("result")
            case EventKind.STEP_FAILED:
                step.state, step.ended = "failed", event.at
                self._error = self._error or data["error"]
            case EventKind.UNDONE:
                step.state, step.left = "undone", bool(data.get("leftovers"))
            case _:
                pass

    def _of_job(self, event: Event) -> None:
        data = event.data
        match event.kind:
            case EventKind.CLAIMED:
                self._attempts = int(data["attempt"])
                if not self._state.ended and self._state is not JobState.CANCELLING:
                    self._state = JobState.RUNNING
            case EventKind.REOPENED:
                self._state = JobState.QUEUED
                self._leftovers = []
            case EventKind.STATE:
                self._state = JobState(data["state"])
                self._error = data.get("error") or self._error
                self._leftovers = data.get("leftovers", self._leftovers)
                self._result = data.get("result", self._result)
                if self._state is JobState.SUCCEEDED:
                    self._error = None
            case EventKind.QUESTION:
                self._questions[str(data["id"])] = ReportQuestion(_s(data.get("text")))
            case EventKind.ANSWER if data["question"] in self._questions:
                asked = self._questions[data["question"]]
                answer = "(hidden)" if data.get("value") is None else _s(data["value"])
                self._questions[data["question"]] = replace(
                    asked, answer=answer, by=_s(data.get("by")), at=event.at
                )
            case _:
                pass

    # ------------------------------------------------------------------------------- the result
    def report(self) -> Report:
        if self._first is None or self._last is None:
            raise ValueError("there are no events")
        first, plan = self._first, self._first.data["plan"]
        spec, metadata = plan.get("spec", {}), plan.get("metadata", {})
        by = _s(first.data.get("by"))
        result = self._result if isinstance(self._result, Mapping) else {}
        source, target = spec.get("source", {}), spec.get("target", {})
        ended = self._last.at if self._state.ended else ""
        return Report(
            job=first.job,
            name=_s(metadata.get("name")),
            state=str(self._state),
            source=_s(source.get("package") or source.get("connection")),
            target=_s(target.get("connection") or target.get("package")),
            location=_s(result.get("location")),
            batch=_s(metadata.get("batch")),
            retry_of=_s(metadata.get("retry_of")),
            plan_digest=_s(first.data.get("plan_digest")),
            consistency=_s(source.get("consistency")),
            integrity=_s(spec.get("integrity")),
            submitted_by=by,
            created=first.at,
            ended=ended,
            seconds=_seconds(first.at, self._last.at) or 0.0,
            attempts=self._attempts,
            error={key: _s(value) for key, value in self._error.items()} if self._error else None,
            machines=tuple(self._machines(spec, result)),
            disks=tuple(self._disks(spec, result)),
            findings=tuple(self._findings(spec, by)),
            licences=tuple(
                ReportLicence(_s(each["digest"]), _s(each["accepted_by"]), _s(each["accepted_at"]))
                for each in spec.get("licences", ())
            ),
            questions=tuple(self._questions.values()),
            properties={
                _s(key): "(secret)" if isinstance(value, Mapping) else _s(value)
                for key, value in spec.get("properties", {}).items()
            },
            warnings=tuple(dict.fromkeys(self._warnings)),
            leftovers=tuple(
                {str(key): _s(value) for key, value in each.items()} for each in self._leftovers
            ),
        )

    def _of(self, step: str) -> Mapping[str, Json]:
        """Result of a step of the job, empty where it was not done."""
        found = self._steps.get(step)
        return found.result if found and isinstance(found.result, Mapping) else {}

    def _source_machines(self, spec: Mapping[str, Json]) -> list[Mapping[str, Json]]:
        chosen = spec.get("machines", {})
        return [
            each
            for each in self._of("source").get("machines", ())
            if chosen.get(each["id"], {}).get("include", True)
        ]

    def _machines(
        self, spec: Mapping[str, Json], result: Mapping[str, Json]
    ) -> Iterable[ReportMachine]:
        made = {str(each.get("machine")): each for each in result.get("machines", ())}
        for each in self._source_machines(spec):
            wish = spec.get("machines", {}).get(each["id"], {})
            built = made.get(each["id"], {})
            ref = built.get("ref") or {}
            yield ReportMachine(
                id=_s(each["id"]),
                name=_s(each["name"]),
                target=_s(ref.get("name") or ((wish.get("name") or each["name"]) if built else "")),
                target_id=_s(ref.get("id")),
                processors=wish.get("processors") or each.get("processors"),
                memory=wish.get("memory") or each.get("memory"),
                started=bool(built.get("started")),
            )

    def _disks(self, spec: Mapping[str, Json], result: Mapping[str, Json]) -> Iterable[ReportDisk]:
        made: dict[str, Mapping[str, Json]] = {}
        for machine in result.get("machines", ()):
            made |= {disk: ref or {} for disk, ref in machine.get("disks", {}).items()}
        seen: set[str] = set()
        for machine in self._source_machines(spec):
            for disk in machine["disks"]:
                if disk["id"] not in seen:
                    seen.add(disk["id"])
                    yield self._disk(machine, disk, spec, made.get(disk["id"], {}))

    def _disk(
        self,
        machine: Mapping[str, Json],
        disk: Mapping[str, Json],
        spec: Mapping[str, Json],
        ref: Mapping[str, Json],
    ) -> ReportDisk:
        step = self._steps.get(f"disk:{disk['id']}") or _Step()
        moved = step.result if isinstance(step.result, Mapping) else {}
        digests = moved.get("digests", {})
        storage = spec.get("storage", {}).get(disk["id"]) or {}
        return ReportDisk(
            id=_s(disk["id"]),
            machine=_s(machine["name"]),
            name=_s(disk.get("name") or disk.get("image")),
            state=self._state_of(step) or ("blank" if disk.get("blank") else ""),
            capacity=moved.get("capacity") or disk.get("capacity"),
            read=moved.get("read"),
            written=moved.get("written"),
            empty=moved.get("empty"),
            source_format=_s(moved.get("from")),
            target_format=_s(moved.get("to")),
            source_digest=_s(digests.get("source")),
            target_digest=_s(digests.get("target")),
            storage=_s(storage.get("name") or storage.get("id")),
            target=_s(ref.get("name")),
            target_id=_s(ref.get("id")),
            began=step.began,
            ended=step.ended,
            seconds=_seconds(step.began, step.ended),
            attempts=step.attempts,
        )

    def _state_of(self, step: _Step) -> str:
        """A disk that was moved is gone again with what was built for it."""
        built = self._steps.get(DEPLOY)
        gone = built is not None and built.state == "undone" and not built.left
        return "undone" if gone and step.state == "done" else step.state

    def _findings(self, spec: Mapping[str, Json], by: str) -> Iterable[ReportFinding]:
        accepted = set(spec.get("accepted", ()))
        for each in self._of("check").get("findings", ()):
            agreed = each["id"] in accepted
            yield ReportFinding(
                id=_s(each["id"]),
                severity=_s(each["severity"]),
                message=_s(each["message"]),
                subject=_s(each.get("subject")),
                remedy=_s(each.get("remedy")),
                accepted=agreed,
                by=by if agreed else "",
            )
