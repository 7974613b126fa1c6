"""Sessions: one login for each connection, closed together."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kensho_tui.connections import ConnectionBook, ConnectionBookError
from kensho_tui.errors import KenshoError
from kensho_tui.migration.sessions import Sessions
from tests.unit.migration.conftest import World
from tests.unit.migration.memory import MemorySecrets


def test_many_threads_share_one_login(world: World) -> None:
    with world.sessions() as sessions, ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: sessions.get("new"), range(16)))
        assert len({id(each) for each in found}) == 1
        assert world.new.control.calls.count("session.login_with_password") == 1


def test_a_connection_that_is_not_in_the_book_names_those_that_are(world: World) -> None:
    with world.sessions() as sessions, pytest.raises(ConnectionBookError, match="old, new"):
        sessions.get("newer")


def test_a_package_is_one_session_for_each_way_it_is_looked_at(tmp_path: Path) -> None:
    with Sessions(ConnectionBook(tmp_path / "book.toml"), MemorySecrets({})) as sessions:
        path = str(tmp_path / "a.ova")
        assert sessions.package(path) is sessions.package(path)
        assert sessions.package(path, format="ovf") is not sessions.package(path)


def test_after_closing_there_are_no_sessions(world: World) -> None:
    sessions = world.sessions()
    sessions.get("new")
    sessions.close()
    sessions.close()
    with pytest.raises(KenshoError, match="closed"):
        sessions.get("new")
    assert "session.logout" in world.new.control.calls


def test_a_session_that_is_forgotten_is_opened_anew(world: World) -> None:
    with world.sessions() as sessions:
        first = sessions.get("new")
        sessions.forget("new")
        assert sessions.get("new") is not first


def test_a_pin_that_is_trusted_for_now_leaves_the_book_as_it_is(world: World) -> None:
    before = ConnectionBook().get("new").pin
    with world.sessions() as sessions:
        sessions.trust("new", "AB" * 32)
        assert sessions.connection("new").pin == "ab" * 32
    assert ConnectionBook().get("new").pin == before
