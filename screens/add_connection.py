"""Adds a connection: asks for what is needed, logs in with it, and keeps it once that works."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from textual import getters, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.message import Message
from textual.widgets import Footer, Input, Select, Static

from backends import registry
from backends.base import AuthenticationError, TrustError
from kensho_tui.connections import (
    NAME,
    Connection,
    ConnectionBookError,
    SecretKind,
    SecretRef,
)
from kensho_tui.engine.sources import placed
from kensho_tui.errors import KenshoError
from screens import login
from screens.base import KenshoScreen
from screens.desk import Desk
from screens.states import LOOK, RUNNING
from screens.widgets.reason import ReasonLine
from screens.widgets.title import TitleLine

PLACES = {
    SecretKind.PROMPT: "ask me each time",
    SecretKind.KERBEROS: "a Kerberos ticket",
    SecretKind.SYSTEMD: "a systemd credential",
    SecretKind.KEYRING: "the desktop's keyring",
    SecretKind.AGE: "the store of 'kensho secret'",
    SecretKind.COMMAND: "a command that prints it",
    SecretKind.ENV: "an environment variable",
    SecretKind.FILE: "a file (mode 0600)",
}
VALUES = {
    SecretKind.PROMPT: "nothing to fill in",
    SecretKind.KERBEROS: "nothing to fill in",
    SecretKind.SYSTEMD: "name of a credential of the runner's service",
    SecretKind.KEYRING: "SERVICE/USER, such as xen1/root",
    SecretKind.AGE: "name, as in 'kensho secret set xen1'",
    SecretKind.COMMAND: 'JSON list, such as ["pass", "show", "xen1"]',
    SecretKind.ENV: "name, such as XEN1_PASSWORD",
    SecretKind.FILE: "path, such as ~/.secrets/xen1",
}
EMPTY = frozenset({SecretKind.PROMPT, SecretKind.KERBEROS})
STAY = "^s logs in and keeps the connection once that works. ^k keeps it without trying."


@dataclass
class Tried(Message):
    """The login was tried; ``error`` where it failed."""

    connection: Connection
    error: KenshoError | None = None


class AddConnection(KenshoScreen[str]):
    """The form; gives the name of what was added."""

    CSS_PATH = "connections.tcss"
    AUTO_FOCUS = "#name"
    HELP_TITLE = "Add a connection"
    HELP_TEXT = """
Name: how you call it; letters, digits, dot, underscore, hyphen. Address: host, host:port or URL.
Password: where it is found; Kensho keeps no password. ^s logs in to see that all is right. Where the
server's certificate is not known yet you see its fingerprint and decide whether to trust it.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "try", "Test and keep", priority=True, key_display="^s", id="add.try"),
        Binding("ctrl+k", "keep", "Keep", priority=True, key_display="^k", id="add.keep"),
        Binding("escape", "leave", "Cancel", id="add.leave"),
    ]

    reason = getters.query_one(ReasonLine)

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk

    def compose(self) -> ComposeResult:
        """The form."""
        platforms = [each for each in registry.names() if each != "package"]
        yield TitleLine("Connections ▸ Add")
        with VerticalScroll(id="form", can_focus=False):
            yield from self._field("Name", "name", "xen-new")
            with Horizontal(classes="row"):
                yield Static("Platform", classes="label")
                yield Select(
                    [(each, each) for each in platforms],
                    allow_blank=not platforms,
                    compact=True,
                    id="platform",
                    classes="editor",
                )
            yield from self._field("Address", "address", "xen1.example.org")
            yield from self._field("User name", "username", "root")
            with Horizontal(classes="row"):
                yield Static("Password from", classes="label")
                yield Select(
                    [(text, each.value) for each, text in PLACES.items()],
                    value=SecretKind.PROMPT.value,
                    allow_blank=False,
                    compact=True,
                    id="kind",
                    classes="editor",
                )
            yield from self._field("  found under", "value", VALUES[SecretKind.PROMPT])
        yield ReasonLine(STAY)
        yield Footer(show_command_palette=False)

    def _field(self, label: str, id: str, example: str) -> Iterator[Horizontal]:
        field = Input(placeholder=example, compact=True, id=id, classes="editor")
        field.cursor_blink = False
        yield Horizontal(Static(label, classes="label"), field, classes="row")

    @on(Select.Changed, "#kind")
    def _kind_changed(self, event: Select.Changed) -> None:
        self.query_one("#value", Input).placeholder = VALUES[SecretKind(str(event.value))]

    def filled(self) -> Connection:
        """The connection as it stands in the form. Raises: KenshoError: says what is not right."""

        def text(id: str) -> str:
            return self.query_one(f"#{id}", Input).value.strip()

        name, address = text("name"), text("address")
        if not NAME.fullmatch(name):
            raise ConnectionBookError(
                "a name is letters, digits, '.', '_' or '-', at most 63", subject="Name"
            )
        if name in {each.name for each in self.desk.book()}:
            raise ConnectionBookError(
                "there is one of that name", subject=name, remedy="Take another name, or remove it"
            )
        if not address:
            raise ConnectionBookError("is missing", subject="Address")
        kind = SecretKind(str(self.query_one("#kind", Select).value))
        value = text("value")
        if kind not in EMPTY and not value:
            raise ConnectionBookError(f"is missing: {VALUES[kind]}", subject="Found under")
        return Connection(
            name=name,
            platform=str(self.query_one("#platform", Select).value),
            address=address,
            username=text("username"),
            secret=placed(SecretRef.parse(kind if kind in EMPTY else f"{kind}:{value}")),
        )

    def action_leave(self) -> None:
        """Add nothing."""
        self.dismiss(None)

    def action_keep(self) -> None:
        """Keep it untried."""
        self._with_form(self._put)

    def action_try(self) -> None:
        """Log in, then keep it."""
        self._with_form(self._try)

    def _with_form(self, do: Callable[[Connection], None]) -> None:
        try:
            connection = self.filled()
        except KenshoError as error:
            self.say_error(error)
        else:
            do(connection)

    def _put(self, connection: Connection) -> None:
        try:
            self.desk.book().put(connection)
        except KenshoError as error:
            self.say_error(error)
        else:
            self.dismiss(connection.name)

    def _try(self, connection: Connection) -> None:
        self.reason.say(f"Logging in to {connection.address} …", RUNNING)
        self.log_in(connection)

    @work(thread=True, group="try", exclusive=True, exit_on_error=False, description="try a login")
    def log_in(self, connection: Connection) -> None:
        """Log in once."""
        try:
            platform = registry.platform(connection.platform)
            platform.connect(connection, self.desk.secrets(), self.desk.cancel).close()
        except KenshoError as error:
            self.post_message(Tried(connection, error))
        else:
            self.post_message(Tried(connection))

    @on(Tried)
    def _tried(self, message: Tried) -> None:
        connection, error = message.connection, message.error
        if error is None:
            self._put(connection)
            return
        self.say_error(error)
        if isinstance(error, AuthenticationError):
            login.ask_password(
                self.app, self.desk, connection, error, lambda: self._try(connection)
            )
        elif isinstance(error, TrustError) and error.presented:

            def trusted(yes: bool) -> None:
                if yes:
                    self._try(login.trusted_now(connection, error))
                else:
                    self.reason.say("Not trusted; nothing is kept. " + STAY, LOOK)

            login.confirm_trust(self.app, connection.name, error, trusted)
