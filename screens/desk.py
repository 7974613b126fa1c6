"""What the screens work with: the runner, the connection book, logins and passwords.

Everything is opened late, when a screen first asks for it, so that the first picture comes at once.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Protocol

from kensho_tui.cancel import Cancel, CancelledError
from kensho_tui.engine.events import JobSummary, JobView, RunnerStatus, Update
from kensho_tui.errors import KenshoError

if TYPE_CHECKING:
    from kensho_tui.connections import ConnectionBook
    from kensho_tui.engine.secrets import Secrets
    from kensho_tui.migration.plan import Plan
    from kensho_tui.migration.sessions import Sessions


DRAW_EVERY_S = 0.5
# A serial line of 38,400 baud carries 3.8 kB a second, and a drawing takes two or three.
DRAW_SELDOM_S = 1.0


class Runner(Protocol):
    """What the screens ask of `kensho_tui.engine.client.Client`. Every method may block."""

    def jobs(self) -> list[JobSummary]: ...
    def job(self, job: str) -> JobView: ...
    def watch(
        self, job: str | None = None, after: Mapping[str, int] | None = None
    ) -> Iterator[Update]:
        """Until `close`."""
        ...

    def submit(self, plan: "Plan", secrets: Mapping[str, str] | None = None) -> str: ...
    def cancel(self, job: str, *, by: str = "") -> bool: ...
    def answer(self, job: str, question: str, value: str, *, by: str = "") -> None: ...
    def pause(self, job: str, *, by: str = "") -> None: ...
    def resume(self, job: str, *, by: str = "") -> None: ...
    def limit(self, job: str, bytes_per_second: int | None, *, by: str = "") -> None: ...
    def retry(self, job: str, *, by: str = "") -> str: ...
    def cleanup(self, job: str, *, by: str = "") -> None: ...
    def status(self) -> RunnerStatus: ...
    def close(self) -> None: ...


class Desk:
    """One for the program. Thread-safe.

    Args:
        runner: makes the runner's client; None for the operator's own runner.
        sessions: the logins; None makes them of the operator's connection book.
        draw_every_s: seconds between two drawings of what moves.

    Attributes:
        cancel: ends every call to a platform; set when the program ends.
        asker: shows the operator a question for a secret and keeps the answer in the future (None:
            the operator gave none). Set by the application.
        bell: rings the terminal, with a text for it; None where nothing rings. Likewise.
    """

    def __init__(
        self,
        runner: Callable[[], Runner] | None = None,
        sessions: "Sessions | None" = None,
        *,
        draw_every_s: float = DRAW_EVERY_S,
    ) -> None:
        self.draw_every_s = draw_every_s
        self.cancel = Cancel()
        self.asker: Callable[[str, Future[str | None]], None] | None = None
        self.bell: Callable[[str], None] | None = None
        self._make_runner = runner
        self._lock = threading.RLock()
        self._runner: Runner | None = None
        self._secrets: Secrets | None = None
        self._sessions = sessions

    def runner(self) -> Runner:
        """The runner's client, made when first asked for."""
        with self._lock:
            if self._runner is None:
                self._runner = self.new_runner()
            return self._runner

    def new_runner(self) -> Runner:
        """A client of its own, for whoever watches: closing it ends the watch and nothing else."""
        return self._make_runner() if self._make_runner else _own_runner()

    def book(self) -> "ConnectionBook":
        """The operator's connections."""
        from kensho_tui.connections import ConnectionBook

        return ConnectionBook()

    def secrets(self) -> "Secrets":
        """Where passwords come from: what was entered before, else the operator."""
        from kensho_tui.engine.secrets import Secrets

        with self._lock:
            if self._secrets is None:
                self._secrets = Secrets(ask=self.ask)
            return self._secrets

    def sessions(self) -> "Sessions":
        """The logins of this program, shared by all screens."""
        from kensho_tui.migration.sessions import Sessions

        with self._lock:
            if self._sessions is None:
                self._sessions = Sessions(self.book(), self.secrets(), self.cancel)
            return self._sessions

    def ring(self, text: str) -> None:
        """Call the person at the terminal, if that is wished. From any thread."""
        if self.bell is not None:
            self.bell(text)

    def ask(self, name: str) -> str:
        """Ask the operator for a secret and wait. Not in the screens' own thread.

        Raises: CancelledError: the operator gave none, or the program ends.
        """
        if self.asker is None:
            raise KenshoError("there is nobody to ask", subject=name)
        answer: Future[str | None] = Future()

        def give_up() -> None:
            if not answer.done():
                answer.set_result(None)

        with self.cancel.closing(give_up):
            self.asker(name, answer)
            value = answer.result()
        if value is None:
            raise CancelledError("no password was given")
        return value

    def close(self) -> None:
        """End calls under way and log out everywhere."""
        self.cancel.cancel()
        with self._lock:
            sessions, self._sessions = self._sessions, None
            runner, self._runner = self._runner, None
        if sessions is not None:
            sessions.close()
        if runner is not None:
            runner.close()


def _own_runner() -> Runner:
    from kensho_tui.engine.client import Client

    return Client.open()
