"""The connection to one libvirt: opened when needed, callable from any thread, and always let go of.

libvirt's calls cannot be interrupted. So each runs in a thread of its own, and whoever waits for it
stops waiting when the job is cancelled, the session is closed or the time is over; the call itself
ends when the server answers or its silence is noticed (keepalive).
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Generic, TypeVar

import libvirt

from backends.base import ConnectError
from backends.kvm.failures import told
from backends.kvm.settings import KvmSettings
from kensho_tui.cancel import Cancel, CancelledError
from kensho_tui.connections import Connection, SecretSource
from kensho_tui.errors import KenshoError

T = TypeVar("T")

_KEEPALIVE_S, _KEEPALIVES = 5, 6  # a server that is silent for half a minute is gone
_loop_lock = threading.Lock()
_loop: list[threading.Thread] = []


def _events() -> None:
    """libvirt's event loop, one a process: without it nobody notices that a server is silent."""
    with _loop_lock:
        if _loop:
            return
        libvirt.registerErrorHandler(lambda *_: None, None)  # else it writes on the terminal
        libvirt.virEventRegisterDefaultImpl()

        def run() -> None:
            while True:
                with suppress(libvirt.libvirtError):
                    libvirt.virEventRunDefaultImpl()

        _loop.append(threading.Thread(target=run, daemon=True, name="libvirt events"))
        _loop[0].start()


class _Running(Generic[T]):
    """A call under way in a thread of its own."""

    def __init__(self, what: Callable[[], T]) -> None:
        self.woken = threading.Event()  # it is over, or nobody waits for it any more
        self.over = threading.Event()
        self.value: T | None = None
        self.error: BaseException | None = None
        self._what = what
        threading.Thread(target=self._run, daemon=True, name="libvirt call").start()

    def _run(self) -> None:
        try:
            self.value = self._what()
        except BaseException as error:  # noqa: BLE001  # whoever waits for it raises it
            self.error = error
        finally:
            self.over.set()
            self.woken.set()

    def outcome(self) -> T:
        """What it gave, or raise what it raised: once."""
        error, self.error = self.error, None
        try:
            if error is not None:
                raise error
            return self.value  # type: ignore[return-value]
        finally:
            # No circle of error and frames: garbage of libvirt's that is collected in the middle of
            # another call takes that call's error away.
            del error


