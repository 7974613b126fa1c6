"""Where secrets are found: late, in the process that needs them, and never written anywhere."""

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping

from kensho_tui.connections import PIN, Connection, ConnectionBook, SecretKind
from kensho_tui.engine.sources import SecretError, resolve
from kensho_tui.hidden import hide
from kensho_tui.variables import has_variable, take_variable

# Bound to the shell that set it or to the service that was given it: a person may know it too.
_ELSEWHERE = frozenset({SecretKind.ENV, SecretKind.SYSTEMD})
_FROM_PERSONS = _ELSEWHERE | {SecretKind.PROMPT}


# What a password is meant for. Whoever runs the server and whom it is sent as, not where it is kept.
_MEANT = ("platform", "address", "username", "pin")
_PASSWORD = re.compile(r"connection:(\S+) (\[.*\])")


def connection_secret(connection: Connection) -> str:
    """Under which name the password of a connection is handed to a job: ``connection:<name> <whom>``.

    The name says whom the password is meant for: platform, address, user and pin. A password that was
    given for a connection is therefore not found any more once the connection leads elsewhere.
    """
    meant = [getattr(connection, each) for each in _MEANT]
    return f"connection:{connection.name} {json.dumps(meant)}"


def _meant(name: str) -> tuple[str, dict[str, str]] | None:
    """Connection and whom its password is meant for, of the secret's name; None: it is no password."""
    found = _PASSWORD.fullmatch(name)
    return (found[1], dict(zip(_MEANT, json.loads(found[2]), strict=True))) if found else None


def short_name(name: str) -> str:
    """The secret's name without whom it is meant for."""
    meant = _meant(name)
    return f"connection:{meant[0]}" if meant else name


def what_to_ask(name: str) -> str:
    """What a person is asked for, by the secret's name: of a password, also where it is sent."""
    if meant := _meant(name):
        connection, whom = meant
        who = f"{whom['username']} at " if whom["username"] else ""
        return f"Password of '{connection}' ({who}{whom['address']})"
    kind, _, what = name.partition(":")
    if kind == "passphrase":
        return f"Passphrase of {what}"
    return f"Value of '{what or name}'"


