"""Where a platform is, how it is trusted, and where its secret is found.

The connection book is a TOML file that the operator may edit by hand. It never holds a secret,
only a reference to the place where one is found.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import tomlkit
from tomlkit.exceptions import TOMLKitError

from kensho_tui.errors import KenshoError
from kensho_tui.paths import config_dir, private_dir, write_private
from kensho_tui.person import person

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
PIN = re.compile(r"[0-9a-f]{64}")
_NOTHING = re.compile("")
_MEND = "Mend the file, or move it away and add the connections anew"


class ConnectionBookError(KenshoError):
    """The connection book cannot be read or written, or a name is not in it."""


class SecretKind(StrEnum):
    """Where a password is found, the best place first."""

    KERBEROS = "kerberos"  # nowhere: a ticket is enough, where the platform takes one
    SYSTEMD = "systemd"  # a credential of the service that the runner is
    KEYRING = "keyring"  # SERVICE/USER in the desktop's keyring
    AGE = "age"  # a name in the store that 'kensho secret' keeps
    COMMAND = "command"  # the first line a command prints; value is a JSON list of arguments
    ENV = "env"  # an environment variable
    FILE = "file"  # a file of the operator's, mode 0600, the password in its first line
    PROMPT = "prompt"  # nobody keeps it: the operator is asked


# What the value of a reference looks like, and an example; kinds that take none are not here.
_FORMS = {
    SecretKind.SYSTEMD: (re.compile(r"[A-Za-z0-9_.@:-]{1,255}"), "systemd:NAME"),
    SecretKind.KEYRING: (re.compile(r".+/[^/]+"), "keyring:SERVICE/USER"),
    SecretKind.AGE: (NAME, "age:NAME"),
    SecretKind.COMMAND: (re.compile(r".+", re.DOTALL), 'command:["pass","show","xen1"]'),
    SecretKind.ENV: (re.compile(r"[^=\0]+"), "env:NAME"),
    SecretKind.FILE: (re.compile(r"[^\0]+"), "file:/path"),
}


@dataclass(frozen=True, slots=True)
class SecretRef:
    """A reference to a secret, never the secret: written ``file:/path``, ``env:NAME``, ``prompt``."""

    kind: SecretKind = SecretKind.PROMPT
    value: str = ""

    @classmethod
    def parse(cls, text: str) -> "SecretRef":
        """From ``kind:value``. Raises `ConnectionBookError` for an unknown kind or a wrong value."""
        kind, _, value = text.partition(":")
        if kind not in set(SecretKind):
            allowed = ", ".join(SecretKind)
            raise ConnectionBookError(
                f"'{kind}' is no place for a secret", remedy=f"Use one of: {allowed}"
            )
        found = SecretKind(kind)
        form, example = _FORMS.get(found, (_NOTHING, str(found)))
        if not form.fullmatch(value):
            raise ConnectionBookError(
                "this says not where the secret is", subject=text, remedy=f"Write {example}"
            )
        return cls(found, value)

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}" if self.value else str(self.kind)


class SecretSource(Protocol):
    """Finds secrets, late, in the process that needs them. Implemented by the engine."""

    def password(self, connection: "Connection") -> str:
        """The password of the connection. May ask the operator and wait for the answer.

        Raises: KenshoError: it cannot be had; the message says where it was looked for.
        """
        ...

    def secret(self, name: str) -> str:
        """A named secret of the plan (``{secret: NAME}``), such as a password property."""
        ...


class LoginSecrets(SecretSource, Protocol):
    """Secrets of whoever logs in again by himself."""

    def refused(self, connection: "Connection", why: str) -> bool:
        """Forget the connection's password, which the platform refused; ``why`` in its words.

        True: `password` will ask a person for another one, so that trying again makes sense.
        """
        ...


@dataclass(frozen=True, slots=True)
class Connection:
    """One platform that can be reached.

    Attributes:
        name: how the operator calls it; letters, digits, ``._-``.
        platform: name of the back end, as in the entry-point group ``kensho_tui.backends``.
        address: ``host``, ``host:port`` or a URL, or a path for packages.
        pin: SHA-256 of the server's certificate in DER, 64 lower-case hex digits; "" verifies
            against the system's trust store.
        pinned: when, by whom and why that pin was taken, for people; "" where nobody said.
        settings: further settings of the back end, as its settings model names them.
    """

    name: str
    platform: str
    address: str
    username: str = ""
    secret: SecretRef = field(default_factory=SecretRef)
    pin: str = ""
    pinned: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)


class ConnectionBook:
    """The connections of this operator, kept in ``connections.toml`` (mode 0600)."""

    def __init__(self, path: Path | None = None) -> None:
        """Args: path: the file; None for the operator's own in `kensho_tui.paths.config_dir`."""
        self.path = path or config_dir() / "connections.toml"

    def _load(self) -> tomlkit.TOMLDocument:
        try:
            with self.path.open(encoding="utf-8") as file:
                self._require_trusted(os.fstat(file.fileno()))
                return tomlkit.parse(file.read())
        except FileNotFoundError:
            return tomlkit.document()
        except (OSError, UnicodeDecodeError, TOMLKitError) as error:
            raise ConnectionBookError(
                f"the connection book cannot be read ({error})",
                subject=str(self.path),
                remedy=_MEND,
            ) from error

    def _require_trusted(self, seen: os.stat_result) -> None:
        """It names commands that are run and servers that are sent passwords: by nobody else's hand."""
        if seen.st_uid not in {os.geteuid(), 0} or seen.st_mode & 0o022:
            raise ConnectionBookError(
                "others can write the connection book, and with it say whom passwords are sent to",
                subject=str(self.path),
                remedy="Look at what is in it, make the file your own and run"
                f" 'chmod 600 {self.path}'",
            )

    def _save(self, document: tomlkit.TOMLDocument) -> None:
        try:
            private_dir(self.path.parent, "KENSHO_CONFIG_DIR")
            write_private(self.path, tomlkit.dumps(document).encode())
        except OSError as error:
            raise ConnectionBookError(
                f"the connection book cannot be written ({error.strerror or error})",
                subject=str(self.path),
                remedy="Make room or mend the permissions, or set KENSHO_CONFIG_DIR to a directory"
                " of your own",
            ) from error

    def __iter__(self) -> Iterator[Connection]:
        """All connections, in the order of the file."""
        for name, table in self._load().items():
            if not isinstance(table, dict):
                raise ConnectionBookError(
                    f"'{name}' is no table", subject=str(self.path), remedy=_MEND
                )
            try:
                yield self._from_table(name, table)
            except ConnectionBookError as error:
                # Whoever reads this has to find the line: what is wrong is said by the value alone.
                raise ConnectionBookError(
                    error.what, subject=f"{self.path}: {name}", remedy=error.remedy or _MEND
                ) from error

    def _from_table(self, name: str, table: Mapping[str, object]) -> Connection:
        settings = table.get("settings", {})
        if not isinstance(settings, dict):
            raise ConnectionBookError("'settings' is no table")
        missing = [key for key in ("platform", "address") if not table.get(key)]
        if missing:
            raise ConnectionBookError(f"{' and '.join(missing)} missing")
        return Connection(
            name=name,
            platform=str(table["platform"]),
            address=str(table["address"]),
            username=str(table.get("username", "")),
            secret=SecretRef.parse(str(table.get("secret", "prompt"))),
            pin=normal_pin(str(table.get("pin", ""))),
            pinned=str(table.get("pinned", "")),
            settings={str(k): str(v) for k, v in settings.items()},
        )

    def get(self, name: str) -> Connection:
        """The connection of that name. Raises `ConnectionBookError` where there is none."""
        known = []
        for connection in self:
            if connection.name == name:
                return connection
            known.append(connection.name)
        raise ConnectionBookError(
            "no such connection",
            subject=name,
            remedy=f"Known are: {', '.join(known)}"
            if known
            else "Add one with 'kensho connection add'",
        )

    def put(self, connection: Connection) -> None:
        """Add the connection, or replace the one of that name."""
        require_name(connection.name)
        document = self._load()
        table = tomlkit.table()
        table["platform"] = connection.platform
        table["address"] = connection.address
        if connection.username:
            table["username"] = connection.username
        table["secret"] = str(connection.secret)
        if connection.pin:
            table["pin"] = normal_pin(connection.pin)
            if connection.pinned:
                table["pinned"] = connection.pinned
        if connection.settings:
            table["settings"] = dict(connection.settings)
        document[connection.name] = table
        self._save(document)

    def remove(self, name: str) -> None:
        """Forget the connection. Raises `ConnectionBookError` where there is none."""
        self.get(name)
        document = self._load()
        del document[name]
        self._save(document)


def require_name(name: str) -> None:
    """Raises: ConnectionBookError: no connection can be called so."""
    if not NAME.fullmatch(name):
        raise ConnectionBookError(
            "a connection's name is letters, digits, '.', '_' or '-', at most 63", subject=name
        )


def trusting(connection: Connection, pin: str, why: str) -> Connection:
    """The connection with that pin, and who took it now and why; "" trusts the system's store again.

    Raises: ConnectionBookError: it is no SHA-256 fingerprint.
    """
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    pin = normal_pin(pin)
    return replace(connection, pin=pin, pinned=f"{moment} {person()}: {why}" if pin else "")


def normal_pin(text: str) -> str:
    """The pin as 64 lower-case hex digits, from any spelling; "" stays "".

    Raises: ConnectionBookError: it is no SHA-256 fingerprint.
    """
    digits = re.sub(r"[\s:]", "", text.removeprefix("sha256:")).lower()
    if digits and not PIN.fullmatch(digits):
        raise ConnectionBookError(
            "a pin is the SHA-256 fingerprint of the certificate, 64 hex digits", subject=text
        )
    return digits
