"""Tasks: the only place where XenServer says whether the bytes of a disk were right.

The HTTP handlers send ``200 OK`` before the work; success is the task's ``status`` alone.
"""

import time

from backends.base import BackendError, ConnectError, NotFoundError
from backends.xenserver.api import Api, Record
from backends.xenserver.failures import explain
from kensho_tui.cancel import Cancel

_HOLD_S = 25.0  # how long the server holds a call that waits for an event


def create(api: Api, label: str, description: str) -> str:
    """Reference of a new task; `label` is what operators see in XenCenter, and what sweep finds."""
    return str(api.call("task.create", label, description))


def wait(api: Api, task: str, cancel: Cancel | None = None, limit_s: float | None = None) -> Record:
    """The task's record once it is over, however it ended; as it stands after ``limit_s`` seconds.

    Raises: ConnectError: the server or the task is gone. CancelledError.
    """
    token = ""
    end = None if limit_s is None else time.monotonic() + limit_s
    while True:
        record = _record(api, task, cancel)
        if record.get("status") not in {"pending", "cancelling"}:
            return record
        hold_s = _HOLD_S if end is None else min(_HOLD_S, end - time.monotonic())
        if hold_s <= 0:
            return record
        # The server holds this call until something changes, so that nobody polls.
        answer = api.call(
            "event.from",
            [f"task/{task}"],
            token,
            hold_s,
            answer_s=hold_s + api.settings.timeout_s,
            cancel=cancel,
        )
        token = str(answer.get("token", "")) if isinstance(answer, dict) else ""


def settled(api: Api, task: str, cancel: Cancel | None = None) -> Record | None:
    """The record of a task whose connection broke: soon over, or None where nobody can tell."""
    try:
        record = wait(api, task, cancel, api.settings.timeout_s)
    except ConnectError:
        return None
    return None if record.get("status") in {"pending", "cancelling"} else record


def _record(api: Api, task: str, cancel: Cancel | None) -> Record:
    try:
        return dict(api.call("task.get_record", task, cancel=cancel))
    except NotFoundError as error:
        raise ConnectError(
            "the server has forgotten the transfer: it was restarted, or another host took over",
            subject=str(api.address),
            remedy="Try again",
            retryable=True,
        ) from error


def verdict(record: Record, subject: str) -> None:
    """Raise what the task says unless it says success."""
    if record.get("status") != "success":
        raise explain(record.get("error_info") or ["TASK_CANCELLED"], subject)


def discard(api: Api, task: str) -> None:
    """Forget the task; the server does so by itself within a day where this does not work."""
    with api.cleaning():
        try:
            api.call("task.destroy", task)
        except BackendError:
            return