class Secrets:
    """Finds secrets: handed over by name, else where the connection says, else by asking.

    Implements `kensho_tui.connections.LoginSecrets`. Thread-safe.
    """

    def __init__(
        self,
        known: Mapping[str, str] | None = None,
        ask: Callable[[str], str] | None = None,
        again: Callable[[str, str], str] | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Args:
        known: values by name: `connection_secret` for passwords, ``property:<address>`` and
            whatever else a plan names.
        ask: gets a value by its name from the operator, and may wait for it; None where there
            is nobody to ask.
        again: likewise, for a password that was refused, with the reason; None where whoever
            tries to log in asks for another one, or nobody does.
        tell: told where a password is held and not used, because the connection has changed.
        """
        self._known = dict(known or {})
        for value in self._known.values():
            hide(value)
        self._ask = ask
        self._again = again
        self._tell = tell
        self._refusals: dict[str, str] = {}

    def __repr__(self) -> str:
        """The names alone."""
        return f"Secrets({', '.join(sorted(self._known))})"

    def put(self, name: str, value: str) -> None:
        """Keep a value that has just arrived."""
        hide(value)
        self._known = {**self._known, name: value}

    def forget(self, name: str) -> None:
        """Drop a value that turned out to be wrong, so that it is looked for again."""
        self._known = {each: value for each, value in self._known.items() if each != name}

    def refused(self, connection: Connection, why: str) -> bool:
        """Forget the password that the platform refused; whether another one will be asked for.

        A file or a command is looked at again the next time, and nobody is asked.
        """
        name = connection_secret(connection)
        self.forget(name)
        asks = self._again is not None and connection.secret.kind in _FROM_PERSONS
        if asks:
            self._refusals = {**self._refusals, name: why}
        return asks

    def known(self) -> dict[str, str]:
        """All values by name, for handing them on in memory; a passphrase opens more than one job's."""
        return {k: v for k, v in self._known.items() if not k.startswith("passphrase:")}

    def changed(self, name: str) -> str:
        """What the connection is now, where a password is held that was meant for another; else "".

        Args: name: of the secret that is wanted.
        """
        if (wanted := _meant(name)) is None or name in self._known:
            return ""
        for held in reversed(self._known):
            before = _meant(held)
            if before is None or before[0] != wanted[0]:
                continue
            told = "; ".join(
                f"{each} was {_shown(before[1][each])}, is {_shown(wanted[1][each])}"
                for each in _MEANT
                if before[1][each] != wanted[1][each]
            )
            return f"the connection has changed since its password was given: {told}"
        return ""

    def values(self) -> tuple[str, ...]:
        """All values, for taking them out of text before it is written."""
        return tuple(self._known.values())

    def password(self, connection: Connection) -> str:
        """The password of the connection; what it was found to be stays known for next time.

        One that was given for another platform, address, user or pin is not used: it is looked for
        where the connection says, or asked for.
        """
        name = connection_secret(connection)
        if name not in self._known:
            if changed := self.changed(name):
                self._tell(f"{connection.name}: {changed}; that one is not sent there")
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
        if reference.kind is SecretKind.AGE:
            return self._opened(connection)
        try:
            return resolve(connection)
        except SecretError as error:
            if self._ask is None or reference.kind not in _ELSEWHERE:
                raise
            return self._asked(name, str(error))

    def _opened(self, connection: Connection) -> str:
        """From the store of secrets, whose passphrase is asked for until it is right."""
        from kensho_tui.engine.age_store import PASSPHRASE, WrongPassphraseError

        while True:
            try:
                return resolve(connection, None if self._ask is None else self._passphrase)
            except WrongPassphraseError as error:
                self.forget(PASSPHRASE)
                if self._again is None:
                    raise
                self.put(PASSPHRASE, self._again(PASSPHRASE, error.what))

    def _passphrase(self) -> str:
        from kensho_tui.engine.age_store import PASSPHRASE

        return self.secret(PASSPHRASE)

    def _asked(self, name: str, why: str) -> str:
        if self._ask is None:
            changed = self.changed(name)
            raise SecretError(
                "; ".join(filter(None, (why.rstrip("."), changed))),
                subject=short_name(name),
                remedy="Give it at a terminal or with --password-fd, or set the connection's secret to a file, "
                "a command or an environment variable",
            )
        return self._ask(name)


def from_environment(names: Iterable[str]) -> dict[str, str]:
    """Passwords, by secret name, of those of these connections that keep them in a variable.

    Args: names: of the connections.

    A name that is not in the connection book, or a variable that is not set, is left out: the
    worker says so when it needs it.
    """
    wanted, found = set(names), {}
    if wanted:
        for connection in ConnectionBook():
            if connection.name not in wanted or connection.secret.kind is not SecretKind.ENV:
                continue
            value = take_variable(connection.secret.value)
            if value:
                found[connection_secret(connection)] = value
    return found


def _shown(value: str) -> str:
    """A pin by its beginning, and anything else whole."""
    return f"{value[:16]}…" if PIN.fullmatch(value) else value or "none"


def asks(connection: Connection) -> bool:
    """Whether a person would be asked for the connection's password, or for what opens it.

    Raises: SecretError: the store of secrets cannot be read.
    """
    match connection.secret.kind:
        case SecretKind.PROMPT:
            return True
        case SecretKind.ENV:
            return not has_variable(connection.secret.value)
        case SecretKind.SYSTEMD:
            return not os.environ.get("CREDENTIALS_DIRECTORY")
        case SecretKind.AGE:
            from kensho_tui.engine.age_store import AgeStore

            return AgeStore().asks
        case _:
            return False