class Link:
    """A connection that is opened again when it broke. Thread-safe."""

    def __init__(
        self,
        uri: str,
        settings: KvmSettings,
        connection: Connection,
        secrets: SecretSource,
        cancel: Cancel,
    ) -> None:
        self.uri = uri
        self.settings = settings
        self.name = connection.name
        self._connection = connection
        self._secrets = secrets
        self.cancel = cancel
        self._closed = Cancel()
        self._opening = threading.Lock()
        self._conn: Any = None
        self._thread = threading.local()
        self._lock = threading.Lock()
        self._abandoned: list[_Running[Any]] = []

    # -------------------------------------------------------------------------------------- calls
    def call(
        self,
        what: Callable[[Any], T],
        subject: str = "",
        *,
        long: bool = False,
        until: Cancel | None = None,
    ) -> T:
        """Do something on the connection.

        Args:
            what: is given the ``libvirt.virConnect``; one effect, so that it is done or not.
            subject: what it is about, for errors.
            long: whether it may take long.
            until: ends the wait as `CancelledError` too.

        Raises: CancelledError, and the errors of the contract.
        """
        self.check()
        return self._once(what, subject, long, until)

    def _once(self, what: Callable[[Any], T], subject: str, long: bool, until: Cancel | None) -> T:
        patience = self.settings.long_s if long else self.settings.timeout_s
        conn = self._opened(until)
        for again in (True, False):
            try:
                return self._await(lambda: what(conn), patience, until, subject)
            except libvirt.libvirtError as error:
                # Without a reason it is not known what failed; that it did is, so that it can be repeated.
                if not again or error.get_error_code() is not None:
                    # Whatever a connection says that has just broken, it is that.
                    raise told(error, subject or self.name, opening=not conn.isAlive()) from error
        raise AssertionError("not reached")

    def _await(
        self, what: Callable[[], T], patience: float, until: Cancel | None, subject: str
    ) -> T:
        cancels = [self._closed] + ([until] if until else [])
        if not self._cleaning:
            cancels.append(self.cancel)
        running = _Running(what)
        # Woken by the end of the call as by whatever ends the wait for it.
        with ExitStack() as stack:
            for each in cancels:
                stack.enter_context(each.closing(running.woken.set))
            running.woken.wait(patience)
        if running.over.is_set():
            return running.outcome()
        stopped = [each for each in cancels if each.cancelled]
        with self._lock:
            self._abandoned = [*self._abandoned[-63:], running]
        if self._closed.cancelled:
            raise ConnectError("the session is closed", subject=self.name)
        if stopped:
            raise CancelledError
        raise ConnectError(
            f"the server did not answer within {patience:.0f} seconds",
            subject=subject or self.name,
            remedy=f"See whether libvirtd still works ('virsh -c {self.uri} list')",
            retryable=True,
        )

    # ----------------------------------------------------------------------------------- the rest
    @property
    def _cleaning(self) -> bool:
        return bool(getattr(self._thread, "cleaning", 0))

    @contextmanager
    def cleaning(self) -> Iterator[None]:
        """Calls of this thread inside the block go on after the job was cancelled: they clean up.

        What was given up on before, ends first: it might still make what is to be removed.
        """
        self._thread.cleaning = getattr(self._thread, "cleaning", 0) + 1
        try:
            with self._lock:
                waiting, self._abandoned = self._abandoned, []
            for each in waiting:
                each.over.wait(self.settings.timeout_s)
            yield
        finally:
            self._thread.cleaning -= 1

    def check(self) -> None:
        """Raise what forbids another call: cancelled, closed, or the guard of the job."""
        if self._closed.cancelled:
            raise ConnectError("the session is closed", subject=self.name)
        self.cancel.guard()
        if not self._cleaning:
            self.cancel.check()

    def wait(self, seconds: float) -> None:
        """Wait; ends early, with an error, when the job is cancelled or the session closed."""
        woken = threading.Event()
        with ExitStack() as stack:
            for each in [self._closed] + ([] if self._cleaning else [self.cancel]):
                stack.enter_context(each.closing(woken.set))
            woken.wait(seconds)
        self.check()

    def close(self) -> None:
        """Let go of the connection; calls under way end with an error."""
        self._closed.cancel()
        conn, self._conn = self._conn, None
        if conn is not None:
            _Running(lambda: _quietly(conn))

    def _opened(self, until: Cancel | None) -> Any:
        with self._opening:
            conn = self._conn
            if conn is not None and conn.isAlive():
                return conn
            _events()
            asked: list[KenshoError] = []
            try:
                opened = self._await(
                    lambda: self._open(asked), self.settings.long_s, until, self.name
                )
            except libvirt.libvirtError as error:
                if asked:
                    raise asked[0] from error
                raise told(error, self.name, opening=True) from error
            self._conn = opened
            return opened

    def _open(self, asked: list[KenshoError]) -> Any:
        kinds = [libvirt.VIR_CRED_AUTHNAME, libvirt.VIR_CRED_USERNAME, libvirt.VIR_CRED_PASSPHRASE]

        def answer(credentials: list[list[Any]], _: object) -> int:
            try:
                for each in credentials:
                    secret = each[0] == libvirt.VIR_CRED_PASSPHRASE
                    each[4] = (
                        self._secrets.password(self._connection)
                        if secret
                        else self._connection.username
                    )
            except KenshoError as error:
                asked.append(error)
                return -1
            return 0

        conn = libvirt.openAuth(self.uri, [kinds, answer, None], 0)
        with suppress(libvirt.libvirtError):  # what is in this process has no need of it
            conn.setKeepAlive(_KEEPALIVE_S, _KEEPALIVES)
        return conn


def _quietly(conn: Any) -> None:
    with suppress(libvirt.libvirtError):
        conn.close()
