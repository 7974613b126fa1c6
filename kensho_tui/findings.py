"""What was noticed about a package, a machine or a plan, and what can be done about it."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much a finding weighs: an error closes the way, a warning wants a look."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was noticed.

    Attributes:
        id: stable and short, for filters and acceptance: ``network-unmapped``.
        severity: see `Severity`.
        message: one sentence, for people.
        subject: the object, as the operator knows it ("db01", "disk2.vmdk"); empty for the whole.
        remedy: what to do, one sentence; empty where nothing need be done.
        clause: the specification and clause, where one was broken: ``DSP0243 2.1.1 §9.5``.
        line: line in the descriptor, from 1; None where there is none.
    """

    id: str
    severity: Severity
    message: str
    subject: str = ""
    remedy: str = ""
    clause: str = ""
    line: int | None = None
