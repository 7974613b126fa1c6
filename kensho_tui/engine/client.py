"""The client of the runner: what screens, commands and the CIM face use."""

import contextlib
import difflib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from io import BufferedReader
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from kensho_tui.engine import wire
from kensho_tui.engine.environment import clean_environment
from kensho_tui.engine.events import (
    Event,
    JobSummary,
    JobView,
    Json,
    RunnerStatus,
    Update,
)
from kensho_tui.engine.places import Places
from kensho_tui.engine.service import Service
from kensho_tui.engine.wire import ProtocolError
from kensho_tui.errors import KenshoError
from kensho_tui.paths import state_dir
from kensho_tui.web.address import is_url

if TYPE_CHECKING:
    from kensho_tui.migration.plan import Plan

# Time for one reply; the supervisor answers from memory and from the journal, at once.
REPLY_TIMEOUT_S = 30.0
START_TIMEOUT_S = 15.0
# A second time they would mean something else.
_ONCE = frozenset({"submit", "retry", "cleanup", "stop"})
# How long a watch looks for a runner that went away before it gives up.
RETURN_TIMEOUT_S = 20.0


class RunnerAbsentError(KenshoError):
    """No runner answers for this state directory."""


class UnknownJobError(KenshoError):
    """There is no job of that id."""


def start_runner(
    state: Path, *, run: str = "", environment: Mapping[str, str] | None = None
) -> None:
    """Start the supervisor of the state directory, detached from the terminal; wait until it hears.

    Does nothing where one runs already. Where it was installed as a service, systemd starts it.

    Args:
        run: ``module:function`` that workers call instead of `kensho_tui.migration.run.run_job`.
        environment: of the supervisor; this process's own when None.

    Raises: RunnerAbsentError: it did not come up; the message says what it said. StateDirError.
    """
    # Looked at here too, where the reason is an error with a remedy and not another process's text.
    Places(state).make()
    if not run and Service(state).start():
        return
    # -P: what lies in the current directory is not imported.
    command = [sys.executable, "-P", "-m", "kensho_tui.engine.supervisor", "--state", str(state)]
    done = subprocess.run(
        [*command, "--detach", *(["--run", run] if run else [])],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        check=False,
        env=clean_environment(os.environ if environment is None else environment),
    )
    if done.returncode:
        said = done.stderr.decode("utf-8", errors="replace").strip().splitlines()
        raise RunnerAbsentError(
            f"the runner could not be started ({said[-1] if said else 'it said nothing'})",
            subject=str(state),
            remedy="Look at runner.log there",
        )


class _Line:
    """One connection to the supervisor: requests and their replies, in turn."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.socket.connect(os.fspath(path))
            if wire.peer_uid(self.socket) != os.getuid():
                raise ProtocolError(
                    "the runner's socket belongs to another user",
                    subject=str(path),
                    remedy="Set KENSHO_STATE_DIR to a directory of your own",
                )
            self.socket.settimeout(REPLY_TIMEOUT_S)
            self._file: BufferedReader = self.socket.makefile("rb")
            self._next = 0
            self.hello = self.request("hello", protocol=wire.PROTOCOL, role="client")
        except BaseException:
            self.close()
            raise

    def receive(self) -> dict[str, Json]:
        """The next message. Raises ConnectionError at the end of the connection."""
        raw = self._file.readline(wire.LINE_LIMIT)
        if not raw.endswith(b"\n"):
            raise ConnectionResetError("the runner closed the connection")
        return wire.parse(raw)

    def request(self, word: str, **arguments: Json) -> Json:
        """Ask and give back the reply's content. Raises what the supervisor refused with."""
        self._next += 1
        self.socket.sendall(wire.line({"id": self._next, "do": word, **arguments}))
        reply = self.receive()
        if reply.get("id") != self._next:
            raise ProtocolError("the runner answers out of turn")
        if "error" in reply:
            kind = UnknownJobError if reply["error"].get("kind") == "unknown-job" else KenshoError
            raise wire.error_from(reply["error"], kind)
        return reply["ok"]

    def check_version(self) -> None:
        """Raise `ProtocolError` when the supervisor speaks another version."""
        if self.hello.get("protocol") != wire.PROTOCOL:
            raise ProtocolError(
                f"the runner is Kensho {self.hello.get('version')} and speaks another protocol",
                remedy="Run 'kensho runner stop', then start Kensho again; jobs go on by themselves",
            )

    def wake(self) -> None:
        """End a read that another thread waits in; closing would not."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection."""
        self.wake()
        if hasattr(self, "_file"):
            with contextlib.suppress(OSError):
                self._file.close()
        self.socket.close()


