"""A real PostgreSQL of one's own: a private socket, a temporary directory, an unprivileged user."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

DEADLINE_S = 60.0


def programs() -> Path | None:
    """Where the server's programs are; None where there are none."""
    # Debian keeps them off the path, and what stands there may be a wrapper.
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    named = shutil.which("initdb")
    if found:
        return found[-1].parent
    return Path(named).resolve().parent if named else None


def _as() -> dict[str, Any]:
    """PostgreSQL refuses to be run by root."""
    if os.getuid():
        return {}
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise AssertionError("there is no unprivileged user here")


@contextmanager
def server(binaries: Path) -> Iterator[str]:
    """A server that ends with the block; what to connect with."""
    who = _as()
    # Not below pytest's directory, which that user cannot enter; and a socket's path is short.
    home = Path(tempfile.mkdtemp(prefix="kensho-pg-"))
    try:
        if who:
            os.chown(home, who["user"], who["group"])
        data = home / "data"
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(home)}
        subprocess.run(
            [binaries / "initdb", "-D", data, "-A", "trust", "-U", "kensho", "-E", "UTF8",
             "--locale=C", "--no-sync"],
            check=True, capture_output=True, env=environment, cwd=home, **who,
        )  # fmt: skip
        with (home / "log").open("wb") as log:
            process = subprocess.Popen(
                [binaries / "postgres", "-D", data, "-k", home, "-c", "listen_addresses=",
                 "-c", "fsync=off"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd=home, **who,
            )  # fmt: skip
        try:
            where = f"host={home} user=kensho dbname=postgres"
            _await(where, process, home / "log")
            yield where
        finally:
            process.send_signal(signal.SIGINT)  # at once, whoever is still connected
            try:
                process.wait(DEADLINE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _await(where: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + DEADLINE_S
    while True:
        try:
            psycopg.connect(where).close()
        except psycopg.OperationalError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.05)  # between two looks from outside, where no event can reach us
        else:
            return
