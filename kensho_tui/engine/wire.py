"""How supervisor, workers and clients speak: one JSON object a line, over a private Unix socket.

A request is ``{"id": N, "do": WORD, ...}``; its reply ``{"id": N, "ok": ...}`` or ``{"id": N,
"error": {what, subject, remedy}}``. After ``watch`` the supervisor sends ``{"event": ...}`` and
``{"sample": ..., "job": ID}`` until the connection closes. A worker says ``hello`` with its role and
then receives ``{"cancel": true}``, ``{"answered": QUESTION}`` and ``{"secret": NAME, ...}``.
"""

import json
import socket
import struct
from dataclasses import asdict, fields
from datetime import datetime

from kensho_tui.engine.events import (
    Event,
    EventKind,
    JobState,
    JobSummary,
    JobView,
    Json,
    RunnerStatus,
    StepView,
)
from kensho_tui.errors import KenshoError
from kensho_tui.machine import Property
from kensho_tui.migration.context import Question, QuestionKind, Sample, StepState

# Raised when a message changes its meaning; added fields do not count.
PROTOCOL = 1

# A plan or a job with its whole log is one line.
LINE_LIMIT = 64 << 20


class ProtocolError(KenshoError):
    """The other side of the socket is not who it should be, or speaks another version."""


def line(message: dict[str, Json]) -> bytes:
    """A message as one line."""
    return json.dumps(message, separators=(",", ":")).encode("ascii") + b"\n"


def parse(raw: bytes) -> dict[str, Json]:
    """A message from its line. Raises `ProtocolError` when it is none."""
    try:
        message = json.loads(raw)
    except ValueError as error:
        raise ProtocolError("the runner's socket carries something that is no message") from error
    if not isinstance(message, dict):
        raise ProtocolError("the runner's socket carries something that is no message")
    return message


def error_to(error: KenshoError) -> dict[str, str]:
    """The three parts of an error, as journal and socket hold them."""
    return {"what": error.what, "subject": error.subject, "remedy": error.remedy}


def error_from(data: dict[str, str], kind: type[KenshoError] = KenshoError) -> KenshoError:
    """The error of these three parts."""
    return kind(data["what"], subject=data.get("subject", ""), remedy=data.get("remedy", ""))


def question_to(question: Question) -> dict[str, Json]:
    """As JSON; ``expires`` in ISO 8601."""
    data = asdict(question)
    data["choices"] = list(question.choices)
    data["expires"] = question.expires.isoformat() if question.expires else None
    return data


def question_from(data: dict[str, Json]) -> Question:
    """From JSON."""
    return Question(
        id=data["id"],
        kind=QuestionKind(data["kind"]),
        text=data["text"],
        choices=tuple(data["choices"]),
        default=data["default"],
        expires=datetime.fromisoformat(data["expires"]) if data["expires"] else None,
        secret=data.get("secret", ""),
        asked=Property(**data["asked"]) if data.get("asked") else None,
    )


def event_to(event: Event) -> dict[str, Json]:
    """As JSON."""
    return asdict(event)


def event_from(data: dict[str, Json]) -> Event:
    """From JSON."""
    return Event(**{**data, "kind": EventKind(data["kind"])})


def sample_to(sample: Sample) -> dict[str, Json]:
    """As JSON."""
    return asdict(sample)


def sample_from(data: dict[str, Json]) -> Sample:
    """From JSON."""
    return Sample(**data)


def summary_from(data: dict[str, Json]) -> JobSummary:
    """From JSON, as `dataclasses.asdict` made it."""
    return JobSummary(**{**data, "state": JobState(data["state"])})


def view_to(view: JobView) -> dict[str, Json]:
    """As JSON."""
    data = asdict(view)
    data["questions"] = [question_to(each) for each in view.questions]
    return data


def view_from(data: dict[str, Json]) -> JobView:
    """From JSON."""
    return JobView(
        **{
            **data,
            "summary": summary_from(data["summary"]),
            "steps": tuple(_step_from(each) for each in data["steps"]),
            "questions": tuple(question_from(each) for each in data["questions"]),
            "log": tuple(event_from(each) for each in data["log"]),
            "leftovers": tuple(data["leftovers"]),
        }
    )


def _step_from(data: dict[str, Json]) -> StepView:
    sample = data["sample"]
    return StepView(
        **{
            **data,
            "state": StepState(data["state"]),
            "sample": sample_from(sample) if sample else None,
        }
    )


def status_from(data: dict[str, Json]) -> RunnerStatus:
    """From JSON; what a newer runner adds is left out, so that it can be seen and stopped."""
    return RunnerStatus(
        **{each.name: data[each.name] for each in fields(RunnerStatus) if each.name in data}
    )


def peer_uid(connection: socket.socket) -> int:
    """User id of the process at the other end of a Unix socket, as the kernel knows it."""
    # Looked up by name: the module has SO_PEERCRED on Linux only.
    linux: int | None = getattr(socket, "SO_PEERCRED", None)
    if linux is not None:
        raw = connection.getsockopt(socket.SOL_SOCKET, linux, struct.calcsize("3i"))
        return int(struct.unpack("3i", raw)[1])
    # SOL_LOCAL, LOCAL_PEERCRED: struct xucred {u_int version; uid_t uid; ...} of the BSDs.
    raw = connection.getsockopt(0, 1, 76)
    return int(struct.unpack_from("=2I", raw)[1])
