"""Where the engine's files stand, and its locks."""

import subprocess
import sys
from pathlib import Path

import pytest

from kensho_tui.engine.environment import clean_environment
from kensho_tui.engine.journal import Journal, JournalError
from kensho_tui.engine.places import (
    SOCKET_PATH_LIMIT,
    FileLock,
    Places,
    StateDirError,
    is_held,
)


def test_a_lock_is_held_until_its_process_ends(tmp_path: Path) -> None:
    path = tmp_path / "job.lock"
    code = (
        "import sys; from pathlib import Path; from kensho_tui.engine.places import FileLock\n"
        f"lock = FileLock(Path({str(path)!r})); assert lock.take()\n"
        "print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        assert is_held(path)
        assert not FileLock(path).take()
        holder.kill()
        holder.wait()
    assert not is_held(path)
    with FileLock(path) as lock:
        assert lock.take()


def test_a_lock_whose_file_was_removed_does_not_stand(tmp_path: Path) -> None:
    path = tmp_path / "job.lock"
    with FileLock(path) as lock, FileLock(path) as other:
        assert lock.take()
        assert lock.stands()
        path.unlink()
        assert not lock.stands()
        assert other.take()
        assert other.stands()
        assert not lock.stands()


def test_a_socket_path_that_is_too_long_moves_to_a_private_short_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "")
    near = Places(tmp_path / "s")
    near.make()
    assert near.make_socket_place() == near.socket() == tmp_path / "s" / "runner.sock"

    far = Places(tmp_path / ("long" * 30))
    far.make()
    place = far.make_socket_place()
    try:
        assert len(str(place)) <= SOCKET_PATH_LIMIT
        assert far.socket() == place
        assert place.parent.stat().st_mode & 0o777 == 0o700
        place.parent.chmod(0o755)
        with pytest.raises(StateDirError, match="not private"):
            far.make_socket_place()
    finally:
        place.parent.rmdir()


def test_a_state_directory_that_users_share_is_refused(tmp_path: Path) -> None:
    shared = tmp_path / "tmp"
    shared.mkdir()
    shared.chmod(0o1777)
    with pytest.raises(StateDirError, match="KENSHO_STATE_DIR"):
        Places(shared).make()
    with pytest.raises(JournalError, match="sticky"):
        Journal(shared / "journal.db")
    assert list(shared.iterdir()) == []
    assert shared.stat().st_mode & 0o7777 == 0o1777


def test_a_link_in_place_of_the_short_directory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = tmp_path / "r"
    runtime.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    if len(str(runtime)) >= 60:
        monkeypatch.chdir(runtime)
        monkeypatch.setenv("XDG_RUNTIME_DIR", ".")
    places = Places(tmp_path / ("long" * 30))
    places.make()
    place = places.make_socket_place()
    place.parent.rmdir()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    place.parent.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StateDirError, match="not private"):
        places.make_socket_place()


def test_the_environment_of_the_processes_holds_nothing_that_was_not_named() -> None:
    given = {
        "PATH": "/bin",
        "LC_ALL": "C",
        "KENSHO_SPOOL_DIR": "/srv/spool",
        "XEN_PASSWORD": "p",
        "AWS_SECRET_ACCESS_KEY": "k",
        "https_proxy": "http://user:password@proxy",
        "HTTP_PROXY": "http://proxy:3128",
        "no_proxy": "localhost,.example.org",
    }
    kept = {"PATH": "/bin", "LC_ALL": "C", "KENSHO_SPOOL_DIR": "/srv/spool"}
    kept |= {"HTTP_PROXY": "http://proxy:3128", "no_proxy": "localhost,.example.org"}
    assert clean_environment(given) == kept
