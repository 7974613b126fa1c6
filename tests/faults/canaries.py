"""Where a secret could turn up: what commands say, processes show, sockets carry and files hold."""

import base64
import os
import pty
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from select import select

from kensho_tui.engine import wire
from kensho_tui.engine.places import Places
from tests.desk import COMMAND, DEADLINE_S
from tests.faults.room import Room

PROC = Path("/proc")
# Passwords are asked for at /dev/tty: the terminal has to be the process's own.
_TAKE_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    " os.execv(sys.argv[1], sys.argv[1:])"
)


def spellings(secret: str) -> Iterator[bytes]:
    """The secret as it stands, and inside base64 at each of the three places of a group."""
    yield secret.encode()
    yield secret.encode("utf-16-le")
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + secret.encode())
        yield text[4 if shift else 0 : len(text) - 4]


def found(data: bytes, canaries: Mapping[str, str]) -> list[str]:
    """Names of the canaries that are in the data."""
    return [
        name for name, value in canaries.items() if any(each in data for each in spellings(value))
    ]


@dataclass
class Evidence:
    """All that was seen while secrets were about, by where it was seen."""

    room: Room
    canaries: dict[str, str]
    said: dict[str, bytes] = field(default_factory=dict)
    arguments: dict[str, bytes] = field(default_factory=dict)
    environments: dict[str, bytes] = field(default_factory=dict)
    carried: dict[str, bytes] = field(default_factory=dict)
    screens: dict[str, bytes] = field(default_factory=dict)

    def run(
        self,
        *arguments: str,
        code: int = 0,
        input: str = "",
        given: Mapping[str, str] | None = None,
    ) -> str:
        """The command as an operator gives it; its standard output.

        Args: given: variables of this one command; a value ``fd:TEXT`` is no variable but what a
            descriptor gives, whose number takes the place of ``{NAME}`` in the arguments.
        """
        given = dict(given or {})
        descriptors = {
            name: _pipe(value.removeprefix("fd:"))
            for name, value in given.items()
            if value.startswith("fd:")
        }
        words = [each.format(**descriptors) if descriptors else each for each in arguments]
        variables = {k: v for k, v in given.items() if k not in descriptors}
        done = subprocess.run(
            [*COMMAND, *words],
            env={**self.room.desk.environment, **variables},
            input=input.encode(), capture_output=True, check=False, timeout=DEADLINE_S,
            pass_fds=[*descriptors.values()],
        )  # fmt: skip
        for number in descriptors.values():
            os.close(number)
        self.said[" ".join(arguments)] = done.stdout + done.stderr
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        return done.stdout.decode()

    def at_terminal(
        self,
        *arguments: str,
        answers: Sequence[tuple[str, str]],
        given: Mapping[str, str] | None = None,
    ) -> str:
        """The command at a terminal of its own; its standard output.

        Args: answers: what is typed once the terminal shows a prompt, in their order.
        """
        ours, theirs = pty.openpty()
        with (
            subprocess.Popen(
                [sys.executable, "-c", _TAKE_TERMINAL, *COMMAND, *arguments],
                env={**self.room.desk.environment, **(given or {})},
                stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, start_new_session=True,
            ) as process,
            open(ours, "rb", buffering=0) as terminal,
        ):  # fmt: skip
            os.close(theirs)
            shown, seen = bytearray(), 0
            for prompt, answer in answers:
                while (at := shown.find(prompt.encode(), seen)) < 0:
                    assert select([terminal], [], [], DEADLINE_S)[0], (prompt, bytes(shown))
                    try:
                        shown += terminal.read(1 << 16)
                    except OSError as error:
                        raise AssertionError(f"{prompt} never came: {shown.decode()}") from error
                seen = at + len(prompt)
                os.write(ours, f"{answer}\n".encode())
            assert process.stdout
            said = process.stdout.read()
            with suppress(OSError):  # a terminal that nobody has any more is no end of file
                while data := terminal.read(1 << 16):
                    shown += data
        self.said[f"at a terminal: {' '.join(arguments)}"] = said + bytes(shown)
        assert process.returncode == 0, (arguments, said, bytes(shown))
        return said.decode()

    def holders(self, places: Mapping[str, bytes]) -> dict[str, list[str]]:
        """Of the places those that hold a canary, with its name."""
        return {name: hits for name, data in places.items() if (hits := found(data, self.canaries))}

    def files(self, *roots: Path, but: Iterable[Path] = ()) -> dict[str, bytes]:
        """What stands in all files below the roots."""
        left_out = {path.resolve() for path in but}
        return {
            str(path): path.read_bytes()
            for root in roots
            for path in sorted(root.rglob("*"))
            if path.is_file() and path.resolve() not in left_out
        }


def _pipe(value: str) -> int:
    reading, writing = os.pipe()
    os.write(writing, f"{value}\n".encode())
    os.close(writing)
    return reading


@contextmanager
def watching(evidence: Evidence) -> Iterator[None]:
    """While inside, processes of the room are looked at, and a client listens to its runner."""
    over = threading.Event()
    threads = [
        threading.Thread(target=each, args=(evidence, over), daemon=True)
        for each in (_look_at_processes, _listen)
    ]
    for each in threads:
        each.start()
    try:
        yield
    finally:
        over.set()
        for each in threads:
            each.join(30)
            assert not each.is_alive()


def _look_at_processes(evidence: Evidence, over: threading.Event) -> None:
    home = os.fsencode(evidence.room.home)
    own = str(os.getpid())
    while not over.wait(0.05):
        for place in PROC.iterdir():
            if not place.name.isdigit() or place.name == own:
                continue
            with suppress(OSError):  # it has ended meanwhile
                arguments = (place / "cmdline").read_bytes()
                environment = (place / "environ").read_bytes()
                if home not in arguments and home not in environment:
                    continue
                name = f"{place.name} {arguments.replace(bytes(1), b' ').decode()[:200]}"
                evidence.arguments[name] = arguments
                # A command was given its variables by the operator's shell; what it starts was not.
                if b"kensho_tui.engine" in arguments:
                    evidence.environments[name] = environment


def _listen(evidence: Evidence, over: threading.Event) -> None:
    """Every byte that a client is sent which watches all jobs, from as many runners as there are."""
    number = 0
    while not over.is_set():
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.connect(os.fspath(Places(evidence.room.home / "state").socket()))
            line.settimeout(0.2)
            hello = {"id": 1, "do": "hello", "protocol": wire.PROTOCOL, "role": "client"}
            asked = [hello, {"id": 2, "do": "jobs"}, {"id": 3, "do": "watch", "job": None}]
            line.sendall(b"".join(map(wire.line, asked)))
            number += 1
            heard = bytearray()
            try:
                while not over.is_set():
                    try:
                        data = line.recv(1 << 16)
                    except TimeoutError:
                        continue
                    if not data:
                        break
                    heard += data
            finally:
                evidence.carried[f"connection {number}"] = bytes(heard)
        over.wait(0.1)
