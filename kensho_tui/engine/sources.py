"""The places where a password can be: each says what it has, or in one sentence why not."""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from kensho_tui.connections import Connection, SecretKind, SecretRef
from kensho_tui.engine.commands import NoAnswerError, first_line
from kensho_tui.errors import KenshoError
from kensho_tui.variables import take_variable

COMMAND_TIMEOUT_S = 60.0
_LONGEST = 64 << 10  # bytes that are read of a file, a descriptor or a credential

_OTHERS = 0o077  # whoever is not the file's owner
_NEW_PASSWORD = "think about changing the password"  # noqa: S105
_WRITE_PASSWORD = "Write the password into its first line, mode 0600"  # noqa: S105


class SecretError(KenshoError):
    """A secret cannot be had; the message says where it was looked for."""


def resolve(connection: Connection, passphrase: Callable[[], str] | None = None) -> str:
    """The password from the place that the connection names.

    Args: passphrase: asks for that of the store of secrets, where one opens it.

    Raises: SecretError: it is not there, or others can read it too; or the connection names no such
        place (``prompt``).
    """
    reference, subject = connection.secret, f"password of '{connection.name}'"
    match reference.kind:
        case SecretKind.KERBEROS:
            # Whoever can use a ticket does not ask for a password.
            raise SecretError(
                f"{connection.platform} takes a user name and a password, no Kerberos ticket",
                subject=subject,
                remedy="Name another place: systemd:, keyring:, age:, command:, env:, file: or prompt",
            )
        case SecretKind.SYSTEMD:
            return _from_systemd(reference.value, subject)
        case SecretKind.KEYRING:
            from kensho_tui.engine import keyrings

            service, _, user = reference.value.rpartition("/")
            return keyrings.password(service, user, subject)
        case SecretKind.AGE:
            from kensho_tui.engine.age_store import AgeStore

            return AgeStore().get(reference.value, passphrase)
        case SecretKind.COMMAND:
            return _from_command(reference.value, subject)
        case SecretKind.ENV:
            value = take_variable(reference.value)
            if not value:
                raise SecretError(
                    f"the environment variable {reference.value} is not set",
                    subject=subject,
                    remedy="Set it where the job is started",
                )
            return value
        case SecretKind.FILE:
            path = Path(reference.value).expanduser()
            return _first_line(private_bytes(path, subject), str(path), subject)
        case SecretKind.PROMPT:
            raise SecretError("it is not kept anywhere", subject=subject, remedy="Enter it")


def placed(reference: SecretRef) -> SecretRef:
    """The reference as it can be kept: a file's path absolute, because jobs run elsewhere.

    Raises: SecretError: it is a file that others can read. One that is not there yet may come.
    """
    if reference.kind is not SecretKind.FILE:
        return reference
    path = Path(reference.value).expanduser().absolute()
    with suppress(OSError):
        if path.stat().st_mode & _OTHERS:
            raise SecretError(
                "others can read this file",
                subject=str(path),
                remedy=f"Run 'chmod 600 {path}' and {_NEW_PASSWORD}",
            )
    return SecretRef(SecretKind.FILE, str(path))


def private_bytes(
    path: Path, subject: str, *, absent: str = _WRITE_PASSWORD, exposed: str = _NEW_PASSWORD
) -> bytes:
    """What a file holds that nobody but its owner can read, at most 64 KiB of it.

    Args:
        absent: what to do where it cannot be read.
        exposed: what to do where others can read it, after taking that from them.

    Raises: SecretError: others can read it, or nobody can.
    """
    try:
        with path.open("rb") as file:
            # Of the open file, so that nobody can exchange it between the look and the reading.
            if os.fstat(file.fileno()).st_mode & _OTHERS:
                raise SecretError(
                    f"{path} can be read by others",
                    subject=subject,
                    remedy=f"Run 'chmod 600 {path}' and {exposed}",
                )
            return file.read(_LONGEST)
    except OSError as error:
        raise SecretError(
            f"{path} cannot be read ({error.strerror})", subject=subject, remedy=absent
        ) from error


def from_descriptor(number: int) -> str:
    """The first line of a file descriptor that the caller of this process left open; closed then.

    Raises: SecretError: it is not open, or gives nothing.
    """
    subject = f"file descriptor {number}"
    try:
        with os.fdopen(number, "rb") as file:
            data = file.read(_LONGEST)
    except OSError as error:
        raise SecretError(
            f"it cannot be read ({error.strerror})",
            subject=subject,
            remedy="Open it for the command, such as: --password-fd 3 3< <(pass show xen1)",
        ) from error
    return _first_line(data, "what it gives", subject)


def _from_systemd(name: str, subject: str) -> str:
    """As systemd.exec(5) "CREDENTIALS" has it: a file of that name in a directory of the service's own."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        raise SecretError(
            f"this process was given no credentials by systemd, so no '{name}'",
            subject=subject,
            remedy=f"Start the runner as a service with LoadCredentialEncrypted={name}",
        )
    path = Path(folder) / name
    try:
        # Its mode may show a group that an access list alone grants: systemd sees to it.
        data = path.read_bytes()[:_LONGEST]
    except OSError as error:
        raise SecretError(
            f"systemd gave this service no '{name}' ({error.strerror})",
            subject=subject,
            remedy=f"Add LoadCredentialEncrypted={name} to the service",
        ) from error
    return _first_line(data, f"the credential '{name}'", subject)


def _first_line(data: bytes, place: str, subject: str) -> str:
    try:
        line = data.decode("utf-8").partition("\n")[0].rstrip("\r")
    except UnicodeDecodeError as error:
        raise SecretError(f"{place} is no text", subject=subject) from error
    if not line:
        raise SecretError(f"the first line of {place} is empty", subject=subject)
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
        code, line = first_line(command, "stdout", COMMAND_TIMEOUT_S)
    except NoAnswerError as error:
        raise SecretError(
            f"'{command[0]}' gave {error.what}",
            subject=subject,
            remedy="Unlock the password store first, or use a file",
        ) from error
    except OSError as error:
        raise SecretError(
            f"'{command[0]}' cannot be run ({error.strerror})", subject=subject
        ) from error
    if code:
        raise SecretError(
            f"'{command[0]}' failed with exit code {code}",
            subject=subject,
            remedy="Run it by hand to see why",
        )
    if not line:
        raise SecretError(f"'{command[0]}' printed nothing", subject=subject)
    return line
