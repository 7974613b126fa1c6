"""Tasks: what runs on, and how it ended.

Follows ``ocaml/xapi/taskHelper.ml`` and ``xapi_task.ml``: a task goes from ``pending`` to
``success``, ``failure`` or (over ``cancelling``) ``cancelled``; its result is the XML-RPC value as
text, its error the code and parameters. A task that a client made for a transfer ends when the
transfer ends; a client that destroyed it meanwhile is no error.
"""

from collections.abc import Callable

from kensho_tui.lab.xen.calls import Context, call
from kensho_tui.lab.xen.database import Database, now
from kensho_tui.lab.xen.fault import Fault
from kensho_tui.lab.xen.schema import NULL, Value


class Tasks:
    """The tasks of one toolstack, and how those that run can be stopped."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._stop: dict[str, Callable[[], None]] = {}

    def create(self, label: str, description: str = "", *, host: str = NULL) -> str:
        """A pending task; its reference."""
        return self._database.create(
            "task",
            {
                "name_label": label,
                "name_description": description,
                "created": now(),
                "status": "pending",
                "type": "<none/>",
                "resident_on": host,
            },
        )

    def stoppable(self, task: str, stop: Callable[[], None] | None) -> None:
        """Say how the task is stopped when a client cancels it; None: not any more."""
        with self._database.lock:
            if stop is None:
                self._stop.pop(task, None)
            else:
                self._stop[task] = stop

    def cancelled(self, task: str) -> bool:
        """Whether a client asked to cancel it."""
        with self._database.lock:
            if not self._database.exists("task", task):
                return False
            return bool(self._database.get("task", task, "status") == "cancelling")

    def progress(self, task: str, value: float) -> None:
        """How far it is, 0 to 1."""
        self._set(task, progress=min(1.0, max(0.0, value)))

    def complete(self, task: str, result: str = "") -> None:
        """It succeeded; ``result`` is an XML-RPC value as text."""
        self._set(task, status="success", progress=1.0, result=result, finished=now())

    def fail(self, task: str, fault: Fault) -> None:
        """It failed, or was cancelled where that is what made it fail."""
        if fault.code == "TASK_CANCELLED" or self.cancelled(task):
            self._set(task, status="cancelled", error_info=["TASK_CANCELLED", task], finished=now())
        else:
            self._set(
                task,
                status="failure",
                progress=1.0,
                error_info=fault.description,
                finished=now(),
            )

    def cancel(self, task: str) -> None:
        """A client cancels. Raises: Fault: it has ended, or nothing can stop it."""
        with self._database.lock:
            if self._database.get("task", task, "status") != "pending":
                raise Fault("OPERATION_NOT_ALLOWED", "The task has already completed")
            self._database.set("task", task, status="cancelling")
            stop = self._stop.pop(task, None)
        if stop is not None:
            stop()

    def _set(self, task: str, **changes: Value) -> None:
        with self._database.lock:
            if self._database.exists("task", task):
                self._database.set("task", task, **changes)


@call("task.create", "string", "string", result="ref task")
def create(ctx: Context, label: str, description: str) -> str:
    """A task of the client's own."""
    return ctx.toolstack.tasks.create(label, description, host=ctx.toolstack.master)


@call("task.destroy", "ref task")
def destroy(ctx: Context, task: str) -> None:
    """Forget a task; what it stands for goes on."""
    ctx.database.destroy("task", task)


@call("task.cancel", "ref task")
def cancel(ctx: Context, task: str) -> None:
    """Ask for its end."""
    ctx.toolstack.tasks.cancel(task)


@call("task.set_status", "ref task", "enum pending,success,failure,cancelling,cancelled")
def set_status(ctx: Context, task: str, status: str) -> None:
    """A client ends a task of its own."""
    ended = status in {"success", "failure", "cancelled"}
    ctx.database.set("task", task, status=status, **({"finished": now()} if ended else {}))
