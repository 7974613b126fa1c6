"""What the tests of the screens share: a runner, a platform and a book that are the test's own."""

import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from textual.widgets import Input

from kensho_tui.app import KenshoApp
from kensho_tui.connections import Connection, ConnectionBook, SecretKind, SecretRef
from kensho_tui.engine.client import Client, RunnerAbsentError
from tests.ui.fakes import FakeRunner
from tests.ui.platforms import FakeSession, FakeSessions


@pytest.fixture(autouse=True)
def _own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Configuration and state of the test's own; a cursor that does not blink."""
    monkeypatch.setenv("KENSHO_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("KENSHO_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("LAB_PASSWORD", "of no lab")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(Input, "cursor_blink", False)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()
    # Where the program was opened with nothing of the test's own, it has started a runner.
    if (tmp_path / "state").is_dir():
        with (
            suppress(RunnerAbsentError),
            closing(Client(tmp_path / "state", start=False)) as client,
        ):
            client.stop(workers=True)


@pytest.fixture
def runner() -> FakeRunner:
    """A runner without jobs."""
    return FakeRunner()


@pytest.fixture
def book() -> ConnectionBook:
    """A book with one platform, whose password is in a variable that nobody set."""
    made = ConnectionBook()
    made.put(
        Connection(
            "lab-xen", "xenserver", "127.0.0.1:1", "root", SecretRef(SecretKind.ENV, "LAB_PASSWORD")
        )
    )
    return made


@pytest.fixture
def session() -> FakeSession:
    """What every connection and every package leads to."""
    return FakeSession()


@pytest.fixture
def sessions(book: ConnectionBook, session: FakeSession) -> FakeSessions:
    """Logins to that platform."""
    return FakeSessions(book, session)


@pytest.fixture
def app(runner: FakeRunner, sessions: FakeSessions) -> KenshoApp:
    """The application on all of these."""
    return KenshoApp(runner.desk(sessions))
