"""The toolstack: the call table applied to the database, whatever the wire.

Follows ``ocaml/xapi/server_helpers.ml`` (dispatch, ``Async.``) and ``session_check.ml``.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from xml.sax.saxutils import escape

from kensho_tui.lab.xen import appliances, devices, events, generated, hosts, machines, storage
from kensho_tui.lab.xen import lifecycle as lifecycle_calls
from kensho_tui.lab.xen import sessions as session_calls
from kensho_tui.lab.xen.calls import CALLS, Call, Context
from kensho_tui.lab.xen.database import Database
from kensho_tui.lab.xen.diskfile import DiskFiles
from kensho_tui.lab.xen.fault import Fault
from kensho_tui.lab.xen.modes import CallLog, Modes
from kensho_tui.lab.xen.schema import NULL, Value, Wire
from kensho_tui.lab.xen.store import Store
from kensho_tui.lab.xen.tasks import Tasks
from kensho_tui.lab.xen.usage import Usage
from kensho_tui.lab.xen.world import build

LOG = logging.getLogger("kensho.lab")

# Importing these rooms is what fills the call table.
_ROOMS = (appliances, devices, events, hosts, lifecycle_calls, machines, session_calls, storage)


class Toolstack:
    """The pool's mind: objects, disks, tasks, modes.

    Attributes:
        stopping: set when the lab ends or dies; whoever waits, waits on this.
        master, second: references of the two hosts.
    """

    def __init__(self, state: Path, *, username: str, password: str) -> None:
        """Args: state: the directory of the objects and the disk files; made where absent."""
        self.username = username
        self.password = password
        self.modes = Modes()
        self.log = CallLog()
        self.stopping = threading.Event()
        self.disks = DiskFiles(state / "disks")
        self.database = Database(Store(state / "world.sqlite"))
        self.tasks = Tasks(self.database)
        self.usage = Usage(self.database, self.disks)
        if not self.database.refs("pool"):
            # The pool is made last: without it the world is none, or one that was cut short.
            self.database.clear()
            build(self.database, self.disks, self.usage)
        pool = self.database.refs("pool")[0]
        self.master: str = self.database.get("pool", pool, "master")
        self.second = next(ref for ref in self.database.refs("host") if ref != self.master)
        self._used: Counter[str] = Counter()
        self._threads: set[threading.Thread] = set()
        generated.generate()

    def call(self, method: str, params: list[object], wire: Wire, *, slave: bool = False) -> object:
        """The answer to one call, encoded for the wire.

        Raises: Fault: what goes out as a failure.
        """
        self.log.add(method)
        asynchronous = method.startswith("Async.")
        name = method.removeprefix("Async.")
        if name == "system.listMethods":
            return sorted(CALLS)
        entry = CALLS.get(name)
        if entry is None:
            raise Fault("MESSAGE_METHOD_UNKNOWN", method)
        if slave or self.modes.slave:
            raise Fault("HOST_IS_SLAVE", self.modes.slave_of)
        session = NULL
        if entry.session:
            session = self.check_session(str(params[0]) if params else "")
            params = params[1:]
        args = entry.decode(params, wire)
        context = Context(self, session, wire)
        if asynchronous:
            return self._start(entry, context, args)
        return entry.encode(self._run(entry, context, args), wire)

    def check_session(self, session: str) -> str:
        """The session, counted as used. Raises: Fault: ``SESSION_INVALID``."""
        with self.database.lock:
            if not self.database.exists("session", session):
                raise Fault("SESSION_INVALID", session)
            limit = self.modes.expire_after
            if limit is not None and self._used[session] >= limit:
                self.end_session(session)
                raise Fault("SESSION_INVALID", session)
            self._used[session] += 1
            return session

    def end_session(self, session: str) -> None:
        """Forget a session, and wake whoever waits for its events."""
        with self.database.lock:
            self._used.pop(session, None)
            self.database.destroy("session", session)

    def expire_sessions(self) -> None:
        """Forget all sessions, as after a restart of the toolstack."""
        with self.database.lock:
            for session in self.database.refs("session"):
                self.end_session(session)

    def _run(self, entry: Call, context: Context, args: list[Value]) -> Value:
        try:
            if entry.blocking:
                return entry.run(context, *args)
            with self.database.lock:
                return entry.run(context, *args)
        except Fault:
            raise
        except Exception as error:
            # A defect of the lab is answered as a defect of the host would be, and told in the log.
            LOG.exception("%s", entry.name)
            raise Fault("INTERNAL_ERROR", repr(error)) from error

    def _start(self, entry: Call, context: Context, args: list[Value]) -> str:
        task = self.tasks.create(f"Async.{entry.name}", host=self.master)
        inner = Context(self, context.session, context.wire, task)

        def run() -> None:
            try:
                value = self._run(entry, inner, args)
            except Fault as fault:
                self.tasks.fail(task, fault)
            else:
                text = f"<value>{escape(str(value))}</value>" if entry.result else ""
                self.tasks.complete(task, text)

        self.spawn(run, f"lab-{entry.name}")
        return task

    def spawn(self, run: Callable[[], None], name: str) -> None:
        """Run something in a thread that `close` waits for."""

        def body() -> None:
            try:
                run()
            finally:
                with self.database.lock:
                    self._threads.discard(threading.current_thread())

        thread = threading.Thread(target=body, name=name)
        with self.database.lock:
            self._threads.add(thread)
        thread.start()

    def wake(self) -> None:
        """Let all who wait find out that the lab ends."""
        self.stopping.set()
        with self.database.lock:
            self.database.changed.notify_all()
            threads = list(self._threads)
        for thread in threads:
            thread.join()

    def close(self) -> None:
        """End all threads and close the store."""
        self.wake()
        self.database.close()