class Client:
    """A client of the supervisor. Thread-safe; one request at a time, watches beside them."""

    def __init__(self, state: Path, *, start: bool) -> None:
        """Use `open`."""
        self.state = state
        self._start = start
        self._lock = threading.Lock()
        self._line: _Line | None = None
        self._watching = threading.Lock()
        self._watches: set[_Line] = set()
        self._closed = threading.Event()

    @classmethod
    def open(cls, state: Path | None = None, *, start: bool = True) -> "Client":
        """A client of the runner of that state directory (the operator's own when None).

        Starts the supervisor, detached from the terminal, where none runs; with ``start=False``
        raises `RunnerAbsentError` instead. Raises `ProtocolError` where another user owns it.
        """
        client = cls((state or state_dir()).absolute(), start=start)
        with client._lock:
            client._line = client._connect()
        return client

    def _connect(self) -> _Line:
        path = Places(self.state).socket()
        try:
            return _Line(path)
        except OSError as error:
            if not self._start:
                raise RunnerAbsentError(
                    "no runner is running",
                    subject=str(self.state),
                    remedy="Any command that works with jobs starts it",
                ) from error
        end = time.monotonic() + START_TIMEOUT_S
        while not self._closed.is_set():
            start_runner(self.state)
            try:
                return _Line(Places(self.state).socket())
            except OSError as error:
                # One that is just ending, or just starting, holds the lock and does not hear.
                if time.monotonic() > end:
                    raise RunnerAbsentError(
                        f"the runner does not answer ({error})",
                        subject=str(self.state),
                        remedy="Look at runner.log there",
                    ) from error
            self._closed.wait(0.1)
        raise RunnerAbsentError("this client is closed")

    def _request(self, word: str, *, versioned: bool = True, **arguments: Json) -> Json:
        """Ask over the line that stands, or over a new one where that turns out to be dead."""
        with self._lock:
            try:
                fresh = self._line is None
                try:
                    return self._ask(word, versioned, arguments)
                except OSError as error:
                    self._drop()
                    if self._closed.is_set():
                        raise RunnerAbsentError("this client is closed") from error
                    # A submission may have been heard, so it is not repeated.
                    if fresh or word in _ONCE:
                        raise RunnerAbsentError(
                            "the runner went away while it was asked",
                            subject=str(self.state),
                            remedy="See 'kensho job list' for what it had already done",
                        ) from error
                return self._ask(word, versioned, {**arguments, "repeated": True})
            finally:
                # Who closes does not wait for the lock; whoever held it then closes the line.
                if self._closed.is_set():
                    self._drop()

    def _ask(self, word: str, versioned: bool, arguments: Mapping[str, Json]) -> Json:
        if self._closed.is_set():
            raise RunnerAbsentError("this client is closed")
        if self._line is None:
            self._line = self._connect()
        if versioned:
            self._line.check_version()
        return self._line.request(word, **arguments)

    def _drop(self) -> None:
        line, self._line = self._line, None
        if line:
            line.close()

    def submit(
        self, plan: "Plan", secrets: Mapping[str, str] | None = None, *, by: str = ""
    ) -> str:
        """Start a job; gives its id, made of the plan's name ("shop-7f3a").

        ``secrets`` go to the worker in memory alone, passwords by the names that
        `kensho_tui.engine.secrets.connection_secret` gives, others as ``property:…``.
        Passwords that the plan's connections keep in environment variables are added from here,
        because the runner does not see the operator's shell, and those of its properties from where
        it says that they stand. ``by``: who submits it, for the journal.
        """
        data = plan.model_dump(mode="json")
        known = {**_secrets_of(data), **_properties_of(data), **(secrets or {})}
        return str(self._request_once("submit", plan=data, secrets=known, by=by))

    def retry(self, job: str, *, by: str = "", secrets: Mapping[str, str] | None = None) -> str:
        """Start a new job of the same plan; gives its id. Its ``retry_of`` is this job.

        What this job was told by hand (secrets, answers to its questions) the new one asks anew,
        where ``secrets`` does not hold it; what its plan says the place of is looked up there.

        Raises: UnknownJobError. KenshoError: the job neither failed nor was cancelled (what is left
            over is cleaned up first), or is being done again already.
        """
        plan = self.job(job).plan
        known = {**_secrets_of(plan), **_properties_of(plan), **(secrets or {})}
        return str(self._request_once("retry", job=job, secrets=known, by=by))

    def cleanup(self, job: str, *, by: str = "", secrets: Mapping[str, str] | None = None) -> None:
        """Have the job try once more to take back what it left over, or left there on purpose.

        It ends as failed or cancelled, as it first was (or succeeded, where only the hold on the
        source was left), or needs attention again with the list that is true then.

        Raises: UnknownJobError. KenshoError: nothing of the job is left over.
        """
        known = {**_secrets_of(self.job(job).plan), **(secrets or {})}
        self._request_once("cleanup", job=job, secrets=known, by=by)

    def _request_once(self, word: str, **arguments: Json) -> Json:
        # Finds out whether the runner is still there before what must not be said twice.
        self._request("hello", protocol=wire.PROTOCOL, role="client")
        return self._request(word, **arguments)

    def jobs(self) -> list[JobSummary]:
        """All jobs, newest first."""
        return [wire.summary_from(each) for each in self._request("jobs")]

    def job(self, job: str) -> JobView:
        """The job in full. Raises `UnknownJobError`, which names the nearest one."""
        return wire.view_from(self._request("job", job=job))

    def watch(
        self, job: str | None = None, after: Mapping[str, int] | None = None
    ) -> Iterator[Update]:
        """Events of one job or of all, first those after number ``after[job]``, then live ones.

        Samples come between them, the latest of each step. Has a connection of its own, finds a
        runner that was started anew and goes on where it was. Ends when `close` is called.

        Raises: UnknownJobError; RunnerAbsentError: the runner went away and did not come back.
        """
        seen = dict(after or {})
        gone_since: float | None = None
        while not self._closed.is_set():
            try:
                for update in self._watch_once(job, seen):
                    gone_since = None
                    if isinstance(update, Event):
                        seen[update.job] = update.n
                    yield update
            except (OSError, RunnerAbsentError) as error:
                now = time.monotonic()
                gone_since = gone_since or now
                if self._closed.is_set():
                    return
                if now - gone_since > RETURN_TIMEOUT_S:
                    raise RunnerAbsentError(
                        "the runner went away", subject=str(self.state)
                    ) from error
                self._closed.wait(0.2)

    def _watch_once(self, job: str | None, seen: Mapping[str, int]) -> Iterator[Update]:
        line = self._connect()
        with self._watching:
            self._watches.add(line)
        try:
            # After the set holds it: a close that came just before has not woken it.
            if self._closed.is_set():
                return
            line.check_version()
            line.request("watch", job=job, after=dict(seen))
            line.socket.settimeout(None)
            while not self._closed.is_set():
                message = line.receive()
                if "event" in message:
                    yield wire.event_from(message["event"])
                elif "sample" in message:
                    yield message["job"], wire.sample_from(message["sample"])
        finally:
            with self._watching:
                self._watches.discard(line)
            line.close()

    def cancel(self, job: str, *, by: str = "") -> bool:
        """Cancel the job; what it made is taken back. Asked twice, it waits for no answer more.

        Once its machines are in service they stay: what is cancelled is the waiting for guests to
        read their settings, and the job ends as succeeded. ``by``: who cancels, for the journal.

        Returns whether the machines stay.
        """
        return bool(self._request("cancel", job=job, by=by).get("stays"))

    def pause(self, job: str, *, by: str = "") -> None:
        """Hold the job at the next edge of a chunk or step; it keeps its streams open.

        Neither a restart of the runner nor of the machine makes it go on, only `resume`. ``by``:
        who pauses it, for the journal.

        Raises: KenshoError: it has ended, or is being cancelled.
        """
        self._request("pause", job=job, by=by)

    def resume(self, job: str, *, by: str = "") -> None:
        """Have a paused job go on. Does nothing where it is not paused.

        Raises: KenshoError: it has ended, or waits for a time of its plan.
        """
        self._request("resume", job=job, by=by)

    def limit(self, job: str, bytes_per_second: int | None, *, by: str = "") -> None:
        """Limit all disks of the job together, at once; None: no limit, whatever the plan says."""
        self._request("limit", job=job, limit=bytes_per_second, by=by)

    def prioritize(self, job: str, priority: int, *, by: str = "") -> None:
        """Of the jobs that wait, the highest priority begins first; -100 to 100."""
        self._request("priority", job=job, priority=priority, by=by)

    def answer(self, job: str, question: str, value: str, *, by: str = "") -> None:
        """Answer a question of the job. ``by``: who answers, for the journal.

        Raises: KenshoError: the question is not open, or the value is none of its choices or breaks
            the rules of the property that it is for; then it stays open.
        """
        self._request("answer", job=job, question=question, value=value, by=by)

    def put_secret(self, job: str, name: str, value: str) -> None:
        """Hand the job a secret before it asks for it."""
        self._request("secret", job=job, name=name, value=value)

    def status(self) -> RunnerStatus:
        """State of the supervisor."""
        return wire.status_from(self._request("status", versioned=False))

    def stop(self, *, workers: bool = False) -> None:
        """Stop the supervisor; jobs run on. With ``workers`` they stop too, and can be resumed.

        Comes back when it has ended.
        """
        self._request("stop", versioned=False, workers=workers)
        with self._lock:
            line, self._line = self._line, None
        if line:
            # The supervisor closes its end last of all.
            with contextlib.suppress(OSError):
                line.socket.settimeout(REPLY_TIMEOUT_S)
                line.receive()
            line.close()

    def close(self) -> None:
        """Close all connections; watches end. Does not wait; any thread may call it, and again."""
        self._closed.set()
        line = self._line
        if line:
            line.wake()
        with self._watching:
            for watch in self._watches:
                watch.wake()  # the thread that iterates closes it
        # Never waits: someone may be starting a runner under this lock, and closes it then.
        if self._lock.acquire(blocking=False):
            try:
                self._drop()
            finally:
                self._lock.release()

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _secrets_of(plan: Mapping[str, Json]) -> dict[str, str]:
    """Passwords of the plan's connections that stand in this process's environment."""
    from kensho_tui.engine.secrets import from_environment

    ends = (plan["spec"]["source"], plan["spec"]["target"])
    names = {str(each["connection"]) for each in ends if each.get("connection")}
    package = str(ends[0].get("package") or "")
    if is_url(package):
        # Here: most packages are files, and need no client of web servers.
        from kensho_tui.connections import ConnectionBook
        from kensho_tui.web.known import covering

        found = covering(ConnectionBook(), package)
        names |= {found.name} if found is not None else set()
    return from_environment(names)


def _properties_of(plan: Mapping[str, Json]) -> dict[str, str]:
    """Passwords of the plan's properties, from the variables and files that it names."""
    if not any(isinstance(each, dict) for each in (plan["spec"].get("properties") or {}).values()):
        return {}
    # Here: it reads YAML, which most who ask the runner something do not.
    from kensho_tui.migration.answers import found_in_places

    return found_in_places(plan)


def unknown_job(job: str, known: list[str]) -> UnknownJobError:
    """The error for an id that is none, naming the nearest that is."""
    near = difflib.get_close_matches(job, known, n=1, cutoff=0.4)
    return UnknownJobError(
        "there is no such job",
        subject=job,
        remedy=f"Did you mean '{near[0]}'?" if near else "See 'kensho job list'",
    )
