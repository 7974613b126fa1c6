"""Calls to XenAPI: login, one connection per call under way, login again, and the way to the master."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, TypeAlias

from backends.base import ConnectError, NotFoundError, TrustError, UnsupportedError
from backends.xenserver.address import Address
from backends.xenserver.failures import explain
from backends.xenserver.settings import XenServerSettings
from backends.xenserver.trust import Trust
from backends.xenserver.wire import Line
from kensho_tui import __version__
from kensho_tui.cancel import Cancel, CancelledError

# What XML-RPC can hold. XenAPI's 64-bit integers are strings on this wire.
Value: TypeAlias = Any
Record: TypeAlias = dict[str, Any]
NULL = "OpaqueRef:NULL"
_API_VERSION = "2.21"  # the newest the client knows; servers negotiate downwards
_MASTERS = 3
_GOODBYE_S = 5.0


class Api:
    """A login to a pool. Callable from any thread."""

    def __init__(
        self,
        address: Address,
        trust: Trust,
        settings: XenServerSettings,
        credentials: Callable[[], tuple[str, str]],
        cancel: Cancel,
    ) -> None:
        """Args: credentials: user name and password, asked for at each login; cancel: of the job."""
        self.address = address
        self.trust = trust
        self.settings = settings
        self.cancel = cancel
        self._credentials = credentials
        self._closed = Cancel()
        self._lock = threading.Lock()
        self._login_lock = threading.Lock()
        self._idle: list[Line] = []
        self._handle = ""
        # Names of all calls the server knows; empty where it does not tell.
        self.methods: frozenset[str] = frozenset()
        self._thread = threading.local()

    # ------------------------------------------------------------------------------- connections
    def _take(self) -> Line:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return Line(self.address, self.trust, self.settings.timeout_s)

    def _give(self, line: Line, address: Address) -> None:
        with self._lock:
            if not self._closed.cancelled and address == self.address:
                self._idle.append(line)
                return
        line.close()

    @property
    def _cleaning(self) -> bool:
        return bool(getattr(self._thread, "cleaning", 0))

    @property
    def cleaning_now(self) -> bool:
        """Whether this thread is inside `cleaning`."""
        return self._cleaning

    @contextmanager
    def cleaning(self) -> Iterator[None]:
        """Calls of this thread inside the block go on after the job was cancelled: they clean up."""
        self._thread.cleaning = getattr(self._thread, "cleaning", 0) + 1
        try:
            yield
        finally:
            self._thread.cleaning -= 1

    def check(self) -> None:
        """Raise `CancelledError` if the job was cancelled and this thread does not clean up."""
        if not self._cleaning:
            self.cancel.check()

    def wait(self, seconds: float) -> None:
        """Wait; ends early, with an error, when the job is cancelled or the session closed."""
        if not self._cleaning and self.cancel.wait(0):
            raise CancelledError
        # One of two events can be waited on: closing is the one that also ends a clean-up.
        with ExitStack() as stack:
            if not self._cleaning:
                woken = threading.Event()
                stack.enter_context(self.cancel.closing(woken.set))
                stack.enter_context(self._closed.closing(woken.set))
                woken.wait(seconds)
                self.cancel.check()
            else:
                self._closed.wait(seconds)

    # --------------------------------------------------------------------------------------- calls
    def call(
        self,
        method: str,
        *parameters: Value,
        subject: str = "",
        answer_s: float | None = None,
        cancel: Cancel | None = None,
    ) -> Value:
        """One call with the session's handle in front of the parameters.

        Args:
            subject: what the call is about, for the error.
            answer_s: seconds the answer may take; None for the connection's ``timeout_s``.
            cancel: ends the wait besides the job's own.

        Raises: ConnectError, the exceptions of `explain`, or CancelledError.
        """
        handle = self._handle
        details = self._once(method, (handle, *parameters), answer_s, cancel)
        if isinstance(details, _Failed) and details.code in {"SESSION_INVALID", "HOST_IS_SLAVE"}:
            self._login_again(handle, details)
            details = self._once(method, (self._handle, *parameters), answer_s, cancel)
        if isinstance(details, _Failed):
            raise explain(details.details, subject)
        return details

    def long(
        self, method: str, *parameters: Value, subject: str = "", cancel: Cancel | None = None
    ) -> Value:
        """`call` for what works on storage or starts machines, and so may take minutes."""
        return self.call(
            method, *parameters, subject=subject, answer_s=self.settings.long_s, cancel=cancel
        )

    def records(self, kind: str) -> dict[str, Record]:
        """All records of a class by reference."""
        return dict(self.call(f"{kind}.get_all_records", answer_s=self.settings.long_s))

    def greet(self) -> None:
        """First contact: is the server there, and is it the one we trust? Nobody is asked anything.

        Raises: ConnectError, TrustError.
        """
        answer = self._once("system.listMethods", (), None, None)
        if not isinstance(answer, _Failed):
            self.methods = frozenset(str(each) for each in answer)

    def member_pins(self) -> frozenset[str]:
        """Fingerprints of the hosts' certificates as the pool keeps them; empty on older servers."""
        try:
            found = self.records("Certificate")
        except UnsupportedError:
            return frozenset()
        texts = (str(each.get("fingerprint_sha256") or "") for each in found.values())
        return frozenset(filter(None, (text.replace(":", "").lower() for text in texts)))

    def record(self, kind: str, ref: str, subject: str = "") -> Record:
        """One record. Raises: NotFoundError: it is gone."""
        return dict(self.call(f"{kind}.get_record", ref, subject=subject))

    def record_or_none(self, kind: str, ref: str) -> Record | None:
        """One record, None for a null reference or what is gone."""
        if not ref or ref == NULL:
            return None
        try:
            return self.record(kind, ref)
        except NotFoundError:
            return None

    def _once(
        self,
        method: str,
        parameters: tuple[Value, ...],
        answer_s: float | None,
        cancel: Cancel | None,
    ) -> "Value | _Failed":
        self.cancel.guard()
        cancels = [self._closed, *([] if self._cleaning else [self.cancel])]
        cancels += [cancel] if cancel is not None else []
        self._raise_if_over(cancels)
        line, address = self._take(), self.address
        try:
            with ExitStack() as stack:
                for each in cancels:
                    stack.enter_context(each.closing(line.kill))
                answer = line.call(method, parameters, answer_s or self.settings.timeout_s)
        except ConnectError:
            line.close()
            self._raise_if_over(cancels)
            raise
        except BaseException:
            line.close()
            raise
        self._give(line, address)
        if answer["Status"] == "Success":
            return answer.get("Value", "")
        return _Failed(tuple(answer.get("ErrorDescription", ())))

    def _raise_if_over(self, cancels: list[Cancel]) -> None:
        if self._closed.cancelled:
            raise ConnectError("the session was closed", subject=str(self.address))
        if any(each.cancelled for each in cancels):
            raise CancelledError

    # --------------------------------------------------------------------------------------- login
    def login(self) -> None:
        """Log in, following the pool to its master.

        Raises: AuthenticationError, TrustError, ConnectError.
        """
        user, password = self._credentials()
        for _ in range(_MASTERS):
            answer = self._once(
                "session.login_with_password",
                (user, password, _API_VERSION, f"kensho/{__version__}"),
                None,
                None,
            )
            if not isinstance(answer, _Failed):
                self._handle = str(answer)
                return
            if answer.code != "HOST_IS_SLAVE":
                raise explain(answer.details, str(self.address))
            self._go_to_master(answer)
        raise ConnectError(
            "the members of this pool each name another master",
            subject=str(self.address),
            remedy="Wait until the pool has settled, then try again",
            retryable=True,
        )

    def _go_to_master(self, failed: "_Failed") -> None:
        host = str(failed.details[1]) if len(failed.details) > 1 else ""
        address = Address.parse(host)
        # A stand-in or a forwarded port: the name comes without one, so the port stays ours.
        port = address.port if address.port != 443 else self.address.port
        with self._lock:
            idle, self._idle = self._idle, []
            self.address = Address(address.host, port)
        for line in idle:
            line.close()

    def _login_again(self, stale: str, failed: "_Failed") -> None:
        with self._login_lock:
            if self._handle != stale:
                return  # another thread was quicker
            if failed.code == "HOST_IS_SLAVE":
                self._go_to_master(failed)
            self.login()

    @property
    def handle(self) -> str:
        """The session's reference: a secret that opens the HTTP handlers."""
        return self._handle

    def renew(self, stale: str) -> None:
        """Log in again because an HTTP handler no longer knows the handle ``stale``."""
        self._login_again(stale, _Failed(("SESSION_INVALID",)))

    def close(self) -> None:
        """End every call under way, and log out. Twice is once."""
        with self._lock:
            if self._closed.cancelled:
                return
            self._closed.cancel()
            idle, self._idle = self._idle, []
        if self._handle:
            self._log_out(idle.pop() if idle else Line(self.address, self.trust, _GOODBYE_S))
        for line in idle:
            line.close()

    def _log_out(self, line: Line) -> None:
        # Where this fails the server forgets the session by itself.
        with suppress(ConnectError, TrustError):
            line.call("session.logout", (self._handle,), _GOODBYE_S)
        line.close()

    @property
    def closed(self) -> Cancel:
        """Set when the session was closed: ends what waits outside of `call`."""
        return self._closed


class _Failed:
    """A XenAPI failure that has not yet become an exception."""

    def __init__(self, details: tuple[object, ...]) -> None:
        self.details = details

    @property
    def code(self) -> str:
        return str(self.details[0]) if self.details else ""
