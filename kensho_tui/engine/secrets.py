"""Where secrets are found: late, in the process that needs them, and never written anywhere."""

import os
from collections.abc import Callable, Iterable, Mapping

from kensho_tui.connections import Connection, ConnectionBook, SecretKind
from kensho_tui.engine.sources import SecretError, resolve
from kensho_tui.hidden import hide
from kensho_tui.variables import has_variable, take_variable

# Bound to the shell that set it or to the service that was given it: a person may know it too.
_ELSEWHERE = frozenset({SecretKind.ENV, SecretKind.SYSTEMD})
_FROM_PERSONS = _ELSEWHERE | {SecretKind.PROMPT}


def connection_secret(name: str) -> str:
    """Under which name the password of a connection is handed to a job."""
    return f"connection:{name}"


def what_to_ask(name: str) -> str:
    """What a person is asked for, by the secret's name."""
    kind, _, what = name.partition(":")
    match kind:
        case "connection":
            return f"Password of '{what}'"
        case "passphrase":
            return f"Passphrase of {what}"
        case _:
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
        for value in self._known.values():
            hide(value)
        self._ask = ask
        self._again = again
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
        name = connection_secret(connection.name)
        self.forget(name)
        asks = self._again is not None and connection.secret.kind in _FROM_PERSONS
        if asks:
            self._refusals = {**self._refusals, name: why}
        return asks

    def known(self) -> dict[str, str]:
        """All values by name, for handing them on in memory; a passphrase opens more than one job's."""
        return {k: v for k, v in self._known.items() if not k.startswith("passphrase:")}

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
            raise SecretError(
                why.rstrip("."),
                subject=name,
                remedy="Give it when the job is started, or set the connection's secret to a file, "
                "a command or an environment variable",
            )
        return self._ask(name)


def from_environment(names: Iterable[str]) -> dict[str, str]:
    """Passwords, by secret name, of those of these connections that keep them in a variable.

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
                found[connection_secret(connection.name)] = value
    return found


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
