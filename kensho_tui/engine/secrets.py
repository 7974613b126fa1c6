"""Where secrets are found: late, in the process that needs them, and never written anywhere."""

import json
import os
import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from kensho_tui.connections import Connection, ConnectionBook, SecretKind
from kensho_tui.errors import KenshoError

COMMAND_TIMEOUT_S = 60.0

# Where a person gives the password, or can: a variable belongs to the shell that set it.
_FROM_PERSONS = frozenset({SecretKind.PROMPT, SecretKind.ENV})


class SecretError(KenshoError):
    """A secret cannot be had; the message says where it was looked for."""


def connection_secret(name: str) -> str:
    """Under which name the password of a connection is handed to a job."""
    return f"connection:{name}"


class Secrets:
    """Finds secrets: handed over by name, else where the connection says, else by asking.

    Implements `kensho_tui.connections.LoginSecrets`. Thread-safe.
    """

    def __init__(
        self,
        known: Mapping[str, str] | None = None,
        ask: Callable[[str], str] | None = None,
        again: Callable[[str, str], str] | None = None,
    ) -> None:
        """Args:
        known: values by name: ``connection:<name>`` for passwords, ``property:<address>`` and
            whatever else a plan names.
        ask: gets a value by its name from the operator, and may wait for it; None where there
            is nobody to ask.
        again: likewise, for a password that was refused, with the reason; None where whoever
            tries to log in asks for another one, or nobody does.
        """
        self._known = dict(known or {})
        self._ask = ask
        self._again = again
        self._refusals: dict[str, str] = {}

    def __repr__(self) -> str:
        """The names alone."""
        return f"Secrets({', '.join(sorted(self._known))})"

    def put(self, name: str, value: str) -> None:
        """Keep a value that has just arrived."""
        self._known = {**self._known, name: value}

    def forget(self, name: str) -> None:
        """Drop a value that turned out to be wrong, so that it is looked for again."""
        self._known = {each: value for each, value in self._known.items() if each != name}

    def refused(self, connection: Connection, why: str) -> bool:
        """Forget the password that the platform refused; whether another one will be asked for.

        A file or a command is looked at again the next time, and nobody is asked.
        """
        name = connection_secret(connection.name)
        self.forget(name)
        asks = self._again is not None and connection.secret.kind in _FROM_PERSONS
        if asks:
            self._refusals = {**self._refusals, name: why}
        return asks

    def known(self) -> dict[str, str]:
        """All values by name, for handing them on in memory."""
        return dict(self._known)

    def values(self) -> tuple[str, ...]:
        """All values, for taking them out of text before it is written."""
        return tuple(self._known.values())

    def password(self, connection: Connection) -> str:
        """The password of the connection; what it was found to be stays known for next time."""
        name = connection_secret(connection.name)
        if name not in self._known:
            self.put(name, self._find(name, connection))
        return self._known[name]

    def secret(self, name: str) -> str:
        """A named secret of the plan."""
        if name not in self._known:
            self.put(name, self._asked(name, f"No value was given for '{name}'"))
        return self._known[name]

    def _find(self, name: str, connection: Connection) -> str:
        reference = connection.secret
        if self._again is not None and name in self._refusals:
            # Not from where the refused one came from: it would be the same again.
            return self._again(name, self._refusals[name])
        if reference.kind is SecretKind.PROMPT:
            return self._asked(name, f"The password of '{connection.name}' is not kept anywhere")
        try:
            return resolve(connection)
        except SecretError as error:
            # An environment variable belongs to the shell that set it; a person may still know it.
            if self._ask is None or reference.kind is not SecretKind.ENV:
                raise
            return self._asked(name, str(error))

    def _asked(self, name: str, why: str) -> str:
        if self._ask is None:
            raise SecretError(
                why.rstrip("."),
                subject=name,
                remedy="Give it when the job is started, or set the connection's secret to a file, "
                "a command or an environment variable",
            )
        return self._ask(name)


def resolve(connection: Connection) -> str:
    """The password from the file, variable or command that the connection names.

    Raises: SecretError: it is not there, or the file is readable by others; or the connection
        names no such place (``prompt``).
    """
    reference, subject = connection.secret, f"password of '{connection.name}'"
    match reference.kind:
        case SecretKind.FILE:
            return _from_file(Path(reference.value).expanduser(), subject)
        case SecretKind.ENV:
            value = os.environ.get(reference.value)
            if not value:
                raise SecretError(
                    f"the environment variable {reference.value} is not set",
                    subject=subject,
                    remedy="Set it where the job is started",
                )
            return value
        case SecretKind.COMMAND:
            return _from_command(reference.value, subject)
        case SecretKind.PROMPT:
            raise SecretError("it is not kept anywhere", subject=subject, remedy="Enter it")


def _from_file(path: Path, subject: str) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            # Of the open file, so that nobody can exchange it between the look and the reading.
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise SecretError(
                    f"{path} can be read by others",
                    subject=subject,
                    remedy=f"Run 'chmod 600 {path}' and think about changing the password",
                )
            line = file.readline().rstrip("\r\n")
    except OSError as error:
        raise SecretError(
            f"{path} cannot be read ({error.strerror})",
            subject=subject,
            remedy="Write the password into its first line, mode 0600",
        ) from error
    except UnicodeDecodeError as error:
        raise SecretError(f"{path} is no text", subject=subject) from error
    if not line:
        raise SecretError(f"the first line of {path} is empty", subject=subject)
    return line


def _from_command(text: str, subject: str) -> str:
    try:
        command = json.loads(text)
    except ValueError:
        command = None
    if (
        not isinstance(command, list)
        or not command
        or not all(isinstance(each, str) for each in command)
    ):
        raise SecretError(
            "the command is no JSON list of strings",
            subject=subject,
            remedy='Write it like command:["pass","show","kensho/xen1"]',
        )
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        # Not chained: the exception would carry what the command had printed so far.
        raise SecretError(
            f"'{command[0]}' gave no answer within {COMMAND_TIMEOUT_S:.0f} s",
            subject=subject,
            remedy="Unlock the password store first, or use a file",
        ) from None
    except OSError as error:
        raise SecretError(
            f"'{command[0]}' cannot be run ({error.strerror})", subject=subject
        ) from error
    if done.returncode:
        raise SecretError(
            f"'{command[0]}' failed with exit code {done.returncode}",
            subject=subject,
            remedy="Run it by hand to see why",
        )
    lines = done.stdout.decode("utf-8", errors="replace").splitlines()
    if not lines or not lines[0]:
        raise SecretError(f"'{command[0]}' printed nothing", subject=subject)
    return lines[0]


def from_environment(names: Iterable[str]) -> dict[str, str]:
    """Passwords, by secret name, of those of these connections that keep them in a variable.

    A name that is not in the connection book, or a variable that is not set, is left out: the
    worker says so when it needs it.
    """
    wanted, found = set(names), {}
    if wanted:
        for connection in ConnectionBook():
            value = os.environ.get(connection.secret.value)
            if connection.name in wanted and connection.secret.kind is SecretKind.ENV and value:
                found[connection_secret(connection.name)] = value
    return found
