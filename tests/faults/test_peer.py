"""The runner's socket is for its own user: another one gets no word, however open the files stand."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from kensho_tui.engine import wire
from kensho_tui.engine.client import Client
from kensho_tui.engine.wire import ProtocolError
from tests.faults.bench import Bench

NOBODY = 65534
as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")


def as_nobody(folder: Path, do: Callable[[], bool]) -> bool:
    """What it gives in a process of another user, which stands in the folder."""
    pid = os.fork()
    if pid == 0:
        code = 2
        try:
            os.chdir(folder)
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            code = 0 if do() else 1
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in {0, 1}, "it could not even try"
    return code == 0


def answered() -> bool:
    """Whether the runner in this folder says anything to a client's greeting."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(30)
        line.connect("runner.sock")
        try:
            line.sendall(wire.line({"id": 1, "do": "jobs"}))
            return bool(line.recv(1))
        except ConnectionError:
            return False


@as_root
def test_another_user_is_told_nothing_even_where_the_files_let_him_in(engine: Bench) -> None:
    assert (engine.state / "runner.sock").stat().st_mode & 0o777 == 0o600
    assert engine.state.stat().st_mode & 0o777 == 0o700
    engine.state.chmod(0o755)
    (engine.state / "runner.sock").chmod(0o666)
    assert not as_nobody(engine.state, answered)
    here = Path.cwd()
    os.chdir(engine.state)
    try:
        assert answered()
    finally:
        os.chdir(here)


@as_root
def test_a_client_tells_its_secrets_to_no_runner_of_another_user(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o777)
    state.chmod(0o777)
    listening, told = os.pipe()

    def runner() -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
            server.bind("runner.sock")
            server.listen()
            os.write(told, b"x")
            line, _ = server.accept()
            line.settimeout(30)
            with line:
                return not line.recv(1)  # not one byte

    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if as_nobody(state, runner) else 1
        finally:
            os._exit(code)
    os.read(listening, 1)
    with pytest.raises(ProtocolError, match="belongs to another user"):
        Client.open(state, start=False)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_the_kernel_says_who_is_at_the_other_end() -> None:
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other:
        assert wire.peer_uid(one) == wire.peer_uid(other) == os.getuid()
